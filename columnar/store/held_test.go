package store

import (
	"fmt"
	"os"
	"runtime"
	"testing"
)

// If this fails, a history of many days needs more descriptors than some systems allow, or
// loses rows where it saves them.
func TestManyOpenPartitions(t *testing.T) {
	type number struct {
		N int64 `parquet:"n"`
	}
	const days = 60
	for _, memory := range []int64{0, maxHeldParts} { // in use already: with maxHeldParts, files rest
		p := Partitions[number]{Store: newDisk(t.TempDir()), Folder: "findings", Marks: &Marks{}}
		day := func(i int) string { return fmt.Sprintf("2026-%02d-%02d", 1+i/28, 1+i%28) }
		for i := range days {
			rows := func(yield func(*number, error) bool) { yield(&number{int64(i)}, nil) }
			if err := p.Commit(t.Context(), day(i), rows, &Done{}); err != nil {
				t.Fatal(err)
			}
		}
		p.Marks.held.bytes.Store(memory)
		before := descriptors()
		var open []*Part[number]
		for i := range days {
			part, err := p.Open(t.Context(), day(i))
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, part)
		}
		if n := descriptors() - before; runtime.GOOS == "linux" && n > maxOpenParts {
			t.Errorf("%d partitions take %d descriptors, want at most %d", days, n, maxOpenParts)
		}
		for i, part := range open {
			for row, err := range part.Rows() {
				if err != nil || row.N != int64(i) {
					t.Errorf("day %d: got %v, %v", i, row, err)
				}
			}
			if err := part.Close(); err != nil {
				t.Error(err)
			}
		}
		if h := &p.Marks.held; h.files.Load() != 0 || h.bytes.Load() != memory {
			t.Errorf("closed, they hold %d files and %d bytes", h.files.Load(), h.bytes.Load()-memory)
		}
	}
}

// descriptors returns how many descriptors the process has open, on Linux.
func descriptors() int {
	all, _ := os.ReadDir("/proc/self/fd")
	return len(all)
}
