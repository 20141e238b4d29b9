package detect

import (
	"bytes"
	stdcmp "cmp"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// memorySpool is a Spool in memory.
type memorySpool struct{ bytes.Buffer }

func (s *memorySpool) Size() int64 { return int64(s.Len()) }

func (s *memorySpool) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(s.Bytes()).ReadAt(p, off)
}

// deltaFeed is a feed whose records have the bytes since the record before.
const deltaFeed = "firewall"

var connectionWant = UserDestinationDay.Reads | volumeWants(&openBounds).Cols | columnar.ColSet(columnar.DstPort)

// batchesOf calls sink with the events in batches, in their order.
func batchesOf(events []event, sink func(*columnar.Batch)) {
	putEvents(&columnar.Out{Want: connectionWant, Sink: sink}, events)
}

// putEvents puts the events into out, in their order.
func putEvents(out *columnar.Out, events []event) {
	for _, e := range events {
		if out.Feed != e.feed || out.Object != e.object {
			out.Flush()
			out.Feed, out.Object, out.Deltas = e.feed, e.object, e.feed == deltaFeed
		}
		b := out.Table(e.table)
		b.SetTime(e.us)
		for c, v := range e.texts {
			b.SetText(c, []byte(v))
		}
		for c, v := range e.ints {
			b.SetInt(c, v)
		}
		b.Next(e.record)
	}
	out.Flush()
}

// joinEvents joins what workers kept, each of its own events. It returns the rows as
// text, sorted, and the most memory that the Joiner had when it handed out rows.
func joinEvents(t testing.TB, o *FoldOptions, memory int, workers ...[]event) (rows []string, most int) {
	t.Helper()
	return joinConnections(t, o, memory, connectionsOf(t, o, memory, workers...)...)
}

// connectionsOf returns what workers keep, each of its own events.
func connectionsOf(t testing.TB, o *FoldOptions, memory int, workers ...[]event) (all []*Connections) {
	t.Helper()
	for _, events := range workers {
		c := NewConnections(o, &memorySpool{}, memory)
		batchesOf(events, c.Add)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// joinConnections joins as joinEvents does.
func joinConnections(t testing.TB, o *FoldOptions, memory int, all ...*Connections) (rows []string, most int) {
	t.Helper()
	var j *Joiner
	j = NewJoiner(o, all, connectionWant, memory, func(b *columnar.Batch) {
		most = max(most, j.size())
		for i := range b.Len() {
			place := b.Places[i]
			row := fmt.Sprintf("%s %s:%d %d", b.Feed, b.Objects.Text(place.Object), place.Record, b.Int64(columnar.Time)[i])
			for _, c := range []columnar.Col{columnar.SrcIP, columnar.DstIP, columnar.DstHost, columnar.User, columnar.Host, columnar.Account, columnar.Action} {
				codes, dict := b.Codes(c)
				row += fmt.Sprintf(" %q", dict.Text(codes[i]))
			}
			for _, c := range []columnar.Col{columnar.BytesOut, columnar.BytesIn} {
				if b.Valid(c)[i>>3]>>(i&7)&1 != 0 {
					row += fmt.Sprint(" ", b.Int64(c)[i])
				} else {
					row += " -"
				}
			}
			row += fmt.Sprint(" ", b.Int32(columnar.DstPort)[i])
			rows = append(rows, row)
		}
	})
	for part := range ConnectionParts {
		if err := j.Join(part); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(rows)
	return rows, most
}

// slowJoin is the join as the comment of Connections says it.
func slowJoin(events []event) []string {
	type place struct {
		feed, src, uid string
		day            Day
	}
	bytesOf := func(e *event, c columnar.Col) int64 {
		if n, ok := e.ints[c]; ok {
			return n
		}
		return -1
	}
	days := map[place][]*event{}
	for i := range events {
		e := &events[i]
		inside := strings.HasPrefix(e.texts[columnar.DstIP], "10.")
		if e.texts[columnar.UID] != "" && !inside && (e.table == columnar.Network || e.table == columnar.HTTP) {
			p := place{e.feed, e.texts[columnar.SrcIP], e.texts[columnar.UID], DayOf(e.us)}
			days[p] = append(days[p], e)
		}
	}
	// name returns the only name of the records of a table; two are none.
	name := func(p place, from int64, table *columnar.Table, c columnar.Col) (name string, said bool) {
		for _, e := range days[p] {
			if n := e.texts[c]; e.table == table && n != "" && e.us >= from {
				if said && n != name {
					return "", true
				}
				name, said = n, true
			}
		}
		return name, said
	}
	var rows []string
	for p, records := range days {
		records = slices.DeleteFunc(slices.Clone(records), func(e *event) bool { return e.table != columnar.Network })
		if len(records) == 0 {
			continue
		}
		e := slices.MaxFunc(records, func(a, b *event) int {
			return stdcmp.Or(stdcmp.Compare(bytesOf(a, columnar.BytesOut), bytesOf(b, columnar.BytesOut)),
				stdcmp.Compare(bytesOf(a, columnar.BytesIn), bytesOf(b, columnar.BytesIn)),
				stdcmp.Compare(a.us, b.us), stdcmp.Compare(b.object, a.object), stdcmp.Compare(b.record, a.record))
		})
		before := p
		before.day--
		midnight := int64(p.day) * dayMicros
		host, said := name(p, 0, columnar.Network, columnar.DstHost)
		if !said {
			host, said = name(before, midnight-6*3600e6, columnar.Network, columnar.DstHost)
		}
		if !said {
			host, _ = name(p, 0, columnar.HTTP, columnar.URLHost)
		}
		row := fmt.Sprintf("%s %s:%d %d", e.feed, e.object, e.record, e.us)
		for _, text := range []string{e.texts[columnar.SrcIP], e.texts[columnar.DstIP], host, e.texts[columnar.User],
			e.texts[columnar.Host], e.texts[columnar.Account], e.texts[columnar.Action]} {
			row += fmt.Sprintf(" %q", text)
		}
		for _, c := range []columnar.Col{columnar.BytesOut, columnar.BytesIn} {
			n := bytesOf(e, c)
			if e.feed == deltaFeed {
				n = -1
				for _, e := range records {
					if m := bytesOf(e, c); m >= 0 {
						n = max(n, 0) + m
					}
				}
			}
			if n >= 0 {
				row += fmt.Sprint(" ", n)
			} else {
				row += " -"
			}
		}
		port := e.ints[columnar.DstPort]
		if port > 65535 {
			port = 0
		}
		row += fmt.Sprint(" ", port)
		rows = append(rows, row)
	}
	slices.Sort(rows)
	return rows
}

// randomConnections returns records of few connections, so that many have several.
func randomConnections(r *rand.Rand, n int) []event {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	record := map[string]int64{"b.log": 1<<32 - 50}
	var out []event
	for range n {
		e := event{feed: pick("zeek", deltaFeed), object: pick("a.log", "b.log", "c.log"), us: testDay + r.Int64N(3*86400e6)}
		record[e.object]++
		e.record = record[e.object]
		uid := ""
		if r.IntN(20) > 0 {
			uid = "C" + fmt.Sprint(r.IntN(n/6))
		}
		e.texts = map[columnar.Col]string{columnar.UID: uid, columnar.SrcIP: pick("10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "")}
		e.ints = map[columnar.Col]int64{}
		e.table = columnar.Network
		e.texts[columnar.DstIP] = pick("192.0.2.1", "192.0.2.2", "192.0.2.3", "10.9.9.9", "")
		switch r.IntN(4) {
		case 0: // of the bytes
			if r.IntN(8) > 0 {
				e.ints[columnar.BytesOut] = r.Int64N(4) * 1e9 * r.Int64N(3)
			}
			if r.IntN(8) > 0 {
				e.ints[columnar.BytesIn] = r.Int64N(4)
			}
			e.texts[columnar.Action] = pick("", "", "drop")
			e.texts[columnar.User] = pick("", "", "", "ann", strings.Repeat("b", 200))
			e.texts[columnar.Host], e.texts[columnar.Account] = pick("", "", "pc"), pick("", "", "1")
		case 1: // of the name
			e.texts[columnar.DstHost] = pick("a.example", "a.example", "a.example", "b.example", "")
		case 2:
			e.table = columnar.HTTP
			e.texts[columnar.URLHost] = pick("c.example", "c.example", "d.example", "")
			e.ints[columnar.BytesOut] = 77
		default: // both in one
			e.ints[columnar.BytesOut] = r.Int64N(4)
			e.texts[columnar.DstHost] = pick("", "a.example")
		}
		if e.table == columnar.Network && r.IntN(3) > 0 {
			e.ints[columnar.DstPort] = []int64{0, 53, 443, 65535, 70000}[r.IntN(5)]
		}
		out = append(out, e)
	}
	return out
}

// If this fails, what becomes of a connection depends on the order of its records, on
// how they were split over workers or on the memory, or is not what the rules say.
func TestJoinConnections(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 30 {
		events := randomConnections(r, 600)
		want := slowJoin(events)
		if len(want) < 200 {
			t.Fatalf("%d connections: this test proves nothing", len(want))
		}
		for _, workers := range []int{1, 3} {
			for _, memory := range []int{0, 2000, 1 << 20} {
				r.Shuffle(len(events), func(i, k int) { events[i], events[k] = events[k], events[i] })
				split := make([][]event, workers)
				for _, e := range events {
					w := r.IntN(workers)
					split[w] = append(split[w], e)
				}
				got, _ := joinEvents(t, &openBounds, memory, split...)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("%d workers, %d bytes of memory (-want +got):\n%s", workers, memory, diff)
				}
			}
		}
	}
}

// If this fails, deltas that are delivered twice are added twice.
func TestJoinRepeatedDeltas(t *testing.T) {
	record := func(n int64, out int64) event {
		return event{table: columnar.Network, feed: deltaFeed, object: "a.log", record: n, us: testDay + n,
			texts: map[columnar.Col]string{columnar.UID: "7", columnar.SrcIP: "10.0.0.1", columnar.DstIP: "192.0.2.1"},
			ints:  map[columnar.Col]int64{columnar.BytesOut: out}}
	}
	c := NewConnections(&openBounds, &memorySpool{}, 1<<20)
	batchesOf([]event{record(1, 50), record(2, 30), record(3, 50)}, func(b *columnar.Batch) {
		b.Repeat = []byte{1 << 2}
		c.Add(b)
	})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	j := NewJoiner(&openBounds, []*Connections{c}, connectionWant, 1<<20, func(b *columnar.Batch) { sum += b.Int64(columnar.BytesOut)[0] })
	for part := range ConnectionParts {
		if err := j.Join(part); err != nil {
			t.Fatal(err)
		}
	}
	if sum != 80 {
		t.Errorf("got %d bytes, want 80", sum)
	}
}

// If this fails, the bounds of a fold change the rows within them: a name from the day
// before is lost, or a connection outside is counted.
func TestJoinConnectionsWithinBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	events := randomConnections(r, 3000)
	day := int64(86400e6)
	o := openBounds
	o.From, o.To = testDay+day, testDay+2*day
	var want []string
	for _, row := range slowJoin(events) {
		var us int64
		fmt.Sscanf(strings.Fields(row)[2], "%d", &us)
		if us >= o.From && us < o.To {
			want = append(want, row)
		}
	}
	got, _ := joinEvents(t, &o, 1<<20, events)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the second of three days (-want +got):\n%s", diff)
	}
	if len(want) < 300 {
		t.Errorf("%d connections: this test proves nothing", len(want))
	}
}

// If this fails, many connections or a hostile uid take memory without bounds.
func TestJoinConnectionsMemory(t *testing.T) {
	many := func(n int, uid func(i int) string, user func(i int) string) (out []event) {
		for i := range n {
			out = append(out, event{table: columnar.Network, feed: "zeek", object: "conn.log", record: int64(i + 1), us: testDay + int64(i),
				texts: map[columnar.Col]string{columnar.UID: uid(i), columnar.SrcIP: "10.0.0.1", columnar.DstIP: "192.0.2.1", columnar.User: user(i)},
				ints:  map[columnar.Col]int64{columnar.BytesOut: int64(i)}})
		}
		return out
	}
	const memory = 64 << 10
	for _, test := range []struct {
		name   string
		events []event
		want   int
	}{
		{"60,000 connections", many(60_000, func(i int) string { return fmt.Sprint("C", i) }, func(int) string { return "" }), 60_000},
		{"one connection with totals that rise", many(50_000, func(int) string { return "C" }, func(int) string { return "" }), 1},
		{"and whose texts grow", many(3_000, func(int) string { return "C" }, func(i int) string { return strings.Repeat("x", i) }), 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			rows, most := joinEvents(t, &openBounds, memory, test.events)
			if len(rows) != test.want {
				t.Errorf("got %d rows, want %d", len(rows), test.want)
			}
			if most > memory+8<<10 {
				t.Errorf("the join took %d bytes, want at most %d", most, memory+8<<10)
			}
		})
	}
}

// If this fails, a damaged temporary file makes wrong rows or a panic.
func TestJoinDamagedConnections(t *testing.T) {
	events := randomConnections(rand.New(rand.NewPCG(9, 9)), 50)
	spool := &memorySpool{}
	c := NewConnections(&openBounds, spool, 1<<20)
	batchesOf(events, c.Add)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for part := range c.kept.parts {
		p := &c.kept.parts[part]
		for _, block := range p.blocks {
			whole := block.size
			for size := range whole {
				p.blocks[0].size = size
				j := NewJoiner(&openBounds, []*Connections{c}, connectionWant, 1<<20, func(*columnar.Batch) {})
				if err := j.Join(part); err != nil && !strings.Contains(err.Error(), errRun.Error()) {
					t.Fatalf("cut after %d bytes: got %v, want %v", size, err, errRun)
				}
			}
			p.blocks[0] = spooledBlock{block.at + 1, whole}
			j := NewJoiner(&openBounds, []*Connections{c}, connectionWant, 1<<20, func(*columnar.Batch) {})
			j.Join(part) // whatever it makes of it
			p.blocks[0] = block
		}
	}
	c.kept.parts[0].blocks = []spooledBlock{{spool.Size(), 100}}
	j := NewJoiner(&openBounds, []*Connections{c}, connectionWant, 1<<20, func(*columnar.Batch) {})
	if err := j.Join(0); err == nil || !strings.Contains(err.Error(), io.EOF.Error()) {
		t.Errorf("beyond the end: got %v, want %v", err, io.EOF)
	}
}

// BenchmarkConnections keeps and joins 100,000 connections, each with a record of its
// bytes and one of its name.
func BenchmarkConnections(b *testing.B) {
	var events []event
	for i := range 100_000 {
		texts := map[columnar.Col]string{columnar.UID: fmt.Sprintf("C%016x", i*7919), columnar.SrcIP: fmt.Sprintf("10.0.%d.%d", i%16, i%250),
			columnar.DstIP: fmt.Sprintf("198.51.%d.%d", i%90, i%249)}
		events = append(events, event{table: columnar.Network, feed: "zeek", object: "conn.log", record: int64(i + 1), us: testDay + int64(i)*1e5, texts: texts,
			ints: map[columnar.Col]int64{columnar.BytesOut: int64(i), columnar.BytesIn: int64(2 * i)}})
		named := maps.Clone(texts)
		named[columnar.DstHost] = fmt.Sprintf("host%d.site%d.example", i%7, i%20_000)
		events = append(events, event{table: columnar.Network, feed: "zeek", object: "ssl.log", record: int64(i + 1), us: testDay + int64(i)*1e5, texts: named})
	}
	slices.SortStableFunc(events, func(a, b event) int { return stdcmp.Compare(a.object, b.object) })
	var spent time.Duration // without making batches
	for b.Loop() {
		c := NewConnections(&openBounds, &memorySpool{}, 4<<20)
		batchesOf(events, func(batch *columnar.Batch) {
			begun := time.Now()
			c.Add(batch)
			spent += time.Since(begun)
		})
		begun := time.Now()
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
		rows := 0
		j := NewJoiner(&openBounds, []*Connections{c}, connectionWant, 16<<20, func(b *columnar.Batch) { rows += b.Len() })
		for part := range ConnectionParts {
			if err := j.Join(part); err != nil {
				b.Fatal(err)
			}
		}
		spent += time.Since(begun)
		if rows != 100_000 {
			b.Fatalf("got %d rows, want 100000", rows)
		}
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/float64(len(events)), "ns/record")
}
