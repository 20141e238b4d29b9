package inflate

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

var (
	// errHeader is the error of input that does not begin like a gzip member.
	errHeader = errors.New("gzip: invalid header")
	// ErrChecksum is the error of a member whose length or checksum does not match
	// its trailer.
	ErrChecksum = errors.New("gzip: invalid checksum")
)

// A GzipReader reads a gzip stream and decompresses its members one after another.
// Everything decoded before an error is returned before that error. The error is
// io.ErrUnexpectedEOF if the stream is cut off.
type GzipReader struct {
	deflate Reader
	sum     uint32 // CRC-32 of what was read of the member
	size    uint32
	err     error
	buf     [10]byte // a header or trailer
}

// NewGzipReader returns a reader of the gzip stream in in. It reads the first
// header. The error is io.EOF if in is at its end.
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

// next reads from a member's trailer to the next member's header.
func (z *GzipReader) next() error {
	sum, size := z.sum, z.size
	if err := z.take(8); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(z.buf[:]) != sum || binary.LittleEndian.Uint32(z.buf[4:]) != size {
		return ErrChecksum
	}
	z.sum, z.size = 0, 0
	z.deflate.restart()
	if err := z.padding(); err != nil {
		return err
	}
	return z.header()
}

// padding skips zeros behind a member. Its error is io.EOF if nothing follows them:
// tapes and disk images fill up their blocks so.
func (z *GzipReader) padding() error {
	for n := 0; ; n++ {
		switch err := z.deflate.need(8); {
		case err == io.ErrUnexpectedEOF:
			return io.EOF
		case err != nil:
			return err
		case z.deflate.bits&0xff != 0 && n > 0:
			return errHeader
		case z.deflate.bits&0xff != 0:
			return nil
		}
		z.deflate.take(8)
	}
}

const (
	gzipExtra   = 1 << 2
	gzipName    = 1 << 3
	gzipComment = 1 << 4
	gzipCheck   = 1 << 1 // of the header
)

// maxText is the longest name or comment in bytes, with the NUL that ends it: the
// limit of compress/gzip.
const maxText = 512

// header reads a member's header. The error is io.EOF if in is at its end.
func (z *GzipReader) header() error {
	if err := z.take(1); err == io.ErrUnexpectedEOF {
		return io.EOF
	} else if err != nil {
		return err
	}
	first := z.buf[0]
	if err := z.take(9); err != nil {
		return err
	}
	if first != 0x1f || z.buf[0] != 0x8b || z.buf[1] != 8 {
		return errHeader
	}
	flags := z.buf[2]
	if flags&gzipExtra != 0 {
		if err := z.take(2); err != nil {
			return err
		}
		for range binary.LittleEndian.Uint16(z.buf[:]) {
			if err := z.take(1); err != nil {
				return err
			}
		}
	}
	if flags&gzipName != 0 {
		if err := z.skipText(); err != nil {
			return err
		}
	}
	if flags&gzipComment != 0 {
		if err := z.skipText(); err != nil {
			return err
		}
	}
	if flags&gzipCheck != 0 {
		sum := uint16(z.sum)
		if err := z.take(2); err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(z.buf[:]) != sum {
			return errHeader
		}
	}
	z.sum = 0
	return nil
}

// skipText skips a name or comment.
func (z *GzipReader) skipText() error {
	for range maxText {
		if err := z.take(1); err != nil {
			return err
		}
		if z.buf[0] == 0 {
			return nil
		}
	}
	return errHeader
}

// take reads n bytes of a header or trailer into buf, and adds them to the
// checksum.
func (z *GzipReader) take(n int) error {
	for i := range z.buf[:n] {
		if err := z.deflate.need(8); err != nil {
			return err
		}
		z.buf[i] = byte(z.deflate.take(8))
	}
	z.sum = crc32.Update(z.sum, crc32.IEEETable, z.buf[:n])
	return nil
}
