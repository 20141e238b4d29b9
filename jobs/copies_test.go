package jobs

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"outflow/columnar/logs"
	"outflow/reports"
	"outflow/stats/detect"
)

// A stored is an object of a test, which counts how often it is opened.
type stored struct {
	name   string
	body   []byte
	opened *atomic.Int64
}

type closer struct{ *bytes.Reader }

func (closer) Close() error { return nil }

func (o *stored) source(feed string) source {
	return source{feed: feed, object: logs.Object{Name: o.name, Size: int64(len(o.body)),
		Open: func() (io.ReadCloser, error) {
			if o.opened != nil {
				o.opened.Add(1)
			}
			return closer{bytes.NewReader(o.body)}, nil
		},
		At: func() (logs.ReaderAtCloser, error) { return closer{bytes.NewReader(o.body)}, nil },
	}}
}

func sourcesOf(objects ...stored) []source {
	var out []source
	for i := range objects {
		out = append(out, objects[i].source(""))
	}
	return out
}

func zipped(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(files[name])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// foldCopies folds the sources, and fails the test if that does not end.
func foldCopies(t *testing.T, sources []source, workers int) ([]detect.Row, []reports.Input) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	aggregates := []*detect.Aggregate{detect.UserDay}
	o := &foldOptions{aggregates: aggregates, workers: workers, FoldOptions: (&Config{}).foldOptions()}
	f, err := Fold(ctx, sources, o)
	if err != nil {
		t.Fatalf("%d workers: %v", workers, err)
	}
	defer f.Close()
	return foldedRows(t, f, aggregates), f.inputs
}

// sums returns the totals of the rows by key. They do not depend on which copy was read.
func sums(rows []detect.Row) map[string][3]int64 {
	out := map[string][3]int64{}
	for _, r := range rows {
		out[fmt.Sprint(r.Day, r.Key)] = [3]int64{r.Events, r.BytesOut, r.BytesIn}
	}
	return out
}

// randomLog returns a cloud log with the given number of events, all unique.
func randomLog(r *rand.Rand, events int) []byte {
	list := make([]string, events)
	for i := range list {
		list[i] = fmt.Sprintf("2026-03-%02dT%02d:%02d user%d %d", 1+r.IntN(5), r.IntN(24), r.IntN(60), r.IntN(30), r.IntN(1e9))
	}
	return uploads(list...)
}

// If this fails, copies of logs are counted, or logs that only look like copies are
// lost, or the result depends on which reader is first.
func TestCopiesAnySubset(t *testing.T) {
	squeeze, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	packed := []func([]byte) (string, []byte){
		func(b []byte) (string, []byte) { return ".csv", b },
		func(b []byte) (string, []byte) { return ".csv.gz", gzipped(t, b) },
		func(b []byte) (string, []byte) { return ".csv.zst", squeeze.EncodeAll(b, nil) },
		func(b []byte) (string, []byte) { return ".zip", zipped(t, map[string][]byte{"log": b}) },
	}
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 9))
		var originals, all []stored
		archive := map[string][]byte{}
		copies := 0
		for i := range 1 + r.IntN(5) {
			body := randomLog(r, []int{3, 30, 300, 600, 5000}[r.IntN(5)])
			originals = append(originals, stored{name: fmt.Sprint(i), body: body})
			add := func(part []byte) {
				kind, body := packed[r.IntN(len(packed))](part)
				all = append(all, stored{name: fmt.Sprintf("%c/%d-%d%s", 'a'+r.IntN(3), r.IntN(100), len(all), kind), body: body})
			}
			add(body)
			for range r.IntN(3) {
				add(body)
				copies++
			}
			for range r.IntN(3) {
				add(body[:128+r.IntN(len(body)-128)])
				copies++
			}
			if r.IntN(3) == 0 {
				archive[fmt.Sprint(i)] = body
				copies++
			}
		}
		if len(archive) > 0 {
			all = append(all, stored{name: "b/logs.zip", body: zipped(t, archive)})
		}
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })

		rows, _ := foldCopies(t, sourcesOf(originals...), 1)
		want := sums(rows)
		first, inputs := foldCopies(t, sourcesOf(all...), 1)
		if diff := cmp.Diff(want, sums(first)); diff != "" {
			t.Errorf("seed %d: rows of the originals -, with copies +:\n%s", seed, diff)
		}
		said := 0
		for _, in := range inputs {
			if in.Error != "" {
				t.Errorf("seed %d: %s: %s", seed, in.Name, in.Error)
			}
			if in.CopyOf != "" {
				said++
				if len(in.Reasons) != 1 || !strings.Contains(in.Reasons[0], in.CopyOf) || in.Rows != 0 {
					t.Errorf("seed %d: got %+v, want no rows and a reason", seed, in)
				}
			}
		}
		if said != copies {
			t.Errorf("seed %d: got %d logs that are said to be copies, want %d", seed, said, copies)
		}
		for _, workers := range []int{2, 8} {
			again, others := foldCopies(t, sourcesOf(all...), workers)
			if diff := cmp.Diff(first, again) + cmp.Diff(inputs, others); diff != "" {
				t.Errorf("seed %d: 1 worker -, %d workers +:\n%s", seed, workers, diff)
			}
		}
	}
}

// If this fails, logs with the same beginning and different ends lose rows, or some kinds
// of copies are counted.
func TestCopies(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	header := []byte("#fields " + strings.Repeat("of a long header, ", 20) + "\n")
	small, large := randomLog(r, 10), randomLog(r, 4000)
	changed := bytes.Clone(large)
	changed[len(changed)-2]++ // in its last number
	table := parquetLog(t, 100)
	array := func(from, to int) []byte { // as a JSON log that is written anew
		list := make([]string, 0, to-from)
		for i := from; i < to; i++ {
			list = append(list, fmt.Sprintf(`  {"time": "2026-03-02T10:%02d:%02dZ", "user": "user%d", "bytes_out": %d}`, i/60, i%60, i%30, 1e6+i))
		}
		return []byte("[\n" + strings.Join(list, ",\n") + "\n]\n")
	}
	records := func(events int) []byte { return []byte(`{"records":` + string(array(0, events)) + "}\n") }
	for _, c := range []struct {
		name    string
		objects []stored
		copies  map[string]string // reasons by name
		rows    int64
	}{
		{name: "a log and its gzip", objects: []stored{{name: "b", body: small}, {name: "a.gz", body: gzipped(t, small)}},
			copies: map[string]string{"a.gz": "a copy of b"}, rows: 10},
		{name: "one name in two folders", objects: []stored{{name: "y/log", body: small}, {name: "x/log", body: small}},
			copies: map[string]string{"y/log": "a copy of x/log"}, rows: 10},
		{name: "large ones", objects: []stored{{name: "a", body: large}, {name: "b", body: large}, {name: "c", body: changed}},
			copies: map[string]string{"b": "a copy of a"}, rows: 8000},
		{name: "a copy of a log that grew", objects: []stored{{name: "log", body: large}, {name: "log.1", body: large[:70000]}},
			copies: map[string]string{"log.1": "a copy of the beginning of log"}, rows: 4000},
		{name: "the one that grew is compressed", objects: []stored{{name: "log.1", body: small[:200]}, {name: "log.gz", body: gzipped(t, small)}},
			copies: map[string]string{"log.1": "a copy of the beginning of log.gz"}, rows: 10},
		{name: "large, and the one that grew is compressed", objects: []stored{{name: "log.1", body: large[:110000]}, {name: "log.gz", body: gzipped(t, large)}},
			copies: map[string]string{"log.1": "a copy of the beginning of log.gz"}, rows: 4000},
		{name: "an array that is written anew each hour", objects: []stored{{name: "10", body: array(0, 4)}, {name: "11", body: array(0, 20)}, {name: "12", body: array(0, 1500)}, {name: "13", body: array(0, 3000)}, {name: "14", body: array(1, 1500)}},
			copies: map[string]string{"10": "a copy of the beginning of 13", "11": "a copy of the beginning of 13", "12": "a copy of the beginning of 13"}, rows: 4499},
		{name: "an envelope that is", objects: []stored{{name: "10", body: records(40)}, {name: "11.gz", body: gzipped(t, records(900))}, {name: "12", body: records(1000)}},
			copies: map[string]string{"10": "a copy of the beginning of 12", "11.gz": "a copy of the beginning of 12"}, rows: 1000},
		{name: "gzip not finished", objects: []stored{{name: "log", body: small}, {name: "log.gz", body: gzipped(t, small)[:150]}},
			copies: map[string]string{"log.gz": "a copy of the beginning of log"}, rows: 10},
		{name: "nothing but headers", objects: []stored{{name: "a", body: []byte("time,user,bytes_out\n")}, {name: "b", body: []byte("time,user,bytes_out\n")},
			{name: "c", body: header}, {name: "d", body: header}, {name: "e", body: small}}, rows: 10},
		{name: "empty", objects: []stored{{name: "a"}, {name: "b"}, {name: "c", body: small}}, rows: 10},
		{name: "too short to tell", objects: []stored{{name: "a", body: bytes.Join(bytes.SplitAfterN(small, []byte("\n"), 3)[:2], nil)}, {name: "b", body: small}}, rows: 11},
		{name: "Parquet", objects: []stored{{name: "a.parquet", body: table}, {name: "b.parquet", body: table}, {name: "c.parquet", body: parquetLog(t, 99)}},
			copies: map[string]string{"b.parquet": "a copy of a.parquet"}, rows: 199},
		{name: "in an archive", objects: []stored{{name: "a.zip", body: zipped(t, map[string][]byte{"1": small, "2": large, "3": changed})}, {name: "z", body: large}},
			copies: map[string]string{"a.zip!2": "a copy of z"}, rows: 8010},
		{name: "in two archives", objects: []stored{{name: "a.zip", body: zipped(t, map[string][]byte{"1": small, "2": large})}, {name: "b.zip", body: zipped(t, map[string][]byte{"x": large, "y": changed})}},
			copies: map[string]string{"a.zip!2": "a copy of b.zip!x"}, rows: 8010},
		{name: "of unknown format", objects: []stored{{name: "a", body: []byte("Dear 1 and all\n")}, {name: "b", body: []byte("Dear 1 and all\n")}},
			copies: map[string]string{"b": "a copy of a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, workers := range []int{1, 8} {
				rows, inputs := foldCopies(t, sourcesOf(c.objects...), workers)
				got := map[string]string{}
				var events int64
				for _, in := range inputs {
					if in.CopyOf != "" {
						got[in.Name] = strings.Join(in.Reasons, "; ")
					}
				}
				for _, row := range rows {
					events += row.Events
				}
				if diff := cmp.Diff(c.copies, got, cmp.Transformer("nil", func(m map[string]string) map[string]string { return maps.Collect(maps.All(m)) })); diff != "" {
					t.Errorf("%d workers: copies: want -, got +:\n%s", workers, diff)
				}
				if events != c.rows {
					t.Errorf("%d workers: got %d events, want %d", workers, events, c.rows)
				}
			}
		})
	}
}

func TestUnclosed(t *testing.T) {
	for in, want := range map[string]string{
		"":                                    "",
		"a]}":                                 "a]}",
		"[]":                                  "[]",
		"[{\"a\":[1]}]\n":                     "[{\"a\":[1]}",
		"{\"hits\":{\"hits\":[{\"a\":1}\n]}}": "{\"hits\":{\"hits\":[{\"a\":1}",
		"{\"a\":[1,2]}\n":                     "{\"a\":[1,2]}\n",
		"[{\"a\":1}]" + strings.Repeat(" ", 3*mostClosing): "[{\"a\":1}",
	} {
		if got := string(unclosed([]byte(in))); got != want {
			t.Errorf("of %.60q: got %q, want %q", in, got, want)
		}
		for _, src := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
			got, err := io.ReadAll(&unclosedReader{src: src})
			if err != nil || len(in) < mostClosing && string(got) != want {
				t.Errorf("%.60q from %T: got %q, %v, want %q", in, src, got, err, want)
			}
		}
	}
}

// If this fails, the search for copies opens logs again that have no copy, or opens so
// many logs that it takes longer than reading them.
func TestCopiesOpenNothingTwice(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var opened atomic.Int64
	var objects []stored
	header := bytes.Repeat([]byte("# a header that all have, of 700 bytes and more\n"), 15)
	for i := range 200 {
		objects = append(objects, stored{fmt.Sprint(i), append(bytes.Clone(header), randomLog(r, 1+r.IntN(20))...), &opened})
	}
	foldCopies(t, sourcesOf(objects...), 2)
	// Only the first few logs with the same beginning are compared.
	if n := opened.Load(); n > 200+maxAlike*maxAlike {
		t.Errorf("200 logs were opened %d times", n)
	}
}

// If this fails, copies of logs are counted if many logs begin with the same 4 KiB, or
// finding them opens each of those logs.
func TestCopiesOfManyAlike(t *testing.T) {
	const logs = 60
	r := rand.New(rand.NewPCG(7, 8))
	header := bytes.Repeat([]byte("#TYPE a header that all have, of 4 KiB and more\n"), 100)
	var opened atomic.Int64
	var objects []stored
	want := map[string]string{}
	var events int64
	for i := range logs {
		n := []int{12, 40, 400, 4000}[i%4]
		log := append(bytes.Clone(header), randomLog(r, n)...)
		events += int64(n)
		name := fmt.Sprintf("%02d", i)
		objects = append(objects, stored{name, log, &opened}, stored{"copy of " + name + ".gz", gzipped(t, log), &opened})
		want["copy of "+name+".gz"] = "a copy of " + name
		if i%8 == 3 {
			objects = append(objects, stored{"start of " + name, log[:len(log)*2/3], &opened})
			want["start of "+name] = "a copy of the beginning of " + name
		}
	}
	for _, workers := range []int{1, 4} {
		opened.Store(0)
		rows, inputs := foldCopies(t, sourcesOf(objects...), workers)
		got := map[string]string{}
		for _, in := range inputs {
			if in.CopyOf != "" {
				got[in.Name] = strings.Join(in.Reasons, "; ")
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d workers: copies: want -, got +:\n%s", workers, diff)
		}
		var sum int64
		for _, row := range rows {
			sum += row.Events
		}
		if sum != events {
			t.Errorf("%d workers: got %d events, want %d", workers, sum, events)
		}
		if n, most := opened.Load(), int64(len(objects)+2*len(want)); n > most {
			t.Errorf("%d workers: %d logs were opened %d times, want %d at most", workers, len(objects), n, most)
		}
	}
}

// If this fails, each log that continues in a compressed copy makes all of them be read
// again. With 150 logs that takes minutes.
func TestCopiesMoveTogether(t *testing.T) {
	const pairs = 40
	r := rand.New(rand.NewPCG(5, 6))
	packer, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var opened atomic.Int64
	var objects []stored
	for i := range pairs {
		log := randomLog(r, 200)
		whole := append(bytes.Clone(log), uploads("2026-03-05T23:59 zoe 1")...)
		objects = append(objects, stored{fmt.Sprintf("%02d", i), log, &opened},
			stored{fmt.Sprintf("%02d.zst", i), packer.EncodeAll(whole, nil), &opened})
	}
	for _, workers := range []int{1, 4} {
		opened.Store(0)
		rows, inputs := foldCopies(t, sourcesOf(objects...), workers)
		var events int64
		for _, row := range rows {
			events += row.Events
		}
		if events != pairs*201 {
			t.Errorf("%d workers: got %d events, want %d", workers, events, pairs*201)
		}
		if n := opened.Load(); n > 4*2*pairs {
			t.Errorf("%d workers: %d logs were opened %d times", workers, 2*pairs, n)
		}
		for _, in := range inputs {
			if strings.HasSuffix(in.Name, ".zst") == (in.CopyOf != "") {
				t.Errorf("%d workers: %s is a copy of %q", workers, in.Name, in.CopyOf)
			}
		}
	}
}

// If this fails, a log that cannot be decoded hides the logs after it in the archive, and
// its entry among the inputs differs from run to run.
func TestArchiveGoesOn(t *testing.T) {
	good := uploads("2026-03-01T10:00 ann 5", "2026-03-01T11:00 ann 6")
	header, _, _ := bytes.Cut(good, []byte("\n"))
	bad := append(bytes.ReplaceAll(header, []byte("time"), []byte("when")), '\n')
	bad = append(bad, bytes.Repeat([]byte("5,5,5,5,5\n"), 1<<20)...)
	body := zipped(t, map[string][]byte{"a.csv": bad, "b.csv": good})
	for range 3 {
		o := stored{name: "z", body: body}
		s := o.source("")
		s.format = logs.CSV
		rows, inputs := foldCopies(t, []source{s}, 2)
		if len(rows) != 1 || rows[0].Events != 2 || len(inputs) != 2 || inputs[0].Status != reports.Unreadable || inputs[0].Size != 0 {
			t.Errorf("got rows %+v and inputs %+v, want the two events of b.csv, and a.csv unreadable", rows, inputs)
		}
	}
}

// If this fails, a log that two inputs name counts for one of them only, although each
// input is judged on its own.
func TestCopiesOfOtherFeeds(t *testing.T) {
	body := uploads("2026-03-01T10:00 ann 5", "2026-03-01T11:00 ann 6")
	a, b := stored{name: "a", body: body}, stored{name: "b", body: body}
	rows, inputs := foldCopies(t, []source{a.source("one"), b.source("two")}, 1)
	if len(rows) != 2 || inputs[0].CopyOf != "" || inputs[1].CopyOf != "" {
		t.Errorf("got %d rows and inputs %+v, want a row of each feed", len(rows), inputs)
	}
}

// If this fails, a run that is stopped never ends.
func TestCopiesCancelled(t *testing.T) {
	for n := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		sources := proxyLogs(40, 100)
		for i := range sources {
			open := sources[i].object.Open
			sources[i].object.Open = func() (io.ReadCloser, error) {
				if i == n {
					cancel()
				}
				return open()
			}
		}
		o := &foldOptions{aggregates: []*detect.Aggregate{detect.UserDay}, workers: 1 + n%8, FoldOptions: (&Config{}).foldOptions()}
		if _, err := Fold(ctx, sources, o); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}
}

// copies returns which inputs a night's inputs.csv says are copies, and why.
func (s *site) copies(day int) map[string]string {
	s.t.Helper()
	out := map[string]string{}
	for _, r := range readCSV(s.t, filepath.Join(s.dir, fmt.Sprintf("out/nightly/2026-03-%02d/inputs.csv", day))) {
		if r["copy_of"] != "" {
			out[strings.TrimPrefix(r["name"], "logs/")] = strings.ReplaceAll(r["reasons"], "logs/", "")
		}
	}
	return out
}

func (s *site) move(from, to string) {
	s.t.Helper()
	if err := os.Rename(filepath.Join(s.dir, from), filepath.Join(s.dir, to)); err != nil {
		s.t.Fatal(err)
	}
}

// If this fails, a log of yesterday that turns up again under another name counts
// twice, or has the day judged again as if something had come late, every night.
func TestCopyTheNextNight(t *testing.T) {
	body := uploads("2026-03-20T10:00 ann 5000", "2026-03-20T11:00 ann 6000", "2026-03-20T12:00 bob 7000")
	for _, c := range []struct {
		name, uri, turnsUp string
		body               []byte
		gone               bool
		why                string
	}{
		{name: "compressed beside it", uri: "logs/access-{yyyy}-{mm}-{dd}*", turnsUp: "access-2026-03-20.csv.gz", body: gzipped(t, body),
			why: "a copy of access-2026-03-20.csv, which an earlier run has read"},
		{name: "compressed in its place", uri: "logs/access-{yyyy}-{mm}-{dd}*", turnsUp: "access-2026-03-20.csv.gz", body: gzipped(t, body), gone: true,
			why: "a copy of access-2026-03-20.csv, which an earlier run has read and which no longer exists: its length, head and tail are the same"},
		{name: "delivered again", uri: "logs/**", turnsUp: "again/x.csv", body: body,
			why: "a copy of access-2026-03-20.csv, which an earlier run has read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, c.uri)
			s.write("logs/access-2026-03-19.csv", uploads("2026-03-19T10:00 ann 5"))
			s.write("logs/access-2026-03-20.csv", body)
			s.run(20)
			want := s.events(20)
			s.write("logs/"+c.turnsUp, c.body)
			s.write("logs/access-2026-03-21.csv", uploads("2026-03-21T10:00 ann 5"))
			if c.gone {
				os.Remove(filepath.Join(s.dir, "logs/access-2026-03-20.csv"))
			}
			s.run(21)
			if got := s.events(20); !maps.Equal(got, want) {
				t.Errorf("the 20th: got events %v, want %v", got, want)
			}
			if got := s.copies(21); len(got) != 1 || got[c.turnsUp] != c.why {
				t.Errorf("got copies %v, want %s: %s", got, c.turnsUp, c.why)
			}
			for _, warning := range []string{lateWarning, "more than a day late"} {
				if strings.Contains(s.page(21), warning) {
					t.Errorf("the page says %q", warning)
				}
			}
			s.write("logs/access-2026-03-22.csv", uploads("2026-03-22T10:00 ann 5"))
			s.run(22)
			if got := s.copies(22); len(got) != 0 {
				t.Errorf("the night after reads it again: %v", got)
			}
			for _, warning := range []string{lateWarning, "more than a day late"} {
				if strings.Contains(s.page(22), warning) {
					t.Errorf("the page of the night after says %q", warning)
				}
			}
			// Folded again, the day is the same.
			if code, _, stderr := invoke(t, s.dir, "backfill", "--config", "outflow.yaml", "--from", "2026-03-20", "--to", "2026-03-20"); code != exitOK {
				t.Fatal(stderr)
			}
			if got := s.events(20); !maps.Equal(got, want) {
				t.Errorf("the 20th, folded again: got events %v, want %v", got, want)
			}
		})
	}
}

// If this fails, a log that has the length and both ends of another is lost.
func TestNoCopyTheNextNight(t *testing.T) {
	var events []string
	for i := range 3000 {
		events = append(events, fmt.Sprintf("2026-03-20T10:00 ann %d", 100000+i))
	}
	s := newSite(t, "logs/**")
	s.write("logs/a.csv", uploads(events...))
	s.run(20)
	events[1500] = "2026-03-20T10:00 eve 999999"
	s.write("logs/b.csv", uploads(events...))
	s.write("logs/c.csv", uploads("2026-03-21T10:00 ann 5"))
	s.run(21)
	if got := s.events(20); got["ann"] != 5999 || got["eve"] != 1 {
		t.Errorf("got events %v, want 5999 and 1", got)
	}
	if got := s.copies(21); len(got) != 0 {
		t.Errorf("got copies %v, want none", got)
	}
}

// If this fails, a log that has the length and both ends of one that is gone is lost, and
// nothing says so.
func TestNoCopyOfWhatIsGone(t *testing.T) {
	var events []string
	for i := range 3000 {
		events = append(events, fmt.Sprintf("2026-03-20T10:00 ann %d", 100000+i))
	}
	other := slices.Clone(events)
	other[1500] = "2026-03-20T10:00 eve 999999"
	for _, c := range []struct {
		name string
		copy bool
	}{{"other.csv", false}, {"access2.csv", false}, {"access.csv.1", true}, {"access-20260320.csv", true}, {"old/access.csv", true}} {
		s := newSite(t, "logs/**")
		s.write("logs/access.csv", uploads(events...))
		s.run(20)
		os.Remove(filepath.Join(s.dir, "logs/access.csv"))
		s.write("logs/"+c.name, uploads(other...))
		s.write("logs/c.csv", uploads("2026-03-21T10:00 ann 5"))
		s.run(21)
		_, copied := s.copies(21)[c.name]
		told := strings.Count(s.page(21), "they could not be compared")
		if copied != c.copy || (told >= 2) != c.copy { // a warning and a blind spot
			t.Errorf("%s: copied is %v, want %v; the page says %d times that it was not compared", c.name, copied, c.copy, told)
		}
		if got := s.events(20)["eve"]; !c.copy && got != 1 {
			t.Errorf("%s: got %d events of eve, want 1", c.name, got)
		}
	}
}

// If this fails, logs that are renamed every night, as logrotate does, count twice or
// are late every night.
func TestRotatedLogs(t *testing.T) {
	s := newSite(t, "logs/access.log*")
	day := func(d int) []byte {
		return uploads(fmt.Sprintf("2026-03-%02dT10:00 ann %d000", d, d), fmt.Sprintf("2026-03-%02dT11:00 bob %d000", d, d))
	}
	s.write("logs/access.log.1", day(20))
	s.write("logs/access.log.2", day(19))
	// A file on disk is known by its size and time, and these two have one size.
	earlier := time.Now().AddDate(0, 0, -1)
	if err := os.Chtimes(filepath.Join(s.dir, "logs/access.log.2"), earlier, earlier); err != nil {
		t.Fatal(err)
	}
	s.run(20)
	for d := 21; d <= 23; d++ {
		for i := d - 18; i >= 1; i-- {
			if _, err := os.Stat(filepath.Join(s.dir, fmt.Sprintf("logs/access.log.%d", i))); err == nil {
				s.move(fmt.Sprintf("logs/access.log.%d", i), fmt.Sprintf("logs/access.log.%d", i+1))
			}
		}
		s.write("logs/access.log.1", day(d))
		s.run(d)
		for _, warning := range []string{lateWarning, "more than a day late"} {
			if strings.Contains(s.page(d), warning) {
				t.Errorf("the page of the %d says %q", d, warning)
			}
		}
		for back := 19; back <= d; back++ {
			if got := s.events(back); got["ann"] != 1 || got["bob"] != 1 {
				t.Errorf("after the night of the %d, the %d has events %v", d, back, got)
			}
		}
	}
}
