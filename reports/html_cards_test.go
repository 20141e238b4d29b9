package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"outflow/stats/detect"
)

func cardsOf(t *testing.T, r *Report) *page {
	t.Helper()
	g, err := newGist(r)
	if err != nil {
		t.Fatal(err)
	}
	return newPage(r, g, MaxFull)
}

// If this fails, a reader meets a medium finding before a high one, or the cards and
// the list at the top have different orders.
func TestCardOrder(t *testing.T) {
	r := quietReport()
	for i, s := range []detect.Severity{detect.Medium, detect.High, detect.High, detect.Critical, detect.Info} {
		f := uploadFinding(fmt.Sprint("user", i), 1e9, s)
		r.Findings = append(r.Findings, f)
		r.Entities = append(r.Entities, detect.EntityRisk{EntityType: "user", Entity: f.Entity, Risk24h: []int{99, 60, 70, 50, 98}[i]})
	}
	inOrder(r)
	p := cardsOf(t, r)
	var got, decide []string
	for _, c := range p.Cards {
		got = append(got, c.Who.Text)
	}
	for _, c := range p.Decide {
		decide = append(decide, c.Who.Text)
	}
	if want := []string{"user3", "user2", "user1", "user0", "user4"}; !slices.Equal(got, want) || !slices.Equal(decide, want[:3]) {
		t.Errorf("got the cards %q and the decisions %q, want %q and the first 3", got, decide, want)
	}
}

// If this fails, an act is told before the one that led to it, as if it followed what went
// on meanwhile, or as somebody else's.
func TestCardStory(t *testing.T) {
	r := quietReport()
	sent := uploadFinding("alice", 2e9, detect.High)
	first := sent.Summary.First
	sent.Done = [2]int64{first + 3600e6, first + 7200e6} // the day began before
	packed := ruleFinding("pc-alice", "archive", `C:\Tools\7z.exe`)
	packed.Technique, packed.Person, packed.Title = "T1560.001", "alice", "Archive made"
	packed.Summary.First, packed.Summary.Last = first+1, first+1
	dns := dnsFinding("10.0.4.17", "a.example", detect.Medium)
	dns.Person, dns.Done = "alice", [2]int64{first + 5400e6, first + 9000e6}
	other := uploadFinding("bob", 1e9, detect.High)
	r.Findings = []detect.Finding{sent, packed, dns, other}
	inOrder(r)
	p := cardsOf(t, r)
	var got []string
	for i, a := range p.Cards[0].Acts {
		text := p.Cards[0].Steps[i].Time + " " + p.Cards[0].Steps[i].Stage + " "
		if a.Then {
			text += "then "
		}
		got = append(got, strings.TrimSpace(text+a.Title+a.Text+" "+a.Where.Text))
	}
	at := func(from, to int64) string {
		return utc(first+from).Format("15:04") + "–" + utc(first+to).Format("15:04")
	}
	want := []string{utc(first).Format("15:04") + ` collected Archive made: C:\Tools\7z.exe`, at(3600e6, 7200e6) + " sent then uploaded 2 GB (no single destination logged)",
		at(5400e6, 9000e6) + " sent sent 413 kB in DNS queries for a[.]example"}
	if !slices.Equal(got, want) || len(p.Cards) != 2 {
		t.Errorf("got %d cards, the first with %q, want 2 and %q", len(p.Cards), got, want)
	}
	if got := fmt.Sprint(p.Cards[0].Aliases); got != "[{pc-alice } {10.0.4.17 }]" && got != "[{10.0.4.17 } {pc-alice }]" {
		t.Errorf("got the other names %s, want the machine and the address", got)
	}
}

// If this fails, one upload is told as two acts, or two as one.
func TestSameBytes(t *testing.T) {
	r := quietReport()
	sent := uploadFinding("alice", 2e9, detect.High)
	sent.Object, sent.ObjectBytes = "drop.example", 1.9e9
	put := ruleFinding("alice", "cloud_put", "drop.example/a/")
	put.EntityType, put.Title, put.Summary.BytesOut = "user", "Files put into <a> bucket", 1.8e9
	small := put
	small.Object, small.Title, small.Summary.BytesOut = "hook: drop.example/hook", "Hook called", 5e3
	elsewhere := put
	elsewhere.Object, elsewhere.Title = "cloud_put: other.example/", "Files put elsewhere"
	tool := ruleFinding("alice", "rclone", `C:\rclone.exe`)
	tool.EntityType, tool.Title = "user", "Rclone ran"
	r.Findings = []detect.Finding{sent, put, small, elsewhere, tool}
	inOrder(r)
	c := cardsOf(t, r).Cards[0]
	var got []string
	for _, a := range c.Acts {
		got = append(got, a.Title+a.Text+" "+a.Where.Text+" "+strings.Join(a.Rules, ";"))
	}
	slices.Sort(got)
	want := []string{"Files put elsewhere (1.8 GB): other[.]example/ ", "Hook called (5 kB): drop[.]example/hook ", `Rclone ran: C:\rclone.exe `, "uploaded 1.9 GB to drop[.]example Files put into <a> bucket"}
	if !slices.Equal(got, want) || len(c.Steps) != 4 || c.ActsLeft != 0 || c.StepsLeft != 0 {
		t.Errorf("got %d steps: %q, want 4: %q", len(c.Steps), got, want)
	}
}

// If this fails, a card has another volume than findings.csv.
func TestUploaded(t *testing.T) {
	for _, c := range []struct {
		name            string
		object          string
		there           int64
		bytes, baseline float64
		want            string
	}{
		{"much of it normal", "", 0, 1.04e9, 65e6, "uploaded 1 GB (975 MB above normal; no single destination logged)"},
		{"nearly all unusual", "", 0, 6.43e9, 21e6, "uploaded 6.4 GB (no single destination logged)"},
		{"no normal", "", 0, 6.43e9, 0, "uploaded 6.4 GB (no single destination logged)"},
		{"not known what is normal", "", 0, 6.43e9, math.NaN(), "uploaded 6.4 GB (no single destination logged)"},
		{"part of the day", "a.example", 300e6, 1.04e9, 65e6, "uploaded 1 GB, 300 MB of it to"},
		{"most of the day", "a.example", 900e6, 1.04e9, 65e6, "uploaded 900 MB to"},
		{"all to one destination", "a.example", 1.04e9, 1.04e9, 65e6, "uploaded 1 GB (975 MB above normal) to"},
	} {
		f := uploadFinding("alice", c.bytes, detect.High)
		f.Object, f.ObjectBytes, f.Baseline = c.object, c.there, c.baseline
		a := newAct(&f, nil)
		if got := a.Title + a.Text; got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// If this fails, the page calls a destination not logged that a log names.
func TestMostly(t *testing.T) {
	r := quietReport()
	f := uploadFinding("alice", 2e9, detect.High)
	f.Mostly = "198.51.100.23"
	r.Findings = []detect.Finding{f}
	a := cardsOf(t, r).Cards[0].Acts[0]
	if got, want := a.Text+" "+a.Where.Text, "uploaded 2 GB, most of it to 198[.]51[.]100[.]23"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if p := newSankey(subjects(r)); p.Rows[0][1].Text != "198[.]51[.]100[.]23" {
		t.Errorf("got the destination %q in the picture", p.Rows[0][1].Text)
	}
}

// If this fails, an old finding looks new, or a new one old.
func TestSince(t *testing.T) {
	before := func(days ...detect.Day) []detect.Finding {
		var out []detect.Finding
		for _, d := range days {
			f := uploadFinding("alice", 1e9, detect.Low)
			f.Day = d
			out = append(out, f)
		}
		return out
	}
	allowed := before(sampleDay - 1)
	allowed[0].Allowed = "agreed"
	other := before(sampleDay - 1)
	other[0].Detection = "beacon"
	nights := []detect.Day{sampleDay - 4, sampleDay - 3, sampleDay - 2, sampleDay - 1}
	for _, c := range []struct {
		name    string
		earlier []detect.Finding
		nights  []detect.Day
		want    string
	}{
		{"no night before", nil, nil, ""},
		{"quiet nights before", nil, nights, "new"},
		{"the night before", before(sampleDay - 1), nights, "2nd night in a row"},
		{"two nights before", before(sampleDay-2, sampleDay-1), nights, "3rd night in a row"},
		{"a night that was not judged between", before(sampleDay-3, sampleDay-1), []detect.Day{sampleDay - 3, sampleDay - 1}, "3rd night in a row"},
		{"a gap", before(sampleDay-4, sampleDay-2), nights, "again, last on 18 Nov"},
		{"allowed before", allowed, nights, "new"},
		{"another detection before", other, nights, "new"},
	} {
		r := quietReport()
		r.Findings = []detect.Finding{uploadFinding("alice", 2e9, detect.High)}
		r.Earlier, r.EarlierDays = c.earlier, c.nights
		if got := cardsOf(t, r).Cards[0].Since; got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 111: "111th", 122: "122nd"} {
		if got := ordinal(n); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// If this fails, a worm's thousand machines hide the one person below them.
func TestSameFindings(t *testing.T) {
	r := quietReport()
	for i := range 500 {
		r.Findings = append(r.Findings, ruleFinding(fmt.Sprintf("pc%03d", i), "rclone", `C:\Tools\rclone.exe`))
	}
	for i := range sameCards - 1 {
		r.Findings = append(r.Findings, ruleFinding(fmt.Sprintf("srv%d", i), "curl", "/usr/bin/curl"))
	}
	r.Findings = append(r.Findings, uploadFinding("alice", 1e9, detect.Medium))
	inOrder(r)
	p := cardsOf(t, r)
	if got, want := len(p.Cards), 1+sameCards-1+1; got != want {
		t.Fatalf("got %d cards, want %d", got, want)
	}
	i := slices.IndexFunc(p.Cards, func(c card) bool { return c.Who.Text == "500 machines" })
	if i < 0 {
		t.Fatal("no card is about the 500 machines")
	}
	if c := p.Cards[i]; len(c.Members) != maxMembers || c.MoreThere != 500-maxMembers || c.StepsLeft != 499 {
		t.Errorf("got %d members and %d more, %d findings more, want %d, %d, 499", len(c.Members), c.MoreThere, c.StepsLeft, maxMembers, 500-maxMembers)
	}
}

// If this fails, a log's text ends a string of a query that an analyst pastes.
func TestQueries(t *testing.T) {
	f := uploadFinding(`a"b\c'd`, 1e9, detect.High)
	f.Object = "mega.example"
	said := map[string]string{}
	for _, q := range queries(&f, []string{"--out", "'my reports'"}) {
		said[strings.Fields(q.Tool)[0]] = q.Text
	}
	for tool, want := range map[string]string{
		"outflow": "outflow show --out 'my reports' 9b1c6e0d5f3a4427",
		"DuckDB,": "SELECT day, severity, detection, object, bytes_out, why\nFROM read_csv('../*/findings.csv', union_by_name = true)\nWHERE 'a\"b\\c''d' IN (entity, person) ORDER BY day;",
		"KQL":     "_Im_WebSession(starttime=datetime(2026-11-20T00:00:00Z), endtime=datetime(2026-11-21T00:00:00Z))\n| where SrcUsername =~ \"a\\\"b\\\\c'd\"\n| where Url has \"mega.example\"\n| summarize Sent=sum(SrcBytes), Requests=count() by SrcIpAddr, Url",
		"SPL":     "index=* earliest=1795132800 latest=1795219200 (tag=web OR tag=network) user=\"a\\\"b\\\\c'd\" \"mega.example\"\n| stats sum(bytes_out) AS sent count BY src user dest",
	} {
		if said[tool] != want {
			t.Errorf("%s:\ngot  %s\nwant %s", tool, said[tool], want)
		}
	}
	dns := dnsFinding("10.0.4.17", "evil.example", detect.High)
	process := ruleFinding("pc1", "rclone", `C:\Tools\rclone.exe`)
	for _, c := range []struct {
		f    *detect.Finding
		want []string
	}{
		{&dns, []string{"_Im_Dns(", `SrcIpAddr =~ "10.0.4.17"`, `DnsQuery endswith "evil.example"`, "bin(TimeGenerated, 1m)", `tag=dns src="10.0.4.17" query="*evil.example"`, "span=1m"}},
		{&process, []string{"_Im_ProcessCreate(", `DvcHostname =~ "pc1"`, `TargetProcessName has "rclone.exe"`, `tag=process dest="pc1" process="*rclone.exe*"`}},
	} {
		all := ""
		for _, q := range queries(c.f, nil) {
			all += q.Text + "\n"
		}
		for _, want := range c.want {
			if !strings.Contains(all, want) {
				t.Errorf("%s: no query has %s:\n%s", c.f.Detection, want, all)
			}
		}
	}
	f.Entity = strings.Repeat("x", 300)
	if got := queries(&f, nil); len(got) != 1 {
		t.Errorf("got %d queries about a name of 300 characters, want only outflow's", len(got))
	}
}
