package scan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"outflow/columnar/scan/scantest"
	"strings"
	"testing"
	"testing/iotest"
)

func TestShape(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"array", `[{"a":1},{"a":[2,{"b":"]}"}]}]`, []string{`{"a":1}`, `{"a":[2,{"b":"]}"}]}`}},
		{"array over lines", "[\n  {\"a\":1},\r\n  {\"a\":\t2}\n]\n", []string{`{"a":1}`, `{"a": 2}`}},
		{"empty array", `[ ]`, nil},
		{"array of other values", `[{"a":1}, 2, "x,]", null]`, []string{`{"a":1}`, `2`, `"x,]"`, `null`}},
		{"concatenated", `{"a":1}{"a":"\"}{"}{"a":{}}`, []string{`{"a":1}`, `{"a":"\"}{"}`, `{"a":{}}`}},
		{"with separators", "\x1e{\"a\":1}\n\x1e{\"a\":2}\n", []string{`{"a":1}`, `{"a":2}`}},
		{"pretty", "{\n\"a\": 1,\n\"b\": {\n\"c\": \"\\\\\"\n}\n}\n{\n\"a\": 2\n}\n", []string{`{ "a": 1, "b": { "c": "\\" } }`, `{ "a": 2 }`}},
		{"CloudTrail", `{"Records":[{"a":1},{"a":2}]}`, []string{`{"a":1}`, `{"a":2}`}},
		{"keys around", `{"n":"Records","x":{"records":[{}]}, "value" : [ {"a":1} , {"value":[{}]} ] ,"next":"]}","y":[{}]}`, []string{`{"a":1}`, `{"value":[{}]}`}},
		{"envelopes one a line", "{\"items\":[{\"a\":1}]}\n{\"items\":[{\"a\":2},{\"a\":3}]}\n", []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}},
		{"envelopes put together", `{"logEvents":[{"a":1}]}{"entries":[{"a":2}]}`, []string{`{"a":1}`, `{"a":2}`}},
		{"empty envelope", `{"Records":[]}{"records":[ ]}`, nil},
		{"array of an envelope's key beside others", `{"items":[],"user":"eve"}{"items":[1],"user":"eve"}`, []string{`{"items":[],"user":"eve"}`, `{"items":[1],"user":"eve"}`}},
		{"list of interfaces", `{"events":[{"a":1},{"a":2}],"nextToken":"x"}{ "data" : [{"a":3}]}`, []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}},
		{"page of an interface", `{"nextCursor" : "a\"b","moreEvents":true, "total":2,"events":[{"a":1},{"a":2}],"x":1}`, []string{`{"a":1}`, `{"a":2}`}},
		{"such a list behind another key", `{"a":1,"events":[{"b":2}]}{"data":{"b":3}}`, []string{`{"a":1,"events":[{"b":2}]}`, `{"data":{"b":3}}`}},
		{"such a list behind what is said of it", `{"status":"ok","page_size":2,"meta":{"a":[{}]},"data":[{"a":1},{"a":2}],"x":[{}]}`, []string{`{"a":1}`, `{"a":2}`}},
		{"search", `{"took":3,"_shards":{"hits":[{}]},"hits":{"total":{"value":2},"hits":[{"_source":{"a":1}},{"hits":[{}]}],"x":[{}]},"y":{}}{"a":1}`, []string{`{"_source":{"a":1}}`, `{"hits":[{}]}`, `{"a":1}`}},
		{"pages of a search that goes on", `{"_scroll_id":"x","took":3,"hits":{"hits":[{"_source":{"a":1}}]}}{"pit_id":"x","took":3,"hits":{"hits":[{"_source":{"a":2}}]}}`, []string{`{"_source":{"a":1}}`, `{"_source":{"a":2}}`}},
		{"hits that are none", `{"a":1,"hits":{"hits":[{"b":2}]}}{"hits":{"a":[{}],"hits":1}}`, []string{`{"a":1,"hits":{"hits":[{"b":2}]}}`, `{"hits":{"a":[{}],"hits":1}}`}},
		{"key as value", `{"a":"items","b":[{"c":1}]} {"items":{"b":[{}]}}`, []string{`{"a":"items","b":[{"c":1}]}`, `{"items":{"b":[{}]}}`}},
		{"cut off in an element", `{"Records":[{"a":1},{"a":"x`, []string{`{"a":1}`, `{"a":"x`}},
		{"cut off before the array", `{"a":1}{"Records":`, []string{`{"a":1}`, `{"Records":`}},
		{"a cut-off line", "{\"Records\":[{\"a\":\"x\n{\"Records\":[{\"a\":2}]}\n", []string{`{"a":"x`, `{"a":2}`}},
		{"junk behind", "[{\"a\":1}] junk }{\n{\"a\":2}", []string{`{"a":1}`, `junk }{`, `{"a":2}`}},
		{"brace without a value", `[}{"a":1}]`, []string{`}{"a":1}`}},
		{"padding", "[{\"a\":1}]\x00\x00\x00", []string{`{"a":1}`}},
		{"byte order mark between", "[{\"a\":1}]\n\xef\xbb\xbf[{\"a\":2}]", []string{`{"a":1}`, `{"a":2}`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := strings.Join(append(test.want, ""), "\n")
			for _, src := range []io.Reader{strings.NewReader(test.in), iotest.OneByteReader(strings.NewReader(test.in)), iotest.DataErrReader(strings.NewReader(test.in))} {
				got, err := io.ReadAll(JSONLines(src))
				if err != nil || string(got) != want {
					t.Errorf("from %T: got %q, %v, want %q", src, got, err, want)
				}
			}
		})
	}
}

func TestInShape(t *testing.T) {
	for _, test := range []struct {
		head string
		want bool
	}{
		{"{\"a\":1}\n{\"a\":2}\n", false},
		{"{\"a\":\t1} \r\n", false},
		{"{\"a\":{\"value\":[{}]}}\nanything", false},
		{`{"a":1}`, false},
		{`{}`, false},
		{`["{\"a\":1}","{\"a\":2}"]`, true},
		{`["a", "b c"]`, false},
		{"\x1e{\"a\":1}\n\x1e{\"a\":2}\n", true},
		{"{\"a\":1}\n{\"Records\":[{\"a\":2}]}\n", true},
		{"{\"a\":1}\n{\"a\":2}\n{ \"a\":3}\n[ {\"a\":4}]\n", true},
		{"{\"a\":1}\n{\"a\":2,\"items\":[{\"b\":1}]}\n{\"items\":[1]}\n", false},
		{"{\"a\":1} {\"a\":2}\n", true},
		{"{\"a\":1}{\"a\":2}\n", true},
		{"{\n\"a\":1}\n", true},
		{"\n {\"value\":[{}]}\n", true},
		{" [ {", true},
		{"[]", true},
		{`{"a":"` + strings.Repeat("x", shaperBlock), true},
		{"[1700000000] unbound[1:0] info: 10.0.0.1 example.com. A IN\n", false},
		{"[INFO] 10.0.0.1:5 - 1\n", false},
		{"{0F3A}, a, b\n", false},
		{"time,user\n", false},
		{"", false},
	} {
		if got := NeedsJSONLines([]byte(test.head), shaperBlock); got != test.want {
			t.Errorf("inShape(%.60q): got %v, want %v", test.head, got, test.want)
		}
	}
}

// A record that is larger than every buffer stays whole.
func TestShapeLong(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x\\\"", 1<<20) + `"}`
	for _, in := range []string{long + `{"b":1}`, `[` + long + `,{"b":1}]`, `{"Records":[` + long + `,{"b":1}]}`} {
		s := &shaper{src: strings.NewReader(in)}
		got, err := io.ReadAll(s)
		if want := long + "\n{\"b\":1}\n"; err != nil || string(got) != want {
			t.Errorf("%.12q: got %d bytes, %v, want %d", in, len(got), err, len(want))
		}
		if cap(s.out) > 512<<10 {
			t.Errorf("%.12q: the shaper held %d bytes", in, cap(s.out))
		}
	}
}

// An object stays as it is if too many bytes come before its array.
func TestShapeLateEnvelope(t *testing.T) {
	in := `{"a":"` + strings.Repeat("x", 2*holdBack+2*shaperBlock) + `","Records":[{"b":1}]}`
	got, err := io.ReadAll(JSONLines(strings.NewReader(in)))
	if err != nil || string(got) != in+"\n" {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(in)+1)
	}
}

func TestShapeError(t *testing.T) {
	src := io.MultiReader(strings.NewReader(`[{"a":1},{"a":`), iotest.ErrReader(io.ErrUnexpectedEOF))
	got, err := io.ReadAll(JSONLines(src))
	if want := "{\"a\":1}\n{\"a\":"; err != io.ErrUnexpectedEOF || string(got) != want {
		t.Errorf("got %q, %v, want %q and the error", got, err, want)
	}
}

// FuzzShape compares the shaper with encoding/json on the input that encoding/json
// accepts, and otherwise with the shaper itself, fed byte by byte.
func FuzzShape(f *testing.F) {
	for _, in := range []string{`{"Records":[{"a":1},{"b":"]\""}],"c":2}`, `[{"a":[{}]},1]`, "{\"a\":1}\n{\"items\":[]}", "{\"a\":\"x\n[{}"} {
		f.Add([]byte(in))
	}
	f.Fuzz(checkShaper)
}

func checkShaper(t *testing.T, in []byte) {
	t.Helper()
	got, err := io.ReadAll(JSONLines(bytes.NewReader(in)))
	if err != nil {
		t.Fatal(err)
	}
	bytewise, _ := io.ReadAll(JSONLines(iotest.OneByteReader(bytes.NewReader(in))))
	if !bytes.Equal(got, bytewise) {
		t.Fatalf("got %q at once, %q byte by byte", got, bytewise)
	}
	var want []string
	for d := json.NewDecoder(bytes.NewReader(in)); ; {
		var v json.RawMessage
		if err := d.Decode(&v); err == io.EOF {
			break
		} else if err != nil {
			return
		}
		switch v[0] {
		case '{':
			for _, key := range envelopes {
				if bytes.Contains(v, []byte(key)) {
					return
				}
			}
			want = append(want, compact(v))
		case '[':
			var elements []json.RawMessage
			json.Unmarshal(v, &elements)
			for _, e := range elements {
				want = append(want, compact(e))
			}
		default:
			return
		}
	}
	var lines []string
	for line := range bytes.Lines(got) {
		lines = append(lines, compact(line))
	}
	if fmt.Sprintf("%q", lines) != fmt.Sprintf("%q", want) {
		t.Errorf("%q: got %q, want %q", in, lines, want)
	}
}

func compact(v []byte) string {
	var b bytes.Buffer
	json.Compact(&b, v)
	return b.String()
}

func BenchmarkShape(b *testing.B) {
	in := scantest.CloudTrailLike(16 << 20)
	buf := make([]byte, 1<<20)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		s := JSONLines(bytes.NewReader(in))
		for {
			if _, err := s.Read(buf); err != nil {
				break
			}
		}
	}
}
