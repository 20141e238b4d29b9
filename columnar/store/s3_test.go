package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/parquet-go/parquet-go"
)

// If a connection breaks in the middle of a large object, the rest must not be
// lost, and no byte may come twice.
func TestS3Resumes(t *testing.T) {
	server := newS3Server(t)
	s := mustOpen(t, "s3://"+bucket, server.options())
	body := make([]byte, 1<<20)
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range body {
		body[i] = byte(rnd.Uint32())
	}
	put(t, s, "x", string(body))
	gets := 0
	server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		if r.Method != http.MethodGet {
			return true
		}
		gets++
		serve.ServeHTTP(&cutWriter{w, 150_000}, r)
		return false
	}
	r, err := s.Open(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(body))
	}
	if gets != 7 {
		t.Errorf("got %d requests for 1 MiB in pieces of 150 kB, want 7", gets)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the end: got %d, %v", n, err)
	}

	at, err := s.OpenAt(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, len(body))
	if n, err := at.ReadAt(p, 0); n != len(p) || err != nil || !bytes.Equal(p, body) {
		t.Errorf("ranged: got %d, %v", n, err)
	}

	// A body that stops coming ends with an error.
	server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		serve.ServeHTTP(&cutWriter{w, 0}, r)
		return false
	}
	if b, err := ReadAll(t.Context(), s, "x"); err == nil {
		t.Errorf("broken for good: got %d bytes and no error", len(b))
	}
}

// A cutWriter breaks the connection after left bytes of body.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (w *cutWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p[:min(len(p), w.left)])
	w.left -= n
	if err == nil && n < len(p) {
		w.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// Bytes of two versions of an object must never be joined.
func TestS3ObjectChanges(t *testing.T) {
	server := newS3Server(t)
	s := mustOpen(t, "s3://"+bucket, server.options())
	put(t, s, "x", strings.Repeat("a", 2<<20))
	at, err := s.OpenAt(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	etag := ""
	for e := range s.List(t.Context(), "x", Deep) {
		etag = e.ETag
	}
	// gofakes3 ignores If-Match when reading.
	server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		if r.Method == http.MethodGet && r.Header.Get("If-Match") != "" {
			if got, want := r.Header.Get("If-Match"), `"`+etag+`"`; got != want {
				t.Errorf("If-Match: got %s, want %s", got, want)
			}
			fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
			return false
		}
		serve.ServeHTTP(&cutWriter{w, 100_000}, r)
		return false
	}
	if _, err := at.ReadAt(make([]byte, 10), 0); !errors.Is(err, ErrChanged) {
		t.Errorf("ranged: got %v, want ErrChanged", err)
	}
	if b, err := ReadAll(t.Context(), s, "x"); !errors.Is(err, ErrChanged) {
		t.Errorf("whole: got %d bytes, %v, want ErrChanged", len(b), err)
	}
}

func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\"?>\n<Error><Code>%s</Code><Message>some\nlong text</Message></Error>", code)
}

// If this fails, a page where somebody must log in is an empty bucket: a silent zero.
func TestS3LoginPage(t *testing.T) {
	for _, page := range []string{"", "<html><body>Log in</body></html>"} {
		server := newS3Server(t)
		server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
			io.WriteString(w, page)
			return false
		}
		s := mustOpen(t, "s3://logs/p", Options{EndpointURL: server.url, Region: "eu-west-3"})
		n := 0
		for _, err := range s.List(t.Context(), "", Deep) {
			n++
			if !errors.Is(err, errNoListing) || !IsFault(err) {
				t.Errorf("%q: got %v, want %v", page, err, errNoListing)
			}
		}
		if n != 1 {
			t.Errorf("%q: got %d answers, want an error", page, n)
		}
	}
}

func TestS3Errors(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   string // in the error of List
	}{
		{404, "NoSuchBucket", "list s3://logs/p/: no such bucket: check its name, and the endpoint if it is not at AWS"},
		{403, "AccessDenied", "list s3://logs/p/: access denied: the role or user needs s3:ListBucket on the bucket; a bucket whose requesters pay refuses, too"},
		{403, "InvalidAccessKeyId", "list s3://logs/p/: the AWS credentials are wrong (InvalidAccessKeyId): check the key, and the endpoint if it is not at AWS"},
		{400, "ExpiredToken", "list s3://logs/p/: the AWS credentials have expired: renew them and run again"},
		{301, "PermanentRedirect", "list s3://logs/p/: the bucket is in another region than eu-west-3: set s3.region, or --s3-region"},
		{403, "RequestTimeTooSkewed", "list s3://logs/p/: the clock of this machine differs from the server's by more than it allows: set it, as NTP does"},
		{400, "SomethingElse", "list s3://logs/p/: SomethingElse: some long text"},
	} {
		t.Run(c.code, func(t *testing.T) {
			server := newS3Server(t)
			server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
				fail(w, c.status, c.code)
				return false
			}
			s := mustOpen(t, "s3://logs/p", Options{EndpointURL: server.url, Region: "eu-west-3"})
			for _, err := range s.List(t.Context(), "", Deep) {
				if err == nil || err.Error() != c.want {
					t.Errorf("got  %v\nwant %s", err, c.want)
				}
				if errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%v must not look like an object that is not there", err)
				}
			}
			_, err := s.Open(t.Context(), "x")
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("open: got %v, want one line", err)
			}
		})
	}
}

func TestS3Missing(t *testing.T) {
	server := newS3Server(t)
	s := mustOpen(t, "s3://no-bucket", server.options())
	if err := s.Put(t.Context(), "x", strings.NewReader(""), Always); err == nil || !strings.Contains(err.Error(), "no such bucket") {
		t.Errorf("put: got %v", err)
	}

	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, err := Open(t.Context(), "s3://logs", server.options())
	if want := "open s3://logs/: no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run under a role (service account, task or instance)"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestS3NoServer(t *testing.T) {
	newS3Server(t)
	// The listener is closed: nothing answers there.
	s := mustOpen(t, "s3://logs", Options{EndpointURL: "http://127.0.0.1:1"})
	s.(*s3Store).client = withoutRetries(s.(*s3Store).client)
	_, err := s.Open(t.Context(), "x")
	if err == nil || !strings.HasPrefix(err.Error(), "open s3://logs/x: no answer from http://127.0.0.1:1: ") {
		t.Errorf("got %v", err)
	}
}

// The environment's endpoint counts, too, and a busy server is asked again.
func TestS3EnvironmentAndRetry(t *testing.T) {
	server := newS3Server(t)
	t.Setenv("AWS_ENDPOINT_URL", server.url)
	s := mustOpen(t, "s3://"+bucket, Options{})
	busy := 2
	server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		if busy--; busy >= 0 {
			fail(w, http.StatusServiceUnavailable, "SlowDown")
			return false
		}
		return true
	}
	put(t, s, "x", "body")
	if len(server.requests) != 3 || !strings.HasPrefix(server.requests[0], "PUT /logs/x") {
		t.Errorf("got %q, want three puts with the bucket in the path", server.requests)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Open(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

// CloudTrail stores its files with Content-Encoding: gzip. The bytes must come as
// they are stored, because their size and the decoder expect gzip.
func TestS3ContentEncoding(t *testing.T) {
	server := newS3Server(t)
	s := mustOpen(t, "s3://"+bucket, server.options())
	put(t, s, "x.gz", "\x1f\x8b stored bytes")
	server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		w.Header().Set("Content-Encoding", "gzip")
		return true
	}
	if got := get(t, s, "x.gz"); got != "\x1f\x8b stored bytes" {
		t.Errorf("got %q", got)
	}
}

// A key with a control character must not end the listing of its bucket.
func TestS3EncodedKeys(t *testing.T) {
	server := newS3Server(t)
	server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		if r.URL.Query().Get("encoding-type") != "url" {
			t.Errorf("got %s, want encoding-type=url", r.URL)
		}
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprint(w, `<ListBucketResult><EncodingType>url</EncodingType><KeyCount>2</KeyCount>`+
			`<Contents><Key>p/a+b%2Bc%01</Key><ETag>"1"</ETag></Contents>`+
			`<CommonPrefixes><Prefix>p/100%25/</Prefix></CommonPrefixes></ListBucketResult>`)
		return false
	}
	s := mustOpen(t, "s3://"+bucket+"/p", server.options())
	got := names(t, s.List(t.Context(), "", Shallow))
	if want := []string{"100%/", "a b+c\x01"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The requests that a job pays for: reading one of four columns of a Parquet file
// takes the end of the file, its start, and the length of the column.
func TestS3ParquetRequests(t *testing.T) {
	type row struct {
		A, B, C int64
		Text    string
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	rows := make([]row, 200_000)
	for i := range rows {
		rows[i] = row{rnd.Int64(), rnd.Int64(), rnd.Int64(), strconv.Itoa(rnd.Int())}
	}
	var file bytes.Buffer
	if err := parquet.Write(&file, rows, parquet.Compression(&parquet.Zstd)); err != nil {
		t.Fatal(err)
	}
	server := newS3Server(t)
	s := mustOpen(t, "s3://"+bucket, server.options())
	put(t, s, "x", file.String())
	server.requests = nil
	r, err := s.OpenAt(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	one, err := readParquet[struct{ B int64 }](r, r.Size())
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if one[i].B != rows[i].B {
			t.Fatalf("row %d: got %d, want %d", i, one[i].B, rows[i].B)
		}
	}
	t.Logf("file of %d bytes: %d requests for a column of %d bytes", file.Len(), len(server.requests), 8*len(rows))
	if limit := 2 + (8*len(rows)+rangeSize-1)/rangeSize; len(server.requests) > limit {
		t.Errorf("got %d requests, want at most %d: %q", len(server.requests), limit, server.requests)
	}

	server.requests = nil
	if r, err = s.OpenAt(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	all, err := readParquet[row](r, r.Size())
	if err != nil || len(all) != len(rows) || all[77_777] != rows[77_777] {
		t.Fatalf("got %d rows, %v", len(all), err)
	}
	t.Logf("%d requests for all columns", len(server.requests))
	if limit := 6 + file.Len()/rangeSize; len(server.requests) > limit {
		t.Errorf("all columns: got %d requests, want at most %d", len(server.requests), limit)
	}
}

func readParquet[T any](r io.ReaderAt, size int64) ([]T, error) {
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true))
	if err != nil {
		return nil, err
	}
	pr := parquet.NewGenericReader[T](f)
	defer pr.Close()
	rows := make([]T, f.NumRows())
	_, err = pr.Read(rows)
	if err == io.EOF {
		err = nil
	}
	return rows, err
}

func withoutRetries(c *s3.Client) *s3.Client {
	o := c.Options()
	o.Retryer = aws.NopRetryer{}
	return s3.New(o)
}
