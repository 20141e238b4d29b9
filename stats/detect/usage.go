package detect

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// This file reads the lists of UserDestinationDay: what an entity used, and how many
// entities use a destination.

// seenDays is the History of the detections that read the lists. It is the same for all
// of them, so that a run reads the lists once. A destination unused for three
// months is as good as new; more days would keep those of a former owner of a machine or an account.
const seenDays = 90

// listDestinations is the Fold of the detections that read the lists, or that need a row
// of each entity that was there, if it uploaded nothing too.
func listDestinations(o *FoldOptions) { o.Destinations = true }

// A usage is what an entity used.
type usage struct {
	key  Key
	days []Row // the entity's rows without an object, by day
}

// begin begins an entity. The rows of its destinations come after these.
func (u *usage) begin(k Key, rows []Row) { u.key, u.days = k, append(u.days[:0], rows...) }

// has reports whether a key is that of a destination of the entity.
func (u *usage) has(k Key) bool {
	k.Object = ""
	return k == u.key && len(u.days) > 0
}

// before reports whether the entity used a destination before a day, or may have done so
// on a day whose names were not all kept.
func (u *usage) before(d Day, name string) bool {
	if len(name) > maxDestination {
		return true
	}
	for i := len(u.days) - 1; i >= 0; i-- {
		names := u.days[i].Destinations
		if u.days[i].Day >= d || len(names) == 0 {
			continue
		}
		_, used := slices.BinarySearch(names, name)
		if used || len(names) == maxDestinations && name > names[len(names)-1] {
			return true
		}
	}
	return false
}

// quietDestinations is how many destinations a machine at most uses that nobody works at: a printer,
// a camera, a server that fetches updates.
const quietDestinations = 5

// quiet reports whether a machine used almost nothing before the judged day.
func (u *usage) quiet(in *Input) bool {
	if u.key.EntityType == columnar.User.String() {
		return false
	}
	var names []string
	for i := range u.days {
		if u.days[i].Day >= in.Day {
			break
		}
		if names = union(names, u.days[i].Destinations, quietDestinations+1); len(names) > quietDestinations {
			return false
		}
	}
	return true
}

// account returns what a key's destination is when it comes to what others send there: an
// accountService, else the object.
func account(k Key) destination {
	if name := accountService(k.Object); name != "" {
		return destination{k.Feed, name}
	}
	return destination{k.Feed, k.Object}
}

// A popularity is how many entities of a feed use a destination.
type popularity struct {
	users    int
	entities int // of the feed
	first    Day // when the first of them used it
	last     int // the number of the last of them
}

// others returns how many entities other than one of its users there are, and how many
// of them use it.
func (p *popularity) others() (users, entities int) { return max(0, p.users-1), p.entities - 1 }

// share returns which percentage of the others use it; NaN if they are too few to say.
func (p *popularity) share() float64 {
	users, entities := p.others()
	if p.entities < minPeers {
		return math.NaN()
	}
	return 100 * float64(users) / float64(entities)
}

// rare reports whether at most a share of the others use a destination, in percent, or one of them: of forty
// people, one is more than a hundredth, and may be the server that makes the backups.
func (p *popularity) rare(percent float64) bool {
	users, _ := p.others()
	return p.entities >= minPeers && (users <= 1 || p.share() <= percent)
}

// tenant reports whether a destination is a tenant in which most of the company works. Some people are
// in the log twice, by name and by address, and machines are, too.
func (p *popularity) tenant(object string) bool {
	return p.users >= minPeers && 3*p.users >= p.entities && namesTenant(object)
}

// deviceUsers is the least number of users of a service of devices.
const deviceUsers = 4

// devices reports whether a destination is a service to which devices upload by themselves, and a
// twentieth of the company has one. One more of them most likely sends pictures.
func (p *popularity) devices(object string) bool {
	return deviceService(object) != "" && p.users >= deviceUsers && 20*p.users >= p.entities
}

// String says how many others use it.
func (p *popularity) String() string {
	switch users, entities := p.others(); {
	case entities == 0:
		return "there is nobody to compare with"
	case entities == 1 && users == 0:
		return "the only other in the log did not use it"
	case entities == 1:
		return "the only other in the log used it"
	case users == 0:
		return fmt.Sprintf("none of the %s in the log used it", count(int64(entities), "other"))
	default:
		return fmt.Sprintf("%d of the %s in the log used it", users, count(int64(entities), "other"))
	}
}

// popularity returns the popularity of destinations in the days that the series have.
// Each destination has a key without an entity. To use one host of a sharing service is to use all.
func (in *Input) popularity(destinations []Key) map[destination]*popularity {
	all := map[destination]*popularity{}
	feeds := map[string]map[string]*popularity{}
	services := map[string]map[string]*popularity{} // by feed and accountService
	ends := map[string]bool{}                       // the last labels of the hosts of all services, if there are services
	for _, k := range destinations {
		if feeds[k.Feed] == nil {
			feeds[k.Feed], services[k.Feed] = map[string]*popularity{}, map[string]*popularity{}
		}
		p := feeds[k.Feed][k.Object]
		if name := accountService(k.Object); p == nil && name != "" {
			if p = services[k.Feed][name]; p == nil {
				p = &popularity{first: in.Day}
				services[k.Feed][name] = p
				cloudHosts().endsOf(name, ends)
			}
		}
		if p == nil {
			p = &popularity{first: in.Day}
		}
		feeds[k.Feed][k.Object], all[destination{k.Feed, k.Object}] = p, p
	}
	if len(all) == 0 {
		return all
	}
	entities, inside := map[string]int{}, map[string]int{}
	for key, rows := range in.Series {
		if key.Object != "" {
			continue
		}
		entities[key.Feed]++
		if key.EntityType != columnar.SrcIP.String() || scan.IsInternal([]byte(key.Entity)) {
			inside[key.Feed]++
		}
		names := feeds[key.Feed]
		if names == nil {
			continue
		}
		for i := range rows {
			for _, name := range rows[i].Destinations {
				p := names[name]
				if p == nil && len(ends) > 0 && (ends[lastLabels(name)] || strings.HasPrefix(name, appleNetwork)) {
					p = services[key.Feed][accountService(name)]
				}
				if p == nil {
					continue
				}
				p.first = min(p.first, rows[i].Day)
				if p.last != entities[key.Feed] {
					p.last = entities[key.Feed]
					p.users++
				}
			}
		}
	}
	for at, p := range all {
		// Addresses outside that probe a firewall do not belong to the company.
		if p.entities = inside[at.feed]; p.entities < minPeers {
			p.entities = entities[at.feed]
		}
	}
	return all
}
