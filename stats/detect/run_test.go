package detect

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp/cmpopts"

	gocmp "github.com/google/go-cmp/cmp"

	"outflow/stats/sigma"
)

func sortRows(rows []Row) {
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Or(a.Key.Compare(b.Key), cmp.Compare(a.Day, b.Day)) })
}

// seriesOf yields rows, sorted by key and day, key by key. It clears each slice after
// its step, as a detection must expect.
func seriesOf(rows []Row) iter.Seq2[Key, []Row] {
	return func(yield func(Key, []Row) bool) {
		var step []Row
		for rest := rows; len(rest) > 0; rest = rest[len(step):] {
			n := 1
			for n < len(rest) && rest[n].Key == rest[0].Key {
				n++
			}
			clear(step)
			step = append(step[:0], rest[:n]...)
			if !yield(rest[0].Key, step) {
				return
			}
		}
	}
}

func TestDescriptors(t *testing.T) {
	technique := regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)
	tactic := regexp.MustCompile(`^TA\d{4}$`)
	check := func(where, id string) {
		if !technique.MatchString(id) || len(tacticsOf(id)) == 0 {
			t.Errorf("%s: technique %q has no known form or tactic", where, id)
		}
	}
	for _, d := range All() {
		check(d.Name, d.Technique)
		if d.Title == "" || d.Score == nil || d.Needs == 0 && d.Aggregate != RuleDay || // the rules of RuleDay say what they need
			d.Risk() <= 0 || d.Risk() > 100 {
			t.Errorf("%s: incomplete", d.Name)
		}
		for _, part := range []string{"What it sees", "Why that means exfiltration", "Common false positives", "What it cannot see", "How to investigate"} {
			if !strings.Contains(d.Doc, part) {
				t.Errorf("%s: doc does not say %q", d.Name, part)
			}
		}
		for _, o := range Options(d) {
			if o.Key == "" || o.Doc == "" || strings.HasSuffix(o.Doc, ".") {
				t.Errorf("%s.%s: want a key and a doc without period", d.Name, o.Key)
			}
			if err := Set(d, o.Key, o.Value); err != nil {
				t.Errorf("a default cannot be set: %v", err)
			}
		}
		if err := Check(d); err != nil {
			t.Error(err)
		}
	}
	for _, technique := range kindTechniques {
		check("hosts", technique)
	}
	for _, q := range techniques {
		if !tactic.MatchString(q.Tactic) {
			t.Errorf("%s: tactic %q", q.ID, q.Tactic)
		}
	}
	if got := tacticsOf("T9999.001"); got != nil {
		t.Errorf("unknown technique: got %v, want none", got)
	}
}

func TestOptions(t *testing.T) {
	d := uploadZScore()
	o := d.Options.(*uploadZScoreOptions)
	if err := yaml.UnmarshalWithOptions([]byte("threshold: 4\nfloor: 1 GiB\ncold_floor: 7\nmethod: classic"), o, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if o.Threshold != 4 || o.Floor != 1<<30 || o.ColdFloor != 7 || o.Method != "classic" || o.MinDays != 7 {
		t.Errorf("got %+v", *o)
	}
	if err := yaml.UnmarshalWithOptions([]byte("treshold: 4"), o, yaml.Strict()); err == nil {
		t.Error("unknown key: got no error")
	}
	for _, c := range []struct{ key, value, err string }{
		{"floor", "2.5 MB", ""},
		{"floor", "-1", "want a number"},
		{"floor", "1e30", "want a number"},
		{"floor", "MB", "want a number"},
		{"threshold", "NaN", "finite"},
		{"threshold", "x", "want a number"},
		{"min_days", "-2", "negative"},
		{"min_days", "2.5", "whole"},
		{"method", "magic", "want one of robust, classic, seed"},
		{"nothing", "1", "no option"},
	} {
		before := *o
		err := Set(d, c.key, c.value)
		if c.err == "" {
			if err != nil {
				t.Errorf("%s=%s: %v", c.key, c.value, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "upload_zscore") {
			t.Errorf("%s=%s: got error %v, want %q", c.key, c.value, err, c.err)
		}
		if *o != before {
			t.Errorf("%s=%s: a refused value was kept", c.key, c.value)
		}
	}
	if o.Floor != 2.5e6 {
		t.Errorf("got floor %d, want 2500000", o.Floor)
	}
	o.Threshold = math.Inf(1)
	if err := Check(d); err == nil {
		t.Error("an infinite threshold: got no error")
	}
	if uploadZScore().Options.(*uploadZScoreOptions).Threshold != 3.5 {
		t.Error("a fresh detection shares options with another")
	}
}

func TestFoldFor(t *testing.T) {
	d := dnsEntropy()
	d.Options.(*dnsEntropyOptions).Entropy = 4
	if o := FoldFor([]*Detection{uploadRatio(), d}, false); o.Entropy != 4 || o.Length != 60 {
		t.Errorf("got %v and %v, want 4 and 60", o.Entropy, o.Length)
	}
	if o := FoldFor(nil, false); o.Entropy != 3.8 {
		t.Errorf("without dns_entropy: got %v, want its default", o.Entropy)
	}
}

func TestJudge(t *testing.T) {
	key := Key{Feed: "f", EntityType: "user", Entity: "ann", Object: "o"}
	finding := func(k Key, at int64, score float64) Finding {
		return Finding{Key: k, Window: [2]int64{at, at + 1}, Score: score}
	}
	d := &Detection{Name: "d", Technique: "T1567", Impact: 80, Confidence: 80}
	d.Score = func(in *Input) []Finding {
		if in.Own("x") || in.Flagged(key, 1) {
			t.Error("a nil function of the input is not never")
		}
		labelled := finding(key, 9, 1)
		labelled.Label, labelled.Severity = "known", Critical
		own := finding(key, 5, 1)
		own.RiskScore, own.Severity, own.Technique, own.Day = 20, High, "T1030", 3
		return []Finding{labelled, finding(key, 7, 1), finding(key, 7, 2), own}
	}
	got := Judge(d, &Input{Day: 10})
	want := []Finding{
		{Key: key, Day: 3, Detection: "d", Technique: "T1030", RiskScore: 60, Severity: High, Score: 1, Window: [2]int64{5, 6}},
		{Key: key, Day: 10, Detection: "d", Technique: "T1567", RiskScore: 64, Severity: High, Score: 2, Window: [2]int64{7, 8}},
		{Key: key, Day: 10, Detection: "d", Technique: "T1567", RiskScore: 16, Severity: Low, Score: 1, Window: [2]int64{9, 10}, Label: "known"},
	}
	if diff := gocmp.Diff(want, got, cmpopts.IgnoreFields(Finding{}, "UID")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	seen := map[string]bool{}
	for _, f := range got {
		if len(f.UID) != 16 || seen[f.UID] {
			t.Errorf("uid %q: want 16 digits, once", f.UID)
		}
		seen[f.UID] = true
	}
}

func TestUID(t *testing.T) {
	a := Finding{Detection: "d", Key: Key{Feed: "ab", EntityType: "c"}}
	b := Finding{Detection: "d", Key: Key{Feed: "a", EntityType: "bc"}}
	if uid("d", a.Key, 5) == uid("d", b.Key, 5) {
		t.Error("texts run together in the uid")
	}
	c := a
	c.Score, c.Summary.Events, c.Why, c.Window[1] = 9, 9, "x", 7
	if uid("d", a.Key, 5) != uid("d", c.Key, 5) {
		t.Error("the uid depends on what was measured")
	}
}

func TestRisk(t *testing.T) {
	f := func(feed, entity, detection, technique string, day Day, risk int) Finding {
		return Finding{Day: day, Detection: detection, Technique: technique, RiskScore: risk,
			Key: Key{Feed: feed, EntityType: "user", Entity: entity}}
	}
	allowed := f("p", "ann", "x", "T1567", 20, 90)
	allowed.Allowed = "backup"
	findings := []Finding{
		f("p", "ann", "a", "T1567.002", 20, 60), f("zeek", "ann", "a", "T1567.002", 20, 50),
		f("p", "ann", "b", "T1048.003", 20, 41), f("p", "ann", "b", "T1048.003", 13, 99), allowed,
		f("p", "bob", "a", "T1567", 20, 100), f("p", "dan", "a", "T1567", 20, 59),
		f("p", "cid", "a", "T1567", 14, 1), f("p", "cid", "b", "T1071.004", 15, 1), f("p", "cid", "c", "T1530", 16, 1), f("p", "cid", "d", "T1530", 17, 1),
	}
	// An upload of a day and one of a month are the same upload.
	slow := f("p", "eve", "upload_slow", "T1030", 20, 45)
	slow.Verdict, slow.Window[0] = uploadVerdict, -30*dayMicros
	fast := f("zeek", "eve", "upload_zscore", "T1567", 20, 49)
	fast.Verdict = uploadVerdict
	findings = append(findings, slow, fast)
	want := []EntityRisk{
		{EntityType: "user", Entity: "bob", Risk24h: 100, Risk7d: 100, Findings: 1, Tactics: []string{"TA0010"}, Detections: []string{"a"}, Notable: true},
		{EntityType: "user", Entity: "ann", Risk24h: 66, Risk7d: 66, Findings: 2, Tactics: []string{"TA0010"}, Detections: []string{"a", "b"}, Notable: true},
		{EntityType: "user", Entity: "dan", Risk24h: 59, Risk7d: 59, Findings: 1, Tactics: []string{"TA0010"}, Detections: []string{"a"}},
		{EntityType: "user", Entity: "eve", Risk24h: 49, Risk7d: 49, Findings: 1, Tactics: []string{"TA0010"}, Detections: []string{"upload_zscore"}},
		{EntityType: "user", Entity: "cid", Risk7d: 1, Findings: 4, Tactics: []string{"TA0009", "TA0010", "TA0011"}, Detections: []string{"a", "b", "c", "d"}, Notable: true},
	}
	if diff := gocmp.Diff(want, Risk(findings, 20, nil)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(findings), func(i, j int) { findings[i], findings[j] = findings[j], findings[i] })
	if diff := gocmp.Diff(want, Risk(findings, 20, nil)); diff != "" {
		t.Errorf("in another order, -want +got:\n%s", diff)
	}
}

// If this fails, a report calls new what has gone on for nights, or counts a day off as the
// end of it.
func TestStreaks(t *testing.T) {
	f := func(entity string, days ...Day) (out []Finding) {
		for _, d := range days {
			out = append(out, Finding{Day: d, Detection: "a", RiskScore: 50, Key: Key{EntityType: "user", Entity: entity}})
		}
		return out
	}
	allowed := f("cid", 19)
	allowed[0].Allowed = "backup"
	attributed := f("10.0.0.1", 19)
	attributed[0].EntityType, attributed[0].Person = "src_ip", "dan"
	findings := slices.Concat(f("ann", 20, 19, 16, 14), f("bob", 19, 18, 16), f("cid", 20, 18), allowed, f("dan", 20), attributed)
	entities := Risk(findings, 20, nil)
	Streaks(entities, findings, []Day{14, 15, 16, 19, 20}) // 17 and 18 have no logs
	got := map[string]string{}
	for _, e := range entities {
		got[e.Entity] = fmt.Sprint(e.Nights, " ", int(e.Since))
	}
	want := map[string]string{"ann": "3 16", "bob": "0 0", "cid": "1 20", "dan": "2 19"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("nights and their first, -want +got:\n%s", diff)
	}
}

func TestCloudHost(t *testing.T) {
	for _, c := range []struct{ host, want string }{
		{"s3.amazonaws.com", "Amazon S3"},
		{"bucket.s3.amazonaws.com", "Amazon S3"},
		{"my.bucket.s3.eu-west-1.amazonaws.com", "Amazon S3"},
		{"s3.eu-west-1.amazonaws.com", "Amazon S3"},
		{"s3-eu-west-1.amazonaws.com", "Amazon S3"},
		{"b.s3.dualstack.eu-west-1.amazonaws.com", "Amazon S3"},
		{"b.s3-fips.us-gov-west-1.amazonaws.com", "Amazon S3"},
		{"b.s3-accelerate.amazonaws.com", "Amazon S3"},
		{"b.s3-accelerate.dualstack.amazonaws.com", "Amazon S3"},
		{"ap-123.s3-accesspoint.eu-west-1.amazonaws.com", "Amazon S3"},
		{"b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com", "Amazon S3"},
		{"b.s3.cn-north-1.amazonaws.com.cn", "Amazon S3"},
		{"ec2.eu-west-1.amazonaws.com", ""},
		{"s3-.amazonaws.com", ""},
		{"notdropbox.com", ""},
		{"dropbox.com.evil.example", ""},
		{"content.dropboxapi.com", "Dropbox"},
		{"acme-my.sharepoint.com", "SharePoint"},
		{"acct.blob.core.windows.net", "Azure Storage"},
		{"acc.r2.cloudflarestorage.com", "Cloudflare R2"},
		{"s3.us-west-004.backblazeb2.com", "Backblaze B2"},
		{"b.fra1.digitaloceanspaces.com", "DigitalOcean Spaces"},
		{"b.oss-cn-shanghai.aliyuncs.com", "Alibaba OSS"},
		{"storage.googleapis.com", "Google Cloud Storage"},
		{"firebasestorage.googleapis.com", "Firebase Storage"},
		{"maps.googleapis.com", ""},
		{"gist.github.com", "GitHub Gist"},
		{"github.com", "GitHub"},
		{"files.slack.com", "Slack files"},
		{"hooks.slack.com", "Slack webhook"},
		{"slack.com", ""},
		{"us05web.zoom.us", ""},
		{"", ""}, {".", ""}, {"com", ""}, {"10.0.0.1", ""},
	} {
		got, ok := CloudHost([]byte(c.host))
		if got.Name != c.want || ok != (c.want != "") {
			t.Errorf("%s: got %q, want %q", c.host, got.Name, c.want)
		}
	}
	seen := map[string]string{}
	for _, c := range cloudCatalogue {
		if kindTechniques[c.kind] == "" {
			t.Errorf("%s: kind %q has no technique", c.name, c.kind)
		}
		for _, h := range strings.Fields(c.hosts) {
			if seen[h] != "" || h != strings.ToLower(h) {
				t.Errorf("%s: %s is not lower case, or also of %s", c.name, h, seen[h])
			}
			seen[h] = c.name
		}
	}
}

// Texts from a log must not break out of a finding's sentence.
func TestWhyIsOneLine(t *testing.T) {
	if got, want := printable("a\n\x1b[31mb\u202ec\xff"), "a\\n\\x1b[31mb\\u202ec\uFFFD"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := printable(strings.Repeat("a\x01", 100)); len(got) > 90 { // it grows by 5, so it passes 80
		t.Errorf("got %d bytes, want some 80: %s", len(got), got)
	}
	if got := printable(strings.Repeat("é", 100)); got != strings.Repeat("é", 80)+"…" {
		t.Errorf("got %s", got)
	}
	for _, c := range []struct {
		bytes float64
		want  string
	}{{0, "0 B"}, {999, "999 B"}, {999.7, "1 kB"}, {1234, "1.23 kB"}, {999.9e6, "1 GB"}, {4.2e9, "4.2 GB"}, {math.NaN(), "unknown"}} {
		if got := size(c.bytes); got != c.want {
			t.Errorf("%v: got %s, want %s", c.bytes, got, c.want)
		}
	}
}

func TestWeekend(t *testing.T) {
	for d := Day(-20); d < 20; d++ {
		want := d.Time().Weekday()%6 == 0
		if got := d.weekend(); got != want {
			t.Errorf("%s: got %v, want %v", d, got, want)
		}
	}
}

// No rows may break a detection: rows of one day, no rows, hostile numbers.
func TestScoreBearsAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	number := func() int64 {
		return [...]int64{0, 1, -1, 7, 1e6, 1e9, 1e15, math.MaxInt64, math.MinInt64}[r.IntN(9)]
	}
	for range 300 {
		var rows []Row
		for range r.IntN(60) {
			row := Row{Day: Day(r.IntN(40)), Key: Key{Feed: "f", EntityType: "user", Entity: []string{"a", "b\n", "", "é"}[r.IntN(4)],
				Object: []string{"", "s3.amazonaws.com", "pastebin.com", "x.y", ".", "a..b.c", "\xff.b.c"}[r.IntN(7)]}}
			row.Summary = Summary{Events: number(), BytesOut: number(), BytesIn: number(), KnownOut: number(), KnownIn: number(),
				Names: number(), NameBytes: number(), WindowEvents: number(), WindowBytes: number(), Odd: number(), MaxEntropy: r.Float64() * 9}
			rows = append(rows, row)
		}
		sortRows(rows)
		rows = slices.CompactFunc(rows, func(a, b Row) bool { return a.Key == b.Key && a.Day == b.Day })
		in := Input{Day: 39, Series: seriesOf(rows)}
		var covered []Day
		for d := range Day(r.IntN(40)) {
			covered = append(covered, d)
		}
		in.Covered = func(string) []Day { return covered }
		before := slices.Clone(rows)
		for _, d := range All() {
			for _, seed := range []bool{false, true} {
				if seed {
					if d.Seed == nil {
						continue
					}
					d.Seed()
				}
				a, b := Judge(d, &in), Judge(d, &in)
				if diff := gocmp.Diff(a, b, cmpopts.EquateNaNs()); diff != "" {
					t.Fatalf("%s: two runs differ: %s", d.Name, diff)
				}
				for _, f := range a {
					if strings.ContainsAny(f.Why, "\n\r\x1b") || math.IsNaN(f.Score) || f.RiskScore <= 0 {
						t.Fatalf("%s: bad finding %+v", d.Name, f)
					}
				}
			}
		}
		if !reflect.DeepEqual(before, rows) {
			t.Fatal("a detection changed its input")
		}
	}
}

func TestTechniques(t *testing.T) {
	form := regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)
	if !slices.IsSortedFunc(techniques, func(a, b Technique) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("techniques are not sorted by id")
	}
	for i, q := range techniques {
		if !form.MatchString(q.ID) || q.Name == "" || TacticName(q.Tactic) == q.Tactic {
			t.Errorf("technique %+v: want an id, a name and a known tactic", q)
		}
		if parent, ok := q.Parent(); ok && (parent.Name == "" || parent.Tactic != q.Tactic || strings.Contains(q.Name, ": ")) {
			t.Errorf("technique %+v: want its own name and, among Techniques, %+v", q, parent)
		}
		if i > 0 && techniques[i-1].ID == q.ID {
			t.Errorf("technique %s stands twice", q.ID)
		}
	}
	for _, d := range All() {
		if d.Technique != "" && TechniqueOf(d.Technique).Name == "" {
			t.Errorf("detection %s: technique %s is not in Techniques", d.Name, d.Technique)
		}
	}
	for _, k := range append(slices.Clip(downloadKinds[:]), downloadKind{service: fileServer}, downloadKind{service: webService}) {
		if id := techniqueOf(k.service); TechniqueOf(id).Name == "" {
			t.Errorf("downloads from %s: technique %s is not in Techniques", k.service, id)
		}
	}
}

// If this fails, a report names a technique that MITRE does not have, or has under another
// name or tactic.
func TestTechniquesAreMITREs(t *testing.T) {
	text, err := os.ReadFile("testdata/attack-18.1.tsv")
	if err != nil {
		t.Fatal(err)
	}
	type entry struct{ name, tactics string }
	published := map[string]entry{}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(strings.TrimSpace(line), "\t"); !strings.HasPrefix(line, "#") {
			published[cells[0]] = entry{cells[1], cells[2]}
		}
	}
	for _, q := range techniques {
		tactic := strings.ReplaceAll(strings.ToLower(TacticName(q.Tactic)), " ", "-")
		if p := published[q.ID]; p.name != q.Name || !slices.Contains(strings.Fields(p.tactics), tactic) {
			t.Errorf("got %s %q under %s, published is %q under %s", q.ID, q.Name, tactic, p.name, p.tactics)
		}
	}
	files, _ := sigma.Bundled()
	seed, _ := sigma.Seed()
	set, faults := sigma.Load(append(files, seed...), sigma.Options{})
	if len(set.Rules) == 0 {
		t.Fatal(faults)
	}
	for _, r := range set.Rules {
		ids := r.Techniques()
		if len(ids) == 0 {
			continue
		}
		for _, id := range ids {
			if published[id].name == "" {
				t.Errorf("rule %s: technique %s is not published", r.Ref(), id)
			}
		}
		if id := techniqueAmong(ids); TechniqueOf(id).Name == "" {
			t.Errorf("rule %s: its technique %s is not in Techniques", r.Ref(), id)
		}
	}
}
