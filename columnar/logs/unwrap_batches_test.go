package logs

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"outflow/columnar/scan"
)

// Batches that are read in pieces, or stand over lines, would give other records.
func TestBatches(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{ // "{": a line that counts as malformed
		{"Loki", `{"streams":[{"stream":{"host":"a","b":"}\"]"},"values":[["1","x {\"y\":1}"],["2","z",{"m":"1"}]]},{"stream":{},"values":[["3","w"]]}]}`,
			`{"host":"a","b":"}\"]","timestamp":"1","message":"x {\"y\":1}"}
{"host":"a","b":"}\"]","timestamp":"2","message":"z"}
{"timestamp":"3","message":"w"}
`},
		{"Loki, not a line", `{"streams":[{"stream":{},"values":[["1","x"],["2"],[3,4],["5","y"]]}]}`,
			`{"timestamp":"1","message":"x"}
{
{
{"timestamp":"5","message":"y"}
`},
		{"OpenTelemetry", `{"resourceLogs":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"a"}}]},"scopeLogs":[{"logRecords":[
{"timeUnixNano":"0","observedTimeUnixNano":"7","body":{"stringValue":"x"},"attributes":[{"key":"n","value":{"intValue":"5"}},{"key":"l","value":{"arrayValue":{"values":[{"boolValue":true},{"doubleValue":1.5}]}}}]},
{"timeUnixNano":"8","body":{"kvlistValue":{"values":[{"key":"k","value":{"kvlistValue":{"values":[]}}},{"key":"b","value":{"bytesValue":"aGk="}}]}}},
{"timeUnixNano":"9","attributes":[{"key":"only","value":{"stringValue":"this"}}]}]}]}]}
{"resourceMetrics":[]}
`,
			`{"host":"a","n":"5","l":[true,1.5],"timestamp":"7","message":"x"}
{"host":"a","timestamp":"8","message":{"k":{},"b":"hi"}}
{"host":"a","only":"this","timestamp":"9"}
{
`},
		{"rows", `{"tables":[{"columns":[{"name":"a.b"},{"name":"a.c"},{"name":"d"}],"rows":[[1,"x","{\"e\":2}"],[null,"y",""],[1,2]]}]}`,
			`{"a":{"b":1,"c":"x"},"d":{"e":2}}
{"a":{"c":"y"}}
[?]
`},
		{"fields of their own", `{"results":[[{"field":"a","value":"1"},{"field":"b","value":"x"}],[{"field":"b","value":"y"}]],"status":"Complete"}`,
			`{"a":1,"b":"x"}
{"b":"y"}
`},
		{"BigQuery", `{"kind":"bigquery#queryResponse","schema":{"fields":[{"name":"time","type":"TIMESTAMP"},{"name":"who","type":"RECORD","fields":[{"name":"user","type":"STRING"}]},{"name":"parts","type":"RECORD","mode":"REPEATED","fields":[{"name":"n","type":"INTEGER"}]}]},
"rows":[{"f":[{"v":"1.7951688E9"},{"v":{"f":[{"v":"amy"}]}},{"v":[{"v":{"f":[{"v":"5"}]}},{"v":{"f":[{"v":null}]}}]}]},{"f":[{"v":"1"},{"v":null},{"v":[]}]},{"f":[{"v":"1"}]},{"f":[{"v":"1"},{"v":{"f":[]}},{"v":[]}]}]}`,
			`{"time":"1.7951688E9","who":{"user":"amy"},"parts":[{"n":"5"},{"n":null}]}
{"time":1,"parts":[]}
[?]
{
`},
		{"Elasticsearch", `{"took":1,"responses":[{"hits":{"total":1,"hits":[{"_source":{"a":1}},5]}},{"error":{"type":"x"},"hits":{"hits":[{"_source":{"a":2}}]}}]}`,
			`{"_source":{"a":1}}
{"_source":{"a":2}}
`},
		{"Datadog", `{"data":[{"id":"1","type":"log","attributes":{"message":"x"}},{"id":"2","type":"log"}],"meta":{}}`,
			`{"message":"x"}
{
`},
		{"cut off", `{"streams":[{"stream":{},"values":[["1","x"],["2","y`, `{"timestamp":"1","message":"x"}
{
`},
		{"a line that is cut off", `{"streams":[{"stream":{},"values":[["1","x"]]}]}` + "\n" + `{"streams":[{"stream":{},"values":[["2","y` + "\n" + `{"streams":[{"stream":{},"values":[["3","z"]]}]}` + "\nrest\n",
			`{"timestamp":"1","message":"x"}
{
{"timestamp":"3","message":"z"}
{
`},
	} {
		form := batchFormOf([]byte(c.in))
		if form == nil {
			t.Errorf("%s: got no form", c.name)
			continue
		}
		for _, src := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in)), iotest.DataErrReader(strings.NewReader(c.in))} {
			got, err := io.ReadAll(&batchReader{batchForm: form, src: src})
			if string(got) != c.want || err != nil {
				t.Errorf("%s: got %v\n%s\nwant\n%s", c.name, err, got, c.want)
			}
		}
	}
	for _, in := range []string{`{"fields":["a"],"rows":[{"b":1}]}`, `{"streams":["x"]}`, `{"message":"streams"}`, `{"columns":{"cmdline":"x"},"name":"p"}`, "[1,2]", "{", ""} {
		if batchFormOf([]byte(in)) != nil {
			t.Errorf("%q: got a form", in)
		}
	}
	long := `{"streams":[{"stream":{},"values":[["1","` + strings.Repeat("x", MaxRecord) + `"],["2","y"]]}]}`
	if got, _ := io.ReadAll(&batchReader{batchForm: batchForms[1], src: strings.NewReader(long)}); string(got) != malformedBlock+`{"timestamp":"2","message":"y"}`+"\n" {
		t.Errorf("long: got %d bytes", len(got))
	}
}

// Hostile batches would end the reader, or give lines that are no objects.
func FuzzBatches(f *testing.F) {
	f.Add([]byte(`{"streams":[{"stream":{"a":"b"},"values":[["1","x"]]}]}`))
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"},"attributes":[{"key":"a","value":{"kvlistValue":{}}}]}]}]}]}`))
	r := rand.New(rand.NewPCG(22, 2))
	for _, form := range answerForms {
		f.Add([]byte(form.write(randomAnswer(r, 2)) + "\n" + form.write(randomAnswer(r, 3))))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		forms := batchForms
		if form := queryFormOf(in); form != nil {
			forms = append(slices.Clip(forms), &batchForm{query: form})
		}
		for _, form := range forms {
			out, err := io.ReadAll(&batchReader{batchForm: form, src: bytes.NewReader(in)})
			if err != nil {
				t.Fatal(err)
			}
			for line := range bytes.Lines(out) {
				if line[0] != '{' && string(line) != misfitRow || line[len(line)-1] != '\n' {
					t.Fatalf("%q: got %q", in, line)
				}
			}
		}
	})
}

// A journal's entries would be mixed, or a message with newlines be taken for fields.
func TestJournal(t *testing.T) {
	binary := func(text string) string {
		return fmt.Sprintf("MESSAGE\n%c\x00\x00\x00\x00\x00\x00\x00%s\n", len(text), text)
	}
	in := "__CURSOR=1\n_PID=7\nMESSAGE=plain = text\n\n__CURSOR=2\n" + binary("two\n__CURSOR=9\n\n") + "_PID=8\n\n\n__CURSOR=3\nMESSAGE\n\xff\xff\xff\xff\xff\xff\xff\x0fx"
	want := `{"__CURSOR":"1","_PID":"7","MESSAGE":"plain = text"}` + "\n" + `{"__CURSOR":"2","MESSAGE":"two\n__CURSOR=9\n\n","_PID":"8"}` + "\n" + malformedBlock
	r := read(t, object("o", []byte(in)), &ReadOptions{Format: plain})
	if r.text != want {
		t.Errorf("got %q, want %q", r.text, want)
	}
}

// Packed records would be lost, or a text that only looks packed.
func TestPacked(t *testing.T) {
	for in, want := range map[string]string{
		inKinesis(`{"logEvents":[{"message":"a"},{"message":"b"}]}`): `{"message":"a"} ` + "\n" + `{"message":"b"} ` + "\n",
		inKinesis("plain text, long enough"):                         "plain text, long enough",
		`{"Records":[{"a":1},{"b":2}]}`:                              `{"a":1}` + "\n" + `{"b":2}` + "\n",
		`{"a":1}`:                                                    "",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA":                           "", // NULs
		"not base64 at all, whatever it says":                        "",
	} {
		got, ok := new(packedLayer).open([]byte(in))
		if strings.ReplaceAll(string(got), " \n", "\n") != strings.ReplaceAll(want, " \n", "\n") && ok || ok != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", in, got, ok, want)
		}
	}
	var l packedLayer
	if _, held, why := l.unwrap([]byte(inKinesis(strings.Repeat("x", MaxRecord+1))), &envelope{}); held || why != tooLong(MaxRecord) {
		t.Errorf("a bomb: got %v, %q", held, why)
	}
	if scan.Blank(l.plain) || len(l.plain) > MaxRecord+1 {
		t.Errorf("a bomb: got %d bytes", len(l.plain))
	}
}
