package inflate

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

var (
	// ErrHeader is the error of a gzip member that does not begin as one.
	ErrHeader = errors.New("gzip: invalid header")
	// ErrChecksum is the error of a gzip member that is not what was compressed.
	ErrChecksum = errors.New("gzip: invalid checksum")
)

// A GzipReader reads a gzip stream of any number of members, decompressed and
// joined.
type GzipReader struct {
	deflate Reader
	sum     uint32 // CRC-32 of what was read of the member
	size    uint32
	err     error
}

// NewGzipReader returns a reader of the gzip stream that in is at, of which it
// reads the first header. As to compress/gzip, a stream without a byte is one
// without members: the error is io.EOF.
func NewGzipReader(in *bufio.Reader) (*GzipReader, error) {
	z := &GzipReader{deflate: Reader{in: in}}
	if err := z.header(); err != nil {
		return nil, err
	}
	return z, nil
}

func (z *GzipReader) Read(p []byte) (int, error) {
	for z.err == nil {
		n, err := z.deflate.Read(p)
		z.sum = crc32.Update(z.sum, crc32.IEEETable, p[:n])
		z.size += uint32(n)
		if err == io.EOF {
			err = z.next()
		}
		z.err = err
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
	return 0, z.err
}

// next reads from a member's trailer to the header of the next one.
func (z *GzipReader) next() error {
	sum, size := z.sum, z.size
	var trailer [8]byte
	if err := z.fill(trailer[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(trailer[:]) != sum || binary.LittleEndian.Uint32(trailer[4:]) != size {
		return ErrChecksum
	}
	z.sum, z.size = 0, 0
	z.deflate.restart()
	return z.header()
}

const (
	gzipExtra   = 1 << 2
	gzipName    = 1 << 3
	gzipComment = 1 << 4
	gzipCheck   = 1 << 1 // of the header
)

// maxText is how long a member's name or comment may be, with its final NUL. It
// is that of compress/gzip.
const maxText = 512

// header reads a member's header. Its error is io.EOF if nothing is there.
func (z *GzipReader) header() error {
	var fixed [10]byte
	if err := z.fill(fixed[:1]); err != nil {
		if err == io.ErrUnexpectedEOF {
			return io.EOF
		}
		return err
	}
	if err := z.fill(fixed[1:]); err != nil {
		return err
	}
	if fixed[0] != 0x1f || fixed[1] != 0x8b || fixed[2] != 8 {
		return ErrHeader
	}
	flags := fixed[3]
	if flags&gzipExtra != 0 {
		var length [2]byte
		if err := z.fill(length[:]); err != nil {
			return err
		}
		for range binary.LittleEndian.Uint16(length[:]) {
			if err := z.fill(fixed[:1]); err != nil {
				return err
			}
		}
	}
	for _, flag := range []byte{gzipName, gzipComment} {
		if flags&flag == 0 {
			continue
		}
		if err := z.text(); err != nil {
			return err
		}
	}
	if flags&gzipCheck != 0 {
		sum := uint16(z.sum)
		if err := z.fill(fixed[:2]); err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(fixed[:]) != sum {
			return ErrHeader
		}
	}
	z.sum = 0
	return nil
}

// text skips a name or comment.
func (z *GzipReader) text() error {
	var b [1]byte
	for range maxText {
		if err := z.fill(b[:]); err != nil {
			return err
		}
		if b[0] == 0 {
			return nil
		}
	}
	return ErrHeader
}

// fill reads all of p, and adds it to the sum, from outside the DEFLATE stream.
func (z *GzipReader) fill(p []byte) error {
	for i := range p {
		if err := z.deflate.need(8); err != nil {
			return err
		}
		p[i] = byte(z.deflate.take(8))
	}
	z.sum = crc32.Update(z.sum, crc32.IEEETable, p)
	return nil
}
