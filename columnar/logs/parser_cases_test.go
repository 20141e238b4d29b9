package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"outflow/columnar"
)

// This file compares what outflow reads in vendors' records with what the tests of other
// tools say is in them. The records are third parties', in the folder that OUTFLOW_DATA
// names; docs/coverage.md has the result.

// A parserCase is one record of a vendor, as the tests of another tool have it.
type parserCase struct {
	group, name string
	record      []byte
	want        map[columnar.Col][]string // any of these texts
}

// A caseGroup is a folder or file of cases.
type caseGroup struct {
	number int    // in the list of the 25, 0 if it is none of these
	log    string // what the cases are records of
	group  string
	// header stands before each record, where the other tool's input took it off.
	header string
	// names are the fields of a record that say what a column says, where the tool's result
	// is the record itself.
	names map[columnar.Col][]string
}

const (
	syslogOfCases = "Jul 14 10:00:00 ns1 named[99]: "
	cefOfCases    = "Jul 14 10:00:00 proxy1 CEF:"
)

var (
	// ecsNames are the fields of the Elastic Common Schema.
	ecsNames = map[columnar.Col][]string{
		columnar.Time:  {"@timestamp"},
		columnar.User:  {"user.email", "user.name", "source.user.email", "source.user.name", "client.user.name", "process.user.email", "process.user.name", "user.id"},
		columnar.SrcIP: {"source.ip", "client.ip"}, columnar.Host: {"host.name", "host.hostname", "log.hostname"},
		columnar.BytesOut: {"source.bytes", "client.bytes", "http.request.bytes"}, columnar.BytesIn: {"destination.bytes", "server.bytes", "http.response.bytes"},
		columnar.URLHost: {"url.domain"}, columnar.Query: {"dns.question.name"},
	}
	trailNames = map[columnar.Col][]string{
		columnar.Time: {"eventTime"}, columnar.User: {"userIdentity.userName", "userIdentity.arn", "userIdentity.sessionContext.sessionIssuer.userName", "userIdentity.invokedBy", "userIdentity.principalId"},
		columnar.SrcIP: {"sourceIPAddress"}, columnar.BytesOut: {"additionalEventData.bytesTransferredIn"}, columnar.BytesIn: {"additionalEventData.bytesTransferredOut"},
	}
	gcpNames       = map[columnar.Col][]string{columnar.Time: {"timestamp"}, columnar.User: {"protoPayload.authenticationInfo.principalEmail"}, columnar.SrcIP: {"protoPayload.requestMetadata.callerIp"}}
	workspaceNames = map[columnar.Col][]string{columnar.Time: {"id.time"}, columnar.User: {"actor.email"}, columnar.SrcIP: {"ipAddress"}}
	falconNames    = map[columnar.Col][]string{columnar.Time: {"timestamp", "event.timestamp"}, columnar.User: {"event.UserName", "UserName"}, columnar.Query: {"event.DomainName", "DomainName"}}
	slackNames     = map[columnar.Col][]string{columnar.Time: {"date_create"}, columnar.User: {"actor.user.email"}, columnar.SrcIP: {"context.ip_address"}}
)

var caseGroups = []caseGroup{
	{1, "CloudTrail", "aws_cloudtrail", "", nil},
	{1, "CloudTrail", "awslogs__cloudtrail_tests.yml", "", trailNames},
	{1, "CloudTrail", "AWS.CloudTrail.jsonl", "", trailNames},
	{2, "VPC flow", "aws_vpcflow", "", nil},
	{2, "VPC flow", "AWS.VPCFlow.jsonl", "", map[columnar.Col][]string{columnar.Time: {"start"}, columnar.SrcIP: {"srcAddr"}}},
	{4, "S3 access log", "awslogs__s3_server_access_samples.log", "", nil},
	{4, "S3 access log", "AWS.S3ServerAccess.jsonl", "", map[columnar.Col][]string{columnar.Time: {"time"}, columnar.User: {"requester"}, columnar.SrcIP: {"remoteip"}, columnar.BytesIn: {"bytessent"}}},
	{6, "Route 53 Resolver", "AWS.VPCDns.jsonl", "", map[columnar.Col][]string{columnar.Time: {"query_timestamp", "time"}, columnar.SrcIP: {"srcaddr", "src_endpoint.ip"}, columnar.Query: {"query_name", "query.hostname"}}},
	{7, "Windows events", "windows_events", "", nil},
	{7, "Windows events (Winlogbeat)", "winlogbeat", "", nil},
	{7, "Defender XDR", "defender_xdr", "", nil},
	{11, "M365 audit", "m365_o365", "", nil},
	{11, "M365 audit", "Microsoft365.Audit.AzureActiveDirectory.jsonl", "", map[columnar.Col][]string{columnar.Time: {"CreationTime"}, columnar.User: {"UserId"}, columnar.SrcIP: {"ClientIP"}}},
	{13, "Fortinet FortiProxy", "fortiproxy", "", nil},
	{15, "Google Workspace", "google_workspace_reports", "", nil},
	{15, "Google Workspace", "gsuitelogs__reportslog_samples.jsonl", "", workspaceNames},
	{15, "Google Workspace", "GSuite.ActivityEvent.jsonl", "", workspaceNames},
	{16, "GCP audit", "gcp_audit", "", nil},
	{16, "GCP audit", "gcplogs__auditlog_samples.jsonl", "", gcpNames},
	{16, "GCP audit", "GCP.AuditLog.jsonl", "", gcpNames},
	{16, "GCP VPC flow", "gcp_vpcflow", "", nil},
	{20, "Zscaler ZIA", "zscaler_zia", "", nil},
	{20, "Zscaler ZIA", "Zscaler.ZIA.AdminAuditLog.jsonl", "", map[columnar.Col][]string{columnar.Time: {"event.time"}}},
	{21, "Umbrella DNS", "umbrella_dns", "", nil},
	{21, "Umbrella DNS", "umbrellalogs__dns.csv", "", nil},
	{21, "Umbrella proxy", "umbrella_proxy", "", nil},
	{22, "Cloud SWG", "bluecoat_broadcom_cloud_swg", "", nil},
	{22, "Edge SWG", "bluecoat_broadcom_edge_swg", "", nil},
	{22, "Netskope transactions", "netskope_transaction", "", nil},
	{22, "Netskope transactions", "netskope_transaction_s3", "", nil},
	{23, "Netskope events", "netskope_events", "", nil},
	{23, "Netskope events", "Netskope.Audit.jsonl", "", map[columnar.Col][]string{columnar.Time: {"timestamp"}, columnar.User: {"user"}}},
	{24, "Squid", "squid", "", nil},
	{25, "CrowdStrike FDR", "crowdstrikelogs__identity.yml", "", falconNames},
	{25, "CrowdStrike FDR", "Crowdstrike.FDREvent.jsonl", "", falconNames},
	{25, "CrowdStrike FDR", "Crowdstrike.DNSRequest.jsonl", "", falconNames},
	{0, "BIND", "bind", syslogOfCases, nil},
	{0, "Box", "Box.Event.jsonl", "", map[columnar.Col][]string{columnar.Time: {"created_at"}, columnar.User: {"created_by.login"}, columnar.SrcIP: {"ip_address"}}},
	{0, "Cloudflare DNS", "cloudflare_dns", "", nil},
	{0, "Cloudflare Gateway DNS", "cloudflare_gateway_dns", "", nil},
	{0, "Cloudflare Gateway HTTP", "cloudflare_gateway_http", "", nil},
	{0, "Cloudflare Gateway network", "cloudflare_gateway_network", "", nil},
	{0, "Dropbox", "Dropbox.TeamEvent.jsonl", "", map[columnar.Col][]string{columnar.Time: {"timestamp"}, columnar.User: {"actor.user.email"}, columnar.SrcIP: {"origin.geo_location.ip_address"}}},
	{0, "EfficientIP", "efficientip", syslogOfCases, nil},
	{0, "Forcepoint", "forcepoint_swg", cefOfCases, nil},
	{0, "Infoblox", "infoblox", syslogOfCases, nil},
	{0, "IPFIX of Logstash", "netflow", "", nil},
	{0, "Olfeo", "olfeo_saas", "", nil},
	{0, "Olfeo", "olfeo_swg", "", nil},
	{0, "Proofpoint", "Proofpoint.Event.jsonl", "", map[columnar.Col][]string{columnar.Time: {"messageTime"}, columnar.User: {"sender"}}},
	{0, "Skyhigh", "skyhigh_swg", "", nil},
	{0, "Slack", "slacklogs__slacklogs_test.yml", "", slackNames},
	{0, "Slack", "Slack.AuditLogs.jsonl", "", slackNames},
	{0, "Suricata", "suricata_eve", "", nil},
	{0, "Unbound", "unbound", "", nil},
}

// cases returns those of the group; trimmed is how many more have no time, as their authors
// left of the record only what a rule reads.
func (g *caseGroup) cases(t *testing.T, dir string) (cases []parserCase, trimmed int) {
	add := func(name string, record []byte, expected any, names map[columnar.Col][]string) {
		c := parserCase{group: g.group, name: name, want: map[columnar.Col][]string{}}
		for col, names := range names {
			for _, name := range names {
				text := textIn(expected, name)
				if _, err := netip.ParseAddr(text); col == columnar.SrcIP && err != nil {
					continue // the name of a service
				}
				if text != "" {
					c.want[col] = append(c.want[col], text)
				}
			}
		}
		if names != nil && names[columnar.Time] != nil && c.want[columnar.Time] == nil && g.names != nil {
			trimmed++
			return
		}
		c.record = append([]byte(g.header), bytes.TrimSpace(record)...)
		c.record = append(c.record, '\n')
		cases = append(cases, c)
	}
	whole := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	object := func(data []byte) (v any) {
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(g.group, err)
		}
		return v
	}
	detections := filepath.Join(dir, "detection-cases-panther", g.group)
	parsers := filepath.Join(dir, "parser-cases-panther", g.group)
	switch ext := filepath.Ext(g.group); {
	case ext == ".jsonl" && exists(detections):
		for i, line := range bytes.Split(bytes.TrimSpace(whole(detections)), eol) {
			var c struct{ Log json.RawMessage }
			if err := json.Unmarshal(line, &c); err != nil {
				t.Fatal(err)
			}
			add(fmt.Sprint("line ", i+1), c.Log, object(c.Log), g.names)
		}
	case ext == ".jsonl":
		for i, line := range bytes.Split(bytes.TrimSpace(whole(parsers)), eol) {
			add(fmt.Sprint("line ", i+1), line, object(line), g.names)
		}
	case ext == ".yml":
		d := yaml.NewDecoder(bytes.NewReader(whole(parsers)))
		for {
			var c struct{ Name, Input string }
			if d.Decode(&c) != nil {
				break
			}
			var line bytes.Buffer
			if c.Input == "" || json.Compact(&line, []byte(c.Input)) != nil {
				continue
			}
			add(c.Name, line.Bytes(), object(line.Bytes()), g.names)
		}
	case ext == ".log", ext == ".csv":
		for i, line := range bytes.Split(bytes.TrimSpace(whole(parsers)), eol) {
			add(fmt.Sprint("line ", i+1), line, nil, nil)
		}
	default:
		files, _ := filepath.Glob(filepath.Join(dir, "parser-cases-sekoia", g.group, "*.json"))
		for _, file := range files {
			var c struct {
				Input    struct{ Message string }
				Expected any
			}
			if err := json.Unmarshal(whole(file), &c); err != nil {
				t.Fatal(file, err)
			}
			add(strings.TrimSuffix(filepath.Base(file), ".json"), []byte(c.Input.Message), c.Expected, ecsNames)
		}
	}
	return cases, trimmed
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// textIn returns what stands in v under a name with dots.
func textIn(v any, name string) string {
	for key := range strings.SplitSeq(name, ".") {
		object, _ := v.(map[string]any)
		v = object[key]
	}
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return fmt.Sprint(int64(v))
	}
	return ""
}

// read reads the record as a run does; format is "" if nothing recognises it.
func (c *parserCase) read() (r *result, format string) {
	r, members := readAny(c.record)
	for _, m := range members {
		if m.Format != nil && m.Err == nil {
			format = m.Format.Name
		}
	}
	return r, format
}

// knownRecord returns a record that gives a row.
func knownRecord(cases []parserCase) []byte {
	for _, c := range cases {
		if r, _ := c.read(); r.rows > 0 {
			return c.record
		}
	}
	return nil
}

// besides reports whether the record, behind a known one that makes its log recognised, counts as
// a known other kind.
func (c *parserCase) besides(known []byte) bool {
	both := parserCase{record: slices.Concat(known, c.record)}
	r, _ := both.read()
	return known != nil && r.rows == 1 && r.tally.Other > 0
}

// said returns the texts of a column, of all tables.
func (r *result) said(c columnar.Col) (texts []string) {
	for _, table := range columnar.Tables {
		if slices.Contains(table.Cols, c) {
			texts = append(texts, r.column(table, c)...)
		}
	}
	return texts
}

// says is whether a row has one of the texts.
func (r *result) says(c columnar.Col, want []string) (got []string, same bool) {
	got = r.said(c)
	for _, g := range got {
		for _, w := range want {
			if sameText(c, g, w) {
				return got, true
			}
		}
	}
	return got, false
}

func sameText(c columnar.Col, got, want string) bool {
	switch c {
	case columnar.Time:
		clock := func(s string) string {
			s = strings.TrimSuffix(strings.Replace(s, " ", "T", 1), "Z")
			if strings.Contains(s, ".") {
				s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
			}
			return s
		}
		seconds, millis := epochOf(got)
		// Some tools keep nanoseconds.
		return clock(got) == clock(want) || len(want) > 26 && clock(got) == clock(want[:26]) || want == seconds || want == millis
	case columnar.User:
		// An ARN, a role or a domain stands with the name, or does not.
		parts := func(s string) []string {
			return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return strings.ContainsRune(`/:\@`, r) })
		}
		g, w := parts(got), parts(want)
		return got == want || len(g) > 0 && len(w) > 0 && (slices.Contains(w, g[0]) || slices.Contains(g, w[0]))
	}
	return strings.EqualFold(strings.TrimSuffix(got, "."), strings.TrimSuffix(want, "."))
}

// epochOf returns the time as seconds and as milliseconds since 1970.
func epochOf(text string) (seconds, millis string) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return "", ""
	}
	return fmt.Sprint(t.Unix()), fmt.Sprint(t.UnixMilli())
}

// An explanation says why what outflow reads is not what the other tool expects.
type explanation struct {
	group, why string
	what       string // a column, "unread", or "nobody": the row is nobody's
	cases      string // a part of the names, "" for all
}

var caseColumns = []columnar.Col{columnar.Time, columnar.User, columnar.SrcIP, columnar.Host, columnar.BytesOut, columnar.BytesIn, columnar.URLHost, columnar.Query}

// A difference that nobody explained is a fault of outflow's, or news of a vendor. What
// the test finds is in docs/coverage.md: -update writes it.
func TestParserCases(t *testing.T) {
	dir := os.Getenv("OUTFLOW_DATA")
	if dir == "" {
		t.Skip("OUTFLOW_DATA names no folder of cases")
	}
	var page strings.Builder
	page.WriteString("| # | log | cases | trimmed | rows | other kinds | unread |")
	for _, c := range caseColumns {
		fmt.Fprintf(&page, " %v |", c)
	}
	page.WriteString("\n|---|---|---|---|---|---|---|" + strings.Repeat("---|", len(caseColumns)) + "\n")
	reasons := map[string][]string{} // why to the cases
	used := map[explanation]bool{}
	for _, g := range caseGroups {
		cases, trimmed := g.cases(t, dir)
		known := knownRecord(cases)
		if len(cases)+trimmed == 0 {
			t.Errorf("%s: no cases in %s", g.group, dir)
		}
		differs := func(name, what, detail string) {
			for _, e := range caseExplanations {
				if e.group == g.group && e.what == what && strings.Contains(name, e.cases) {
					used[e] = true
					short, in := what+" of `"+g.group+"`: "+name, reasons[e.why]
					if n := len(in) - 1; n >= 0 && strings.HasPrefix(in[n], what+" of `"+g.group+"`") {
						in[n] += ", " + name
					} else {
						in = append(in, short)
					}
					reasons[e.why] = in
					return
				}
			}
			t.Errorf("%s/%s: %s: %s", g.group, name, what, detail)
		}
		var rows, other, unread int
		var wanted, equal [columnar.NumCols]int
		for _, c := range cases {
			r, format := c.read()
			switch {
			case r.rows > 0:
				rows++
			case len(r.tally.Kinds) > 0 && format != "jsonl":
				other++
				continue
			case format == "" && c.besides(known):
				other++
				continue
			default:
				unread++
				differs(c.name, "unread", fmt.Sprintf("read as %q: %v %v\n%.300s", format, r.tally.Kinds, r.tally.Reasons, c.record))
				continue
			}
			if who := [][]string{r.said(columnar.User), r.said(columnar.SrcIP), r.said(columnar.Host)}; !slices.ContainsFunc(slices.Concat(who...), func(s string) bool { return s != "" }) {
				differs(c.name, "nobody", format+": no row has a user, an address or a machine")
			}
			for _, col := range caseColumns {
				want := c.want[col]
				if len(want) == 0 {
					continue
				}
				wanted[col]++
				got, same := r.says(col, want)
				if same {
					equal[col]++
					continue
				}
				differs(c.name, col.String(), fmt.Sprintf("%s: got %q, want one of %q", format, got, want))
			}
		}
		number := "–"
		if g.number > 0 {
			number = fmt.Sprint(g.number)
		}
		fmt.Fprintf(&page, "| %s | %s (`%s`) | %d | %d | %d | %d | %d |", number, g.log, g.group, len(cases), trimmed, rows, other, unread)
		for _, c := range caseColumns {
			if wanted[c] == 0 {
				page.WriteString(" |")
			} else {
				fmt.Fprintf(&page, " %d/%d |", equal[c], wanted[c])
			}
		}
		page.WriteByte('\n')
	}
	for _, e := range caseExplanations {
		if !used[e] {
			t.Errorf("nothing to explain in %s, %s %q: remove %q", e.group, e.what, e.cases, e.why)
		}
	}
	page.WriteString("\nWhat differs, and why:\n\n")
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(&page, "- %s: %s\n", why, strings.Join(reasons[why], "; "))
	}
	checkPage(t, "../../docs/coverage.md", page.String())
}

// checkPage compares what stands between the marks of the page.
func checkPage(t *testing.T, file, want string) {
	const begin, end = "<!-- parser cases -->\n", "<!-- end of parser cases -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	got, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s: want the marks %q and %q", file, begin, end)
	}
	if got == want {
		return
	}
	if !*update {
		t.Errorf("%s is not what the cases give: run with -update", file)
		return
	}
	if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

const (
	anonymised   = "the authors of the case wrote other values over the record, which no longer has a time"
	notTheActor  = "the user expected is whom the event is about; nobody acted"
	pageOfAPI    = "an act in a service has the whole address as its resource, and no column for its host"
	swappedBytes = "the case takes cs-bytes, which the client sent, for the bytes of the destination"
	swappedSides = "a flow is told from its client's side, whichever end the record begins with"
	repeatsBytes = "records that repeat bytes of others, as firewalls' utm and clients' summaries, or alerts, do not count them again"
	noActor      = "the case takes an account, an id or a network for the user"
	renamedKeys  = "Panther wrote other keys than the vendor's: _tag for .tag, lower case"
	machineSide  = "the machine whose log it is is the server here, or a sensor, not the client"
	saysNobody   = "the record names neither a person nor a machine, and no address"
	recordTime   = "the record has two times: ours is that of the act, not that of writing it"
)

var caseExplanations = []explanation{
	{group: "aws_cloudtrail", what: "user", why: noActor},
	{group: "AWS.CloudTrail.jsonl", what: "unread", cases: "line 117", why: anonymised},
	{group: "aws_vpcflow", what: "src_ip", cases: "accept", why: swappedSides},
	{group: "aws_vpcflow", what: "bytes_out", cases: "accept", why: swappedSides},
	{group: "AWS.CloudTrail.jsonl", what: "nobody", cases: "line 124", why: saysNobody},
	{group: "AWS.S3ServerAccess.jsonl", what: "nobody", cases: "line 9", why: "the case has four keys of the record: any log may have them"},
	{group: "google_workspace_reports", what: "nobody", cases: "test_drive_sample3", why: saysNobody},
	{group: "gcp_audit", what: "nobody", cases: "k8s_delete_cluster", why: saysNobody},
	{group: "GCP.AuditLog.jsonl", what: "nobody", why: saysNobody},
	{group: "Crowdstrike.FDREvent.jsonl", what: "nobody", why: "the case is Panther's own form of another log, Umbrella's"},
	{group: "cloudflare_dns", what: "nobody", why: saysNobody},
	{group: "AWS.S3ServerAccess.jsonl", what: "user", cases: "line 9", why: "the case has four keys of the record: any log may have them"},
	{group: "winlogbeat", what: "time", why: recordTime},
	{group: "winlogbeat", what: "host", why: "the machine is known by its whole name"},
	{group: "winlogbeat", what: "user", why: noActor},
	{group: "defender_xdr", what: "host", why: machineSide},
	{group: "defender_xdr", what: "url_host", why: "a connection has it as dst_host"},
	{group: "defender_xdr", what: "src_ip", cases: "test_rdp_screenshot", why: "the address is whom a session shows its screen to, not the machine's"},
	{group: "m365_o365", what: "url_host", why: pageOfAPI},
	{group: "m365_o365", what: "src_ip", cases: "microsoft_defender_threatintelligence_mail", why: notTheActor},
	{group: "fortiproxy", what: "bytes_out", cases: "test_forward_2", why: "a session's bytes are the sum of its sentdelta and rcvddelta"},
	{group: "fortiproxy", what: "bytes_in", cases: "test_forward_2", why: "a session's bytes are the sum of its sentdelta and rcvddelta"},
	{group: "fortiproxy", what: "bytes_out", why: repeatsBytes},
	{group: "fortiproxy", what: "bytes_in", why: repeatsBytes},
	{group: "google_workspace_reports", what: "user", why: noActor},
	{group: "gcp_audit", what: "user", why: notTheActor},
	{group: "gcplogs__auditlog_samples.jsonl", what: "src_ip", why: "the same address, written shorter"},
	{group: "GCP.AuditLog.jsonl", what: "unread", why: renamedKeys},
	{group: "gcp_vpcflow", what: "time", why: recordTime},
	{group: "gcp_vpcflow", what: "src_ip", why: swappedSides},
	{group: "umbrella_dns", what: "user", why: "the user of an identity is the address in it, and a network is none"},
	{group: "umbrella_proxy", what: "src_ip", why: "the address inside is the client's"},
	{group: "umbrella_proxy", what: "host", why: machineSide},
	{group: "bluecoat_broadcom_cloud_swg", what: "query", why: "a request has no column for a query"},
	{group: "bluecoat_broadcom_edge_swg", what: "unread", why: anonymised},
	{group: "netskope_transaction", what: "bytes_out", why: swappedBytes},
	{group: "netskope_transaction", what: "bytes_in", why: swappedBytes},
	{group: "netskope_transaction_s3", what: "bytes_out", why: swappedBytes},
	{group: "netskope_transaction_s3", what: "bytes_in", why: swappedBytes},
	{group: "netskope_events", what: "url_host", why: pageOfAPI},
	{group: "netskope_events", what: "bytes_out", cases: "test_nspolicy_upload", why: "of an act in an app, the size of the file counts"},
	{group: "netskope_events", what: "bytes_in", cases: "test_nspolicy_upload", why: "of an act in an app, the size of the file counts"},
	{group: "netskope_events", what: "bytes_out", why: repeatsBytes},
	{group: "netskope_events", what: "bytes_in", why: repeatsBytes},
	{group: "squid", what: "time", cases: "common_log_format_1", why: "05/02/2025 is read as the 5th of February, and may be either"},
	{group: "Dropbox.TeamEvent.jsonl", what: "unread", why: renamedKeys},
	{group: "netflow", what: "unread", why: "its times are since the start of the exporter; the time that Logstash gives a record is not in the case"},
	{group: "Proofpoint.Event.jsonl", what: "unread", why: "threats in mail that came in are not read"},
	{group: "suricata_eve", what: "unread", cases: "beats", why: "the load of a machine is no log of what left"},
	{group: "unbound", what: "host", why: machineSide},
}

// pairsUnlike are the pairs whose authors wrote two events, by a part of their names.
var pairsUnlike = map[string]string{
	"bloblang__AWS__CloudTrail__v1.0.0__Api_Activity":   "another year",
	"bloblang__AWS__CloudTrail__v1.0.0__Authentication": "another year",
	"bloblang__AWS__CloudTrail__v1.1.0__Api_Activity":   "another year",
	"bloblang__AWS__CloudTrail__v1.1.0__Authentication": "another year",
	"VPC_Flowlogs": "the record has fewer fields than its header",
	"markdown__AWS__v1.5.0__CloudTrail__Account_Change": "another role",
}

// If this fails, an event is read otherwise in OCSF than as its vendor writes it.
func TestOCSFParserCases(t *testing.T) {
	dir := os.Getenv("OUTFLOW_DATA")
	if dir == "" {
		t.Skip("OUTFLOW_DATA names no folder of cases")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "ocsf-raw-pairs", "*.raw"))
	compared := 0
	for _, raw := range files {
		name := filepath.Base(raw)
		group := name[:strings.LastIndex(name, "__")]
		var mapped string
		others, _ := filepath.Glob(filepath.Join(dir, "ocsf-raw-pairs", group+"__*"))
		for _, other := range others {
			if filepath.Ext(other) != ".raw" {
				mapped = other
			}
		}
		if mapped == "" {
			continue
		}
		if slices.ContainsFunc(slices.Collect(maps.Keys(pairsUnlike)), func(part string) bool { return strings.Contains(name, part) }) {
			continue
		}
		compared++
		var read [2]*result
		for i, file := range []string{raw, mapped} {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := parserCase{record: data}
			var format string
			read[i], format = c.read()
			if read[i].rows == 0 {
				t.Errorf("%s: no row, read as %q", filepath.Base(file), format)
			}
		}
		for _, table := range columnar.Tables {
			for _, c := range caseColumns {
				if !slices.Contains(table.Cols, c) {
					continue
				}
				if raw, mapped := read[0].column(table, c), read[1].column(table, c); !slices.Equal(raw, mapped) {
					t.Errorf("%s: %s.%v: raw %q, OCSF %q", name, table.Name, c, raw, mapped)
				}
			}
		}
	}
	if compared == 0 {
		t.Errorf("no pairs in %s", dir)
	}
}
