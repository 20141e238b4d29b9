package detect

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"unsafe"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// A Resolver finds the names that all workers' Answers give to the addresses asked for,
// one part at a time, in bounded memory: if a part needs more, it is read again for each
// half of its questions, and so on. A Resolver is used by one goroutine at a time; several
// may read the same Answers, which do not change any more.
type Resolver struct {
	o      *FoldOptions
	all    []*Answers
	memory int

	asked   map[question]int32  // the first of its askings
	clients map[uint64]struct{} // who is in asked
	askings []asking
	texts   []byte // of askings
	block   []byte
	lower   []byte

	records []nameRecord
	named   []byte // of records
}

// A question asks what a client called an address on a day.
type question struct {
	day     Day
	client  uint64 // hash
	address netip.Addr
}

// An asking is the question of an entity.
type asking struct {
	key, client, address columnar.Span // in texts
	last                 int64         // when the entity last connected
	next                 int32         // the next asking of the question; -1: none
	name                 addressName
}

// A nameRecord is a record that says how an entity's address is called.
type nameRecord struct{ key, value columnar.Span }

// NewResolver returns a Resolver that takes about memory bytes, and as much for records
// until they are drained.
func NewResolver(o *FoldOptions, all []*Answers, memory int) *Resolver {
	return &Resolver{o: o, all: all, memory: memory, asked: map[question]int32{}, clients: map[uint64]struct{}{}}
}

// Resolve finds the names of a part.
func (r *Resolver) Resolve(part int) error {
	if err := r.resolve(part, 0, 0); err != nil {
		return fmt.Errorf("name addresses by DNS: %w", err)
	}
	return nil
}

// resolve finds the names for the questions whose hashes begin with the width bits of
// prefix.
func (r *Resolver) resolve(part, width int, prefix uint64) error {
	fits, err := r.questions(part, width, prefix)
	if err != nil {
		return err
	}
	if !fits {
		if err := r.resolve(part, width+1, prefix<<1); err != nil {
			return err
		}
		return r.resolve(part, width+1, prefix<<1|1)
	}
	if len(r.askings) == 0 {
		return nil
	}
	for _, a := range r.all {
		for block, err := range a.kept.blocks(part, &r.block) {
			if err != nil {
				return err
			}
			if err := r.read(block); err != nil {
				return err
			}
		}
	}
	r.record()
	return nil
}

// questions reads the questions of a part whose hashes begin with the width bits of
// prefix. It returns false if they take more than the memory.
func (r *Resolver) questions(part, width int, prefix uint64) (fits bool, err error) {
	clear(r.asked)
	clear(r.clients)
	r.askings, r.texts = r.askings[:0], r.texts[:0]
	for _, a := range r.all {
		for block, err := range a.asked.blocks(part, &r.block) {
			if err != nil {
				return false, err
			}
			for d := (decoder{b: block}); len(d.b) > 0; {
				client, last := d.uint64(), int64(d.uint64())
				key, text, object := d.bytes(), d.bytes(), d.bytes()
				address, ok := scan.External(object)
				if d.bad || !ok || len(key) < 4 {
					return false, errRun
				}
				q := question{dayOfKey(key), client, address}
				if width == 0 || maphash.Comparable(hashSeed, q)>>(64-width) == prefix {
					r.ask(q, last, key, text, object)
				}
			}
			if r.size() > r.memory && width < 32 && len(r.asked) > 1 {
				return false, nil
			}
		}
	}
	return true, nil
}

func (r *Resolver) size() int {
	return len(r.texts) + len(r.askings)*int(unsafe.Sizeof(asking{})+2*unsafe.Sizeof(question{}))
}

func (r *Resolver) ask(q question, last int64, key, client, address []byte) {
	first, known := r.asked[q]
	if !known {
		first = -1
		r.clients[q.client] = struct{}{}
	}
	for i := first; i >= 0; i = r.askings[i].next {
		if a := &r.askings[i]; bytes.Equal(r.text(a.key), key) {
			a.last = max(a.last, last)
			return
		}
	}
	r.asked[q] = int32(len(r.askings))
	r.askings = append(r.askings, asking{key: appendSpan(&r.texts, key), client: appendSpan(&r.texts, client), address: appendSpan(&r.texts, address), last: last, next: first})
}

func (r *Resolver) text(s columnar.Span) []byte { return r.texts[s.Begin:s.End] }

// appendSpan appends a text and returns where it is.
func appendSpan(texts *[]byte, text []byte) columnar.Span {
	begin := uint32(len(*texts))
	*texts = append(*texts, text...)
	return columnar.Span{Begin: begin, End: uint32(len(*texts))}
}

// read offers the answers of a block to those who asked.
func (r *Resolver) read(block []byte) error {
	for d := (decoder{b: block}); len(d.b) > 0; {
		client, us := d.uint64(), int64(d.uint64())
		said, name := d.bytes(), d.bytes()
		if d.bad {
			return errRun
		}
		if _, ok := r.clients[client]; !ok {
			continue
		}
		day := r.o.dayOf(us)
		for len(said) > 0 {
			var answer []byte
			answer, said, _ = bytes.Cut(said, []byte{','})
			address, ok := scan.External(bytes.TrimSpace(answer))
			if !ok {
				continue
			}
			at, ok := r.asked[question{day, client, address}]
			if !ok {
				continue
			}
			lower := columnar.Lower(name, &r.lower)
			for ; at >= 0; at = r.askings[at].next {
				if a := &r.askings[at]; us <= a.last+answerSlack {
					a.name.merge(nameOf(string(lower), us, string(r.text(a.client))))
				}
			}
		}
	}
	return nil
}

// record makes records of the names found. The value of a record has the time of the
// first answer, whether all names are of one service, and then texts: the address, the
// client, the least name and what all have in common.
func (r *Resolver) record() {
	for i := range r.askings {
		a := &r.askings[i]
		n := &a.name
		if n.least == "" {
			continue
		}
		key := appendSpan(&r.named, r.text(a.key))
		from := uint32(len(r.named))
		r.named = binary.LittleEndian.AppendUint64(r.named, uint64(n.time))
		service := uint64(0)
		if n.service {
			service = 1
		}
		r.named = appendBytes(binary.AppendUvarint(r.named, service), r.text(a.address))
		for _, text := range [...]string{n.client, n.least, n.common} {
			r.named = append(binary.AppendUvarint(r.named, uint64(len(text))), text...)
		}
		r.records = append(r.records, nameRecord{key, columnar.Span{Begin: from, End: uint32(len(r.named))}})
	}
}

// addressName reads what record wrote.
func (d *decoder) addressName() (address string, n addressName) {
	n.time = int64(d.uint64())
	n.service = d.uvarint() == 1
	address = string(d.bytes())
	n.client, n.least, n.common = string(d.bytes()), string(d.bytes()), string(d.bytes())
	return address, n
}

// Size returns the memory of the records that were not drained, in bytes.
func (r *Resolver) Size() int { return len(r.named) + 16*len(r.records) }

// Drain writes the records.
func (r *Resolver) Drain(w *RunWriter) {
	text := func(s columnar.Span) []byte { return r.named[s.Begin:s.End] }
	slices.SortFunc(r.records, func(a, b nameRecord) int {
		return cmp.Or(bytes.Compare(text(a.key), text(b.key)), bytes.Compare(text(a.value), text(b.value)))
	})
	for _, n := range r.records {
		w.record(text(n.key), addressRecord, text(n.value))
	}
	r.records, r.named = r.records[:0], r.named[:0]
}
