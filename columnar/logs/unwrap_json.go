package logs

import (
	"bytes"
	"math/bits"
	"slices"

	"outflow/columnar/scan"
)

// JSON objects that hold a record under a key, as shippers, collectors and container
// runtimes write them.

// Fields of a JSON object that wraps a record: where the record may be, in the order
// in which it is looked for, then what is said of it. Of several times the first
// counts.
const (
	jsonMessage       = iota // of shippers
	jsonLog                  // of container runtimes
	jsonMsg                  //
	jsonRaw                  // of Splunk
	jsonFullLog              // of Wazuh
	jsonJournal              // of journald
	jsonOriginal             // of Elastic
	jsonEventText            // of Splunk's collector, Zscaler
	jsonDetail               // of EventBridge
	jsonEventData            // of CloudTrail Lake
	jsonAuditData            // of Microsoft Graph
	jsonTrailEvent           // of CloudTrail's lookup-events
	jsonSource               // of Elasticsearch
	jsonData                 // of Wazuh
	jsonHitFields            // of Elasticsearch, each value in a list
	jsonPayload              // of Kafka's connectors
	jsonInsights             // of CloudWatch's Logs Insights
	jsonTextPayload          // of Google Cloud
	jsonSyslogMessage        // of Azure's Log Analytics, as the next two
	jsonRawData              //
	jsonAuditCell            // of Microsoft's audit log
	jsonResult               // of Splunk's export, fields of a search
	jsonLine                 // of Loki's logcli, and of Grafana
	jsonFull                 // of GELF, as the next
	jsonShort                //
	jsonTopicMessage         // of Amazon SNS
	jsonTopicRecord          // what holds that
	jsonBody                 // of Amazon SQS, and of what Azure's Event Hubs captures
	jsonBodyLower            // of SQS, too, as Lambda gets it
	jsonKinesis              // of Kinesis, as Lambda gets it
	jsonAWSLogs              // of CloudWatch's subscriptions
	jsonAttributes           // of Datadog's archives, what it found in a message
	jsonAfter                // of Debezium, a row after a change
	jsonKafkaValue           // of Kafka; the last message
	jsonTimestamp            // the first time
	_                        // time
	_                        // timestamp
	jsonSplunkTime           //
	jsonJournalTime          //
	_                        // TimeGenerated
	jsonDay                  // of Datadog, Fluent Bit
	_                        // ts
	_                        // _messagetime, of Sumo Logic
	_                        // Timestamp, of SNS
	_                        // publishTime, of Pub/Sub; the last time
	jsonStream
	jsonHost
	jsonHostName
	jsonJournalHost
	_ // Computer; the last host
	jsonProgram
	jsonPID
	jsonPreview // stands beside jsonResult, and so on: see jsonBeside
	jsonLabels
	jsonTopic
	jsonReceipt
	jsonReceiptLower
	jsonOffset
	jsonSequence
	jsonFile // the first file or container: container_id
	_        // log.file.path
	_        // container.id
	_        // docker.container_id
	jsonPod  // the last: kubernetes.docker_id
)

// Sets of these fields.
const (
	jsonTimes = 1<<jsonStream - 1<<jsonTimestamp
	jsonHosts = 1<<jsonProgram - 1<<jsonHost
	jsonFiles = 1<<(jsonPod+1) - 1<<jsonFile
)

// jsonBeside says which fields stand beside one that may be a record, one at least, as a set: alone
// its name says little.
var jsonBeside = [jsonTimestamp]uint64{jsonResult: 1 << jsonPreview, jsonLine: 1<<jsonLabels | 1<<jsonDay, jsonTopicMessage: 1 << jsonTopic,
	jsonBody: 1<<jsonReceipt | 1<<jsonSequence, jsonBodyLower: 1<<jsonReceiptLower | 1<<jsonDay, jsonAttributes: 1 << jsonDay, jsonAfter: 1 << jsonPreview, jsonKafkaValue: 1 << jsonOffset}

// wrapperAliases are other names of these fields. The 64 bits of a set are all in use.
var wrapperAliases = map[string]int{
	"json":           jsonPayload,                                                           // of Filebeat, what it decoded
	"RECORD_CONTENT": jsonPayload, "RAW": jsonPayload, "V": jsonPayload, "SRC": jsonPayload, // of Snowflake: of Kafka's connector, and as columns of objects are mostly named
	"Data":       jsonData,                                         // of Kinesis, beside SequenceNumber
	"op":         jsonPreview,                                      // of Debezium
	"LogMessage": jsonSyslogMessage, "LogEntry": jsonSyslogMessage, // of Azure's Log Analytics, containers
	"timeUnixNano": jsonDay,                   // of OpenTelemetry, beside body
	"Line":         jsonLine, "tsNs": jsonDay, // of Grafana
	"PROGRAM": jsonProgram, "PID": jsonPID, "HOST": jsonHost, "ISODATE": jsonDay, "programname": jsonProgram, "timereported": jsonDay, // of syslog-ng and rsyslog
}

// newWrapperShape returns the shape of objects that wrap a record.
func newWrapperShape() *scan.Shape {
	keys := []string{"message", "log", "msg", "_raw", "full_log", "MESSAGE", "event.original", "event", "detail", "eventData", "auditData", "CloudTrailEvent", "_source", "data", "fields", "payload",
		"@message", "textPayload", "SyslogMessage", "RawData", "AuditData", "result",
		"line", "full_message", "short_message", "Message", "Sns", "Body", "body", "kinesis", "awslogs", "attributes", "after", "value",
		"@timestamp", "time", "timestamp", "_time", "__REALTIME_TIMESTAMP", "TimeGenerated", "date", "ts", "_messagetime", "Timestamp", "publishTime",
		"stream", "host", "hostname", "_HOSTNAME", "Computer", "SYSLOG_IDENTIFIER", "_PID",
		"preview", "labels", "TopicArn", "ReceiptHandle", "receiptHandle", "offset", "SequenceNumber", "container_id"}
	s := scan.NewShape(func(key []byte) int {
		if field, ok := wrapperAliases[string(key)]; ok {
			return field
		}
		return slices.Index(keys, string(key))
	})
	s.Fields = 1<<len(keys) - 1
	s.Within("event", scan.ShapeOf(jsonOriginal, "original"))
	s.Within("host", scan.ShapeOf(jsonHostName, "name"))
	log := scan.ShapeOf(0)
	log.Within("file", scan.ShapeOf(jsonFile+1, "path"))
	s.Within("log", log)
	s.Within("container", scan.ShapeOf(jsonFile+2, "id"))
	s.Within("docker", scan.ShapeOf(jsonFile+3, "container_id"))
	s.Within("kubernetes", scan.ShapeOf(jsonPod, "docker_id"))
	result := scan.NewShape(func(key []byte) int { // of Splunk's export
		switch string(key) {
		case "_raw":
			return jsonRaw
		case "_time":
			return jsonSplunkTime
		case "host":
			return jsonHost
		}
		return -1
	})
	result.Fields = 1<<jsonRaw | 1<<jsonSplunkTime | 1<<jsonHost
	s.Within("result", result)
	return s
}

// A jsonLayer is a JSON object that has the record under a key.
type jsonLayer struct {
	joiner
	field   int
	docker  bool // a text that ends without a newline goes on
	parts   bool // records say whether they go on, see goesOn
	objects bool // what is inside are objects too: one without the key may be such a record
	shape   *scan.Shape
	has     uint64 // the fields of the object at hand
	values  [64]scan.Value
	scratch []byte
}

func newJSONLayer(field int, docker, parts bool) *jsonLayer {
	return &jsonLayer{field: field, docker: docker && field == jsonLog, parts: parts, shape: newWrapperShape()}
}

// messages returns the fields of an object that may be a record, as a set, and
// whether the line of a container runtime ends with a newline.
func (l *jsonLayer) messages(record []byte) (fields uint64, ends bool) {
	var ok bool
	if l.has, _, ok = l.shape.Read(record, l.values[:]); !ok {
		return 0, false
	}
	for field := jsonMessage; field < jsonTimestamp; field++ {
		if l.holds(field) {
			fields |= 1 << field
		}
	}
	return fields, bytes.HasSuffix(l.shape.Value(jsonLog), []byte(`\n"`))
}

// holds reports whether a field of the object may be a record.
func (l *jsonLayer) holds(field int) bool {
	v := l.shape.Value(field)
	if beside := jsonBeside[field]; beside != 0 && l.has&beside == 0 {
		return false
	}
	switch {
	case v.Is('"'):
		return field != jsonResult
	case v.Is('['):
		return field == jsonJournal
	}
	return v.Is('{') && (field <= jsonMsg || field >= jsonEventText)
}

func (l *jsonLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	s := l.shape
	has, _, ok := s.Read(record, l.values[:])
	if l.has = has; !ok {
		return nil, false, notObject(record)
	}
	if !l.holds(l.field) {
		if l.objects {
			return record, false, ""
		}
		return nil, false, "no message in the JSON object that the others are wrapped in"
	}
	l.scratch = l.scratch[:0]
	e.opened = true
	for set := has & jsonTimes; set != 0; set &= set - 1 {
		if t := s.Text(bits.TrailingZeros64(set), &l.scratch); len(t) > 0 {
			e.stamp = t
			break
		}
	}
	for set := has & jsonHosts; set != 0; set &= set - 1 {
		if t := s.Text(bits.TrailingZeros64(set), &l.scratch); len(t) > 0 {
			e.host = t
		}
	}
	if has>>jsonProgram&1 != 0 {
		if t := s.Text(jsonProgram, &l.scratch); len(t) > 0 {
			e.program, e.pid = t, s.Text(jsonPID, &l.scratch)
		}
	}
	for set := has & jsonFiles; set != 0; set &= set - 1 {
		if t := s.Text(bits.TrailingZeros64(set), &l.scratch); len(t) > 0 {
			e.file = t
			break
		}
	}
	if has>>jsonStream&1 != 0 {
		switch string(s.Text(jsonStream, &l.scratch)) {
		case "stdout":
			e.stream = 1
		case "stderr":
			e.stream = 2
		}
	}
	text := []byte(s.Value(l.field))
	if !l.docker {
		switch text[0] {
		case '"':
			text = s.Text(l.field, &l.scratch)
		case '[':
			text = l.bytes(text)
		}
		if l.parts {
			return l.join(text, e.stream>>1, goesOn(record))
		}
		return text, false, ""
	}
	more := false
	if whole, ends := bytes.CutSuffix(text, []byte(`\n"`)); ends && bytes.IndexByte(whole, '\\') < 0 {
		text = whole[1:] // as most texts end
	} else {
		text = s.Text(l.field, &l.scratch)
		more = len(text) == 0 || text[len(text)-1] != '\n'
	}
	return l.join(text, e.stream>>1, more)
}

// What Fluent Bit writes beside a record that it has in parts: it says of its last, or has the mark of the
// container runtime.
var partialLast, logTag = []byte(`"partial_last"`), []byte(`"logtag"`)

// goesOn reports whether the next record of Fluent Bit has more of the text of this one.
func goesOn(record []byte) bool {
	return string(memberOf(record, "partial_last")) == `"false"` || string(memberOf(record, "logtag")) == `"P"`
}

// bytes returns a text that journald writes as the numbers of its bytes, since it has some that are
// no text.
func (l *jsonLayer) bytes(array []byte) []byte {
	begin := len(l.scratch)
	var w scan.Walker
	for w.Open(array); w.Next(); {
		if n, ok := scan.Int(w.Val); ok && n >= 0 && n <= 0xff {
			l.scratch = append(l.scratch, byte(n))
		}
	}
	return l.scratch[begin:]
}
