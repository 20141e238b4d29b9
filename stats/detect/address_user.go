package detect

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"unsafe"

	"outflow/columnar"
)

// AddressUser counts which users the logs name for each address and host, and which
// hosts for each address, by hour. Attribute reads it.
var AddressUser = &Aggregate{
	Name: "address_user",
	Doc: "How many events name a user, or a host, for each address, and a user for each host, by UTC day and hour: a row for " +
		"each hour, whose bit hours has. The object is the type and the canonical name: user ann, host pc1. Blocked events, " +
		"logs of servers, accounts of machines and services, and the names that clients give to web servers do not count.",
	Rev:    1,
	Tables: columnar.Tables[:],
	Reads:  entityReads | columnar.ColSet(columnar.Time, columnar.Status, columnar.Action),
	Wants: func(*FoldOptions) columnar.Wanted {
		zeek := columnar.Origin{Product: "zeek"}
		return columnar.Wanted{Events: []columnar.EventKind{{Origin: zeek, Channel: "kerberos"}, {Origin: zeek, Channel: "dhcp"}}}
	},
	JudgedOnly: true,
	New:        func(o *FoldOptions) Folder { return newAddressUsers(o) },
	Merger:     func(*FoldOptions) Merger { return &addressUserMerger{} },
}

// addressUsers is the table of address_user.
type addressUsers struct {
	o        *FoldOptions
	entities *entities
	blockers *blockers
	sections sections[namings]
	// By row of the batch: its user, address and host.
	users, addresses, hosts [columnar.BatchRows]uint32
}

// namings are the pairs of an address or host and what events name for it.
type namings struct {
	groups *columnar.Groups
	hours  hourCounts // by slot, but for the events that recent has
	recent [4][]recentNaming
}

// A recentNaming is what was named last for an address or host (by its code, in the
// entries of its kind), the slot of that pair, and how many events of the hour did.
// Most addresses have one user for long, and logs are in the order of time, so that
// folding a row seldom needs more than this.
type recentNaming struct {
	named  uint32
	slot   int32
	hour   int32
	events uint32
}

// keyedNamings groups the slots of namings by key. By slot of groups, first has one of the
// key; by slot of the namings, next has another one; 0 is none.
type keyedNamings struct {
	groups      *columnar.Groups
	first, next []int32
}

func newAddressUsers(o *FoldOptions) *addressUsers {
	f := &addressUsers{o: o, entities: newEntities(o, userEntity, addressEntity, hostEntity), blockers: newBlockers()}
	f.sections = newSections(func() *namings {
		return &namings{groups: columnar.NewGroups(), hours: newHourCounts()}
	}, func(p *namings) {
		p.groups.Reset()
		p.hours.reset()
		for _, recent := range p.recent {
			clear(recent)
		}
	})
	number := f.entities.numbers[userEntity].Func
	f.entities.numbers[userEntity].Func = func(name []byte) uint32 {
		if nobodysAccount(name) {
			return 0
		}
		return number(name)
	}
	return f
}

// Fold implements Folder.
func (f *addressUsers) Fold(b *columnar.Batch) {
	if b.Server {
		return // anybody may claim any name there
	}
	var users []uint32
	if b.Table != columnar.HTTP || b.Product != "zeek" && b.Product != "suricata" {
		users = f.entities.column(b, userEntity, &f.users)
	} // else a sensor saw what the client told a web server: it need not be a user of the company
	addresses := f.entities.column(b, addressEntity, &f.addresses)
	hosts := f.entities.column(b, hostEntity, &f.hosts)
	if users == nil && (addresses == nil || hosts == nil) || addresses == nil && hosts == nil {
		return
	}
	if hosts != nil && addresses != nil && b.Table == columnar.Event && b.Product == "windows" {
		// The host logs who came from the address, as a domain controller does: it has
		// neither the address nor the user.
		for i, address := range addresses {
			if address != 0 {
				hosts[i] = 0
			}
		}
	}
	f.dropUncounted(b, users, addresses)
	f.sections.days(b, b.Feed, f.o, func(p *namings, from, to int) {
		times := b.Int64(columnar.Time)[from:to]
		for _, pair := range [...][2][]uint32{{addresses, users}, {hosts, users}, {addresses, hosts}} {
			if pair[0] != nil && pair[1] != nil {
				p.add(pair[0][from:to], pair[1][from:to], times)
			}
		}
	})
}

// dropUncounted removes users and addresses of rows that were blocked or that came
// before. No pair is left of such rows.
func (f *addressUsers) dropUncounted(b *columnar.Batch, users, addresses []uint32) {
	actions, blocked := f.blockers.of(b)
	if blocked == nil && b.Repeat == nil {
		return
	}
	for i := range b.Len() {
		if blocked != nil && blocked[actions[i]] || b.Repeats(i) {
			if users != nil {
				users[i] = 0
			}
			if addresses != nil {
				addresses[i] = 0
			}
		}
	}
}

// add counts the pairs of rows.
func (p *namings) add(owners, named []uint32, times []int64) {
	hour, begin := int32(0), int64(math.MinInt64) // of the row before
	for i, owner := range owners {
		what := named[i]
		if owner == 0 || what == 0 {
			continue
		}
		if uint64(times[i]-begin) >= 3600e6 {
			hour = int32(hourOf(times[i]))
			begin = times[i] - times[i]%3600e6
		}
		recent := p.recent[owner&3]
		if n := int(owner>>2) + 1 - len(recent); n > 0 {
			recent = append(recent, make([]recentNaming, n)...)
			p.recent[owner&3] = recent
		}
		r := &recent[owner>>2]
		if r.named != what || r.hour != hour {
			p.settle(r)
			if r.hour = hour; r.named != what {
				r.named, r.slot = what, p.groups.Slot(owner, what)
				p.hours.reserve(r.slot)
			}
		}
		r.events++
	}
}

// settle moves the events that r has to hours.
func (p *namings) settle(r *recentNaming) {
	if r.events > 0 {
		p.hours.add(r.slot, r.hour, r.events)
		r.events = 0
	}
}

// Size implements Folder.
func (f *addressUsers) Size() int {
	n := f.entities.size()
	for _, p := range f.sections.all {
		n += p.groups.Size() + p.hours.size()
		for _, recent := range p.recent {
			n += len(recent) * int(unsafe.Sizeof(recentNaming{}))
		}
	}
	return n
}

// Drain implements Folder. A record's value is the hours with events, each followed by
// their number.
func (f *addressUsers) Drain(w *RunWriter) {
	// Keys have the text of what is named, so that spellings of one name come together.
	objects := columnar.NewDict()
	keyed := map[*namings]*keyedNamings{}
	var text []byte
	for _, p := range f.sections.all {
		for _, recent := range p.recent {
			for i := range recent {
				p.settle(&recent[i])
			}
		}
		k := &keyedNamings{groups: columnar.NewGroups(), first: make([]int32, 1, p.groups.Len()), next: make([]int32, p.groups.Len())}
		keyed[p] = k
		for slot := int32(1); int(slot) < p.groups.Len(); slot++ {
			owner, named := p.groups.Key(slot)
			text = append(append(text[:0], entityKind(named&3).String()...), ' ')
			text = append(text, f.entities.name(named)...)
			to := k.groups.Slot(owner, uint32(objects.Code(text)))
			if int(to) == len(k.first) {
				k.first = append(k.first, 0)
			}
			k.next[slot], k.first[to] = k.first[to], slot
		}
	}
	order := newKeyOrder(f.entities, objects, func(yield func(*columnar.Groups) bool) {
		for _, k := range keyed {
			if !yield(k.groups) {
				return
			}
		}
	})
	var value []byte
	for _, at := range f.sections.sorted() {
		p := f.sections.all[at]
		k := keyed[p]
		for slot, of := range order.keys(at, k.groups) {
			var hours [hoursOfDay]uint64
			for from := k.first[slot]; from != 0; from = k.next[from] {
				p.hours.addTo(&hours, from)
			}
			value = value[:0]
			for h, n := range hours {
				if n > 0 {
					value = binary.AppendUvarint(append(value, byte(h)), n)
				}
			}
			w.record(of.key, 0, value)
		}
		f.sections.drop(at)
	}
}

// addressUserMerger implements Merger.
type addressUserMerger struct{ hours [24]int64 }

func (m *addressUserMerger) Add(_ Day, _ uint64, value []byte) error {
	d := decoder{b: value}
	for len(d.b) > 0 {
		h, n := d.b[0], uint64(0)
		d.b = d.b[1:]
		if n = d.uvarint(); d.bad || int(h) >= len(m.hours) {
			return errRun
		}
		m.hours[h] += int64(n)
	}
	return nil
}

func (m *addressUserMerger) Row(r *Row) bool {
	for h, n := range m.hours {
		if n > 0 {
			r.Events, r.Hours = n, 1<<h
			m.hours[h] = 0
			return true
		}
	}
	return false
}

// column returns the entity of each row in one column, in ids, or nil if the batch does
// not have it.
func (e *entities) column(b *columnar.Batch, kind entityKind, ids *[columnar.BatchRows]uint32) []uint32 {
	if b.Known(entityColumns[kind]) == 0 {
		return nil
	}
	codes, dict := b.Codes(entityColumns[kind])
	numbers := e.numbers[kind].Of(dict)
	out := ids[:len(codes)]
	for i, code := range codes {
		out[i] = numbers[code]
	}
	if kind == userEntity && b.Known(columnar.Account) > 0 && !e.names.Literal {
		e.addAccounts(out, b)
	}
	return out
}

// systemDomains are the domains of the accounts that Windows has for itself, in the
// languages that it has them in.
var systemDomains = []string{"nt authority", "nt-autorität", "autorite nt", "autorité nt", "nt service", "nt virtual machine",
	"window manager", "font driver host", "iis apppool", "builtin"}

// systemAccounts are accounts of machines and services without a domain of their own,
// and words that logs have for no user.
var systemAccounts = []string{"system", "local service", "network service", "localsystem", "anonymous", "anonymous logon",
	"krbtgt", "root", "daemon", "nobody", "www-data", "unknown", "none", "null", "(null)", "n/a", "-", "?",
	"s-1-5-18", "s-1-5-19", "s-1-5-20"}

// nobodysAccount reports whether the name of a user is that of a machine or a service
// that every machine has, so that it tells nothing of who used it.
func nobodysAccount(name []byte) bool {
	text := CanonicalDomain(string(name))
	domain, account, windows := strings.Cut(text, `\`)
	if !windows {
		domain, account = "", text
		if at := strings.LastIndexByte(text, '@'); at > 0 {
			account = text[:at]
		}
	}
	return slices.Contains(systemDomains, domain) || slices.Contains(systemAccounts, account) ||
		strings.HasSuffix(account, "$") // the account of a machine
}
