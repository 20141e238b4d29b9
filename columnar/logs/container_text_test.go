package logs

import (
	"bytes"
	"encoding/csv"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"outflow/columnar/scan"
)

// slowSplit cuts a line into fields byte by byte, up to most.
func slowSplit(line []byte, most int) (fields [][]byte) {
	// What is not found is not looked for again: a line may have a million quotes.
	quotes, bracket := true, len(line)+1 // bracket: how far from the line's end the next ] is; 0: there is none
	quoted, quotedAt := -1, []byte(nil)  // the last field in quotes, and the line from its text on
	for len(fields) < most {
		for len(line) > 0 && line[0] == ' ' {
			line = line[1:]
		}
		if len(line) == 0 {
			return fields
		}
		end, skip := -1, 0 // of the field, and what of it stands for quotes
		switch line[0] {
		case '"':
			for at := 1; quotes && end < 0; {
				i := bytes.IndexByte(line[at:], '"')
				if i < 0 {
					quotes = false
					break
				}
				at += i + 1
				before := line[1 : at-1]
				escapes := len(before) - len(bytes.TrimRight(before, `\`))
				if escapes%2 == 0 && (at == len(line) || line[at] == ' ') {
					end, skip = at, 1
				}
			}
		case '[':
			if bracket > len(line) {
				i := bytes.IndexByte(line, ']')
				bracket = 0
				if i >= 0 {
					bracket = len(line) - i
				}
			}
			if i := len(line) - bracket; bracket > 0 && (i+1 == len(line) || line[i+1] == ' ') {
				fields = append(fields, line[1:i])
				line = line[i+1:]
				continue
			}
		}
		if end < 0 {
			word := func(from int) int {
				if i := bytes.IndexByte(line[from:], ' '); i >= 0 {
					return from + i
				}
				return len(line)
			}
			end = word(0)
			if quoted >= 0 && line[0] != '"' && line[end-1] == '"' {
				fields = append(fields[:quoted], quotedAt[:len(quotedAt)-len(line)+end-1])
				line = line[end:]
				continue
			}
			for len(fields) == 0 && line[end-1] == ',' && end < len(line) { // a list of addresses
				end = word(end + 1)
			}
		} else {
			quoted, quotedAt = len(fields), line[1:]
		}
		fields = append(fields, line[skip:end-skip])
		line = line[end:]
	}
	return fields
}

// checkFields compares the fields of lines, which stand behind each other, with those of
// slowSplit.
func checkFields(t *testing.T, text []byte, most int) {
	t.Helper()
	var r spaceReader
	var got, want [][]byte
	w := newWindow(0)
	w.reset(text, 1, &Tally{})
	for data := text; len(data) > 0; {
		data = r.lines(data, ' ', w, func(_ []byte, pos []uint32) {
			r.cut(text[len(text)-len(data):], pos, most)
			for i := range r.fields {
				got = append(got, r.field(i))
			}
			got = append(got, []byte("end"))
		})
	}
	for line := range bytes.SplitSeq(text, []byte{'\n'}) {
		if line, _ = scan.CutLine(line); !scan.Blank(line) {
			want = append(append(want, slowSplit(line, most)...), []byte("end"))
		}
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("up to %d fields of %q: got %q, want %q", most, text, got, want)
	}
}

var fieldLines = []string{
	"a b  c ", `x "a b" c`, `"a "b" c" d`, `"a b`, `" " ""`, `"" "`, "[a b] c", "[a b]c d", "[a b", "[a] ] [b] c]", `[a "b] c" d`, `a" "b`, `"a" b" c`,
	"  ", "\t", " a\r", "\r", "a\rb\r", `"a"` + "\r", "[a b]\r", "#x", `a "b" "c d" "e \" f" [02/Jan/2006:15:04:05 +0000] -`, "] [a]", "[]",
	`"a\\" b`, `"a\\\" b" c`, `"\" "`, `x "a" b c" d" e`, `"a" "b" c" d`, "a, b c", "a,", "a,  b", "a b, c", `a, "b c" d`, `"a", b`, "[ ]", `"`, `"""`, `"" ""`,
}

func TestSpaceFields(t *testing.T) {
	for _, line := range fieldLines {
		for most := range 6 {
			checkFields(t, []byte(line), most+1)
			checkFields(t, []byte("1 2\n"+line+"\n\n\"3 4\" 5\n"), most+1)
		}
	}
}

func FuzzSpaceFields(f *testing.F) {
	for _, line := range fieldLines {
		f.Add([]byte(line), 9)
	}
	f.Fuzz(func(t *testing.T, text []byte, most int) {
		checkFields(t, text, max(1, most))
	})
}

// containerTexts returns the texts that the container of a source finds under up to four
// names, and the number of the record behind them, record by record.
func containerTexts(t *testing.T, source *Source, names []string, text []byte) (got [][]string) {
	t.Helper()
	source.Name, source.Title = "x", "x"
	row := SourceRow{Table: "api", Columns: map[string]Column{}}
	for i, name := range names {
		row.Columns[[]string{"time", "user", "service", "resource"}[i]] = Column{Name: name}
	}
	source.Rows = []SourceRow{row}
	p := &sourcePlan{source: source, byName: map[string]int{}}
	if err := p.compile(); err != nil {
		t.Fatal(err)
	}
	r, err := p.container.open(p)
	if err != nil {
		t.Fatal(err)
	}
	w := newWindow(len(p.slots))
	w.reset(text, 1, &Tally{})
	for data := text; len(data) > 0; {
		data = r.read(data, w, w.tally)
		for i := range w.n {
			var texts []string
			for _, name := range names {
				texts = append(texts, string(w.text(i, p.byName[name])))
			}
			got = append(got, append(texts, strconv.FormatInt(w.records[i], 10)))
		}
		w.empty()
	}
	return got
}

// checkRecords compares the records of csv without a header with those that encoding/csv
// finds, in texts in which that finds no error.
func checkRecords(t *testing.T, text []byte, seps string) {
	t.Helper()
	if bytes.IndexByte(text, '\r') >= 0 || bytes.IndexByte(text, '\t') >= 0 { // encoding/csv drops a \r; blank lines may have a tab
		return
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.FieldsPerRecord = -1
	records, err := reader.ReadAll()
	if err != nil {
		return
	}
	names := []string{"a", "b", "c", "d"}
	got := containerTexts(t, &Source{Container: "csv", Separator: seps, Layouts: []Layout{{Fields: "1+", Names: names}}}, names, text)
	var want [][]string
	line, lines := 0, bytes.Split(text, eol)
	for _, record := range records {
		for line++; len(lines[line-1]) == 0; line++ { // a blank line
		}
		first := line
		for _, field := range record {
			line += strings.Count(field, "\n")
		}
		if len(record) == 1 && strings.Trim(record[0], " ") == "" && lines[first-1][0] != '"' {
			continue
		}
		texts := append(record, "", "", "", "")[:len(names):len(names)]
		want = append(want, append(texts, strconv.Itoa(first)))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q: got %q, want %q", text, got, want)
	}
}

var csvTexts = []string{
	"a,b,c,d\n1,2,3,4\n", "\"a,b\",\"c\"\"d\"\n\n1,\"x\ny\",2\n3", "\"\"\n,\n,,,,,\n", " \n\" \",\"\n\n\"\n5", "a,b,c,d,e,f,g", "\"a\nb\nc\"\n1,2\n",
}

func TestCSVRecords(t *testing.T) {
	for _, text := range csvTexts {
		for _, seps := range []string{",", ",;"} {
			checkRecords(t, []byte(text), seps)
			checkRecords(t, []byte(strings.Repeat("1,\"2\"\n", 300)+text), seps)
		}
	}
}

func FuzzCSVRecords(f *testing.F) {
	for _, text := range csvTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		checkRecords(t, text, ",")
	})
}

// slowW3C reads the fields a, Bc and cs(D) of W3C extended logs line by line.
func slowW3C(text []byte) (rows [][]string) {
	var names []string
	header := false
	for i, line := range bytes.Split(text, eol) {
		if line, _ = scan.CutLine(line); scan.Blank(line) {
			continue
		}
		if line[0] == '#' {
			if rest, ok := strings.CutPrefix(string(line), "#Fields:"); ok {
				names, header = strings.Fields(rest), true
			}
			continue
		}
		var fields [][]byte
		if bytes.IndexByte(line, '\t') >= 0 {
			fields = bytes.Split(line, []byte{'\t'})
		} else {
			fields = slowSplit(line, len(line)+1)
		}
		if !header || len(fields) != len(names) {
			continue
		}
		row := make([]string, len(w3cNames), len(w3cNames)+1)
		for k, want := range w3cNames {
			field := slices.Index(names, want)
			if field < 0 {
				field = slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, want) })
			}
			if field >= 0 {
				row[k] = string(fields[field])
			}
		}
		rows = append(rows, append(row, strconv.Itoa(i+1)))
	}
	return rows
}

var (
	w3cNames = []string{"a", "Bc", "cs(D)"}
	w3cTexts = []string{
		"#Version: 1.0\n#Fields: a Bc cs(D)\n1 2 3\n\"x y\" - \"\"\n1 2\n1 2 3 4\n", "1 2 3\n#Fields: bc x a\r\n1 2 3\r\n\r\n#Fields: cs(D)\n9\n\"a b\"\n",
		"#Fields: a Bc cs(D)\n10.0.0.5 GET /a\r\n10.0.0.5, 10.0.0.6 GET\n1, 2\n#Fields: Bc\nPUT\n", "#Fields: a Bc\n1 2\n1  2\n1 \n 1\n",
		"#Fields:\ta\tBc\n1\t2 3\n1 2\n\t\n\"\t\"\n", "#Fields: a A BC a\n1 2 3 4\n#x\n# Fields: Bc\n5 6 7 8", "#Fields: a Bc\n1 \"x \"y\" z v w\" 2\n1 \"x \"y\" z v w\"\n", "#Fields:\n\n1\n#Fields: a Bc\n\"1 \\\" 2\" 3\n[1 2] 3\n1, 2 3\n",
		"#Fields: a Bc\n10.0.0.5 GET\n10.0.0.6 PUT\n10.0.0.16 DELETE-OBJS\n1 ", // 64 bytes
	}
)

// checkW3C compares what the container finds in a text with what slowW3C does, also where whole blocks of 64 bytes
// hold it. Names that stand for a time in a zone are left out.
func checkW3C(t *testing.T, text []byte) {
	t.Helper()
	if len(text)%64 != 0 {
		checkW3C(t, slices.Concat(text, []byte("\n#"), bytes.Repeat([]byte("x"), 63-(len(text)+1)%64)))
	}
	if bytes.Contains(text, []byte("time")) || bytes.Contains(text, []byte("TIME")) {
		return
	}
	got := containerTexts(t, &Source{Container: "w3c"}, w3cNames, text)
	if want := slowW3C(text); !reflect.DeepEqual(got, want) {
		t.Errorf("%q: got %q, want %q", text, got, want)
	}
}

// If this fails, a field of a W3C log stands under the name of another.
func TestW3CIsAsSlow(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 12))
	for _, text := range w3cTexts {
		checkW3C(t, []byte(text))
		checkW3C(t, []byte(w3cTexts[0]+text))
	}
	for range 2000 {
		text := []byte(w3cTexts[r.IntN(len(w3cTexts))] + w3cTexts[r.IntN(len(w3cTexts))])
		for range r.IntN(6) {
			text[r.IntN(len(text))] = " \t\n\"#\\a]["[r.IntN(9)]
		}
		checkW3C(t, text)
	}
}

func FuzzW3C(f *testing.F) {
	for _, text := range w3cTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkW3C(t, text) })
}
