package columnar

import (
	"bytes"

	"golang.org/x/net/publicsuffix"
)

// Domains finds registered domains by the public suffix list, ICANN and private
// sections: alice.example.co.uk is of example.co.uk, x.s3.amazonaws.com of
// itself. It remembers what it found, so that the list is asked once per parent
// name. It is used by one goroutine at a time.
type Domains struct {
	memo [1 << 14]domainMemo
}

type domainMemo struct {
	parent string
	size   int32 // of the registered domain within parent; -1 if parent is a public suffix
}

// Registered returns the registered domain of a name that is in lower case and
// has no root dot: a suffix of name, and the whole of it where the list has
// nothing to cut (addresses, single labels). A name that is a public suffix
// itself belongs to the domain above it if that is none: s3.amazonaws.com to
// amazonaws.com.
func (d *Domains) Registered(name []byte) []byte {
	dot := bytes.IndexByte(name, '.')
	if dot < 0 || dot == len(name)-1 || isIPv4(name) {
		return name
	}
	// What holds of the parent holds of the name, unless the parent is a suffix.
	if size := d.ofParent(name[dot+1:]); size > 0 {
		return name[len(name)-size:]
	}
	return name
}

func (d *Domains) ofParent(parent []byte) int {
	m := &d.memo[Hash(parent)&uint64(len(d.memo)-1)]
	if m.parent == string(parent) {
		return int(m.size)
	}
	size := -1
	text := string(parent)
	if suffix, _ := publicsuffix.PublicSuffix(text); suffix != text {
		size = len(registered(text, suffix))
	}
	*m = domainMemo{text, int32(size)}
	return size
}

func registered(name, suffix string) string {
	if len(suffix) >= len(name) {
		return name
	}
	rest := name[:len(name)-len(suffix)-1]
	for i := len(rest) - 1; i >= 0; i-- {
		if rest[i] == '.' {
			return name[i+1:]
		}
	}
	return name
}

func isIPv4(name []byte) bool {
	dots := 0
	for _, c := range name {
		switch {
		case c == '.':
			dots++
		case c < '0' || c > '9':
			return false
		}
	}
	return dots == 3
}
