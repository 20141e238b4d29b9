package scan

import (
	"bytes"
	"net/netip"
	"unsafe"
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

// SharesFiles reports whether a port is one of SMB, NFS or AFP.
func SharesFiles(port int64) bool { return port == 445 || port == 139 || port == 2049 || port == 548 }

// FromFileServer reports whether what goes from one port to another is what a server that
// shares files sends back.
func FromFileServer(from, to []byte) bool {
	source, ok := Int(from)
	if !ok || !SharesFiles(source) {
		return false
	}
	destination, ok := Int(to)
	return ok && !SharesFiles(destination)
}

// IsInternal reports whether an address must be inside the company: it is private,
// loopback, link-local, multicast or broadcast.
func IsInternal(address []byte) bool {
	if outsideByFirst(address) {
		return false
	}
	if a, ok := ipv4(address); ok {
		first := a >> 24
		return first == 10 || a>>20 == 172<<4|1 || a>>16 == 192<<8|168 || // private
			first == 127 || a>>16 == 169<<8|254 || first-224 < 16 || a == 0 || a == 1<<32-1
	}
	if bytes.IndexByte(address, ':') < 0 {
		return false
	}
	a, err := netip.ParseAddr(string(address))
	return err == nil && internal(a.Unmap())
}

// outsideByFirst reports whether the first number of an address in dotted notation tells that
// it is outside: that of most does.
func outsideByFirst(address []byte) bool {
	first := 0
	for i, c := range address[:min(len(address), len("255."))] {
		if c == '.' {
			return i > 0 && first > 0 && first != 10 && first != 127 && first != 169 && first != 172 && first != 192 && first < 224
		}
		if c -= '0'; c > 9 {
			return false
		}
		first = 10*first + int(c)
	}
	return false
}

// External parses an address. It returns false for other texts and for addresses that
// must be inside the company. It does not allocate.
func External(text []byte) (a netip.Addr, ok bool) {
	if !AddressLike(text) {
		return a, false
	}
	a, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(text), len(text))) // used here only
	a = a.WithZone("").Unmap()
	return a, err == nil && !internal(a)
}

func internal(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() ||
		a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// ipv4 reads an address in dotted notation, as netip.ParseAddr does.
func ipv4(b []byte) (a uint32, ok bool) {
	if len(b) > len("255.255.255.255") {
		return 0, false
	}
	octet, digits, dots := uint32(0), 0, 0
	for _, c := range b {
		switch {
		case c-'0' <= 9:
			if digits > 0 && octet == 0 { // a leading zero
				return 0, false
			}
			octet = octet*10 + uint32(c-'0')
			digits++
			if octet > 255 {
				return 0, false
			}
		case c == '.' && digits > 0:
			a = a<<8 | octet
			octet, digits = 0, 0
			dots++
		default:
			return 0, false
		}
	}
	return a<<8 | octet, dots == 3 && digits > 0
}
