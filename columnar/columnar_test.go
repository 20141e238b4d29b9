package columnar

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"golang.org/x/net/publicsuffix"
)

// randomText returns short and long texts, with repetitions and shared starts.
func randomText(r *rand.Rand) []byte {
	n := r.IntN(80)
	if r.IntN(4) == 0 {
		n = r.IntN(4)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = "ab\x00"[r.IntN(3)]
	}
	return b
}

func TestDict(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	d := NewDict()
	codes := map[string]int32{"": 0}
	texts := []string{""}
	var kept [][]byte
	for range 100_000 {
		text := randomText(r)
		want, seen := codes[string(text)]
		if !seen {
			want = int32(len(texts))
			codes[string(text)] = want
			texts = append(texts, string(text))
		}
		if got := d.Code(text); got != want {
			t.Fatalf("Code(%q): got %d, want %d", text, got, want)
		}
		if !seen {
			kept = append(kept, d.Text(want))
		}
		clear(text) // the Dict must have copied it
	}
	if d.Len() != len(texts) || d.Len() < 10_000 {
		t.Errorf("got %d texts, want %d", d.Len(), len(texts))
	}
	size := 0
	for code, text := range texts {
		if got := d.Text(int32(code)); string(got) != text {
			t.Fatalf("Text(%d): got %q, want %q", code, got, text)
		}
		if code > 0 && string(kept[code-1]) != text {
			t.Fatalf("text %d did not stay valid: got %q, want %q", code, kept[code-1], text)
		}
		size += len(text)
	}
	if d.Size() != size {
		t.Errorf("got size %d, want %d", d.Size(), size)
	}
	text := []byte("seen before")
	d.Code(text)
	if n := testing.AllocsPerRun(100, func() { d.Code(text) }); n != 0 {
		t.Errorf("Code of a known text: got %v allocations, want 0", n)
	}
}

// If this fails, cells of a column have the text of another cell, perhaps only on
// some machines, or every look-up takes the slow path.
func TestDictCodes(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for by, find := range map[string]func(d *Dict, codes []int32, data []byte, spans []Span) uint64{"find": (*Dict).find, "findWords": (*Dict).findWords} {
		d, want := NewDict(), NewDict()
		known, found := 0, 0
		for range 3000 {
			var data []byte
			var spans []Span
			for range 1 + r.IntN(150) {
				text := randomText(r)
				if r.IntN(3) == 0 && d.Len() > 1 {
					text = d.Text(int32(r.IntN(d.Len())))
				}
				begin := uint32(len(data))
				data = append(data, text...)
				spans = append(spans, Span{begin, uint32(len(data))})
				data = append(data, "abab\x00\x00"[:r.IntN(7)]...)
			}
			some := spans[:min(len(spans), 64)]
			codes := make([]int32, len(spans))
			missed := find(d, codes, data, some)
			for i, s := range some {
				text := data[s.Begin:s.End]
				if missed>>i&1 == 0 {
					if got := d.Text(codes[i]); string(got) != string(text) {
						t.Fatalf("%s: got %q, want %q", by, got, text)
					}
					known, found = known+1, found+1
				} else if n := d.Len(); d.Code(text) < int32(n) && int(s.Begin)+room <= len(data) && len(text) <= longest {
					known++
				}
				want.Code(text)
			}
			d.Codes(codes, data, spans)
			for i, s := range spans {
				if code := want.Code(data[s.Begin:s.End]); codes[i] != code {
					t.Fatalf("%q: got code %d, want %d", data[s.Begin:s.End], codes[i], code)
				}
			}
		}
		if found*4 < known*3 {
			t.Errorf("%s found %d of %d texts", by, found, known)
		}
	}
}

// Texts that occur in logs must not share hashes, short texts least of all.
func TestHash(t *testing.T) {
	for _, test := range []struct {
		name string
		hash func([]byte) uint64
	}{{"hash", hash}, {"longHash", longHash}} {
		t.Run(test.name, func(t *testing.T) { checkHash(t, test.hash) })
	}
}

func checkHash(t *testing.T, hash func([]byte) uint64) {
	seen := map[uint64]string{}
	add := func(text string) {
		h := hash([]byte(text))
		if other, ok := seen[h]; ok && other != text {
			t.Errorf("%q and %q have the same hash", text, other)
		}
		seen[h] = text
	}
	for a := range 256 {
		add(string([]byte{byte(a)}))
		for b := range 256 {
			add(string([]byte{byte(a), byte(b)}))
		}
	}
	for i := range 100_000 {
		add(fmt.Sprint(i))
		add(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
		add(fmt.Sprintf("host-%06d.example.com", i))
	}
	for n := range 100 {
		add(strings.Repeat("\x00", n))
		for at := range n {
			add(strings.Repeat("a", at) + "b" + strings.Repeat("a", n-at-1))
		}
	}
	for i := range 1000 { // the first and the last half are the same
		add(strings.Repeat(fmt.Sprintf("%032d", i), 2))
	}
}

// If this fails, rows are counted in another row's group when their groups are
// looked up together.
func TestGroupsSlots(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	together, alone := NewGroups(), NewGroups()
	for range 500 {
		n := r.IntN(200) // as many as it takes at once, more, and fewer
		a, b := make([]uint32, n), make([]uint32, n)
		slots, want := make([]int32, n), make([]int32, n)
		for i := range n {
			a[i], b[i] = r.Uint32N(60), r.Uint32N(60) // some again within the call
			want[i] = alone.Slot(a[i], b[i])
		}
		if together.Slots(slots, a, b); !slices.Equal(slots, want) {
			t.Fatalf("slots of %v, %v: got %v, want %v", a, b, slots, want)
		}
	}
}

func TestGroups(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	g := NewGroups()
	slots := map[[2]uint32]int32{}
	for range 200_000 {
		a, b := r.Uint32()>>r.IntN(32), r.Uint32()>>r.IntN(32)
		want, seen := slots[[2]uint32{a, b}]
		if !seen {
			want = int32(len(slots) + 1)
			slots[[2]uint32{a, b}] = want
		}
		if got := g.Slot(a, b); got != want {
			t.Fatalf("Slot(%d, %d): got %d, want %d", a, b, got, want)
		}
	}
	if g.Len() != len(slots)+1 {
		t.Errorf("got %d slots, want %d", g.Len(), len(slots)+1)
	}
	for key, slot := range slots {
		if a, b := g.Key(slot); a != key[0] || b != key[1] {
			t.Fatalf("Key(%d): got %d, %d, want %v", slot, a, b, key)
		}
	}
	if g.Slot(0, 0) == 0 {
		t.Error("the pair (0, 0) got slot 0, which is for rows of no group")
	}
}

func TestLookup(t *testing.T) {
	calls := map[string]int{}
	l := Lookup[int]{Func: func(text []byte) int { calls[string(text)]++; return len(text) }}
	d := NewDict()
	d.Code([]byte("one"))
	if got, want := l.Of(d), []int{0, 3}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	d.Code([]byte("three"))
	if got, want := l.Of(d), []int{0, 3, 5}; !slices.Equal(got, want) || calls["one"] != 1 {
		t.Errorf("got %v and %d calls for one, want %v and 1", got, calls["one"], want)
	}
	other := NewDict()
	other.Code([]byte("xx"))
	if got, want := l.Of(other), []int{0, 2}; !slices.Equal(got, want) {
		t.Errorf("of another dictionary: got %v, want %v", got, want)
	}
}

// If this fails, a worker looks up all texts again for each block of another log.
func TestLookupOfTables(t *testing.T) {
	calls := 0
	l := Lookup[int]{Func: func(text []byte) int { calls++; return len(text) }}
	web, dns := newColumnDict(HTTP, User), newColumnDict(DNS, User)
	web.Code([]byte("a"))
	dns.Code([]byte("bb"))
	for range 3 {
		for i, d := range []*Dict{web, dns} {
			if got, want := l.Of(d), [][]int{{0, 1}, {0, 2}}[i]; !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
	}
	if calls != 4 {
		t.Errorf("got %d calls for the texts of two tables, want 4", calls)
	}
}

// If this fails, a sink that forgets texts gets them all back, or loses those of a row.
func TestOutRenew(t *testing.T) {
	var texts []string
	var dicts []*Dict
	out := &Out{Want: ColSet(User)}
	out.Sink = func(b *Batch) {
		codes, dict := b.Codes(User)
		for _, code := range codes {
			texts = append(texts, string(dict.Text(code)))
		}
		dicts = append(dicts, dict)
		if len(dicts) == 2 {
			out.Renew()
		}
	}
	for _, user := range []string{"ann", "ben", "ann", "cy"} {
		b := out.Table(API)
		b.SetTime(1)
		b.SetText(User, []byte(user))
		b.Next(1)
		out.Flush()
	}
	if want := []string{"ann", "ben", "ann", "cy"}; !slices.Equal(texts, want) {
		t.Errorf("got %q, want %q", texts, want)
	}
	if dicts[1] != dicts[0] || dicts[2] == dicts[1] || dicts[3] != dicts[2] {
		t.Errorf("the dictionaries are %p, want a new one for the third batch alone", dicts)
	}
	if got := dicts[3].Len(); got != 3 {
		t.Errorf("got %d texts, want 3", got)
	}
}

// A modelRow is the expected row of a batch, as text; null is "null".
type modelRow struct {
	record int64
	cells  [NumCols]string
}

// cellOf returns a cell in the form of a modelRow.
func cellOf(b *Batch, c Col, row int) string {
	switch c.Kind() {
	case Timestamp:
		return fmt.Sprint(b.Int64(c)[row])
	case Dictionary:
		codes, dict := b.Codes(c)
		return string(dict.Text(codes[row]))
	case Text:
		offsets, text := b.Texts(c)
		return string(text[offsets[row]:offsets[row+1]])
	}
	valid := b.Valid(c)[row>>3]>>(row&7)&1 != 0
	value := int64(0)
	if c.Kind() == Int32 {
		value = int64(b.Int32(c)[row])
	} else {
		value = b.Int64(c)[row]
	}
	if !valid {
		if value != 0 {
			return "null that is not 0"
		}
		return "null"
	}
	return fmt.Sprint(value)
}

// TestBuilder builds random rows of every table and drops some. It compares the
// batches, and the Arrow records made of them, with a plain model.
func TestBuilder(t *testing.T) {
	for _, table := range Tables {
		for _, want := range []Cols{^Cols(0), ColSet(User, BytesOut, Query, Resource, URLPath, CmdLine, StatusCode)} {
			t.Run(fmt.Sprintf("%s/%x", table.Name, uint64(want)), func(t *testing.T) { testBuilder(t, table, want) })
		}
	}
}

func testBuilder(t *testing.T, table *Table, want Cols) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	r := rand.New(rand.NewPCG(5, uint64(table.ID)))
	var model []modelRow
	var stream bytes.Buffer
	w := ipc.NewWriter(&stream, ipc.WithSchema(table.Schema()), ipc.WithDictionaryDeltas(true), ipc.WithAllocator(mem))
	batches := 0
	at := 0 // rows of model that came out
	out := &Out{Want: want, Feed: "feed", Object: "object", Sink: func(b *Batch) {
		batches++
		if b.Table != table || b.Feed != "feed" || b.Object != "object" || b.Len() == 0 || b.Len() > BatchRows || len(b.Record) != b.Len() {
			t.Fatalf("got a batch of %s with %d rows", b.Table.Name, b.Len())
		}
		for _, c := range table.Cols {
			known := 0
			for row := range b.Len() {
				got, want := cellOf(b, c, row), model[at+row].cells[c]
				if got != want {
					t.Fatalf("row %d: %v: got %.40q, want %.40q", at+row, c, got, want)
				}
				if want != "" && want != "null" {
					known++
				}
			}
			if b.Known(c) != known {
				t.Errorf("%v: got %d known, want %d", c, b.Known(c), known)
			}
		}
		for row := range b.Len() {
			if got, want := b.First+int64(b.Record[row]), model[at+row].record; got != want {
				t.Fatalf("row %d: got record %d, want %d", at+row, got, want)
			}
		}
		rec := b.Arrow()
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
		rec.Release()
		at += b.Len()
	}}
	b := out.Table(table)
	wanted := table.Set() & (want | ColSet(Time))
	record := int64(0)
	for range BatchRows + 2000 {
		record += int64(1 + r.IntN(3))
		row := modelRow{record: record}
		for _, c := range table.Cols {
			if k := c.Kind(); k == Int64 || k == Int32 {
				row.cells[c] = "null"
			}
			if c != Time && r.IntN(3) == 0 {
				continue
			}
			text := ""
			switch c.Kind() {
			case Timestamp:
				us := int64(r.IntN(1 << 50))
				b.SetTime(us)
				text = fmt.Sprint(us)
			case Int64:
				v := r.Int64() - r.Int64()
				b.SetInt(c, v)
				text = fmt.Sprint(v)
			case Int32:
				v := r.Int64N(1<<33) - 1<<32
				b.SetInt(c, v)
				text = fmt.Sprint(min(max(v, -1<<31), 1<<31-1))
			default:
				v := randomText(r)
				if r.IntN(8) == 0 { // set twice: the last counts
					b.SetText(c, []byte("first"))
				}
				if c.Kind() == Dictionary && b.Wants(c) && r.IntN(2) == 0 {
					b.SetCode(c, b.Dict(c).Code(v))
				} else {
					b.SetText(c, v)
				}
				text = string(v)
			}
			if wanted.Has(c) {
				row.cells[c] = text
			}
		}
		if r.IntN(10) == 0 {
			b.Drop()
			continue
		}
		model = append(model, row)
		b.Next(record)
		if r.IntN(5000) == 0 {
			out.Flush()
		}
	}
	out.Flush()
	out.Flush()
	if at != len(model) || batches < 2 {
		t.Errorf("got %d rows in %d batches, want %d", at, batches, len(model))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	checkStream(t, mem, &stream, table, model)
}

// checkStream compares an Arrow stream with the model.
func checkStream(t *testing.T, mem memory.Allocator, stream *bytes.Buffer, table *Table, model []modelRow) {
	r, err := ipc.NewReader(stream, ipc.WithAllocator(mem))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Schema().Equal(table.Schema()) {
		t.Errorf("got schema %v, want %v", r.Schema(), table.Schema())
	}
	at := 0
	for r.Next() {
		rec := r.Record()
		for i, c := range table.Cols {
			for row := range int(rec.NumRows()) {
				got := "null"
				switch col := rec.Column(i).(type) {
				case *array.Timestamp:
					got = fmt.Sprint(int64(col.Value(row)))
				case *array.Dictionary:
					got = col.Dictionary().(*array.String).Value(col.GetValueIndex(row))
				case *array.String:
					got = col.Value(row)
				case *array.Int64:
					if col.IsValid(row) {
						got = fmt.Sprint(col.Value(row))
					}
				case *array.Int32:
					if col.IsValid(row) {
						got = fmt.Sprint(col.Value(row))
					}
				default:
					t.Fatalf("%v: got a column of type %T", c, col)
				}
				if want := model[at+row].cells[c]; got != want {
					t.Fatalf("arrow row %d: %v: got %.40q, want %.40q", at+row, c, got, want)
				}
			}
		}
		at += int(rec.NumRows())
	}
	if r.Err() != nil || at != len(model) {
		t.Errorf("arrow: got %d rows, %v, want %d", at, r.Err(), len(model))
	}
}

// Long texts end a batch early, and a dictionary that outgrew its limit is
// replaced: memory stays bounded whatever a log holds.
func TestBuilderLongTexts(t *testing.T) {
	for _, test := range []struct {
		table *Table
		col   Col
	}{{HTTP, UserAgent}, {HTTP, URLPath}, {Process, CmdLine}, {API, User}} {
		t.Run(test.col.String(), func(t *testing.T) {
			const size, rows = 1 << 20, 100
			total, batches := 0, 0
			out := &Out{Want: ^Cols(0), Sink: func(b *Batch) {
				batches++
				held := 0
				if test.col.Kind() == Dictionary {
					_, dict := b.Codes(test.col)
					held = dict.Size()
				} else {
					_, text := b.Texts(test.col)
					held = len(text)
				}
				if held > dictMaxSize+size {
					t.Errorf("batch %d of %d rows holds %d bytes", batches, b.Len(), held)
				}
				for row := range b.Len() {
					if got := cellOf(b, test.col, row); len(got) != size || got[:3] != fmt.Sprintf("%03d", total) {
						t.Errorf("row %d: got %d bytes %.3q", total, len(got), got)
					}
					total++
				}
			}}
			b := out.Table(test.table)
			text := bytes.Repeat([]byte("x"), size)
			for i := range rows {
				copy(text, fmt.Sprintf("%03d", i))
				b.SetTime(1)
				b.SetText(test.col, text)
				b.Next(int64(i + 1))
			}
			out.Flush()
			if total != rows || batches < 3 {
				t.Errorf("got %d rows in %d batches, want %d in at least 3", total, batches, rows)
			}
		})
	}
}

// Rows may be a billion records apart: the distance to the first row of a batch
// must fit its type.
func TestBuilderFarRecords(t *testing.T) {
	var got []int64
	out := &Out{Sink: func(b *Batch) {
		for _, further := range b.Record {
			got = append(got, b.First+int64(further))
		}
	}}
	b := out.Table(DNS)
	want := []int64{1, 2, 1<<30 + 3, 1 << 31, 1<<31 + 1<<30}
	for _, record := range want {
		b.SetTime(1)
		b.Next(record)
	}
	out.Flush()
	if !slices.Equal(got, want) {
		t.Errorf("got records %v, want %v", got, want)
	}
}

func TestTables(t *testing.T) {
	for id, table := range Tables {
		if table.ID != id || TableNamed(table.Name) != table {
			t.Errorf("%s: got id %d, want %d", table.Name, table.ID, id)
		}
		for i, c := range table.Cols {
			if named, ok := ColNamed(c.String()); !ok || named != c {
				t.Errorf("ColNamed(%v): got %v, %v", c, named, ok)
			}
			if c.Doc() == "" || slices.Contains(table.Cols[:i], c) {
				t.Errorf("%s: %v has no doc or stands twice", table.Name, c)
			}
			if field := table.Schema().Field(i); field.Name != c.String() || field.Nullable != (c.Kind() >= Int64) {
				t.Errorf("%s: got field %v for %v", table.Name, field, c)
			}
		}
		if got := table.Set().List(); len(got) != len(table.Cols) || !slices.IsSorted(got) {
			t.Errorf("%s: got columns %v", table.Name, got)
		}
	}
	if TableNamed("nosuch") != nil {
		t.Error("TableNamed(nosuch): got a table")
	}
	if _, ok := ColNamed("nosuch"); ok {
		t.Error("ColNamed(nosuch): got a column")
	}
}

func TestRegistered(t *testing.T) {
	var d Domains
	for _, test := range []struct{ name, want string }{
		{"example.com", "example.com"},
		{"a.b.example.com", "example.com"},
		{"example.co.uk", "example.co.uk"},
		{"alice.example.co.uk", "example.co.uk"},
		{"com", "com"},
		{"co.uk", "co.uk"},
		{"localhost", "localhost"},
		{"a.b.localhost", "b.localhost"},
		{"", ""},
		{"192.0.2.1", "192.0.2.1"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
		{"1.2.0.192.in-addr.arpa", "192.in-addr.arpa"},
		{"bucket.s3.amazonaws.com", "bucket.s3.amazonaws.com"},
		{"x.bucket.s3.amazonaws.com", "bucket.s3.amazonaws.com"},
		{"s3.amazonaws.com", "amazonaws.com"},
		{"alice.github.io", "alice.github.io"},
		{"a.city.kawasaki.jp", "city.kawasaki.jp"}, // an exception in the list
		{"a.b.kawasaki.jp", "a.b.kawasaki.jp"},
		{"trailing.", "trailing."},
		{".", "."},
		{".com", ".com"},
	} {
		for range 2 { // the second time from memory
			if got := d.Registered([]byte(test.name)); string(got) != test.want {
				t.Errorf("Registered(%q): got %q, want %q", test.name, got, test.want)
			}
		}
	}
}

// If this fails, each made-up name is a domain of its own, or the names of a network's
// own machines count as made up.
func TestAsked(t *testing.T) {
	var d Domains
	b := (&Out{Want: ColSet(Query, Domain), Sink: func(*Batch) {}}).Table(DNS)
	for _, test := range []struct{ name, want string }{
		{"a.b.example.com", "example.com"},
		{"alice.github.io", "alice.github.io"},
		{"5.2.0.192.in-addr.arpa", "192.in-addr.arpa"},
		{"abcdefghijklmnopqrstuvwxyz.onion", "abcdefghijklmnopqrstuvwxyz.onion"},
		{"a.b.xn--p1ai", "b.xn--p1ai"},
		{"a.b.рф", "b.рф"},
		{"www.shop.com.np", "shop.com.np"}, // the list has *.np alone, and www.ck as an exception of *.ck
		{"shop.com.np", "shop.com.np"},
		{"a.www.ck", "www.ck"},
		{"<name unprintable>", "<name unprintable>"},
		{"b?1n?.tunnel.&", "tunnel.&"},
		{"dnscat.00af31c2.77be0d", ""},
		{"x.pirate.nosuch", ""},
		{"00112233445566778899aabbccddeeff.nosuch", ""},
		{"x.00112233445566778899aabbccddeeff", ""},
		{"longer-than-15-b", ""},
		{"exactly-15-long", "exactly-15-long"},
		{"exactly-15-long.nosuch", "exactly-15-long.nosuch"},
		{"longer-than-15-b.nosuch", ""},
		{"db-17.exactly-15-long", "db-17.exactly-15-long"},
		{"db-17.longer-than-15-b", ""},
		{"longer-than-15-bytes.corp", "longer-than-15-bytes.corp"},
		{"dc1.emea.corp", "emea.corp"},
		{"0e1a2b3c-4d5e-6f70-8192-a3b4c5d6e7f8.local", "0e1a2b3c-4d5e-6f70-8192-a3b4c5d6e7f8.local"},
		{"data.tunnel.example", "tunnel.example"},
		{"255.255.255.255", "255.255.255.255"},
		{"2555555555.255.255.255", ""},
		{"", ""},
	} {
		for range 2 { // the second time from memory
			b.SetTime(0)
			b.SetQuery([]byte(test.name))
			code := b.cols[Domain].codes[b.n]
			if got := string(b.Dict(Domain).Text(code)); got != test.want {
				t.Errorf("SetQuery(%q): got domain %q, want %q", test.name, got, test.want)
			}
			b.Next(1)
		}
		if got := d.Asked([]byte(test.name)); string(got) != test.want {
			t.Errorf("Asked(%q): got %q, want %q", test.name, got, test.want)
		}
	}
}

// If this fails, a local zone is now a top-level domain on the public suffix list. Remove
// it from localZones.
func TestLocalZones(t *testing.T) {
	for _, zone := range localZones {
		if _, icann := publicsuffix.PublicSuffix(zone); icann {
			t.Errorf("%s is on the public suffix list", zone)
		}
	}
}

// A remembered result must not leak from one name to another.
func TestRegisteredList(t *testing.T) {
	// The label city is left out: the list has city.kawasaki.jp and six similar names as
	// exceptions, which belong to kawasaki.jp.
	labels := []string{"a", "example", "www", "com", "uk", "co", "org", "jp", "kawasaki", "amazonaws", "s3", "github", "io", "ck", "dev", "internal"}
	r := rand.New(rand.NewPCG(7, 8))
	var d Domains
	for range 50_000 {
		parts := make([]string, 1+r.IntN(5))
		for i := range parts {
			parts[i] = labels[r.IntN(len(labels))]
		}
		name := strings.Join(parts, ".")
		want, err := publicsuffix.EffectiveTLDPlusOne(name)
		if err != nil {
			continue // a public suffix: see TestRegistered
		}
		if got := d.Registered([]byte(name)); string(got) != want {
			t.Fatalf("Registered(%q): got %q, want %q", name, got, want)
		}
	}
}

func BenchmarkDict(b *testing.B) {
	for _, distinct := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("distinct=%d", distinct), func(b *testing.B) {
			texts := make([][]byte, distinct)
			for i := range texts {
				texts[i] = fmt.Appendf(nil, "host-%d.example.com", i*7919)
			}
			d := NewDict()
			i := 0
			for b.Loop() {
				d.Code(texts[i])
				if i++; i == distinct {
					i = 0
				}
			}
		})
	}
}

// If this fails, two spellings of a host are two hosts. The expected text is made byte by
// byte.
func TestSetLower(t *testing.T) {
	for c := range 256 {
		for size := 1; size < 20; size++ {
			text := bytes.Repeat([]byte{'x'}, size)
			text[size/2] = byte(c)
			want := slices.Clone(text)
			if 'A' <= c && c <= 'Z' {
				want[size/2] = byte(c - 'A' + 'a')
			}
			if got := new(Out).lowered(text); !bytes.Equal(got, want) {
				t.Errorf("lowered(%q): got %q, want %q", text, got, want)
			}
		}
	}
}

// FuzzCodes looks up the texts of a block. The dictionary knows every other text
// already.
func FuzzCodes(f *testing.F) {
	f.Add([]byte("GETPOSTGETann@corp.exampleabob.jones@subsidiary.of.the.corp.example"), []byte{3, 4, 3, 16, 1, 40})
	f.Add(bytes.Repeat([]byte("ab"), 200), []byte{0, 31, 32, 33, 63, 64, 65, 7, 8, 9, 64})
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		var spans []Span
		d, want := NewDict(), NewDict()
		at := 0
		for i, size := range sizes[:min(len(sizes), 150)] {
			end := min(at+int(size), len(data))
			spans = append(spans, Span{uint32(at), uint32(end)})
			if i&1 == 0 {
				d.Code(data[at:end])
				want.Code(data[at:end])
			}
			at = end
		}
		if len(spans) == 0 {
			return
		}
		some := spans[:min(len(spans), 64)]
		codes, twin := make([]int32, len(spans)), make([]int32, len(spans))
		missed, missedByTwin := d.find(codes, data, some), d.findWords(twin, data, some)
		for i, s := range some {
			if found := missed>>i&1 == 0; found && string(d.Text(codes[i])) != string(data[s.Begin:s.End]) {
				t.Fatalf("%q: got %q", data[s.Begin:s.End], d.Text(codes[i]))
			} else if found && missedByTwin>>i&1 == 0 && codes[i] != twin[i] {
				t.Fatalf("%q: got code %d, want %d", data[s.Begin:s.End], codes[i], twin[i])
			}
		}
		d.Codes(codes, data, spans)
		for i, s := range spans {
			if code := want.Code(data[s.Begin:s.End]); codes[i] != code {
				t.Fatalf("%q: got code %d, want %d", data[s.Begin:s.End], codes[i], code)
			}
		}
	})
}

// BenchmarkCodes looks up the texts of a column of a large log.
func BenchmarkCodes(b *testing.B) {
	r := rand.New(rand.NewPCG(15, 16))
	for _, test := range []struct {
		name, format string
		texts        int
	}{
		{"methods", "", 6},
		{"users", "user%d", 3000},
		{"emails", "first.last%d@corp.example", 3000},
		{"hosts", "www.report%d.example", 200_000},
	} {
		zipf := rand.NewZipf(r, 1.05, 1, uint64(test.texts-1))
		var data []byte
		var spans []Span
		for range 1 << 20 {
			data = append(data, "GET https://"...)
			begin := uint32(len(data))
			if n := zipf.Uint64(); test.texts > 6 {
				data = fmt.Appendf(data, test.format, n)
			} else {
				data = append(data, "POST\x00CONNECT\x00GET\x00HEAD\x00PUT\x00OPTIONS\x00"[n*4:n*4+3+n%3]...)
			}
			spans = append(spans, Span{begin, uint32(len(data))})
		}
		data = append(data, "                                "...)
		b.Run("texts="+test.name, func(b *testing.B) {
			d := NewDict()
			var codes [256]int32
			for b.Loop() {
				for i := 0; i < len(spans); i += len(codes) {
					d.Codes(codes[:], data, spans[i:i+len(codes)])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(spans)), "ns/row")
		})
	}
}

// If this fails, a field that rules name is lost, appears in a row of another
// event, or cannot be told from a field without a text.
func TestFields(t *testing.T) {
	type row map[string]string
	events := []row{{"a": "x", "b": ""}, {}, {"b": "y", "other": "z"}, {"a": "x"}, {"a": "z"}}
	var got []row
	var fields [NumTables]WantedFields
	fields[Event.ID] = WantedFields{{Name: "a"}, {Name: "b"}, {Name: "a", Origin: Origin{Product: "aws"}}}
	out := Out{Want: ColSet(Time, Host), WantFields: fields, Sink: func(b *Batch) {
		if codes, dict := b.Field("other"); codes != nil || dict != nil {
			t.Error("a field that nobody wants is there")
		}
		for i := range b.Len() {
			r := row{}
			for _, name := range []string{"a", "b"} {
				codes, dict := b.Field(name)
				if codes == nil {
					continue
				}
				if codes[i] != FieldAbsent {
					r[name] = string(dict.Text(codes[i]))
				}
				if (codes[i] == FieldEmpty) != (codes[i] != FieldAbsent && r[name] == "") {
					t.Errorf("code %d of %q", codes[i], r[name])
				}
			}
			got = append(got, r)
		}
	}}
	b := out.Table(Event)
	if !b.WantsFields() || !b.WantsField("a") || b.WantsField("other") {
		t.Error("what is wanted is not told")
	}
	var want []row
	put := func(i int64, e row) {
		for name, text := range e {
			b.SetField([]byte(name), []byte(text))
		}
		b.SetTime(i)
		b.Next(i)
		r := maps.Clone(e)
		delete(r, "other")
		want = append(want, r)
	}
	for i := range int64(BatchRows + 100) {
		if i%7 == 0 {
			b.SetField([]byte("a"), []byte("dropped"))
			b.SetField([]byte("b"), []byte("dropped"))
			b.Drop()
		}
		put(i+1, events[i%int64(len(events))])
	}
	b.PutTimes([]int64{1, 2})
	b.NextRows([]int64{1 << 20, 1<<20 + 1})
	want = append(want, row{}, row{})
	b.PutTimes([]int64{1, 2})
	b.PutField("a", []byte("xyz"), []Span{{2, 3}, {}})
	b.PutField("other", []byte("xyz"), []Span{{2, 3}, {}})
	b.NextRows([]int64{1 << 20, 1<<20 + 1})
	want = append(want, row{"a": "z"}, row{})
	put(1<<20+2, row{"b": "last"})
	// A dictionary that is replaced keeps the meaning of its first codes.
	big := bytes.Repeat([]byte("x"), fieldsMaxSize+1)
	put(1<<20+3, row{"a": string(big)})
	put(1<<20+4, row{"a": "", "b": "y"})
	out.Flush()
	if !slices.EqualFunc(got, want, maps.Equal) {
		t.Errorf("got %d rows, want %d, or others", len(got), len(want))
	}
}

// If this fails, events that a rule reads do not become rows, or all events do.
func TestWantsEvent(t *testing.T) {
	out := Out{WantEvents: []EventKind{{Origin{"windows", ""}, "Security", "4663"}, {Origin{}, "Sysmon", "11"}, {Origin{"linux", "auditd"}, "", ""}}}
	for _, c := range []struct {
		product, service, channel, id string
		want                          bool
	}{
		{"windows", "", "Security", "4663", true},
		{"windows", "", "security", "4663", true},
		{"windows", "", "Security", "4624", false},
		{"windows", "", "", "4663", true}, // it may be
		{"windows", "", "Sysmon", "11", true},
		{"windows", "", "System", "11", false},
		{"linux", "", "x", "y", true},
		{"linux", "auditd", "x", "y", true},
		{"linux", "sysmon", "x", "y", false},
		{"aws", "", "x", "y", false},
		{"", "", "Sysmon", "12", true}, // if the product is linux
	} {
		for range 2 {
			out.Origin = Origin{c.product, c.service}
			if got := out.WantsEvent([]byte(c.channel), []byte(c.id)); got != c.want {
				t.Errorf("%v: got %v", c, got)
			}
		}
	}
	for i := range 2 * eventsKnown {
		out.Product = "windows"
		out.WantsEvent([]byte("Security"), []byte(strconv.Itoa(i)))
	}
	if n := len(out.events.known); n > eventsKnown {
		t.Errorf("%d kinds are remembered", n)
	}
	if none := (&Out{}); none.WantsEvent([]byte("Security"), []byte("4663")) {
		t.Error("nobody wants events, but they are")
	}
}

// If this fails, the account that an object's name tells is lost, or takes the place of
// one that the record names.
func TestOutAccount(t *testing.T) {
	var got []string
	known := 0
	out := &Out{Want: ColSet(Account, User), Account: "1111", Sink: func(b *Batch) {
		codes, dict := b.Codes(Account)
		for _, code := range codes {
			got = append(got, string(dict.Text(code)))
		}
		known += b.Known(Account)
	}}
	row := func(record int64, account string) {
		b := out.Table(API)
		b.SetTime(1)
		if account != "" {
			b.SetText(Account, []byte(account))
		}
		b.Next(record)
	}
	row(1, "")
	row(2, "2222")
	out.Flush()
	row(1, "2222")
	out.Flush()
	b := out.Table(API)
	b.PutTimes([]int64{1, 2, 3})
	b.PutTexts(Account, []byte("33"), []Span{{0, 2}, {0, 0}, {0, 1}})
	b.NextRows([]int64{1, 2, 3})
	out.Flush()
	out.Account = ""
	row(1, "")
	out.Flush()
	if want := []string{"1111", "2222", "2222", "33", "1111", "3", ""}; !slices.Equal(got, want) || known != 6 {
		t.Errorf("got %q, %d known, want %q, 6", got, known, want)
	}
	out = &Out{Want: ColSet(User), Account: "1111", Sink: func(b *Batch) {}}
	row(1, "") // nobody wants it
	out.Flush()
}

// If this fails, a set of pairs loses some, has some twice, or has pairs that are none.
func TestPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var s Pairs
	for range 2 { // the second time after Reset
		want := map[Pair]bool{}
		for range 50 {
			a, b := make([]uint32, r.IntN(300)), make([]uint32, 300)
			b = b[:len(a)]
			for i := range a {
				a[i], b[i] = r.Uint32N(100), r.Uint32N(100)
				if a[i] != 0 && b[i] != 0 {
					want[PairOf(a[i], b[i])] = true
				}
			}
			s.Add(a, b)
		}
		got := s.List()
		for _, p := range got {
			if a, b := p.Codes(); !want[p] {
				t.Errorf("got (%d, %d) twice or although it was not added", a, b)
			}
			delete(want, p)
		}
		if len(want) > 0 {
			t.Errorf("%d pairs are missing", len(want))
		}
		if s.Reset(); len(s.List()) > 0 {
			t.Error("pairs are left after Reset")
		}
	}
}

// If this fails, what a Domains says of a name depends on the names that it met before.
func TestDomainsForgetLabels(t *testing.T) {
	var d Domains
	for i := range labelsMaxSize / 8 { // twice the labels that are remembered
		for _, top := range []string{"com", "local", fmt.Sprintf("madeup%09d", i)} {
			name := []byte("www.example." + top)
			if got, want := string(d.Asked(name)), string(new(Domains).Asked(name)); got != want {
				t.Fatalf("%s after %d others: got %q, want %q", name, 3*i, got, want)
			}
			if d.labels.Size() > labelsMaxSize+len(name) {
				t.Fatalf("%d bytes of labels are remembered, want at most %d", d.labels.Size(), labelsMaxSize)
			}
		}
	}
}
