package detect

import (
	"fmt"
	"math"
	"strings"

	"outflow/columnar"
)

type dnsVolumeOptions struct {
	Queries int `yaml:"queries" unit:"queries/5min" doc:"a source asking one domain for more names in any 5 minutes is unusual; a page's resources are dozens, and a tunnel of 20 kB/s needs hundreds"`
}

const dnsVolumeDoc = `Queries of a source for names of one registered domain in any five minutes.

What it sees: more than 500 queries in a sliding window, so that a burst over the full hour counts as one.
Why that means exfiltration: a tunnel asks for each piece of its data, and ordinary clients ask once and remember.
Who does it innocently: mail servers that ask block lists, reputation look-ups, monitoring, a broken client that retries,
and resolvers, which ask for everyone behind them; known ones are labelled, and the finding says how many others ask.
What it cannot see: slow tunnels (dns_information), and those that spread over many domains.
How to investigate: the example names; which process asks; whether the domain's name server is known.`

func dnsVolume() *Detection {
	o := &dnsVolumeOptions{Queries: 500}
	d := &Detection{
		Name:       "dns_volume",
		Title:      "many DNS queries to one domain",
		Doc:        dnsVolumeDoc,
		Technique:  "T1071.004",
		Impact:     60,
		Confidence: 60,
		Reads:      "dns_pair",
		Needs:      columnar.ColSet(columnar.Query),
		Options:    o,
		Verdict:    dnsTunnel,
	}
	d.Score = o.score
	d.Seed = func() { d.History, d.Score, d.Verdict = allHistory, o.scoreSeed, "" }
	return d
}

func (o *dnsVolumeOptions) score(in *Input) []Finding {
	var findings []Finding
	for r := range in.today() {
		if r.WindowEvents <= int64(o.Queries) {
			continue
		}
		findings = append(findings, Finding{
			Key: r.Key, Score: float64(r.WindowEvents), Threshold: float64(o.Queries), Observed: float64(r.WindowEvents),
			Baseline: math.NaN(), Unit: "queries/5min", Window: [2]int64{r.WindowAt, r.WindowAt + window}, Summary: r.Summary,
			Label: innocent(r.Object, r.Examples),
			Why: fmt.Sprintf("%s sent %d queries for names of %s in 5 minutes (%d %s)%s; more than %d is unusual",
				name(r.Who()), r.WindowEvents, name(r.Object), r.Events, in.when(), quoteExamples(r.Examples), o.Queries),
		})
	}
	in.addContext(findings)
	return findings
}

// scoreSeed counts over the whole log: the document's awk names a window of five
// minutes and does not apply it. A name of one label has no domain there.
func (o *dnsVolumeOptions) scoreSeed(in *Input) []Finding {
	var findings []Finding
	for key, rows := range in.Series {
		s := sum(rows)
		if s.Events <= int64(o.Queries) || !strings.Contains(key.Object, ".") {
			continue
		}
		findings = append(findings, Finding{
			Key: key, Score: float64(s.Events), Threshold: float64(o.Queries), Observed: float64(s.Events), Baseline: math.NaN(),
			Unit: "queries", Window: [2]int64{rows[0].Day.window()[0], rows[len(rows)-1].Day.window()[1]}, Summary: s,
			Why: fmt.Sprintf("%s sent %d queries for names of %s in the whole log; more than %d is unusual.",
				name(key.Entity), s.Events, name(key.Object), o.Queries),
		})
	}
	return findings
}
