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
	"hash/maphash"
	"io"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"outflow/columnar/logs"
	"outflow/columnar/store"
)

// This file finds copies: logs of one feed that hold the same bytes after
// decompression, or the first bytes of another log, as a copy of a growing log does, or an array
// that is written anew with more records. A copy is not decoded.
//
// Readers take the sources in a fixed order and check the head of each log in that
// order, so the result does not depend on timing: of several copies the first counts.
// Logs with the same beginning are compared byte by byte; no other log is opened
// twice.

const (
	// leastBeginning is the least length in bytes of a log that may count as the
	// beginning of another. A shorter one could be only the header of both.
	leastBeginning = 128
	// maxAlike is the most logs with the same beginning that a log is compared with.
	// If more begin alike, that is how such logs begin; to open them all, for each of
	// them, would cost more than reading them. Logs that differ in their first 64 KiB
	// are told apart by their marks, and do not count.
	maxAlike = 8
	// leastMarked is how many bytes the marks of a log begin after: heads tell apart
	// what differs before.
	leastMarked = 4 << 10
)

// A content describes the bytes of one log. The fields below decided may be read after
// it is closed.
type content struct {
	source *source
	place  int // index of the source in the order
	member *logs.Member
	size   int64 // of the log, as far as unclosed leaves it, or of its head if not whole
	whole  bool
	head   [sha256.Size]byte
	begins [sha256.Size]byte // the hash of the first size bytes
	marks  marks             // unless whole

	decided chan struct{}
	of      *content // the log that it is a copy of; nil: it is no copy
	cut     bool     // the log ends before of ends
	holds   *content // a log that this one begins with; both count
}

// root returns the log that is decoded in place of k, and whether it goes on after k
// ends.
func (k *content) root() (of *content, cut bool) {
	for of = k; of.of != nil; of = of.of {
		cut = cut || of.cut
	}
	return of, cut
}

// describe says in words which log k is a copy of. k must be a copy.
func (k *content) describe() string {
	of, cut := k.root()
	if !cut {
		return "a copy of " + of.member.Name
	}
	return fmt.Sprintf("a copy of the beginning of %s", of.member.Name)
}

// errCopy ends a log that is a copy.
var errCopy = errors.New("is a copy")

// contents are the contents of the logs of one pass over the sources.
type contents struct {
	order []int  // indexes of the sources
	again func() // ends decoding: the pass must be repeated

	seed maphash.Seed // of marks

	decided *decidedCopies // what is a copy was decided before; nil: it is decided here

	mu      sync.Mutex
	turn    *sync.Cond
	checked []bool // by place in the order: all heads of the source were checked
	next    int    // the first place whose heads were not all checked
	// deciding is how many logs are being compared with those before them.
	deciding int
	same     map[beginning][]*content
	begins   map[beginning][]*content // at most maxAlike + 1, the first ones
	last     map[int]bool             // sources to read after all others
	moved    bool                     // last has grown: the pass must be repeated
}

// A beginning is the first size bytes of a log of a feed.
type beginning struct {
	feed string
	size int
	sum  uint64 // of their SHA-256
}

func newContents(sources []source, last map[int]bool) *contents {
	c := &contents{seed: maphash.MakeSeed(), checked: make([]bool, len(sources)), same: map[beginning][]*content{}, begins: map[beginning][]*content{}, last: last}
	c.turn = sync.NewCond(&c.mu)
	for i := range sources {
		c.order = append(c.order, i)
	}
	// A log that continues another tends to be larger, so the larger ones are read
	// first and the other is the copy. The logs in an archive are known only after it
	// was read, so only archives wait for an archive.
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

// check decides whether a log is a copy. place is the place of its source in the
// order. The error is errCopy if the log is a copy.
func (c *contents) check(claim *windowClaim, place int, s *source, m *logs.Member, x *logs.Content) (*content, error) {
	ctx := claim.ctx
	if x.Whole && !mayHaveRecords(x.Head) {
		return nil, nil
	}
	if c.decided != nil {
		return c.decided.check(s, m, x)
	}
	head := x.Head
	if x.Whole {
		head = unclosed(head)
	}
	k := &content{source: s, place: place, member: m, size: int64(len(head)), whole: x.Whole, decided: make(chan struct{})}
	defer c.finish(k)
	if !x.Whole {
		k.marks = c.marks(x.Start)
	}
	similar, err := c.take(ctx, k, head, x.More)
	if k.head = k.begins; len(head) < len(x.Head) {
		k.head = sha256.Sum256(x.Head)
	}
	if err == nil && k.of == nil {
		err = c.decide(claim, k, head, similar)
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

// take waits until all logs before k were checked, and registers k. It either finds
// that k is a copy of a short log, or returns the earlier logs with the same
// beginning. more says that other logs may follow in the object.
func (c *contents) take(ctx context.Context, k *content, head []byte, more bool) (similar []*content, err error) {
	var steps []beginning
	steps, k.begins = ladder(k.source.feed, head)
	whole := beginning{k.source.feed, len(head), binary.LittleEndian.Uint64(k.begins[:])}
	if !k.whole {
		whole.size = -1 // the log goes on
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.next < k.place {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		c.turn.Wait()
	}
	c.deciding++
	for _, a := range c.same[whole] {
		switch {
		case a.begins != k.begins || !a.fits(k):
		case k.whole:
			k.of = a
			return nil, nil
		case k.marks.length > 0 && a.marks.length == k.marks.length && a.marks.all == k.marks.all: // no other is as likely
			similar = slices.Insert(similar, 0, a)
		case a.marks.agree(&k.marks):
			similar = append(similar, a)
		}
	}
	for i, step := range steps {
		alike := c.begins[step]
		if len(alike) > maxAlike {
			continue
		}
		for _, a := range alike {
			begun := a.whole && a.size < k.size && a.steps() == i+1 && a.begins == sha256.Sum256(head[:a.size])
			goesOn := k.whole && i+1 == len(steps) && (!a.whole || a.size > k.size)
			if a.fits(k) && (begun || goesOn) {
				similar = append(similar, a)
			}
		}
		c.begins[step] = append(alike, k)
	}
	c.same[whole] = append(c.same[whole], k)
	if !more {
		c.pass(k.place)
	}
	return similar, nil
}

// finish says that k is decided.
func (c *contents) finish(k *content) {
	close(k.decided)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deciding--
	c.turn.Broadcast()
}

// await waits until the logs of all sources before a place are decided.
func (c *contents) await(ctx context.Context, place int) {
	if c == nil || c.decided != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for (c.next < place || c.deciding > 0) && ctx.Err() == nil {
		c.turn.Wait()
	}
}

// marks tell logs apart that begin alike. They are a hash of the first bytes of a log
// for each of the sizes of nextMark that it has.
type marks struct {
	at     []uint32
	length int    // of the log, if its marks are about all of it; else 0
	all    uint32 // the hash of all of it
}

// nextMark returns the size behind size: a sixteenth of the last power of two more.
func nextMark(size int) int { return size + 1<<(bits.Len(uint(size))-5) }

// marks returns the marks of a log that begins with start.
func (c *contents) marks(start []byte) (m marks) {
	if len(start) < logs.ContentStart { // else it may go on
		start = unclosed(start)
	}
	var h maphash.Hash
	h.SetSeed(c.seed)
	at := 0
	for size := nextMark(leastMarked); size <= len(start); size = nextMark(size) {
		h.Write(start[at:size])
		at = size
		m.at = append(m.at, uint32(h.Sum64()))
	}
	if at < len(start) { // else it may go on
		h.Write(start[at:])
		m.length, m.all = len(start), uint32(h.Sum64())
	}
	m.at = slices.Clip(m.at)
	return m
}

// agree reports whether one of the logs can begin with the other.
func (m *marks) agree(o *marks) bool {
	if m.length > 0 && m.length == o.length {
		return m.all == o.all
	}
	n := min(len(m.at), len(o.at))
	return n == 0 || m.at[n-1] == o.at[n-1]
}

// fits reports whether both logs have the same format, as far as it is known.
func (k *content) fits(o *content) bool {
	return k.source.format == nil || o.source.format == nil || k.source.format == o.source.format
}

// begin prepares c for readers that end with ctx. If the pass must be repeated, again
// ends their decoding. The result releases the resources.
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

// at returns the index of the source at a place in the order.
func (c *contents) at(place int) int {
	if c == nil {
		return place
	}
	return c.order[place]
}

// void reports whether the pass must be repeated in another order.
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

// errTooMany says that the run has more events with ids than it remembers.
var errTooMany = errors.New("too many events with ids")

// A copyCheck decides whether a log is a copy; see contents.check.
type copyCheck func(*logs.Member, *logs.Content) (*content, error)

func (c *contents) copyCheck(claim *windowClaim, place int, s *source) copyCheck {
	if c == nil {
		return nil
	}
	return func(m *logs.Member, x *logs.Content) (*content, error) { return c.check(claim, place, s, m, x) }
}

// over tells c that the source has no further logs.
func (c *contents) over(place int) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pass(place)
}

func (c *contents) pass(place int) {
	c.checked[place] = true
	for c.next < len(c.checked) && c.checked[c.next] {
		c.next++
	}
	c.turn.Broadcast()
}

// decide compares k with earlier logs that begin like it.
func (c *contents) decide(claim *windowClaim, k *content, head []byte, similar []*content) error {
	compared := 0
	for _, a := range similar {
		select {
		case <-a.decided:
		case <-claim.ctx.Done():
			return claim.ctx.Err()
		}
		if a.of != nil {
			continue // k is compared with the root of a
		}
		if compared++; compared > maxAlike {
			break
		}
		how, err := compare(claim, a, k, head)
		var large *windowError
		switch {
		case claim.ctx.Err() != nil:
			return claim.ctx.Err()
		case errors.As(err, &large):
			return fmt.Errorf("begins as %s does, and may be its copy: to compare them %w", a.member.Name, err)
		case err != nil || how == different: // a log that cannot be read again is no copy
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

// move schedules the source of a after that of k, because k goes on after a ends. It
// reports whether that is possible.
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

// How the first of two logs compares with the second.
const (
	different = iota
	equal
	longer  // it begins with the second
	shorter // the second begins with it
)

// compare compares two logs with the same beginning. head is the head of k.
func compare(claim *windowClaim, a, k *content, head []byte) (how int, err error) {
	taking := len(claim.took)
	defer func() { claim.took = claim.took[:taking] }()
	switch {
	case a.stored() && k.stored() && a.source.object.Size == k.source.object.Size && sameStored(a.source, k.source):
		return equal, nil
	case a.whole && a.size < k.size: // take has compared the digests
		return shorter, nil
	case k.whole:
		err = logs.Bytes(&a.source.object, a.member.Name, claim.part(), func(in io.Reader) error {
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
	err = logs.Bytes(&a.source.object, a.member.Name, claim.part(), func(first io.Reader) error {
		return logs.Bytes(&k.source.object, k.member.Name, claim.part(), func(second io.Reader) error {
			how, err = compareBytes(&unclosedReader{src: first}, &unclosedReader{src: second})
			return err
		})
	})
	return how, err
}

// stored reports whether k is an object, not a file of an archive.
func (k *content) stored() bool { return k.member.Name == k.source.object.Name }

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

// closing is what may stand behind the last record of an array.
const closing = " \t\r\n]}"

// unclosed returns a log without the end of the array that its records are in, if they are: one
// that is written anew with more records begins with all of it but that.
func unclosed(log []byte) []byte {
	if len(log) == 0 || log[0] != '[' && log[0] != '{' {
		return log
	}
	return withoutClosing(log)
}

// withoutClosing is unclosed of a log that ends with a text.
func withoutClosing(text []byte) []byte {
	end := bytes.LastIndexByte(text, ']')
	if end < 0 || len(bytes.Trim(text[end:], closing)) > 0 {
		return text
	}
	if records := bytes.TrimRight(text[:end], " \t\r\n"); len(records) > 0 && records[len(records)-1] == '}' {
		return records
	}
	return text
}

// An unclosedReader reads a log as unclosed leaves it.
type unclosedReader struct {
	src   io.Reader
	array bool   // the log may have its records in an array
	in    []byte // in[:ready] can be handed out
	ready int
	begun bool
	err   error
}

// mostClosing is how much may close an array, in bytes. More is none of it.
const mostClosing = 1 << 10

func (u *unclosedReader) Read(p []byte) (int, error) {
	for u.ready == 0 {
		if u.err != nil {
			return 0, u.err
		}
		from := len(u.in)
		u.in = slices.Grow(u.in, len(p))
		n, err := u.src.Read(u.in[from : from+len(p)])
		u.in, u.err = u.in[:from+n], err
		if !u.begun && n > 0 {
			u.begun, u.array = true, u.in[0] == '[' || u.in[0] == '{'
		}
		if u.ready = len(u.in); !u.array {
			break
		}
		if err == io.EOF {
			u.ready = len(withoutClosing(u.in))
			u.in = u.in[:u.ready]
		} else {
			u.ready = max(len(bytes.TrimRight(u.in, closing)), len(u.in)-mostClosing)
		}
	}
	n := copy(p, u.in[:u.ready])
	u.in = u.in[:copy(u.in, u.in[n:])]
	u.ready -= n
	return n, nil
}

// ladder returns the beginnings of a log of leastBeginning bytes, twice as many, and
// so on, and the SHA-256 of the head.
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

// mayHaveRecords reports whether a log may have more than a header: a record has a
// time, and so a digit.
func mayHaveRecords(text []byte) bool {
	for line := range bytes.Lines(text) {
		if line[0] != '#' && bytes.ContainsAny(line, "0123456789") {
			return true
		}
	}
	return false
}

// settle gives each copy the feed and the format of its original.
func settle(shared []*sharedLog) {
	of := map[*logs.Member]*sharedLog{}
	for _, m := range shared {
		of[m.Member] = m
	}
	for _, m := range shared {
		if k := m.content; k != nil && k.of != nil {
			root, _ := k.root()
			m.Err, m.Format, m.feed = nil, root.member.Format, of[root.member].feed
			if m.Name == m.source.object.Name {
				m.Size = m.source.object.Size
			}
		}
	}
}

// print records the contents of the objects, and which objects they are copies of.
func (f *folded) print(shared []*sharedLog) {
	prints := map[string]*printer{}
	for _, m := range shared {
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

// A printer computes the store.Content of an object from the contents of its logs.
type printer struct {
	head, tail hash.Hash
	length     int64
	logs       int
	unknown    bool
}

func (p *printer) add(m *sharedLog) {
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

// content returns the zero Content if a part of the object is unknown.
func (p *printer) content() store.Content {
	if p.unknown || p.logs == 0 {
		return store.Content{}
	}
	return store.Content{Length: p.length, Head: hex.EncodeToString(p.head.Sum(nil)[:16]), Tail: hex.EncodeToString(p.tail.Sum(nil)[:16])}
}
