package detect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"outflow/columnar"
)

type cloudUploadOptions struct {
	Floor       Bytes   `yaml:"floor" unit:"B/day" tune:"5MB 10MB 20MB 50MB 100MB 200MB" doc:"a destination that is new for the entity is reported from this volume; less is a picture or a form"`
	TextFloor   Bytes   `yaml:"text_floor" unit:"B/day" doc:"the same for paste sites and webhooks, which carry text; not for webhooks at which common others upload, since people use such a chat service by hand; see common_floor"`
	CommonFloor Bytes   `yaml:"common_floor" unit:"B/day" doc:"the same where at least common others upload, and for entities or logs without enough history to call anything new"`
	Common      int     `yaml:"common" unit:"entities" doc:"a destination is ordinary if this many others upload to it"`
	KnownFloor  Bytes   `yaml:"known_floor" unit:"B/day" doc:"a destination used before is reported from this volume, if it also exceeds rise"`
	Rise        float64 `yaml:"rise" unit:"" doc:"how many times the highest earlier day a known destination must reach; a sync client doubles, a copied share does not stop there"`
	MinDays     int     `yaml:"min_days" unit:"days" doc:"days of history that are needed to call a destination new"`
	ColdMedium  Bytes   `yaml:"cold_medium" unit:"B/day" doc:"without enough history, an upload to file sharing is of medium severity from this volume, if fewer than common others upload there"`
	ColdHigh    Bytes   `yaml:"cold_high" unit:"B/day" doc:"the same for high severity; less may be a phone's pictures"`
	BlindEvents int     `yaml:"blind_events" unit:"uploads/day" doc:"a new destination without byte counts is reported from this number of uploads"`
}

const cloudUploadDoc = `Uploads to cloud storage, file sharing, paste sites, webhooks, code forges and web mail that are not the
company's own, per user and destination.

What it sees: bytes of upload methods to hosts of a catalogue (regional and virtual-hosted buckets too), if the
destination is new for the user and got 20 MB, or got 100 MB and three times its highest day before. For destinations that
ten others use, and logs with under seven days of history, the limit is 200 MB. From there on, file sharing that is new and that nobody else uses, and three times what anyone ever sent there in a day, is high, as is all that goes to services that ask nobody for a name, if nobody else uses them, and 20 MB to a webhook, if that is ten times what anyone else sent there. With under seven days, file sharing is medium from 500 MB and high from 2 GB. What goes to a tenant of SharePoint in which most of the company works is low; what goes to a service to which phones upload by themselves (iCloud), and which a twentieth of the company uses, is at most medium. CONNECT-only proxies are judged by host and bytes.
Why that means exfiltration: such services are reachable from everywhere, trusted by every proxy and free.
Common false positives: a new project with a customer's share, a backup agent's first runs, a phone on the company's Wi-Fi.
What it cannot see: services outside the catalogue, personal accounts on a service that the company uses itself, and
bytes that the log does not have; new destinations without byte counts are reported with their number of uploads.
How to investigate: who owns the bucket or account, and what was read before the peak named in the evidence. List your own
tenants and buckets in the configuration: they are not foreign.`

func cloudUpload() *Detection {
	o := &cloudUploadOptions{
		Floor: 20e6, TextFloor: 1e6, CommonFloor: 200e6, Common: 10, KnownFloor: 100e6, Rise: 3, MinDays: 7, ColdMedium: 500e6, ColdHigh: 2e9, BlindEvents: 10,
	}
	d := &Detection{
		Name:       "cloud_upload",
		Title:      "upload to a foreign cloud service",
		Doc:        cloudUploadDoc,
		Technique:  "T1567.002",
		Impact:     70,
		Confidence: 60,
		Aggregate:  UserDestinationDay,
		Needs:      columnar.ColSet(columnar.URLHost, columnar.DstHost, columnar.BytesOut),
		History:    baselineDays,
		Options:    o,
		Verdict:    uploadVerdict,
	}
	d.Score = func(in *Input) []Finding { return o.score(in, d.Risk()) }
	d.Seed = func() { d.History, d.Score, d.Verdict = allHistory, scoreCloudSeed, "" }
	return d
}

type destination struct{ feed, object string }

func (o *cloudUploadOptions) score(in *Input, risk int) []Finding {
	users, hosts := map[destination]int{}, map[destination]int{} // only of cloud services: nothing else is looked up
	var asked []Key                                              // those for which it matters how many in the company use them
	last := map[destination]Key{}                                // the entity that was counted last
	highest := map[Key]topTwo[string]{}                          // of each entity and accountService: by host, the highest day
	for key, rows := range in.Series {
		service, ok := CloudHost([]byte(key.Object))
		if !ok {
			continue
		}
		at, entity := account(key), key
		entity.Object = at.object
		hosts[destination{key.Feed, key.Object}]++
		if last[at] != entity {
			users[at]++
			last[at] = entity
		}
		if users[at] == minPeers && namesTenant(key.Object) || service.Kind == "device" {
			asked = append(asked, key)
		}
		if at.object != key.Object {
			h := highest[entity]
			h.add(key.Object, in.highest(key, rows))
			highest[entity] = h
		}
	}
	used := in.popularity(asked)
	maxima := in.peerMaxima(&bytesOut)
	var findings []Finding
	for key, rows := range in.Series {
		past, today := in.before(rows)
		at, entity := account(key), key
		entity.Object = at.object
		others, ok := users[at]
		if today == nil || !ok || in.Own(key.Object) {
			continue
		}
		service, _ := CloudHost([]byte(key.Object))
		p, elsewhere := used[destination{key.Feed, key.Object}], highest[entity]
		u := upload{
			service: service, tenant: p != nil && p.tenant(key.Object), devices: p != nil && p.devices(key.Object),
			past: past, today: today, covered: len(in.baselineDays(key.Feed)),
			others: others - 1, here: hosts[destination{key.Feed, key.Object}] - 1,
			most: maxima[at].without(key), elsewhere: elsewhere.without(key.Object),
		}
		if f, ok := o.judge(in, &u); ok {
			f.Technique = service.Technique
			f.RiskScore = risk * f.RiskScore / 100
			findings = append(findings, f)
		}
	}
	return findings
}

// An upload is an entity's day at one destination.
type upload struct {
	service CloudService
	tenant  bool // the host names a tenant, in which most of the entities upload
	devices bool // many in the company have devices that upload there
	past    []Row
	today   *Row
	covered int   // days of history that were read
	others  int   // other entities that upload there, or to another host of an accountService
	here    int   // those at this host
	most    int64 // bytes of the highest day that any of them had there
	// elsewhere is the highest day that the entity had at another host of an accountService.
	elsewhere int64

	// What judge finds first: the volume from which it is reported; the entity's highest day there and the
	// number of its days, both without those that had a finding; and whether the destination is new to it.
	floor, highest int64
	days           int
	fresh          bool
}

// highest returns the bytes of a key's highest day before, without those that had a finding.
func (in *Input) highest(key Key, rows []Row) (bytes int64) {
	past, _ := in.before(rows)
	for i := range past {
		if !in.Flagged(key, past[i].Day) {
			bytes = max(bytes, past[i].BytesOut)
		}
	}
	return bytes
}

// A gigabyte to a known destination is high from steepRise times its highest day on: a full backup is six times what
// is added each night.
const steepRise = 10

// dropPercent is the percentage of the risk of uploads that nobody else makes, to a paste site or a service that asks
// nobody for a name.
const dropPercent = 130

// judge returns the finding. Its RiskScore is a percentage of the detection's risk.
func (o *cloudUploadOptions) judge(in *Input, u *upload) (Finding, bool) {
	key, out := u.today.Key, u.today.BytesOut
	points := u.earlier(in)
	u.floor = o.floorOf(u)
	// A tiny first upload must not make the destination a known one.
	u.fresh = u.highest < u.floor/10
	f := Finding{
		Key: key, Score: float64(out), Threshold: float64(u.floor), Observed: float64(out), Baseline: math.NaN(), Unit: "B/day",
		Window: in.Day.window(), Summary: u.today.Summary, RiskScore: 100,
	}
	if blind(u.today) {
		return f, o.withoutBytes(&f, in, u)
	}
	reported := out >= u.floor
	if !u.fresh {
		reported = out >= max(int64(o.KnownFloor), u.floor) && float64(out) > o.Rise*float64(u.highest)
	}
	if !reported || in.habitual(&bytesOut, key, out, u.past) {
		return f, false
	}
	if u.fresh {
		o.first(&f, in, u)
	} else {
		f.Baseline = float64(u.highest)
		f.Threshold = max(float64(o.KnownFloor), float64(u.floor), o.Rise*float64(u.highest))
		f.Why = fmt.Sprintf("%s; in %s there before it uploaded at most %s in a day, so this is %s its highest (%s).",
			u.said(in), count(int64(u.days), "day"), size(f.Baseline), times(f.Observed/f.Baseline), u.prevalence())
	}
	o.grade(&f, u)
	f.Why += andNamed(&u.today.Summary) + andBlocked(&u.today.Summary)
	f.Timeline = append(points, Point{Day: in.Day, Value: f.Observed})
	for i := range f.Timeline {
		f.Timeline[i].Mid, f.Timeline[i].Up = float64(u.highest), f.Threshold
	}
	return f, true
}

// earlier finds the highest of the days before and their number, and returns their points.
func (u *upload) earlier(in *Input) []Point {
	points := make([]Point, 0, len(u.past)+1)
	for i := range u.past {
		r := &u.past[i]
		trained := !in.Flagged(r.Key, r.Day)
		if trained {
			u.highest, u.days = max(u.highest, r.BytesOut), u.days+1
		}
		points = append(points, Point{Day: r.Day, Value: float64(r.BytesOut), Trained: trained})
	}
	return points
}

// floorOf returns the volume from which an upload is reported.
func (o *cloudUploadOptions) floorOf(u *upload) int64 {
	switch {
	case u.covered < o.MinDays:
		return int64(o.CommonFloor)
	case u.service.Kind == "paste" || u.service.Kind == "webhook" && u.here < o.Common:
		return int64(o.TextFloor)
	case u.here >= o.Common: // also of a chat service with webhooks: people send each other pictures
		return int64(o.CommonFloor)
	}
	return int64(o.Floor)
}

// said says what was uploaded, as the start of a sentence.
func (u *upload) said(in *Input) string {
	return fmt.Sprintf("%s uploaded %s to %s (%s, %s) on %s", printable(u.today.Who()), size(float64(u.today.BytesOut)),
		printable(u.today.Object), u.service.Name, u.service.Kind, in.Day)
}

// prevalence says how many others upload there.
func (u *upload) prevalence() string {
	switch u.others {
	case 0:
		return "nobody else uploads there"
	case 1:
		return "1 other uploads there"
	}
	return count(int64(u.others), "other") + " upload there"
}

// withoutBytes completes the finding of a new destination in a log without byte counts, and reports whether
// there is one.
func (o *cloudUploadOptions) withoutBytes(f *Finding, in *Input, u *upload) bool {
	uploads := u.today.Events - u.today.Blocked
	if len(u.past) > 0 || u.covered < o.MinDays || uploads < int64(o.BlindEvents) {
		return false
	}
	f.RiskScore, f.Unit = 25, "uploads/day"
	f.Score, f.Threshold, f.Observed = float64(uploads), float64(o.BlindEvents), float64(uploads)
	f.Why = fmt.Sprintf("%s made %s to %s (%s, %s) on %s, never before in %s; the log has no byte counts, so the volume is unknown.",
		printable(f.Who()), count(uploads, "upload"), printable(f.Object), u.service.Name, u.service.Kind, in.Day,
		count(int64(u.covered), "day")) + andNamed(&u.today.Summary) + andBlocked(&u.today.Summary)
	return true
}

// first says why an upload to a destination that is new to the entity is reported, and grades it if the
// history is too short to tell.
func (o *cloudUploadOptions) first(f *Finding, in *Input, u *upload) {
	f.Baseline = 0
	said, covered, floor := u.said(in), count(int64(u.covered), "day"), size(float64(u.floor))
	switch {
	case u.covered < o.MinDays:
		f.RiskScore = 50
		// Nothing that many use for their work, and no drip: the volume speaks.
		if u.service.shares() && u.others < o.Common {
			switch out := u.today.BytesOut; {
			case out >= int64(o.ColdHigh) && !u.devices:
				f.RiskScore, f.Severity = 100, High
			case out >= int64(o.ColdMedium):
				f.RiskScore = 100
			}
		}
		f.Why = fmt.Sprintf("%s; %s of history is too short to tell whether it is new, so everyone above %s is reported (%s).",
			said, covered, floor, u.prevalence())
	case len(u.past) == 0:
		f.Why = fmt.Sprintf("%s; it never uploaded there in the %s before, and a new destination is reported from %s (%s).",
			said, covered, floor, u.prevalence())
	case u.days == 0:
		f.Why = fmt.Sprintf("%s; its earlier uploads there were reported as well, and only %s make a destination a habit (%s).",
			said, count(habitDays, "such day"), u.prevalence())
	default:
		f.Why = fmt.Sprintf("%s; in the %s before it uploaded at most %s there in a day, and a rarely used destination is reported from %s (%s).",
			said, covered, size(float64(u.highest)), floor, u.prevalence())
	}
}

// grade sets the severity and the risk of a finding from what others send there.
func (o *cloudUploadOptions) grade(f *Finding, u *upload) {
	out := u.today.BytesOut
	// A service that nobody else in the company uses is not where its phones make backups.
	alone := u.fresh && u.others == 0 && u.service.shares()
	// Customers do not send files to services that ask nobody for a name. Webhooks carry text.
	drop := alone && u.service.Kind == "anonymous" ||
		u.fresh && u.service.Kind == "webhook" && out >= int64(o.Floor) && float64(out) > steepRise*max(float64(u.most), float64(o.TextFloor))
	// Who pushes code or sends mail every day outdoes the others threefold by chance.
	rise := o.Rise
	if !u.fresh && !u.service.shares() {
		rise = max(rise, steepRise)
	}
	record := float64(out) > rise*float64(max(u.highest, u.elsewhere, u.most))
	usual := u.others >= o.Common && u.most >= out/2
	if u.covered >= o.MinDays && !usual && !u.devices {
		// Where many send as much, a gigabyte is a folder that moves; where nobody ever did, less is somebody's own account.
		gigabyte := out >= 1e9 && (u.fresh || float64(out) >= steepRise*float64(u.highest))
		own := out >= int64(o.CommonFloor) && (alone || record && u.service.Kind != "storage")
		if gigabyte || own || drop {
			f.Severity = High
		}
	}
	if drop || u.fresh && u.others == 0 && u.service.Kind == "paste" && u.covered >= o.MinDays {
		f.RiskScore = dropPercent
	}
	if usual {
		f.RiskScore /= 2
	}
	f.Customary = u.devices || !u.fresh || u.others > 0 && !record
	if u.tenant {
		f.Label, f.Severity = "tenant that most of the company works in", min(f.Severity, Low)
	}
}

// seedHosts are the hosts that the original rule searches for, anywhere in the line.
var seedHosts = []string{"s3.amazonaws.com", "storage.googleapis.com", "onedrive.live.com", "dropboxapi.com"}

// SeedHost reports whether the original rule searches for uploads to a host.
func SeedHost(host string) bool {
	return slices.ContainsFunc(seedHosts, func(s string) bool { return strings.Contains(host, s) })
}

// seedTop is how many lines the original rule shows.
const seedTop = 20

// scoreCloudSeed returns the 20 pairs of entity and destination with the most bytes in
// the whole log.
func scoreCloudSeed(in *Input) []Finding {
	var findings []Finding
	for key, rows := range in.Series {
		if !SeedHost(key.Object) {
			continue
		}
		s := sum(rows)
		findings = append(findings, Finding{
			Key: key, Score: float64(s.BytesOut), Observed: float64(s.BytesOut), Baseline: math.NaN(), Unit: "B",
			Window: [2]int64{rows[0].Day.window()[0], rows[len(rows)-1].Day.window()[1]}, Summary: s,
			Why: fmt.Sprintf("%s uploaded %s to %s from %s to %s, one of the %d largest uploads to known cloud storage.",
				printable(key.Entity), size(float64(s.BytesOut)), printable(key.Object), rows[0].Day, rows[len(rows)-1].Day, seedTop),
		})
	}
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), a.Key.Compare(b.Key))
	})
	return findings[:min(len(findings), seedTop)]
}
