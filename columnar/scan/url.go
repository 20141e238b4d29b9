package scan

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// URLs, and the hosts and paths that requests name with them.

// URLHost returns the host of a URL, of "host:port" or of "host". It is empty for a
// path.
func URLHost(b []byte) []byte {
	if isPlainHost(b) {
		return b
	}
	end := authorityEnd(b)
	if beginsAuthority(b, end) {
		b = b[end+2:]
		end = authorityEnd(b)
	}
	if b = b[:end]; isPlainHost(b) {
		return b
	}
	return withoutPort(b)
}

// withoutPort returns the host of user@host:port.
func withoutPort(b []byte) []byte {
	if i := bytes.LastIndexByte(b, '@'); i >= 0 {
		b = b[i+1:]
	}
	if i := bytes.LastIndexByte(b, ':'); i >= 0 && (b[0] == '[' && b[i-1] == ']' || bytes.IndexByte(b, ':') == i) {
		b = b[:i]
	}
	if len(b) > 1 && b[0] == '[' && b[len(b)-1] == ']' {
		b = b[1 : len(b)-1]
	}
	return TrimDot(b)
}

// isPlainHost reports whether b is a host name in lower case, or an address of version 4,
// with nothing around it. It may not know one.
func isPlainHost(b []byte) bool {
	n := len(b)
	if n < 8 || b[n-1] == '.' {
		return false
	}
	odd := inHostEnd(binary.LittleEndian.Uint64(b))
	if odd != 0 { // of most URLs
		return false
	}
	odd = inHostEnd(binary.LittleEndian.Uint64(b[n-8:]))
	for b = b[min(8, n):]; len(b) > 8; b = b[8:] {
		odd |= inHostEnd(binary.LittleEndian.Uint64(b))
	}
	return odd == 0
}

// URLPath returns the path of a URL or of a path. It leaves out the query string,
// which may hold secrets.
func URLPath(b []byte) []byte {
	if len(b) > 0 && b[0] == '/' {
		return WithoutQuery(b)
	}
	b = WithoutQuery(b)
	at := IndexNear(b, '/')
	if at >= 0 && beginsAuthority(b, at) {
		b = b[at+2:]
		at = IndexNear(b, '/')
	}
	if at < 0 {
		return nil
	}
	return b[at:]
}

// beginsAuthority reports whether the first slash, ? or # of a URL, at b[at], is the first slash of ://.
func beginsAuthority(b []byte, at int) bool {
	return at > 0 && at+1 < len(b) && b[at-1] == ':' && b[at] == '/' && b[at+1] == '/'
}

// authorityEnd returns the index of the first slash, ? or #, the length of b if there is none.
func authorityEnd(b []byte) int {
	i := 0
	for ; len(b)-i >= 8; i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		slash := w ^ '/'*EachByte
		if m := (slash-EachByte)&^slash&HighBits | inPathEnd(w); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for ; i < len(b); i++ {
		if b[i] == '/' || b[i] == '?' || b[i] == '#' {
			return i
		}
	}
	return i
}

// RequestTarget splits the target of an HTTP request. host is nil if the target
// does not name one: only requests to proxies do.
func RequestTarget(method, uri []byte) (host, path []byte) {
	switch {
	case string(method) == "CONNECT":
		return URLHost(uri), nil
	case len(uri) > 0 && uri[0] != '/' && bytes.Contains(uri, []byte("://")):
		return URLHost(uri), URLPath(uri)
	}
	return nil, URLPath(uri)
}

// SplitURL returns the host and path of a URL, or of the host:port of a tunnel, which
// Squid 4 may write as ://host:port.
func SplitURL(url []byte) (host, path []byte) {
	at := IndexNear(url, ':')
	if at >= 0 && len(url) > at+2 && url[at+1] == '/' && url[at+2] == '/' {
		rest := url[at+3:]
		for i, c := range rest {
			if c == '/' || c == '?' || c == '#' {
				return HostOf(rest[:i]), WithoutQuery(rest[i:])
			}
		}
		return HostOf(rest), nil
	}
	if len(url) == 0 || url[0] == '/' {
		return nil, WithoutQuery(url)
	}
	switch port := PortAt(url); {
	case port < 0:
		return nil, nil // error:invalid-request, urn:…
	case port == at: // the only colon
		return TrimDot(url[:port]), nil
	}
	return HostOf(url), nil
}

// A Span is the place of a text in a block, data[Begin:End]. It converts to and
// from columnar's Span.
type Span struct{ Begin, End uint32 }

// UsualURL is SplitURL for the usual form of the URL at s: an HTTP URL whose host
// is only a name or an address, with further text after it in data. ok is false for
// any other URL.
func UsualURL(data []byte, s Span) (host, path Span, ok bool) {
	const https, http = 0x2f2f3a7370747468, 0x2f2f3a70747468 // ://, from the last byte on
	if int(s.Begin)+8 > len(data) {
		return host, path, false
	}
	scheme := binary.LittleEndian.Uint64(data[s.Begin:])
	host.Begin = s.Begin + 8
	if scheme != https {
		if scheme&(1<<56-1) != http {
			return host, path, false
		}
		host.Begin--
	}
	at := host.Begin
	for size := uint32(24); size == 24; at += size {
		if int(at)+24 > len(data) {
			return host, path, false
		}
		size = firstOf3(
			inHostEnd(binary.LittleEndian.Uint64(data[at:])),
			inHostEnd(binary.LittleEndian.Uint64(data[at+8:])),
			inHostEnd(binary.LittleEndian.Uint64(data[at+16:])))
	}
	// The byte that ends the host may also begin a port, or end a user name before
	// the host.
	host.End = min(at, s.End)
	if host.End <= host.Begin || data[host.End-1] == '.' {
		return host, path, false
	}
	if at >= s.End {
		return host, path, true
	}
	if c := data[at]; c != '/' && c != '?' && c != '#' {
		return host, path, false
	}
	path.Begin = at
	for size := uint32(24); size == 24 && at < s.End; at += size {
		if int(at)+24 > len(data) {
			return host, path, false
		}
		size = firstOf3(
			inPathEnd(binary.LittleEndian.Uint64(data[at:])),
			inPathEnd(binary.LittleEndian.Uint64(data[at+8:])),
			inPathEnd(binary.LittleEndian.Uint64(data[at+16:])))
	}
	path.End = min(at, s.End)
	return host, path, true
}

// inHostEnd marks, by its high bit, the first byte of w that is one of / ? # : @ [
// or of some others that no host name in lower case has. The bits above that mark
// mean nothing.
func inHostEnd(w uint64) uint64 {
	slash, colon, at := (w|0x0c*EachByte)^'/'*EachByte, (w|0x05*EachByte)^'?'*EachByte, (w|0x1b*EachByte)^'['*EachByte
	return ((slash-EachByte)&^slash | (colon-EachByte)&^colon | (at-EachByte)&^at) & HighBits
}

// inPathEnd marks, by its high bit, the first byte of w that is ? or #. The bits
// above that mark mean nothing.
func inPathEnd(w uint64) uint64 {
	query, fragment := w^'?'*EachByte, w^'#'*EachByte
	return ((query-EachByte)&^query | (fragment-EachByte)&^fragment) & HighBits
}

// firstOf3 returns the index of the first byte of three words that is marked by its
// high bit, or 24 if none is.
func firstOf3(m0, m1, m2 uint64) uint32 {
	at0, at1, at2 := bits.TrailingZeros64(m0)>>3, bits.TrailingZeros64(m1)>>3, bits.TrailingZeros64(m2)>>3
	at := at0 + at1&-(at0>>3)
	return uint32(at + at2&-(at>>4))
}

// HostOf returns the host of user@host:port, and an IPv6 address without its
// brackets.
func HostOf(authority []byte) []byte {
	for i := len(authority) - 1; i >= 0; i-- {
		if authority[i] == '@' {
			authority = authority[i+1:]
			break
		}
	}
	if len(authority) > 0 && authority[0] == '[' {
		if end := bytes.IndexByte(authority, ']'); end > 0 {
			return authority[1:end]
		}
	}
	// An address without brackets has no port.
	if at := PortAt(authority); at >= 0 && bytes.IndexByte(authority[:at], ':') < 0 {
		authority = authority[:at]
	}
	return TrimDot(authority)
}

// PortAt returns the index of the colon before a port at the end of p, or -1 if
// there is none.
func PortAt(p []byte) int {
	i := len(p) - 1
	for i >= 0 && '0' <= p[i] && p[i] <= '9' {
		i--
	}
	if i < 0 || i == len(p)-1 || p[i] != ':' {
		return -1
	}
	return i
}

// WithoutQuery returns a path without its query string and fragment, which may hold
// secrets.
func WithoutQuery(path []byte) []byte {
	i := 0
	for ; len(path)-i >= 8; i += 8 {
		if m := inPathEnd(binary.LittleEndian.Uint64(path[i:])); m != 0 {
			return path[:i+bits.TrailingZeros64(m)>>3]
		}
	}
	for ; i < len(path); i++ {
		if path[i] == '?' || path[i] == '#' {
			return path[:i]
		}
	}
	return path
}

// UnescapePercent appends b with escapes such as %20 decoded. Text that is not an
// escape is unchanged.
func UnescapePercent(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			h, ok1 := HexDigit(b[i+1])
			l, ok2 := HexDigit(b[i+2])
			if ok1 && ok2 {
				dst = append(dst, h<<4|l)
				i += 2
				continue
			}
		}
		dst = append(dst, b[i])
	}
	return dst
}

// EscapedUser reports whether UnescapeUser may change a user name.
func EscapedUser(b []byte) bool {
	for i, c := range b {
		switch c {
		case '%', '+':
			return true
		case '"':
			if i == 0 {
				return true
			}
		case '\\':
			if i+1 < len(b) && b[i+1] == 'x' {
				return true
			}
		}
	}
	return false
}

var hexEscape = []byte(`\x`)

// UnescapeUser appends a user name of a log of a web server or proxy to dst, without percent
// escapes and the quotes around it. Behind a domain and a backslash a + is IIS's space: names of
// Windows accounts have no +, and mail addresses, which may have one, no backslash. nginx writes
// quotes, backslashes and what is not ASCII as \xHH; a name such as CORP\xaver is left, as the
// bytes would be no UTF-8.
func UnescapeUser(dst, b []byte) []byte {
	if n := len(b); n > 2 && b[0] == '"' && b[n-1] == '"' {
		b = b[1 : n-1]
	}
	begin := len(dst)
	dst = append(dst, b...)
	if bytes.Contains(b, hexEscape) {
		dst = dst[:begin]
		for i := 0; i < len(b); i++ {
			c := b[i]
			if c == '\\' && i+3 < len(b) && b[i+1] == 'x' {
				high, ok1 := HexDigit(b[i+2])
				low, ok2 := HexDigit(b[i+3])
				if h := high<<4 | low; ok1 && ok2 && (h >= utf8.RuneSelf || h == '"' || h == '\\') {
					c = h
					i += 3
				}
			}
			dst = append(dst, c)
		}
		if !utf8.Valid(dst[begin:]) {
			dst = append(dst[:begin], b...)
		}
	}
	if bytes.IndexByte(b, '\\') >= 0 {
		for i, c := range dst[begin:] {
			if c == '+' {
				dst[begin+i] = ' '
			}
		}
	}
	return UnescapePercent(dst[:begin], dst[begin:]) // in place: no text is longer without escapes
}

// A URIPart is a part of a request's URI that rules read as a field. No column
// holds it: columns leave out everything after the path, because it may hold
// secrets.
type URIPart uint8

const (
	URIWhole     URIPart = iota // as the log has it
	URIQuery                    // after the ?, without a fragment
	URIExtension                // of the last part of the path, without the dot
)

// Of returns the part of a URI, or nil if it has none.
func (p URIPart) Of(uri []byte) []byte {
	switch p {
	case URIQuery:
		if i := bytes.IndexByte(uri, '#'); i >= 0 {
			uri = uri[:i]
		}
		if i := bytes.IndexByte(uri, '?'); i >= 0 {
			return uri[i+1:]
		}
		return nil
	case URIExtension:
		path := URLPath(uri)
		path = AfterLast(path, '/')
		if i := bytes.LastIndexByte(path, '.'); i >= 0 {
			return path[i+1:]
		}
		return nil
	}
	return uri
}
