package store

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

const (
	// tailSize is how many bytes are fetched from the end of an object when it is
	// opened for ranged reads. A Parquet footer is there. With less, large footers
	// cost a second request; with more, small projections read more than they need.
	tailSize = 256 << 10
	// rangeSize is how many bytes a ranged read fetches at once. A request takes
	// about as long as reading a megabyte. With less, there are more requests; with
	// more, reads include columns that a projection leaves out.
	rangeSize = 512 << 10
	// maxRanges is the number of ranges that an object keeps: one for each column
	// that is read in parallel. With more columns than ranges, the same bytes are
	// fetched again.
	maxRanges = 16
	// maxResumes is how many times in a row a body may break off without a single
	// byte, and how many times bytes are asked for again that are not those which were
	// asked for, listed or written. More would not help against a server that is wrong.
	maxResumes = 4
)

// RangesOf returns how many requests reading all of an object of size bytes takes at most,
// if it is read in ranges.
func RangesOf(size int64) int64 {
	return 1 + (max(size-tailSize, 0)+rangeSize-1)/rangeSize
}

// An s3Stream reads a range of an object. After a broken connection it resumes
// where it was, as long as the object has not changed.
type s3Stream struct {
	ctx    context.Context
	s      *s3Store
	name   string
	etag   string // "" if not known yet
	md5    string // of the whole object, in hexadecimal; "" if it is not known, or TLS protects it
	off    int64
	end    int64 // -1: not known yet, up to the end
	body   io.ReadCloser
	broken int
}

func (s *s3Store) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	r := &s3Stream{ctx: ctx, s: s, name: name, end: -1}
	if err := r.request(); err != nil {
		return nil, err
	}
	return r, nil
}

// request requests the rest of the range.
func (r *s3Stream) request() error {
	rng := ""
	switch {
	case r.end >= 0:
		rng = fmt.Sprintf("bytes=%d-%d", r.off, r.end-1)
	case r.off > 0:
		rng = fmt.Sprintf("bytes=%d-", r.off)
	}
	out, err := r.s.get(r.ctx, r.name, rng, r.etag)
	for try := 0; err == nil; try++ {
		wrong := r.check(out, rng != "")
		if wrong == nil {
			break
		}
		out.Body.Close()
		if errors.Is(wrong, ErrChanged) || try == maxResumes {
			return r.s.fail("open", r.name, wrong)
		}
		out, err = r.s.get(r.ctx, r.name, rng, r.etag)
	}
	if err != nil {
		return r.s.fail("open", r.name, err)
	}
	r.body = out.Body
	r.etag = etagOf(out)
	if r.s.plain {
		r.md5 = md5Of(out)
	}
	if r.end < 0 && out.ContentLength != nil {
		r.end = r.off + *out.ContentLength
	}
	return nil
}

// check reports an answer that is not what was asked for: servers, and what stands
// before them, ignore ranges and conditions, or begin elsewhere.
func (r *s3Stream) check(out *s3.GetObjectOutput, ranged bool) error {
	if r.etag != "" && etagOf(out) != r.etag {
		return ErrChanged
	}
	if !ranged {
		return nil
	}
	if out.ContentRange == nil {
		return errNoRanges
	}
	off, size, err := contentRange(*out.ContentRange)
	switch {
	case err != nil:
		return err
	case off != r.off || r.end > size:
		return fmt.Errorf("the server sent %s, not the bytes from %d on", *out.ContentRange, r.off)
	}
	return nil
}

var errNoRanges = errors.New("the server does not support ranged reads")

func etagOf(out *s3.GetObjectOutput) string { return strings.Trim(aws.ToString(out.ETag), `"`) }

// md5Of returns the MD5 of an object's bytes, or "": the ETag of one that was written in
// parts, or is encrypted by KMS, is another.
func md5Of(out *s3.GetObjectOutput) string {
	etag := etagOf(out)
	sum, err := hex.DecodeString(etag)
	if err != nil || len(sum) != md5.Size || out.ServerSideEncryption != "" && out.ServerSideEncryption != types.ServerSideEncryptionAes256 {
		return ""
	}
	return strings.ToLower(etag)
}

// contentRange returns the first byte and the object's size of a Content-Range.
func contentRange(text string) (off, size int64, err error) {
	span, total, _ := strings.Cut(strings.TrimPrefix(text, "bytes "), "/")
	first, _, _ := strings.Cut(span, "-")
	off, err1 := strconv.ParseInt(first, 10, 64)
	size, err2 := strconv.ParseInt(total, 10, 64)
	if err1 != nil || err2 != nil {
		return 0, 0, fmt.Errorf("the server's Content-Range %q does not have the form bytes 0-1/2", text)
	}
	return off, size, nil
}

func (s *s3Store) get(ctx context.Context, name, rng, etag string) (*s3.GetObjectOutput, error) {
	in := &s3.GetObjectInput{Bucket: &s.bucket, Key: aws.String(s.prefix + name)}
	if rng != "" {
		in.Range = &rng
	}
	if etag != "" {
		in.IfMatch = aws.String(quote(etag))
	}
	return s.client.GetObject(ctx, in)
}

func (r *s3Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if r.body == nil {
			if r.off == r.end {
				return 0, io.EOF
			}
			if err := r.request(); err != nil {
				return 0, err
			}
		}
		n, err := r.body.Read(p)
		r.off += int64(n)
		if r.off == r.end {
			r.s.silences.Store(0)
		}
		if err == nil {
			if n > 0 {
				r.broken = 0
				return n, nil
			}
			continue
		}
		if err == io.EOF && (r.end < 0 || r.off >= r.end) {
			return n, io.EOF
		}
		r.Close()
		switch {
		case r.off == r.end || r.end < 0: // complete but with a wrong checksum, or it is unknown what is missing
			return n, r.s.fail("read", r.name, err)
		case n > 0:
			r.broken = 0
			return n, nil // the next call resumes
		case r.ctx.Err() != nil || r.broken == maxResumes:
			return 0, r.s.fail("read", r.name, err)
		}
		r.broken++
	}
}

func (r *s3Stream) Close() error {
	if r.body != nil {
		r.body.Close() // nothing was written, so nothing can be lost
		r.body = nil
	}
	return nil
}

// An s3ReaderAt reads an object in ranges and caches some of them.
type s3ReaderAt struct {
	ctx    context.Context
	s      *s3Store
	name   string
	etag   string
	size   int64
	tail   cachedRange
	ranges atomic.Pointer[[]cachedRange] // newest first; the slice never changes
}

// A cachedRange is a range of an object with its bytes, which never change.
type cachedRange struct {
	off  int64
	data []byte
}

// from returns the range's bytes from off on, or nil if it has none.
func (w cachedRange) from(off int64) []byte {
	if off < w.off || off >= w.off+int64(len(w.data)) {
		return nil
	}
	return w.data[off-w.off:]
}

// OpenAt takes one request, which fetches the end of the object.
func (s *s3Store) OpenAt(ctx context.Context, name string) (ReaderAt, error) {
	out, err := s.get(ctx, name, fmt.Sprintf("bytes=-%d", tailSize), "")
	// An empty object has no last bytes. Some servers give the same error for every
	// object shorter than the requested range.
	if e, ok := errors.AsType[smithy.APIError](err); ok && e.ErrorCode() == "InvalidRange" {
		out, err = s.get(ctx, name, "", "")
	}
	if err != nil {
		return nil, s.fail("open", name, err)
	}
	off, size, err := extent(out)
	if err != nil {
		out.Body.Close()
		return nil, s.fail("open", name, err)
	}
	r := &s3ReaderAt{ctx: ctx, s: s, name: name, size: size, etag: etagOf(out)}
	r.tail = cachedRange{off, make([]byte, size-off)}
	body := &s3Stream{ctx: ctx, s: s, name: name, etag: r.etag, off: off, end: size, body: out.Body}
	defer body.Close()
	if _, err := io.ReadFull(body, r.tail.data); err != nil {
		return nil, err
	}
	return r, nil
}

// extent returns the offset in the object at which the body of an answer starts,
// and the object's size. The body goes to the end of the object, and has at most
// tailSize bytes.
func extent(out *s3.GetObjectOutput) (off, size int64, err error) {
	size = aws.ToInt64(out.ContentLength)
	if out.ContentRange != nil {
		if off, size, err = contentRange(*out.ContentRange); err != nil {
			return 0, 0, err
		}
	}
	if off < 0 || size < off || size-off > tailSize {
		return 0, 0, errNoRanges
	}
	return off, size, nil
}

func (r *s3ReaderAt) Size() int64 { return r.size }

func (r *s3ReaderAt) Close() error { return nil }

func (r *s3ReaderAt) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read s3://%s/%s%s: negative offset", r.s.bucket, r.s.prefix, r.name)
	}
	for n < len(p) && off < r.size {
		have := r.cached(off)
		if have == nil {
			end := r.size
			if off < r.tail.off {
				end = r.tail.off
			}
			missing := min(int64(len(p)-n), end-off)
			if missing >= rangeSize {
				// Too long to be worth keeping.
				have = p[n : n+int(missing)]
				if err := r.fetch(have, off); err != nil {
					return n, err
				}
			} else {
				w := cachedRange{off, make([]byte, min(rangeSize, end-off))}
				if err := r.fetch(w.data, off); err != nil {
					return n, err
				}
				r.keep(w)
				have = w.data
			}
		}
		k := copy(p[n:], have)
		n += k
		off += int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r *s3ReaderAt) cached(off int64) []byte {
	if b := r.tail.from(off); b != nil {
		return b
	}
	if ws := r.ranges.Load(); ws != nil {
		for _, w := range *ws {
			if b := w.from(off); b != nil {
				return b
			}
		}
	}
	return nil
}

// keep adds a range. If another goroutine adds one at the same time, one of the
// two is lost, and is fetched again if needed.
func (r *s3ReaderAt) keep(w cachedRange) {
	ws := []cachedRange{w}
	if old := r.ranges.Load(); old != nil {
		ws = append(ws, (*old)[:min(len(*old), maxRanges-1)]...)
	}
	r.ranges.Store(&ws)
}

func (r *s3ReaderAt) fetch(p []byte, off int64) error {
	body := &s3Stream{ctx: r.ctx, s: r.s, name: r.name, etag: r.etag, off: off, end: off + int64(len(p))}
	defer body.Close()
	_, err := io.ReadFull(body, p)
	return err
}
