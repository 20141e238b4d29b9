package store

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// This file breaks bodies on their way from an S3 server, with a length that fits.

// damage has the bodies of the next n answers about objects changed, whatever their status.
func (s *s3Server) damage(n int, change func([]byte) []byte) {
	s.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
		if n <= 0 || r.Method != http.MethodGet || r.URL.Query().Has("list-type") {
			return true
		}
		n--
		whole := httptest.NewRecorder()
		serve.ServeHTTP(whole, r)
		maps.Copy(w.Header(), whole.Header())
		w.Header().Del("Content-Length")
		w.WriteHeader(whole.Code)
		w.Write(change(whole.Body.Bytes()))
		return false
	}
}

func halved(body []byte) []byte { return body[:len(body)/2] }

func flipped(body []byte) []byte {
	body[len(body)*2/3] ^= 0x10
	return body
}

// If this fails, an answer that was cut or changed on its way costs a log, makes a day be
// folded anew, or makes a run believe that its lock is lost.
func TestS3DamagedOnItsWay(t *testing.T) {
	server := newS3Server(t)
	s := mustOpen(t, "s3://"+bucket, server.options())
	ctx := t.Context()

	t.Run("log", func(t *testing.T) {
		body := strings.Repeat("0123456789", 100)
		put(t, s, "logs/x.log", body)
		found, err := Glob(ctx, "s3://"+bucket+"/logs/x.log", nil, server.options())
		if err != nil || len(found.Objects) != 1 {
			t.Fatalf("got %v, %v", found, err)
		}
		server.damage(2, halved)
		r, err := found.Objects[0].Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got, err := io.ReadAll(r); err != nil || string(got) != body {
			t.Errorf("got %d bytes, %v, want %d", len(got), err, len(body))
		}
	})

	for name, change := range map[string]func([]byte) []byte{"cut": halved, "flipped": flipped} {
		t.Run("partition "+name, func(t *testing.T) {
			rows, done := oldRows()
			if err := partitions(s).Commit(ctx, testDay, each(rows), &done); err != nil {
				t.Fatal(err)
			}
			for n := range 4 { // of the marker and its file
				server.damage(n, change)
				if got := which(t, partitions(s)); got != "old" {
					t.Errorf("%d answers: got %s, want old", n, got)
				}
			}
			server.damage(1<<30, change)
			if got := which(t, partitions(s)); got != "damaged" {
				t.Errorf("for good: got %s, want damaged", got)
			}
			server.change = nil
		})
		t.Run("lock "+name, func(t *testing.T) {
			lease, err := claim("first").Hold(ctx, s, "lock-"+name)
			if err != nil {
				t.Fatal(err)
			}
			defer lease.Release(ctx)
			for n := range 4 {
				server.damage(n, change)
				if err := lease.Beat(ctx); err != nil {
					t.Errorf("%d answers: %v", n, err)
				}
			}
		})
	}

	t.Run("missing", func(t *testing.T) {
		server.damage(3, halved)
		if _, err := s.Open(ctx, "none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("cut: got %v, want %v", err, fs.ErrNotExist)
		}
		server.damage(1<<30, halved)
		one := *s.(*s3Store)
		one.client = withoutRetries(one.client)
		if _, err := one.Open(ctx, "none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("cut for good: got %v, want %v", err, fs.ErrNotExist)
		}
		server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
			w.WriteHeader(http.StatusBadGateway)
			io.WriteString(w, "<html><p>the gateway")
			return false
		}
		want := "open s3://" + bucket + "/none: the server's answer cannot be read: HTTP status 502"
		if _, err := one.Open(ctx, "none"); err == nil || err.Error() != want || !IsFault(err) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	})
}
