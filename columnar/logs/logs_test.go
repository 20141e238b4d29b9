package logs

// A case is a txtar file testdata/FORMAT_NAME.txtar, or of a source sources/NAME.txtar
// or sources/NAME_MORE.txtar. Its first line says what
// would be wrong if it failed. Its files are
//
//	options     YAML, optional; see caseOptions
//	in          the log
//	upload      of a source that has the bytes of connections or requests: the log of
//	            one upload, see TestOneUploadInEveryLog of package jobs
//	want.TABLE  the rows of a canonical table as CSV: the columns that have a
//	            value in any row, in the table's order, then the fields of the
//	            options that any row has; one without a text is written ""
//	tally       "records 5 rows 3 other 1 skipped 1", then a line for each kind
//	            of other records that has a name, "kind alert 1", and for each reason,
//	            those of cleared cells last
//
// Bytes that an editor would eat are written with carets, in "in" and in what is
// wanted:
//
//	^M at the end of a line      a carriage return
//	^D at the end of the last    no final newline
//	^@                           a NUL byte
//	^=FF                         any byte, in hexadecimal
//	^x2097152^a                  2,097,152 times the byte a
//
// go test -update rewrites want.TABLE and tally; review the change as code.
//
// The format must be found by sniffing, unless the options name it. Each case is
// decoded as one block, and again with a block and a new decoder for each
// record, which is how parallel workers see it; both must agree.

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"outflow/columnar"
)

var update = flag.Bool("update", false, "rewrite what the cases want")

// caseOptions is the YAML of a case's options.
type caseOptions struct {
	Format    string // do not sniff
	Zone      string // as in time.LoadLocation
	Written   time.Time
	Name      string // of the object
	LogFormat string `yaml:"logformat"`
	Mapping   *caseMapping
	Events    bool     // rows of the table event are read
	Fields    []string // that rules read, of every table
	// Operations are those of the calls that rules with fields are about.
	Operations []string
}

type caseMapping struct {
	Table     string
	Only      bool
	Delimiter string
	Header    []string
	Columns   map[string]Column
}

// A logCase is one file of testdata.
type logCase struct {
	file    string
	archive *txtar.Archive
	format  *Format
	sniff   bool
	options Options
	events  bool
	fields  []string
	in      []byte
}

func readCases(t testing.TB) []*logCase {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	vendors, err := filepath.Glob("sources/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, vendors...)
	var cases []*logCase
	for _, file := range files {
		c, err := readCase(file)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		cases = append(cases, c)
	}
	return cases
}

func readCase(file string) (*logCase, error) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		return nil, err
	}
	c := &logCase{file: file, archive: archive, sniff: true}
	name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".txtar"), "_")
	if len(bytes.TrimSpace(archive.Comment)) == 0 {
		return nil, errors.New("the first line must say what would be wrong if the case failed")
	}
	for _, f := range archive.Files {
		switch {
		case f.Name == "options":
			var o caseOptions
			if err := yaml.UnmarshalWithOptions(f.Data, &o, yaml.Strict()); err != nil {
				return nil, err
			}
			if o.Format != "" {
				name, c.sniff = o.Format, false
			}
			if c.options, err = o.options(); err != nil {
				return nil, err
			}
			c.events, c.fields = o.Events, o.Fields
			c.want(o.Operations...)
		case f.Name == "in":
			if c.in, err = decodeCarets(f.Data); err != nil {
				return nil, err
			}
		case f.Name != "upload" && f.Name != "tally" && !strings.HasPrefix(f.Name, "want."):
			return nil, fmt.Errorf("file %q: want options, in, upload, want.TABLE or tally", f.Name)
		}
	}
	if c.format = Named(name); c.format == nil {
		return nil, fmt.Errorf("no format %q", name)
	}
	if c.format.Objects != nil && inObject(c.in) {
		c.format = c.format.Objects
	}
	c.options.Want = ^columnar.Cols(0)
	c.options.Head = c.in[:min(len(c.in), headSize)]
	return c, nil
}

func (o *caseOptions) options() (Options, error) {
	out := Options{LogFormat: o.LogFormat, Written: o.Written, Name: o.Name}
	if o.Zone != "" {
		zone, err := time.LoadLocation(o.Zone)
		if err != nil {
			return out, err
		}
		out.Zone = zone
	}
	if o.Mapping == nil {
		return out, nil
	}
	m := &Mapping{Table: columnar.TableNamed(o.Mapping.Table), Only: o.Mapping.Only, Header: o.Mapping.Header}
	if m.Table == nil {
		return out, fmt.Errorf("no table %q", o.Mapping.Table)
	}
	if o.Mapping.Delimiter != "" {
		m.Delimiter = o.Mapping.Delimiter[0]
	}
	m.Columns = map[columnar.Col]Column{}
	for name, source := range o.Mapping.Columns {
		c, ok := columnar.ColNamed(name)
		if !ok {
			return out, fmt.Errorf("no column %q", name)
		}
		m.Columns[c] = source
	}
	out.Mapping = m
	return out, nil
}

var (
	caretCR     = regexp.MustCompile(`(?m)\^M$`)
	caretRepeat = regexp.MustCompile(`\^x(\d+)\^(.)`)
	caretHex    = regexp.MustCompile(`\^=[0-9A-F]{2}`)
)

func decodeCarets(b []byte) ([]byte, error) {
	b = caretCR.ReplaceAll(b, []byte("\r"))
	b, cut := bytes.CutSuffix(b, []byte("^D\n"))
	if !cut {
		b = bytes.TrimSuffix(b, []byte("^D"))
	}
	b = bytes.ReplaceAll(b, []byte("^@"), []byte{0})
	b = caretHex.ReplaceAllFunc(b, func(m []byte) []byte {
		v, _ := strconv.ParseUint(string(m[2:]), 16, 8)
		return []byte{byte(v)}
	})
	var err error
	b = caretRepeat.ReplaceAllFunc(b, func(m []byte) []byte {
		groups := caretRepeat.FindSubmatch(m)
		n, e := strconv.Atoi(string(groups[1]))
		if e != nil || n > 64<<20 {
			err = fmt.Errorf("%s: more than 64 MiB", m)
			return nil
		}
		return bytes.Repeat(groups[2], n)
	})
	return b, err
}

// longRun is how many equal bytes in a row encodeCarets writes as ^xN^c.
const longRun = 64

func encodeCarets(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		n := 1
		for i+n < len(s) && s[i+n] == s[i] {
			n++
		}
		switch c := s[i]; {
		case n >= longRun && c >= ' ' && c < 0x7f:
			fmt.Fprintf(&b, "^x%d^%c", n, c)
			i += n
			continue
		case c == 0:
			b.WriteString("^@")
		case c < ' ' && c != '\n' && c != '\t', c == 0x7f:
			fmt.Fprintf(&b, "^=%02X", c)
		default:
			b.WriteByte(c)
		}
		i++
	}
	text := b.String()
	if strings.ToValidUTF8(text, "") == text {
		return text
	}
	b.Reset()
	for _, r := range []byte(text) {
		if r < 0x80 {
			b.WriteByte(r)
		} else {
			fmt.Fprintf(&b, "^=%02X", r)
		}
	}
	return b.String()
}

// A result is everything that decoding an object gives.
type result struct {
	fields []string
	tables [columnar.NumTables]resultTable
	rows   int64
	tally  Tally
	err    error
}

type resultTable struct {
	Cells   [][]string // by column of the table, then field of the case, then row
	Records []int64
}

// collect returns an Out whose rows are added to r.
func (r *result) collect() *columnar.Out {
	return &columnar.Out{Want: ^columnar.Cols(0), Feed: "test", Object: "test", Sink: func(b *columnar.Batch) {
		r.rows += int64(b.Len())
		t := &r.tables[b.Table.ID]
		if t.Cells == nil {
			t.Cells = make([][]string, len(b.Table.Cols)+len(r.fields))
		}
		for i, c := range b.Table.Cols {
			for row := range b.Len() {
				t.Cells[i] = append(t.Cells[i], cell(b, c, row))
			}
		}
		for i, name := range r.fields {
			codes, dict := b.Field(name)
			at := len(b.Table.Cols) + i
			for row := range b.Len() {
				text := ""
				if codes != nil && codes[row] != columnar.FieldAbsent {
					if text = string(dict.Text(codes[row])); text == "" {
						text = `""`
					}
				}
				t.Cells[at] = append(t.Cells[at], text)
			}
		}
		for _, further := range b.Record {
			t.Records = append(t.Records, b.First+int64(further))
		}
	}}
}

// cell returns a value as text, null as "".
func cell(b *columnar.Batch, c columnar.Col, row int) string {
	switch c.Kind() {
	case columnar.Timestamp:
		return time.UnixMicro(b.Int64(c)[row]).UTC().Format("2006-01-02T15:04:05.999999Z07:00")
	case columnar.Dictionary:
		codes, dict := b.Codes(c)
		return string(dict.Text(codes[row]))
	case columnar.Text:
		offsets, text := b.Texts(c)
		return string(text[offsets[row]:offsets[row+1]])
	}
	if b.Valid(c)[row>>3]>>(row&7)&1 == 0 {
		return ""
	}
	if c.Kind() == columnar.Int32 {
		return strconv.Itoa(int(b.Int32(c)[row]))
	}
	return strconv.FormatInt(b.Int64(c)[row], 10)
}

// wholeBlock is a block size that no case reaches.
const wholeBlock = 8 << 20

// read reads in as an object, in blocks of the given size. With size 1, each record has
// its own block; these are too small for the Head of the options, which is set when whole
// blocks are read.
func (c *logCase) read(in []byte, size int) ([]Block, error) {
	var blocks []Block
	ro := &ReadOptions{Format: c.format, Options: c.options, Buffers: NewBuffers(1, size), MaxRecord: wholeBlock}
	members := Read(object("test", in), ro, func(m *Member, b *Block) error {
		kept := *b
		// A decoder must neither read nor write behind its block.
		kept.Data = slices.Clip(bytes.Clone(b.Data))
		kept.buffers, kept.buf = nil, nil
		blocks = append(blocks, kept)
		if size > 1 {
			c.options.Head = m.Options.Head
		}
		b.Release()
		return nil
	})
	if err := members[0].Err; !errors.Is(err, ErrEmpty) {
		return blocks, err
	}
	return blocks, nil
}

// whole returns data as one block.
func whole(data []byte) []Block {
	if len(data) == 0 {
		return nil
	}
	return []Block{{Data: data, First: 1}}
}

// want makes rules read the case's fields, of calls of these operations.
func (c *logCase) want(operations ...string) {
	for i := range c.options.WantFields {
		for _, name := range c.fields {
			c.options.WantFields[i] = append(c.options.WantFields[i], columnar.WantedField{Name: name, Operations: operations})
		}
	}
}

// decode decodes blocks; each gets its own decoder, and all of them one Out.
func (c *logCase) decode(blocks []Block) *result {
	r := &result{fields: c.fields}
	out := r.collect()
	out.Origin = c.format.Origin()
	if c.events {
		out.WantEvents = columnar.AnyEvent
	}
	out.WantFields = c.options.WantFields
	for i := range blocks {
		d, err := c.format.New(&c.options)
		if err == nil {
			err = blocks[i].Decode(d, out, &r.tally)
		}
		if err != nil {
			r.err = err
			break
		}
	}
	out.Flush()
	return r
}

// run reads and decodes in.
func (c *logCase) run(in []byte, size int) *result {
	blocks, err := c.read(in, size)
	r := c.decode(blocks)
	r.err = cmp.Or(r.err, err)
	return r
}

// files renders r as the files of a case.
func (r *result) files() []txtar.File {
	var files []txtar.File
	for id, t := range r.tables {
		if len(t.Records) == 0 {
			continue
		}
		var used []int
		for i := range t.Cells {
			if slices.ContainsFunc(t.Cells[i], func(s string) bool { return s != "" }) {
				used = append(used, i)
			}
		}
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		line := make([]string, len(used))
		for k, i := range used {
			if cols := columnar.Tables[id].Cols; i < len(cols) {
				line[k] = cols[i].String()
			} else {
				line[k] = r.fields[i-len(cols)]
			}
		}
		w.Write(line)
		for row := range t.Records {
			for k, i := range used {
				line[k] = encodeCarets(t.Cells[i][row])
			}
			w.Write(line)
		}
		w.Flush()
		files = append(files, txtar.File{Name: "want." + columnar.Tables[id].Name, Data: b.Bytes()})
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "records %d rows %d other %d skipped %d\n", r.tally.Records, r.tally.Rows, r.tally.Other, r.tally.Skipped)
	if r.tally.Masked > 0 {
		fmt.Fprintf(&b, "masked %d\n", r.tally.Masked)
	}
	for _, k := range r.tally.Kinds {
		fmt.Fprintf(&b, "kind %s %d\n", encodeCarets(k.Name), k.Count)
	}
	if r.tally.Unlisted > 0 {
		fmt.Fprintf(&b, "unlisted %d\n", r.tally.Unlisted)
	}
	for _, reason := range slices.Concat(r.tally.Reasons, r.tally.Cleared) {
		fmt.Fprintln(&b, reason)
	}
	if r.err != nil {
		fmt.Fprintf(&b, "error: %v\n", r.err)
	}
	return append(files, txtar.File{Name: "tally", Data: b.Bytes()})
}

// check reports what r breaks of the contract of Decoder.
func (r *result) check() error {
	t := &r.tally
	if t.Records != t.Rows+t.Other+t.Skipped {
		return fmt.Errorf("got %d records, want rows %d + other %d + skipped %d", t.Records, t.Rows, t.Other, t.Skipped)
	}
	if r.rows != t.Rows {
		return fmt.Errorf("got %d rows, want the %d of the tally", r.rows, t.Rows)
	}
	named := t.Unlisted
	for _, k := range t.Kinds {
		named += k.Count
	}
	if named != t.Other {
		return fmt.Errorf("got %d records of kinds with a name, want all of the %d other ones", named, t.Other)
	}
	var skipped int64
	for _, reason := range t.Reasons {
		skipped += reason.Count
	}
	if skipped != t.Skipped {
		return fmt.Errorf("got reasons for %d skipped records, want %d", skipped, t.Skipped)
	}
	return nil
}

// difference says how decoding in one block and record by record differ.
func difference(one, cut *result) string {
	sortReasons := func(t *Tally) {
		for _, reasons := range [][]Reason{t.Reasons, t.Cleared} {
			slices.SortFunc(reasons, func(a, b Reason) int { return cmp.Compare(a.Text, b.Text) })
		}
	}
	sortReasons(&one.tally)
	sortReasons(&cut.tally)
	return gocmp.Diff(one.tally, cut.tally) + gocmp.Diff(one.tables, cut.tables)
}

// sniffed returns the name of the format that in is recognised as.
func sniffed(in []byte) string {
	for _, m := range Read(object("test", in), &ReadOptions{}, func(*Member, *Block) error { return nil }) {
		if m.Format != nil {
			return m.Format.Name
		}
	}
	return "no format"
}

func TestDecode(t *testing.T) {
	for _, c := range readCases(t) {
		t.Run(strings.TrimSuffix(filepath.Base(c.file), ".txtar"), func(t *testing.T) {
			if c.format.New == nil {
				t.Skipf("format %s has no decoder of lines", c.format.Name)
			}
			if c.sniff {
				if got := sniffed(c.in); got != c.format.Name {
					t.Errorf("sniff: got %s, want %s", got, c.format.Name)
				}
			}
			one := c.run(c.in, wholeBlock)
			if err := one.check(); err != nil {
				t.Error(err)
			}
			if one.tally.Masked > 0 && c.format.Masks == "" {
				t.Errorf("%d names are masked, and Masks of %s does not say how", one.tally.Masked, c.format.Name)
			}
			got := one.files()
			if *update {
				c.rewrite(t, got)
				return
			}
			var want []txtar.File
			for _, f := range c.archive.Files {
				if f.Name == "tally" || strings.HasPrefix(f.Name, "want.") {
					want = append(want, f)
				}
			}
			if d := gocmp.Diff(text(want), text(got)); d != "" {
				t.Errorf("one block (-want +got):\n%s", d)
			}
			if one.err != nil {
				return
			}
			if d := difference(one, c.run(c.in, 1)); d != "" {
				t.Errorf("a block for each record (-one block +cut):\n%s", d)
			}
		})
	}
}

// text returns files as lines, for readable differences.
func text(files []txtar.File) []string {
	return strings.Split(string(txtar.Format(&txtar.Archive{Files: files})), "\n")
}

func (c *logCase) rewrite(t *testing.T, got []txtar.File) {
	a := &txtar.Archive{Comment: c.archive.Comment}
	for _, f := range c.archive.Files {
		if f.Name != "tally" && !strings.HasPrefix(f.Name, "want.") {
			a.Files = append(a.Files, f)
		} else {
			a.Files, got = append(a.Files, got...), nil // where the first stood
		}
	}
	a.Files = append(a.Files, got...)
	if err := os.WriteFile(c.file, txtar.Format(a), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestCasesCover fails if a format of text lines lacks a case that every format must
// have. Binary formats have tests that make their objects.
func TestCasesCover(t *testing.T) {
	const long = 2 << 20
	have := map[*Format]map[string]bool{}
	for _, f := range All() {
		have[f] = map[string]bool{}
	}
	for _, c := range readCases(t) {
		if c.format.New == nil {
			continue
		}
		r := c.run(c.in, wholeBlock)
		h := have[Named(c.format.Name)]
		rows := r.tally.Rows > 0
		longest := 0
		for line := range bytes.Lines(c.in) {
			longest = max(longest, len(line))
		}
		for what, ok := range map[string]bool{
			"a good line":      rows && c.sniff,
			"a bad line":       r.tally.Skipped > 0,
			"empty input":      len(c.in) == 0,
			"CRLF":             rows && bytes.Contains(c.in, []byte("\r\n")),
			"no final newline": rows && len(c.in) > 0 && c.in[len(c.in)-1] != '\n',
			"a 2 MiB line":     longest >= long,
		} {
			h[what] = h[what] || ok
		}
	}
	for _, f := range All() {
		t.Run(f.Name, func(t *testing.T) {
			if f.New == nil || f.Split != nil || f == EVTX {
				t.Skip("has no decoder of lines")
			}
			wanted := []string{"a good line", "a bad line", "empty input", "CRLF", "no final newline", "a 2 MiB line"}
			if f.Vendor != nil {
				wanted = wanted[:2] // TestSources makes the others
			}
			for _, what := range wanted {
				if !have[f][what] {
					t.Errorf("no case testdata/%s_*.txtar has %s", f.Name, what)
				}
			}
		})
	}
}

// TestAll checks what help, docs and reports rely on.
func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range All() {
		if f.New == nil && f.Split == nil {
			t.Logf("%s: has no decoder", f.Name)
			continue
		}
		if seen[f.Name] || f.Name != strings.ToLower(f.Name) || f.Name == "" {
			t.Errorf("%q: name is taken, empty or not in lower case", f.Name)
		}
		seen[f.Name] = true
		if f.Title == "" || strings.HasSuffix(f.Title, ".") || f.Doc == "" {
			t.Errorf("%s: want a title of a few words without a period, and a doc", f.Name)
		}
		if len(f.Tables) == 0 {
			t.Errorf("%s: names no table", f.Name)
		}
		for _, c := range f.Lacks.List() {
			if !slices.ContainsFunc(f.Tables, func(t *columnar.Table) bool { return t.Set().Has(c) }) {
				t.Errorf("%s: lacks %v, which none of its tables has", f.Name, c)
			}
		}
	}
}

// fuzzSize is the length of the longest input that is fuzzed, and of its block. Clearing
// a block of wholeBlock bytes would take a third of the time of the seeds.
const fuzzSize = 16 << 10

// FuzzDecode gives any bytes to the decoder of a case. OUTFLOW_FUZZ=auditd limits it to
// the cases of that format.
func FuzzDecode(f *testing.F) {
	cases := map[string]*logCase{}
	only := os.Getenv("OUTFLOW_FUZZ")
	for _, c := range readCases(f) {
		if c.format.New != nil && len(c.in) <= fuzzSize && (only == "" || c.format.Name == only) {
			cases[c.file] = c
			f.Add(c.file, c.in)
		}
	}
	f.Fuzz(func(t *testing.T, file string, in []byte) {
		c := cases[file]
		if c == nil || len(in) > fuzzSize {
			return
		}
		one := c.run(in, fuzzSize)
		if err := one.check(); err != nil {
			t.Error(err)
		}
		if one.err != nil {
			return
		}
		parts := c.run(in, 1)
		if err := parts.check(); err != nil {
			t.Error(err)
		}
		// After a stray quote, there is no single right way to cut a quoted format.
		if d := difference(one, parts); d != "" && parts.err == nil && !c.format.Quoted {
			t.Errorf("one block and a block for each record differ (-one +cut):\n%s", d)
		}
	})
}

func TestCarets(t *testing.T) {
	in := "a^M\n^@b^=FF\n^x5^z^D\n"
	got, err := decodeCarets([]byte(in))
	if want := "a\r\n\x00b\xff\nzzzzz"; err != nil || string(got) != want {
		t.Errorf("decodeCarets(%q): got %q, %v, want %q", in, got, err, want)
	}
	text := strings.Repeat("z", longRun) + "\x00\xff\x1b"
	if got, want := encodeCarets(text), "^x64^z^@^=FF^=1B"; got != want {
		t.Errorf("encodeCarets: got %q, want %q", got, want)
	}
}
