package detect

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// A finding about a volume names no destination: this file finds where most of it went. If a machine
// relays what others send, it finds whose bytes they were.

// A dayKey is an entity's day.
type dayKey struct {
	Key
	day Day
}

func (r *Row) dayKey() dayKey {
	k := dayKey{r.Key, r.Day}
	k.Object = ""
	return k
}

// Locate sets Mostly of findings about uploads, takes those less seriously that went where most people's
// bytes go, and labels those of relays. rows yields the rows of user_destination_day of the days
// of the findings; it may be ranged over twice, or not at all if no finding needs it.
func Locate(findings []Finding, rows iter.Seq2[*Row, error]) error {
	volumes := map[dayKey][]*Finding{} // without a destination
	relays := map[dayKey]*relay{}
	for i := range findings {
		f := &findings[i]
		if f.Verdict != uploadVerdict || f.Summary.BytesOut == 0 {
			continue
		}
		k := dayKey{f.Key, f.Day}
		k.Object = ""
		if f.Object == "" && f.Window[1]-f.Window[0] <= dayMicros {
			volumes[k] = append(volumes[k], f)
		}
		if f.EntityType == columnar.SrcIP.String() && scan.IsInternal([]byte(f.Entity)) {
			if relays[k] == nil {
				relays[k] = &relay{sent: map[string]int64{}, others: map[string]int64{}, senders: map[Key]bool{}}
			}
			relays[k].findings = append(relays[k].findings, f)
		}
	}
	if len(volumes) == 0 && len(relays) == 0 {
		return nil
	}
	carriers := map[Day]map[string][]*relay{} // by what they sent to
	devices := map[device]*deviceBytes{}
	for r, err := range rows {
		if err != nil {
			return err
		}
		if r.Object == "" {
			continue
		}
		k := r.dayKey()
		for _, f := range volumes[k] {
			if r.BytesOut > f.Summary.BytesOut/2 { // no other row can
				f.Mostly = strings.Clone(r.Object) // not the block of rows
			}
		}
		if service := deviceService(r.Object); service != "" && volumes[k] != nil {
			d := devices[device{k, service}]
			if d == nil {
				d = &deviceBytes{}
				devices[device{k, service}] = d
			}
			if d.all = addBytes(d.all, r.BytesOut); r.BytesOut > d.most {
				d.most, d.object = r.BytesOut, strings.Clone(r.Object)
			}
		}
		if x := relays[k]; x != nil && r.BytesOut >= minDestinationBytes {
			if carriers[k.day] == nil {
				carriers[k.day] = map[string][]*relay{}
			}
			object := strings.Clone(r.Object)
			x.feed, x.sent[object] = k.Feed, r.BytesOut
			carriers[k.day][object] = append(carriers[k.day][object], x)
		}
	}
	for at, d := range devices { // a device sends to many hosts of its service
		for _, f := range volumes[at.dayKey] {
			if d.all > f.Summary.BytesOut/2 {
				f.Mostly = d.object
			}
		}
	}
	crowds := map[crowd]*popularity{}
	for k, of := range volumes {
		for _, f := range of {
			if f.Mostly != "" {
				crowds[crowd{k.Feed, k.day, f.Mostly}] = &popularity{}
			}
		}
	}
	if len(carriers) == 0 && len(crowds) == 0 {
		return nil
	}
	for r, err := range rows {
		if err != nil {
			return err
		}
		if r.Object != "" {
			for _, x := range carriers[r.Day][r.Object] {
				x.add(r)
			}
			continue
		}
		for at, p := range crowds {
			if at.feed != r.Feed || at.day != r.Day || r.EntityType == columnar.SrcIP.String() && !scan.IsInternal([]byte(r.Entity)) {
				continue // who knocks from outside is nobody of the company
			}
			p.entities++
			if at.usedBy(r) {
				p.users++
			}
		}
	}
	for k, of := range volumes {
		for _, f := range of {
			p := crowds[crowd{k.Feed, k.day, f.Mostly}]
			if p != nil && (p.users >= minPeers && 3*p.users >= p.entities || p.devices(f.Mostly)) {
				f.Severity = min(f.Severity, Medium)
				f.RiskScore = max(f.RiskScore/2, leastRisk[f.Severity])
				f.Why += fmt.Sprintf(" Most of it went to %s, which %d of the %d in the log used that day.", printable(f.Mostly), p.users, p.entities)
			}
		}
	}
	for _, x := range relays {
		x.label()
	}
	return nil
}

// A device is what an entity sent in a day to a service of devices.
type device struct {
	dayKey
	service string
}

type deviceBytes struct {
	all, most int64
	object    string // the host that got most
}

// A crowd are those who use a destination on a day.
type crowd struct {
	feed   string
	day    Day
	object string
}

// usedBy reports whether an entity used the destination on its day. Devices use whichever host of their service.
func (c *crowd) usedBy(r *Row) bool {
	if service := deviceService(c.object); service != "" {
		return slices.ContainsFunc(r.Destinations, func(name string) bool { return deviceService(name) == service })
	}
	_, used := slices.BinarySearch(r.Destinations, c.object)
	return used
}

// A relay may be a machine that passes on what others send, as a proxy does: a firewall's log has
// its address for all of them.
type relay struct {
	feed         string
	findings     []*Finding
	sent, others map[string]int64 // bytes by destination: its own, and what other feeds have of others
	senders      map[Key]bool
}

const (
	// relayedPart is of how many hundredths of its bytes other logs must say who sent them.
	relayedPart = 80
	// minSenders is how many others there must be. With fewer, one might be a second name of the
	// machine itself.
	minSenders = 3
)

// add adds a row of somebody else.
func (x *relay) add(r *Row) {
	if r.Feed != x.feed && r.Entity != x.findings[0].Entity {
		x.others[r.Object] = addBytes(x.others[r.Object], r.BytesOut)
		k := r.Key
		k.Object = ""
		x.senders[k] = true
	}
}

// label labels the findings of a machine if nearly all that it sent is in other feeds, under
// those who sent it.
func (x *relay) label() {
	var sent, known int64
	for object, n := range x.sent {
		sent, known = addBytes(sent, n), addBytes(known, min(n, x.others[object]))
	}
	if len(x.senders) < minSenders || sent == 0 || known < sent/100*relayedPart {
		return
	}
	for _, f := range x.findings {
		if f.Label != "" {
			continue
		}
		f.Label = "relay"
		f.RiskScore, f.Severity = (f.RiskScore+3)/4, min(f.Severity, Low)
		f.RiskScore = max(f.RiskScore, leastRisk[f.Severity])
		f.Why += fmt.Sprintf(" The machine passes on what others send: other logs have nearly all of these bytes, under %d senders.", len(x.senders))
	}
}
