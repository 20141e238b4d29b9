package detect

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// If this fails, a destination that was used is missing, or one that was only tried is
// there, or bytes are counted for the wrong one. Sums by hand.
func TestSeen(t *testing.T) {
	request := func(user, method, host, action string, out int64) event {
		return event{table: columnar.HTTP, feed: "f", object: "o", record: out, us: testDay + 3600e6,
			texts: map[columnar.Col]string{columnar.User: user, columnar.Method: method, columnar.URLHost: host, columnar.Action: action},
			ints:  map[columnar.Col]int64{columnar.BytesOut: out, columnar.BytesIn: 10}}
	}
	connection := func(ip string, out int64) event {
		return event{table: columnar.Network, feed: "f", object: "o", record: out, us: testDay + 7200e6,
			texts: map[columnar.Col]string{columnar.User: "ann", columnar.DstIP: ip}, ints: map[columnar.Col]int64{columnar.BytesOut: out}}
	}
	events := []event{
		request("ann", "GET", "www.small.example", "", 1),
		request("Ann", "GET", "cdn.small.example", "", 2),
		request("ann", "PUT", "loot.s3.eu-west-1.amazonaws.com", "", 600e3),
		request("Ann", "POST", "loot.s3.eu-west-1.amazonaws.com", "", 700e3),
		request("ann", "POST", "denied.example", "TCP_DENIED", 5e6),
		request("ann", "POST", strings.Repeat("n", 300)+".example", "", 4),
		request("ann", "GET", "", "", 5), // has no destination
		request("bob", "POST", "denied.example", "TCP_DENIED", 6),
		connection("198.51.100.7", 2e6),
		connection("10.1.2.3", 3e6), // has not left
	}
	f := UserDestinationDay.New(&openBounds)
	feedTo(f, UserDestinationDay, events)
	var got strings.Builder
	for _, r := range merged(t, UserDestinationDay, &openBounds, f) {
		fmt.Fprintf(&got, "%s %s %.40q events=%d out=%d blocked=%d %q\n", r.Feed, r.Entity, r.Object, r.Events, r.BytesOut, r.Blocked, r.Destinations)
	}
	want := `f ann "" events=4 out=1300004 blocked=1 ["loot.s3.eu-west-1.amazonaws.com" "small.example"]
f ann "loot.s3.eu-west-1.amazonaws.com" events=2 out=1300000 blocked=0 []
f bob "" events=1 out=0 blocked=1 []
f/network ann "" events=1 out=2000000 blocked=0 ["198.51.100.7"]
f/network ann "198.51.100.7" events=1 out=2000000 blocked=0 []
`
	if got := got.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// If this fails, more than the lists depends on whether a detection reads them.
func TestDestinationsNotListed(t *testing.T) {
	events := randomEvents(rand.New(rand.NewPCG(8, 9)), 2000)
	fold := func(o *FoldOptions) []Row {
		f := UserDestinationDay.New(o)
		feedTo(f, UserDestinationDay, events)
		return merged(t, UserDestinationDay, o, f)
	}
	bare := openBounds
	bare.Destinations = false
	listed, want := 0, []Row{}
	for _, r := range fold(&openBounds) {
		listed += len(r.Destinations)
		if r.Destinations = nil; r.First != 0 {
			want = append(want, r)
		}
	}
	if diff := cmp.Diff(want, fold(&bare)); diff != "" || listed == 0 {
		t.Errorf("of %d names: -listed +not listed:\n%s", listed, diff)
	}
}

// If this fails, what is kept of an entity's day depends on the split over workers, on
// when a table was drained, or on the spellings of the entity; or it is not bounded.
func TestSeenOfCrawler(t *testing.T) {
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 3))
		var events []event
		names := map[string]bool{}
		for i := range 3 * maxDestinations / 2 {
			host := fmt.Sprintf("site%d.example", r.IntN(1<<20))
			names[host] = true
			events = append(events, event{table: columnar.HTTP, feed: "f", object: "o", record: int64(i + 1), us: testDay + int64(i),
				texts: map[columnar.Col]string{columnar.User: []string{"bot", "Bot", "BOT"}[r.IntN(3)], columnar.URLHost: host},
				ints:  map[columnar.Col]int64{columnar.BytesOut: r.Int64N(2e6)}})
		}
		whole := UserDestinationDay.New(&openBounds)
		feedTo(whole, UserDestinationDay, events)
		want := merged(t, UserDestinationDay, &openBounds, whole)

		var w Weights
		var folders []Folder
		for part := range slices.Chunk(events, len(events)/(1+r.IntN(3))) {
			f := UserDestinationDay.New(&openBounds)
			feedTo(f, UserDestinationDay, part)
			f.(Sifter).Weigh(&w)
			folders = append(folders, f)
		}
		for _, f := range folders[r.IntN(len(folders)):] { // the others were drained before
			if _, err := f.(Sifter).Sift(&w); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, merged(t, UserDestinationDay, &openBounds, folders...)); diff != "" {
			t.Fatalf("seed %d: -whole +parts:\n%s", seed, diff)
		}
		all := make([]string, 0, len(names))
		for name := range names {
			all = append(all, name)
		}
		slices.Sort(all)
		if diff := cmp.Diff(all[:maxDestinations], want[0].Destinations); diff != "" || want[0].Object != "" {
			t.Fatalf("seed %d: -want +got:\n%s", seed, diff)
		}
	}
}
