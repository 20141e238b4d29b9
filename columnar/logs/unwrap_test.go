package logs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// quoteJSON returns line as a JSON string. Bytes that are no UTF-8 stay.
func quoteJSON(line []byte) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range line {
		switch {
		case c == '"', c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			fmt.Fprintf(&b, "\\u%04x", c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func jsonAround(before, behind string) func([]byte) string {
	return func(line []byte) string { return before + quoteJSON(line) + behind + "\n" }
}

// inKinesis returns text as Kinesis holds it.
func inKinesis(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(text))
	z.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func textAround(before string) func([]byte) string {
	return func(line []byte) string { return before + string(line) + "\n" }
}

// wrappers are the layers that logs come in, each around one line. first stands before
// the first line.
var wrappers = []struct {
	name, first string
	around      func(line []byte) string
}{
	{"RFC 3164", "", textAround("<166>Nov 20 20:25:30 relay.example  shipper[71]: ")},
	{"RFC 3164 without priority", "", textAround("Nov  2 20:25:30 relay (shipper-1): ")},
	{"RFC 3164 without program", "", textAround("<13>Nov 20 20:25:30 relay.example ")},
	{"RFC 5424", "", textAround(`<30>1 2026-11-20T20:25:30.5+01:00 relay.example shipper 71 - [meta@1 id="5\"]" x="1"][more@2] `)},
	{"RFC 5424 without data", "", textAround("<30>1 2026-11-20T20:25:30Z - shipper - - - \xef\xbb\xbf")},
	{"rsyslog", "", textAround("2026-11-20T20:25:30.123456+01:00 relay shipper[71]: ")},
	{"journald", "", textAround("2026-11-20T20:25:30+0100 relay shipper[71]: ")},
	{"OpenWrt", "", textAround("Fri Nov 20 20:25:30 2026 daemon.info shipper[71]: ")},
	{"Cisco", "", textAround("<166>Nov  2 2026 20:25:30 CET fw-1 : ")},
	{"Cisco without host", "", textAround("Nov 20 20:25:30.123: ")},
	{"priority alone", "", textAround("<189>")},
	{"kubectl --timestamps", "", textAround("2026-11-20T20:25:30.123456789Z ")},
	{"CRI", "", textAround("2026-11-20T20:25:30.123456789Z stdout F ")},
	{"CRI in parts", "", func(line []byte) string {
		const stamp = "2026-11-20T20:25:30.123456789Z stderr "
		n := len(line) / 2
		return stamp + "P " + string(line[:n]) + "\n" + stamp + "F " + string(line[n:]) + "\n"
	}},
	{"Docker", "", func(line []byte) string {
		return `{"log":` + quoteJSON(append(bytes.Clone(line), '\n')) + `,"stream":"stdout","time":"2026-11-20T20:25:30.1Z"}` + "\n"
	}},
	{"Fluentd", "", jsonAround(`{"log":`, `,"kubernetes":{"pod":"p"}}`)},
	{"Filebeat", "", jsonAround(`{"@timestamp":"2026-11-20T20:25:30.123Z","host":{"name":"relay"},"log":{"file":{"path":"/var/log/x"}},"message":`, `}`)},
	{"msg", "", jsonAround(`{"level":"info","msg":`, `}`)},
	{"Elastic's original", "", jsonAround(`{"@timestamp":"2026-11-20T20:25:30.123Z","event":{"original":`, `}}`)},
	{"Elastic's original, flat", "", jsonAround(`{"event.original":`, `,"tags":[]}`)},
	{"Splunk collector", "", jsonAround(`{"time":1795206330.123,"host":"relay","sourcetype":"x","event":`, `}`)},
	{"Splunk JSON export", "", jsonAround(`{"preview":false,"offset":0,"result":{"_raw":`, `,"_time":"2026-11-20T20:25:30.000+00:00"}}`)},
	{"Splunk CSV export", "\"_time\",\"_raw\",host\n", func(line []byte) string {
		return `"2026-11-20T20:25:30.000+0000","` + strings.ReplaceAll(string(line), `"`, `""`) + "\",relay\n"
	}},
	{"Splunk CSV export of the records alone", "\"_raw\"\n", func(line []byte) string {
		return `"` + strings.ReplaceAll(string(line), `"`, `""`) + "\"\n"
	}},
	{"journald JSON", "", jsonAround(`{"__REALTIME_TIMESTAMP":"1795206330123000","_HOSTNAME":"relay","MESSAGE":`, `}`)},
	{"syslog in Docker", "", func(line []byte) string {
		return `{"log":` + quoteJSON([]byte("<13>Nov 20 20:25:30 relay shipper[71]: "+string(line)+"\n")) + `,"stream":"stdout","time":"2026-11-20T20:25:30.1Z"}` + "\n"
	}},
	{"Filebeat in CRI", "", func(line []byte) string {
		return "2026-11-20T20:25:30.1Z stdout F " + `{"message":` + quoteJSON(line) + "}\n"
	}},
	{"Docker in JSON in syslog", "", func(line []byte) string {
		inner := `{"log":` + quoteJSON(append(bytes.Clone(line), '\n')) + `}`
		return "<13>Nov 20 20:25:30 relay shipper[71]: " + `{"message":` + quoteJSON([]byte(inner)) + "}\n"
	}},
	{"journald, fractions of seconds", "", textAround("Nov 20 20:25:30.123456 relay shipper[71]: ")},
	{"journald, whole dates", "", textAround("Fri 2026-11-20 20:25:30 CET relay shipper[71]: ")},
	{"journald JSON of bytes", "", func(line []byte) string {
		numbers := strings.ReplaceAll(strings.Trim(fmt.Sprint(line), "[]"), " ", ",")
		return `{"__REALTIME_TIMESTAMP":"1795206330123000","_HOSTNAME":"relay","MESSAGE":[` + numbers + "]}\n"
	}},
	{"Loki", "", jsonAround(`{"streams":[{"stream":{"job":"x","host":"relay"},"values":[["1795206330123000000",`, `]]}]}`)},
	{"Loki's answer", "", jsonAround(`{"status":"success","data":{"resultType":"streams","result":[{"stream":{"job":"x"},"values":[["1795206330123000000",`, `,{"a":"b"}]]}],"stats":{}}}`)},
	{"logcli", "", jsonAround(`{"labels":{"job":"x"},"line":`, `,"timestamp":"2026-11-20T20:25:30.123Z"}`)},
	{"OpenTelemetry", "", jsonAround(`{"resourceLogs":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"relay"}}]},"scopeLogs":[{"scope":{},"logRecords":[{"timeUnixNano":"1795206330123000000","body":{"stringValue":`, `},"attributes":[{"key":"log.file.name","value":{"stringValue":"x.log"}}]}]}]}]}`)},
	{"Datadog", "", jsonAround(`{"_id":"A1","date":"2026-11-20T20:25:30.123Z","service":"x","host":"relay","source":"x","message":`, `,"status":"info"}`)},
	{"GELF", "", jsonAround(`{"version":"1.1","host":"relay","timestamp":1795206330.123,"short_message":`, `,"level":6}`)},
	{"Graylog", "", jsonAround(`{"messages":[{"message":{"source":"relay","timestamp":"2026-11-20T20:25:30.123Z","message":`, `}}]}`)},
	{"Sumo Logic", "", jsonAround(`{"fields":[],"messages":[{"map":{"_messagetime":"1795206330123","_raw":`, `}}]}`)},
	{"Splunk rows", "", jsonAround(`{"preview":false,"fields":["_time","_raw"],"rows":[["2026-11-20T20:25:30.000+00:00",`, `]]}`)},
	{"Azure Log Analytics", "", jsonAround(`{"tables":[{"name":"PrimaryResult","columns":[{"name":"TimeGenerated","type":"datetime"},{"name":"RawData","type":"string"}],"rows":[["2026-11-20T20:25:30.000Z",`, `]]}]}`)},
	{"CloudWatch Insights", "", jsonAround(`{"results":[[{"field":"@timestamp","value":"2026-11-20 20:25:30.123"},{"field":"@message","value":`, `}]]}`)},
	{"Fluentd's file", "", func(line []byte) string {
		return "2026-11-20T20:25:30+00:00\tproxy.access\t" + `{"message":` + quoteJSON(line) + "}\n"
	}},
	{"Fluent Bit's file", "", func(line []byte) string {
		return `proxy.access: [1795206330.123456789, {"log":` + quoteJSON(line) + "}]\n"
	}},
	{"Fluent Bit's terminal", "", func(line []byte) string {
		return `[0] proxy.access: [[1795206330.123456789, {}], {"log"=>` + quoteJSON(line) + "}]\n"
	}},
	{"Fluent Bit JSON", "", jsonAround(`{"date":1795206330.123456,"log":`, `}`)},
	{"SNS", "", jsonAround(`{"Type":"Notification","MessageId":"m","TopicArn":"arn:aws:sns:x","Message":`, `,"Timestamp":"2026-11-20T20:25:30.123Z"}`)},
	{"SQS", "", jsonAround(`{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"x","Body":`, `}`)},
	{"Kafka", "", jsonAround(`{"topic":"t","partition":0,"offset":7,"ts":1795206330123,"value":`, `}`)},
	{"CloudWatch subscription in Kinesis", "", func(line []byte) string {
		inner := `{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[{"id":"1","timestamp":1795206330123,"message":` + quoteJSON(line) + `}]}`
		return `{"kinesis":{"data":"` + inKinesis(inner) + `"},"eventID":"e"}` + "\n"
	}},
	{"counted syslog, a length a line", "", textAround("155 <166>Nov 20 20:25:30 relay.example  shipper[71]: ")},
	{"kubectl --prefix", "", textAround("[pod/px-1/squid] ")},
	{"compose, in colour", "", textAround("\x1b[36msquid-1  | \x1b[0m")},
	{"compose, in colour as it was", "", textAround("\x1b[36msquid_1    |\x1b[0m ")},
	{"logcli's text", "", textAround(`2026-11-20T20:25:30Z {app="x", host="relay"} `)},
	{"Grafana's text", "", textAround("1795206330123\t2026-11-20T20:25:30.123Z\t")},
	{"Kafka's console", "", textAround("CreateTime:1795206330123\tPartition:0\tnull\t")},
	{"Wazuh's archives", "", textAround("2026 Nov 20 20:25:30 (relay) any->/var/log/x.log ")},
	{"Kiwi", "", textAround("2026-11-20 20:25:30\tLocal7.Info\trelay\t")},
	{"zgrep, with the numbers of lines", "", textAround("/srv/in/access.log.1.gz:10:")},
	{"Papertrail's archives", "", textAround("90\t2026-11-20T20:25:30\t2026-11-20T20:25:31\t55\trelay\t192.0.2.7\tLocal0\tInfo\tshipper\t")},
	{"syslog-ng JSON", "", jsonAround(`{"PROGRAM":"shipper","HOST":"relay","ISODATE":"2026-11-20T20:25:30+00:00","MESSAGE":`, `}`)},
	{"OpenTelemetry's records alone", "", jsonAround(`{"timeUnixNano":1795206330123000000,"attributes":{"service.name":"x"},"body":`, `}`)},
	{"searches of Elasticsearch", "", jsonAround(`{"took":1,"responses":[{"hits":{"hits":[{"_source":{"@timestamp":"2026-11-20T20:25:30.123Z","message":`, `}}]}}]}`)},
	{"Cisco with ms and a zone", "", textAround("Nov 20 2026 20:25:30.123 UTC: ")},
	{"with the year first", "", textAround("2026 Nov 20 20:25:30 relay shipper[71]: ")},
	{"with ms and a zone", "", textAround("Nov 20 20:25:30.123 UTC relay shipper[71]: ")},
	{"journalctl -o short-unix", "", textAround("1795206330.123456 relay shipper[71]: ")},
}

// ownForms are cases of several headers that the dialect reads itself.
var ownForms = []string{"bind_forms.txtar", "coredns_times.txtar", "unbound_times.txtar", "auditd_nodes.txtar"}

// wrap wraps the lines of text.
func wrap(text []byte, first string, around func([]byte) string) []byte {
	out := []byte(first)
	for len(text) > 0 {
		var line []byte
		line, text = scan.CutLine(text)
		out = append(out, around(line)...)
	}
	return out
}

// unwrapped reads and decodes an object of one member, with blocks of that size.
func (c *logCase) unwrapped(stored []byte, size int) (*Member, *result) {
	var blocks []Block
	ro := &ReadOptions{Options: c.options, Buffers: NewBuffers(1, size), MaxRecord: max(size, MaxRecord)}
	if !c.sniff {
		ro.Format = c.format
	}
	members := Read(object("test", stored), ro, func(_ *Member, b *Block) error {
		kept := *b
		kept.Data = bytes.Clone(b.Data)
		kept.buffers, kept.buf = nil, nil
		blocks = append(blocks, kept)
		b.Release()
		return nil
	})
	m := members[0]
	if m.Format == nil {
		return m, &result{err: m.Err}
	}
	inside := *c
	inside.format, inside.options = m.Format, *m.Options
	r := inside.decode(blocks)
	if m.Err != nil {
		r.err = m.Err
	}
	return m, r
}

// everyCase is how many of the wrappers are tried on every case of a dialect; the others on the first
// that has rows, since each takes as long.
const everyCase = 28

// unwrappedOnly are the cases of what is read only where nothing is around it: a format that is named takes what
// is around a line for its first field; stray quotes are cut as
// blocks have it, spaces before quotes are dropped from tables, and wrapped records are not cut.
var unwrappedOnly = []string{"csv_stray.txtar", "csv_spaced.txtar", "jsonl_cut.txtar", "vpcflow_logformat.txtar"}

// A record gives the same row and has the same number, whatever it is wrapped in.
func TestUnwrapEveryDialect(t *testing.T) {
	met := map[*Format]bool{}
	for _, c := range readCases(t) {
		if c.format.New == nil || len(c.in) == 0 || len(c.in) > fuzzSize {
			continue
		}
		// JSON of other shapes is one object a line before it is wrapped.
		plain := (&result{}).text(c.in)
		want := c.run(plain, wholeBlock)
		if want.tally.Rows == 0 || want.err != nil || slices.Contains(unwrappedOnly, filepath.Base(c.file)) {
			continue
		}
		again := met[c.format]
		met[c.format] = true
		for i, w := range wrappers {
			switch {
			case again && i >= everyCase:
				continue
			case c.format.Vendor != nil && !slices.Contains([]string{"rsyslog", "CRI", "Docker"}, w.name):
				continue // their containers are few: one case a wrapper would take minutes
			case w.name == "CRI in parts" && (c.format.Quoted && bytes.Count(plain, quote) > 0 || strings.HasSuffix(c.file, "winxml_crlf.txtar")):
				continue // a blank line for the first part would be within the text
			case c.format.Syslog && (want.tally.Skipped > 0 || want.tally.Records < countLines(plain) || slices.Contains(ownForms, filepath.Base(c.file))):
				continue // a header makes other programs' lines of what is bad or blank
			case c.format.Syslog && slices.Contains([]string{"kubectl --timestamps", "RFC 3164 without priority", "rsyslog", "journald"}, w.name):
				continue // their own lines look so
			case c.format.Generic && (want.tally.Skipped > want.tally.Rows || w.name == "Splunk collector"):
				continue // the wrapper tells more, or its event is an operation
			case slices.ContainsFunc(want.tally.Reasons, func(r Reason) bool { return strings.HasPrefix(r.Text, "#Fields: no column for time") }):
				continue // inside a wrapper it needs none
			case timeOf[w.name] != "" && c.format.Outer && slices.ContainsFunc(want.tally.Reasons, aboutTime):
				continue // the wrapper tells the time, see TestUnwrapTimeOfEveryDialect
			}
			t.Run(strings.TrimSuffix(filepath.Base(c.file), ".txtar")+"/"+w.name, func(t *testing.T) {
				stored := wrap(plain, w.first, w.around)
				for _, size := range []int{1 << 16, 1} {
					m, got := c.unwrapped(stored, size)
					if m.Format != c.format || got.err != nil {
						t.Fatalf("got %v, %v, want format %s", nameOf(m.Format), got.err, c.format.Name)
					}
					got.renumber(func(n int64) int64 {
						if c.format == WinXML {
							return n // of events, not lines
						}
						n -= int64(strings.Count(w.first, "\n"))
						return n / int64(strings.Count(w.around(nil), "\n"))
					})
					got.takeBack(want)
					if d := difference(want, got); d != "" {
						t.Fatalf("blocks of %d bytes (-plain +wrapped):\n%s", size, d)
					}
				}
			})
		}
	}
}

// If this fails, what containers write is unread in the tables that Log Analytics exports.
func TestUnwrapContainerTables(t *testing.T) {
	for _, column := range []string{"LogMessage", "LogEntry"} {
		c, err := readCase("testdata/squid_native.txtar")
		if err != nil {
			t.Fatal(err)
		}
		around := func(line []byte) string {
			return "\"11/20/2026, 8:25:30.123 PM\",p-1,\"" + strings.ReplaceAll(string(line), `"`, `""`) + "\"\n"
		}
		c.sniff = true
		want := c.run(c.in, wholeBlock)
		m, got := c.unwrapped(wrap(c.in, "\"TimeGenerated [UTC]\",PodName,"+column+"\n", around), 1<<16)
		if m.Format != Squid || got.err != nil || got.tally.Rows == 0 || got.tally.Rows != want.tally.Rows {
			t.Errorf("%s: got %s, %v, %d rows, want %d", column, nameOf(m.Format), got.err, got.tally.Rows, want.tally.Rows)
		}
	}
}

// If this fails, an envelope with much around its record hides the log.
func TestUnwrapLongEnvelope(t *testing.T) {
	c, err := readCase("testdata/squid_native.txtar")
	if err != nil {
		t.Fatal(err)
	}
	c.sniff = true
	want := c.run(c.in, wholeBlock)
	around := strings.Repeat("x", headSize+1)
	m, got := c.unwrapped(wrap(c.in, "", jsonAround(`{"labels":{"a":"`+around+`"},"message":`, "}")), 1<<18)
	if m.Format != Squid || got.err != nil || got.tally.Rows == 0 || got.tally.Rows != want.tally.Rows {
		t.Errorf("got %s, %v, %d rows, want %d", nameOf(m.Format), got.err, got.tally.Rows, want.tally.Rows)
	}
}

// If this fails, flow logs with tabs are a table behind words with tabs, whose first names are those words.
func TestUnwrapTabs(t *testing.T) {
	in := textAround("CreateTime:1795206330123\tPartition:0\tnull\t")
	c, err := readCase("testdata/vpcflow_tabs.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if m, got := c.unwrapped(wrap(c.in, "", in), wholeBlock); m.Format != VPCFlow || got.rows != 2 {
		t.Errorf("got %d rows of %v, want 2 of vpcflow", got.rows, nameOf(m.Format))
	}
}

// If this fails, the tabs of a vendor's log are taken for spaces, and a field that has a space or nothing in it costs
// its record where the beginning of the log has none.
func TestUnwrapOwnTabs(t *testing.T) {
	names := "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(User-Agent) x-edge-result-type x-host-header cs-bytes"
	line := "2026-11-20\t10:00:02\tFRA56\t700\t192.0.2.8\tPUT\td1.cloudfront.net\t/in/a.bin\t200\tcurl/8.5\tMiss\tin.heron.example\t5000\n"
	in := "#Version: 1.0\n#Fields: " + names + "\n" + strings.Repeat(line, headSize/len(line)+1)
	want := int64(headSize/len(line) + 3)
	in += strings.Replace(line, "curl/8.5", "curl 8.5", 1) + strings.Replace(line, "curl/8.5", "", 1)
	var tally Tally
	members := Read(object("o", []byte(in)), &ReadOptions{}, func(m *Member, b *Block) error {
		d, err := m.Format.New(m.Options)
		if err != nil {
			return err
		}
		return b.Decode(d, &columnar.Out{Sink: func(*columnar.Batch) {}}, &tally)
	})
	if m := members[0]; m.Err != nil || nameOf(m.Format) != "cloudfront" || tally.Rows != want {
		t.Errorf("got %s, %v, %+v, want %d rows of cloudfront", nameOf(m.Format), m.Err, tally, want)
	}
}

// If this fails, a reading in which the wrapper dates one record more takes the own time of all records: the
// columns of a table whose first is the time are those of a line with a part of the wrapper in it.
func TestUnwrapKeepsTimes(t *testing.T) {
	cri := textAround("2026-11-20T20:25:30.123456789Z stdout F ")
	for _, c := range readCases(t) {
		plain := (&result{}).text(c.in)
		if c.format.Vendor == nil || !c.format.Quoted || len(plain) == 0 || len(plain) > fuzzSize {
			continue
		}
		want := c.run(plain, wholeBlock)
		if want.err != nil || !slices.ContainsFunc(want.tally.Reasons, aboutTime) {
			continue // TestUnwrapEveryDialect has it
		}
		m, got := c.unwrapped(wrap(plain, "", cri), wholeBlock)
		if m.Format != c.format {
			t.Errorf("%s: got %v, want %s", filepath.Base(c.file), nameOf(m.Format), c.format.Name)
			continue
		}
		for id, table := range want.tables {
			if len(table.Cells) == 0 {
				continue
			}
			read := slices.Clone(got.tables[id].Cells[0])
			for _, us := range table.Cells[0] {
				if at := slices.Index(read, us); at >= 0 {
					read = slices.Delete(read, at, at+1)
				} else {
					t.Errorf("%s: no row has the time %s", filepath.Base(c.file), us)
				}
			}
		}
	}
}

// aboutTime reports whether a record was skipped because it has no time, or a bad one.
func aboutTime(r Reason) bool {
	return strings.HasPrefix(r.Text, withoutTime) || slices.Contains([]string{"bad time", "bad ts", "bad timestamp", "bad eventTime", "bad or no time"}, r.Text)
}

func nameOf(f *Format) string {
	if f == nil {
		return "no format"
	}
	return f.Name
}

// renumber changes the numbers of all records.
func (r *result) renumber(number func(int64) int64) {
	for i := range r.tables {
		for k, n := range r.tables[i].Records {
			r.tables[i].Records[k] = number(n)
		}
	}
	for _, reasons := range [][]Reason{r.tally.Reasons, r.tally.Cleared} {
		for i := range reasons {
			reasons[i].First = number(reasons[i].First)
		}
	}
}

// takeBack removes what only the wrapper says: the machine of a process.
func (r *result) takeBack(plain *result) {
	for id, t := range r.tables {
		for i, c := range columnar.Tables[id].Cols {
			if c != columnar.Host || i >= len(t.Cells) || i >= len(plain.tables[id].Cells) {
				continue
			}
			for row, host := range plain.tables[id].Cells[i] {
				if host == "" && row < len(t.Cells[i]) && strings.HasPrefix(t.Cells[i][row], "relay") {
					t.Cells[i][row] = ""
				}
			}
		}
	}
}

// text returns what an object holds as it is read without a format.
func (*result) text(stored []byte) []byte {
	var text []byte
	Read(object("test", stored), &ReadOptions{Format: plain}, func(_ *Member, b *Block) error {
		text = append(text, b.Data...)
		return nil
	})
	return text
}

// The files of a tar archive are logs of their own, whatever is compressed.
func TestReadTar(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, text string) {
		h.Size, h.Mode = int64(len(text)), 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	add(tar.Header{Name: "logs/", Typeflag: tar.TypeDir}, "")
	add(tar.Header{Name: "logs/b.log", Typeflag: tar.TypeReg}, "one\ntwo\n")
	add(tar.Header{Name: "logs/a.log.gz", Typeflag: tar.TypeReg}, string(gzipped(t, "three\n")))
	add(tar.Header{Name: "logs/b.log", Typeflag: tar.TypeReg}, "four\n")
	add(tar.Header{Name: "logs/._b.log", Typeflag: tar.TypeReg}, "attributes")
	add(tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "logs/b.log"}, "")
	add(tar.Header{Name: strings.Repeat("long/", 60) + "\x1b[31mred\n", Typeflag: tar.TypeReg, Format: tar.FormatGNU}, "five\n")
	w.Flush()
	at := b.Len()
	add(tar.Header{Name: "holes", Typeflag: tar.TypeReg, Format: tar.FormatGNU}, "")
	w.Close()
	header := b.Bytes()[at:][:tarBlock]
	header[156] = tar.TypeGNUSparse
	sum := int(8 * ' ')
	for _, c := range slices.Concat(header[:148], header[156:]) {
		sum += int(c)
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
	want := strings.Join([]string{
		"o!logs/b.log 2 <nil>",
		"o!logs/a.log.gz 1 <nil>",
		"o!logs/b.log#2 1 <nil>",
		"o!" + strings.Repeat("long/", 60) + `\x1b[31mred\n 1 <nil>`,
		"o!holes 0 is a sparse file of a tar archive: unpack it first",
	}, "\n")
	for name, stored := range map[string][]byte{"tar": b.Bytes(), "tar.gz": gzipped(t, b.String()), "tar.zst.gz": gzipped(t, string(zstandard(t, b.String())))} {
		r := read(t, object("o", stored), &ReadOptions{Format: plain})
		var got []string
		for _, m := range r.members {
			got = append(got, fmt.Sprintf("%s %d %v", m.Name, m.LastRecord, m.Err))
		}
		if text := "one\ntwo\nthree\nfour\nfive\n"; strings.Join(got, "\n") != want || r.text != text {
			t.Errorf("%s: got %q and members\n%s\nwant %q and\n%s", name, r.text, strings.Join(got, "\n"), text, want)
		}
	}
	cut := read(t, object("o", b.Bytes()[:1600]), &ReadOptions{Format: plain})
	if m := cut.members[0]; m.Err == nil || m.Err.Error() != "tar archive: unexpected EOF; 1 files were read" || cut.text != "one\ntwo\n" {
		t.Errorf("got %q, %v, want what stands before the cut and an error", cut.text, m.Err)
	}
}

// Holes are no text, and do not join records.
func TestReadHoles(t *testing.T) {
	hole := strings.Repeat("\x00", 5000)
	for in, want := range map[string]string{
		hole + "one\ntwo\n":      "one\ntwo\n",
		"one\n" + hole + "two\n": "one\ntwo\n",
		"on" + hole + "two\n":    "on\ntwo\n",
		"one\ntwo\n" + hole:      "one\ntwo\n",
		"a\x00b\n":               "a\x00b\n",
		"one\rtwo\r":             "one\ntwo\n",
		"o\x00n\x00e\x00 \x00o\x00k\x00!\x00\n\x00": "one ok!\n",
	} {
		for _, size := range []int{1, BlockSize} {
			if r := read(t, object("o", []byte(in)), &ReadOptions{Format: plain, Buffers: NewBuffers(1, size)}); r.text != want {
				t.Errorf("%.20q in blocks of %d: got %q, want %q", in, size, r.text, want)
			}
		}
	}
}

// Records that do not unwrap are skipped with a reason, at their line.
func TestUnwrapMixed(t *testing.T) {
	const squid = `1795206330.913     70 192.0.2.1 TCP_MISS/200 206 GET http://example.com/ ann HIER_DIRECT/192.0.2.7 text/html`
	in := `{"log":"starting\n"}` + "\n" + `{"log":"` + squid + `\n"}` + "\n" + `{"other":1}` + "\n{\n" + `{"log":"` + squid[:30] + `"}` + "\n" +
		`{"log":"` + squid[30:] + `\n"}` + "\n" + `{"log":"` + squid
	c := &logCase{sniff: true, options: Options{Want: ^columnar.Cols(0)}}
	for _, size := range []int{wholeBlock, 1} {
		m, r := c.unwrapped([]byte(in), size)
		if m.Format != Squid || r.err != nil {
			t.Fatalf("got format %v, %v, want squid", m.Format, r.err)
		}
		if got := r.tables[columnar.HTTP.ID].Records; !slices.Equal(got, []int64{2, 6}) || r.check() != nil {
			t.Errorf("got rows of records %v, %v, want 2 and 6", got, r.check())
		}
		want := map[string]int64{squidMisfit: 1, "no message in the JSON object that the others are wrapped in": 3, malformedJSON: 4}
		for _, reason := range r.tally.Reasons {
			if want[reason.Text] != reason.First {
				t.Errorf("got %v, want first at %d", reason, want[reason.Text])
			}
		}
		if len(r.tally.Reasons) != len(want) || r.tally.Skipped != 4 {
			t.Errorf("got %v, want 4 skipped for 3 reasons", r.tally.Reasons)
		}
	}
}

// A record without a time has that of its wrapper, one with a time its own.
func TestUnwrapTime(t *testing.T) {
	in := `{"log":"{\"user\":\"ann\",\"action\":\"upload\",\"bytes_out\":5}\n","time":"2026-11-20T20:25:30.25+01:00"}
{"log":"{\"user\":\"bob\",\"action\":\"upload\",\"bytes_out\":6,\"timestamp\":\"2026-11-20T00:00:01Z\"}\n","time":"2026-11-20T20:25:31Z"}
{"log":"{\"user\":\"eve\",\"action\":\"upload\",\"bytes_out\":7}\n","time":"soon"}
`
	c := &logCase{sniff: true, options: Options{Want: ^columnar.Cols(0)}}
	for _, size := range []int{wholeBlock, 1} {
		m, r := c.unwrapped([]byte(in), size)
		if m.Format != JSONLines || r.err != nil {
			t.Fatalf("got format %v, %v, want jsonl", m.Format, r.err)
		}
		got := r.tables[columnar.API.ID].Cells[0]
		if want := []string{"2026-11-20T19:25:30.25Z", "2026-11-20T00:00:01Z"}; !slices.Equal(got, want) || r.tally.Skipped != 1 {
			t.Errorf("got times %q and %v, want %q and one record without", got, r.tally.Reasons, want)
		}
	}
}

// timeOf are the times that wrappers tell; the others tell none.
var timeOf = map[string]string{
	"RFC 3164": "2026-11-20T20:25:30Z", "RFC 3164 without priority": "2026-11-02T20:25:30Z", "RFC 3164 without program": "2026-11-20T20:25:30Z", "RFC 5424": "2026-11-20T19:25:30.5Z", "RFC 5424 without data": "2026-11-20T20:25:30Z",
	"rsyslog": "2026-11-20T19:25:30.123456Z", "journald": "2026-11-20T19:25:30Z", "OpenWrt": "2026-11-20T20:25:30Z", "Cisco": "2026-11-02T20:25:30Z", "Cisco without host": "2026-11-20T20:25:30Z", "kubectl --timestamps": "2026-11-20T20:25:30.123456Z",
	"CRI": "2026-11-20T20:25:30.123456Z", "CRI in parts": "2026-11-20T20:25:30.123456Z", "Docker": "2026-11-20T20:25:30.1Z", "Filebeat": "2026-11-20T20:25:30.123Z",
	"Elastic's original": "2026-11-20T20:25:30.123Z", "Splunk collector": "2026-11-20T20:25:30.123Z", "Splunk JSON export": "2026-11-20T20:25:30Z",
	"Splunk CSV export": "2026-11-20T20:25:30Z", "journald JSON": "2026-11-20T20:25:30.123Z", "syslog in Docker": "2026-11-20T20:25:30Z", "Filebeat in CRI": "2026-11-20T20:25:30.1Z",
	"Docker in JSON in syslog":       "2026-11-20T20:25:30Z",
	"journald, fractions of seconds": "2026-11-20T20:25:30Z", "journald, whole dates": "2026-11-20T19:25:30Z", "journald JSON of bytes": "2026-11-20T20:25:30.123Z",
	"Loki": "2026-11-20T20:25:30.123Z", "Loki's answer": "2026-11-20T20:25:30.123Z", "logcli": "2026-11-20T20:25:30.123Z", "OpenTelemetry": "2026-11-20T20:25:30.123Z",
	"Datadog": "2026-11-20T20:25:30.123Z", "GELF": "2026-11-20T20:25:30.123Z", "Graylog": "2026-11-20T20:25:30.123Z", "Sumo Logic": "2026-11-20T20:25:30.123Z",
	"Cisco with ms and a zone": "2026-11-20T20:25:30.123Z", "with the year first": "2026-11-20T20:25:30Z", "with ms and a zone": "2026-11-20T20:25:30Z",
	"journalctl -o short-unix": "2026-11-20T20:25:30.123456Z",
	"Splunk rows":              "2026-11-20T20:25:30Z", "Azure Log Analytics": "2026-11-20T20:25:30Z", "CloudWatch Insights": "2026-11-20T20:25:30.123Z",
	"Fluentd's file": "2026-11-20T20:25:30Z", "Fluent Bit's file": "2026-11-20T20:25:30.123456Z", "Fluent Bit's terminal": "2026-11-20T20:25:30.123456Z", "Fluent Bit JSON": "2026-11-20T20:25:30.123456Z",
	"SNS": "2026-11-20T20:25:30.123Z", "Kafka": "2026-11-20T20:25:30.123Z", "CloudWatch subscription in Kinesis": "2026-11-20T20:25:30.123Z",
	"counted syslog, a length a line": "2026-11-20T20:25:30Z", "logcli's text": "2026-11-20T20:25:30Z", "Grafana's text": "2026-11-20T20:25:30.123Z", "Kafka's console": "2026-11-20T20:25:30.123Z",
	"Wazuh's archives": "2026-11-20T20:25:30Z", "Kiwi": "2026-11-20T20:25:30Z", "Papertrail's archives": "2026-11-20T20:25:30Z", "syslog-ng JSON": "2026-11-20T20:25:30Z", "OpenTelemetry's records alone": "2026-11-20T20:25:30.123Z",
	"searches of Elasticsearch": "2026-11-20T20:25:30.123Z",
}

// If this fails, the rows of a dialect whose records have no time, in the form at hand,
// are lost, though their wrapper tells it; or they are other rows than those of the same
// records with a time.
func TestUnwrapTimeOfEveryDialect(t *testing.T) {
	// Before and behind the time, which is TIME: a header, and a record.
	timeless := map[*Format][]struct {
		header, record string // the text of a time stands within braces
		options        Options
		named          bool // the format has to be named
	}{
		CSV: {
			{header: "{time,}user,bytes_out\n", record: "{2026-11-20T08:00:00Z,}ann,5000\n"},
			{header: "user\tclient_ip{\ttimestamp}\tbytes_out\n", record: "ann\t192.0.2.4{\t1795165200}\t5000\n"},
			{record: "ann,5000{,2026-11-20 08:00:00}\n", options: Options{Mapping: &Mapping{Header: []string{"user", "bytes_out", "time"}}}},
		},
		JSONLines: {{record: `{"user":"ann","action":"upload","bytes_out":5{,"time":"2026-11-20T08:00:00Z"}}` + "\n"}},
		W3C:       {{header: "#Version: 1.0\n#Fields: {date time }c-ip cs-username cs-method cs-host cs-uri-stem sc-status cs-bytes sc-bytes\n", record: "{2026-11-20 08:00:00 }192.0.2.4 ann POST files.example /up 200 5000 300\n"}},
		Squid:     {{record: "{1795165200.123 }192.0.2.4 TCP_MISS/200 500 5000 POST http://files.example/up ann\n", options: Options{LogFormat: "{%ts.%03tu }%>a %Ss/%03>Hs %<st %>st %rm %ru %un"}, named: true}},
		VPCFlow:   {{header: "srcaddr dstaddr dstport protocol bytes{ start} action\n", record: "10.0.0.4 192.0.2.9 443 6 5000{ 1795165200} ACCEPT\n"}},
		Zeek: {
			{header: "#separator \\x09\n#path\tdns\n#fields\t{ts\t}uid\tid.orig_h\tid.resp_h\tproto\tquery\tqtype_name\n", record: "{1795165200.5\t}C1\t10.0.0.4\t10.0.0.1\tudp\twww.example.com\tA\n"},
			{header: "#separator \\x09\n#path\tconn\n#fields\t{ts\t}uid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\torig_bytes\tresp_bytes\n", record: "{1795165200.5\t}C1\t10.0.0.4\t5000\t192.0.2.9\t443\ttcp\t2.5\t5000\t300\n"},
			{record: `{"_path":"http"{,"ts":1795165200.5},"uid":"C1","id.orig_h":"10.0.0.4","id.resp_h":"192.0.2.9","method":"POST","host":"files.example","uri":"/up","request_body_len":5000}` + "\n"},
		},
		Suricata:   {{record: `{{"timestamp":"2026-11-20T08:00:00.5+0000",}"event_type":"tls","src_ip":"10.0.0.4","dest_ip":"192.0.2.9","dest_port":443,"tls":{"sni":"files.example"}}` + "\n", named: true}},
		CloudTrail: {{record: `{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","accountId":"111122223333","userName":"ann"}{,"eventTime":"2026-11-20T08:00:00Z"},"eventSource":"s3.amazonaws.com","eventName":"PutObject","sourceIPAddress":"192.0.2.4"}` + "\n"}},
		WinJSON:    {{record: `{"EventID":4688,"Channel":"Security","Computer":"pc-7","NewProcessName":"C:\\x.exe","CommandLine":"x -u"{,"TimeCreated":"2026-11-20T08:00:00Z"}}` + "\n"}},
	}
	// The header of syslog tells their time, or it is what tells their lines from others.
	own := []*Format{Parquet, EVTX, WinXML, Auditd, WinDNS}
	for _, f := range All() {
		if f.Vendor != nil {
			continue // see TestSources
		}
		if (timeless[f] != nil) != f.Outer || !f.Outer && !f.Syslog && !slices.Contains(own, f) {
			t.Errorf("%s takes the time of a wrapper: got %v; it has %d cases here", f.Name, f.Outer, len(timeless[f]))
		}
		for i, c := range timeless[f] {
			with := func(text string, time bool) string {
				// Braces of JSON come in pairs, too: those of a time hold a comma, a space or a tab at one end.
				return timeBraces.ReplaceAllStringFunc(text, func(s string) string {
					if time {
						return s[1 : len(s)-1]
					}
					return ""
				})
			}
			read := func(time bool, w string, around func([]byte) string, first string) (*Member, *result) {
				o := c.options
				o.Want, o.LogFormat = ^columnar.Cols(0), with(o.LogFormat, time)
				if o.Mapping != nil && !time {
					m := *o.Mapping
					m.Header = m.Header[:2]
					o.Mapping = &m
				}
				text := []byte(with(c.header+c.record+c.record, time))
				if around != nil {
					text = wrap(text, first, around)
				}
				k := &logCase{sniff: !c.named && o.Mapping == nil, format: f, options: o}
				return k.unwrapped(text, 1)
			}
			_, plain := read(true, "", nil, "")
			if plain.err != nil || plain.tally.Rows != 2 {
				t.Errorf("%s %d: got %d rows, %v, with a time of its own", f.Name, i, plain.tally.Rows, plain.err)
				continue
			}
			if m, r := read(false, "", nil, ""); r.err == nil && r.tally.Rows > 0 {
				t.Errorf("%s %d: got %d rows as %s without any time", f.Name, i, r.tally.Rows, m.Format.Name)
			}
			for _, w := range wrappers {
				m, got := read(false, w.name, w.around, w.first)
				if timeOf[w.name] == "" {
					if got.tally.Rows > 0 {
						t.Errorf("%s %d in %s: got %d rows without any time", f.Name, i, w.name, got.tally.Rows)
					}
					continue
				}
				if f == CSV && w.name == "Splunk collector" {
					continue // its event is an operation
				}
				if m.Format != f || got.err != nil || got.check() != nil {
					t.Errorf("%s %d in %s: got %s, %v, %v", f.Name, i, w.name, nameOf(m.Format), got.err, got.check())
					continue
				}
				want := timeOf[w.name]
				for id := range got.tables {
					if n := len(plain.tables[id].Records); n != len(got.tables[id].Records) {
						t.Fatalf("%s %d in %s: got %d rows of %s, want %d: %v", f.Name, i, w.name, len(got.tables[id].Records), columnar.Tables[id].Name, n, got.tally)
					}
					for col, cells := range plain.tables[id].Cells {
						if columnar.Tables[id].Cols[col] == columnar.Time {
							cells = []string{want, want}
						}
						if len(plain.tables[id].Records) > 0 && !slices.Equal(got.tables[id].Cells[col], cells) {
							t.Errorf("%s %d in %s: got %s %q, want %q", f.Name, i, w.name, columnar.Tables[id].Cols[col], got.tables[id].Cells[col], cells)
						}
					}
				}
			}
		}
	}
}

// timeBraces are the braces around times in the cases of TestUnwrapTimeOfEveryDialect.
var timeBraces = regexp.MustCompile(`\{([,\t ][^{}]*|[^{}]*[,\t ])\}`)

// What AWS hands events of CloudTrail on in is read as the events.
func TestUnwrapAWS(t *testing.T) {
	event := func(id string) string {
		return `{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","accountId":"111122223333","userName":"ann"},"eventTime":"2026-11-20T09:00:00Z",` +
			`"eventSource":"s3.amazonaws.com","eventName":"PutObject","requestParameters":{"bucketName":"heron","key":"k"},` +
			`"additionalEventData":{"bytesTransferredIn":5000,"bytesTransferredOut":0},"eventID":"` + id + `"}`
	}
	quoted := func(id string) string { return quoteJSON([]byte(event(id))) }
	for _, test := range []struct{ name, in string }{
		{"EventBridge", `{"version":"0","detail-type":"AWS API Call via CloudTrail","account":"444455556666","time":"2026-11-20T09:00:09Z","detail":` + event("a") + "}\n" +
			`{"version":"0","detail-type":"AWS API Call via CloudTrail","account":"444455556666","time":"2026-11-20T09:00:19Z","detail":` + event("b") + "}\n"},
		{"CloudTrail Lake", `{"eventData":` + event("a") + "}\n" + `{"eventData":` + event("b") + "}\n"},
		{"CloudTrail Lake, as text", `{"eventData":` + quoted("a") + "}\n" + `{"eventData":` + quoted("b") + "}\n"},
		{"look-ups", `{"EventName":"PutObject","EventTime":1795165200,"Username":"ann","CloudTrailEvent":` + quoted("a") + "}\n" +
			`{"EventName":"PutObject","EventTime":1795165200,"Username":"ann","CloudTrailEvent":` + quoted("b") + "}\n"},
		{"look-ups of the AWS CLI", "{\n    \"Events\": [\n        {\n            \"EventId\": \"a\",\n            \"CloudTrailEvent\": " + quoted("a") + "\n        },\n        {\n" +
			"            \"EventId\": \"b\",\n            \"CloudTrailEvent\": " + quoted("b") + "\n        }\n    ]\n}\n"},
		{"CloudWatch subscription", `{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"g","logEvents":[{"id":"1","timestamp":1795165200000,"message":` +
			quoted("a") + `},{"id":"2","timestamp":1795165200000,"message":` + quoted("b") + `}]}`},
		{"CloudWatch's API", `{"events":[{"logStreamName":"s","timestamp":1795165200000,"message":` + quoted("a") + `,"ingestionTime":1795165200009},` +
			`{"logStreamName":"s","timestamp":1795165200000,"message":` + quoted("b") + `}],"searchedLogStreams":[]}`},
		{"Elasticsearch", `{"_index":"trail","_id":"1","_score":1,"_source":` + event("a") + "}\n" + `{"_index":"trail","_id":"2","_source":` + event("b") + "}\n"},
		{"Elasticsearch, as text", `{"_index":"trail","_source":{"@timestamp":"2026-11-20T09:00:09Z","message":` + quoted("a") + "}}\n" +
			`{"_index":"trail","_source":{"@timestamp":"2026-11-20T09:00:09Z","message":` + quoted("b") + "}}\n"},
		{"a decoder's data", `{"timestamp":"2026-11-20T09:00:09.000+0000","rule":{"id":"80202"},"agent":{"name":"w"},"decoder":{"name":"json"},"data":` + event("a") + "}\n" +
			`{"timestamp":"2026-11-20T09:00:09.000+0000","rule":{"id":"80202"},"decoder":{"name":"json"},"data":` + event("b") + "}\n"},
		{"JSON behind a program without a colon", "<134>Nov 20 09:00:09 relay trail " + event("a") + "\n<134>Nov 20 09:00:09 relay trail " + event("b") + "\n"},
		{"a cookie of syslog", "<134>Nov 20 09:00:09 relay trail[7]: @cee: " + event("a") + "\n<134>Nov 20 09:00:09 relay trail[7]: @cee: " + event("b") + "\n"},
		{"Firehose", event("a") + event("b")},
		{"CloudWatch by Firehose", `{"logEvents":[{"id":"1","message":` + quoted("a") + `}]}{"logEvents":[{"id":"2","message":` + quoted("b") + `}]}`},
	} {
		c := &logCase{sniff: true, options: Options{Want: ^columnar.Cols(0)}}
		for _, size := range []int{wholeBlock, 1} {
			m, r := c.unwrapped([]byte(test.in), size)
			if m.Format != CloudTrail || r.err != nil || r.check() != nil {
				t.Fatalf("%s: got format %v, %v, %v, want cloudtrail", test.name, nameOf(m.Format), r.err, r.check())
			}
			cells := func(c columnar.Col) []string {
				return r.tables[columnar.API.ID].Cells[slices.Index(columnar.API.Cols, c)]
			}
			ids, bytesOut := cells(columnar.EventUID), cells(columnar.BytesOut)
			if !slices.Equal(ids, []string{"a", "b"}) || !slices.Equal(bytesOut, []string{"5000", "5000"}) {
				t.Errorf("%s: got events %q of %q bytes, want a and b of 5000 each", test.name, ids, bytesOut)
			}
		}
	}
}

// A query of Microsoft Graph wraps the records of the unified audit log in its own, which
// say less.
func TestUnwrapGraph(t *testing.T) {
	record := func(id, size string) string {
		return `{"id":"` + id + `","createdDateTime":"2026-11-20T07:00:00Z","operation":"FileDownloaded","userPrincipalName":"ann@corp.example","auditData":` +
			`{"CreationTime":"2026-11-20T07:00:00","Id":"` + id + `","Operation":"FileDownloaded","RecordType":6,"Workload":"SharePoint","UserId":"ann@corp.example",` +
			`"FileSizeBytes":` + size + `}}`
	}
	in := `{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#records","value":[` + record("a", "5000") + "," + record("b", "6000") + "]}"
	c := &logCase{sniff: true, options: Options{Want: ^columnar.Cols(0)}}
	m, r := c.unwrapped([]byte(in), wholeBlock)
	if nameOf(m.Format) != "m365" || r.err != nil || r.check() != nil {
		t.Fatalf("got format %v, %v, %v, want m365", nameOf(m.Format), r.err, r.check())
	}
	got := r.tables[columnar.API.ID].Cells[slices.Index(columnar.API.Cols, columnar.BytesIn)]
	if want := []string{"5000", "6000"}; !slices.Equal(got, want) {
		t.Errorf("got bytes_in %q, want %q", got, want)
	}
}

// FuzzUnwrap reads anything that looks wrapped.
func FuzzUnwrap(f *testing.F) {
	line := []byte(`1795206330.913     70 192.0.2.1 TCP_MISS/200 206 GET http://example.com/ ann HIER_DIRECT/192.0.2.7 text/html`)
	for _, w := range wrappers {
		f.Add([]byte(w.first + w.around(line) + w.around(line)))
		f.Add(wrap([]byte("{\n  \"ts\": 1795206330.9,\n  \"_path\": \"dns\",\n  \"query\": \"a.example\"\n}\n{\n{\n }\n}\n"), w.first, w.around))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > fuzzSize {
			return
		}
		c := &logCase{sniff: true, options: Options{Want: ^columnar.Cols(0), Written: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)}}
		_, r := c.unwrapped(in, fuzzSize)
		if err := r.check(); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkUnwrap reads lines of Squid within wrappers; compare with BenchmarkRead.
func BenchmarkUnwrap(b *testing.B) {
	line := []byte("1772000000.123    120 10.0.0.1 TCP_MISS/200 1234 GET http://example.com/ alice HIER_DIRECT/192.0.2.1 text/html")
	const lines = 1 << 17
	run := func(name, first string, around func([]byte) string) {
		stored := append([]byte(first), bytes.Repeat([]byte(around(line)), lines)...)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Read(object("o", stored), &ReadOptions{}, func(*Member, *Block) error { return nil })
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/record")
		})
	}
	run("plain", "", textAround(""))
	for _, w := range wrappers {
		run(w.name, w.first, w.around)
	}
}

// If this fails, what Elastic's fields say of a record counts before the record itself.
func TestOriginalBeforeECS(t *testing.T) {
	ecs := jsonAround(`{"@timestamp":"2026-11-20T20:25:30Z","ecs":{"version":"8.11.0"},"source":{"ip":"192.0.2.9"},"destination":{"ip":"192.0.2.8"},"event":{"dataset":"x","category":["network"],"original":`, `}}`)
	known := map[string]bool{}
	for _, c := range readCases(t) {
		line, _ := scan.CutLine((&result{}).text(c.in))
		if c.format.Vendor == nil || c.format.Vendor.Container != "keyvalue" || !c.sniff || known[c.format.Name] || nameOf(c.format) != sniffed(append(bytes.Clone(line), '\n')) || c.run(line, wholeBlock).tally.Rows == 0 {
			continue
		}
		known[c.format.Name] = true
		if m, _ := c.unwrapped([]byte(ecs(line)), 1<<16); m.Format != c.format {
			t.Errorf("%s: got %s", c.file, nameOf(m.Format))
		}
	}
	if len(known) < 10 {
		t.Errorf("only %d sources were met", len(known))
	}
}

// What stands around or beside the records would hide them.
func TestBesideRecords(t *testing.T) {
	const web = `{"timestamp":"2026-11-20T10:00:00Z","user":"amy","src_ip":"10.9.1.5","method":"POST","url":"https://drop.example/u","bytes_out":1000}` + "\n"
	const timeless = `{"user":"amy","src_ip":"10.9.1.5","method":"POST","url":"https://drop.example/u","bytes_out":1000}` + "\n"
	const flow = "2 111122223333 eni-0a1 10.8.0.4 203.0.113.50 5122 443 6 10 9000 1795168800 1795168830 ACCEPT OK\n"
	const call = `{"eventVersion":"1.09","userIdentity":{"type":"IAMUser","userName":"amy","accountId":"111122223333"},"eventTime":"2026-11-20T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-central-1","sourceIPAddress":"203.0.113.61","eventID":"e1"}`
	const squid = "1795168800.123 200 10.0.0.5 TCP_MISS/200 900 POST http://files.example/u amy HIER_DIRECT/192.0.2.7 text/html\n"
	const session = `<14>1 2026-11-20T10:00:00.778Z fw RT_FLOW - RT_FLOW_SESSION_CLOSE [junos@2636.1.1.1.2.129 reason="TCP FIN" source-address="10.10.0.5" source-port="57246" destination-address="203.0.113.101" destination-port="443" service-name="junos-https" protocol-id="6" policy-name="p" username="amy" packets-from-client="9" bytes-from-client="1000" packets-from-server="9" bytes-from-server="10" elapsed-time="5"]`
	for what, c := range map[string]struct {
		in, format string
		rows       int64
	}{
		"structured data alone":         {session + "\n", "srx", 1},
		"structured data and a message": {session + " session closed TCP FIN: 10.10.0.5/57246->203.0.113.101/443\n", "srx", 1},
		"words before objects":          {strings.Repeat("2026-11-20 10:00:00,123 INFO [http-1] example.Access - "+web, 2), "jsonl", 2},
		"whose time counts":             {strings.Repeat("2026-11-20 10:00:00,123 INFO [http-1] example.Access - "+timeless, 2), "jsonl", 2},
		"lines before objects":          {"Server starts\nready\n" + web + web, "jsonl", 2},
		"the same in a container":       {"2026-11-20T10:00:00.1Z stdout F Server starts\n2026-11-20T10:00:00.2Z stdout F " + web, "jsonl", 1},
		"a relay's header, no priority": {"Nov 20 10:00:33 relay1 1 2026-11-20T10:00:02Z px1 squid 81 - - " + squid, "squid", 1},
		"a time and a tab":              {"Common labels: {\"job\":\"squid\"}\nTotal bytes processed: \"4.1  kB\"\n\n\n" + strings.Repeat("2026-11-20T10:00:00.123Z\t"+squid, 2), "squid", 2},
		"a name before an object":       {strings.Repeat("2026/11/20 10:00:00 INFO record="+web, 2), "jsonl", 2},
		"separators of texts":           {"\x1e" + web + "\x1e" + web, "jsonl", 2},
		"an array behind lines":         {web + "[" + web + "," + web + "]\n", "jsonl", 3},
		"pages of Kinesis":              {`{"Records":[{"SequenceNumber":"1","Data":"` + base64.StdEncoding.EncodeToString([]byte(squid)) + `","PartitionKey":"k"}]}`, "squid", 1},
		"pages, and a call alone":       {`{"Events":[{"EventId":"e1","CloudTrailEvent":` + strconv.Quote(call) + "}]}\n" + call + "\n", "cloudtrail", 2},
		"a column of objects":           {"RAW,LOADED_AT\n\"" + strings.ReplaceAll(call, `"`, `""`) + "\",2026-11-20 12:00:00.000\n", "cloudtrail", 1},
		"a member of objects":           {`{"RECORD_CONTENT":` + call + `,"RECORD_METADATA":{"offset":1}}` + "\n", "cloudtrail", 1},
		"tabs for spaces":               {strings.Repeat(strings.ReplaceAll("20-Nov-2026 10:00:02.123 queries: info: client @0x7f 10.8.0.4#5353 (a1.heron.example): query: a1.heron.example IN A +E(0)K (10.0.0.53)\n", " ", "\t"), 2), "bind", 2},
		"one tab":                       {strings.Repeat("20-Nov-2026 10:00:02.123\tqueries: info: client @0x7f 10.8.0.4#5353 (a1.heron.example): query: a1.heron.example IN A +E(0)K (10.0.0.53)\n", 2), "bind", 2},
		"the same behind a queue's":     {strings.Repeat("CreateTime:1795168800000\t"+strings.ReplaceAll(flow, " ", "\t"), 2), "vpcflow", 2},
		"pairs in cells":                {strings.Repeat(`"date=2026-11-20","time=10:00:01","devname=fw 1","devid=FG1","logid=0000000013","type=traffic","subtype=forward","vd=root","eventtime=1795168801000000000","srcip=10.4.0.1","dstip=203.0.113.40","dstport=443","proto=6","action=close","user=""amy""","sentbyte=5000","rcvdbyte=700"`+"\n", 2), "fortinet", 2},
		"strings of JSON":               {strings.Repeat(strconv.Quote(strings.TrimSpace(squid))+"\n", 2), "squid", 2},
		"strings of objects in strings": {strings.Repeat(strconv.Quote(strconv.Quote(strings.TrimSpace(web)))+"\n", 2), "jsonl", 2},
		"an array of strings":           {"[" + strconv.Quote(strings.TrimSpace(web)) + ", " + strconv.Quote(strings.TrimSpace(web)) + "]", "jsonl", 2},
		"parts of Fluent Bit": {`{"date":1795168800.1,"log":"` + squid[:30] + `","partial_message":"true","partial_id":"a","partial_last":"false"}` + "\n" +
			`{"date":1795168800.1,"log":"` + strings.TrimSpace(squid[30:]) + `","partial_message":"true","partial_id":"a","partial_last":"true"}` + "\n", "squid", 1},
		"the same of a runtime": {`{"date":1795168800.1,"log":"` + squid[:30] + `","logtag":"P","stream":"stdout"}` + "\n" +
			`{"date":1795168800.1,"log":"` + strings.TrimSpace(squid[30:]) + `","logtag":"F","stream":"stdout"}` + "\n", "squid", 1},
		"names of files before lines": {"access.log.1:" + squid + "/var/log/px/access.log-20261120:" + squid, "squid", 2},
		"lines of Grafana":            {`[{"line":` + strconv.Quote(strings.TrimSpace(squid)) + `,"timestamp":"1795168800000000000","date":"2026-11-20T10:00:00.000Z","fields":{"job":"squid"}}]`, "squid", 1},
		"marks between files":         {"\ufeff" + squid + "\ufeff" + squid, "squid", 2},
	} {
		var tally Tally
		members := Read(object("o", []byte(c.in)), &ReadOptions{}, func(m *Member, b *Block) error {
			d, err := m.Format.New(m.Options)
			if err != nil {
				return err
			}
			return b.Decode(d, &columnar.Out{Sink: func(*columnar.Batch) {}}, &tally)
		})
		if m := members[0]; m.Err != nil || nameOf(m.Format) != c.format || tally.Rows != c.rows {
			t.Errorf("%s: got %s, %v, %+v, want %d rows of %s", what, nameOf(m.Format), m.Err, tally, c.rows, c.format)
		}
	}
}

// If this fails, what grep writes before a line takes a part of the line with it.
func TestCutFileName(t *testing.T) {
	for in, want := range map[string]string{
		"/srv/in/a.log.1.gz:10:2001:db8::1 - x": "2001:db8::1 - x",
		"a.log:10:192.0.2.7 - x":                "192.0.2.7 - x",
		"a.log:2001:db8::1 - x":                 "2001:db8::1 - x",
		"a.log:20:25:30 x":                      "20:25:30 x",
		"a.log:10:20:25:30 x":                   "20:25:30 x",
		"a.log-20261120.xz:x":                   "x",
		"20:25:30 x":                            "",
		"2001:db8::1 - x":                       "",
	} {
		if got, ok := cutFileName([]byte(in)); ok != (want != "") || ok && string(got) != want {
			t.Errorf("%q: got %q, %v, want %q", in, got, ok, want)
		}
	}
}
