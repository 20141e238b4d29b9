package logs

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// slowNames flattens an object: the texts of its values by path. Of two ways to
// a path, the one with fewer keys goes first. An empty key leads nowhere.
func slowNames(v any, prefix string, depth int, texts map[string]string, depths map[string]int) {
	for key, v := range slowObject(v) {
		if key == "" {
			continue
		}
		path := prefix + key
		if have, ok := depths[path]; !ok || depth < have {
			texts[path], depths[path] = slowText(v), depth
		}
		slowNames(v, path+".", depth+1, texts, depths)
	}
}

// duplicateKeys reports whether an object has equal keys, or two ways of equal
// length to a path: which one counts is not said.
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
	var tails []jsonTail
	for i, name := range jsonlNames {
		tails = append(tails, jsonTail{i, name})
	}
	shape := jsonShape(newJSONKeys(tails), 1)
	var values [64]scan.Value
	shape.Ranked(len(values))
	shape.Read([]byte(`{"x":5,"a":{"b":{"c":"old"}}}`), values[:])
	_, _, ok := shape.Read(line, values[:])
	event, wantOK := reference(line)
	if _, isObject := event.(map[string]any); !isObject {
		wantOK = false
	}
	if depth(event) > scan.MaxDepth || duplicateKeys(line) {
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
		got = append(got, runes(shape.Text(i, &scratch)))
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

// FuzzJSONLines holds the paths to an obvious way to follow them.
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

// TestJSONNames checks that a hostile first record costs no more than it should.
func TestJSONNames(t *testing.T) {
	deep := strings.Repeat(`{"time":`, 100) + "1" + strings.Repeat("}", 100)
	dots := `{"` + strings.Repeat(".", 40) + `time":1}`
	outer, _ := jsonNamesOf([]byte(deep + "\n" + dots + "\n" + `{"time":1,"a":{"time":[],"b":null},"event":{"ts":1` + "\n"))
	if d := gocmp.Diff([]string{"time", "a.b"}, outer); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// checkJSONLinesDecode holds the decoder of lines that are wrapped or not to an
// obvious one.
func checkJSONLinesDecode(t *testing.T, in []byte) {
	t.Helper()
	for line := range bytes.Lines(in) {
		if duplicateKeys(bytes.TrimRight(line, "\r\n")) {
			return
		}
	}
	slow := func(e map[string]any) (rows []slowRow, skip bool) {
		texts := map[string]string{}
		slowNames(e, "", 0, texts, map[string]int{})
		cell := func(name string) string {
			if unknown([]byte(texts[name])) {
				return ""
			}
			return texts[name]
		}
		var s setter
		us, ok := s.time("", []byte(texts["time"]))
		if !ok || cell("time") == "" {
			return nil, true
		}
		return []slowRow{{columnar.API, map[columnar.Col]string{columnar.Time: slowTime(us),
			columnar.User: cell("user.name"), columnar.Operation: cell("a.b.c"), columnar.Service: cell("x")}}}, false
	}
	m := &Mapping{Table: columnar.API, Only: true, Columns: map[columnar.Col]Source{
		columnar.Time: {Name: "time"}, columnar.User: {Name: "user.name"}, columnar.Operation: {Name: "a.b.c"}, columnar.Service: {Name: "x"}}}
	c := &logCase{format: JSONLines, options: Options{Mapping: m, Want: ^columnar.Cols(0), Head: []byte(`{"time":1}`)}}
	checkSlowCase(t, c, slow, in)
	c.options.Head = []byte(`{"event":{"time":1}}`)
	checkSlowCase(t, c, func(e map[string]any) (rows []slowRow, skip bool) {
		event, ok := e[eventKey].(map[string]any)
		if !ok {
			return nil, true
		}
		return slow(event)
	}, in)
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

// FuzzJSONLinesDecode holds the decoder to an obvious one on encoding/json.
func FuzzJSONLinesDecode(f *testing.F) {
	for _, line := range jsonlLines {
		f.Add([]byte(line + "\n" + `{"event":` + line + `}`))
	}
	addLines(f, JSONLines)
	f.Fuzz(checkJSONLinesDecode)
}
