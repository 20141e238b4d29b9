package logs

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"slices"

	"github.com/ulikunitz/xz/lzma"
)

// The container of xz: streams of blocks, each of LZMA2, with an index behind them
// (https://tukaani.org/xz/xz-file-format.txt).
//
// Note: the reader of the library that decodes LZMA2 takes a dictionary of any size that
// a block names, which is 4 GiB for an object of 40 bytes.

const (
	xzMagic       = "\xfd7zXZ\x00"
	xzFooterMagic = "YZ"
	xzLZMA2       = 0x21 // the filter
)

var (
	errXZDamaged = errors.New("xz: damaged")
	errXZSum     = errors.New("xz: invalid checksum")
)

// An xzReader decompresses the streams of xz one after another.
type xzReader struct {
	in     xzInput
	flags  [2]byte      // of the stream
	block  io.Reader    // the text of the block; nil between blocks
	window streamWindow // its dictionary
	err    error

	// Of the block.
	head         int64     // size of its header
	text         int64     // bytes of text that were read
	packed, size int64     // as its header says, -1 if it does not
	sum          hash.Hash // of the text; nil if it is not checked

	// Of the stream: how many blocks it has, and the SHA-256 of what the index must
	// say of them. An index itself has no bound.
	blocks  uint64
	records hash.Hash
}

// An xzInput counts the bytes that are read.
type xzInput struct {
	src *bufio.Reader
	n   int64
	sum hash.Hash32 // of the bytes, from its reset on
	err error       // why src ended
}

func (in *xzInput) Read(p []byte) (int, error) {
	n, err := in.src.Read(p)
	in.n += int64(n)
	if err != nil {
		in.err = err
	}
	return n, err
}

// next returns the next n bytes, n being small, which are valid until more is read.
func (in *xzInput) next(n int) ([]byte, error) {
	p, err := in.src.Peek(n)
	if err != nil {
		return nil, noEOF(err)
	}
	in.src.Discard(n)
	in.n += int64(n)
	in.sum.Write(p)
	return p, nil
}

// checkSum compares the sum with the four bytes that follow.
func (in *xzInput) checkSum() error {
	want := in.sum.Sum32()
	p, err := in.next(4)
	if err == nil && binary.LittleEndian.Uint32(p) != want {
		err = errXZSum
	}
	return err
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func openXZ(in *bufio.Reader, w *windows) (io.Reader, error) {
	r := &xzReader{in: xzInput{src: in, sum: crc32.NewIEEE()}, window: streamWindow{of: w}, records: sha256.New()}
	return r, r.stream()
}

// Close gives up the dictionary.
func (r *xzReader) Close() error {
	r.block = nil
	r.window.free()
	return nil
}

// stream reads the header of a stream.
func (r *xzReader) stream() error {
	p, err := r.in.next(len(xzMagic))
	if err != nil {
		return err
	}
	if string(p) != xzMagic {
		return errXZDamaged
	}
	r.in.sum.Reset()
	if p, err = r.in.next(2); err != nil {
		return err
	}
	if r.flags = [2]byte(p); p[0] != 0 || p[1] > 15 {
		return errXZDamaged
	}
	r.blocks = 0
	r.records.Reset()
	return r.in.checkSum()
}

func (r *xzReader) Read(p []byte) (n int, err error) {
	for n == 0 && r.err == nil && len(p) > 0 {
		if r.block == nil {
			r.err = r.open()
			continue
		}
		n, err = r.block.Read(p)
		if r.text += int64(n); r.sum != nil {
			r.sum.Write(p[:n])
		}
		switch {
		case err == io.EOF:
			r.block, r.err = nil, r.close()
		case err != nil && r.in.err != nil: // the decoder may call it by another name
			r.err = noEOF(r.in.err)
		case err != nil:
			r.err = err
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

// open opens the next block; io.EOF if there is none.
func (r *xzReader) open() error {
	r.in.sum.Reset()
	p, err := r.in.next(1)
	if err != nil {
		return err
	}
	if p[0] == 0 {
		return r.index()
	}
	n := 4 * int(p[0])
	r.head, r.text, r.packed, r.size = int64(n+4), 0, -1, -1
	if p, err = r.in.next(n - 1); err != nil {
		return err
	}
	dictionary, err := r.header(bytes.NewReader(p))
	if sum := r.in.checkSum(); sum != nil {
		return sum
	}
	if err == nil {
		r.window.free() // each block has a dictionary of its own
		err = r.window.grow(int64(dictionary))
	}
	if err != nil {
		return err
	}
	r.sum = nil
	switch r.flags[1] {
	case 1:
		r.sum = crc32.NewIEEE()
	case 4:
		r.sum = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		r.sum = sha256.New()
	}
	r.in.n = 0
	r.block, err = lzma.Reader2Config{DictCap: dictionary}.NewReader2(&r.in)
	return err
}

// header reads the header of a block, which the bytes behind its size are, and returns
// the size of its dictionary.
func (r *xzReader) header(p *bytes.Reader) (dictionary int, err error) {
	flags, _ := p.ReadByte()
	for _, size := range []struct {
		flag byte
		n    *int64
	}{{0x40, &r.packed}, {0x80, &r.size}} {
		if flags&size.flag == 0 {
			continue
		}
		n, err := binary.ReadUvarint(p)
		if err != nil || n > 1<<62 {
			return 0, errXZDamaged
		}
		*size.n = int64(n)
	}
	filter, _ := binary.ReadUvarint(p)
	properties, _ := p.ReadByte()
	bits, err := p.ReadByte()
	switch {
	case err != nil:
		return 0, errXZDamaged
	case flags&0x3f != 0 || filter != xzLZMA2 || properties != 1:
		return 0, errors.New("xz: has a filter other than LZMA2: decompress it first")
	case bits > 40:
		return 0, errXZDamaged
	}
	size := int64(2|bits&1) << (bits/2 + 11)
	if r.size >= 0 {
		size = min(size, max(r.size, lzma.MinDictCap))
	}
	for p.Len() > 0 {
		if c, _ := p.ReadByte(); c != 0 {
			return 0, errXZDamaged
		}
	}
	return int(size), nil
}

// sumSizes are the sizes of the check sum behind a block, by kind of check.
var sumSizes = [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}

// close reads what stands behind a block.
func (r *xzReader) close() error {
	packed := r.in.n
	if r.packed >= 0 && packed != r.packed || r.size >= 0 && r.text != r.size {
		return errXZDamaged
	}
	if err := r.padding(packed); err != nil {
		return err
	}
	sum, err := r.in.next(sumSizes[r.flags[1]])
	if err != nil {
		return err
	}
	if r.sum != nil {
		want := r.sum.Sum(nil)
		if len(want) < sha256.Size { // CRCs are little-endian
			slices.Reverse(want)
		}
		if !bytes.Equal(sum, want) {
			return errXZSum
		}
	}
	r.blocks++
	var record [2 * binary.MaxVarintLen64]byte
	n := binary.PutUvarint(record[:], uint64(r.head+packed)+uint64(len(sum)))
	n += binary.PutUvarint(record[n:], uint64(r.text))
	r.records.Write(record[:n])
	return nil
}

// padding reads the zeros that follow n bytes up to a multiple of four.
func (r *xzReader) padding(n int64) error {
	for ; n%4 != 0; n++ {
		p, err := r.in.next(1)
		if err != nil {
			return err
		}
		if p[0] != 0 {
			return errXZDamaged
		}
	}
	return nil
}

// index reads the index behind its first byte, the footer, and the header of the
// stream that follows; io.EOF if none does.
func (r *xzReader) index() error {
	from := r.in.n - 1
	blocks, err := r.uvarint(nil)
	if err != nil {
		return err
	}
	if blocks != r.blocks {
		return errXZDamaged
	}
	want := r.records.Sum(nil)
	r.records.Reset()
	for range 2 * blocks {
		if _, err := r.uvarint(r.records); err != nil {
			return err
		}
	}
	if !bytes.Equal(want, r.records.Sum(nil)) {
		return errXZDamaged
	}
	if err := r.padding(r.in.n - from); err != nil {
		return err
	}
	if err := r.in.checkSum(); err != nil {
		return err
	}
	size := r.in.n - from
	footer, err := r.in.next(12)
	switch {
	case err != nil:
		return err
	case crc32.ChecksumIEEE(footer[4:10]) != binary.LittleEndian.Uint32(footer):
		return errXZSum
	case int64(binary.LittleEndian.Uint32(footer[4:])+1)*4 != size, [2]byte(footer[8:]) != r.flags, string(footer[10:]) != xzFooterMagic:
		return errXZDamaged
	}
	for { // zeros may stand between streams, four at a time
		p, err := r.in.src.Peek(4)
		switch {
		case len(p) == 0:
			return err
		case len(p) < 4:
			return noEOF(err)
		case string(p) != "\x00\x00\x00\x00":
			return r.stream()
		}
		r.in.src.Discard(4)
	}
}

// uvarint reads a number of the index, and adds its bytes to a sum.
func (r *xzReader) uvarint(sum hash.Hash) (n uint64, err error) {
	for shift := 0; shift < 63; shift += 7 {
		p, err := r.in.next(1)
		if err != nil {
			return 0, err
		}
		if sum != nil {
			sum.Write(p)
		}
		if n |= uint64(p[0]&0x7f) << shift; p[0] < 0x80 {
			return n, nil
		}
	}
	return 0, errXZDamaged
}
