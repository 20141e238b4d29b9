package logs

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

const (
	// contentHead is how much of the start of a member ReadOptions.Content is shown,
	// in bytes. Headers of text logs rarely have more; more costs time to hash.
	contentHead = 4 << 10
	// ContentStart is how long Content.Start is at most, in bytes.
	ContentStart = headSize
	// contentTail is how many bytes of the end Member.Tail is made of. More is copied
	// with each read, less tells fewer logs apart.
	contentTail = 1 << 10
)

// A Content is what a member holds after decompression, before anything else is
// done to it: the bytes by which copies are known.
type Content struct {
	Head []byte // the first bytes, 4 KiB at most; valid until the function returns
	// Start is Head and what follows it, ContentStart at most; valid as Head is. It is shorter
	// only if it is all that could be read.
	Start []byte
	// Whole says that Head is all there is. The stream may end early.
	Whole bool
	More  bool // other members may follow in the object
	// Bytes are all bytes, Head included. Their reader must end the member.
	Bytes io.Reader
}

// show shows ReadOptions.Content what in is about to be read from.
func (r *reader) show(m *Member, in *bufio.Reader) error {
	if r.Content == nil {
		return nil
	}
	head, err := in.Peek(contentHead)
	if len(head) == 0 || err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil // reading it says why
	}
	whole := err != nil
	start, _ := in.Peek(ContentStart)
	err = r.Content(m, &Content{Head: start[:len(head)], Start: start, Whole: whole, More: r.more, Bytes: in})
	r.stopped = r.stopped || errors.Is(err, errEnough)
	return err
}

var (
	errEnough = errors.New("no more of the object is wanted")
	errOther  = errors.New("another member is wanted")
)

// Bytes calls read with all bytes of a member, after decompression. They end with
// io.EOF; a stream that is cut off ends with io.ErrUnexpectedEOF. windows is ReadOptions.Windows.
func Bytes(o *Object, member string, windows func(int64) error, read func(io.Reader) error) error {
	var err error
	found := false
	members := Read(o, &ReadOptions{Windows: windows, Content: func(m *Member, c *Content) error {
		if m.Name != member {
			return errOther
		}
		found = true
		err = read(c.Bytes)
		return errEnough
	}}, func(*Member, *Block) error { return errEnough })
	switch {
	case found:
		return err
	case len(members) > 0 && members[0].Err != nil:
		return members[0].Err
	}
	return fmt.Errorf("%s is not there any more", member)
}

// A counter counts the bytes that were read, and keeps the last.
type counter struct {
	src  io.Reader
	n    int64
	tail []byte // contentTail bytes at most
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.n += int64(n)
	if last := p[max(0, n-contentTail):n]; len(last) > 0 {
		if over := len(c.tail) + len(last) - contentTail; over > 0 {
			c.tail = c.tail[:copy(c.tail, c.tail[over:])]
		}
		c.tail = append(c.tail, last...)
	}
	return n, err
}

// seal stores in m what c has counted. The whole member must have been read.
func (c *counter) seal(m *Member) { m.Length, m.Tail = c.n, sha256.Sum256(c.tail) }

// sealStored is seal of an object of a format with Split.
func (r *reader) sealStored(m *Member, at io.ReaderAt) {
	if r.Content == nil {
		return
	}
	size := r.object.Size
	tail := make([]byte, min(contentTail, size))
	if _, err := at.ReadAt(tail, size-int64(len(tail))); err == nil || err == io.EOF {
		m.Length, m.Tail = size, sha256.Sum256(tail)
	}
}
