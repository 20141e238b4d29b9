package store

import (
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// If this fails, bits that flip on their way over plain HTTP are decoded without a word, or a
// sound object is refused because its ETag is no MD5.
func TestPlainHTTP(t *testing.T) {
	const other = "0123456789abcdef0123456789abcdef"
	damaged := "read s3://" + bucket + "/x.log: " + errOnTheWay.Error()
	for _, c := range []struct {
		name       string
		size       int
		flipped    int    // how many answers have a flipped bit, each another
		etag       string // "": the MD5
		encryption string
		gets       int
		want       string // in the error; "": the bytes that were stored
	}{
		{"sound", 3 << 20, 0, "", "", 1, ""},
		{"flipped once", 3 << 20, 1, "", "", 2, ""},
		{"flipped each time but the last", 10_000, maxResumes, "", "", maxResumes + 1, ""},
		{"flipped each time", 10_000, 1 << 20, "", "", maxResumes + 1, damaged},
		{"the ETag is no MD5", 10_000, 0, other, "", 2, ""},
		{"the ETag is no MD5, and flipped once", 10_000, 1, other, "", 3, ""},
		{"in parts", 10_000, 0, other + "-2", "", 1, ""},
		{"by KMS", 10_000, 0, other, "aws:kms", 1, ""},
		{"by a key of S3", 10_000, 1, "", "AES256", 2, ""},
		{"large", heldSize + 1, 0, "", "", 1, ""},
		{"large, flipped once", heldSize + 1, 1, "", "", 2, damaged},
		{"large, the ETag is no MD5", heldSize + 1, 0, other, "", 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := newS3Server(t)
			s := mustOpen(t, "s3://"+bucket, server.options())
			body := strings.Repeat("0123456789abcde\n", c.size/16+1)[:c.size]
			put(t, s, "x.log", body)
			found, err := Glob(t.Context(), "s3://"+bucket+"/x.log", nil, server.options())
			if err != nil || len(found.Objects) != 1 {
				t.Fatalf("got %v, %v", found, err)
			}
			o := &found.Objects[0]
			if c.etag != "" {
				o.ETag = c.etag
			}
			gets, places := 0, rand.New(rand.NewPCG(1, 2))
			server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
				answer := httptest.NewRecorder()
				serve.ServeHTTP(answer, r)
				maps.Copy(w.Header(), answer.Header())
				w.Header().Set("ETag", quote(o.ETag))
				if c.encryption != "" {
					w.Header().Set("x-amz-server-side-encryption", c.encryption)
				}
				text := answer.Body.Bytes()
				if gets++; gets <= c.flipped {
					text[places.IntN(c.size)] ^= 0x10
				}
				w.Write(text)
				return false
			}
			var got []byte
			r, err := o.Open(t.Context())
			if err == nil {
				got, err = io.ReadAll(r)
				r.Close()
			}
			switch {
			case c.want != "":
				if err == nil || err.Error() != c.want || !IsFault(err) {
					t.Errorf("got  %v\nwant %s, a fault", err, c.want)
				}
			case err != nil || string(got) != body:
				t.Errorf("got %d bytes, %v, want %d", len(got), err, c.size)
			}
			if gets != c.gets {
				t.Errorf("got %d requests, want %d", gets, c.gets)
			}
		})
	}
}
