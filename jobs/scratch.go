package jobs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

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
// key: the state of a run that has none.
//
// A row is its length and, as uvarint, which of its parts are there, then these:
// the texts of the key that are not those of the row before, the measures that are
// not zero, the entropy, the evidence, the examples. The form is nobody else's.
type scratch struct {
	spool *spool
	w     *bufio.Writer
	parts []*part
	from  int64 // where the last part begins
	size  int64
	last  detect.Key // of that part
	row   []byte
	head  []byte
}

func newScratch() *scratch {
	s := &scratch{spool: newSpool(spoolBytes)}
	s.w = bufio.NewWriterSize(s.spool, scratchBuffer)
	return s
}

// The bits of a row's parts after those of its key and measures.
const (
	hasEntropy = 1 << (24 + iota)
	hasEvidence
	hasExamples
)

func keyTexts(k *detect.Key) [4]*string {
	return [...]*string{&k.Feed, &k.EntityType, &k.Entity, &k.Object}
}

// measures lists the whole numbers of a Summary.
func measures(s *detect.Summary) [20]*int64 {
	return [...]*int64{
		&s.Events, &s.BytesOut, &s.BytesIn, &s.KnownOut, &s.KnownIn, &s.First, &s.Last, &s.Hours, &s.PeakOut, &s.PeakTime,
		&s.Names, &s.NameBytes, &s.WindowEvents, &s.WindowAt, &s.WindowBytes, &s.BytesAt, &s.Odd, &s.MaxLength, &s.Rare, &s.NXDomain,
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

	b, bits := s.row[:0], uint64(0)
	text := func(bit uint64, text string) {
		bits |= bit
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	before := keyTexts(&s.last)
	for i, t := range keyTexts(&r.Key) {
		if *t != *before[i] {
			text(1<<i, *t)
		}
	}
	s.last = r.Key
	for i, v := range measures(&r.Summary) {
		if *v != 0 {
			bits |= 1 << (4 + i)
			b = binary.AppendVarint(b, *v)
		}
	}
	if r.MaxEntropy != 0 {
		bits |= hasEntropy
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(r.MaxEntropy))
	}
	if r.Evidence != "" {
		text(hasEvidence, r.Evidence)
	}
	if len(r.Examples) > 0 {
		bits |= hasExamples
		b = binary.AppendUvarint(b, uint64(len(r.Examples)))
		for _, e := range r.Examples {
			text(hasExamples, e)
		}
	}
	s.row = b

	s.head = binary.AppendUvarint(s.head[:0], uint64(len(b)))
	s.head = binary.AppendUvarint(s.head, bits)
	s.size += int64(len(s.head) + len(b))
	if _, err := s.w.Write(s.head); err != nil {
		return err
	}
	_, err := s.w.Write(b)
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
	r      *bufio.Reader
	last   detect.Key
	buffer []byte
	row    []byte // what is left of the row in it
}

// read returns io.EOF at the end of the part, and only there.
func (in *scratchReader) read(r *detect.Row) error {
	size, err := binary.ReadUvarint(in.r)
	if err != nil {
		return err
	}
	bits, err := binary.ReadUvarint(in.r)
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	in.buffer = slices.Grow(in.buffer[:0], int(size))
	in.row = in.buffer[:size]
	if _, err := io.ReadFull(in.r, in.row); err != nil {
		return io.ErrUnexpectedEOF
	}
	r.Key = in.last
	for i, t := range keyTexts(&r.Key) {
		if bits>>i&1 != 0 {
			*t = in.text()
		}
	}
	in.last = r.Key
	for i, v := range measures(&r.Summary) {
		if bits>>(4+i)&1 != 0 {
			n, size := binary.Varint(in.row)
			*v, in.row = n, in.row[size:]
		}
	}
	if bits&hasEntropy != 0 {
		r.MaxEntropy, in.row = math.Float64frombits(binary.LittleEndian.Uint64(in.row)), in.row[8:]
	}
	if bits&hasEvidence != 0 {
		r.Evidence = in.text()
	}
	if bits&hasExamples != 0 {
		n, size := binary.Uvarint(in.row)
		in.row = in.row[size:]
		r.Examples = make([]string, n)
		for i := range r.Examples {
			r.Examples[i] = in.text()
		}
	}
	return nil
}

func (in *scratchReader) text() string {
	n, size := binary.Uvarint(in.row)
	text := string(in.row[size:][:n])
	in.row = in.row[uint64(size)+n:]
	return text
}

// scratched keeps the rows that were folded as the state would.
func scratched(f *folded, aggregates []*detect.Aggregate) (*history, error) {
	h := newHistory()
	for _, a := range aggregates {
		s := newScratch()
		h.closers = append(h.closers, s.spool)
		for r, err := range f.Rows(a) {
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
