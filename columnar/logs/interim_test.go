package logs

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// If this fails, what a search had found so far counts beside what it found, or a final result is lost.
func TestInterimResults(t *testing.T) {
	for _, c := range []struct {
		name, in, want   string
		settled, waiting int64
	}{
		{"Splunk's export", `{"preview":true,"offset":0,"result":{"n":"1"}}

{"preview":true,"offset":1,"lastrow":true,"result":{"n":"2"}}
{"preview":true,"offset":0,"result":{"n":"3"}}
{"preview":false,"offset":0,"result":{"n":"4"}}
{"preview":false,"offset":1,"lastrow":true,"result":{"n":"}\"]\\"}}
`, `{"preview":false,"offset":0,"result":{"n":"4"}}
{"preview":false,"offset":1,"lastrow":true,"result":{"n":"}\"]\\"}}
`, 3, 0},
		{"no final result", `{"preview":true,"offset":0,"result":{"n":"1"}}
{"preview":true,"offset":0,"result":{"n":"2"}}
`, "", 0, 2},
		{"nothing but the end", `{"preview":false,"lastrow":true}
`, "", 0, 0},
		{"interim results, and nothing but the end", `{"preview":true,"offset":0,"result":{"n":"1"}}
{"preview":false,"lastrow":true}
`, "", 0, 1},
		{"two exports, the second cut", `{"preview":true,"offset":0,"result":{"n":"1"}}
{"preview":false,"offset":0,"lastrow":true,"result":{"n":"1"}}
{"preview":true,"offset":0,"result":{"n":"2"}}
{"preview":true,"offset":0,"resu`, `{"preview":false,"offset":0,"lastrow":true,"result":{"n":"1"}}
`, 1, 2},
		{"final results that go on behind the interim ones", `{"preview":true,"offset":0,"result":{"n":"1"}}
{"preview":false,"offset":1,"result":{"n":"2"}}
`, `{"preview":false,"offset":1,"result":{"n":"2"}}
`, 0, 1},
		{"rows", `{"preview":true,"fields":["n"],"rows":[["1"],["2"]]}{"preview":false,"fields":["n"],"rows":[["1"],["2"],["3"]]}`,
			`{"preview":false,"fields":["n"],"rows":[["1"],["2"],["3"]]}
`, 1, 0},
		{"an array over lines, keys sorted", `[
  {
    "offset": 0,
    "preview": true,
    "result": {"n": "1"}
  },
  {
    "offset": 0,
    "preview": false,
    "result": {"n": "1"}
  }
]
`, `{
    "offset": 0,
    "preview": false,
    "result": {"n": "1"}
  }
`, 1, 0},
		{"Elasticsearch", `{"id":"x","is_partial":true,"is_running":true,"response":{"hits":{"hits":[{"_source":{"n":1}}]}}}
{"id":"x","is_partial":false,"is_running":false,"response":{"hits":{"hits":[{"_source":{"n":1}}]}}}
`, `{"id":"x","is_partial":false,"is_running":false,"response":{"hits":{"hits":[{"_source":{"n":1}}]}}}
`, 1, 0},
		{"damaged lines", `{"preview":true,"offset":0,"result":{"n":"1
{"preview":false,"offset":0,"result":{"n":"1
{"preview":false,"offset":1,"result":{"n":"2"
{"preview":false,"offset":2,"result":{"n":"3"}}
FATAL: search ended
{"preview":true,"offset":0}`, `{"preview":false,"offset":0,"result":{"n":"1
{"preview":false,"offset":1,"result":{"n":"2"
{"preview":false,"offset":2,"result":{"n":"3"}}
FATAL: search ended
`, 1, 1},
	} {
		for _, src := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in)), iotest.DataErrReader(strings.NewReader(c.in))} {
			r := interimOf(bufio.NewReaderSize(src, headSize))
			if r == nil {
				t.Errorf("%s: is not known for the answer of a search", c.name)
				continue
			}
			got, err := io.ReadAll(r)
			if string(got) != c.want || err != nil || r.settled != c.settled || r.waiting != c.waiting {
				t.Errorf("%s: got %v, %d settled, %d waiting\n%s\nwant %d, %d\n%s", c.name, err, r.settled, r.waiting, got, c.settled, c.waiting, c.want)
			}
		}
	}
	for _, in := range []string{`{"preview":true,"user":"amy"}`, `{"user":"amy","preview":true}`, `{"offset":0,"result":{}}`, `{"preview":"text","offset":0}`, "preview", "[", ""} {
		if interimOf(bufio.NewReader(strings.NewReader(in))) != nil {
			t.Errorf("%q: is taken for the answer of a search", in)
		}
	}
}

// If this fails, a log that Splunk exports with previews has other rows than without them.
func TestInterimResultsOfEveryDialect(t *testing.T) {
	interim, final := jsonAround(`{"preview":true,"offset":0,"result":{"_raw":`, `}}`), jsonAround(`{"preview":false,"offset":0,"result":{"_raw":`, `}}`)
	met := map[*Format]bool{}
	for _, c := range readCases(t) {
		if c.format.New == nil || c.format.Vendor != nil || met[c.format] || len(c.in) == 0 || len(c.in) > fuzzSize {
			continue
		}
		plain := (&result{}).text(c.in)
		m, want := c.unwrapped(wrap(plain, "", final), wholeBlock)
		if m.Format == nil || want.err != nil || want.tally.Rows == 0 {
			continue
		}
		met[c.format] = true
		before := wrap(plain, "", interim)
		m, got := c.unwrapped(slices.Concat(before, before, wrap(plain, "", final)), wholeBlock)
		lines := int64(2 * bytes.Count(before, eol))
		if i := slices.IndexFunc(got.tally.Kinds, func(k Kind) bool { return k == Kind{interimResult, lines} }); i < 0 {
			t.Errorf("%s: got %v, want %d of %q", c.file, got.tally.Kinds, lines, interimResult)
		} else {
			got.tally.Kinds = slices.Delete(got.tally.Kinds, i, i+1)
		}
		if len(got.tally.Kinds) == 0 {
			got.tally.Kinds = nil
		}
		got.tally.Records -= lines
		got.tally.Other -= lines
		if d := difference(want, got); d != "" || got.err != nil {
			t.Errorf("%s: got %s, %v (-without +with previews):\n%s", c.file, nameOf(m.Format), got.err, d)
		}
		if m, _ := c.unwrapped(before, wholeBlock); !errors.Is(m.Err, errInterim) {
			t.Errorf("%s: got %v for previews alone, want %v", c.file, m.Err, errInterim)
		}
	}
	if len(met) < 10 {
		t.Errorf("got %d dialects", len(met))
	}
}

// Hostile answers would end the reader, or lose what is none.
func FuzzInterimResults(f *testing.F) {
	f.Add([]byte(`{"preview":true,"offset":0,"result":{"n":"1"}}` + "\n" + `{"preview":false,"offset":0,"result":{"n":"1"}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := &interimReader{src: bufio.NewReaderSize(bytes.NewReader(in), headSize)}
		whole, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		pieces := &interimReader{src: bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(in)), headSize)}
		if got, err := io.ReadAll(pieces); err != nil || !bytes.Equal(got, whole) || pieces.waiting != r.waiting || pieces.settled != r.settled {
			t.Fatalf("in pieces: got %q, %v, want %q", got, err, whole)
		}
		if r.settled+r.waiting == 0 && !bytes.Contains(in, []byte("false")) && len(bytes.Trim(in, betweenAnswers)) > 0 && len(whole) == 0 {
			t.Fatalf("%q: lost", in)
		}
	})
}
