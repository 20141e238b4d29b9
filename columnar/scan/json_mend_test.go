package scan

import (
	"encoding/json"
	"testing"
)

// A record that means one thing only would be skipped, or one that means two be read as one of them.
func TestMendJSON(t *testing.T) {
	for _, c := range []struct{ in, want string }{ // "": it stays malformed
		{`{"a":1}`, `{"a":1}`},
		{`{"ua":"a\x22b\xC3\xA9\x01\x41"}`, `{"ua":"a\"bé\u0001A"}`},
		{`{"path":"C:\Windows\x"}`, `{"path":"C:\\Windows\\x"}`},
		{"{\"a\":\"b\tc\x01\"}", `{"a":"b\u0009c\u0001"}`},
		{`{"a":-,"b":NaN,"c":-Infinity,"d":,"e":undefined}`, `{"a":null,"b":null,"c":null,"d":null,"e":null}`},
		{`{"a":1,"b":[1,2,],}`, `{"a":1,"b":[1,2]}`},
		{`{'user': 'anna', 'ok': True, 'x': None, 'y': "it's", 'z': 'say "hi"', 'b': b'\x00', 't': (1, 2)}`,
			`{"user":"anna","ok":true,"x":null,"y":"it's","z":"say \"hi\"","b":"\u0000","t":[1,2]}`},
		{`{"a"=>"b", "c"=>nil, "d"=>{"e"=>1}}`, `{"a":"b","c":null,"d":{"e":1}}`},
		{`{host:10.0.0.5, "n":007, "v":fe80::1}`, `{"host":"10.0.0.5","n":7,"v":"fe80::1"}`},
		{`[{'a':1}]`, `[{"a":1}]`},
		{`{}`, `{}`},

		{`{"a":"b "c" d"}`, ""},
		{`{"a":1} x`, ""},
		{`{"a":1`, ""},
		{`{"a":"b`, ""},
		{`{"a":"b\`, ""},
		{`{"a":1,,"b":2}`, ""},
		{`[1,,2]`, ""},
		{`{"a" 1}`, ""},
		{`{"a":0.1, 0.2}`, ""},
		{`{"a":x y}`, ""},
		{`{"a":[1}`, ""},
		{`"a"`, ""},
		{``, ""},
	} {
		out, ok := MendJSON(nil, []byte(c.in))
		if !ok {
			out = nil
		}
		if string(out) != c.want {
			t.Errorf("%s: got %s, want %s", c.in, out, c.want)
		}
	}
}

// What is mended would be malformed still, or sound JSON another value than before.
func FuzzMendJSON(f *testing.F) {
	for _, seed := range []string{`{"a":"\x","b":-,}`, `{'a':(1,'b\'')}`, `{a:[1.5e3,-0,"\ud800"]}`, `{"a":1e999}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, ok := MendJSON(nil, []byte(in))
		if ok && !json.Valid(out) {
			t.Errorf("%q: got %q", in, out)
		}
		if json.Valid([]byte(in)) && len(in) > 1 && (in[0] == '{' || in[0] == '[') {
			var was, is any
			json.Unmarshal([]byte(in), &was)
			if err := json.Unmarshal(out, &is); ok && err == nil {
				a, _ := json.Marshal(was)
				b, _ := json.Marshal(is)
				if string(a) != string(b) {
					t.Errorf("%q: got %s, want %s", in, b, a)
				}
			}
		}
	})
}
