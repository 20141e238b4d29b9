package detect

import (
	"fmt"
	"slices"
	"testing"
)

// A day that outdoes ten usual ones, to a place that nobody else uses and that hardly
// answers, is to be looked at today; less of any of these is not. Calls to another relay of
// a network that others use are no new destination.
func TestFirstDestinationSeverity(t *testing.T) {
	const day = Day(20000)
	const busy, moved = "it uses six places", "it sends nothing else that day" // instead of what others use
	for _, c := range []struct {
		name    string
		object  string
		out, in int64
		usual   int64    // what the entity sends on a day
		others  []string // what each of some others uses
		want    Severity // Info: no finding
	}{
		{"a large upload", "203.0.113.9", 200e6, 2e6, 20e6, nil, High},
		{"under the limit", "203.0.113.9", 199e6, 2e6, 19e6, nil, Medium},
		{"four usual days", "203.0.113.9", 200e6, 2e6, 50e6, []string{busy}, Medium},
		{"four usual days of a machine that uses little else, on top of a usual one", "203.0.113.9", 200e6, 2e6, 50e6, nil, High},
		{"less than a usual day of it", "203.0.113.9", 200e6, 2e6, 201e6, nil, Medium},
		{"its backup to another address", "203.0.113.9", 200e6, 2e6, 50e6, []string{moved}, Medium},
		{"a quarter came back", "203.0.113.9", 200e6, 50e6, 20e6, nil, Medium},
		{"one other uses it", "203.0.113.9", 200e6, 2e6, 20e6, []string{"203.0.113.9"}, Medium},
		{"two others use it", "203.0.113.9", 200e6, 2e6, 20e6, []string{"203.0.113.9", "203.0.113.9"}, Low},
		{"a relay of a network that five others use", "203.0.113.9", 200e6, 20e6, 20e6, []string{"203.0.1.1", "203.0.2.2", "203.0.3.3", "203.0.4.4", "203.0.113.10"}, Info},
		{"that four others use", "203.0.113.9", 200e6, 50e6, 20e6, []string{"203.0.1.1", "203.0.2.2", "203.0.3.3", "203.0.4.4"}, Medium},
		{"an upload into that network", "203.0.113.9", 200e6, 19e6, 20e6, []string{"203.0.1.1", "203.0.2.2", "203.0.3.3", "203.0.4.4", "203.0.113.10"}, High},
		{"another network that begins with the same digits", "203.0.113.9", 200e6, 50e6, 20e6, []string{"203.01.1.1", "203.100.2.2", "20.3.0.3", "203.0", "203.1.0.0"}, Medium},
		{"a relay by IPv6", "2001:db8:7::9", 200e6, 150e6, 20e6, []string{"2001:db8:1::1", "2001:db8:2::1", "2001:db8:3::1", "2001:db8::1", "2001:db8:ff::1"}, Info},
		{"a name", "drop.example", 200e6, 150e6, 20e6, []string{"a.example", "b.example", "c.example", "d.example", "e.example"}, Medium},
	} {
		var rows []Row
		add := func(d Day, who, object string, out, in int64, uses ...string) {
			slices.Sort(uses)
			rows = append(rows, Row{Day: d, Key: Key{Feed: "fw", EntityType: "src_ip", Entity: who, Object: object},
				Summary: Summary{Events: 1, KnownOut: 1, KnownIn: 1, BytesOut: out, BytesIn: in, Destinations: uses}})
		}
		var covered []Day
		for d := day - 20; d < day; d++ {
			covered = append(covered, d)
			uses := []string{"mail.example"}
			if slices.Contains(c.others, busy) {
				uses = []string{"a.example", "b.example", "c.example", "d.example", "e.example", "mail.example"}
			}
			add(d, "10.0.0.1", "", c.usual, c.usual, uses...)
			for i := range 12 {
				uses := []string{"mail.example"}
				if i < len(c.others) {
					uses = append(uses, c.others[i])
				}
				add(d, fmt.Sprintf("10.0.1.%d", i), "", 1e6, 1e6, uses...)
			}
		}
		usual := c.usual
		if slices.Contains(c.others, moved) {
			usual = 0
		}
		add(day, "10.0.0.1", "", c.out+usual, c.in+usual, "mail.example", c.object)
		add(day, "10.0.0.1", c.object, c.out, c.in)
		sortRows(rows)
		findings := Judge(firstDestination(), &Input{Day: day, Series: seriesOf(rows), Covered: func(string) []Day { return covered }})
		got := Info
		if len(findings) == 1 {
			got = findings[0].Severity
		}
		if len(findings) > 1 || got != c.want {
			t.Errorf("%s: got %d findings, severity %v, want %v", c.name, len(findings), got, c.want)
		}
	}
}
