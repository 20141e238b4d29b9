package logs

import (
	"bytes"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// WinJSON decodes Windows events as JSON.
var WinJSON = &Format{
	Name:    "winjson",
	Origins: []columnar.Origin{{Product: "windows"}},
	Title:   "Windows events as JSON",
	Doc: winDoc + `

Reads one event a line, as these write it: Winlogbeat (winlog.event_data, or the
names of the common schema where its modules put them in their place), NXLog
(all keys side by side), Wazuh (data.win.eventdata), evtx_dump and Velocidex' evtx
(Event.EventData), EvtxECmd, PowerShell's Get-WinEvent | ConvertTo-Json, Azure's
SecurityEvent, Event and WindowsEvent, Chainsaw and Hayabusa. Keys may be nested or hold
the dots themselves. The same as CSV is read alike, as are what the Event Viewer saves
as CSV or text, Export-Csv and Format-List write, wevtutil prints with /f:text, Kibana, Splunk and Azure export, and Snare sends.

Some of these give an event's fields only in the text of its message. Sysmon's is always
English; that of 4688 is read by its names in English, and by the order of its lines in
other languages. A program can put lines into its command line that look like
fields there; of equal fields the first counts. Chainsaw and Hayabusa write the
events that their rules matched, some more than once. Records without an EventID,
such as those that Wazuh has of other systems, are of other kinds. Times without a zone (NXLog's
EventTime) are taken as of the zone of the input.`,
	Tables: winTables,
	Lacks:  winLacks,
	Outer:  true,
	Sniff: func(head []byte) bool {
		// Wazuh writes events of all systems.
		d := newWinJSON(nil)
		for lines := 0; len(head) > 0 && lines < 32; lines++ {
			var line []byte
			line, head = scan.CutLine(head)
			if at := scan.SkipSpace(line, 0); at == len(line) || line[at] != '{' {
				continue
			}
			d.flatten(line)
			s := &d.event.slots
			if _, number := scan.Int(s[winEventID]); number && len(s[winProvider])+len(s[winChannel]) > 0 {
				return true
			}
		}
		return false
	},
	New: func(o *Options) (Decoder, error) { return newWinJSON(o), nil },
}

type winJSON struct {
	event   winEvent
	out     *columnar.Out // says which events are read; nil: those that have a table of their own
	names   nameSet
	walkers [winJSONDepth]scan.Walker // of the objects that are open
	depth   int
	deep    bool // an object or array is too deep to be looked into
	message scan.Value
	code    scan.Value // event.code of the common schema: the EventID, if beat is true
	source  scan.Value // the provider, if nothing else is
	beat    bool       // the record has what Winlogbeat says of an event
	ecs     []winField // for what the event does not say under its own name
	scratch []byte
	mended  []byte // see flattenMended
}

// winJSONDepth is how deep objects are looked into: two more than the deepest
// known have.
const winJSONDepth = 10

func newWinJSON(o *Options) *winJSON {
	d := &winJSON{names: nameSet{}}
	if o != nil {
		d.event.clock = o.clock()
	}
	return d
}

// A winPlace is what an object in a record holds.
type winPlace uint8

const (
	winIgnored  winPlace = iota
	winRecord            // what the log says of the event, or fields, or both
	winOfSystem          // what the log says of the event
	winFields            // fields of the event
	winWazuh             // the same, with small initials and escaped twice
	winDetails           // the same under Hayabusa's short names
	winECS               // the same under the names of Elastic's common schema
	winLines             // the same as text, a line each
)

// winPlaces are the keys of the objects that are looked into.
var winPlaces = map[string]winPlace{
	"Event":          winRecord,
	"data":           winRecord, // Wazuh, Chainsaw
	"document":       winRecord, // Chainsaw
	"win":            winRecord, // Wazuh
	"_source":        winRecord, // Elasticsearch
	"event":          winRecord, // Splunk's collector
	"winlog":         winOfSystem,
	"System":         winOfSystem,
	"system":         winOfSystem,
	"event_data":     winFields,
	"user_data":      winFields,
	"EventData":      winFields,
	"UserData":       winFields,
	"AllFieldInfo":   winFields,
	"ExtraFieldInfo": winFields,
	"Payload":        winRecord, // EvtxECmd
	"Event Data":     winLines,  // Chainsaw's tables
	"eventdata":      winWazuh,
	"Details":        winDetails,
	"process":        winECS,
	"user":           winECS,
	"source":         winECS,
	"destination":    winECS,
	"network":        winECS,
	"dns":            winECS,
	"sysmon":         winECS,
}

// winECSNames are what Winlogbeat's modules call fields, in place of their own
// names.
var winECSNames = map[string]string{
	"process.executable": "Image", "process.command_line": "CommandLine", "process.pid": "ProcessId", "process.parent.executable": "ParentImage",
	"process.parent.command_line": "ParentCommandLine", "process.pe.original_file_name": "OriginalFileName", "process.pe.description": "Description",
	"process.hash.md5": "md5", "process.hash.sha1": "sha1", "process.hash.sha256": "sha256",
	"user.name": "SubjectUserName", "user.domain": "SubjectDomainName",
	"source.ip": "SourceIp", "source.port": "SourcePort", "destination.ip": "DestinationIp", "destination.port": "DestinationPort",
	"destination.domain": "DestinationHostname", "network.transport": "Protocol", "network.direction": "Initiated",
	"dns.question.name": "QueryName", "dns.answers.data": "QueryResults", "sysmon.dns.status": "QueryStatus",
}

// winSystemNames are the sources' names for what the log says about an event.
var winSystemNames = map[string]string{
	"EventID": "EventID", "event_id": "EventID", "eventID": "EventID", "Id": "EventID", "EventId": "EventID", "Event ID": "EventID", "EventCode": "EventID",
	"EventSourceName": providerName, "SourceName": providerName, "source_name": providerName, "provider_name": providerName, "providerName": providerName,
	"ProviderName": providerName, "Provider": providerName, providerName: providerName,
	channelName: channelName, "channel": channelName, "log_name": channelName, "LogName": channelName, "Log Name": channelName, "EventLog": channelName,
	"Computer": "Computer", "computer": "Computer", "computer_name": "Computer", "Hostname": "Computer", "MachineName": "Computer", "ComputerName": "Computer",
	"TimeCreated": timeCreated, "Date and Time": timeCreated, "Date": timeCreated, "TimeGenerated": timeCreated, "SystemTime": timeCreated, "systemTime": timeCreated, "EventTime": timeCreated, "Timestamp": timeCreated,
	"@timestamp": timeStamp, "timestamp": timeStamp, "_time": timeStamp,
	// The Event Viewer's columns in German, French and Spanish.
	"Ereignis-ID": "EventID", "ID de l’événement": "EventID", "Id. del evento": "EventID",
	"Datum und Uhrzeit": timeCreated, "Date et heure": timeCreated, "Fecha y hora": timeCreated,
}

// winChannels are the logs that Hayabusa calls by short names.
var winChannels = map[string]string{
	"App": "Application", "Sec": "Security", "Sys": "System", "Sysmon": "Microsoft-Windows-Sysmon/Operational",
	"PwSh": "Microsoft-Windows-PowerShell/Operational", "PwShClassic": "Windows PowerShell",
	"Defender": "Microsoft-Windows-Windows Defender/Operational", "TaskSch": "Microsoft-Windows-TaskScheduler/Operational",
	"WMI": "Microsoft-Windows-WMI-Activity/Operational", "BitsCli": "Microsoft-Windows-Bits-Client/Operational",
	"Firewall": "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall", "CodeInteg": "Microsoft-Windows-CodeIntegrity/Operational",
	"NTLM": "Microsoft-Windows-NTLM/Operational", "OpenSSH": "OpenSSH/Operational",
}

// winShortNames are Hayabusa's.
var winShortNames = map[string]string{
	"Proc": "Image", "Cmdline": "CommandLine", "PID": "ProcessId", "ParentProc": "ParentImage", "ParentCmdline": "ParentCommandLine",
	"ParentPID": "ParentProcessId", "Hash": "Hashes", "Desc": "Description", "SrcIP": "SourceIp", "SrcPort": "SourcePort",
	"TgtIP": "DestinationIp", "TgtPort": "DestinationPort", "TgtHost": "DestinationHostname", "Proto": "Protocol",
	"Query": "QueryName", "Result": "QueryResults", "TgtObj": "TargetObject", "ScriptBlock": "ScriptBlockText",
}

func (d *winJSON) Decode(b *Block, out *columnar.Out, t *Tally) error {
	d.out = out
	record := b.First
	d.event.outer = b.outer()
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		line, data = scan.CutLine(data)
		switch {
		case scan.Blank(line):
		case !d.flatten(line) && !d.flattenMended(line):
			t.Skip(record, notObject(line))
		case len(d.event.slots[winEventID]) == 0:
			t.Known("event without an EventID")
		default:
			rows := t.Rows
			d.event.put(record, out, t)
			if d.deep && t.Rows > rows {
				t.Clear(record, "objects nested too deep, left out")
			}
		}
	}
	return nil
}

// flatten turns an event into fields; false if it is malformed.
func (d *winJSON) flatten(line []byte) bool {
	d.event.reset()
	d.scratch, d.message, d.ecs, d.depth, d.deep = d.scratch[:0], nil, d.ecs[:0], 0, false
	d.code, d.source, d.beat = nil, nil, false
	w := d.object(line, winRecord, nil)
	s := &d.event.slots
	if d.source != nil && s[winProvider] == nil {
		d.event.add(true, providerName, d.source.Text(&d.scratch))
	}
	if d.beat && s[winEventID] == nil && d.code != nil && len(s[winProvider])+len(s[winChannel]) > 0 {
		d.event.add(true, "EventID", d.code.Text(&d.scratch))
	}
	d.fromECS()
	if d.message != nil && d.fromMessage() {
		d.event.parseMessage(d.message.Text(&d.scratch), d.names.of, false)
	}
	return w.DoneObject()
}

// flattenMended is flatten of an object that is not quite JSON.
func (d *winJSON) flattenMended(line []byte) (ok bool) {
	d.mended, ok = scan.MendJSON(d.mended[:0], line)
	return ok && d.flatten(d.mended)
}

// object adds what an object says. element is the key of an object in winOfSystem
// that says more than one thing of the same; nil if it is the whole.
func (d *winJSON) object(v scan.Value, place winPlace, element []byte) *scan.Walker {
	w := &d.walkers[d.depth]
	d.depth++
	for w.Open(v); !w.InArray() && w.Next(); {
		d.member(place, element, w.Key, w)
	}
	d.depth--
	return w
}

func (d *winJSON) member(place winPlace, element, key []byte, w *scan.Walker) {
	if place == winRecord || place == winOfSystem && element == nil {
		if inner, ok := winPlaces[string(key)]; ok {
			d.beat = d.beat || string(key) == "winlog"
			switch {
			case !w.Val.Is('{'):
				if w.Val.Is('"') && d.text(inner, w) {
					return
				}
			case string(key) == "Payload":
				// The fields beside it describe the program that wrote the event into the log.
				d.event.forget()
				fallthrough
			case inner != winECS:
				d.inside(w.Val, inner, nil)
				return
			default:
				if place == winRecord {
					d.inside(w.Val, inner, bytes.Clone(key))
				}
				return
			}
		}
		if at := bytes.IndexByte(key, '.'); at > 0 {
			d.beat = d.beat || string(key[:at]) == "winlog"
			switch inner, ok := winPlaces[string(key[:at])]; {
			case ok && inner != winECS:
				d.member(inner, nil, key[at+1:], w)
			case ok && place == winRecord:
				d.common(nil, key, w)
			}
			return
		}
	}
	switch place {
	case winRecord, winOfSystem:
		d.said(place, element, key, w)
	case winFields, winWazuh, winDetails:
		d.field(place, element, key, w)
	case winECS:
		d.common(element, key, w)
	}
}

// text reads what stands as a text where others have an object, and reports whether it is more
// than a text.
func (d *winJSON) text(place winPlace, w *scan.Walker) bool {
	text := bytes.TrimSpace(w.Text(&d.scratch))
	switch {
	case len(text) == 0:
		return false
	case string(w.Key) == "Payload" && text[0] == '{':
		d.event.forget()
		d.inside(scan.Value(text), place, nil)
	case text[0] == '{' && (place == winFields || place == winDetails):
		d.inside(scan.Value(text), place, nil)
	case place == winLines:
		d.event.parseMessage(text, d.names.of, true)
	case place == winDetails, place == winFields && bytes.Contains(text, hayabusaMark):
		d.pairs(text)
	default:
		return false
	}
	return true
}

// hayabusaMark stands between the fields in a text of Hayabusa's tables.
var hayabusaMark = []byte(" ¦ ")

// pairs adds the fields of such a text.
func (d *winJSON) pairs(text []byte) {
	for more := true; more; {
		var pair []byte
		pair, text, more = bytes.Cut(text, hayabusaMark)
		key, value, ok := bytes.Cut(pair, []byte(": "))
		if !ok {
			continue
		}
		name := winShortNames[string(key)]
		if name == "" {
			name = d.names.of(key)
		}
		d.event.add(false, name, value)
	}
}

// common notes a field of the common schema; path is that of its object.
func (d *winJSON) common(path, key []byte, w *scan.Walker) {
	if path != nil {
		d.event.joined = append(append(append(d.event.joined[:0], path...), '.'), key...)
		key = d.event.joined
	}
	if w.Val.Is('{') {
		d.inside(w.Val, winECS, bytes.Clone(key))
		return
	}
	if w.Val.Is('[') && d.depth < winJSONDepth {
		path := bytes.Clone(key)
		list := &d.walkers[d.depth]
		d.depth++
		for list.Open(w.Val); list.Next(); {
			if list.Val.Is('{') {
				d.inside(list.Val, winECS, path)
			}
		}
		d.depth--
		return
	}
	if name := winECSNames[string(key)]; name != "" {
		if text := w.Text(&d.scratch); len(text) > 0 {
			d.ecs = append(d.ecs, winField{name: name, value: text})
		}
	}
}

// fromECS adds what the event says under names of the common schema only, in the
// form of its own ones.
func (d *winJSON) fromECS() {
	slots := &d.event.slots
	if len(d.ecs) == 0 || len(slots[winEventID]) == 0 {
		return
	}
	var hashes, answers []byte
	own := *slots
	for _, f := range d.ecs {
		switch f.name {
		case "md5", "sha1", "sha256":
			hashes = append(hashes, ","[:min(1, len(hashes))]...)
			hashes = append(append(append(hashes, bytes.ToUpper([]byte(f.name))...), '='), f.value...)
			continue
		case "QueryResults":
			answers = append(append(answers, f.value...), ';')
			continue
		case "Initiated":
			if string(f.value) != "ingress" && string(f.value) != "inbound" {
				continue
			}
			f.value = []byte("false")
		case "QueryStatus":
			if string(f.value) == "SUCCESS" {
				f.value = []byte("0")
			}
		}
		if slot, ok := winSlotOf(false, f.name); !ok || own[slot] == nil {
			d.event.add(false, f.name, f.value)
		}
	}
	if hashes != nil && own[winHashes] == nil {
		d.event.add(false, "Hashes", hashes)
	}
	if answers != nil && own[winQueryResults] == nil {
		d.event.add(false, "QueryResults", answers)
	}
}

func (d *winJSON) inside(v scan.Value, place winPlace, element []byte) {
	if d.depth < winJSONDepth {
		d.object(v, place, element)
	} else {
		d.deep = true
	}
}

// said adds what the log says about an event, or a field if both are in one object.
func (d *winJSON) said(place winPlace, element, key []byte, w *scan.Walker) {
	name, system := winSystemNames[string(key)]
	switch {
	case element != nil:
		// {"EventID": {"#text": 1, "#attributes": {"Qualifiers": 0}}}, {"EventID":
		// {"Value": 1}}, {"TimeCreated": {"SystemTime": …}}
		system = true
		switch string(key) {
		case "#attributes":
			if w.Val.Is('{') {
				d.inside(w.Val, winOfSystem, element)
			}
			return
		case "#text", "Value", "value":
			if name, system = winSystemNames[string(element)]; !system {
				name, system = d.names.of(element), true
			}
		default:
			d.event.joined = append(append(append(d.event.joined[:0], element...), '_'), key...)
			name = d.names.of(d.event.joined)
		}
	case w.Val.Is('{'):
		element = bytes.TrimSuffix(key, []byte("_attributes"))
		if place == winOfSystem || system {
			d.inside(w.Val, winOfSystem, bytes.Clone(element))
		}
		return
	case place != winRecord:
	case string(key) == "Message", string(key) == "message", string(key) == "RenderedDescription":
		d.message = w.Val
	case string(key) == "code":
		d.code = w.Val
	case string(key) == "Source", string(key) == "Quelle", string(key) == "Origen":
		d.source = w.Val
	}
	if name == "" {
		name = d.names.of(key)
	}
	if text := w.Text(&d.scratch); text != nil {
		if name == channelName {
			if long := winChannels[string(text)]; long != "" {
				text = []byte(long)
			}
		}
		d.event.add(system || place == winOfSystem, name, text)
	}
}

// field adds a field of the event. Objects in it have fields too; of an array each
// element is one.
func (d *winJSON) field(place winPlace, element, key []byte, w *scan.Walker) {
	switch {
	case w.Val.Is('{'):
		if string(key) != "#attributes" {
			d.inside(w.Val, place, bytes.Clone(key))
		}
		return
	case w.Val.Is('['):
		d.array(w.Val, place, key)
		return
	case string(key) == "#text" && element != nil:
		key = element
	}
	text := w.Text(&d.scratch)
	var name string
	switch place {
	case winWazuh:
		d.event.joined = append(d.event.joined[:0], key...)
		if len(key) > 0 && key[0]-'a' < 26 {
			d.event.joined[0] -= 'a' - 'A'
		}
		name = d.names.of(d.event.joined)
		text = d.unescapeAgain(text)
	case winDetails:
		name = winShortNames[string(key)]
	}
	if name == "" {
		name = d.names.of(key)
	}
	if text != nil {
		d.event.add(false, name, text)
	}
}

// array adds the elements of an array as fields of one name, or each under its
// own: [{"Name": "Image", "#text": …}].
func (d *winJSON) array(v scan.Value, place winPlace, key []byte) {
	if d.depth+1 >= winJSONDepth {
		d.deep = true
		return
	}
	name := d.names.of(key)
	w := &d.walkers[d.depth]
	d.depth++
	for w.Open(v); w.Next(); {
		if !w.Val.Is('{') {
			if text := w.Text(&d.scratch); text != nil {
				d.event.add(false, name, text)
			}
			continue
		}
		own, text := name, []byte(nil)
		m := &d.walkers[d.depth]
		for m.Open(w.Val); m.Next(); {
			switch string(m.Key) {
			case "Name", "@Name":
				own = d.names.of(m.Text(&d.scratch))
			case "#text", "Text", "text", "content", "Value", "value":
				text = m.Text(&d.scratch)
			case "#attributes":
				if m.Val.Is('{') {
					var a scan.Walker
					for a.Open(m.Val); a.Next(); {
						if string(a.Key) == "Name" {
							own = d.names.of(a.Text(&d.scratch))
						}
					}
				}
			}
		}
		if text != nil {
			d.event.add(false, own, text)
		}
	}
	d.depth--
}

// unescapeAgain unescapes the backslashes and quotes that Wazuh escapes before it writes
// JSON. If not all of them are escaped, the text stays unchanged.
func (d *winJSON) unescapeAgain(s []byte) []byte {
	if bytes.IndexByte(s, '\\') < 0 {
		return s
	}
	start := len(d.scratch)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' {
			if i++; i == len(s) || s[i] != '\\' && s[i] != '"' {
				d.scratch = d.scratch[:start]
				return s
			}
			c = s[i]
		}
		d.scratch = append(d.scratch, c)
	}
	return d.scratch[start:]
}

// fromMessage reports whether fields are to be found in the message only.
func (d *winJSON) fromMessage() bool {
	s := &d.event.slots
	for _, slot := range []winSlot{winUtcTime, winImage, winCommandLine, winNewProcessName, winDestinationIP, winQueryName, winObjectName, winDeviceID, winPrintBytes} {
		if s[slot] != nil {
			return false
		}
	}
	return d.event.kind() != nil || d.event.bySysmon() && d.out != nil && d.out.WantsEvent(s[winChannel], s[winEventID])
}
