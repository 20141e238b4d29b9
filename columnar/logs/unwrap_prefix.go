package logs

import (
	"bytes"

	"outflow/columnar/scan"
)

// A prefixLayer is what tools write before each line that they print, to say where it is from:
//
//	[pod/px-1/squid] line                                       kubectl logs --prefix
//	squid-1  | line                                             docker compose logs, in colour or not
//	2026-11-20T20:25:30Z {app="squid"} line                     logcli
//	1795206330123⇥2026-11-20T20:25:30.123Z⇥line                 Grafana
//	2026-11-20T20:25:30.123Z⇥line                               Grafana, as it saves them
//	CreateTime:1795206330123⇥Partition:0⇥key⇥line               kafka-console-consumer
//	/var/log/squid/access.log.1:line                            grep and zgrep, over several files
//	access.log.1.gz:10:line                                     and with the numbers of lines
//	2026 Nov 20 20:25:30 (px-1) any->/var/log/squid.log line    Wazuh's archives
//	2026-11-20 20:25:30⇥Local7.Info⇥px-1⇥line                   Kiwi
//	90⇥2026-11-20T20:25:30⇥…⇥px-1⇥…⇥squid⇥line                  Papertrail's archives, in UTC
//
// Lines without one are left as they are.
type prefixLayer struct{}

func (prefixLayer) unwrap(record []byte, e *envelope) ([]byte, bool, string) {
	stamp, host, line, ok := cutPrefix(record)
	if !ok {
		return record, false, ""
	}
	e.opened = true
	if stamp != nil {
		e.stamp = stamp
	}
	if host != nil {
		e.host = host
	}
	return line, false, ""
}

// isPlainPrefix reports whether no dialect has lines that begin with that prefix: compose's is also what a table with
// bars begins with.
func isPlainPrefix(stamp, record []byte) bool {
	if _, ok := cutFileName(record); ok {
		return true
	}
	return stamp != nil && !isStampTab(record) || bytes.HasPrefix(record, []byte("[pod/"))
}

// cutPrefix cuts what stands before a line off it, and returns the time and the machine that it names.
func cutPrefix(record []byte) (stamp, host, line []byte, ok bool) {
	record = withoutColour(record)
	switch {
	case len(record) < 8:
		return nil, nil, nil, false
	case bytes.HasPrefix(record, []byte("[pod/")):
		_, line, ok = bytes.Cut(record, []byte("] "))
		return nil, nil, line, ok
	case bytes.HasPrefix(record, []byte("CreateTime:")), bytes.HasPrefix(record, []byte("LogAppendTime:")):
		return cutKafka(record)
	case isStampISO(record):
		stamp, line = scan.CutWord(record)
		if !bytes.HasPrefix(line, []byte("{")) || bytes.HasPrefix(line, []byte(`{"`)) {
			return nil, nil, nil, false
		}
		labels, line, ok := bytes.Cut(line, []byte("} "))
		return stamp, nil, line, ok && (len(labels) == 1 || bytes.Contains(labels, []byte(`="`)))
	case isStampTab(record):
		stamp, line, _ = bytes.Cut(record, []byte("\t"))
		return stamp, nil, line, len(line) > 0
	case record[0]-'0' <= 9:
		return cutStamped(record)
	}
	if line, ok = cutFileName(record); ok {
		return nil, nil, line, true
	}
	name, line := scan.CutWord(record) // of compose
	line, ok = bytes.CutPrefix(bytes.TrimLeft(line, " "), []byte("|"))
	line, ok = cutBlank(line, ok) // the colour ends before or behind it
	return nil, nil, line, ok && len(name) > 0 && !bytes.ContainsAny(name, notInTag)
}

// cutBlank cuts the blank off a line, and the escapes of a terminal around it. ok says whether there may be one.
func cutBlank(line []byte, ok bool) ([]byte, bool) {
	line, blank := bytes.CutPrefix(withoutColour(line), []byte(" "))
	return withoutColour(line), ok && blank
}

// isStampTab reports whether p begins with "2026-11-20T20:25:30.123Z" and a tab.
func isStampTab(p []byte) bool {
	at := bytes.IndexByte(p[:min(len(p), 36)], '\t')
	return at > 19 && p[at-1] == 'Z' && isStampISO(append(bytes.Clone(p[:at]), ' '))
}

// cutFileName cuts the name of a log and a colon off a record, and the number of the line that grep -n
// writes behind it. A time of day is no such number,
// nor is what may be the beginning of an address of IPv6, as 2001.
func cutFileName(record []byte) (line []byte, ok bool) {
	name, line, ok := bytes.Cut(record, []byte(":"))
	base, ending, isLog := bytes.Cut(name, []byte(".log"))
	for _, packed := range []string{".gz", ".bz2", ".xz", ".zst"} {
		ending = bytes.TrimSuffix(ending, []byte(packed))
	}
	number, behind, numbered := bytes.Cut(line, []byte(":"))
	if numbered && len(number) < 12 && scan.IsDigits(number) {
		clock := len(line) > 8 && len(number) == 2 && line[5] == ':' && scan.IsDigits(line[6:8]) && line[8] != ':'
		if first, _ := scan.CutWord(line); !clock && (len(number) != 4 || !scan.IsAddress(first)) {
			line = behind
		}
	}
	return line, ok && isLog && len(base) > 0 && !bytes.ContainsAny(base, notInTag+" ") && len(bytes.Trim(ending, ".-_0123456789T")) == 0
}

// cutStamped is cutPrefix of a record that begins with a number.
func cutStamped(record []byte) (stamp, host, line []byte, ok bool) {
	if isWazuh(record) {
		from, line, ok := bytes.Cut(record[len("2026 Nov 20 20:25:30 "):], []byte("->"))
		if host, _, ok := bytes.Cut(from, []byte(") ")); ok {
			from = bytes.TrimPrefix(host, []byte("("))
		}
		_, line = scan.CutWord(line)
		return record[len("2026 "):len("2026 Nov 20 20:25:30")], from, line, ok
	}
	first, rest, ok := bytes.Cut(record, []byte("\t"))
	second, rest, more := bytes.Cut(rest, []byte("\t"))
	switch {
	case !ok || !more:
		return nil, nil, nil, false
	case len(first) == 13 && scan.IsDigits(first) && isStampISO(append(bytes.Clone(second), ' ')): // Grafana
		return second, nil, rest, true
	case len(first) == 19 && first[10] == ' ' && first[13] == ':' && bytes.IndexByte(second, '.') > 0 && !bytes.ContainsAny(second, " "): // Kiwi
		host, line, ok = bytes.Cut(rest, []byte("\t"))
		return first, host, line, ok
	case scan.IsDigits(first) && isStampISO(append(bytes.Clone(second), "Z "...)): // Papertrail
		return cutPapertrail(second, rest)
	}
	return nil, nil, nil, false
}

// cutPapertrail is cutPrefix of a line of an archive, behind its id and its time: when it was received, the source's id,
// name and address, a facility, a severity and a program stand before the message.
func cutPapertrail(stamp, rest []byte) (_, host, line []byte, ok bool) {
	columns := bytes.SplitN(rest, []byte("\t"), 8)
	if len(columns) < 8 || !isStampISO(append(bytes.Clone(columns[0]), "Z "...)) || !scan.IsDigits(columns[1]) {
		return nil, nil, nil, false
	}
	return append(bytes.Clone(stamp), 'Z'), columns[2], columns[7], true
}

// isWazuh reports whether p begins with "2026 Nov 20 20:25:30 ".
func isWazuh(p []byte) bool {
	return len(p) > 21 && scan.IsDigits(p[:4]) && p[4] == ' ' && isStamp3164(p[5:])
}

// cutKafka is cutPrefix of a message of kafka-console-consumer.
func cutKafka(record []byte) (stamp, host, line []byte, ok bool) {
	kind, line, ok := bytes.Cut(record, []byte("\t"))
	_, stamp, _ = bytes.Cut(kind, []byte(":"))
	for _, key := range []string{"Partition:", "Offset:", "NO_HEADERS", "null"} {
		if word, behind, more := bytes.Cut(line, []byte("\t")); more && bytes.HasPrefix(word, []byte(key)) {
			line = behind
		}
	}
	if key, behind, more := bytes.Cut(line, []byte("\t{")); more && len(key) > 0 && key[0] != '{' {
		line = line[len(line)-len(behind)-1:]
	}
	return stamp, nil, line, ok && scan.IsDigits(stamp)
}

// withoutColour returns a text without the escapes of a terminal that it begins with.
func withoutColour(text []byte) []byte {
	for bytes.HasPrefix(text, []byte("\x1b[")) {
		end := bytes.IndexByte(text, 'm')
		if end < 0 || end > len("\x1b[38;5;255;1m") {
			break
		}
		text = text[end+1:]
	}
	return text
}
