package scan

import (
	"bytes"
	"net/netip"
)

// IP addresses in text.

// IsAddress tells an IP address from the name of a service, such as "AWS Internal"
// or s3.amazonaws.com. It accepts octets with leading zeros, as anonymised logs
// write them.
func IsAddress(b []byte) bool {
	if bytes.IndexByte(b, '.') < 0 && bytes.IndexByte(b, ':') < 0 {
		return false
	}
	for _, c := range b {
		if !IsHex(c) && c != '.' && c != ':' {
			return false
		}
	}
	return true
}

// AddressLike reports whether b is an IP address rather than a name: no domain name
// begins and ends with a digit, or has a colon.
func AddressLike(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	first, last := b[0]-'0', b[len(b)-1]-'0'
	return first <= 9 && last <= 9 || bytes.IndexByte(b, ':') >= 0
}

// WithoutScope returns an address without its scope, such as %eth0 in fe80::1%eth0.
func WithoutScope(address []byte) []byte {
	if at := bytes.IndexByte(address, '%'); at >= 0 {
		return address[:at]
	}
	return address
}

// IsInternal reports whether an address must be inside the company: it is private,
// loopback, link-local, multicast or broadcast.
func IsInternal(address []byte) bool {
	if len(address) == 0 {
		return false
	}
	a, err := netip.ParseAddr(string(address))
	if err != nil {
		return false
	}
	a = a.Unmap()
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() ||
		a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
