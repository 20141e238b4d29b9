package reports

import (
	"cmp"
	"slices"
	"strings"

	"outflow/stats/detect"
)

// This file groups findings by the person or machine that they are about, and says how
// much probably left.

// A subject is a person or a machine, with its findings that no allow-list entry
// accepts.
type subject struct {
	kind, name string            // as detect.Finding.Subject returns them
	service    bool              // a user that is a service account
	findings   []*detect.Finding // worst first
	worst      detect.Severity   // of findings
	risk       detect.EntityRisk // the zero value if it is not known
	leaks      []leak            // what probably left, in the order of the findings
	bytes      int64             // sum of leaks
}

// A leak is data that probably left, by one finding.
type leak struct {
	finding *detect.Finding
	where   string // "" if no log names the destination
	bytes   int64
}

// The classes of subjects, as the page names them.
const (
	people   = "people"
	services = "service accounts"
	machines = "machines"
)

// class returns the class of the subject. A machine has a host or an address as its name.
func (s *subject) class() string {
	switch {
	case s.kind != "user":
		return machines
	case s.service:
		return services
	}
	return people
}

// subjects returns the people and machines with open findings, in the order in which
// every part of the page lists them: by severity, combined risk, bytes and name.
func subjects(r *Report) []*subject {
	all := group(openFindings(r))
	of := map[[2]string]*subject{}
	for _, s := range all {
		of[[2]string{s.kind, s.name}] = s
	}
	groupOf := r.Group
	if groupOf == nil {
		groupOf = func(k detect.Key) string { return detect.GroupOf(k.EntityType, k.Entity) }
	}
	for _, s := range all {
		s.service = s.kind == "user" && groupOf(detect.Key{EntityType: s.kind, Entity: s.name}) == detect.ServiceGroup
	}
	for _, e := range r.Entities {
		if s := of[[2]string{e.EntityType, e.Entity}]; s != nil {
			s.risk = e
		}
	}
	slices.SortStableFunc(all, func(a, b *subject) int {
		return cmp.Or(
			cmp.Compare(b.worst, a.worst),
			cmp.Compare(b.risk.Risk24h, a.risk.Risk24h),
			cmp.Compare(b.risk.Risk7d, a.risk.Risk7d),
			cmp.Compare(b.bytes, a.bytes),
			strings.Compare(a.name, b.name),
		)
	})
	return all
}

// group returns the subjects of findings, in the order of their first ones.
func group(findings []*detect.Finding) []*subject {
	of := map[[2]string]*subject{}
	var all []*subject
	for _, f := range findings {
		kind, name := f.Subject()
		s := of[[2]string{kind, name}]
		if s == nil {
			s = &subject{kind: kind, name: name}
			of[[2]string{kind, name}] = s
			all = append(all, s)
		}
		s.findings = append(s.findings, f)
		s.worst = max(s.worst, f.Severity)
	}
	for _, s := range all {
		s.leaks = leaks(s.findings)
		for _, l := range s.leaks {
			s.bytes = AddBytes(s.bytes, l.bytes)
		}
	}
	return all
}

// leaks returns what probably left by the findings of one subject. Only findings of
// medium severity or higher count, and downloads do not: what was fetched is still in
// the company. The data in DNS names is added up. Of all else that was sent on a day,
// only the largest amount counts, since an upload and the rule that matched its
// requests tell of the same bytes.
func leaks(findings []*detect.Finding) []leak {
	var out []leak
	largest := map[detect.Day]int{} // index in out
	for _, f := range findings {
		n := left(f)
		if f.Severity < detect.Medium || n <= 0 {
			continue
		}
		l := leak{f, cmp.Or(f.Object, f.Mostly), n}
		if isRule(f) {
			l.where = detect.RuleHost(f)
		}
		if f.Summary.NameBytes > 0 {
			out = append(out, l)
			continue
		}
		if i, ok := largest[f.Day]; !ok {
			largest[f.Day] = len(out)
			out = append(out, l)
		} else if n > out[i].bytes {
			out[i] = l
		}
	}
	return out
}

// left returns the bytes that probably left by a finding: what it measured beyond the
// normal. If the finding is about one destination, and the whole day was unusual too
// and much larger, data went to other destinations, and the whole day counts.
func left(f *detect.Finding) int64 {
	if f.Download() {
		return 0
	}
	all := f.Bytes()
	if f.Unit != "B/day" || f.Summary.NameBytes > 0 || !(f.Observed >= 0 && f.Observed < 1<<62) {
		return all
	}
	part := f.Observed
	if f.Baseline > 0 { // not NaN
		part -= f.Baseline
	}
	const much = 2
	if slices.Contains(f.Also, "upload_zscore") && float64(all) > much*part {
		return all
	}
	return int64(max(part, 0))
}
