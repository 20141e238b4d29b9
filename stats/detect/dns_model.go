package detect

import (
	"fmt"
	"math"
	"slices"

	"outflow/columnar"
	"outflow/stats/dnsmodel"
)

type dnsModelOptions struct {
	Threshold float64 `yaml:"threshold" unit:"" doc:"a name is classified as data if the model's probability exceeds this; it is calibrated: of the names at 0.5, half are data"`
	MinOver   int     `yaml:"min_over" unit:"names/day" doc:"this many distinct names of a domain must be classified as data: a site with one hashed name is no tunnel, and ten names carry a password"`
	MinShare  float64 `yaml:"min_share" unit:"" tune:"0.05 0.1 0.2 0.4 0.8" doc:"and they must be this share of the domain's names that the client queried, or the few of a large site would add up"`
	MinBytes  Bytes   `yaml:"min_bytes" unit:"B/day" doc:"and their subdomains must have this many bytes: less carries nothing useful, and a page of pictures queries 30 hashed names of a dozen bytes"`
}

const dnsModelDoc = `Names that a pretrained model classifies as data, by how they are built and by the ten queries of the same client
for the same domain before them.

What it sees: ten distinct names of a domain with a probability over one half, a fifth of all that the client queried,
and 500 bytes of subdomains. Each name counts once, when it is first queried.
Why that means exfiltration: encoded text has letters in an order that names do not have, and a tunnel's names follow one
another without repeating. The model sees it after the first few dozen queries, long before they reach the limits of
dns_information.
Common false positives: reputation and block list look-ups, content networks and telemetry with hashed names; known ones
are labelled.
What it cannot see: names made of words, and names that look like the benign names of its training. It does not judge
a client that queried fewer than ten names of the domain.
How to investigate: the highest-scoring query and its signs; whether the names decode; which process sends the queries.`

func dnsModel() *Detection {
	o := &dnsModelOptions{Threshold: dnsmodel.Threshold, MinOver: 10, MinShare: 0.2, MinBytes: 500}
	d := &Detection{
		Name:       "dns_model",
		Title:      "likely DNS exfiltration (model)",
		Doc:        dnsModelDoc,
		Technique:  "T1048.003",
		Impact:     50,
		Confidence: 90,
		Aggregate:  DNSPair,
		Needs:      columnar.ColSet(columnar.Query),
		Options:    o,
		Card:       dnsmodel.Card(),
		Verdict:    dnsTunnel,
	}
	d.Score = o.score
	d.Fold = func(f *FoldOptions) {
		f.Model = &ModelOptions{Threshold: o.Threshold, Names: o.MinOver, Bytes: int(o.MinBytes)}
	}
	d.Seed = func() {
		*o = dnsModelOptions{Threshold: 0.5}
		d.Aggregate, d.History, d.Score, d.Verdict = DNSScore, allHistory, o.scoreSeed, ""
	}
	return d
}

func (o *dnsModelOptions) score(in *Input) []Finding {
	var findings []Finding
	for r := range in.today() {
		if r.Over == 0 || r.Over < int64(o.MinOver) || r.OverBytes < int64(o.MinBytes) || float64(r.Over) < o.MinShare*float64(r.Scored) {
			continue
		}
		mean := float64(r.OverScore) / float64(r.Over) / certain
		f := Finding{
			Key: r.Key, Score: mean, Threshold: o.Threshold, Observed: float64(r.Over), Baseline: math.NaN(), Unit: "names/day",
			Window: in.window(), Summary: r.Summary, Label: innocent(r),
		}
		first := ""
		if r.Scored < r.Names {
			first = "the first "
		}
		f.Why = fmt.Sprintf("%s queried %[3]s of %[2]s that look like data, out of %[4]s%[5]s, with a probability of %.2[6]f on average and %.2[7]f at most",
			printable(r.Who()), domainName(r.Object), count(r.Over, "name"), first, count(r.Scored, "distinct name"), mean, float64(r.MaxScore)/certain)
		if r.Likely != "" {
			f.Why += ": " + printable(r.Likely)
		}
		if r.Signs != "" {
			f.Why += " (" + r.Signs + ")"
		}
		f.Why += fmt.Sprintf("; a name counts above %s", num(o.Threshold))
		findings = append(findings, f)
	}
	in.addContext(findings)
	return findings
}

// scoreSeed judges each query by itself: the newest of each client and name. Its
// message is that of the original rule.
func (o *dnsModelOptions) scoreSeed(in *Input) []Finding {
	threshold := int64(math.Round(o.Threshold * certain))
	var findings []Finding
	for key, rows := range in.Series {
		first, at := len(findings), map[string]int{} // the findings of earlier days, by name
		for i := range rows {
			r := &rows[i]
			if len(r.Examples) != 1 {
				continue // not a row of dns_score
			}
			query := r.Examples[0]
			if before, ok := at[query]; ok {
				findings[before].Summary.MaxScore = 0
				delete(at, query)
			}
			if r.MaxScore <= threshold {
				continue
			}
			key.Object, at[query] = query, len(findings)
			score := float64(r.MaxScore) / certain
			findings = append(findings, Finding{
				Key: key, Score: score, Threshold: o.Threshold, Observed: score, Baseline: math.NaN(), Unit: "probability",
				Window: [2]int64{r.Last, r.Last + 1}, Summary: r.Summary,
				Why: fmt.Sprintf("A DNS data exfiltration request was sent by this host %s , kindly review.", printable(key.Entity)),
			})
		}
		newest := slices.DeleteFunc(findings[first:], func(f Finding) bool { return f.Summary.MaxScore == 0 })
		findings = findings[:first+len(newest)]
	}
	return findings
}
