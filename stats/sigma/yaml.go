package sigma

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"outflow/columnar/bounded"
)

// ruleLimits are the limits of one file of rules; a rule takes a few kB.
var ruleLimits = bounded.Limits{Bytes: 512 << 10, Depth: 64, Values: 1 << 17}

// maxKeys is how many keys a map may have: each is compared with all before it.
const maxKeys = 1 << 12

// An Error says why a document, or a part of one, cannot be used.
type Error struct {
	File         string
	Line, Column int // from 1; 0 if the error is about the whole file
	Msg          string
	// Source shows the lines around the place, and marks it. It may be "".
	Source string
	// Placeholder is the placeholder that Options.Placeholders lacks, if that is
	// the error.
	Placeholder string
}

// An unset is the error of a placeholder without values.
type unset struct {
	error
	name string
}

func (u *unset) Unwrap() error { return u.error }

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	b.WriteString(": ")
	b.WriteString(e.Msg)
	if e.Source != "" {
		b.WriteString("\n")
		b.WriteString(e.Source)
	}
	return b.String()
}

// A place is where a value stands in its file. It is no token of the parser: one token keeps
// all of its file in memory.
type place struct{ line, column int } // from 1

func placeOf(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{t.Position.Line, t.Position.Column}
}

// A fault is an error at a place of a file.
type fault struct {
	at  place
	msg string
}

func (f *fault) Error() string { return f.msg }

func faultAt(at place, format string, args ...any) error {
	return &fault{at, fmt.Sprintf(format, args...)}
}

// errorIn makes an Error in a file from err.
func errorIn(file File, err error) *Error {
	out := &Error{File: file.Name, Msg: err.Error()}
	var u *unset
	if errors.As(err, &u) {
		out.Placeholder = u.name
	}
	var ours *fault
	var parsers yaml.Error
	switch {
	case errors.As(err, &ours):
		out.Line, out.Column = ours.at.line, ours.at.column
	case errors.As(err, &parsers):
		out.Msg = parsers.GetMessage()
		at := placeOf(parsers.GetToken())
		out.Line, out.Column = at.line, at.column
	}
	out.Source = around(file.Text, out.Line, out.Column)
	return out
}

// around returns the lines around a place, with a mark below it; "" if there is no such place.
func around(text []byte, line, column int) string {
	const lines = 3
	var b strings.Builder
	n := 0
	for l := range bytes.Lines(text) {
		n++
		if n < line-lines || n > line+lines || line == 0 {
			continue
		}
		mark := ' '
		if n == line {
			mark = '>'
		}
		fmt.Fprintf(&b, "%c %2d | %s\n", mark, n, bytes.TrimRight(l, "\r\n"))
		if n == line {
			fmt.Fprintf(&b, "%*s^\n", len(fmt.Sprintf("> %2d | ", n))+max(column, 1)-1, "")
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// The kinds of a node.
type nodeKind byte

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	textNode
	listNode
	mapNode
)

var kindNames = [...]string{"null", "a boolean", "a number", "a text", "a list", "a map"}

// A node is a value of a YAML document, and the place where it is written.
type node struct {
	kind  nodeKind
	text  string // of a scalar, as it is written but without quotes
	value any    // of a boolean or a number: bool, int64, uint64 or float64
	keys  []node // of a map
	items []node // of a list or a map
	at    place
}

func (n *node) String() string { return kindNames[n.kind] }

// key returns the value of a key, or nil.
func (n *node) key(name string) *node {
	for i := range n.keys {
		if n.keys[i].text == name {
			return &n.items[i]
		}
	}
	return nil
}

// scalar reports whether n is a single value.
func (n *node) scalar() bool { return n.kind < listNode }

// Documents are the YAML documents of a file, or why it has none.
type Documents struct {
	all []node
	err error
}

// Parse reads the documents of a file. It may be called for several at once.
func Parse(f *File) *Documents {
	all, err := documents(f.Text)
	return &Documents{all, err}
}

// documents parses the documents of a YAML file, and leaves out empty ones.
func documents(text []byte) (docs []node, err error) {
	file, err := ruleLimits.ParseQuick(text)
	if err != nil {
		return nil, err
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		r := resolver{anchors: map[string]ast.Node{}}
		n, err := r.resolve(doc.Body)
		if err != nil {
			return nil, err
		}
		if n.kind != nullNode {
			docs = append(docs, n)
		}
	}
	return docs, nil
}

// A resolver replaces each alias by the value that it names.
type resolver struct {
	anchors map[string]ast.Node
	depth   int
}

func (r *resolver) resolve(n ast.Node) (node, error) {
	r.depth++
	defer func() { r.depth-- }()
	if most := 4 * ruleLimits.Depth; r.depth > most { // aliases nest, too
		return node{}, faultAt(placeOf(n.GetToken()), "nested more than %d deep", most)
	}
	at := placeOf(n.GetToken())
	switch n := n.(type) {
	case *ast.NullNode:
		return node{kind: nullNode, at: at}, nil
	case *ast.BoolNode:
		return node{kind: boolNode, value: n.Value, text: n.Token.Value, at: at}, nil
	case *ast.IntegerNode:
		return node{kind: numberNode, value: n.Value, text: n.Token.Value, at: at}, nil
	case *ast.FloatNode:
		return node{kind: numberNode, value: n.Value, text: n.Token.Value, at: at}, nil
	case *ast.InfinityNode, *ast.NanNode:
		return node{kind: textNode, text: n.GetToken().Value, at: at}, nil
	case *ast.StringNode:
		return node{kind: textNode, text: n.Value, at: at}, nil
	case *ast.LiteralNode:
		return node{kind: textNode, text: n.Value.Value, at: at}, nil
	case *ast.TagNode:
		return r.resolve(n.Value)
	case *ast.AnchorNode:
		r.anchors[n.Name.GetToken().Value] = n.Value
		return r.resolve(n.Value)
	case *ast.AliasNode:
		named, ok := r.anchors[n.Value.GetToken().Value]
		if !ok {
			return node{}, faultAt(at, "no anchor %q before this", n.Value.GetToken().Value)
		}
		return r.resolve(named)
	case *ast.SequenceNode:
		out := node{kind: listNode, at: at, items: make([]node, 0, len(n.Values))}
		for _, v := range n.Values {
			item, err := r.resolve(v)
			if err != nil {
				return node{}, err
			}
			out.items = append(out.items, item)
		}
		return out, nil
	case *ast.MappingNode:
		return r.mapping(n.Values, at)
	case *ast.MappingValueNode:
		return r.mapping([]*ast.MappingValueNode{n}, placeOf(n.Key.GetToken()))
	}
	return node{}, faultAt(at, "rules cannot use this kind of YAML")
}

func (r *resolver) mapping(values []*ast.MappingValueNode, at place) (node, error) {
	out := node{kind: mapNode, at: at, keys: make([]node, 0, len(values)), items: make([]node, 0, len(values))}
	for _, v := range values {
		if len(out.keys) > maxKeys {
			return node{}, faultAt(placeOf(v.Key.GetToken()), "a map of more than %d keys", maxKeys)
		}
		value, err := r.resolve(v.Value)
		if err != nil {
			return node{}, err
		}
		if v.Key.IsMergeKey() {
			if value.kind != mapNode {
				return node{}, faultAt(placeOf(v.Key.GetToken()), "<< needs a map, this is %v", &value)
			}
			for i := range value.keys {
				if out.key(value.keys[i].text) == nil {
					out.keys, out.items = append(out.keys, value.keys[i]), append(out.items, value.items[i])
				}
			}
			continue
		}
		var inner ast.Node = v.Key
		if k, ok := inner.(*ast.MappingKeyNode); ok {
			inner = k.Value
		}
		key, err := r.resolve(inner)
		if err != nil {
			return node{}, err
		}
		if !key.scalar() {
			return node{}, faultAt(key.at, "a key must be a text")
		}
		if out.key(key.text) != nil {
			return node{}, faultAt(key.at, "key %q appears twice", key.text)
		}
		out.keys, out.items = append(out.keys, key), append(out.items, value)
	}
	return out, nil
}
