package jobs

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
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
// key: the state of a run that has none. Its form is nobody else's. It has blocks
// of up to blockRows rows of one day:
//
//	4 bytes  length of the numbers
//	4 bytes  length of the texts
//	4 bytes  rows
//	4 bytes  examples of all the rows
//	numbers  of each row: 8 bytes with the widths of its measures, 3 bits each; a byte
//	         with what else there is of it; the measures; entropy; scores; lengths of its texts
//	texts    of each row: those of the key that the row before does not have,
//	         evidence, the likeliest name and its signs, examples
//
// So a block's texts are one piece of memory, and a measure is read in one step.
type scratch struct {
	spool *store.Spool
	w     *bufio.Writer
	parts []*part
	from  int64 // where the last part begins
	size  int64
	last  detect.Key // of that part

	// The block that is not full yet.
	numbers, texts []byte
	rows, examples int
}

func newScratch() *scratch {
	s := &scratch{spool: store.NewSpool(spoolBytes)}
	s.w = bufio.NewWriterSize(s.spool, scratchBuffer)
	return s
}

const (
	scratchHead = 4 * 4
	rowHead     = 8 + 1
)

// What there may be of a row besides measures and texts of its key, a bit each
// above those of the texts.
const (
	hasEntropy = 1 << (4 + iota)
	hasEvidence
	hasExamples
	hasScores
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

// scores are measures that few rows have: the widths of measures are full.
func scores(s *detect.Summary) [6]*int64 {
	return [...]*int64{&s.Scored, &s.Over, &s.OverBytes, &s.OverScore, &s.MaxScore, &s.WindowNames}
}

// timeMeasures are those of measures that are times, a bit each: they are kept
// from midnight on.
const timeMeasures = 1<<5 | 1<<6 | 1<<9 | 1<<14 | 1<<16

// widths are the bytes that a measure may take, by their number in a row's first
// eight bytes. What is zero takes none, and nothing else does.
var widths = [8]int{0, 1, 2, 3, 4, 5, 6, 8}

// widthOf returns the number of the least width for a value of so many bits.
func widthOf(bits int) int {
	return min(max(1, (bits+7)/8), len(widths)-1)
}

func midnight(day detect.Day) int64 { return day.Time().UnixMicro() }

func (s *scratch) add(r *detect.Row) error {
	if n := len(s.parts); n == 0 || s.parts[n-1].day != r.Day {
		if err := s.endPart(); err != nil {
			return err
		}
		s.parts = append(s.parts, &part{day: r.Day})
		s.last = detect.Key{}
	}
	p := s.parts[len(s.parts)-1]
	p.feeds = withFeed(p.feeds, r.Feed)
	p.count++

	row := len(s.numbers)
	s.numbers = append(s.numbers, make([]byte, rowHead)...)
	var wide uint64
	var has byte
	for i, v := range measures(&r.Summary) {
		n := *v
		if n == 0 {
			continue
		}
		if timeMeasures>>i&1 != 0 {
			n -= midnight(r.Day)
		}
		zigzag := uint64(n)<<1 ^ uint64(n>>63)
		width := widthOf(bits.Len64(zigzag))
		wide |= uint64(width) << (3 * i)
		s.numbers = binary.LittleEndian.AppendUint64(s.numbers, zigzag)
		s.numbers = s.numbers[:len(s.numbers)-8+widths[width]]
	}
	if r.MaxEntropy != 0 {
		has |= hasEntropy
		s.numbers = binary.LittleEndian.AppendUint64(s.numbers, math.Float64bits(r.MaxEntropy))
	}
	scored := r.Scored != 0 || r.WindowNames != 0
	if scored {
		has |= hasScores
		for _, v := range scores(&r.Summary) {
			s.numbers = binary.AppendUvarint(s.numbers, uint64(*v))
		}
	}
	text := func(t string) {
		s.numbers = binary.AppendUvarint(s.numbers, uint64(len(t)))
		s.texts = append(s.texts, t...)
	}
	before := keyTexts(&s.last)
	for i, t := range keyTexts(&r.Key) {
		if *t != *before[i] {
			has |= 1 << i
			text(*t)
		}
	}
	s.last = r.Key
	if r.Evidence != "" {
		has |= hasEvidence
		text(r.Evidence)
	}
	if scored {
		text(r.Likely)
		text(r.Signs)
	}
	if len(r.Examples) > 0 {
		has |= hasExamples
		s.numbers = binary.AppendUvarint(s.numbers, uint64(len(r.Examples)))
		for _, e := range r.Examples {
			text(e)
		}
		s.examples += len(r.Examples)
	}
	binary.LittleEndian.PutUint64(s.numbers[row:], wide)
	s.numbers[row+8] = has
	if s.rows++; s.rows == blockRows || len(s.texts) >= scratchBuffer {
		return s.endBlock()
	}
	return nil
}

func (s *scratch) endBlock() error {
	if s.rows == 0 {
		return nil
	}
	var head [scratchHead]byte
	for i, n := range [...]int{len(s.numbers), len(s.texts), s.rows, s.examples} {
		binary.LittleEndian.PutUint32(head[4*i:], uint32(n))
	}
	for _, b := range [...][]byte{head[:], s.numbers, s.texts} {
		if _, err := s.w.Write(b); err != nil {
			return err
		}
		s.size += int64(len(b))
	}
	s.numbers, s.texts, s.rows, s.examples = s.numbers[:0], s.texts[:0], 0, 0
	return nil
}

func (s *scratch) endPart() error {
	if err := s.endBlock(); err != nil {
		return err
	}
	if n := len(s.parts); n > 0 {
		s.parts[n-1].rows = s.rowsOf(s.parts[n-1].day, s.from, s.size-s.from)
	}
	s.from = s.size
	return nil
}

// end makes the parts readable. There must be no add afterwards.
func (s *scratch) end() error {
	if err := s.endPart(); err != nil {
		return err
	}
	return s.w.Flush()
}

// rowsOf reads the rows of a part.
func (s *scratch) rowsOf(day detect.Day, from, size int64) rowBlocks {
	return func(yield func([]detect.Row, error) bool) {
		in := scratchReader{r: bufio.NewReaderSize(io.NewSectionReader(s.spool, from, size), scratchBuffer), day: day}
		for {
			switch err := in.next(); {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(nil, fmt.Errorf("read the temporary file of the run: %w", err))
				return
			}
			if !yield(in.rows, nil) {
				return
			}
		}
	}
}

type scratchReader struct {
	r    *bufio.Reader
	day  detect.Day
	rows []detect.Row // of the block
	room [blockRows]detect.Row
	last detect.Key
	body []byte

	numbers []byte   // that are left of the block
	texts   string   // likewise
	list    []string // likewise, room for examples
}

// next reads a block. It returns io.EOF at the end of the part, and only there.
func (in *scratchReader) next() error {
	var head [scratchHead]byte
	if _, err := io.ReadFull(in.r, head[:]); err != nil {
		return err
	}
	length := func(i int) int { return int(binary.LittleEndian.Uint32(head[4*i:])) }
	numbers, size := length(0), length(0)+length(1)
	in.body = slices.Grow(in.body[:0], size+8)[:size+8] // a measure is read as eight bytes
	if _, err := io.ReadFull(in.r, in.body[:size]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	in.numbers, in.texts, in.list = in.body, string(in.body[numbers:size]), nil
	if n := length(3); n > 0 {
		in.list = make([]string, n)
	}
	in.rows = in.room[:length(2)]
	at := midnight(in.day)
	for i := range in.rows {
		in.row(&in.rows[i], at)
	}
	return nil
}

// row reads the next row of the block, of the day that begins at midnight.
func (in *scratchReader) row(r *detect.Row, midnight int64) {
	wide := binary.LittleEndian.Uint64(in.numbers)
	has := in.numbers[8]
	b := in.numbers[rowHead:]
	*r = detect.Row{Day: in.day}
	for i, v := range measures(&r.Summary) {
		width := wide >> (3 * i) & 7
		if width == 0 {
			continue
		}
		size := widths[width]
		zigzag := binary.LittleEndian.Uint64(b) & (1<<(8*size) - 1)
		b = b[size:]
		n := int64(zigzag>>1) ^ -int64(zigzag&1)
		if timeMeasures>>i&1 != 0 {
			n += midnight
		}
		*v = n
	}
	if has&hasEntropy != 0 {
		r.MaxEntropy = math.Float64frombits(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	in.numbers = b
	if has&hasScores != 0 {
		for _, v := range scores(&r.Summary) {
			*v = int64(in.length())
		}
	}
	for i, t := range keyTexts(&in.last) {
		if has>>i&1 != 0 {
			*t = in.text()
		}
	}
	r.Key = in.last
	if has&hasEvidence != 0 {
		r.Evidence = in.text()
	}
	if has&hasScores != 0 {
		r.Likely, r.Signs = in.text(), in.text()
	}
	if has&hasExamples != 0 {
		n := in.length()
		r.Examples, in.list = in.list[:n:n], in.list[n:]
		for i := range r.Examples {
			r.Examples[i] = in.text()
		}
	}
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

// scratched keeps the rows that were folded as the state would, those of several
// aggregates at the same time.
func scratched(ctx context.Context, f *folded, aggregates []*detect.Aggregate, workers int) (*history, error) {
	h := newHistory()
	all := make([]*scratch, len(aggregates))
	for i := range all {
		all[i] = newScratch()
		h.closers = append(h.closers, all[i].spool)
	}
	err := together(workers, len(aggregates), func(i int) error {
		n := 0
		for r, err := range f.Rows(aggregates[i]) {
			if n++; err == nil && n%aheadRows == 0 {
				err = ctx.Err()
			}
			if err == nil {
				err = all[i].add(r)
			}
			if err != nil {
				return err
			}
		}
		return all[i].end()
	})
	for i, a := range aggregates {
		h.tables[a.Name] = all[i].parts
	}
	return h, err
}
