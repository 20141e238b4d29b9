package detect

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"outflow/columnar"
	"outflow/stats/sigma"
)

func loadRules(t testing.TB, text string) *sigma.Set {
	t.Helper()
	set, faults := sigma.Load([]sigma.File{{Name: "rules.yml", Text: []byte(text)}}, sigma.Options{})
	for _, f := range faults {
		t.Fatal(f)
	}
	return set
}

// ruleTexts are rules about the tables of randomEvents.
const ruleTexts = `
title: puts
name: puts
logsource: {category: proxy}
detection: {s: {cs-method: [PUT, POST]}, condition: s}
---
title: "a title: with a colon"
logsource: {category: dns}
detection: {s: {query|contains: x}, condition: s}
---
title: "a title: with a colon"
logsource: {category: dns}
detection: {s: {record_type: TXT}, condition: s}
---
title: out
name: out
logsource: {category: firewall}
detection: {s: {dst_ip|startswith: '198.'}, condition: s}
---
title: calls
name: calls
logsource: {product: aws}
detection: {s: {sourceIPAddress|startswith: '10.'}, condition: s}
`

func testRules() *sigma.Set {
	set, faults := sigma.Load([]sigma.File{{Name: "rules.yml", Text: []byte(ruleTexts)}}, sigma.Options{})
	if len(faults) > 0 {
		panic(faults[0])
	}
	return set
}

// If this fails, matches are counted under the wrong entity, object or rule, or the
// examples are not the first ones. Sums by hand.
func TestRuleDay(t *testing.T) {
	at := func(minute int64) int64 { return testDay + minute*60e6 }
	texts := func(user, method, host, path string) map[columnar.Col]string {
		return map[columnar.Col]string{columnar.User: user, columnar.SrcIP: "10.0.0.1", columnar.Method: method, columnar.URLHost: host, columnar.URLPath: path}
	}
	out := func(n int64) map[columnar.Col]int64 { return map[columnar.Col]int64{columnar.BytesOut: n} }
	long := strings.Repeat("ä", 100)
	events := []event{
		{columnar.HTTP, "f", "o", 1, at(9), texts("ann", "PUT", "x.example", "/a/b/c/d"), out(5), false},
		{columnar.HTTP, "f", "o", 2, at(8), texts("ann", "PUT", "x.example", "/a/b/c/e/f"), out(7), false},
		{columnar.HTTP, "f", "o", 3, at(7), texts("ann", "POST", "x.example", "/a/b/c/"), nil, false},
		{columnar.HTTP, "f", "o", 4, at(6), texts("ann", "GET", "x.example", "/a/b/c/d"), out(100), false},
		{columnar.HTTP, "f", "o", 5, at(5), texts("", "PUT", "x.example", "/a"), out(7), false},
		{columnar.HTTP, "f", "o", 6, at(4), texts("bob", "PUT", "y.example", "/"+long), out(0), false},
		{columnar.HTTP, "f", "o", 7, at(3000), texts("bob", "PUT", "y.example", ""), out(1), false},
		{columnar.HTTP, "f", "o", 8, at(3000), map[columnar.Col]string{columnar.Method: "PUT"}, out(1), false}, // nobody
		{columnar.HTTP, "f", "o", 9, at(9), texts("ann", "PUT", "x.example", "/a/b/c/d"), out(5), true},
	}
	f := RuleDay.New(&openBounds)
	feedTo(f, RuleDay, events)
	var b strings.Builder
	for _, r := range merged(t, RuleDay, &openBounds, f) {
		fmt.Fprintf(&b, "%d %s %q events=%d out=%d known=%d peak=%d %s %d examples, first %q\n", int64(r.Day)-20000, r.Entity, r.Object,
			r.Events, r.BytesOut, r.KnownOut, r.PeakOut, r.Evidence, len(r.Examples), r.Examples[0])
	}
	want := `0 10.0.0.1 "puts: x.example/a" events=1 out=7 known=1 peak=7 o:5 1 examples, first "PUT x.example/a"
0 ann "puts: x.example/a/b/c" events=3 out=12 known=2 peak=7 o:2 3 examples, first "POST x.example/a/b/c/"
0 bob "puts: y.example/` + strings.Repeat("ä", 55) + `…" events=1 out=0 known=1 peak=0 o:6 1 examples, first "PUT y.example/` + long + `"
2 bob "puts: y.example" events=1 out=1 known=1 peak=1 o:7 1 examples, first "PUT y.example"
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// If this fails, a run decodes columns of tables that no rule is about.
func TestRuleWants(t *testing.T) {
	http := loadRules(t, `
title: agent
logsource: {category: proxy}
detection: {s: {c-useragent: x, c-uri-query: y}, condition: s}
`)
	want := ruleWants(http)
	cols, fields := want.Cols, want.Fields[columnar.HTTP.ID]
	if !cols.Has(columnar.UserAgent) || !cols.Has(columnar.URLPath) || cols.Has(columnar.Query) || cols.Has(columnar.CmdLine) {
		t.Errorf("got %v, want the columns of http", cols.List())
	}
	if len(fields) != 1 || fields[0].Name != "c-uri-query" {
		t.Errorf("got fields %v", fields)
	}
	want.Cols, want.Fields[columnar.HTTP.ID] = 0, nil
	if none := ruleWants(&sigma.Set{}); !reflect.DeepEqual(none, want) {
		t.Errorf("without a rule, or of other tables, got %v", none)
	}
}

// If this fails, a client that asks for ever new paths fills the report, or hides in it.
func TestManyObjects(t *testing.T) {
	d := sigmaRule()
	var rows []Row
	for i := range 100 {
		r := Row{Day: 20000, Key: Key{"f", "user", "ann", fmt.Sprintf("puts: x%03d.example", i)}}
		r.Events, r.BytesOut, r.KnownOut, r.First, r.Last = 1, int64(i), 1, testDay, testDay
		rows = append(rows, r)
	}
	sortRows(rows)
	found := Judge(d, &Input{Day: 20000, Series: seriesOf(rows), Rules: testRules()})
	if len(found) != 3 {
		t.Fatalf("got %d findings, want 3", len(found))
	}
	var events, out int64
	for _, f := range found {
		events += f.Summary.Events
		out += f.Summary.BytesOut
		if math.IsNaN(f.Score) {
			t.Error("a finding without a score")
		}
	}
	if events != 100 || out != 99*100/2 {
		t.Errorf("got %d events and %d bytes in all, want 100 and %d", events, out, 99*100/2)
	}
	if rest := found[0]; rest.Object != "puts" || rest.Summary.Events != 98 || !strings.Contains(rest.Why, "98 other objects") {
		t.Errorf("got %s %d %s, want the rest together", rest.Object, rest.Summary.Events, rest.Why)
	}
	for i := range rows { // the same paths, on one host
		rows[i].Object = fmt.Sprintf("puts: x.example/%03d", i)
		rows[i].Examples = []string{rows[i].Object}
	}
	found = Judge(d, &Input{Day: 20000, Series: seriesOf(rows), Rules: testRules()})
	if len(found) != 1 || found[0].Object != "puts: x.example" || found[0].Summary.Events != 100 || len(found[0].Summary.Examples) != 3 {
		t.Errorf("got %+v, want one finding of a host with many paths", found)
	}
}

// If this fails, rules for one system judge the logs of another, or a rule for an
// empty field fires on every row of a log that cannot have it.
func TestRuleSources(t *testing.T) {
	rules := loadRules(t, `
title: no agent
name: no_agent
logsource: {category: proxy}
detection: {s: {c-useragent: ''}, condition: s}
---
title: of zeek
name: of_zeek
logsource: {product: zeek, service: http}
detection: {s: {method: GET}, condition: s}
`)
	cols := ruleWants(rules).Cols
	for _, c := range []struct {
		product string
		lacks   columnar.Cols
		want    string
	}{
		{"", 0, "no_agent: x.example of_zeek: x.example "},
		{"suricata", 0, "no_agent: x.example "},
		{"zeek", columnar.ColSet(columnar.UserAgent), "of_zeek: x.example "},
	} {
		o := openBounds
		o.Rules = rules
		f := RuleDay.New(&o)
		out := &columnar.Out{Want: cols, Origin: columnar.Origin{Product: c.product}, Lacks: c.lacks, Sink: f.Fold}
		b := out.Table(columnar.HTTP)
		b.SetTime(testDay)
		b.SetText(columnar.User, []byte("ann"))
		b.SetText(columnar.Method, []byte("GET"))
		b.SetText(columnar.URLHost, []byte("x.example"))
		b.Next(1)
		out.Flush()
		got := ""
		for _, r := range merged(t, RuleDay, &o, f) {
			got += r.Object + " "
		}
		if got != c.want {
			t.Errorf("product %q: got %q, want %q", c.product, got, c.want)
		}
	}
}

// If this fails, each file that is put somewhere is an object of its own, or the
// methods of an API are one.
func TestKindOfPath(t *testing.T) {
	for path, want := range map[string]string{
		"": "", "/": "/", "/api/files.upload": "/api/files.upload", "/api/v2/messages/send/now": "/api/v2/messages",
		"/backup/archive-00817.zip": "/backup/", "/T0250/B9/x": "/T0250/B9/x", "//a": "//a", "/a/b/": "/a/b/",
	} {
		if got := string(kindOfPath([]byte(path))); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}
