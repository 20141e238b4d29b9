package columnar

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

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
