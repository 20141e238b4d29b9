package jobs

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/reports"
	"outflow/stats/detect"
)

// An Allow is an entry of the allow-list. A finding that matches every field that the
// entry sets is kept, marked as allowed, and adds no risk. An expired entry has no
// effect, and the report says so.
type Allow struct {
	Detection   string `yaml:"detection"` // or a verdict: upload, download, dns_tunnel
	User        string `yaml:"user"`
	Host        string `yaml:"host"`
	Domain      string `yaml:"domain"`      // the object or its host, or a domain above it
	CIDR        string `yaml:"cidr"`        // contains the entity's address
	Fingerprint string `yaml:"fingerprint"` // finding_uid
	Reason      string `yaml:"reason"`
	Expires     string `yaml:"expires"` // the last day on which it is valid

	user    string // canonical names of User and Host
	host    string
	cidr    netip.Prefix
	expires detect.Day
	used    bool
}

func (a *Allow) check() error {
	if a.Reason == "" {
		return fmt.Errorf("reason is missing: say why this is known and accepted")
	}
	if a.Expires == "" {
		return fmt.Errorf("expires is missing: give the last day on which it is valid, as in 2027-06-30")
	}
	var err error
	if a.expires, err = detect.ParseDay(a.Expires); err != nil {
		return fmt.Errorf("expires: %w", err)
	}
	if a.CIDR != "" {
		if a.cidr, err = netip.ParsePrefix(a.CIDR); err != nil {
			return fmt.Errorf("cidr %q: want a network like 10.20.0.0/16", a.CIDR)
		}
	}
	if below, ok := strings.CutPrefix(a.Domain, "*."); ok && below != "" {
		a.Domain = below
	}
	if columnar.IsPublicSuffix(strings.ToLower(strings.Trim(a.Domain, "."))) {
		return fmt.Errorf("domain: %q would accept every destination of everybody below it: name the one that is accepted", a.Domain)
	}
	if a.Detection == "" && a.User == "" && a.Host == "" && a.Domain == "" && a.CIDR == "" && a.Fingerprint == "" {
		return fmt.Errorf("no field is set, so it would allow everything: set detection, user, host, domain, cidr or fingerprint")
	}
	return nil
}

func (a *Allow) String() string {
	var parts []string
	for _, p := range [...][2]string{{"detection", a.Detection}, {"user", a.User}, {"host", a.Host},
		{"domain", a.Domain}, {"cidr", a.CIDR}, {"fingerprint", a.Fingerprint}} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+p[1])
		}
	}
	return strings.Join(parts, ", ")
}

func (a *Allow) matches(f *detect.Finding) bool {
	return a.matchesWho(f) && (a.Domain == "" || below(f.Object, a.Domain) || below(detect.RuleHost(f), a.Domain))
}

// matchesWho is matches for all fields but Domain.
func (a *Allow) matchesWho(f *detect.Finding) bool {
	if a.Detection != "" && a.Detection != f.Detection && a.Detection != f.Verdict || a.Fingerprint != "" && a.Fingerprint != f.UID {
		return false
	}
	// An entry for a user is also for the findings of the user's addresses and hosts.
	is := func(user string) bool { return strings.EqualFold(a.user, user) }
	if a.User != "" && !is(f.Person) && !(f.EntityType == "user" && is(f.Entity)) {
		return false
	}
	if a.Host != "" && (f.EntityType != "host" || !strings.EqualFold(a.host, f.Entity)) {
		return false
	}
	if a.CIDR != "" {
		addr, err := netip.ParseAddr(f.Entity)
		if err != nil || !a.cidr.Contains(addr.Unmap()) {
			return false
		}
	}
	return true
}

// below reports whether host is domain or a subdomain of it.
func below(host, domain string) bool {
	host, domain = strings.ToLower(host), strings.ToLower(domain)
	rest, ok := strings.CutSuffix(host, domain)
	return ok && (rest == "" || strings.HasSuffix(rest, "."))
}

// accountedFor is the share of a day's bytes that accepted destinations must have, so that
// the total is accepted with them. With less, a tenth of a large upload to a place that
// nobody accepted would go unseen; with more, the traffic of a usual day beside an accepted
// upload would keep its total in the report.
const accountedFor = 0.9

// allow marks the findings that the list allows. A finding of a day's total names no
// destination. An entry with a domain is for it, too, if the accepted destinations of that
// person and day account for the total.
func allow(list []*Allow, findings []detect.Finding) {
	for i := range findings {
		f := &findings[i]
		for _, a := range list {
			if f.Day <= a.expires && a.matches(f) {
				a.used = true
				f.Allowed = a.Reason
			}
		}
	}
	if !slices.ContainsFunc(list, func(a *Allow) bool { return a.Domain != "" }) {
		return
	}
	accepted := acceptedBytes(findings)
	for i := range findings {
		f := &findings[i]
		if f.Object != "" || f.Allowed != "" || f.Bytes() <= 0 || float64(accepted[whoseDay(f)]) < accountedFor*float64(f.Bytes()) {
			continue
		}
		for _, a := range list {
			if a.Domain != "" && f.Day <= a.expires && a.matchesWho(f) {
				f.Allowed = a.Reason
			}
		}
	}
}

// A personDay is what a person sent, or fetched, on a day.
type personDay struct {
	verdict, entityType, entity string
	day                         detect.Day
}

func whoseDay(f *detect.Finding) personDay {
	kind, entity := f.Subject()
	return personDay{f.Verdict, kind, entity, f.Day}
}

// acceptedBytes returns how much went to destinations that are allowed. Several feeds and
// detections see the same bytes of a destination: the most that one of them saw counts.
func acceptedBytes(findings []detect.Finding) map[personDay]int64 {
	type place struct {
		personDay
		object string
	}
	most := map[place]int64{}
	for i := range findings {
		f := &findings[i]
		if f.Allowed != "" && f.Object != "" && f.Verdict != "" && f.Window[0] >= f.Day.Time().UnixMicro() { // not of many days
			at := place{whoseDay(f), f.Object}
			most[at] = max(most[at], f.Bytes())
		}
	}
	sums := map[personDay]int64{}
	for at, n := range most {
		sums[at.personDay] = reports.AddBytes(sums[at.personDay], n)
	}
	return sums
}

// allowWarnings names the entries that expired before day, and the entries that
// matched nothing.
func allowWarnings(list []*Allow, day detect.Day) []string {
	var out []string
	for _, a := range list {
		switch {
		case a.expires < day:
			out = append(out, fmt.Sprintf("The allow-list entry for %s expired on %s and has no effect.", a, a.expires))
		case !a.used:
			out = append(out, fmt.Sprintf("The allow-list entry for %s matched nothing (expires %s).", a, a.expires))
		}
	}
	return out
}
