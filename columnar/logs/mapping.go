package logs

import (
	"fmt"
	"strings"

	"outflow/columnar"
)

// A Mapping says how the columns of a csv, the keys of a jsonl or the leaves of
// a parquet object become columns of a canonical table.
type Mapping struct {
	// Table is the canonical table that the rows belong to. Nil: inferred from
	// the columns that are there.
	Table *columnar.Table
	// Columns maps a canonical column to where its value stands. A column that
	// is not named here is found by well-known names, unless Only is set.
	Columns map[columnar.Col]Column
	Only    bool
	// Where keeps the records that it holds for; the others count as other.
	// The zero value holds for all.
	Where Where
	// Delimiter of csv; 0: found by sniffing (comma, tab, semicolon, pipe).
	Delimiter byte
	// Header of csv, if the object has none: its column names in order.
	Header []string
}

// mappingRemedies are those of the dialects that a mapping describes.
var mappingRemedies = []Remedy{{Text: "If the log has it under another name, say so in the input's mapping: columns: {COLUMN: NAME}."}}

// A Column says where the value of one column stands and how to read it. In YAML, a text
// is its Name. Of Zone and what stands behind it, only sources have any (see Source).
type Column struct {
	Name  string   `yaml:"name"`  // column name, or path of keys with dots; letter case does not matter
	First []string `yaml:"first"` // several such names, after Name: the first that says something in the record at hand counts
	Const string   `yaml:"const"` // the value of every row, instead of names
	Date  string   `yaml:"date"`  // of a time: the name of the column that has the date, where the others have the time of day
	// Time is how a time is written: "" (found per value, see scan.Clock.Any), "s",
	// "ms", "us", "ns" (epoch units), "iso", a Go layout, or one of strftime. In a
	// source, a time that is not written so may still be ISO 8601 or an epoch.
	// For a duration it is the unit; "" is "s".
	Time string `yaml:"time"`
	// Unit multiplies a byte count: "" or "B", "KB", "MB", "GB" (powers of
	// 1000), "KiB", "MiB", "GiB" (powers of 1024).
	Unit string `yaml:"unit"`

	// Times names the column whose number multiplies a byte count, such as a sampling rate.
	// A number of 1 or less does not.
	Times     string   `yaml:"times"`
	Zone      string   `yaml:"zone"`      // of a time: the name of the column that has its zone, as +0200, where the time is no number
	Join      []string `yaml:"join"`      // instead of names: those whose texts are put together
	Separator string   `yaml:"separator"` // between the texts of Join; "": a space
	Before    string   `yaml:"before"`    // before the texts of Join, if there are any
	Null      []string `yaml:"null"`      // texts that say nothing, beside those that never do ("-", "NA", "None", …)
	Unlike    TextList `yaml:"unlike"`    // names: a text that one of them has too says nothing, as a user that is the location
	// What of the text counts, in this order.
	Match   string            `yaml:"match"`   // the group of a regular expression; where it does not match, nothing
	Word    int               `yaml:"word"`    // the nth word, from 1
	Part    string            `yaml:"part"`    // one of partNames
	Without string            `yaml:"without"` // what stands before this text, if it ends in it
	Texts   map[string]string `yaml:"texts"`   // what some texts mean; the others stay
	// Where are conditions as in SourceRow: in records for which they do not hold, the
	// column says nothing.
	Where map[string]Condition `yaml:"where"`
	// Else is read where the column says nothing. It has no Unit, Times, Time and
	// Date: those of the column are its own.
	Else *Column `yaml:"else"`
}

// UnmarshalYAML reads a Column that is a name or a map.
func (s *Column) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&s.Name) == nil {
		return nil
	}
	type plain Column
	return unmarshal((*plain)(s))
}

// OfSource reports whether the column says what only sources can.
func (s Column) OfSource() bool {
	return s.Zone != "" || s.Times != "" || s.Unlike != nil || s.Join != nil || s.Separator != "" || s.Null != nil || s.Match != "" || s.Word != 0 || s.Part != "" || s.Texts != nil || s.Before != "" ||
		s.Without != "" || s.Where != nil || s.Else != nil
}

// A Where is a condition on a record: that the text of one of its columns is
// a given one. A DNS log with a row for the query and one for the response needs
// it, so that no query counts twice.
type Where struct {
	Name   string // as in Column; "" holds for every record
	Equals string
}

// names returns the names that may hold the column, in order of preference; none if it
// is the same in every row.
func (s Column) names() []string {
	if s.Name == "" {
		return s.First
	}
	return append([]string{s.Name}, s.First...)
}

// wellKnown lists, in order of preference, the names under which sources keep a column:
// the first that says something in the record counts. Letter case and punctuation do not
// matter: src_ip is Src-IP and src.ip, and a path of keys is one name.
//
// Names whose direction or meaning depends on who writes are left out on
// purpose, and want a mapping: bytes, size, bytes_sent and bytes_received (a
// server's view or a client's; but see bytesSent), id and request_id (events would be dropped as
// duplicates), event_id (a type in Windows logs), duration (its unit), uid (a
// connection's, or a user's: then a day of the user would be one connection).
var wellKnown = [columnar.NumCols][]string{
	columnar.Time: {"time", "timestamp", "ts", "datetime", "eventtime", "eventtimestamp", "timecreated", "creationtime",
		"creationdate", "querytimestamp", "timemicros", "timedt", "starttime", "utctime", "timegenerated", "date"}, // see dateNames
	// In OCSF user is whom an actor acts upon, as in the creation of an account.
	columnar.User: {"actorusername", "actoruseremailaddr", "actoruseruid", "user", "username", "userid", "useremail", "actor", "actoremail",
		"principal", "principalemail", "userprincipalname", "upn", "login", "email", "csusername", "clientusername", "sourceusername"},
	columnar.SrcIP: {"srcip", "src", "sourceip", "sourceaddress", "sourceipaddress", "srcaddr", "clientip", "clientipaddress",
		"clientaddress", "cip", "ip", "ipaddress", "actorip", "actoripaddress", "remoteip", "remoteaddr", "callerip", "calleripaddress", "srcendpointip", "idorigh"},
	columnar.Host: {"host", "hostname", "clienthost", "srchost", "sourcehost", "computer", "computername", "machine",
		"machinename", "workstation", "devicename", "devicehostname", "srcendpointhostname"},
	columnar.Account: {"useridentityaccountid", "actoruseraccountuid", "account", "accountid", "accountuid", "cloudaccountid",
		"cloudaccountuid", "awsaccountid", "recipientaccountid", "subscriptionid", "tenantid", "projectid"},

	columnar.Service:   {"service", "servicename", "apiservicename", "eventsource", "workload", "application", "app", "product"},
	columnar.Operation: {"operation", "operationname", "apioperation", "eventname", "methodname", "action", "eventaction", "activity", "event"},
	columnar.Resource: {"resource", "resourcename", "object", "objectname", "objectkey", "objectid", "file", "filename", "path", "key",
		"itemname", "affecteditem", "affectedname"},
	columnar.Status:    {"status", "result", "outcome", "eventoutcome"},
	columnar.UserAgent: {"useragent", "useragentoriginal", "httpuseragent", "httprequestuseragent", "csuseragent", "agent"},
	columnar.BytesOut: {"bytesout", "bytesuploaded", "uploadedbytes", "uploadbytes", "uploadsize", "csbytes", "requestbytes", "requestsize",
		"requestlength", "requestbodysize", "requestbodylen", "bytestoserver", "trafficbytesout", "sourcebytes", "clientbytes", "srcbytes", "origbytes", "sentbyte",
		"httprequestbytes", "httprequestbodybytes"},
	columnar.BytesIn: {"bytesin", "bytesdownloaded", "downloadedbytes", "downloadbytes", "downloadsize", "scbytes", "responsebytes", "responsesize",
		"responselength", "responsebodysize", "responsebodylen", "bytestoclient", "trafficbytesin", "destinationbytes", "serverbytes", "dstbytes", "respbytes", "rcvdbyte",
		"httpresponsebytes", "httpresponsebodybytes"},
	columnar.EventUID: {"eventuid", "eventuuid", "metadatauid"},

	columnar.Method: {"method", "httpmethod", "requestmethod", "csmethod", "verb", "httprequestmethod", "httprequesthttpmethod"},
	columnar.URLHost: append([]string{"urlhost", "urlhostname", "urldomain", "cshost", "requesthost", "httphost", "dsthost", "desthost",
		"destinationhost", "authority", "httprequesturlhostname"}, urlNames...),
	columnar.URLPath: append([]string{"urlpath", "uripath", "csuristem", "csuripath", "requestpath", "httprequesturlpath", "path", "uri", "requesturi"},
		urlNames...),
	columnar.StatusCode: {"statuscode", "httpstatus", "httpstatuscode", "scstatus", "responsecode", "httpresponsecode", "httpresponsestatuscode", "status", "code"},
	columnar.DstIP: {"dstip", "dst", "destip", "destinationip", "destinationaddress", "destinationipaddress", "dstaddr", "destaddr",
		"serverip", "serveraddress", "dstendpointip", "idresph", "rip"},
	columnar.Action: {"action", "saction", "verdict", "disposition", "scfilterresult"},

	columnar.Query:      {"query", "qname", "queryname", "dnsquery", "dnsqname", "dnsquestionname", "queryhostname", "rrname", "dnsrrname"},
	columnar.QueryType:  {"querytype", "qtype", "qtypename", "dnsquestiontype", "dnsqtype", "rrtype", "dnsrrtype", "recordtype"},
	columnar.Rcode:      {"rcode", "rcodename", "responsecode", "dnsresponsecode", "dnsrcode", "rcodeid"},
	columnar.AnswersLen: {"answerslen", "ancount", "answercount", "answerscount"},
	columnar.Answers:    {"answers", "dnsanswers"},

	columnar.DstHost:  {"dsthost", "desthost", "destinationhost", "destinationdomain", "serverdomain", "dstendpointhostname", "sni", "tlssni", "servername"},
	columnar.DstPort:  {"dstport", "destport", "destinationport", "dport", "serverport", "dstendpointport", "idrespp"},
	columnar.Protocol: {"protocol", "proto", "networktransport", "transport", "ipprotocol", "connectioninfoprotocolname"},
	columnar.Duration: {"durationus"},

	columnar.Path:         {"path", "image", "imagepath", "processpath", "exe", "executable", "processexecutable", "processfilepath"},
	columnar.InternalName: {"internalname", "originalfilename"},
	columnar.CmdLine:      {"cmdline", "commandline", "processcmdline", "processcommandline"},
	columnar.ParentPath:   {"parentpath", "parentimage", "parentprocesspath", "processparentexecutable", "processparentprocessfilepath"},
	columnar.PID:          {"pid", "processid", "processpid"},
	columnar.Description:  {"description"},
	columnar.Hashes:       {"hashes", "hash"},
}

// A sentBytes is what a column is called between two addresses, where the first is the one that sent
// and received. In other logs the names may be those of a server.
type sentBytes struct {
	col   columnar.Col
	names []string
}

var (
	bytesSent     = sentBytes{columnar.BytesOut, []string{"bytessent", "sentbytes"}}
	bytesReceived = sentBytes{columnar.BytesIn, []string{"bytesreceived", "receivedbytes", "bytesrcvd", "rcvdbytes", "bytesrecv", "recvbytes"}}
)

// doubtfulBytes is why they are left out elsewhere.
const doubtfulBytes = "bytes_sent or bytes_received, left out: the client's or the server's words? name them in the input's mapping"

// dateNames hold the date of records whose time is a time of day, in order of
// preference.
var dateNames = []string{"date", "eventdate", "logdate"}

// urlNames hold a whole URL, which gives url_host and url_path.
var urlNames = []string{"url", "urloriginal", "urlfull", "fullurl", "requesturl", "httprequesturlurlstring", "csuri"}

// squash is the form in which names are compared with wellKnown.
func squash(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r > 127:
			return r
		}
		return -1
	}, name)
}

// units of byte counts and of durations in µs.
var units = map[string]float64{
	"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}

// Check returns an error for an unknown unit.
func (s Column) Check() error {
	if _, ok := units[s.Unit]; !ok {
		return fmt.Errorf("unit %q is none of B, KB, MB, GB, KiB, MiB, GiB", s.Unit)
	}
	return nil
}

func (f *field) as(s Column) error {
	f.text = []byte(s.Const)
	if err := s.Check(); err != nil {
		return err
	}
	f.scale = units[s.Unit]
	if s.Unit != "" && f.col != columnar.BytesOut && f.col != columnar.BytesIn {
		return fmt.Errorf("unit %q: only byte counts have one", s.Unit)
	}
	switch {
	case f.col == columnar.Duration:
		switch s.Time {
		case "", "s":
			f.scale = 1e6
		case "ms":
			f.scale = 1e3
		case "us":
		case "ns":
			f.scale = 1e-3
		default:
			return fmt.Errorf("time %q is none of s, ms, us, ns", s.Time)
		}
	case s.Time != "" && f.col != columnar.Time:
		return fmt.Errorf("time %q: only time and duration have one", s.Time)
	default:
		f.unit = s.Time
		switch s.Time {
		case "", "iso", "s", "ms", "us", "ns":
		default:
			if strings.Contains(s.Time, "%") {
				var err error
				if f.unit, err = layoutOf(s.Time); err != nil {
					return err
				}
				break
			}
			if !strings.ContainsAny(s.Time, "0123456789") {
				return fmt.Errorf("time %q is neither s, ms, us, ns, iso nor a Go layout such as \"02/Jan/2006:15:04:05 -0700\"", s.Time)
			}
		}
	}
	if f.read == readNumber && s.Const != "" {
		if _, reason := f.number(f.text); reason != "" {
			return fmt.Errorf("const %q is no number that %s can be", s.Const, f.col)
		}
	}
	if s.Date != "" && f.col != columnar.Time {
		return fmt.Errorf("date %q: only a time has one", s.Date)
	}
	return nil
}

// strftime are the directives of strftime as Go lays times out.
var strftime = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'f': "000000", 'p': "PM", 'b': "Jan", 'B': "January",
	'a': "Mon", 'A': "Monday", 'z': "-0700", 'Z': "MST", 'j': "002", 'T': "15:04:05", 'F': "2006-01-02", 'D': "01/02/06", '%': "%",
}

// layoutOf returns the Go layout of one of strftime.
func layoutOf(format string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		if i++; i == len(format) {
			return "", fmt.Errorf("time %q: ends with %%", format)
		}
		layout, ok := strftime[format[i]]
		if !ok {
			return "", fmt.Errorf("time %q: %%%c is not known", format, format[i])
		}
		b.WriteString(layout)
	}
	return b.String(), nil
}
