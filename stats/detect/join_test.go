package detect

import (
	"slices"
	"testing"
)

// tunnelRow is a client's day with a domain that all four DNS detections find.
func tunnelRow(domain string) Row {
	return Row{Day: 10, Key: Key{Feed: "dns", EntityType: "src_ip", Entity: "10.0.0.1", Object: domain}, Summary: Summary{
		Events: 900, First: 10 * dayMicros, Last: 10*dayMicros + 1, Names: 900, NameBytes: 90_000, WindowEvents: 700, WindowNames: 690, WindowBytes: 70_000,
		Odd: 890, MaxEntropy: 4.9, MaxLength: 120, Scored: 900, Over: 880, OverBytes: 88_000, OverScore: 870e6, MaxScore: 999_000,
		Likely: "x." + domain, Examples: []string{"x." + domain}}}
}

func judgeAll(dets []*Detection, rows ...Row) []Finding {
	var all []Finding
	for _, d := range dets {
		if d.Aggregate == ObjectDay {
			continue // its rows count other things by the same measures
		}
		all = append(all, Judge(d, &Input{Day: 10, Series: seriesOf(rows)})...)
	}
	return all
}

// If this fails, one tunnel gives several findings, or its risk is not the joint risk
// of all of them.
func TestJoin(t *testing.T) {
	dets := All()
	apart := judgeAll(dets, tunnelRow("quill.example"), tunnelRow("spamhaus.org"))
	if len(apart) != 8 {
		t.Fatalf("got %d findings, want four for each domain", len(apart))
	}
	got := Join(apart)
	if len(got) != 2 {
		t.Fatalf("got %d findings, want one for each domain: %+v", len(got), got)
	}
	f := got[0]
	// 68, 45, 36 and 30: 100 − 100·.32·.55·.64·.70 = 92.1
	if f.Detection != "dns_information" || !slices.Equal(f.Also, []string{"dns_model", "dns_volume", "dns_entropy"}) || f.RiskScore != 92 || f.Severity != High {
		t.Errorf("got %s and %v, risk %d, severity %v", f.Detection, f.Also, f.RiskScore, f.Severity)
	}
	// A quarter of each, rounded up: 17, 12, 9 and 8.
	if f := got[1]; f.Label == "" || f.RiskScore != 38 || f.Severity != Low {
		t.Errorf("labelled: got %q, risk %d, severity %v, want 38 and low", f.Label, f.RiskScore, f.Severity)
	}
	if e := Risk(got, 10, nil); len(e) != 1 || e[0].Risk24h != 93 || len(e[0].Detections) != 4 {
		t.Errorf("risk: got %+v", e)
	}
	// Each of them alone gives the same finding.
	for _, one := range apart {
		if one.UID != f.UID && one.UID != got[1].UID {
			t.Errorf("%s alone has the uid %s, all together %s", one.Detection, one.UID, f.UID)
		}
	}
}

// If this fails, a risk is a point too low: 1 − 0.7 is not 0.3 in floating point.
func TestJoinedRisk(t *testing.T) {
	for _, c := range []struct{ a, b, want int }{{70, 50, 85}, {100, 30, 100}, {45, 1, 45}, {0, 0, 0}, {60, 50, 80}} {
		if f := joined([]*Finding{{Detection: "a", RiskScore: c.a}, {Detection: "b", RiskScore: c.b}}); f.RiskScore != c.want {
			t.Errorf("%d and %d: got %d, want %d", c.a, c.b, f.RiskScore, c.want)
		}
	}
}

// If this fails, an allowed finding counts, or hides one that is not allowed.
func TestJoinAllowed(t *testing.T) {
	dets := All()
	for _, c := range []struct {
		allowed  []string
		findings int
		open     string
	}{
		{nil, 1, "dns_information"},
		{[]string{"dns_information"}, 2, "dns_model"},
		{[]string{"dns_information", "dns_model", "dns_volume", "dns_entropy"}, 1, ""},
	} {
		apart := judgeAll(dets, tunnelRow("quill.example"))
		for i := range apart {
			if slices.Contains(c.allowed, apart[i].Detection) {
				apart[i].Allowed = "known"
			}
		}
		got := Join(apart)
		open, uids := "", map[string]bool{}
		for _, f := range got {
			uids[f.UID] = true
			if f.Allowed == "" {
				open += f.Detection
			}
		}
		if len(got) != c.findings || open != c.open || len(uids) != len(got) {
			t.Errorf("%v allowed: got %d findings with %d uids, open %q, want %d, open %q", c.allowed, len(got), len(uids), open, c.findings, c.open)
		}
	}
}

// If this fails, the findings of the original rules are joined.
func TestSeedsAreNotJoined(t *testing.T) {
	for _, d := range Seeded(All()) {
		if d.Verdict != "" {
			t.Errorf("%s: verdict %s under profile seed", d.Name, d.Verdict)
		}
	}
}

// If this fails, one person's upload is several findings, bytes of two feeds add up, or
// the joined finding cannot be told from a part by the allow-list or the baselines.
func TestJoinPerson(t *testing.T) {
	part := func(detection, feed, object string, risk int, severity Severity, out int64) Finding {
		return Finding{Detection: detection, Verdict: uploadVerdict, Day: 10, RiskScore: risk, Severity: severity, Observed: float64(out), Unit: "B/day", Why: detection + " says so.",
			Key: Key{Feed: feed, EntityType: "user", Entity: "ann", Object: object}, Summary: Summary{BytesOut: out}}
	}
	got := Join([]Finding{
		part("cloud_upload", "proxy", "a.mega.nz", 42, Medium, 800e6), part("cloud_upload", "proxy", "b.mega.nz", 42, Medium, 100e6),
		part("upload_zscore", "proxy", "", 49, Medium, 900e6), part("upload_zscore", "zeek", "", 49, Medium, 950e6),
	})
	if len(got) != 1 {
		t.Fatalf("got %d findings, want one", len(got))
	}
	f := got[0]
	// 100 − .51·.58·100 = 70.4: each detection once.
	if f.Feed != "zeek" || f.Object != "a.mega.nz" || f.Summary.BytesOut != 950e6 || f.RiskScore != 70 || f.Severity != High || len(f.Parts) != 4 || !slices.Equal(f.Also, []string{"cloud_upload"}) {
		t.Errorf("got %+v", f)
	}
	const also = "upload_zscore says so. Also: 900 MB (upload_zscore in feed proxy); 800 MB to a.mega.nz (cloud_upload in feed proxy); 100 MB to b.mega.nz (cloud_upload in feed proxy)."
	if f.Why != also {
		t.Errorf("got %s\nwant %s", f.Why, also)
	}
	if got := Join([]Finding{part("upload_zscore", "p", "", 49, Medium, 9e8), part("upload_ratio", "p", "", 25, Low, 9e8)})[0]; got.RiskScore != 51 || got.Severity != Medium { // 49 + (59 − 49)·.25
		t.Errorf("a low finding: got risk %d and %v, want 51 and medium", got.RiskScore, got.Severity)
	}
}

// If this fails, an entity's risk is less than that of a finding, many weak findings are
// as grave as a strong one, or the criticality does not count. The numbers are Python's.
func TestCombined(t *testing.T) {
	for _, c := range []struct {
		risks []int
		word  string
		want  int
	}{
		{[]int{100}, "", 100}, {[]int{60}, "", 60}, {[]int{40, 92}, "", 93}, {[]int{50, 50}, "medium", 60}, {[]int{49, 49}, "", 59}, {[]int{45, 45, 45}, "", 60},
		{[]int{15, 15, 15, 15, 15, 15, 15, 15, 15, 15}, "", 27},
		{[]int{50}, "high", 60}, {[]int{43}, "extreme", 60}, {[]int{70}, "low", 53}, {[]int{90}, "low", 81}, {nil, "extreme", 0},
	} {
		if got := combined(c.risks, c.word); got != c.want {
			t.Errorf("%v, %q: got %d, want %d", c.risks, c.word, got, c.want)
		}
	}
}
