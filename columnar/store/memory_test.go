package store

import (
	"fmt"
	"iter"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// hugeRows yields n rows that are made one at a time.
func hugeRows(n int) iter.Seq2[*wideRow, error] {
	return func(yield func(*wideRow, error) bool) {
		some := wideRows(1 << 12)
		for i := range n {
			r := some[i%len(some)]
			r.Entity = fmt.Sprintf("user%07d@example.com", i/10)
			if !yield(&r, nil) {
				return
			}
		}
	}
}

// A day may have millions of rows, and the process little memory. Writing a
// partition must take the same memory for any number of rows, and so must reading
// one: the partitions of a month are read at the same time. The memory is measured
// from outside, in a process of its own: a container would be killed for this
// figure.
func TestMemory(t *testing.T) {
	if raced {
		t.Skip("the race detector takes memory of its own")
	}
	if dir := os.Getenv("STORE_TEST_MEMORY"); dir != "" {
		useMemory(t, dir)
		return
	}
	if testing.Short() {
		t.Skip("writes two million rows")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestMemory$", "-test.v")
	cmd.Env = append(os.Environ(), "STORE_TEST_MEMORY="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	peaks := regexp.MustCompile(`(\w+) peak (\d+) KiB`).FindAllSubmatch(out, -1)
	if peaks == nil {
		t.Skip("the system does not tell the peak")
	}
	limits := map[string]int{"start": 40 << 10, "commit": 80 << 10, "month": 180 << 10}
	for _, p := range peaks {
		if kib, _ := strconv.Atoi(string(p[2])); kib > limits[string(p[1])] {
			t.Errorf("%s: got a peak of %d KiB, want at most %d", p[1], kib, limits[string(p[1])])
		}
		t.Logf("%s", p[0])
	}
}

func useMemory(t *testing.T, dir string) {
	peak(t, "start")
	p := Partitions[wideRow]{Store: newDisk(dir), Folder: "aggregate=user_day"}
	const n = 2_000_000
	if err := p.Commit(t.Context(), testDay, hugeRows(n), &Done{}); err != nil {
		t.Fatal(err)
	}
	peak(t, "commit")
	var next []func() (*wideRow, error, bool)
	for range 31 {
		part, err := p.Open(t.Context(), testDay)
		if err != nil || part.Done.Rows != n {
			t.Fatalf("got %v, want %d rows", err, n)
		}
		defer part.Close()
		pull, stop := iter.Pull2(part.Rows())
		defer stop()
		next = append(next, pull)
	}
	for i := range groupRows + 10_000 {
		for _, pull := range next {
			if r, err, ok := pull(); !ok || err != nil || r.Entity != fmt.Sprintf("user%07d@example.com", i/10) {
				t.Fatalf("row %d: got %+v, %v", i, r, err)
			}
		}
	}
	peak(t, "month")
}

// peak prints the largest memory that the process has used, if Linux reports it.
func peak(t *testing.T, when string) {
	status, _ := os.ReadFile("/proc/self/status")
	if _, after, ok := strings.Cut(string(status), "VmHWM:"); ok {
		t.Logf("%s peak %s KiB", when, strings.Fields(after)[0])
	}
}
