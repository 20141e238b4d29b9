package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"

	"outflow/columnar/store"
	"outflow/reports"
)

// This file kills runs, really, at each of their writes, renames and deletes, and looks at
// what the next run makes of it.

// A killer is a store whose process is killed at one of its steps.
type killer struct {
	store.Store
	step *atomic.Int64 // steps so far, of all stores of the process
	at   int64         // 0: never
	torn bool          // in the middle of a write: the bytes are there, but not in place
	list *os.File      // of the steps
}

// die counts a step, and ends the process if it is the last.
func (k *killer) die(format string, args ...any) (torn bool) {
	n := k.step.Add(1)
	if k.list != nil {
		fmt.Fprintf(k.list, format+"\n", args...)
	}
	if n == k.at && !k.torn {
		kill()
	}
	return n == k.at
}

func kill() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (k *killer) Put(ctx context.Context, name string, body io.ReadSeeker, when store.Condition) error {
	// A beat comes at any time, so it is no step.
	if beat := strings.HasSuffix(name, "lock.json") && when != store.IfAbsent; !beat && k.die("put %s", name) {
		body = tornBody{body}
	}
	return k.Store.Put(ctx, name, body, when)
}

// A tornBody kills the process when it has been read.
type tornBody struct{ io.ReadSeeker }

func (b tornBody) Read(p []byte) (int, error) {
	n, err := b.ReadSeeker.Read(p)
	if err == io.EOF {
		kill()
	}
	return n, err
}

func (k *killer) Delete(ctx context.Context, name string) error {
	k.die("delete %s", name)
	return k.Store.Delete(ctx, name)
}

func (k *killer) Tidy(ctx context.Context, folder string, depth store.Depth) (int, error) {
	k.die("tidy %q", folder)
	return k.Store.Tidy(ctx, folder, depth)
}

func (k *killer) Lock(ctx context.Context, name string) (store.Lock, error) {
	k.die("lock %s", name)
	l, err := k.Store.Lock(ctx, name)
	if err != nil {
		return nil, err
	}
	return killerLock{l, k}, nil
}

type killerLock struct {
	store.Lock
	k *killer
}

func (l killerLock) Note(text []byte) error {
	l.k.die("note %d bytes in the lock", len(text))
	return l.Lock.Note(text)
}

func (l killerLock) Close() error {
	l.k.die("unlock")
	return l.Lock.Close()
}

// killedMain is Main in a process that is killed at a step: "12", or "12 torn". "0 FILE"
// lists the steps.
func killedMain(how string, args []string) int {
	k := killer{step: new(atomic.Int64)}
	at, rest, _ := strings.Cut(how, " ")
	var err error
	if k.at, err = strconv.ParseInt(at, 10, 64); err != nil {
		panic(err)
	}
	if k.torn = rest == "torn"; !k.torn && rest != "" {
		if k.list, err = os.Create(rest); err != nil {
			panic(err)
		}
	}
	return mainOf(args, &program{hooks: hooks{beat: 500 * time.Millisecond, wrap: func(s store.Store) store.Store {
		wrapped := k
		wrapped.Store = s
		return &wrapped
	}}})
}

// A world is a folder with logs, and a state and reports there or in S3.
type world struct {
	t      *testing.T
	dir    string
	server *s3Server // nil: all is on disk
	uris   []string  // flags that name the state and the reports
}

// newWorld makes a world of files. Those of the bucket outflow are named s3/…
func newWorld(t *testing.T, s3 bool, files map[string]string) *world {
	w := &world{t: t, dir: t.TempDir()}
	if s3 {
		w.server = newS3Server(t)
		w.uris = []string{"--state", "s3://outflow/state", "--out", "s3://outflow/out", "--s3-endpoint-url", w.server.url}
	}
	for name, body := range files {
		if key, ok := strings.CutPrefix(name, "s3/"); ok {
			if _, err := w.server.backend.PutObject("outflow", key, nil, strings.NewReader(body), int64(len(body)), nil); err != nil {
				t.Fatal(err)
			}
			continue
		}
		name = filepath.Join(w.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		// On disk an ETag has the time.
		if err := os.Chtimes(name, worldTime, worldTime); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

var worldTime = time.Date(2026, 3, 22, 1, 0, 0, 0, time.UTC)

// run runs outflow as a process; see killedMain. killed says whether it was.
func (w *world) run(how string, args ...string) (code int, killed bool, stderr string) {
	w.t.Helper()
	c := exec.Command(os.Args[0], append(slices.Clone(args), append([]string{"--config", "outflow.yaml"}, w.uris...)...)...)
	c.Dir = w.dir
	c.Env = append(os.Environ(), "OUTFLOW_TEST_KILL="+how)
	var errs bytes.Buffer
	c.Stderr = &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), c.ProcessState.Sys().(syscall.WaitStatus).Signaled(), errs.String()
}

// must runs outflow, which must work.
func (w *world) must(args ...string) {
	w.t.Helper()
	if code, _, stderr := w.run("0", args...); code != exitOK {
		w.t.Fatalf("%v: exit %d: %s", args, code, stderr)
	}
}

// files returns all files but logs and the lock, by name.
func (w *world) files() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(w.dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		out[strings.TrimPrefix(name, w.dir+"/")] = string(text)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.server != nil {
		list, err := w.server.backend.ListBucket("outflow", nil, gofakes3.ListBucketPage{})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, o := range list.Contents {
			object, err := w.server.backend.GetObject("outflow", o.Key, nil)
			if err != nil {
				w.t.Fatal(err)
			}
			text, err := io.ReadAll(object.Contents)
			object.Contents.Close()
			if err != nil {
				w.t.Fatal(err)
			}
			out["s3/"+o.Key] = string(text)
		}
	}
	return out
}

// results are the files that a run makes: what was there afterwards, but the lock of the
// file system, which stays, and what tells when the run was, and where.
func results(files map[string]string) map[string]string {
	out := maps.Clone(files)
	maps.DeleteFunc(out, func(name, text string) bool {
		return strings.HasPrefix(name, "logs/") || name == "outflow.yaml" || name == "steps" || name == "state/lock" && text == "" ||
			path.Base(name) == reports.RunFile || path.Base(name) == reports.MetricsFile
	})
	for name, text := range out {
		if path.Base(name) == lastName { // another folder is another place
			out[name] = placeInLast.ReplaceAllString(text, "")
		}
	}
	return out
}

var placeInLast = regexp.MustCompile(`"(place|dir)": ?"[^"]*",?`)

// differences names the files that differ.
func differences(got, want map[string]string) []string {
	var out []string
	for name := range got {
		if _, ok := want[name]; !ok {
			out = append(out, "more: "+name)
		}
	}
	for name, text := range want {
		if other, ok := got[name]; !ok {
			out = append(out, "less: "+name)
		} else if other != text {
			out = append(out, "other: "+name)
		}
	}
	slices.Sort(out)
	return out
}

// killWorld has the logs of the days up to the 21st of March, and a theft on the 20th that
// only a late log has.
func killWorld(late bool) map[string]string {
	files := map[string]string{"outflow.yaml": "inputs:\n  - {name: cloud, uri: 'logs/{yyyy}-{mm}-{dd}/'}\n"}
	for day := 16; day <= 21; day++ {
		date := fmt.Sprintf("2026-03-%02d", day)
		files["logs/"+date+"/a.csv"] = string(uploads(date+fmt.Sprintf("T10:%02d ann 1%d00000", day, day%3), date+"T11:00 bob 900000"))
	}
	if late {
		files["logs/2026-03-21/late.csv"] = string(uploads("2026-03-20T22:00 ann 9000000000"))
	}
	return files
}

// madeAlong tells whether what is made of history along with others is there before all of these are: a run that is
// killed in between would leave the day without it.
func madeAlong(t *testing.T, steps []string) {
	along, last := map[string]int{}, map[string]int{}
	for i, step := range steps {
		aggregate, date, ok := strings.Cut(strings.TrimPrefix(step, "put v2/aggregate="), "/date=")
		date, done := strings.CutSuffix(date, "/_done.json")
		switch {
		case !ok || !done || date == "2026-03-20":
		case aggregate == "rule_day":
			along[date] = i
		default:
			last[date] = i
		}
	}
	if len(along) == 0 || len(along) != len(last) {
		t.Fatalf("%d days of history have rule_day, %d have others", len(along), len(last))
	}
	for date, i := range along {
		if i > last[date] {
			t.Errorf("rule_day of %s was written after all others", date)
		}
	}
}

// If this fails, a run that is killed loses or doubles something, or leaves it for somebody
// to mend by hand. OUTFLOW_LONG=1 kills at all steps, as make killtest does.
func TestKilled(t *testing.T) {
	stride := 41
	if os.Getenv("OUTFLOW_LONG") != "" {
		stride = 1
	}
	night := func(day string) []string { return []string{"run", "nightly", "--day", "2026-03-" + day} }
	// A scheduled run judges the night before.
	at := func(day string) []string { return []string{"run", "nightly", "--at", "2026-03-" + day + "T02:00:00Z"} }
	backfill := []string{"backfill", "--from", "2026-03-17", "--to", "2026-03-20"}
	for _, c := range []struct {
		name   string
		before [][]string // runs of the state that is there
		late   bool       // then a late log arrives
		run    []string   // is killed
		then   []string   // is run afterwards; nil: run
	}{
		{"first night", nil, false, night("20"), nil},
		{"repeated night", [][]string{night("20")}, false, night("20"), nil},
		{"night with a late day", [][]string{night("20")}, true, night("21"), nil},
		{"night with a late day, then the next night", [][]string{night("20")}, true, at("22"), at("23")},
		{"backfill", nil, false, backfill, nil},
		{"backfill again", [][]string{backfill, night("21")}, false, backfill, nil},
	} {
		for _, where := range []string{"disk", "s3"} {
			t.Run(c.name+"/"+where, func(t *testing.T) {
				w := newWorld(t, where == "s3", killWorld(false))
				for _, args := range c.before {
					w.must(args...)
				}
				begin := w.files()
				if c.late {
					maps.Copy(begin, killWorld(true))
				}
				again := func() *world { return newWorld(t, where == "s3", begin) }
				w = again()
				if code, _, stderr := w.run("0 steps", c.run...); code != exitOK {
					t.Fatalf("exit %d: %s", code, stderr)
				}
				steps := strings.Split(strings.TrimSpace(w.files()["steps"]), "\n")
				if c.then != nil {
					w.must(c.then...)
				}
				want := results(w.files())
				t.Logf("%d steps:\n%s", len(steps), strings.Join(steps, "\n"))
				if c.before == nil && c.run[0] == "run" {
					madeAlong(t, steps)
				}
				kills := 0
				for i := 0; i < 2*len(steps); i += stride {
					how := strconv.Itoa(i/2 + 1)
					if i%2 == 1 {
						if !strings.HasPrefix(steps[i/2], "put") {
							continue
						}
						how += " torn"
					}
					w := again()
					_, killed, stderr := w.run(how, c.run...)
					if !killed {
						t.Errorf("step %s: not killed: %s", how, stderr)
						continue
					}
					kills++
					then := c.run
					if c.then != nil {
						then = c.then
					}
					code, _, stderr := w.run("0", then...)
					if code != exitOK {
						t.Errorf("killed at step %s, %s: then exit %d: %s", how, steps[i/2], code, stderr)
					}
					if diff := differences(results(w.files()), want); len(diff) > 0 {
						t.Errorf("killed at step %s, %s: after one more run differ\n%s\n%s", how, steps[i/2], strings.Join(diff, "\n"), stderr)
					}
				}
				t.Logf("%s/%s: %d steps, killed %d times", c.name, where, len(steps), kills)
			})
		}
	}
}
