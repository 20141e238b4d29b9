package detect

import (
	"strings"
	"sync"
)

// pollers lists, by domain suffix, destinations that machines talk to by the clock as they
// should. A beacon to one stands in the table with its label, and is no finding.
var pollers = []struct{ label, suffixes string }{
	{"time service", `pool.ntp.org ntp.org time.windows.com time.apple.com time.google.com time.cloudflare.com time.nist.gov
		time.facebook.com time.aws.com ntp.ubuntu.com ntp.se ptbtime1.ptb.de ptbtime2.ptb.de`},
	{"updates", `windowsupdate.com update.microsoft.com delivery.mp.microsoft.com dl.delivery.mp.microsoft.com officecdn.microsoft.com
		config.edge.skype.com edge.microsoft.com msedge.api.cdp.microsoft.com definitionupdates.microsoft.com wdcp.microsoft.com
		swcdn.apple.com swscan.apple.com swdist.apple.com mesu.apple.com gdmf.apple.com updates.cdn-apple.com
		update.googleapis.com clients2.google.com dl.google.com tools.google.com edgedl.me.gvt1.com gvt1.com
		aus5.mozilla.org firefox.settings.services.mozilla.com content-signature-2.cdn.mozilla.net download.mozilla.org
		archive.ubuntu.com security.ubuntu.com changelogs.ubuntu.com api.snapcraft.io esm.ubuntu.com motd.ubuntu.com deb.debian.org
		security.debian.org mirrors.fedoraproject.org mirrorlist.centos.org cdn.redhat.com subscription.rhsm.redhat.com dl.rockylinux.org
		dl-cdn.alpinelinux.org fwupd.org lvfs.gitlab.io download.docker.com registry-1.docker.io packages.microsoft.com
		adobe.io armmf.adobe.com ardownload.adobe.com sun.com javadl-esd-secure.oracle.com update.kaspersky.com update.eset.com
		avcdn.net database.clamav.net updates.paloaltonetworks.com update.fortiguard.net update.nai.com liveupdate.symantec.com`},
	{"monitoring and telemetry", `datadoghq.com datadoghq.eu nr-data.net newrelic.com sentry.io ingest.sentry.io grafana.net splunkcloud.com
		loggly.com logdna.com sumologic.com honeycomb.io dynatrace.com ruxit.com appdynamics.com instana.io pingdom.com uptimerobot.com
		statuscake.com pagerduty.com events.data.microsoft.com telemetry.microsoft.com vortex.data.microsoft.com settings-win.data.microsoft.com
		watson.microsoft.com smartscreen.microsoft.com incoming.telemetry.mozilla.org app-measurement.com crashlyticsreports-pa.googleapis.com
		firebaselogging-pa.googleapis.com play.googleapis.com cloudwatch.amazonaws.com ods.opinsights.azure.com monitor.azure.com
		livediagnostics.monitor.azure.com applicationinsights.azure.com services.visualstudio.com`},
	{"connectivity check", `msftconnecttest.com msftncsi.com connectivitycheck.gstatic.com clients3.google.com captive.apple.com
		detectportal.firefox.com connectivity-check.ubuntu.com nmcheck.gnome.org network-test.debian.org`},
	{"push and presence", `push.apple.com courier.push.apple.com mtalk.google.com notify.windows.com wns.windows.com
		push.services.mozilla.com fcm.googleapis.com fcmtoken.googleapis.com trouter.skype.com presence.teams.microsoft.com pushclient.services.microsoft.com`},
	{"sign-in and device management", `login.microsoftonline.com login.live.com login.windows.net manage.microsoft.com dm.microsoft.com
		enterpriseregistration.windows.net mdmenrollment.apple.com deviceenrollment.apple.com iprofiles.apple.com ssm.amazonaws.com`},
	{"certificate status", `ocsp.digicert.com ocsp.apple.com ocsp.pki.goog ocsp.sectigo.com ocsp.entrust.net lencr.org
		crl.microsoft.com ctldl.windowsupdate.com crl3.digicert.com crl4.digicert.com`},
	{resolverLabel, `dns.google cloudflare-dns.com one.one.one.one dns.quad9.net doh.opendns.com`},
}

var pollerLabels = sync.OnceValue(func() map[string]string {
	labels := map[string]string{}
	for _, c := range pollers {
		for _, suffix := range strings.Fields(c.suffixes) {
			labels[suffix] = c.label
		}
	}
	return labels
})

// ntpPort is the port of time services.
const ntpPort = 123

// publicResolvers are addresses whose look-ups come as often as a machine asks.
const publicResolvers = "8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 " +
	"2001:4860:4860::8888 2001:4860:4860::8844 2606:4700:4700::1111 2606:4700:4700::1001 2620:fe::fe"

// streamBytes is how much a beat of a stream brings: a piece of a film or of a large file.
// A program that fetches commands or asks for news gets less.
const streamBytes = 100e3

// pollerLabel returns why a machine may talk to a destination by the clock, or "".
func pollerLabel(r *Row) string {
	switch {
	case r.Port == ntpPort:
		return "time service"
	case oneOf(r.Object, publicResolvers):
		return resolverLabel
	case r.BytesIn >= streamBytes*r.Beats && r.BytesIn/4 > r.BytesOut:
		return "stream of downloads"
	}
	if label := pollerName(r.Object); label != "" {
		return label
	}
	return suffixLabel(r.Object)
}

// pollerName returns the label of a name that is listed, or of the listed name that it is
// under, or "".
func pollerName(name string) string {
	for {
		if label := pollerLabels()[name]; label != "" {
			return label
		}
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			return ""
		}
		name = name[dot+1:]
	}
}

// resolverLabel is the label of public resolvers.
const resolverLabel = "public resolver"

// isResolver reports whether a destination answers look-ups of names for anyone.
func isResolver(name string) bool {
	return oneOf(name, publicResolvers) || pollerName(name) == resolverLabel
}
