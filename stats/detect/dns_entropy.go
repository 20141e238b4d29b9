package detect

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"outflow/columnar"
	"outflow/stats"
)

type dnsEntropyOptions struct {
	Entropy  float64 `yaml:"entropy" unit:"bits/char" doc:"a query is odd if its subdomain exceeds this, dots removed; English words have 2 to 3.5, hexadecimal at most 4, base32 at most 5"`
	Length   int     `yaml:"length" unit:"B" doc:"or if its subdomain is longer"`
	MinOdd   int     `yaml:"min_odd" unit:"queries/day" tune:"5 10 20 50 100" doc:"fewer odd queries of a client for a domain are not reported: a single hashed host name belongs to a CDN"`
	MinShare float64 `yaml:"min_share" unit:"" tune:"0.05 0.1 0.2 0.5" doc:"odd queries must be this share of all to the domain, or a large site's few hashed names would add up"`
	MinNames int     `yaml:"min_names" unit:"names/day" doc:"distinct names of the domain that the client must have queried: a repeated name carries nothing new"`
}

const dnsEntropyDoc = `Queries whose subdomain looks like encoded data: more than 3.8 bits per character, or longer than 60.

What it sees: per client and registered domain, at least ten such queries that are a tenth of all, and at least ten distinct
names.
Why that means exfiltration: data put into host names uses the alphabet evenly and fills the labels; words do not.
Common false positives: CDNs, ad and telemetry hosts with hashed names, reputation look-ups; known ones are labelled.
What it cannot see: short or dictionary-coded names. For a single query this rule is weak: of a hundred odd queries, most
are innocent. That is why it counts them.
How to investigate: decode the examples (base32, hexadecimal). dns_information shows how much data they may have carried.`

// A subdomain that exceeds either value is odd, unless the configuration sets others,
// and whether or not dns_entropy runs. Units: bits per character, and bytes. See
// dnsEntropyDoc.
const (
	oddEntropy = 3.8
	oddLength  = 60
)

func dnsEntropy() *Detection {
	o := &dnsEntropyOptions{Entropy: oddEntropy, Length: oddLength, MinOdd: 10, MinShare: 0.1, MinNames: 10}
	d := &Detection{
		Name:       "dns_entropy",
		Title:      "DNS names that look like encoded data",
		Doc:        dnsEntropyDoc,
		Technique:  "T1048.003",
		Impact:     60,
		Confidence: 50,
		Aggregate:  DNSPair,
		Needs:      columnar.ColSet(columnar.Query),
		Options:    o,
		Verdict:    dnsTunnel,
	}
	d.Score = o.score
	d.Fold = func(f *FoldOptions) { f.Entropy, f.Length = o.Entropy, o.Length }
	d.Seed = func() {
		*o = dnsEntropyOptions{Entropy: 3.8, Length: 60}
		d.Aggregate, d.History, d.Score, d.Verdict = DNSName, allHistory, o.scoreSeed, ""
	}
	return d
}

func (o *dnsEntropyOptions) score(in *Input) []Finding {
	var findings []Finding
	for r := range in.today() {
		if r.Odd < int64(o.MinOdd) || r.Names < int64(o.MinNames) || float64(r.Odd) < o.MinShare*float64(r.Events) {
			continue
		}
		f := Finding{
			Key: r.Key, Score: r.MaxEntropy, Threshold: o.Entropy, Observed: r.MaxEntropy, Baseline: math.NaN(), Unit: "bits/char",
			Window: in.window(), Summary: r.Summary, Label: innocent(r),
		}
		if !(r.MaxEntropy > o.Entropy) {
			f.Score, f.Threshold, f.Observed, f.Unit = float64(r.MaxLength), float64(o.Length), float64(r.MaxLength), "B"
		}
		f.Why = fmt.Sprintf("%s queried %s of %s in %s queries, up to %.2f bits per character and %d bytes%s; words stay below %s bits and %d bytes",
			printable(r.Who()), count(r.Odd, "odd name"), domainName(r.Object), Number(r.Events), r.MaxEntropy, r.MaxLength, quoteExamples(r.Examples),
			num(o.Entropy), o.Length)
		findings = append(findings, f)
	}
	in.addContext(findings)
	return findings
}

// scoreSeed judges each query by itself, by the text before its last two labels.
func (o *dnsEntropyOptions) scoreSeed(in *Input) []Finding {
	var findings []Finding
	var meter stats.Entropy
	for key, rows := range in.Series {
		query := strings.TrimRight(key.Object, ".")
		subdomain, ok := beforeTwoLabels(query)
		if !ok {
			continue
		}
		// The original rule counts characters. In a name on the wire these are bytes;
		// log text may hold other characters.
		bits, length := meter.Bits([]byte(subdomain)), len(subdomain)
		if n := utf8.RuneCountInString(subdomain); n < length {
			bits, length = runeBits(subdomain), n
		}
		if !(bits > o.Entropy) && length <= o.Length {
			continue
		}
		s := sum(rows)
		f := Finding{
			Key: key, Score: bits, Threshold: o.Entropy, Observed: bits, Baseline: math.NaN(), Unit: "bits/char",
			Window: [2]int64{rows[0].Day.window()[0], rows[len(rows)-1].Day.window()[1]}, Summary: s,
			Why: fmt.Sprintf("%s asked for %s, whose subdomain has %.2f bits per character and %d bytes; above %s bits or %d bytes is suspicious.",
				printable(key.Entity), printable(query), bits, length, num(o.Entropy), o.Length),
		}
		if !(bits > o.Entropy) {
			f.Score, f.Threshold, f.Observed, f.Unit = float64(length), float64(o.Length), float64(length), "B"
		}
		findings = append(findings, f)
	}
	return findings
}

// beforeTwoLabels returns the text before the last two labels of a name, and false if
// the name has fewer than three labels.
func beforeTwoLabels(name string) (string, bool) {
	last := strings.LastIndexByte(name, '.')
	if last < 0 {
		return "", false
	}
	second := strings.LastIndexByte(name[:last], '.')
	if second < 0 {
		return "", false
	}
	return name[:second], true
}

// runeBits returns the entropy of text in bits per character, without dots.
func runeBits(text string) float64 {
	counts := map[rune]int{}
	n := 0
	for _, r := range text {
		if r != '.' {
			counts[r]++
			n++
		}
	}
	sum := 0.0
	for _, r := range slices.Sorted(maps.Keys(counts)) {
		p := float64(counts[r]) / float64(n)
		sum -= p * math.Log2(p)
	}
	return max(0, sum)
}
