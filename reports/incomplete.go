package reports

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// A Status says how far an object was understood.
type Status uint8

const (
	Read       Status = iota // to its end, and most of it is rows or known kinds of records
	Empty                    // it has no text
	NoLog                    // it is plainly something else, such as a picture
	Unknown                  // no format recognises it
	Unreadable               // it could not be opened or decoded
	Damaged                  // it ends early or is broken; the part before that was read
	Malformed                // at least half of its records, or of the cells of a column that detections need, could not be read
	Unnamed                  // all its records are of kinds that the format does not know
	Left                     // it came late, and its days could not be judged again
	numStatuses
)

// statuses has the texts for each Status.
var statuses = [numStatuses]struct {
	name   string // in inputs.csv
	phrase string // follows a number of objects
	remedy string
}{
	Read:  {"read", "", ""},
	Empty: {"empty", "", ""},
	NoLog: {"no_log", "", ""},
	Unknown: {"unknown_format", "of unrecognised format",
		"Name the format (--format, or format: of the input), describe it in a source file (outflow sources new), or leave the objects out."},
	Unreadable: {"unreadable", "unreadable", "Fix what the error says, then run again."},
	Damaged:    {"damaged", "damaged", "Fetch the objects again from where they were written, then run again."},
	Malformed: {"malformed", "mostly malformed",
		"outflow inspect shows what was skipped. If the format is another one, name it with --format or in the input."},
	Unnamed: {"unknown_records", "without a known record type",
		"outflow inspect shows what was found. If the format is another one, name it with --format or in the input."},
	Left: {"late", "too late for days whose other logs no longer exist",
		"Restore the other logs of its days, or judge the days by the logs that are left: outflow run nightly --day."},
}

// String returns the status as inputs.csv has it: "read", "unknown_format".
func (s Status) String() string { return statuses[s].name }

// Incomplete reports whether the object may hold data that was not judged.
func (s Status) Incomplete() bool { return s >= Unknown }

// A Kind is a kind of records that the format knows and no table holds.
type Kind struct {
	Name  string // from the log
	Count int64
}

// A Volume is a number of rows and their bytes.
type Volume struct{ Rows, BytesOut, BytesIn int64 }

// Add adds other rows.
func (v *Volume) Add(u Volume) {
	v.Rows += u.Rows
	v.BytesOut = AddBytes(v.BytesOut, u.BytesOut)
	v.BytesIn = AddBytes(v.BytesIn, u.BytesIn)
}

// String returns text for a sentence: "5 rows (4.5 GB)", or "1 row" if no bytes
// were sent.
func (v Volume) String() string {
	rows := counted(int(v.Rows), "row", "rows")
	if v.BytesOut == 0 {
		return rows
	}
	return rows + " (" + byteSize(float64(v.BytesOut)) + ")"
}

// AddBytes adds bytes as logs count them. The sum of false counts is never
// negative.
func AddBytes(a, b int64) int64 {
	if sum := a + b; sum >= a == (b >= 0) {
		return sum
	}
	return 1<<63 - 1
}

// A Judged is a table of a feed, with the detections that judged it.
type Judged struct {
	Feed, Table string
	Detections  []string
}

// A completeness sums up which objects were read.
type completeness struct {
	objects int // objects that may be logs
	by      [numStatuses][]*Input
	partly  bool // some incomplete object has rows
}

// covered counts each object once, with its worst status.
func covered(inputs []Input) *completeness {
	worst := map[string]*Input{}
	rows := map[string]int64{}
	for i := range inputs {
		in := &inputs[i]
		rows[in.Name] += in.Rows
		if have := worst[in.Name]; have == nil || in.Status > have.Status {
			worst[in.Name] = in
		}
	}
	c := &completeness{}
	for _, name := range slices.Sorted(maps.Keys(worst)) {
		in := worst[name]
		c.by[in.Status] = append(c.by[in.Status], in)
		if in.Status != NoLog {
			c.objects++
		}
		c.partly = c.partly || in.Status.Incomplete() && rows[name] > 0
	}
	return c
}

func (c *completeness) incomplete() (n int) {
	for s := Unknown; s < numStatuses; s++ {
		n += len(c.by[s])
	}
	return n
}

// headline says that objects were not read. It is "" if all were.
func (c *completeness) headline() string {
	n := c.incomplete()
	if n == 0 {
		return ""
	}
	var parts []string
	for s := Unknown; s < numStatuses; s++ {
		if k := len(c.by[s]); k > 0 {
			parts = append(parts, count(int64(k))+" "+statuses[s].phrase)
		}
	}
	verb := " were not read ("
	switch {
	case c.partly && n == 1:
		verb = " was not fully read ("
	case c.partly:
		verb = " were not fully read ("
	case n == 1:
		verb = " was not read ("
	}
	return incompleteWord + ": " + count(int64(n)) + " of " + counted(c.objects, "object", "objects") + verb + strings.Join(parts, ", ") + ")."
}

const incompleteWord = "INCOMPLETE"

// Incomplete says in a line that objects were not read, with their number by
// reason. It is "" if all were read. Empty objects and objects that are not logs do
// not count as missing.
func Incomplete(inputs []Input) string { return covered(inputs).headline() }

// A missed is about the objects that were not read for one reason.
type missed struct {
	What   string // "1 unreadable: ", "3 unreadable, such as "
	Name   string // of the first object
	Why    string // why it was not read; "" if What says everything
	Remedy string
}

// missed returns the objects that were not read, by reason.
func (c *completeness) missed() (all []missed) {
	for s := Unknown; s < numStatuses; s++ {
		if len(c.by[s]) == 0 {
			continue
		}
		in := c.by[s][0]
		what := count(int64(len(c.by[s]))) + " " + statuses[s].phrase + ", such as "
		if len(c.by[s]) == 1 {
			what = "1 " + statuses[s].phrase + ": "
		}
		all = append(all, missed{What: what, Name: in.Name, Why: in.fault(), Remedy: statuses[s].remedy})
	}
	return all
}

// fault says what is wrong with an object, beyond its status.
func (in *Input) fault() string {
	switch {
	case in.Status == Unknown:
		return "" // the remedy says it
	case in.Error != "":
		return in.Error
	case in.Status == Left:
		return "its rows are in no judged day"
	case in.Status == Unnamed:
		return "none of its " + counted(int(in.Records), "record", "records") + " has a known kind"
	case in.Skipped > 0:
		why := "skipped " + count(in.Skipped) + " of " + counted(int(in.Records), "record", "records")
		if len(in.Reasons) > 0 {
			why += ": " + strings.Join(in.Reasons, "; ")
		}
		return why
	case len(in.Unread) > 0:
		return in.Unread[0].Describe("")
	}
	return ""
}

// NoLogs says in a line which objects are not logs. It is "" if all may be logs.
func NoLogs(inputs []Input) string { return covered(inputs).noLogs() }

// noLogs says in a line which objects are not logs. It is "" if there are none.
func (c *completeness) noLogs() string {
	n := len(c.by[NoLog])
	if n == 0 {
		return ""
	}
	kinds := map[string]int64{}
	for _, in := range c.by[NoLog] {
		kinds[in.NoLog]++
	}
	what, _ := cut(listKinds(byCount(kinds), len(kinds)), maxSentence)
	return counted(n, "object is not a log", "objects are not logs") + ": " + what + "."
}

// byCount returns kinds, the most frequent first.
func byCount(counts map[string]int64) []Kind {
	var kinds []Kind
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		kinds = append(kinds, Kind{name, counts[name]})
	}
	slices.SortStableFunc(kinds, func(a, b Kind) int { return cmp.Compare(b.Count, a.Count) })
	return kinds
}

// listKinds writes the first kinds, "PNG (2), PDF (1)", and the number of the others.
func listKinds(kinds []Kind, most int) string {
	var parts []string
	for _, k := range kinds[:min(len(kinds), most)] {
		name, _ := cut(k.Name, maxName)
		parts = append(parts, name+" ("+count(k.Count)+")")
	}
	if more := len(kinds) - most; more > 0 {
		parts = append(parts, counted(more, "more kind", "more kinds"))
	}
	return strings.Join(parts, ", ")
}

// maxFeeds is how many feeds the verdict names: it is a sentence, not a table.
const maxFeeds = 6

// scope says what was judged, and by which detections: "squid (http) and zeek (dns,
// network) by upload_ratio".
func (r *Report) scope() string {
	tables := map[string][]string{}
	for _, j := range r.Judged {
		if !slices.Contains(tables[j.Feed], j.Table) {
			tables[j.Feed] = append(tables[j.Feed], j.Table)
		}
	}
	feeds := slices.Sorted(maps.Keys(tables))
	var parts []string
	for _, feed := range feeds[:min(len(feeds), maxFeeds)] {
		slices.Sort(tables[feed])
		name, _ := cut(feed, maxName)
		parts = append(parts, name+" ("+strings.Join(tables[feed], ", ")+")")
	}
	if more := len(feeds) - maxFeeds; more > 0 {
		parts = append(parts, counted(more, "more feed", "more feeds"))
	}
	return listed(parts) + " by " + listed(slices.Sorted(maps.Keys(r.judgedBy())))
}

// judgedBy returns the names of the detections that judged anything.
func (r *Report) judgedBy() map[string]bool {
	by := map[string]bool{}
	for _, j := range r.Judged {
		for _, d := range j.Detections {
			by[d] = true
		}
	}
	return by
}

// unjudged says why nothing was judged.
func (r *Report) unjudged() string {
	c := covered(r.Inputs)
	inside := int64(0)
	for i := range r.Inputs {
		inside += r.Inputs[i].Rows - r.Inputs[i].Outside
	}
	switch {
	case c.objects == 0:
		return "no log was found"
	case rows(r) == 0:
		return "no log of this period had a row to read"
	case len(r.Days) == 0 || inside == 0:
		return "no row is of this period"
	}
	return "no detection finds all that it needs in what was read"
}
