package jobs

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar/logs"
	"outflow/reports"
	"outflow/stats/detect"
)

// foldEvents folds objects of JSON lines, all of one feed but the last.
func foldEvents(t *testing.T, objects [][]string, o foldOptions) (rows []detect.Row, inputs []reports.Input) {
	t.Helper()
	var sources []source
	for i, lines := range objects {
		text := strings.Join(lines, "\n") + "\n"
		feed := "api"
		if i == len(objects)-1 {
			feed = "other"
		}
		sources = append(sources, source{feed: feed, object: logs.Object{Name: fmt.Sprintf("%d.json", i), Size: int64(len(text)),
			Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}})
	}
	o.aggregates = []*detect.Aggregate{detect.UserDay, detect.UserDestinationDay, detect.ObjectDay}
	o.FoldOptions = (&Config{}).foldOptions()
	f, err := Fold(context.Background(), sources, &o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return foldedRows(t, f, o.aggregates), f.inputs
}

// If this fails, an event that a service delivers twice, in two objects, counts twice, or
// one that only looks like another is lost, or which copy was read first shows.
func TestEventsInSeveralObjects(t *testing.T) {
	line := func(second int, user, id string, out int) string {
		return fmt.Sprintf(`{"time":"2027-04-01T10:%02d:%02dZ","user":"%s","src_ip":"10.0.0.1","service":"s3","operation":"PutObject","resource":"bucket/%d","bytes_out":%d,"event_uid":"%s"}`,
			second/60, second%60, user, second, out, id)
	}
	const objects, events = 5, 1500
	r := rand.New(rand.NewPCG(1, 2))
	once, twice := make([][]string, objects+1), make([][]string, objects+1)
	for i := range events {
		l := line(i, fmt.Sprint("user", i%7), fmt.Sprintf("e%d", i), 1000+i%3)
		at := i % objects
		once[at] = append(once[at], l)
		for range r.IntN(4) { // the first is what is in once
			twice[at] = append(twice[at], l)
			at = r.IntN(objects)
		}
		if len(twice[i%objects]) == 0 || twice[i%objects][len(twice[i%objects])-1] != l {
			twice[i%objects] = append(twice[i%objects], l)
		}
	}
	for _, all := range [][][]string{once, twice} {
		// The id at another time, no id, and the id in another feed are other events.
		all[0] = append(all[0], line(2000, "ann", "e1", 5), line(2001, "ann", "", 6), line(2001, "ann", "", 6))
		all[objects] = append(all[objects], line(1, "user1", "e1", 1001))
	}
	want, _ := foldEvents(t, once, foldOptions{workers: 1})
	for i := range want {
		want[i].Evidence, want[i].Places = "", nil // say where
	}
	var first []detect.Row
	var firstInputs []reports.Input
	for range 5 {
		for _, o := range []foldOptions{{workers: 1}, {workers: 4}, {workers: 3, memory: 1}} {
			got, inputs := foldEvents(t, twice, o)
			if first == nil {
				first, firstInputs = got, inputs
			}
			if diff := cmp.Diff(first, got); diff != "" {
				t.Fatalf("rows of another run (-first +this):\n%s", diff)
			}
			if diff := cmp.Diff(firstInputs, inputs); diff != "" {
				t.Fatalf("inputs of another run (-first +this):\n%s", diff)
			}
			got = slices.Clone(got)
			for i := range got {
				got[i].Evidence, got[i].Places = "", nil
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%d workers (-once +twice):\n%s", o.workers, diff)
			}
		}
	}
	var repeated, lines int64
	for _, in := range firstInputs {
		repeated, lines = repeated+in.Repeated, lines+in.Rows
	}
	if got := lines - repeated; got != events+4 {
		t.Errorf("%d rows, %d of them copies: got %d events, want %d", lines, repeated, got, events+4)
	}
	// More than it remembers: copies within an object are found still, and it is said, once.
	got, inputs := foldEvents(t, twice, foldOptions{workers: 4, events: 900})
	again, _ := foldEvents(t, twice, foldOptions{workers: 1, events: 900})
	if diff := cmp.Diff(again, got); diff != "" {
		t.Errorf("too many events, 1 and 4 workers:\n%s", diff)
	}
	said := 0
	for _, in := range inputs {
		said += strings.Count(strings.Join(in.Reasons, ";"), "too many events with ids")
	}
	if said != 2 {
		t.Errorf("said %d times that there are too many events, want once for each of two feeds", said)
	}
	var sum, wanted int64
	for i := range got {
		sum += got[i].Events
	}
	for i := range want {
		wanted += want[i].Events
	}
	if sum <= wanted {
		t.Errorf("got %d events, want more than %d: copies in other objects were found after all", sum, wanted)
	}
}
