package detect

import (
	"math/rand/v2"
	"slices"
	"testing"

	"outflow/columnar"
)

// If this fails, a picture of a day shows bytes in another hour than that of the log, or not
// all of them.
func TestHourly(t *testing.T) {
	at := func(hour int64, record, bytes int64) event {
		return event{table: columnar.HTTP, feed: "f", object: "o", record: record, us: testDay + hour*3600e6 + record,
			texts: map[columnar.Col]string{columnar.User: "ann", columnar.Method: "PUT", columnar.URLHost: "up.example.com"},
			ints:  map[columnar.Col]int64{columnar.BytesOut: bytes}}
	}
	copied := at(9, 8, 50)
	copied.copied = true
	blocked := at(11, 9, 1e9)
	blocked.texts[columnar.Action] = "TCP_DENIED"
	events := []event{at(8, 1, 0), at(9, 2, 30e6), at(10, 3, 5), at(9, 4, 7), at(23, 5, 11), at(10, 6, 13), at(0, 7, 17), copied, blocked}
	want := make([]int64, 24)
	want[9], want[10], want[23], want[0] = 30e6+7, 5+13, 11, 17
	for _, a := range []*Aggregate{UserDay, UserDestinationDay} {
		f := a.New(&openBounds)
		feedTo(f, a, events)
		for _, r := range merged(t, a, &openBounds, f) {
			if got := r.Hourly(); !slices.Equal(got, want) || r.Activity != "h17 9:30000007 18 23:11" {
				t.Errorf("%s of %q: got %v, %q, want %v", a.Name, r.Object, got, r.Activity, want)
			}
		}
	}
}

// If this fails, a job with a window of its own tells another time of what an entity did
// once, after midnight.
func TestVolumesOfAWindow(t *testing.T) {
	o := openBounds
	o.OneDay, o.From, o.To = true, testDay+22*3600e6, testDay+26*3600e6
	us := testDay + 24*3600e6 + 7
	once := event{table: columnar.HTTP, feed: "f", object: "o", record: 1, us: us,
		texts: map[columnar.Col]string{columnar.User: "ann", columnar.Method: "PUT", columnar.URLHost: "up.example.com"},
		ints:  map[columnar.Col]int64{columnar.BytesOut: 30e6}}
	for _, a := range []*Aggregate{UserDay, UserDestinationDay} {
		f := a.New(&o)
		feedTo(f, a, []event{once})
		rows := merged(t, a, &o, f)
		if len(rows) == 0 {
			t.Errorf("%s: got no row", a.Name)
		}
		for _, r := range rows {
			if r.First != us || r.Last != us || r.PeakTime != us {
				t.Errorf("%s of %q: got %d to %d, peak %d, want %d", a.Name, r.Object, r.First, r.Last, r.PeakTime, us)
			}
		}
	}
}

// If this fails, the picture of a tunnel shows queries at other times, or those of ordinary
// domains fill the state.
func TestPerMinute(t *testing.T) {
	var events []event
	want := make([]int64, 1440)
	r := rand.New(rand.NewPCG(1, 9))
	ask := func(us int64, name, domain string) {
		events = append(events, event{table: columnar.DNS, feed: "f", object: "o", record: int64(len(events) + 1), us: testDay + us,
			texts: map[columnar.Col]string{columnar.SrcIP: "10.0.0.1", columnar.Query: name + "." + domain, columnar.Domain: domain}})
	}
	for i := range 300 {
		us := r.Int64N(86400e6)
		want[us/60e6]++
		ask(us, string(rune('a'+i%26))+string(rune('a'+i/26)), "tunnel.example")
	}
	for i := range int64(9) {
		ask(i*3600e6, "www", "site.example")
	}
	f := DNSPair.New(&openBounds)
	feedTo(f, DNSPair, events)
	rows := merged(t, DNSPair, &openBounds, f)
	if len(rows) != 2 || rows[0].Object != "site.example" {
		t.Fatalf("got rows %+v, want two", rows)
	}
	if got := rows[0].PerMinute(); got != nil || rows[0].Hourly() != nil {
		t.Errorf("an ordinary domain: got %v, want nil", got)
	}
	if got := rows[1].PerMinute(); !slices.Equal(got, want) {
		t.Errorf("a tunnel: got %v, want %v", got, want)
	}
	hours := make([]int64, 24)
	for minute, n := range want {
		hours[minute/60] += n
	}
	if got := rows[1].Hourly(); !slices.Equal(got, hours) {
		t.Errorf("a tunnel by hour: got %v, want %v", got, hours)
	}
}

// If this fails, a damaged state stops a run, or a picture shows what nobody counted.
func TestActivityOfAnotherProgram(t *testing.T) {
	for _, text := range []string{"x1 2", "h", "h24:1", "h-1:1", "h5:1 4:1", "h1 -2", "h1 x", "h9223372036854775808", "m1440:1", "h5:", "h1 0"} {
		if got := (&Summary{Activity: text, BytesOut: 1, BytesIn: 1}).Hourly(); got != nil {
			t.Errorf("%q: got %v, want nil", text, got)
		}
	}
	// Of two rows, one without hours.
	if got := (Summary{Activity: "h5", BytesOut: 5}).Merge(Summary{BytesOut: 3}); got.Hourly() != nil {
		t.Errorf("got %v, want nil: the hours of 3 bytes are not known", got.Hourly())
	}
}

// If this fails, the page draws beats at other times than the log has them.
func TestBeatTimes(t *testing.T) {
	s := Summary{Beats: 3, Rhythm: "61:10 3600 7200.5"}
	if got := s.BeatTimes(); got != nil {
		t.Errorf("got %v of a bad text, want nil", got)
	}
	s.Rhythm = "61:10 3600 7200:0"
	if got, want := s.BeatTimes(), []float64{61, 3661, 10861}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	s.Beats = maxTimes + 1 // statistics
	if got := s.BeatTimes(); got != nil {
		t.Errorf("got %v of statistics, want nil", got)
	}
}
