package store

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A server that goes silent, before its answer or within it, is asked again, and given
// up in the end, for all objects together.
func TestS3Silence(t *testing.T) {
	const silence = 100 * time.Millisecond
	server := newS3Server(t)
	o := server.options()
	o.Silence = silence
	s := mustOpen(t, "s3://"+bucket, o)
	body := strings.Repeat("0123456789abcdef", 1<<16)
	put(t, s, "x", body)

	var silent atomic.Int32 // how many answers stop
	server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		if silent.Add(-1) < 0 {
			return true
		}
		if r.URL.Query().Get("list-type") == "" {
			serve.ServeHTTP(&stalledWriter{w, 300_000}, r)
		}
		<-r.Context().Done()
		return false
	}
	silent.Store(2)
	if got := get(t, s, "x"); got != body {
		t.Errorf("silent within the body: got %d bytes, want %d", len(got), len(body))
	}
	silent.Store(2)
	if got := entries(t, s.List(t.Context(), "", Deep)); len(got) != 1 {
		t.Errorf("silent before the answer: got %v", got)
	}

	silent.Store(1 << 30)
	before := len(server.requests)
	for i := range 100 {
		_, err := ReadAll(t.Context(), s, "x"+strconv.Itoa(i))
		if err == nil || !strings.Contains(err.Error(), "nothing came for 100ms") {
			t.Fatalf("silent for good: got %v", err)
		}
	}
	if n := len(server.requests) - before; n > maxSilences {
		t.Errorf("silent for good: got %d requests for 100 objects, want at most %d", n, maxSilences)
	}
	_, err := s.Open(t.Context(), "x")
	if want := "no answer from " + server.url + ": given up: nothing came for 100ms, 8 times in a row"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got  %v\nwant … %s", err, want)
	}
}

// A stalledWriter discards what comes after left bytes.
type stalledWriter struct {
	http.ResponseWriter
	left int
}

func (w *stalledWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p[:min(len(p), w.left)])
	w.left -= n
	w.ResponseWriter.(http.Flusher).Flush()
	if err != nil {
		return n, err
	}
	return len(p), nil
}

// A body that takes longer than the silence, but goes on, is not given up.
func TestS3SlowButNotSilent(t *testing.T) {
	const silence = 3 * time.Second // a busy machine may say nothing for a second
	server := newS3Server(t)
	o := server.options()
	o.Silence = silence
	s := mustOpen(t, "s3://"+bucket, o)
	requests := 0
	server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		requests++
		if r.Method == http.MethodPut {
			r.Body = &slowReader{r.Body, silence / 10}
		}
		return true
	}
	put(t, s, "x", strings.Repeat("x", 16<<20))
	if requests != 1 {
		t.Errorf("got %d requests, want 1", requests)
	}
}

// A slowReader takes a pause for each MiB.
type slowReader struct {
	io.ReadCloser
	pause time.Duration
}

func (r *slowReader) Read(p []byte) (int, error) {
	time.Sleep(r.pause)
	return io.ReadFull(r.ReadCloser, p[:min(len(p), 1<<20)])
}

// An answer that is cut off, even with a length that fits, is asked for again.
func TestS3ListCutOff(t *testing.T) {
	server := newS3Server(t)
	s := mustOpen(t, "s3://"+bucket, server.options())
	for _, name := range []string{"a", "b", "c"} {
		put(t, s, name, name)
	}
	cuts := 3
	server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		if cuts--; cuts < 0 {
			return true
		}
		var whole answer
		serve.ServeHTTP(&whole, r)
		w.Write(whole.Bytes()[:whole.Len()/2])
		return false
	}
	if got := entries(t, s.List(t.Context(), "", Deep)); len(got) != 3 {
		t.Errorf("got %v, want 3 objects", got)
	}
	cuts = 1
	s.(*s3Store).client = withoutRetries(s.(*s3Store).client)
	for _, err := range s.List(t.Context(), "", Deep) {
		if err == nil || !strings.HasPrefix(err.Error(), "list s3://"+bucket+"/: the server's answer cannot be read: ") {
			t.Errorf("cut for good: got %v", err)
		}
	}
}

// An answer keeps a body.
type answer struct{ bytes.Buffer }

func (*answer) Header() http.Header { return http.Header{} }
func (*answer) WriteHeader(int)     {}

// Bytes from elsewhere, or of another object, are not taken for the rest of a body.
func TestS3ResumesWrongly(t *testing.T) {
	body := strings.Repeat("0123456789", 50_000)
	for _, c := range []struct {
		name, header, value string
		want                string
	}{
		{"elsewhere", "Content-Range", "bytes 0-499999/500000", "the server sent bytes 0-499999/500000, not the bytes from 100000 on"},
		{"other size", "Content-Range", "bytes 100000-400000/400001", "the server sent bytes 100000-400000/400001, not the bytes from 100000 on"},
		{"other object", "ETag", `"other"`, ErrChanged.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := newS3Server(t)
			s := mustOpen(t, "s3://"+bucket, server.options())
			put(t, s, "x", body)
			server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
				if r.Header.Get("Range") == "" {
					serve.ServeHTTP(&cutWriter{w, 100_000}, r)
					return false
				}
				serve.ServeHTTP(&headerWriter{w, c.header, c.value}, r)
				return false
			}
			_, err := ReadAll(t.Context(), s, "x")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant … %s", err, c.want)
			}
		})
	}
}

// A headerWriter changes a header.
type headerWriter struct {
	http.ResponseWriter
	name, value string
}

func (w *headerWriter) WriteHeader(status int) {
	w.Header().Set(w.name, w.value)
	w.ResponseWriter.WriteHeader(status)
}

// What is read of an object is what was listed.
func TestObjectIsAsListed(t *testing.T) {
	listed := func(t *testing.T, uri string, o Options) *Object {
		found, err := Glob(t.Context(), uri, nil, o)
		if err != nil || len(found.Objects) != 1 {
			t.Fatalf("got %v, %v", found, err)
		}
		return &found.Objects[0]
	}
	const before = "0123456789"
	for _, c := range []struct {
		name, now    string
		onDisk, onS3 string // what the error says
	}{
		{"same", before, "", ""},
		{"longer", before + "abc", "", "it was replaced since it was listed"},
		{"shorter", before[:4], "it was listed with 10 bytes and has 4", "it was replaced since it was listed"},
		{"empty", "", "it was listed with 10 bytes and has 0", "it was replaced since it was listed"},
	} {
		check := func(t *testing.T, o *Object, now, want string) {
			t.Helper()
			var got []byte
			r, err := o.Open(t.Context())
			if err == nil {
				got, err = io.ReadAll(r)
				r.Close()
			}
			var at []byte
			ra, aerr := o.OpenAt(t.Context())
			if aerr == nil {
				at = make([]byte, ra.Size())
				_, aerr = io.ReadFull(io.NewSectionReader(ra, 0, ra.Size()), at)
				ra.Close()
			}
			for _, x := range []struct {
				got []byte
				err error
			}{{got, err}, {at, aerr}} {
				if want == "" && (x.err != nil || string(x.got) != now) {
					t.Errorf("got %q, %v, want %q", x.got, x.err, now)
				}
				if want != "" && (!errors.Is(x.err, ErrChanged) || !strings.Contains(x.err.Error(), want)) {
					t.Errorf("got %q, %v, want … %s", x.got, x.err, want)
				}
			}
		}
		t.Run(c.name+"/disk", func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "x.log")
			write := func(text string) {
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(before)
			o := listed(t, name, Options{})
			write(c.now)
			check(t, o, c.now, c.onDisk)
		})
		t.Run(c.name+"/s3", func(t *testing.T) {
			server := newS3Server(t)
			s := mustOpen(t, "s3://"+bucket, server.options())
			put(t, s, "x.log", before)
			o := listed(t, "s3://"+bucket+"/x.log", server.options())
			put(t, s, "x.log", c.now)
			check(t, o, c.now, c.onS3)
		})
	}

	t.Run("truncated while reading", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "x.log")
		if err := os.WriteFile(name, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := listed(t, name, Options{}).Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := io.ReadFull(r, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, 0); err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(r)
		if !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "it ended after 4 of the 10 bytes that were listed") {
			t.Errorf("got %v", err)
		}
	})

	// A server that sends less than it listed, and says a length that fits.
	t.Run("short body", func(t *testing.T) {
		server := newS3Server(t)
		s := mustOpen(t, "s3://"+bucket, server.options())
		put(t, s, "x.log", before)
		o := listed(t, "s3://"+bucket+"/x.log", server.options())
		server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
			var whole answer
			serve.ServeHTTP(&whole, r)
			w.Header().Set("ETag", quote(o.ETag))
			w.Write(whole.Bytes()[:4])
			return false
		}
		_, err := o.Open(t.Context())
		if !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "it was listed with 10 bytes and has 4") {
			t.Errorf("got %v", err)
		}
	})
}
