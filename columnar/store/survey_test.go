package store

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var surveyed = time.Date(2026, 11, 21, 6, 0, 0, 0, time.UTC)

// trail and flatLogs are layouts for tests, the second one flat.
func testLayouts(t *testing.T) []*Template {
	t.Helper()
	var out []*Template
	for _, l := range []struct {
		pattern string
		flat    bool
	}{{"AWSLogs/{account}/CloudTrail/{region}/{yyyy}/{mm}/{dd}/", false}, {"{yyyy}-{mm}-{dd}-[0-9][0-9].*", true}} {
		tmpl, err := NewTemplate(l.pattern, true, l.flat)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, tmpl)
	}
	return out
}

// describe writes a survey as lines: layout, pattern, days, objects and bytes a day,
// and number of samples.
func describe(s *Survey, base string) string {
	var b strings.Builder
	for _, g := range s.Groups {
		days := "-"
		if !g.First.IsZero() {
			days = g.First.Format(time.DateOnly) + ".." + g.Last.Format(time.DateOnly)
		}
		fmt.Fprintf(&b, "%d %q %s %.4g/%.4g %d", g.Layout, strings.TrimPrefix(g.URI, base), days, g.PerDay, g.BytesPerDay, len(g.Samples))
		if g.AtLeast {
			b.WriteString(" at least")
		}
		b.WriteString("\n")
	}
	for _, skip := range s.Skipped {
		fmt.Fprintf(&b, "skipped %s: %d\n", skip.Reason, skip.Count)
	}
	return b.String()
}

// If this fails, inspect misnames what lies in a folder.
func TestSurvey(t *testing.T) {
	var names []string
	name := func(format string, args ...any) { names = append(names, fmt.Sprintf(format, args...)) }
	for d := range 5 {
		day := time.Date(2026, 11, 16+d, 0, 0, 0, 0, time.UTC)
		for account := range 3 {
			name("aws/AWSLogs/%012d/CloudTrail/eu-west-1/%s/x.json.gz", 111122223333+account, day.Format("2006/01/02"))
			name("aws/AWSLogs/%012d/CloudTrail-Digest/eu-west-1/%s/x.json.gz", 111122223333+account, day.Format("2006/01/02"))
		}
		name("cf/E1ABC.%s-04.1f2e.gz", day.Format(time.DateOnly))
		name("cf/E2XYZ.%s-04.1f2e.gz", day.Format(time.DateOnly))
		name("proxy/access.log-%s.gz", day.Format("20060102"))
		day = []time.Time{time.Date(2026, 9, 29, 0, 0, 0, 0, time.UTC), day.AddDate(0, 0, -8)}[min(d, 1)]
		name("lake/year=%d/month=%d/day=%d/hour=07/part-00000-9f8e7d6c.parquet", day.Year(), day.Month(), day.Day())
		day = time.Date(2026, 11, 16+d, 0, 0, 0, 0, time.UTC)
		name("enc/dt%%3D%s/a.json", day.Format(time.DateOnly))
		name("azure/resourceId=/SUBSCRIPTIONS/s-1/y=%s/h=05/m=00/PT1H.json", day.Format("2006/m=01/d=02"))
		for h := range 3 {
			name("hours/%s/%02d/%02d/ab.json.log.gz", day.Format("2006/01/02"), h, h)
		}
	}
	name("proxy/access.log-20261121")
	name("proxy/cache.log")
	name("notes.txt")
	name("odd/[x]{y}*.log")
	for i := range 40 {
		name("hosts/web-%c%c/secure.log", 'a'+i/20, 'a'+i%20)
	}
	const want = `0 "aws/" 2026-11-16..2026-11-20 3/12 15
-1 "azure/resourceId=/SUBSCRIPTIONS/s-1/y={yyyy}/m={mm}/d={dd}/h=*/m=*/*.json" 2026-11-16..2026-11-20 1/4 5
1 "cf/E1ABC." 2026-11-16..2026-11-20 1/4 5
1 "cf/E2XYZ." 2026-11-16..2026-11-20 1/4 5
-1 "enc/dt={yyyy}-{mm}-{dd}/a.json" 2026-11-16..2026-11-20 1/4 5
-1 "hosts/*/secure.log" - 0/0 40
-1 "hours/{yyyy}/{mm}/{dd}/*/*/ab.json.log.gz" 2026-11-16..2026-11-20 3/12 15
-1 "lake/year={yyyy}/month={m}/day={d}/hour=*/part-*.parquet" 2026-09-29..2026-11-12 1/4 5
-1 "notes.txt" - 0/0 1
-1 "odd/\\[x]\\{y}\\*.log" - 0/0 1
-1 "proxy/access.log-{yyyy}{mm}{dd}*" 2026-11-16..2026-11-21 1/4 6
-1 "proxy/cache.log" - 0/0 1
skipped CloudTrail-Digest: 15
`
	check := func(t *testing.T, base string, o Options) {
		s, err := NewSurvey(t.Context(), base, testLayouts(t), surveyed, o)
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(s, base); got != want || !s.Whole {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		// What it says is found must be found by it.
		patterns := []string{"AWSLogs/{account}/CloudTrail/{region}/{yyyy}/{mm}/{dd}/", "{yyyy}-{mm}-{dd}-[0-9][0-9].*"}
		for _, g := range s.Groups {
			pattern := g.URI
			if g.Layout >= 0 {
				pattern += patterns[g.Layout]
			}
			f, err := Glob(t.Context(), pattern, nil, o)
			if err != nil || int64(len(f.Objects)) != g.Seen {
				t.Errorf("%s: got %d objects, %v, want %d", pattern, len(f.Objects), err, g.Seen)
			}
			for _, sample := range g.Samples {
				if !slices.ContainsFunc(f.Objects, func(o Object) bool { return o.URI == sample.URI }) {
					t.Errorf("%s does not find %s", pattern, sample.URI)
				}
			}
		}
	}
	t.Run("disk", func(t *testing.T) {
		dir := t.TempDir()
		for _, n := range names {
			write(t, filepath.Join(dir, n), "body")
		}
		check(t, dir+"/", Options{})
	})
	t.Run("s3", func(t *testing.T) {
		server := newS3Server(t)
		s := mustOpen(t, "s3://"+bucket, server.options())
		for _, n := range names {
			put(t, s, n, "body")
		}
		server.requests = nil
		check(t, "s3://"+bucket+"/", server.options())
		for prefix, want := range map[string]string{
			"aws/AWSLogs":               `0 "aws/"`,
			"aws/AWSLogs/111122223333/": `-1 "aws/AWSLogs/111122223333/CloudTrail/{region}/{yyyy}/{mm}/{dd}/x.json.gz"`,
		} {
			got, err := NewSurvey(t.Context(), "s3://"+bucket+"/"+prefix, testLayouts(t), surveyed, server.options())
			if err != nil || !strings.HasPrefix(describe(got, "s3://"+bucket+"/"), want) {
				t.Errorf("%s: got %s, %v, want %s", prefix, describe(got, "s3://"+bucket+"/"), err, want)
			}
		}
		got, err := NewSurvey(t.Context(), "s3://"+bucket+"/proxy", nil, surveyed, server.options())
		if err != nil || got.Lists != 1 || len(got.Groups) != 2 {
			t.Errorf("a prefix: got %v, %v", got, err)
		}
	})
}

// fill puts objects of 4 bytes into the bucket, past the protocol.
func (s *s3Server) fill(t *testing.T, names []string) {
	t.Helper()
	for _, n := range names {
		if _, err := s.backend.PutObject(bucket, n, nil, strings.NewReader("body"), 4, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// If this fails, a survey of a bucket with years of logs lists too much of it, or does
// not see what it must: the oldest and the newest day, and what a day has.
func TestSurveySamples(t *testing.T) {
	server := newS3Server(t)
	var names []string
	add := func(format string, args ...any) { names = append(names, fmt.Sprintf(format, args...)) }
	day := func(d int) time.Time { return time.Date(2026, 11, 21-d, 0, 0, 0, 0, time.UTC) }
	for d := range 60 {
		objects := 2
		if d == 0 {
			objects = 1 // the day is not over
		}
		for account := range 6 {
			for region := range 4 {
				for i := range objects {
					add("AWSLogs/%012d/CloudTrail/eu-west-%d/%s/%d.json.gz", 111122223333+account, region+1, day(d).Format("2006/01/02"), i)
				}
			}
		}
		add("daily/date=%s/part.parquet", day(d).Format(time.DateOnly))
	}
	// Two distributions and an access log, all flat: 1,500 objects each, five an hour.
	for _, begin := range []string{"flat/E1ABC.", "flat/E2XYZ.", "flat/"} {
		for i := range 1500 {
			add("%s%s.f%04d.gz", begin, day(0).Add(time.Duration(-i)*12*time.Minute).Format("2006-01-02-15"), i)
		}
	}
	add("zz/last.log")
	// A folder an hour, and more of them than are listed.
	for i := range 3100 {
		add("hourly/dt=%s/part.json", day(0).Add(time.Duration(-i)*time.Hour).Format("2006-01-02-15"))
	}
	server.fill(t, names)
	survey := func() *Survey {
		server.requests = nil
		s, err := NewSurvey(t.Context(), "s3://"+bucket+"/", testLayouts(t), surveyed, server.options())
		if err != nil {
			t.Fatal(err)
		}
		if len(server.requests) != s.Lists {
			t.Errorf("got %d LIST requests, it says %d", len(server.requests), s.Lists)
		}
		return s
	}
	s := survey()
	const want = `0 "" 2026-09-23..2026-11-21 48/192 2
-1 "daily/date={yyyy}-{mm}-{dd}/part.parquet" 2026-09-23..2026-11-21 1/4 2
1 "flat/" 2026-11-08..2026-11-21 120/480 2
1 "flat/E1ABC." 2026-11-08..2026-11-21 120/480 2
1 "flat/E2XYZ." 2026-11-08..2026-11-21 120/480 2
-1 "hourly/dt={yyyy}-{mm}-{dd}-*/part.json" 2026-07-14..2026-11-21 24/96 2
-1 "zz/last.log" - 0/0 1
`
	if got := describe(s, "s3://"+bucket+"/"); got != want || s.Whole {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// 2 for the root; in AWSLogs 2 and 2 for each of the folders that more than one
	// request would list; in flat 2, for each beginning some 10 for its newest day.
	// In hourly 2, 3 for its folders, some 10 for the newest day and 26 for hours.
	if s.Lists > 110 {
		t.Errorf("got %d LIST requests", s.Lists)
	}
	if again := survey(); describe(again, "") != describe(s, "") {
		t.Error("a second survey says something else")
	}
}

// If this fails, inspect does not open a kind of log that lies among many others.
func TestSurveySamplesEachKind(t *testing.T) {
	s := &surveyor{skipped: map[string]int{}, root: &node{}}
	add := func(size int64, format string, args ...any) {
		s.add(Entry{Name: fmt.Sprintf(format, args...), Size: size, ETag: "x"}, sampled{weight: 1})
	}
	for i := range 80 { // more names than stand for themselves
		add(int64(i), "logs/%c%c.log", 'a'+i%20, 'a'+i/20)
	}
	add(3, "logs/m.evtx")
	add(7, "logs/k.evtx")
	for i := range SmallFolder {
		add(1, "proxy/access-%04d.gz", i)
	}
	got := map[string]string{}
	for _, g := range s.finish().Groups {
		var names []string
		for _, o := range g.Samples {
			names = append(names, o.Name)
		}
		got[g.URI] = fmt.Sprint(len(names), " ", strings.Join(names[:min(len(names), 2)], " "), " ", slices.Contains(names, "logs/k.evtx"))
	}
	// 64 names of their own, then the largest .log and .evtx of the others.
	want := map[string]string{"logs/": "66 logs/td.log logs/dd.log true", "proxy/access-*": "2 proxy/access-0000.gz proxy/access-0299.gz false"}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// An endless store has 30 folders in each folder, and more objects below each than a
// request lists.
type endless struct {
	Store
	lists int
}

func (s *endless) List(ctx context.Context, prefix string, depth Depth) iter.Seq2[Entry, error] {
	return s.listAfter(ctx, prefix, "", depth)
}

func (s *endless) listAfter(_ context.Context, prefix, after string, depth Depth) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		s.lists++
		if depth == Shallow {
			for i := range 30 {
				if !yield(Entry{Name: fmt.Sprintf("%s%c/", prefix, 'A'+i)}, nil) {
					return
				}
			}
			return
		}
		for i := range 2 * listPage {
			if i > 0 && i%listPage == 0 {
				s.lists++
			}
			if !yield(Entry{Name: fmt.Sprintf("%sA/%d", prefix, i), Size: 1, ETag: "x"}, nil) {
				return
			}
		}
	}
}

// If this fails, a bucket can make a survey go on for ever.
func TestSurveyEnds(t *testing.T) {
	st := &endless{}
	s := &surveyor{store: st, now: surveyed, skipped: map[string]int{}, root: &node{}}
	if err := s.bucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := s.finish()
	if st.lists > MaxLists || st.lists != got.Lists || got.Unlisted == 0 || got.Whole {
		t.Errorf("got %d requests, %d said, %d folders left out, whole %v, want at most %d and some left out", st.lists, got.Lists, got.Unlisted, got.Whole, MaxLists)
	}
}

// hostile are names that somebody chose to break a listing, a terminal or a
// configuration.
var hostile = []string{
	"a\nb: c/x.log", "nul\x00/x.log", "esc\x1b[31m/x.log", "%00/%0A/x.log", "%zz/x.log", "{yyyy}/{x}/x.log", "*?[a]\\/x.log",
	"' # \"/x.log", "\u202egol/\u2028x.log", "\U0001f600/日本/x.log", "- &a/x.log", strings.Repeat("é", 400) + "/x.log", "a//b/x.log",
	"dt=2026-13-45/x.log", "y=2026/m=99/d=00/x.log", "20261120202611202026/x.log", "=/=/x.log",
}

// If this fails, a pattern of a survey does not find the objects that it stands for.
func TestSurveyHostileNames(t *testing.T) {
	run := func(t *testing.T, base string, names []string, o Options) {
		s, err := NewSurvey(t.Context(), base, testLayouts(t), surveyed, o)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, g := range s.Groups {
			f, err := Glob(t.Context(), g.URI, nil, o)
			if err != nil || int64(len(f.Objects)) < g.Seen {
				t.Errorf("%q: got %d objects, %v, want %d", g.URI, len(f.Objects), err, g.Seen)
			}
			for _, o := range f.Objects {
				found[strings.TrimPrefix(o.URI, base)] = true
			}
		}
		for _, n := range names {
			if !found[n] {
				t.Errorf("%q: no pattern finds it, and %v was left out", n, s.Skipped)
			}
		}
	}
	t.Run("disk", func(t *testing.T) {
		dir := t.TempDir()
		names := slices.DeleteFunc(slices.Clone(hostile), func(n string) bool {
			return strings.Contains(n, "\x00") || strings.Contains(n, "//") || len(n) > 255
		})
		for _, n := range names {
			write(t, filepath.Join(dir, n), "x")
		}
		run(t, dir+"/", names, Options{})
	})
	t.Run("s3", func(t *testing.T) {
		server := newS3Server(t)
		// This server does not encode keys, and XML cannot say all characters.
		names := slices.DeleteFunc(slices.Clone(hostile), func(n string) bool { return strings.ContainsAny(n, "\x00\x1b") })
		server.fill(t, names)
		run(t, "s3://"+bucket+"/", names, server.options())
	})
}

// If this fails, made-up names fill memory, or hide behind the first of them.
func TestSurveyManyNames(t *testing.T) {
	s := &surveyor{layouts: testLayouts(t), skipped: map[string]int{}, root: &node{}}
	const n = 2000
	for i := range n {
		word := strings.NewReplacer("0", "a", "1", "b", "2", "c", "3", "d", "4", "e", "5", "f", "6", "g", "7", "h", "8", "i", "9", "j").Replace(fmt.Sprintf("%06d", i))
		for _, format := range []string{"%s/x", "a1b2c3d4e5-%s/x", "%s-20261120/x", "f/%s.log", "g/%s.2026-11-20-03.gz", "%s.d/%[1]s/%[1]s-1.log"} {
			s.add(Entry{Name: fmt.Sprintf(format, word), Size: 1}, sampled{weight: 1, counts: true})
		}
	}
	var seen int64
	got := s.finish()
	for _, g := range got.Groups {
		seen += g.Seen
	}
	if seen != 6*n || len(got.Groups) > 100 {
		t.Errorf("got %d groups of %d objects, want few of %d\n%s", len(got.Groups), seen, 6*n, describe(got, ""))
	}
}

// FuzzShape says that the pattern of a name matches the name.
func FuzzShape(f *testing.F) {
	for _, n := range hostile {
		f.Add(n)
	}
	for _, n := range []string{"access.log-20261120.gz", "E1.2026-11-20-03.ab.gz", "2026/11/20/05/a", "year=2026/month=3/day=9/part-0-ab.parquet", "o-a1b2/111122223333/us-gov-west-1/x"} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !utf8.ValidString(name) || len(name) > 200 || name == "" {
			return
		}
		s := &surveyor{skipped: map[string]int{}, root: &node{}}
		s.add(Entry{Name: name, Size: 1}, sampled{weight: 1})
		for _, g := range s.finish().Groups {
			tmpl, err := NewTemplate(g.URI, false, false)
			if err != nil {
				t.Fatalf("%q: pattern %q: %v", name, g.URI, err)
			}
			if _, ok := tmpl.Match(name); !ok {
				t.Errorf("%q: does not match its pattern %q", name, g.URI)
			}
		}
	})
}
