package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// If this failed, a name from a listing or a configuration could read or overwrite
// any file of the machine.
func TestDiskStaysInside(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	secret := filepath.Join(dir, "secret")
	write(t, secret, "secret")
	write(t, filepath.Join(root, "in"), "inside")
	link(t, secret, filepath.Join(root, "out"))
	link(t, "../secret", filepath.Join(root, "up"))
	link(t, dir, filepath.Join(root, "folder"))
	link(t, "in", filepath.Join(root, "alias"))
	s := mustOpen(t, root, Options{})
	for _, name := range []string{"../secret", secret, "a/../../secret", "", ".", "..", "/", "a//b", "out", "up", "folder/secret"} {
		if b, err := ReadAll(t.Context(), s, name); err == nil {
			t.Errorf("open %q: got %q", name, b)
		}
		if err := s.Put(t.Context(), name, strings.NewReader("gone"), IfAbsent); err == nil {
			t.Errorf("put %q: got no error", name)
		}
		if name != "out" && name != "up" { // these two are links in the root; a link may be deleted
			if err := s.Delete(t.Context(), name); err == nil {
				t.Errorf("delete %q: got no error", name)
			}
		}
	}
	if b, err := os.ReadFile(secret); string(b) != "secret" {
		t.Errorf("got %q, %v", b, err)
	}
	for range s.List(t.Context(), "../", Deep) {
		t.Error("listed a folder above the root")
	}
	if got := get(t, s, "alias"); got != "inside" {
		t.Errorf("link that stays inside: got %q", got)
	}
	if got, want := names(t, s.List(t.Context(), "", Deep)), []string{"in"}; !slices.Equal(got, want) {
		t.Errorf("list with links: got %q, want %q", got, want)
	}
}

func TestDiskRootIsLink(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "real", "x"), "x")
	link(t, filepath.Join(dir, "real"), filepath.Join(dir, "link"))
	s := mustOpen(t, "file://"+filepath.Join(dir, "link"), Options{})
	put(t, s, "y", "y")
	if got, want := names(t, s.List(t.Context(), "", Deep)), []string{"x", "y"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Another process may be in the middle of a Put.
func TestDiskTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, tempPrefix+"ABC"+tempSuffix), "half")
	write(t, filepath.Join(dir, "x"), "whole")
	s := mustOpen(t, dir, Options{})
	for _, depth := range []Depth{Deep, Shallow} {
		if got, want := names(t, s.List(t.Context(), "", depth)), []string{"x"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// If this fails, a pipe in place of a log hangs a run, or is left out of a folder unsaid.
func TestDiskPipe(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe.log")
	if err := exec.Command("mkfifo", pipe).Run(); err != nil {
		t.Skip(err)
	}
	s := mustOpen(t, dir, Options{})
	if _, err := s.Open(t.Context(), "pipe.log"); err == nil || !strings.HasSuffix(err.Error(), "only files are read") {
		t.Errorf("open: got %v", err)
	}
	if _, err := Glob(t.Context(), pipe, nil, Options{}); err != nil {
		t.Errorf("glob: got %v", err)
	}
	want := []Skip{{Reason: skipDevice, Count: 1}}
	if f, err := Glob(t.Context(), dir, nil, Options{}); err != nil || !slices.Equal(f.Skipped, want) {
		t.Errorf("folder: left out %v, %v, want %v", f.Skipped, err, want)
	}
	if f, err := NewSurvey(t.Context(), dir, nil, surveyed, Options{}); err != nil || !slices.Equal(f.Skipped, want) {
		t.Errorf("survey: left out %v, %v, want %v", f.Skipped, err, want)
	}
}

func TestDiskErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "x")
	s := mustOpen(t, dir, Options{})
	_, err := s.Open(t.Context(), "none/x")
	if want := "open " + filepath.Join(dir, "none", "x") + ": no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := s.Put(t.Context(), "file/x", strings.NewReader(""), Always); err == nil || !strings.HasPrefix(err.Error(), "write "+dir) {
		t.Errorf("put below a file: got %v", err)
	}
	inFile := mustOpen(t, filepath.Join(dir, "file"), Options{})
	for _, err := range inFile.List(t.Context(), "", Deep) {
		if err == nil || errors.Is(err, os.ErrNotExist) {
			t.Errorf("list with a file for a root: got %v", err)
		}
	}
}

func write(t *testing.T, file, body string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Skip(err)
	}
}

// If this fails, a run that removes temporary files of dead runs takes those of runs that live.
func TestTidyLeavesTheLiving(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	var writers, tidiers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		tidiers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := s.Tidy(t.Context(), "", Shallow); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 4 {
		writers.Go(func() {
			for n := range 100 {
				when := Always
				name := fmt.Sprint("file", i)
				if n%2 == 1 {
					name, when = fmt.Sprint(name, "-", n), IfAbsent
				}
				if err := s.Put(t.Context(), name, strings.NewReader("text"), when); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	tidiers.Wait()
	if n, err := s.Tidy(t.Context(), "", Shallow); n != 0 || err != nil {
		t.Errorf("%d temporary files stay, %v", n, err)
	}
}

// If this fails, a day of a state that lies elsewhere, behind a link, gives an error that names
// no link.
func TestDiskLinkOut(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	link(t, t.TempDir(), filepath.Join(dir, "day"))
	_, err := s.Open(t.Context(), "day/file")
	for _, err := range []error{err, s.Put(t.Context(), "day/file", strings.NewReader("x"), Always), s.Delete(t.Context(), "day/file")} {
		if !errors.Is(err, errLeadsOut) || !IsFault(err) {
			t.Errorf("got %v, want that a link leads out", err)
		}
	}
}

// If this fails, an empty folder in place of an object, as a mount leaves one, ends every run.
func TestDiskFolderInPlace(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	for name, write := range map[string]func(name string) error{
		"put":    func(name string) error { return s.Put(t.Context(), name, strings.NewReader("x"), Always) },
		"absent": func(name string) error { return s.Put(t.Context(), name, strings.NewReader("x"), IfAbsent) },
		"lock": func(name string) error {
			l, err := s.Lock(t.Context(), name)
			if err == nil {
				err = l.Close()
			}
			return err
		},
	} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(t.Context(), name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: open: got %v, want that nothing is there", name, err)
		}
		if err := write(name); err != nil {
			t.Errorf("%s: in place of an empty folder: %v", name, err)
		}
		full := "full-" + name
		writeFile := filepath.Join(dir, full, "mine")
		if err := os.MkdirAll(filepath.Dir(writeFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(writeFile, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := write(full); err == nil || !strings.HasSuffix(err.Error(), "move it away") {
			t.Errorf("%s: in place of a full folder: got %v", name, err)
		}
		if _, err := os.Stat(writeFile); err != nil {
			t.Errorf("%s: somebody's file is gone", name)
		}
	}
}

// If this fails, a run finds out that nothing can be written only when it is done.
func TestWritable(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "x")
	for place, want := range map[string]bool{"": true, "new/below": true, "file": false, "file/below": false} {
		if err := Writable(filepath.Join(dir, place)); (err == nil) != want {
			t.Errorf("%q: got %v, want writable %t", place, err, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); left != nil {
		t.Errorf("left %v", left)
	}
	if err := Writable("s3://bucket/out"); err != nil {
		t.Errorf("a bucket: %v", err)
	}
}
