package logs

import (
	"bytes"
	"fmt"
	"io"

	"outflow/columnar/scan"
)

// BlockSize is the size of a block of text, in bytes. Smaller ones make the
// cost per block visible, larger ones leave the second-level cache.
const BlockSize = 1 << 20

// MaxRecord is how long a record may be unless ReadOptions say otherwise, in
// bytes. The longest sound records (CloudTrail's) have 256 KiB; a higher limit
// lets one hostile line cost each reader that much memory.
const MaxRecord = 4 << 20

// Buffers is the memory of the blocks that are being filled, waiting or being
// decoded. All readers of a run share one, which bounds their memory. Its methods
// may be called concurrently.
type Buffers struct {
	free chan []byte // nil: not made yet
	size int
}

// NewBuffers returns n buffers for blocks of size bytes, made on first use. To
// keep all busy, a run wants two for each goroutine that reads or decodes.
func NewBuffers(n, size int) *Buffers {
	b := &Buffers{make(chan []byte, n), size}
	for range n {
		b.free <- nil
	}
	return b
}

// get waits for a buffer to be free. A reader that waits must not hold one, or readers could
// wait for each other.
func (b *Buffers) get() []byte {
	if buf := <-b.free; buf != nil {
		return buf
	}
	return make([]byte, b.size)
}

// put takes a buffer back. One that grew for a long record is not kept.
func (b *Buffers) put(buf []byte) {
	if len(buf) != b.size {
		buf = nil
	}
	b.free <- buf
}

// A cutter cuts a stream of text into blocks of whole records.
type cutter struct {
	src       io.Reader
	buffers   *Buffers
	maxRecord int
	yield     func(*Block) error
	format    *Format        // says where records end
	wrapped   *unwrapper     // src, if the log is wrapped
	interim   *interimReader // what src is read through, if that drops records; else nil

	header  []byte
	next    int64 // number of the next record
	size    int64 // bytes read
	err     error // why src ended: io.EOF at its proper end; nil while it goes on
	skipped []Reason
	carry   []byte // read, but not in a block yet
}

// run yields the blocks of the stream. It returns what yield returned;
// why the stream ended is in c.err.
func (c *cutter) run() error {
	c.next = 1
	for c.err == nil || len(c.carry) > 0 {
		if err := c.block(c.buffers.get()); err != nil {
			return err
		}
	}
	last := &Block{Header: c.header, First: c.next}
	if c.interim != nil {
		c.skipped = append(c.skipped, c.interim.account(last, c.next)...)
	}
	if len(c.skipped) == 0 && last.Known == nil {
		return nil
	}
	return c.hand(last)
}

// block fills buf behind what is carried over, and hands over its whole records.
func (c *cutter) block(buf []byte) error {
	if len(c.carry) > len(buf) {
		buf = make([]byte, len(c.carry))
	}
	n := copy(buf, c.carry)
	c.carry = c.carry[:0]
	n = c.fill(buf, n)
	end, records := c.lastEnd(buf[:n])
	for end == 0 && c.err == nil && len(buf) < c.maxRecord {
		buf = append(buf, make([]byte, min(len(buf), c.maxRecord-len(buf)))...)
		n = c.fill(buf, n)
		end, records = c.lastEnd(buf[:n])
	}
	if end == 0 && n > 0 {
		end, n = c.noEnd(buf, n)
		records = countLines(buf[:end])
	}
	c.carry = append(c.carry, buf[end:n]...)
	if end == 0 {
		c.buffers.put(buf)
		return nil
	}
	b := &Block{Data: buf[:end:end], Header: c.header, First: c.next, buffers: c.buffers, buf: buf}
	c.next += records
	if c.format.Header != nil {
		c.header = c.format.Header(b.Header, b.Data)
		b.Plain = len(c.header) > 0 && len(b.Header) > 0 && &c.header[0] == &b.Header[0]
	}
	return c.hand(b)
}

func (c *cutter) hand(b *Block) error {
	b.Skipped, c.skipped = c.skipped, nil
	if c.wrapped != nil {
		var skipped []Reason
		b.Times, skipped = c.wrapped.take(countLines(b.Data))
		b.Skipped = append(b.Skipped, skipped...)
		if l, ok := c.wrapped.layers[0].(*programLayer); ok && l.others > 0 {
			b.Known = append(b.Known, Kind{otherProgram, l.others})
			l.others = 0
		}
	}
	return c.yield(b)
}

// fill reads until buf is full or the stream ends.
func (c *cutter) fill(buf []byte, n int) int {
	for empty := 0; n < len(buf) && c.err == nil; {
		m, err := c.src.Read(buf[n:])
		n += m
		c.size += int64(m)
		c.err = err
		if m > 0 {
			empty = 0
		} else if empty++; empty == 100 && err == nil {
			c.err = io.ErrNoProgress
		}
	}
	return n
}

// lastEnd returns where the last whole record of p ends, 0 if none does, and how
// many records end there. At the proper end of the stream the last record needs no
// newline.
func (c *cutter) lastEnd(p []byte) (end int, records int64) {
	if c.format.Cut != nil {
		return c.format.Cut(p, c.err != nil)
	}
	if !c.format.Quoted {
		end = len(p)
		if c.err != io.EOF {
			end = bytes.LastIndexByte(p, '\n') + 1
		}
		return end, countLines(p[:end])
	}
	lines, quotes := scan.CountBytes(p, '\n', '"')
	if end = c.lastQuotedEnd(p, quotes); end < len(p) {
		lines -= bytes.Count(p[end:], eol)
	}
	if end > 0 && p[end-1] != '\n' {
		lines++
	}
	return end, int64(lines)
}

// countLines returns the number of lines; the last needs no newline.
func countLines(p []byte) int64 {
	n := int64(scan.CountByte(p, '\n'))
	if len(p) > 0 && p[len(p)-1] != '\n' {
		n++
	}
	return n
}

// lastQuotedEnd returns where the last whole record of p ends, which has so many quotes. A
// newline ends a record if an even number of quotes stands before it in p, which begins with
// a record. That holds of escaped quotes too: they come as two.
func (c *cutter) lastQuotedEnd(p []byte, quotes int) int {
	if c.err == io.EOF && quotes%2 == 0 {
		return len(p)
	}
	for end := len(p); ; {
		at := bytes.LastIndexByte(p[:end], '\n')
		if at < 0 {
			return 0
		}
		quotes -= bytes.Count(p[at:end], quote)
		if quotes%2 == 0 {
			return at + 1
		}
		end = at
	}
}

// noEnd deals with a record that does not end within buf[:n], by the limit or
// because the stream ended early. It returns where the next block ends and how
// much is left in buf.
func (c *cutter) noEnd(buf []byte, n int) (end, left int) {
	if c.format.Quoted {
		// A quote that is never closed must not swallow the records after it:
		// the first line goes to the decoder alone, which refuses it.
		if at := bytes.IndexByte(buf[:n], '\n'); at >= 0 {
			return at + 1, n
		}
		if c.err == io.EOF {
			return n, n
		}
	}
	if c.err != nil {
		c.skip("record cut off where the object ends early")
		return 0, 0
	}
	c.skip(tooLong(c.maxRecord))
	for c.err == nil {
		n = c.fill(buf, 0)
		if at := bytes.IndexByte(buf[:n], '\n'); at >= 0 {
			return 0, copy(buf, buf[at+1:n])
		}
	}
	return 0, 0
}

func (c *cutter) skip(reason string) {
	c.skipped = append(c.skipped, Reason{Text: reason, Count: 1, First: c.next})
	c.next++
}

// lastRecord returns the number of the last record that was read.
func (c *cutter) lastRecord() int64 { return max(0, c.next-1) }

var (
	eol      = []byte{'\n'}
	carriage = []byte{'\r'}
	quote    = []byte{'"'}
)

// tooLong is the reason to skip a record of more than limit bytes.
func tooLong(limit int) string { return fmt.Sprintf("record longer than %d KiB", limit>>10) }
