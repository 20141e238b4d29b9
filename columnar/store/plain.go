package store

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
)

// This file checks the bytes of objects before they are decoded, where nothing else does:
// over plain HTTP. A decoder that is given a flipped bit may see other numbers, or events of
// other days, and say nothing.

const (
	// heldSize is the largest object that is held back until its bytes are checked. A larger
	// one is checked at its end, when it has been decoded: what was read of it then counts
	// until the next run reads it again. With more, a decoder waits longer for its first
	// byte, and each worker may need as much room in TMPDIR.
	heldSize = 64 << 20
	// heldMemory is how many bytes of an object that is held back are in memory, for each
	// worker, before they go to a temporary file.
	heldMemory = 1 << 20
)

// errOnTheWay says that two reads of an object brought different bytes, and none of them
// those that were stored.
var errOnTheWay = errors.New("changed on its way: neither are its bytes those that were stored, nor do two reads bring the same; use TLS")

// held reads an object to its end, again and again until its bytes are those with the MD5
// want, or two reads bring the same: not every ETag that looks like an MD5 is one.
func (o *Object) held(ctx context.Context, r *listedReader, want string) (io.ReadCloser, error) {
	sums := []string{want}
	buffer := make([]byte, min(o.Size+1, heldMemory/32))
	for try := 0; ; try++ {
		held, sum := NewSpool(int(min(o.Size, heldMemory))), md5.New()
		_, err := io.CopyBuffer(io.MultiWriter(held, sum), r, buffer)
		r.Close()
		if err != nil {
			held.Close()
			return nil, err
		}
		text := hexSum(sum)
		if slices.Contains(sums, text) {
			return &heldReader{held.Reader(), held}, nil
		}
		sums = append(sums, text)
		held.Close()
		if try == maxResumes {
			return nil, fault{fmt.Errorf("read %s: %w", o.URI, errOnTheWay)}
		}
		if r, err = o.listed(ctx); err != nil {
			return nil, err
		}
	}
}

func hexSum(sum hash.Hash) string { return hex.EncodeToString(sum.Sum(nil)) }

// A heldReader reads an object that was held back.
type heldReader struct {
	*io.SectionReader
	held *Spool
}

func (r *heldReader) Close() error { return r.held.Close() }

// A summedReader checks an object at its end.
type summedReader struct {
	io.ReadCloser
	ctx  context.Context
	o    *Object
	sum  hash.Hash
	want string
}

func (r *summedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.sum.Write(p[:n])
	if err == io.EOF {
		if sum := hexSum(r.sum); sum != r.want {
			err = r.compare(sum)
		}
	}
	return n, err
}

// compare reads the object once more. If that brings bytes with the same MD5, the ETag is
// none, and the error is io.EOF.
func (r *summedReader) compare(first string) error {
	again, err := r.o.listed(r.ctx)
	if err != nil {
		return err
	}
	defer again.Close()
	sum := md5.New()
	if _, err := io.Copy(sum, again); err != nil {
		return err
	}
	if hexSum(sum) != first {
		return fault{fmt.Errorf("read %s: %w", r.o.URI, errOnTheWay)}
	}
	return io.EOF
}
