package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// tree reads a JSON object with the walker into what encoding/json would give
// for it. ok is false if the walker finds it malformed.
func tree(b []byte) (v any, ok bool) {
	var w walker
	w.open(b)
	object := map[string]any{}
	array := []any{}
	for w.next() {
		member, ok := leaf(w.val)
		if !ok {
			return nil, false
		}
		if w.close == '}' {
			object[runes(w.key)] = member
		} else {
			array = append(array, member)
		}
	}
	if first := bytes.TrimLeft(b, " \t\r\n"); len(first) > 0 && first[0] == '[' {
		return array, w.done()
	}
	return object, w.done()
}

func leaf(v value) (any, bool) {
	switch {
	case v.is('{'), v.is('['):
		return tree(v)
	case v.is('n'):
		return nil, true
	case v.is('t'), v.is('f'):
		return v.is('t'), true
	}
	var scratch []byte
	text := v.text(&scratch)
	if v.is('"') {
		return runes(text), true
	}
	return json.Number(text), true
}

// runes writes bytes that are not UTF-8 as encoding/json does: each as U+FFFD.
func runes(b []byte) string { return string([]rune(string(b))) }

func reference(b []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if d.Decode(&v) != nil || !json.Valid(b) {
		return nil, false
	}
	switch v.(type) {
	case map[string]any, []any:
		return v, true
	}
	return nil, false
}

var walks = []string{
	`{}`, ` { } `, `[]`, `{"a":1}`, `{"a":1,"a":2}`, `{"a":{"b":1},"a":{"c":2}}`, "{\"a\"\t:\r1 ,\n\"b\": [1, 2,{}]}\r",
	`{"":""}`, `{"a b":"\u00e9\n\t\"\\\/\b\f\r"}`, `{"\u0061.b":"\ud83d\ude00"}`,
	`{"a":"\ud83d"}`, `{"a":"\ud83dx"}`, `{"a":"\ud83d\u0041"}`, `{"a":"\ud83d\ud83d\ude00"}`, `{"a":"\ude00\ud83d"}`,
	"{\"a\":\"\xff\xfe\",\"\xff\":1}", "{\"a\":\"\x7f\"}", "{\"a\":\"1234567\x1f\"}", "{\"a\":\"\x00\"}",
	`{"a":-0.5e+10,"b":0,"c":-0,"d":1E5}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`, `{"a":+1}`, `{"a":1e}`, `{"a":-}`, `{"a":1x}`,
	`{"a":true,"b":false,"c":null}`, `{"a":tru}`, `{"a":nullx}`, `{"a":True}`,
	`{"a":"x`, `{"a":"x\`, `{"a":"\u12"}`, `{"a":"\x41"}`, `{"a":"12345678`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`,
	`{"a" 1}`, `{"a":1 "b":2}`, `{a:1}`, `{"a":1}}`, `{"a":1}{`, `{"a":1} x`, `{"a":[1,]}`, `{"a":[1}`, `{"a":{"b":1]}`, `{"a":[,1]}`,
	``, ` `, `x`, `"a"`, `1`, `null`, `{"a":"` + strings.Repeat("é", 100) + `"}`, `{"a":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`,
	"{\"a\":1}\x00\x00", `{"a":[[[{"b":[{}]}]]]}`,
	`{"a":{"b":"\u0041","a":1,"c":{"b":2}},"c":{"a":[]},"b":0}`, `{"a":{"b":1,"c":{"a":1}},"a":5}`, `{"a":{"c":{"a":1},"c":null,"a":{}},"c":{"a":1},"c":{}}`,
	`{"a":01,"b":1}`, `{"a":-01,"b":0}`, `{"a":1.,"b":0}`, `{"a":12345678,"b":123456789}`, `{"a":"\n","a":"x"}`, `{"a":{"b":1,}}`, `{"a":{"b":1},"c": {"a":1}}`, `{"a":{"c":{"a":}}}`, `{"a":{"c":{"a":1}`, `{"a":{"b":` + strings.Repeat("[", 254) + strings.Repeat("]", 254) + `}}`,
}

func checkWalk(t *testing.T, b []byte) {
	t.Helper()
	got, ok := tree(b)
	want, wantOK := reference(b)
	if ok != wantOK {
		if wantOK && depth(want) > maxDepth {
			return
		}
		t.Fatalf("%q: got sound %v, want %v", b, ok, wantOK)
	}
	// Diff takes minutes for some that are deep and equal.
	if ok && !reflect.DeepEqual(got, want) {
		t.Errorf("%q (-encoding/json +walker):\n%s", b, gocmp.Diff(want, got))
	}
	checkShape(t, b)
	checkInner(t, b)
}

// checkShape checks that a shape sees what a walker does, of keys that are new
// to it, that come as foretold, and that come otherwise.
func checkShape(t *testing.T, b []byte) {
	t.Helper()
	fields := []string{"a", "b", "", "a b"}
	s := newShape(func(key []byte) int { return slices.Index(fields, string(key)) })
	for _, line := range [][]byte{b, b, []byte(`{"a":1,"b":2,"":3}`), b, b} {
		want := make([]value, len(fields))
		var wantHas, wantEscaped uint64
		var w walker
		for w.open(line); w.next(); {
			if f := slices.Index(fields, string(w.key)); f >= 0 && w.close == '}' {
				want[f] = w.val
				wantHas |= 1 << f
				wantEscaped &^= 1 << f
				if w.escaped {
					wantEscaped |= 1 << f
				}
			}
		}
		got := make([]value, len(fields))
		has, escaped, ok := s.read(line, got)
		if ok != w.doneObject() {
			t.Fatalf("%q: shape: got sound %v, want %v", line, ok, w.doneObject())
		}
		if !ok {
			continue
		}
		if d := gocmp.Diff(want, got); d != "" || has != wantHas || escaped != wantEscaped {
			t.Fatalf("%q: shape: got fields %b, escaped %b, want %b, %b (-walker +shape)\n%s", line, has, escaped, wantHas, wantEscaped, d)
		}
	}
}

// checkInner checks that a shape reads the objects within an object as
// encoding/json does, for which of equal keys only the last is there.
func checkInner(t *testing.T, b []byte) {
	t.Helper()
	s, in := shapeOf(0, "a", "b"), shapeOf(2, "a", "b")
	in.within("c", shapeOf(4, "a", "b"))
	s.within("a", in)
	s.within("c", shapeOf(6, "a"))
	values := make([]value, 7)
	for _, line := range [][]byte{[]byte(`{"a":{"b":1,"a":2,"c":{"a":3,"b":"\n"}},"c":{"a":1}}`), b, b} {
		_, _, ok := s.read(line, values)
		event, wantOK := reference(line)
		object, isObject := event.(map[string]any)
		if depth(event) > maxDepth {
			return
		}
		if ok != (wantOK && isObject) {
			t.Fatalf("%q: inner shape: got sound %v", line, ok)
		}
		if !ok {
			continue
		}
		a := slowObject(object["a"])
		for field, of := range []map[string]any{object, object, a, a, slowObject(a["c"]), slowObject(a["c"]), slowObject(object["c"])} {
			want, has := of["ab"[field%2:][:1]]
			var scratch []byte
			if v := s.value(field); (v != nil) != has || runes(s.text(field, &scratch)) != slowText(want) {
				t.Fatalf("%q: inner field %d: got %q, want %v (%v)", line, field, v, want, has)
			}
		}
	}
}

func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, m := range v {
			deepest = max(deepest, depth(m))
		}
	case []any:
		for _, m := range v {
			deepest = max(deepest, depth(m))
		}
	default:
		return 0
	}
	return deepest + 1
}

func TestWalk(t *testing.T) {
	for _, s := range walks {
		checkWalk(t, []byte(s))
		// A fault or an end at any byte.
		for i := range s {
			if i < 40 {
				checkWalk(t, []byte(s[:i]))
			}
		}
	}
	for _, n := range []int{maxDepth - 1, maxDepth} {
		deep := []byte(`{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
		if _, ok := tree(deep); ok != (n < maxDepth) {
			t.Errorf("%d levels below the first: got sound %v, want %v", n, ok, n < maxDepth)
		}
	}
}

// FuzzWalk holds the walker to encoding/json: the same inputs are sound, and
// have the same keys and values.
func FuzzWalk(f *testing.F) {
	for _, s := range walks {
		f.Add([]byte(s))
	}
	f.Fuzz(checkWalk)
}

func TestParseNumber(t *testing.T) {
	for _, c := range []struct {
		in    string
		scale int64
		want  int64
		ok    bool
	}{
		{"0.0", 1, 0, true},
		{"1.073741824E9", 1, 1 << 30, true},
		{"9.5367431640625e-07", 1e6, 0, true},
		{"2.5e-3", 1e6, 2500, true},
		{"9223372036854775807", 1, math.MaxInt64, false}, // beyond what arithmetic on sums stands
		{"4611686018427387904", 1, 1 << 62, true},
		{"1e300", 1, 0, false},
		{"-1e2", 1, -100, true},
		{"e", 1, 0, false},
		{"", 1, 0, false},
		{"NaN", 1, 0, false},
	} {
		got, ok := parseNumber([]byte(c.in), c.scale)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("parseNumber(%q, %d): got %d, %v, want %d, %v", c.in, c.scale, got, ok, c.want, c.ok)
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	line := []byte(zeekDNSLine(0))
	b.SetBytes(int64(len(line)))
	var w walker
	for b.Loop() {
		w.open(line)
		for w.next() {
		}
		if !w.done() {
			b.Fatal("malformed")
		}
	}
}

// zeekDNSLine returns the i-th line of a made-up dns.log in JSON.
func zeekDNSLine(i int) string {
	return fmt.Sprintf(`{"ts":%d.%06d,"uid":"C%013x","id.orig_h":"10.0.%d.%d","id.orig_p":%d,"id.resp_h":"10.0.0.53","id.resp_p":53,"proto":"udp","trans_id":%d,"rtt":0.0234,"query":"%s%d.example%d.com","qclass":1,"qclass_name":"C_INTERNET","qtype":1,"qtype_name":"A","rcode":0,"rcode_name":"NOERROR","AA":false,"TC":false,"RD":true,"RA":true,"Z":0,"answers":["192.0.2.%d"],"TTLs":[300.0],"rejected":false}`,
		1767225600+i/100, i%100*10000, i, i/250%8, i%250, 1024+i%60000, i%65536, []string{"www", "api", "cdn"}[i%3], i%7, i*i%5000, i%250)
}

// A slowRow is a row that an obvious decoder on encoding/json wants: the texts
// of the columns that have a value.
type slowRow struct {
	table *columnar.Table
	cells map[columnar.Col]string
}

// A slowDecoder gives the rows of a sound JSON object, or says that it is to be
// skipped.
type slowDecoder func(event map[string]any) (rows []slowRow, skip bool)

// checkSlow compares a format on JSON lines with its slow decoder.
func checkSlow(t *testing.T, f *Format, slow slowDecoder, in []byte) {
	t.Helper()
	checkSlowCase(t, &logCase{format: f, options: Options{Want: ^columnar.Cols(0), Head: in}}, slow, in)
}

func checkSlowCase(t *testing.T, c *logCase, slow slowDecoder, in []byte) {
	t.Helper()
	var want result
	for line := range bytes.Lines(in) {
		line = bytes.TrimRight(line, "\r\n")
		if len(bytes.Trim(line, " \t\r")) == 0 {
			continue
		}
		event, ok := reference(line)
		object, isObject := event.(map[string]any)
		if depth(event) > maxDepth {
			t.Skip()
		}
		if !ok || !isObject {
			want.tally.Skip(0, "")
			continue
		}
		rows, skip := slow(object)
		switch {
		case skip:
			want.tally.Skip(0, "")
		case len(rows) == 0:
			want.tally.Pass()
		}
		for _, row := range rows {
			want.tally.Row()
			cells := &want.tables[row.table.ID].Cells
			if *cells == nil {
				*cells = make([][]string, len(row.table.Cols))
			}
			for i, c := range row.table.Cols {
				(*cells)[i] = append((*cells)[i], row.cells[c])
			}
		}
	}
	got := c.decode(whole(in))
	if got.err != nil {
		t.Fatal(got.err)
	}
	got.tally.Reasons, want.tally.Reasons = nil, nil
	if d := gocmp.Diff(want.tally, got.tally); d != "" {
		t.Errorf("tally (-slow +got):\n%s", d)
	}
	for id := range got.tables {
		for _, column := range got.tables[id].Cells {
			for i := range column {
				column[i] = runes([]byte(column[i]))
			}
		}
		if d := gocmp.Diff(want.tables[id].Cells, got.tables[id].Cells); d != "" {
			t.Errorf("table %s (-slow +got):\n%s", columnar.Tables[id].Name, d)
		}
	}
}

// TestJSONReal holds the decoders to the slow ones on the JSON logs of the
// folder that OUTFLOW_DATA names.
func TestJSONReal(t *testing.T) {
	dir := os.Getenv("OUTFLOW_DATA")
	if dir == "" {
		t.Skip("OUTFLOW_DATA names no folder")
	}
	slow := map[*Format]slowDecoder{Zeek: slowZeek, Suricata: slowSuricata, CloudTrail: slowCloudTrail}
	var files []string
	for _, pattern := range []string{"*/*.json", "*/*.json.gz", "*/json__*", "*/*.jsonl", "*/*zeek*.zip"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern))
		files = append(files, found...)
	}
	checked := map[*Format]int{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		o := object(filepath.Base(file), data)
		o.At = func() (ReaderAtCloser, error) { return os.Open(file) }
		blocks := map[*Member]int{}
		Read(o, &ReadOptions{}, func(m *Member, b *Block) error {
			if slow[m.Format] != nil && b.Data[0] == '{' && blocks[m] < 4 {
				blocks[m]++
				checked[m.Format] += bytes.Count(b.Data, eol)
				checkSlow(t, m.Format, slow[m.Format], b.Data)
			}
			return nil
		})
	}
	for f := range slow {
		if t.Logf("%s: %d lines", f.Name, checked[f]); checked[f] == 0 {
			t.Errorf("no log of %s in %s", f.Name, dir)
		}
	}
}

// slowText is value.text of what encoding/json gives.
func slowText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return fmt.Sprint(v)
	}
	return ""
}

// slowCount is countOf as the text of a cell.
func slowCount(v any) (text string, ok bool) {
	n, ok := countOf([]byte(slowText(v)))
	if n < 0 {
		return "", ok
	}
	return fmt.Sprint(n), ok
}

func slowTime(us int64) string {
	return time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05.999999Z07:00")
}

func slowDomain(name string) string {
	return string(new(columnar.Domains).Registered(columnar.AppendLower(nil, []byte(name))))
}

// slowLower lowers ASCII letters only.
func slowLower(s string) string { return string(columnar.AppendLower(nil, []byte(s))) }

func slowObject(v any) map[string]any {
	object, _ := v.(map[string]any)
	return object
}

// jsonLinesOf returns the lines of the cases of a format, those for a slow
// decoder: as they are, and each cut and damaged in a few places.
func jsonLinesOf(t testing.TB, f *Format) []byte {
	var out []byte
	for _, c := range readCases(t) {
		if c.format != f || len(c.in) > 1<<20 {
			continue
		}
		for line := range bytes.Lines(c.in) {
			if line[0] != '{' {
				continue
			}
			line = bytes.TrimRight(line, "\n")
			out = append(append(out, line...), '\n')
			for i := 7; i < len(line); i += 31 {
				out = append(append(append(out, line[:i]...), line[i+1:]...), '\n')
			}
		}
	}
	return out
}

// addLines adds each JSON line of the cases of a format as a seed.
func addLines(f *testing.F, format *Format) {
	for _, c := range readCases(f) {
		if c.format != format {
			continue
		}
		for line := range bytes.Lines(c.in) {
			if line[0] == '{' && len(line) < 1<<16 {
				f.Add(line)
			}
		}
	}
}

// mutate returns a copy of b with a few changes of the kinds that JSON is damaged
// by. It finds in a second what guided fuzzing, which runs a hundred inputs in
// that time here, takes minutes for.
func mutate(random *rand.Rand, b []byte) []byte {
	const marks = "{}[]\",:\\ \t\r01-+.eEtfnu\x00\x1f\x7f\xff"
	b = bytes.Clone(b)
	for range 1 + random.IntN(3) {
		i := random.IntN(len(b) + 1)
		j := min(len(b), i+random.IntN(12))
		switch random.IntN(5) {
		case 0:
			b = slices.Delete(b, i, j)
		case 1:
			b = slices.Insert(b, i, marks[random.IntN(len(marks))])
		case 2:
			b = slices.Insert(b, random.IntN(len(b)+1), bytes.Clone(b[i:j])...)
		case 3:
			b = slices.Insert(b, i, bytes.Repeat([]byte{'x'}, random.IntN(130))...)
		case 4:
			if i < len(b) {
				b[i] = marks[random.IntN(len(marks))]
			}
		}
	}
	return b
}

func TestMutated(t *testing.T) {
	random := rand.New(rand.NewPCG(7, uint64(len(walks))))
	rounds := 30
	if text := os.Getenv("OUTFLOW_MUTATE"); text != "" {
		rounds, _ = strconv.Atoi(text)
		random = rand.New(rand.NewPCG(rand.Uint64(), 0))
	}
	lines := func(f *Format) (lines [][]byte) {
		for _, c := range readCases(t) {
			for line := range bytes.Lines(c.in) {
				if line = bytes.TrimRight(line, "\r\n"); c.format == f && len(line) > 0 && line[0] == '{' && len(line) < 4096 {
					lines = append(lines, line)
				}
			}
		}
		return lines
	}
	formats := []struct {
		lines [][]byte
		check func(*testing.T, []byte)
	}{
		{lines(Zeek), func(t *testing.T, b []byte) { checkSlow(t, Zeek, slowZeek, zeekJSON(b)) }},
		{lines(Suricata), func(t *testing.T, b []byte) { checkSlow(t, Suricata, slowSuricata, b) }},
		{lines(CloudTrail), func(t *testing.T, b []byte) { checkSlow(t, CloudTrail, slowCloudTrail, b) }},
		{lines(JSONLines), checkJSONLinesDecode},
	}
	for range rounds {
		for _, s := range walks {
			b := mutate(random, []byte(s))
			checkWalk(t, b)
			checkStops(t, b)
			checkShaper(t, append(b, s...))
		}
		for _, f := range formats {
			// Several lines to a block, so that the keys of one foretell those
			// of the next.
			var b []byte
			for range 20 {
				line := f.lines[random.IntN(len(f.lines))]
				b = append(append(b, bytes.ReplaceAll(mutate(random, line), eol, nil)...), '\n')
			}
			f.check(t, b)
		}
	}
}
