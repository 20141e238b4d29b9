package detect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"outflow/columnar"
)

// This file says where rows come from, and which rows of a log show what a finding says.

// A Place is a row of a log that shows what a finding says.
type Place struct {
	Time  int64  // µs UTC
	Bytes int64  // out; of downloads in, and of DNS those of the subdomain; 0 if the row has no count
	At    string // "object:record"
	// The process that ran, by a machine's own log; "" and 0 if that does not say.
	Host   string
	Parent string // the path of the program that started it
	PID    int64
}

// placeTime is the layout of a place's time. All times have the same length, so
// comparePlaces need not parse them.
const placeTime = "2006-01-02T15:04:05.000000Z"

// String returns the text that parsePlace parses: "1100000000
// 2026-11-20T22:14:05.000000Z access.log:88", and if more is known tabs and the host, the
// parent and the PID.
func (p Place) String() string {
	b := strconv.AppendInt(make([]byte, 0, 64+len(p.At)+len(p.Host)+len(p.Parent)), p.Bytes, 10)
	b = time.UnixMicro(p.Time).UTC().AppendFormat(append(b, ' '), placeTime)
	b = append(append(b, ' '), p.At...)
	if p.Host == "" && p.Parent == "" && p.PID == 0 && !strings.Contains(p.At, "\t") {
		return string(b)
	}
	for _, text := range [...]string{p.Host, p.Parent, strconv.FormatInt(p.PID, 10)} {
		b = append(append(b, '\t'), strings.ReplaceAll(text, "\t", " ")...)
	}
	return string(b)
}

// parsePlace parses what String returned. For any other text it returns the zero Place.
func parsePlace(text string) (p Place) {
	size, rest, _ := strings.Cut(text, " ")
	at, rest, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return p
	}
	t, err := time.Parse(placeTime, at)
	if err != nil {
		return p
	}
	p = Place{Time: t.UnixMicro(), Bytes: n, At: rest}
	fields := strings.Split(rest, "\t")
	if last := len(fields) - 3; last > 0 {
		p.At, p.Host, p.Parent = strings.Join(fields[:last], "\t"), fields[last], fields[last+1]
		p.PID, _ = strconv.ParseInt(fields[last+2], 10, 64) // 0 if it is none
	}
	return p
}

// comparePlaces orders the texts of places: the most bytes first, then the earliest.
func comparePlaces(a, b string) int {
	m, n := max(0, strings.IndexByte(a, ' ')), max(0, strings.IndexByte(b, ' '))
	if m != n {
		return n - m
	}
	return cmp.Or(strings.Compare(b[:n], a[:m]), strings.Compare(a[m:], b[n:]))
}

// mergePlaces returns the first maxPlaces of the texts of both lists, each once. It may
// return one of the lists itself.
func mergePlaces(a, b []string) []string {
	if len(a) == 0 || len(b) > 0 && comparePlaces(b[0], a[0]) < 0 {
		a, b = b, a
	}
	if len(b) == 0 || len(a) == maxPlaces && comparePlaces(a[maxPlaces-1], b[0]) <= 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, comparePlaces)
	all = slices.Compact(all)
	return all[:min(len(all), maxPlaces)]
}

// Records returns the rows that show what the measures say, the ones with the most bytes
// first: all of Places, or the one that Evidence names.
func (s *Summary) Records() []Place {
	if len(s.Places) == 0 && s.Evidence != "" {
		return []Place{{Time: s.PeakTime, Bytes: s.PeakOut, At: s.Evidence}}
	}
	var places []Place
	for _, text := range s.Places {
		if p := parsePlace(text); p.At != "" { // else another program wrote it
			places = append(places, p)
		}
	}
	return places
}

// A placer finds the places of rows. The Object of its columnar.Places is a code of logs.
type placer struct {
	logs   *columnar.Dict // names of log objects
	log    int32          // the batch's, in logs, if its rows have no places of their own
	placed []int32        // else by the batch's objects
	codes  columnar.Lookup[int32]
	least  int64 // of the bytes of a row that is evidence beside the peak
}

func newPlacer(least int64) *placer {
	p := &placer{logs: columnar.NewDict(), least: least}
	p.codes.Func = func(object []byte) int32 { return p.logs.Code(object) }
	return p
}

// begin makes p ready for the rows of a batch.
func (p *placer) begin(b *columnar.Batch) {
	if b.Places == nil {
		p.log = p.logs.Code([]byte(b.Object))
	} else {
		p.placed = p.codes.Of(b.Objects)
	}
}

// of returns the place of a row.
func (p *placer) of(b *columnar.Batch, row int) columnar.Place {
	if b.Places == nil {
		return columnar.Place{Object: p.log, Record: b.First + int64(b.Record[row])}
	}
	at := &b.Places[row]
	return columnar.Place{Object: p.placed[at.Object], Record: at.Record}
}

// compare orders places by the name of their log and then by record.
func (p *placer) compare(a, b columnar.Place) int {
	if a.Object == b.Object {
		return cmp.Compare(a.Record, b.Record)
	}
	return bytes.Compare(p.logs.Text(a.Object), p.logs.Text(b.Object))
}

// text returns a place as Summary.Evidence has it.
func (p *placer) text(at columnar.Place) string {
	return string(p.logs.Text(at.Object)) + ":" + strconv.FormatInt(at.Record, 10)
}

// A sight is a row that may be evidence. Its bytes are those of a Place, and may be
// one more where zero means that there is no row.
type sight struct {
	bytes, time int64
	at          columnar.Place
}

const (
	// maxPlaces is how many rows show what the measures of a key say.
	maxPlaces = 5
	// A row with fewer than minPlaceBytes is evidence only if it has the most bytes. The
	// many small rows of a day, such as requests for pages, therefore take no memory.
	minPlaceBytes = 16 << 10
	// A day with at least so many bytes keeps five places, and a day with less keeps one:
	// few findings are about such days. Five take some 60 bytes of a row in the state, which
	// each later night reads; from 10 MB on, half of a company's days would have them.
	minPlacesBytes            = 100e6
	minDestinationPlacesBytes = 10e6 // to one destination
)

// others are the rows with the most bytes after the first: those of n are set.
type others struct {
	n  int
	of [maxPlaces - 1]sight
}

// beats reports whether a is the better evidence: it has more bytes, or as many and is
// earlier.
func (p *placer) beats(a, b sight) bool {
	if a.bytes != b.bytes {
		return a.bytes > b.bytes
	}
	if a.time != b.time {
		return a.time < b.time
	}
	return p.compare(a.at, b.at) < 0
}

// offer adds a row to the others, if it is among those with the most bytes. Copies of a
// row count once: the one whose place comes first.
func (p *placer) offer(o *others, n sight) {
	i := 0
	for i < o.n && p.beats(o.of[i], n) {
		if o.of[i].bytes == n.bytes && o.of[i].time == n.time {
			return
		}
		i++
	}
	if i < o.n && o.of[i].bytes == n.bytes && o.of[i].time == n.time {
		o.of[i] = n
		return
	}
	if o.n < len(o.of) {
		o.n++
	}
	if i < o.n {
		copy(o.of[i+1:o.n], o.of[i:])
		o.of[i] = n
	}
}

// take makes n the peak if it is the better evidence. It returns the other of the two,
// and false if they are copies of one row.
func (p *placer) take(peak *sight, n sight) (other sight, ok bool) {
	copied := n.bytes == peak.bytes && n.time == peak.time
	if p.beats(n, *peak) {
		n, *peak = *peak, n
	}
	return n, !copied
}

// merge adds the evidence of other rows to that of some.
func (p *placer) merge(peak *sight, o *others, more sight, rest *others) {
	for i := -1; i < rest.n; i++ {
		if i >= 0 {
			more = rest.of[i]
		}
		if other, ok := p.take(peak, more); ok && other.bytes >= p.least {
			p.offer(o, other)
		}
	}
}

// texts returns the evidence as Summary.Places has it.
func (p *placer) texts(peak sight, o *others) (texts []string) {
	if o.n == 0 {
		return nil // Evidence says it
	}
	for i := -1; i < o.n; i++ {
		if i >= 0 {
			peak = o.of[i]
		}
		texts = append(texts, Place{Time: peak.time, Bytes: peak.bytes, At: p.text(peak.at)}.String())
	}
	return texts
}

// textsAfter is texts for evidence whose bytes are one more, with times from midnight.
func (p *placer) textsAfter(peak sight, o *others, midnight int64) []string {
	peak.bytes, peak.time = peak.bytes-1, peak.time+midnight
	for i := range o.n {
		o.of[i].bytes, o.of[i].time = o.of[i].bytes-1, o.of[i].time+midnight
	}
	return p.texts(peak, o)
}

// append appends evidence to the value of a record, with times from midnight.
func (p *placer) append(b []byte, peak sight, o *others, midnight int64) []byte {
	return p.appendOthers(p.appendPeak(b, peak, o, midnight), peak, o, midnight)
}

// appendPeak appends how many rows are evidence, and the first of them.
func (p *placer) appendPeak(b []byte, peak sight, o *others, midnight int64) []byte {
	if peak.bytes == 0 {
		return append(b, 0)
	}
	return p.appendSight(binary.AppendUvarint(b, uint64(1+o.n)), &peak, 0, midnight)
}

// appendOthers appends the evidence after the peak.
func (p *placer) appendOthers(b []byte, peak sight, o *others, midnight int64) []byte {
	if peak.bytes == 0 {
		return b
	}
	log := peak.at.Object
	for i := range o.of[:o.n] {
		b = p.appendSight(b, &o.of[i], log, midnight)
		log = o.of[i].at.Object
	}
	return b
}

func (p *placer) appendSight(b []byte, s *sight, log int32, midnight int64) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(s.bytes)), uint64(s.time-midnight))
	return p.appendLog(binary.AppendUvarint(b, uint64(s.at.Record)), s.at.Object, log)
}

// appendLog appends the name of a log and its length plus 1, or 0 if it is the one that the record has
// named before, or has none. Names are longer than all else of most records.
func (p *placer) appendLog(b []byte, log, before int32) []byte {
	if log == before {
		return append(b, 0)
	}
	name := p.logs.Text(log)
	return append(binary.AppendUvarint(b, uint64(len(name))+1), name...)
}

// logOf reads what appendLog wrote.
func (p *placer) logOf(d *decoder, before int32) int32 {
	n := d.uvarint()
	if n == 0 {
		return before
	}
	return p.logs.Code(d.take(n - 1))
}

// evidence reads what append wrote.
func (p *placer) evidence(d *decoder, midnight int64) (peak sight, o others) {
	n, peak := p.peak(d, midnight)
	p.others(d, &o, n-1, peak, midnight)
	return peak, o
}

// peak reads what appendPeak wrote.
func (p *placer) peak(d *decoder, midnight int64) (n int, peak sight) {
	of := d.uvarint()
	if of > maxPlaces {
		d.bad = true
		return 0, peak
	}
	if of > 0 {
		peak = p.sight(d, 0, midnight)
	}
	return int(of), peak
}

// others reads what appendOthers wrote: n rows.
func (p *placer) others(d *decoder, o *others, n int, peak sight, midnight int64) {
	log := peak.at.Object
	for o.n = 0; o.n < n; o.n++ {
		o.of[o.n] = p.sight(d, log, midnight)
		log = o.of[o.n].at.Object
	}
}

// sight reads what appendSight wrote.
func (p *placer) sight(d *decoder, log int32, midnight int64) sight {
	s := sight{bytes: int64(d.uvarint()), time: int64(d.uvarint()) + midnight}
	s.at.Record = int64(d.uvarint())
	s.at.Object = p.logOf(d, log)
	return s
}
