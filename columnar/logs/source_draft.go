package logs

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// The first draft of a source file, from the records of a log that no source is for.

// draftRecords is how many records a draft looks at.
const draftRecords = 512

// draftSize is how much of a log a draft looks at, in bytes.
const draftSize = 1 << 20

// maxDraftNames is how many names a draft lists: a hostile log may have any number.
const maxDraftNames = 200

// Draft returns a source file for an object: the container, and the columns that names
// and values tell. What it cannot tell stands there as a comment. name is what the
// source is to be called.
func Draft(o *Object, name string) (string, error) {
	var text []byte
	enough := errors.New("enough")
	plain := &Format{Name: "draft"} // reads no rows: no wrapper is better than the records as they stand
	for _, m := range Read(o, &ReadOptions{Format: plain}, func(_ *Member, b *Block) error {
		text = bytes.Clone(b.Data[:min(len(b.Data), draftSize)])
		return enough
	}) {
		if m.Err != nil && !errors.Is(m.Err, enough) {
			return "", m.Err
		}
	}
	d := draft{name: name}
	text, d.wrapped = unwrappedDraft(text)
	if err := d.look(text); err != nil {
		return "", err
	}
	d.choose()
	file := d.file()
	if _, err := ParseSource([]byte(file)); err != nil {
		return "", fmt.Errorf("the draft is no source file: %w (a fault in outflow: please report it)", err)
	}
	return file, nil
}

// unwrappedDraft returns text as a source will see it, and whether something was around its records:
// lines of container runtimes, objects of shippers whose message is the record, headers of syslog.
func unwrappedDraft(text []byte) (inside []byte, wrapped bool) {
	r := &reader{}
	for range maxLayers {
		layers, plainly := wrappings(text[:min(len(text), headSize)])
		if len(layers) == 0 || !plainly && !inObject(text) {
			break
		}
		within := r.peel(text, false, layers[0])
		first, _ := scan.CutLine(bytes.TrimLeft(within, "\n"))
		around, _ := scan.CutLine(text)
		if within == nil || !plainly && (inObject(within) && bytes.Contains(around, first) || !inObject(within) && len(draftPairs(first, ' ')) < 3) {
			break // an object of the record's own, or a message for people
		}
		text, wrapped = within, true
	}
	plain := withoutSyslog(text)
	return plain, wrapped || len(plain) < len(text)
}

// withoutSyslog returns text without the headers of syslog, if all its lines have one with a
// priority or a program. A time and a word alone may as well be the log's own.
func withoutSyslog(text []byte) []byte {
	var out []byte
	var s syslogLine
	for rest := text; len(rest) > 0; {
		var line []byte
		if line, rest = scan.CutLine(rest); scan.Blank(line) {
			continue
		}
		if !s.parse(line) || line[0] != '<' && s.program == nil {
			return text
		}
		out = append(append(out, s.message...), '\n')
	}
	return out
}

// A draft is a source file in the making.
type draft struct {
	name      string
	container *container
	separator string
	layout    bool // fields are known by their number
	fields    int
	records   int
	wrapped   bool // the records were in something, which may tell their times
	clock     scan.Clock
	names     []draftName
	at        map[string]int
	columns   [columnar.NumCols]int // index in names, -1: not told
	table     *columnar.Table
}

// A draftName is a name that records have.
type draftName struct {
	name, value string // value: the first that says something
	count       int
	varies      bool
}

// look finds the container and the names.
func (d *draft) look(text []byte) error {
	d.at = map[string]int{}
	d.clock = (&Options{Head: text[:min(len(text), headSize)]}).clock()
	first, rest := scan.CutLine(bytes.TrimLeft(text, " \t\r\n"))
	switch {
	case len(first) == 0:
		return ErrEmpty
	case first[0] == '{':
		d.container = jsonContainer
	case bytes.Contains(first, []byte("LEEF:")):
		d.container = leefContainer
	case bytes.Contains(first, []byte("CEF:")):
		d.container = cefContainer
	case first[0] == '#' && bytes.Contains(text, w3cFields):
		d.container = w3cContainer
	case len(draftPairs(first, ' ')) >= 3:
		d.container = keyvalueContainer
	default:
		d.separate(first, rest)
	}
	var w3c []string
	for lines := 0; len(text) > 0 && lines < draftRecords; lines++ {
		var line []byte
		if line, text = scan.CutLine(text); scan.Blank(line) {
			continue
		}
		switch d.container {
		case jsonContainer:
			if !soundObject(line) {
				continue
			}
			d.object("", line, 0)
		case cefContainer, leefContainer:
			for _, name := range cefHead[:map[*container]int{cefContainer: len(cefHead), leefContainer: len(leefHead)}[d.container]] {
				d.add(name, nil)
			}
			for _, p := range draftPairs(line[bytes.LastIndexByte(line, '|')+1:], map[*container]byte{cefContainer: ' ', leefContainer: '\t'}[d.container]) {
				d.add(string(p[0]), p[1])
			}
		case w3cContainer:
			if bytes.HasPrefix(line, w3cFields) {
				w3c = directiveNames(line)
			}
			if line[0] == '#' {
				continue
			}
			for i, field := range bytes.Fields(line) {
				if i < len(w3c) {
					d.add(w3c[i], field)
				}
			}
		case keyvalueContainer:
			for _, p := range draftPairs(line, ' ') {
				d.add(string(p[0]), p[1])
			}
		case csvContainer:
			fields := separatedFields(line, d.separator[0])
			if lines == 0 && !d.layout {
				w3c = fields
				continue
			}
			for i, field := range fields {
				if d.layout {
					d.add("$"+strconv.Itoa(i+1), []byte(field))
				} else if i < len(w3c) {
					d.add(w3c[i], []byte(field))
				}
			}
		default:
			var r spaceReader
			r.cutAlone(&r.scanner, line, maxFields)
			d.fields = max(d.fields, len(r.fields))
			for i := range r.fields {
				d.add("$"+strconv.Itoa(i+1), r.field(i))
			}
		}
		d.records++
	}
	if len(d.names) == 0 {
		return errors.New("no record has a name or a field: is it a log?")
	}
	return nil
}

// separate tells csv from fields with spaces between them.
func (d *draft) separate(first, rest []byte) {
	second, _ := scan.CutLine(rest)
	for i := range len(csvDelimiters) {
		n := len(separatedFields(first, csvDelimiters[i]))
		if n < 3 || len(second) > 0 && n != len(separatedFields(second, csvDelimiters[i])) {
			continue
		}
		d.container, d.separator, d.fields = csvContainer, csvDelimiters[i:i+1], n
		// A header has names alone, each once.
		fields := separatedFields(first, csvDelimiters[i])
		slices.Sort(fields)
		d.layout = len(slices.Compact(slices.Clone(fields))) < n || slices.ContainsFunc(fields, func(s string) bool {
			return s == "" || strings.ContainsAny(s[:1], "0123456789-\"[") || scan.IsAddress([]byte(s))
		})
		return
	}
	d.container, d.layout = spaceContainer, true
}

// maxDraftValue is how much of a value a draft looks at, in bytes.
const maxDraftValue = 1 << 10

// draftPairs returns the pairs of key=value in a line.
func draftPairs(line []byte, sep byte) (pairs [][2][]byte) {
	for i := 0; i < len(line); i++ {
		if line[i] != '=' {
			continue
		}
		begin := i
		for begin > 0 && isKeyByte(line[begin-1]) {
			begin--
		}
		if begin == i || begin > 0 && line[begin-1] != sep && line[begin-1] != ' ' {
			continue
		}
		value := line[i+1:]
		if len(value) > 0 && value[0] == '"' {
			if end := bytes.IndexByte(value[1:], '"'); end >= 0 {
				pairs = append(pairs, [2][]byte{line[begin:i], value[1 : 1+end]})
				i += end + 2
				continue
			}
		}
		if end := bytes.IndexByte(value[:min(len(value), maxDraftValue)], sep); end >= 0 {
			value = value[:end]
		} else {
			value = value[:min(len(value), maxDraftValue)]
		}
		pairs = append(pairs, [2][]byte{line[begin:i], value})
	}
	return pairs
}

// object adds the names of an object.
func (d *draft) object(prefix string, object []byte, depth int) {
	var w scan.Walker
	var scratch []byte
	for w.Open(object); w.Next(); {
		if bytes.IndexByte(w.Key, '[') >= 0 {
			continue // no path of a source can say it
		}
		name := prefix + string(w.Key)
		if w.Key == nil { // an element
			name = strings.TrimSuffix(prefix, ".")
		}
		switch {
		case depth >= jsonDepth:
		case w.Val.Is('{'):
			d.object(name+".", w.Val, depth+1)
		case w.Val.Is('['):
			d.object(name+"[].", w.Val, depth+1)
		default:
			scratch = scratch[:0]
			d.add(name, w.Val.Text(&scratch))
		}
	}
}

func (d *draft) add(name string, value []byte) {
	i, ok := d.at[name]
	if !ok {
		if len(d.names) == maxDraftNames || name == "" || len(name) > maxKeyLen {
			return
		}
		i = len(d.names)
		d.at[name] = i
		d.names = append(d.names, draftName{name: name})
	}
	n := &d.names[i]
	n.count++
	switch {
	case scan.Unknown(value):
	case n.value == "":
		n.value = string(value)
	default:
		n.varies = n.varies || n.value != string(value)
	}
}

// choose tells the columns by well-known names, whole or the last keys of a path, else
// by what values look like, and the table by the columns.
func (d *draft) choose() {
	var has columnar.Cols
	url := false
	for c := range columnar.NumCols {
		d.columns[c] = -1
		for keys := 0; keys < 3 && d.columns[c] < 0; keys++ {
			for _, known := range wellKnown[c] {
				at := slices.IndexFunc(d.names, func(n draftName) bool { return squash(lastKeys(n.name, keys)) == known && d.fits(c, n.value) })
				if at >= 0 {
					d.columns[c] = at
					break
				}
			}
		}
		if d.columns[c] < 0 {
			switch c {
			case columnar.URLHost:
				d.columns[c] = slices.IndexFunc(d.names, func(n draftName) bool { return strings.Contains(n.value, "://") })
			case columnar.Time, columnar.SrcIP:
				d.columns[c] = slices.IndexFunc(d.names, func(n draftName) bool {
					return n.value != "" && d.fits(c, n.value) && (c == columnar.SrcIP || !plainNumber(n.value))
				})
			}
		}
		if d.columns[c] >= 0 {
			has |= columnar.ColSet(c)
			url = url || c == columnar.URLHost
		}
	}
	d.table = tableOf(has, url)
}

// plainNumber reports whether a text is a number that is too small to be a time.
func plainNumber(text string) bool {
	n, err := strconv.ParseFloat(text, 64)
	return err == nil && n < 1e9
}

// fits reports whether a value can be one of the column.
func (d *draft) fits(c columnar.Col, value string) bool {
	text := []byte(value)
	switch {
	case value == "":
		return true
	case c == columnar.Time:
		_, ok := d.clock.Any(text)
		return ok
	case c == columnar.SrcIP, c == columnar.DstIP:
		return scan.IsAddress(partOf(partAddress, text))
	case c.Kind() >= columnar.Int64:
		_, ok := scan.Float(text)
		return ok
	}
	return true
}

// lastKeys returns the last n keys of a path; all of them if n is 0.
func lastKeys(name string, n int) string {
	if n == 0 {
		return name
	}
	keys := strings.Split(name, ".")
	return strings.Join(keys[max(len(keys)-n, 0):], ".")
}

// draftAsks says what to look for where no name tells a column that detections need.
var draftAsks = map[columnar.Col]string{
	columnar.Time:      "when it happened",
	columnar.User:      "who acted",
	columnar.SrcIP:     "the address of the client",
	columnar.Host:      "the name of the client's machine",
	columnar.Operation: "what was done",
	columnar.BytesOut:  "the bytes that the client sent: mind whose view sent and received are",
	columnar.BytesIn:   "the bytes that the client received",
	columnar.URLHost:   "the host that was asked for, or the URL",
	columnar.DstHost:   "the name of the server",
	columnar.DstIP:     "the address of the server",
	columnar.Query:     "the name that was asked for",
}

// draftHints are parts of names that often hold a column that no well-known name tells.
var draftHints = map[columnar.Col][]string{
	columnar.User:      {"user", "who", "login", "account", "mail", "actor", "principal", "person", "member"},
	columnar.Host:      {"host", "machine", "device", "computer", "workstation"},
	columnar.Operation: {"action", "verb", "event", "operation", "activity", "type", "command"},
	columnar.BytesOut:  {"byte", "size", "octet", "length", "sent", "received", "recv", "transfer", "upload", "up", "tx", "out"},
	columnar.BytesIn:   {"byte", "size", "octet", "length", "sent", "received", "recv", "transfer", "download", "down", "rx", "in"},
	columnar.URLHost:   {"url", "site", "domain", "host", "dest", "target", "server"},
	columnar.DstHost:   {"domain", "host", "dest", "target", "server", "resource"},
	columnar.DstIP:     {"dst", "dest", "target", "server", "remote", "resource"},
	columnar.Query:     {"name", "query", "question", "domain"},
}

// maxHints is how many names a draft offers for a column.
const maxHints = 4

// hints returns what to try for a column: names that no column takes and that are like it.
func (d *draft) hints(c columnar.Col) string {
	var like []string
	for i, n := range d.names {
		name := strings.ToLower(lastKeys(n.name, 1))
		if n.value == "" || slices.Contains(d.columns[:], i) || !d.fits(c, n.value) || c.Kind() < columnar.Int64 && plainNumber(n.value) {
			continue
		}
		if len(like) < maxHints && slices.ContainsFunc(draftHints[c], func(part string) bool {
			return name == part || len(part) > 3 && strings.Contains(name, part)
		}) {
			like = append(like, yamlText(n.name))
		}
	}
	if like == nil {
		return ""
	}
	return "; perhaps " + strings.Join(like, ", ")
}

// beginning returns a regular expression of how the records begin, if their first field is the
// same word in all; "" otherwise.
func (d *draft) beginning() string {
	n := d.names[0]
	if !d.layout || d.container == spaceContainer || d.records < 2 || n.varies || n.value == "" || len(n.value) > 32 {
		return ""
	}
	return "^" + regexp.QuoteMeta(n.value+d.separator)
}

// file returns the source file.
func (d *draft) file() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# A draft from %d records. Look at what is marked with ?, then try it:\n#   outflow sources test THIS-FILE LOG\n", d.records)
	fmt.Fprintf(&b, "name: %s\ntitle: \"? what writes this log, in a few words\"\ndoc: \"? what turns it on, where its objects stand, what it cannot say\"\ncontainer: %s\n", d.name, d.container.name)
	if d.separator != "" && d.separator != "," {
		fmt.Fprintf(&b, "separator: %s\n", yamlText(d.separator))
	}
	if d.layout {
		n := max(d.fields, len(d.names))
		fmt.Fprintf(&b, "layouts:\n  - fields: %d+\n    names: []   # ? names for $1, $2, …; columns may name these as they are\n", min(n, 1<<15))
	}
	b.WriteString("sniff:              # ? what no other log has\n")
	var keys []string
	for _, n := range d.names {
		if n.count >= d.records && len(keys) < 4 && !strings.ContainsAny(n.name, "[") {
			keys = append(keys, yamlText(n.name))
		}
	}
	if len(keys) == 0 {
		keys = append(keys, yamlText(d.names[0].name))
	}
	if first := d.beginning(); first != "" {
		fmt.Fprintf(&b, "  first: %s\n", yamlText(first))
	}
	fmt.Fprintf(&b, "  keys: [%s]\nrows:\n  - table: %s\n    columns:\n", strings.Join(keys, ", "), d.table.Name)
	used := map[int]bool{}
	var lacks []string
	for _, c := range d.table.Cols {
		at := d.columns[c]
		switch {
		case at >= 0:
			used[at] = true
			fmt.Fprintf(&b, "      %s: %s%s\n", c, yamlText(d.names[at].name), comment(d.names[at].value))
		case c == columnar.Time && d.wrapped:
			fmt.Fprintf(&b, "      time: %s   # which no record has: the time of what is around the records counts\n", d.wrapperTime())
		case c == columnar.Time:
			fmt.Fprintf(&b, "      time: %s   # ? %s\n", yamlText(d.names[0].name), draftAsks[c])
		case c == columnar.Domain:
		default:
			if ask := draftAsks[c]; ask != "" {
				fmt.Fprintf(&b, "      # %s: ?   %s%s\n", c, ask, d.hints(c))
				lacks = append(lacks, c.String())
			}
		}
	}
	if len(lacks) > 0 {
		fmt.Fprintf(&b, "    # lacks: [%s]   what the log never says, once you are sure\n", strings.Join(lacks, ", "))
	}
	b.WriteString("# Names that no column takes:\n")
	for i, n := range d.names {
		if !used[i] {
			fmt.Fprintf(&b, "#   %s%s\n", yamlText(n.name), comment(n.value))
		}
	}
	return b.String()
}

// wrapperTime returns a name that no record has.
func (d *draft) wrapperTime() string {
	name := "stamp"
	for _, ok := d.at[name]; ok; _, ok = d.at[name] {
		name += "-"
	}
	return name
}

// yamlText returns a text as YAML has it, in quotes unless it is a plain name.
func yamlText(text string) string {
	if text != "" && strings.IndexFunc(text, func(r rune) bool {
		return r != '_' && r != '.' && r != '-' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) < 0 && (text[0]|0x20)-'a' < 26 && !slices.Contains([]string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(text)) {
		return text
	}
	return strconv.QuoteToASCII(text)
}

// comment returns a value as the comment behind a name.
func comment(value string) string {
	if value == "" {
		return ""
	}
	const longest = 60
	runes := []rune(value)
	if len(runes) > longest {
		value = string(runes[:longest]) + "…"
	}
	return "   # " + strings.Trim(strconv.QuoteToGraphic(value), `"`)
}
