package detect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"outflow/columnar"
	"outflow/stats/sigma"
)

// RuleDay counts the matches of Sigma rules in a day.
var RuleDay = &Aggregate{
	Name: "rule_day",
	Doc: "Matches of Sigma rules by entity, UTC day and object. The object is the rule and where it matched: the destination that a rule names, else the host and the first " +
		"parts of the path of a request, the registered domain of a query, the program of a process, the host or address of " +
		"a connection, the service and operation of a call. For a correlation: the matches in its windows, by its group.",
	// 2: correlations; 3: rules without a name are called by their title, not their
	// id; 4: numbers and booleans compare as such, rules run only on logs of their
	// product, queries without an existing top-level domain are in one group, and
	// entities have canonical names; 5: requests and connections with an id count once;
	// 6: every value of a list is tested, not the last.
	Rev:        6,
	Tables:     columnar.Tables[:],
	Wants:      func(o *FoldOptions) columnar.Wanted { return ruleWants(o.Rules) },
	Past:       []string{"events"},
	JudgedOnly: true,
	New:        func(o *FoldOptions) Folder { return newRuleFold(o) },
	Merger:     func(o *FoldOptions) Merger { return newRuleMerger(o) },
}

// ruleColumns are, by table, the columns that matches are counted by and shown with.
var ruleColumns = map[*columnar.Table]columnar.Cols{
	columnar.API:     columnar.ColSet(columnar.Service, columnar.Operation, columnar.Resource),
	columnar.HTTP:    columnar.ColSet(columnar.Method, columnar.URLHost, columnar.URLPath),
	columnar.DNS:     columnar.ColSet(columnar.Domain, columnar.Query),
	columnar.Network: columnar.ColSet(columnar.DstHost, columnar.DstIP, columnar.DstPort),
	columnar.Process: columnar.ColSet(columnar.Path, columnar.CmdLine, columnar.ParentPath, columnar.PID),
}

// Fields that show an event of the table event: of each list, the first field that the
// event has. They say who acted, on what, how, and what the log calls the event. The
// fields are those of Sysmon, the Security log, PowerShell and Linux' audit log.
var (
	eventActors  = []string{"Image", "SourceImage", "ProcessName", "exe", "HostApplication"}
	eventObjects = []string{"TargetFilename", "TargetObject", "ImageLoaded", "PipeName", "TargetImage", "RelativeTargetName", "ObjectName", "ShareName",
		"ServiceName", "TaskName", "DestinationHostname", "DestinationIp", "Path", "Destination", "name", "acct"}
	eventDetails = []string{"ScriptBlockText", "Payload", "Details", "ImagePath", "ServiceFileName", "Contents", "GrantedAccess", "CommandLine", "Message"}
	eventNames   = []string{"Provider_Name", "type"}
	eventNumber  = []string{"EventID"}
)

// ruleWants returns what rule_day reads for these rules. It reads nothing from a table
// that no rule uses.
func ruleWants(rules *sigma.Set) (want columnar.Wanted) {
	if rules == nil || len(rules.Rules) == 0 {
		return want
	}
	want = rules.Want()
	want.Cols |= entityReads | columnar.ColSet(columnar.Time, columnar.BytesOut, columnar.BytesIn, columnar.EventUID)
	for _, r := range rules.Rules {
		for _, t := range r.Tables() {
			want.Cols |= ruleColumns[t]
		}
		if calls := columnar.API; slices.Contains(r.Tables(), calls) && r.Correlation == nil {
			fields := r.Fields
			if r.Destination != nil {
				fields = append(slices.Clip(fields), r.Destination.Fields...)
			}
			for _, name := range fields {
				if c, ok := sigma.ColumnOf(calls, name); ok {
					want.Cols |= columnar.ColSet(c)
				} else {
					want.Fields[calls.ID] = append(want.Fields[calls.ID], r.Wants(name))
				}
			}
		}
	}
	if len(want.Events) > 0 {
		f := &want.Fields[columnar.Event.ID]
		for _, name := range slices.Concat(eventActors, eventObjects, eventDetails, eventNames, eventNumber) {
			*f = append(*f, columnar.WantedField{Name: name})
		}
	}
	return want
}

// ruleRefs returns the names of a set's rules within objects, by their index in the
// set. A rule whose name is taken, as titles may be, gets its file and line added.
func ruleRefs(rules *sigma.Set) []string {
	refs := make([]string, len(rules.Rules))
	seen := map[string]bool{}
	for i, r := range rules.Rules {
		ref := strings.ReplaceAll(r.Ref(), ruleObject, ":")
		if seen[ref] {
			ref += " " + r.File + ":" + strconv.Itoa(r.Line)
		}
		seen[ref] = true
		refs[i] = ref
	}
	return refs
}

// rulesByRef returns the rules of a set by their names from ruleRefs.
func rulesByRef(rules *sigma.Set) map[string]*sigma.Rule {
	out := map[string]*sigma.Rule{}
	for i, ref := range ruleRefs(rules) {
		out[ref] = rules.Rules[i]
	}
	return out
}

// ruleObject separates, in an object, the rule from where it matched. No rule's name
// contains it.
const ruleObject = ": "

// A ruleFold is rule_day's Folder. Matches are few, so it need not be fast, except
// that it looks at no row that no rule matches.
type ruleFold struct {
	o            *FoldOptions
	matcher      *sigma.Matcher // nil: there are no rules
	refs         []string
	correlations [][]ruleUse // by rule
	entities     *entities
	objects      *columnar.Dict
	sections     sections[ruleSection]
	size         int // of the sections' cells, in bytes
	object       []byte
	example      []byte
	values       [][]byte
}

// A ruleSection is what one feed logged on one day.
type ruleSection struct {
	groups  *columnar.Groups
	cells   []*ruleCell // by slot; nil: the slot belongs to a correlation
	matches []ruleMatch // for correlations
	arena   []byte      // their records
}

// A ruleMatch is a match that a correlation uses.
type ruleMatch struct {
	slot     int32
	time     int64 // µs since midnight
	from, to int   // in the arena
}

func newRuleSection() *ruleSection {
	return &ruleSection{groups: columnar.NewGroups(), cells: make([]*ruleCell, 1)}
}

func (p *ruleSection) reset() {
	p.groups.Reset()
	clear(p.cells)
	p.cells, p.matches, p.arena = p.cells[:1], p.matches[:0], p.arena[:0]
}

// slot returns the slot of a pair of an entity and an object.
func (p *ruleSection) slot(who, what uint32) int32 {
	slot := p.groups.Slot(who, what)
	for len(p.cells) < p.groups.Len() {
		p.cells = append(p.cells, nil)
	}
	return slot
}

// A matchedRow is a row that a rule matched.
type matchedRow struct {
	sigma.Match
	who    uint32
	feed   string
	row    counts // of this row alone, even if it is a copy
	copied bool
}

// A ruleCell counts the matches of one key.
type ruleCell struct {
	counts
	rows     []ruleRow     // up to maxPlaces, sorted as compare does
	examples []ruleExample // the earliest, sorted
}

// A ruleRow is the place of a row, with its bytes out and, if it tells of one, its
// process.
type ruleRow struct {
	out, time, record int64
	log               string
	process           *ruleProcess // nil: it tells of none
}

// A ruleProcess is what a row tells of a process beside its command: the host, the
// program that started it, and its number, 0 if that is not known.
type ruleProcess struct {
	host, parent string
	pid          int64
}

type ruleExample struct {
	time int64
	text string
}

func newRuleFold(o *FoldOptions) *ruleFold {
	f := &ruleFold{o: o, entities: newEntities(o, userEntity, addressEntity, hostEntity), objects: columnar.NewDict(),
		sections: newSections(newRuleSection, (*ruleSection).reset)}
	f.entities.spelt[groupEntity] = columnar.NewDict()
	f.entities.named[groupEntity] = f.entities.spelt[groupEntity]
	if o.Rules != nil && len(o.Rules.Rules) > 0 {
		f.matcher, f.refs, f.correlations = o.Rules.Matcher(), ruleRefs(o.Rules), correlationsOf(o.Rules)
	}
	return f
}

// Fold implements Folder.
func (f *ruleFold) Fold(b *columnar.Batch) {
	if f.matcher == nil {
		return
	}
	f.matcher.Origin, f.matcher.Lacks = b.Origin, b.Lacks
	matches := f.matcher.Match(b)
	if len(matches) == 0 {
		return
	}
	who := f.entities.of(b)
	times := b.Int64(columnar.Time)
	out, outValid := b.Int64(columnar.BytesOut), b.Valid(columnar.BytesOut)
	in, inValid := b.Int64(columnar.BytesIn), b.Valid(columnar.BytesIn)
	feed := feedOf(b)
	for _, m := range matches {
		i := int(m.Row)
		if times[i] < f.o.From || times[i] >= f.o.To {
			continue
		}
		var row counts
		row.events, row.out, row.in = 1, out[i], in[i]
		row.knownOut, row.knownIn = int64(outValid.Bit(i)), int64(inValid.Bit(i))
		row.first, row.last, row.hours = times[i], times[i], hourBit(times[i])
		repeat := b.Repeats(i)
		if len(f.correlations[m.Rule]) > 0 {
			f.correlate(b, &matchedRow{m, who[i], feed, row, repeat})
		}
		if who[i] == 0 || f.o.Rules.Rules[m.Rule].Part {
			continue
		}
		section := f.sections.of(sectionKey{feed, f.o.dayOf(times[i])})
		f.object = append(append(append(f.object[:0], f.refs[m.Rule]...), ruleObject...), ruleWhat(b, i, f.o.Rules.Rules[m.Rule])...)
		slot := section.slot(who[i], uint32(f.objects.Code(f.object)))
		c := section.cells[slot]
		if c == nil {
			c = &ruleCell{counts: counts{first: times[i], last: times[i]}}
			section.cells[slot] = c
			f.size += int(unsafe.Sizeof(*c))
		}
		if repeat { // the rest does not depend on how often a row is seen
			row.events, row.out, row.in, row.knownOut, row.knownIn = 0, 0, 0, 0, 0
		}
		c.merge(&row)
		at := ruleRow{out: out[i], time: times[i], record: b.First + int64(b.Record[i]), log: b.Object}
		if n := len(c.rows); n < maxPlaces || at.compare(&c.rows[n-1]) < 0 {
			f.size += int(unsafe.Sizeof(at))
			if at.process = ruleProcessOf(b, i); at.process != nil {
				f.size += int(unsafe.Sizeof(*at.process)) + len(at.process.host) + len(at.process.parent)
			}
			c.offer(at)
		}
		if n := len(c.examples); n < maxExamples || times[i] <= c.examples[n-1].time {
			f.example = appendRuleExample(f.example[:0], b, i, f.o.Rules.Rules[m.Rule])
			f.size += len(f.example)
			c.show(ruleExample{times[i], string(f.example)})
		}
	}
}

// compare orders rows: the most bytes out first, then the earliest.
func (r *ruleRow) compare(s *ruleRow) int {
	return cmp.Or(cmp.Compare(s.out, r.out), cmp.Compare(r.time, s.time), strings.Compare(r.log, s.log), cmp.Compare(r.record, s.record))
}

// offer adds a row to those that are kept, if it is among the first. Copies of a row
// count once.
func (c *ruleCell) offer(n ruleRow) {
	i, _ := slices.BinarySearchFunc(c.rows, n, func(a, b ruleRow) int { return a.compare(&b) })
	copied := func(i int) bool {
		return i >= 0 && i < len(c.rows) && c.rows[i].out == n.out && c.rows[i].time == n.time
	}
	switch {
	case copied(i - 1):
		return
	case copied(i):
		c.rows[i] = n
		return
	}
	c.rows = slices.Insert(c.rows, i, n)
	c.rows = c.rows[:min(len(c.rows), maxPlaces)]
}

// place returns the text of Summary.Evidence.
func (r *ruleRow) place() string { return r.log + ":" + strconv.FormatInt(r.record, 10) }

// show keeps the examples of the earliest events, each text once. An example among the
// earliest of all is also among the earliest of any division of the events that
// contains it, so the division does not matter.
func (c *ruleCell) show(e ruleExample) {
	if e.text == "" {
		return
	}
	if i := slices.IndexFunc(c.examples, func(x ruleExample) bool { return x.text == e.text }); i >= 0 {
		c.examples[i].time = min(c.examples[i].time, e.time)
	} else {
		c.examples = append(c.examples, e)
	}
	slices.SortFunc(c.examples, func(a, b ruleExample) int {
		return cmp.Or(cmp.Compare(a.time, b.time), strings.Compare(a.text, b.text))
	})
	c.examples = c.examples[:min(len(c.examples), maxExamples)]
}

// Texts are cut to these bytes, at the boundary of a character: of an object, and of
// an example.
const (
	maxRuleWhat    = 120
	maxRuleExample = 300
	// maxRulePath is how many elements of a path distinguish requests. Further
	// elements name single items, without limit.
	maxRulePath = 3
)

// kindOfPath returns the beginning of a path that similar requests share: up to
// maxRulePath elements, and nothing from a numbered file on, as in offer-17.zip.
func kindOfPath(path []byte) []byte {
	end := 0
	for range maxRulePath {
		if end == len(path) {
			break
		}
		next := len(path)
		if i := bytes.IndexByte(path[end+1:], '/'); i >= 0 {
			next = end + 1 + i
		}
		if elem := path[end+1 : next]; bytes.IndexByte(elem, '.') >= 0 && bytes.ContainsAny(elem, "0123456789") {
			return path[:end+1]
		}
		end = next
	}
	return path[:end]
}

// ruleWhat returns where a rule matched: the destination, if the rule says how to find it.
// Of a call, else, that is also what the rule's fields say: which thing, and with whom it is
// shared.
func ruleWhat(b *columnar.Batch, row int, rule *sigma.Rule) []byte {
	var what []byte
	if d := rule.Destination; d != nil {
		for _, name := range d.Fields {
			if what = d.In(fieldText(b, name, row)); len(what) > 0 {
				return cutText(what, maxRuleWhat)
			}
		}
	}
	switch b.Table {
	case columnar.API:
		what = joinTexts(ruleText(b, columnar.Service, row), "/", ruleText(b, columnar.Operation, row))
		for _, name := range rule.Fields {
			what = joinTexts(what, " ", fieldText(b, name, row))
		}
	case columnar.HTTP:
		what = joinTexts(ruleText(b, columnar.URLHost, row), "", kindOfPath(ruleText(b, columnar.URLPath, row)))
	case columnar.DNS:
		if what = ruleText(b, columnar.Domain, row); len(what) == 0 && len(ruleText(b, columnar.Query, row)) > 0 {
			what = []byte(noTopLevel)
		}
	case columnar.Network:
		if what = ruleText(b, columnar.DstHost, row); len(what) == 0 {
			what = ruleText(b, columnar.DstIP, row)
		}
	case columnar.Process:
		what = ruleText(b, columnar.Path, row)
	case columnar.Event:
		if what = eventText(b, eventObjects, row); len(what) == 0 {
			what = eventText(b, eventActors, row)
		}
		if len(what) == 0 {
			what = joinTexts(eventText(b, eventNames, row), " ", eventText(b, eventNumber, row))
		}
		if len(what) == 0 {
			what = []byte("events")
		}
	}
	return cutText(what, maxRuleWhat)
}

// appendRuleExample appends what an analyst should see of a row: of a call to a destination,
// also what the rule's fields say, which its object has else.
func appendRuleExample(to []byte, b *columnar.Batch, row int, rule *sigma.Rule) []byte {
	add := func(sep string, text []byte) {
		if len(text) > 0 {
			if len(to) > 0 {
				to = append(to, sep...)
			}
			to = append(to, text...)
		}
	}
	switch b.Table {
	case columnar.API:
		add("", ruleText(b, columnar.Operation, row))
		add(" ", ruleText(b, columnar.Resource, row))
		if rule.Destination != nil {
			for _, name := range rule.Fields {
				if text := fieldText(b, name, row); !bytes.Contains(to, text) {
					add(" ", text)
				}
			}
		}
	case columnar.HTTP:
		add("", ruleText(b, columnar.Method, row))
		add(" ", ruleText(b, columnar.URLHost, row))
		to = append(to, ruleText(b, columnar.URLPath, row)...)
	case columnar.DNS:
		add("", ruleText(b, columnar.Query, row))
	case columnar.Network:
		add("", ruleText(b, columnar.DstIP, row))
		if ports := b.Int32(columnar.DstPort); b.Known(columnar.DstPort) > 0 {
			add(":", strconv.AppendInt(nil, int64(ports[row]), 10))
		}
	case columnar.Process:
		if add("", ruleText(b, columnar.CmdLine, row)); len(to) == 0 {
			add("", ruleText(b, columnar.Path, row))
		}
	case columnar.Event:
		add("", eventText(b, eventActors, row))
		add(": ", eventText(b, eventObjects, row))
		add(": ", eventText(b, eventDetails, row))
	}
	return cutText(to, maxRuleExample)
}

// ruleProcessOf returns what a row of a machine's own log tells of its process, or nil.
func ruleProcessOf(b *columnar.Batch, row int) *ruleProcess {
	switch b.Table {
	case columnar.Process:
		return &ruleProcess{string(ruleText(b, columnar.Host, row)), string(ruleText(b, columnar.ParentPath, row)), b.Int64(columnar.PID)[row]}
	case columnar.Event:
		return &ruleProcess{host: string(ruleText(b, columnar.Host, row))}
	}
	return nil
}

// eventText returns the text of the first of the fields that an event has.
func eventText(b *columnar.Batch, fields []string, row int) []byte {
	for _, name := range fields {
		if codes, dict := b.Field(name); codes != nil {
			if text := dict.Text(codes[row]); len(text) > 0 && string(text) != "-" {
				return text
			}
		}
	}
	return nil
}

// fieldText returns the text of a Sigma field, with a comma between the values of a list.
func fieldText(b *columnar.Batch, name string, row int) []byte {
	if c, ok := sigma.ColumnOf(b.Table, name); ok {
		if k := c.Kind(); k != columnar.Text && k != columnar.Dictionary {
			return nil
		}
		return ruleText(b, c, row)
	}
	codes, dict := b.Field(name)
	if codes == nil {
		return nil
	}
	text := dict.Text(codes[row])
	if len(text) > 0 && text[0] == columnar.ListMark {
		text = bytes.ReplaceAll(text[1:], []byte{columnar.ListMark}, []byte(", "))
	}
	return text
}

// ruleText returns the text of a Dictionary or Text column.
func ruleText(b *columnar.Batch, c columnar.Col, row int) []byte {
	if c.Kind() == columnar.Text {
		offsets, text := b.Texts(c)
		return text[offsets[row]:offsets[row+1]]
	}
	codes, dict := b.Codes(c)
	return dict.Text(codes[row])
}

func joinTexts(a []byte, sep string, b []byte) []byte {
	if len(b) == 0 {
		return a
	}
	return append(append(append(make([]byte, 0, len(a)+len(sep)+len(b)), a...), sep...), b...)
}

// cutText cuts text to max bytes and marks the cut.
func cutText(text []byte, max int) []byte {
	if len(text) <= max {
		return text
	}
	return append(slices.Clip(text[:charEnd(text, max)]), "…"...)
}

// charEnd returns the end of the last character that ends within max bytes.
func charEnd(text []byte, max int) int {
	if len(text) <= max {
		return len(text)
	}
	for max > 0 && text[max]&0xc0 == 0x80 {
		max--
	}
	return max
}

// Size implements Folder.
func (f *ruleFold) Size() int {
	n := f.entities.size() + f.objects.Memory() + f.size
	for _, p := range f.sections.all {
		n += p.groups.Size() + 8*len(p.cells) + int(unsafe.Sizeof(ruleMatch{}))*len(p.matches) + len(p.arena)
	}
	return n
}

// Drain implements Folder. A record is a cell with sequence number 0, or a match for a
// correlation with the µs since midnight. Its value is the kind, the spelling of the
// entity, and the cell or the match.
func (f *ruleFold) Drain(w *RunWriter) {
	order := newKeyOrder(f.entities, f.objects, f.sections.groups(func(p *ruleSection) *columnar.Groups { return p.groups }))
	var value []byte
	var twins twinRecords
	record := w.record
	if order.twins {
		record = twins.record
	}
	for _, at := range f.sections.sorted() {
		p := f.sections.all[at]
		slices.SortFunc(p.matches, func(a, b ruleMatch) int { return cmp.Or(cmp.Compare(a.slot, b.slot), cmp.Compare(a.time, b.time)) })
		for slot, k := range order.keys(at, p.groups) {
			if order.twins {
				twins.next(w, k.key)
			}
			if c := p.cells[slot]; c != nil {
				value = c.append(appendBytes(append(value[:0], cellRecord), k.shown), at.day)
				record(k.key, 0, value)
			}
			from, _ := slices.BinarySearchFunc(p.matches, slot, func(m ruleMatch, slot int32) int { return cmp.Compare(m.slot, slot) })
			for _, m := range p.matches[from:] {
				if m.slot != slot {
					break
				}
				value = appendBytes(append(value[:0], p.arena[m.from]), k.shown)
				record(k.key, uint64(m.time), append(value, p.arena[m.from+1:m.to]...))
			}
		}
		twins.end(w)
		f.sections.drop(at)
	}
	f.size = 0
}

// The first byte of a record's value is its kind.
const (
	cellRecord = iota
	matchRecord
)

func (c *ruleCell) append(b []byte, day Day) []byte {
	midnight := int64(day) * dayMicros
	b = c.counts.append(b, midnight)
	b = binary.AppendUvarint(b, uint64(len(c.rows)))
	for _, r := range c.rows {
		for _, n := range [...]int64{r.out, r.time - midnight, r.record} {
			b = binary.AppendUvarint(b, uint64(n))
		}
		b = appendBytes(b, []byte(r.log))
		if r.process == nil {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(append(b, 1), uint64(r.process.pid))
		b = appendBytes(appendBytes(b, []byte(r.process.host)), []byte(r.process.parent))
	}
	for _, e := range c.examples {
		b = appendBytes(binary.AppendUvarint(b, uint64(e.time-midnight)), []byte(e.text))
	}
	return b
}

// A ruleMerger merges ruleCells and runs correlations.
type ruleMerger struct {
	c     ruleCell
	begun bool
	spelt spelling
	correlationMerger
}

func newRuleMerger(o *FoldOptions) *ruleMerger {
	return &ruleMerger{correlationMerger: correlationMerger{rules: o.Rules}}
}

// Add implements Merger.
func (m *ruleMerger) Add(day Day, seq uint64, value []byte) error {
	midnight := int64(day) * dayMicros
	if len(value) == 0 {
		return errRun
	}
	d := decoder{b: value[1:]}
	spelt := d.bytes()
	if value[0] == matchRecord {
		m.spelt.offer(midnight+int64(seq), spelt)
		return m.correlationMerger.add(midnight+int64(seq), &d)
	}
	n := ruleCell{counts: d.counts(midnight)}
	m.spelt.offer(n.first, spelt)
	for left := d.uvarint(); left > 0 && !d.bad; left-- {
		var r ruleRow
		for _, field := range [...]*int64{&r.out, &r.time, &r.record} {
			*field = int64(d.uvarint())
		}
		r.log = string(d.bytes())
		r.time += midnight
		if d.uvarint() > 0 {
			r.process = &ruleProcess{pid: int64(d.uvarint()), host: string(d.bytes()), parent: string(d.bytes())}
		}
		n.rows = append(n.rows, r)
	}
	for len(d.b) > 0 {
		at := int64(d.uvarint()) + midnight
		n.examples = append(n.examples, ruleExample{at, string(d.bytes())})
	}
	if d.bad || len(n.rows) == 0 {
		return errRun
	}
	c := &m.c
	if !m.begun {
		m.begun, *c = true, n
		return nil
	}
	c.merge(&n.counts)
	for _, r := range n.rows {
		c.offer(r)
	}
	for _, e := range n.examples {
		c.show(e)
	}
	return nil
}

// Row implements Merger.
func (m *ruleMerger) Row(r *Row) bool {
	switch {
	case m.begun:
		m.begun = false
		m.c.row(r)
	case !m.correlationMerger.row(r):
		m.spelt = spelling{}
		return false
	}
	r.Spelling = m.spelt.of(r.Entity)
	return true
}

// row sets the Summary.
func (c *ruleCell) row(r *Row) {
	peak := &c.rows[0]
	r.Summary = Summary{
		Events: c.events, BytesOut: c.out, BytesIn: c.in, KnownOut: c.knownOut, KnownIn: c.knownIn,
		First: c.first, Last: c.last, Hours: c.hours, PeakOut: peak.out, PeakTime: peak.time, Evidence: peak.place(),
	}
	for i := range c.rows {
		at := &c.rows[i]
		if len(c.rows) == 1 && at.process == nil {
			break // Evidence says it
		}
		p := Place{Time: at.time, Bytes: at.out, At: at.place()}
		if at.process != nil {
			p.Host, p.Parent, p.PID = at.process.host, at.process.parent, at.process.pid
		}
		r.Places = append(r.Places, p.String())
	}
	for _, e := range c.examples {
		r.Examples = append(r.Examples, e.text)
	}
}
