package detect

import (
	"fmt"
	"math"

	"outflow/columnar"
)

type dnsInformationOptions struct {
	WindowBytes Bytes   `yaml:"window_bytes" unit:"B/5min" tune:"250B 500B 1kB 2kB 4kB" doc:"distinct subdomains of one domain that a client queries in any 5 minutes; the slowest useful tunnel needs more, the resources of a web page need less"`
	NameBytes   float64 `yaml:"name_bytes" unit:"B/name" doc:"the 5 minutes count only if the day's subdomains are at least this long on average: in tunnels they have 28 bytes or more, on large sites 5 to 24"`
	MinNames    int     `yaml:"min_names" unit:"names" doc:"the 5 minutes count only if the day has at least this many distinct names: two long host names are not a message"`
	DayBytes    Bytes   `yaml:"day_bytes" unit:"B/day" tune:"1kB 2kB 4kB 8kB 16kB" doc:"distinct subdomains of one domain in a day, whatever the names look like: this bounds what a slow tunnel can carry"`
}

const dnsInformationDoc = `Bytes of the distinct subdomains of one registered domain that a client queried: the most that it can have sent to that
domain's name server.

What it sees: 500 bytes in any five minutes, if the names are as long as encoded data, or 4 kB in a day, whatever they look
like. A repeated name carries nothing new and is not counted.
Why that means exfiltration: whatever the encoding, rate or record type, the name server learns no more than the names, so
no tunnel can carry data without increasing this measure. Short names and slow queries stay below the 5-minute limit; then
the daily limit holds them to about 2 kB of data.
Common false positives: reputation and block list look-ups, reverse zones, directory services, some CDNs and telemetry;
known ones are labelled and still reported. A resolver queries for all clients behind it: the finding says so.
What it cannot see: data spread over many registered domains, and answers, which carry data in.
How to investigate: the example names; whether they decode; which process sends the queries; who runs the name server.
Why not the bytes alone: in its first minutes a workstation queries 40 names of 20 bytes of one vendor. In real tunnels of
seven tools the mean length is 28 to 220 bytes; in real browsing it is under 24 wherever there are ten names.`

func dnsInformation() *Detection {
	o := &dnsInformationOptions{WindowBytes: 500, NameBytes: 24, MinNames: 8, DayBytes: 4000}
	d := &Detection{
		Name:       "dns_information",
		Title:      "high data volume in DNS queries",
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
			f.Observed, f.Unit, f.Window = float64(r.WindowBytes), "B/5min", [2]int64{r.BytesAt, r.BytesAt + slidingWindow}
		} else {
			f.Observed, f.Unit, f.Window = float64(r.NameBytes), "B/day", in.window()
			// Many short names in a day more often belong to a vendor with many hosts.
			if mean < o.NameBytes {
				f.RiskScore = risk / 2
			}
		}
		f.Score, f.Threshold = f.Observed, float64(limit)
		f.Why = fmt.Sprintf("%s sent %[3]s encoded in subdomains of %[2]s in %[4]s (%[5]s of %.0[6]f bytes on average, %[7]s in all %[8]s)%[9]s; ordinary clients stay below %[10]s",
			printable(r.Who()), domainName(r.Object), size(f.Observed), span, count(r.Names, "name"), mean, size(float64(r.NameBytes)), in.when(),
			quoteExamples(r.Examples), size(f.Threshold))
		findings = append(findings, f)
	}
	in.addContext(findings)
	return findings
}
