package logs

import (
	"bytes"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// The fields and logs of Zeek that mean something here.

// A zeekField is a field of Zeek's that means something here.
type zeekField uint8

const (
	zeekTS zeekField = iota
	zeekPath
	zeekUID
	zeekOrigHost
	zeekRespHost
	zeekRespPort
	zeekOrigPort
	zeekProto
	zeekService
	zeekDuration
	zeekOrigBytes
	zeekRespBytes
	zeekOrigIPBytes
	zeekRespIPBytes
	zeekConnState
	zeekTransID
	zeekQuery
	zeekQtype
	zeekQtypeName
	zeekRcode
	zeekRcodeName
	zeekAnswers
	zeekTransDepth
	zeekMethod
	zeekHost
	zeekURI
	zeekUserAgent
	zeekRequestLen
	zeekResponseLen
	zeekStatusCode
	zeekUsername
	zeekServerName
	zeekEstablished
	zeekReferrer
	zeekInitialID // of quic alone
	zeekSuccess   // of kerberos
	zeekNotHTTP   // any that SIP or SMTP has, and HTTP has not
	zeekFurther   // the first of zeekRuleFields
)

// numZeekFields is at most 64: sets of fields are words.
const numZeekFields = int(zeekFurther) + len(zeekRuleFields)

// zeekRuleFields are fields that only rules read.
var zeekRuleFields = [...]string{
	"local_orig", "local_resp",
	"rtt", "qclass", "qclass_name", "AA", "TC", "RD", "RA", "Z", "rejected", // dns
	"version", "status_msg", "info_msg", "origin", // http; ssl has a version, too
	"missed_bytes", "history", "orig_pkts", "resp_pkts", // conn
	"cipher", "ja3", "ja3s", "subject", "issuer", "validation_status", "next_protocol", // ssl
}

func zeekFieldNamed(name []byte) (zeekField, bool) {
	switch string(name) {
	case "ts":
		return zeekTS, true
	case "_path", "@stream":
		return zeekPath, true
	case "uid":
		return zeekUID, true
	case "id.orig_h", "id_orig_h", "assigned_addr": // dhcp has no id.orig_h
		return zeekOrigHost, true
	case "id.resp_h", "id_resp_h":
		return zeekRespHost, true
	case "id.resp_p", "id_resp_p":
		return zeekRespPort, true
	case "proto":
		return zeekProto, true
	case "service":
		return zeekService, true
	case "duration":
		return zeekDuration, true
	case "orig_bytes":
		return zeekOrigBytes, true
	case "resp_bytes":
		return zeekRespBytes, true
	case "orig_ip_bytes":
		return zeekOrigIPBytes, true
	case "resp_ip_bytes":
		return zeekRespIPBytes, true
	case "conn_state":
		return zeekConnState, true
	case "trans_id":
		return zeekTransID, true
	case "query":
		return zeekQuery, true
	case "qtype":
		return zeekQtype, true
	case "qtype_name":
		return zeekQtypeName, true
	case "rcode":
		return zeekRcode, true
	case "rcode_name":
		return zeekRcodeName, true
	case "answers":
		return zeekAnswers, true
	case "trans_depth":
		return zeekTransDepth, true
	case "method":
		return zeekMethod, true
	case "host":
		return zeekHost, true
	case "uri":
		return zeekURI, true
	case "user_agent":
		return zeekUserAgent, true
	case "request_body_len":
		return zeekRequestLen, true
	case "response_body_len":
		return zeekResponseLen, true
	case "status_code":
		return zeekStatusCode, true
	case "username", "client": // of http, of kerberos
		return zeekUsername, true
	case "referrer":
		return zeekReferrer, true
	case "id.orig_p", "id_orig_p":
		return zeekOrigPort, true
	case "server_name", "host_name": // of ssl and quic, of dhcp
		return zeekServerName, true
	case "success":
		return zeekSuccess, true
	case "established":
		return zeekEstablished, true
	case "client_initial_dcid":
		return zeekInitialID, true
	case "call_id", "seq", "request_from", "request_to", "helo", "mailfrom", "rcptto":
		return zeekNotHTTP, true
	}
	if i := slices.Index(zeekRuleFields[:], string(name)); i >= 0 {
		return zeekFurther + zeekField(i), true
	}
	return 0, false
}

// zeekUnset is a field that is not set, in JSON that was made of a table: Zeek itself leaves it out.
const zeekUnset = `"-"`

// A zeekLog is a log of Zeek's that becomes rows.
type zeekLog uint8

const (
	zeekOther zeekLog = iota
	zeekDNS
	zeekHTTP
	zeekConn
	zeekSSL
	zeekQUIC
	zeekKerberos // it and those below give rows of event, if they are wanted
	zeekDHCP
	numZeekLogs
)

var zeekLogNames = [numZeekLogs]string{zeekOther: "", zeekDNS: "dns", zeekHTTP: "http", zeekConn: "conn", zeekSSL: "ssl", zeekQUIC: "quic",
	zeekKerberos: "kerberos", zeekDHCP: "dhcp"}

// logNamed returns the log of a path. Where the name of the object says that it holds running
// totals, its lines may name the path that they are the totals of.
func (d *zeek) logNamed(path []byte) zeekLog {
	if d.running {
		return zeekOther
	}
	log := zeekLog(max(0, slices.Index(zeekLogNames[:], string(path))))
	if log.ofEvents() && !d.out.WantsEvent(path, nil) {
		return zeekOther
	}
	return log
}

// ofEvents reports whether a log gives rows of the table event.
func (l zeekLog) ofEvents() bool { return l >= zeekKerberos }

// zeekLogOf tells the log by the fields that its lines have.
func zeekLogOf(has uint64) zeekLog {
	all := func(fields ...zeekField) bool {
		for _, f := range fields {
			if has>>f&1 == 0 {
				return false
			}
		}
		return true
	}
	switch {
	case all(zeekQuery) && has&(1<<zeekQtype|1<<zeekQtypeName|1<<zeekTransID|1<<zeekRcode|1<<zeekRcodeName|1<<zeekAnswers) != 0:
		return zeekDNS
	case all(zeekConnState), all(zeekOrigBytes, zeekRespBytes):
		return zeekConn
	case all(zeekEstablished):
		return zeekSSL
	case all(zeekInitialID):
		return zeekQUIC
	case all(zeekNotHTTP):
	case all(zeekTransDepth, zeekRequestLen, zeekResponseLen), all(zeekHost, zeekURI):
		return zeekHTTP
	case all(zeekServerName, zeekRespHost): // or quic, which becomes the same; not dhcp, which has no server's address of this name
		return zeekSSL
	}
	return zeekOther
}

// logOf tells the log by the fields that a line has, where it does not say its path, or
// else by the name of the object.
func (d *zeek) logOf(has uint64) zeekLog {
	if d.running {
		return zeekOther
	}
	log := zeekLogOf(has)
	if log == zeekOther && d.named != "" {
		log = d.logNamed([]byte(d.named))
	}
	return log
}

// zeekMayHave is Format.MayHave. Zeek writes a file for each log; what else writes its lines may mix
// them. So the header of TSV tells, and of JSON the name of the object, if no line of its head
// says otherwise.
func zeekMayHave(t *columnar.Table, o *Options) bool {
	named := o.Name
	if end := strings.IndexAny(named, "._-"); end >= 0 {
		named = named[:end]
	}
	logs, sure, said := []string{}, false, ""
	for line, rest := scan.CutLine(o.Head); len(line) > 0; line, rest = scan.CutLine(rest) {
		if line[0] == '#' {
			switch name, arg := zeekDirective(line); string(name) {
			case "#separator", "#close":
				said = ""
			case "#path":
				said = string(arg)
			case "#fields":
				if said == "" {
					return true
				}
				logs, sure = append(logs, said), true
			}
			continue
		}
		if line[0] != '{' {
			continue // its header tells
		}
		path := named
		scan.EachKey(line, func(key []byte, val scan.Value) {
			if f, ok := zeekFieldNamed(key); ok && f == zeekPath {
				path = string(bytes.Trim(val, `"`))
			}
		})
		other, _ := zeekLogOfName(o.Name)
		logs, sure = append(logs, path), path == named && (other != "" || slices.Contains(zeekLogNames[1:], named))
		if !sure {
			break
		}
	}
	return !sure || slices.ContainsFunc(logs, func(log string) bool { return zeekTableOf(log, o.Name) == t })
}

// zeekTableOf returns the table of a log's rows, nil if it has none.
func zeekTableOf(path, object string) *columnar.Table {
	if _, running := zeekLogOfName(object); running {
		return nil
	}
	switch log := zeekLog(max(0, slices.Index(zeekLogNames[:], path))); {
	case log == zeekOther:
		return nil
	case log == zeekDNS:
		return columnar.DNS
	case log == zeekHTTP:
		return columnar.HTTP
	case log.ofEvents():
		return columnar.Event
	}
	return columnar.Network
}

// zeekLogs are the logs that Zeek and its usual packages write and that give no rows,
// as they are named where a line says no path. The first few hold running totals.
var zeekLogs = [...]string{
	"conn_long", "open_conn", "open_http", "open_ssl", // runningLogs
	"analyzer", "analyzer_failed", "broker", "capture_loss", "certificate", "cluster", "communication", "config", "conn-summary", "dce_rpc",
	"dhcp", "dnp3", "dpd", "files", "ftp", "intel", "irc", "kerberos", "known_certs", "known_devices", "known_hosts", "known_modbus", "known_services",
	"ldap", "ldap_search", "loaded_scripts", "modbus", "mqtt_connect", "mqtt_publish", "mqtt_subscribe", "mysql", "netcontrol", "notice", "notice_alarm",
	"ntlm", "ntp", "ocsp", "openflow", "packet_filter", "pe", "postgresql", "prof", "radius", "rdp", "redis", "reporter", "rfb", "signatures", "sip",
	"smb_cmd", "smb_files", "smb_mapping", "smtp", "snmp", "socks", "software", "ssh", "stats", "stderr", "stdout", "suricata_corelight", "syslog",
	"telemetry", "traceroute", "tunnel", "weird", "weird_stats", "websocket", "x509",
}

const runningLogs = 4

// zeekLogOfName returns the log that an object's name begins with: conn_long of
// conn_long.10:00:00-11:00:00.log.gz. It is "" for logs that give rows and for other
// names. running says that the log holds running totals.
func zeekLogOfName(name string) (log string, running bool) {
	for i, l := range zeekLogs {
		if rest, ok := strings.CutPrefix(name, l); ok && len(l) > len(log) &&
			(rest == "" || strings.IndexByte("._-", rest[0]) >= 0) {
			log, running = l, i < runningLogs
		}
	}
	return log, running
}

// zeekLogOfField returns the log without rows to which a field belongs, if lines of no
// other log have the field. For all other fields it returns "". text is the value, nil if
// it is not known.
func zeekLogOfField(name, text []byte) string {
	switch string(name) {
	case "percent_lost":
		return "capture_loss"
	case "named_pipe", "endpoint":
		return "dce_rpc"
	case "msg_types", "assigned_ip":
		return "dhcp"
	case "fc_request":
		return "dnp3"
	case "seen_bytes":
		return "files"
	case "data_channel.passive", "reply_code":
		return "ftp"
	case "seen.indicator":
		return "intel"
	case "request_type":
		return "kerberos"
	case "issuer_subject":
		return "known_certs"
	case "port_proto":
		return "known_services"
	case "base_object":
		return "ldap_search"
	case "name":
		if isZeekScript(text) {
			return "loaded_scripts"
		}
	case "note":
		return "notice"
	case "domainname":
		return "ntlm"
	case "stratum":
		return "ntp"
	case "hashAlgorithm":
		return "ocsp"
	case "init":
		return "packet_filter"
	case "compile_ts":
		return "pe"
	case "security_protocol":
		return "rdp"
	case "sig_id":
		return "signatures"
	case "call_id":
		return "sip"
	case "times.modified", "times":
		return "smb_files"
	case "share_type":
		return "smb_mapping"
	case "helo", "mailfrom":
		return "smtp"
	case "get_bulk_requests":
		return "snmp"
	case "request_p":
		return "socks"
	case "software_type":
		return "software"
	case "auth_attempts":
		return "ssh"
	case "pkts_proc":
		return "stats"
	case "facility":
		return "syslog"
	case "tunnel_type":
		return "tunnel"
	case "notice":
		return "weird"
	case "certificate.version", "certificate_version":
		return "x509"
	}
	return ""
}

// isZeekUID reports whether a text is what Zeek calls a connection: C and a number of at
// least 64 bits in base 62. Other logs have names of people there.
func isZeekUID(text []byte) bool {
	return len(text) > 10 && text[0] == 'C' && bytes.ContainsAny(text, "0123456789") && !bytes.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// isZeekScript reports whether a text is the name of one of Zeek's scripts.
func isZeekScript(text []byte) bool {
	return bytes.HasSuffix(text, []byte(".zeek")) || bytes.HasSuffix(text, []byte(".bro"))
}

func (l zeekLog) table() *columnar.Table {
	switch l {
	case zeekDNS:
		return columnar.DNS
	case zeekHTTP:
		return columnar.HTTP
	case zeekKerberos, zeekDHCP:
		return columnar.Event
	}
	return columnar.Network
}

// zeekReads lists, by log, the fields that a row is made of. A field is read if
// its column is wanted. Those that decide whether a line is a row, and counters,
// which may make it a bad one, stand with Time, which is always wanted: what is
// skipped must not depend on who asks.
var zeekReads = [...][]struct {
	field zeekField
	col   columnar.Col
}{
	zeekOther: nil,
	zeekDNS: {
		{zeekTS, columnar.Time}, {zeekQuery, columnar.Time}, {zeekOrigHost, columnar.SrcIP}, {zeekRespHost, columnar.DstIP},
		{zeekQtype, columnar.QueryType}, {zeekQtypeName, columnar.QueryType}, {zeekRcode, columnar.Rcode},
		{zeekRcodeName, columnar.Rcode}, {zeekRcode, columnar.AnswersLen}, {zeekRcodeName, columnar.AnswersLen}, {zeekAnswers, columnar.AnswersLen}, {zeekAnswers, columnar.Answers},
	},
	zeekHTTP: {
		{zeekTS, columnar.Time}, {zeekUID, columnar.UID}, {zeekOrigHost, columnar.SrcIP}, {zeekRespHost, columnar.DstIP}, {zeekUsername, columnar.User},
		{zeekMethod, columnar.Method}, {zeekMethod, columnar.URLHost}, {zeekMethod, columnar.URLPath}, {zeekHost, columnar.URLHost},
		{zeekMethod, columnar.BytesOut}, {zeekMethod, columnar.BytesIn},
		{zeekURI, columnar.URLHost}, {zeekURI, columnar.URLPath}, {zeekUserAgent, columnar.UserAgent},
		{zeekStatusCode, columnar.Time}, {zeekRequestLen, columnar.Time}, {zeekResponseLen, columnar.Time},
	},
	zeekConn: {
		{zeekTS, columnar.Time}, {zeekUID, columnar.UID}, {zeekDuration, columnar.Time}, {zeekOrigHost, columnar.SrcIP}, {zeekRespHost, columnar.DstIP},
		{zeekRespPort, columnar.Time}, {zeekProto, columnar.Protocol}, {zeekService, columnar.Protocol},
		{zeekOrigBytes, columnar.Time}, {zeekRespBytes, columnar.Time},
		{zeekOrigIPBytes, columnar.Time}, {zeekRespIPBytes, columnar.Time},
	},
	zeekSSL: {
		{zeekTS, columnar.Time}, {zeekUID, columnar.UID}, {zeekOrigHost, columnar.SrcIP}, {zeekRespHost, columnar.DstIP},
		{zeekRespPort, columnar.Time}, {zeekServerName, columnar.DstHost},
	},
	zeekQUIC: {
		{zeekTS, columnar.Time}, {zeekUID, columnar.UID}, {zeekOrigHost, columnar.SrcIP}, {zeekRespHost, columnar.DstIP},
		{zeekRespPort, columnar.Time}, {zeekServerName, columnar.DstHost},
	},
	zeekKerberos: {{zeekTS, columnar.Time}, {zeekSuccess, columnar.Time}, {zeekUsername, columnar.Time}, {zeekOrigHost, columnar.SrcIP}},
	zeekDHCP:     {{zeekTS, columnar.Time}, {zeekServerName, columnar.Time}, {zeekOrigHost, columnar.Time}},
}

// A zeekKept is a field that rules read beside columns, and where a line has it.
type zeekKept struct {
	name  string
	field zeekField
	part  scan.URIPart
}

// zeekKeptOf returns where a field that rules read stands in the lines of a log: under
// Zeek's own name or that of Sigma's taxonomy for proxies. _path is the log to which the
// line belongs, whether or not the line says so.
func zeekKeptOf(log zeekLog, name string) (k zeekKept, ok bool) {
	if part, ok := uriPartNamed(name); ok && log == zeekHTTP {
		return zeekKept{name, zeekURI, part}, true
	}
	if isReferrer(name) {
		return zeekKept{name: name, field: zeekReferrer}, log == zeekHTTP
	}
	f, ok := zeekFieldNamed([]byte(name))
	return zeekKept{name: name, field: f}, ok && f != zeekNotHTTP && f != zeekAnswers
}
