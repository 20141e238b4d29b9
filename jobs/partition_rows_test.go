package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// randomRows returns rows of the given number of days, by day and key.
func randomRows(r *rand.Rand, days int) []detect.Row {
	texts := []string{"", "a", "ann", "b\x00", "é"}
	text := func() string {
		if r.IntN(500) == 0 {
			return strings.Repeat("long", 20_000)
		}
		return texts[r.IntN(len(texts))]
	}
	number := func() int64 { return [...]int64{0, 0, 1, -1, 1 << 40, -1 << 63, 1<<63 - 1}[r.IntN(7)] }
	seen := map[string]bool{}
	var rows []detect.Row
	for range r.IntN(40 * days) {
		row := detect.Row{Day: detect.Day(r.IntN(days)), Key: detect.Key{Feed: text(), EntityType: text(), Entity: text(), Object: text()}}
		fill(&row.Summary, func(_ string, field any) {
			switch f := field.(type) {
			case *int64:
				*f = number()
			case *float64:
				*f = float64(r.IntN(3))
			case *string:
				*f = text()
			case *[]string:
				for range r.IntN(3) {
					*f = append(*f, text())
				}
			}
		})
		if id := fmt.Sprintf("%d %q", row.Day, row.Key); !seen[id] {
			seen[id] = true
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b detect.Row) int { return cmp.Or(cmp.Compare(a.Day, b.Day), a.Key.Compare(b.Key)) })
	return rows
}

func scratchOf(t *testing.T, rows []detect.Row) []*partition {
	t.Helper()
	s := newScratch()
	for i := range rows {
		if err := s.add(&rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	return s.partitions
}

// fill calls set with the name and the address of each field of a struct, those of
// embedded structs too.
func fill(row any, set func(name string, field any)) {
	v := reflect.ValueOf(row).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			fill(v.Field(i).Addr().Interface(), set)
			continue
		}
		set(f.Name, v.Field(i).Addr().Interface())
	}
}

// full sets each field to a different value, and returns the total length of the texts.
func full(t *testing.T, row any) (texts int64) {
	n := 1000
	fill(row, func(name string, field any) {
		n++
		text := strings.Repeat(name, 3+n%5)
		switch f := field.(type) {
		case *detect.Day:
			*f = 9
		case *int:
			*f = n
		case *int64:
			*f = int64(n)
		case *float64:
			*f = float64(n) / 2
		case *detect.Severity:
			*f = detect.High
		case *[2]int64:
			*f = [2]int64{int64(n), int64(n) + 1}
		case *string:
			*f = text
			texts += int64(len(text))
		case *[]string:
			*f = []string{text, "and " + text}
			texts += int64(2*len(text) + 4)
		case *detect.Summary:
			texts += full(t, f)
		case *[]detect.Part:
			*f = []detect.Part{
				{Detection: text, Key: detect.Key{Feed: "feed " + text, EntityType: "type " + text, Entity: "entity " + text, Object: "object " + text}},
				{Detection: "and " + text},
			}
		case *[]detect.Point, *bool: // only for the day's report, so not stored
		default:
			t.Fatalf("%s: of a type that the test does not know", name)
		}
	})
	return texts
}

// keptByState writes a row into a partition and reads it again.
func keptByState[T any](t *testing.T, row T) T {
	t.Helper()
	at, err := store.Open(t.Context(), t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := store.Partitions[T]{Store: at, Folder: "table"}
	rows := func(yield func(*T, error) bool) { yield(&row, nil) }
	if err := p.Commit(t.Context(), "2026-03-01", rows, &store.Done{}); err != nil {
		t.Fatal(err)
	}
	got, _, err := p.Read(t.Context(), "2026-03-01")
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

// If this fails, a measure is lost between the fold and the detections or explain, or its
// memory is not counted.
func TestRowIsKept(t *testing.T) {
	var row detect.Row
	texts := full(t, &row)
	partitions := scratchOf(t, []detect.Row{row})
	for block, err := range partitions[0].rows {
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(row, block[0]); diff != "" {
			t.Errorf("a scan (-want +got):\n%s", diff)
		}
	}
	kept := keptByState(t, row)
	kept.Day = row.Day // the partition's
	if diff := gocmp.Diff(row, kept); diff != "" {
		t.Errorf("the state (-want +got):\n%s", diff)
	}
	held, err := hold(partitions, 1<<30)
	texts += 16 * int64(len(row.Destinations)) // a list that may be long: its texts' headers count too
	if err != nil || held.texts != texts {
		t.Errorf("held in memory: got %d bytes of texts, %v; want %d", held.texts, err, texts)
	}

	var finding detect.Finding
	full(t, &finding)
	found := keptByState(t, toFinding(&finding))
	if diff := gocmp.Diff(finding, found.finding(finding.Day)); diff != "" {
		t.Errorf("a finding (-want +got):\n%s", diff)
	}
}

// What a scan keeps must come back as it was, and in the order in which it is
// judged.
func TestScratchAndMerge(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 60 {
		days := 1 + r.IntN(9)
		want := randomRows(r, days)
		partitions := scratchOf(t, want)
		var got []detect.Row
		for row, err := range rowsOf(partitions) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, *row)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatal("rows differ after they were kept")
		}
		for _, p := range partitions {
			var feeds []string
			for _, row := range want {
				if row.Day == p.day && !slices.Contains(feeds, row.Feed) {
					feeds = append(feeds, row.Feed)
				}
			}
			if !slices.Equal(p.feeds, feeds) {
				t.Fatalf("day %s: got feeds %q, want %q", p.day, p.feeds, feeds)
			}
		}

		slices.SortStableFunc(want, func(a, b detect.Row) int { return a.Key.Compare(b.Key) })
		got = nil
		for block, err := range merged(partitions) {
			if err != nil {
				t.Fatal(err)
			}
			if n := len(got); n > 0 && got[n-1].Key == block[0].Key {
				t.Fatal("a key is in two blocks")
			}
			got = append(got, block...)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatal("rows differ after they were merged")
		}

		first := detect.Day(r.IntN(days))
		last := first + detect.Day(r.IntN(days))
		want = slices.DeleteFunc(want, func(row detect.Row) bool { return row.Day < first || row.Day > last })
		h, err := hold(partitions, 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		got = got[:0:0]
		for range 2 {
			got = got[:0]
			for key, rows := range h.series(scope{first: first, last: last}) {
				if n := len(got); n > 0 && got[n-1].Key == key || key != rows[0].Key {
					t.Fatalf("the rows of %q are not in one place", key)
				}
				got = append(got, rows...)
			}
		}
		if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatal("rows differ after they were held")
		}
		if h, err := hold(partitions, h.size()-1); h != nil && h.size() > 0 || err != nil {
			t.Fatalf("%d bytes are held where there is no room, %v", h.size(), err)
		}
	}
}

// allDays is the scope of all days.
var allDays = scope{last: math.MaxInt32}

// only returns a row with the columns of the key and those named.
func only(row detect.Row, columns []string) detect.Row {
	out := detect.Row{Day: row.Day, Key: row.Key}
	from, to := reflect.ValueOf(&row.Summary).Elem(), reflect.ValueOf(&out.Summary).Elem()
	for i := range from.NumField() {
		if name, _, _ := strings.Cut(from.Type().Field(i).Tag.Get("parquet"), ","); slices.Contains(columns, name) {
			to.Field(i).Set(from.Field(i))
		}
	}
	return out
}

// If this fails, a run over many days judges a day by other rows than a run for that day.
func TestSortedRows(t *testing.T) {
	r := rand.New(rand.NewPCG(16, 1))
	for round := range 60 {
		days := []int{5, 9, 150}[r.IntN(3)]
		all := randomRows(r, days)
		if round%2 == 0 { // few keys, some with more rows than a block
			for i := range all {
				all[i].Key = detect.Key{Entity: []string{"a", "b"}[len(all[i].Feed)%2]}
			}
			slices.SortStableFunc(all, func(a, b detect.Row) int { return cmp.Or(cmp.Compare(a.Day, b.Day), a.Key.Compare(b.Key)) })
			all = slices.CompactFunc(all, func(a, b detect.Row) bool { return a.Day == b.Day && a.Key == b.Key })
		}
		past := [][]string{nil, {}, {"events", "bytes_out", "max_entropy", "evidence", "examples"}}[r.IntN(3)]
		d := &detect.Detection{Aggregate: &detect.Aggregate{Past: past}, History: 1 + r.IntN(70)}
		g := &detectionGroup{history: detect.Day(d.History + r.IntN(2)*r.IntN(70)), detections: []*detect.Detection{d}, partitions: scratchOf(t, all), sorts: true, room: int64(r.IntN(2) << 20)}
		h := &history{tables: map[*detect.Aggregate][]*partition{d.Aggregate: g.partitions}}
		for _, p := range g.partitions {
			var want []detect.Row
			for _, row := range all {
				switch {
				case row.Day == p.day || row.Day < p.day && row.Day >= p.day-detect.Day(d.History) && past == nil:
					want = append(want, row)
				case row.Day < p.day && row.Day >= p.day-detect.Day(d.History):
					want = append(want, only(row, past))
				}
			}
			slices.SortStableFunc(want, func(a, b detect.Row) int { return a.Key.Compare(b.Key) })
			read := func(series seriesFor) {
				for range 2 {
					var got []detect.Row
					for key, rows := range series.of(d, p.day)(detect.Pass{}) {
						if n := len(got); n > 0 && got[n-1].Key == key || key != rows[0].Key {
							t.Fatalf("the rows of %q are not in one place", key)
						}
						got = append(got, rows...)
					}
					if !reflect.DeepEqual(got, want) {
						t.Fatalf("round %d, day %s, %d days before: got other rows than those of the days, with columns %q", round, p.day, d.History, past)
					}
				}
			}
			// Others read the rows beside it, and need only some of them.
			some := func(series seriesFor) {
				for pass := range 3 {
					wants := func(k detect.Key) bool { return (len(k.Entity)+len(k.Object)+pass)%3 == 0 }
					var want, got []detect.Row
					for key, rows := range series.of(d, p.day)(detect.Pass{}) {
						if wants(key) {
							want = append(want, rows...)
						}
					}
					var asked []detect.Key
					over := series.of(d, p.day)(detect.Pass{NoLists: true, Keys: func(k detect.Key) bool {
						if n := len(asked); n > 0 && asked[n-1].Compare(k) >= 0 {
							t.Fatalf("%q was asked after %q", k, asked[n-1])
						}
						asked = append(asked, k)
						return wants(k)
					}})
					for range over {
						break
					}
					asked = nil
					for _, rows := range over {
						got = append(got, rows...)
					}
					for _, rows := range [][]detect.Row{want, got} {
						for i := range rows {
							if rows[i].Day < p.day {
								rows[i].Examples = nil
							}
						}
					}
					if len(want)+len(got) > 0 && !reflect.DeepEqual(got, want) {
						t.Fatalf("round %d, day %s: got other rows than those of the keys that are needed", round, p.day)
					}
				}
			}
			if err := g.consume(h.partitions(g, p.day), p.day, []consumer{read, func(seriesFor) {}, some}); err != nil {
				t.Fatal(err)
			}
		}
		g.Close()
	}
}

// Rows that were sorted must not be taken for those of another reading of the day.
func TestSortedRowsDiffer(t *testing.T) {
	d := &detect.Detection{Aggregate: &detect.Aggregate{Past: []string{"events"}}, History: 3}
	row := func(entity string) []detect.Row { return []detect.Row{{Day: 1, Key: detect.Key{Entity: entity}}} }
	g := &detectionGroup{history: detect.Day(d.History), detections: []*detect.Detection{d}, partitions: scratchOf(t, row("ann")), sorts: true}
	err := g.consume(scratchOf(t, row("bob")), 1, []consumer{func(series seriesFor) {
		for range series(allDays) {
		}
	}})
	if !errors.Is(err, errSorted) {
		t.Errorf("got %v, want %v", err, errSorted)
	}
}

// Each judge must see all rows in each of its passes, however many the others make
// and wherever they stop.
func TestSideBySide(t *testing.T) {
	partitions := scratchOf(t, randomRows(rand.New(rand.NewPCG(4, 4)), 5))
	keys := func(series seriesFor) (out []detect.Key) {
		for key := range series(allDays) {
			out = append(out, key)
		}
		return out
	}
	var want []detect.Key
	readings := 0
	counted := func(store.Needed[detect.Row]) rowBlocks {
		readings++
		return merged(partitions)
	}
	if err := sideBySide(counted, []consumer{func(series seriesFor) { want = keys(series) }}); err != nil || len(want) == 0 {
		t.Fatalf("%d keys, %v", len(want), err)
	}
	readings = 0
	check := func(who string, series seriesFor) {
		if got := keys(series); !slices.Equal(got, want) {
			t.Errorf("%s: got %d keys, want %d", who, len(got), len(want))
		}
	}
	err := sideBySide(counted, []consumer{
		func(series seriesFor) { check("once", series) },
		func(seriesFor) {},
		func(series seriesFor) {
			check("first of three", series)
			check("second", series)
			check("third", series)
		},
		func(series seriesFor) {
			for range series(allDays) {
				break
			}
			check("after it stopped early", series)
		},
	})
	if err != nil || readings != 3 {
		t.Errorf("got %d readings, %v; want 3", readings, err)
	}
}

// Rows that cannot be read must end the judges and the run.
func TestSideBySideFails(t *testing.T) {
	broken := errors.New("damaged")
	var rows rowBlocks = func(yield func([]detect.Row, error) bool) {
		if yield([]detect.Row{{Key: detect.Key{Entity: "ann"}}}, nil) {
			yield(nil, broken)
		}
	}
	seen, ended := 0, false
	err := sideBySide(func(store.Needed[detect.Row]) rowBlocks { return rows }, []consumer{func(series seriesFor) {
		for range 2 {
			for range series(allDays) {
				seen++
			}
		}
		ended = true
	}})
	if !errors.Is(err, broken) || seen != 1 || !ended {
		t.Errorf("got error %v, %d rows, ended %t", err, seen, ended)
	}
	good := &partition{day: 1, rows: scratchOf(t, []detect.Row{{Day: 1}})[0].rows}
	for _, err := range merged([]*partition{good, {day: 2, rows: rows}}) {
		if err != nil {
			return
		}
	}
	t.Error("merged rows hide an error")
}
