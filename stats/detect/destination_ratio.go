package detect

import (
	"fmt"
	"math"
	"net/netip"

	"outflow/columnar"
	"outflow/stats"
)

type destinationRatioOptions struct {
	Ratio float64 `yaml:"ratio" unit:"" tune:"20 50 100 200" doc:"bytes out for each byte in; protocols that only confirm what they get send back a hundredth"`
	Floor Bytes   `yaml:"floor" unit:"B/day" tune:"5MB 10MB 20MB 50MB 100MB" doc:"a destination that got less is not judged: telemetry and crash reports send megabytes and get nothing back"`
	Rare  float64 `yaml:"rare" unit:"%" doc:"a domain is judged only if at most this share of the other entities use it; addresses without a name always are"`
}

const destinationRatioDoc = `A destination that takes data and gives nothing back.

What it sees: 10 MB or more in a day to one destination, a hundred times what came back in answer, if the destination is an
address without a name, or a domain that at most 2 % of the others use. Catalogued cloud services are left to cloud_upload.
Why that means exfiltration: a service answers with pages; a drop only confirms.
Common false positives: off-site backups, log shippers, cameras and broadcasts; portals whose pages come by other requests than
the uploads, where the proxy reads TLS. After four days at the same destination, of a machine or service account in a feed's first week after two, it is a habit and no longer reported.
What it cannot see: drops that pad their answers, requests that do not upload, and logs that count one direction only. With
under ten entities in a log only addresses are judged.
How to investigate: what listens there, who owns it, and which process of the machine talks to it.`

func destinationRatio() *Detection {
	o := &destinationRatioOptions{Ratio: 100, Floor: 10e6, Rare: 2}
	d := &Detection{
		Name:       "destination_ratio",
		Title:      "destination that sends nothing back",
		Doc:        destinationRatioDoc,
		Technique:  "T1567",
		Impact:     60,
		Confidence: 50,
		Verdict:    uploadVerdict,
		Aggregate:  UserDestinationDay,
		Needs:      columnar.ColSet(columnar.URLHost, columnar.BytesOut, columnar.BytesIn),
		History:    seenDays,
		Options:    o,
		Fold:       listDestinations,
	}
	d.Score = o.score
	return d
}

// takes reports whether a destination got enough, and gave almost nothing back.
func (o *destinationRatioOptions) takes(r *Row) bool {
	return directed(r) && r.BytesOut >= int64(o.Floor) && float64(r.BytesOut) >= o.Ratio*float64(r.BytesIn)
}

func (o *destinationRatioOptions) score(in *Input) []Finding {
	var found []Row
	var keys []Key
	for key, rows := range in.Series {
		if key.Object == "" {
			continue
		}
		past, today := in.before(rows)
		if today == nil || !o.takes(today) || isCloudHost([]byte(key.Object)) || in.Own(key.Object) {
			continue
		}
		habit := 0
		for i := range past {
			if past[i].Day >= in.Day-baselineDays && o.takes(&past[i]) {
				habit++
			}
		}
		if habit < in.habitDays(key) {
			found, keys = append(found, *today), append(keys, key)
		}
	}
	used := in.popularity(keys)
	var findings []Finding
	for i := range found {
		r := &found[i]
		p := used[destination{r.Feed, r.Object}]
		_, err := netip.ParseAddr(r.Object)
		address := err == nil
		if !address && !(p.share() <= o.Rare) {
			continue
		}
		ratio := stats.Ratio(r.BytesOut, r.BytesIn)
		f := Finding{
			Key: r.Key, Score: ratio, Threshold: o.Ratio, Observed: ratio, Baseline: math.NaN(), Unit: "B out/B in",
			Window: in.Day.window(), Summary: r.Summary,
		}
		what := ""
		if address {
			what = ", an address without a name,"
		}
		back := "nothing came back"
		if r.BytesIn > 0 {
			back = fmt.Sprintf("%s came back, a byte for %.0f", size(float64(r.BytesIn)), float64(r.BytesOut)/float64(r.BytesIn))
		}
		f.Why = fmt.Sprintf("%s sent %s to %s%s on %s and %s; services answer more than a byte for %s, and %s.",
			printable(f.Who()), size(float64(r.BytesOut)), printable(r.Object), what, in.Day, back, num(o.Ratio), p) + andNamed(&r.Summary) + andBlocked(&r.Summary)
		findings = append(findings, f)
	}
	return findings
}
