package detect

import (
	"bytes"
	stdcmp "cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// An event is one row, for tests that build batches from rows.
type event struct {
	table  *columnar.Table
	feed   string
	object string
	record int64
	us     int64
	texts  map[columnar.Col]string
	ints   map[columnar.Col]int64
	copied bool // seen before, so that it does not count again
}

// serverFeed is the feed of logs of a server of the company's own.
const serverFeed = "web"

// feedTo folds events, in batches of one table, feed and object.
func feedTo(f Folder, a *Aggregate, events []event) { feedWith(f, a, &openBounds, events) }

// feedWith is feedTo for a table of other options.
func feedWith(f Folder, a *Aggregate, o *FoldOptions, events []event) {
	copied := map[int64]bool{} // records of the object
	out := &columnar.Out{Want: a.Reads, Sink: func(b *columnar.Batch) {
		if len(copied) > 0 {
			b.Repeat = make([]byte, (b.Len()+7)/8)
			for i, n := range b.Record {
				if copied[b.First+int64(n)] {
					b.Repeat[i>>3] |= 1 << (i & 7)
				}
			}
		}
		f.Fold(b)
	}}
	if a.Wants != nil {
		want := a.Wants(o)
		out.WantFields, out.WantEvents = want.Fields, want.Events
		out.Want |= want.Cols
		out.WantOf, out.WantServed = want.Of, want.Served
	}
	for _, e := range events {
		if !slices.Contains(a.Tables, e.table) {
			continue
		}
		if out.Feed != e.feed || out.Object != e.object {
			out.Flush()
			clear(copied)
			out.Feed, out.Object, out.Server = e.feed, e.object, e.feed == serverFeed
		}
		b := out.Table(e.table)
		b.SetTime(e.us)
		for c, v := range e.texts {
			b.SetText(c, []byte(v))
		}
		for c, v := range e.ints {
			b.SetInt(c, v)
		}
		if e.copied {
			copied[e.record] = true
		}
		b.Next(e.record)
	}
	out.Flush()
}

var openBounds = FoldOptions{From: math.MinInt64, To: math.MaxInt64, Destinations: true, Entropy: 3.8, Length: 60,
	Uploads: []string{"PUT", "POST", "CONNECT", ""}, Rules: testRules(), Model: &ModelOptions{Threshold: 0.001, Names: 7, Bytes: 20}}

const testDay = int64(20000) * 86400e6

func randomEvents(r *rand.Rand, n int) []event {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	record := map[string]int64{"b.log": math.MaxUint32 - 50}
	var out []event
	for range n {
		e := event{feed: pick("proxy", "proxy", "proxy", "cloud", "cloud", "cloud", serverFeed), object: pick("a.log", "b.log"), us: testDay + r.Int64N(2*86400e6), copied: r.IntN(10) == 0}
		if r.IntN(3) == 0 { // many at once
			e.us -= e.us % 43200e6
		}
		record[e.object]++
		e.record = record[e.object]
		e.texts = map[columnar.Col]string{
			columnar.User: pick("", "ann", "bob", "Bob "), columnar.SrcIP: pick("", "10.0.0.1", "10.0.0.1:99", "10.0.0.2"),
			columnar.Host: pick("", "pc1", "PC1"), columnar.Account: pick("", "", "", "", "", "", "", "111"),
		}
		e.ints = map[columnar.Col]int64{}
		if r.IntN(4) > 0 {
			e.ints[columnar.BytesOut] = r.Int64N(5) * 400e3
			if e.us%20 == 1 { // enough that a row keeps its hours
				e.ints[columnar.BytesOut] *= 10
			}
		}
		if r.IntN(4) > 0 {
			e.ints[columnar.BytesIn] = r.Int64N(1000)
		}
		if r.IntN(100) == 0 { // two of them are more than an int64 holds
			e.ints[columnar.BytesIn] = math.MaxInt64 - r.Int64N(1000)
		}
		switch r.IntN(4) {
		case 0:
			e.table = columnar.API
			e.texts[columnar.Resource] = pick("arn:aws:s3:::bucket/key", "arn:aws:s3:::other", "file.txt", "")
			e.texts[columnar.Service] = pick("s3", "box.com", "")
			e.texts[columnar.Operation] = pick("GetObject", "DOWNLOAD", "ListObjects")
			e.texts[columnar.Status] = pick("Success", "", "AccessDenied")
			e.texts[columnar.UserAgent] = pick("aws-cli/2.1", "aws-cli/2.2", "")
		case 1:
			e.table = columnar.HTTP
			e.texts[columnar.Method] = pick("GET", "PUT", "POST")
			e.texts[columnar.URLHost] = pick("www.example.co.uk", "example.co.uk", "a.b.example.org", "")
			e.texts[columnar.URLPath] = pick("/", "/logo.png", fmt.Sprintf("/%d.pdf", r.IntN(30)))
			e.ints[columnar.StatusCode] = []int64{200, 206, 304, 403}[r.IntN(4)]
		case 2:
			e.table = columnar.Network
			e.texts[columnar.DstIP] = pick("10.9.9.9", "198.51.100.7", "")
		default:
			e.table = columnar.DNS
			sub := strings.Repeat(pick("a", "bcd", "xyz12"), r.IntN(4)) + fmt.Sprint(r.IntN(20))
			e.texts[columnar.Domain] = pick("example.com", "example.co.uk")
			e.texts[columnar.Query] = sub + "." + e.texts[columnar.Domain]
			if r.IntN(2) == 0 { // 0x20
				e.texts[columnar.Query] = strings.ToUpper(e.texts[columnar.Query])
			}
			e.texts[columnar.QueryType] = pick("A", "TXT")
			e.texts[columnar.Rcode] = pick("NOERROR", "NXDOMAIN")
		}
		out = append(out, e)
	}
	return out
}

// If this fails, findings depend on how the input was split over workers,
// files or hours.
func TestMergeIsExact(t *testing.T) {
	for _, a := range Aggregates {
		t.Run(a.Name, func(t *testing.T) {
			for seed := range uint64(20) {
				r := rand.New(rand.NewPCG(seed, 1))
				events := randomEvents(r, 1+r.IntN(800))
				whole := a.New(&openBounds)
				feedTo(whole, a, events)
				want := merged(t, a, &openBounds, whole)

				r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
				split := make([]Folder, 1+r.IntN(6))
				for i := range split {
					split[i] = a.New(&openBounds)
					feedTo(split[i], a, events[i*len(events)/len(split):(i+1)*len(events)/len(split)])
				}
				if diff := cmp.Diff(want, merged(t, a, &openBounds, split...)); diff != "" {
					t.Fatalf("seed %d: split folds differ from the whole (-whole +split):\n%s", seed, diff)
				}
			}
		})
	}
}

// If this fails, a table leaves out a destination that got enough, from several workers
// together or before the table was last drained or shelved, or leaves out nothing.
func TestSift(t *testing.T) {
	pairs := func(f Folder) (n int) {
		for _, p := range f.(*uploads).sections.all {
			n += p.groups.Len() - 1
		}
		return n
	}
	before, after := 0, 0
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		var events []event
		for i := range 1 + r.IntN(2000) {
			host := fmt.Sprintf("site%d.example", r.IntN(100))
			if r.IntN(20) == 0 {
				host = fmt.Sprintf("bucket%d.s3.amazonaws.com", r.IntN(9))
			}
			events = append(events, event{table: columnar.HTTP, feed: fmt.Sprintf("f%d", r.IntN(2)), object: "o", record: int64(i + 1), us: testDay + r.Int64N(2*86400e6),
				texts: map[columnar.Col]string{columnar.User: fmt.Sprintf("user%d", r.IntN(3)), columnar.Method: "PUT", columnar.URLHost: host},
				ints:  map[columnar.Col]int64{columnar.BytesOut: r.Int64N(1e6) >> r.IntN(9)}})
			if r.IntN(50) == 0 {
				events[i].texts[columnar.Action] = "TCP_DENIED"
			}
		}
		whole := UserDestinationDay.New(&openBounds)
		feedTo(whole, UserDestinationDay, events)
		want := merged(t, UserDestinationDay, &openBounds, whole)

		var w Weights
		var runs []io.Reader
		var rest []Folder
		workers := 1 + r.IntN(4)
		for i := range workers {
			f := UserDestinationDay.New(&openBounds)
			of := events[i*len(events)/workers : (i+1)*len(events)/workers]
			spool := &memorySpool{}
			for range r.IntN(3) {
				some := r.IntN(len(of) + 1)
				feedTo(f, UserDestinationDay, of[:some])
				of = of[some:]
				f.(Sifter).Weigh(&w)
				before += pairs(f)
				if err := f.(Shelver).Shelve(spool, 1<<r.IntN(20)); err != nil {
					t.Fatal(err)
				}
				runs = append(runs, drained(t, f))
			}
			feedTo(f, UserDestinationDay, of)
			f.(Sifter).Weigh(&w)
			if r.IntN(3) > 0 {
				before += pairs(f)
				rest = append(rest, f)
				continue
			}
			for more := true; more; runs = append(runs, drained(t, f)) {
				var err error
				if more, err = f.(Shelver).Unshelve(); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, f := range rest {
			for more := true; more; runs = append(runs, drained(t, f)) {
				var err error
				if more, err = f.(Sifter).Sift(&w); err != nil {
					t.Fatal(err)
				}
				after += pairs(f)
			}
		}
		if diff := cmp.Diff(want, mergedRuns(t, UserDestinationDay, &openBounds, runs)); diff != "" {
			t.Fatalf("seed %d: sifted tables differ from the whole (-whole +sifted):\n%s", seed, diff)
		}
	}
	if after > before*3/4 {
		t.Errorf("of %d pairs %d are left, want a quarter left out", before, after)
	}
}

// If this fails, a sum of many bytes overflows and looks small.
func TestWeightsStayAtTheirEnd(t *testing.T) {
	var w Weights
	if got := w.most(7); got != 0 {
		t.Errorf("of nothing: got %d, want 0", got)
	}
	for _, n := range []int64{math.MaxUint32 - 1, 1, 1, math.MaxInt64, math.MaxInt64} {
		w.add(7, n)
	}
	if got := w.most(7); got != math.MaxUint32 {
		t.Errorf("got %d, want %d", got, uint32(math.MaxUint32))
	}
}

// merged returns the rows of what folders hold.
func merged(t testing.TB, a *Aggregate, o *FoldOptions, folders ...Folder) []Row {
	t.Helper()
	var runs []io.Reader
	for _, f := range folders {
		runs = append(runs, drained(t, f))
	}
	return mergedRuns(t, a, o, runs)
}

// drained returns the run of a table.
func drained(t testing.TB, f Folder) io.Reader {
	t.Helper()
	run := &bytes.Buffer{}
	w := NewRunWriter(1, run)
	f.Drain(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return run
}

func mergedRuns(t testing.TB, a *Aggregate, o *FoldOptions, runs []io.Reader) []Row {
	t.Helper()
	var rows []Row
	for row, err := range Merge(a, o, runs, &memorySpool{}) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, *row)
	}
	return rows
}

// If this fails, a busy pair, whose queries fill many records, is not merged like a quiet
// one.
func TestMergeOfBusyPair(t *testing.T) {
	const n = 5 * maxRecordQueries
	r := rand.New(rand.NewPCG(5, 5))
	events := make([]event, n)
	for i := range events {
		name := fmt.Sprintf("%s%d.example.com", strings.Repeat("n", r.IntN(9)), r.IntN(500))
		events[i] = event{table: columnar.DNS, feed: "f", object: "o", record: int64(i + 1), us: testDay + r.Int64N(86400e6),
			texts: map[columnar.Col]string{columnar.SrcIP: "10.0.0.1", columnar.Query: name, columnar.Domain: "example.com",
				columnar.QueryType: "TXT"}}
	}
	fold := func(events []event) Folder {
		f := DNSPair.New(&openBounds)
		feedTo(f, DNSPair, events)
		return f
	}
	want := merged(t, DNSPair, &openBounds, fold(events))
	// Parts so small that each of their pairs has one record.
	var pieces []Folder
	for piece := range slices.Chunk(events, maxRecordQueries/7) {
		pieces = append(pieces, fold(piece))
	}
	if diff := cmp.Diff(want, merged(t, DNSPair, &openBounds, pieces...)); diff != "" {
		t.Fatalf("-whole +pieces:\n%s", diff)
	}
	if len(want) != 1 || want[0].Events != n || want[0].Rare != n {
		t.Fatalf("got %+v, want one row of %d queries", want, n)
	}
}

// If this fails, an entity's day is in several shards of the runs, or its rows
// depend on how many there are.
func TestMergeOfShards(t *testing.T) {
	for _, a := range Aggregates {
		r := rand.New(rand.NewPCG(11, 11))
		events := randomEvents(r, 2000)
		for i := range events { // names that contain the separators of keys
			if e := &events[i]; r.IntN(4) == 0 {
				e.feed, e.texts[columnar.User] = "a\x00", "b\x00\x01c"
			}
		}
		const workers, n = 3, 4
		runs := make([][]bytes.Buffer, n)
		var whole []Folder
		for i := range workers {
			part := events[i*len(events)/workers : (i+1)*len(events)/workers]
			f := a.New(&openBounds)
			feedTo(f, a, part)
			whole = append(whole, f)
			f = a.New(&openBounds)
			feedTo(f, a, part)
			var writers []io.Writer
			for shard := range runs {
				runs[shard] = append(runs[shard], bytes.Buffer{})
			}
			for shard := range runs {
				writers = append(writers, &runs[shard][i])
			}
			w := NewRunWriter(1, writers...)
			f.Drain(w)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		type owner struct {
			day                Day
			feed, kind, entity string
		}
		shardOf := map[owner]int{}
		var got []Row
		for shard := range runs {
			var readers []io.Reader
			for i := range runs[shard] {
				readers = append(readers, &runs[shard][i])
			}
			for row, err := range Merge(a, &openBounds, readers, nil) {
				if err != nil {
					t.Fatal(err)
				}
				o := owner{row.Day, row.Feed, row.EntityType, row.Entity}
				if before, ok := shardOf[o]; ok && before != shard {
					t.Errorf("%s: %v is in shards %d and %d", a.Name, o, before, shard)
				}
				shardOf[o] = shard
				got = append(got, *row)
			}
		}
		slices.SortStableFunc(got, func(x, y Row) int {
			if x.Day != y.Day {
				return int(x.Day - y.Day)
			}
			return x.Key.Compare(y.Key)
		})
		if diff := cmp.Diff(merged(t, a, &openBounds, whole...), got); diff != "" {
			t.Errorf("%s: -one shard +%d:\n%s", a.Name, n, diff)
		}
	}
}

// If this fails, a damaged temporary file gives wrong rows, or ends the process.
func TestMergeOfDamagedRun(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for _, a := range Aggregates {
		f := a.New(&openBounds)
		feedTo(f, a, randomEvents(r, 300))
		var run bytes.Buffer
		w := NewRunWriter(1, &run)
		f.Drain(w)
		w.Close()
		read := func(b []byte) (err error) {
			for _, e := range Merge(a, &openBounds, []io.Reader{bytes.NewReader(b)}, nil) {
				err = e
			}
			return err
		}
		if err := read(run.Bytes()); err != nil {
			t.Fatalf("%s: %v", a.Name, err)
		}
		for n := range run.Len() {
			read(run.Bytes()[:n]) // must not panic; a cut between records cannot be detected
			b := bytes.Clone(run.Bytes())
			b[n] ^= 1 << r.IntN(8)
			read(b)
		}
		if err := read(run.Bytes()[:run.Len()-1]); !errors.Is(err, errRun) {
			t.Errorf("%s: a run without its last byte: got %v, want %v", a.Name, err, errRun)
		}
	}
}

// If this fails, a sliding window is not exact. The test compares the fold with a
// window that is counted from scratch at every query.
func TestDNSPairWindows(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 50 {
		var events []event
		for i := range 1 + r.IntN(200) {
			sub := strings.Repeat("x", r.IntN(30))
			name := sub + ".example.com"
			if sub == "" {
				name = "example.com"
			}
			events = append(events, event{table: columnar.DNS, feed: "f", object: "o", record: int64(i + 1),
				us:    testDay + r.Int64N(20*60*1e6),
				texts: map[columnar.Col]string{columnar.SrcIP: "10.0.0.1", columnar.Query: name, columnar.Domain: "example.com"}})
		}
		f := DNSPair.New(&openBounds)
		feedTo(f, DNSPair, events)
		rows := merged(t, DNSPair, &openBounds, f)
		if len(rows) != 1 {
			t.Fatalf("got %d rows, want 1", len(rows))
		}
		var most, bytes, distinct int64
		for _, start := range events {
			var n, size int64
			seen := map[string]bool{}
			for _, e := range events {
				if e.us < start.us || e.us >= start.us+5*60*1e6 {
					continue
				}
				n++
				q := e.texts[columnar.Query]
				if !seen[q] {
					seen[q] = true
					size += int64(max(0, len(q)-len("example.com")-1))
				}
			}
			most, bytes, distinct = max(most, n), max(bytes, size), max(distinct, int64(len(seen)))
		}
		if rows[0].WindowEvents != most || rows[0].WindowBytes != bytes || rows[0].WindowNames != distinct {
			t.Fatalf("got %d queries, %d names and %d bytes in a window, want %d, %d and %d", rows[0].WindowEvents, rows[0].WindowNames, rows[0].WindowBytes, most, distinct, bytes)
		}
	}
}

// If this fails, queries of one batch change each other's result. The batch has new and
// known names, and rows without a client or a name.
func TestDNSPairFoldsBatches(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	var events []event
	type pair struct{ client, domain string }
	names := map[pair]map[string]int64{} // queries of each
	for i := range 3 * columnar.BatchRows {
		p := pair{fmt.Sprintf("10.0.0.%d", r.IntN(40)), fmt.Sprintf("example%d.com", r.IntN(200))}
		name := fmt.Sprintf("%s%d.%s", strings.Repeat("s", r.IntN(40)), r.IntN(4), p.domain)
		e := event{table: columnar.DNS, feed: "f", object: "o", record: int64(i + 1), us: testDay + r.Int64N(86400e6),
			texts: map[columnar.Col]string{columnar.SrcIP: p.client, columnar.Query: name, columnar.Domain: p.domain}}
		switch r.IntN(20) {
		case 0:
			delete(e.texts, columnar.SrcIP)
		case 1:
			delete(e.texts, columnar.Query)
		case 2:
			e.texts[columnar.Query] = strings.ToUpper(name)
			fallthrough
		default:
			if names[p] == nil {
				names[p] = map[string]int64{}
			}
			names[p][name]++
		}
		events = append(events, e)
	}
	f := DNSPair.New(&openBounds)
	feedTo(f, DNSPair, events)
	rows := merged(t, DNSPair, &openBounds, f)
	if len(rows) != len(names) {
		t.Fatalf("got %d pairs, want %d", len(rows), len(names))
	}
	for _, row := range rows {
		asked := names[pair{row.Entity, row.Object}]
		want := Summary{Names: int64(len(asked))}
		texts := slices.SortedFunc(maps.Keys(asked), func(a, b string) int {
			return stdcmp.Or(stdcmp.Compare(len(b), len(a)), stdcmp.Compare(a, b))
		})
		for _, name := range texts {
			want.Events += asked[name]
			want.NameBytes += int64(len(name) - len(row.Object) - 1)
		}
		want.MaxLength = int64(len(texts[0]) - len(row.Object) - 1)
		want.Examples = texts[:min(len(texts), 3)]
		got := Summary{Names: row.Names, Events: row.Events, NameBytes: row.NameBytes, MaxLength: row.MaxLength, Examples: row.Examples}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s and %s (-want +got):\n%s", row.Entity, row.Object, diff)
		}
	}
}

// If this fails, names without an existing top-level domain are not one group, or some
// of them are lost.
func TestDNSPairNoTopLevel(t *testing.T) {
	var events []event
	for i, name := range []string{"dnscat.00aa.11bb22", "DNSCAT.00aa.11bb22", "dnscat.33cc.44dd", "abcdefghijklmnopqrstuvwxyz"} {
		events = append(events, event{table: columnar.DNS, feed: "f", object: "o", record: int64(i + 1), us: testDay + int64(i),
			texts: map[columnar.Col]string{columnar.SrcIP: "10.0.0.1", columnar.Query: name}})
	}
	f := DNSPair.New(&openBounds)
	feedTo(f, DNSPair, events)
	rows := merged(t, DNSPair, &openBounds, f)
	if len(rows) != 1 {
		t.Fatalf("got %d rows, want 1", len(rows))
	}
	r := rows[0]
	got := Summary{Names: r.Names, Events: r.Events, NameBytes: r.NameBytes, MaxLength: r.MaxLength, WindowNames: r.WindowNames, Examples: r.Examples}
	want := Summary{Names: 3, Events: 4, NameBytes: 18 + 16 + 26, MaxLength: 26, WindowNames: 3,
		Examples: []string{"abcdefghijklmnopqrstuvwxyz", "dnscat.00aa.11bb22", "dnscat.33cc.44dd"}}
	if diff := cmp.Diff(want, got); diff != "" || r.Object != noTopLevel {
		t.Errorf("%s (-want +got):\n%s", r.Object, diff)
	}
}

// If this fails, bytes are added to the wrong entity, object or day, or counted
// where they did not leave. Sums by hand.
func TestVolumes(t *testing.T) {
	at := func(hour int64) int64 { return testDay + hour*3600e6 }
	texts := func(kv ...string) map[columnar.Col]string {
		m := map[columnar.Col]string{}
		for i := 0; i < len(kv); i += 2 {
			c, _ := columnar.ColNamed(kv[i])
			m[c] = kv[i+1]
		}
		return m
	}
	out := func(n int64) map[columnar.Col]int64 { return map[columnar.Col]int64{columnar.BytesOut: n} }
	events := []event{
		{columnar.HTTP, "f", "o", 1, at(1), texts("user", "ann", "src_ip", "10.0.0.1", "method", "PUT", "url_host", "up.example.com"), out(1e6), false},
		{columnar.HTTP, "f", "o", 2, at(23), texts("user", "ann", "src_ip", "10.0.0.2", "method", "GET", "url_host", "up.example.com"), out(7), false},
		{columnar.HTTP, "f", "o", 3, at(24), texts("user", "ann", "method", "PUT", "url_host", "up.example.com"), out(2e6), false},
		{columnar.HTTP, "f", "o", 4, at(2), texts("src_ip", "10.0.0.1", "method", "POST", "url_host", "up.example.com"), nil, false},
		{columnar.Network, "f", "o", 5, at(3), texts("src_ip", "10.0.0.1", "dst_ip", "192.168.3.4"), out(1000), false},
		{columnar.Network, "f", "o", 6, at(3), texts("src_ip", "10.0.0.1", "dst_ip", "203.0.113.9"), out(3e6), false},
		{columnar.HTTP, "f", "o", 7, at(4), texts("method", "POST", "url_host", "up.example.com"), out(9), false}, // nobody
		{columnar.HTTP, "f", "o", 8, at(5), texts("user", "bob", "src_ip", "10.0.0.1", "method", "PUT", "url_host", "x.org"), out(math.MaxInt64), false},
		{columnar.HTTP, "f", "o", 9, at(5), texts("user", "bob", "src_ip", "10.0.0.1", "method", "PUT", "url_host", "x.org"), out(math.MaxInt64 - 1), false},
	}
	show := func(a *Aggregate) string {
		f := a.New(&openBounds)
		feedTo(f, a, events)
		var b strings.Builder
		for _, r := range merged(t, a, &openBounds, f) {
			fmt.Fprintf(&b, "%d %s %s %s %q events=%d out=%d known=%d from=%d %s\n", int64(r.Day)-20000, r.Feed, r.EntityType, r.Entity, r.Object, r.Events, r.BytesOut, r.KnownOut, r.Addresses, r.Evidence)
		}
		return b.String()
	}
	for _, c := range []struct {
		a    *Aggregate
		want string
	}{
		{UserDay, `0 f src_ip 10.0.0.1 "" events=1 out=0 known=0 from=0 
0 f user ann "" events=2 out=1000007 known=2 from=2 o:1
0 f user bob "" events=2 out=9223372036854775807 known=2 from=1 o:8
0 f/network src_ip 10.0.0.1 "" events=1 out=3000000 known=1 from=0 o:6
1 f user ann "" events=1 out=2000000 known=1 from=0 o:3
`},
		{UserDestinationDay, `0 f src_ip 10.0.0.1 "" events=1 out=0 known=0 from=0 
0 f user ann "" events=1 out=1000000 known=1 from=0 o:1
0 f user ann "example.com" events=1 out=1000000 known=1 from=0 o:1
0 f user bob "" events=2 out=9223372036854775807 known=2 from=0 o:8
0 f user bob "x.org" events=2 out=9223372036854775807 known=2 from=0 o:8
0 f/network src_ip 10.0.0.1 "" events=1 out=3000000 known=1 from=0 o:6
0 f/network src_ip 10.0.0.1 "203.0.113.9" events=1 out=3000000 known=1 from=0 o:6
1 f user ann "" events=1 out=2000000 known=1 from=0 o:3
1 f user ann "example.com" events=1 out=2000000 known=1 from=0 o:3
`},
	} {
		if got := show(c.a); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.a.Name, got, c.want)
		}
	}
}

// A refolder folds its first batch again and again.
type refolder struct {
	Folder
	b *testing.B
}

func (f refolder) Fold(batch *columnar.Batch) {
	for f.b.Loop() {
		f.Folder.Fold(batch)
	}
	f.b.ReportMetric(float64(f.b.Elapsed().Nanoseconds())/float64(f.b.N)/float64(batch.Len()), "ns/row")
}

// BenchmarkFold folds one batch of a table that the aggregate reads, of 5,000
// users within half an hour.
func BenchmarkFold(b *testing.B) {
	for _, a := range Aggregates {
		b.Run("aggregate="+a.Name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			events := make([]event, columnar.BatchRows)
			for i := range events {
				domain := fmt.Sprintf("example%d.com", r.IntN(300))
				events[i] = event{a.Tables[0], "f", "o", int64(i + 1), testDay + int64(i)*100e3, map[columnar.Col]string{
					columnar.User: fmt.Sprintf("user%d", r.IntN(5000)), columnar.SrcIP: fmt.Sprintf("10.0.%d.%d", r.IntN(80), r.IntN(250)),
					columnar.Service: "s3", columnar.Operation: "GetObject", columnar.UserAgent: fmt.Sprintf("aws-cli/2.%d", r.IntN(9)),
					columnar.Resource: fmt.Sprintf("arn:aws:s3:::bucket%d/key%d", r.IntN(50), i),
					columnar.Domain:   domain, columnar.Query: fmt.Sprintf("www%d.%s", r.IntN(20), domain), columnar.QueryType: "A", columnar.URLHost: domain,
				}, map[columnar.Col]int64{columnar.BytesOut: r.Int64N(1e6), columnar.BytesIn: r.Int64N(1e6)}, false}
			}
			feedTo(refolder{a.New(&openBounds), b}, a, events)
		})
	}
}
