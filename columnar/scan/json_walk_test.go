package scan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"outflow/columnar/scan/scantest"
)

// tree reads a JSON object with the walker into the value that encoding/json would
// give. ok is false if the walker finds the object malformed.
func tree(b []byte) (v any, ok bool) {
	var w Walker
	w.Open(b)
	object := map[string]any{}
	array := []any{}
	for w.Next() {
		member, ok := leaf(w.Val)
		if !ok {
			return nil, false
		}
		if w.close == '}' {
			object[scantest.Runes(w.Key)] = member
		} else {
			array = append(array, member)
		}
	}
	if first := bytes.TrimLeft(b, " \t\r\n"); len(first) > 0 && first[0] == '[' {
		return array, w.Done()
	}
	return object, w.Done()
}

func leaf(v Value) (any, bool) {
	switch {
	case v.Is('{'), v.Is('['):
		return tree(v)
	case v.Is('n'):
		return nil, true
	case v.Is('t'), v.Is('f'):
		return v.Is('t'), true
	}
	var scratch []byte
	text := v.Text(&scratch)
	if v.Is('"') {
		return scantest.Runes(text), true
	}
	return json.Number(text), true
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
	want, wantOK := scantest.Reference(b)
	if ok != wantOK {
		if wantOK && scantest.Depth(want) > MaxDepth {
			return
		}
		t.Fatalf("%q: got sound %v, want %v", b, ok, wantOK)
	}
	// Diff takes minutes for some values that are deep and equal.
	if ok && !reflect.DeepEqual(got, want) {
		t.Errorf("%q (-encoding/json +walker):\n%s", b, gocmp.Diff(want, got))
	}
	checkShape(t, b)
	checkInner(t, b)
}

// soleOrAll returns the text or number that is alone in an array, else the value itself, and
// whether it has escapes.
func soleOrAll(of *Walker) (Value, bool) {
	var w Walker
	var only Value
	n, escaped := 0, false
	for w.Open(of.Val); of.Val.Is('[') && w.Next(); n++ {
		only, escaped = w.Val, w.Escaped
	}
	if n == 1 && bytes.IndexByte([]byte(`"-0123456789`), only[0]) >= 0 {
		return only, escaped
	}
	return of.Val, of.Escaped
}

// checkShape checks that a shape reads what a walker reads, for new keys, keys in the
// order of the object before, and keys in another order.
func checkShape(t *testing.T, b []byte) {
	t.Helper()
	fields := []string{"a", "b", "", "a b"}
	s := NewShape(func(key []byte) int { return slices.Index(fields, string(key)) })
	for _, line := range [][]byte{b, b, []byte(`{"a":1,"b":2,"":3}`), b, b} {
		want := make([]Value, len(fields))
		var wantHas, wantEscaped uint64
		var w Walker
		for w.Open(line); w.Next(); {
			if f := slices.Index(fields, string(w.Key)); f >= 0 && w.close == '}' {
				sole, slashed := soleOrAll(&w)
				want[f] = sole
				wantHas |= 1 << f
				wantEscaped &^= 1 << f
				if slashed {
					wantEscaped |= 1 << f
				}
			}
		}
		got := make([]Value, len(fields))
		has, escaped, ok := s.read(line, got)
		if ok != w.DoneObject() {
			t.Fatalf("%q: shape: got sound %v, want %v", line, ok, w.DoneObject())
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
// encoding/json does. Of equal keys, encoding/json keeps only the last.
func checkInner(t *testing.T, b []byte) {
	t.Helper()
	s, in := ShapeOf(0, "a", "b"), ShapeOf(2, "a", "b")
	in.Within("c", ShapeOf(4, "a", "b"))
	s.Within("a", in)
	s.Within("c", ShapeOf(6, "a"))
	values := make([]Value, 7)
	for _, line := range [][]byte{[]byte(`{"a":{"b":1,"a":2,"c":{"a":3,"b":"\n"}},"c":{"a":1}}`), b, b} {
		_, _, ok := s.read(line, values)
		event, wantOK := scantest.Reference(line)
		object, isObject := event.(map[string]any)
		if scantest.Depth(event) > MaxDepth {
			return
		}
		if ok != (wantOK && isObject) {
			t.Fatalf("%q: inner shape: got sound %v", line, ok)
		}
		if !ok {
			continue
		}
		a, _ := object["a"].(map[string]any)
		ac, _ := a["c"].(map[string]any)
		c, _ := object["c"].(map[string]any)
		for field, of := range []map[string]any{object, object, a, a, ac, ac, c} {
			want, has := of["ab"[field%2:][:1]]
			if list, ok := want.([]any); ok && len(list) == 1 && plainText(list[0]) != "" {
				if _, isBool := list[0].(bool); !isBool {
					want = list[0]
				}
			}
			var scratch []byte
			if v := s.Value(field); (v != nil) != has || scantest.Runes(s.Text(field, &scratch)) != plainText(want) {
				t.Fatalf("%q: inner field %d: got %q, want %v (%v)", line, field, v, want, has)
			}
		}
	}
}

// plainText is Value.Text for a value of encoding/json.
func plainText(v any) string {
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
	for _, n := range []int{MaxDepth - 1, MaxDepth} {
		deep := []byte(`{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
		if _, ok := tree(deep); ok != (n < MaxDepth) {
			t.Errorf("%d levels below the first: got sound %v, want %v", n, ok, n < MaxDepth)
		}
	}
}

// FuzzWalk compares the walker with encoding/json: it must accept the same inputs,
// and find the same keys and values.
func FuzzWalk(f *testing.F) {
	for _, s := range walks {
		f.Add([]byte(s))
	}
	f.Fuzz(checkWalk)
}

func BenchmarkWalk(b *testing.B) {
	line := []byte(`{"ts":1767225600.000000,"uid":"C0000000000000","id.orig_h":"10.0.0.0","id.orig_p":1024,"id.resp_h":"10.0.0.53","id.resp_p":53,"proto":"udp","trans_id":0,"rtt":0.0234,"query":"www0.example0.com","qclass":1,"qclass_name":"C_INTERNET","qtype":1,"qtype_name":"A","rcode":0,"rcode_name":"NOERROR","AA":false,"TC":false,"RD":true,"RA":true,"Z":0,"answers":["192.0.2.0"],"TTLs":[300.0],"rejected":false}`)
	b.SetBytes(int64(len(line)))
	var w Walker
	for b.Loop() {
		w.Open(line)
		for w.Next() {
		}
		if !w.Done() {
			b.Fatal("malformed")
		}
	}
}

// Damaged text is read in the same way on any machine and by any other reader.
func TestMutated(t *testing.T) {
	random := rand.New(rand.NewPCG(7, uint64(len(walks))))
	rounds := 30
	if text := os.Getenv("OUTFLOW_MUTATE"); text != "" {
		rounds, _ = strconv.Atoi(text)
		random = rand.New(rand.NewPCG(rand.Uint64(), 0))
	}
	for range rounds {
		for _, s := range walks {
			b := scantest.Mutate(random, []byte(s))
			checkWalk(t, b)
			checkStops(t, b)
			checkShaper(t, append(b, s...))
		}
	}
}

// If this fails, what a shape cannot read of an object is lost without a word, or is said of
// objects that lack nothing.
func TestMisfits(t *testing.T) {
	inner := ShapeOf(2, "c", "d")
	inner.Within("deep", ShapeOf(4, "e"))
	inner.Nested = 1 << 3
	s := ShapeOf(0, "a", "b")
	s.Within("in", inner)
	for object, want := range map[string][]Misfit{
		`{"a":1,"b":"x","in":{"c":2,"d":[3],"deep":{"e":4}}}`: nil,
		`{"a":null,"in":null,"other":[1],"other":2}`:          nil,
		`{"a":1, "a" :1}`:               nil,
		`{"a":1, "b":2, "a" :3}`:        {{"a", 1, true, nil}},
		`{"a":[],"b":{},"in":{"c":[]}}`: nil,
		`{"a":[1],"b":[ "x" ]}`:         nil,
		`{"a":{"x":1},"b":[1,2]}`:       {{"a", 1, false, Value("{")}, {"b", 2, false, Value("[")}},
		`{"in":{"c":{"x":1},"deep":7}}`: {{"in.c", 4, false, Value("{")}, {"in.deep", 16, false, Value("7")}},
		`{"in":[{"c":1}]}`:              {{"in", 28, false, Value("[")}},
		`{"in":{"c":1},"in":{"d":"x"}}`: {{"in", 4, true, nil}},
	} {
		for range 2 { // with keys that are known
			if _, _, ok := s.Read([]byte(object), make([]Value, 5)); !ok {
				t.Fatalf("%s: malformed", object)
			}
			if got := s.Misfits(); !slices.EqualFunc(got, want, func(a, b Misfit) bool {
				return a.Key == b.Key && a.Fields == b.Fields && a.Twice == b.Twice && string(a.Value) == string(b.Value)
			}) {
				t.Errorf("%s: got %v, want %v", object, got, want)
			}
		}
	}
}
