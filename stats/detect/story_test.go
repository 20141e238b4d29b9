package detect

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// If this fails, a card tells of what was done in the evening before what was done at noon.
func TestStoryOrder(t *testing.T) {
	rule := func(object, technique string, first int64) Finding {
		return Finding{Detection: "sigma_rule", Day: 10, Technique: technique, Key: Key{Object: object}, Summary: Summary{First: first}}
	}
	want := []Finding{
		rule(`m365_link: Plans.zip`, "T1537", 1),
		{Detection: "dns_information", Verdict: dnsTunnel, Day: 10, Technique: "T1048.003", Summary: Summary{First: 7}},
		rule(`archive_made: C:\Program Files\7-Zip\7z.exe`, "T1560.001", 20),
		rule(`archive_then_upload: within 1h`, "T1567.002", 20),
		rule(`webhook: discord.com/api/webhooks/1`, "T1567.004", 20),
		// The person's day began at 5.
		{Detection: "upload_zscore", Verdict: uploadVerdict, Day: 10, Technique: "T1567.002", Summary: Summary{First: 5}, Done: [2]int64{60, 80}},
		rule(`rclone: /usr/bin/rclone`, "T1567.002", 70),
		{Detection: "upload_ratio", Verdict: uploadVerdict, Day: 11, Technique: "T1567", Summary: Summary{First: 1}},
	}
	r := rand.New(rand.NewPCG(3, 1))
	for range 20 {
		got := slices.Clone(want)
		r.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		slices.SortFunc(got, func(a, b Finding) int { return StoryOrder(&a, &b) })
		for i := range got {
			if got[i].Detection != want[i].Detection || got[i].Object != want[i].Object {
				t.Fatalf("place %d: got %s %s, want %s %s", i, got[i].Detection, got[i].Object, want[i].Detection, want[i].Object)
			}
		}
	}
	for _, c := range []struct {
		b, a int // of want
		then bool
	}{{6, 5, false}, {5, 1, true}, {3, 2, true}, {7, 5, false}} {
		if got := want[c.b].Follows(&want[c.a]); got != c.then && want[c.a].Day == want[c.b].Day {
			t.Errorf("%s after %s: got %v, want %v", want[c.b].Detection, want[c.a].Detection, got, c.then)
		}
	}
}

// If this fails, a finding stands at the first event of the person's day and not where
// the records of the deed are.
func TestDone(t *testing.T) {
	at := func(hour, minute int64) int64 { return 10*dayMicros + hour*3600e6 + minute*60e6 }
	record := func(bytes, hour, minute int64) string {
		return Place{at(hour, minute), bytes, "proxy.log:7", "", "", 0}.String()
	}
	day := Finding{Verdict: uploadVerdict, Day: 10, Unit: "B/day", Window: Day(10).window(),
		Summary: Summary{BytesOut: 1000e6, First: at(7, 33), Last: at(19, 53), Evidence: "proxy.log:7", PeakTime: at(18, 52), PeakOut: 300e6}}
	for _, c := range []struct {
		name     string
		set      func(f *Finding)
		from, to int64
	}{
		{"a day with one record", func(f *Finding) {}, at(18, 52), at(18, 52)},
		{"a day with several", func(f *Finding) {
			f.Summary.Places = []string{record(300e6, 19, 39), record(299e6, 18, 52), record(2e6, 9, 1)}
		}, at(18, 52), at(19, 39)},
		{"small records in busy hours", func(f *Finding) {
			f.Summary.Places = []string{record(3e6, 9, 1), record(2e6, 9, 5)}
			f.Summary.Activity = "h9:5000000 14:500000000 495000000"
		}, at(14, 0), at(16, 0)},
		{"records with little of it", func(f *Finding) {
			f.Summary.Places = []string{record(4e6, 9, 1), record(4e6, 9, 5)}
			f.Summary.Activity = "h9:200000000 400000000 400000000"
		}, at(9, 0), at(12, 0)},
		{"until the last event", func(f *Finding) {
			f.Summary.Places = []string{record(3e6, 9, 1)}
			f.Summary.Activity = "h9:5000000 19:995000000"
		}, at(19, 0), at(19, 53)},
		{"a destination", func(f *Finding) { f.Object = "a.example" }, at(7, 33), at(19, 53)},
		{"a destination that is busy in the evening", func(f *Finding) {
			f.Object = "a.example"
			f.Summary.Activity = "h7:5000 18:500000000 499995000"
		}, at(18, 52), at(19, 53)},
		{"a download", func(f *Finding) {
			f.Verdict, f.Object, f.Summary.BytesIn, f.Summary.BytesOut = downloadVerdict, "m365/site", 1000e6, 0
		}, at(18, 52), at(18, 52)},
		{"objects that were fetched", func(f *Finding) {
			f.Verdict, f.Object, f.Unit, f.Summary.BytesIn = downloadVerdict, "m365/site", "objects/day", 1000e6
		}, at(7, 33), at(19, 53)},
		{"several days", func(f *Finding) { f.Window[0] -= dayMicros }, at(7, 33), at(19, 53)},
		{"no known time", func(f *Finding) { f.Summary = Summary{BytesOut: 1} }, 0, 0},
	} {
		f := day
		c.set(&f)
		if got, want := f.done(), [2]int64{c.from, c.to}; got != want {
			t.Errorf("%s: got %v, want %v", c.name, got, want)
		}
	}
	there := day
	there.Object, there.Detection = "a.example", "first_destination"
	there.Summary = Summary{BytesOut: 900e6, First: at(8, 29), Last: at(11, 27)}
	there.Done, there.ObjectBytes = there.done(), 900e6
	day.Detection, day.Done = "upload_zscore", day.done()
	got := Join([]Finding{day, there})
	if want := [2]int64{at(8, 29), at(11, 27)}; len(got) != 1 || got[0].Done != want || got[0].ObjectBytes != 900e6 || got[0].Summary.First != at(7, 33) {
		t.Errorf("got %d findings, the first done at %v with %d bytes, want one, %v, 900e6, and the events of the day", len(got), got[0].Done, got[0].ObjectBytes, want)
	}
}
