package detect

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"outflow/columnar"
)

// If this fails, an address gets users from events that do not say who used it, or loses
// those that do.
func TestAddressUser(t *testing.T) {
	const user, ip, host = columnar.User, columnar.SrcIP, columnar.Host
	type texts = map[columnar.Col]string
	for _, c := range []struct {
		name  string
		table *columnar.Table
		texts texts
		want  string
	}{
		{"proxy", columnar.HTTP, texts{user: "CORP\\Ines", ip: "::ffff:10.5.0.4", columnar.Action: "TCP_MISS/200"}, `src_ip 10.5.0.4 = user corp\ines`},
		{"denied", columnar.HTTP, texts{user: "ines", ip: "10.5.0.4", columnar.Action: "TCP_DENIED/407"}, ""},
		{"logon", columnar.API, texts{user: "ines@corp.example", ip: "10.5.0.4", columnar.Status: "SUCCESS"}, "src_ip 10.5.0.4 = user ines@corp.example"},
		{"guessed password", columnar.API, texts{user: "ines@corp.example", ip: "10.5.0.4", columnar.Status: "FAILURE"}, ""},
		{"request in a session of a firewall", columnar.HTTP, texts{user: "ines", ip: "10.5.0.4", columnar.UID: "51722 192.0.2.1"}, "src_ip 10.5.0.4 = user ines"},
		{"user of an account", columnar.API, texts{user: "deploy", ip: "10.5.0.4", columnar.Account: "111"}, "src_ip 10.5.0.4 = user 111/deploy"},
		{"connection of a machine", columnar.Network, texts{user: "ines", ip: "10.5.0.4", host: "PC-INES"},
			"host pc-ines = user ines; src_ip 10.5.0.4 = host pc-ines; src_ip 10.5.0.4 = user ines"},
		{"process", columnar.Process, texts{user: "ines", host: "PC-INES"}, "host pc-ines = user ines"},
		{"system", columnar.Process, texts{user: `NT AUTHORITY\SYSTEM`, host: "PC-INES"}, ""},
		{"system in German", columnar.Process, texts{user: `NT-AUTORITÄT\LOKALER DIENST`, host: "PC-INES"}, ""},
		{"desktop", columnar.Process, texts{user: `Window Manager\DWM-2`, host: "PC-INES"}, ""},
		{"machine account", columnar.Event, texts{user: "PC-INES$@CORP.EXAMPLE", ip: "10.5.0.4"}, ""},
		{"machine account of Windows", columnar.Process, texts{user: `CORP\PC-INES$`, host: "PC-INES"}, ""},
		{"root", columnar.Process, texts{user: "root", host: "build9"}, ""},
		{"lease", columnar.Event, texts{host: "pc-ines", ip: "10.5.0.4"}, "src_ip 10.5.0.4 = host pc-ines"},
		{"nobody", columnar.DNS, texts{ip: "10.5.0.4", columnar.Query: "a.example"}, ""},
	} {
		f := AddressUser.New(&openBounds)
		e := event{table: c.table, feed: "f", object: "o", record: 1, us: testDay + 5*3600e6 - 1, texts: c.texts}
		again := e
		again.record, again.copied = 2, true
		later := e
		later.record, later.us = 3, testDay+5*3600e6
		feedTo(f, AddressUser, []event{e, again, later})
		var got []string
		for i, row := range merged(t, AddressUser, &openBounds, f) {
			if want := int64(1) << (4 + i%2); row.Events != 1 || row.Hours != want {
				t.Errorf("%s: got %d events in hours %b, want 1 in %b", c.name, row.Events, row.Hours, want)
			}
			if i%2 == 0 {
				got = append(got, fmt.Sprintf("%s %s = %s", row.EntityType, row.Entity, row.Object))
			}
		}
		if got := strings.Join(got, "; "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// If this fails, a domain controller counts as the machine of those who log on through it,
// or a web server's log says who has an address.
func TestAddressUserOfOthers(t *testing.T) {
	for _, c := range []struct {
		table   *columnar.Table
		server  bool
		product string
		want    int
	}{
		{columnar.Event, false, "windows", 1},
		{columnar.Event, false, "zeek", 3},
		{columnar.Event, true, "zeek", 0},
		{columnar.HTTP, false, "zeek", 1}, // of the host only: the user is what the client told a web server
		{columnar.HTTP, false, "suricata", 1},
		{columnar.HTTP, false, "paloalto", 3},
	} {
		f := AddressUser.New(&openBounds)
		out := &columnar.Out{Want: AddressUser.Reads, Sink: f.Fold, Server: c.server, Origin: columnar.Origin{Product: c.product}}
		b := out.Table(c.table)
		b.SetTime(testDay)
		for col, text := range map[columnar.Col]string{columnar.User: "ines", columnar.SrcIP: "10.5.0.4", columnar.Host: "DC1"} {
			b.SetText(col, []byte(text))
		}
		b.Next(1)
		out.Flush()
		if got := len(merged(t, AddressUser, &openBounds, f)); got != c.want {
			t.Errorf("%s, server %v, product %s: got %d rows, want %d", c.table.Name, c.server, c.product, got, c.want)
		}
	}
}

// If this fails, an hour with more events than a byte counts, or one of a key in several runs, loses some.
func TestManyNamings(t *testing.T) {
	var runs []Folder
	for _, counts := range [][2]int{{1, 255}, {256, 3}, {70_000, 0}} {
		f := AddressUser.New(&openBounds)
		var events []event
		for hour, n := range counts {
			for i := range n {
				e := event{table: columnar.HTTP, feed: "f", object: "o", record: int64(i), us: testDay + int64(hour)*3600e6}
				e.texts = map[columnar.Col]string{columnar.User: "ines", columnar.SrcIP: "10.5.0.4"}
				events = append(events, e)
			}
		}
		feedTo(f, AddressUser, events)
		runs = append(runs, f)
	}
	var got []int64
	for _, row := range merged(t, AddressUser, &openBounds, runs...) {
		got = append(got, row.Events)
	}
	if want := []int64{1 + 256 + 70_000, 255 + 3}; !slices.Equal(got, want) {
		t.Errorf("got %d events by hour, want %d", got, want)
	}
}
