package logs

import (
	"bytes"
	"errors"
	"io"

	"outflow/columnar"
	"outflow/columnar/evtx"
)

// EVTX decodes Windows event logs in their binary form.
var EVTX = &Format{
	Name:    "evtx",
	Origins: []columnar.Origin{{Product: "windows"}},
	Title:   "Windows event log, binary (EVTX)",
	Doc: winDoc + `

What is intact of a damaged file is read: chunks are found by their own mark,
records by theirs. Damage counts as skipped records: one for each place where
records are broken, for each chunk whose checksum is wrong or whose header is
gone, though its records are read, and for each record that a chunk's header
tells of and that is not there. A file that was copied while it was open may have
stale checksums; it says so, and then they are not counted. What a chunk holds
behind its newest record, of the time before the log was last overwritten, is not
read. A file may be compressed, in a zip archive, or begin with a chunk.`,
	Tables: winTables,
	Lacks:  winLacks,
	Sniff:  func(head []byte) bool { return evtx.IsHeader(head) || evtx.IsChunk(head) },
	Cut: func(p []byte, all bool) (end int, records int64) {
		for {
			n := evtx.Piece(p[end:], all)
			if n == 0 {
				return end, records
			}
			records += evtx.Records(p[end : end+n])
			end += n
		}
	},
	Header: func(prev, p []byte) []byte {
		for len(p) > 0 {
			n := evtx.Piece(p, true)
			if evtx.IsHeader(p) {
				prev = bytes.Clone(p[:min(n, 128)])
			}
			p = p[n:]
		}
		return prev
	},
	New: func(o *Options) (Decoder, error) {
		return &evtxDecoder{event: winEvent{clock: o.clock()}, names: nameSet{}}, nil
	},
}

type evtxDecoder struct {
	reader evtx.Reader
	event  winEvent
	names  nameSet
}

func (d *evtxDecoder) Decode(b *Block, out *columnar.Out, t *Tally) error {
	dirty := evtx.Dirty(b.Header)
	record := b.First
	for data := b.Data; len(data) > 0; {
		piece := data[:evtx.Piece(data, true)]
		data = data[len(piece):]
		if evtx.IsHeader(piece) {
			dirty = evtx.Dirty(piece)
		}
		if err := d.reader.Open(piece); err != nil && !(dirty && err == evtx.ErrChecksum) {
			t.Skip(record, err.Error())
		}
		for {
			r, err := d.reader.Next()
			if err == io.EOF {
				break
			}
			switch {
			case err != nil:
				t.Skip(record, err.Error())
			case !d.flatten(r.Event):
				t.Skip(record, "no Event element")
			default:
				d.event.put(record, out, t)
			}
			record++
		}
		for range d.reader.Missing() {
			t.Skip(record, errMissing.Error())
		}
	}
	return nil
}

var errMissing = errors.New("record is missing from its chunk")

// flatten turns an event into fields. It returns false if it is not an event.
func (d *evtxDecoder) flatten(tokens []evtx.Token) bool {
	e := &d.event
	e.reset()
	for i := range tokens {
		switch t := &tokens[i]; t.Kind {
		case evtx.Start:
			e.start(t.Name)
		case evtx.Attribute:
			e.attribute(t.Name, t.Text, d.names.of)
		case evtx.Text:
			e.content(t.Text)
		case evtx.End:
			e.end()
		}
	}
	return e.section != winNowhere
}
