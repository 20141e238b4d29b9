package logs

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"io"
	"strings"
	"testing"
)

// If this fails, copies of a log are not recognised by their content if they are
// compressed or read in another way.
func TestContent(t *testing.T) {
	text := []byte("time,user,bytes_out\n" + strings.Repeat("2026-03-01T10:00:00Z,ann,5\n", 3000))
	pack := func(body []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(body)
		z.Close()
		return b.Bytes()
	}
	archive := func(body []byte) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, name := range []string{"a.csv", "b.csv", "c.csv"} {
			w, _ := z.Create(name)
			w.Write(body[:len(body)-len("c.csv")+len(name)])
		}
		z.Close()
		return b.Bytes()
	}
	for _, c := range []struct {
		name, member string
		body         []byte
		want         []byte
		more         bool
	}{
		{name: "plain", member: "log", body: text, want: text},
		{name: "of less than a head", member: "log", body: text[:500], want: text[:500]},
		{name: "gzip", member: "log", body: pack(text), want: text},
		{name: "byte order mark", member: "log", body: append([]byte("\xef\xbb\xbf"), text...), want: append([]byte("\xef\xbb\xbf"), text...)},
		{name: "zip", member: "log!b.csv", body: archive(text), want: text, more: true},
		{name: "last of a zip", member: "log!c.csv", body: archive(text), want: text},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := &Object{Name: "log", Size: int64(len(c.body)),
				Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(c.body)), nil },
				At:   func() (ReaderAtCloser, error) { return bytesAt{bytes.NewReader(c.body)}, nil }}
			shown := 0
			members := Read(o, &ReadOptions{Content: func(m *Member, x *Content) error {
				if m.Name == c.member {
					shown++
					if head := c.want[:min(len(c.want), contentHead)]; !bytes.Equal(x.Head, head) || x.Whole != (len(c.want) < contentHead) || x.More != c.more {
						t.Errorf("got a head of %d bytes, whole %v, more %v, want %d, %v, %v", len(x.Head), x.Whole, x.More, len(head), len(c.want) < contentHead, c.more)
					}
				}
				return nil
			}}, func(*Member, *Block) error { return nil })
			if shown != 1 {
				t.Errorf("the log was shown %d times, want 1", shown)
			}
			for _, m := range members {
				if m.Name != c.member {
					continue
				}
				tail := sha256.Sum256(c.want[max(0, len(c.want)-contentTail):])
				if m.Length != int64(len(c.want)) || m.Tail != tail {
					t.Errorf("got length %d and tail %x, want %d and %x", m.Length, m.Tail, len(c.want), tail)
				}
			}
			var got []byte
			err := Bytes(o, c.member, nil, func(in io.Reader) (err error) {
				got, err = io.ReadAll(in)
				return err
			})
			if err != nil || !bytes.Equal(got, c.want) {
				t.Errorf("Bytes: got %d bytes and error %v, want %d", len(got), err, len(c.want))
			}
		})
	}
}

// If this fails, a log that changes while it is compared stops a run, or counts as a copy
// of another.
func TestBytesOfNothing(t *testing.T) {
	for _, body := range []string{"", "\x1f\x8b", "\x1f\x8b\x08\x00broken"} {
		o := &Object{Name: "log", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }}
		if err := Bytes(o, "log", nil, func(io.Reader) error { return nil }); err == nil {
			t.Errorf("%q: got no error", body)
		}
		if err := Bytes(o, "log!file", nil, func(io.Reader) error { return nil }); err == nil {
			t.Errorf("%q: got no error for a file that is not there", body)
		}
	}
}
