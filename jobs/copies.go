package jobs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/stats/detect"
)

// This file finds copies: logs of one feed that hold the same bytes once they are
// decompressed, or the first bytes of another, as the copy of a log that went on
// growing does. A copy is not decoded.
//
// Readers take the sources in a fixed order and show the head of each log in that
// order, so what is found does not depend on timing: of several copies the first
// counts. Logs that begin alike are compared byte by byte; no other is opened twice.

const (
	// leastBeginning is how many bytes a log has at least that is taken for the
	// beginning of another. A shorter one could be no more than the header of both.
	leastBeginning = 128
	// maxAlike is with how many logs that begin like it one is compared. Where more
	// begin alike, that is how such logs begin: to open them all, for each of them,
	// would cost more than reading them.
	maxAlike = 8
)

// A content is what one log holds. What is below decided may be read when that is
// closed.
type content struct {
	source *source
	place  int // of the source in the order
	member *logs.Member
	size   int64 // of all, or of the head if not whole
	whole  bool
	head   [sha256.Size]byte

	decided chan struct{}
	of      *content // that it is a copy of; nil: it counts
	cut     bool     // the log ends before of does
	holds   *content // begins with all of this, and both count
}

// root returns what is decoded in place of k, and whether that goes on after k ends.
func (k *content) root() (of *content, cut bool) {
	for of = k; of.of != nil; of = of.of {
		cut = cut || of.cut
	}
	return of, cut
}

// what says of which log k is a copy. k is one.
func (k *content) what() string {
	of, cut := k.root()
	if !cut {
		return "a copy of " + of.member.Name
	}
	return fmt.Sprintf("a copy of the beginning of %s", of.member.Name)
}

// errCopy ends a log that is a copy.
var errCopy = errors.New("is a copy")

// contents are what the sources of one pass hold.
type contents struct {
	order []int  // of the sources
	again func() // ends decoding: the pass is void

	mu     sync.Mutex
	turn   *sync.Cond
	shown  []bool // by place in the order: all its heads were
	next   int    // the first place whose heads were not all shown
	same   map[beginning][]*content
	begins map[beginning][]*content // the first of them, maxAlike + 1 at most
	last   map[int]bool             // sources to be read after all others
	moved  bool                     // last has grown: the pass is void
}

// A beginning is the first size bytes of a log of a feed.
type beginning struct {
	feed string
	size int
	sum  uint64 // of their SHA-256
}

func newContents(sources []source, last map[int]bool) *contents {
	c := &contents{shown: make([]bool, len(sources)), same: map[beginning][]*content{}, begins: map[beginning][]*content{}, last: last}
	c.turn = sync.NewCond(&c.mu)
	for i := range sources {
		c.order = append(c.order, i)
	}
	// A log that goes on where another ends tends to be larger: the other is the
	// copy. The logs in an archive are known only when it has been read, so nothing
	// waits for one but archives.
	slices.SortStableFunc(c.order, func(i, j int) int {
		a, b := &sources[i].object, &sources[j].object
		return cmp.Or(order(last[i], last[j]), order(archived(a.Name), archived(b.Name)), cmp.Compare(b.Size, a.Size), cmp.Compare(a.Name, b.Name))
	})
	return c
}

func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// archived reports whether an object is an archive by its name.
func archived(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".zip") || strings.HasSuffix(name, ".tar") || strings.HasSuffix(name, ".tgz") || strings.Contains(name, ".tar.")
}

// show decides what a log is whose source has this place in the order. The error is
// errCopy if it is a copy.
func (c *contents) show(ctx context.Context, place int, s *source, m *logs.Member, x *logs.Content) (*content, error) {
	if x.Whole && !mayHaveRecords(x.Head) {
		return nil, nil
	}
	k := &content{source: s, place: place, member: m, size: int64(len(x.Head)), whole: x.Whole, decided: make(chan struct{})}
	defer close(k.decided)
	similar, err := c.take(ctx, k, x)
	if err == nil && k.of == nil {
		err = c.decide(ctx, k, x.Head, similar)
	}
	switch {
	case err != nil:
	case c.void(): // the rest is looked at only to find what else has to move
		err = errAgain
	case k.of != nil:
		err = errCopy
	}
	return k, err
}

// take waits until all logs before k were shown, and shows k. It finds out whether k
// is a copy of a short log, or else returns the earlier logs that begin like k.
func (c *contents) take(ctx context.Context, k *content, x *logs.Content) (similar []*content, err error) {
	var steps []beginning
	steps, k.head = ladder(k.source.feed, x.Head)
	whole := beginning{k.source.feed, len(x.Head), binary.LittleEndian.Uint64(k.head[:])}
	if !k.whole {
		whole.size = -1 // and on
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.next < k.place {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		c.turn.Wait()
	}
	for _, a := range c.same[whole] {
		switch {
		case a.head != k.head || !a.fits(k):
		case k.whole:
			k.of = a
			return nil, nil
		default:
			similar = append(similar, a)
		}
	}
	for i, step := range steps {
		alike := c.begins[step]
		if len(alike) > maxAlike {
			continue
		}
		for _, a := range alike {
			begun := a.whole && a.size < k.size && a.steps() == i+1 && a.head == sha256.Sum256(x.Head[:a.size])
			goesOn := k.whole && i+1 == len(steps) && (!a.whole || a.size > k.size)
			if a.fits(k) && (begun || goesOn) {
				similar = append(similar, a)
			}
		}
		c.begins[step] = append(alike, k)
	}
	c.same[whole] = append(c.same[whole], k)
	if !x.More {
		c.pass(k.place)
	}
	return similar, nil
}

// fits reports whether both logs are read as the same format, as far as is known.
func (k *content) fits(o *content) bool {
	return k.source.format == nil || o.source.format == nil || k.source.format == o.source.format
}

// begin readies c for readers that end with ctx. If the pass is void, again ends their
// decoding. The result frees what that took.
func (c *contents) begin(ctx context.Context, again func()) func() bool {
	if c == nil {
		return func() bool { return true }
	}
	c.again = again
	return context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.turn.Broadcast()
	})
}

// at returns which source has a place in the order.
func (c *contents) at(place int) int {
	if c == nil {
		return place
	}
	return c.order[place]
}

// void reports whether the pass has to be done again, in another order.
func (c *contents) void() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved
}

// errAgain ends what is read of a log in a void pass, not the logs behind it in an archive.
var errAgain = fmt.Errorf("read the sources in another order: %w", logs.ErrSkip)

// A shower decides what a log is; see contents.show.
type shower func(*logs.Member, *logs.Content) (*content, error)

func (c *contents) shower(ctx context.Context, place int, s *source) shower {
	if c == nil {
		return nil
	}
	return func(m *logs.Member, x *logs.Content) (*content, error) { return c.show(ctx, place, s, m, x) }
}

// over says that no more logs of a source will be shown.
func (c *contents) over(place int) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pass(place)
}

func (c *contents) pass(place int) {
	c.shown[place] = true
	for c.next < len(c.shown) && c.shown[c.next] {
		c.next++
	}
	c.turn.Broadcast()
}

// decide compares k with earlier logs that begin like it.
func (c *contents) decide(ctx context.Context, k *content, head []byte, similar []*content) error {
	compared := 0
	for _, a := range similar {
		select {
		case <-a.decided:
		case <-ctx.Done():
			return ctx.Err()
		}
		if a.of != nil {
			continue // k is compared with its root
		}
		if compared++; compared > maxAlike {
			break
		}
		how, err := compare(a, k, head)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil || how == different: // who cannot be read again is no copy
		case how == longer:
			k.of, k.cut = a, true
			return nil
		case how == equal:
			k.of = a
			return nil
		case how == shorter:
			if !c.move(a, k) {
				k.holds = a
			}
		}
	}
	return nil
}

// move has the source of a read after that of k, which goes on after a ends, and
// reports whether that can be.
func (c *contents) move(a, k *content) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.order[a.place]
	if a.place == k.place || c.last[i] {
		return false
	}
	c.last[i], c.moved = true, true
	c.again()
	return true
}

// How the first of two logs is beside the second.
const (
	different = iota
	equal
	longer  // it begins with all of the second
	shorter // the second begins with all of it
)

// compare compares two logs that begin alike. head is that of k.
func compare(a, k *content, head []byte) (how int, err error) {
	switch {
	case a.whole && a.size < k.size: // its digest told
		return shorter, nil
	case k.whole:
		err = logs.Bytes(&a.source.object, a.member.Name, func(in io.Reader) error {
			first := make([]byte, len(head))
			if _, err := io.ReadFull(in, first); err != nil {
				return err
			}
			if bytes.Equal(first, head) {
				how = longer
			}
			return nil
		})
		return how, err
	}
	err = logs.Bytes(&a.source.object, a.member.Name, func(first io.Reader) error {
		return logs.Bytes(&k.source.object, k.member.Name, func(second io.Reader) error {
			how, err = compareBytes(first, second)
			return err
		})
	})
	return how, err
}

func compareBytes(first, second io.Reader) (how int, err error) {
	const size = 64 << 10
	a, b := make([]byte, size), make([]byte, size)
	for {
		n, err := io.ReadFull(first, a)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return different, err
		}
		m, err := io.ReadFull(second, b)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return different, err
		}
		switch both := min(n, m); {
		case !bytes.Equal(a[:both], b[:both]):
			return different, nil
		case n < m:
			return shorter, nil
		case n > m:
			return longer, nil
		case n < size:
			return equal, nil
		}
	}
}

// ladder returns the beginnings of a log of which leastBeginning bytes, twice as
// many, and so on are made, and the sum of the head.
func ladder(feed string, head []byte) (steps []beginning, sum [sha256.Size]byte) {
	h := sha256.New()
	at := 0
	for size := leastBeginning; size <= len(head); size *= 2 {
		h.Write(head[at:size])
		at = size
		steps = append(steps, beginning{feed, size, binary.LittleEndian.Uint64(h.Sum(sum[:0]))})
	}
	h.Write(head[at:])
	h.Sum(sum[:0])
	return steps, sum
}

// steps returns how many steps the ladder of k has.
func (k *content) steps() int { return bits.Len64(uint64(k.size) / leastBeginning) }

// mayHaveRecords reports whether a log can have more than a header: a record has a
// time, and so a digit.
func mayHaveRecords(text []byte) bool {
	for line := range bytes.Lines(text) {
		if line[0] != '#' && bytes.ContainsAny(line, "0123456789") {
			return true
		}
	}
	return false
}

// settle gives copies the feed and the format of what they are copies of.
func settle(members []*member) {
	of := map[*logs.Member]*member{}
	for _, m := range members {
		of[m.Member] = m
	}
	for _, m := range members {
		if k := m.content; k != nil && k.of != nil {
			root, _ := k.root()
			m.Err, m.Format, m.feed = nil, root.member.Format, of[root.member].feed
			if m.Name == m.source.object.Name {
				m.Size = m.source.object.Size
			}
		}
	}
}

// print says of the objects what they hold, and of which others they are copies.
func (f *folded) print(members []*member) {
	prints := map[string]*printer{}
	for _, m := range members {
		name := m.source.object.Name
		if prints[name] == nil {
			prints[name] = &printer{}
		}
		prints[name].add(m)
		if m.content == nil || m.content.of == nil {
			continue
		}
		root, _ := m.content.root()
		of, o := f.objects[root.source.object.Name], f.objects[name]
		o.whole = o.whole && of.whole
		if of.rows == 0 {
			continue
		}
		if o.rows == 0 && o.copyOf == "" {
			o.first, o.last, o.copyOf = of.first, of.last, root.source.object.Name
		}
		o.first, o.last = min(o.first, of.first), max(o.last, of.last)
	}
	for name, p := range prints {
		f.objects[name].content = p.content()
	}
}

// A printer makes the store.Content of an object from those of its logs.
type printer struct {
	head, tail hash.Hash
	length     int64
	logs       int
	unknown    bool
}

func (p *printer) add(m *member) {
	if p.logs++; p.logs == 1 {
		p.head, p.tail = sha256.New(), sha256.New()
	}
	k, length, tail := m.content, m.Length, m.Tail
	if k != nil && k.of != nil {
		of, cut := k.root()
		k, length, tail = of, of.member.Length, of.member.Tail
		p.unknown = p.unknown || cut
	}
	if k == nil || length == 0 {
		p.unknown = true
		return
	}
	p.length += length
	p.head.Write(k.head[:])
	p.tail.Write(tail[:])
}

// content returns the zero Content if not all is known.
func (p *printer) content() store.Content {
	if p.unknown || p.logs == 0 {
		return store.Content{}
	}
	return store.Content{Length: p.length, Head: hex.EncodeToString(p.head.Sum(nil)[:16]), Tail: hex.EncodeToString(p.tail.Sum(nil)[:16])}
}

// readBefore finds the sources that hold what an earlier run has folded from an object
// of another name, or of another date, and says so in their inputs. It returns the
// names of those objects. known are they by name, all the sources that there are.
//
// Where the other object still is, it is compared byte by byte.
func readBefore(known map[string]span, all, sources []source, result *folded) map[string]string {
	type log struct {
		feed    string
		content store.Content
	}
	folded := map[log]string{}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		k := known[name]
		at := log{k.Feed, k.Content}
		if first, ok := folded[at]; k.Content != (store.Content{}) && (!ok || known[first].CopyOf != "" && k.CopyOf == "") {
			folded[at] = name
		}
	}
	there := map[string]*source{}
	for i := range all {
		there[all[i].object.Name] = &all[i]
	}
	out := map[string]string{}
	for i := range sources {
		src := &sources[i]
		name := src.object.Name
		o := result.objects[name]
		if o == nil || o.copyOf != "" || !o.whole || known[name].ETag == src.etag {
			continue
		}
		before, ok := folded[log{src.feed, o.content}]
		if !ok {
			continue
		}
		why := "a copy of " + before + ", which an earlier run has read"
		old := there[before]
		switch {
		case before == name: // written anew, with the same bytes
			out[name] = before
			continue
		case old == nil || old.etag != known[before].ETag:
			why += " and which is gone: its length and both ends are the same"
		case !sameObject(old, src):
			continue
		}
		out[name] = before
		for j := range result.inputs {
			if in := &result.inputs[j]; in.Feed == src.feed && (in.Name == name || strings.HasPrefix(in.Name, name+"!")) && in.CopyOf == "" {
				in.CopyOf = before
				in.Reasons = append(in.Reasons, why)
			}
		}
	}
	return out
}

// sameObject reports whether two objects hold the same bytes, as they are stored or
// decompressed.
func sameObject(a, b *source) bool {
	if a.object.Size == b.object.Size && sameStored(a, b) {
		return true
	}
	how := different
	err := logs.Bytes(&a.object, a.object.Name, func(first io.Reader) error {
		return logs.Bytes(&b.object, b.object.Name, func(second io.Reader) (err error) {
			how, err = compareBytes(first, second)
			return err
		})
	})
	return err == nil && how == equal
}

func sameStored(a, b *source) bool {
	first, err := a.object.Open()
	if err != nil {
		return false
	}
	defer first.Close()
	second, err := b.object.Open()
	if err != nil {
		return false
	}
	defer second.Close()
	how, err := compareBytes(first, second)
	return err == nil && how == equal
}

// elsewhere lists the objects that this run has read only to find that their events
// count on other days than these, where another object has them: the next run need not
// read them.
func (s *state) elsewhere(first, last detect.Day) []store.InputRef {
	var out []store.InputRef
	for _, r := range s.read {
		if (r.copyOf != "" || r.before != "") && !r.meets(first, last) {
			in := r.ref(r.source)
			in.CopyOf = cmp.Or(in.CopyOf, r.before)
			out = append(out, in)
		}
	}
	return out
}
