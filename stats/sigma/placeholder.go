package sigma

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// This file replaces placeholders, such as %servers%, with their values.

// Placeholders returns the names between percent signs in the files with the modifier expand, sorted. Texts
// that stand there by chance may be among them.
func Placeholders(files []File) []string {
	names := map[string]bool{}
	for _, f := range files {
		if !bytes.Contains(f.Text, []byte("|expand")) {
			continue
		}
		parts := bytes.Split(f.Text, []byte("%"))
		for _, name := range parts[1:max(1, len(parts)-1)] {
			if len(name) > 0 && !bytes.ContainsAny(name, "\\ \t\r\n") {
				names[string(name)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// expand replaces each placeholder of a pattern, such as %servers%, with what parse
// makes of its values. A placeholder without values is an error, unless it
// stands for what is the company's own: then it stands for no text.
func (o *Options) expand(n *node, p pattern, parse func(values []string) []pattern) ([]pattern, error) {
	out := []pattern{nil}
	put := func(alternatives []pattern) {
		var next []pattern
		for _, head := range out {
			for _, tail := range alternatives {
				next = append(next, append(head[:len(head):len(head)], tail...))
			}
		}
		out = next
	}
	for _, e := range p {
		text := e.text
		for e.kind == literal {
			before, name, after, ok := cutPlaceholder(text)
			if before != "" {
				put([]pattern{{{literal, before}}})
			}
			if !ok {
				break
			}
			values := o.Placeholders[name]
			known := len(values) > 0
			if !known {
				values, known = ownPlaceholders[name]
				if known && len(values) == 0 && !slices.Contains(o.unset, name) {
					o.unset = append(o.unset, name)
				}
			}
			if !known {
				return nil, &unset{faultAt(n.at, "placeholder %%%s%% has no values: say in placeholders.%s what it stands for", name, name), name}
			}
			var alternatives []pattern
			if len(values) > 0 {
				alternatives = parse(values)
			}
			put(alternatives)
			text = after
			if len(out) > maxSpellings {
				return nil, faultAt(n.at, "placeholders stand for more than %d texts", maxSpellings)
			}
		}
		if e.kind != literal {
			put([]pattern{{e}})
		}
	}
	for i := range out {
		out[i] = out[i].joined()
	}
	return out, nil
}

// maxSpellings is the largest number of texts that one value with placeholders may
// stand for.
const maxSpellings = 10000

// expandPlain is expand for networks and for regular expressions. In a regular
// expression, a placeholder stands for any of its values, and a value matches itself
// literally.
func (o *Options) expandPlain(n *node, regex bool) ([]string, error) {
	patterns, err := o.expand(n, pattern{{literal, n.text}}, func(values []string) (out []pattern) {
		if !regex {
			for _, v := range values {
				out = append(out, pattern{{literal, v}})
			}
			return out
		}
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = regexp.QuoteMeta(v)
		}
		return []pattern{{{literal, "(?:" + strings.Join(quoted, "|") + ")"}}}
	})
	out := make([]string, len(patterns))
	for i, p := range patterns {
		out[i], _ = p.plain()
	}
	return out, err
}

// cutPlaceholder cuts text around the first %name%. A percent sign after a backslash
// is plain.
func cutPlaceholder(text string) (before, name, after string, ok bool) {
	var plain strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && text[i+1] == '%':
			i++
			plain.WriteByte('%')
			continue
		case text[i] == '%':
			if end := strings.IndexAny(text[i+1:], `%\`); end > 0 && text[i+1+end] == '%' {
				return plain.String(), text[i+1 : i+1+end], text[i+end+2:], true
			}
		}
		plain.WriteByte(text[i])
	}
	return plain.String(), "", "", false
}
