package logs

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"outflow/columnar"
)

// vendorCases are the cases of sources.
func vendorCases(t testing.TB) (cases []*logCase) {
	for _, c := range readCases(t) {
		if c.format.Vendor != nil {
			cases = append(cases, c)
		}
	}
	return cases
}

// What every dialect has a case of holds for every source, with the records of its case.
func TestSources(t *testing.T) {
	for _, c := range vendorCases(t) {
		t.Run(strings.TrimSuffix(filepath.Base(c.file), ".txtar"), func(t *testing.T) {
			want := c.run(c.in, wholeBlock)
			same := func(what string, in []byte) {
				t.Helper()
				got := c.run(in, wholeBlock)
				if err := got.check(); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if d := difference(want, got); d != "" {
					t.Errorf("%s (-as it is +got):\n%s", what, d)
				}
			}
			if !bytes.Contains(c.in, []byte("\r")) {
				same("CRLF", bytes.ReplaceAll(c.in, []byte("\n"), []byte("\r\n")))
			}
			same("no final newline", bytes.TrimRight(c.in, "\n"))
			if r := c.run(nil, wholeBlock); r.tally.Records != 0 || r.err != nil {
				t.Errorf("empty: got %+v, %v", r.tally, r.err)
			}
			long := append(bytes.Repeat([]byte("x"), 2<<20), '\n')
			got := c.run(append(bytes.Clone(c.in), long...), wholeBlock)
			if err := got.check(); err != nil {
				t.Errorf("a line of 2 MiB: %v", err)
			}
			if got.rows != want.rows || got.tally.Records != want.tally.Records+1 {
				t.Errorf("a line of 2 MiB: got %d rows of %d records, want %d of %d", got.rows, got.tally.Records, want.rows, want.tally.Records+1)
			}
			for _, v := range vendors() {
				if f := v.outline; f.Name != c.format.Name && !v.general && c.sniff && f.Sniff != nil && f.Sniff(c.in) {
					t.Errorf("source %s recognises it too", f.Name)
				}
			}
		})
	}
}

// sourceTexts yields the embedded source files.
func sourceTexts(t testing.TB) iter.Seq2[string, []byte] {
	files, err := filepath.Glob("sources/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return func(yield func(string, []byte) bool) {
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !yield(file, text) {
				return
			}
		}
	}
}

// Without a part of its outline, a log would not be recognised, or one of another vendor
// would.
func TestOutlines(t *testing.T) {
	told := 0
	for file, text := range sourceTexts(t) {
		whole, err := parseSource(text, sourceLimits.Parse)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		got, err := readOutline(text)
		if err != nil {
			t.Fatalf("%s: outline: %v", file, err)
		}
		name, c, general, syslog := keyOf(text, "name"), keyOf(text, "container"), keyOf(text, "general"), keyOf(text, "syslog")
		if name != whole.Name || c != whole.Container || (general == "true") != whole.General || (syslog == "true") != whole.Syslog {
			t.Errorf("%s: got name %q, container %q, general %q, syslog %q", file, name, c, general, syslog)
		}
		want := &Source{
			Name: whole.Name, Container: whole.Container, Separator: whole.Separator, Assign: whole.Assign, Patterns: whole.Patterns, Layouts: whole.Layouts, Sniff: whole.Sniff,
			Embedded: whole.Embedded, Each: whole.Each, Tuple: whole.Tuple, General: whole.General,
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: outline: got %+v, want %+v", file, got, want)
		}
		words := firstWords(text)
		told += len(words)
		for i, word := range words {
			if len(words) != len(whole.Sniff) || len(whole.Sniff[i].Keys) == 0 || string(word) != lastKey(whole.Sniff[i].Keys[0]) {
				t.Errorf("%s: words %q are not the first keys of %+v", file, words, whole.Sniff)
			}
		}
	}
	if told < 200 {
		t.Errorf("%d Sniffs tell a word without being parsed", told)
	}
}

// If this fails, a log of a source is looked at for a word that it need not have.
func TestFirstWords(t *testing.T) {
	for text, want := range map[string][]string{
		"name: a\nsniff: {keys: [a.b, c]}\n":                                 {"b"},
		"name: a\nsniff:\n  keys: [\"@a\", c]\n  first: x\n":                 {"@a"},
		"name: a\nsniff:\n  - {keys: [a, c]}\n  - first: x\n    keys: [b]\n": {"a", "b"},
		"name: a\nsniff:\n  - {keys: [a, c]}\n  - {first: x}\n":              nil,
		"name: a\nsniff: {first: 'x'}\nother: {keys: [a]}\n":                 nil,
		"name: a\nsniff: {keys: [\"a[b=c].d\", e]}\n":                        nil,
		"name: a\nsniff:\n  keys:\n    - a\n    - b\n":                       nil,
		"name: a\nother: {keys: [a]}\n":                                      nil,
	} {
		var got []string
		for _, word := range firstWords([]byte(text)) {
			got = append(got, string(word))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// If this fails, a remark in a source file is a part of the word before it.
func TestKeyOf(t *testing.T) {
	text := []byte("# name: a\nname: b # not c\ncontainer:  json\t\ngeneral: true #\ntitle: C# logs\n  syslog: true\n")
	for key, want := range map[string]string{"name": "b", "container": "json", "general": "true", "title": "C# logs", "syslog": ""} {
		if got := keyOf(text, key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}

// A source and its file have one name, so that the one is found by the other.
func TestSourceFiles(t *testing.T) {
	for file, text := range sourceTexts(t) {
		f, err := ParseSource(text)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if got := "sources/" + f.Name + ".yaml"; got != file {
			t.Errorf("%s: name is %q", file, f.Name)
		}
	}
}

// Each of these is a mistake that somebody will make, and what tells them.
func TestParseSourceFaults(t *testing.T) {
	const good = "name: x\ntitle: x\ncontainer: json\nsniff: {keys: [a]}\nrows: [{table: api, columns: {time: a}}]\n"
	if _, err := ParseSource([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, want string }{
		{"name: x", "name: X", "name: "},
		{"title: x\n", "", "title: "},
		{"container: json", "container: xml", "container: \"xml\" is none of json, csv"},
		{"container: json", "contaner: json", "unknown field \"contaner\""},
		{"{table: api, columns: {time: a}}", "", "rows: want one"},
		{"time: a", "user: a", "rows[0].columns: want time"},
		{"time: a", "time: a, usr: b", "rows[0].columns: unknown column \"usr\""},
		{"time: a", "time: a, query: b", "rows[0].columns.query: table api has no such column"},
		{"time: a", "time: a, domain: b", "domain is derived"},
		{"time: a", "time: {name: a, const: b}", "want one of name"},
		{"time: a", "time: {name: a, time: '%Q'}", "%Q is not known"},
		{"time: a", "time: a, user: {name: b, match: '('}", "match: error parsing"},
		{"time: a", "time: a, user: {name: b, match: 'x'}", "want one group"},
		{"time: a", "time: a, user: {name: b, part: tail}", "part: \"tail\" is none of host"},
		{"time: a", "time: 'a[x].b'", "want a number, nothing, or key=text"},
		{"time: a", "time: 'a[0'", "want [n], [], or [key=text]"},
		{"table: api", "table: apis", "rows[0].table: \"apis\""},
		{"table: api", "where: {a: {}}, table: api", "rows[0].where.a: want a text"},
		{"table: api", "lacks: [x], table: api", "lacks: unknown column"},
		{"table: api", "other: y, table: api", "rows[0].other: "},
		{"container: json", "container: space", "layouts: want the names"},
		{"container: json", "container: cef\nembedded: [a]", "embedded: a: the container cef"},
		{"container: json\nsniff: {keys: [a]}\nrows: [{table: api, columns: {time: a", "container: json\nembedded: [a]\nrows: [{table: api, columns: {time: 'a.b[0'", "name \"a.b[0\""},
		{"container: json", "container: csv\nlayouts: [{fields: 4-2}]", "layouts[0]: fields"},
		{"container: json", "container: csv\nlayouts: [{fields: 4, where: {x: y}}]", "want a field by its number"},
		{"{keys: [a]}", "{first: '('}", "sniff.first"},
		{"container: json", "container: json\npatterns: ['a %{b}']", "patterns: only keyvalue"},
		{"container: json", "container: keyvalue\npatterns: ['a b']", "patterns[0]: \"a b\": want a hole"},
		{"container: json", "container: keyvalue\npatterns: ['a %{b']", "a hole has no }"},
		{"container: json", "container: keyvalue\npatterns: ['%{a}%{b}']", "nothing stands between"},
		{"container: json", "container: keyvalue\npatterns: ['%{=} a']", "%{=} is not the last"},
		{"container: json", "container: keyvalue\nassign: ': '", "assign: \": \": want one byte"},
	} {
		_, err := ParseSource([]byte(strings.Replace(good, c.from, c.to, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: got %v, want %q", c.from, c.to, err, c.want)
		}
	}
}

// Files that attack the compiler end in an error, soon and in little memory.
func TestParseSourceHostile(t *testing.T) {
	deep := strings.Repeat("[", 1<<15)
	bomb := "a: &a [x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 8) + "]\n"
	}
	for name, text := range map[string]string{
		"huge":  strings.Repeat("x", sourceLimits.Bytes+1),
		"deep":  "rows: " + deep,
		"bomb":  bomb,
		"empty": "",
		"title": "name: x\ntitle: \"a\\e[31m\"\ncontainer: json\nrows: [{table: api, columns: {time: t}}]",
		"other": "name: x\ntitle: x\ncontainer: json\nrows: [{other: \"a\\nb\"}]",
		"names": "name: x\ntitle: x\ncontainer: json\nrows: [{table: api, columns: {time: {first: [" + many(300) + "]}}}]",
		"match": "name: x\ntitle: x\ncontainer: json\nrows: [{table: api, columns: {time: t, user: {name: u, match: '(a{900}b{900}c{900})'}}}]",
		"first": "name: x\ntitle: x\ncontainer: json\nsniff: {first: '(a{900}b{900}c{900})'}\nrows: [{table: api, columns: {time: t}}]",
	} {
		if _, err := ParseSource([]byte(text)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// What a record of many elements takes does not grow with their number.
func TestManyElements(t *testing.T) {
	const n = 50_000
	long := strings.Repeat("a", maxShared)
	record := `{"category":"NetworkSecurityGroupFlowEvent","resourceId":"/subscriptions/` + long + `/x","macAddress":"002248\u0041B","properties":{"flows":[{"flows":[{"flowTuples":[` +
		strings.TrimSuffix(strings.Repeat(`"1767323045,10.0.0.1,192.0.2.8,1,443,T,O,A,C,1,2,3,4",`, n), ",") + "]}]}]}}\n"
	f := All().Named("azurensgflow")
	decoder, err := f.New(&Options{})
	if err != nil {
		t.Fatal(err)
	}
	hosts, accounts := 0, 0
	out := &columnar.Out{Want: ^columnar.Cols(0), Sink: func(b *columnar.Batch) {
		accounts += b.Known(columnar.Account)
		codes, host := b.Codes(columnar.Host)
		for r := range b.Len() {
			if string(host.Text(codes[r])) == "002248AB" {
				hosts++
			}
		}
	}}
	var tally Tally
	if err := decoder.Decode(&Block{Data: []byte(record), First: 1}, out, &tally); err != nil {
		t.Fatal(err)
	}
	out.Flush()
	if tally.Rows != n || hosts != n || accounts != 0 {
		t.Errorf("got %d rows, %d with a host and %d with a long account, want %d, %[4]d, 0", tally.Rows, hosts, accounts, n)
	}
	if w := decoder.(*sourceDecoder).w; cap(w.records) > 4*windowRecords {
		t.Errorf("a window has room for %d records, want about %d", cap(w.records), windowRecords)
	}
}

// A line of many quotes or brackets takes no time that grows with its square.
func TestManyQuotes(t *testing.T) {
	d, err := All().Named("s3access").New(&Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := &columnar.Out{Want: ^columnar.Cols(0), Sink: func(*columnar.Batch) {}}
	start := time.Now()
	for _, field := range []string{` "a`, ` [a`, `"a`, ` "`, ` ["`} {
		line := strings.Repeat(field, MaxRecord/len(field)) + "]x\n"
		if err := d.Decode(&Block{Data: []byte(line), First: 1}, out, &Tally{}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v, want less than a second", took)
	}
}

// The keys of a log are hostile: one that no path can say is no name of a draft.
func TestDraftOfBrackets(t *testing.T) {
	text := `{"url[0":"https://example.com/","user[":"mira","a\nname: z":1,"time":"2026-01-02T03:04:05Z"}` + "\n"
	o := &Object{Name: "x.json", Size: int64(len(text)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
	file, err := Draft(o, "x")
	if err != nil {
		t.Fatal(err)
	}
	if f, err := ParseSource([]byte(file)); err != nil || f.Name != "x" {
		t.Errorf("got %v, %v", f, err)
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("n")
		b.WriteString(strings.Repeat("x", i%7))
		b.WriteString(string(rune('a'+i%26)) + string(rune('a'+i/26%26)))
	}
	return b.String()
}

// FuzzParseSource compiles any text, and decodes what compiles.
func FuzzParseSource(f *testing.F) {
	for file, text := range sourceTexts(f) {
		in, _ := os.ReadFile(strings.TrimSuffix(file, "yaml") + "txtar")
		f.Add(text, in[:min(len(in), fuzzSize)])
	}
	f.Fuzz(func(t *testing.T, text, in []byte) {
		format, err := ParseSource(text)
		if err != nil || len(in) > fuzzSize {
			return
		}
		c := &logCase{format: format, options: Options{Want: ^columnar.Cols(0), Head: in}}
		r := c.run(in, fuzzSize)
		if err := r.check(); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkSources decodes the records of a source's case again and again.
func BenchmarkSources(b *testing.B) {
	for _, c := range vendorCases(b) {
		if !c.sniff {
			continue
		}
		b.Run("source="+c.format.Name, func(b *testing.B) {
			in := bytes.TrimRight(c.in, "\n")
			in = append(in, '\n')
			data := bytes.Repeat(in, 1+(4<<20)/len(in))
			out := &columnar.Out{Want: ^columnar.Cols(0), Sink: func(*columnar.Batch) {}}
			d, err := c.format.New(&c.options)
			if err != nil {
				b.Fatal(err)
			}
			var t Tally
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if err := d.Decode(&Block{Data: data, First: 1}, out, &t); err != nil {
					b.Fatal(err)
				}
			}
			out.Flush()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(t.Records), "ns/record")
		})
	}
}

// A log whose first record is longer than what is looked at would not be recognised.
func TestClosedJSON(t *testing.T) {
	whole := `{"category":"A, \"b\" {","x":[1,{"y":"]"},[2,3]],"z":{"k":null,"m":{}},"end":true}`
	for n := strings.IndexByte(whole, ',') + 1; n <= len(whole); n++ {
		got := closedJSON([]byte(whole[:n]))
		if len(got) > 0 && !json.Valid(got) {
			t.Errorf("closedJSON(%s): got %s, want sound JSON", whole[:n], got)
		}
	}
	for _, in := range []string{"", "{", `{"a`, "}", `{"a":1`, "{]]"} {
		closedJSON([]byte(in)) // must not panic
	}
	tuple := `"1795158002200,10.1.0.4,203.0.113.9,50000,443,6,O,C,NX,120,150000,60,4000",`
	head := `{"time":"2026-11-20T07:01:00Z","macAddress":"000D3A112233","category":"FlowLogFlowEvent","flowRecords":{"flows":[{"flowGroups":[{"flowTuples":[` +
		strings.Repeat(tuple, headSize/len(tuple))
	if f := All().sniff([]byte(head), false); nameOf(f) != "azurevnetflow" {
		t.Errorf("the head of a long record: got %s, want azurevnetflow", nameOf(f))
	}
}

// If this fails, users cannot know what a source file may say: docs/sources.md leaves out
// a key, a container or a part.
func TestSourceLanguageIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, word := range regexp.MustCompile(`[a-z]\w*`).FindAllString(string(text), -1) {
		words[word] = true
	}
	want := slices.Clone(partNames[:])
	for _, c := range containers {
		want = append(want, c.name)
	}
	for _, of := range []any{Source{}, Layout{}, Sniff{}, SourceRow{}, Condition{}, Swap{}, Column{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(of)) {
			if key := f.Tag.Get("yaml"); key != "" {
				want = append(want, key)
			}
		}
	}
	for _, word := range want {
		if !words[word] {
			t.Errorf("docs/sources.md does not say %q", word)
		}
	}
}

// BenchmarkRecognise looks at objects of one line. A log may be millions of them.
func BenchmarkRecognise(b *testing.B) {
	for name, head := range map[string]string{
		"json": `{"time":"2026-01-02T03:04:05Z","user":"mira","src_ip":"10.1.2.3","url":"https://example.com/x","bytes_out":5}` + "\n",
		"csv":  "time,user,src_ip,url,bytes_out\n2026-01-02T03:04:05Z,mira,10.1.2.3,https://example.com/x,5\n",
		"text": "79a5 bk [06/Feb/2026:00:00:38 +0000] 192.0.2.3 79a5 3E57 REST.GET.OBJECT k \"GET /bk/k HTTP/1.1\" 200\n",
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				r := &reader{ReadOptions: ReadOptions{Formats: All()}}
				r.recognise([]byte(head))
			}
		})
	}
}

// If this fails, times of one day are not what the layout of the source says.
func TestTimesOfOneDay(t *testing.T) {
	for _, test := range []struct{ layout, first, next, other string }{
		{"%d/%b/%Y:%H:%M:%S %z", "20/Nov/2026:23:00:01 +0200", "20/Nov/2026:23:59:59 +0200", "1795165200"},
		{"Jan _2 2006 15:04:05", "Nov  2 2026 01:02:03", "Nov  2 2026 11:02:59", "2026-11-20T10:11:12Z"},
		{"January 2 2006 15:04:05", "November 20 2026 01:02:03", "November 20 2026 11:02:59", "May 2 2026 01:02:03"},
	} {
		f, err := ParseSource([]byte("name: x\ntitle: x\ncontainer: csv\nlayouts: [{names: [a, user]}]\nrows: [{table: api, columns: {time: {name: a, time: \"" + test.layout + "\"}, user: user}}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		for _, zone := range []*time.Location{nil, time.FixedZone("", -7200)} {
			texts := []string{test.first, test.next, test.first, test.other, test.next, test.first[:len(test.first)-1] + "x", "20/Nov/2026:23:59:60 +0200"}
			times := func(texts ...string) (got []int64, skipped int64) {
				d, err := f.New(&Options{Zone: zone})
				if err != nil {
					t.Fatal(err)
				}
				out := &columnar.Out{Want: ^columnar.Cols(0), Sink: func(b *columnar.Batch) { got = append(got, b.Int64(columnar.Time)...) }}
				var tally Tally
				if err := d.Decode(&Block{Data: []byte(strings.Join(texts, ",u\n") + ",u\n"), First: 1}, out, &tally); err != nil {
					t.Fatal(err)
				}
				out.Flush()
				return got, tally.Skipped
			}
			var want []int64
			var wantSkipped int64
			for _, text := range texts {
				one, n := times(text)
				want, wantSkipped = append(want, one...), wantSkipped+n
			}
			if got, skipped := times(texts...); !slices.Equal(got, want) || skipped != wantSkipped || len(got) < 4 {
				t.Errorf("%s: got %v, %d skipped, want %v, %d skipped", test.layout, got, skipped, want, wantSkipped)
			}
		}
	}
}

// Records get what earlier ones said, however long before: a block remembers the lines of
// those before it, up to a bound.
func TestRemember(t *testing.T) {
	f, err := ParseSource([]byte(`
name: mails
title: mails
container: keyvalue
remember: {by: [id], keep: [from, size]}
rows:
  - table: network
    where: {to: {present: true}}
    columns: {time: time, user: from, dst_host: to, bytes_out: size}
  - {other: queued, where: {from: {present: true}}}
  - {other: other, where: {id: {present: true}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	queued := "id=7 from=mira size=100\n"
	sent := "time=2026-11-20T20:14:06Z id=7 to=x.example\n"
	for _, c := range []struct {
		name, in string
		user     int
	}{
		{"at once", queued + sent, 1},
		{"after other lines", queued + strings.Repeat("id=8 x=y\n", 1<<18) + sent, 1},
		{"after more than is remembered", queued + strings.Repeat("id=8 from=ann size=5\n", 1<<18) + sent, 0},
		{"afterwards", sent + queued, 0},
		{"of another id", queued + "time=2026-11-20T20:14:06Z id=77 to=x.example\n", 0},
		{"said again", queued + "id=7 from=omar\n" + sent, 1},
	} {
		o := &Object{Name: "x.log", Size: int64(len(c.in)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(c.in)), nil }}
		rows, users, bytes := 0, 0, int64(0)
		out := &columnar.Out{Want: ^columnar.Cols(0), Sink: func(b *columnar.Batch) {
			rows += b.Len()
			users += b.Known(columnar.User)
			for _, n := range b.Int64(columnar.BytesOut) {
				bytes += n
			}
		}}
		d, err := f.New(&Options{})
		if err != nil {
			t.Fatal(err)
		}
		var tally Tally
		Read(o, &ReadOptions{Format: f}, func(m *Member, b *Block) error { return b.Decode(d, out, &tally) })
		out.Flush()
		if rows != 1 || users != c.user || bytes != int64(100*c.user) {
			t.Errorf("%s: got %d rows, %d with a user, %d bytes, want 1, %d, %d", c.name, rows, users, bytes, c.user, 100*c.user)
		}
	}
}

// If this fails, the query of an event is lost that a collector keeps in event, beside copies
// of some of its names.
func TestEventBesideCopies(t *testing.T) {
	r, members := readObject(t, []byte(`{"aid":"a0a0","cid":"c0c0","event_platform":"Win","event_simpleName":"DnsRequest","fdr_event_type":"DnsRequest","timestamp":"1795161601000","event":{"event_simpleName":"DnsRequest","aid":"a0a0","cid":"c0c0","timestamp":"1795161601000","DomainName":"k1.heron.example.","RequestType":"16"}}
{"aid":"a0a0","cid":"c0c0","event_platform":"Win","event_simpleName":"ProcessRollup2","fdr_event_type":"ProcessRollup2","timestamp":"1795161602000","event":{"event_simpleName":"ProcessRollup2","aid":"a0a0","cid":"c0c0","timestamp":"1795161602000","ImageFileName":"C:\\t\\r.exe","CommandLine":"r.exe copy d: m:","OriginalFilename":"rclone.exe","UserName":"mira"}}
`))
	if got := members[0].Format.Name; got != "crowdstrike" || r.rows != 2 {
		t.Fatalf("got %d rows of %s, want 2 of crowdstrike", r.rows, got)
	}
	if got := r.column(columnar.DNS, columnar.Query)[0]; got != "k1.heron.example" {
		t.Errorf("got query %q, want k1.heron.example", got)
	}
	if got := r.column(columnar.Process, columnar.CmdLine)[0]; got != "r.exe copy d: m:" {
		t.Errorf("got command line %q, want r.exe copy d: m:", got)
	}
}

// If this fails, a draft does not find times such as 11/20/2026: only all dates of a log together tell
// whether the month comes first.
func TestDraftOfDates(t *testing.T) {
	for text, want := range map[string]string{
		"mira,10.20.4.17,11/20/2026 20:14:06.123,files.example,150000\nann,10.20.4.18,11/20/2026 20:14:07.456,files.example,1500\n": `time: "$3"`,
		"ts,user,bytes\n20/11/2026 20:14:06,mira,1\n": `time: ts`,
	} {
		o := &Object{Name: "x.csv", Size: int64(len(text)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
		if file, err := Draft(o, "x"); err != nil || !strings.Contains(file, want) {
			t.Errorf("got %v and\n%s, want %s", err, file, want)
		}
	}
}

// If this fails, what objects say for later ones is lost where a block ends.
func TestRememberObjects(t *testing.T) {
	f := Named("awstransfer-json")
	began := `{"activity-type":"CONNECTED","user":"mira","resource-arn":"s-1","session-id":"7"}` + "\n"
	ended := `{"activity-type":"CLOSE","path":"/a","bytes-out":"100","resource-arn":"s-1","session-id":"7","@timestamp":"2026-11-20T20:14:06Z"}` + "\n"
	other := `{"activity-type":"OPEN","path":"/b","resource-arn":"s-1","session-id":"8"}` + "\n"
	in := began + strings.Repeat(other, 1<<17) + ended
	o := &Object{Name: "x.log", Size: int64(len(in)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(in)), nil }}
	blocks, users := 0, 0
	out := &columnar.Out{Want: ^columnar.Cols(0), Sink: func(b *columnar.Batch) { users += b.Known(columnar.User) }}
	var tally Tally
	Read(o, &ReadOptions{}, func(m *Member, b *Block) error {
		if blocks++; m.Format.Name != f.Name {
			t.Fatalf("got %s, want %s", m.Format.Name, f.Name)
		}
		d, err := m.Format.New(m.Options) // as a worker that has not read the blocks before
		if err != nil {
			return err
		}
		err = b.Decode(d, out, &tally)
		out.Flush()
		return err
	})
	if blocks < 2 || users != 1 || tally.Rows != 1 {
		t.Errorf("got %d blocks, %d rows, %d with a user, want several, 1, 1", blocks, tally.Rows, users)
	}
}

// If this fails, rules look for a field under a name that the records do not have.
func TestRulesIn(t *testing.T) {
	in := RulesIn{"Pay": "pay_load", "Pay.request": "pay_load.requestJson"}
	for field, want := range map[string]string{
		"Pay.status.code":             "pay_load.status.code",
		"Pay.request.steps[].name":    "pay_load.requestJson.steps[].name",
		"Pay.requests.name":           "pay_load.requests.name",
		"Payment.name":                "Payment.name",
		"name":                        "name",
		"pay_load.requestJson.object": "pay_load.requestJson.object",
	} {
		if got := in.nameOf(field); got != want {
			t.Errorf("%s: got %s, want %s", field, got, want)
		}
	}
	whole := RulesIn{"": "Data"}
	if a, b := whole.nameOf("a.b"), whole.nameOf("Data.b"); a != "Data.a.b" || b != "Data.b" {
		t.Errorf("got %s, %s", a, b)
	}
}
