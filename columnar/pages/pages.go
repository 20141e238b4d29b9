// Package pages reads and writes the parts of Parquet files: footers and pages,
// with their compression and encodings. It knows no tables: its callers decide what
// the values of a column mean, and how they are held in memory.
package pages

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// Magic begins and ends a Parquet file; MagicEncrypted one whose footer is encrypted.
const (
	Magic          = "PAR1"
	MagicEncrypted = "PARE"
)

// Limits of what a file may ask for. They bound the memory that a damaged or
// hostile file can make us allocate. Sound writers stay far below them, with pages
// of about 1 MiB and footers of a few MiB.
const (
	maxFooter = 64 << 20  // bytes
	maxPage   = 256 << 20 // bytes, both compressed and decompressed
)

// maxRatios are how many bytes one byte decompresses to at most: a copy of 64 bytes takes 3 in snappy and a byte
// 255 in LZ4, deflate has 258 in 2 bits, and zstd 128 KiB in 4 bytes. A page that claims more lies.
var maxRatios = map[format.CompressionCodec]int{format.Uncompressed: 1, format.Snappy: 32, format.Lz4Raw: 255, format.Gzip: 1032, format.Zstd: 1 << 15}

// ErrDamaged is in the errors about content that no sound file has.
var ErrDamaged = errors.New("damaged")

// ErrUnread is in errors about what is sound, but of a kind that is not read.
var ErrUnread = errors.New("not read")

// ErrEncrypted is the error about an encrypted file, whose keys are elsewhere.
var ErrEncrypted = fmt.Errorf("the Parquet file is encrypted, which is %w: write it without encryption", ErrUnread)

// FooterSize returns the number of bytes of the footer of a file of size bytes. The
// footer ends eight bytes before the end of the file. The error says why there is
// no readable footer.
func FooterSize(r io.ReaderAt, size int64) (int64, error) {
	const least = int64(len(Magic) + 4 + len(Magic))
	if size < least {
		return 0, fmt.Errorf("not a whole Parquet file: %d bytes", size)
	}
	var tail [8]byte
	if n, err := r.ReadAt(tail[:], size-8); n < len(tail) {
		return 0, fmt.Errorf("read footer: %w", err)
	}
	footer := int64(binary.LittleEndian.Uint32(tail[:]))
	switch {
	case string(tail[4:]) == MagicEncrypted:
		return 0, ErrEncrypted
	case string(tail[4:]) != Magic:
		return 0, errors.New("not a whole Parquet file: it does not end in PAR1; cut off, or still being written")
	case footer > size-least:
		return 0, fmt.Errorf("damaged Parquet file: a footer of %d bytes in a file of %d", footer, size)
	case footer > maxFooter:
		return 0, fmt.Errorf("a Parquet footer of %d bytes; at most %d are read", footer, maxFooter)
	}
	return footer, nil
}

// ReadFooter reads the footer of a file of size bytes.
func ReadFooter(r io.ReaderAt, size int64) (meta *format.FileMetaData, err error) {
	n, err := FooterSize(r, size)
	if err != nil {
		return nil, err
	}
	defer Recovered("read footer", &err)
	b := make([]byte, n)
	if k, err := r.ReadAt(b, size-8-n); k < len(b) {
		return nil, fmt.Errorf("read footer: %w", err)
	}
	meta = new(format.FileMetaData)
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), b, meta); err != nil {
		return nil, fmt.Errorf("read footer: %w", err)
	}
	return meta, nil
}

// AppendFooter appends the end of a file.
func AppendFooter(b []byte, meta *format.FileMetaData) ([]byte, error) {
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), meta)
	if err != nil {
		return nil, err
	}
	b = binary.LittleEndian.AppendUint32(append(b, footer...), uint32(len(footer)))
	return append(b, Magic...), nil
}

// Recovered turns a panic into an error when it is deferred: the Parquet library
// panics on some damaged files.
func Recovered(what string, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: damaged Parquet file: %v", what, r)
	}
}

// A Reader reads the pages of a column chunk.
type Reader struct {
	// Buffer, if set, is the buffer into which pages are read. Readers can share
	// it: a page is then valid until any of them reads the next page. If it is nil,
	// the Reader has its own buffer and reads a megabyte at a time.
	Buffer *[]byte
	Codec  format.CompressionCodec // of the chunk

	file   io.ReaderAt
	at     int64 // offset in the file of the end of rest
	end    int64 // end of the chunk in the file
	own    []byte
	rest   []byte // read but not yet handed out
	guess  int    // expected size in bytes of the next page, with its header
	sound  bool   // the chunk lies within the file
	thrift thrift.CompactProtocol
}

// readAhead is how much of a column is read at once, in bytes. Less would mean one
// request for each page of an object store; more would multiply with the columns in
// memory.
const readAhead = 1 << 20

// A Chunk is where the pages of a column chunk stand in a file, in bytes. It is small: a
// table keeps one for each column of each row group.
type Chunk struct {
	At, Size int64
	Codec    format.CompressionCodec
}

// ChunkOf returns the chunk that meta describes.
func ChunkOf(meta *format.ColumnMetaData) Chunk {
	c := Chunk{At: meta.DataPageOffset, Size: meta.TotalCompressedSize, Codec: meta.Codec}
	if d := meta.DictionaryPageOffset; d > 0 && d < c.At {
		c.At = d
	}
	return c
}

// Open goes to the first page of a chunk of a file of size bytes.
func (p *Reader) Open(file io.ReaderAt, size int64, c Chunk) {
	p.file, p.Codec, p.rest, p.at = file, c.Codec, nil, c.At
	p.sound = p.at >= int64(len(Magic)) && c.Size >= 0 && c.Size <= size-p.at
	p.end = p.at + c.Size
}

// Done reports whether all pages have been read.
func (p *Reader) Done() bool { return p.sound && p.at-int64(len(p.rest)) == p.end }

// Next returns the next page: its header and its data. Both are valid until the
// next call.
func (p *Reader) Next() (*format.PageHeader, []byte, error) {
	if !p.sound {
		return nil, nil, fmt.Errorf("%w: the column lies outside the file", ErrDamaged)
	}
	if p.Buffer != nil { // the bytes left in it may be another Reader's
		p.at -= int64(len(p.rest))
		p.rest = nil
	}
	h, err := p.header()
	if err != nil {
		return nil, nil, err
	}
	size := int(h.CompressedPageSize)
	switch {
	case size < 0 || h.UncompressedPageSize < 0:
		return nil, nil, fmt.Errorf("%w: a page of %d bytes, %d decompressed", ErrDamaged, size, h.UncompressedPageSize)
	case size > maxPage || h.UncompressedPageSize > maxPage:
		return nil, nil, fmt.Errorf("a page of %d bytes, %d decompressed; at most %d are read", size, h.UncompressedPageSize, maxPage)
	}
	if err := p.fill(size); err != nil {
		return nil, nil, err
	}
	if len(p.rest) < size {
		return nil, nil, fmt.Errorf("%w: a page beyond the end of the column", ErrDamaged)
	}
	body := p.rest[:size:size]
	p.rest = p.rest[size:]
	p.guess += size + size/8
	if h.CRC != 0 && crc32.ChecksumIEEE(body) != uint32(h.CRC) {
		return nil, nil, fmt.Errorf("%w page: wrong checksum", ErrDamaged)
	}
	return h, body, nil
}

// header reads a page header. Its size is not known in advance.
func (p *Reader) header() (*format.PageHeader, error) {
	for size := 4 << 10; ; size *= 16 {
		if err := p.fill(size); err != nil {
			return nil, err
		}
		if len(p.rest) == 0 {
			return nil, fmt.Errorf("%w: the column ends before the row group", ErrDamaged)
		}
		h := new(format.PageHeader)
		r := p.thrift.NewReaderFromBytes(p.rest)
		err := thrift.NewDecoder(r).Decode(h)
		if err == nil {
			p.guess = r.BytesRead()
			p.rest = p.rest[p.guess:]
			return h, nil
		}
		if len(p.rest) < size || size > readAhead { // more bytes will not help
			return nil, fmt.Errorf("page header: %w", err)
		}
	}
}

// fill makes rest at least n bytes long, or as long as the rest of the chunk.
func (p *Reader) fill(n int) error {
	if len(p.rest) >= n || p.at == p.end {
		return nil
	}
	buffer, ahead := &p.own, readAhead
	if p.Buffer != nil {
		buffer, ahead = p.Buffer, p.guess
	}
	size := int(min(int64(max(n, ahead)), int64(len(p.rest))+p.end-p.at))
	buf := *buffer
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	have := copy(buf, p.rest)
	k, err := p.file.ReadAt(buf[have:], p.at)
	if k < size-have {
		return fmt.Errorf("read page: %w", err)
	}
	p.at += int64(k)
	*buffer, p.rest = buf, buf
	return nil
}

// AppendHeader appends the header of a page.
func AppendHeader(b *bytes.Buffer, h *format.PageHeader) error {
	return thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(b)).Encode(h)
}

// A Codec decompresses pages, one at a time. The zero value is ready for use.
type Codec struct {
	zstd *zstd.Decoder
	gzip *gzip.Reader
}

// Decompress returns the size bytes that src decompresses to: src itself if it is
// not compressed, and otherwise *buf, which grows as needed.
func (c *Codec) Decompress(codec format.CompressionCodec, buf *[]byte, src []byte, size int) (out []byte, err error) {
	ratio, known := maxRatios[codec]
	if !known {
		return nil, fmt.Errorf("compressed with %s, which is %w: write the file with zstd, snappy or gzip", codec, ErrUnread)
	}
	if size < 0 || size/ratio > len(src) || codec == format.Zstd && !tells(src, size) {
		return nil, fmt.Errorf("%w page: %d bytes decompressed from %d", ErrDamaged, size, len(src))
	}
	if codec != format.Uncompressed && cap(*buf) < size {
		*buf = make([]byte, size+size/16) // pages of a column have similar sizes
	}
	switch codec {
	case format.Uncompressed:
		out = src
	case format.Snappy:
		if n, err := snappy.DecodedLen(src); err != nil || n != size {
			return nil, fmt.Errorf("%w snappy page", ErrDamaged)
		}
		out, err = snappy.Decode((*buf)[:size], src)
	case format.Gzip:
		if c.gzip == nil {
			c.gzip = new(gzip.Reader)
		}
		if err = c.gzip.Reset(bytes.NewReader(src)); err == nil {
			out = (*buf)[:size]
			_, err = io.ReadFull(c.gzip, out)
		}
	case format.Lz4Raw:
		var n int
		n, err = lz4.UncompressBlock(src, (*buf)[:size])
		out = (*buf)[:max(n, 0)]
	case format.Zstd:
		if c.zstd == nil {
			if c.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage),
				zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true)); err != nil {
				return nil, err
			}
		}
		out, err = c.zstd.DecodeAll(src, (*buf)[:0])
	}
	if err != nil {
		return nil, fmt.Errorf("%w %s page: %w", ErrDamaged, codec, err)
	}
	if len(out) != size {
		return nil, fmt.Errorf("%w %s page: %d bytes, want %d", ErrDamaged, codec, len(out), size)
	}
	return out, nil
}

// tells reports whether a zstd frame that tells how many bytes it holds tells size.
func tells(src []byte, size int) bool {
	var h zstd.Header
	return h.Decode(src) != nil || !h.HasFCS || h.FrameContentSize == uint64(size)
}
