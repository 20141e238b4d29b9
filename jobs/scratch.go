package jobs

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// spoolBytes is how much of a table, or of a file of the reports, a run keeps in
// memory before it takes a temporary file. More lets larger scans do without one;
// a run has some five at a time.
const spoolBytes = 16 << 20

// scratchBuffer is how much is read and written at once. A run reads as many days
// at a time as a baseline has.
const scratchBuffer = 32 << 10

// A scratch is an aggregate's rows until the run ends, in the order of day and
// key: the state of a run that has none. Its form is nobody else's:
//
//	4 bytes  length of the numbers
//	4 bytes  length of the texts
//	4 bytes  what there is of the rest, a bit each
//	numbers  measures that are not zero, entropy, lengths of the texts
//	texts    those of the key that the row before does not have, evidence, examples
type scratch struct {
	spool   *store.Spool
	w       *bufio.Writer
	parts   []*part
	from    int64 // where the last part begins
	size    int64
	last    detect.Key // of that part
	numbers []byte
	texts   []byte
}

func newScratch() *scratch {
	s := &scratch{spool: store.NewSpool(spoolBytes)}
	s.w = bufio.NewWriterSize(s.spool, scratchBuffer)
	return s
}

const scratchHead = 3 * 4

// What there may be of a row besides texts of its key and measures.
const (
	hasEntropy = 1 << (25 + iota)
	hasEvidence
	hasExamples
)

func keyTexts(k *detect.Key) [4]*string {
	return [...]*string{&k.Feed, &k.EntityType, &k.Entity, &k.Object}
}

// measures lists the whole numbers of a Summary.
func measures(s *detect.Summary) [21]*int64 {
	return [...]*int64{
		&s.Events, &s.BytesOut, &s.BytesIn, &s.KnownOut, &s.KnownIn, &s.First, &s.Last, &s.Hours, &s.PeakOut, &s.PeakTime,
		&s.Addresses, &s.Names, &s.NameBytes, &s.WindowEvents, &s.WindowAt, &s.WindowBytes, &s.BytesAt, &s.Odd, &s.MaxLength, &s.Rare, &s.NXDomain,
	}
}

func (s *scratch) add(r *detect.Row) error {
	if n := len(s.parts); n == 0 || s.parts[n-1].day != r.Day {
		s.endPart()
		s.parts = append(s.parts, &part{day: r.Day})
		s.last = detect.Key{}
	}
	p := s.parts[len(s.parts)-1]
	p.feeds = withFeed(p.feeds, r.Feed)

	s.numbers, s.texts = append(s.numbers[:0], make([]byte, scratchHead)...), s.texts[:0]
	bits := uint32(0)
	for i, v := range measures(&r.Summary) {
		if *v != 0 {
			bits |= 1 << (4 + i)
			s.numbers = binary.AppendVarint(s.numbers, *v)
		}
	}
	if r.MaxEntropy != 0 {
		bits |= hasEntropy
		s.numbers = binary.LittleEndian.AppendUint64(s.numbers, math.Float64bits(r.MaxEntropy))
	}
	text := func(t string) {
		s.numbers = binary.AppendUvarint(s.numbers, uint64(len(t)))
		s.texts = append(s.texts, t...)
	}
	before := keyTexts(&s.last)
	for i, t := range keyTexts(&r.Key) {
		if *t != *before[i] {
			bits |= 1 << i
			text(*t)
		}
	}
	s.last = r.Key
	if r.Evidence != "" {
		bits |= hasEvidence
		text(r.Evidence)
	}
	if len(r.Examples) > 0 {
		bits |= hasExamples
		s.numbers = binary.AppendUvarint(s.numbers, uint64(len(r.Examples)))
		for _, e := range r.Examples {
			text(e)
		}
	}
	head := s.numbers[:scratchHead]
	binary.LittleEndian.PutUint32(head, uint32(len(s.numbers)-scratchHead))
	binary.LittleEndian.PutUint32(head[4:], uint32(len(s.texts)))
	binary.LittleEndian.PutUint32(head[8:], bits)
	s.size += int64(len(s.numbers) + len(s.texts))
	if _, err := s.w.Write(s.numbers); err != nil {
		return err
	}
	_, err := s.w.Write(s.texts)
	return err
}

func (s *scratch) endPart() {
	if n := len(s.parts); n > 0 {
		s.parts[n-1].rows = s.rows(s.parts[n-1].day, s.from, s.size-s.from)
	}
	s.from = s.size
}

// end makes the parts readable. There must be no add afterwards.
func (s *scratch) end() error {
	s.endPart()
	return s.w.Flush()
}

// rows reads the rows of a part.
func (s *scratch) rows(day detect.Day, from, size int64) rowBlocks {
	return func(yield func([]detect.Row, error) bool) {
		in := scratchReader{r: bufio.NewReaderSize(io.NewSectionReader(s.spool, from, size), scratchBuffer)}
		var block [blockRows]detect.Row
		for n := 0; ; n++ {
			if n == len(block) {
				if !yield(block[:n], nil) {
					return
				}
				n = 0
			}
			block[n] = detect.Row{Day: day}
			switch err := in.read(&block[n]); {
			case err == nil:
			case !errors.Is(err, io.EOF):
				yield(nil, fmt.Errorf("read the temporary file of the run: %w", err))
				return
			default:
				if n > 0 {
					yield(block[:n], nil)
				}
				return
			}
		}
	}
}

type scratchReader struct {
	r       *bufio.Reader
	last    detect.Key
	row     []byte // room for one that is longer than the reader's
	numbers []byte // what is left of the row's
	texts   string
}

// read returns io.EOF at the end of the part, and only there.
func (in *scratchReader) read(r *detect.Row) error {
	head, err := in.r.Peek(scratchHead)
	if err != nil {
		if len(head) > 0 {
			err = short(err)
		}
		return err
	}
	numbers := scratchHead + int(binary.LittleEndian.Uint32(head))
	size := numbers + int(binary.LittleEndian.Uint32(head[4:]))
	bits := binary.LittleEndian.Uint32(head[8:])
	row, err := in.r.Peek(size)
	if errors.Is(err, bufio.ErrBufferFull) {
		in.row = slices.Grow(in.row[:0], size)[:size]
		row = in.row
		_, err = io.ReadFull(in.r, row)
		size = 0
	}
	if err != nil {
		return short(err)
	}
	in.numbers, in.texts = row[scratchHead:numbers], string(row[numbers:])

	for i, v := range measures(&r.Summary) {
		if bits>>(4+i)&1 != 0 {
			n, size := binary.Varint(in.numbers)
			*v, in.numbers = n, in.numbers[size:]
		}
	}
	if bits&hasEntropy != 0 {
		r.MaxEntropy = math.Float64frombits(binary.LittleEndian.Uint64(in.numbers))
		in.numbers = in.numbers[8:]
	}
	r.Key = in.last
	for i, t := range keyTexts(&r.Key) {
		if bits>>i&1 != 0 {
			*t = in.text()
		}
	}
	in.last = r.Key
	if bits&hasEvidence != 0 {
		r.Evidence = in.text()
	}
	if bits&hasExamples != 0 {
		r.Examples = make([]string, in.length())
		for i := range r.Examples {
			r.Examples[i] = in.text()
		}
	}
	_, err = in.r.Discard(size)
	return err
}

// short is the error of a row that is not there as a whole.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (in *scratchReader) length() int {
	n, size := binary.Uvarint(in.numbers)
	in.numbers = in.numbers[size:]
	return int(n)
}

func (in *scratchReader) text() string {
	n := in.length()
	text := in.texts[:n]
	in.texts = in.texts[n:]
	return text
}

// scratched keeps the rows that were folded as the state would.
func scratched(ctx context.Context, f *folded, aggregates []*detect.Aggregate) (*history, error) {
	h := newHistory()
	n := 0
	for _, a := range aggregates {
		s := newScratch()
		h.closers = append(h.closers, s.spool)
		for r, err := range f.Rows(a) {
			if n++; err == nil && n%aheadRows == 0 {
				err = ctx.Err()
			}
			if err == nil {
				err = s.add(r)
			}
			if err != nil {
				return h, err
			}
		}
		if err := s.end(); err != nil {
			return h, err
		}
		h.tables[a.Name] = s.parts
	}
	return h, nil
}
