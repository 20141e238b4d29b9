package detect

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"sync"
)

// A CloudService is a service on the internet that data can be uploaded to.
type CloudService struct {
	Name      string // "Amazon S3"
	Kind      string // "storage", "sharing", "device", "anonymous", "paste", "webhook", "code", "mail"
	Technique string // ATT&CK technique id of an upload to it
}

// kindTechniques has the technique of uploads to each kind of service.
var kindTechniques = map[string]string{
	"storage":   "T1567.002",
	"sharing":   "T1567.002",
	"device":    "T1567.002", // sharing to which phones and tablets upload by themselves
	"anonymous": "T1567.002", // sharing that asks nobody who he is
	"paste":     "T1567.003",
	"webhook":   "T1567.004",
	"code":      "T1567.001",
	"mail":      "T1567",
}

// cloudCatalogue lists services and the hosts that take their uploads. A host belongs
// to a pattern if its last labels match the pattern. * is any one label, or any rest
// of a label. Of a pattern with =, only the host itself belongs to it. Hosts that only
// serve downloads (CDNs, avatars) or carry calls are left out: their bytes are no upload of
// data.
var cloudCatalogue = []struct{ name, kind, hosts string }{
	{"Amazon S3", "storage", `s3.amazonaws.com s3.*.amazonaws.com s3-*.amazonaws.com s3.dualstack.*.amazonaws.com
		s3-fips.*.amazonaws.com s3-fips.dualstack.*.amazonaws.com s3-accelerate.dualstack.amazonaws.com
		s3-accesspoint.*.amazonaws.com s3-accesspoint.dualstack.*.amazonaws.com s3express-*.*.amazonaws.com
		s3-outposts.*.amazonaws.com s3.*.amazonaws.com.cn s3.dualstack.*.amazonaws.com.cn
		s3-website.*.amazonaws.com s3.*.vpce.amazonaws.com mrap.accesspoint.s3-global.amazonaws.com`},
	{"AWS Transfer Family", "storage", `server.transfer.*.amazonaws.com`},
	{"Amazon Glacier", "storage", `glacier.*.amazonaws.com`},
	{"Google Cloud Storage", "storage", `storage.googleapis.com storage.cloud.google.com commondatastorage.googleapis.com
		storage.*.rep.googleapis.com storage-upload.googleapis.com`},
	{"Firebase Storage", "storage", `firebasestorage.googleapis.com firebasestorage.app`},
	{"Azure Storage", "storage", `blob.core.windows.net file.core.windows.net dfs.core.windows.net queue.core.windows.net
		table.core.windows.net blob.storage.azure.net blob.core.chinacloudapi.cn blob.core.usgovcloudapi.net
		dfs.core.usgovcloudapi.net file.core.usgovcloudapi.net`},
	{"Cloudflare R2", "storage", `r2.cloudflarestorage.com r2.dev`},
	{"Backblaze B2", "storage", `backblazeb2.com backblaze.com`},
	{"Wasabi", "storage", `wasabisys.com`},
	{"DigitalOcean Spaces", "storage", `digitaloceanspaces.com`},
	{"Linode Object Storage", "storage", `linodeobjects.com`},
	{"Vultr Object Storage", "storage", `vultrobjects.com`},
	{"Scaleway Object Storage", "storage", `s3.*.scw.cloud`},
	{"OVH Object Storage", "storage", `storage.*.cloud.ovh.net s3.*.cloud.ovh.net s3.*.io.cloud.ovh.net s3.*.perf.cloud.ovh.net`},
	{"Hetzner Object Storage", "storage", `your-objectstorage.com your-storagebox.de`},
	{"IBM Cloud Object Storage", "storage", `cloud-object-storage.appdomain.cloud objectstorage.softlayer.net`},
	{"Oracle Object Storage", "storage", `objectstorage.*.oraclecloud.com compat.objectstorage.*.oraclecloud.com
		objectstorage.*.oci.customer-oci.com`},
	{"Alibaba OSS", "storage", `oss-*.aliyuncs.com`},
	{"Tencent COS", "storage", `cos.*.myqcloud.com cos.accelerate.myqcloud.com`},
	{"Huawei OBS", "storage", `obs.*.myhuaweicloud.com obs.*.myhuaweicloud.eu`},
	{"Yandex Object Storage", "storage", `storage.yandexcloud.net`},
	{"Exoscale", "storage", `sos-*.exo.io`},
	{"Contabo", "storage", `contabostorage.com`},
	{"iDrive e2", "storage", `idrivee2.com idrivee2-*.com`},
	{"Storj", "storage", `gateway.storjshare.io gateway.*.storjshare.io link.storjshare.io`},
	{"Filebase", "storage", `s3.filebase.com`},
	{"Supabase Storage", "storage", `supabase.co`},
	{"Rackspace Cloud Files", "storage", `clouddrive.com`},
	{"rsync.net", "storage", `rsync.net`},

	{"OneDrive", "sharing", `onedrive.live.com api.onedrive.com livefilestore.com storage.live.com my.microsoftpersonalcontent.com
		1drv.com 1drv.ms docs.live.net d.docs.live.net skyapi.onedrive.live.com`},
	{"SharePoint", "sharing", `sharepoint.com sharepoint.cn sharepoint.us sharepoint.de`},
	{"Google Drive", "sharing", `drive.google.com docs.google.com clients6.google.com drivefrontend-pa.clients6.google.com
		upload.drive.google.com content.googleapis.com www.googleapis.com`},
	{"Google Photos", "device", `photos.google.com photoslibrary.googleapis.com photosdata-pa.googleapis.com`},
	{"Dropbox", "sharing", `dropbox.com dropboxapi.com dropboxusercontent.com dropbox-dns.com getdropbox.com`},
	{"Box", "sharing", `box.com boxcloud.com app.box.com upload.box.com boxenterprise.net`},
	{"iCloud", "device", `icloud.com icloud-content.com icloud.com.cn`},
	{"Mega", "anonymous", `mega.nz mega.co.nz mega.io userstorage.mega.co.nz`},
	{"WeTransfer", "sharing", `wetransfer.com wetransfer.net we.tl wetransfer-eu-prod-incoming.s3.*.amazonaws.com
		wetransfer-us-prod-incoming.s3.*.amazonaws.com wetransfer-us-prod-incoming.s3.amazonaws.com`},
	{"pCloud", "sharing", `pcloud.com pcloud.link`},
	{"MediaFire", "sharing", `mediafire.com`},
	{"4shared", "sharing", `4shared.com`},
	{"Sync.com", "sharing", `sync.com`},
	{"Proton Drive", "sharing", `drive.proton.me drive-api.proton.me storage.proton.me`},
	{"Tresorit", "sharing", `tresorit.com`},
	{"Koofr", "sharing", `koofr.net koofr.eu`},
	{"Icedrive", "sharing", `icedrive.net`},
	{"Jottacloud", "sharing", `jottacloud.com jotta.cloud`},
	{"Yandex Disk", "sharing", `disk.yandex.ru disk.yandex.com disk.yandex.net webdav.yandex.ru cloud-api.yandex.net`},
	{"Mail.ru Cloud", "sharing", `cloud.mail.ru`},
	{"Baidu Pan", "sharing", `pan.baidu.com pcs.baidu.com d.pcs.baidu.com`},
	{"Egnyte", "sharing", `egnyte.com`},
	{"ShareFile", "sharing", `sharefile.com sf-api.com sharefile.eu`},
	{"Citrix Files", "sharing", `citrixdata.com`},
	{"Hightail", "sharing", `hightail.com yousendit.com`},
	{"Smash", "sharing", `fromsmash.com fromsmash.co`},
	{"SwissTransfer", "sharing", `swisstransfer.com`},
	{"TransferNow", "sharing", `transfernow.net`},
	{"Filemail", "sharing", `filemail.com`},
	{"Send Anywhere", "sharing", `send-anywhere.com`},
	{"gofile", "anonymous", `gofile.io`},
	{"file.io", "anonymous", `file.io`},
	{"transfer.sh", "anonymous", `transfer.sh`},
	{"temp.sh", "anonymous", `temp.sh`},
	{"0x0", "anonymous", `0x0.st`},
	{"bashupload", "anonymous", `bashupload.com`},
	{"oshi", "anonymous", `oshi.at`},
	{"catbox", "anonymous", `catbox.moe`},
	// What these serve lies on somebody's own machine, behind a tunnel; tunnels names them.
	{"ngrok", "sharing", `ngrok.io ngrok.app ngrok.dev ngrok-free.app ngrok-free.dev`},
	{"Cloudflare quick tunnel", "sharing", `trycloudflare.com`},
	{"localtunnel", "sharing", `loca.lt`},
	{"Serveo", "sharing", `serveo.net serveousercontent.com`},
	{"localhost.run", "sharing", `lhr.life lhr.rocks`},
	{"Pinggy", "sharing", `pinggy.link pinggy.online`},
	{"Dev tunnels", "sharing", `devtunnels.ms`},
	{"pixeldrain", "anonymous", `pixeldrain.com`},
	{"anonfiles and its heirs", "anonymous", `anonfiles.com anonfile.com bayfiles.com anonymfile.com anonfilesnew.com filechan.org
		letsupload.cc lolabits.se megaupload.nz myfile.is rapidshare.nu share-online.is upvid.cc vshare.is zippyshare.com`},
	{"uguu", "anonymous", `uguu.se`},
	{"tmpfiles", "anonymous", `tmpfiles.org tmpfile.link`},
	{"filebin", "anonymous", `filebin.net`},
	{"ufile", "anonymous", `ufile.io uploadfiles.io`},
	{"krakenfiles", "anonymous", `krakenfiles.com`},
	{"workupload", "sharing", `workupload.com`},
	{"1fichier", "anonymous", `1fichier.com`},
	{"rapidgator", "sharing", `rapidgator.net`},
	{"uploaded and kin", "sharing", `uploaded.net nitroflare.com turbobit.net ddownload.com katfile.com`},
	{"sendspace", "sharing", `sendspace.com`},
	{"dropmefiles", "anonymous", `dropmefiles.com`},
	{"easyupload", "anonymous", `easyupload.io`},
	{"sendgb", "sharing", `sendgb.com`},
	{"qaz.im", "anonymous", `qaz.im qaz.su`},
	{"Limewire", "sharing", `limewire.com`},
	{"put.io", "sharing", `put.io`},
	{"Telegram files", "sharing", `web.telegram.org`},
	{"Slack files", "sharing", `files.slack.com`},
	{"imgur", "sharing", `imgur.com`},
	{"archive.org", "sharing", `s3.us.archive.org`},
	{"IPFS pinning", "sharing", `api.pinata.cloud web3.storage nft.storage ipfs.io`},

	{"Pastebin", "paste", `pastebin.com`},
	{"paste.ee", "paste", `paste.ee`},
	{"hastebin", "paste", `hastebin.com`},
	{"GitHub Gist", "paste", `gist.github.com`},
	{"ghostbin", "paste", `ghostbin.com ghostbin.co`},
	{"rentry", "paste", `rentry.co rentry.org`},
	{"dpaste", "paste", `dpaste.org dpaste.com`},
	{"termbin", "paste", `termbin.com`},
	{"ix.io", "paste", `ix.io sprunge.us`},
	{"controlc", "paste", `controlc.com`},
	{"justpaste", "paste", `justpaste.it`},
	{"PrivateBin", "paste", `privatebin.net privatebin.info`},
	{"small pastebins", "paste", `pastes.io paste.rs paste.c-net.org paste.mozilla.org paste.debian.net paste.ubuntu.com
		p.ip.fi clbin.com vpaste.net write.as telegra.ph cl1p.net pastie.org doxbin.org`},

	{"Slack webhook", "webhook", `hooks.slack.com`},
	{"Discord webhook", "webhook", `discord.com discordapp.com`},
	{"Telegram bot", "webhook", `api.telegram.org`},
	{"Teams webhook", "webhook", `webhook.office.com webhook.office365.com logic.azure.com`},
	{"Google Chat webhook", "webhook", `chat.googleapis.com`},
	{"Webex webhook", "webhook", `webexapis.com`},
	{"Zapier", "webhook", `hooks.zapier.com`},
	{"Make", "webhook", `hook.*.make.com hook.integromat.com`},
	{"IFTTT", "webhook", `maker.ifttt.com`},
	{"webhook.site", "webhook", `webhook.site`},
	{"Pipedream", "webhook", `m.pipedream.net`},
	{"request catchers", "webhook", `requestbin.com requestbin.net requestcatcher.com beeceptor.com hookbin.com postb.in
		ptsv2.com ptsv3.com webhook.cool putsreq.com`},
	{"out-of-band servers", "webhook", `interact.sh oast.pro oast.live oast.site oast.online oast.fun oast.me
		burpcollaborator.net oastify.com dnslog.cn ceye.io canarytokens.com`},
	{"ntfy", "webhook", `ntfy.sh`},
	{"Pushbullet", "webhook", `api.pushbullet.com upload.pushbullet.com`},

	{"GitHub", "code", `github.com api.github.com uploads.github.com`},
	{"GitLab", "code", `gitlab.com`},
	{"Bitbucket", "code", `bitbucket.org`},
	{"Codeberg", "code", `codeberg.org`},
	{"SourceForge", "code", `sourceforge.net`},
	{"Gitee", "code", `gitee.com`},
	{"Azure DevOps", "code", `dev.azure.com visualstudio.com`},
	{"Hugging Face", "code", `huggingface.co hf.co`},
	{"Docker Hub", "code", `registry-1.docker.io`},
	{"Replit", "code", `replit.com`},

	// With =, what stands behind the @ of the service's addresses: logs of mail servers have that.
	{"Gmail", "mail", `mail.google.com smtp.gmail.com =gmail.com =googlemail.com`},
	{"Outlook.com", "mail", `outlook.live.com attachments.office.net =outlook.com =outlook.de =outlook.fr =hotmail.com =hotmail.de =hotmail.fr
		=hotmail.it =hotmail.es =hotmail.co.uk =live.com =live.de =live.fr =live.nl =live.co.uk =msn.com`},
	{"Yahoo Mail", "mail", `mail.yahoo.com =yahoo.com =yahoo.de =yahoo.fr =yahoo.it =yahoo.es =yahoo.co.uk =yahoo.co.in =yahoo.com.br =ymail.com
		=rocketmail.com =aol.com`},
	{"iCloud Mail", "mail", `=me.com =mac.com`},
	{"Proton Mail", "mail", `mail.proton.me mail-api.proton.me protonmail.com =proton.me =pm.me`},
	{"Tuta", "mail", `tuta.com tutanota.com =tutamail.com =tuta.io`},
	{"GMX", "mail", `gmx.net gmx.com gmx.de web.de =gmx.at =gmx.ch =mail.com`},
	{"Yandex Mail", "mail", `mail.yandex.ru mail.yandex.com =yandex.ru =yandex.com =ya.ru`},
	{"Mail.ru", "mail", `e.mail.ru =mail.ru =bk.ru =list.ru =inbox.ru`},
	{"Zoho Mail", "mail", `mail.zoho.com mail.zoho.eu =zohomail.com =zohomail.eu`},
	{"Fastmail", "mail", `=fastmail.com =fastmail.fm`},
	{"QQ Mail", "mail", `=qq.com =foxmail.com`},
	{"NetEase Mail", "mail", `=163.com =126.com =yeah.net`},
}

// A hostPattern is a pattern of the catalogue.
type hostPattern struct {
	labels  []string // first to last
	service int
	whole   bool // nothing stands before the labels
}

// hostIndex finds patterns by their last two labels. It is immutable.
//
// Note: most hosts are of no service, and one look-up says so.
type hostIndex struct {
	services []CloudService
	byEnd    map[string][]hostPattern // the longest first, of as many labels those without a *
	anyEnd   []hostPattern            // those with a * in the last two labels
}

var cloudHosts = sync.OnceValue(indexHosts)

func indexHosts() *hostIndex {
	x := &hostIndex{byEnd: map[string][]hostPattern{}}
	for i, c := range cloudCatalogue {
		x.services = append(x.services, CloudService{c.name, c.kind, kindTechniques[c.kind]})
		for _, pattern := range strings.Fields(c.hosts) {
			pattern, whole := strings.CutPrefix(pattern, "=")
			p := hostPattern{strings.Split(pattern, "."), i, whole}
			if end := lastLabels(pattern); strings.Contains(end, "*") {
				x.anyEnd = append(x.anyEnd, p)
			} else {
				x.byEnd[end] = append(x.byEnd[end], p)
			}
		}
	}
	for _, patterns := range x.byEnd {
		slices.SortStableFunc(patterns, func(a, b hostPattern) int {
			wild := func(p hostPattern) int { return strings.Count(strings.Join(p.labels, "."), "*") }
			return cmp.Or(len(b.labels)-len(a.labels), wild(a)-wild(b))
		})
	}
	return x
}

// shares reports whether the service shares files with others.
func (s *CloudService) shares() bool {
	return s.Kind == "sharing" || s.Kind == "device" || s.Kind == "anonymous"
}

// tunnels are the services whose hosts are somebody's own.
const tunnels = "|ngrok|Cloudflare quick tunnel|localtunnel|Serveo|localhost.run|Pinggy|Dev tunnels|"

// accountService returns the name of the sharing service of a host that does not tell whose the
// account is: any of the service's hosts may take an upload to the same account. It returns ""
// for others, as for buckets and tenants.
func accountService(host string) string {
	if name := deviceService(host); name != "" {
		return name
	}
	s, ok := CloudHost([]byte(host))
	if !ok || !s.shares() || namesTenant(host) || strings.Contains(tunnels, "|"+s.Name+"|") {
		return ""
	}
	return s.Name
}

// appleNetwork is what the addresses begin with of the network that belongs to Apple alone. Hardly
// anything but devices' own services has so much to send there.
const appleNetwork = "17."

// deviceService returns the name of the service of a host or an address to which devices upload by
// themselves, or "".
func deviceService(object string) string {
	if strings.HasPrefix(object, appleNetwork) && isAddress(object) {
		return "iCloud"
	}
	if s, _ := CloudHost([]byte(object)); s.Kind == "device" {
		return s.Name
	}
	return ""
}

// lastLabels returns the last two labels of a host.
func lastLabels[T string | []byte](host T) T {
	dots := 0
	for i := len(host) - 1; i >= 0; i-- {
		if host[i] == '.' {
			if dots++; dots == 2 {
				return host[i+1:]
			}
		}
	}
	return host
}

// endsOf adds the last two labels of the hosts of a service to ends.
func (x *hostIndex) endsOf(service string, ends map[string]bool) {
	for end, patterns := range x.byEnd {
		for i := range patterns {
			if x.services[patterns[i].service].Name == service {
				ends[end] = true
			}
		}
	}
}

// CloudHost returns the service that a host belongs to: the one with the longest
// matching pattern. host is in lower case and has no port.
func CloudHost(host []byte) (CloudService, bool) {
	x := cloudHosts()
	for _, patterns := range [...][]hostPattern{x.byEnd[string(lastLabels(host))], x.anyEnd} {
		for i := range patterns {
			if p := &patterns[i]; p.matches(host) {
				return x.services[p.service], true
			}
		}
	}
	return CloudService{}, false
}

// matches reports whether the last labels of host match the pattern.
func (p *hostPattern) matches(host []byte) bool {
	for i := len(p.labels) - 1; i >= 0; i-- {
		dot := bytes.LastIndexByte(host, '.')
		if dot < 0 && i > 0 {
			return false
		}
		want, label := p.labels[i], host[dot+1:]
		prefix, wild := strings.CutSuffix(want, "*")
		if !bytes.HasPrefix(label, []byte(prefix)) || len(label) <= len(prefix) && wild || !wild && len(label) != len(want) {
			return false
		}
		host = host[:max(dot, 0)]
	}
	return !p.whole || len(host) == 0
}

// supporters are makers of what companies buy, whose customers send them logs, dumps and images of
// disks. Nobody else gets what is uploaded there. Makers with room for everybody's files are left out.
const supporters = `arubanetworks.com barracuda.com bitdefender.com broadcom.com brother.com canon.com checkpoint.com cisco.com citrix.com
	commvault.com cradlepoint.com crowdstrike.com dell.com elastic.co emc.com epson.com ericsson.com eset.com extremenetworks.com f5.com forcepoint.com
	fortinet.com fujitsu.com hitachivantara.com hp.com hpe.com ibm.com intel.com ivanti.com jamf.com juniper.net kaspersky.com
	kyoceradocumentsolutions.com lenovo.com mcafee.com netapp.com netscout.com nokia.com novell.com nutanix.com nvidia.com paloaltonetworks.com
	progress.com purestorage.com qlik.com redhat.com ricoh.com rubrik.com ruckuswireless.com sap.com schneider-electric.com sentinelone.net siemens.com
	solarwinds.com sonicwall.com sophos.com splunk.com suse.com symantec.com tenable.com trellix.com trendmicro.com ubiquiti.com
	veeam.com veritas.com vmware.com watchguard.com xerox.com zebra.com`

// supportLabel returns the label of a registered domain of supporters, or "".
func supportLabel(domain string) string {
	if slices.Contains(strings.Fields(supporters), domain) {
		return "support of a maker"
	}
	return ""
}

// namesTenant reports whether a host is that of one customer of a service: what a company's
// people all use there is its own, other than what all customers share.
func namesTenant(host string) bool {
	for _, suffix := range [...]string{".sharepoint.com", ".sharepoint.cn", ".sharepoint.us", ".sharepoint.de", ".egnyte.com", ".sharefile.com", ".sharefile.eu"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}
