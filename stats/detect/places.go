package detect

import (
	"bytes"
	"cmp"
	"strconv"

	"outflow/columnar"
)

// This file says where rows come from.

// A placer finds the places of rows.
type placer struct {
	logs   *columnar.Dict // names of log objects
	log    int32          // the batch's, in logs, if its rows have no places of their own
	placed []int32        // else by the batch's objects
	codes  columnar.Lookup[int32]
}

// A place is where a row comes from: a log of logs, and a record of it.
type place struct {
	record int64
	log    int32
}

func newPlacer() *placer {
	p := &placer{logs: columnar.NewDict()}
	p.codes.Func = func(object []byte) int32 { return p.logs.Code(object) }
	return p
}

// begin makes p ready for the rows of a batch.
func (p *placer) begin(b *columnar.Batch) {
	if b.Places == nil {
		p.log = p.logs.Code([]byte(b.Object))
	} else {
		p.placed = p.codes.Of(b.Objects)
	}
}

func (p *placer) of(b *columnar.Batch, row int) place {
	if b.Places == nil {
		return place{b.First + int64(b.Record[row]), p.log}
	}
	at := &b.Places[row]
	return place{at.Record, p.placed[at.Object]}
}

// compare orders places by the name of their log and then by record.
func (p *placer) compare(a, b place) int {
	if a.log == b.log {
		return cmp.Compare(a.record, b.record)
	}
	return bytes.Compare(p.logs.Text(a.log), p.logs.Text(b.log))
}

// evidence returns the text of Summary.Evidence.
func (p *placer) evidence(at place) string {
	return string(p.logs.Text(at.log)) + ":" + strconv.FormatInt(at.record, 10)
}
