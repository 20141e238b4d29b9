package detect

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// This file says whose the addresses, hosts and names of findings are.

// minNamings is how many events must name a user before an address or host counts as
// that user's. With fewer, one mistyped name or one visit to a colleague's machine makes
// the wrong person a suspect; with more, quiet machines stay nobody's.
const minNamings = 10

// maxNamed is how many users, and hosts, are told apart for one address and day. What
// more have is shared in any case.
const maxNamed = 1000

// shownShares is how many of the users who share an address a text names.
const shownShares = 3

// Subject returns on whose account a finding is: the person, if one is known, else the
// entity.
func (f *Finding) Subject() (entityType, entity string) {
	if f.Person != "" {
		return entityColumns[userEntity].String(), f.Person
	}
	return f.EntityType, f.Entity
}

// Whose returns a sentence about Person and PersonBy, or "".
func (f *Finding) Whose() string {
	who, person := printable(f.Who()), printable(f.Person)
	switch {
	case f.PersonBy == "":
		return ""
	case f.Person == "":
		if via, user, events, ok := fewNamings(f.PersonBy); ok {
			return fmt.Sprintf("%s was possibly %s (%s%s in those hours, nobody else; too few to attribute).", who, user, via, events)
		}
		return fmt.Sprintf("It is not known whose %s was (%s).", who, f.PersonBy)
	case f.PersonBy == byIdentities:
		return fmt.Sprintf("%s is %s, by the identities file.", who, person)
	case strings.HasSuffix(f.PersonBy, byIdentities):
		return fmt.Sprintf("%s was probably %s (%s).", who, person, f.PersonBy)
	}
	return fmt.Sprintf("%s was probably %s: no other user is named for it in those hours (%s).", who, person, f.PersonBy)
}

// byFew begins what PersonBy says of a user whom too few events name.
const byFew = "only "

// fewNamings takes apart what PersonBy says of a user whom too few events name: how the
// host is known, the user, and the events with their feeds. ok is false if it says
// something else.
func fewNamings(by string) (via, user, events string, ok bool) {
	if i := strings.LastIndex(by, ", "+byFew); i >= 0 && strings.HasPrefix(by, "host ") {
		i += len(", ")
		via, by = by[:i], by[i:]
	}
	number, user, named := strings.Cut(strings.TrimPrefix(by, byFew), ": ")
	feeds := strings.LastIndex(user, " (")
	if !named || feeds < 0 || !strings.HasPrefix(by, byFew) {
		return "", "", "", false
	}
	return via, user[:feeds], number + " of " + strings.TrimSuffix(user[feeds+2:], ")"), true
}

// bySeveral begins what PersonBy says of users who share an entity; shared writes it.
const bySeveral = "shared: "

// PossiblePersons returns whose the entity possibly is, by PersonBy, if Person is not known:
// the user whom too few events name, or those who share it, up to shownShares.
func (f *Finding) PossiblePersons() []string {
	if f.Person != "" {
		return nil
	}
	if _, user, _, ok := fewNamings(f.PersonBy); ok {
		return []string{user}
	}
	_, text, ok := strings.Cut(f.PersonBy, bySeveral)
	if end := strings.LastIndex(text, " ("); ok && end >= 0 {
		var out []string
		for part := range strings.SplitSeq(text[:end], ", ") {
			part = strings.TrimSuffix(part, " %")
			if at := strings.LastIndexByte(part, ' '); at > 0 && part[at+1:] != "others" && part[at+1:] != "other" {
				out = append(out, strings.TrimRight(part[:at], " <>"))
			}
		}
		return out
	}
	return nil
}

// byIdentities is PersonBy if the identities file says it.
const byIdentities = "identities"

// Attribute sets Person and PersonBy of findings, and the UIDs that depend on them. rows yields the rows of address_user of
// the days of the findings; it may be ranged over again.
//
// What the identities file says of an entity goes first. Otherwise an address or host is
// a user's if the logs name that user, and no other, in the hours of the finding, in at
// least minNamings events. Rows of all feeds count: users whom any feed names share the
// address. But events of two feeds may be the same, so a user has as many as the feed
// that names the user most often. For an address for which no log names a user, the host
// that had it decides: in each hour the one that was named for it last, in that hour or
// before it on that day, as leases are logged when they begin.
//
// Names that differ only in that one has no domain are one user, as are CORP\ana and
// ana@corp.example. Findings over more than a day are attributed by the file only.
func Attribute(findings []Finding, ids *Identities, rows iter.Seq2[*Row, error]) error {
	if err := attribute(findings, ids, rows); err != nil {
		return err
	}
	for i := range findings {
		if f := &findings[i]; f.Person != "" && perPerson(f.Verdict) {
			f.identify()
		}
	}
	return nil
}

func attribute(findings []Finding, ids *Identities, rows iter.Seq2[*Row, error]) error {
	w := witnesses{ids: ids, of: map[owner]*witness{}}
	for i := range findings {
		f := &findings[i]
		kind := kindOf(f.EntityType)
		if kind == groupEntity {
			continue
		}
		if person := ids.person(kind, f.Entity, DayOf(f.Window[0]), DayOf(f.Window[1]-1)); person != "" {
			if kind != userEntity || person != f.Entity {
				f.Person, f.PersonBy = person, byIdentities
			}
		} else if kind != userEntity && f.Window[1]-f.Window[0] <= dayMicros {
			w.of[owner{f.Day, kind, f.Entity}] = &witness{}
		}
	}
	if len(w.of) == 0 {
		return nil
	}
	if err := w.hear(rows); err != nil {
		return err
	}
	hosts := witnesses{ids: ids, of: map[owner]*witness{}, short: map[owner][]string{}}
	for o, address := range w.of {
		for n := range address.hosts {
			h := owner{o.day, hostEntity, n.name}
			if hosts.of[h] == nil {
				hosts.of[h] = &witness{}
				short := owner{o.day, hostEntity, shortHost(n.name)}
				hosts.short[short] = append(hosts.short[short], n.name)
			}
		}
	}
	if len(hosts.of) > 0 {
		if err := hosts.hear(rows); err != nil {
			return err
		}
	}
	for i := range findings {
		f := &findings[i]
		if heard := w.of[owner{f.Day, kindOf(f.EntityType), f.Entity}]; heard != nil && f.PersonBy == "" {
			f.Person, f.PersonBy = w.decide(heard, f, &hosts)
		}
	}
	return nil
}

// kindOf returns the kind of an entity's type; groupEntity if it has no column.
func kindOf(entityType string) entityKind {
	for kind, column := range entityColumns {
		if kind > 0 && column.String() == entityType {
			return entityKind(kind)
		}
	}
	return groupEntity
}

// An owner is an address or host on a day.
type owner struct {
	day  Day
	kind entityKind
	name string
}

// A naming is a user or host that a feed names.
type naming struct{ feed, name string }

// A witness is what the logs of a day say of an address or host.
type witness struct {
	users map[naming]*[24]int64 // events by hour
	hosts map[naming]int64      // hours, a bit each
	more  int64                 // hours in which more users or hosts are named than there is room for
}

// witnesses hear what is said of some addresses and hosts.
type witnesses struct {
	ids *Identities
	of  map[owner]*witness
	// short has the names of the hosts of of by their short names. Nil: only whole names
	// count.
	short map[owner][]string
}

// hear reads what rows say.
func (w *witnesses) hear(rows iter.Seq2[*Row, error]) error {
	for r, err := range rows {
		if err != nil {
			return err
		}
		o := owner{r.Day, kindOf(r.EntityType), r.Entity}
		if heard := w.of[o]; heard != nil {
			w.add(heard, r)
		}
		if w.short == nil || o.kind != hostEntity {
			continue
		}
		// DHCP knows a machine as pc-ana, and the machine itself as pc-ana.corp.example.
		short := shortHost(r.Entity)
		for _, name := range w.short[owner{o.day, o.kind, short}] {
			if name != r.Entity && (name == short || r.Entity == short) {
				w.add(w.of[owner{o.day, o.kind, name}], r)
			}
		}
	}
	return nil
}

func (w *witnesses) add(heard *witness, r *Row) {
	kind, name, _ := strings.Cut(r.Object, " ")
	n := naming{r.Feed, name}
	if kind == entityColumns[hostEntity].String() {
		if heard.hosts == nil {
			heard.hosts = map[naming]int64{}
		}
		if _, known := heard.hosts[n]; !known && len(heard.hosts) >= maxNamed {
			heard.more |= r.Hours
			return
		}
		n.feed, n.name = strings.Clone(n.feed), strings.Clone(n.name) // not the block of rows
		heard.hosts[n] |= r.Hours
		return
	}
	n.name = w.ids.user(name, r.Day)
	if heard.users == nil {
		heard.users = map[naming]*[24]int64{}
	}
	hours := heard.users[n]
	if hours == nil {
		if len(heard.users) >= maxNamed {
			heard.more |= r.Hours
			return
		}
		hours = &[24]int64{}
		heard.users[naming{strings.Clone(n.feed), strings.Clone(n.name)}] = hours
	}
	for h := range hours {
		if r.Hours>>h&1 != 0 {
			hours[h] += r.Events
		}
	}
}

// shortHost returns a host's name without its domain.
func shortHost(name string) string {
	short, _, _ := strings.Cut(name, ".")
	return short
}

// A share is a user, how many events name the user, and the feeds that do, the most
// telling first.
type share struct {
	user   string
	events int64
	feeds  []string
}

// shares returns the users who are named in any of the hours, most events first.
func (heard *witness) shares(hours int64) []share {
	type feedCount struct {
		feed   string
		events int64
	}
	named := map[string][]feedCount{}
	for n, by := range heard.users {
		sum := int64(0)
		for h, events := range by {
			if hours>>h&1 != 0 {
				sum += events
			}
		}
		if sum > 0 {
			named[n.name] = append(named[n.name], feedCount{n.feed, sum})
		}
	}
	joined := map[string][]feedCount{}
	same := sameUsers(slices.Sorted(maps.Keys(named)))
	for name, counts := range named {
		joined[same[name]] = append(joined[same[name]], counts...)
	}
	var out []share
	for name, counts := range joined {
		slices.SortFunc(counts, func(a, b feedCount) int {
			return cmp.Or(cmp.Compare(b.events, a.events), strings.Compare(a.feed, b.feed))
		})
		s := share{user: name, events: counts[0].events}
		for _, c := range counts {
			if !slices.Contains(s.feeds, c.feed) {
				s.feeds = append(s.feeds, c.feed)
			}
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b share) int {
		return cmp.Or(cmp.Compare(b.events, a.events), strings.Compare(a.user, b.user))
	})
	return out
}

// sameUsers returns, for each name, the name of its user. Of the forms of one user,
// name@domain goes before DOMAIN\name, and both before a name without a domain.
func sameUsers(names []string) map[string]string {
	type account struct{ name, domain string }
	of := func(name string) account {
		if domain, rest, ok := strings.Cut(name, `\`); ok {
			return account{rest, shortHost(domain)}
		}
		if i := strings.LastIndexByte(name, '@'); i > 0 {
			return account{name[:i], shortHost(name[i+1:])}
		}
		return account{name, ""}
	}
	best := map[account]string{}
	domains := map[string][]account{} // by name: those with a domain
	for _, name := range names {
		a := of(name)
		if old, ok := best[a]; ok && (strings.Contains(old, "@") || !strings.Contains(name, "@")) {
			continue
		} else if !ok && a.domain != "" {
			domains[a.name] = append(domains[a.name], a)
		}
		best[a] = name
	}
	out := map[string]string{}
	for _, name := range names {
		a := of(name)
		if in := domains[a.name]; a.domain == "" && len(in) == 1 {
			a = in[0]
		}
		out[name] = best[a]
	}
	return out
}

// hours returns the hours of the day that a finding is about, a bit each: those of its
// window in which it has events.
func (f *Finding) hours() int64 {
	all := int64(0)
	for us := f.Window[0]; us < f.Window[1] && all != 1<<24-1; {
		all |= hourBit(us)
		us += 3600e6 - us%3600e6
	}
	if known := all & f.Summary.Hours; known != 0 {
		return known
	}
	return all
}

// decide says whose the address or host of a finding was.
func (w *witnesses) decide(heard *witness, f *Finding, hosts *witnesses) (person, by string) {
	hours := f.hours()
	users := heard.shares(hours)
	via := ""
	if len(users) == 0 && heard.more&hours == 0 {
		names, feeds := heard.hostsAt(hours)
		switch {
		case len(names) == 0:
			return "", ""
		case len(names) > 1:
			return "", fmt.Sprintf("several hosts: %s (%s)", listOf(names), strings.Join(feeds, ", "))
		}
		via = fmt.Sprintf("host %s by %s, ", printable(names[0]), strings.Join(feeds, ", "))
		if person := w.ids.person(hostEntity, names[0], f.Day, f.Day); person != "" {
			return person, via + byIdentities
		}
		heard = hosts.of[owner{f.Day, hostEntity, names[0]}]
		if users = heard.shares(hours); len(users) == 0 {
			return "", strings.TrimSuffix(via, ", ") + ", for which no log names a user"
		}
	}
	switch {
	case heard.more&hours != 0:
		return "", fmt.Sprintf("%sshared by more than %d users or hosts", via, maxNamed)
	case len(users) > 1:
		return "", via + shared(users)
	case users[0].events < minNamings:
		return "", fmt.Sprintf("%s"+byFew+"%s: %s (%s)", via, count(users[0].events, "event"), printable(users[0].user), strings.Join(users[0].feeds, ", "))
	}
	return users[0].user, fmt.Sprintf("%s%s, %s", via, strings.Join(users[0].feeds, ", "), count(users[0].events, "event"))
}

// hostsAt returns the hosts that had an address in the hours: in each the one named last,
// and several if they were named in the same hour.
func (heard *witness) hostsAt(hours int64) (names, feeds []string) {
	for h := range 24 {
		if hours>>h&1 == 0 {
			continue
		}
		last := 0 // 1 + the last hour in which a host was named
		for _, mask := range heard.hosts {
			last = max(last, bits.Len64(uint64(mask)&(1<<(h+1)-1)))
		}
		for n, mask := range heard.hosts {
			if last > 0 && mask>>(last-1)&1 != 0 {
				names, feeds = append(names, n.name), append(feeds, n.feed)
			}
		}
	}
	slices.Sort(names)
	slices.Sort(feeds)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(name string) bool { // pc-ana is pc-ana.corp.example
		return slices.ContainsFunc(names, func(whole string) bool { return strings.HasPrefix(whole, name+".") })
	}), slices.Compact(feeds)
}

// shared says how much of the events each user has, and which feeds say so.
func shared(users []share) string {
	total := int64(0)
	var feeds []string
	for _, u := range users {
		total += u.events
		feeds = append(feeds, u.feeds...)
	}
	slices.Sort(feeds)
	var parts []string
	for _, u := range users[:min(len(users), shownShares)] {
		percent := fmt.Sprintf("%.0f %%", 100*float64(u.events)/float64(total))
		switch percent {
		case "0 %":
			percent = "< 1 %"
		case "100 %":
			percent = "> 99 %"
		}
		parts = append(parts, printable(u.user)+" "+percent)
	}
	if n := len(users) - shownShares; n > 0 {
		parts = append(parts, count(int64(n), "other"))
	}
	return fmt.Sprintf(bySeveral+"%s (%s)", strings.Join(parts, ", "), strings.Join(slices.Compact(feeds), ", "))
}

// listOf names the first of several names.
func listOf(names []string) string {
	var parts []string
	for _, name := range names[:min(len(names), shownShares)] {
		parts = append(parts, printable(name))
	}
	if n := len(names) - shownShares; n > 0 {
		parts = append(parts, count(int64(n), "other"))
	}
	return strings.Join(parts, ", ")
}
