package jobs

import (
	"path"
	"strings"

	"outflow/columnar/logs"
)

// A layout says how a service names the objects that it delivers, so that an input
// needs only the place where they lie.
type layout struct {
	name    string // as in an input's layout
	title   string // a few words, no capital, no period
	pattern string // what follows the uri of an input, see store.Glob
	// format names the format of the objects; if this version does not have it, or if it
	// is "" because the service writes several, each object's format is detected.
	format string
	// common says that other logs have such names too, so each object's format is detected.
	common bool
	// flat says that the pattern continues the last segment of the uri: that ends with
	// the slash of a folder, or with the beginning of the names in it.
	flat bool
}

// azureDay is how Azure Monitor names a day. Its hours and minutes lie below: h=00/m=00.
const azureDay = "/y={yyyy}/m={mm}/d={dd}/"

// layouts lists the layouts in the order in which inspect tries them: of two that match
// the same names the more specific comes first.
var layouts = []*layout{
	{name: "cloudtrail", title: "AWS CloudTrail, trail of one account", format: "cloudtrail",
		pattern: "AWSLogs/{account}/CloudTrail/{region}/{yyyy}/{mm}/{dd}/"},
	{name: "cloudtrail-org", title: "AWS CloudTrail, trail of an organisation", format: "cloudtrail",
		pattern: "AWSLogs/o-*/{account}/CloudTrail/{region}/{yyyy}/{mm}/{dd}/"},
	{name: "vpcflow", title: "Amazon VPC flow logs",
		pattern: "AWSLogs/{account}/vpcflowlogs/{region}/{yyyy}/{mm}/{dd}/"},
	{name: "vpcflow-hive", title: "Amazon VPC flow logs, Hive-compatible prefixes",
		pattern: "AWSLogs/aws-account-id={account}/aws-service=vpcflowlogs/aws-region={region}/year={yyyy}/month={mm}/day={dd}/"},
	{name: "route53-resolver", title: "Amazon Route 53 Resolver query logs",
		pattern: "AWSLogs/{account}/vpcdnsquerylogs/*/{yyyy}/{mm}/{dd}/"},
	{name: "alb", title: "AWS Application Load Balancer access logs", format: "elb",
		pattern: "AWSLogs/{account}/elasticloadbalancing/{region}/{yyyy}/{mm}/{dd}/[0-9]*_app.*"},
	{name: "nlb", title: "AWS Network Load Balancer access logs", format: "elb",
		pattern: "AWSLogs/{account}/elasticloadbalancing/{region}/{yyyy}/{mm}/{dd}/[0-9]*_net.*"},
	{name: "clb", title: "AWS Classic Load Balancer access logs", format: "elb",
		pattern: "AWSLogs/{account}/elasticloadbalancing/{region}/{yyyy}/{mm}/{dd}/[0-9]*.log"},
	{name: "security-lake", title: "Amazon Security Lake, sources of AWS", format: "parquet",
		pattern: "aws/*/*/region={region}/accountId={account}/eventDay={yyyy}{mm}{dd}/"},
	{name: "security-lake-custom", title: "Amazon Security Lake, custom sources", format: "parquet",
		pattern: "ext/*/region={region}/accountId={account}/eventDay={yyyy}{mm}{dd}/"},
	{name: "s3access-partitioned", title: "Amazon S3 server access logs, by date", format: "s3access",
		pattern: "{account}/{region}/*/{yyyy}/{mm}/{dd}/{yyyy}-{mm}-{dd}-*"},
	{name: "s3access", title: "Amazon S3 server access logs; the uri ends with the target prefix", format: "s3access", flat: true,
		pattern: "{yyyy}-{mm}-{dd}-[0-9][0-9]-[0-9][0-9]-[0-9][0-9]-*"},
	{name: "cloudfront", title: "Amazon CloudFront standard logs; the uri ends with the distribution's ID and a dot", format: "cloudfront", flat: true,
		pattern: "{yyyy}-{mm}-{dd}-[0-9][0-9].*"},

	{name: "gcp-audit", title: "Google Cloud audit logs in a bucket",
		pattern: "cloudaudit.googleapis.com/*/{yyyy}/{mm}/{dd}/"},
	{name: "gcp-vpcflow", title: "Google Cloud VPC flow logs in a bucket",
		pattern: "compute.googleapis.com/vpc_flows/{yyyy}/{mm}/{dd}/"},
	{name: "gcs-usage", title: "Cloud Storage usage logs; the uri ends with the log object prefix", flat: true,
		pattern: "_usage_{yyyy}_{mm}_{dd}_*"},

	{name: "azure-activity", title: "Azure activity log",
		pattern: "insights-activity-logs/resourceId=/*/{account}" + azureDay},
	{name: "azure-signin", title: "Microsoft Entra sign-in logs",
		pattern: "insights-logs-*signinlogs/tenantId={account}" + azureDay},
	{name: "azure-storage", title: "Azure Storage logs: read, write and delete",
		pattern: "insights-logs-storage[rwd]*/resourceId=/*/{account}/*/*/*/*/*/*/*/*" + azureDay},
	{name: "azure-nsgflow", title: "Azure flow logs of network security groups",
		pattern: "insights-logs-networksecuritygroupflowevent/resourceId=/*/{account}/*/*/*/*/*/*" + azureDay},
	{name: "azure-vnetflow", title: "Azure flow logs of virtual networks",
		pattern: "insights-logs-flowlogflowevent/flowLogResourceID=/{account}_NETWORKWATCHERRG/*" + azureDay},

	{name: "umbrella-dns", title: "Cisco Umbrella DNS logs", format: "umbrella", pattern: "dnslogs/{yyyy}-{mm}-{dd}/"},
	{name: "umbrella-proxy", title: "Cisco Umbrella proxy logs", format: "umbrella", pattern: "proxylogs/{yyyy}-{mm}-{dd}/"},
	{name: "umbrella-ip", title: "Cisco Umbrella IP logs", format: "umbrella", pattern: "iplogs/{yyyy}-{mm}-{dd}/"},
	{name: "umbrella-firewall", title: "Cisco Umbrella firewall logs", format: "umbrella", pattern: "*firewalllogs/{yyyy}-{mm}-{dd}/"},
	{name: "github-audit", title: "GitHub audit log streaming", pattern: "{yyyy}/{mm}/{dd}/[0-9][0-9]/[0-9][0-9]/*.json.log.gz"},
	{name: "crowdstrike-fdr", title: "CrowdStrike Falcon Data Replicator; its keys have no date, so every run lists all", pattern: "data/*-*-*-*-*/part-*.gz"},
	{name: "cloudflare-logpush", title: "Cloudflare Logpush, daily subfolders", pattern: "{yyyy}{mm}{dd}/{yyyy}{mm}{dd}T*"},
	{name: "zeek", title: "Zeek and Corelight logs, a folder a day", format: "zeek", common: true, pattern: "{yyyy}-{mm}-{dd}/*.log*"},
}

// layoutNamed returns the layout of that name. An empty name is no layout: nil.
func layoutNamed(name string) (*layout, error) {
	if name == "" {
		return nil, nil
	}
	names := make([]string, len(layouts))
	for i, l := range layouts {
		if l.name == name {
			return l, nil
		}
		names[i] = l.name
	}
	return nil, badConfig("unknown layout %q%s", name, wanted(name, names, "layouts"))
}

// uri returns the pattern of the objects that lie at a uri. If the uri ends with literal
// segments with which the layout's pattern begins, these count once: people copy
// s3://bucket/AWSLogs/ from a console.
func (l *layout) uri(at string) string {
	if _, rest, ok := strings.Cut(at, "://"); ok && !strings.Contains(rest, "/") {
		at += "/"
	}
	if l.flat {
		return at + l.pattern
	}
	at = strings.TrimSuffix(at, "/") + "/"
	for head := path.Dir(l.pattern); head != "."; head = path.Dir(head) {
		if !strings.ContainsAny(head, "*?[{") && strings.HasSuffix(at, "/"+head+"/") {
			return at + strings.TrimPrefix(l.pattern, head+"/")
		}
	}
	return at + l.pattern
}

// known returns the format of the layout's objects, or nil: then it is detected.
func (l *layout) known() *logs.Format {
	if l.common {
		return nil
	}
	return logs.Named(l.format)
}
