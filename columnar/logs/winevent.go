package logs

import (
	"bytes"
	"strconv"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// winDoc tells what all forms of Windows events have in common.
const winDoc = `Reads the events of Sysmon and the Security log that say what a machine did. All
others are rows of event if a rule reads them, else they are counted as other. The time is the event's UtcTime, else when the log
says it was written.

Sysmon 1       → process  Image path, OriginalFileName internal_name, CommandLine,
                          ParentImage, ProcessId pid, Description, Hashes
Security 4688  → process  NewProcessName path, CommandLine (if the policy has it
                          logged), ParentProcessName, NewProcessId pid
Sysmon 3       → network  SourceIp, DestinationIp, DestinationHostname,
                          DestinationPort, Protocol; bytes are null. Where
                          Initiated is false another machine is the client: event.
Sysmon 22      → dns      QueryName, QueryStatus rcode, QueryResults answers_len.
                          The type that was asked for is not logged.
Sysmon 11      → api      only files on drives from E: on, as USB disks have:
                          TargetFilename resource, operation FileCreatedOnRemovableMedia.
                          No event says what a drive is.
Security 4663  → api      only of the category Removable Storage, and only what was
                          written: ObjectName resource, operation
                          FileCopiedToRemovableMedia
Security 6416  → api      only of USB disks and phones: DeviceId resource, operation
                          DeviceConnected
PrintService 307 → api    printer, job and document resource, the bytes of the
                          job bytes_in, operation FilePrinted; printers that write
                          files left out

user is the event's User; in 4688 TargetDomainName\TargetUserName, the account
that the process acts as, or SubjectDomainName\SubjectUserName where that is
the same; in other events the subject, but for those of a logon (4624, 4625) the
account that logs on. src_ip of an event is SourceIp or IpAddress. host is Computer. A machine that logs both Sysmon 1 and Security 4688
gives two rows of each process.`

var (
	winTables = []*columnar.Table{columnar.API, columnar.Process, columnar.Network, columnar.DNS, columnar.Event}
	winLacks  = columnar.ColSet(columnar.Account, columnar.QueryType, columnar.Answers, columnar.BytesOut, columnar.Duration, columnar.UID,
		columnar.EventUID, columnar.Status)
)

// The names of fields of the system section of an event, in any form.
const (
	channelName  = "Channel"
	providerName = "Provider_Name"
	timeCreated  = "TimeCreated_SystemTime"
	timeStamp    = "@timestamp" // of who passed the event on: not so good
)

// A winEvent is one event of a Windows event log as a list of fields, whatever form it
// was written in. Fields have the names that Sigma rules use. The event's own fields keep
// their names (Image, CommandLine). What the log says about the event has the name of the
// element (EventID, Channel, Computer). An attribute has the name of its element and its
// own (Provider_Name, Execution_ProcessID).
type winEvent struct {
	kindName []byte // of the last event that gave no row
	fields   []winField
	slots    [numWinSlots][]byte // values of fields that rows are made of; nil: none
	clock    scan.Clock
	outer    outerTimes
	twice    bool   // a field that rows are made of has another value, too
	joined   []byte // scratch

	// Of the elements that are open:
	depth   int
	section winSection
	element string // the innermost
	name    string // of its Name attribute
	text    []byte
	leaf    bool // no element is in it
	bare    bool // it has no attribute
}

// A winField is a field of an event. Names may repeat.
type winField struct {
	name   string
	value  []byte
	system bool // the log says it of the event, not the event
}

// A winSection is a part of an event.
type winSection uint8

const (
	winNowhere winSection = iota // outside of Event
	winTop                       // in Event alone
	winSystem
	winData     // EventData, UserData, …
	winRendered // the texts for people
)

// A winSlot is a field that rows are made of.
type winSlot uint8

const (
	winEventID winSlot = iota
	winProvider
	winChannel
	winComputer
	winTimeCreated
	winTimestamp
	winUtcTime
	winImage
	winOriginalFileName
	winCommandLine
	winParentImage
	winProcessID
	winDescription
	winHashes
	winUser
	winNewProcessName
	winNewProcessID
	winParentProcessName
	winSubjectUser
	winSubjectDomain
	winTargetUser
	winTargetDomain
	winSourceIP
	winIPAddress
	winDestinationIP
	winDestinationHost
	winDestinationPort
	winProtocol
	winInitiated
	winQueryName
	winQueryStatus
	winQueryResults
	winTask
	winTargetFilename
	winObjectName
	winAccessMask
	winProcessName
	winClassName
	winDeviceID
	winPrintJob
	winPrintDocument
	winPrintUser
	winPrinter
	winPrintBytes
	numWinSlots
)

// winSlotOf returns the slot of a field.
func winSlotOf(system bool, name string) (slot winSlot, ok bool) {
	if system {
		switch name {
		case "EventID":
			return winEventID, true
		case providerName:
			return winProvider, true
		case "Channel":
			return winChannel, true
		case "Computer":
			return winComputer, true
		case timeCreated:
			return winTimeCreated, true
		case timeStamp:
			return winTimestamp, true
		case "Task", "task":
			return winTask, true
		}
		return 0, false
	}
	switch name {
	case "UtcTime":
		return winUtcTime, true
	case "Image":
		return winImage, true
	case "OriginalFileName":
		return winOriginalFileName, true
	case "CommandLine":
		return winCommandLine, true
	case "ParentImage":
		return winParentImage, true
	case "ProcessId":
		return winProcessID, true
	case "Description":
		return winDescription, true
	case "Hashes":
		return winHashes, true
	case "User":
		return winUser, true
	case "NewProcessName":
		return winNewProcessName, true
	case "NewProcessId":
		return winNewProcessID, true
	case "ParentProcessName":
		return winParentProcessName, true
	case "SubjectUserName":
		return winSubjectUser, true
	case "SubjectDomainName":
		return winSubjectDomain, true
	case "TargetUserName":
		return winTargetUser, true
	case "TargetDomainName":
		return winTargetDomain, true
	case "SourceIp":
		return winSourceIP, true
	case "IpAddress":
		return winIPAddress, true
	case "DestinationIp":
		return winDestinationIP, true
	case "DestinationHostname":
		return winDestinationHost, true
	case "DestinationPort":
		return winDestinationPort, true
	case "Protocol":
		return winProtocol, true
	case "Initiated":
		return winInitiated, true
	case "QueryName":
		return winQueryName, true
	case "QueryStatus":
		return winQueryStatus, true
	case "QueryResults":
		return winQueryResults, true
	case "Task":
		return winTask, true
	case "TargetFilename":
		return winTargetFilename, true
	case "ObjectName":
		return winObjectName, true
	case "AccessMask":
		return winAccessMask, true
	case "ProcessName":
		return winProcessName, true
	case "ClassName":
		return winClassName, true
	case "DeviceId":
		return winDeviceID, true
	case "Param1":
		return winPrintJob, true
	case "Param2":
		return winPrintDocument, true
	case "Param3":
		return winPrintUser, true
	case "Param5":
		return winPrinter, true
	case "Param7":
		return winPrintBytes, true
	}
	return 0, false
}

// reset begins an event.
func (e *winEvent) reset() {
	e.fields = e.fields[:0]
	e.slots = [numWinSlots][]byte{}
	e.depth, e.section, e.twice = 0, winNowhere, false
}

// add adds a field, whose value must stay as it is until the event's row is made. If
// names are equal, rows are made from the first one.
func (e *winEvent) add(system bool, name string, value []byte) {
	e.fields = append(e.fields, winField{name, value, system})
	slot, ok := winSlotOf(system, name)
	switch {
	case !ok:
	case e.slots[slot] == nil:
		e.slots[slot] = value
	case !system && !bytes.Equal(e.slots[slot], value):
		e.twice = true
	}
}

// An event in XML, as text or binary, is described by these four calls, in the order of
// the document. text comes at most once between two others.

func (e *winEvent) start(name string) {
	e.depth++
	switch {
	case e.depth == 1 && name == "Event":
		e.section = winTop
	case e.depth == 2 && e.section == winTop:
		switch name {
		case "System":
			e.section = winSystem
		case "RenderingInfo":
			e.section = winRendered
		default:
			e.section = winData
		}
	}
	e.element, e.name, e.text, e.leaf, e.bare = name, "", nil, true, true
}

func (e *winEvent) attribute(name string, value []byte, nameOf func([]byte) string) {
	switch {
	case e.depth < 3 || strings.HasPrefix(name, "xmlns"):
	case name == "Name" && e.section == winData:
		e.name = nameOf(value)
	case e.section == winSystem || e.section == winData:
		e.bare = false
		e.joined = append(append(append(e.joined[:0], e.element...), '_'), name...)
		e.add(e.section == winSystem, nameOf(e.joined), value)
	}
}

func (e *winEvent) content(text []byte) { e.text = text }

func (e *winEvent) end() {
	if e.leaf && e.depth > 2 && (len(e.text) > 0 || e.bare) {
		switch {
		case e.name != "":
			e.add(false, e.name, e.text)
		case e.section != winRendered || e.element == "Message":
			e.add(e.section == winSystem, e.element, e.text)
		}
	}
	e.leaf = false
	if e.depth--; e.depth == 1 && e.section != winNowhere {
		e.section = winTop
	}
}

// A nameSet keeps names, so that each is made once: a log has few. Rules name fields
// without the blanks that logs have in them.
type nameSet map[string]string

// maxNames is how many names are kept, and maxNameLen of what length: more than
// the fields of all providers. Hostile logs must not fill the memory.
const (
	maxNames   = 1 << 14
	maxNameLen = 256
)

func (n nameSet) of(b []byte) string {
	name, ok := n[string(b)]
	if !ok {
		name = strings.ReplaceAll(string(b), " ", "")
		if len(n) < maxNames && len(b) <= maxNameLen {
			n[string(b)] = name
		}
	}
	return name
}

// said returns the value of a field; nil if it is written as not known.
func (e *winEvent) said(slot winSlot) []byte {
	v := e.slots[slot]
	if len(v) == 1 && (v[0] == '-' || v[0] == '?') {
		return nil
	}
	return v
}

// renderedSecurity is what Splunk's forwarder calls the provider of the Security log.
const renderedSecurity = "Microsoft Windows security auditing."

var (
	sysmonWord       = []byte("Sysmon")
	securityWord     = []byte("Security")
	printServiceWord = []byte("PrintService")
	printServiceLog  = []byte("Microsoft-Windows-PrintService/")
)

// kind returns the table of the event. Nil stands for the table of events that no other
// table holds.
func (e *winEvent) kind() *columnar.Table {
	provider, channel := e.slots[winProvider], e.slots[winChannel]
	unnamed := len(provider) == 0 && len(channel) == 0
	sysmon := e.bySysmon()
	switch string(e.slots[winEventID]) {
	case "1":
		if sysmon {
			return columnar.Process
		}
	case "3":
		if sysmon && !bytes.EqualFold(e.slots[winInitiated], []byte("false")) {
			return columnar.Network
		}
	case "22":
		if sysmon {
			return columnar.DNS
		}
	case "11":
		if sysmon && onOtherDrive(e.slots[winTargetFilename]) {
			return columnar.API
		}
	case "307":
		if bytes.HasSuffix(provider, printServiceWord) || bytes.HasPrefix(channel, printServiceLog) {
			if len(e.said(winPrintBytes)) > 0 && !printsToFile(e.said(winPrinter)) {
				return columnar.API
			}
		}
	case "4663":
		if e.bySecurity() && e.removable() {
			return columnar.API
		}
	case "4688":
		if e.bySecurity() || unnamed {
			return columnar.Process
		}
	case "6416":
		if class := string(e.slots[winClassName]); e.bySecurity() && (class == "DiskDrive" || class == "WPD") && bytes.Contains(e.slots[winDeviceID], []byte("USB")) {
			return columnar.API
		}
	}
	return nil
}

// bySecurity reports whether the auditing of Windows wrote the event, as bySysmon does for Sysmon.
func (e *winEvent) bySecurity() bool {
	provider := e.slots[winProvider]
	return string(provider) == "Microsoft-Windows-Security-Auditing" ||
		(len(provider) == 0 || string(provider) == renderedSecurity) && bytes.EqualFold(e.slots[winChannel], securityWord)
}

// removable reports whether a file was written to removable storage: Windows audits that
// under a category of its own.
func (e *winEvent) removable() bool {
	const writes = 0x2 | 0x4 // WriteData, AppendData
	task := e.slots[winTask]
	if string(task) != "12812" && string(task) != "Removable Storage" {
		return false
	}
	mask, ok := parseWinInt(e.slots[winAccessMask])
	return ok && mask&writes != 0
}

// onOtherDrive reports whether a file is on a drive that is neither a floppy nor usually
// the machine's own.
func onOtherDrive(path []byte) bool {
	return len(path) > 3 && path[1] == ':' && path[2] == '\\' && path[0]|0x20 >= 'e' && path[0]|0x20 <= 'z'
}

// printsToFile reports whether a printer makes a file of this machine's: nothing leaves it.
func printsToFile(printer []byte) bool {
	for _, word := range [...]string{"PDF", "XPS", "OneNote", "Fax"} {
		if bytes.Contains(printer, []byte(word)) {
			return true
		}
	}
	return false
}

// bySysmon reports whether Sysmon wrote the event.
func (e *winEvent) bySysmon() bool {
	provider, channel := e.slots[winProvider], e.slots[winChannel]
	if len(provider) == 0 && len(channel) == 0 {
		return e.slots[winUtcTime] != nil
	}
	return bytes.HasSuffix(provider, sysmonWord) || len(provider) == 0 && bytes.Contains(channel, sysmonWord)
}

var (
	ofWindows     = columnar.Origin{Product: "windows"}
	ofLinuxSysmon = columnar.Origin{Product: "linux", Service: "sysmon"}
)

// origin returns whose event it is: Windows', if it does not say that Sysmon for Linux
// wrote it.
func (e *winEvent) origin() columnar.Origin {
	if bytes.HasPrefix(e.slots[winProvider], []byte("Linux-")) || bytes.HasPrefix(e.slots[winChannel], []byte("Linux-")) {
		return ofLinuxSysmon
	}
	return ofWindows
}

// channel returns the log to which the event belongs, or else its provider.
func (e *winEvent) channel() []byte {
	if channel := e.slots[winChannel]; len(channel) > 0 {
		return channel
	}
	return e.slots[winProvider]
}

// put counts the event in t, and puts its row into out if it has one.
func (e *winEvent) put(record int64, out *columnar.Out, t *Tally) {
	if len(e.slots[winEventID]) == 0 {
		t.Skip(record, "no EventID")
		return
	}
	table := e.kind()
	if table == nil {
		if !out.WantsEvent(e.slots[winChannel], e.slots[winEventID]) {
			e.kindName = append(append(append(e.kindName[:0], e.channel()...), ' '), e.slots[winEventID]...)
			t.Known(string(e.kindName))
			return
		}
		table = columnar.Event
	}
	b := out.Table(table)
	if reason := e.row(table, recordRow{b, t, record}); reason != "" {
		b.Drop()
		t.Skip(record, reason)
		return
	}
	if e.twice {
		t.Clear(record, "field that stands twice: the first counts")
	}
	if b.WantsFields() {
		for i := len(e.fields) - 1; i >= 0; i-- { // of equal names the first stands
			b.SetField([]byte(e.fields[i].name), e.fields[i].value)
		}
		if b.WantsField(columnar.Message) {
			e.joined = e.joined[:0]
			for i := range e.fields {
				e.joined = append(append(e.joined, e.fields[i].value...), '\n')
			}
			b.SetField([]byte(columnar.Message), e.joined)
		}
	}
	b.Next(record)
	t.Row()
}

// row sets the cells of the event's row.
func (e *winEvent) row(table *columnar.Table, b recordRow) (reason string) {
	us, ok := e.time()
	if !ok {
		if us, ok = e.outer.of(b.record, e.slots[winTimeCreated]); !ok {
			return e.clock.Fault("bad or no time")
		}
	}
	b.SetTime(us)
	b.SetText(columnar.Host, e.said(winComputer))
	b.SetText(columnar.User, e.user(table))
	e.joined = e.joined[:0]
	switch table {
	case columnar.Process:
		path, parent, pid := e.said(winImage), e.said(winParentImage), e.said(winProcessID)
		if string(e.slots[winEventID]) == "4688" {
			// ProcessId is the parent's, except in Hayabusa's words.
			if v := e.said(winNewProcessName); len(v) > 0 {
				path, parent, pid = v, e.said(winParentProcessName), e.said(winNewProcessID)
			}
		}
		if len(path) == 0 && len(e.said(winCommandLine)) == 0 {
			return "neither Image nor CommandLine"
		}
		b.SetText(columnar.Path, path)
		b.SetText(columnar.InternalName, e.said(winOriginalFileName))
		b.SetText(columnar.CmdLine, e.slots[winCommandLine])
		b.SetText(columnar.ParentPath, parent)
		b.SetText(columnar.Description, e.said(winDescription))
		b.SetText(columnar.Hashes, e.said(winHashes))
		if len(pid) > 0 {
			if n, ok := parseWinInt(pid); ok {
				b.SetInt(columnar.PID, n)
			} else if !scan.Unknown(pid) {
				b.tally.Clear(b.record, "bad ProcessId")
			}
		}
	case columnar.Network:
		if len(e.said(winDestinationIP)) == 0 {
			return "no DestinationIp"
		}
		b.SetText(columnar.SrcIP, e.said(winSourceIP))
		b.SetText(columnar.DstIP, e.said(winDestinationIP))
		b.SetLower(columnar.DstHost, scan.TrimDot(e.said(winDestinationHost)))
		b.SetLower(columnar.Protocol, e.said(winProtocol))
		b.setCount(columnar.DstPort, e.said(winDestinationPort), "bad DestinationPort")
	case columnar.DNS:
		name := scan.TrimDot(e.said(winQueryName))
		if len(name) == 0 {
			return "no QueryName"
		}
		b.SetQuery(name)
		e.answers(b)
	case columnar.API:
		e.taken(b)
	default:
		ip := e.said(winSourceIP)
		if len(ip) == 0 {
			ip = e.said(winIPAddress)
		}
		b.SetText(columnar.SrcIP, ip)
	}
	return ""
}

// taken sets what was taken from the machine, as endpoint DLP calls it.
func (e *winEvent) taken(b recordRow) {
	b.SetText(columnar.Service, []byte("Endpoint"))
	switch string(e.slots[winEventID]) {
	case "307":
		// A document's name is "Print Document", unless a policy says otherwise.
		e.joined = append(append(e.joined[:0], e.said(winPrinter)...), '/')
		e.joined = append(append(append(e.joined, e.said(winPrintJob)...), '/'), e.said(winPrintDocument)...)
		b.SetText(columnar.Resource, e.joined)
		b.SetText(columnar.User, e.said(winPrintUser))
		b.SetText(columnar.Operation, []byte("FilePrinted"))
		b.setCount(columnar.BytesIn, e.said(winPrintBytes), "bad Param7")
	case "6416":
		b.SetText(columnar.Resource, e.slots[winDeviceID])
		b.SetText(columnar.Operation, []byte("DeviceConnected"))
	case "11":
		b.SetText(columnar.Resource, e.slots[winTargetFilename])
		b.SetText(columnar.UserAgent, scan.AfterLast(e.said(winImage), '\\'))
		b.SetText(columnar.Operation, []byte("FileCreatedOnRemovableMedia"))
	default:
		b.SetText(columnar.Resource, e.slots[winObjectName])
		b.SetText(columnar.UserAgent, scan.AfterLast(e.said(winProcessName), '\\'))
		b.SetText(columnar.Operation, []byte("FileCopiedToRemovableMedia"))
	}
}

// time returns when the event happened by its own word, else when the log says it
// was written.
func (e *winEvent) time() (us int64, ok bool) {
	zone := e.clock.Zone
	e.clock.Zone = nil // UtcTime
	us, ok = e.clock.ISO(e.slots[winUtcTime])
	e.clock.Zone = zone
	if ok {
		return us, true
	}
	created := e.slots[winTimeCreated]
	if len(created) == 0 {
		created = e.slots[winTimestamp]
	}
	return e.clock.Any(created)
}

// user returns who acted, as DOMAIN\name.
func (e *winEvent) user(table *columnar.Table) []byte {
	if user := e.said(winUser); len(user) > 0 {
		return user
	}
	// A process that is started for another account acts as that, and so does who
	// logs on. In other events the target is what something is done to.
	name, domain := e.said(winTargetUser), e.said(winTargetDomain)
	if len(name) == 0 || table == columnar.API || table == columnar.Event && !e.logon() {
		if subject := e.said(winSubjectUser); len(subject) > 0 {
			name, domain = subject, e.said(winSubjectDomain)
		}
	}
	if len(name) == 0 || len(domain) == 0 {
		return name
	}
	e.joined = append(append(append(e.joined[:0], domain...), '\\'), name...)
	return e.joined
}

// logon reports whether somebody logged on, or tried to.
func (e *winEvent) logon() bool {
	id := e.slots[winEventID]
	return string(id) == "4624" || string(id) == "4625"
}

// answers sets what came of a DNS query.
func (e *winEvent) answers(b recordRow) {
	// Windows counts the response codes of DNS from 9000. 9501 is an answer without
	// records of the type.
	const codes, noRecords = 9000, 9501
	status, ok := scan.Int(e.slots[winQueryStatus])
	switch {
	case !ok:
		if !scan.Unknown(e.said(winQueryStatus)) {
			b.tally.Clear(b.record, "bad QueryStatus")
		}
		return
	case status == noRecords:
		status = 0
	case status > codes && status < codes+int64(scan.NumRcodes):
		status -= codes
	case status != 0:
		return // no answer
	}
	b.SetText(columnar.Rcode, []byte(scan.RcodeName(status)))
	n := int64(0)
	for rest := e.said(winQueryResults); len(rest) > 0; {
		var answer []byte
		answer, rest, _ = bytes.Cut(rest, []byte(";"))
		if len(bytes.TrimSpace(answer)) > 0 {
			n++
		}
	}
	b.SetInt(columnar.AnswersLen, n)
}

// parseWinInt parses an integer in decimal or, with 0x, in hexadecimal digits.
func parseWinInt(b []byte) (v int64, ok bool) {
	if len(b) > 2 && b[0] == '0' && b[1]|0x20 == 'x' && len(b) <= 18 {
		u, err := strconv.ParseUint(string(b[2:]), 16, 63)
		return int64(u), err == nil
	}
	v, ok = scan.Int(b)
	return v, ok && v >= 0
}
