package detect

import (
	"errors"
	"fmt"
	"iter"
	"testing"
)

// If this fails, a report says that no log names where a day's bytes went although one
// does, or it names a place that had little of them.
func TestLocate(t *testing.T) {
	key := func(entity, object string) Key {
		return Key{Feed: "flow", EntityType: "src_ip", Entity: entity, Object: object}
	}
	row := func(entity, object string, bytes int64) Row {
		return Row{Day: 10, Key: key(entity, object), Summary: Summary{BytesOut: bytes}}
	}
	rows := []Row{
		row("10.0.0.1", "", 100), row("10.0.0.1", "198.51.100.7", 51), row("10.0.0.1", "b.example", 49),
		row("10.0.0.2", "", 100), row("10.0.0.2", "a.example", 50), row("10.0.0.2", "b.example", 50),
		row("10.0.0.3", "a.example", 100),
	}
	yesterday := row("10.0.0.2", "a.example", 100)
	yesterday.Day--
	rows = append(rows, yesterday)
	finding := func(entity, object string) Finding {
		return Finding{Verdict: uploadVerdict, Day: 10, Key: key(entity, object), Window: Day(10).window(), Summary: Summary{BytesOut: 100}}
	}
	download := finding("10.0.0.1", "")
	download.Verdict = downloadVerdict
	findings := []Finding{finding("10.0.0.1", ""), finding("10.0.0.2", ""), finding("10.0.0.3", "b.example"), download}
	all := func(err error) iter.Seq2[*Row, error] {
		return func(yield func(*Row, error) bool) {
			for i := range rows {
				if !yield(&rows[i], nil) {
					return
				}
			}
			if err != nil {
				yield(nil, err)
			}
		}
	}
	if err := Locate(findings, all(nil)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"198.51.100.7", "", "", ""} {
		if got := findings[i].Mostly; got != want {
			t.Errorf("finding %d: got %q, want %q", i, got, want)
		}
	}
	broken := errors.New("broken")
	if err := Locate(findings, all(broken)); err != broken {
		t.Errorf("got %v, want the error of the rows", err)
	}
	other := finding("10.0.0.1", "c.example")
	other.Detection, other.Summary.BytesOut, other.ObjectBytes = "first_destination", 20, 20
	findings[0].Detection = "upload_zscore"
	if got := Join([]Finding{findings[0], other}); len(got) != 1 || got[0].Object != "c.example" || got[0].Mostly != "" {
		t.Errorf("got %d findings, the first to %q, mostly %q, want one to c.example", len(got), got[0].Object, got[0].Mostly)
	}
}

// If this fails, the report names a proxy's address for what others sent through it; or it takes a
// machine for a proxy though other logs explain only half of its bytes.
func TestLocateRelays(t *testing.T) {
	row := func(feed, kind, entity, object string, bytes int64) Row {
		return Row{Day: 10, Key: Key{Feed: feed, EntityType: kind, Entity: entity, Object: object}, Summary: Summary{BytesOut: bytes}}
	}
	for _, c := range []struct {
		name  string
		rows  []Row // of the proxy's log, beside that of the firewall
		label string
	}{
		{"all is known", []Row{row("proxy", "user", "ana", "a.example", 50e6), row("proxy", "user", "bob", "a.example", 31e6), row("proxy", "user", "cid", "b.example", 19e6)}, "relay"},
		{"a fifth is unknown", []Row{row("proxy", "user", "ana", "a.example", 50e6), row("proxy", "user", "bob", "a.example", 11e6), row("proxy", "user", "cid", "b.example", 19e6)}, "relay"},
		{"more than a fifth is unknown", []Row{row("proxy", "user", "ana", "a.example", 50e6), row("proxy", "user", "bob", "a.example", 10e6), row("proxy", "user", "cid", "b.example", 18e6)}, ""},
		{"more elsewhere is no excuse", []Row{row("proxy", "user", "ana", "a.example", 50e6), row("proxy", "user", "bob", "b.example", 500e6), row("proxy", "user", "cid", "b.example", 19e6)}, ""},
		{"two senders", []Row{row("proxy", "user", "ana", "a.example", 81e6), row("proxy", "user", "bob", "b.example", 19e6)}, ""},
		{"the same log", []Row{row("fw", "user", "ana", "a.example", 50e6), row("fw", "user", "bob", "a.example", 31e6), row("fw", "user", "cid", "b.example", 19e6)}, ""},
	} {
		rows := append([]Row{row("fw", "src_ip", "10.0.0.8", "", 100e6), row("fw", "src_ip", "10.0.0.8", "a.example", 81e6), row("fw", "src_ip", "10.0.0.8", "b.example", 19e6)}, c.rows...)
		findings := []Finding{{Verdict: uploadVerdict, Day: 10, Key: rows[0].Key, Window: Day(10).window(), Summary: rows[0].Summary, Severity: High, RiskScore: 72}}
		err := Locate(findings, func(yield func(*Row, error) bool) {
			for i := range rows {
				if !yield(&rows[i], nil) {
					return
				}
			}
		})
		severity, risk := High, 72
		if c.label != "" {
			severity, risk = Low, 18
		}
		if f := &findings[0]; err != nil || f.Label != c.label || f.Severity != severity || f.RiskScore != risk {
			t.Errorf("%s: got label %q, %v, risk %d and error %v, want %q, %v and %d", c.name, f.Label, f.Severity, f.RiskScore, err, c.label, severity, risk)
		}
	}
}

// If this fails, a folder that moves to where everybody works is as grave as a theft.
func TestLocateCrowd(t *testing.T) {
	const day = Day(10)
	for _, c := range []struct {
		users, entities int
		place, used     string // where one sent, and what the users use
		split           bool   // it sent to several hosts
		want            Severity
	}{
		{10, 30, "tenant.example", "tenant.example", false, Medium}, {10, 31, "tenant.example", "tenant.example", false, High}, {9, 12, "tenant.example", "tenant.example", false, High},
		{4, 80, "p58-content.icloud.com", "gateway.icloud.com", false, Medium}, {4, 81, "p58-content.icloud.com", "gateway.icloud.com", false, High}, {3, 12, "p58-content.icloud.com", "gateway.icloud.com", false, High},
		{4, 60, "17.248.9.9", "17.57.1.1", false, Medium}, {4, 60, "17.248.9.9", "170.248.9.9", false, High}, {4, 60, "content.dropboxapi.com", "www.dropbox.com", false, High},
		{4, 60, "17.248.9.1", "17.57.1.1", true, Medium},
	} {
		var rows []Row
		add := func(who, object string, bytes int64, uses ...string) {
			rows = append(rows, Row{Day: day, Key: Key{Feed: "flow", EntityType: "src_ip", Entity: who, Object: object}, Summary: Summary{BytesOut: bytes, Destinations: uses}})
		}
		for i := range c.entities {
			uses := []string{"a.example"}
			if i < c.users {
				uses = append(uses, c.used)
			}
			add(fmt.Sprintf("10.0.0.%d", i), "", 3e9, uses...)
		}
		if c.split {
			add("10.0.0.0", "17.248.9.1", 1e9)
			add("10.0.0.0", "17.248.9.2", 7e8)
		} else {
			add("10.0.0.0", c.place, 2e9)
		}
		for i := range 50 { // they knock at the firewall
			add(fmt.Sprintf("198.51.100.%d", i), "", 100)
		}
		findings := []Finding{{Verdict: uploadVerdict, Day: day, Key: rows[0].Key, Window: day.window(), Summary: rows[0].Summary, Severity: High, RiskScore: 72}}
		err := Locate(findings, func(yield func(*Row, error) bool) {
			for i := range rows {
				if !yield(&rows[i], nil) {
					return
				}
			}
		})
		if got := findings[0].Severity; err != nil || got != c.want {
			t.Errorf("%d of %d at %s: got %v and error %v, want %v", c.users, c.entities, c.place, got, err, c.want)
		}
	}
}
