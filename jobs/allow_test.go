package jobs

import (
	"testing"

	"outflow/stats/detect"
)

// If this fails, an entry for one destination of a person also hides the same upload to
// another one on the next day, or does not accept the upload that it was written for.
func TestAllowJoined(t *testing.T) {
	const day = detect.Day(20_000)
	finding := func(detection, object string, out int64, on detect.Day) detect.Finding {
		f := detect.Finding{Detection: detection, Verdict: "upload", Key: detect.Key{EntityType: "user", Entity: "anna", Object: object}, Day: on, RiskScore: 50}
		f.Window = [2]int64{on.Time().UnixMicro(), (on + 1).Time().UnixMicro()}
		f.Summary.BytesOut, f.Summary.KnownOut, f.Summary.Events = out, 1, 1
		return f
	}
	slow := finding("upload_slow", "a.example", 100e6, day+4)
	slow.Window[0] = (day - 20).Time().UnixMicro()
	findings := []detect.Finding{
		// What the entry was written for: a destination, by two detections and two feeds, and the day's total.
		finding("cloud_upload", "a.example", 850e6, day),
		finding("first_destination", "a.example", 850e6, day),
		finding("upload_zscore", "", 880e6, day),
		// The same to another destination.
		finding("cloud_upload", "b.example", 850e6, day+1),
		finding("upload_zscore", "", 880e6, day+1),
		// A tenth and more went elsewhere.
		finding("cloud_upload", "a.example", 850e6, day+2),
		finding("upload_zscore", "", 950e6, day+2),
		// Two detections do not make twice the bytes.
		finding("cloud_upload", "a.example", 50e6, day+3),
		finding("first_destination", "a.example", 50e6, day+3),
		finding("upload_zscore", "", 100e6, day+3),
		// Bytes of many days do not account for one.
		slow,
		finding("upload_zscore", "", 100e6, day+4),
	}
	want := []bool{true, true, true, false, false, true, false, true, true, false, true, false}
	a := &Allow{Detection: "upload", User: "anna", Domain: "a.example", Reason: "agreed", Expires: "2099-01-01", user: "anna"}
	if err := a.check(); err != nil {
		t.Fatal(err)
	}
	allow([]*Allow{a}, findings)
	for i := range findings {
		if got := findings[i].Allowed != ""; got != want[i] {
			t.Errorf("finding %d, %s of %d bytes to %q on %s: got allowed %v, want %v", i, findings[i].Detection, findings[i].Summary.BytesOut,
				findings[i].Object, findings[i].Day, got, want[i])
		}
	}
	// An entry for another detection or person accepts no total.
	for _, other := range []*Allow{
		{Detection: "cloud_upload", User: "anna", Domain: "a.example", Reason: "agreed", user: "anna", expires: day + 9},
		{Detection: "upload", User: "ben", Domain: "a.example", Reason: "agreed", user: "ben", expires: day + 9},
	} {
		first := []detect.Finding{finding("cloud_upload", "a.example", 850e6, day), finding("upload_zscore", "", 880e6, day)}
		if allow([]*Allow{other}, first); first[1].Allowed != "" {
			t.Errorf("an entry for %s accepts the total", other)
		}
	}
}
