package jobs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// This file runs the nights of a month whose logs come late and twice, and compares them with
// those of a clean month.

// A delivery is an object of the month, and before which night it is there.
type delivery struct {
	night int
	name  string
	body  []byte
}

// A monthLog is what one object has, and the day that it belongs to.
type monthLog struct {
	day    int
	name   string
	events []string
	trail  []string // events with ids
}

func (l *monthLog) body() []byte {
	if len(l.trail) > 0 {
		return []byte(`{"Records":[` + strings.Join(l.trail, ",\n") + "]}\n")
	}
	return uploads(l.events...)
}

// monthLogs returns the logs of the days up to last: of a cloud service, and of CloudTrail.
func monthLogs(last int) []monthLog {
	const objects = 12
	users := []string{"ann", "bob", "cleo", "dan", "eve"}
	var out []monthLog
	for day := 1; day <= last; day++ {
		date := fmt.Sprintf("2026-03-%02d", day)
		for k := range objects {
			l := monthLog{day: day, name: fmt.Sprintf("c%02d.csv", k)}
			for i, user := range users {
				l.events = append(l.events, fmt.Sprintf("%sT%02d:%02d %s %d", date, 7+k, 5*i+day%5, user, 40_000+1_000*((day*7+k*3+i)%11)))
			}
			if day > 5 && (day*objects+k)%17 == 0 { // thefts, some of them on the days after
				l.events = append(l.events, fmt.Sprintf("%sT22:%02d %s %d", date, k, users[(day+k)%len(users)], 3_000_000_000+int64(day)))
			}
			if k == 9 && day < last { // ends after midnight
				l.events = append(l.events, fmt.Sprintf("2026-03-%02dT00:01 %s 2000", day+1, users[day%len(users)]))
			}
			out = append(out, l)
		}
		for k := range 3 {
			l := monthLog{day: day, name: fmt.Sprintf("t%d.json", k)}
			for i := range 4 {
				l.trail = append(l.trail, trailEvent(day, k, i))
			}
			out = append(out, l)
		}
	}
	return out
}

func trailEvent(day, k, i int) string {
	return fmt.Sprintf(`{"eventTime":"2026-03-%02dT%02d:00:0%dZ","eventSource":"s3.amazonaws.com","eventName":"PutObject","userIdentity":{"type":"IAMUser","userName":"trail%d"},`+
		`"sourceIPAddress":"198.51.100.7","requestParameters":{"bucketName":"b"},"additionalEventData":{"bytesTransferredIn":%d},"eventID":"e-%d-%d-%d"}`, day, 8+k, i, i, 70_000+day, day, k, i)
}

// deliver says when the logs come: each before the night of its day; or, untidy, 5 % a day late, 2 %
// a week late, and 5 % twice under other names. An event of CloudTrail in ten comes once
// more, in an object of a later day.
func deliver(t *testing.T, all []monthLog, last int, untidy bool) []delivery {
	rng := rand.New(rand.NewPCG(15, 4))
	var out []delivery
	counts := map[string]int{}
	for i := range all {
		l := &all[i]
		own := func(folder int, name string) string { return fmt.Sprintf("logs/2026-03-%02d/%s", folder, name) }
		d := delivery{l.day, own(l.day, l.name), l.body()}
		if !untidy {
			out = append(out, d)
			continue
		}
		// The folder is that of its day, or of the day it comes.
		beside := rng.IntN(2) == 0
		late := func(days int, how string) {
			if d.night = l.day + days; d.night > last {
				d.night = l.day
				return
			}
			counts[how]++
			if beside {
				d.name = own(d.night, "late-"+fmt.Sprint(l.day)+l.name)
			}
		}
		switch p := rng.IntN(100); {
		case p < 5:
			late(1, "a day late")
		case p < 7:
			late(7, "a week late")
		case p < 12:
			counts["twice"]++
			again := delivery{min(d.night+rng.IntN(4), last), own(l.day, "again-"+l.name), d.body}
			if beside {
				again.name = own(again.night, fmt.Sprintf("again-%d%s", l.day, l.name))
			}
			if again.night > l.day {
				counts["twice, on another night"]++
			}
			if rng.IntN(3) == 0 {
				again.name, again.body = again.name+".gz", gzipped(t, again.body)
			}
			out = append(out, again)
		}
		if len(l.trail) > 0 && l.day+2 <= last && rng.IntN(3) == 0 {
			counts["an event twice"]++
			repeat := monthLog{trail: []string{l.trail[rng.IntN(4)], trailEvent(l.day+1, 2, 1)}}
			out = append(out, delivery{l.day + 1 + rng.IntN(2), own(l.day+1, "repeat-"+l.name), repeat.body()})
		}
		out = append(out, d)
	}
	if untidy {
		for _, how := range []string{"a day late", "a week late", "twice", "twice, on another night", "an event twice"} {
			t.Logf("%s: %d of %d objects", how, counts[how], len(all))
			if counts[how] == 0 {
				t.Errorf("no object is %s", how)
			}
		}
	}
	return out
}

// If this fails, logs that come late or twice give another state, or findings that a month
// without these does not have. OUTFLOW_LONG=1 tries a whole month, as make monthtest does.
func TestMonth(t *testing.T) {
	last := 11
	if os.Getenv("OUTFLOW_LONG") != "" {
		last = 31
	}
	logs := monthLogs(last)
	run := func(untidy bool) *site {
		s := newSite(t, "")
		s.write("outflow.yaml", []byte("inputs:\n  - {name: cloud, uri: 'logs/{yyyy}-{mm}-{dd}/*.csv*'}\n  - {name: trail, uri: 'logs/{yyyy}-{mm}-{dd}/*.json*'}\n"))
		all := deliver(t, logs, last, untidy)
		for night := 1; night <= last; night++ {
			for _, d := range all {
				if d.night == night {
					s.write(d.name, d.body)
				}
			}
			s.run(night, "--reports", "csv")
		}
		return s
	}
	clean, untidy := run(false), run(true)
	for _, diff := range clean.differs(untidy) {
		t.Error(diff)
	}
	date := fmt.Sprintf("2026-03-%02d", last)
	about := func(f map[string]string) string {
		return strings.Join([]string{f["day"], f["detection"], f["feed"], f["entity"], f["object"]}, " ")
	}
	findings := func(s *site, night int) []map[string]string {
		return readCSV(t, filepath.Join(s.dir, fmt.Sprintf("out/nightly/2026-03-%02d/findings.csv", night)))
	}
	ofLast := func(s *site) []string {
		var out []string
		for _, f := range findings(s, last) {
			if f["day"] == date {
				out = append(out, anyName(fmt.Sprint(f)))
			}
		}
		slices.Sort(out)
		return out
	}
	if got, want := ofLast(untidy), ofLast(clean); !slices.Equal(got, want) {
		t.Errorf("the last night: got findings\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	reported := map[string]bool{}
	for night := 1; night <= last; night++ {
		for _, f := range findings(untidy, night) {
			reported[about(f)] = true
		}
	}
	all := 0
	for night := 1; night <= last; night++ {
		for _, f := range findings(clean, night) {
			if all++; !reported[about(f)] {
				t.Errorf("never reported: %s", about(f))
			}
		}
	}
	if all < last/3 {
		t.Errorf("got %d findings in the clean month, want more: it tests nothing", all)
	}
}

// otherName is the name of an object of the month, as it may be when it comes late or twice.
var otherName = regexp.MustCompile(`logs/2026-03-[0-9]+/(?:(?:late|again)-[0-9]*)?([ct][0-9]+\.[a-z]+)(?:\.gz)?`)

// anyName replaces the names of objects by what all names of the same log have.
func anyName(text string) string { return otherName.ReplaceAllString(text, "$1") }

// differs says where the partitions of another site have other rows.
func (s *site) differs(other *site) []string {
	s.t.Helper()
	tables := func(s *site) map[string][]string {
		at, err := store.Open(s.t.Context(), filepath.Join(s.dir, "state"), store.Options{})
		if err != nil {
			s.t.Fatal(err)
		}
		out := map[string][]string{}
		for _, a := range detect.Aggregates {
			p := store.Partitions[detect.Row]{Store: at, Folder: "aggregate=" + a.Name}
			days, err := p.List(s.t.Context())
			if err != nil {
				s.t.Fatal(err)
			}
			for _, day := range days {
				rows, _, err := p.Read(s.t.Context(), day)
				if err != nil {
					s.t.Fatal(err)
				}
				for _, r := range rows {
					out[a.Name+" "+day] = append(out[a.Name+" "+day], anyName(fmt.Sprintf("%+v", r)))
				}
			}
		}
		p := store.Partitions[findingRow]{Store: at, Folder: "findings"}
		days, err := p.List(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		for _, day := range days {
			rows, _, err := p.Read(s.t.Context(), day)
			if err != nil {
				s.t.Fatal(err)
			}
			for _, r := range rows {
				out["findings "+day] = append(out["findings "+day], anyName(fmt.Sprintf("%+v", r.finding(0))))
			}
		}
		return out
	}
	want, got := tables(s), tables(other)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		for i, row := range want[name] {
			if i >= len(got[name]) || got[name][i] != row {
				out = append(out, fmt.Sprintf("%s: got %d rows, want %d, and row %d to be\n%s\ngot\n%s", name, len(got[name]), len(want[name]), i, row, append(got[name], "nothing")[min(i, len(got[name]))]))
				break
			}
		}
		if len(got[name]) > len(want[name]) {
			out = append(out, fmt.Sprintf("%s: got %d rows, want %d", name, len(got[name]), len(want[name])))
		}
	}
	for name := range got {
		if want[name] == nil {
			out = append(out, name+": got rows, want none")
		}
	}
	return out
}
