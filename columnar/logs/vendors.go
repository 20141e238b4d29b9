package logs

import (
	"bytes"
	"embed"
	"fmt"
	"iter"
	"path"
	"slices"
	"strconv"
	"sync"

	"github.com/goccy/go-yaml/ast"
)

// The sources that are part of the program.

//go:embed sources
var sourceFiles embed.FS

// A vendor is an embedded source. To parse and compile all of them takes longer than to read
// a small log, so the whole of one is made when its logs are met.
type vendor struct {
	outline *Format // has Name, Syslog, Sniff and Leaves alone
	general bool    // as Source.General
	whole   func() *Format
}

// vendors are the embedded sources, in order of their names, and behind them those of any vendor.
var vendors = sync.OnceValue(func() []vendor {
	files, err := sourceFiles.ReadDir("sources")
	if err != nil {
		panic(err) // they are part of the program
	}
	var all []vendor
	var read bytes.Buffer // for each in turn: what is kept of their texts would be a megabyte
	for _, file := range files {
		if path.Ext(file.Name()) != ".yaml" {
			continue
		}
		f, err := sourceFiles.Open("sources/" + file.Name())
		if err == nil {
			read.Reset()
			_, err = read.ReadFrom(f)
		}
		if err != nil {
			panic(err)
		}
		text := read.Bytes()
		parsed := func(parse func([]byte) (*Format, error)) func() *Format {
			return sync.OnceValue(func() *Format {
				text, err := sourceFiles.ReadFile("sources/" + file.Name())
				if err != nil {
					panic(err)
				}
				f, err := parse(text)
				if err != nil {
					panic(fmt.Errorf("sources/%s: %w", file.Name(), err))
				}
				return f
			})
		}
		all = append(all, vendor{outlined(text, parsed(parseOutline)), keyOf(text, "general") == "true", parsed(parseWhole)})
	}
	slices.SortStableFunc(all, func(a, b vendor) int {
		switch {
		case a.general == b.general:
			return 0
		case b.general:
			return -1
		}
		return 1
	})
	return all
})

// outlined returns what recognises the logs of an embedded source file. Its outline is parsed
// when an object begins as its container may, and has its words.
func outlined(text []byte, outline func() *Format) *Format {
	c, words := containerNamed(keyOf(text, "container")), firstWords(text)
	may := func(c *container, head []byte) bool {
		return (c.begins == nil || c.begins(head)) && (!c.keyed || words == nil || slices.ContainsFunc(words, func(w []byte) bool { return bytes.Contains(head, w) }))
	}
	f := &Format{Name: keyOf(text, "name"), Syslog: keyOf(text, "syslog") == "true", Sniff: func(head []byte) bool {
		return may(c, head) && outline().sniffs(head, false)
	}}
	leaves := func(of func() *Format) func(names []string) bool {
		return func(names []string) bool {
			f := of()
			return f.Leaves != nil && f.Leaves(names)
		}
	}
	switch {
	case c == jsonContainer:
		f.Leaves = leaves(outline)
	case c == csvContainer && !bytes.Contains(text, []byte("\nlayouts:")):
		objects := func() *Format { return outline().Objects }
		f.Objects = &Format{Name: f.Name, Leaves: leaves(objects), Sniff: func(head []byte) bool {
			return may(jsonContainer, head) && objects().sniffs(head, false)
		}}
	}
	return f
}

// keyOf returns the value of a key in an embedded source file, if it stands on the key's line
// and is a plain word.
func keyOf(text []byte, key string) string {
	for line := range bytes.Lines(text) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && string(name) == key {
			value, _, _ = bytes.Cut(value, []byte(" #"))
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// firstWords returns one of the sniffPlan.words of each Sniff of an embedded source file; nil if one has
// none that can be told without parsing.
func firstWords(text []byte) (words [][]byte) {
	_, section, _ := bytes.Cut(text, []byte("\nsniff:"))
	entries := 0
	for line := range bytes.Lines(section) {
		if line[0] >= 'a' && line[0] <= 'z' {
			break
		}
		if bytes.HasPrefix(bytes.TrimLeft(line, " "), []byte("- ")) {
			entries++
		}
		_, names, ok := bytes.Cut(line, []byte("keys: ["))
		if !ok {
			continue
		}
		name := names[:max(0, bytes.IndexAny(names, ",]"))]
		name = bytes.Trim(name, `"' `)
		if len(name) == 0 || bytes.IndexByte(name, '[') >= 0 {
			return nil
		}
		words = append(words, []byte(lastKey(withoutZone(string(name)))))
	}
	if len(words) != max(1, entries) {
		return nil
	}
	return words
}

// parseWhole is ParseSource of an embedded source file.
func parseWhole(text []byte) (*Format, error) {
	return formatOf(parseSource(text, sourceLimits.ParseQuick))
}

// outlineKeys are what an outline has of a source file: all that sniffer and leaves read.
var outlineKeys = []string{"name", "container", "separator", "assign", "patterns", "layouts", "sniff", "embedded", "each", "tuple", "general"}

// parseOutline returns what recognises the logs of an embedded source file.
func parseOutline(text []byte) (*Format, error) {
	s, err := readOutline(text)
	if err == nil {
		s.outline = true
		err = s.compileLayouts()
	}
	if err != nil {
		return nil, err
	}
	f := &Format{Name: s.Name, Vendor: s}
	if s.isTable() {
		f.Objects = &Format{Name: s.Name, Vendor: s.asObjects()}
		if err := f.Objects.Vendor.recognise(f.Objects); err != nil {
			return nil, err
		}
	}
	return f, s.recognise(f)
}

// readOutline reads the outlineKeys of an embedded source file. It does so without the
// reflection that yaml.NodeToValue needs, as an object may ask a hundred sources whose it is.
func readOutline(text []byte) (*Source, error) {
	file, err := sourceLimits.ParseQuick(outlineOf(text))
	if err != nil {
		return nil, err
	}
	s := &Source{}
	for key, v := range entriesOf(file.Docs[0].Body) {
		switch key {
		case "name":
			s.Name = textOf(v)
		case "container":
			s.Container = textOf(v)
		case "separator":
			s.Separator = textOf(v)
		case "assign":
			s.Assign = textOf(v)
		case "each":
			s.Each = textOf(v)
		case "general":
			s.General = textOf(v) == "true"
		case "patterns":
			s.Patterns = textsOf(v)
		case "embedded":
			s.Embedded = textsOf(v)
		case "tuple":
			s.Tuple = textsOf(v)
		case "layouts":
			for _, v := range itemsOf(v) {
				s.Layouts = append(s.Layouts, outlinedLayout(v))
			}
		case "sniff":
			for _, v := range itemsOf(v) {
				s.Sniff = append(s.Sniff, outlinedSniff(v))
			}
		default:
			return nil, fmt.Errorf("%s is not read from an outline", key)
		}
	}
	return s, nil
}

func outlinedLayout(n ast.Node) (l Layout) {
	for key, v := range entriesOf(n) {
		switch key {
		case "fields":
			l.Fields = textOf(v)
		case "where":
			l.Where = textListsOf(v)
		case "bracketed":
			l.Bracketed, _ = strconv.Atoi(textOf(v))
		case "request":
			l.Request = textOf(v)
		case "names":
			l.Names = textsOf(v)
		}
	}
	return l
}

func outlinedSniff(n ast.Node) (s Sniff) {
	for key, v := range entriesOf(n) {
		switch key {
		case "keys":
			s.Keys = textsOf(v)
		case "values":
			s.Values = textListsOf(v)
		case "first":
			s.First = textOf(v)
		}
	}
	return s
}

// entriesOf returns the entries of a map.
func entriesOf(n ast.Node) iter.Seq2[string, ast.Node] {
	return func(yield func(string, ast.Node) bool) {
		m, _ := n.(*ast.MappingNode)
		for i := 0; m != nil && i < len(m.Values); i++ {
			if v := m.Values[i]; !yield(textOf(v.Key), v.Value) {
				return
			}
		}
	}
}

// itemsOf returns the items of a list, or a single one.
func itemsOf(n ast.Node) []ast.Node {
	if list, ok := n.(*ast.SequenceNode); ok {
		return list.Values
	}
	return []ast.Node{n}
}

func textsOf(n ast.Node) (texts []string) {
	for _, item := range itemsOf(n) {
		texts = append(texts, textOf(item))
	}
	return texts
}

func textListsOf(n ast.Node) map[string]TextList {
	lists := map[string]TextList{}
	for key, v := range entriesOf(n) {
		lists[key] = textsOf(v)
	}
	return lists
}

func textOf(n ast.Node) string { return n.GetToken().Value }

// outlineOf returns an eighth of a source file: the lines of outlineKeys. In embedded files
// each key begins a line, and what it has is indented.
func outlineOf(text []byte) (outline []byte) {
	wanted := false
	for line := range bytes.Lines(text) {
		if c := line[0]; c >= 'a' && c <= 'z' {
			key, _, _ := bytes.Cut(line, []byte(":"))
			wanted = slices.Contains(outlineKeys, string(key))
		}
		if wanted {
			outline = append(outline, line...)
		}
	}
	return outline
}
