package detect

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// If this fails, what a proxy, firewall or cloud API refused counts as sent, or what
// was sent is left out of the sums.
func TestBlocked(t *testing.T) {
	for _, c := range []struct {
		of   string
		got  func([]byte) bool
		text string
		want bool
	}{
		{"action", blockedAction, "TCP_DENIED", true},
		{"action", blockedAction, "TCP_DENIED/407", true},
		{"action", blockedAction, "TCP_DENIED_ABORTED/403", true},
		{"action", blockedAction, "TCP_DENIED_REPLY/403", false}, // the answer was
		{"action", blockedAction, "TCP_MISS/403", false},         // by the server
		{"action", blockedAction, "TCP_TUNNEL/401", false},
		{"action", blockedAction, "NONE_NONE/400", false},
		{"action", blockedAction, "deny", true},
		{"action", blockedAction, " Denied ", true},
		{"action", blockedAction, "REJECT", true},
		{"action", blockedAction, "drop", true},
		{"action", blockedAction, "drop-icmp", true},
		{"action", blockedAction, "Blocked by policy", true},
		{"action", blockedAction, "allow", false},
		{"action", blockedAction, "Allowed", false},
		{"action", blockedAction, "ACCEPT", false},
		{"action", blockedAction, "dropbox", false},
		{"action", blockedAction, "client-rst", false}, // after it had begun
		{"action", blockedAction, "not blocked", false},
		{"action", blockedAction, "", false},
		{"status", failedCall, "AccessDenied", true},
		{"status", failedCall, "Client.UnauthorizedOperation", true},
		{"status", failedCall, "NoSuchKey", true},
		{"status", failedCall, "403", true},
		{"status", failedCall, "503", true},
		{"status", failedCall, "FAILURE", true},
		{"status", failedCall, "False", true},
		{"status", failedCall, "Success", false},
		{"status", failedCall, "SuccessWithErrors", false},
		{"status", failedCall, "PartiallySucceeded", false},
		{"status", failedCall, "200", false},
		{"status", failedCall, "304", false},
		{"status", failedCall, "4 parts", false},
		{"status", failedCall, "completed", false},
		{"status", failedCall, "", false},
	} {
		if got := c.got([]byte(c.text)); got != c.want {
			t.Errorf("%s %q: got blocked %t, want %t", c.of, c.text, got, c.want)
		}
	}
}

// If this fails, blocked bytes are in a sum or in the peak, or are lost. Sums by hand.
func TestVolumesBlocked(t *testing.T) {
	row := func(record int64, table *columnar.Table, status string, bytesOut int64) event {
		texts := map[columnar.Col]string{columnar.User: "ann", blockColumn[table]: status}
		switch table {
		case columnar.HTTP:
			texts[columnar.Method], texts[columnar.URLHost] = "POST", "api.dropboxapi.com"
		case columnar.Network:
			texts[columnar.DstIP] = "203.0.113.9"
		}
		return event{table: table, feed: "f", object: "o", record: record, us: testDay + record, texts: texts,
			ints: map[columnar.Col]int64{columnar.BytesOut: bytesOut, columnar.BytesIn: 10}}
	}
	events := []event{
		row(1, columnar.HTTP, "TCP_DENIED", 50e6), // the first of its destination
		row(2, columnar.HTTP, "TCP_MISS", 2e6),
		row(3, columnar.HTTP, "TCP_DENIED", 70e6),
		row(4, columnar.Network, "allow", 3e6),
		row(5, columnar.Network, "deny", 4e6),
		row(6, columnar.API, "Success", 5e6),
		row(7, columnar.API, "AccessDenied", 6e6),
	}
	type sums struct{ events, out, in, known, peak, blocked, blockedOut int64 }
	of := func(a *Aggregate, o *FoldOptions) map[string]sums {
		f := a.New(o)
		feedTo(f, a, events)
		got := map[string]sums{}
		for _, r := range merged(t, a, o, f) {
			got[r.Feed+" "+r.Object] = sums{r.Events, r.BytesOut, r.BytesIn, r.KnownOut, r.PeakOut, r.Blocked, r.BlockedOut}
		}
		return got
	}
	seed := openBounds
	seed.CountBlocked = true
	for _, c := range []struct {
		name string
		got  map[string]sums
		want map[string]sums
	}{
		{"user_day", of(UserDay, &openBounds), map[string]sums{
			"f ": {5, 7e6, 20, 5, 5e6, 3, 126e6}, "f/network ": {2, 3e6, 10, 2, 3e6, 1, 4e6}}},
		{"user_destination_day", of(UserDestinationDay, &openBounds), map[string]sums{
			"f ": {3, 2e6, 10, 3, 2e6, 2, 120e6}, "f/network ": {2, 3e6, 10, 2, 3e6, 1, 4e6},
			"f api.dropboxapi.com": {3, 2e6, 10, 3, 2e6, 2, 120e6}, "f/network 203.0.113.9": {2, 3e6, 10, 2, 3e6, 1, 4e6}}},
		{"user_day, seed", of(UserDay, &seed), map[string]sums{
			"f ": {5, 133e6, 50, 5, 70e6, 0, 0}, "f/network ": {2, 7e6, 20, 2, 4e6, 0, 0}}},
	} {
		if diff := cmp.Diff(c.want, c.got, cmp.AllowUnexported(sums{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
