package jobs

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rivo/uniseg"

	"outflow/columnar/bounded"
	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file remembers the last run, so that show, explain, timeline, top and suppress need
// not be told where its findings and its logs are.

// lastName is the object in the output folder that names the last run.
const lastName = "last.json"

// A lastRun says what the last run was that wrote its reports to an output folder.
type lastRun struct {
	Job    string `json:"job"`
	Folder string `json:"folder"` // of its reports, below the output folder
	First  string `json:"first"`  // day, as in 2026-11-20; "" if no day was judged
	Last   string `json:"last"`
	Config string `json:"config,omitempty"` // file
	State  string `json:"state,omitempty"`  // "" for a scan, which has none
	// The logs of a scan, and how they are read.
	Logs      []string `json:"logs,omitempty"`
	Input     []string `json:"input,omitempty"`
	Format    string   `json:"format,omitempty"`
	Layout    string   `json:"layout,omitempty"`
	LogFormat string   `json:"logformat,omitempty"`
	Mapping   string   `json:"mapping,omitempty"`
	Sources   []string `json:"sources,omitempty"`
	Rules     []string `json:"rules,omitempty"`
	Zone      string   `json:"zone,omitempty"`
	Endpoint  string   `json:"s3_endpoint_url,omitempty"`
	Region    string   `json:"s3_region,omitempty"`
	// Records has the ETag of each log that a finding of a scan names, as it was read.
	Records map[string]string `json:"records,omitempty"`
	// Exact has, of the findings of a scan by UID, what findings.csv does not hold.
	Exact map[string]exactFinding `json:"exact,omitempty"`
	// Place tells the output folder from its copies; "" if nothing does.
	Place string `json:"place,omitempty"`
	// Dir is the folder in which the run was started: what it names may be relative to it.
	Dir string `json:"dir,omitempty"`

	// foreign says that the folder is not the one to which the run wrote: somebody may have
	// made it up. Its configuration, state and servers are not the user's choice.
	foreign bool
}

// An exactFinding has the names of a finding as its detection has them, and its parts: an
// entry of the allow-list is for these.
type exactFinding struct {
	detect.Key
	Person string        `json:",omitempty"`
	Parts  []detect.Part `json:",omitempty"`
}

// exact returns what findings.csv does not hold of findings, by UID.
func exact(findings []detect.Finding) map[string]exactFinding {
	out := map[string]exactFinding{}
	for i := range findings {
		f := &findings[i]
		same := f.Entity == f.Who()
		for _, name := range []string{f.Feed, f.Entity, f.Object, f.Person} {
			same = same && name == detect.Visible(name)
		}
		if !same || len(f.Parts) > 0 {
			out[f.UID] = exactFinding{f.Key, f.Person, f.Parts}
		}
	}
	return out
}

// remember writes what the last run was.
func (p *program) remember(config *Config, out store.Store, folder string, r *reports.Report) error {
	l := p.scanned
	l.Job, l.Folder, l.Config = r.Job, folder, p.configFile
	if n := len(r.Days); n > 0 {
		l.First, l.Last = r.Days[0].String(), r.Days[n-1].String()
	}
	if r.Job == "nightly" {
		l.State = config.State
	}
	l.Place = placeOf(config.Out)
	l.Dir, _ = os.Getwd()
	text, err := json.MarshalIndent(&l, "", "  ")
	if err != nil {
		return err
	}
	if _, err := out.Tidy(p.ctx, "", store.Shallow); err != nil {
		return err
	}
	return out.Put(p.ctx, lastName, bytes.NewReader(append(escapeInvisible(text), '\n')), store.Always)
}

// reportFolders is how many folders there are between an output folder and a report, and one more.
const reportFolders = 3

// recall reads what the last run of the output folder was. Without one it returns nil. If the folder is that of a
// report, the output folder becomes the one that the report is in.
func (p *program) recall(config *Config) (*lastRun, error) {
	l, err := p.recallAt(config, config.Out)
	if l != nil || err != nil || store.Remote(config.Out) {
		return l, err
	}
	folder, err := filepath.Abs(config.Out)
	if err != nil {
		return nil, nil
	}
	report := ""
	for range reportFolders {
		folder, report = filepath.Dir(folder), path.Join(filepath.Base(folder), report)
		if _, err := os.Stat(filepath.Join(folder, lastName)); err != nil {
			continue
		}
		l, err := p.recallAt(config, folder)
		if err != nil || l == nil {
			return nil, err
		}
		if job, _, _ := strings.Cut(report, "/"); job == l.Job {
			config.Out = folder
			return l, nil
		}
		break
	}
	return nil, nil
}

// recallAt reads what the last run of an output folder was. Without one it returns nil.
func (p *program) recallAt(config *Config, folder string) (*lastRun, error) {
	out, err := p.open(config, "output folder", folder)
	if err != nil {
		return nil, err
	}
	f, err := out.Open(p.ctx, lastName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var l lastRun
	if err := json.NewDecoder(io.LimitReader(f, maxLast)).Decode(&l); err != nil {
		return nil, badConfig("read %s/%s: %w", folder, lastName, err)
	}
	if err := l.check(); err != nil {
		return nil, badConfig("read %s/%s: %w", folder, lastName, err)
	}
	at := placeOf(folder)
	l.foreign = at == "" || at != l.Place
	return &l, nil
}

// maxLast is how many bytes lastName may have.
const maxLast = 16 << 20

// check returns what a run does not write.
func (l *lastRun) check() error {
	if l.Folder != "" && !fs.ValidPath(l.Folder) {
		return fmt.Errorf("folder %q: want one below the output folder", l.Folder)
	}
	if l.First == "" && l.Last == "" {
		return nil
	}
	if l.First == "" {
		return errors.New("the first day is missing")
	}
	if _, err := dayRange(l.First, l.Last, 0); err != nil {
		return err
	}
	return nil
}

// placeOf returns what tells a folder on disk from its copies: its path and the number that
// the file system gave it, which nobody knows before. It is "" for others.
func placeOf(folder string) string {
	if store.Remote(folder) {
		return ""
	}
	at, err := filepath.Abs(folder)
	if err == nil {
		at, err = filepath.EvalSymlinks(at)
	}
	if err != nil {
		return ""
	}
	info, err := os.Stat(at)
	if err != nil {
		return ""
	}
	id := fileID(info)
	if id == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(at + "\n" + id))
	return hex.EncodeToString(sum[:8])
}

// loadLast loads the configuration for a command that looks at past runs. It and the state
// are the last run's if none is named. It also returns what that run was, nil if none is known.
func (p *program) loadLast(load func() (*Config, error)) (*Config, *lastRun, error) {
	config, err := load()
	if err != nil {
		return nil, nil, err
	}
	last, err := p.recall(config)
	if err != nil || last == nil {
		return config, last, err
	}
	if last.foreign {
		if names := last.others(); names != "" && p.configuration() == "" {
			p.note("%s was copied, or written by another machine: its %s is not used. Name your own with --config", printable(config.Out), printable(names))
		}
		return config, last, nil
	}
	_, stateSet := p.env("OUTFLOW_STATE")
	stateSet = stateSet || slices.Contains(p.where, "--state")
	switch p.configuration() {
	case "":
		out := config.Out
		if !stateSet {
			if out, err = last.enter(out); err != nil {
				return nil, nil, err
			}
		}
		p.configFile = last.Config
		if config, err = load(); err != nil {
			return nil, nil, fmt.Errorf("the configuration of the last run, which was started in %s: %w", printable(last.Dir), err)
		}
		config.Out = out
	case last.Config:
	default: // another configuration has a state of its own
		return config, last, nil
	}
	if len(config.Rules) == 0 && len(last.Rules) > 0 {
		config.Rules = last.Rules
		if err := config.loadRules(); err != nil {
			p.note("the rules of the last run: %v", err)
		}
	}
	if last.State != "" && !stateSet {
		config.State = last.State // the run may have had it from its command line
	}
	return config, last, nil
}

// enter goes to the folder in which the run was started, and returns the output folder as it is named there.
func (l *lastRun) enter(out string) (string, error) {
	here, err := os.Getwd()
	if err != nil || l.Dir == "" || l.Dir == here {
		return out, nil
	}
	if !store.Remote(out) {
		if out, err = filepath.Abs(out); err != nil {
			return "", err
		}
	}
	if err := os.Chdir(l.Dir); err != nil {
		return "", badConfig("the last run was started in %s: %w: name its configuration with --config", printable(l.Dir), err)
	}
	return out, nil
}

// others names what the run used of its machine.
func (l *lastRun) others() string {
	var out []string
	for _, of := range [][2]string{{"configuration", l.Config}, {"state", l.State}, {"server", l.Endpoint}, {"rules", strings.Join(l.Rules, ", ")}} {
		if of[1] != "" {
			out = append(out, of[0]+" "+of[1])
		}
	}
	return strings.Join(out, ", ")
}

// findings returns the findings of the run: those of the state if it has them, else those
// of its reports.
func (l *lastRun) findings(p *program, config *Config) ([]detect.Finding, error) {
	if l.Job == "nightly" && !l.foreign {
		s, err := p.openStored(config)
		if err != nil {
			return nil, err
		}
		days, err := dayRange(l.First, l.Last, 0)
		if err != nil {
			return nil, err
		}
		var all []detect.Finding
		for _, day := range days {
			found, err := s.findingsOf(p.ctx, day)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			all = append(all, found...)
		}
		detect.SortFindings(all)
		return all, nil
	}
	out, err := p.open(config, "output folder", config.Out)
	if err != nil {
		return nil, err
	}
	name := path.Join(l.Folder, "findings.csv")
	f, err := out.Open(p.ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, badConfig("%s/%s is not there: let the run write the report csv", config.Out, name)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := reports.ReadFindings(f)
	for i := range all {
		if x, ok := l.Exact[all[i].UID]; ok {
			all[i].Key, all[i].Person, all[i].Parts = x.Key, x.Person, x.Parts
		}
	}
	return all, err
}

// sourcesOf lists the logs of the run around days, which ascend.
func (l *lastRun) sourcesOf(p *program, config *Config, days []detect.Day) ([]source, error) {
	if l.Job == "scan" {
		endpoint, region := l.Endpoint, l.Region
		if l.foreign {
			endpoint, region = config.S3.EndpointURL, config.S3.Region
			remote := func(path string) bool { return strings.Contains(path, "://") }
			if endpoint+region == "" && (slices.ContainsFunc(l.Logs, remote) || slices.ContainsFunc(l.Input, remote)) {
				return nil, badConfig("%s was copied, or written by another machine, and names logs in a bucket: say where that is, with --s3-region or --s3-endpoint-url", config.Out)
			}
		}
		return p.find(&inputFlags{format: l.Format, layout: l.Layout, logFormat: l.LogFormat, mapping: l.Mapping, mapped: l.Input,
			sources: l.Sources, zone: l.Zone, endpointURL: endpoint, region: region}, l.Logs)
	}
	return p.sources(config, days[0]-1, days[len(days)-1]+1)
}

// etags returns the ETags of logs as the run read them for a day, by name, as far as they are
// known: a state has those of all its days, a scan those of the logs that its findings name.
func (l *lastRun) etags(p *program, config *Config, day detect.Day) (map[string]string, error) {
	if l.Job == "scan" || l.foreign {
		return l.Records, nil
	}
	s, err := p.openStored(config)
	if err != nil {
		return nil, err
	}
	all, err := s.stored(p.ctx, day)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for i := range all {
		for _, in := range all[i].Inputs {
			out[in.Name] = in.ETag
		}
	}
	return out, nil
}

// etagsOf returns the ETags of the objects that findings name.
func etagsOf(objects map[string]*source, findings []detect.Finding) map[string]string {
	out := map[string]string{}
	for i := range findings {
		for _, place := range findings[i].Summary.Records() {
			if src := objectAt(place.At, objects); src != nil && src.etag != "" {
				out[src.object.Name] = src.etag
			}
		}
	}
	return out
}

// scannedBy returns what a scan must remember.
func scannedBy(f *inputFlags, paths []string) lastRun {
	return lastRun{Logs: paths, Input: f.mapped, Format: f.format, Layout: f.layout, LogFormat: f.logFormat, Mapping: f.mapping,
		Sources: f.sources, Zone: f.zone, Endpoint: f.endpointURL, Region: f.region}
}

// findingNamed returns the finding whose UID begins with id: of the last run, else of the
// state, newest day first, else of a report. It is nil if there is none.
func (p *program) findingNamed(config *Config, last *lastRun, id string) (*detect.Finding, error) {
	if !plausibleID().MatchString(id) {
		return nil, nil
	}
	var found []detect.Finding
	look := func(all []detect.Finding) {
		for i := range all {
			if strings.HasPrefix(all[i].UID, id) && !slices.ContainsFunc(found, func(f detect.Finding) bool { return f.UID == all[i].UID }) {
				found = append(found, all[i])
			}
		}
	}
	if last != nil {
		all, err := last.findings(p, config)
		if err != nil {
			return nil, err
		}
		look(all)
	}
	if len(found) == 0 {
		err := p.eachStored(config, func(all []detect.Finding) bool { look(all); return len(found) == 0 })
		if err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		if err := p.eachReported(config, func(all []detect.Finding) bool { look(all); return len(found) == 0 }); err != nil {
			return nil, err
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return &found[0], nil
	}
	var ids []string
	for i := range found {
		ids = append(ids, found[i].UID)
	}
	return nil, badConfig("%q begins several findings: %s", id, strings.Join(ids, ", "))
}

var plausibleID = bounded.Expression(`^[0-9a-f]{4,64}$`)

// eachStored calls visit with the findings of the days of the state, newest first, until
// it returns false.
func (p *program) eachStored(config *Config, visit func([]detect.Finding) bool) error {
	at, err := p.open(config, "state", config.State)
	if err != nil {
		return err
	}
	s := &state{p: p, config: config, store: at}
	days, err := s.findings().List(p.ctx)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, text := range slices.Backward(days) {
		day, err := detect.ParseDay(text)
		if err != nil {
			continue // the store lists days alone
		}
		all, err := s.findingsOf(p.ctx, day)
		if err != nil {
			return err
		}
		if !visit(all) {
			return nil
		}
	}
	return nil
}

// eachReported calls visit with the findings of each findings.csv in the output folder,
// until it returns false.
func (p *program) eachReported(config *Config, visit func([]detect.Finding) bool) error {
	out, err := p.open(config, "output folder", config.Out)
	if err != nil {
		return err
	}
	for e, err := range out.List(p.ctx, "", store.Deep) {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if path.Base(e.Name) != "findings.csv" {
			continue
		}
		f, err := out.Open(p.ctx, e.Name)
		if err != nil {
			return err
		}
		all, err := reports.ReadFindings(f)
		f.Close()
		if err != nil {
			p.note("%s/%s: %v", config.Out, e.Name, err) // another program's
		} else if !visit(all) {
			return nil
		}
	}
	return nil
}

// next prints the commands that a reader of the summary probably wants now.
func (p *program) next(config *Config, r *reports.Report) {
	var first *detect.Finding
	for i := range r.Findings {
		if r.Findings[i].Allowed == "" {
			first = &r.Findings[i]
			break
		}
	}
	if first == nil {
		return
	}
	id := first.UID[:min(len(first.UID), reports.IDLength(r.Findings))]
	type command struct{ line, why string }
	all := []command{
		{p.again(config, "show", id), "the records behind a finding"},
		{p.again(config, "explain", id), "its numbers, and how to allow it"},
	}
	if kind, who := first.Subject(); kind != "group" {
		all = append(all, command{p.again(config, "timeline", who), "what happened, in order of time"})
	}
	all = append(all, command{p.again(config, "top --by destination", ""), "who sent most where"})
	longest, total := 0, 0
	for i := range all {
		c := &all[i]
		lead := "      "
		if i == 0 {
			lead = "next: "
		}
		c.line = lead + "  " + c.line
		c.why = "  # " + c.why
		longest, total = max(longest, uniseg.StringWidth(c.line)), max(total, len(c.why))
	}
	if total += longest; p.width > 0 && total > p.width {
		longest = 0 // each command has its comment right behind it
	}
	for _, c := range all {
		used := uniseg.StringWidth(c.line)
		fmt.Fprint(p.stdout, c.line)
		if used = max(used, longest); p.width == 0 || used+len(c.why) <= p.width {
			fmt.Fprint(p.stdout, strings.Repeat(" ", used-uniseg.StringWidth(c.line)), c.why)
		}
		fmt.Fprintln(p.stdout)
	}
}

// again writes a command about the last run, as it can be typed where this one was.
func (p *program) again(config *Config, command, about string) string {
	words := append([]string{cmp.Or(p.called, "outflow"), command}, p.finders(config)...)
	if about != "" {
		words = append(words, argument(about))
	}
	return strings.Join(words, " ")
}

// finders returns the flags that say where the reports of this run are, unless those are
// found without.
func (p *program) finders(config *Config) []string {
	if config.Out == defaults().Out {
		return nil
	}
	return p.where
}

// here writes a command as it can be typed where this one was: with the flags that say what
// the configuration, the state and the reports are.
func (p *program) here(command string) string {
	return strings.Join(append([]string{cmp.Or(p.called, "outflow"), command}, p.where...), " ")
}

// argument writes a positional argument: one that begins as a flag does is told from it.
func argument(s string) string {
	if strings.HasPrefix(s, "-") {
		return "-- " + shellWord(s)
	}
	return shellWord(s)
}

// plainWord matches words that a shell takes as they are.
var plainWord = bounded.Expression(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord writes a word so that a shell and a terminal read it as text.
func shellWord(s string) string {
	if plainWord().MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(printable(s), "'", `'\''`) + "'"
}
