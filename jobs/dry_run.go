package jobs

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file says what a run would read, from listings and the state alone: --dry-run. It
// opens no log, takes no lock and writes nothing. So it does not know which days a late log
// has events of, nor which logs are copies. A log beside the border of two passes, which both
// read, counts once.

// A dryRun collects what a run would read.
type dryRun struct {
	p       *program
	config  *Config
	job     string
	judged  []detect.Day
	history []detect.Day
	objects map[string]*dryObject // by name
	inputs  []reports.Input       // of the days that are judged or folded by name
	known   map[string]int64      // bytes of objects that are not read again, by name
}

// A dryObject is an object that a run would read.
type dryObject struct {
	source *source
	late   bool
}

// What a run costs besides the logs themselves.
const (
	// A core decodes and folds as many stored bytes a second, with all detections and rules.
	// It is up to four times as many if the logs have few names, or half as many if each
	// row matches a rule.
	plainRate      = 60 << 20
	compressedRate = 12 << 20
	// requestTime is how long S3 takes to begin an answer.
	requestTime = 30 * time.Millisecond
	// The prices of 1,000 requests, in US dollars: S3 Standard, us-east-1, 2026.
	listPrice, getPrice = 0.005, 0.0004
)

// bindDryRun adds --dry-run to a command.
func bindDryRun(c *cobra.Command) *bool {
	return c.Flags().Bool("dry-run", false, "only list what the run would read, and estimate its time and requests: opens no log, writes nothing")
}

func (p *program) newDryRun(config *Config, job string) *dryRun {
	return &dryRun{p: p, config: config, job: job, objects: map[string]*dryObject{}, known: map[string]int64{}}
}

// dryNights is nightly, without reading and judging.
func (p *program) dryNights(config *Config, job string, days []detect.Day, named bool) error {
	s, err := p.openUnlocked(config)
	if err != nil {
		return err
	}
	all, err := s.readNights(p.ctx)
	if err != nil {
		return err
	}
	now := nightOf(days)
	now.Named = named
	d := p.newDryRun(config, job)
	folded := map[detect.Day]bool{} // by a night before, as far as it is known
	for _, n := range s.due(all, now) {
		s.begin()
		if err := d.night(p.ctx, s, &n, folded); err != nil {
			return err
		}
	}
	return d.print()
}

// night adds what a night would read. folded are days that earlier nights of the run fold.
func (d *dryRun) night(ctx context.Context, s *state, n *night, folded map[detect.Day]bool) error {
	d.judged = append(d.judged, n.days...)
	var missing []detect.Day
	if d.config.Backfill {
		gaps, err := s.missing(ctx, n.days[0])
		if err != nil {
			return err
		}
		for _, day := range gaps.days() {
			if !folded[day] {
				missing = append(missing, day)
			}
		}
		d.history = append(d.history, missing...)
	}
	for _, days := range [][]detect.Day{missing, n.days} {
		for chunk := range inARow(days, d.config.chunk()) {
			if err := d.fold(ctx, s, chunk); err != nil {
				return err
			}
		}
		for _, day := range days {
			folded[day] = true
		}
	}
	late, err := s.lateSources(ctx, n)
	if err != nil {
		return err
	}
	for i := range late {
		d.add(&late[i], true)
	}
	return nil
}

// fold adds what folding consecutive days would read.
func (d *dryRun) fold(ctx context.Context, s *state, days []detect.Day) error {
	f := &foldSpan{days: days}
	if err := s.toRead(ctx, f); err != nil {
		return err
	}
	for i := range f.sources {
		d.add(&f.sources[i], false)
	}
	for i := range f.all {
		if o := &f.all[i].object; d.objects[o.Name] == nil {
			d.known[o.Name] = o.Size
		}
	}
	return nil
}

// add adds an object that the run would read.
func (d *dryRun) add(src *source, late bool) {
	name := src.object.Name
	if d.objects[name] != nil {
		return
	}
	delete(d.known, name)
	d.objects[name] = &dryObject{src, late}
	in := reports.Input{Name: name, Feed: src.feed}
	if src.closed != nil {
		in.Status, in.Error = reports.Unreadable, src.closed.Error()
	}
	d.inputs = append(d.inputs, in)
}

// dryBackfill is backfill, without reading.
func (p *program) dryBackfill(config *Config, days []detect.Day) error {
	s, err := p.openUnlocked(config)
	if err != nil {
		return err
	}
	d := p.newDryRun(config, "backfill")
	d.history = days
	for chunk := range inARow(days, config.chunk()) {
		if err := d.fold(p.ctx, s, chunk); err != nil {
			return err
		}
	}
	return d.print()
}

// dryHour is hourlyDNS, without reading.
func (p *program) dryHour(config *Config, job string, at time.Time) error {
	config = config.hourly()
	sources, err := p.hourSources(config, at)
	if err != nil {
		return err
	}
	from, _ := hourBefore(at)
	d := p.newDryRun(config, job)
	d.judged = []detect.Day{detect.DayOf(from.UnixMicro())}
	for i := range sources {
		d.add(&sources[i], false)
	}
	return d.print()
}

// dryScan is scan, without reading: which days its logs have is not known.
func (p *program) dryScan(config *Config, sources []source) error {
	d := p.newDryRun(config, "scan")
	for i := range sources {
		d.add(&sources[i], false)
	}
	return d.print()
}

// openUnlocked opens a state to read it while others may write it.
func (p *program) openUnlocked(config *Config) (*state, error) {
	if len(config.Inputs) == 0 {
		return nil, badConfig("no inputs: %s", p.noInputs())
	}
	s, err := p.openStored(config)
	if err != nil {
		return nil, err
	}
	old, err := store.HasOld(p.ctx, s.store)
	if old {
		p.note("the state %s is of an earlier version: the run moves it on, and reads less than is listed here", config.State)
	}
	return s, err
}

// A dryForm is what --dry-run --as json prints.
type dryForm struct {
	Job     string          `json:"job"`
	Days    []string        `json:"days"`    // that are judged
	History []string        `json:"history"` // days that are folded, and not judged
	Feeds   []dryFeed       `json:"feeds"`
	Objects []dryObjectForm `json:"objects"`
	Total   dryTotal        `json:"total"`
	// Known counts listed objects that are not read, as the state has what they hold.
	Known    dryTotal     `json:"known"`
	Requests *dryRequests `json:"requests"` // null: no log is in S3
	Seconds  int64        `json:"seconds"`
}

// A dryRequests counts the requests for logs and their listings.
type dryRequests struct {
	List int64   `json:"list"`
	Get  int64   `json:"get"`
	USD  float64 `json:"usd"`
}

type dryTotal struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

func (t *dryTotal) add(size int64) {
	t.Objects++
	t.Bytes += size
}

type dryFeed struct {
	Feed   string `json:"feed"`
	Format string `json:"format"` // "": sniffed by the run
	dryTotal
}

type dryObjectForm struct {
	Name  string `json:"name"`
	Feed  string `json:"feed"`
	Bytes int64  `json:"bytes"`
	Late  bool   `json:"late"`
	Error string `json:"error,omitempty"`
}

func formatOf(f *logs.Format) string {
	if f == nil {
		return ""
	}
	return f.Name
}

// form returns what print prints.
func (d *dryRun) form() dryForm {
	f := dryForm{Job: d.job, Days: texts(d.judged, detect.Day.String), History: texts(d.history, detect.Day.String), Feeds: []dryFeed{}, Objects: []dryObjectForm{}}
	feeds := map[dryFeed]*dryTotal{}
	for _, in := range d.config.Inputs {
		if d.job != "scan" {
			feeds[dryFeed{Feed: in.Name, Format: formatOf(in.format)}] = &dryTotal{}
		}
	}
	var gets int64
	var took time.Duration
	remote := false
	for _, name := range slices.Sorted(maps.Keys(d.objects)) {
		o := d.objects[name]
		src := o.source
		form := dryObjectForm{Name: name, Feed: src.feed, Bytes: src.object.Size, Late: o.late}
		if src.closed != nil {
			form.Error = src.closed.Error()
			f.Objects = append(f.Objects, form)
			continue
		}
		f.Objects = append(f.Objects, form)
		key := dryFeed{Feed: src.feed, Format: formatOf(src.format)}
		if feeds[key] == nil {
			feeds[key] = &dryTotal{}
		}
		feeds[key].add(src.object.Size)
		f.Total.add(src.object.Size)
		kind := strings.ToLower(path.Ext(name))
		rate := plainRate
		if slices.Contains([]string{".gz", ".tgz", ".zst", ".bz2", ".xz", ".zip", ".parquet", ".snappy", ".lz4"}, kind) {
			rate = compressedRate
		}
		took += time.Duration(float64(src.object.Size) / float64(rate) * float64(time.Second))
		if store.Remote(name) {
			remote = true
			n := int64(1)
			if kind == ".parquet" || kind == ".zip" || formatOf(src.format) == "parquet" {
				n = store.RangesOf(src.object.Size)
			}
			gets += n
			took += time.Duration(n) * requestTime
		}
	}
	for key, total := range feeds {
		key.dryTotal = *total
		f.Feeds = append(f.Feeds, key)
	}
	slices.SortFunc(f.Feeds, func(a, b dryFeed) int { return cmp.Or(cmp.Compare(a.Feed, b.Feed), cmp.Compare(a.Format, b.Format)) })
	for _, size := range d.known {
		f.Known.add(size)
	}
	f.Seconds = int64((took/time.Duration(max(1, d.config.Workers)) + time.Second - 1) / time.Second)
	if lists := d.p.requests.Lists.Load(); remote || lists > 0 {
		gets += d.p.requests.Gets.Load() // of tables
		f.Requests = &dryRequests{lists, gets, (float64(lists)*listPrice + float64(gets)*getPrice) / 1000}
	}
	return f
}

// print prints what the run would read. The error gives the exit code that the run would
// have, as far as the listings tell.
func (d *dryRun) print() error {
	p, f := d.p, d.form()
	if p.json {
		if err := p.printJSON(f); err != nil {
			return err
		}
	} else {
		d.printText(&f)
	}
	r := &reports.Report{Inputs: d.inputs}
	if d.job != "scan" && d.job != "backfill" {
		there := map[string]bool{}
		for i := range d.inputs {
			there[d.inputs[i].Feed] = there[d.inputs[i].Feed] || d.inputs[i].Status == reports.Read
		}
		for _, in := range d.config.Inputs {
			r.Feeds = append(r.Feeds, reports.Feed{Name: in.Name, Silent: !there[in.Name]})
		}
	}
	if !p.quiet {
		p.incomplete(r.Inputs)
	}
	p.complaints(r.Inputs, false)
	return p.verdict(d.config, r)
}

func (d *dryRun) printText(f *dryForm) {
	w := d.p.stdout
	if len(d.judged) > 0 {
		fmt.Fprintf(w, "days to judge: %s\n", spans(sorted(d.judged)))
	}
	if len(d.history) > 0 {
		fmt.Fprintf(w, "days of history to fold, if they have logs: %s\n", spans(sorted(d.history)))
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "\nFEED\tFORMAT\tOBJECTS\tBYTES")
	line := func(feed, format string, t dryTotal) {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", printable(feed), format, reports.Count(int64(t.Objects)), reports.ByteSize(float64(t.Bytes)))
	}
	for _, feed := range f.Feeds {
		line(cmp.Or(feed.Feed, "-"), cmp.Or(feed.Format, "(by content)"), feed.dryTotal)
	}
	line("total", "", f.Total)
	tw.Flush()
	if n := f.Known.Objects; n > 0 {
		fmt.Fprintf(w, "\n%s not read again: the state has what they hold (%s)\n", counted(n, "object"), reports.ByteSize(float64(f.Known.Bytes)))
	}
	late := 0
	for i := range f.Objects {
		if f.Objects[i].Late {
			late++
		}
	}
	if late > 0 {
		fmt.Fprintf(w, "\n%s came late: the other logs of their days are read again too, which is not counted here\n", counted(late, "object"))
	}
	fmt.Fprintf(w, "\ntime: about %s with workers: %d; a third or three times as much, by the logs\n", time.Duration(f.Seconds)*time.Second, d.config.Workers)
	if r := f.Requests; r != nil {
		fmt.Fprintf(w, "requests for logs: about %s LIST and %s GET, $%.4f at AWS (S3 Standard, us-east-1); traffic to another region costs more\n", reports.Count(r.List), reports.Count(r.Get), r.USD)
	}
	if !d.p.verbose {
		if len(f.Objects) > 0 {
			fmt.Fprintln(w, "\nto list the objects: -v, or --as json")
		}
		return
	}
	fmt.Fprintln(w)
	tw = tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for i := range f.Objects {
		o := &f.Objects[i]
		mark := ""
		if o.Late {
			mark = "\tlate"
		}
		if o.Error == "" {
			fmt.Fprintf(tw, "%s\t%s\t%s%s\n", reports.ByteSize(float64(o.Bytes)), printable(cmp.Or(o.Feed, "-")), printable(o.Name), mark)
		}
	}
	tw.Flush()
}

func sorted(days []detect.Day) []detect.Day {
	days = slices.Clone(days)
	slices.Sort(days)
	return slices.Compact(days)
}
