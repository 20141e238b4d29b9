package bounded

import (
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// ParseQuick is Parse in a twentieth of the time, for readers of many files: a start reads
// hundreds of kilobytes of rules and sources, and a feed of rules has megabytes. The result is
// that of Parse, but for what only printers of YAML read: paths, comments, and the text around
// a token. A file with more of YAML than rules and sources use, with a fault, or beyond the
// limits is left to Parse.
func (l Limits) ParseQuick(text []byte) (*ast.File, error) {
	if file, ok := l.parseSubset(string(text)); ok {
		return file, nil
	}
	return l.Parse(text)
}

// parseSubset parses what rules and sources use of YAML: maps and lists, in blocks and in brackets,
// texts on one line and blocks behind |, anchors and aliases. ok is false for what may be more
// than that.
func (l Limits) parseSubset(text string) (file *ast.File, ok bool) {
	if len(text) > l.Bytes || !strings.HasSuffix(text, "\n") {
		return nil, false
	}
	for line := range strings.Lines(text) {
		if len(line) > maxLine || strings.ContainsFunc(line, func(c rune) bool { return c == utf8.RuneError || c == byteOrderMark || c < ' ' && c != '\n' }) {
			return nil, false
		}
	}
	r := &subset{text: text, line: 1, depth: l.Depth, values: l.Values, marks: maxMarks}
	if l.Plain {
		r.marks = 0
	}
	file = &ast.File{}
	for r.find(); r.at < len(r.text); {
		if r.column == 0 && strings.HasPrefix(r.text[r.at:], "---\n") {
			r.at += len("---")
			r.find()
		}
		if r.column != 1 {
			return nil, false
		}
		body, ok := r.block()
		if !ok {
			return nil, false
		}
		file.Docs = append(file.Docs, ast.Document(nil, body))
	}
	return file, len(file.Docs) > 0 && l.checkValues(file) == nil
}

// A subset reads a file of the subset. Its methods return false at the first byte that may not
// belong to it.
type subset struct {
	text   string
	at     int // the next byte
	line   int // from 1
	begin  int // of the line
	column int // from 1, of the value that find found; 0: the document has none left

	counted, wide int // bytes of the line up to the last place, and those that begin no character

	depth, values, marks int // how many more there may be
}

// is reports whether the next byte is one of some.
func (r *subset) is(bytes string) bool {
	return r.at < len(r.text) && strings.IndexByte(bytes, r.text[r.at]) >= 0
}

// ends reports whether the byte after n others is one of some, or beyond the text.
func (r *subset) ends(n int, bytes string) bool {
	return r.at+n >= len(r.text) || strings.IndexByte(bytes, r.text[r.at+n]) >= 0
}

func (r *subset) newline() {
	r.at++
	r.line, r.begin, r.counted, r.wide = r.line+1, r.at, r.at, 0
}

func (r *subset) blanks() {
	for r.is(" ") {
		r.at++
	}
}

// lineEnds goes past blanks and a comment, and reports whether nothing else is left of the line.
func (r *subset) lineEnds() bool {
	r.blanks()
	if r.is("#") && (r.at == r.begin || r.text[r.at-1] == ' ') {
		for !r.ends(0, "\n") {
			r.at++
		}
	}
	return r.ends(0, "\n")
}

// skip goes past lines that end here, and their comments.
func (r *subset) skip() {
	for r.lineEnds() && r.at < len(r.text) {
		r.newline()
	}
}

// find goes to the next value that begins a line.
func (r *subset) find() {
	r.skip()
	r.column = 0
	if line := r.text[r.begin:]; r.at < len(r.text) && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "...") {
		r.column = r.at - r.begin + 1
	}
}

// end goes to the next value that begins a line, if the one before it has ended.
func (r *subset) end() bool {
	if !r.lineEnds() {
		return false
	}
	r.find()
	return true
}

func (r *subset) place() token.Position {
	for ; r.counted < r.at; r.counted++ {
		if !utf8.RuneStart(r.text[r.counted]) {
			r.wide++
		}
	}
	return token.Position{Line: r.line, Column: r.at - r.begin - r.wide + 1}
}

// mark returns the token of the byte here.
func (r *subset) mark(kind token.Type) *token.Token {
	t := &struct {
		token token.Token
		place token.Position
	}{place: r.place()}
	t.token = token.Token{Type: kind, Value: r.text[r.at : r.at+1], Position: &t.place}
	return &t.token
}

// dash reports whether an entry of a list begins here.
func (r *subset) dash() bool { return r.is("-") && r.at+1 < len(r.text) && r.text[r.at+1] == ' ' }

// deeper counts a list or a map, and reports whether there may be one more in the one around it.
func (r *subset) deeper() bool {
	r.depth--
	r.values--
	return r.depth >= 0
}

// block reads a list or a map whose first entry begins here, in a column of its own.
func (r *subset) block() (n ast.Node, ok bool) {
	if !r.deeper() {
		return nil, false
	}
	if r.dash() {
		n, ok = r.list()
	} else {
		n, ok = r.mapping()
	}
	r.depth++
	return n, ok
}

func (r *subset) list() (ast.Node, bool) {
	column := r.column
	list := ast.Sequence(r.mark(token.SequenceEntryType), false)
	for r.column == column && r.dash() {
		r.at++
		r.blanks()
		r.column = r.at - r.begin + 1
		read := r.block
		if !r.dash() && !r.keyed() {
			read = func() (ast.Node, bool) { return r.value(column) }
		}
		v, ok := read()
		if !ok {
			return nil, false
		}
		list.Values = append(list.Values, v)
	}
	return list, r.column < column
}

// keyed reports whether the line goes on with a key.
func (r *subset) keyed() bool {
	rest, _, _ := strings.Cut(r.text[r.at:], "\n")
	if r.is(`"'`) {
		if n := strings.IndexByte(rest[1:], rest[0]); n >= 0 {
			return strings.HasPrefix(rest[n+2:], ":")
		}
	}
	rest, _, _ = strings.Cut(rest, " #")
	return !r.is("[{") && (strings.Contains(rest, ": ") || strings.HasSuffix(rest, ":"))
}

func (r *subset) mapping() (ast.Node, bool) {
	column := r.column
	var m *ast.MappingNode
	for r.column == column && !r.dash() {
		pair, ok := r.pair(false)
		if !ok {
			return nil, false
		}
		if pair.Value, ok = r.below(column); !ok {
			return nil, false
		}
		if m == nil {
			m = ast.Mapping(pair.Start, false)
		}
		if !put(m, pair) {
			return nil, false
		}
	}
	return m, m != nil && r.column < column
}

// maxQuickKeys is how many keys a map of the subset has at most: each is compared with all before it.
const maxQuickKeys = 1 << 8

// put adds an entry to a map, unless it has the key already.
func put(m *ast.MappingNode, pair *ast.MappingValueNode) bool {
	for _, v := range m.Values {
		if v.Key.GetToken().Value == pair.Key.GetToken().Value {
			return false
		}
	}
	m.Values = append(m.Values, pair)
	return len(m.Values) <= maxQuickKeys
}

// pair reads a key and its colon.
func (r *subset) pair(flow bool) (*ast.MappingValueNode, bool) {
	key, ok := r.scalar(flow)
	if !ok || !r.is(":") {
		return nil, false
	}
	named, ok := key.(ast.MapKeyNode)
	pair := ast.MappingValue(r.mark(token.MappingValueType), named, nil)
	r.at++
	// The parser ends a key in brackets at its first colon, whatever is behind it.
	return pair, ok && r.ends(0, " \n") && !(flow && strings.Contains(key.GetToken().Value, ":"))
}

// below reads the value of an entry of a block in a column, which may stand on the lines below.
func (r *subset) below(column int) (ast.Node, bool) {
	if !r.lineEnds() {
		return r.value(column)
	}
	if r.find(); r.column <= column {
		return nil, false
	}
	return r.block()
}

// value reads a value that begins in this line, and goes to the next value.
func (r *subset) value(column int) (n ast.Node, ok bool) {
	r.blanks()
	switch {
	case r.is("|"):
		return r.literal(column)
	case r.is("[{"):
		n, ok = r.flow()
	case r.is("&"):
		anchor := ast.Anchor(r.mark(token.AnchorType))
		anchor.Name, ok = r.name()
		if r.blanks(); !ok || r.is("&*") {
			return nil, false
		}
		anchor.Value, ok = r.below(column)
		return anchor, ok
	case r.is("*"):
		alias := ast.Alias(r.mark(token.AliasType))
		alias.Value, ok = r.name()
		n = alias
	default:
		n, ok = r.scalar(false)
	}
	return n, ok && r.end()
}

// name reads the name of an anchor behind its mark.
func (r *subset) name() (ast.Node, bool) {
	r.at++
	r.marks--
	begin, at := r.at, r.place()
	for !r.ends(0, " \n") {
		if c := r.text[r.at] | 0x20; c < 'a' || c > 'z' {
			return nil, false
		}
		r.at++
	}
	name := r.text[begin:r.at]
	return textNode(token.StringType, name, at), name != "" && r.marks >= 0
}

// literal reads the lines behind |, which stand deeper than the key in column.
func (r *subset) literal(column int) (ast.Node, bool) {
	node := ast.Literal(r.mark(token.LiteralType))
	if r.at++; !r.is("\n") {
		return nil, false
	}
	var b strings.Builder
	var first token.Position
	deep, empty := 0, 0 // blanks before each line; lines without text since the last with one
	for r.newline(); r.at < len(r.text); r.newline() {
		r.blanks()
		blanks := r.at - r.begin
		if r.is("\n") {
			if empty++; deep == 0 || blanks > deep {
				return nil, false
			}
			continue
		}
		if deep == 0 {
			deep, first = blanks, r.place()
		}
		if blanks < deep || deep < column {
			break
		}
		for ; empty > 0; empty-- {
			b.WriteByte('\n')
		}
		line, _, _ := strings.Cut(r.text[r.begin+deep:], "\n")
		b.WriteString(line)
		b.WriteByte('\n')
		r.at = r.begin + deep + len(line)
	}
	if b.Len() == 0 {
		return nil, false
	}
	node.Value = textNode(token.StringType, b.String(), first)
	r.find()
	return node, true
}

// flow reads a list or a map in brackets.
func (r *subset) flow() (n ast.Node, ok bool) {
	if !r.deeper() {
		return nil, false
	}
	if r.is("[") {
		list := ast.Sequence(r.mark(token.SequenceStartType), true)
		n, ok = list, r.entries("]", func() bool {
			v, ok := r.entry()
			list.Values = append(list.Values, v)
			return ok
		})
	} else {
		m := ast.Mapping(r.mark(token.MappingStartType), true)
		n, ok = m, r.entries("}", func() bool {
			pair, ok := r.pair(true)
			if !ok {
				return false
			}
			r.skip()
			pair.Value, ok = r.entry()
			return ok && put(m, pair)
		})
	}
	r.depth++
	return n, ok
}

// entries reads what stands in brackets.
func (r *subset) entries(end string, read func() bool) bool {
	r.at++
	r.skip()
	for first := true; !r.is(end); first = false {
		if !first {
			if !r.is(",") {
				return false
			}
			r.at++
			r.skip()
		}
		if !read() {
			return false
		}
		r.skip()
	}
	r.at++
	return true
}

func (r *subset) entry() (ast.Node, bool) {
	if r.is("[{") {
		return r.flow()
	}
	return r.scalar(true)
}

// scalar reads a text, number, boolean or null. flow says that it stands in brackets.
func (r *subset) scalar(flow bool) (ast.Node, bool) {
	if r.values--; r.values < 0 {
		return nil, false
	}
	at := r.place()
	if r.is(`"'`) {
		kind := token.SingleQuoteType
		if r.is(`"`) {
			kind = token.DoubleQuoteType
		}
		text, ok := r.quoted()
		return textNode(kind, text, at), ok
	}
	if r.ends(0, "-?:,[]{}#&*!|>%@`\n") && !(r.is("-") && !r.ends(1, "- \n")) {
		return nil, false
	}
	text := r.plain(flow)
	if r.at += len(text); flow && !r.is(",]}:") {
		return nil, false
	}
	if text = strings.TrimRight(text, " "); strings.Contains(text, "<<") {
		return nil, false // the parser may see a merge key anywhere in it
	}
	if c := text[0] | 0x20; c >= 'a' && c <= 'z' && len(text) != len("true") && len(text) != len("false") {
		return textNode(token.StringType, text, at), true
	}
	switch t := token.New(text, text, &at); t.Type {
	case token.StringType:
		return ast.String(t), true
	case token.BoolType:
		return ast.Bool(t), true
	case token.IntegerType:
		return ast.Integer(t), true
	case token.FloatType:
		return ast.Float(t), true
	case token.NullType:
		return ast.Null(t), true
	}
	return nil, false
}

// plain returns the text without quotes that begins here, with the blanks behind it.
func (r *subset) plain(flow bool) string {
	line, _, _ := strings.Cut(r.text[r.at:], "\n")
	for i := range len(line) {
		switch line[i] {
		case ':':
			if i+1 == len(line) || line[i+1] == ' ' {
				return line[:i]
			}
		case '#':
			if line[i-1] == ' ' {
				return line[:i]
			}
		case ',', '[', ']', '{', '}':
			if flow {
				return line[:i]
			}
		}
	}
	return line
}

// textNode makes the node of a text, by one allocation instead of four.
func textNode(kind token.Type, text string, at token.Position) *ast.StringNode {
	n := &struct {
		node  ast.StringNode
		base  ast.BaseNode
		token token.Token
		place token.Position
	}{place: at}
	n.token = token.Token{Type: kind, Value: text, Position: &n.place}
	n.node = ast.StringNode{BaseNode: &n.base, Token: &n.token, Value: text}
	return &n.node
}

// quoted reads a text in quotes.
func (r *subset) quoted() (string, bool) {
	quote := r.text[r.at]
	var b []byte
	for r.at++; !r.ends(0, "\n"); r.at++ {
		c := r.text[r.at]
		switch {
		case c == quote && quote == '\'' && !r.ends(1, "\n") && r.text[r.at+1] == quote:
			r.at++
		case c == quote:
			r.at++
			return string(b), true
		case c == '\\' && quote == '"':
			if r.at++; !r.is(`\"t`) {
				return "", false
			}
			if c = r.text[r.at]; c == 't' {
				c = '\t'
			}
		}
		b = append(b, c)
	}
	return "", false
}
