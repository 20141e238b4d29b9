package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"outflow/columnar"
	"outflow/stats/detect"
)

// Names with which a log could break a cell, a page or a terminal.
var hostile = []string{
	`<script>alert(1)</script>`,
	`=cmd|'/C calc'!A0`,
	"\x1b[31mred\x1b]8;;http://evil.example\x07link\x1b[0m",
	"invoice\u202egnp.exe",
	"nul\x00l",
	"bad\xff\xfeutf8",
	strings.Repeat("long-user-name-", 700),
	`" onmouseover="alert(1)" x="`,
	"＝1+1",
	"tab\tnew\r\nline;semi",
	"محمد",
	"{{.Style}}</style><img src=x onerror=alert(1)>",
}

const sampleDay = detect.Day(20777) // 2026-11-20, a Friday

func at(d detect.Day, hour, minute int) int64 {
	return d.Time().Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute).UnixMicro()
}

func sampleDetections() []*detect.Detection {
	return []*detect.Detection{
		{
			Name: "upload_zscore", Title: "upload volume far above the user's normal", Technique: "T1567.002", Impact: 80, Confidence: 80,
			Doc: `Sees a user who sends out far more on a day than on the days before.

People's upload volume is steady from week to week. Somebody who takes data
along must send it, and that shows against their own past, whatever the
destination and the tool.

Innocent: the first backup of a new laptop, a video upload, a moved home folder.

It cannot see what stays under the daily limit, and nothing at all where the
log does not say how much was sent.

To investigate:
- see where it went, and whether that place is the company's;
- compare the time of day with the user's working hours;
- ask for the purpose, not for the files.`,
			Options: &struct {
				Z        float64  `yaml:"z" unit:"robust standard deviations" doc:"Less finds more, and raises about three times as many false alerts per step of 0.5."`
				MinBytes int64    `yaml:"min_bytes" unit:"B" doc:"A day below this is never reported: nobody looks at it."`
				MinDays  int      `unit:"days" doc:"With fewer days of history the peers' limit is used."`
				Strata   bool     `doc:"Judge weekdays by weekdays and weekends by weekends."`
				Methods  []string `doc:"HTTP methods whose bytes are an upload."`
			}{3.5, 10_000_000, 7, true, []string{"PUT", "POST"}},
		},
		{
			Name: "upload_ratio", Title: "more sent than received", Technique: "T1567", Impact: 60, Confidence: 50,
			Doc:     "Sees a user whose day is mostly upload.\n\nTo investigate, look at the destinations.",
			Options: &struct{ Ratio float64 }{0.8},
		},
		{
			Name: "dns_information", Title: "data carried in DNS names", Technique: "T1048.003", Impact: 90, Confidence: 80,
			Doc: "Sees a source that asks for many new names below one domain: what a tunnel moves must stand in names that nobody asked for before.\n\nInvestigate: ask which process on the source sent the queries.",
			Options: &struct {
				WindowBytes int64 `unit:"B" doc:"Bytes of distinct subdomains in any 5 minutes."`
			}{500},
		},
	}
}

// sampleTimeline has four quiet weeks with an odd day in them, and a loud end.
func sampleTimeline(last float64) []detect.Point {
	var points []detect.Point
	for i := range detect.Day(30) {
		day := sampleDay - 29 + i
		v := 28e6 + 9e6*math.Sin(float64(i)*1.7)
		low, mid, up := 11e6, 31e6, 64e6
		trained := true
		switch wd := day.Time().Weekday(); {
		case wd == time.Saturday || wd == time.Sunday:
			v, low, mid, up = 2e6, 0.5e6, 2e6, 9e6
		case i == 12:
			v, trained = 210e6, false
		case i == 29:
			v = last
		}
		points = append(points, detect.Point{Day: day, Value: math.Round(v), Low: low, Mid: mid, Up: up, Trained: trained && i < 29})
	}
	return points
}

func uploadFinding(user string, out float64, s detect.Severity) detect.Finding {
	return detect.Finding{
		UID: "9b1c6e0d5f3a4427", Day: sampleDay, Detection: "upload_zscore", Technique: "T1567.002", Severity: s, RiskScore: 64,
		Key:   detect.Key{Feed: "squid", EntityType: "user", Entity: user},
		Score: 11.4375, Threshold: 3.5, Observed: out, Baseline: 31e6, Unit: "B/day",
		Window: [2]int64{at(sampleDay, 0, 0), at(sampleDay+1, 0, 0)},
		Summary: detect.Summary{
			Events: 1204, BytesOut: int64(out), BytesIn: 120_400_000, KnownOut: 1180, KnownIn: 1204, Addresses: 3,
			First: at(sampleDay, 7, 58), Last: at(sampleDay, 23, 41) + 250_000, Hours: 0b1110_0000_0000_0011_1000_0000,
			PeakOut: 1_100_000_000, PeakTime: at(sampleDay, 22, 14), Evidence: "s3://logs/squid/2026/11/20/access.log.gz:88123",
			Activity: fmt.Sprintf("h7:%.0f %.0f 21:%.0f %.0f", .02*out, .03*out, .15*out, .8*out),
		},
		Why:      fmt.Sprintf("%s sent out %s on Friday, 135 times the median of 31 MB over 28 days; only 0.01 %% of such days are that large.", user, byteSize(out)),
		Timeline: sampleTimeline(out),
	}
}

func dnsFinding(source, domain string, s detect.Severity) detect.Finding {
	return detect.Finding{
		UID: "77aa01c2d3e4f506", Day: sampleDay, Detection: "dns_information", Technique: "T1048.003", Severity: s, RiskScore: 72,
		Key:   detect.Key{Feed: "dnsmasq", EntityType: "src_ip", Entity: source, Object: domain},
		Score: 14280, Threshold: 500, Observed: 14280, Baseline: math.NaN(), Unit: "B/5min",
		Window: [2]int64{at(sampleDay, 2, 5), at(sampleDay, 2, 10)},
		Summary: detect.Summary{
			Events: 3120, First: at(sampleDay, 2, 1), Last: at(sampleDay, 4, 33), Hours: 0b11100, Evidence: "pihole.log:401",
			Names: 3080, NameBytes: 412_880, WindowEvents: 1203, WindowAt: at(sampleDay, 2, 5), WindowNames: 1190, WindowBytes: 14280, BytesAt: at(sampleDay, 2, 5),
			Odd: 2990, MaxEntropy: 4.4375, MaxLength: 190, Rare: 3000, NXDomain: 12,
			Scored: 3080, Over: 3071, OverBytes: 411_904, OverScore: 3_051_000_000, MaxScore: 998_112,
			Likely: "onqwy5dnmfzhg2bbmv4gc3lqnrs.qmzrxg43vpb2gs3th." + domain, Signs: "45 bytes before the domain, 4.4 bits of entropy a byte",
			Examples: []string{"mzxw6ytboi4dsmrqgyzdsojtgaytcmbr.abzxw6ytboi4dsmr." + domain, "00e1a." + domain},
			Activity: "m121:40 41 39 200:1400 1400 273:200",
		},
		Why:  source + " moved up to 14 kB in 5 minutes inside names below " + domain + ", where ordinary domains stay below 500 B.",
		Also: []string{"dns_model", "dns_volume"},
	}
}

// sampleReport is a night with findings of each severity, and with everything that
// a log could use against its reader.
func sampleReport() *Report {
	r, userDays, domains := quietTables()
	userDays[0].BytesOut, userDays[1].BytesOut = 4_187_000_000, 402_000_000
	r.Findings = []detect.Finding{
		uploadFinding("alice.hartmann", 4_187_000_000, detect.Critical),
		dnsFinding("10.0.4.17", "updates-cdn.evil.example", detect.High),
		uploadFinding("bob", 402_000_000, detect.Medium),
	}
	first := &r.Findings[0].Summary
	first.Places = []string{detect.Place{Time: first.PeakTime, Bytes: first.PeakOut, At: first.Evidence}.String()}
	for i := range int64(4) {
		first.Places = append(first.Places, detect.Place{Time: first.PeakTime + i*90e6, Bytes: first.PeakOut - i*1_000_000, At: fmt.Sprintf("s3://logs/squid/2026/11/20/access.log.gz:%d", 88130+i)}.String())
	}
	r.Records = map[string]LogRecord{
		first.Evidence: NewLogRecord("1795212840.117 90412 10.0.4.17 TCP_TUNNEL/200 1100000000 CONNECT mega.example:443 alice.hartmann HIER_DIRECT/198.51.100.7 -", true),
		"s3://logs/squid/2026/11/20/access.log.gz:88130": NewLogRecord(strings.Repeat("long ", 200), false),
		"s3://logs/squid/2026/11/20/access.log.gz:88131": {Missing: "the log has no such record now"},
		"s3://logs/squid/2026/11/20/access.log.gz:88132": {Missing: "the log has no such record now"},
	}
	ratio := uploadFinding("alice.hartmann", 4_187_000_000, detect.Medium)
	ratio.Detection, ratio.Technique, ratio.Unit, ratio.Object = "upload_ratio", "T1567", "", "mega.example"
	ratio.Score, ratio.Threshold, ratio.Observed, ratio.Baseline = 34.8, 0.8, 34.8, 0.2
	ratio.Why, ratio.Timeline, ratio.UID = "alice.hartmann sent mega.example 35 bytes for each one received; the usual is one for five.", nil, "0c"
	r.Findings = append(r.Findings, ratio)
	labelled := dnsFinding("10.0.4.20", "sophosxl.example", detect.Low)
	labelled.Label, labelled.UID = "a reputation service of an antivirus product", "0d"
	for i, name := range hostile {
		f := uploadFinding(name, 90e6, detect.Severity(i%2)) // low and info
		f.Timeline, f.UID, f.Score = nil, fmt.Sprintf("h%02d", i), math.Inf(1)
		f.Object, f.Label, f.Summary.Evidence = name, name, name
		f.Summary.Places = []string{detect.Place{Time: f.Summary.PeakTime, Bytes: f.Summary.PeakOut, At: name, Host: name, Parent: name, PID: 4242}.String(), name,
			detect.Place{At: name + " "}.String()}
		f.Summary.Examples = []string{name, "=1;" + name}
		r.Records[name] = NewLogRecord(name, false)
		r.Records[name+" "] = LogRecord{Missing: name}
		r.Findings = append(r.Findings, f)
		r.Inputs = append(r.Inputs, Input{Name: name, Feed: name, Format: "squid", Table: "http", Size: 1, Records: 3, Rows: 2, Skipped: 1, Reasons: []string{name, "a;b"}, Error: name, First: 1, Last: 2,
			Status: Damaged, Kinds: []Kind{{name, 2}, {"a;b", 1}}})
		r.Inputs = append(r.Inputs, Input{Name: name + ".pic", Size: 7, Status: NoLog, NoLog: name, Error: name})
		r.Entities = append(r.Entities, detect.EntityRisk{EntityType: "user", Entity: name, Risk24h: 5, Risk7d: 5, Findings: 1, Tactics: []string{name}, Detections: []string{name}})
		userDays = append(userDays, UserDay{Row: &detect.Row{Day: sampleDay, Key: detect.Key{Feed: name, EntityType: name, Entity: name}, Summary: detect.Summary{Events: 2, BytesOut: 90e6}}, BaselineMedian: math.NaN(), BaselineUpper: math.NaN(), Z: math.NaN(), Ratio: 0.5})
		domains = append(domains, detect.Row{Day: sampleDay, Key: detect.Key{Feed: "dnsmasq", EntityType: "src_ip", Entity: name, Object: name}, Summary: detect.Summary{Events: 4, Names: 2, NameBytes: 300, Examples: []string{name}}})
		r.Warnings = append(r.Warnings, "Late: "+name)
	}
	allowed := uploadFinding("backup-svc", 61e9, detect.High)
	allowed.Allowed, allowed.UID = "nightly off-site backup, agreed with J. Doe", "0e"
	labelled.PersonBy = "shared: bob 92 %, carol 8 % (squid)"
	for i := range r.Findings {
		if f := &r.Findings[i]; f.EntityType == "src_ip" && f.Detection == "dns_information" && f.Person == "" {
			f.Person, f.PersonBy = "alice.hartmann", "host pc-hartmann by <dhcp>, sysmon, 38 events"
		}
	}
	r.Findings = append(r.Findings, labelled)
	slices.SortStableFunc(r.Findings, func(a, b detect.Finding) int { return int(b.Severity) - int(a.Severity) })
	r.Findings = append(r.Findings, allowed)
	r.Entities = append([]detect.EntityRisk{
		{EntityType: "user", Entity: "alice.hartmann", Risk24h: 86, Risk7d: 91, Findings: 2, Nights: 3, Since: 20775,
			Tactics: []string{"TA0010"}, Detections: []string{"upload_ratio", "upload_zscore"}, Notable: true},
		{EntityType: "src_ip", Entity: "10.0.4.17", Risk24h: 55, Risk7d: 55, Findings: 1,
			Tactics: []string{"TA0010"}, Detections: []string{"dns_information"}},
		{EntityType: "user", Entity: "bob", Risk24h: 49, Risk7d: 58, Findings: 1,
			Tactics: []string{"TA0010"}, Detections: []string{"upload_zscore"}},
	}, r.Entities...)
	r.Blind = []Blind{
		{"squid", "http", "upload_ratio", "bytes_in", 1_204_331, "The ratio of 1,204,331 requests in squid could not be judged: the log never says how much was received.", "Add %<st to the log format.", ""},
		{"dnsmasq", "dns", "dns_information", "", 0, "Only 3 days of history are there for dnsmasq.", "Run outflow backfill for the days before 2026-11-17.", ""},
		{"", "dns", "dns_entropy, dns_volume", "", 0, "No log with rows of dns was read.", "Add one: outflow list tables says which formats have such rows.", "dns_entropy, dns_volume"},
	}
	r.Inputs = append(r.Inputs, Input{Name: "s3://logs/squid/2026/11/20/access-17.log.gz", Feed: "squid", Format: "squid", Size: 8_112_000, Status: Unreadable, Error: "decode s3://logs/squid/2026/11/20/access-17.log.gz: unexpected EOF after 8.1 MB; upload it again"})
	r.Inputs = append(r.Inputs,
		Input{Name: "logs/notes.txt", Size: 90, Status: Unknown, Error: "unrecognised format"},
		Input{Name: "logs/letter.txt", Size: 91, Status: Unknown, Error: "unrecognised format"},
		Input{Name: "logs/odd.log", Feed: "dnsmasq", Format: "dnsmasq", Size: 91, Records: 8, Other: 1, Skipped: 7, Status: Malformed, Reasons: []string{"no query (7, first at record 1)"}, Faults: []Kind{{"no query", 7}}},
		Input{Name: "logs/strange.log", Feed: "dnsmasq", Format: "dnsmasq", Size: 91, Records: 8, Other: 8, Status: Unnamed},
		Input{Name: "logs/none.log", Status: Empty, Error: "is empty"},
		Input{Name: "logs/scan.png", Status: NoLog, NoLog: "PNG", Error: "not a log: PNG"})
	r.Inputs[0].Unattributed, r.Inputs[0].Unplaced = Volume{5, 4_500_000_000, 5}, Volume{2, 7_000, 0}
	r.Destinations, r.Matches = each(sampleDestinations()), each(sampleMatches())
	r.Beacons = sampleBeacons()
	var scores []detect.Row
	for _, d := range domains {
		d.Summary = detect.Summary{Events: 2, Last: at(sampleDay, 3, 4), Names: 1, Scored: 1, Over: 1, MaxScore: 987_654, Examples: d.Examples[:1]}
		scores = append(scores, d)
	}
	r.UserDays, r.Domains, r.Scores = each(userDays), each(domains), each(scores)
	return r
}

// sampleDestinations are more than cloud_uploads.csv shows. The smallest has a hostile
// name.
func sampleDestinations() (rows []detect.Row) {
	add := func(feed, entity, object string, out, known int64) {
		rows = append(rows, detect.Row{Day: sampleDay, Key: detect.Key{Feed: feed, EntityType: "user", Entity: entity, Object: object},
			Summary: detect.Summary{Events: 3, BytesOut: out, KnownOut: known, First: at(sampleDay, 9, 0), Last: at(sampleDay, 9, 59),
				PeakOut: out / 2, PeakTime: at(sampleDay, 9, 30), Evidence: "access.log.gz:17"}})
	}
	add("squid", "alice.hartmann", "content.dropboxapi.com", 4_100_000_000, 3)
	add("squid", "alice.hartmann", "evil.s3.eu-west-1.amazonaws.com", 77_000_000, 3)
	add("squid", "bob", "content.dropboxapi.com", 402_000_000, 3)
	add("squid", "carol", "content.dropboxapi.com", 0, 0) // the amount is not known
	for i, name := range hostile {
		add(name, name, name, 90e6, 3)
		add("squid", fmt.Sprint("user", i), "upload.box.com", int64(i)*1e6, 3)
		rows[len(rows)-2].Evidence = name
	}
	return rows
}

// sampleMatches are matches of rules about Slack and storage, and of another rule.
func sampleMatches() (rows []detect.Row) {
	add := func(feed, entity, object string, events, out int64) {
		rows = append(rows, detect.Row{Day: sampleDay, Key: detect.Key{Feed: feed, EntityType: "user", Entity: entity, Object: object},
			Summary: detect.Summary{Events: events, BytesOut: out, BytesIn: 5, KnownOut: events, First: at(sampleDay, 9, 0) + events, Last: at(sampleDay, 9, 59) + events}})
	}
	add("squid", "alice.hartmann", "cloud_put: content.dropboxapi.com/2/files/download", 9, 1_000)
	add("squid", "alice.hartmann", "cloud_put: content.dropboxapi.com/2/files/upload", 3, 4_099_999_000)
	add("squid", "alice.hartmann", "slack_message: slack.com/api/chat.postMessage", 412, 90_000)
	add("squid", "alice.hartmann", "slack_upload: files.slack.com/upload/v1/AAA", 1, 1_000_000)
	add("squid", "alice.hartmann", "slack_upload: files.slack.com/upload/v1/BBB", 2, 2_000_000)
	add("squid", "alice.hartmann", "slack_upload: slack.com/api/files.getUploadURLExternal", 3, 900)
	add("squid", "bob", "slack_upload: acme.slack.com/api/files.upload", 3, 7)
	add("squid", "bob", "slack_upload: slack.com/api/files.upload", 1, 7)
	add("squid", "bob", "webhook: hooks.slack.com/services/T0/B0", 900, 7)
	for _, name := range hostile {
		add(name, name, "cloud_put: "+name+"/"+name, 1, 5)
		add(name, name, "slack_upload: "+name+"/api/"+name, 1, 5)
	}
	return rows
}

// sampleBeacons are a finding, a labelled service, and pairs that are hardly known.
func sampleBeacons() (beacons []detect.Beacon) {
	add := func(entity, object string, b detect.Beacon) {
		b.Row = detect.Row{Day: sampleDay, Key: detect.Key{Feed: "squid", EntityType: "src_ip", Entity: entity, Object: object},
			Summary: detect.Summary{Events: 290, Beats: 288, BytesOut: 120_960, BytesIn: 30_000, KnownOut: 288, Hours: 1<<24 - 1, Blocked: 2, Port: b.Port,
				First: at(sampleDay, 0, 3), Last: at(sampleDay, 23, 58), Evidence: "access.log.gz:17"}}
		beacons = append(beacons, b)
	}
	add("10.0.4.17", "203.0.113.7", detect.Beacon{Row: detect.Row{Summary: detect.Summary{Port: 8443}}, Regular: true, Severity: detect.Medium,
		Period: 299.96, Jitter: .20049, Dispersion: .1001, Intervals: 287, Days: 1, Echo: .61, BeatBytes: 420.5, Rita: detect.RitaScore{TS: .95, DS: 1, Hist: .97, Dur: 1, Mean: .98},
		Pollers: 1, Sources: 812, Signs: []string{"only 1 of 812 machines polls it", "it began this week; really"}})
	add("10.0.4.18", "time.example", detect.Beacon{Regular: true, Label: "time service", Period: 64, Intervals: 1349, Days: 1, Echo: math.NaN(), BeatBytes: math.NaN(), Pollers: 700, Sources: 812})
	add("10.0.4.19", "slow.example", detect.Beacon{Period: 14400, Dispersion: math.NaN(), Intervals: 5, Days: 1, Echo: math.NaN(), BeatBytes: 12, Rita: detect.RitaScore{TS: .9, Mean: .7}, Pollers: 1, Sources: 812})
	for _, name := range hostile {
		add(name, name, detect.Beacon{Regular: true, Severity: detect.Low, Period: 60, Intervals: 99, Days: 1, Label: name, Signs: []string{name, name}})
		b := &beacons[len(beacons)-1]
		b.Feed, b.Evidence = name, name
	}
	return beacons
}

// quietReport is a night on which nothing happened.
func quietReport() *Report {
	r, userDays, domains := quietTables()
	r.UserDays, r.Domains = each(userDays), each(domains)
	return r
}

func quietTables() (r *Report, userDays []UserDay, domains []detect.Row) {
	r = &Report{
		Version: "0.1.0", Job: "nightly", Profile: "default", Days: []detect.Day{sampleDay}, History: 28,
		At:         time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC),
		Detections: sampleDetections(),
		Judged: []Judged{
			{"dnsmasq", "dns", []string{"dns_information"}}, {"squid", "http", []string{"upload_zscore"}},
			{"zeek", "dns", []string{"dns_information"}}, {"zeek", "network", []string{"upload_ratio", "upload_zscore"}},
		},
		Inputs: []Input{
			{Name: "pihole.log", Feed: "dnsmasq", Format: "dnsmasq", Table: "dns", Size: 21_400_000, Records: 180_400, Rows: 90_100, Other: 90_300, Kinds: []Kind{{"reply", 60_000}, {"forwarded", 30_000}, {"cached", 250}, {"config", 50}}, First: at(sampleDay, 0, 0), Last: at(sampleDay, 23, 59),
				Known: map[columnar.Col]int64{columnar.User: 0}},
			{Name: "s3://logs/squid/2026/11/20/access.log.gz", Feed: "squid", Format: "squid", Table: "http", Size: 312_900_000, Records: 1_204_433, Rows: 1_204_331, Skipped: 102, Reasons: []string{"record 17: time \"-\" is no number"}, First: at(sampleDay, 0, 0), Last: at(sampleDay, 23, 59),
				Known: map[columnar.Col]int64{columnar.User: 1_200_000, columnar.BytesOut: 1_204_331, columnar.BytesIn: 0}},
			{Name: "s3://logs/zeek/conn.00.log.gz", Feed: "zeek", Format: "zeek", Table: "network", Size: 97_000_000, Records: 911_000, Rows: 911_000, First: at(sampleDay, 0, 0), Last: at(sampleDay, 23, 59) + 59_123_456,
				Known: map[columnar.Col]int64{columnar.User: 0, columnar.BytesOut: 910_998, columnar.BytesIn: 910_998}},
		},
	}
	for i, user := range []string{"alice.hartmann", "bob", "carol", "dave.okafor", "erin", "build-agent-07", "Łukasz Żółw", "石川 さくら"} {
		out := int64(290e6 / math.Pow(1.8, float64(i)))
		userDays = append(userDays, UserDay{
			Row: &detect.Row{Day: sampleDay, Key: detect.Key{Feed: "squid", EntityType: "user", Entity: user},
				Summary: detect.Summary{Events: 1204, BytesOut: out, BytesIn: 120_400_000, KnownOut: 1180, KnownIn: 1204, First: at(sampleDay, 7, 58), Last: at(sampleDay, 18, 2)}},
			BaselineDays: 28, BaselineMedian: 31e6, BaselineUpper: 310e6, Z: 11.25 - float64(i), Ratio: 34.75,
		})
	}
	for _, domain := range []string{"updates-cdn.evil.example", "akamai.example", "office.example"} {
		f := dnsFinding("10.0.4.17", domain, detect.Info)
		domains = append(domains, detect.Row{Day: sampleDay, Key: f.Key, Summary: f.Summary})
	}
	return r, userDays, domains
}

// inOrder sorts the findings of a report as a run does.
func inOrder(r *Report) {
	detect.SortFindings(r.Findings)
}

// manyReport has n findings about names of the worst kind.
func manyReport(n int) *Report {
	r := sampleReport()
	sample := r.Findings
	r.Findings = nil
	for i := range n {
		f := sample[i%len(sample)]
		f.Allowed = ""
		f.Entity = hostile[i%len(hostile)]
		f.Why = hostile[6] + f.Entity
		f.Timeline = sampleTimeline(1e9)
		f.UID = fmt.Sprint(i)
		r.Findings = append(r.Findings, f)
	}
	for range 12 {
		r.Inputs = append(r.Inputs, r.Inputs...)
		if len(r.Inputs) > 4000 {
			break
		}
	}
	return r
}

// worstReport has only long texts, of the characters that take most bytes in HTML,
// so that not even MaxFull findings fit on the page.
func worstReport() *Report {
	r := manyReport(1000)
	quotes := strings.Repeat(`"`, 10_000)
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Entity, f.Object, f.Feed, f.Why, f.Label = quotes, quotes, quotes, quotes, quotes
		f.Summary.Evidence, f.Summary.Examples = quotes, []string{quotes, quotes, quotes}
	}
	return r
}
