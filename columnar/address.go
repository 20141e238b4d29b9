package columnar

import (
	"bytes"
	"net/netip"
	"slices"
	"unsafe"
)

// Addresses in one notation.

// addressColumns hold addresses in their canonical text.
var addressColumns = ColSet(SrcIP, DstIP)

// addressSize is the most bytes that the canonical text of an address has.
const addressSize = len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")

// AppendAddress appends the canonical text of an IP address to dst: IPv4 dotted, also
// where it is written as IPv6 (::ffff:10.0.0.5), else IPv6 in lower case and at its
// shortest; without outer white space, brackets or zone (%eth0), and without the port or the
// length of a prefix behind it (10.0.0.5:51234, [2001:db8::5]:443, [10.0.0.5]:443,
// 10.0.0.5/52110, 10.0.0.5#53, 10.0.0.5@53, 10.0.0.5(443), 10.0.0.5/32, 10.0.0.5.443). Of a list (10.0.0.5, 203.0.113.7)
// it is the first that is known, which is the client's where proxies add theirs. A text that is not an address is
// appended unchanged, and what says that none is known is "". So is IPv4 with leading zeros, which some read as octal, unless all
// four numbers have three digits: octal numbers are not padded so.
func AppendAddress(dst, text []byte) []byte {
	a, ok := parseAddress(text)
	if !ok {
		if IsNobody(text) {
			return dst
		}
		return append(dst, text...)
	}
	return a.AppendTo(dst)
}

func parseAddress(text []byte) (netip.Addr, bool) {
	text = withoutBrackets(bytes.TrimSpace(text))
	for {
		first, others, list := bytes.Cut(text, []byte(","))
		if !list {
			break
		}
		if first = bytes.TrimSpace(first); string(first) != "-" && !bytes.EqualFold(first, []byte("unknown")) {
			return parseAddress(first)
		}
		text = bytes.TrimSpace(others)
	}
	if len(text) == 0 || len(text) > 2*addressSize {
		return netip.Addr{}, false
	}
	s := unsafe.String(unsafe.SliceData(text), len(text)) // used here only
	a, err := netip.ParseAddr(s)
	if err != nil {
		withPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return parseOddAddress(text)
		}
		a = withPort.Addr()
	}
	return a.WithZone("").Unmap(), true
}

// withoutBrackets returns a text without the brackets around it.
func withoutBrackets(text []byte) []byte {
	if n := len(text); n > 1 && text[0] == '[' && text[n-1] == ']' {
		return text[1 : n-1]
	}
	return text
}

// parseOddAddress parses the notations that single programs have.
func parseOddAddress(text []byte) (netip.Addr, bool) {
	if rest, java := bytes.CutPrefix(text, []byte("/")); java { // /10.0.0.5:51234
		return parseAddress(rest)
	}
	if i := bytes.LastIndexAny(text, ":/#@("); i > 0 && isPort(bytes.TrimSuffix(text[i+1:], []byte(")"))) {
		text = withoutBrackets(text[:i])
	}
	text, _, _ = bytes.Cut(text, []byte("%")) // of F5: 10.0.0.5%2
	if i := bytes.LastIndexByte(text, '.'); i > 0 && isPort(text[i+1:]) && (bytes.Count(text, []byte(".")) == 4 || bytes.Count(text, []byte(".")) == 1 && bytes.Contains(text, []byte(":"))) {
		text = text[:i] // of tcpdump: 10.0.0.5.443, 2001:db8::5.443
	}
	if four, ok := padded(text); ok {
		return four, true
	}
	a, err := netip.ParseAddr(string(text))
	return a.Unmap(), err == nil
}

// isPort reports whether text is a number that a port can have.
func isPort(text []byte) bool {
	n := 0
	for _, c := range text {
		if c -= '0'; c > 9 || n > 1<<16 {
			return false
		}
		n = 10*n + int(c)
	}
	return len(text) > 0 && n < 1<<16
}

// padded parses IPv4 whose numbers have three digits each: 010.000.000.005.
func padded(text []byte) (a netip.Addr, ok bool) {
	var four [4]byte
	if len(text) != len("010.000.000.005") {
		return a, false
	}
	for i := range four {
		n := 0
		for _, c := range text[4*i : 4*i+3] {
			if c -= '0'; c > 9 {
				return a, false
			}
			n = 10*n + int(c)
		}
		if n > 255 || i < 3 && text[4*i+3] != '.' {
			return a, false
		}
		four[i] = byte(n)
	}
	return netip.AddrFrom4(four), true
}

// isAlias reports whether a text of the Dict is another notation of one that Code returns.
func (d *Dict) isAlias(code int32) bool {
	if len(d.aliases) == 0 {
		return false
	}
	_, found := slices.BinarySearch(d.aliases, code)
	return found
}
