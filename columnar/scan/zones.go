package scan

import (
	"bytes"
	"time"
)

// Zones by name, as logs write them behind a time.

// zoneOffsets are the zones whose abbreviation means one thing, and those that mail and HTTP have
// defined (RFC 822). Left out are those with several meanings, such as IST.
var zoneOffsets = map[string][]byte{
	"UT": []byte("Z"), "UTC": []byte("Z"), "GMT": []byte("Z"), "Z": []byte("Z"), "WET": []byte("Z"),
	"CET": []byte("+01:00"), "MET": []byte("+01:00"), "MEZ": []byte("+01:00"), "WEST": []byte("+01:00"), "CEST": []byte("+02:00"), "MEST": []byte("+02:00"), "MESZ": []byte("+02:00"),
	"EET": []byte("+02:00"), "SAST": []byte("+02:00"), "EEST": []byte("+03:00"), "MSK": []byte("+03:00"), "EAT": []byte("+03:00"), "TRT": []byte("+03:00"),
	"PKT": []byte("+05:00"), "WIB": []byte("+07:00"), "HKT": []byte("+08:00"), "SGT": []byte("+08:00"), "AWST": []byte("+08:00"), "JST": []byte("+09:00"), "KST": []byte("+09:00"),
	"ACST": []byte("+09:30"), "AEST": []byte("+10:00"), "ACDT": []byte("+10:30"), "AEDT": []byte("+11:00"), "NZST": []byte("+12:00"), "NZDT": []byte("+13:00"),
	"BRT": []byte("-03:00"), "ART": []byte("-03:00"), "NST": []byte("-03:30"), "NDT": []byte("-02:30"), "ADT": []byte("-03:00"),
	"EDT": []byte("-04:00"), "EST": []byte("-05:00"), "CDT": []byte("-05:00"), "CST": []byte("-06:00"), "MDT": []byte("-06:00"), "MST": []byte("-07:00"),
	"PDT": []byte("-07:00"), "PST": []byte("-08:00"), "AKDT": []byte("-08:00"), "AKST": []byte("-09:00"), "HST": []byte("-10:00"),
}

// A place is the last one whose name a clock read, and its zone; nil: it has none. Reading a zone takes
// as long as a thousand times.
type place struct {
	name string
	zone *time.Location
}

// zoneOf returns the zone of a place such as Europe/Berlin, nil if there is none.
func (p *place) zoneOf(name []byte) *time.Location {
	if p.name != string(name) {
		p.name = string(name)
		p.zone, _ = time.LoadLocation(p.name)
	}
	return p.zone
}

// zoneNamed returns what a name says about a time: how far it is from UTC, as ISO takes it, or
// whose clock it is. own is the zone of the log, whose own abbreviations are not asked for others'
// meanings. ok is false if it is no zone, or one of several.
func (p *place) zoneNamed(name []byte, own *time.Location) (offset []byte, zone *time.Location, ok bool) {
	if len(name) < 1 || len(name) > 32 || name[0]-'A' >= 26 {
		return nil, nil, false
	}
	if bytes.IndexByte(name, '/') > 0 {
		zone = p.zoneOf(name)
		return nil, zone, zone != nil
	}
	if own != nil {
		for _, month := range []time.Month{time.January, time.July} {
			if abbreviation, _ := time.Date(2026, month, 1, 12, 0, 0, 0, own).Zone(); abbreviation == string(name) {
				return nil, own, true
			}
		}
	}
	offset, ok = zoneOffsets[string(name)]
	return offset, nil, ok
}
