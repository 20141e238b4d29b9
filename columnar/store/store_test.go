package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

const bucket = "logs"

// An s3Server is an S3 server in this process. Change, if set, sees each request
// before the server, and returns false if it has answered the request.
type s3Server struct {
	url      string
	requests []string // method, path and query
	backend  *s3mem.Backend
	change   func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool
}

// newS3Server also sets the environment, so that neither the developer's own
// environment nor an instance role matters.
func newS3Server(t testing.TB) *s3Server {
	t.Helper()
	empty := filepath.Join(t.TempDir(), "empty")
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "",
		"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
		"AWS_CONFIG_FILE": empty, "AWS_SHARED_CREDENTIALS_FILE": empty, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
	} {
		t.Setenv(k, v)
	}
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	fake := gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	s := &s3Server{backend: backend}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
		if s.change == nil || s.change(w, r, fake) {
			fake.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *s3Server) options() Options { return Options{EndpointURL: s.url} }

func mustOpen(t testing.TB, uri string, o Options) Store {
	t.Helper()
	s, err := Open(t.Context(), uri, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// eachStore runs a test on disk and on S3.
func eachStore(t *testing.T, test func(t *testing.T, s Store)) {
	t.Run("disk", func(t *testing.T) {
		test(t, mustOpen(t, filepath.Join(t.TempDir(), "new", "root"), Options{}))
	})
	t.Run("s3", func(t *testing.T) {
		test(t, mustOpen(t, "s3://"+bucket+"/some/root/", newS3Server(t).options()))
	})
}

func put(t testing.TB, s Store, name, body string) {
	t.Helper()
	if err := s.Put(t.Context(), name, strings.NewReader(body), Always); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, s Store, name string) string {
	t.Helper()
	b, err := ReadAll(t.Context(), s, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func entries(t *testing.T, seq iter.Seq2[Entry, error]) []Entry {
	t.Helper()
	var all []Entry
	for e, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func names(t *testing.T, seq iter.Seq2[Entry, error]) []string {
	t.Helper()
	var all []string
	for _, e := range entries(t, seq) {
		all = append(all, e.Name)
	}
	return all
}

func TestStore(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		if got := names(t, s.List(ctx, "", Deep)); got != nil {
			t.Errorf("list of an empty store: got %q, want none", got)
		}
		put(t, s, "a/b.txt", "one")
		put(t, s, "a/b.txt", "three")
		if got := get(t, s, "a/b.txt"); got != "three" {
			t.Errorf("replaced object: got %q, want three", got)
		}
		put(t, s, "empty", "")
		if got := get(t, s, "empty"); got != "" {
			t.Errorf("empty object: got %q", got)
		}

		es := entries(t, s.List(ctx, "", Deep))
		if len(es) != 2 || es[0].Name != "a/b.txt" || es[0].Size != 5 || es[1].Size != 0 {
			t.Fatalf("list: got %v", es)
		}
		if age := time.Since(es[0].Written); age < -time.Minute || age > time.Minute || es[0].Written.Location() != time.UTC {
			t.Errorf("written: got %v, want about now, in UTC", es[0].Written)
		}

		for _, name := range []string{"a", "a/c", "a/b.txt/c", "none/x"} {
			if _, err := ReadAll(ctx, s, name); !errors.Is(err, fs.ErrNotExist) && name != "a" {
				t.Errorf("open %s: got %v, want not exist", name, err)
			} else if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), name) {
				t.Errorf("open %s: got %v, want one line that names it", name, err)
			}
			if _, err := s.OpenAt(ctx, name); err == nil {
				t.Errorf("open %s at an offset: got no error", name)
			}
		}

		for range 2 {
			if err := s.Delete(ctx, "a/b.txt"); err != nil {
				t.Errorf("delete: %v", err)
			}
		}
		if err := s.Delete(ctx, "none/at/all"); err != nil {
			t.Errorf("delete in no folder: %v", err)
		}
		if got, want := names(t, s.List(ctx, "", Deep)), []string{"empty"}; !slices.Equal(got, want) {
			t.Errorf("after deletion: got %q, want %q", got, want)
		}
	})
}

func TestConditions(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		try := func(body string, when Condition) error {
			return s.Put(ctx, "x/lock", strings.NewReader(body), when)
		}
		if err := try("0", "no-such-etag"); !errors.Is(err, ErrChanged) {
			t.Errorf("put over nothing with an etag: got %v, want ErrChanged", err)
		}
		if err := try("1", IfAbsent); err != nil {
			t.Errorf("put if absent: %v", err)
		}
		if err := try("2", IfAbsent); !errors.Is(err, ErrExists) {
			t.Errorf("put if absent, again: got %v, want ErrExists", err)
		}
		e, ok, err := stat(ctx, s, "x/lock")
		if !ok || err != nil {
			t.Fatalf("stat: %v, %v", ok, err)
		}
		if err := try("longer", Condition(e.ETag)); err != nil {
			t.Errorf("put with the etag: %v", err)
		}
		if err := try("4", Condition(e.ETag)); !errors.Is(err, ErrChanged) {
			t.Errorf("put with an old etag: got %v, want ErrChanged", err)
		}
		if got := get(t, s, "x/lock"); got != "longer" {
			t.Errorf("got %q, want what was written with the etag", got)
		}
		if got := names(t, s.List(ctx, "", Deep)); len(got) != 1 {
			t.Errorf("left behind: %q", got)
		}
	})
}

// If this failed, a name from a log bucket would be read as another object, or not
// at all.
func TestNames(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		all := []string{
			"a b/c  d.txt", "plus+sign/1+1=2", "per%20cent/100%", "%2e%2e/x", "date=2026-11-20/part-0.parquet",
			"ümläut/日本語.log", "quote'\"&<>.log", "semi;colon,#hash?query", "tilde~/!@$^()[]{}|", "line\nbreak.log", `back\slash`,
		}
		for _, n := range all {
			put(t, s, n, n)
		}
		slices.Sort(all)
		if got := names(t, s.List(t.Context(), "", Deep)); !slices.Equal(got, all) {
			t.Errorf("list:\n got %q\nwant %q", got, all)
		}
		for _, n := range all {
			if got := get(t, s, n); got != n {
				t.Errorf("%q: got %q", n, got)
			}
			if got := names(t, s.List(t.Context(), n, Shallow)); !slices.Equal(got, []string{n}) {
				t.Errorf("list %q: got %q", n, got)
			}
			if err := s.Delete(t.Context(), n); err != nil {
				t.Errorf("delete %q: %v", n, err)
			}
		}
	})
}

func TestList(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		// In the byte order of whole keys, - and . come before the slash, and 0
		// after it.
		all := []string{"a", "b-1", "b.txt", "b/1", "b/c-d", "b/c/2", "b/c/d/3", "b/c0", "b0/4", "é/5"}
		for _, n := range slices.Backward(all) {
			put(t, s, n, "x")
		}
		for _, c := range []struct {
			prefix string
			depth  Depth
			want   string
		}{
			{"", Deep, strings.Join(all, " ")},
			{"", Shallow, "a b-1 b.txt b/ b0/ é/"},
			{"b", Deep, "b-1 b.txt b/1 b/c-d b/c/2 b/c/d/3 b/c0 b0/4"},
			{"b", Shallow, "b-1 b.txt b/ b0/"},
			{"b/", Shallow, "b/1 b/c-d b/c/ b/c0"},
			{"b/c", Shallow, "b/c-d b/c/ b/c0"},
			{"b/c", Deep, "b/c-d b/c/2 b/c/d/3 b/c0"},
			{"b/c/", Deep, "b/c/2 b/c/d/3"},
			{"a", Shallow, "a"},
			{"a/", Deep, ""},
			{"b/1/x", Deep, ""},
			{"none/", Deep, ""},
			{"b/x", Shallow, ""},
		} {
			if got := strings.Join(names(t, s.List(t.Context(), c.prefix, c.depth)), " "); got != c.want {
				t.Errorf("list %q, depth %d:\n got %s\nwant %s", c.prefix, c.depth, got, c.want)
			}
		}

		// Stopping early is not an error, and a sequence can be ranged over again.
		seq := s.List(t.Context(), "", Deep)
		for range seq {
			break
		}
		if got := len(names(t, seq)); got != len(all) {
			t.Errorf("second range: got %d names, want %d", got, len(all))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range s.List(ctx, "", Deep) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: got %v", err)
			}
		}
	})
}

// S3 lists a thousand names at a time.
func TestListPages(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		var want []string
		for i := range 2500 {
			n := fmt.Sprintf("dir%d/%04d", i/1100, i)
			want = append(want, n)
			// On disk each put is synced, which is not tested here.
			if d, ok := s.(disk); ok {
				file := filepath.Join(d.root, n)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			} else {
				put(t, s, n, "")
			}
		}
		if got := names(t, s.List(t.Context(), "", Deep)); !slices.Equal(got, want) {
			t.Errorf("got %d names, want %d", len(got), len(want))
		}
		if got, want := names(t, s.List(t.Context(), "", Shallow)), []string{"dir0/", "dir1/", "dir2/"}; !slices.Equal(got, want) {
			t.Errorf("folders: got %q, want %q", got, want)
		}
	})
}

func TestReadAt(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		rnd := rand.New(rand.NewPCG(1, 2))
		for _, size := range []int{0, 1, tailSize - 1, tailSize, tailSize + 1, 3*rangeSize + tailSize + 17} {
			body := make([]byte, size)
			for i := range body {
				body[i] = byte(rnd.Uint32())
			}
			put(t, s, "x", string(body))
			r, err := s.OpenAt(t.Context(), "x")
			if err != nil {
				t.Fatal(err)
			}
			if r.Size() != int64(size) {
				t.Errorf("size: got %d, want %d", r.Size(), size)
			}
			want := bytes.NewReader(body)
			for range 200 {
				n := rnd.IntN(1 << rnd.IntN(21))
				off := rnd.Int64N(int64(size) + 10)
				a, b := make([]byte, n), make([]byte, n)
				an, aerr := r.ReadAt(a, off)
				bn, berr := want.ReadAt(b, off)
				if an != bn || !bytes.Equal(a, b) || (aerr == io.EOF) != (berr == io.EOF) && n > 0 {
					t.Fatalf("size %d, read %d at %d: got %d, %v, want %d, %v", size, n, off, an, aerr, bn, berr)
				}
			}
			if _, err := r.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
				t.Errorf("negative offset: got %v", err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A body that fails half-way must leave the old object, and nothing else.
func TestPutFails(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		put(t, s, "x", "old")
		bad := brokenBody{strings.NewReader("new and longer")}
		for _, when := range []Condition{Always, IfAbsent} {
			if err := s.Put(t.Context(), "x", bad, when); err == nil {
				t.Error("got no error")
			}
			if err := s.Put(t.Context(), "y", bad, when); err == nil {
				t.Error("got no error")
			}
		}
		if got, want := names(t, s.List(t.Context(), "", Deep)), []string{"x"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := get(t, s, "x"); got != "old" {
			t.Errorf("got %q, want old", got)
		}
		if d, ok := s.(disk); ok {
			if files, _ := os.ReadDir(d.root); len(files) != 1 {
				t.Errorf("left behind: %v", files)
			}
		}
	})
}

type brokenBody struct{ *strings.Reader }

func (b brokenBody) Read(p []byte) (int, error) {
	if b.Len() < 5 {
		return 0, errors.New("broken body")
	}
	return b.Reader.Read(p[:min(len(p), 4)])
}

// WriteTo goes through Read; the one of strings.Reader would bypass it.
func (b brokenBody) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{b})
}

// If this fails, a state or a report ends in a folder that nobody meant, or a path is refused.
func TestCheck(t *testing.T) {
	for uri, want := range map[string]string{
		"~/state":        "only a shell replaces ~",
		"~":              "only a shell replaces ~",
		"$HOME/state":    "only a shell replaces $HOME",
		"${HOME}/state":  "only a shell replaces ${HOME}",
		"s3:/bucket/x":   "two slashes",
		"ftp://x":        "unknown scheme",
		"s3://bucket/~x": "",
		"./~/state":      "",
		"~state":         "",
		"a/$x/b":         "",
		"$x.csv":         "",
		"a:/b/c:/d":      "",
		`C:/logs`:        "",
		"logs/s3:/x":     "",
	} {
		if err := Check(uri); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", uri, err, want)
		}
	}
}

func TestParseURI(t *testing.T) {
	for _, c := range []struct{ uri, bucket, path, err string }{
		{"s3://b", "b", "", ""},
		{"s3://b/", "b", "", ""},
		{"s3://b/a b?x%20=*", "b", "a b?x%20=*", ""},
		{"file:///var/log/a%20b", "", "/var/log/a b", ""},
		{"file://localhost/x", "", "/x", ""},
		{"relative/x", "", "relative/x", ""},
		{"/abs", "", "/abs", ""},
		{"", "", "", "want s3://"},
		{"s3:///x", "", "", "no bucket"},
		{"s3://$BUCKET/x", "", "", "not the name of a bucket"},
		{"s3://logs-{yyyy}/x", "", "", "not the name of a bucket"},
		{"file://relative", "", "", "want file:///"},
		{"gs://b/x", "", "", `unknown scheme "gs"`},
	} {
		at, err := parseURI(c.uri)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: got %v, want %q", c.uri, err, c.err)
			}
		} else if err != nil || at != (location{c.bucket, c.path}) {
			t.Errorf("%q: got %v, %v, want %q, %q", c.uri, at, err, c.bucket, c.path)
		}
	}
}
