// Package columnar holds log events as columns: the canonical tables and their
// Arrow schemas, batches of rows, dictionary text, and the group-by that every
// aggregate uses.
//
// Column names are OCSF attribute names, the last segment of the path. The
// direction of bytes is the client's: bytes_out leaves the user's side.
package columnar

import (
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"
)

// A Col names one column. The same column means the same thing in every table.
type Col uint8

const (
	Time Col = iota
	User
	SrcIP
	Host
	Account
	Service
	Operation
	Resource
	Status
	UserAgent
	BytesOut
	BytesIn
	EventUID
	Method
	URLHost
	URLPath
	StatusCode
	DstIP
	Action
	Query
	Domain
	QueryType
	Rcode
	AnswersLen
	DstHost
	DstPort
	Protocol
	Duration
	Path
	InternalName
	CmdLine
	ParentPath
	PID
	Description
	Hashes
	UID
	Answers
	NumCols
)

// A Kind is the type of a column's values.
type Kind uint8

const (
	Timestamp  Kind = iota // µs since 1970 UTC; never null
	Dictionary             // text that repeats; "" means not said
	Text                   // text that does not repeat; "" means not said
	Int64                  // nullable: unknown is not zero
	Int32                  // nullable
)

// An Attribute describes a column.
type Attribute struct {
	Name string
	Kind Kind
	Doc  string
}

var attributes = [NumCols]Attribute{
	Time:         {"time", Timestamp, "when the event happened or ended, µs UTC"},
	User:         {"user", Dictionary, "account or person who acted"},
	SrcIP:        {"src_ip", Dictionary, "address of the client, in its canonical text"},
	Host:         {"host", Dictionary, "name of the client's machine"},
	Account:      {"account", Dictionary, "cloud account, tenant, project or subscription that the user belongs to"},
	Service:      {"service", Dictionary, "cloud service that was called"},
	Operation:    {"operation", Dictionary, "API operation"},
	Resource:     {"resource", Text, "object that the operation acted on"},
	Status:       {"status", Dictionary, "outcome as the source words it"},
	UserAgent:    {"user_agent", Dictionary, "client software as it names itself"},
	BytesOut:     {"bytes_out", Int64, "bytes that left the user's side"},
	BytesIn:      {"bytes_in", Int64, "bytes that came to the user's side"},
	EventUID:     {"event_uid", Text, "the source's own id of the event"},
	Method:       {"method", Dictionary, "HTTP method"},
	URLHost:      {"url_host", Dictionary, "host part of the URL, lower case, no port"},
	URLPath:      {"url_path", Text, "path part of the URL, no query string"},
	StatusCode:   {"status_code", Int32, "HTTP status code"},
	DstIP:        {"dst_ip", Dictionary, "address of the server, in its canonical text"},
	Action:       {"action", Dictionary, "what the proxy or firewall did"},
	Query:        {"query", Text, "queried name as it was written, no root dot"},
	Domain:       {"domain", Dictionary, "registered domain of query by the public suffix list, lower case; empty if no such top-level domain exists"},
	QueryType:    {"query_type", Dictionary, "DNS record type asked for"},
	Rcode:        {"rcode", Dictionary, "DNS response code"},
	AnswersLen:   {"answers_len", Int32, "number of answers"},
	DstHost:      {"dst_host", Dictionary, "name of the server (SNI, host), if known"},
	DstPort:      {"dst_port", Int32, "port of the server"},
	Protocol:     {"protocol", Dictionary, "transport or application protocol"},
	Duration:     {"duration", Int64, "length of the connection, µs"},
	Path:         {"path", Dictionary, "path of the program's file"},
	InternalName: {"internal_name", Dictionary, "name that the program's file was built under (OriginalFileName)"},
	CmdLine:      {"cmd_line", Text, "command line"},
	ParentPath:   {"parent_path", Dictionary, "path of the parent's program"},
	PID:          {"pid", Int64, "process id"},
	Description:  {"description", Dictionary, "description in the program's file"},
	Hashes:       {"hashes", Text, "hashes of the program's file"},
	UID:          {"uid", Text, "the sensor's id of a connection: all that one feed says of the connection has it, and nothing else"},
	Answers:      {"answers", Text, "answers, separated by commas; a comma in an answer is \\x2c"},
}

// String returns the column's name: snake_case, as in reports and configs.
func (c Col) String() string { return attributes[c].Name }

// Kind returns the type of the column's values.
func (c Col) Kind() Kind { return attributes[c].Kind }

// Doc says what the column means.
func (c Col) Doc() string { return attributes[c].Doc }

// ColNamed returns the column of that name.
func ColNamed(name string) (Col, bool) {
	for c := range NumCols {
		if attributes[c].Name == name {
			return c, true
		}
	}
	return 0, false
}

// Cols is a set of columns.
type Cols uint64

// ColSet returns the set of the given columns.
func ColSet(cols ...Col) Cols {
	var s Cols
	for _, c := range cols {
		s |= 1 << c
	}
	return s
}

// Has reports whether c is in the set.
func (s Cols) Has(c Col) bool { return s>>c&1 != 0 }

// List returns the columns of the set in their fixed order.
func (s Cols) List() []Col {
	out := make([]Col, 0, bits.OnesCount64(uint64(s)))
	for ; s != 0; s &= s - 1 {
		out = append(out, Col(bits.TrailingZeros64(uint64(s))))
	}
	return out
}

// A Table is one canonical table, an OCSF class cut down to what detections read.
type Table struct {
	Name  string
	Class int // OCSF class_uid
	Doc   string
	Cols  []Col
	ID    int // index in Tables
}

// The canonical tables.
var (
	API = &Table{ID: 0, Name: "api", Class: 6003, Doc: "calls of a cloud API", Cols: []Col{
		Time, User, SrcIP, Host, Account, Service, Operation, Resource, Status, UserAgent, BytesOut, BytesIn, EventUID}}
	HTTP = &Table{ID: 1, Name: "http", Class: 4002, Doc: "requests through a web proxy or seen by a sensor", Cols: []Col{
		Time, User, SrcIP, Host, Account, Method, URLHost, URLPath, UserAgent, StatusCode, BytesOut, BytesIn, DstIP, Action, UID, EventUID}}
	DNS = &Table{ID: 2, Name: "dns", Class: 4003, Doc: "DNS queries", Cols: []Col{
		Time, User, SrcIP, Host, Account, Query, Domain, QueryType, Rcode, AnswersLen, DstIP, Answers}}
	Network = &Table{ID: 3, Name: "network", Class: 4001, Doc: "connections and flows", Cols: []Col{
		Time, User, SrcIP, Host, Account, DstIP, DstHost, DstPort, Protocol, BytesOut, BytesIn, Duration, Action, UID, EventUID}}
	Process = &Table{ID: 4, Name: "process", Class: 1007, Doc: "processes started", Cols: []Col{
		Time, User, SrcIP, Host, Account, Path, InternalName, CmdLine, ParentPath, PID, Description, Hashes}}
	Event = &Table{ID: 5, Name: "event", Class: 0, Doc: "events that no other table holds, if a Sigma rule reads them by their fields", Cols: []Col{
		Time, User, SrcIP, Host, Account}}
)

// NumTables is the number of canonical tables.
const NumTables = 6

// Tables lists the canonical tables in the order of their ID.
var Tables = [NumTables]*Table{API, HTTP, DNS, Network, Process, Event}

// TableNamed returns the table of that name, or nil.
func TableNamed(name string) *Table {
	for _, t := range Tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Only returns the table with just these columns, in this order, for writers.
func (t *Table) Only(cols ...Col) *Table {
	only := *t
	only.Cols = cols
	return &only
}

// Set returns the table's columns as a set.
func (t *Table) Set() Cols { return ColSet(t.Cols...) }

// Schema returns the table's Arrow schema. Text is non-null ("" means not
// said); integers are nullable.
func (t *Table) Schema() *arrow.Schema {
	fields := make([]arrow.Field, len(t.Cols))
	for i, c := range t.Cols {
		fields[i] = arrow.Field{Name: c.String(), Type: arrowType(c.Kind()), Nullable: c.Kind() >= Int64}
	}
	return arrow.NewSchema(fields, nil)
}

func arrowType(k Kind) arrow.DataType {
	switch k {
	case Timestamp:
		return arrow.FixedWidthTypes.Timestamp_us
	case Dictionary:
		return &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	case Text:
		return arrow.BinaryTypes.String
	case Int32:
		return arrow.PrimitiveTypes.Int32
	}
	return arrow.PrimitiveTypes.Int64
}

func (s Cols) first() Col { return Col(bits.TrailingZeros64(uint64(s))) }
