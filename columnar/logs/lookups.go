package logs

import (
	"bytes"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// A lookup is a row of the dns table as it stands in a block. A span without
// text is not said.
type lookup struct {
	us                                 int64 // µs UTC
	client, query, kind, server, rcode columnar.Span
}

// lookupRun is how many lookups are put at once: enough that the cost of putting
// columns does not show, few enough to stay in the first-level cache.
const lookupRun = 256

// lookups gathers the rows of a block for decoders of DNS servers' logs, and puts
// them column by column.
type lookups struct {
	n                                  int
	time, records                      [lookupRun]int64
	client, query, kind, server, rcode [lookupRun]columnar.Span

	// text has the queries and types of all rows that were added. It is empty if the
	// block has them in the form in which they are read.
	text []byte
}

// extend returns the span of what text has been extended by.
func (l *lookups) extend(extended []byte) columnar.Span {
	begin := len(l.text)
	l.text = extended
	return columnar.Span{Begin: uint32(begin), End: uint32(len(extended))}
}

// room makes sure that a lookup can be added.
func (l *lookups) room(b *columnar.Builder, data []byte) {
	if l.n == lookupRun || l.n == b.Room() {
		l.put(b, data)
	}
}

// add adds a lookup, given the number of its record. There must be room.
func (l *lookups) add(row *lookup, record int64) {
	i := l.n
	l.time[i], l.records[i] = row.us, record
	l.client[i], l.query[i], l.kind[i], l.server[i], l.rcode[i] = row.client, row.query, row.kind, row.server, row.rcode
	l.n++
}

// addEscaped adds a lookup whose name is written with escapes, as RFC 1035 has it.
func (l *lookups) addEscaped(b *columnar.Builder, data []byte, row *lookup, name, kind []byte, record int64) {
	escaped := bytes.IndexByte(name, '\\') >= 0
	if escaped && len(l.text) == 0 && l.n > 0 {
		l.put(b, data)
	}
	if escaped || len(l.text) > 0 {
		row.query, row.kind = l.extend(scan.UnescapeName(l.text, name)), l.extend(append(l.text, kind...))
	} else {
		row.query, row.kind = spanOf(data, name), spanOf(data, kind)
	}
	l.add(row, record)
}

// put puts the rows that were added. Their spans refer to data. Those of queries and
// types refer to l.text unless it is empty.
func (l *lookups) put(b *columnar.Builder, data []byte) {
	n := l.n
	l.n = 0
	b.PutTimes(l.time[:n])
	b.PutTexts(columnar.SrcIP, data, l.client[:n])
	b.PutTexts(columnar.DstIP, data, l.server[:n])
	b.PutTexts(columnar.Rcode, data, l.rcode[:n])
	if len(l.text) > 0 {
		data = l.text
		l.text = l.text[:0]
	}
	b.PutTexts(columnar.QueryType, data, l.kind[:n])
	b.PutQueries(data, l.query[:n])
	b.NextRows(l.records[:n])
}

// queriesLogged is the header of blocks of logs that have told of queries before: then
// responses repeat them.
var queriesLogged = []byte("queries are logged")
