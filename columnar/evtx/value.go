package evtx

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// The types of values.
const (
	typeNull = iota
	typeString
	typeANSI
	typeInt8
	typeUint8
	typeInt16
	typeUint16
	typeInt32
	typeUint32
	typeInt64
	typeUint64
	typeFloat32
	typeFloat64
	typeBool
	typeBinary
	typeGUID
	typeSize
	typeFiletime
	typeSystemtime
	typeSID
	typeHex32
	typeHex64

	typeXML   = 0x21
	typeArray = 0x80
)

// appendValue appends a value as Windows writes it in XML. A value of an unknown
// type, or of the wrong size for its type, is written as the hexadecimal digits of
// its bytes, as Windows writes binary.
func appendValue(dst []byte, kind uint8, v []byte) []byte {
	n := len(v)
	if n == 0 {
		return dst
	}
	switch kind {
	case typeNull:
		return dst
	case typeString:
		return appendUTF16(dst, trimNULs(v))
	case typeANSI:
		for len(v) > 0 && v[len(v)-1] == 0 {
			v = v[:len(v)-1]
		}
		for _, c := range v {
			dst = utf8.AppendRune(dst, windows1252(c))
		}
		return dst
	case typeInt8, typeInt16, typeInt32, typeInt64:
		if u, ok := integer(v); ok {
			shift := 64 - 8*n
			return strconv.AppendInt(dst, int64(u)<<shift>>shift, 10)
		}
	case typeUint8, typeUint16, typeUint32, typeUint64:
		if u, ok := integer(v); ok {
			return strconv.AppendUint(dst, u, 10)
		}
	case typeFloat32:
		if n == 4 {
			return strconv.AppendFloat(dst, float64(math.Float32frombits(binary.LittleEndian.Uint32(v))), 'g', -1, 32)
		}
	case typeFloat64:
		if n == 8 {
			return strconv.AppendFloat(dst, math.Float64frombits(binary.LittleEndian.Uint64(v)), 'g', -1, 64)
		}
	case typeBool:
		if u, ok := integer(v); ok {
			return strconv.AppendBool(dst, u != 0)
		}
	case typeGUID:
		if n == 16 {
			return appendGUID(dst, v)
		}
	case typeSize, typeHex32, typeHex64:
		if u, ok := integer(v); ok {
			return strconv.AppendUint(append(dst, "0x"...), u, 16)
		}
	case typeFiletime:
		if n == 8 {
			if out, ok := appendFiletime(dst, binary.LittleEndian.Uint64(v)); ok {
				return out
			}
		}
	case typeSystemtime:
		if n == 16 {
			return appendSystemtime(dst, v)
		}
	case typeSID:
		if n >= 8 && n == 8+4*int(v[1]) {
			return appendSID(dst, v)
		}
	}
	return appendHex(dst, v)
}

// itemSize returns the size of an array's items in bytes. It is 0 if the content of
// an item ends it, and -1 if there are no arrays of that type.
func itemSize(kind uint8) int {
	switch kind {
	case typeString, typeANSI, typeSID:
		return 0
	case typeInt8, typeUint8:
		return 1
	case typeInt16, typeUint16:
		return 2
	case typeInt32, typeUint32, typeFloat32, typeBool, typeHex32:
		return 4
	case typeInt64, typeUint64, typeFloat64, typeFiletime, typeHex64:
		return 8
	case typeGUID, typeSystemtime:
		return 16
	case typeSize:
		return 8
	}
	return -1
}

// cutItem cuts the first item off an array. The array must not be empty.
func cutItem(kind uint8, v []byte) (item, rest []byte) {
	n := itemSize(kind)
	switch {
	case kind == typeString:
		for n = 0; n+2 <= len(v); n += 2 {
			if v[n] == 0 && v[n+1] == 0 {
				return v[:n], v[n+2:]
			}
		}
		n = len(v)
	case kind == typeANSI:
		for n = range v {
			if v[n] == 0 {
				return v[:n], v[n+1:]
			}
		}
		n = len(v)
	case kind == typeSID:
		if n = len(v); n >= 8 {
			n = min(n, 8+4*int(v[1]))
		}
	case n < 0:
		n = len(v)
	}
	n = min(n, len(v))
	return v[:n], v[n:]
}

// integer returns a little-endian integer of 1, 2, 4 or 8 bytes.
func integer(v []byte) (u uint64, ok bool) {
	switch len(v) {
	case 1:
		return uint64(v[0]), true
	case 2:
		return uint64(binary.LittleEndian.Uint16(v)), true
	case 4:
		return uint64(binary.LittleEndian.Uint32(v)), true
	case 8:
		return binary.LittleEndian.Uint64(v), true
	}
	return 0, false
}

func trimNULs(v []byte) []byte {
	v = v[:len(v)&^1]
	for n := len(v); n > 0 && v[n-1] == 0 && v[n-2] == 0; n -= 2 {
		v = v[:n-2]
	}
	return v
}

// appendUTF16 appends little-endian UTF-16 as UTF-8. Invalid UTF-16 becomes U+FFFD.
// An odd byte at the end is left out.
func appendUTF16(dst, v []byte) []byte {
	for len(v) >= 2 {
		for len(v) >= 8 {
			w := binary.LittleEndian.Uint64(v)
			if w&0xff80ff80ff80ff80 != 0 {
				break
			}
			dst = append(dst, byte(w), byte(w>>16), byte(w>>32), byte(w>>48))
			v = v[8:]
		}
		if len(v) < 2 {
			break
		}
		r := rune(binary.LittleEndian.Uint16(v))
		v = v[2:]
		if r < utf8.RuneSelf {
			dst = append(dst, byte(r))
			continue
		}
		if utf16.IsSurrogate(r) {
			pair := rune(utf8.RuneError)
			if len(v) >= 2 {
				pair = utf16.DecodeRune(r, rune(binary.LittleEndian.Uint16(v)))
			}
			if r = pair; r != utf8.RuneError {
				v = v[2:]
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// windows1252 returns the character of a byte in the code page of Western Europe,
// the default for ANSI.
func windows1252(c byte) rune {
	const high = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"
	if c-0x80 >= 0x20 {
		return rune(c)
	}
	i := int(c - 0x80)
	for _, r := range high {
		if i == 0 {
			return r
		}
		i--
	}
	return rune(c)
}

const (
	hexUpper = "0123456789ABCDEF"
	// epoch is the time from 1601, where Windows' clock starts, to 1970, in units
	// of 100 ns.
	epoch = 116444736e9
)

func appendHex(dst, v []byte) []byte {
	for _, c := range v {
		dst = append(dst, hexUpper[c>>4], hexUpper[c&15])
	}
	return dst
}

func appendGUID(dst, v []byte) []byte {
	dst = append(dst, '{')
	for i, at := range [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15} {
		switch i {
		case 4, 6, 8, 10:
			dst = append(dst, '-')
		}
		dst = append(dst, hexUpper[v[at]>>4], hexUpper[v[at]&15])
	}
	return append(dst, '}')
}

func appendSID(dst, v []byte) []byte {
	dst = append(dst, "S-"...)
	dst = strconv.AppendUint(dst, uint64(v[0]), 10)
	var authority uint64
	for _, c := range v[2:8] {
		authority = authority<<8 | uint64(c)
	}
	dst = append(dst, '-')
	if authority>>32 != 0 {
		dst = strconv.AppendUint(append(dst, "0x"...), authority, 16)
	} else {
		dst = strconv.AppendUint(dst, authority, 10)
	}
	for v = v[8:]; len(v) >= 4; v = v[4:] {
		dst = append(dst, '-')
		dst = strconv.AppendUint(dst, uint64(binary.LittleEndian.Uint32(v)), 10)
	}
	return dst
}

// appendFiletime appends a count of 100 ns since 1601 as RFC 3339. It reports false
// if the year is after 9999.
func appendFiletime(dst []byte, ticks uint64) (out []byte, ok bool) {
	const limit = 2650467744e9
	if ticks >= limit {
		return dst, false
	}
	since := int64(ticks) - epoch
	t := time.Unix(since/1e7, since%1e7*100).UTC()
	return appendTime(dst, t, since+epoch, 7), true
}

// appendTime appends a time with a fraction of 7 or 3 digits.
func appendTime(dst []byte, t time.Time, fraction int64, digits int) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = appendDigits(dst, int64(year), 4)
	dst = appendDigits(append(dst, '-'), int64(month), 2)
	dst = appendDigits(append(dst, '-'), int64(day), 2)
	dst = appendDigits(append(dst, 'T'), int64(hour), 2)
	dst = appendDigits(append(dst, ':'), int64(minute), 2)
	dst = appendDigits(append(dst, ':'), int64(second), 2)
	return append(appendDigits(append(dst, '.'), fraction, digits), 'Z')
}

// appendDigits appends the last n digits of a number that is not negative.
func appendDigits(dst []byte, v int64, n int) []byte {
	at := len(dst)
	dst = append(dst, "0000000"[:n]...)
	for i := at + n - 1; i >= at; i-- {
		dst[i] = '0' + byte(v%10)
		v /= 10
	}
	return dst
}

// appendSystemtime appends a time of eight fields. If there is no such time, it
// appends the value as hexadecimal digits.
func appendSystemtime(dst, v []byte) []byte {
	var f [8]int
	for i := range f {
		f[i] = int(binary.LittleEndian.Uint16(v[2*i:]))
	}
	t := time.Date(f[0], time.Month(f[1]), f[3], f[4], f[5], f[6], 0, time.UTC)
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	if year != f[0] || int(month) != f[1] || day != f[3] || hour != f[4] || minute != f[5] || second != f[6] || f[0] > 9999 || f[7] > 999 {
		return appendHex(dst, v)
	}
	return appendTime(dst, t, int64(f[7]), 3)
}
