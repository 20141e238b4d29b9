package logs

import (
	"bytes"
	"slices"
	"strings"

	"outflow/columnar"
)

// What the names of a log of any records probably mean, where nothing is known for
// certain.

// Guess returns names of the records of b that probably hold columns of table, by their
// last key: request.bytes_out is likely bytes_out. No decoder reads columns by such names,
// since the keys before may say that it is something else: a person has to look. f is the
// format of b, and table one of its tables. Columns that two names may hold are left out,
// and so is event_uid: rows with the id of something else would be dropped as copies.
func (b *Block) Guess(f *Format, table *columnar.Table, lacks columnar.Cols) map[columnar.Col]string {
	names := b.names(f, lacks)
	names = slices.DeleteFunc(names, func(name string) bool {
		return !strings.Contains(name, ".") || slices.ContainsFunc(table.Cols, func(c columnar.Col) bool { return slices.Contains(wellKnown[c], squash(name)) })
	})
	out := map[columnar.Col]string{}
	for _, c := range table.Cols {
		if !lacks.Has(c) || c == columnar.Time || c == columnar.EventUID {
			continue
		}
		var may []string
		for _, name := range names {
			if slices.Contains(wellKnown[c], squash(lastKeys(name, 1))) && !(columnar.ColSet(columnar.User, columnar.SrcIP, columnar.Host).Has(c) && ofServer(name)) {
				may = append(may, name)
			}
		}
		if len(may) == 1 {
			out[c] = may[0]
		}
	}
	return out
}

// ofServer reports whether a name of several keys is about the server, the target or the
// parent of what the record is about.
func ofServer(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"dst", "dest", "server", "target", "remote", "resp", "peer", "parent", "upstream"}, func(word string) bool {
		return strings.Contains(name[:strings.LastIndexByte(name, '.')], word)
	})
}

// names returns the names of the records of b that can hold one of the columns, up to
// maxDraftNames.
func (b *Block) names(f *Format, columns columnar.Cols) (out []string) {
	if part, ok := b.Part.(interface {
		names(columns columnar.Cols) []string
	}); ok {
		return part.names(columns)
	}
	if !f.Generic {
		return nil
	}
	text := bytes.TrimLeft(bytes.Join([][]byte{b.Header, b.Data[:min(len(b.Data), draftSize)]}, []byte("\n")), "\n")
	var d draft
	if d.look(text) != nil {
		return nil
	}
	for _, n := range d.names {
		if !strings.ContainsAny(n.name, "[$") {
			out = append(out, n.name)
		}
	}
	return out
}
