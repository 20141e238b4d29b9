package main

import (
	"fmt"
	"math/rand/v2"
)

// serviceNames makes queries of DNS service discovery (RFC 6763). The first label
// is the name that people give a device, in any characters. No other everyday kind
// of name differs as much from a host's as a tunnel's does, and the other data has
// none.
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

// numberedHosts makes queries for numbered machines at one site, by a client that
// monitors or serves them all. Hardly a name repeats another, and no name carries
// anything new.
func numberedHosts() (all []query) {
	r := rand.New(rand.NewPCG(47, 53))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	role := func() string {
		return pick("app", "db", "srv", "host", "vm", "worker", "cache", "kafka", "esx", "sw", "ap", "cam", "gw", "build", "gpu", "storage", "proxy",
			"front", "queue", "es-data", "ceph-osd", "hadoop-dn", "win", "lnx", "mx")
	}
	place := func() string {
		return pick("ams2", "lon", "dc1", "nyc3", "par01", "sin", "eu-west-1b", "hq", "fra", "z4")
	}
	stage := func() string { return pick("stage", "live", "test", "int", "mgmt", "lab", "prd") }
	for source := range 240 {
		a, p, s := role(), place(), stage()
		form := r.IntN(9)
		shift := r.IntN(300)
		number := func(n int) string {
			return []string{
				fmt.Sprintf("%s%d", a, n), fmt.Sprintf("%s-%02d", a, n), fmt.Sprintf("%s%03d", a, n), fmt.Sprintf("%s-%s-%03d", p, a, n),
				fmt.Sprintf("%s%d.%s.%s", a, n, p, s), fmt.Sprintf("%s-%d.%s", a, n, s), fmt.Sprintf("ip-10-%d-%d-%d", shift%256, n/16, n*7%256),
				fmt.Sprintf("%s%02d.rack%d.%s", a, n%24, n/24, p), fmt.Sprintf("%s-%s%04d-%s", s, a, n, p),
			}[form]
		}
		hosts, gap := 6+r.IntN(150), []float64{0, 0.05, 0.5, 1, 5, 30, 120, 600}[r.IntN(8)]
		inTurn, both := r.IntN(2) == 0, r.IntN(2) == 0
		at := int64(1795000000e6)
		for i := range 80 {
			n := i
			if !inTurn {
				n = r.IntN(hosts)
			}
			q := query{of: fmt.Sprint("numbered ", source), name: number(shift + n%hosts), domain: "example", set: "hard", tool: "numbered_hosts", fold: source % folds}
			at += int64(gap * 1e6 * (0.7 + 0.6*r.Float64()))
			q.at = at
			all = append(all, q)
			if both {
				q.at += 300
				all = append(all, q)
			}
		}
	}
	return all
}
