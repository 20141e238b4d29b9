package scan

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Lines, words and the spaces between them.

// CutLine cuts the first line off p, without its newline and carriage return.
func CutLine(p []byte) (line, rest []byte) {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		line, rest = p[:i], p[i+1:]
	} else {
		line = p
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, rest
}

// AnyLine reports whether so is true for any line of head.
func AnyLine(head []byte, so func(line []byte) bool) bool {
	for len(head) > 0 {
		var line []byte
		if line, head = CutLine(head); so(line) {
			return true
		}
	}
	return false
}

// LineEnd returns the end of the line that begins at i, including its newline.
func LineEnd(data []byte, i int) int {
	if n := bytes.IndexByte(data[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(data)
}

// OddLine returns where the first odd line of data begins, at or after i, where a line
// begins; len(data) if there is none. A line is odd unless it begins with a digit, or with a
// quote and a digit, as records do that begin with their time.
func OddLine(data []byte, i int) int {
	if i >= len(data) || isOdd(data[i:]) {
		return min(i, len(data))
	}
	at, searched := oddBlocks(data[i:])
	if at >= 0 {
		return i + at + 1
	}
	for i += searched; i < len(data); i++ {
		n := bytes.IndexByte(data[i:], '\n')
		if n < 0 {
			break
		}
		if i += n; i+1 < len(data) && isOdd(data[i+1:]) {
			return i + 1
		}
	}
	return len(data)
}

// isOdd reports whether a line is odd.
func isOdd(line []byte) bool {
	return line[0]-'0' > 9 && (line[0] != '"' || len(line) < 2 || line[1]-'0' > 9)
}

// CountByte returns how often c is in p, as bytes.Count does. It is meant for whole blocks
// of a log, in which bytes.Count and bytes.IndexByte take more than twice as long.
func CountByte(p []byte, c byte) int {
	n, rest := countBlocks(p, c)
	return n + bytes.Count(rest, []byte{c})
}

// CountBytes is CountByte for two bytes that differ, in half of the time.
func CountBytes(p []byte, c, e byte) (cs, es int) {
	cs, es, rest := countBlocks2(p, c, e)
	return cs + bytes.Count(rest, []byte{c}), es + bytes.Count(rest, []byte{e})
}

// Blank reports whether a line has only white space. Such a line is not damage:
// some writers end a file with one.
func Blank(line []byte) bool { return SkipSpace(line, 0) == len(line) }

// SkipSpace returns the index of the first byte from b[i] on that is not white
// space, or len(b) if there is none.
func SkipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// CutWord returns the text before the first space of p, and the text after it.
func CutWord(p []byte) (word, rest []byte) {
	if at := IndexNear(p, ' '); at >= 0 {
		return p[:at], p[at+1:]
	}
	return p, nil
}

// AfterLast returns the part of b after the last c, or all of b if it has none.
func AfterLast(b []byte, c byte) []byte { return b[bytes.LastIndexByte(b, c)+1:] }

// IndexNear returns the index of the first c in p, or -1 if there is none. It is
// meant for fields of a few bytes. For these, bytes.IndexByte and loops with a
// varying number of steps take several times as long.
func IndexNear(p []byte, c byte) int {
	n := 0
	for ; len(p)-n >= 16; n += 16 {
		w0 := binary.LittleEndian.Uint64(p[n:]) ^ uint64(c)*EachByte
		w1 := binary.LittleEndian.Uint64(p[n+8:]) ^ uint64(c)*EachByte
		at0 := bits.TrailingZeros64((w0-EachByte)&^w0&HighBits) >> 3 // 8 if not there
		at1 := bits.TrailingZeros64((w1-EachByte)&^w1&HighBits) >> 3
		if at := at0 + at1&-(at0>>3); at < 16 {
			return n + at
		}
	}
	if at := bytes.IndexByte(p[n:], c); at >= 0 {
		return n + at
	}
	return -1
}
