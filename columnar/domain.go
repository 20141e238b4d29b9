package columnar

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Domains finds registered domains by the ICANN and private sections of the public
// suffix list. The registered domain of alice.example.co.uk is example.co.uk; that
// of x.s3.amazonaws.com is the name itself. Domains remembers its results, so the
// list is searched once per parent name. It must not be used by several goroutines
// at once.
type Domains struct {
	parents *Dict   // the parts of names after the first dot; nil: not made yet
	sizes   []int32 // by parent: size of the registered domain within it, 0 if it is a public suffix

	labels    *Dict        // last labels of names; nil: not made yet
	topLevels Lookup[bool] // by label: mayBeTopLevel
}

// parentsMaxLen is the number of parents that are remembered, and parentsMaxSize
// their total size in bytes. Beyond either, all are forgotten. With more, a worker
// would take over 10 MiB; with fewer, the list would be searched again and again
// for the log of a large network. labelsMaxSize is the same for last labels; those
// that exist take 10 KiB.
const (
	parentsMaxLen  = 1 << 17
	parentsMaxSize = 4 << 20
	labelsMaxSize  = 64 << 10
)

// Registered returns the registered domain of a name. The name must be in lower
// case and without the root dot. The result is a suffix of name, and all of it
// where there is no registered domain to cut out (addresses, single labels). If the
// name is itself a public suffix, the result is the domain above it, if that is not
// a public suffix: amazonaws.com for s3.amazonaws.com.
func (d *Domains) Registered(name []byte) []byte {
	if bytes.IndexByte(name, ':') >= 0 { // an address of version 6, perhaps with one of version 4 in it
		return name
	}
	d.bound()
	parent := parentOf(name, Span{0, uint32(len(name))})
	if size := d.ofParent(d.parents.Code(name[parent.Begin:])); size > 0 {
		return name[len(name)-int(size):]
	}
	return name
}

// Parents sets parents[i] to the number of the part of the name of names[i] in data after its
// first dot, its parent: names with one parent have one registered domain, which OfParent
// returns. Names are as for Registered; none has a colon. It returns the dictionary whose codes
// these are: if it is another one than before, earlier numbers are void.
func (d *Domains) Parents(parents []int32, data []byte, names []Span) (of *Dict) {
	d.bound()
	var spans [64]Span
	for len(names) > 0 {
		n := min(len(names), len(spans))
		for i, s := range names[:n] {
			spans[i] = parentOf(data, s)
		}
		d.parents.Codes(parents[:n], data, spans[:n])
		parents, names = parents[n:], names[n:]
	}
	return d.parents
}

// OfParent returns the registered domain of the names with a parent, or nil if that is the
// whole name.
func (d *Domains) OfParent(parent int32) []byte {
	size := int(d.ofParent(parent))
	if size == 0 {
		return nil
	}
	text := d.parents.Text(parent)
	return text[len(text)-size:]
}

// Asked returns what a queried name is judged under: its registered domain, or
// nothing if its top-level domain does not exist and it is not one of LocalZones:
// names that are made up need not have more in common than that. What may be the name
// of a machine, alone or with one label behind it, stands for itself.
func (d *Domains) Asked(name []byte) []byte {
	parent := parentOf(name, Span{0, uint32(len(name))})
	switch d.topLevelOf(name[parent.Begin:]) {
	case noDomain:
		return nil
	case machineName:
		if !d.isMachineName(name, name[parent.Begin:]) {
			return nil
		}
	}
	return d.Registered(name)
}

// What topLevelOf says of names with a parent.
const (
	noDomain    = 0  // no such top-level domain
	wholeName   = -1 // it exists
	machineName = -2 // it does not, but the name may be a machine's
)

func (d *Domains) topLevelOf(parent []byte) int32 {
	switch {
	case len(parent) > 0 && d.mayBeTopLevel(parent):
		return wholeName
	case len(parent) <= machineNameLen && bytes.IndexByte(parent, '.') < 0:
		return machineName
	}
	return noDomain
}

// machineNameLen is how long the name of a Windows machine can be. The random labels
// by which Chrome finds resolvers that lie are no longer; were it more, labels that
// carry data would each stand alone and nobody would see them.
const machineNameLen = 15

// isMachineName reports whether what stands before the parent can be a machine's name.
func (d *Domains) isMachineName(name, parent []byte) bool {
	size := len(name) - len(parent)
	if len(parent) > 0 {
		size-- // the dot
	}
	return size <= machineNameLen || len(parent) == 0 && d.mayBeTopLevel(name)
}

// LocalZones are top-level domains that do not exist and that networks use for their
// own machines all the same: reserved ones (RFC 6761 and 6762, ICANN's internal), those
// that RFC 6762 and ICANN found in use (corp, home, mail, intranet, private), short
// forms of these, and what routers and container platforms come with. A company that
// uses another one finds its names in one group.
const LocalZones = "local localdomain localhost lan home internal intranet intra corp private priv pvt domain workgroup mail " +
	"loc lcl dom belkin dlink router gateway mshome openstacklocal consul svc docker"

// localZones are LocalZones and the two that stand for a real top-level domain in
// documents and tests (RFC 2606).
var localZones = append(strings.Fields(LocalZones), "example", "test")

// TopLevelExists reports whether the last label of a name, in lower case, is a
// top-level domain of the public suffix list or one of the local zones.
func TopLevelExists(name []byte) bool {
	label := string(name[bytes.LastIndexByte(name, '.')+1:])
	// For bd, np and others, the list has only what is below them: *.np.
	_, icann := publicsuffix.PublicSuffix("x." + label)
	return icann || slices.Contains(localZones, label)
}

// IsPublicSuffix reports whether a name, in lower case, is one under which anybody may have a
// domain: com, co.uk. Those under which a company lends names (github.io) are none.
func IsPublicSuffix(name string) bool {
	suffix, icann := publicsuffix.PublicSuffix(name)
	return icann && suffix == name
}

// mayBeTopLevel is TopLevelExists, and true of a last label that is not of letters,
// digits, hyphens and underscores: the list does not have names in Unicode, and what
// a log writes instead of a name (<name unprintable>) is not what was asked for.
func mayBeTopLevel(name []byte) bool {
	for _, c := range name[bytes.LastIndexByte(name, '.')+1:] {
		if (c|0x20)-'a' >= 26 && c-'0' >= 10 && c != '-' && c != '_' {
			return true
		}
	}
	return TopLevelExists(name)
}

// mayBeTopLevel is mayBeTopLevel, asked once for each last label.
func (d *Domains) mayBeTopLevel(name []byte) bool {
	if d.labels == nil || d.labels.size() > labelsMaxSize {
		d.labels, d.topLevels = NewDict(), Lookup[bool]{Func: mayBeTopLevel}
	}
	label := d.labels.Code(name[bytes.LastIndexByte(name, '.')+1:])
	return d.topLevels.Of(d.labels)[label]
}

// bound forgets the parents if there are too many.
func (d *Domains) bound() {
	if d.parents == nil || d.parents.Len() > parentsMaxLen || d.parents.size() > parentsMaxSize {
		d.parents, d.sizes = NewDict(), append(d.sizes[:0], 0)
	}
}

// parentOf returns the part of a name after its first dot. It has the same
// registered domain as the name, unless it is a public suffix. It is empty, at the
// end of the name, if there is nothing to cut off.
func parentOf(data []byte, name Span) Span {
	const dots = '.' * 0x0101010101010101
	i := name.Begin
	for ; int(i)+8 <= len(data); i += 8 {
		w := binary.LittleEndian.Uint64(data[i:]) ^ dots
		if found := (w - dots/'.') &^ w & (dots / '.' << 7); found != 0 {
			i += uint32(bits.TrailingZeros64(found) >> 3)
			break
		}
		if i+8 >= name.End {
			return Span{name.End, name.End}
		}
	}
	for i < name.End && data[i] != '.' {
		i++
	}
	if i >= name.End || data[name.End-1]-'0' < 10 && isIPv4(data[name.Begin:name.End]) {
		return Span{name.End, name.End}
	}
	return Span{i + 1, name.End}
}

// ofParent returns the size of the registered domain of names with that parent, or
// 0 if it is the whole name.
func (d *Domains) ofParent(parent int32) int32 {
	for code := int32(len(d.sizes)); code <= parent; code++ {
		text := string(d.parents.Text(code))
		size := 0
		if suffix, _ := publicsuffix.PublicSuffix(text); suffix != text {
			size = len(registered(text, suffix))
		}
		d.sizes = append(d.sizes, int32(size))
	}
	return d.sizes[parent]
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
