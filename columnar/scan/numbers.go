package scan

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// Decimal numbers, read without allocation. ok is false if the text is anything
// else, or if the number does not fit.

// Int parses a decimal integer with an optional sign. ok is false if b is anything
// else, or if the integer does not fit.
func Int(b []byte) (v int64, ok bool) {
	neg := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		neg, b = b[0] == '-', b[1:]
	}
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	for len(b) >= 8 {
		eight, ok := EightDigits(b, 0)
		if !ok {
			return 0, false
		}
		v, b = v*1e8+eight, b[8:]
	}
	for _, c := range b {
		if c -= '0'; c > 9 {
			return 0, false
		} else {
			v = v*10 + int64(c)
		}
	}
	if v < 0 {
		return 0, false
	}
	if neg {
		v = -v
	}
	return v, true
}

// Digits parses data[lo:hi] if it has 1 to 16 digits and enough bytes precede its
// end for whole words: 8, or 16 if it is longer than 8. Otherwise ok is false, and
// the caller uses Int.
func Digits(data []byte, lo, hi uint32) (v int64, ok bool) {
	n := hi - lo
	if n-1 < 8 && hi >= 8 {
		w, ok := EightDigits(data[hi-8:], 8-n)
		return w, ok
	}
	if n-9 < 8 && hi >= 16 {
		high, ok1 := EightDigits(data[hi-16:], 16-n)
		low, ok2 := EightDigits(data[hi-8:], 0)
		return high*1e8 + low, ok1 && ok2
	}
	return 0, false
}

// EightDigits parses the 8 bytes at the start of b, and ignores the first skip
// bytes.
func EightDigits(b []byte, skip uint32) (v int64, ok bool) {
	w := binary.LittleEndian.Uint64(b) ^ '0'*EachByte
	w = w >> (8 * skip & 63) << (8 * skip & 63)
	ok = (w|(w+(0x80-10)*EachByte))&HighBits == 0
	const m = 0x000000FF000000FF
	w = w*10 + w>>8
	w = ((w&m)*(100+1000000<<32) + (w>>16&m)*(1+10000<<32)) >> 32
	return int64(w), ok
}

// Decimal parses a decimal number with an optional fraction. It returns value ×
// scale, rounded down. scale is a power of ten up to 1e9.
func Decimal(b []byte, scale int64) (v int64, ok bool) {
	whole, frac := b, []byte(nil)
	if i := bytes.IndexByte(b, '.'); i >= 0 {
		whole, frac = b[:i], b[i+1:]
	}
	neg := len(whole) > 0 && whole[0] == '-'
	if neg {
		whole = whole[1:]
	}
	if len(whole) == 0 && len(frac) == 0 {
		return 0, false
	}
	if len(whole) > 0 {
		if v, ok = Int(whole); !ok || v > 1<<62/scale {
			return 0, false
		}
	}
	v *= scale
	for _, c := range frac {
		if c -= '0'; c > 9 {
			return 0, false
		}
		scale /= 10
		v += int64(c) * scale
	}
	if neg {
		v = -v
	}
	return v, true
}

// Number parses a JSON number. It returns value × scale, rounded down. scale is a
// power of ten up to 1e9. A number with an exponent has the precision of a float64.
func Number(b []byte, scale int64) (v int64, ok bool) {
	if v, ok = Decimal(b, scale); ok || !bytes.ContainsAny(b, "eE") || len(b) > 32 {
		return v, ok
	}
	f, err := strconv.ParseFloat(string(b), 64)
	f *= float64(scale)
	if err != nil || !(f > -1<<62 && f < 1<<62) {
		return 0, false
	}
	return int64(f), true
}

// Count parses a count, which is not negative. It returns -1 if b is empty, which
// means that the log gives no count.
func Count(b []byte) (n int64, ok bool) {
	if len(b) == 0 {
		return -1, true
	}
	n, ok = Number(b, 1)
	return n, ok && n >= 0
}

// Float parses a decimal float as programs print it.
func Float(b []byte) (float64, bool) {
	switch string(b) {
	case "NaN", "nan":
		return math.NaN(), true
	}
	for _, c := range b {
		if c-'0' > 9 && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false
		}
	}
	x, err := strconv.ParseFloat(string(b), 64)
	return x, err == nil
}

// GroupOrFraction reports whether a number may be of thousands, as German programs print it,
// or have a fraction: 734.003.
func GroupOrFraction(b []byte) bool {
	whole, digits, found := bytes.Cut(b, []byte{'.'})
	return found && len(digits) == 3 && len(whole) > 0 && len(whole) <= 3 && whole[0]-'1' < 9 && IsDigits(whole) && IsDigits(digits)
}

// sizes are the units of Size, in lower case.
var sizes = map[string]float64{
	"b": 1, "byte": 1, "bytes": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}

// Size parses a number of bytes with its unit: 5,000 B, 4.8 MiB, 5kB.
func Size(b []byte) (x float64, ok bool) {
	at := bytes.LastIndexAny(b, "0123456789") + 1
	if at == 0 || len(b) > 32 {
		return 0, false
	}
	unit, ok := sizes[string(bytes.ToLower(bytes.TrimSpace(b[at:])))]
	if !ok {
		return 0, false
	}
	number := b[:at]
	if x, ok = Float(number); !ok {
		x, ok = Grouped(number, unit == 1)
	} else if unit == 1 && GroupOrFraction(number) {
		return 0, false
	}
	return x * unit, ok
}

// groupMarks stand between groups of three digits: 1,234,567 or 1 234 567.
var groupMarks = [...]string{",", ".", " ", "\u00a0", "\u202f", "'", "’", "_"}

// Grouped parses a decimal number as programs print it for people: with a mark between its
// groups of three digits, or a comma for the point. 1,234 is a count if whole says that
// numbers are counts; else it has two meanings, and ok is false.
func Grouped(b []byte, whole bool) (x float64, ok bool) {
	var buf [32]byte
	if len(b) == 0 || len(b) > len(buf) || b[0]-'0' > 9 {
		return 0, false
	}
	if digits, ok := lakhs(buf[:0], b); ok {
		return Float(digits)
	}
	for _, mark := range groupMarks {
		digits, rest, groups := ungroup(buf[:0], b, mark)
		switch {
		case groups == 0:
			continue
		case len(rest) == 0 && groups == 1 && mark == "," && !whole,
			len(rest) > 0 && (rest[0] != '.' && rest[0] != ',' || rest[0] == mark[0]):
			return 0, false
		case len(rest) > 0:
			digits = append(append(digits, '.'), rest[1:]...)
		}
		return Float(digits)
	}
	if i := bytes.IndexByte(b, ','); i > 0 && bytes.IndexByte(b, '.') < 0 {
		digits := append(buf[:0], b...)
		digits[i] = '.'
		return Float(digits)
	}
	return 0, false
}

// lakhs appends a number without the commas that stand in it as in India: after two digits each, and
// before the last three of the whole number, 1,08,100.50.
func lakhs(dst, b []byte) (digits []byte, ok bool) {
	whole, fraction, _ := bytes.Cut(b, []byte{'.'})
	groups := bytes.Split(whole, []byte{','})
	last := len(groups) - 1
	if last < 2 || b[0] == '0' {
		return nil, false
	}
	for i, group := range groups {
		size := 2
		if i == last {
			size = 3
		}
		if !IsDigits(group) || len(group) != size && (i > 0 || len(group) != 1) {
			return nil, false
		}
		dst = append(dst, group...)
	}
	return append(append(dst, '.'), fraction...), true
}

// Hex parses a hexadecimal integer: 0x1fa4.
func Hex(b []byte) (v int64, ok bool) {
	digits, ok := bytes.CutPrefix(b, []byte("0x"))
	if !ok {
		digits, ok = bytes.CutPrefix(b, []byte("0X"))
	}
	if !ok || len(digits) == 0 || len(digits) > 15 {
		return 0, false
	}
	for _, c := range digits {
		d, ok := HexDigit(c)
		if !ok {
			return 0, false
		}
		v = v<<4 | int64(d)
	}
	return v, true
}

// ungroup appends the digits at the start of b, which has a mark between groups of three.
// It returns what stands behind them, and how many marks there were.
func ungroup(dst, b []byte, mark string) (digits, rest []byte, groups int) {
	first := 0
	for first < len(b) && b[first]-'0' <= 9 {
		first++
	}
	if first == 0 || first > 3 || b[0] == '0' {
		return nil, nil, 0
	}
	dst, rest = append(dst, b[:first]...), b[first:]
	for {
		group, found := bytes.CutPrefix(rest, []byte(mark))
		if !found || len(group) < 3 || group[0]-'0' > 9 || group[1]-'0' > 9 || group[2]-'0' > 9 || len(group) > 3 && group[3]-'0' <= 9 {
			return dst, rest, groups
		}
		dst, rest = append(dst, group[:3]...), group[3:]
		groups++
	}
}

// HexDigit returns the value of a hexadecimal digit.
func HexDigit(c byte) (d byte, ok bool) {
	switch {
	case c-'0' <= 9:
		return c - '0', true
	case c|0x20-'a' <= 5:
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// IsHex reports whether c is a hexadecimal digit.
func IsHex(c byte) bool {
	_, ok := HexDigit(c)
	return ok
}
