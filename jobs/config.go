package jobs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"outflow/columnar"
	"outflow/columnar/bounded"
	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// A Config is the configuration of a run. Each field is a key of the configuration
// file. A key with a single value is also a flag and an environment variable: state is
// --state and OUTFLOW_STATE.
type Config struct {
	Profile       string        `yaml:"profile" doc:"default, or seed: the original rules, untuned"`
	Inputs        []*Input      `yaml:"inputs" doc:"the logs to read"`
	Own           []string      `yaml:"own" doc:"the company's own hosts, domains with their subdomains, networks and buckets: uploads to them are not exfiltration"`
	DomainAliases DomainAliases `yaml:"domain_aliases" doc:"other names of domains in user names, by domain: with corp.example: [CORP, corp.local], CORP\\anna, anna@corp.local and anna@corp.example are one user; the alias . is for names without a domain"`
	Identities    string        `yaml:"identities" doc:"CSV file of who is who, with the columns alias, user, from and to: findings of an alias (an address, host, ARN or other name) are the user's; see docs/people.md"`
	Criticality   string        `yaml:"criticality" doc:"CSV file with the columns entity and criticality (low, medium, high or extreme): how grave the loss of what a user, host or address can reach would be"`
	Groups        string        `yaml:"groups" doc:"CSV file with the columns entity and group: users, hosts and addresses that do the same work, whose days say what is usual for a new colleague; service is the group of service accounts and backup machines, to which names such as svc-reporting and backup2 belong by themselves"`
	State         string        `yaml:"state" doc:"folder or s3:// URI that keeps the daily aggregates and findings"`
	Out           string        `yaml:"out" doc:"folder or s3:// URI for reports"`
	Reports       []string      `yaml:"reports" doc:"report formats to write; see outflow list reports"`
	Backfill      bool          `yaml:"backfill" doc:"build missing baselines from the logs of past days, if they still exist"`
	CatchUp       bool          `yaml:"catch_up" doc:"the nightly job, run without --day, first judges the nights that were missed since the last one, up to 31"`
	Keep          int           `yaml:"keep" doc:"how many days the state keeps before its newest; 0: all"`
	Zone          string        `yaml:"zone" doc:"time zone of logs without one, as in Europe/Paris"`
	Notify        []*Notify     `yaml:"notify" doc:"who is told of a run"`
	Pushgateway   string        `yaml:"pushgateway" doc:"URL of a Prometheus Pushgateway that gets each run's metrics, for runs whose out is no folder that a collector reads: https, or http to this machine"`
	Allow         []*Allow      `yaml:"allow" doc:"findings that are known and accepted"`
	Sources       []string      `yaml:"sources" doc:"files and folders of source files, which describe logs that outflow does not know; see outflow sources"`
	Rules         []string      `yaml:"rules" doc:"files and folders of Sigma rules to run in addition to those that come with outflow"`
	Placeholders  Placeholders  `yaml:"placeholders" doc:"the values of %name% in Sigma rules with the modifier expand, by name"`
	Disable       []string      `yaml:"disable" doc:"detections and rules not to run"`
	Detections    ast.Node      `yaml:"detections" doc:"thresholds by detection"`
	S3            S3            `yaml:"s3"`
	Workers       int           `yaml:"workers" doc:"number of workers that decode and fold; 0: one for each CPU"`
	LateBytes     detect.Bytes  `yaml:"late_bytes" doc:"how many bytes of logs a night may read again because of late ones, as in 20GiB; the next nights do the rest. 0: 8 times those of its own days, and at least 1GiB"`
	RecordBytes   detect.Bytes  `yaml:"record_bytes" doc:"how many bytes of logs a run may read again, after decompression, to show the records behind its findings on the page; 0: none"`
	Memory        detect.Bytes  `yaml:"memory" doc:"memory that a run may use, as in 1GiB: beyond it, tables go to temporary files; 0: GOMEMLIMIT, else 256MiB"`
	Strict        bool          `yaml:"strict" doc:"exit with 3 if the run is incomplete: a log was not read, or only in part"`
	Wait          time.Duration `yaml:"wait" doc:"how long to wait for another run that has the state, as in 10m; 0: not at all"`
	RequireInput  bool          `yaml:"require_input" doc:"exit with 4 if no input was found"`
	FailOn        string        `yaml:"fail_on" doc:"exit with 10 if a finding has this severity or a higher one: info, low, medium, high or critical"`

	formats    logs.Formats // those of outflow, and Sources; nil: those of outflow
	detections []*detect.Detection
	rules      ruleSet
	names      detect.Names
	identities *detect.Identities // nil: nobody is known
	critical   entityWords
	peers      entityWords    // groups
	networks   []netip.Prefix // of Own
	onlyDNS    bool           // only DNS is folded
	zone       *time.Location
	origins    map[string]string // by setting that is not at its default: where its value comes from
}

// Placeholders are the values of the placeholders of Sigma rules, by name.
type Placeholders map[string][]string

// S3 says how to reach the object store; credentials come from the usual AWS
// variables, files and roles.
type S3 struct {
	EndpointURL string `yaml:"endpoint_url" doc:"URL of an S3-compatible server; empty: AWS"`
	Region      string `yaml:"region" doc:"region; empty: as the AWS tools find it"`
}

// An Input is one feed: the logs of one sensor.
type Input struct {
	Name      string   `yaml:"name"`
	URI       string   `yaml:"uri"` // after check: the pattern of the objects
	Layout    string   `yaml:"layout"`
	Format    string   `yaml:"format"`
	LogFormat string   `yaml:"logformat"`
	Zone      string   `yaml:"zone"`
	Mapping   *Mapping `yaml:"mapping"`
	Require   bool     `yaml:"require"` // exit with 4 if it has no row of the judged time

	format  *logs.Format
	options logs.Options
	left    string // why what matched it when it was last listed was left out; "": something was not
}

// leftOut says what the URI matches that is not read, as a sentence before another.
func (in *Input) leftOut() string {
	if in.left == "" {
		return ""
	}
	return "What it matches is left out (" + in.left + "). "
}

// daily reports whether the URI has the day: only the objects around the days of a run
// are listed.
func (in *Input) daily() bool {
	return strings.Contains(in.URI, "{dd}") || strings.Contains(in.URI, "{d}")
}

// A Mapping is a logs.Mapping, or a logs.Source, as the configuration writes it. It is a
// source if it has a container, rows, or a column that says what only sources can.
type Mapping struct {
	logs.Source `yaml:",inline"`
	Table       string   `yaml:"table"`
	Only        bool     `yaml:"only"`
	Delimiter   string   `yaml:"delimiter"`
	Header      []string `yaml:"header"`
	Where       *Where   `yaml:"where"`
}

// source returns the mapping as a format, nil if it is a plain one. name and format are
// the input's.
func (m *Mapping) source(name, format string) (*logs.Format, error) {
	s := m.Source
	ofSource := s.Container != "" || s.Rows != nil
	for _, c := range s.Columns {
		ofSource = ofSource || c.OfSource()
	}
	if !ofSource {
		return nil, nil
	}
	s.Name, s.Title = sourceName(cmp.Or(s.Name, name)), cmp.Or(s.Title, "a mapping of the configuration")
	s.Container = cmp.Or(s.Container, map[string]string{"jsonl": "json"}[format], format)
	s.Separator = cmp.Or(s.Separator, m.Delimiter)
	if m.Header != nil && s.Layouts == nil {
		s.Layouts = []logs.Layout{{Names: m.Header}}
	}
	switch {
	case s.Rows != nil && (m.Table != "" || m.Where != nil):
		return nil, errors.New("table and where stand in each of rows")
	case s.Rows == nil:
		row := logs.SourceRow{Table: m.Table, Columns: s.Columns}
		s.Columns = nil
		if m.Where != nil {
			row.Where = map[string]logs.Condition{m.Where.Column: {Is: logs.TextList{m.Where.Equals}}}
		}
		s.Rows = []logs.SourceRow{row, {Other: "left out by mapping.where"}}
	}
	return s.Format()
}

// sourceName returns a name that a source can have: lower-case letters, digits and -.
func sourceName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}

// A Where keeps only the records whose column equals a value.
type Where struct {
	Column string `yaml:"column"`
	Equals string `yaml:"equals"`
}

// defaults returns the configuration without a file.
func defaults() *Config {
	return &Config{
		Profile: "default", State: "state", Out: "out", Reports: []string{"csv", "html"},
		Backfill: true, CatchUp: true, Wait: 10 * time.Minute, RecordBytes: 1 << 30, origins: map[string]string{},
	}
}

// A configError is an error in the configuration or the command line: exit 2.
type configError struct{ err error }

func (e configError) Error() string { return e.err.Error() }
func (e configError) Unwrap() error { return e.err }

func badConfig(format string, args ...any) error { return configError{fmt.Errorf(format, args...)} }

// configLimits are the limits of a configuration: 30,000 entries of the allow-list are within
// them. A mapping alone has few columns, and its compiler takes seconds for a hundred thousand.
var (
	configLimits  = bounded.Limits{Bytes: 4 << 20, Depth: 32, Values: 1 << 19}
	mappingLimits = bounded.Limits{Bytes: 256 << 10, Depth: 32, Values: 1 << 15}
)

// loadConfig reads the configuration: the defaults, then the file (if any), then the
// environment, then the given flags. Beside an error, it returns what places returns.
func loadConfig(file string, env func(string) (string, bool), flags map[string]string) (*Config, error) {
	c := defaults()
	text, body, err := c.readFile(file)
	if err == nil {
		err = c.resolve(file, text, body, env, flags)
	}
	if err != nil {
		return places(file, body, env, flags), err
	}
	return c, nil
}

// readFile decodes the file, and returns its text and its document: nil if it has only comments.
// The document is returned beside an error, too, if one was parsed.
func (c *Config) readFile(file string) (text []byte, body ast.Node, err error) {
	if file == "" {
		return nil, nil, nil
	}
	if text, err = os.ReadFile(file); err != nil {
		return nil, nil, configError{fmt.Errorf("read the configuration: %w", err)}
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	parsed, err := configLimits.ParseQuick(text)
	if err != nil {
		return nil, nil, badConfig("%s: %s", file, yamlFault(text, err))
	}
	for _, doc := range parsed.Docs {
		switch doc.Body.(type) {
		case nil, *ast.CommentGroupNode, *ast.DirectiveNode:
			continue
		}
		if body != nil {
			return nil, body, badConfig("%s: a second document begins behind ---: a configuration is one", file)
		}
		body = doc.Body
	}
	if body != nil {
		if err := yaml.NodeToValue(body, c, yaml.Strict()); err != nil {
			return nil, body, badConfig("%s: %s%s", file, c.fault(text, body, err), keyHint(err))
		}
	}
	return text, body, nil
}

// resolve applies the environment and the flags to what the file says, and checks the result.
func (c *Config) resolve(file string, text []byte, body ast.Node, env func(string) (string, bool), flags map[string]string) error {
	// The profile decides the defaults of the other settings.
	for _, s := range c.settings() {
		if s.key == "profile" {
			if err := c.overlay(s, env, flags); err != nil {
				return err
			}
		}
	}
	c.detections = detect.All()
	switch c.Profile {
	case "default":
	case "seed":
		c.detections = detect.Seeded(c.detections)
	default:
		return badConfig("profile %q: want default or seed", c.Profile)
	}
	faults := c.decodeDetections(text, body, file)
	if file != "" {
		c.noteOrigins(body, file)
	}
	for _, s := range c.settings() {
		if err := c.overlay(s, env, flags); err != nil {
			faults = append(faults, err.Error())
		}
	}
	err := c.check(faults)
	c.rules.warnings = append(c.rules.warnings, c.strayPlaceholders(text, file)...)
	return err
}

// places returns of a configuration with faults what says where the files of a run go: those
// who are not there must learn that it failed. Its out is empty if that cannot be known.
func places(file string, body ast.Node, env func(string) (string, bool), flags map[string]string) *Config {
	c := defaults()
	if file != "" && body == nil {
		c.Out = ""
	}
	isPlace := func(s setting) bool {
		return s.key == "profile" || s.key == "out" || s.key == "pushgateway" || strings.HasPrefix(s.key, "s3.")
	}
	for s, value := range c.inFile(body) {
		if isPlace(s) {
			text, _ := value.(string)
			s.set(text)
		}
	}
	for _, s := range c.settings() {
		if isPlace(s) {
			c.overlay(s, env, flags) // each takes any text
		}
	}
	if store.Check(c.Out) != nil {
		c.Out = ""
	}
	if checkURL(c.Pushgateway) != nil {
		c.Pushgateway = ""
	}
	return c
}

// seed reports whether the profile is seed: the original rules, untuned.
func (c *Config) seed() bool { return c.Profile == "seed" }

// decodeDetections reads the thresholds of a configuration file into the detections'
// options. It returns what is wrong with them.
func (c *Config) decodeDetections(text []byte, body ast.Node, file string) (faults []string) {
	if c.Detections == nil {
		return nil
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, v := range mappingValues(c.Detections) {
		name := v.Key.String()
		d := c.detection(name)
		if d == nil {
			fault("%s:%d:%d: unknown detection %q: want one of %s%s", file, v.Key.GetToken().Position.Line,
				v.Key.GetToken().Position.Column, name, strings.Join(detectionNames(c.detections), ", "), didYouMean(name, detectionNames(c.detections)))
		} else if err := yaml.NodeToValue(v.Value, d.Options, yaml.Strict()); err != nil {
			var keys []string
			for _, o := range detect.Options(d) {
				keys = append(keys, o.Key)
			}
			fault("%s: %s%s", file, c.fault(text, body, err), unknownField(err, keys))
		} else if err := detect.Check(d); err != nil {
			fault("%s:%d: %v", file, v.Key.GetToken().Position.Line, err)
		}
	}
	return faults
}

func (c *Config) detection(name string) *detect.Detection {
	for _, d := range c.detections {
		if d.Name == name {
			return d
		}
	}
	return nil
}

func detectionNames(ds []*detect.Detection) []string {
	names := make([]string, len(ds))
	for i, d := range ds {
		names[i] = d.Name
	}
	return names
}

// fault is yamlFault, and also names the key of a size or a time: of these the decoder does
// not say where they are.
func (c *Config) fault(text []byte, body ast.Node, err error) string {
	if _, ok := errors.AsType[yaml.Error](err); ok {
		return yamlFault(text, err)
	}
	for s, value := range c.inFile(body) {
		_, isMap := value.(map[string]any)
		if s.list || isMap {
			continue
		}
		if err := s.set(fmt.Sprint(value)); err != nil {
			return s.key + ": " + quotedText().ReplaceAllString(err.Error(), `"…"`)
		}
	}
	return err.Error()
}

// check reports every invalid value, after the faults that are known already, and
// resolves values that are written as text.
func (c *Config) check(faults []string) error {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	c.zone = zoneNamed(c.Zone, "zone", fault)
	own, err := loadSources(c.Sources)
	if err != nil {
		fault("sources: %v", err)
	}
	c.formats = logs.Formats(nil).With(own)
	c.checkInputs(fault)
	for _, at := range [][2]string{{"state", c.State}, {"out", c.Out}} {
		if err := store.Check(at[1]); err != nil {
			fault("%s: %v", at[0], err)
		}
	}
	for _, name := range c.Reports {
		if !slices.ContainsFunc(reports.All, func(f *reports.Format) bool { return f.Name == name }) {
			words := wordsOf("reports")
			fault("reports: unknown format %q: want one of %s%s", name, strings.Join(words, ", "), didYouMean(name, words))
		}
	}
	if err := c.loadRules(); err != nil {
		fault("rules: %v", err)
	}
	for _, name := range c.Disable {
		if c.detection(name) == nil && !c.rules.names[name] && c.Profile == "default" {
			names := slices.Concat(detectionNames(c.detections), slices.Sorted(maps.Keys(c.rules.names)))
			fault("disable: unknown detection or rule %q%s", name, wanted(name, names, "detections, outflow list rules"))
		}
	}
	c.detections = slices.DeleteFunc(c.detections, func(d *detect.Detection) bool { return slices.Contains(c.Disable, d.Name) })
	for i, name := range c.Own {
		network := netip.Prefix{}
		if c.Own[i], network, err = ownName(name); err != nil {
			fault("own: %v", err)
		}
		if network.IsValid() {
			c.networks = append(c.networks, network)
		}
	}
	domains, bad := c.DomainAliases.resolve()
	faults = append(faults, bad...)
	c.names = detect.Names{Domains: domains, Literal: c.seed()}
	if c.identities, err = readIdentities(c.Identities, &c.names); err != nil {
		fault("identities: %v", err)
	}
	if c.critical, err = readEntityWords(c.Criticality, "criticality", &c.names, detect.CheckCriticality); err != nil {
		fault("criticality: %v", err)
	}
	if c.peers, err = readEntityWords(c.Groups, "group", &c.names, nil); err != nil {
		fault("groups: %v", err)
	}
	for i, a := range c.Allow {
		a.user, a.host = c.names.User(a.User), c.names.Host(a.Host)
		if err := a.check(); err != nil {
			fault("allow[%d]: %v", i, err)
		}
	}
	if u := c.S3.EndpointURL; u != "" && !strings.HasPrefix(u, "https://") && !strings.HasPrefix(u, "http://") {
		fault("s3.endpoint_url %q: want a URL like https://minio.corp.example:9000", withoutPassword(u))
	}
	if c.Pushgateway != "" {
		if err := checkURL(c.Pushgateway); err != nil {
			fault("pushgateway: %v", err)
		}
	}
	for i, n := range c.Notify {
		if err := n.check(); err != nil {
			fault("notify[%d]: %v", i, err)
		}
	}
	if c.FailOn != "" {
		if _, err := detect.ParseSeverity(c.FailOn); err != nil {
			fault("fail_on: %v", err)
		}
	}
	if least := c.horizon(); c.Keep != 0 && c.Keep < least {
		fault("keep: %d: want at least the %d days of history that the detections need, or 0 for all", c.Keep, least)
	}
	if c.Wait < 0 {
		fault("wait: %v: want 0 or more", c.Wait)
	}
	if c.Workers < 0 {
		fault("workers: %d: want 0 or more", c.Workers)
	} else if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if len(faults) > 0 {
		return badConfig("configuration: %s", strings.Join(faults, "\n  "))
	}
	return nil
}

// checkInputs is check for the inputs.
func (c *Config) checkInputs(fault func(format string, args ...any)) {
	seen := map[string]bool{}
	for i, in := range c.Inputs {
		where := fmt.Sprintf("inputs[%d]", i)
		if in.Name != "" {
			where = "inputs." + in.Name
		}
		if in.URI == "" {
			fault("%s: uri is missing", where)
		}
		if in.Name == "" {
			fault("%s: name is missing: give the feed a name", where)
		} else if seen[in.Name] {
			fault("%s: duplicate name: two sensors that see the same bytes need two names; for the logs of one sensor use one uri with globs", where)
		}
		if in.Name == detect.AllFeeds {
			fault("%s: the name stands for all feeds: give this one another", where)
		}
		seen[in.Name] = true
		if in.Format != "" {
			if in.format = c.formats.Named(in.Format); in.format == nil {
				fault("%s: unknown format %q%s", where, in.Format, wanted(in.Format, formatNames(c.formats), "formats"))
			}
		}
		if l, err := layoutNamed(in.Layout); err != nil {
			fault("%s: %v", where, err)
		} else if l != nil && in.URI != "" {
			in.URI = l.uri(in.URI)
			if in.Format == "" && in.Mapping == nil {
				in.format = l.known()
			}
		}
		if _, err := store.Expand(in.URI, nil); err != nil {
			fault("%s: uri: %v", where, err)
		} else if err := store.Check(in.URI); err != nil && in.URI != "" {
			fault("%s: uri: %v", where, err)
		}
		in.options = logs.Options{LogFormat: in.LogFormat, Zone: c.zone}
		if err := checkFields(in.format, in.LogFormat); err != nil {
			fault("%s: %v", where, err)
		}
		if in.Zone != "" {
			in.options.Zone = zoneNamed(in.Zone, where, fault)
		}
		if in.Mapping != nil {
			source, err := in.Mapping.source(cmp.Or(in.Name, "mapping"), in.Format)
			if err == nil && source == nil {
				in.options.Mapping, err = in.Mapping.resolve()
			}
			if err != nil {
				fault("%s.mapping: %v", where, err)
			}
			if source != nil {
				in.format, c.formats = source, c.formats.With([]*logs.Format{source})
			}
		}
	}
}

// zoneNamed returns the time zone of that name; "" is UTC.
func zoneNamed(name, where string, fault func(format string, args ...any)) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		fault("%s: unknown time zone %q: want a name like Europe/Paris", where, name)
		return time.UTC
	}
	return loc
}

// readIdentities reads a file of identities; "" names none.
func readIdentities(name string, names *detect.Names) (*detect.Identities, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	x, err := detect.ReadIdentities(f, names)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return x, nil
}

func formatNames(formats logs.Formats) []string {
	if formats == nil {
		formats = logs.All()
	}
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.Name
	}
	return names
}

func (m *Mapping) resolve() (*logs.Mapping, error) {
	out := &logs.Mapping{Only: m.Only, Header: m.Header, Columns: map[columnar.Col]logs.Column{}}
	if m.Table != "" {
		if out.Table = columnar.TableNamed(m.Table); out.Table == nil {
			return nil, fmt.Errorf("table %q: want api, http, dns, network, process or event", m.Table)
		}
	}
	switch {
	case m.Delimiter == `\t`:
		out.Delimiter = '\t'
	case len(m.Delimiter) == 1:
		out.Delimiter = m.Delimiter[0]
	case m.Delimiter != "":
		return nil, fmt.Errorf("delimiter %q: want one byte", m.Delimiter)
	}
	for name, s := range m.Columns {
		c, ok := columnar.ColNamed(name)
		if !ok {
			return nil, fmt.Errorf("columns: unknown column %q: see outflow list columns", name)
		}
		out.Columns[c] = s
		if err := out.Columns[c].Check(); err != nil {
			return nil, fmt.Errorf("columns.%s: %w", name, err)
		}
	}
	if m.Where != nil {
		out.Where = logs.Where{Name: m.Where.Column, Equals: m.Where.Equals}
	}
	return out, nil
}
