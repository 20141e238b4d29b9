package logs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"outflow/columnar"
	"outflow/columnar/scan"
	"outflow/columnar/scan/scantest"
)

// slowNames flattens an object to the texts of its values by path. If several sequences
// of keys have the same path, the shortest one with a known value counts. Empty keys are
// ignored.
func slowNames(v any, prefix string, depth int, texts map[string]string, depths map[string]int) {
	for key, v := range slowObject(v) {
		if key == "" {
			continue
		}
		path, text := prefix+key, slowText(v)
		if have, ok := depths[path]; !scan.Unknown([]byte(text)) && (!ok || depth < have) {
			texts[path], depths[path] = text, depth
		}
		slowNames(v, path+".", depth+1, texts, depths)
	}
}

// duplicateKeys reports whether an object has equal keys, or two equally long sequences
// of keys with the same path. It is not defined which one counts.
func duplicateKeys(b []byte) bool {
	seen := map[string]bool{}
	duplicate := false
	var walk func(b []byte, prefix string, depth int)
	walk = func(b []byte, prefix string, depth int) {
		var w scan.Walker
		for w.Open(b); w.Next(); {
			if !w.InObject() {
				continue
			}
			path := prefix + string(w.Key)
			at := path + "\x00" + strings.Repeat("x", depth)
			duplicate = duplicate || seen[at]
			seen[at] = true
			walk(w.Val, path+".", depth+1)
		}
	}
	walk(b, "", 0)
	return duplicate
}

var jsonlNames = []string{"time", "user.name", "a.b.c", "x", "a..b"}

func checkJSONLines(t *testing.T, line []byte) {
	t.Helper()
	shape := scan.NewPlaces(&scan.Places{
		Of: func(name string, _ int) []scan.Place {
			if i := slices.Index(jsonlNames, name); i >= 0 {
				return []scan.Place{{Field: i}}
			}
			return nil
		},
		Leads: func(name string, _ int) bool {
			return slices.ContainsFunc(jsonlNames, func(s string) bool { return strings.HasPrefix(s, name+".") })
		},
	}, func([]byte) int { return -1 })
	var values [64]scan.Value
	shape.Read([]byte(`{"x":5,"a":{"b":{"c":"old"}}}`), values[:])
	_, _, ok := shape.Read(line, values[:])
	event, wantOK := mendedReference(line)
	if _, isObject := event.(map[string]any); !isObject {
		wantOK = false
	}
	if scantest.Depth(event) > scan.MaxDepth || duplicateKeys(line) {
		return
	}
	if ok != wantOK {
		t.Fatalf("%q: got sound %v, want %v", line, ok, wantOK)
	}
	if !ok {
		return
	}
	texts := map[string]string{}
	slowNames(event, "", 0, texts, map[string]int{})
	var got, want []string
	var scratch []byte
	for i, name := range jsonlNames {
		got = append(got, scantest.Runes(shape.Text(i, &scratch)))
		want = append(want, texts[name])
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("%q (-slow +got):\n%s", line, diff)
	}
}

var jsonlLines = []string{
	`{"time":1,"user":{"name":"n"},"a":{"b":{"c":"v"}}}`,
	`{"a.b":{"c":1},"a":{"b.c":2}}`,
	`{"a.b.c":1,"a":{"b":{"c":2}}}`,
	`{"a":{"b":{"c":2}},"a.b.c":1}`,
	`{"a":{"b":{"c":2}},"a.b":{"c":1}}`,
	`{"a":{"b":5},"x":[1],"user":"x"}`,
	`{"a":{"b":{"c":null}},"x":{"y":1},"user.name":true}`,
	`{"a..b":1,"a":{".b":2}}`,
	`{"time":"\u0041","user":{"na\u006de":"\n"}}`,
	`{"time":1`, `[1]`, `1`,
}

func TestJSONLinesSlow(t *testing.T) {
	for _, line := range jsonlLines {
		checkJSONLines(t, []byte(line))
	}
}

// FuzzJSONLines compares the values found by path with those of a simple search.
func FuzzJSONLines(f *testing.F) {
	for _, line := range jsonlLines {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if json.Valid(line) || !bytes.ContainsRune(line, 0) {
			checkJSONLines(t, line)
		}
	})
}

// checkJSONLinesDecode compares the decoder with a simple one, with and without a wrapper
// around the lines.
func checkJSONLinesDecode(t *testing.T, in []byte) {
	t.Helper()
	for line := range bytes.Lines(in) {
		if duplicateKeys(bytes.TrimRight(line, "\r\n")) {
			return
		}
	}
	// textsOf returns the texts of the names in the mapping. Letter case does not matter,
	// but an exact match is preferred.
	textsOf := func(e map[string]any) map[string]string {
		all, depths := map[string]string{}, map[string]int{}
		slowNames(e, "", 0, all, depths)
		texts := map[string]string{}
		for _, name := range jsonlNames {
			var paths []string
			for path := range all {
				if strings.EqualFold(path, name) {
					paths = append(paths, path)
				}
			}
			if len(paths) > 0 {
				texts[name] = all[slices.MinFunc(paths, func(a, b string) int {
					exact := func(path string) int {
						if path == name {
							return 0
						}
						return 1
					}
					return cmp.Or(cmp.Compare(exact(a), exact(b)), cmp.Compare(depths[a], depths[b]), cmp.Compare(a, b))
				})]
			}
		}
		return texts
	}
	slow := func(e map[string]any) (rows []slowRow, skip bool) {
		texts := textsOf(e)
		if event, ok := e[eventKey].(map[string]any); ok && texts["time"] == "" {
			if inner := textsOf(event); inner["time"]+inner["user.name"] != "" {
				texts = inner
			}
		}
		var s setter
		us, ok := s.clock.Any([]byte(texts["time"]))
		if !ok {
			return nil, true
		}
		return []slowRow{{columnar.API, map[columnar.Col]string{columnar.Time: slowTime(us),
			columnar.User: texts["user.name"], columnar.Operation: texts["a.b.c"], columnar.Service: texts["x"]}}}, false
	}
	m := &Mapping{Table: columnar.API, Only: true, Columns: map[columnar.Col]Column{
		columnar.Time: {Name: "time"}, columnar.User: {Name: "user.name"}, columnar.Operation: {Name: "a.b.c"}, columnar.Service: {Name: "x"}}}
	c := &logCase{format: JSONLines, options: Options{Mapping: m, Want: ^columnar.Cols(0)}}
	checkSlowCase(t, c, slow, in)
}

func TestJSONLinesDecodeSlow(t *testing.T) {
	in := jsonLinesOf(t, JSONLines)
	for _, line := range jsonlLines {
		line = strings.Replace(line, `"time":1`, `"time":1700000000`, 1)
		in = append(append(in, line...), '\n')
		in = append(append(append(in, `{"x":1,"event":`...), line...), "}\n"...)
	}
	for line := range bytes.Lines(in) {
		checkJSONLinesDecode(t, line)
	}
}

// FuzzJSONLinesDecode compares the decoder with a simple one that uses encoding/json.
func FuzzJSONLinesDecode(f *testing.F) {
	for _, line := range jsonlLines {
		f.Add([]byte(line + "\n" + `{"event":` + line + `}`))
	}
	addLines(f, JSONLines)
	f.Fuzz(checkJSONLinesDecode)
}

// cloudJSON returns a log of n calls, nested and flat.
func cloudJSON(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for i := range n {
		sec := i / 8 % 86400
		fmt.Fprintf(&b, `{"timestamp":"2026-01-%02dT%02d:%02d:%02d.%03dZ","id":"%016x","user":{"email":"first.last%d@corp.example.com","type":"member"},"src_ip":"10.%d.%d.%d","service":"drive","action":"upload","level":"info","bytes_out":%d,"bytes_in":%d,"object":"/sites/team%d/report_%d.docx"}`+"\n",
			1+i/8/86400%28, sec/3600, sec/60%60, sec%60, r.IntN(1000), r.Uint64(), r.IntN(5000), r.IntN(4), r.IntN(50), r.IntN(100),
			r.IntN(1<<r.IntN(30)+1), r.IntN(1<<r.IntN(24)+1), r.IntN(30), r.IntN(20000))
	}
	return b.Bytes()
}

func BenchmarkDecodeJSONLines(b *testing.B) {
	data := benchLog(b, "OUTFLOW_BENCH_JSONL", func() []byte { return cloudJSON(200_000) })
	want := columnar.ColSet(columnar.Time, columnar.User, columnar.SrcIP, columnar.BytesOut, columnar.BytesIn)
	b.Run("format=jsonl", func(b *testing.B) { benchDecode(b, JSONLines, data, want) })
}

// If this fails, a field that rules read is lost in an object with more fields than a
// shape can have.
func TestJSONLinesManyFields(t *testing.T) {
	c := &logCase{format: JSONLines, options: Options{Want: ^columnar.Cols(0)}}
	line := `"user":"dora"`
	for i := range 200 {
		c.fields = append(c.fields, fmt.Sprintf("own.f%d", i))
		line += fmt.Sprintf(`,"own":{"f%d":"v%d"}`, i, i)
	}
	c.want()
	r := c.decode(whole([]byte(`{"time":"2026-11-20T09:00:00Z",` + line + "}\n" + `{"event":{"time":"2026-11-20T09:00:01Z",` + line + "}}\n")))
	cells := r.tables[columnar.API.ID].Cells
	if r.tally.Rows != 2 {
		t.Fatalf("got %+v, want two rows", r.tally)
	}
	for i := range 200 {
		want := fmt.Sprintf("v%d", i)
		if got := cells[len(columnar.API.Cols)+i]; got[0] != want || got[1] != want {
			t.Errorf("%s: got %q, want %q twice", c.fields[i], got, want)
		}
	}
}

// A log may have new names without end. Were each of them compared with every name that is
// known, a log of a few MB would hold up the night.
func TestUnknownNamesAreLookedUp(t *testing.T) {
	const names = 50
	d, keys, node := &jsonLines{mapping: &Mapping{}}, &sourcePlan{}, &jsonNode{}
	for i := range names {
		name := fmt.Sprintf("Read_By_Rule_%d", i) // to compare it with another takes memory
		d.kept = append(d.kept, name)
		keys.slots = append(keys.slots, slot{name: name, kept: name})
		node.path(name).kept = name
	}
	node.open()
	meanings, pairs := d.meanings(), newKeys(keys)
	for range 1 << 12 { // as many as it remembers
		pairs.slotsOf(fmt.Appendf(nil, "old_%d", len(pairs.known)))
	}
	unknown := "no_such_name"
	for what, look := range map[string]func(){
		"JSON lines":               func() { meanings.places(unknown, 1) },
		"what leads in JSON lines": func() { meanings.leads(unknown, 1) },
		"pairs":                    func() { pairs.slotsOf([]byte(unknown)) },
	} {
		if got := testing.AllocsPerRun(10, look); got >= names/2 {
			t.Errorf("%s: an unknown name takes %v allocations with %d known names, want a few", what, got, names)
		}
	}
	record := []byte(`{"no_such_name":1}`)
	shape, values := node.shapes[0], make([]scan.Value, shapePaths)
	if got := testing.AllocsPerRun(10, func() {
		record = fmt.Appendf(record[:0], `{"no_such_name_%d":1}`, rand.Int())
		shape.Read(record, values)
	}); got >= names/2 {
		t.Errorf("JSON of a source: an unknown name takes %v allocations with %d known names, want a few", got, names)
	}
}
