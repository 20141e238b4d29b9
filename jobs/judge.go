package jobs

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats"
	"outflow/stats/detect"
)

// A history is what a run knows of the days up to the judged ones.
type history struct {
	// tables are the days of each aggregate, by its name, ascending.
	tables map[string][]*part
	// earlier are the findings of days before the judged ones.
	earlier []detect.Finding
	// flagged holds, by detection, the findings so far that were not allowed.
	flagged map[string]map[flag]bool
	// baselines holds what upload_zscore takes for normal: a record for each row of
	// user_day of the judged days, in their order. Empty where it does not run.
	baselines *store.Spool
	mu        sync.Mutex // of closers
	closers   []io.Closer
	seen      fieldSet // see folded
	window    [2]int64 // see detect.Input
}

type flag struct {
	key detect.Key
	day detect.Day
}

// flag notes that there was a finding.
func (h *history) flag(f *detect.Finding) {
	if h.flagged[f.Detection] == nil {
		h.flagged[f.Detection] = map[flag]bool{}
	}
	h.flagged[f.Detection][flag{f.Key, f.Day}] = true
}

func newHistory() *history {
	h := &history{tables: map[string][]*part{}, flagged: map[string]map[flag]bool{}, baselines: store.NewSpool(spoolBytes)}
	h.closers = append(h.closers, h.baselines)
	return h
}

// close ends the reading. The rows of the report are of no use afterwards.
func (h *history) close() {
	for _, c := range h.closers {
		c.Close() // of what was only read, or is to be thrown away
	}
}

// between returns the parts of an aggregate for the days first … last.
func (h *history) between(aggregate string, first, last detect.Day) []*part {
	parts := h.tables[aggregate]
	from, _ := slices.BinarySearchFunc(parts, first, func(p *part, d detect.Day) int { return cmp.Compare(p.day, d) })
	to, _ := slices.BinarySearchFunc(parts, last+1, func(p *part, d detect.Day) int { return cmp.Compare(p.day, d) })
	return parts[from:to]
}

// days returns the days that there is anything of, ascending: rows of a table, or
// the first or the last row of a log, of which no table need have kept any.
func (h *history) days(inputs []reports.Input) []detect.Day {
	days := map[detect.Day]bool{}
	for _, in := range inputs {
		if in.Rows > 0 {
			days[detect.DayOf(in.First)], days[detect.DayOf(in.Last)] = true, true
		}
	}
	for _, parts := range h.tables {
		for _, p := range parts {
			days[p.day] = true
		}
	}
	return slices.Sorted(maps.Keys(days))
}

// rows yields the rows of an aggregate on days, which ascend.
func (h *history) rows(a *detect.Aggregate, days []detect.Day) iter.Seq2[*detect.Row, error] {
	var parts []*part
	for _, day := range days {
		parts = append(parts, h.between(a.Name, day, day)...)
	}
	return rowsOf(parts)
}

// A reading is the detections that read the same rows.
type reading struct {
	detections []*detect.Detection
	parts      []*part // for all the judged days
	held       *held   // the rows of parts, where there is room for them
}

// readings returns what the detections read to judge days first … last.
func (h *history) readings(c *Config, first, last detect.Day) []*reading {
	var all []*reading
	for _, d := range c.detections {
		i := slices.IndexFunc(all, func(r *reading) bool {
			return r.detections[0].Reads == d.Reads && r.detections[0].History == d.History
		})
		if i < 0 {
			i = len(all)
			all = append(all, &reading{parts: h.between(d.Reads, first-detect.Day(d.History), last)})
		}
		all[i].detections = append(all[i].detections, d)
	}
	return all
}

// judge runs the detections on each of the days in turn. What is found on one
// day is not taken for normal on the next. Detections do not know of one another,
// so those that read different rows judge at the same time.
func (h *history) judge(c *Config, days []detect.Day) ([]detect.Finding, error) {
	if len(days) == 0 {
		return nil, nil
	}
	judged := days
	if c.seed() {
		judged = days[len(days)-1:] // the seeds judge a whole log at once
	}
	readings := h.readings(c, judged[0], judged[len(judged)-1])
	if len(judged) > 1 { // one day looks at its history no more than twice
		room := int64(c.Memory) / tableShare // what the tables took that the rows were folded in
		for _, r := range readings {
			var err error
			if r.held, err = hold(r.parts, room); err != nil {
				return nil, err
			}
			room -= r.held.size()
		}
	}
	for _, d := range c.detections {
		if h.flagged[d.Name] == nil {
			h.flagged[d.Name] = map[flag]bool{}
		}
	}
	w := bufio.NewWriter(h.baselines)
	keys, summaries := store.ColumnsOf[detect.Key](), store.ColumnsOf[detect.Summary]()
	var allowing sync.Mutex
	found := make([][]detect.Finding, len(judged)*len(readings))
	if err := together(c.Workers, len(readings), func(i int) error {
		for j, day := range judged {
			findings, err := h.judgeDay(c, readings[i], day, w)
			if err != nil {
				return err
			}
			allowing.Lock()
			allow(c.Allow, findings)
			allowing.Unlock()
			for k := range findings {
				f := &findings[k]
				// The texts of a row keep all the rows in memory that were read with it.
				keys.Detach(&f.Key)
				summaries.Detach(&f.Summary)
				if f.Allowed == "" {
					h.flag(f)
				}
			}
			found[j*len(readings)+i] = findings
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if d := c.detection("upload_zscore"); d != nil && c.seed() {
		for _, day := range days {
			parts := h.between(d.Reads, day-detect.Day(d.History), day)
			in := h.input(c, d, parts, day)
			in.Baseline = keepBaseline(w)
			if err := sideBySide(merged(parts), []judge{func(rows series) {
				in.Series = rows
				detect.UploadBaselines(d, in)
			}}); err != nil {
				return nil, err
			}
		}
	}
	return detect.Join(c.detections, slices.Concat(found...)), w.Flush()
}

// judgeDay judges a day by detections that read the same rows.
func (h *history) judgeDay(c *Config, r *reading, day detect.Day, baselines io.Writer) ([]detect.Finding, error) {
	first := day - detect.Day(r.detections[0].History)
	parts := h.between(r.detections[0].Reads, first, day)
	found := make([][]detect.Finding, len(r.detections))
	judges := make([]judge, len(r.detections))
	for i, d := range r.detections {
		in := h.input(c, d, parts, day)
		if !c.seed() {
			in.Baseline = keepBaseline(baselines)
		}
		judges[i] = func(rows series) {
			in.Series = rows
			found[i] = detect.Judge(d, in)
		}
	}
	if r.held != nil {
		for _, judge := range judges {
			judge(r.held.series(first, day))
		}
		return slices.Concat(found...), nil
	}
	err := sideBySide(merged(parts), judges)
	return slices.Concat(found...), err
}

// input returns what a detection judges on a day, but for the rows.
func (h *history) input(c *Config, d *detect.Detection, parts []*part, day detect.Day) *detect.Input {
	flagged := h.flagged[d.Name]
	covered := map[string][]detect.Day{}
	for _, p := range parts {
		if p.day < day {
			for _, feed := range p.feeds {
				covered[feed] = append(covered[feed], p.day)
			}
		}
	}
	return &detect.Input{
		Day: day, Window: h.window, Own: c.own, Rules: c.rules.set,
		Covered: func(feed string) []detect.Day { return covered[feed] },
		Flagged: func(k detect.Key, day detect.Day) bool { return flagged[flag{k, day}] },
	}
}

// keepBaseline returns a function that writes a baseline as a record of four
// numbers. The writer's error is that of its Flush.
func keepBaseline(w io.Writer) func(detect.UploadBaseline) {
	var record []byte
	return func(b detect.UploadBaseline) {
		record = binary.LittleEndian.AppendUint64(record[:0], uint64(b.Days))
		for _, v := range [...]float64{b.Median, b.Upper, b.Z} {
			record = binary.LittleEndian.AppendUint64(record, math.Float64bits(v))
		}
		w.Write(record)
	}
}

func readBaseline(r io.Reader) (b detect.UploadBaseline, err error) {
	var record [4 * 8]byte
	if _, err := io.ReadFull(r, record[:]); err != nil {
		return b, fmt.Errorf("read the baselines of the run: %w", err)
	}
	b.Days = int(binary.LittleEndian.Uint64(record[:]))
	for i, v := range [...]*float64{&b.Median, &b.Upper, &b.Z} {
		*v = math.Float64frombits(binary.LittleEndian.Uint64(record[8+8*i:]))
	}
	return b, nil
}

// own reports whether a host is the company's own: it or a domain above it is
// listed, or its first label is, as a bucket or tenant.
func (c *Config) own(host string) bool {
	bucket, _, _ := strings.Cut(host, ".")
	for _, name := range c.Own {
		if below(host, name) || name == bucket && !strings.Contains(name, ".") {
			return true
		}
	}
	return false
}

// worstFirst orders findings as a report lists them.
func worstFirst(findings []detect.Finding) {
	boolean := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(findings, func(a, b detect.Finding) int {
		return cmp.Or(
			cmp.Compare(b.Day, a.Day),
			cmp.Compare(boolean(a.Allowed != ""), boolean(b.Allowed != "")),
			cmp.Compare(boolean(a.Label != ""), boolean(b.Label != "")),
			cmp.Compare(b.Severity, a.Severity),
			cmp.Compare(b.RiskScore, a.RiskScore),
			cmp.Compare(b.Score/max(b.Threshold, 1e-9), a.Score/max(a.Threshold, 1e-9)),
			a.Key.Compare(b.Key),
			cmp.Compare(a.Detection, b.Detection),
			cmp.Compare(a.UID, b.UID),
		)
	})
}

// userDays yields the user_day rows of the judged days, with what was normal.
func (h *history) userDays(days []detect.Day) iter.Seq2[*reports.UserDay, error] {
	return func(yield func(*reports.UserDay, error) bool) {
		baselines := bufio.NewReader(h.baselines.Reader())
		for row, err := range h.rows(detect.UserDay, days) {
			u := reports.UserDay{Row: row, Ratio: math.NaN()}
			b := detect.UploadBaseline{Median: math.NaN(), Upper: math.NaN(), Z: math.NaN()}
			if err == nil && h.baselines.Size() > 0 {
				b, err = readBaseline(baselines)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			u.BaselineDays, u.BaselineMedian, u.BaselineUpper, u.Z = b.Days, math.Round(b.Median), math.Round(b.Upper), b.Z
			if row.KnownOut > 0 && row.KnownIn > 0 {
				u.Ratio = stats.Ratio(row.BytesOut, row.BytesIn)
			}
			if !yield(&u, nil) {
				return
			}
		}
	}
}

// storage yields the user_destination_day rows of days whose object is a place of
// cloud storage or file sharing that is not own; for profile seed those, own or not,
// that its document greps for.
func (h *history) storage(c *Config, days []detect.Day) iter.Seq2[*detect.Row, error] {
	is := func(host string) bool {
		if c.seed() {
			return detect.SeedHost(host)
		}
		service, _ := detect.CloudHost([]byte(host))
		return (service.Kind == "storage" || service.Kind == "sharing") && !c.own(host)
	}
	return func(yield func(*detect.Row, error) bool) {
		for row, err := range h.rows(detect.UserDestinationDay, days) {
			if (err != nil || is(row.Object)) && !yield(row, err) {
				return
			}
		}
	}
}

// span returns how many days of history there were before the first judged day.
func (h *history) span(days []detect.Day) int {
	if len(days) == 0 {
		return 0
	}
	before := map[detect.Day]bool{}
	for _, parts := range h.tables {
		for _, p := range parts {
			if p.day < days[0] && len(p.feeds) > 0 {
				before[p.day] = true
			}
		}
	}
	return min(len(before), 30)
}
