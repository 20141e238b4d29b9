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
// shortest; without outer white space, port (10.0.0.5:51234, [2001:db8::5]:443), brackets
// or zone (%eth0). A text that is not an address is appended unchanged. So is IPv4 with
// leading zeros, which some read as octal.
func AppendAddress(dst, text []byte) []byte {
	a, ok := parseAddress(text)
	if !ok {
		return append(dst, text...)
	}
	return a.AppendTo(dst)
}

func parseAddress(text []byte) (netip.Addr, bool) {
	text = bytes.TrimSpace(text)
	if n := len(text); n > 1 && text[0] == '[' && text[n-1] == ']' {
		text = text[1 : n-1]
	}
	if len(text) == 0 || len(text) > 2*addressSize {
		return netip.Addr{}, false
	}
	s := unsafe.String(unsafe.SliceData(text), len(text)) // used here only
	a, err := netip.ParseAddr(s)
	if err != nil {
		withPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		a = withPort.Addr()
	}
	return a.WithZone("").Unmap(), true
}

// isAlias reports whether a text of the Dict is another notation of an address.
func (d *Dict) isAlias(code int32) bool {
	if len(d.aliases) == 0 {
		return false
	}
	_, found := slices.BinarySearch(d.aliases, code)
	return found
}
