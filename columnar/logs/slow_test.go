package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"outflow/columnar"
	"outflow/columnar/scan"
	"outflow/columnar/scan/scantest"
)

// zeekDNSLine returns the i-th line of a made-up dns.log in JSON.
func zeekDNSLine(i int) string {
	return fmt.Sprintf(`{"ts":%d.%06d,"uid":"C%013x","id.orig_h":"10.0.%d.%d","id.orig_p":%d,"id.resp_h":"10.0.0.53","id.resp_p":53,"proto":"udp","trans_id":%d,"rtt":0.0234,"query":"%s%d.example%d.com","qclass":1,"qclass_name":"C_INTERNET","qtype":1,"qtype_name":"A","rcode":0,"rcode_name":"NOERROR","AA":false,"TC":false,"RD":true,"RA":true,"Z":0,"answers":["192.0.2.%d"],"TTLs":[300.0],"rejected":false}`,
		1767225600+i/100, i%100*10000, i, i/250%8, i%250, 1024+i%60000, i%65536, []string{"www", "api", "cdn"}[i%3], i%7, i*i%5000, i%250)
}

// A slowRow is a row from a simple decoder that uses encoding/json: the texts of the
// columns that have a value.
type slowRow struct {
	table *columnar.Table
	cells map[columnar.Col]string
}

// A slowDecoder returns the rows of a sound JSON object, or says that the object must be
// skipped.
type slowDecoder func(event map[string]any) (rows []slowRow, skip bool)

// checkSlow compares a format on JSON lines with its slow decoder.
func checkSlow(t *testing.T, f *Format, slow slowDecoder, in []byte) {
	t.Helper()
	checkSlowCase(t, &logCase{format: f, options: Options{Want: ^columnar.Cols(0), Head: in}}, slow, in)
}

// mendedReference is scantest.Reference of an object that may have to be mended.
func mendedReference(line []byte) (any, bool) {
	event, ok := scantest.Reference(line)
	if mended, mends := scan.MendJSON(nil, line); !ok && mends && bytes.HasPrefix(bytes.TrimLeft(line, " \t\r"), []byte{'{'}) {
		return scantest.Reference(mended)
	}
	return event, ok
}

func checkSlowCase(t *testing.T, c *logCase, slow slowDecoder, in []byte) {
	t.Helper()
	in = columnar.AppendUTF8(nil, in) // encoding/json does not say which byte it replaces
	var want result
	for line := range bytes.Lines(in) {
		line = bytes.TrimRight(line, "\r\n")
		if len(bytes.Trim(line, " \t\r")) == 0 {
			continue
		}
		event, ok := mendedReference(line)
		object, isObject := event.(map[string]any)
		if scantest.Depth(event) > scan.MaxDepth {
			t.Skip()
		}
		if !ok || !isObject {
			want.tally.Skip(0, "")
			continue
		}
		rows, skip := slow(object)
		switch {
		case skip:
			want.tally.Skip(0, "")
		case len(rows) == 0:
			want.tally.Known("")
		}
		for _, row := range rows {
			want.tally.Row()
			cells := &want.tables[row.table.ID].Cells
			if *cells == nil {
				*cells = make([][]string, len(row.table.Cols))
			}
			for i, c := range row.table.Cols {
				(*cells)[i] = append((*cells)[i], slowCell(c, row.cells[c]))
			}
		}
	}
	got := c.decode(whole(in))
	if got.err != nil {
		t.Fatal(got.err)
	}
	got.tally.Reasons, got.tally.Cleared, want.tally.Reasons = nil, nil, nil
	got.tally.Kinds, got.tally.Unlisted = nil, 0 // slow decoders do not compute these; cases test them
	if d := gocmp.Diff(want.tally, got.tally); d != "" {
		t.Errorf("tally (-slow +got):\n%s", d)
	}
	for id := range got.tables {
		for _, column := range got.tables[id].Cells {
			for i := range column {
				column[i] = scantest.Runes([]byte(column[i]))
			}
		}
		if d := gocmp.Diff(want.tables[id].Cells, got.tables[id].Cells); d != "" {
			t.Errorf("table %s (-slow +got):\n%s", columnar.Tables[id].Name, d)
		}
	}
}

// TestJSONReal compares the decoders with the slow ones, on the JSON logs in the folder
// that OUTFLOW_DATA names.
func TestJSONReal(t *testing.T) {
	dir := os.Getenv("OUTFLOW_DATA")
	if dir == "" {
		t.Skip("OUTFLOW_DATA names no folder")
	}
	slow := map[*Format]slowDecoder{Zeek: slowZeek, Suricata: slowSuricata, CloudTrail: slowCloudTrail}
	var files []string
	for _, pattern := range []string{"*/*.json", "*/*.json.gz", "*/json__*", "*/*.jsonl", "*/*zeek*.zip"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern))
		files = append(files, found...)
	}
	checked := map[*Format]int{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		o := object(filepath.Base(file), data)
		o.At = func() (ReaderAtCloser, error) { return os.Open(file) }
		blocks := map[*Member]int{}
		Read(o, &ReadOptions{}, func(m *Member, b *Block) error {
			if slow[m.Format] != nil && b.Data[0] == '{' && blocks[m] < 4 {
				blocks[m]++
				checked[m.Format] += bytes.Count(b.Data, eol)
				checkSlow(t, m.Format, slow[m.Format], b.Data)
			}
			return nil
		})
	}
	for f := range slow {
		if t.Logf("%s: %d lines", f.Name, checked[f]); checked[f] == 0 {
			t.Errorf("no log of %s in %s", f.Name, dir)
		}
	}
}

// slowText is scan.Value.Text for a value from encoding/json.
func slowText(v any) string {
	v = slowSole(v)
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

// slowSole returns the text or number that is alone in an array, or v itself.
func slowSole(v any) any {
	if list, ok := v.([]any); ok && len(list) == 1 {
		switch list[0].(type) {
		case string, json.Number:
			return list[0]
		}
	}
	return v
}

// slowIsText reports whether scan.Value.Text of a value is not nil.
func slowIsText(v any) bool {
	switch slowSole(v).(type) {
	case string, json.Number, bool:
		return true
	}
	return false
}

// slowCount is scan.Count as the text of a cell.
func slowCount(v any) (text string, ok bool) {
	n, ok := scan.Count([]byte(slowText(v)))
	if n < 0 {
		return "", ok
	}
	return fmt.Sprint(n), ok
}

func slowTime(us int64) string {
	return time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05.999999Z07:00")
}

func slowDomain(name string) string {
	return string(new(columnar.Domains).Asked(columnar.AppendLower(nil, []byte(name))))
}

// slowLower lowers ASCII letters only.
func slowLower(s string) string { return string(columnar.AppendLower(nil, []byte(s))) }

func slowObject(v any) map[string]any {
	object, _ := v.(map[string]any)
	return object
}

// jsonLinesOf returns the lines of a format's cases that slow decoders can read. Each
// follows as it is, and then without one of its bytes, for a few of them.
func jsonLinesOf(t testing.TB, f *Format) []byte {
	var out []byte
	for _, c := range readCases(t) {
		if c.format != f || len(c.in) > 1<<20 {
			continue
		}
		for line := range bytes.Lines(c.in) {
			if line[0] != '{' {
				continue
			}
			line = bytes.TrimRight(line, "\n")
			out = append(append(out, line...), '\n')
			for i := 7; i < len(line); i += 31 {
				out = append(append(append(out, line[:i]...), line[i+1:]...), '\n')
			}
		}
	}
	return out
}

// addLines adds each JSON line of the cases of a format as a seed.
func addLines(f *testing.F, format *Format) {
	for _, c := range readCases(f) {
		if c.format != format {
			continue
		}
		for line := range bytes.Lines(c.in) {
			if line[0] == '{' && len(line) < 1<<16 {
				f.Add(line)
			}
		}
	}
}

func TestMutated(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 4))
	rounds := 30
	if text := os.Getenv("OUTFLOW_MUTATE"); text != "" {
		rounds, _ = strconv.Atoi(text)
		random = rand.New(rand.NewPCG(rand.Uint64(), 0))
	}
	lines := func(f *Format) (lines [][]byte) {
		for _, c := range readCases(t) {
			for line := range bytes.Lines(c.in) {
				if line = bytes.TrimRight(line, "\r\n"); c.format == f && len(line) > 0 && line[0] == '{' && len(line) < 4096 {
					lines = append(lines, line)
				}
			}
		}
		return lines
	}
	formats := []struct {
		lines [][]byte
		check func(*testing.T, []byte)
	}{
		{lines(Zeek), func(t *testing.T, b []byte) { checkSlow(t, Zeek, slowZeek, zeekJSON(b)) }},
		{lines(Suricata), func(t *testing.T, b []byte) { checkSlow(t, Suricata, slowSuricata, b) }},
		{lines(CloudTrail), func(t *testing.T, b []byte) { checkSlow(t, CloudTrail, slowCloudTrail, b) }},
		{lines(JSONLines), checkJSONLinesDecode},
	}
	for range rounds {
		for _, f := range formats {
			// A block has several lines, because the decoder expects the keys of the line
			// before.
			var b []byte
			for range 20 {
				line := f.lines[random.IntN(len(f.lines))]
				b = append(append(b, bytes.ReplaceAll(scantest.Mutate(random, line), eol, nil)...), '\n')
			}
			f.check(t, b)
		}
	}
}
