package main

import (
	"fmt"
	"math/rand/v2"
)

// serviceNames makes queries of DNS service discovery (RFC 6763), whose first label
// is what people call their devices, in any characters: the one everyday kind of
// name that is as unlike a host's as a tunnel's is, and that no other data has.
func serviceNames() (all []query) {
	r := rand.New(rand.NewPCG(23, 29))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	person := func() string {
		return pick("anna", "jörg", "maría", "søren", "zoë", "li wei", "olga", "françois", "tom", "nora", "家庭", "ивaн")
	}
	device := func() string {
		switch r.IntN(6) {
		case 0:
			return fmt.Sprintf("%s %s m%d%s", pick("hp", "canon", "brother", "epson", "lexmark", "ricoh", "xerox"),
				pick("laserjet", "color laserjet mfp", "officejet pro", "dcp-l", "workforce", "series"), 100+r.IntN(9000), pick("", "dn", "fdw", "nf mfp"))
		case 1:
			return fmt.Sprintf("%s%s %s", person(), pick("’s", "'s", "s", " -"), pick("macbook pro", "imac", "ipad", "iphone", "apple tv", "pc", "homepod (2)"))
		case 2:
			return fmt.Sprintf("%s %s", pick("living room", "bedroom", "küche", "büro", "salón", "meeting room 3.14", "2nd floor"), pick("tv", "speaker", "chromecast", "display", "lamp", "printer"))
		case 3:
			return fmt.Sprintf("%s-%012x", pick("sonos", "hue bridge", "esp", "shelly1", "nas"), r.Uint64()>>16)
		case 4:
			return fmt.Sprintf("%s-%016x%016x", pick("chromecast", "google-home-mini", "android"), r.Uint64(), r.Uint64())
		}
		return fmt.Sprintf("%012x@%s %s", r.Uint64()>>16, person(), pick("imac", "airport", "speaker"))
	}
	for source := range 120 {
		at := int64(1795000000e6)
		var names []string
		for range 2 + r.IntN(8) {
			name := device()
			if r.IntN(3) == 0 {
				name += fmt.Sprintf(pick(" (%06x)", " [%06x]", " (sec%012x)", " %02d"), r.Uint32()>>8)
			}
			for range 1 + r.IntN(2) {
				names = append(names, name+"."+pick("_ipp", "_ipps", "_privet", "_airplay", "_raop", "_companion-link", "_googlecast", "_hap",
					"_smb", "_device-info", "_printer", "_scanner", "_spotify-connect")+"._tcp")
			}
			names = append(names, pick("_ipp._tcp", "_airplay._tcp", "_services._dns-sd._udp", "_sleep-proxy._udp", "lb._dns-sd._udp"))
		}
		for range 60 {
			at += int64(r.ExpFloat64() * 20e6)
			all = append(all, query{
				at: at, of: fmt.Sprint("services ", source), name: names[r.IntN(len(names))], domain: "local",
				set: "hard", tool: "service_names", fold: source % folds, rare: r.IntN(3) > 0,
			})
		}
	}
	return all
}
