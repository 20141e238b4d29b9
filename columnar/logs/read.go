package logs

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"outflow/columnar/iceberg"
	"outflow/columnar/scan"
)

// headSize is how much of an object is looked at to tell what it is. Zeek and
// W3C headers have less than 4 KiB; a record that is longer is not recognised.
const headSize = 64 << 10

// longHead is how much is looked at where the first record is longer than that: what queues and event
// buses take as one message. More takes longer: a header of a million columns is resolved.
const longHead = 4 * headSize

// An Object is one stored log object.
type Object struct {
	Name    string // as findings and reports name it
	Size    int64  // bytes as stored
	Written time.Time
	// Open returns the stored bytes from the start.
	Open func() (io.ReadCloser, error)
	// At gives access to ranges, for zip archives and formats with Split. Nil:
	// these cannot be read.
	At func() (ReaderAtCloser, error)
	// Table is what a table knows of the object, if it is one of a table's data files.
	Table *InTable
}

// A ReaderAtCloser reads ranges of an object.
type ReaderAtCloser interface {
	io.ReaderAt
	io.Closer
}

// A Member is one log in an object: the object itself, or a file in a zip or tar
// archive. Name, Format and Options are set before its first block is yielded,
// the rest when Read returns.
type Member struct {
	Name       string   // the object's, or object!file
	Format     *Format  // nil if unknown
	Options    *Options // for Format.New, with Head and Written
	Size       int64    // bytes read, after decompression and unwrapping
	LastRecord int64    // number of the last record that was read; 0 for formats with Split
	Err        error    // why it was not read or ended early, without its name; nil if it is whole

	// Length and Tail are the length of the member's Content in bytes, and the SHA-256
	// of its last KiB. 0 unless it was read to its end and ReadOptions.Content is set.
	Length int64
	Tail   [sha256.Size]byte
}

var (
	// ErrEmpty is the error of a member without a byte of text. See also NotLog.
	ErrEmpty = errors.New("is empty")
	// ErrUnknown is the error of a member that no format recognises.
	ErrUnknown = errors.New("unrecognised format: try --format, or describe it in a source file (outflow sources new)")
	// ErrSkip, returned by yield, ends the member that is being read, and not the object.
	ErrSkip = errors.New("the rest is skipped")
)

// ReadOptions say how objects are read. The zero value recognises formats.
type ReadOptions struct {
	Format  *Format // nil: recognise each member
	Formats Formats // as what; nil: All
	Options Options // for Format.New; Head and, if zero, Written are filled in
	// Buffers holds the blocks; it may be shared by concurrent Reads. Nil: a
	// block is valid until yield returns.
	Buffers *Buffers
	// MaxRecord is how long a record may be, in bytes; longer ones are skipped
	// and counted. 0: MaxRecord. It must not be less than a block.
	MaxRecord int
	// Content, if set, is called for each member that is not empty, before anything of
	// it is decoded. An error ends the member and is its Err.
	Content func(*Member, *Content) error
	// Windows, if set, is called before the decompressors of the object take total bytes for
	// their windows and dictionaries, and when they take less again. It may wait, although a
	// block is being filled: other readers must not need all Buffers meanwhile. An error ends
	// the stream and is the member's. Nil: each may take 128 MiB.
	Windows func(total int64) error
}

// Read yields the blocks of an object's members in order, decompressed, as UTF-8 and JSON
// as one record a line. The consumer owns a block until it releases it, unless
// ReadOptions.Buffers is nil; Read does not return before the blocks of formats with
// Split are released. An error of yield ends reading, except for ErrSkip, and is the Err
// of the member being read.
//
// A stream that is cut off or damaged is yielded up to there: then its member
// has both blocks and an Err.
func Read(o *Object, ro *ReadOptions, yield func(*Member, *Block) error) []*Member {
	r := reader{object: o, ReadOptions: *ro, yield: yield, named: map[string]int{}, windows: windows{allow: ro.Windows}}
	if r.MaxRecord == 0 {
		r.MaxRecord = MaxRecord
	}
	if r.Options.Written.IsZero() {
		r.Options.Written = o.Written
	}
	if r.Buffers == nil {
		r.Buffers = NewBuffers(1, BlockSize)
		r.yield = func(m *Member, b *Block) error {
			defer b.Release()
			return yield(m, b)
		}
	}
	m := r.member(o.Name)
	m.Err = r.open(m)
	return r.members
}

type reader struct {
	ReadOptions
	object  *Object
	yield   func(*Member, *Block) error
	members []*Member
	named   map[string]int // how many members have a name
	nested  int            // archives that are open
	more    bool           // members may follow
	// again opens the stream of the member at hand anew. Nil: it can be read only once.
	again   func() (io.ReadCloser, error)
	stopped bool // yield returned an error, or no more is wanted
	windows windows
}

// member adds a member. If several files have the same name, each is a member of its own.
func (r *reader) member(name string) *Member {
	if r.named[name]++; r.named[name] > 1 {
		name = fmt.Sprintf("%s#%d", name, r.named[name])
	}
	m := &Member{Name: name}
	r.members = append(r.members, m)
	return m
}

// drop takes back a member that turned out to be an archive.
func (r *reader) drop(m *Member) {
	r.members = slices.DeleteFunc(r.members, func(have *Member) bool { return have == m })
}

// open reads the object as what its first bytes say it is.
func (r *reader) open(m *Member) error {
	f, err := r.object.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	stored := &counter{src: f}
	in := bufio.NewReaderSize(stored, headSize)
	head, err := in.Peek(headSize)
	switch {
	case len(head) == 0 && err != io.EOF:
		return err
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return r.archive(m)
	}
	format := r.binary(head)
	if r.object.Table != nil && format != Parquet {
		return errors.New("is not Parquet, although the table says so")
	}
	if format != nil {
		if err := r.show(m, in); err != nil {
			return err
		}
		return r.split(m, format, head)
	}
	r.again = r.object.Open
	return r.stream(m, in, stored)
}

// binary returns the format with Split of an object that begins with head.
func (r *reader) binary(head []byte) *Format {
	if r.Format != nil {
		switch {
		case r.Format.Split != nil:
			return r.Format
		case r.Format.Leaves != nil && Parquet.Sniff(head):
			return Parquet
		}
		return nil
	}
	formats := r.Formats
	if formats == nil {
		formats = particular // no other has Split
	}
	for _, f := range formats {
		if f.Split != nil && f.Sniff != nil && f.Sniff(head) {
			return f
		}
	}
	return nil
}

func (r *reader) split(m *Member, format *Format, head []byte) error {
	if r.object.At == nil {
		return fmt.Errorf("%s needs access to ranges of the object: copy it to a disk or a bucket", format.Name)
	}
	at, err := r.object.At()
	if err != nil {
		return err
	}
	defer at.Close()
	split := func(o *Options, yield func(*Block) error) error { return format.Split(at, r.object.Size, o, yield) }
	if format == Parquet {
		format, split = r.parquet(at)
	}
	r.begin(m, format, head)
	m.Size = r.object.Size
	r.sealStored(m, at)
	var held sync.WaitGroup
	defer held.Wait() // decoding such a block reads the object
	return split(m.Options, func(b *Block) error {
		held.Add(1)
		b.held = &held
		return r.yield(m, b)
	})
}

// begin sets what is known of a member once its format is.
func (r *reader) begin(m *Member, format *Format, head []byte) {
	options := r.Options.of(format)
	options.Table = r.object.Table
	options.Head, options.Name = bytes.Clone(head), m.Name[strings.LastIndexAny(m.Name, "/!\\")+1:]
	m.Format, m.Options = format, &options
}

// A stream is the text of a member as it is stored.
type stream struct {
	in      *bufio.Reader // decompressed
	stored  *counter      // what it is read from
	content *counter      // what was decompressed; stored if nothing was
	what    string        // it is, as errors say
	open    []io.Closer
	interim *interimReader // what lines reads through, if that drops records; else nil
}

// decompressed returns the stream that in begins. stored counts the bytes that in has read.
func (r *reader) decompressed(in *bufio.Reader, stored *counter) (*stream, error) {
	s := &stream{in: in, stored: stored, content: stored, what: "object"}
	for depth := 0; ; depth++ {
		src, compression, err := decompress(s.in, &r.windows)
		if err != nil {
			s.close()
			return nil, err
		}
		if compression == "" {
			return s, nil
		}
		if c, ok := src.(io.Closer); ok {
			s.open = append(s.open, c)
		}
		if depth == maxNested {
			s.close()
			return nil, fmt.Errorf("is compressed more than %d times: decompress it first", maxNested)
		}
		s.what = compression + " stream"
		s.content = &counter{src: src}
		s.in = bufio.NewReaderSize(s.content, headSize)
	}
}

// lines returns its text with one record a line.
func (s *stream) lines() *bufio.Reader {
	in := asUTF8(s.in)
	if s.interim = interimOf(in); s.interim != nil {
		in = bufio.NewReaderSize(s.interim, headSize)
	}
	src := lines(in)
	if c, ok := src.(io.Closer); ok {
		s.open = append(s.open, c)
	}
	return bufio.NewReaderSize(src, headSize)
}

func (s *stream) close() {
	for _, c := range slices.Backward(s.open) {
		c.Close()
	}
	s.open = nil
}

// stream reads one member. stored counts the bytes that in has read.
func (r *reader) stream(m *Member, in *bufio.Reader, stored *counter) error {
	s, err := r.decompressed(in, stored)
	if err != nil {
		return err
	}
	defer s.close()
	if head, _ := s.in.Peek(tarBlock); isTar(head) {
		r.more = true
		return r.tar(m, s.in)
	}
	if err := r.show(m, s.in); err != nil {
		return err
	}
	start, _ := s.in.Peek(headSize)
	if err := notLog(start); err != nil {
		return err
	}
	text := s.lines()
	head, err := text.Peek(headSize)
	known, unknown := r.recognise(head)
	if err == nil && bytes.IndexByte(head, '\n') < 0 && r.tellsNothing(&known, unknown) {
		// What is around the first record may be longer than the head.
		text = bufio.NewReaderSize(text, longHead)
		head, err = text.Peek(longHead)
		known, unknown = r.recognise(head)
	}
	first := func(known *recognised) error { return r.text(m, s, text, known) }
	if unknown == ErrUnknown && err == nil && r.again != nil {
		if later := r.later(head, text); later != nil {
			known, unknown = *later, nil
			first = func(known *recognised) error {
				s.close()
				return r.part(m, known)
			}
		}
	}
	if unknown == ErrEmpty && s.interim != nil && s.interim.waiting > 0 {
		unknown = errInterim
	}
	if unknown != nil {
		if err == nil || err == io.EOF {
			return unknown
		}
		return s.failed(m, err) // damaged before it could be recognised
	}
	machine := known.machine
	if machine == nil || r.again == nil && len(machine.formats) > 1 {
		return first(&known)
	}
	err = first(known.of(machine.formats[0]))
	s.close()
	for _, f := range machine.formats[1:] {
		if r.stopped {
			break
		}
		part := r.member(m.Name + "!" + f.Name)
		part.Err = r.part(part, known.of(f))
	}
	return err
}

// tellsNothing reports whether the head of a member gave no format, or only one of any names that has no
// row there.
func (r *reader) tellsNothing(known *recognised, unknown error) bool {
	return unknown == ErrUnknown || unknown == nil && known.format.Generic && r.worth(known.format, known.head, known.layers != nil).rows == 0
}

// part reads the records of one format of a member that is read once more for them.
func (r *reader) part(m *Member, known *recognised) error {
	f, err := r.again()
	if err != nil {
		return err
	}
	defer f.Close()
	stored := &counter{src: f}
	s, err := r.decompressed(bufio.NewReaderSize(stored, headSize), stored)
	if err != nil {
		return err
	}
	defer s.close()
	return r.text(m, s, s.lines(), known)
}

// text reads the text of a member as it was recognised.
func (r *reader) text(m *Member, s *stream, text *bufio.Reader, known *recognised) (err error) {
	c := cutter{
		src: text, buffers: r.Buffers, maxRecord: r.MaxRecord, format: known.format, interim: s.interim,
		yield: func(b *Block) error {
			err := r.yield(m, b)
			r.stopped = err != nil && !errors.Is(err, ErrSkip)
			return err
		},
	}
	r.begin(m, known.format, known.head)
	m.Options.Inside = len(known.layers) > 0
	if known.machine != nil && known.format.Shared && len(known.machine.formats) > 1 {
		among := known.machine.formats[1].Name
		hand := c.yield
		c.yield = func(b *Block) error {
			b.Among = among
			return hand(b)
		}
	}
	if len(known.layers) > 0 {
		c.wrapped = newUnwrapper(text, known, &r.ReadOptions)
		c.src = c.wrapped
	}
	err = c.run()
	m.Size, m.LastRecord = c.size, c.lastRecord()
	if c.err == io.EOF && r.Content != nil {
		s.content.seal(m)
	}
	if c.err == nil || c.err == io.EOF || r.stopped {
		return err
	}
	return s.failed(m, c.err)
}

// failed is the error of a member that cannot be read to its end.
func (s *stream) failed(m *Member, err error) error {
	return fmt.Errorf("%s %s at byte %d: %w; %d records were read", s.what, damage(err), s.stored.n, err, m.LastRecord)
}

func damage(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "ends early"
	}
	return "cannot be read on"
}

// mistakenBOM is a byte order mark that a program took for three characters of Latin-1.
const mistakenBOM = "\u00ef\u00bb\u00bf"

// asUTF8 returns in as UTF-8 without byte order mark.
func asUTF8(in *bufio.Reader) *bufio.Reader {
	head, _ := in.Peek(16)
	even, odd := nulBytes(head)
	mark, size, big := 0, 2, false
	switch {
	case bytes.HasPrefix(head, utf8BOM):
		in.Discard(len(utf8BOM))
		return bufio.NewReaderSize(&markReader{src: in}, headSize)
	case bytes.HasPrefix(head, []byte(mistakenBOM)):
		in.Discard(len(mistakenBOM))
		return in
	case bytes.HasPrefix(head, []byte("\xff\xfe\x00\x00")):
		mark, size = 4, 4
	case bytes.HasPrefix(head, []byte("\x00\x00\xfe\xff")):
		mark, size, big = 4, 4, true
	case bytes.HasPrefix(head, []byte("\xff\xfe")):
		mark = 2
	case bytes.HasPrefix(head, []byte("\xfe\xff")):
		mark, big = 2, true
	case even == 0 && odd == 8: // no mark, but Latin text
	case even == 8 && odd == 0:
		big = true
	default:
		return in
	}
	in.Discard(mark)
	return bufio.NewReaderSize(&wideReader{src: in, size: size, big: big}, headSize)
}

// nulBytes returns how many NUL bytes stand at even and at odd places of head.
func nulBytes(head []byte) (even, odd int) {
	for i, c := range head {
		switch {
		case c != 0:
		case i%2 == 0:
			even++
		default:
			odd++
		}
	}
	return even, odd
}

// lines returns text with one record a line. Binary data stays unchanged.
func lines(in *bufio.Reader) io.Reader {
	head, _ := in.Peek(headSize)
	switch {
	case EVTX.Sniff(head):
		return in
	case isJournal(head):
		return &journalReader{src: in}
	case bytes.HasPrefix(head, []byte(iceberg.AvroMagic)):
		return iceberg.AvroLines(in)
	}
	in = bufio.NewReaderSize(&holeReader{src: in}, headSize)
	head, _ = in.Peek(headSize)
	if isPsql(head) {
		in = bufio.NewReaderSize(&psqlReader{src: in}, headSize)
		head, _ = in.Peek(headSize)
	}
	if form := blockFormOf(head); form != nil {
		return &blockReader{blockForm: form, src: in}
	}
	if form := batchFormOf(head); form != nil {
		return &batchReader{batchForm: form, src: in}
	}
	if scan.NeedsJSONLines(head, headSize) {
		return scan.JSONLines(in)
	}
	if r := markedTable(head); r != nil {
		r.src = in
		return r
	}
	if sep := spacedSeparator(head); sep != 0 {
		return &spacedReader{src: in, sep: sep, behind: true}
	}
	switch {
	case bytes.IndexByte(head, '\r') >= 0 && bytes.IndexByte(head, '\n') < 0:
		return crReader{in}
	case isCounted(head):
		return &countedReader{src: in}
	}
	return in
}

// mapped returns the format for a mapping whose names nobody else knows, if format is
// nil and there is one.
func (r *reader) mapped(head []byte, format *Format) *Format {
	switch {
	case format != nil || r.Options.Mapping == nil || len(head) == 0:
		return format
	case head[0] == '{':
		return JSONLines
	}
	return CSV
}
