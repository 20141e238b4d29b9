package detect

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

var resolveBounds = func() FoldOptions { o := openBounds; o.Resolve = true; return o }()

// namedRows folds events of connections and of DNS, each part by a worker of its own that
// spills after every spill-th batch, and returns the rows of user_destination_day as text.
func namedRows(t testing.TB, memory, spill int, workers ...[]event) (rows []string) {
	t.Helper()
	return namedRowsBy(t, 0, memory, spill, workers...)
}

// namedRowsBy is namedRows, but the workers send what they have to joins, unless there are none.
func namedRowsBy(t testing.TB, joins, memory, spill int, workers ...[]event) (rows []string) {
	t.Helper()
	o := resolveBounds
	var all []*Answers
	var runs []io.Reader
	drain := func(of func(*RunWriter)) {
		var run strings.Builder
		w := NewRunWriter(1, &run)
		of(w)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, strings.NewReader(run.String()))
	}
	for _, events := range workers {
		a, f := NewAnswers(&o, &memorySpool{}, memory), newUploads(&o)
		out := &columnar.Out{Want: UserDestinationDay.Reads | AnswerColumns, Sink: func(b *columnar.Batch) {
			a.Add(b)
			if b.Table == columnar.Network {
				f.Fold(b)
			}
		}}
		for len(events) > 0 {
			n := min(len(events), spill)
			putEvents(out, events[:n])
			events = events[n:]
			f.Ask(a)
			drain(f.Drain)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	parts := [][]*Answers{all}
	if joins > 0 {
		parts = nil
		for _, a := range joinedAnswers(t, &o, memory, joins, all) {
			parts = append(parts, []*Answers{a})
		}
	}
	for _, all := range parts {
		r := NewResolver(&o, all, memory)
		for part := range ConnectionParts {
			if err := r.Resolve(part); err != nil {
				t.Fatal(err)
			}
			if r.Size() > memory/8 {
				drain(r.Drain)
			}
		}
		drain(r.Drain)
	}
	for row, err := range Merge(UserDestinationDay, &o, runs, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Object == "" {
			rows = append(rows, fmt.Sprintf("%s %s %s uses %s", row.Day, row.EntityType, row.Entity, strings.Join(row.Destinations, " ")))
			continue
		}
		by := ""
		if row.AnswerTime != 0 {
			by = fmt.Sprintf(" by=%s@%d", row.AnswerTo, (row.AnswerTime-testDay)/60e6)
		}
		rows = append(rows, fmt.Sprintf("%s %s %s %s events=%d out=%d peak=%s%s", row.Day, row.EntityType, row.Entity, row.Object,
			row.Events, row.BytesOut, row.Evidence, by))
	}
	return rows
}

func flowEvent(us int64, user, client, server string, bytes int64, record int64) event {
	return event{table: columnar.Network, feed: "flow", object: "f", record: record, us: us,
		texts: map[columnar.Col]string{columnar.User: user, columnar.SrcIP: client, columnar.DstIP: server}, ints: map[columnar.Col]int64{columnar.BytesOut: bytes}}
}

func answerEvent(us int64, client, name, answers string) event {
	return event{table: columnar.DNS, feed: "dns", object: "d", record: 1, us: us,
		texts: map[columnar.Col]string{columnar.SrcIP: client, columnar.Query: name, columnar.QueryType: "A", columnar.Answers: answers}}
}

// If this fails, an address goes under a name that is not its name, or keeps being an
// address although the client asked for its name.
func TestNamesByDNS(t *testing.T) {
	const minute = 60e6
	at := func(m int64) int64 { return testDay + m*minute }
	day := DayOf(testDay).String()
	flow := flowEvent(at(600), "", "10.0.0.1", "203.0.113.9", 5e9, 7)
	named := func(name, by string) []string {
		return []string{
			fmt.Sprintf("%s src_ip 10.0.0.1 uses %s", day, name),
			fmt.Sprintf("%s src_ip 10.0.0.1 %s events=1 out=5000000000 peak=f:7%s", day, name, by),
		}
	}
	bare := named("203.0.113.9", "")
	answer := func(m int64, client, name string) event { return answerEvent(at(m), client, name, "203.0.113.9") }
	for _, c := range []struct {
		name   string
		events []event
		want   []string
	}{
		{"named, in capitals, among other answers", []event{flow, answerEvent(at(599), "10.0.0.1", "G.API.Mega.co.nz", "alias.example,203.0.113.8,203.0.113.9")}, named("g.api.mega.co.nz", " by=10.0.0.1@599")},
		{"not a cloud service", []event{flow, answer(0, "10.0.0.1", "www.shop.example.org")}, named("example.org", " by=10.0.0.1@0")},
		{"other client asked", []event{flow, answer(599, "10.0.0.2", "mega.nz")}, bare},
		{"other address", []event{flow, answerEvent(at(599), "10.0.0.1", "mega.nz", "203.0.113.90")}, bare},
		{"asked after the connection only", []event{flow, answer(602, "10.0.0.1", "mega.nz")}, bare},
		{"asked in the second of the connection", []event{flow, answerEvent(at(600)+5e5, "10.0.0.1", "mega.nz", "203.0.113.9")}, named("mega.nz", " by=10.0.0.1@600")},
		{"asked after the connection, and then before it", []event{flow, answer(602, "10.0.0.1", "mega.nz"), answer(3, "10.0.0.1", "mega.nz")}, named("mega.nz", " by=10.0.0.1@3")},
		{"other name asked for after the connection", []event{flow, answer(602, "10.0.0.1", "example.org"), answer(3, "10.0.0.1", "mega.nz")}, named("mega.nz", " by=10.0.0.1@3")},
		{"asked on the day before", []event{flow, answer(-1, "10.0.0.1", "mega.nz")}, bare},
		{"asked on the day before and again", []event{flow, answer(-1, "10.0.0.1", "mega.nz"), answer(1, "10.0.0.1", "mega.nz")}, named("mega.nz", " by=10.0.0.1@1")},
		{"two servers of a service", []event{flow, answer(5, "10.0.0.1", "gfs1.userstorage.mega.co.nz"), answer(6, "10.0.0.1", "gfs21.userstorage.mega.co.nz")}, named("userstorage.mega.co.nz", " by=10.0.0.1@5")},
		{"two domains of a service", []event{flow, answer(5, "10.0.0.1", "mega.nz"), answer(6, "10.0.0.1", "g.api.mega.co.nz")}, named("g.api.mega.co.nz", " by=10.0.0.1@5")},
		{"two services", []event{flow, answer(5, "10.0.0.1", "mega.nz"), answer(6, "10.0.0.1", "www.dropbox.com")}, bare},
		{"shared by three domains", []event{flow, answer(5, "10.0.0.1", "a.example.org"), answer(6, "10.0.0.1", "mega.nz"), answer(6, "10.0.0.1", "b.example.com")}, bare},
		{"domains under one public suffix", []event{flow, answer(5, "10.0.0.1", "a.co.uk"), answer(6, "10.0.0.1", "b.co.uk")}, bare},
		{"a text that is an address", []event{flow, func() event {
			e := answer(5, "10.0.0.1", "txt.example.org")
			e.texts[columnar.QueryType] = "TXT"
			return e
		}()}, bare},
		{"two addresses become one destination", []event{flow, flowEvent(at(700), "", "10.0.0.1", "2001:db8::9", 2e6, 8),
			answer(5, "10.0.0.1", "mega.nz"), answerEvent(at(4), "10.0.0.1", "mega.nz", "2001:DB8:0::9")},
			[]string{day + " src_ip 10.0.0.1 uses mega.nz", day + " src_ip 10.0.0.1 mega.nz events=2 out=5002000000 peak=f:7 by=10.0.0.1@4"}},
		{"a small connection is named in the list", []event{flow, flowEvent(at(700), "", "10.0.0.1", "203.0.113.10", 10, 8), answerEvent(at(4), "10.0.0.1", "www.example.org", "203.0.113.10")},
			[]string{day + " src_ip 10.0.0.1 uses 203.0.113.9 example.org", bare[1]}},
		{"a user, from one address that asked and one that did not", []event{flowEvent(at(600), "ann", "10.0.0.1", "203.0.113.9", 2e6, 7), flowEvent(at(601), "ann", "10.0.0.2", "203.0.113.9", 3e6, 8), answer(5, "10.0.0.2", "mega.nz")},
			[]string{day + " user ann uses mega.nz", day + " user ann mega.nz events=2 out=5000000 peak=f:8 by=10.0.0.2@5"}},
		{"another user at the address that asked", []event{flowEvent(at(600), "ann", "10.0.0.1", "203.0.113.9", 1e6, 7), flowEvent(at(600), "bob", "10.0.0.2", "203.0.113.9", 1e6, 8), answer(5, "10.0.0.1", "mega.nz")},
			[]string{day + " user ann uses mega.nz", day + " user ann mega.nz events=1 out=1000000 peak=f:7 by=10.0.0.1@5",
				day + " user bob uses 203.0.113.9", day + " user bob 203.0.113.9 events=1 out=1000000 peak=f:8"}},
		{"a user asked from where it made another connection", []event{flowEvent(at(600), "ann", "10.0.0.1", "203.0.113.9", 1e6, 7), flowEvent(at(600), "ann", "10.0.0.2", "203.0.113.10", 1e6, 8), answer(5, "10.0.0.2", "mega.nz")},
			[]string{day + " user ann uses 203.0.113.10 203.0.113.9", day + " user ann 203.0.113.10 events=1 out=1000000 peak=f:8", day + " user ann 203.0.113.9 events=1 out=1000000 peak=f:7"}},
		{"an address that is inside", []event{flowEvent(at(600), "", "10.0.0.1", "10.9.9.9", 5e9, 7), answerEvent(at(5), "10.0.0.1", "files.corp.example", "10.9.9.9")}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, namedRows(t, 1<<20, 1<<10, c.events)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// If this fails, what an address is called depends on how logs are divided among
// workers, on their order, or on the memory.
func TestNamesByDNSSplit(t *testing.T) {
	shared, named := 0, 0
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 5))
		var events []event
		for i := range 600 {
			us := testDay + r.Int64N(2*86400e6)
			client, server := fmt.Sprintf("10.0.0.%d", r.IntN(6)), fmt.Sprintf("203.0.113.%d", r.IntN(12))
			if i%2 == 0 {
				user := []string{"", "ann", "bob"}[r.IntN(3)]
				events = append(events, flowEvent(us, user, client, server, 3e5+r.Int64N(3e6), int64(i)))
			} else {
				name := fmt.Sprintf("h%d.site%d.example", r.IntN(3), r.IntN(12)/11+r.IntN(20)/19)
				events = append(events, answerEvent(us, client, name, server+",198.51.100.1"))
			}
		}
		want := namedRows(t, 1<<20, 1<<10, events)
		for _, row := range want {
			if strings.Contains(row, " by=") {
				named++
			} else if !strings.Contains(row, " uses ") {
				shared++
			}
		}
		for range 3 {
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			var split [][]event
			for rest := events; len(rest) > 0; {
				n := 1 + r.IntN(len(rest))
				split = append(split, rest[:n])
				rest = rest[n:]
			}
			if diff := cmp.Diff(want, namedRowsBy(t, r.IntN(4), 1+r.IntN(1<<14), 1+r.IntN(200), split...)); diff != "" {
				t.Fatalf("seed %d, %d workers (-whole +split):\n%s", seed, len(split), diff)
			}
		}
	}
	if named < 50 || shared < 50 {
		t.Errorf("%d rows were named and %d not, too few for a test", named, shared)
	}
}

// If this fails, the order in which names are met decides what an address is called.
func TestAddressNameMerge(t *testing.T) {
	names := []string{"mega.nz", "g.api.mega.co.nz", "gfs1.userstorage.mega.co.nz", "www.dropbox.com", "dropbox.com", "a.example.org", "b.example.org", "example.org", "example.com", "org", "co.uk", "a.co.uk"}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		parts := make([]addressName, 2+r.IntN(5))
		for i := range parts {
			parts[i] = nameOf(names[r.IntN(len(names))], testDay+r.Int64N(3), fmt.Sprint("10.0.0.", r.IntN(3)))
		}
		var want, left addressName
		for _, p := range parts {
			want.merge(p)
		}
		r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		at := r.IntN(len(parts))
		var right addressName
		for i, p := range parts {
			if i < at {
				left.merge(p)
			} else {
				right.merge(p)
			}
		}
		if left.merge(right); left != want {
			t.Fatalf("%v: got %+v, want %+v", parts, left, want)
		}
	}
}

// If this fails, a damaged temporary file makes wrong names or a panic.
func TestResolveDamaged(t *testing.T) {
	o := resolveBounds
	spool := &memorySpool{}
	a, f := NewAnswers(&o, spool, 1<<20), newUploads(&o)
	putEvents(&columnar.Out{Want: UserDestinationDay.Reads | AnswerColumns, Sink: func(b *columnar.Batch) {
		if a.Add(b); b.Table == columnar.Network {
			f.Fold(b)
		}
	}}, []event{flowEvent(testDay+1, "", "10.0.0.1", "203.0.113.9", 5e9, 7), answerEvent(testDay, "10.0.0.1", "mega.nz", "203.0.113.9")})
	f.Ask(a)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	part := slices.IndexFunc(a.kept.parts[:], func(p spooledPart) bool { return len(p.blocks) > 0 })
	for _, blocks := range [][]spooledBlock{a.kept.parts[part].blocks, a.asked.parts[part].blocks} {
		whole := blocks[0]
		for size := range whole.size {
			if size == 0 {
				continue
			}
			blocks[0].size = size
			r := NewResolver(&o, []*Answers{a}, 1<<20)
			if err := r.Resolve(part); err == nil || !strings.Contains(err.Error(), errRun.Error()) {
				t.Errorf("cut after %d bytes: got %v, want %v", size, err, errRun)
			}
			blocks[0] = spooledBlock{whole.at + 1, whole.size - 1}
			NewResolver(&o, []*Answers{a}, 1<<20).Resolve(part) // whatever it makes of it
		}
		blocks[0] = whole
	}
}

// BenchmarkAnswers keeps the answers of a batch: 5,000 clients that ask for some of
// 20,000 names, a third of them again and again.
func BenchmarkAnswers(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	events := make([]event, columnar.BatchRows)
	for i := range events {
		n := int(20000 * r.Float64() * r.Float64() * r.Float64())
		answers := fmt.Sprintf("203.%d.%d.7", n/250, n%250)
		if n%3 == 0 {
			answers += ",198.51.100.3"
		}
		if n%4 == 0 {
			answers = "" // no such name
		}
		events[i] = answerEvent(testDay+int64(i)*100e3, fmt.Sprintf("10.0.%d.%d", r.IntN(20), r.IntN(250)), fmt.Sprintf("www%d.example%d.com", n%20, n), answers)
	}
	o := resolveBounds
	spool := &memorySpool{}
	a := NewAnswers(&o, spool, 1<<20)
	b.ReportAllocs()
	putEvents(&columnar.Out{Want: AnswerColumns, Sink: func(batch *columnar.Batch) {
		for b.Loop() {
			clear(a.recent)
			spool.Reset()
			a.Add(batch)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(batch.Len()), "ns/row")
	}}, events)
}
