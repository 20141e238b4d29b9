package logs

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// account renders the results of decoding objects as lines. The order of rows does not
// change them.
func account(results ...*result) (lines []string) {
	reasons := map[string]int64{}
	for _, r := range results {
		for id, t := range r.tables {
			for row := range t.Records {
				line := columnar.Tables[id].Name
				for _, cells := range t.Cells {
					line += "|" + cells[row]
				}
				lines = append(lines, line)
			}
		}
		for _, reason := range slices.Concat(r.tally.Reasons, r.tally.Cleared) {
			text, _, _ := strings.Cut(reason.Text, " under a known name") // what follows is about the first record
			reasons[text] += reason.Count
		}
		reasons["other"] += r.tally.Other
		reasons["skipped"] += r.tally.Skipped
	}
	for text, n := range reasons {
		lines = append(lines, fmt.Sprintf("%s: %d", text, n))
	}
	slices.Sort(lines)
	return lines
}

// anew decodes in as another object.
func (c *logCase) anew(in []byte) *result {
	o := *c
	o.in, o.options.Head = in, in[:min(len(in), headSize)]
	return o.decode(whole(in))
}

// TestJSONLinesAnyOrder checks that the order of records, the order of their keys, and
// how they are split into objects never change the rows.
func TestJSONLinesAnyOrder(t *testing.T) {
	for _, c := range readCases(t) {
		if c.format != JSONLines {
			continue
		}
		var lines [][]byte
		for line := range bytes.Lines(c.in) {
			lines = append(lines, bytes.TrimRight(line, "\r\n"))
		}
		want := account(c.anew(c.in))
		r := rand.New(rand.NewPCG(1, 2))
		for range 20 {
			r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
			for i, line := range lines {
				lines[i] = shuffledKeys(r, line)
			}
			var parts [2][]byte
			at := r.IntN(len(lines) + 1)
			for i, line := range lines {
				part := &parts[0]
				if i >= at {
					part = &parts[1]
				}
				*part = append(append(*part, line...), '\n')
			}
			if d := gocmp.Diff(want, account(c.anew(parts[0]), c.anew(parts[1]))); d != "" {
				t.Fatalf("%s (-want +got):\n%s", c.file, d)
			}
		}
	}
}

// shuffledKeys returns an object with its members in another order, unless it is
// malformed or has equal keys.
func shuffledKeys(r *rand.Rand, object []byte) []byte {
	var members [][]byte
	var w scan.Walker
	for w.Open(object); w.Next(); {
		if !w.InObject() {
			return object
		}
		value := w.Val
		if value.Is('{') {
			value = shuffledKeys(r, value)
		}
		members = append(members, fmt.Appendf(nil, "%q:%s", w.Key, value))
	}
	if !w.DoneObject() || duplicateKeys(object) {
		return object
	}
	r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return slices.Concat([]byte("{"), bytes.Join(members, []byte(",")), []byte("}"))
}

// TestCSVAnyOrder checks that the order of records and of columns never changes the rows.
func TestCSVAnyOrder(t *testing.T) {
	checked := 0
	for _, c := range readCases(t) {
		records, err := csv.NewReader(bytes.NewReader(c.in)).ReadAll()
		if c.format != CSV || c.options.Mapping != nil || err != nil || len(records) < 3 || csvPreamble(c.in) > 0 {
			continue // has rows of several lengths, titles before the header, or columns that only their order identifies
		}
		checked++
		var in bytes.Buffer
		csv.NewWriter(&in).WriteAll(records)
		want := account(c.anew(in.Bytes()))
		r := rand.New(rand.NewPCG(1, 2))
		for range 20 {
			rows := records[1:]
			r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
			order := r.Perm(len(records[0]))
			in.Reset()
			w := csv.NewWriter(&in)
			for _, record := range records {
				cells := make([]string, len(order))
				for i, k := range order {
					cells[i] = record[k]
				}
				w.Write(cells)
			}
			w.Flush()
			if d := gocmp.Diff(want, account(c.anew(in.Bytes()))); d != "" {
				t.Fatalf("%s: columns %v (-want +got):\n%s\n%s", c.file, order, d, strings.TrimSpace(in.String()))
			}
		}
	}
	if checked < 8 {
		t.Errorf("only %d cases are checked", checked)
	}
}
