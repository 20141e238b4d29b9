package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
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
	if d := gocmp.Diff(want, got); ok && d != "" {
		t.Errorf("%q (-encoding/json +walker):\n%s", b, d)
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
