package detect

import (
	"strings"
	"sync"

	"outflow/columnar"
)

// dnsInnocents lists, by domain suffix, services that carry data in DNS names by
// design, or that have so many names that they look like it. A finding for one is
// labelled, never left out: a tunnel may imitate the look.
var dnsInnocents = []struct{ label, suffixes string }{
	{"antivirus or reputation look-up", `sophosxl.net sophosxl.com mcafee.com mcafee.net trellix.com e5.sk eset.com avqs.mcafee.com
		trendmicro.com tmufe.com trendmicro.net bitdefender.net nimbus.bitdefender.net kaspersky.com kaspersky-labs.com
		avast.com avg.com avira.com fortinet.net fortiguard.com webrootcloudav.com brightcloud.com
		barracudabrts.com barracudanetworks.com senderbase.org cloudmark.com pandasecurity.com f-secure.com
		sentinelone.net cylance.com mailspike.net isipp.com dnswl.org surbl.org uribl.com ivmuri.com
		invaluement.com abuse.ch ctmail.com cyren.com rspamd.com fuzzy.rspamd.com razor2.cloudmark.com
		webroot.com gdatasecurity.de ikarus.at quickheal.com cloudsink.net confer.net zscaler.net zscalertwo.net msbl.org`},
	{"DNS block list", `spamhaus.org spamhaus.net dq.spamhaus.net spamcop.net sorbs.net barracudacentral.org abuseat.org
		psbl.surriel.com dronebl.org nixspam.net manitu.net uceprotect.net wpbl.info mailspike.org spameatingmonkey.net
		njabl.org rfc-clueless.org backscatterer.org spamrats.com senderscore.com blocklist.de s5h.net zapbl.net
		junkemailfilter.com gbudb.net`},
	{"address or malware registry look-up", `cymru.com routeviews.org ipinfo.io shadowserver.org`},
	{"reverse look-up of addresses", `in-addr.arpa ip6.arpa`},
	{"local name service", "home.arpa " + columnar.LocalZones},
	{"content addressed by its hash", `dweb.link inbrowser.link cf-ipfs.com w3s.link nftstorage.link infura-ipfs.io 4everland.io
		arweave.net arweave.dev ar-io.dev acm-validations.aws acme-dns.io`},
	{"measurement of networks", `cedexis-radar.net measure.office.com footprintdns.com dotnxdomain.net fastly-insights.com
		dnsleaktest.com bash.ws ipleak.net browserleaks.org`},
	{"content delivery or telemetry", `safeframe.googlesyndication.com googlevideo.com gvt1.com metric.gstatic.com
		akadns.net akamai.net akamaiedge.net akamaihd.net edgekey.net edgesuite.net cloudfront.net fastly.net fastlylb.net
		azureedge.net trafficmanager.net azurefd.net cloudapp.azure.com msedge.net fbcdn.net
		elb.amazonaws.com compute.amazonaws.com amazonaws.com awsglobalaccelerator.com bc.googleusercontent.com
		googleusercontent.com demdex.net omtrdc.net scorecardresearch.com imrworldwide.com adnxs.com
		events.data.microsoft.com msftncsi.com llnwd.net cdn77.org b-cdn.net nflxvideo.net nflxso.net
		xboxlive.com steamcontent.com ntp.org push.apple.com aaplimg.com nrdp.netflix.com conviva.com newrelic.com
		edgecastcdn.net systemcdn.net kxcdn.com hwcdn.net gcdn.co apple-dns.net cloudapp.net akadns6.net
		nr-data.net app-measurement.com crashlytics.com moatads.com adsafeprotected.com 2mdn.net doubleclick.net
		everesttech.net adobedc.net rlcdn.com in.appcenter.ms events.data.msn.com`},
}

var dnsInnocentLabels = sync.OnceValue(func() map[string]string {
	labels := map[string]string{}
	for _, c := range dnsInnocents {
		for _, suffix := range strings.Fields(c.suffixes) {
			labels[suffix] = c.label
		}
	}
	return labels
})

// innocent returns why names like those of a row are often innocent, or "". Each name
// is judged by its own suffix, so that safeframe.googlesyndication.com does not excuse
// all of googlesyndication.com: every example must have the same label.
func innocent(r *Row) string {
	if label := suffixLabel(r.Object); label != "" {
		return label
	}
	common := ""
	for i, name := range r.Examples {
		label := suffixLabel(name)
		if label == "" && (strings.HasPrefix(name, "_ldap.") || strings.HasPrefix(name, "_kerberos.") || strings.HasPrefix(name, "_gc.")) {
			label = "directory service look-up"
		}
		if label == "" && r.Object == noTopLevel {
			switch {
			case hasSearchSuffix(name):
				label = "ordinary names with a search suffix behind them"
			case r.NameBytes < ownNameBytes*r.Names && len(r.Examples) == maxExamples && topLevel(name) == topLevel(r.Examples[0]):
				label = "short names of one top-level domain, which may be the network's own"
			}
		}
		if label == "" || i > 0 && label != common {
			return ""
		}
		common = label
	}
	return common
}

// ownNameBytes is the average length that names of a network's own machines stay
// below. It equals the limit of dns_information, which treats short names separately
// for the same reason.
const ownNameBytes = 24

func topLevel(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// hasSearchSuffix reports whether a name whose top-level domain does not exist would
// be an ordinary name without its last one or two labels. Clients with a search domain
// also try www.example.com.corp-name.
func hasSearchSuffix(name string) bool {
	for range 2 {
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 {
			return false
		}
		if name = name[:dot]; strings.Contains(name, ".") && columnar.TopLevelExists([]byte(name)) {
			return true
		}
	}
	return false
}

func suffixLabel(name string) string {
	for {
		if label, ok := dnsInnocentLabels()[name]; ok {
			return label
		}
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			return ""
		}
		name = name[dot+1:]
	}
}

// A client that queries more registered domains than this in a day counts as a
// resolver. People and their programs query hundreds.
const resolverDomains = 3000

// addContext completes the sentence of each finding with what else the day shows about
// its client and its domain.
func (in *Input) addContext(findings []Finding) {
	if len(findings) == 0 {
		return
	}
	domains := map[Key]int{} // by client: the key without its object
	clients := map[destination]int{}
	client := func(k Key) Key {
		k.Object = ""
		return k
	}
	for i := range findings {
		k := findings[i].Key
		domains[client(k)], clients[destination{k.Feed, k.Object}] = 0, 0
	}
	for r := range in.today() {
		if n, ok := domains[client(r.Key)]; ok {
			domains[client(r.Key)] = n + 1
		}
		d := destination{r.Feed, r.Object}
		if n, ok := clients[d]; ok {
			clients[d] = n + 1
		}
	}
	for i := range findings {
		f := &findings[i]
		what := "that domain"
		if f.Object == noTopLevel {
			what = "such names"
		}
		switch others := int64(clients[destination{f.Feed, f.Object}] - 1); {
		case others == 1:
			f.Why += "; 1 other client queried " + what
		case others > 1:
			f.Why += "; " + count(others, "other client") + " queried " + what
		default:
			f.Why += "; no other client queried " + what
		}
		if n := domains[client(f.Key)]; n > resolverDomains {
			f.Why += ", and this client queried " + count(int64(n), "domain") + " " + in.when() + ": it is probably a resolver that hides the real clients"
		}
		f.Why += "."
	}
}

// domainName returns the object of a finding for use in a sentence.
func domainName(object string) string {
	if object == noTopLevel {
		return "top-level domains that do not exist"
	}
	return printable(object)
}

// quoteExamples returns the first example for use in a sentence; the evidence lists
// all of them.
func quoteExamples(examples []string) string {
	if len(examples) == 0 {
		return ""
	}
	return ", such as " + printable(examples[0])
}
