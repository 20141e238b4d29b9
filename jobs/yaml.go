package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"outflow/columnar/bounded"
)

var (
	quotedText = bounded.Expression(`"[^"]*"|'[^']*'`)
	// keyOfLine matches a line of YAML up to its first key.
	keyOfLine = bounded.Expression(`^[-\s{\[]*[A-Za-z0-9_."'-]+:(\s|$)`)
)

// yamlFault says what is wrong in a configuration, and at which key. It has no value and no
// neighbouring line: these may be secrets, and messages end up in logs.
func yamlFault(text []byte, err error) string {
	var at yaml.Error
	if !errors.As(err, &at) {
		return err.Error()
	}
	message, _, _ := strings.Cut(at.GetMessage(), "\n")
	var unknown *yaml.UnknownFieldError
	isKey := errors.As(err, &unknown) || strings.HasPrefix(message, "mapping key ")
	message = quotedText().ReplaceAllStringFunc(message, func(quoted string) string {
		key, _, ofValue := strings.Cut(quoted, ":") // {token:SECRET} is a key without a value
		switch {
		case !isKey:
			return `"…"`
		case ofValue:
			return key + `:…"`
		}
		return quoted
	})
	t := at.GetToken()
	if t == nil || t.Position == nil {
		return message
	}
	out := fmt.Sprintf("[%d:%d] %s", t.Position.Line, t.Position.Column, inPlainWords(message))
	lines := strings.Split(string(text), "\n")
	if n := t.Position.Line; n >= 1 && n <= len(lines) {
		if key := strings.TrimRight(keyOfLine().FindString(lines[n-1]), " \t\r"); key != "" {
			out += fmt.Sprintf("\n%4d | %s …", n, key)
		}
	}
	return out
}

// inPlainWords writes a message of the decoder about a value of another kind without the
// words of YAML and Go.
func inPlainWords(message string) string {
	m := otherKind().FindStringSubmatch(message)
	if m == nil {
		return message
	}
	of := func(kind string) string { return cmp.Or(kindsInWords[kind], kind) }
	return "want " + of(m[2]+m[4]) + ", not " + of(m[1]+m[3])
}

var otherKind = bounded.Expression(`^(?:(\w+) was used where (\w+) is expected|cannot unmarshal (\S+) into Go struct field \S+ of type (\S+))$`)

// kindsInWords are the kinds of values, by the words of YAML and Go for them.
var kindsInWords = map[string]string{
	"sequence": "a list, as in [a, b]", "mapping": "keys with values, as in {a: b}", "string": "a text",
	"bool": "true or false", "int": "a whole number", "int64": "a whole number", "uint64": "a number", "float": "a number", "float64": "a number",
	"time.Duration": "a time like 90s or 10m",
}

// mappingValues returns the keys of a mapping with their values, nil of other nodes. The parser has
// a type of its own for a mapping of one key.
func mappingValues(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

// lineOfKey returns the line, from 1, of the last of some keys, each below the one before, in a
// configuration that was read; that of the last of them that is written there, if an alias stands for the rest.
func lineOfKey(text []byte, keys ...string) (line int) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil || len(file.Docs) == 0 {
		return 0
	}
	at := file.Docs[0].Body
	for _, key := range keys {
		for _, v := range mappingValues(at) {
			if name := v.Key.GetToken(); name.Value == key {
				line, at = name.Position.Line, v.Value
				break
			}
		}
	}
	return line
}
