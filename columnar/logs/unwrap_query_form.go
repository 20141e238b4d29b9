package logs

import (
	"bytes"
	"slices"
	"strings"

	"outflow/columnar/scan"
)

// How the answer of a query is written. Engines agree on the shapes and on no key: names of columns stand
// before, behind or beside rows of values, in objects as deep as an engine likes. So the beginning of an
// answer is looked at for the shapes, which tell the keys.

// A queryForm is how the answers in a log are written.
type queryForm struct {
	kind queryKind
	rows string // the key of the rows, or of the columns; "": they are a value of their own
	// names is the key of the names of the columns. "": it is one that says so, or the first row has them.
	names   string
	records bool // rows are records as they are
}

// A queryKind is a shape of answers.
type queryKind uint8

const (
	rowsListed    queryKind = iota // [[1,"a"],[2,"b"]], or objects for the arrays
	rowsNumbered                   // {"0":{…},"1":{…}}
	rowsAlone                      // [1,"a"] and [2,"b"], each a value of its own
	columnsListed                  // [[1,2],["a","b"]]
	columnsNamed                   // {"x":[1,2],"y":["a","b"]}, or {"x":{"0":1,"1":2},…}
)

// hasNames reports whether the names of columns stand apart from the values.
func (k queryKind) hasNames() bool { return k == rowsListed || k == rowsAlone || k == columnsListed }

// maxColumns is how many columns an answer can have; the engines' own limits are lower.
const maxColumns = 1024

// queryWithin is how much of an answer is looked at first, in bytes: the beginnings of all logs are, so that more
// costs where there are many. Only where names stand there, all of the head is, since a schema may be long.
const queryWithin = 4 << 10

// maxQueryDepth is how deep in each other the rows of an answer may stand, and queryLook how many
// elements of an array are looked at to tell what all are.
const (
	maxQueryDepth = 8
	queryLook     = 8
)

// A querySearch looks for rows and names in the beginning of an answer.
type querySearch struct {
	whole bool // the answer ends there
	names []queryNamesAt
	rows  []queryRowsAt
}

type queryNamesAt struct {
	key   string
	names []string
	said  bool // the key says that they are names
	size  int
}

type queryRowsAt struct {
	queryForm
	widths []int // of the first rows, or how many columns there are
	keys   []string
	first  []string // what may be names, nil: nothing may
	cells  bool     // values are in objects of their own
	named  bool     // which name their columns
	size   int
}

// queryFormOf returns the form of the answers that head begins with, nil if it is none.
func queryFormOf(head []byte) *queryForm {
	start := bytes.TrimLeft(head, " \t\r\n")
	if len(start) == 0 || start[0] != '{' && start[0] != '[' {
		return nil
	}
	if f := rowsAloneOf(start); f != nil {
		return f
	}
	for _, within := range []int{queryWithin, headSize} {
		first := start[:min(len(start), within)]
		var s querySearch
		if _, end := openBrackets(first, func(int) {}); end > 0 {
			first, s.whole = first[:end], true
		} else {
			first = closedJSON(first)
		}
		s.value("", first, 0)
		if f := s.form(len(first)); f != nil {
			return f
		}
		if s.whole || len(start) <= within || !slices.ContainsFunc(s.names, func(n queryNamesAt) bool { return n.said }) {
			return nil
		}
	}
	return nil
}

// form returns the form of what was found in a text of size bytes.
func (s *querySearch) form(size int) *queryForm {
	for i := range s.rows {
		r := &s.rows[i]
		if n := s.namesOf(r); n != nil && 8*(r.size+n.size) >= size { // else it is a detail of a record
			r.names = n.key
			return &r.queryForm
		}
	}
	for i := range s.rows {
		r := &s.rows[i]
		most := r.rows == "" || 4*r.size >= 3*size
		switch {
		case r.records || r.kind == columnsListed:
		case !r.kind.hasNames() && most, r.named, r.cells, r.first != nil && most:
			return &r.queryForm
		case r.kind == rowsListed && r.rows != "" && most && !s.whole: // the names may stand behind
			return &r.queryForm
		}
	}
	return nil
}

// namesOf returns the names of the columns of some rows, nil if none fit.
func (s *querySearch) namesOf(r *queryRowsAt) (best *queryNamesAt) {
	for i := range s.names {
		n := &s.names[i]
		known := func(key string) bool { return slices.Contains(n.names, key) }
		switch {
		case n.key == r.rows, best != nil && (best.said || !n.said):
		case r.keys != nil:
			if n.said && slices.ContainsFunc(r.keys, known) {
				best = n
			}
		case slices.Contains(r.widths, len(n.names)) && (n.said || r.kind != columnsListed):
			best = n
		}
	}
	return best
}

// value looks into an object or array under a key.
func (s *querySearch) value(key string, v scan.Value, depth int) {
	if depth == maxQueryDepth {
		return
	}
	if v.Is('[') {
		s.array(key, v, depth)
		return
	}
	var w scan.Walker
	if r := namedColumns(v, s.whole); r != nil && (depth == 0 || r.widths[0] > 1) {
		if r.rows, r.size = key, len(v); depth == 0 {
			r.rows = ""
		}
		s.rows = append(s.rows, *r)
	}
	for w.Open(v); w.InObject() && w.Next(); {
		if w.Val.Is('{') || w.Val.Is('[') {
			s.value(string(w.Key), w.Val, depth+1)
		}
	}
}

// array looks into an array.
func (s *querySearch) array(key string, v scan.Value, depth int) {
	var w scan.Walker
	if w.Open(v); !w.Next() {
		return
	}
	if depth > 0 {
		if names := columnNames(v); names != nil {
			s.names = append(s.names, queryNamesAt{key, names, saysNames(key), len(v)})
			if !w.Val.Is('{') {
				return
			}
		}
	}
	r := queryRowsAt{queryForm: queryForm{rows: key}, size: len(v)}
	var row queryCells
	listed := 0
	for w.Open(v); w.Next() && listed < queryLook; listed++ {
		if !row.read(w.Val) {
			break
		}
		r.widths = append(r.widths, len(row.cells))
		r.cells = r.cells || row.objects && len(row.names) == 0
		r.named = r.named || len(row.names) > 0 && len(row.names) == len(row.cells)
		if listed == 0 {
			r.first = row.header()
		}
	}
	switch {
	case listed > 0:
		if lower := strings.ToLower(key); lower == "columns" || lower == "cols" {
			n := 0
			for w.Open(v); w.Next(); n++ {
			}
			r.kind, r.widths = columnsListed, []int{n}
		} else if listed == 1 {
			r.first = nil
		}
		s.rows = append(s.rows, r)
		return
	case !w.Val.Is('{') && !w.Val.Is('['):
		return
	}
	if record := w.Val; record.Is('{') {
		for w.Open(record); w.Next(); {
			r.keys = append(r.keys, string(w.Key))
		}
		r.records = true
		s.rows = append(s.rows, r)
	}
	n := 0
	for w.Open(v); w.Next() && n < queryLook; n++ {
		if w.Val.Is('{') {
			s.value(key, w.Val, depth+1)
		}
	}
}

// namedColumns returns what an object is if its members are columns, or rows by their numbers; nil if it is
// neither. Of one that is not whole the last member is cut off.
func namedColumns(object scan.Value, whole bool) *queryRowsAt {
	var w scan.Walker
	var open byte
	members, length, digits, inner, nested := 0, -1, 0, 0, 0
	var keys []string
	for w.Open(object); w.Next(); members++ {
		v := w.Val
		if members == 0 {
			if open = v[0]; open != '[' && open != '{' {
				return nil
			}
		}
		if v[0] != open {
			return nil
		}
		keys = append(keys, string(w.Key))
		n, flat := 0, true
		var of scan.Walker
		for of.Open(v); of.Next(); n++ {
			flat = flat && !of.Val.Is('{') && !of.Val.Is('[')
			if n == 0 && open == '{' && isRowKey(of.Key) {
				inner++
			}
		}
		if isRowKey(w.Key) {
			digits++
		}
		if !flat {
			nested++
		}
		if n == 0 || open == '[' && length >= 0 && n != length && whole {
			return nil
		}
		length = max(length, n)
	}
	r := &queryRowsAt{queryForm: queryForm{kind: columnsNamed}, widths: []int{length}, keys: keys}
	switch {
	case members == 0 || members == 1 && whole && open == '[', 2*nested >= members && open == '[':
		return nil
	case open == '[':
		return r
	case digits == members && inner == 0:
		r.kind = rowsNumbered
		return r
	case digits == 0 && inner == members:
		return r
	}
	return nil
}

// isRowKey reports whether a key may be that of a row, by its first digit: the number of the row, or its time.
func isRowKey(key []byte) bool { return len(key) > 0 && key[0]-'0' <= 9 }

// rowsAloneOf returns the form of an answer with an array for each row, nil if it is not one. The first array has
// the names.
func rowsAloneOf(text []byte) *queryForm {
	if text[0] != '[' {
		return nil
	}
	line, rest := scan.CutLine(text)
	next, _ := scan.CutLine(rest)
	var names, row queryCells
	if !names.read(trimEOL(line)) || names.header() == nil || !row.read(trimEOL(next)) || len(row.cells) != len(names.cells) {
		return nil
	}
	return &queryForm{kind: rowsAlone}
}

// saysNames reports whether a key says that it holds the names of columns.
func saysNames(key string) bool {
	key = strings.ToLower(key)
	if strings.HasSuffix(key, "types") {
		return false
	}
	return slices.ContainsFunc([]string{"column", "cols", "schema", "field", "header", "names", "meta", "rowtype"}, func(word string) bool { return strings.Contains(key, word) })
}

// nameKeys are the keys of the name of a column, those first that a query can choose.
var nameKeys = []string{"alias", "label", "name", "columnname", "displayname", "field", "title"}

// columnNames returns the names of columns: texts, or objects that have one; nil if they are not. A name
// may be missing.
func columnNames(columns []byte) (names []string) {
	var w scan.Walker
	var scratch []byte
	any := false
	for w.Open(columns); w.InArray() && w.Next(); {
		v := w.Val
		if v.Is('{') {
			if v = columnName(v); v == nil {
				return nil
			}
		}
		if len(names) == maxColumns || !v.Is('"') && !v.Is('n') {
			return nil
		}
		name := string(v.Text(&scratch))
		any = any || name != ""
		names = append(names, name)
	}
	if !w.Done() || !any {
		return nil
	}
	return names
}

// columnName returns the name of the column that an object describes, nil if it has none.
func columnName(column scan.Value) (name scan.Value) {
	best := len(nameKeys)
	var w scan.Walker
	for w.Open(column); w.Next(); {
		if !w.Val.Is('"') || len(w.Val) == 2 {
			continue
		}
		key := strings.ReplaceAll(strings.ToLower(string(w.Key)), "_", "")
		if at := slices.Index(nameKeys[:best], key); at >= 0 {
			name, best = w.Val, at
		}
	}
	return name
}
