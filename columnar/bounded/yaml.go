// Package bounded reads what people write for outflow, YAML and regular expressions,
// within limits of time and memory. Rules and sources come from feeds and from colleagues:
// what is hostile or broken costs an error and not the machine.
package bounded

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits bound a YAML file. The parser's time is quadratic in the depth, and aliases of
// aliases let a file of one kB stand for gigabytes.
type Limits struct {
	Bytes  int  // of the file
	Depth  int  // lists and maps in lists and maps
	Values int  // with each alias replaced by the value that it names
	Plain  bool // no anchors and aliases at all
}

// maxLine is how long a line may be, in bytes: the lexer's time is quadratic in the marks of
// a line, 30 s for one of 300 kB.
const maxLine = 16 << 10

// maxMarks is how many anchors and aliases a file may have: the parser's time is
// quadratic in their number, 60 s for 100,000.
const maxMarks = 1 << 10

// Parse parses the documents of a YAML file, without its byte order mark. It refuses a file
// beyond the limits before it costs more than its bytes do. Its errors are yaml.Error values
// where they have a place. The aliases of the result are not replaced: with each
// replaced, it has at most Limits.Values values.
func (l Limits) Parse(text []byte) (file *ast.File, err error) {
	if len(text) > l.Bytes {
		return nil, fmt.Errorf("the file has %d bytes: want at most %d", len(text), l.Bytes)
	}
	line := 1
	for l := range bytes.Lines(text) {
		if len(l) > maxLine {
			return nil, fmt.Errorf("line %d has more than %d bytes: write it over several lines", line, maxLine)
		}
		line++
	}
	defer func() {
		// Note: a panic of the parser is reported as a fault of the file.
		if r := recover(); r != nil {
			file, err = nil, fmt.Errorf("the YAML parser cannot read this: %v", r)
		}
	}()
	tokens := lexer.Tokenize(strings.TrimPrefix(string(text), string(byteOrderMark)))
	if err := l.checkTokens(tokens); err != nil {
		return nil, err
	}
	if file, err = parser.Parse(tokens, 0); err != nil {
		return nil, err
	}
	if err := l.checkValues(file); err != nil {
		return nil, err
	}
	return file, nil
}

// byteOrderMark is what some editors write first.
const byteOrderMark = '\ufeff'

// checkValues refuses documents that stand for too many values.
func (l Limits) checkValues(file *ast.File) error {
	for _, doc := range file.Docs {
		c := counter{limit: l.Values, named: map[string]int{}}
		if n := c.values(doc.Body); n > l.Values {
			return faultAt(c.at, "more than %d values, with each alias replaced by what it names", l.Values)
		}
	}
	return nil
}

// faultAt returns an error at a place of a file.
func faultAt(at *token.Token, format string, args ...any) error {
	return &yaml.SyntaxError{Message: fmt.Sprintf(format, args...), Token: at}
}

// checkTokens refuses what must not reach the parser: values nested too deep, tags and, in a
// plain file, anchors and aliases.
func (l Limits) checkTokens(tokens token.Tokens) error {
	flow, line, pairs, marks := 0, 0, 0, 0
	var blocks []int // the columns at which the open blocks begin, roughly: a key without dash counts once
	for _, t := range tokens {
		column := t.Position.Column
		begins := t.Position.Line != line
		if begins {
			line, pairs = t.Position.Line, 0
		}
		switch t.Type {
		case token.TagType: // as !!binary, which makes another text of the one that is read
			return faultAt(t, "tags are not allowed here")
		case token.AnchorType, token.AliasType:
			if l.Plain {
				return faultAt(t, "anchors and aliases are not allowed here")
			}
			if marks++; marks > maxMarks {
				return faultAt(t, "more than %d anchors and aliases", maxMarks)
			}
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.MappingValueType:
			pairs++
		}
		if flow == 0 && t.Type != token.CommentType {
			if begins {
				for len(blocks) > 0 && blocks[len(blocks)-1] >= column {
					blocks = blocks[:len(blocks)-1]
				}
			}
			if begins || t.Type == token.SequenceEntryType || t.Type == token.MappingKeyType || t.Type == token.MappingValueType && pairs > 1 {
				blocks = append(blocks, column)
			}
		}
		if flow+len(blocks) > l.Depth {
			return faultAt(t, "nested more than %d deep", l.Depth)
		}
	}
	return nil
}

// A counter counts values with each alias replaced, without replacing any.
type counter struct {
	limit int
	named map[string]int // the values of each anchor
	at    *token.Token   // where the limit was passed
}

// values returns the number of values of a node, and limit+1 if there are more.
func (c *counter) values(n ast.Node) int {
	if n == nil {
		return 0
	}
	count := 1
	switch n := n.(type) {
	case *ast.TagNode:
		count = c.values(n.Value)
	case *ast.AnchorNode:
		count = c.values(n.Value)
		c.named[n.Name.GetToken().Value] = count
	case *ast.AliasNode:
		count = max(c.named[n.Value.GetToken().Value], 1)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			if count += c.values(v); count > c.limit {
				break
			}
		}
	case *ast.MappingNode:
		for _, v := range n.Values {
			if count += c.values(v); count > c.limit {
				break
			}
		}
	case *ast.MappingValueNode:
		count += c.values(n.Key) + c.values(n.Value)
	case *ast.MappingKeyNode:
		count = c.values(n.Value)
	}
	if count > c.limit {
		if c.at == nil {
			c.at = n.GetToken()
		}
		return c.limit + 1
	}
	return count
}
