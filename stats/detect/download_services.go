package detect

import (
	"iter"
	"net/netip"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// What an entity took from a service, all places together.

// A downloadService is a series of what an entity downloaded from a service, all places
// together. Objects of several places are never the same, so their sum is exact; the
// busiest hour is that of one place.
type downloadService struct {
	key       Key // with the service as the object
	entity    int // its number in the order of keys
	rows      []Row
	reported  []Day // days on which it had a finding
	places    []downloadPlace
	before    []placeDays // where an address outside was before the judged day
	addresses clientHistory
	agents    clientHistory
	since     Day // when the entity first downloaded in the feed, from any service
}

// A downloadPlace is a place with downloads on the judged day.
type downloadPlace struct {
	object         string
	bytes, objects int64
	known          bool // with downloads on a day before
}

// placeDays are the days before the judged one, up to 63, on which there were downloads
// from a place: bit n is the day n days before.
type placeDays struct {
	object string
	days   uint64
}

// A clientHistory is which addresses or applications an entity used before the judged
// day, and on it.
type clientHistory struct {
	past, today []string
	many        bool // more than are known by name
}

// fresh returns those that are new on the judged day, if the entity has so few that a
// new one says something.
func (h *clientHistory) fresh() []string {
	if h.many || len(h.past) == 0 || len(h.past) > maxClients {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(h.today), func(c string) bool { return slices.Contains(h.past, c) })
}

func isAddress(text string) bool { _, err := netip.ParseAddr(text); return err == nil }

// downloadServices yields the services of each entity, from the series of its places,
// which are neighbours in the order of keys. What is yielded is valid until the next
// step, and has neither addresses nor agents.
func (in *Input) downloadServices() iter.Seq[*downloadService] { return in.downloadServicesOf(nil) }

// downloadServicesOf is downloadServices with addresses and agents, for the entities whose numbers are wanted.
func (in *Input) downloadServicesOf(wanted func(entity int) bool) iter.Seq[*downloadService] {
	return func(yield func(*downloadService) bool) {
		var services []downloadService // of one entity
		n := 0                         // how many of them are in use
		entity := -1
		var last Key
		flush := func() bool {
			since := in.Day
			for i := range services[:n] {
				since = min(since, services[i].rows[0].Day)
			}
			for i := range services[:n] {
				services[i].since = since
				if !yield(&services[i]) {
					return false
				}
			}
			n = 0
			return true
		}
		pass := Pass{NoLists: wanted == nil}
		var numbers []int // of the wanted entities that are to come
		if wanted != nil {
			number, asked, wants := -1, Key{}, false
			pass.Keys = func(key Key) bool {
				if number < 0 || !key.sameEntity(asked) {
					number++
					if asked, wants = key, wanted(number); wants {
						numbers = append(numbers, number)
					}
				}
				return wants
			}
		}
		for key, rows := range in.Over(pass) {
			if entity < 0 || !key.sameEntity(last) {
				if n > 0 && !flush() {
					return
				}
				if last = key; wanted == nil {
					entity++
				} else {
					entity, numbers = numbers[0], numbers[1:]
				}
			}
			key.Object, _, _ = strings.Cut(key.Object, "/")
			if n == 0 || key.Object != services[n-1].key.Object {
				if n == len(services) {
					services = append(services, downloadService{})
				}
				s := &services[n]
				n++
				*s = downloadService{key: key, entity: entity, rows: s.rows[:0], reported: s.reported[:0], places: s.places[:0], before: s.before[:0],
					addresses: clientHistory{past: s.addresses.past[:0], today: s.addresses.today[:0]}, agents: clientHistory{past: s.agents.past[:0], today: s.agents.today[:0]}}
			}
			services[n-1].add(in, rows, wanted != nil)
		}
		flush()
	}
}

// add adds the series of a place.
func (s *downloadService) add(in *Input, rows []Row, clients bool) {
	at, before := 0, uint64(0)
	for i := range rows {
		r := &rows[i]
		if r.Day > in.Day {
			break
		}
		before |= 1 << (in.Day - r.Day) &^ 1
		for at < len(s.rows) && s.rows[at].Day < r.Day {
			at++
		}
		if at == len(s.rows) || s.rows[at].Day != r.Day {
			s.rows = slices.Insert(s.rows, at, Row{Day: r.Day, Key: s.key})
		}
		if clients {
			s.addClients(r, in.Day)
		}
		if r.Day < in.Day {
			s.rows[at].addPast(&r.Summary)
		} else {
			sum := r.Summary
			sum.Clients = nil
			s.rows[at].Summary = s.rows[at].Summary.Merge(sum)
		}
		if r.Day == in.Day {
			s.places = append(s.places, downloadPlace{object: r.Object, bytes: r.BytesIn, objects: r.Names, known: i > 0})
		} else if in.Flagged(r.Key, r.Day) {
			s.reported = append(s.reported, r.Day)
		}
	}
	if before != 0 && s.key.EntityType == columnar.SrcIP.String() && !scan.IsInternal([]byte(s.key.Entity)) {
		s.before = append(s.before, placeDays{rows[0].Object, before})
	}
}

// addPast is Merge for what is read of a row before the judged day.
func (s *Summary) addPast(t *Summary) {
	s.Events += t.Events
	s.BytesIn = addBytes(s.BytesIn, t.BytesIn)
	s.KnownIn += t.KnownIn
	s.Names += t.Names
	s.WindowNames = max(s.WindowNames, t.WindowNames)
	s.Signed += t.Signed
}

// addClients adds the clients of a row.
func (s *downloadService) addClients(r *Row, judged Day) {
	s.addresses.many = s.addresses.many || r.Addresses > maxClients
	s.agents.many = s.agents.many || r.Agents > maxClients
	addresses, agents := &s.addresses.past, &s.agents.past
	if r.Day == judged {
		addresses, agents = &s.addresses.today, &s.agents.today
	}
	for _, c := range r.Clients {
		if slices.Contains(*addresses, c) || slices.Contains(*agents, c) { // as on most days
			continue
		}
		to := agents
		if isAddress(c) {
			to = addresses
		}
		if len(*to) <= maxClients {
			*to = append(*to, c)
		}
	}
}
