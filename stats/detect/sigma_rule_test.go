package detect

import (
	"slices"
	"strings"
	"testing"

	"outflow/stats/sigma"
)

// If this fails, a share with an account that may be the company's own counts like one
// with a stranger's, or the finding does not say why it counts less.
func TestUnsetPlaceholder(t *testing.T) {
	rule := sigma.File{Name: "r.yml", Text: []byte(`title: shared
level: high
logsource: {product: aws}
detection:
  s: {with|neq|expand: '%own_accounts%'}
  condition: s
`)}
	const note = "(level high, which counts as medium while own_accounts is not set;"
	for _, c := range []struct {
		values   []string
		severity Severity
		risk     int
		noted    bool
	}{
		{nil, Medium, 40, true},
		{[]string{"111122223333"}, High, 60, false},
	} {
		set, errs := sigma.Load([]sigma.File{rule}, sigma.Options{Placeholders: map[string][]string{"own_accounts": c.values}})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		f := matched(&Input{}, &Row{Key: Key{EntityType: "user", Entity: "ann", Object: "shared: ec2/Share"}}, set.Rules[0], novelty{}, "ec2/Share")
		if f.Severity != c.severity || f.RiskScore != c.risk {
			t.Errorf("own accounts %v: got %v, risk %d, want %v, %d", c.values, f.Severity, f.RiskScore, c.severity, c.risk)
		}
		if got := strings.Contains(f.Why, note); got != c.noted {
			t.Errorf("own accounts %v: got %q, want the note: %t", c.values, f.Why, c.noted)
		}
	}
}

// A match of a rule about exfiltration that nobody else matched before counts one level
// more; a habit of the company's, of the entity's, or of more and more people does not.
func TestRuleNews(t *testing.T) {
	const rules = `
title: Files sent
name: sent
level: medium
tags: [attack.exfiltration, attack.t1567]
logsource: {category: process_creation}
detection: {c: {CommandLine: x}, condition: c}
---
title: Files packed
name: packed
level: medium
tags: [attack.collection, attack.t1560]
logsource: {category: process_creation}
detection: {c: {CommandLine: x}, condition: c}
---
title: Files named
name: named
level: low
tags: [attack.exfiltration, attack.t1567]
logsource: {category: process_creation}
detection: {c: {CommandLine: x}, condition: c}
---
title: Files told
name: told
level: informational
tags: [attack.exfiltration, attack.t1567]
logsource: {category: process_creation}
detection: {c: {CommandLine: x}, condition: c}
`
	set, errs := sigma.Load([]sigma.File{{Name: "r.yml", Text: []byte(rules)}}, sigma.Options{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	const day = Day(20000)
	type match struct {
		who  string
		days []Day
	}
	today := []Day{day}
	for _, c := range []struct {
		name    string
		rule    string
		covered int
		others  []match
		before  []Day
		want    Severity
		news    bool
	}{
		{"the first", "sent", 7, nil, nil, High, true},
		{"for the fourth day", "sent", 7, nil, []Day{day - 3, day - 2, day - 1}, High, true},
		{"for the fifth day", "sent", 7, nil, []Day{day - 4, day - 3, day - 2, day - 1}, Low, false},
		{"six days of logs", "sent", 6, nil, nil, Medium, false},
		{"somebody else before", "sent", 7, []match{{"ben", []Day{day - 7}}}, nil, Medium, false},
		{"a job before", "sent", 7, []match{{"ben", []Day{day - 7, day - 6, day - 5, day - 4}}}, nil, High, true},
		{"three jobs before", "sent", 7, []match{{"ben", []Day{day - 7, day - 6, day - 5, day - 4}}, {"cy", []Day{day - 7, day - 6, day - 5, day - 4}}, {"dan", []Day{day - 7, day - 6, day - 5, day - 4}}}, nil, Low, false},
		{"after somebody else", "sent", 7, []match{{"zoe", []Day{day - 7}}}, nil, Medium, false},
		{"one more today", "sent", 7, []match{{"ben", today}}, nil, High, true},
		{"two more today", "sent", 7, []match{{"ben", today}, {"zoe", today}}, nil, Medium, false},
		{"another rule before", "sent", 7, []match{{"ben: packed", []Day{day - 7}}}, nil, High, true},
		{"not about exfiltration", "packed", 7, nil, nil, Medium, false},
		{"a low rule", "named", 7, nil, nil, Medium, true},
		{"a rule that informs", "told", 7, nil, nil, Info, false},
	} {
		var covered []Day
		for d := day - Day(c.covered); d < day; d++ {
			covered = append(covered, d)
		}
		var rows []Row
		add := func(m match) {
			who, rule, ok := strings.Cut(m.who, ": ")
			if !ok {
				rule = c.rule
			}
			for _, d := range m.days {
				rows = append(rows, Row{Day: d, Key: Key{Feed: "pc/network", EntityType: "user", Entity: who, Object: rule + ": /bin/x"}, Summary: Summary{Events: 1}})
			}
		}
		add(match{"mia", append(c.before, day)})
		for _, m := range c.others {
			add(m)
		}
		sortRows(rows)
		in := &Input{Day: day, Rules: set, Series: seriesOf(rows), Covered: func(feed string) []Day {
			if feed != "pc" { // the log, whichever table its rows are of
				return nil
			}
			return covered
		}}
		var got []Finding
		for _, f := range Judge(sigmaRule(), in) {
			if f.Entity == "mia" {
				got = append(got, f)
			}
		}
		if len(got) != 1 || got[0].Severity != c.want {
			t.Errorf("%s: got %v, want one finding of severity %v", c.name, got, c.want)
			continue
		}
		if said := strings.Contains(got[0].Why, "because nobody else matched it in the 7 days before"); said != c.news {
			t.Errorf("%s: the reason is said: %t, %q", c.name, said, got[0].Why)
		}
	}
}

// A match counts as the level of its destination if nobody sent there before and new
// destinations are rare; a rule about private mailboxes counts as it is written without
// own_domains, and is compared with private mailboxes alone.
func TestRuleDestination(t *testing.T) {
	const rules = `
title: Result written
name: out
level: informational
tags: [attack.exfiltration, attack.t1537]
logsource: {product: aws}
detection: {c: {eventName: x}, condition: c}
destination: {field: resource, match: '^s3://([^/]+)', level: high}
---
title: Shared
name: shared
level: medium
tags: [attack.exfiltration, attack.t1567]
logsource: {product: m365}
detection: {c: {with|neq|endswith|expand: '@%own_domains%'}, condition: c}
destination: {field: with}
`
	set, errs := sigma.Load([]sigma.File{{Name: "r.yml", Text: []byte(rules)}}, sigma.Options{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	const day = Day(20000)
	type match struct {
		who, object string
		day         Day
	}
	for _, c := range []struct {
		name   string
		today  string
		before []match
		want   Severity
		why    string
	}{
		{"a new bucket", "out: evil", []match{{"ann", "out: results", day - 3}, {"ann", "out: results", day - 2}}, High, "and as high because nobody sent there in the 14 days before"},
		{"a known bucket", "out: results", []match{{"ann", "out: results", day - 12}}, Info, ""},
		{"buckets are new all the time", "out: evil", []match{{"ann", "out: a", day - 6}, {"ann", "out: b", day - 3}}, Info, ""},
		{"they were in the first week", "out: evil", []match{{"ann", "out: a", day - 14}, {"ann", "out: b", day - 13}, {"ann", "out: c", day - 12}}, High, "nobody sent there"},
		{"a partner", "shared: bo@partner.example", []match{{"ann", "shared: al@partner.example", day - 3}}, Low, "counts as low while own_domains is not set"},
		{"a private mailbox", "shared: bo@gmail.com", []match{{"ann", "shared: al@partner.example", day - 3}}, High, "nobody else matched it with a private mailbox in the 14 days"},
		{"a private mailbox, where others share with such", "shared: bo@gmail.com", []match{{"ann", "shared: al@gmx.de", day - 3}}, Medium, "(level medium;"},
	} {
		var covered []Day
		for d := day - 14; d < day; d++ {
			covered = append(covered, d)
		}
		rows := []Row{{Day: day, Key: Key{Feed: "log", EntityType: "user", Entity: "mia", Object: c.today}, Summary: Summary{Events: 1}}}
		for _, m := range c.before {
			rows = append(rows, Row{Day: m.day, Key: Key{Feed: "log", EntityType: "user", Entity: m.who, Object: m.object}, Summary: Summary{Events: 1}})
		}
		sortRows(rows)
		in := &Input{Day: day, Rules: set, Series: seriesOf(rows), Covered: func(string) []Day { return covered }}
		got := Judge(sigmaRule(), in)
		if c.want == Info && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Severity != c.want || !strings.Contains(got[0].Why, c.why) {
			t.Errorf("%s: got %v, want one finding of severity %v that says %q", c.name, got, c.want, c.why)
		}
	}
}

// If this fails, what two rules say of one destination stands behind what one says of another; or a rule about
// another destination or another entity counts, too.
func TestCorroborate(t *testing.T) {
	finding := func(who, object string, severity Severity, risk int) Finding {
		return Finding{Key: Key{Feed: "conn", EntityType: "src_ip", Entity: who, Object: object}, Severity: severity, RiskScore: risk}
	}
	findings := []Finding{
		finding("10.0.0.1", "icmp_data: 198.51.100.7", High, 70), finding("10.0.0.1", "icmp_talk: 198.51.100.7", High, 60),
		finding("10.0.0.1", "tor: 198.51.100.8", High, 70), finding("10.0.0.2", "icmp_data: 198.51.100.7", High, 70),
		finding("10.0.0.3", "icmp_data: 198.51.100.7", Medium, 50), finding("10.0.0.3", "icmp_talk: 198.51.100.7", Medium, 50),
		finding("10.0.0.4", "icmp_data: 198.51.100.7", High, 70), finding("10.0.0.4", "icmp_talk: 198.51.100.7", Low, 20),
		finding("10.0.0.5", "icmp_data", High, 60), finding("10.0.0.5", "icmp_talk", High, 60),
	}
	corroborate(findings)
	var got []int
	for i := range findings {
		got = append(got, findings[i].RiskScore)
	}
	if want := []int{88, 88, 70, 70, 59, 59, 70, 20, 60, 60}; !slices.Equal(got, want) {
		t.Errorf("got risks %v, want %v", got, want)
	}
}
