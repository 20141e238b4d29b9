package detect

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sentTo calls send with n writers, and returns what each got.
func sentTo(t testing.TB, n int, send func(to []io.Writer) error) []*bytes.Buffer {
	t.Helper()
	out, to := make([]*bytes.Buffer, n), make([]io.Writer, n)
	for i := range out {
		out[i] = &bytes.Buffer{}
		to[i] = out[i]
	}
	if err := send(to); err != nil {
		t.Fatal(err)
	}
	return out
}

// joinedAnswers returns what joins take of what tasks have.
func joinedAnswers(t testing.TB, o *FoldOptions, memory, joins int, tasks []*Answers) (out []*Answers) {
	t.Helper()
	for range joins {
		out = append(out, NewAnswers(o, &memorySpool{}, memory))
	}
	for _, task := range tasks {
		answers := sentTo(t, 2*joins, func(to []io.Writer) error { return task.Send(to[:joins], to[joins:]) })
		for i, a := range out {
			if err := a.TakeAnswers(answers[i]); err != nil {
				t.Fatal(err)
			}
			if err := a.TakeQuestions(answers[joins+i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, a := range out {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// If this fails, connections that tasks send to joins are lost or doubled, their records come
// to several joins, or a task does not give the same bytes each time.
func TestSentConnections(t *testing.T) {
	o := openBounds
	o.Seed = 3
	r := rand.New(rand.NewPCG(8, 9))
	for range 10 {
		events := randomConnections(r, 600)
		tasks := [][]event{nil, nil, nil}
		for _, e := range events {
			i := r.IntN(len(tasks))
			tasks[i] = append(tasks[i], e)
		}
		const joins = 3
		var sends [2][][]*bytes.Buffer
		for attempt := range sends {
			for _, c := range connectionsOf(t, &o, 1<<12, tasks...) {
				sends[attempt] = append(sends[attempt], sentTo(t, joins, c.Send))
			}
		}
		var got []string
		used := 0
		for join := range joins {
			c := NewConnections(&o, &memorySpool{}, 1<<12)
			for task := range tasks {
				sent := sends[0][task][join]
				if !bytes.Equal(sent.Bytes(), sends[1][task][join].Bytes()) {
					t.Errorf("task %d sends other bytes the second time", task)
				}
				if err := c.Take(sent); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			rows, _ := joinConnections(t, &o, 1<<16, c)
			if len(rows) > 0 {
				used++
			}
			got = append(got, rows...)
		}
		slices.Sort(got)
		if diff := cmp.Diff(slowJoin(events), got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if used < 2 {
			t.Error("one join has all rows: this test proves nothing")
		}
	}
}

// If this fails, a damaged work folder ends a join with a panic, or is not noticed.
func TestSentDamaged(t *testing.T) {
	o := openBounds
	for _, damaged := range []string{"\xff", "\x05abc", "\xff\xff\xff\xff\xff\x0f", "\x01x\x03abc", "\x02\x01a"} {
		if err := NewConnections(&o, &memorySpool{}, 1<<12).Take(strings.NewReader(damaged)); err == nil {
			t.Errorf("%q is taken for connections", damaged)
		}
		a := NewAnswers(&o, &memorySpool{}, 1<<12)
		if a.TakeAnswers(strings.NewReader(damaged)) == nil || a.TakeQuestions(strings.NewReader(damaged)) == nil {
			t.Errorf("%q is taken for answers or questions", damaged)
		}
	}
}
