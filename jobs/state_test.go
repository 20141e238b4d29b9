package jobs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// If this fails, the error of a day that cannot be committed is lost, or the days before
// it are not committed. Several days are committed at the same time.
func TestCommitRowsOfManyDays(t *testing.T) {
	s := newSite(t, datedURI)
	p := &program{ctx: context.Background(), now: time.Now, env: func(string) (string, bool) { return "", false }, stderr: os.Stderr}
	st, err := p.openState(&Config{State: s.dir + "/state", Inputs: []*Input{{Name: "cloud", URI: s.dir + "/" + datedURI}}, detections: detect.All()}, "test")
	if err != nil {
		t.Fatal(err)
	}
	first, err := detect.ParseDay("2026-03-01")
	if err != nil {
		t.Fatal(err)
	}
	const days, rows, locked = 20, 50, 11
	dones := map[detect.Day]store.Done{}
	for i := range days {
		dones[first+detect.Day(i)] = store.Done{}
	}
	commit := func(broken error) error {
		return st.commitRows(p.ctx, detect.UserDay, dones, func(yield func(*detect.Row, error) bool) {
			for i := range days * rows {
				day := first + detect.Day(i/rows)
				if broken != nil && day == first+locked {
					yield(nil, broken)
					return
				}
				row := detect.Row{Day: day, Key: detect.Key{Feed: "cloud", EntityType: "user", Entity: fmt.Sprintf("user%04d", i)}}
				if !yield(&row, nil) {
					return
				}
			}
		})
	}
	check := func(want int) {
		t.Helper()
		for i := range want {
			day := (first + detect.Day(i)).String()
			got, done, err := st.aggregate(detect.UserDay).Read(p.ctx, day)
			if err != nil || len(got) != rows || done.Rows != rows || got[0].Entity != fmt.Sprintf("user%04d", i*rows) {
				t.Errorf("%s: got %d rows, %v, want its %d", day, len(got), err, rows)
			}
		}
	}
	broken := errors.New("broken")
	if err := commit(broken); !errors.Is(err, broken) {
		t.Errorf("rows that end with an error: got %v, want %v", err, broken)
	}
	check(locked - 1) // the error came in place of the last one's next row

	// Another run, which should not be there, commits a day.
	foreign := st.aggregate(detect.UserDay)
	foreign.Marks = nil
	if err := foreign.Commit(p.ctx, (first + locked).String(), func(func(*detect.Row, error) bool) {}, &store.Done{Fold: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := commit(nil); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), (first+locked).String()) {
		t.Errorf("a locked day: got %v, want %v of %v", err, store.ErrLocked, first+locked)
	}
	check(locked)

	st.marks = &store.Marks{} // another run
	if err := commit(nil); err != nil {
		t.Error(err)
	}
	check(days)
}
