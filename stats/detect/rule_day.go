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

// RuleDay counts what Sigma rules matched in a day. What it reads is what the rules
// do (RuleReads), which only the options tell.
var RuleDay = &Aggregate{
	Name: "rule_day",
	Doc: "Matches of Sigma rules by entity, UTC day and object: the rule, and what it matched in: the host and the first " +
		"parts of the path of a request, the registered domain of a query, the program of a process, the host or address of " +
		"a connection, the service and operation of a call.",
	Rev:    1,
	Tables: columnar.Tables[:],
	New:    func(o *FoldOptions) Folder { return newRuleFold(o) },
	Merger: func(*FoldOptions) Merger { return &ruleMerger{} },
}

// ruleColumns are, by table, what matches are counted under and shown by.
var ruleColumns = map[*columnar.Table]columnar.Cols{
	columnar.API:     columnar.ColSet(columnar.Service, columnar.Operation, columnar.Resource),
	columnar.HTTP:    columnar.ColSet(columnar.Method, columnar.URLHost, columnar.URLPath),
	columnar.DNS:     columnar.ColSet(columnar.Domain, columnar.Query),
	columnar.Network: columnar.ColSet(columnar.DstHost, columnar.DstIP, columnar.DstPort),
	columnar.Process: columnar.ColSet(columnar.Path, columnar.CmdLine),
}

// RuleReads returns what rule_day reads with these rules: columns, and fields of
// events by name. Of a table that no rule is about it reads nothing.
func RuleReads(rules *sigma.Set) (columnar.Cols, []string) {
	if rules == nil || len(rules.Rules) == 0 {
		return 0, nil
	}
	cols, fields := rules.Want()
	cols |= columnar.ColSet(columnar.Time, columnar.User, columnar.SrcIP, columnar.Host, columnar.BytesOut, columnar.BytesIn, columnar.EventUID)
	for _, r := range rules.Rules {
		for _, t := range r.Tables() {
			cols |= ruleColumns[t]
		}
	}
	return cols, fields
}

// ruleRefs names the rules of a set within objects, by their place in it. A rule
// whose name is taken, as titles may be, is told apart by where it stands.
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

// ruleObject stands in an object between the rule and what it matched in. No
// rule's name has it.
const ruleObject = ": "

// A ruleFold is rule_day's Folder. Matches are few, so it is not built for speed,
// but to look at no row that no rule matches.
type ruleFold struct {
	o        *FoldOptions
	matcher  *sigma.Matcher // nil: there are no rules
	refs     []string
	entities *entities
	objects  *columnar.Dict
	parts    map[partKey]map[ruleKey]*ruleCell
	size     int // of the parts, in bytes
	object   []byte
	example  []byte
}

type ruleKey struct{ who, what uint32 }

// A ruleCell is what is counted of one key.
type ruleCell struct {
	counts
	peak     ruleRow
	examples []ruleExample // the earliest, sorted
}

// A ruleRow is where a row is.
type ruleRow struct {
	out, time, record int64
	log               string
}

type ruleExample struct {
	time int64
	text string
}

func newRuleFold(o *FoldOptions) *ruleFold {
	f := &ruleFold{o: o, entities: newEntities(userEntity, addressEntity, hostEntity), objects: columnar.NewDict(),
		parts: map[partKey]map[ruleKey]*ruleCell{}}
	if o.Rules != nil && len(o.Rules.Rules) > 0 {
		f.matcher, f.refs = o.Rules.Matcher(), ruleRefs(o.Rules)
	}
	return f
}

// Fold implements Folder.
func (f *ruleFold) Fold(b *columnar.Batch) {
	if f.matcher == nil {
		return
	}
	f.matcher.Product, f.matcher.Lacks = b.Product, b.Lacks
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
		if who[i] == 0 || times[i] < f.o.From || times[i] >= f.o.To {
			continue
		}
		at := partKey{feed, DayOf(times[i])}
		part := f.parts[at]
		if part == nil {
			part = map[ruleKey]*ruleCell{}
			f.parts[at] = part
		}
		f.object = append(append(append(f.object[:0], f.refs[m.Rule]...), ruleObject...), ruleWhat(b, i)...)
		k := ruleKey{who[i], uint32(f.objects.Code(f.object))}
		c := part[k]
		if c == nil {
			c = &ruleCell{counts: counts{first: times[i], last: times[i]}, peak: ruleRow{out: -1}}
			part[k] = c
			f.size += int(unsafe.Sizeof(*c)) + 3*int(unsafe.Sizeof(k))
		}
		if b.Repeat == nil || b.Repeat[i>>3]>>(i&7)&1 == 0 {
			c.events++
			c.out, c.in = addBytes(c.out, out[i]), addBytes(c.in, in[i])
			c.knownOut += int64(outValid[i>>3] >> (i & 7) & 1)
			c.knownIn += int64(inValid[i>>3] >> (i & 7) & 1)
		}
		// The rest is the same however often a row is seen.
		c.first, c.last = min(c.first, times[i]), max(c.last, times[i])
		c.hours |= hourBit(times[i])
		c.offer(ruleRow{out[i], times[i], b.First + int64(b.Record[i]), b.Object})
		if n := len(c.examples); n < maxExamples || times[i] <= c.examples[n-1].time {
			f.example = appendRuleExample(f.example[:0], b, i)
			f.size += len(f.example)
			c.show(ruleExample{times[i], string(f.example)})
		}
	}
}

// offer makes n the cell's peak if more went out of it, or as much earlier.
func (c *ruleCell) offer(n ruleRow) {
	if cmp.Or(cmp.Compare(c.peak.out, n.out), cmp.Compare(n.time, c.peak.time), strings.Compare(n.log, c.peak.log),
		cmp.Compare(n.record, c.peak.record)) < 0 {
		c.peak = n
	}
}

// show keeps the examples of the earliest events, each text once. An example that
// is among the earliest of all is so among those of any part that it is in, so it
// does not matter how the events are divided.
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

// What a row says is cut to these bytes, on the boundary of a character: of an
// object, and of an example.
const (
	maxRuleWhat    = 120
	maxRuleExample = 300
	// maxRulePath is how many parts of a path tell requests apart: more are names of
	// single things, of which there is no end.
	maxRulePath = 3
)

// kindOfPath returns the start of a path that requests of one kind share: up to
// maxRulePath parts, and none from a numbered file on, as in offer-17.zip.
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
		if part := path[end+1 : next]; bytes.IndexByte(part, '.') >= 0 && bytes.ContainsAny(part, "0123456789") {
			return path[:end+1]
		}
		end = next
	}
	return path[:end]
}

// ruleWhat returns what a rule matched in.
func ruleWhat(b *columnar.Batch, row int) []byte {
	var what []byte
	switch b.Table {
	case columnar.API:
		what = joinTexts(ruleText(b, columnar.Service, row), "/", ruleText(b, columnar.Operation, row))
	case columnar.HTTP:
		what = joinTexts(ruleText(b, columnar.URLHost, row), "", kindOfPath(ruleText(b, columnar.URLPath, row)))
	case columnar.DNS:
		what = ruleText(b, columnar.Domain, row)
	case columnar.Network:
		if what = ruleText(b, columnar.DstHost, row); len(what) == 0 {
			what = ruleText(b, columnar.DstIP, row)
		}
	case columnar.Process:
		what = ruleText(b, columnar.Path, row)
	default:
		what = []byte("events")
	}
	return cutText(what, maxRuleWhat)
}

// appendRuleExample appends what an analyst should see of a row.
func appendRuleExample(to []byte, b *columnar.Batch, row int) []byte {
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
	}
	return cutText(to, maxRuleExample)
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

// cutText cuts text to max bytes and a mark that it was cut.
func cutText(text []byte, max int) []byte {
	if len(text) <= max {
		return text
	}
	for max > 0 && text[max]&0xc0 == 0x80 {
		max--
	}
	return append(slices.Clip(text[:max]), "…"...)
}

// Size implements Folder.
func (f *ruleFold) Size() int { return f.entities.size() + sizeOf(f.objects) + f.size }

// Drain implements Folder.
func (f *ruleFold) Drain(w *RunWriter) {
	type record struct {
		key  []byte
		day  Day
		cell *ruleCell
	}
	var records []record
	for at, part := range f.parts {
		for k, c := range part {
			kind, name := f.entities.key(k.who)
			records = append(records, record{appendKey(nil, at.day, at.feed, kind, name, string(f.objects.Text(int32(k.what)))), at.day, c})
		}
	}
	slices.SortFunc(records, func(a, b record) int { return bytes.Compare(a.key, b.key) })
	var value []byte
	for _, r := range records {
		value = r.cell.append(value[:0], r.day)
		w.record(r.key, 0, value)
	}
	clear(f.parts)
	f.size = 0
}

func (c *ruleCell) append(b []byte, day Day) []byte {
	midnight := int64(day) * dayMicros
	b = c.counts.append(b, midnight)
	for _, n := range [...]int64{c.peak.out, c.peak.time - midnight, c.peak.record} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = appendBytes(b, []byte(c.peak.log))
	for _, e := range c.examples {
		b = appendBytes(binary.AppendUvarint(b, uint64(e.time-midnight)), []byte(e.text))
	}
	return b
}

// A ruleMerger adds ruleCells up.
type ruleMerger struct {
	c     ruleCell
	begun bool
}

// Add implements Merger.
func (m *ruleMerger) Add(day Day, _ uint64, value []byte) error {
	d := decoder{b: value}
	midnight := int64(day) * dayMicros
	n := ruleCell{counts: d.counts(midnight)}
	for _, field := range [...]*int64{&n.peak.out, &n.peak.time, &n.peak.record} {
		*field = int64(d.uvarint())
	}
	n.peak.log = string(d.bytes())
	for len(d.b) > 0 {
		at := int64(d.uvarint()) + midnight
		n.examples = append(n.examples, ruleExample{at, string(d.bytes())})
	}
	if d.bad {
		return errRun
	}
	n.peak.time += midnight
	c := &m.c
	if !m.begun {
		m.begun, *c = true, n
		return nil
	}
	c.merge(&n.counts)
	c.offer(n.peak)
	for _, e := range n.examples {
		c.show(e)
	}
	return nil
}

// Row implements Merger.
func (m *ruleMerger) Row(r *Row) bool {
	if !m.begun {
		return false
	}
	c := &m.c
	m.begun = false
	r.Summary = Summary{
		Events: c.events, BytesOut: c.out, BytesIn: c.in, KnownOut: c.knownOut, KnownIn: c.knownIn,
		First: c.first, Last: c.last, Hours: c.hours, PeakOut: c.peak.out, PeakTime: c.peak.time,
		Evidence: c.peak.log + ":" + strconv.FormatInt(c.peak.record, 10),
	}
	for _, e := range c.examples {
		r.Examples = append(r.Examples, e.text)
	}
	return true
}
