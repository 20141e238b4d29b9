package sigma

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A number is a sign and an integer of up to 64 bits, or else a finite float. Equal
// numbers are equal in Go, too: 0x10, 16 and 16.0 are one number.
type number struct {
	f     float64 // nearest to an integer
	abs   uint64  // of an integer
	whole bool
}

func integer(i int64) number {
	if i < 0 {
		return number{float64(i), -uint64(i), true}
	}
	return number{float64(i), uint64(i), true}
}

// int64 returns n if it is an int64.
func (n number) int64() (int64, bool) {
	i := int64(n.abs)
	if n.f < 0 {
		i = -i
	}
	return i, n.whole && integer(i) == n
}

// exact is the integer up to which a float64 can hold every integer.
const exact = 1 << 53

// parseNumber reads a number as logs and rules write it: decimal, hexadecimal with
// 0x, or with a fraction or an exponent.
func parseNumber(s string) (number, bool) {
	s = strings.TrimSpace(s)
	if s == "" || s[0]-'0' > 9 && s[0] != '-' && s[0] != '+' && s[0] != '.' {
		return number{}, false // most texts
	}
	digits, base := s, 10
	if s[0] == '-' || s[0] == '+' {
		digits = s[1:]
	}
	if len(digits) > 2 && digits[0] == '0' && digits[1]|0x20 == 'x' {
		digits, base = digits[2:], 16
	}
	if n, err := strconv.ParseUint(digits, base, 64); err == nil {
		out := number{float64(n), n, true}
		if s[0] == '-' && n > 0 {
			out.f = -out.f
		}
		return out, true
	}
	if strings.Trim(s, "0123456789.eE+-") != "" {
		return number{}, false
	}
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil:
		return number{}, false
	case math.Abs(f) <= exact && f == math.Trunc(f):
		return integer(int64(f)), true
	}
	return number{f: f}, true
}

// numberOf returns the number that a scalar of a rule stands for.
func numberOf(n *node) (number, bool) {
	if n.kind == numberNode {
		return parseNumber(fmt.Sprint(n.value)) // whatever notation YAML has
	}
	return parseNumber(n.text)
}

// compare returns -1, 0 or 1.
func (n number) compare(m number) int {
	if n.whole && m.whole && (n.f < 0) == (m.f < 0) {
		if n.f < 0 {
			n, m = m, n
		}
		return cmp.Compare(n.abs, m.abs)
	}
	return cmp.Compare(n.f, m.f)
}

// compares reports whether n compares with m as the modifier says.
func (n number) compares(as string, m number) bool {
	c := n.compare(m)
	switch as {
	case "gt":
		return c > 0
	case "gte":
		return c >= 0
	case "lt":
		return c < 0
	case "lte":
		return c <= 0
	case "eq":
		return c == 0
	}
	return c != 0 // neq
}
