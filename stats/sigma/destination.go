package sigma

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// A Destination says where a rule's matches send data: outflow's own key destination.
//
//	destination:
//	  field: CommandLine
//	  match: '(s3://[^/\s]+)'
//	  level: high
//
// The destination is what the first group of match holds, else what match itself does, else the
// whole field. Of a list of fields, the first with a destination counts. A match without one is
// as of a rule without the key.
type Destination struct {
	Fields []string
	// Level is what matches count as if nobody sent to the destination before; "": the rule's.
	Level string
	match *regexp.Regexp // nil: the whole field
}

// In returns the destination in the text of the field, in lower case; nil if there is none.
func (d *Destination) In(text []byte) []byte {
	if d.match != nil {
		groups := d.match.FindSubmatch(text)
		if groups == nil {
			return nil
		}
		text = groups[0]
		for _, g := range groups[1:] {
			if g != nil {
				text = g
				break
			}
		}
	}
	return bytes.ToLower(bytes.TrimSpace(text))
}

// parseDestination reads the key destination of a rule.
func parseDestination(n *node) (*Destination, error) {
	if n == nil || n.kind == nullNode {
		return nil, nil
	}
	if n.kind != mapNode {
		return nil, faultAt(n.at, "destination: want a map, this is %v", n)
	}
	d := &Destination{}
	for i := range n.keys {
		key, value := &n.keys[i], &n.items[i]
		if key.text == "field" && value.kind == listNode {
			for j := range value.items {
				d.Fields = append(d.Fields, fieldName(value.items[j].text))
			}
			continue
		}
		if !value.scalar() || value.kind == nullNode {
			return nil, faultAt(value.at, "destination: %s: want a text, this is %v", key.text, value)
		}
		switch key.text {
		case "field":
			d.Fields = []string{fieldName(value.text)}
		case "level":
			if d.Level = strings.ToLower(value.text); !slices.Contains(Levels, d.Level) {
				return nil, faultAt(value.at, "destination: level %q: want one of %s", value.text, strings.Join(Levels, ", "))
			}
		case "match":
			var err error
			if d.match, err = regexp.Compile(value.text); err != nil {
				return nil, faultAt(value.at, "destination: match: %v", err)
			}
		default:
			return nil, faultAt(key.at, "destination: unknown key %q: want field, match or level", key.text)
		}
	}
	if len(d.Fields) == 0 || slices.Contains(d.Fields, "") {
		return nil, faultAt(n.at, "destination: field is missing")
	}
	return d, nil
}
