package logs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"outflow/columnar/scan"
)

// A made is text that a reader makes piece after piece.
type made struct {
	out []byte // the piece at hand; out[:at] was read
	at  int
	err error // comes behind it
}

// read is Read of the text. next appends a piece to out, which is empty then.
func (m *made) read(p []byte, next func() error) (int, error) {
	for m.at == len(m.out) {
		if m.err != nil {
			return 0, m.err
		}
		m.out, m.at = m.out[:0], 0
		m.err = next()
	}
	n := copy(p, m.out[m.at:])
	m.at += n
	return n, nil
}

// A markReader drops byte order marks at the beginnings of lines: a log that begins with one may be several
// that were put one after another.
type markReader struct {
	src   io.Reader
	begun bool   // what was handed on ends with a line
	held  []byte // the beginning of what may be a mark
}

func (r *markReader) Read(p []byte) (int, error) {
	for len(p) > 2*len(utf8BOM) {
		n := copy(p, r.held)
		m, err := r.src.Read(p[n:])
		text := p[:n+m]
		r.held = r.held[:0]
		if at := bytes.LastIndexByte(text, utf8BOM[0]); err == nil && at >= 0 && len(text)-at < len(utf8BOM) {
			r.held = append(r.held, text[at:]...)
			text = text[:at]
		}
		text = r.drop(text)
		if len(text) > 0 {
			r.begun = text[len(text)-1] == '\n'
		}
		if len(text) > 0 || err != nil {
			return len(text), err
		}
	}
	return 0, io.ErrShortBuffer
}

// drop drops the marks in text.
func (r *markReader) drop(text []byte) []byte {
	kept, from := 0, 0 // text[from:] is not looked at
	for at := 0; ; {
		i := bytes.Index(text[at:], utf8BOM)
		if i < 0 {
			return text[:kept+copy(text[kept:], text[from:])]
		}
		i += at
		at = i + len(utf8BOM)
		if i == 0 && r.begun || i > 0 && (text[i-1] == '\n' || i == from) {
			kept += copy(text[kept:], text[from:i])
			from = at
		}
	}
}

// A wideReader reads UTF-16 or UTF-32 as UTF-8. What is neither becomes U+FFFD.
type wideReader struct {
	src  io.Reader
	size int    // of a unit in bytes: 2 or 4
	big  bool   // big-endian
	in   []byte // read, not yet transcoded
	out  []byte // transcoded, not yet read
	buf  [32 << 10]byte
	err  error
	high rune // first half of a surrogate pair, 0 if none
}

func (r *wideReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 && r.err == nil {
		n, err := r.src.Read(r.buf[len(r.in):])
		r.err = err
		r.transcode(r.buf[:len(r.in)+n])
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	if len(r.out) > 0 {
		return n, nil
	}
	return n, r.err
}

func (r *wideReader) transcode(in []byte) {
	out := r.out[:0]
	for ; len(in) >= r.size; in = in[r.size:] {
		var c rune
		switch {
		case r.size == 2 && r.big:
			c = rune(binary.BigEndian.Uint16(in))
		case r.size == 2:
			c = rune(binary.LittleEndian.Uint16(in))
		case r.big:
			out = utf8.AppendRune(out, rune(binary.BigEndian.Uint32(in)))
			continue
		default:
			out = utf8.AppendRune(out, rune(binary.LittleEndian.Uint32(in)))
			continue
		}
		if r.high != 0 {
			if pair := utf16.DecodeRune(r.high, c); pair != utf8.RuneError {
				out = utf8.AppendRune(out, pair)
				r.high = 0
				continue
			}
			out = utf8.AppendRune(out, utf8.RuneError)
			r.high = 0
		}
		if 0xd800 <= c && c < 0xdc00 {
			r.high = c
			continue
		}
		out = utf8.AppendRune(out, c)
	}
	r.in = r.buf[:copy(r.buf[:], in)]
	if r.err != nil && (r.high != 0 || len(in) > 0) {
		out = utf8.AppendRune(out, utf8.RuneError)
		r.high, r.in = 0, nil
	}
	r.out = out
}

// nulRun is how many NUL bytes in a row are a hole: what a log that was truncated
// while it was being written, or lost to a crash, has in place of text. Fewer may be
// text of a kind.
const nulRun = 16

// A holeReader drops holes at the start of a stream and between lines, and all NUL
// bytes at the end. A hole within a line becomes the end of the line, so that the
// record behind it is whole. Other NUL bytes are kept.
type holeReader struct {
	src    io.Reader
	inLine bool   // what was handed on ends within a line
	nuls   int64  // NUL bytes held back
	out    []byte // handed on in the next reads
	buf    []byte // the memory of out
	err    error
}

func (r *holeReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 && len(p) > 0 {
		if r.err != nil {
			return 0, r.err
		}
		n, err := r.src.Read(p)
		r.err = err
		if n == 0 || r.nuls == 0 && scan.CountByte(p[:n], 0) == 0 {
			if n > 0 {
				r.inLine = p[n-1] != '\n'
			}
			return n, err
		}
		r.fill(p[:n])
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// fill sets out to what is left of text.
func (r *holeReader) fill(text []byte) {
	out := r.buf[:0]
	for len(text) > 0 {
		if text[0] == 0 {
			rest := bytes.TrimLeft(text, "\x00")
			r.nuls += int64(len(text) - len(rest))
			text = rest
			continue
		}
		switch {
		case r.nuls < nulRun:
			out = append(out, make([]byte, r.nuls)...)
		case r.inLine:
			out = append(out, '\n')
		}
		n := bytes.IndexByte(text, 0)
		if n < 0 {
			n = len(text)
		}
		out = append(out, text[:n]...)
		r.nuls, r.inLine = 0, text[n-1] != '\n'
		text = text[n:]
	}
	r.buf, r.out = out, out
}

// A crReader reads text whose lines end with a carriage return alone.
type crReader struct{ src io.Reader }

func (r crReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	for i, c := range p[:n] {
		if c == '\r' {
			p[i] = '\n'
		}
	}
	return n, err
}

// A countedReader reads messages of syslog that stand one after another behind their length
// (octet counting of RFC 6587) as one a line. From a length on that is wrong, text stays as
// it is.
type countedReader struct {
	src  *bufio.Reader
	out  []byte // of the message at hand, not yet read
	buf  []byte // the memory of out
	lost bool
}

// isCounted reports whether a counted message follows another at the start of head. One
// whose length counts a newline behind it is a line already.
func isCounted(head []byte) bool {
	digits, n := messageLength(head)
	if digits == 0 || digits+n >= len(head) || head[digits+n-1] == '\n' {
		return false
	}
	next, _ := messageLength(head[digits+n:])
	return next > 0
}

// messageLength reads the length of a message, with the space behind it, before its
// priority. digits is 0 if there is none.
func messageLength(p []byte) (digits, n int) {
	for digits < len(p) && p[digits]-'0' <= 9 {
		if n = 10*n + int(p[digits]-'0'); n > MaxRecord {
			return 0, 0
		}
		digits++
	}
	if digits == 0 || n == 0 || digits+1 >= len(p) || p[digits] != ' ' || p[digits+1] != '<' {
		return 0, 0
	}
	return digits + 1, n
}

func (r *countedReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 && !r.lost {
		start, err := r.src.Peek(len("4194304 <"))
		if len(start) == 0 {
			return 0, err
		}
		digits, n := messageLength(start)
		if r.lost = digits == 0; r.lost {
			break
		}
		r.src.Discard(digits)
		r.buf = append(r.buf[:0], make([]byte, n)...)
		n, err = io.ReadFull(r.src, r.buf)
		r.out = r.buf[:n]
		if err == nil {
			r.out = trimEOL(r.out)
			flatten(r.out)
			r.out = append(r.out, '\n')
		}
	}
	if r.lost {
		return r.src.Read(p)
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}
