package detect

import (
	"errors"
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
