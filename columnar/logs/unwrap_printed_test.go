package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// printed returns JSON lines printed over lines, and by line of that which object it belongs
// to; nil if a line is none.
func printed(plain []byte, indent string) (text []byte, of []int64) {
	for record := int64(0); len(plain) > 0; {
		var line []byte
		if line, plain = scan.CutLine(plain); scan.Blank(line) {
			continue
		}
		record++
		var b bytes.Buffer
		if line[0] != '{' || json.Indent(&b, line, "", indent) != nil || bytes.Count(b.Bytes(), eol) == 0 {
			return nil, nil
		}
		b.WriteByte('\n')
		text = append(text, b.Bytes()...)
		for range bytes.Count(b.Bytes(), eol) {
			of = append(of, record)
		}
	}
	return text, of
}

// If this fails, an object that a program prints over lines is lost where each line is
// wrapped, or gives another row than on one line.
func TestUnwrapPrinted(t *testing.T) {
	tried := map[string]int{}
	for _, c := range readCases(t) {
		if c.format.New == nil || len(c.in) == 0 || len(c.in) > fuzzSize || c.format.Generic {
			continue // of any names the wrapper may tell more
		}
		plain := (&result{}).text(c.in)
		text, of := printed(plain, "  ")
		if text == nil {
			continue
		}
		want := c.run((&result{}).text(text), wholeBlock)
		if want.tally.Rows == 0 || want.err != nil {
			continue
		}
		for _, w := range wrappers {
			if !slices.Contains([]string{"RFC 3164", "kubectl --timestamps", "CRI", "Docker", "Filebeat", "journald JSON", "Filebeat in CRI"}, w.name) ||
				c.format.Vendor != nil && w.name != "CRI" || c.format.Outer && slices.ContainsFunc(want.tally.Reasons, aboutTime) {
				continue
			}
			tried[w.name]++
			t.Run(strings.TrimSuffix(filepath.Base(c.file), ".txtar")+"/"+w.name, func(t *testing.T) {
				stored := wrap(text, w.first, w.around)
				for _, size := range []int{1 << 16, 1} {
					m, got := c.unwrapped(stored, size)
					if m.Format != c.format || got.err != nil {
						t.Fatalf("got %v, %v, want format %s", nameOf(m.Format), got.err, c.format.Name)
					}
					got.renumber(func(n int64) int64 { return of[n-1] })
					got.takeBack(want)
					if d := difference(want, got); d != "" {
						t.Fatalf("blocks of %d bytes (-plain +wrapped):\n%s", size, d)
					}
				}
			})
		}
	}
	if len(tried) != 7 || tried["CRI"] < 20 {
		t.Errorf("tried %v, want seven wrappers, and CRI around many dialects", tried)
	}
}

// Lines of writers that the wrapper tells apart may be mixed; those of one may not, and then
// nothing of it is read, and that is said.
func TestUnwrapPrintedWriters(t *testing.T) {
	event := func(id string) []string {
		return []string{"{", `  "eventVersion": "1.08", "userIdentity": {"type": "IAMUser", "userName": "ann"},`, `  "eventTime": "2026-11-20T09:00:00Z", "awsRegion": "eu-west-1",`,
			`  "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "eventID": "` + id + `"`, "}"}
	}
	by := func(pid int, lines ...string) (out []string) {
		for _, line := range lines {
			out = append(out, fmt.Sprintf("<13>Nov 20 20:25:30 relay shipper[%d]: %s", pid, line))
		}
		return out
	}
	mixed := func(a, b []string) (out []string) {
		for i := range a {
			out = append(out, a[i], b[i])
		}
		return out
	}
	whole := strings.Join(event("w"), "")
	for name, test := range map[string]struct {
		lines   []string
		ids     []string
		reasons string
	}{
		"one after another":     {by(1, slices.Concat(event("a"), event("b"))...), []string{"a", "b"}, ""},
		"two writers":           {mixed(by(1, event("a")...), by(2, event("b")...)), []string{"a", "b"}, ""},
		"a record between":      {by(1, slices.Insert(event("a"), 2, whole)...), []string{"w", "a"}, ""},
		"a list of them":        {by(1, "{", `  "eventVersion": "1.08",`, `  "userIdentity": {"type": "Root"}, "eventTime": "2026-11-20T09:00:00Z", "awsRegion": "x", "eventSource": "s", "eventName": "N", "eventID": "a",`, `  "resources": [`, "    {", `      "ARN": "arn:x"`, "    }", "  ]", "},"), []string{"a"}, ""},
		"one writer, mixed":     {append(by(1, event("a")...), mixed(by(2, event("b")...), by(2, event("c")...))...), []string{"a"}, printedMixed + " 2, " + malformedJSON + " 1"},
		"and its later ones":    {slices.Concat(by(2, event("a")[:2]...), by(2, event("b")...), by(1, event("c")...), by(2, event("d")...)), []string{"c"}, printedMixed + " 3"},
		"without its end":       {append(by(1, event("a")...), by(2, event("b")[:3]...)...), []string{"a"}, "the last part of the record is missing 1"},
		"one that is too long":  {append(by(1, event("a")...), by(2, slices.Concat(event("b")[:2], slices.Repeat([]string{" " + strings.Repeat("x", 1<<20)}, 5), event("b")[2:], event("c"))...)...), []string{"a", "c"}, tooLong(MaxRecord) + " 1"},
		"more than are told":    {nil, nil, ""},
		"an end without begin":  {append(by(1, event("a")...), by(1, "}")...), []string{"a"}, malformedJSON + " 1"},
		"indented without that": {append(by(1, event("a")...), by(1, `  "x": 1`)...), []string{"a"}, malformedJSON + " 1"},
	} {
		if test.lines == nil {
			for pid := range 2 * printedWriters {
				test.lines = append(test.lines, by(pid, event(fmt.Sprint(pid))...)...)
				test.ids = append(test.ids, fmt.Sprint(pid))
			}
		}
		c := &logCase{sniff: true, options: Options{Want: ^columnar.Cols(0)}}
		for _, size := range []int{wholeBlock, 1} {
			m, r := c.unwrapped([]byte(strings.Join(test.lines, "\n")+"\n"), size)
			if m.Format != CloudTrail || r.err != nil || r.check() != nil {
				t.Errorf("%s: got format %s, %v, %v", name, nameOf(m.Format), r.err, r.check())
				continue
			}
			var reasons []string
			for _, reason := range r.tally.Reasons {
				reasons = append(reasons, fmt.Sprint(reason.Text, " ", reason.Count))
			}
			slices.Sort(reasons)
			ids := r.tables[columnar.API.ID].Cells[slices.Index(columnar.API.Cols, columnar.EventUID)]
			if got := strings.Join(reasons, ", "); !slices.Equal(ids, test.ids) || got != test.reasons {
				t.Errorf("%s: got events %q, skipped %q; want %q and %q", name, ids, got, test.ids, test.reasons)
			}
		}
	}
}
