package detect

import (
	"fmt"
	"math"

	"outflow/columnar"
)

type dnsInformationOptions struct {
	WindowBytes Bytes   `yaml:"window_bytes" unit:"B/5min" doc:"distinct subdomains of one domain that a source asks for in any 5 minutes; the slowest tunnel of use needs more, a page's resources need less"`
	NameBytes   float64 `yaml:"name_bytes" unit:"B/name" doc:"the window counts only if the day's subdomains are at least this long on average: tunnels' are 28 and more, those of large sites 5 to 24"`
	MinNames    int     `yaml:"min_names" unit:"names" doc:"the window counts only with at least so many distinct names in the day: two long host names are not a message"`
	DayBytes    Bytes   `yaml:"day_bytes" unit:"B/day" doc:"the same over a day, whatever the names look like: the bound on what a slow tunnel carries"`
}

const dnsInformationDoc = `Bytes of the distinct subdomains of one registered domain that a source asked for: what it can have said to that
domain's name server.

What it sees: 500 bytes in any five minutes, if the names are long as data makes them, or 4 kB in a day, whatever they look
like. A repeated name says nothing new and is not counted.
Why that means exfiltration: whatever the encoding, rate or record type, the name server learns no more than the names, so
no tunnel can carry data without this growing. Short names and slow queries avoid the window, and then the day
bounds them to about 2 kB of data.
Who does it innocently: reputation and block list look-ups, reverse zones, directory services, some CDNs and telemetry;
known ones are labelled and still reported. Resolvers ask for everyone behind them: the finding says so.
What it cannot see: data spread over many registered domains, and answers, which carry data in.
How to investigate: the example names; whether they decode; which process asks; who runs the name server.
Why not the bytes alone: a workstation's first minutes ask for 40 names of 20 bytes of one vendor. Over real tunnels of
seven tools the mean is 28 to 220 bytes; over real browsing it is under 24 wherever there are ten names.`

func dnsInformation() *Detection {
	o := &dnsInformationOptions{WindowBytes: 500, NameBytes: 24, MinNames: 8, DayBytes: 4000}
	d := &Detection{
		Name:       "dns_information",
		Title:      "much said in DNS names",
		Doc:        dnsInformationDoc,
		Technique:  "T1048.003",
		Impact:     80,
		Confidence: 85,
		Aggregate:  DNSPair,
		Needs:      columnar.ColSet(columnar.Query),
		Options:    o,
		Verdict:    dnsTunnel,
	}
	d.Score = func(in *Input) []Finding { return o.score(in, d.Risk()) }
	return d
}

func (o *dnsInformationOptions) score(in *Input, risk int) []Finding {
	var findings []Finding
	for r := range in.today() {
		if r.Names == 0 {
			continue
		}
		mean := float64(r.NameBytes) / float64(r.Names)
		inWindow := r.WindowBytes >= int64(o.WindowBytes) && mean >= o.NameBytes && r.Names >= int64(o.MinNames)
		day := r.NameBytes >= int64(o.DayBytes)
		if !inWindow && !day {
			continue
		}
		f := Finding{Key: r.Key, Baseline: math.NaN(), Summary: r.Summary, Label: innocent(r)}
		span, limit := "a day", o.DayBytes
		if inWindow {
			span, limit = "5 minutes", o.WindowBytes
			f.Observed, f.Unit, f.Window = float64(r.WindowBytes), "B/5min", [2]int64{r.BytesAt, r.BytesAt + window}
		} else {
			f.Observed, f.Unit, f.Window = float64(r.NameBytes), "B/day", in.window()
			// Short names over a day are more often a vendor with many hosts.
			if mean < o.NameBytes {
				f.RiskScore = risk / 2
			}
		}
		f.Score, f.Threshold = f.Observed, float64(limit)
		f.Why = fmt.Sprintf("%s asked %s for names that hold %s of distinct subdomains in %s (%s of %.0f bytes on average and %s %s)%s; ordinary clients stay below %s",
			name(r.Who()), domainName(r.Object), size(f.Observed), span, count(r.Names, "name"), mean, size(float64(r.NameBytes)), in.when(),
			quoteExamples(r.Examples), size(f.Threshold))
		findings = append(findings, f)
	}
	in.addContext(findings)
	return findings
}
