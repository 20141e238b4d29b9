package detect

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"outflow/columnar"
)

type dnsVolumeOptions struct {
	Queries int `yaml:"queries" unit:"queries/5min" tune:"50 100 200 500 1000 2000" doc:"more queries of a client to one domain in any 5 minutes are unusual; a web page needs dozens, and a tunnel of 20 kB/s needs hundreds"`
	Names   int `yaml:"names" unit:"names/5min" doc:"with fewer distinct names in any 5 minutes the finding is labelled: repeated names carry nothing new, and a tunnel repeats each name a few times at most (A, AAAA and HTTPS, retries)"`
}

const dnsVolumeDoc = `Queries of a client for names of one registered domain in any five minutes.

What it sees: more than 500 queries in a sliding window, so that a burst across the full hour counts as one. If no five minutes
have 100 distinct names, it is labelled and low at most: each name carries its data once, however often it is queried.
Why that means exfiltration: a tunnel needs a query for every few bytes of its data; ordinary clients query once and cache.
Common false positives: monitoring and clients that retry, which repeat a few names; mail servers that query block lists,
reputation look-ups, and resolvers, which query for all clients behind them; known ones are labelled, and the finding says how
many other clients query the domain.
What it cannot see: slow tunnels (dns_information), and tunnels spread over many domains.
How to investigate: the example names; which process sends the queries; whether the domain's name server is known.`

// repeatedNames is the label for many queries of few names.
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
			Baseline: math.NaN(), Unit: "queries/5min", Window: [2]int64{r.WindowAt, r.WindowAt + slidingWindow}, Summary: r.Summary,
			Label: label,
			Why: fmt.Sprintf("%s sent %s queries for names of %s in 5 minutes, with at most %s in 5 minutes (%s queries for %s %s)%s; more than %d queries for %d distinct names are unusual",
				printable(r.Who()), Number(r.WindowEvents), domainName(r.Object), count(r.WindowNames, "distinct name"), Number(r.Events), count(r.Names, "distinct name"), in.when(),
				quoteExamples(r.Examples), o.Queries, o.Names),
		})
	}
	in.addContext(findings)
	return findings
}

// masked reports whether a log writes a name other than as it was queried, so that
// many names may look like one: dnsmasq's <name unprintable>, and ? and & in Unbound.
func masked(name string) bool { return strings.ContainsAny(name, "<>?&") }

// scoreSeed counts over the whole log: the original rule names a window of five
// minutes but does not apply it. There, a name of one label has no domain.
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
			Why: fmt.Sprintf("%s sent %s queries for names of %s in the whole log; more than %d are unusual.",
				printable(key.Entity), Number(s.Events), printable(key.Object), o.Queries),
		})
	}
	return findings
}
