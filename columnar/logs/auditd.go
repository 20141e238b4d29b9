package logs

import (
	"bytes"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Auditd decodes the log of Linux' audit daemon.
var Auditd = &Format{
	Name:    "auditd",
	Origins: []columnar.Origin{{Product: "linux", Service: "auditd"}},
	Title:   "Linux audit log, programs executed",
	Doc: `Reads what auditd writes to audit.log or its plugins send to syslog, raw or
ENRICHED, also as the kernel logs it without a daemon. Programs that are started
must be audited (-a always,exit -S execve). Records of other types are rows of
event if a rule reads that type; else their events count as other, and so does a
start that failed.

The records of an event are found by its time and serial number, wherever they
stand among others within 256 lines; each event counts once.

EXECVE   cmd_line   its arguments with a space between, those in hexadecimal
                    digits and those in several parts too
SYSCALL  path       exe, else comm
         pid
         user       AUID or auid: who logged in, whatever account they use now; UID
                    or uid for what no login began. Names if ENRICHED, else
                    numbers.
host     node, or the machine of the syslog line

Rules read the fields of each record by itself, as the log has them, with its type;
those of a start in process are those of EXECVE.

Arguments that are secret by nature, such as passwords, are in the log as in here.`,
	Shared: true,
	Tables: []*columnar.Table{columnar.Process, columnar.Event},
	Lacks:  columnar.ColSet(columnar.SrcIP, columnar.Account, columnar.InternalName, columnar.ParentPath, columnar.Description, columnar.Hashes),
	Syslog: true,
	Sniff: func(head []byte) bool {
		lines := 0
		var nodes auditNodes
		for line := range bytes.Lines(head) {
			if lines++; lines > 32 {
				break
			}
			if r, _ := parseAudit(line, &nodes); r.kind != nil {
				return true
			}
		}
		return false
	},
	Cut: cutAudit,
	New: func(o *Options) (Decoder, error) {
		return &auditd{clock: o.clock(), open: map[auditKey]int{}}, nil
	},
}

const (
	// auditWindow is how many lines further on the next record of an event is
	// looked for. Processors write theirs at the same time, a handful each; with
	// fewer, some events would fall apart, with more, blocks grow.
	auditWindow = 256
	// auditMaxOpen is how much text is searched for a place where no event is
	// open, in bytes. One start of a program has at most 2 MiB of arguments, each
	// byte of them up to two digits: a log without such a place is made by hand.
	auditMaxOpen = MaxRecord - 64<<10
)

// An auditKey identifies the event to which a record belongs.
type auditKey struct {
	node       int // in auditNodes
	us, serial int64
}

// auditNodes numbers the machines that a log names, from 1; 0 is that of a log
// which names none.
type auditNodes struct {
	numbers map[string]int
	names   []string
}

func (n *auditNodes) number(name []byte) int {
	if len(name) == 0 {
		return 0
	}
	i, known := n.numbers[string(name)]
	if !known {
		if n.numbers == nil {
			n.numbers = map[string]int{}
		}
		n.names = append(n.names, string(name))
		i = len(n.names)
		n.numbers[n.names[i-1]] = i
	}
	return i
}

func (n *auditNodes) name(i int) string {
	if i == 0 {
		return ""
	}
	return n.names[i-1]
}

// An auditRecord is one line.
type auditRecord struct {
	kind   []byte // its type; nil: this is no record
	key    auditKey
	fields []byte
}

// cutAudit cuts where no event goes on behind, and counts lines.
func cutAudit(p []byte, all bool) (end int, records int64) {
	if all {
		return len(p), countLines(p)
	}
	// Lines before ends[i] are i+1 in number. spans[i] is how many more events
	// begin than end in going on from line i.
	var ends, spans []int
	last := map[auditKey]int{}
	var key auditKey // of the line latest
	latest := 0
	var nodes auditNodes
	for at := 0; ; {
		n := bytes.IndexByte(p[at:], '\n') + 1
		if n == 0 {
			break
		}
		line := len(ends)
		ends, spans = append(ends, at+n), append(spans, 0)
		if r, _ := parseAudit(p[at:at+n], &nodes); r.kind != nil {
			before, ok := latest, r.key == key // most often
			if !ok {
				last[key] = latest
				before, ok = last[r.key]
			}
			if ok && line-before <= auditWindow {
				spans[before]++
				spans[line]--
			}
			key, latest = r.key, line
		}
		at += n
	}
	open, fewest := 0, 0
	if len(p) >= auditMaxOpen { // no better place may come
		fewest, records = len(ends), int64(len(ends))
	}
	for i := range len(ends) - auditWindow {
		if open += spans[i]; open <= fewest {
			fewest, records = open, int64(i+1)
		}
	}
	if records == 0 {
		return 0, 0
	}
	return ends[records-1], records
}

var (
	auditType  = []byte("type=")
	auditStamp = []byte("audit(")
	auditNode  = []byte("node=")
)

// enrichedTag stands before what ENRICHED adds.
const enrichedTag = 0x1d

// parseAudit parses the beginning that all records have. A line that is not a record,
// perhaps from another program, has no kind; damaged says whether it should have one.
func parseAudit(line []byte, nodes *auditNodes) (r auditRecord, damaged bool) {
	// Other programs' lines may hold anything, so what stands before the type must
	// be a node or the head of a syslog line.
	at := bytes.Index(line, auditType)
	if at < 0 {
		return r, bytes.HasPrefix(line, auditNode)
	}
	var node []byte
	before := bytes.TrimSpace(line[:at])
	if i := bytes.LastIndex(before, auditNode); i >= 0 && bytes.IndexByte(before[i:], ' ') < 0 {
		node = before[i+len(auditNode):]
		before = bytes.TrimSpace(before[:i])
	}
	if len(before) > 0 {
		host, ok := syslogHost(before)
		if !ok {
			return r, false
		}
		if node == nil {
			node = host
		}
	}
	kind, rest, _ := bytes.Cut(line[at+len(auditType):], space)
	rest = bytes.TrimPrefix(rest, []byte("msg="))
	stamp, ok := bytes.CutPrefix(rest, auditStamp)
	close := bytes.IndexByte(stamp, ')')
	colon := bytes.IndexByte(stamp[:max(0, close)], ':')
	if !ok || colon < 0 || len(kind) == 0 {
		return r, len(before) == 0 || ok
	}
	us, ok1 := scan.Decimal(stamp[:colon], scan.Second)
	serial, ok2 := scan.Int(stamp[colon+1 : close])
	if !ok1 || !ok2 {
		return r, true
	}
	return auditRecord{kind, auditKey{nodes.number(node), us, serial}, bytes.TrimPrefix(stamp[close+1:], []byte(":"))}, false
}

var space = []byte{' '}

// syslogHost returns the machine in the head of a syslog line: "Jan _2 15:04:05
// host program:" or the same with one word of time. The kernel may add its own:
// "kernel: [ 12.5] audit:". Anything else is the message of a program.
func syslogHost(head []byte) (host []byte, ok bool) {
	words := bytes.Fields(head)
	i := 3
	if len(words) > 0 && len(words[0]) > 10 {
		i = 1
	}
	if len(words) < i+2 {
		return nil, false
	}
	for _, word := range words[i+2:] {
		if first := word[0]; string(word) != "audit:" && first != '[' && first-'0' > 9 {
			return nil, false
		}
	}
	program := words[i+1]
	return words[i], program[len(program)-1] == ':'
}

// An auditEvent is an event of a block.
type auditEvent struct {
	key    auditKey
	kind   []byte // of its first record, as it stands in the log
	first  int64  // number of its first record
	last   int64
	exec   bool // has EXECVE
	failed bool

	arg     int   // the last that cmdLine has, -1 if none
	argc    int64 // how many there are; 0: not said
	cmdLine []byte
	cut     bool // the quotes of one do not end

	// As they stand in the log.
	exe, comm, pid []byte
	who            [4][]byte // AUID, auid, UID, uid: the first that is known counts

	records []auditRecord // if rules read any
}

// what returns the kind of an event that is not a row.
func (e *auditEvent) what() string {
	if e.exec {
		return "execve that failed"
	}
	return string(e.kind)
}

type auditd struct {
	clock   scan.Clock
	events  []auditEvent
	keep    bool             // what rules read
	open    map[auditKey]int // the latest event of a key
	nodes   auditNodes
	scratch []byte
}

func (d *auditd) Decode(b *Block, out *columnar.Out, t *Tally) error {
	clear(d.open)
	d.events, d.nodes = d.events[:0], auditNodes{}
	rows := out.Table(columnar.Process)
	d.keep = rows.WantsFields() || len(out.WantEvents) > 0
	record := b.First
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		line, data = scan.CutLine(data)
		r, damaged := parseAudit(line, &d.nodes)
		switch {
		case damaged:
			t.Skip(record, "malformed audit record")
		case r.kind != nil && !d.clock.Within(r.key.us):
			t.Skip(record, d.clock.Fault(""))
		case r.kind != nil:
			d.add(&r, record)
		case !scan.Blank(line) && string(line) != "----" && !bytes.HasPrefix(line, []byte("time->")): // ausearch
			t.Known(otherProgram)
		}
	}
	for i := range d.events {
		e := &d.events[i]
		others := 0
		if d.keep {
			others = d.others(e, out, t)
		}
		if !e.exec || e.failed {
			if others == 0 {
				t.Known(e.what())
			}
			continue
		}
		d.row(e, recordRow{rows, t, e.first})
		rows.Next(e.first)
		t.Row()
	}
	return nil
}

// others puts rows of the records of an event that rules read, except for those that say
// what program was started, and returns how many they are.
func (d *auditd) others(e *auditEvent, out *columnar.Out, t *Tally) (n int) {
	for i := range e.records {
		r := &e.records[i]
		if r.execve() || !out.WantsEvent(nil, r.kind) {
			continue
		}
		b := out.Table(columnar.Event)
		b.SetTime(e.key.us)
		b.SetText(columnar.Host, []byte(d.nodes.name(e.key.node)))
		user := e.user()
		if user == nil {
			var own auditEvent
			own.syscall(r.fields)
			user = own.user()
		}
		b.SetText(columnar.User, user)
		d.fields(b, r)
		b.Next(e.first)
		t.Row()
		n++
	}
	return n
}

func (r *auditRecord) execve() bool { return string(r.kind) == "EXECVE" || string(r.kind) == "1309" }

// fields sets the fields of a record.
func (d *auditd) fields(b *columnar.Builder, r *auditRecord) {
	exec := r.execve()
	b.SetField(typeKey, r.kind)
	b.SetField(wholeKey, bytes.TrimSpace(r.fields))
	d.scratch = d.scratch[:0]
	var part []byte // the argument that scratch holds the start of
	for p := r.fields; ; {
		key, value, rest, ok := nextAuditField(p)
		if !ok {
			return
		}
		p = rest
		name, _, parts := bytes.Cut(key, []byte("["))
		if !parts || !bytes.Equal(name, part) {
			d.scratch, part = d.scratch[:0], name
		}
		switch {
		case exec || hexKey(key):
			d.scratch = appendAuditText(d.scratch, value)
		default:
			d.scratch = append(d.scratch, bytes.Trim(value, `"'`)...)
		}
		if text := d.scratch; string(text) != "(null)" {
			b.SetField(name, text)
		}
	}
}

var typeKey = []byte("type")

// hexKey reports whether the value of a field is in hexadecimal digits if it is not in
// quotes.
func hexKey(key []byte) bool {
	switch string(key) {
	case "exe", "comm", "name", "cwd", "proctitle", "cmd", "data", "key", "acct", "path":
		return true
	}
	return false
}

// add adds a record to its event.
func (d *auditd) add(r *auditRecord, record int64) {
	i := len(d.events) - 1
	ok := i >= 0 && d.events[i].key == r.key // most often
	if !ok {
		i, ok = d.open[r.key]
	}
	if !ok || record-d.events[i].last > auditWindow {
		i = len(d.events)
		if i == cap(d.events) {
			d.events = append(d.events, auditEvent{})
		}
		d.events = d.events[:i+1]
		d.events[i] = auditEvent{key: r.key, kind: r.kind, first: record, arg: -1, cmdLine: d.events[i].cmdLine[:0], records: d.events[i].records[:0]}
		d.open[r.key] = i
	}
	e := &d.events[i]
	e.last = record
	if d.keep {
		e.records = append(e.records, *r)
	}
	switch string(r.kind) {
	case "EXECVE", "1309":
		e.exec = true
		e.arguments(r.fields)
	case "SYSCALL", "1300":
		e.syscall(r.fields)
	}
}

// nextAuditField cuts the first field off p. A value in quotes is returned with
// the first of them.
func nextAuditField(p []byte) (key, value, rest []byte, ok bool) {
	for len(p) > 0 && (p[0] == ' ' || p[0] == enrichedTag) {
		p = p[1:]
	}
	equals := bytes.IndexByte(p, '=')
	if equals < 0 {
		return nil, nil, nil, false
	}
	key, p = p[:equals], p[equals+1:]
	if i := bytes.LastIndexByte(key, ' '); i >= 0 {
		key = key[i+1:] // behind a word without a value
	}
	if len(p) > 0 && p[0] == '"' {
		if end := bytes.IndexByte(p[1:], '"'); end >= 0 {
			return key, p[:end+1], p[end+2:], true
		}
		return key, p, nil, true // cut off: only then is rest nil
	}
	end := 0
	for end < len(p) && p[end] != ' ' && p[end] != enrichedTag {
		end++
	}
	return key, p[:end], p[end:], true
}

// appendAuditText appends the text of a value: in quotes as it is, else as the
// hexadecimal digits of its bytes, if it is such.
func appendAuditText(dst, v []byte) []byte {
	if len(v) > 0 && v[0] == '"' {
		return append(dst, v[1:]...)
	}
	start := len(dst)
	for i := 0; i+1 < len(v); i += 2 {
		high, ok1 := scan.HexDigit(v[i])
		low, ok2 := scan.HexDigit(v[i+1])
		if !ok1 || !ok2 {
			return append(dst[:start], v...)
		}
		dst = append(dst, high<<4|low)
	}
	if len(v)%2 != 0 {
		return append(dst[:start], v...)
	}
	return dst
}

// arguments adds the arguments in an EXECVE record.
func (e *auditEvent) arguments(p []byte) {
	for {
		key, value, rest, ok := nextAuditField(p)
		if !ok {
			return
		}
		p = rest
		if len(key) < 2 || key[0] != 'a' {
			continue
		}
		if string(key) == "argc" {
			e.argc, _ = scan.Int(value)
			continue
		}
		number, _, _ := bytes.Cut(key[1:], []byte("["))
		n, ok := scan.Int(number) // not argc, a1_len
		if !ok || n < 0 || n > 1<<30 {
			continue
		}
		if e.arg >= 0 && int(n) != e.arg {
			e.cmdLine = append(e.cmdLine, ' ')
		}
		e.arg, e.cut = int(n), e.cut || rest == nil
		e.cmdLine = appendAuditText(e.cmdLine, value)
	}
}

// syscall notes what a SYSCALL record says.
func (e *auditEvent) syscall(p []byte) {
	for {
		key, value, rest, ok := nextAuditField(p)
		if !ok {
			return
		}
		p = rest
		switch string(key) {
		case "success":
			e.failed = string(value) == "no"
		case "pid":
			e.pid = value
		case "exe":
			e.exe = value
		case "comm":
			e.comm = value
		case "AUID":
			e.who[0] = value
		case "auid":
			e.who[1] = value
		case "UID":
			e.who[2] = value
		case "uid":
			e.who[3] = value
		}
	}
}

// row sets the cells of an event's row.
func (d *auditd) row(e *auditEvent, b recordRow) {
	b.SetTime(e.key.us)
	b.SetText(columnar.Host, []byte(d.nodes.name(e.key.node)))
	b.SetText(columnar.CmdLine, e.cmdLine)
	exe := e.exe
	if len(exe) == 0 || exe[0] == '(' { // (null)
		exe = e.comm
	}
	d.scratch = appendAuditText(d.scratch[:0], exe)
	b.SetText(columnar.Path, d.scratch)
	b.SetText(columnar.User, e.user())
	b.setCount(columnar.PID, e.pid, "bad pid")
	if e.cut {
		b.tally.Clear(b.record, "argument in quotes that do not end, taken to the end of the record")
	}
	if int64(e.arg)+1 < e.argc {
		b.tally.Clear(b.record, "arguments of the program missing: cut off, or in a record that is not here")
	}
	if b.WantsFields() {
		for i := range e.records {
			if e.records[i].execve() {
				d.fields(b.Builder, &e.records[i])
			}
		}
	}
}

// user returns who logged in, else as whom the program runs.
func (e *auditEvent) user() []byte {
	for _, who := range e.who {
		switch who = bytes.TrimPrefix(who, quote); string(who) {
		case "", "unset", "unknown", "4294967295", "-1":
		default:
			return who
		}
	}
	return nil
}
