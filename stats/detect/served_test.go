package detect

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// If this fails, a stranger who fetches from a server inside is not seen, or what stays inside or was
// blocked counts as sent. Sums by hand.
func TestServed(t *testing.T) {
	const outside, inside = "198.51.100.7", "10.8.0.4"
	record := int64(0)
	row := func(src, dst string, out, in int64, more ...string) event {
		record++
		e := event{table: columnar.Network, feed: "f", object: "o", record: record, us: testDay + record, ints: map[columnar.Col]int64{columnar.BytesOut: out},
			texts: map[columnar.Col]string{columnar.SrcIP: src, columnar.DstIP: dst}}
		if in >= 0 {
			e.ints[columnar.BytesIn] = in
		}
		for i := 0; i < len(more); i += 2 {
			c, _ := columnar.ColNamed(more[i])
			e.texts[c] = more[i+1]
		}
		return e
	}
	events := []event{
		row(outside, inside, 100, 7e6),
		row(outside, inside, 200, 9e6, "user", "ann", "host", "fw1"), // its user is the client's
		row("2001:db8::7", "fd00::4", 300, 4e6),
		row(inside, "203.0.113.9", 1000, 5000),  // of its own accord
		row("10.8.0.9", inside, 10, 8e9),        // stays inside
		row("visitor.example", inside, 10, 8e9), // may be inside
		row("", inside, 10, 8e9, "user", "bob"), // so may a client without an address
		row(outside, "203.0.113.9", 400, 6e9),   // no server inside: the client's own bytes
		row(outside, inside, 500, -1),           // bytes of the client alone
		row(outside, "10.8.0.5", 600, 0),        // and so for one that sent nothing
		row(outside, inside, 700, 3e9, "action", "deny"),
	}
	again := events[1]
	again.record, again.copied = record+1, true
	events = append(events, again)
	show := func(a *Aggregate, events []event) (rows []string) {
		f := a.New(&openBounds)
		feedTo(f, a, events)
		for _, r := range merged(t, a, &openBounds, f) {
			rows = append(rows, fmt.Sprintf("%s %s %q: %d events, %d of %d out, %d of %d in, peak %d of %s, blocked %d with %d",
				r.EntityType, r.Entity, r.Object, r.Events, r.BytesOut, r.KnownOut, r.BytesIn, r.KnownIn, r.PeakOut, r.Evidence, r.Blocked, r.BlockedOut))
		}
		return rows
	}
	want := []string{
		`src_ip 10.8.0.4 "": 4 events, 16001000 of 4 out, 5300 of 4 in, peak 9000000 of o:2, blocked 1 with 3000000000`,
		`src_ip 198.51.100.7 "": 1 events, 400 of 1 out, 6000000000 of 1 in, peak 400 of o:8, blocked 0 with 0`,
		`src_ip fd00::4 "": 1 events, 4000000 of 1 out, 300 of 1 in, peak 4000000 of o:3, blocked 0 with 0`,
	}
	if diff := cmp.Diff(want, show(UserDay, events)); diff != "" {
		t.Errorf("user_day (-want +got):\n%s", diff)
	}
	for _, r := range show(UserDestinationDay, events[:3]) {
		t.Errorf("each visitor is a destination: %s", r)
	}

	// A batch without such rows after one that has some.
	alone := show(UserDay, append(events[:3:3], event{columnar.HTTP, "f", "o", 99, testDay, map[columnar.Col]string{columnar.SrcIP: "10.8.0.6"}, map[columnar.Col]int64{columnar.BytesOut: 50, columnar.BytesIn: 60}, false}))
	if line := `src_ip 10.8.0.6 "": 1 events, 50 of 1 out, 60 of 1 in, peak 50 of o:99, blocked 0 with 0`; alone[0] != line {
		t.Errorf("got %s, want %s", alone[0], line)
	}
}

// If this fails, what a sensor or firewall with ids of connections says of visitors does not count, or
// all that stays inside is kept and joined.
func TestServedConnectionsAreKept(t *testing.T) {
	row := func(record int64, src string, ints map[columnar.Col]int64) event {
		return event{table: columnar.Network, feed: "f", object: "o", record: record, us: testDay,
			texts: map[columnar.Col]string{columnar.SrcIP: src, columnar.DstIP: "10.8.0.4", columnar.UID: fmt.Sprint("C", record)}, ints: ints}
	}
	both := map[columnar.Col]int64{columnar.BytesOut: 100, columnar.BytesIn: 7e6, columnar.DstPort: 443}
	rows, _ := joinEvents(t, &openBounds, 1<<20, []event{
		row(1, "198.51.100.7", both),
		row(2, "10.8.0.9", both),
		row(3, "198.51.100.7", map[columnar.Col]int64{columnar.DstPort: 443}), // its name alone
	})
	want := []string{fmt.Sprintf(`f o:1 %d "198.51.100.7" "10.8.0.4" "" "" "" "" "" 100 7000000 443`, int64(testDay))}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
