package detect

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"outflow/columnar"
)

// This file keeps the first rows of pairs apart from the table of pair_times, until it is
// known which pairs have enough of them.
//
// All workers count the rows of pairs in cells, to which hashes of pairs lead. When all rows
// have been counted, those set aside whose cell has fewer than minBeats are dropped; they are
// the rows of whole pairs, as all rows of a pair have one cell. The others go into the
// table. Rows are dropped only if a pair has too few, so the result is exact, and it does not
// depend on the hashes.

// A task of a run in stages does not know the rows of the others. So it sends on the rows of
// pairs that have too few in it, and the hashes of those in its table, and merge sifts as the
// run of one process does.

// A Deferrer is a Sifter that sets rows aside until it is sifted.
type Deferrer interface {
	Sifter
	// Defer makes it keep such rows in a spool, and return from Sift when the table
	// takes memory bytes. It is called before the first row. Without it, Drain does not
	// leave out what is set aside. If there are writers, one for each shard, it holds a part
	// of the rows of a run: it leaves out nothing but writes to them what Take needs to do so.
	Defer(spool Spool, memory int, to ...io.Writer)
	// Take, in place of Defer and rows, adds what all parts have written for a shard. It reads
	// it once to count and leaves the second reader to Sift.
	Take(sent func() io.Reader, memory int) error
}

// A pairAside is the rows set aside.
type pairAside struct {
	pairRecords
	seen   pairCounts
	spool  Spool // nil: there is none
	memory int
	to     []pairRecords // by shard, where the rows of pairs with too few go; nil: nowhere
	reader *bufio.Reader // while it is sifted
}

// pairRecords are rows of pairs in records:
//
//	8  hash of the pair, little endian, not 0; of a header 0
//	4  length of the rest
//
// The rest of a header is the day, the feed and the log of the records after it. The rest of
// a row is its flags and the kind of its entity, entity, destination, and the numbers of a
// pairRow. Without a rest, it says that a table has the pair.
type pairRecords struct {
	buf    []byte     // what is not written yet
	w      io.Writer  // nil: buf holds all
	block  int        // bytes that are written at once
	key    sectionKey // of the last header, and its log
	log    []byte
	headed bool
	err    error
}

const (
	asideHead    = 12
	asideBlock   = 64 << 10
	asideRepeat  = 1 << 2 // flags; the kind of the entity is below
	asideBlocked = 1 << 3
	// sentBlock is as asideBlock for each of some thousand shards.
	sentBlock = 8 << 10
)

// begin writes a header, unless the last one is alike.
func (a *pairRecords) begin(at sectionKey, log []byte) {
	if !a.headed || a.key != at || string(a.log) != string(log) {
		a.key, a.log, a.headed = at, append(a.log[:0], log...), true
		a.record(0, func(b []byte) []byte {
			return appendBytes(appendBytes(binary.AppendUvarint(b, uint64(at.day)), []byte(at.feed)), log)
		})
	}
}

// put writes a row.
func (a *pairRecords) put(at sectionKey, log []byte, hash uint64, r *pairRow, kind uint32, who, what []byte) {
	a.begin(at, log)
	a.record(hash|1, func(b []byte) []byte {
		flags := byte(kind)
		if r.repeat {
			flags |= asideRepeat
		}
		if r.blocked {
			flags |= asideBlocked
		}
		b = appendBytes(appendBytes(append(b, flags), who), what)
		for _, n := range [...]uint64{uint64(r.at), r.open.at, r.open.bytes, r.in, uint64(r.place.Record), uint64(uint32(r.port))} {
			b = binary.AppendUvarint(b, n)
		}
		return b
	})
}

// met writes that a table has a pair.
func (a *pairRecords) met(hash uint64) {
	a.record(hash|1, func(b []byte) []byte { return b })
}

func (a *pairRecords) record(hash uint64, rest func(b []byte) []byte) {
	begin := len(a.buf)
	b := append(binary.LittleEndian.AppendUint64(a.buf, hash), 0, 0, 0, 0)
	b = rest(b)
	binary.LittleEndian.PutUint32(b[begin+8:], uint32(len(b)-begin-asideHead))
	a.buf = b
	if len(a.buf) >= a.block && a.w != nil {
		a.flush()
	}
}

func (a *pairRecords) flush() {
	if len(a.buf) > 0 && a.err == nil {
		if _, err := a.w.Write(a.buf); err != nil {
			a.err = fmt.Errorf("keep times of pairs: %w", err)
		}
	}
	a.buf = a.buf[:0]
}

// Defer implements Deferrer.
func (f *pairTimes) Defer(spool Spool, memory int, to ...io.Writer) {
	f.aside.spool, f.aside.w, f.aside.block, f.aside.memory = spool, spool, asideBlock, memory
	for _, w := range to {
		f.aside.to = append(f.aside.to, pairRecords{w: w, block: sentBlock})
	}
}

// Take implements Deferrer.
func (f *pairTimes) Take(sent func() io.Reader, memory int) error {
	a := &f.aside
	a.seen.reserve()
	in := bufio.NewReaderSize(sent(), asideBlock)
	for {
		hash, size, err := nextAside(in)
		if err == io.EOF {
			break
		}
		if err == nil {
			_, err = in.Discard(size)
		}
		if err != nil {
			return fmt.Errorf("read times of pairs: %w", err)
		}
		if hash == 0 {
			continue
		}
		full := a.seen.add(hash)
		for size == 0 && !full { // a table has the pair
			full = a.seen.add(hash)
		}
	}
	a.reader, a.memory = bufio.NewReaderSize(sent(), asideBlock), memory
	return nil
}

// nextAside reads the begin of a record.
func nextAside(in *bufio.Reader) (hash uint64, size int, err error) {
	var head [asideHead]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, 0, err
	}
	return binary.LittleEndian.Uint64(head[:]), int(binary.LittleEndian.Uint32(head[8:])), nil
}

// Weigh implements Sifter.
func (f *pairTimes) Weigh(w *Weights) {
	w.pairs.take(&f.aside.seen)
}

// Sift implements Sifter.
func (f *pairTimes) Sift(w *Weights) (more bool, err error) {
	a := &f.aside
	if a.reader == nil {
		if a.spool == nil {
			return false, f.replayHeld(w.pairs.has)
		}
		a.flush()
		a.headed, a.buf = false, nil
		a.reader = bufio.NewReaderSize(io.NewSectionReader(a.spool, 0, a.spool.Size()), asideBlock)
	}
	if a.err != nil {
		return false, a.err
	}
	if err := f.replay(a.reader, w.pairs.has); err != errFull {
		return false, err
	}
	return true, nil
}

// replayHeld adds the rows set aside without a spool whose pairs have enough.
func (f *pairTimes) replayHeld(enough func(hash uint64) bool) error {
	held := f.aside.buf
	f.aside.buf, f.aside.headed = f.aside.buf[:0], false
	return f.replay(bufio.NewReader(bytes.NewReader(held)), enough)
}

// errFull says that the table has taken its memory.
var errFull = errors.New("the table is full")

// replay adds the rows set aside that in has and whose pairs have enough rows, until its end
// or until errFull. It sends on the others.
func (f *pairTimes) replay(in *bufio.Reader, enough func(hash uint64) bool) error {
	a := &f.aside
	log := f.places.logs.Code(a.log)
	var section *pairSection // of a.key; nil: not looked up yet
	var rest, key []byte
	for added := 0; ; {
		hash, size, err := nextAside(in)
		if err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read times of pairs: %w", err)
		}
		if size == 0 {
			continue // the run of the table that has the pair is merged
		}
		few := hash != 0 && !enough(hash)
		if few && a.to == nil {
			if _, err := in.Discard(size); err != nil {
				return fmt.Errorf("read times of pairs: %w", err)
			}
			continue
		}
		rest = slices.Grow(rest[:0], size)[:size]
		if _, err := io.ReadFull(in, rest); err != nil {
			return fmt.Errorf("read times of pairs: %w", err)
		}
		d := decoder{b: rest}
		if hash == 0 {
			a.key = sectionKey{day: Day(d.uvarint())}
			a.key.feed = string(d.bytes())
			a.log = append(a.log[:0], d.bytes()...)
			log, section = f.places.logs.Code(a.log), nil
			continue
		}
		flags := d.uvarint()
		who, what := d.bytes(), d.bytes()
		r := pairRow{repeat: flags&asideRepeat != 0, blocked: flags&asideBlocked != 0}
		r.at, r.open.at, r.open.bytes, r.in = int64(d.uvarint()), d.uvarint(), d.uvarint(), d.uvarint()
		r.place = columnar.Place{Object: log, Record: int64(d.uvarint())}
		r.port = int32(uint32(d.uvarint()))
		kind := uint32(flags & 3)
		if d.bad || f.entities.spelt[kind] == nil {
			return errRun
		}
		id := uint32(f.entities.spelt[kind].Code(who))<<2 | kind
		if few {
			key = f.entities.appendKey(key[:0], a.key, id)
			a.to[f.shardOf(key)].put(a.key, a.log, hash, &r, kind, who, what)
			continue
		}
		if section == nil {
			section = f.sections.of(a.key)
		}
		f.add(section, section.groups.Slot(id, uint32(f.objects.Code(what))), &r)
		if added++; added%8 == 0 && a.memory > 0 && f.Size() > a.memory {
			return errFull
		}
	}
}

// shardOf returns the shard of a key up to the end of its entity.
func (f *pairTimes) shardOf(entity []byte) int { return shardOf(entity, f.o.Seed, len(f.aside.to)) }

// A pairCounts counts rows by cell, up to minBeats, in two bits each. The zero value is
// empty.
type pairCounts struct{ words []uint64 }

// pairCellBits is how many bits of a hash name its cell: the cells take 2 MiB. With fewer,
// pairs with few rows share a cell with others. With more, they fall out of the processor's
// cache.
const pairCellBits = 23

func (c *pairCounts) cell(hash uint64) (word *uint64, shift uint64) {
	cell := hash >> (64 - pairCellBits)
	return &c.words[cell/32], cell % 32 * 2
}

func (c *pairCounts) reserve() {
	if c.words == nil {
		c.words = make([]uint64, 1<<pairCellBits/32)
	}
}

// load brings the cells of pairs into the cache.
func (c *pairCounts) load(hashes []uint64) {
	touch(hashes, func(hash uint64) int64 {
		word, _ := c.cell(hash)
		return int64(*word)
	})
}

// add counts a row, and reports whether its cell has minBeats now.
func (c *pairCounts) add(hash uint64) bool {
	word, shift := c.cell(hash)
	switch *word >> shift & 3 {
	case minBeats:
		return true
	case minBeats - 1:
		*word += 1 << shift
		return true
	}
	*word += 1 << shift
	return false
}

// has reports whether the cell of a pair has minBeats. Words that were never reserved have
// no rows.
func (c *pairCounts) has(hash uint64) bool {
	if c.words == nil {
		return false
	}
	word, shift := c.cell(hash)
	return *word>>shift&3 == minBeats
}

// take adds the counts of n to c and clears n.
func (c *pairCounts) take(n *pairCounts) {
	if n.words == nil {
		return
	}
	if c.words == nil { // to touch 2 MiB more takes longer than a small log
		c.words, n.words = n.words, nil
		return
	}
	for i, b := range n.words {
		// Every other cell at once, so that sums of two have four bits.
		sum := func(a, b uint64) uint64 {
			const low, over = 0x3333333333333333, 0x1111111111111111
			s := a&low + b&low
			return s&low | s>>2&over*3
		}
		c.words[i] = sum(c.words[i], b) | sum(c.words[i]>>2, b>>2)<<2
	}
	clear(n.words)
}
