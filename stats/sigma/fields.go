package sigma

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"outflow/columnar"
)

// Message is the field in which a format may keep the whole record as text.
// Keywords are looked for there and in every text column of the table.
const Message = columnar.Message

// A source says where the events of a log source are. The first of sources whose
// logsource covers that of a rule is the rule's.
type source struct {
	logsource Logsource // empty parts stand for any
	tables    []*columnar.Table
	// where tells the source's events from the other rows of its tables.
	where []where
}

// A where holds for an event whose field has one of the values. It also holds for
// an event without the field: a format may have dropped what is the same in all its
// events.
type where struct {
	field  string
	values []string
}

// sources maps a rule's logsource to tables. Windows events other than processes,
// connections and queries are in the table event; they are told apart by the
// numbers that the documentation of Sysmon and Windows gives.
var sources = sync.OnceValue(func() []source {
	return slices.Concat(
		[]source{
			{Logsource{Category: "process_creation"}, tables(columnar.Process), nil},
			{Logsource{Category: "network_connection"}, tables(columnar.Network), nil},
			{Logsource{Category: "firewall"}, tables(columnar.Network), nil},
			{Logsource{Category: "dns_query"}, tables(columnar.DNS), nil},
			{Logsource{Category: "dns"}, tables(columnar.DNS), nil},
			{Logsource{Category: "proxy"}, tables(columnar.HTTP), nil},
			{Logsource{Category: "webserver"}, tables(columnar.HTTP), nil},
			{Logsource{Product: "zeek", Service: "dns"}, tables(columnar.DNS), nil},
			{Logsource{Product: "zeek", Service: "http"}, tables(columnar.HTTP), nil},
			{Logsource{Product: "zeek", Service: "conn"}, tables(columnar.Network), path("conn")},
			{Logsource{Product: "zeek", Service: "ssl"}, tables(columnar.Network), path("ssl")},
			{Logsource{Service: "auditd"}, tables(columnar.Process, columnar.Event), nil},
			{Logsource{Product: "windows", Service: "dns-client"}, tables(columnar.DNS, columnar.Event), channel("Microsoft-Windows-DNS Client Events/Operational", "Microsoft-Windows-DNS-Client/Operational")},
			{Logsource{Product: "windows", Service: "security"}, tables(columnar.Process, columnar.Network, columnar.API, columnar.Event), channel("Security")},
			{Logsource{Service: "sysmon"}, tables(columnar.Process, columnar.Network, columnar.DNS, columnar.Event), sysmon()},
		},
		services("1password", "asana", "atlassian", "aws", "azure", "bitbucket", "bitwarden", "box", "clickhouse", "databricks", "dropbox", "gcp", "github", "gitlab", "google_workspace", "hubspot", "kubernetes", "m365", "mysql", "netskope", "notion",
			"okta", "onelogin", "postgresql", "salesforce", "slack", "snowflake", "vault", "zendesk"),
		// What endpoint DLP sees, and Windows itself: files created on a removable drive are rows of api.
		[]source{{Logsource{Product: "windows", Service: "endpoint"}, tables(columnar.API), nil}},
		[]source{{Logsource{Category: "file_event"}, tables(columnar.API, columnar.Event), append(sysmon(), where{"EventID", []string{"11"}})}},
		categories("sysmon", map[string][]string{
			"clipboard_capture": {"24"}, "create_remote_thread": {"8"}, "create_stream_hash": {"15"}, "driver_load": {"6"},
			"file_block_executable": {"27"}, "file_block_shredding": {"28"}, "file_change": {"2"}, "file_delete": {"23", "26"},
			"file_delete_detected": {"26"}, "file_executable_detected": {"29"}, "image_load": {"7"},
			"pipe_created": {"17", "18"}, "process_access": {"10"}, "process_tampering": {"25"}, "process_termination": {"5"},
			"raw_access_thread": {"9"}, "registry_add": {"12"}, "registry_delete": {"12"}, "registry_event": {"12", "13", "14"},
			"registry_rename": {"14"}, "registry_set": {"13"}, "sysmon_error": {"255"}, "sysmon_status": {"4", "16"}, "wmi_event": {"19", "20", "21"},
		}),
		categories("powershell", map[string][]string{"ps_module": {"4103"}, "ps_script": {"4104"}}),
		categories("powershell-classic", map[string][]string{"ps_classic_provider_start": {"600"}, "ps_classic_start": {"400"}, "ps_classic_script": {"800"}}),
		channels(map[string][]string{
			"application": {"Application"}, "applocker": {"Microsoft-Windows-AppLocker/EXE and DLL", "Microsoft-Windows-AppLocker/MSI and Script",
				"Microsoft-Windows-AppLocker/Packaged app-Deployment", "Microsoft-Windows-AppLocker/Packaged app-Execution"},
			"appxdeployment-server": {"Microsoft-Windows-AppXDeploymentServer/Operational"}, "bits-client": {"Microsoft-Windows-Bits-Client/Operational"},
			"capi2": {"Microsoft-Windows-CAPI2/Operational"}, "codeintegrity-operational": {"Microsoft-Windows-CodeIntegrity/Operational"},
			"dns-server": {"DNS Server"}, "dns-server-analytic": {"Microsoft-Windows-DNS-Server/Analytical"}, "dns-server-audit": {"Microsoft-Windows-DNS-Server/Audit"},
			"driver-framework": {"Microsoft-Windows-DriverFrameworks-UserMode/Operational"}, "firewall-as": {"Microsoft-Windows-Windows Firewall With Advanced Security/Firewall"},
			"ldap": {"Microsoft-Windows-LDAP-Client/Debug"}, "msexchange-management": {"MSExchange Management"}, "ntlm": {"Microsoft-Windows-NTLM/Operational"},
			"openssh": {"OpenSSH/Operational"}, "powershell": powershell, "powershell-classic": {"Windows PowerShell"},
			"printservice-admin": {"Microsoft-Windows-PrintService/Admin"}, "printservice-operational": {"Microsoft-Windows-PrintService/Operational"},
			"security-mitigations": {"Microsoft-Windows-Security-Mitigations/Kernel Mode", "Microsoft-Windows-Security-Mitigations/User Mode"},
			"shell-core":           {"Microsoft-Windows-Shell-Core/Operational"}, "smbclient-connectivity": {"Microsoft-Windows-SmbClient/Connectivity"},
			"smbclient-security": {"Microsoft-Windows-SmbClient/Security"}, "smbserver-connectivity": {"Microsoft-Windows-SMBServer/Connectivity"},
			"system": {"System"}, "taskscheduler": {"Microsoft-Windows-TaskScheduler/Operational"},
			"terminalservices-localsessionmanager": {"Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"},
			"windefend":                            {"Microsoft-Windows-Windows Defender/Operational"}, "wmi": {"Microsoft-Windows-WMI-Activity/Operational"},
		}),
		[]source{{Logsource{}, tables(columnar.Event), nil}},
	)
})

// products has the source of all events of a product, for rules that name only the
// product.
var products = []source{
	{Logsource{Product: "windows"}, tables(columnar.Process, columnar.Network, columnar.DNS, columnar.Event), nil},
	{Logsource{Product: "linux"}, tables(columnar.Process, columnar.Network, columnar.DNS, columnar.Event), nil},
	{Logsource{Product: "zeek"}, tables(columnar.DNS, columnar.HTTP, columnar.Network), nil},
	{Logsource{Product: "suricata"}, tables(columnar.DNS, columnar.HTTP, columnar.Network), nil},
	{Logsource{Product: "squid"}, tables(columnar.HTTP), nil},
	{Logsource{Product: "bind"}, tables(columnar.DNS), nil},
	{Logsource{Product: "coredns"}, tables(columnar.DNS), nil},
	{Logsource{Product: "dnsmasq"}, tables(columnar.DNS), nil},
	{Logsource{Product: "unbound"}, tables(columnar.DNS), nil},
}

func tables(t ...*columnar.Table) []*columnar.Table { return t }

var powershell = []string{"Microsoft-Windows-PowerShell/Operational", "PowerShellCore/Operational"}

func channel(names ...string) []where { return []where{{"Channel", names}} }

// path is the name of a Zeek log: conn and ssl share a table.
func path(log string) []where { return []where{{"_path", []string{log}}} }

func sysmon() []where {
	return channel("Microsoft-Windows-Sysmon/Operational", "Linux-Sysmon/Operational")
}

// services returns sources for products that are called through an API.
func services(products ...string) (out []source) {
	for _, p := range products {
		out = append(out, source{Logsource{Product: p}, tables(columnar.API), nil})
	}
	return out
}

// categories returns sources for events of one channel, by their numbers.
func categories(of string, ids map[string][]string) (out []source) {
	in := map[string][]where{"sysmon": sysmon(), "powershell": channel(powershell...), "powershell-classic": channel("Windows PowerShell")}[of]
	for _, category := range slices.Sorted(maps.Keys(ids)) {
		out = append(out, source{Logsource{Category: category}, tables(columnar.Event), append(slices.Clone(in), where{"EventID", ids[category]})})
	}
	return out
}

// channels returns sources for services of Windows, by the names of their logs.
func channels(names map[string][]string) (out []source) {
	for _, service := range slices.Sorted(maps.Keys(names)) {
		out = append(out, source{Logsource{Product: "windows", Service: service}, tables(columnar.Event), channel(names[service]...)})
	}
	return out
}

// sourceOf returns the source of a logsource.
func sourceOf(l Logsource) *source {
	if l == (Logsource{Product: l.Product}) {
		for i := range products {
			if products[i].logsource == l {
				return &products[i]
			}
		}
	}
	all := sources()
	for i := range all {
		if all[i].logsource.holds(l) {
			return &all[i]
		}
	}
	panic("the last source holds all")
}

// kinds returns the kinds of events of the table event that a rule can match. They
// follow from its log source, or else from the values of Channel and EventID, or of
// the type of an audit record, that its condition asks for.
func (r *Rule) kinds() (out []columnar.EventKind) {
	of := func(field string) []string {
		for _, w := range sourceOf(r.Logsource).where {
			if w.field == field {
				return w.values
			}
		}
		if values, ok := wanted(r.cond, field); ok {
			return values
		}
		return []string{""}
	}
	number := "EventID"
	if r.Logsource.Service == "auditd" {
		number = "type"
	}
	for _, channel := range of("Channel") {
		for _, id := range of(number) {
			out = append(out, columnar.EventKind{Origin: r.Logsource.Origin(), Channel: channel, ID: id})
		}
	}
	return out
}

// wanted returns values: e holds only if the field has one of them.
func wanted(e *expr, field string) (values []string, ok bool) {
	switch e.op {
	case opTest:
		if e.test.field != field || e.test.differs {
			return nil, false
		}
		for _, n := range e.test.numbers {
			i, ok := n.int64()
			if !ok {
				return nil, false
			}
			values = append(values, strconv.FormatInt(i, 10))
		}
		if e.test.kind != testText {
			return values, len(values) > 0
		}
		for _, p := range e.test.patterns {
			text, plain := p.plain()
			if !plain || text == "" {
				return nil, false
			}
			values = append(values, text)
		}
		return values, len(values) > 0
	case opAnd:
		for _, k := range e.kids {
			if values, ok = wanted(k, field); ok {
				return values, true
			}
		}
	case opOr, opCount:
		for _, k := range e.kids {
			more, ok := wanted(k, field)
			if !ok {
				return nil, false
			}
			values = append(values, more...)
		}
		return values, len(values) > 0
	}
	return nil, false
}

// columns maps field names to the columns of each table: the names of Sigma's
// taxonomies, and those of the logs that Sigma's rules are written for. Fields not
// listed here are read by name (columnar.Batch.Field).
//
// Note: c-uri and c-uri-query have no column, because no table keeps what follows
// the path of a URL. A format may keep them as fields.
var columns = map[*columnar.Table]map[string]columnar.Col{
	columnar.API: {
		"eventSource": columnar.Service, "eventName": columnar.Operation, "userAgent": columnar.UserAgent, "sourceIPAddress": columnar.SrcIP,
		"eventID": columnar.EventUID, "eventTime": columnar.Time, "src_ip": columnar.SrcIP, "User": columnar.User, "resource": columnar.Resource,
	},
	columnar.HTTP: {
		"c-uri-stem": columnar.URLPath, "cs-uri-stem": columnar.URLPath, "cs-host": columnar.URLHost, "r-dns": columnar.URLHost,
		"c-useragent": columnar.UserAgent, "cs-user-agent": columnar.UserAgent, "cs-method": columnar.Method, "sc-status": columnar.StatusCode,
		"cs-bytes": columnar.BytesOut, "sc-bytes": columnar.BytesIn, "src_ip": columnar.SrcIP, "c-ip": columnar.SrcIP,
		"dst_ip": columnar.DstIP, "r-ip": columnar.DstIP, "cs-username": columnar.User, "s-action": columnar.Action,
		"id.orig_h": columnar.SrcIP, "id.resp_h": columnar.DstIP, "method": columnar.Method, "host": columnar.URLHost,
		"user_agent": columnar.UserAgent, "status_code": columnar.StatusCode, "request_body_len": columnar.BytesOut,
		"response_body_len": columnar.BytesIn, "username": columnar.User,
	},
	columnar.DNS: {
		"QueryName": columnar.Query, "query": columnar.Query, "record_type": columnar.QueryType, "qtype_name": columnar.QueryType,
		"rcode_name": columnar.Rcode, "src_ip": columnar.SrcIP, "dst_ip": columnar.DstIP, "id.orig_h": columnar.SrcIP,
		"id.resp_h": columnar.DstIP, "Computer": columnar.Host, "ComputerName": columnar.Host, "Hostname": columnar.Host,
		"User": columnar.User, "UtcTime": columnar.Time,
	},
	columnar.Network: {
		"DestinationHostname": columnar.DstHost, "DestinationIp": columnar.DstIP, "DestinationPort": columnar.DstPort,
		"SourceIp": columnar.SrcIP, "Protocol": columnar.Protocol, "dst_ip": columnar.DstIP, "dst_port": columnar.DstPort,
		"src_ip": columnar.SrcIP, "id.orig_h": columnar.SrcIP, "id.resp_h": columnar.DstIP, "id.resp_p": columnar.DstPort,
		"proto": columnar.Protocol, "orig_bytes": columnar.BytesOut, "resp_bytes": columnar.BytesIn, "Computer": columnar.Host,
		"ComputerName": columnar.Host, "Hostname": columnar.Host, "User": columnar.User, "UtcTime": columnar.Time,
	},
	columnar.Process: {
		"Image": columnar.Path, "NewProcessName": columnar.Path, "CommandLine": columnar.CmdLine,
		"OriginalFileName": columnar.InternalName, "ParentImage": columnar.ParentPath, "ParentProcessName": columnar.ParentPath,
		"User": columnar.User, "Description": columnar.Description, "Hashes": columnar.Hashes, "ProcessId": columnar.PID,
		"Computer": columnar.Host, "ComputerName": columnar.Host, "Hostname": columnar.Host, "UtcTime": columnar.Time,
	},
	columnar.Event: {
		"Computer": columnar.Host, "ComputerName": columnar.Host, "Hostname": columnar.Host, "User": columnar.User,
		"UtcTime": columnar.Time,
	},
}

// ColumnOf returns the column of a table that holds a Sigma field. It reports false
// if there is none; the field is then one of the event (columnar.Batch.Field).
func ColumnOf(t *columnar.Table, field string) (columnar.Col, bool) {
	c, ok := columns[t][field]
	return c, ok
}

// stored returns what a column may hold for a value that a rule asks of a field.
func stored(c columnar.Col, p pattern) []pattern {
	if n := len(p) - 1; c == columnar.Service && n >= 0 && p[n].kind == literal {
		// The suffix of AWS service names is not kept.
		if short, ok := strings.CutSuffix(p[n].text, ".amazonaws.com"); ok && short != "" {
			out := slices.Clone(p)
			out[n].text = short
			return []pattern{out}
		}
	}
	text, plain := p.plain()
	k := c.Kind()
	switch {
	case !plain:
	case k == columnar.Int64 || k == columnar.Int32: // Windows events write 4 as 0x4
		if n, ok := parseNumber(text); ok {
			if i, ok := n.int64(); ok {
				return []pattern{{{literal, strconv.FormatInt(i, 10)}}}
			}
		}
	case c == columnar.SrcIP || c == columnar.DstIP: // Sysmon writes ::1 as 0:0:0:0:0:0:0:1
		if addr, err := netip.ParseAddr(text); err == nil && addr.Unmap().String() != text {
			return []pattern{p, {{literal, addr.Unmap().String()}}}
		}
	}
	return []pattern{p}
}
