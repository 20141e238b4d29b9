package logs

import (
	"bytes"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// A utf16Reader reads UTF-16 as UTF-8. What is not UTF-16 becomes U+FFFD.
type utf16Reader struct {
	src  io.Reader
	big  bool   // big-endian
	in   []byte // read, not yet transcoded
	out  []byte // transcoded, not yet read
	buf  [32 << 10]byte
	err  error
	high rune // first half of a surrogate pair, 0 if none
}

func (r *utf16Reader) Read(p []byte) (int, error) {
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

func (r *utf16Reader) transcode(in []byte) {
	out := r.out[:0]
	for ; len(in) >= 2; in = in[2:] {
		c := rune(in[0]) | rune(in[1])<<8
		if r.big {
			c = rune(in[0])<<8 | rune(in[1])
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

// A paddingReader drops the NUL bytes at the end of a stream: the padding of a
// file that is still being written. NUL bytes elsewhere are kept.
type paddingReader struct {
	src  io.Reader
	nuls int64  // NUL bytes held back, before rest
	rest []byte // read behind them
	err  error
}

func (r *paddingReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if len(r.rest) > 0 {
			return r.release(p), nil
		}
		if r.err != nil {
			return 0, r.err
		}
		n, err := r.src.Read(p)
		r.err = err
		if n == 0 || r.nuls == 0 && p[n-1] != 0 {
			return n, err
		}
		text := bytes.TrimRight(p[:n], "\x00")
		switch {
		case len(text) == 0:
			r.nuls += int64(n)
		case r.nuls == 0:
			r.nuls = int64(n - len(text))
			return len(text), nil
		default:
			r.rest = append(r.rest[:0], p[:n]...)
		}
		// What r.rest ends with is looked at when it is released.
	}
}

// release hands out NUL bytes that turned out to be no padding, then what
// stands behind them.
func (r *paddingReader) release(p []byte) int {
	if r.nuls > 0 {
		n := int(min(int64(len(p)), r.nuls))
		clear(p[:n])
		r.nuls -= int64(n)
		return n
	}
	text := bytes.TrimRight(r.rest, "\x00")
	n := copy(p, text)
	if r.rest = r.rest[n:]; n == len(text) {
		r.nuls = int64(len(r.rest))
		r.rest = r.rest[:0]
	}
	return n
}
