package detect

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"outflow/columnar"
)

type dnsVolumeOptions struct {
	Queries int `yaml:"queries" unit:"queries/5min" doc:"a source asking one domain for more names in any 5 minutes is unusual; a page's resources are dozens, and a tunnel of 20 kB/s needs hundreds"`
	Names   int `yaml:"names" unit:"names/5min" doc:"with fewer distinct names in any 5 minutes it is labelled: names that are asked again carry nothing new, and a tunnel repeats each a few times at most (A, AAAA and HTTPS, retries)"`
}

const dnsVolumeDoc = `Queries of a source for names of one registered domain in any five minutes.

What it sees: more than 500 queries in a sliding window, so that a burst over the full hour counts as one. If no five minutes
have 100 distinct names, it is labelled and low at most: each name carries its data once, however often it is asked.
Why that means exfiltration: a tunnel asks for each piece of its data, and ordinary clients ask once and remember.
Who does it innocently: monitoring and clients that retry, which repeat a few names; mail servers that ask block lists,
reputation look-ups, and resolvers, which ask for everyone behind them; known ones are labelled, and the finding says how
many others ask.
What it cannot see: slow tunnels (dns_information), and those that spread over many domains.
How to investigate: the example names; which process asks; whether the domain's name server is known.`

// repeatedNames labels many queries for few names.
const repeatedNames = "the same names again and again: a retry loop, a health check or a resolver"

func dnsVolume() *Detection {
	o := &dnsVolumeOptions{Queries: 500, Names: 100}
	d := &Detection{
		Name:       "dns_volume",
		Title:      "many DNS queries to one domain",
		Doc:        dnsVolumeDoc,
		Technique:  "T1071.004",
		Impact:     60,
		Confidence: 60,
		Aggregate:  DNSPair,
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
		label := innocent(r)
		if label == "" && r.WindowNames < int64(o.Names) && !slices.ContainsFunc(r.Examples, masked) {
			label = repeatedNames
		}
		findings = append(findings, Finding{
			Key: r.Key, Score: float64(r.WindowEvents), Threshold: float64(o.Queries), Observed: float64(r.WindowEvents),
			Baseline: math.NaN(), Unit: "queries/5min", Window: [2]int64{r.WindowAt, r.WindowAt + window}, Summary: r.Summary,
			Label: label,
			Why: fmt.Sprintf("%s sent %d queries for names of %s in 5 minutes, and asked for %s in 5 minutes at most (%d queries for %s %s)%s; more than %d queries for %d distinct names is unusual",
				name(r.Who()), r.WindowEvents, domainName(r.Object), count(r.WindowNames, "distinct name"), r.Events, count(r.Names, "distinct name"), in.when(),
				quoteExamples(r.Examples), o.Queries, o.Names),
		})
	}
	in.addContext(findings)
	return findings
}

// masked reports whether a log does not write a name as it was asked, so that many may
// look like one: dnsmasq's <name unprintable>, and ? and & of Unbound.
func masked(name string) bool { return strings.ContainsAny(name, "<>?&") }

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
