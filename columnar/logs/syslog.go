package logs

import (
	"bytes"
	"time"

	"outflow/columnar/scan"
)

// A syslogLine is a line of syslog in any of the forms that relays write to files and
// objects:
//
//	<30>1 2026-11-20T20:25:30.5Z host prog 71 - [sd@1 a="b"] message     RFC 5424
//	1 2026-11-20T20:25:30.5Z host prog 71 - - message                    the same behind a relay's header
//	<30>Nov 20 20:25:30 host prog[71]: message                           RFC 3164
//	<30>Nov 20 20:25:30 host prog {"a":1}                                Strata's log forwarding
//	2026-11-20T20:25:30.5+01:00 host prog[71]: message                   rsyslog, journald
//	Nov 20 20:25:30.123456 host prog[71]: message                        journalctl -o short-precise
//	Nov 20 20:25:30.123 UTC host prog[71]: message                       Cisco's relays
//	1795206330.123456 host prog[71]: message                             journalctl -o short-unix
//	2026 Nov 20 20:25:30 host prog[71]: message                          syslog-ng, with the year
//	Fri 2026-11-20 20:25:30 CET host prog[71]: message                   journalctl -o short-full
//	Fri Nov 20 20:25:30 2026 daemon.info prog[71]: message               OpenWrt
//	<30>Nov 20 2026 20:25:30 CET host : %ASA-6-302013: message           Cisco
//	<30>:Nov 20 20:25:30 UTC: %ASA-6-302013: message                     Cisco, EMBLEM
//	@cee: {"a":1}                                                        Suricata, without a header
//	<30>message                                                          of a firewall
//
// each with or without <30>, a host and a zone. What is missing is nil. A line of RFC 5424
// that ends with its structured data has its message in there, behind the kind of message if
// it has one; data is the same of one that has a message behind it.
type syslogLine struct {
	stamp, host, program, pid, message, data []byte
}

// parse reports whether line has a header.
func (s *syslogLine) parse(line []byte) bool {
	*s = syslogLine{}
	rest := scan.WithoutPriority(line)
	if bytes.HasPrefix(rest, []byte("1 ")) && (len(rest) < len(line) || isStampISO(rest[2:])) && s.parse5424(rest[2:]) {
		return true
	}
	s.message = rest
	switch {
	case isStamp3164(rest):
		s.stamp, rest = rest[:15], rest[16:]
	case isStampISO(rest):
		s.stamp, rest = scan.CutWord(rest)
	case len(rest) > 25 && isStamp3164(rest[4:]) && rest[3] == ' ' && rest[24] == ' ':
		s.stamp = rest[:24]
		_, rest = scan.CutWord(rest[25:]) // facility.severity
	case isYearFirst(rest):
		s.stamp, rest = rest[:20], rest[21:]
	case isUnix(rest):
		s.stamp, rest = scan.CutWord(rest)
	case isPrecise(rest):
		s.stamp = rest[:15]
		fraction, behind := scan.CutWord(rest[15:])
		if utc, of := bytes.CutPrefix(behind, utcWord); of {
			s.stamp, behind = rest[:15+len(fraction)+len(" UTC")], utc
		}
		rest = behind
	case isFull(rest):
		end := 24 + bytes.IndexByte(rest[24:], ' ')
		s.stamp, rest = rest[4:end], rest[end+1:]
	case s.parseCisco(rest):
		return true
	case bytes.HasPrefix(rest, ceeCookie):
		return true
	default:
		return len(rest) < len(line)
	}
	rest = bytes.TrimLeft(rest, " ")
	s.message = rest
	word, behind := scan.CutWord(rest)
	if !isTag(word) {
		if isMnemonic(word) {
			return true
		}
		if len(word) == 0 || bytes.ContainsAny(word, notInTag) {
			return len(s.message) < len(line) && line[0] == '<'
		}
		s.host, s.message = word, bytes.TrimPrefix(bytes.TrimLeft(behind, " "), []byte(": "))
		if word, behind = scan.CutWord(bytes.TrimLeft(behind, " ")); !isTag(word) {
			// Some write no colon behind the program's name.
			if bytes.HasPrefix(behind, []byte(`{"`)) && !bytes.ContainsAny(word, notInTag) {
				s.program, s.message = word, behind
			}
			return true
		}
	}
	s.message = behind
	s.program = word[:len(word)-1]
	if at := bytes.IndexByte(s.program, '['); at > 0 && s.program[len(s.program)-1] == ']' {
		s.pid = s.program[at+1 : len(s.program)-1]
		s.program = s.program[:at]
	}
	return true
}

// parse5424 parses what stands behind "<30>1 ".
func (s *syslogLine) parse5424(line []byte) bool {
	p := line
	var words [5][]byte // time, host, program, process, kind of message
	for i := range words {
		word, rest := scan.CutWord(p)
		if len(word) == 0 || rest == nil {
			return false
		}
		if string(word) != "-" {
			words[i] = word
		}
		p = rest
	}
	if words[0] != nil && (len(words[0]) < 19 || words[0][10] != 'T') {
		return false
	}
	end := structuredEnd(p)
	if end < 0 {
		return false
	}
	s.stamp, s.host, s.program, s.pid = words[0], words[1], words[2], words[3]
	s.message = bytes.TrimPrefix(bytes.TrimPrefix(p[end:], []byte{' '}), utf8BOM)
	if p[0] != '[' {
		return true
	}
	from := len(line) - len(p) + 1
	if words[4] != nil {
		from -= len(words[4]) + 2
	}
	if behind := line[len(line)-len(p)+end:]; len(trimEOL(behind)) == 0 {
		s.message = line[from:]
	} else {
		s.data = line[from : len(line)-len(behind)]
	}
	return true
}

// parseCisco parses "Nov 20 2026 20:25:30 CET host : message", whose year, zone and host may
// be missing, as a space before the last colon may.
func (s *syslogLine) parseCisco(p []byte) bool {
	p, emblem := bytes.CutPrefix(p, []byte{':'})
	at := len("Nov 20 ")
	if len(p) < at+14 || p[0]-'A' >= 26 || p[1]-'a' >= 26 || p[3] != ' ' || p[6] != ' ' {
		return false
	}
	if _, ok := scan.Int(p[at : at+4]); ok && p[at+4] == ' ' {
		at += len("2026 ")
	}
	end := at + len("20:25:30")
	if len(p) < end+2 || p[at+2] != ':' || p[at+5] != ':' || p[end-1]-'0' > 9 {
		return false
	}
	stamp := end
	if p[end] == '.' {
		for end++; end < len(p) && p[end]-'0' <= 9; end++ {
		}
	}
	words, message, ok := bytes.Cut(p[end:], []byte(": "))
	words = bytes.TrimRight(words, " ")
	if !ok || len(words) > 0 && words[0] != ' ' || bytes.Count(words, []byte{' '}) > 2 || bytes.ContainsAny(words, notInTag) {
		return false
	}
	if zone := []byte(" UTC"); bytes.HasPrefix(words, zone) {
		stamp, words = end+len(zone), words[len(zone):]
	}
	s.stamp, s.message = p[:stamp], message
	if emblem { // which has no host
		return true
	}
	if host := scan.AfterLast(words, ' '); len(host) > 0 {
		s.host = host
	}
	return true
}

// structuredEnd returns where the structured data that p begins with ends, -1 if
// there is none: "-", or elements [id name="value" …] whose values escape quotes and
// brackets.
func structuredEnd(p []byte) int {
	if len(p) > 0 && p[0] == '-' {
		return 1
	}
	end := -1
	for i := 0; i < len(p) && p[i] == '['; end = i {
		quoted := false
		for i++; i < len(p) && (quoted || p[i] != ']'); i++ {
			switch {
			case p[i] == '"':
				quoted = !quoted
			case p[i] == '\\' && quoted:
				i++
			}
		}
		if i++; i > len(p) {
			return -1
		}
	}
	return end
}

// isStamp3164 reports whether p begins with "Nov 20 20:25:30 ".
func isStamp3164(p []byte) bool {
	return len(p) >= 16 && p[3] == ' ' && p[6] == ' ' && p[9] == ':' && p[12] == ':' && p[15] == ' ' &&
		p[0]-'A' < 26 && p[1]-'a' < 26 && p[5]-'0' <= 9 && p[14]-'0' <= 9
}

// isPrecise reports whether p begins with "Nov 20 20:25:30.123456 host prog[71]: ".
func isPrecise(p []byte) bool {
	if len(p) < 18 || p[3] != ' ' || p[6] != ' ' || p[9] != ':' || p[12] != ':' || p[15] != '.' || p[0]-'A' >= 26 || p[14]-'0' > 9 {
		return false
	}
	fraction, rest := scan.CutWord(p[16:])
	_, isNumber := scan.Int(fraction)
	return isNumber && tagged(bytes.TrimPrefix(rest, utcWord))
}

var utcWord = []byte("UTC ")

// isYearFirst reports whether p begins with "2026 Nov 20 20:25:30 ".
func isYearFirst(p []byte) bool {
	return len(p) > 20 && p[4] == ' ' && scan.IsDigits(p[:4]) && isStamp3164(p[5:])
}

// isUnix reports whether p begins with "1795206330.123456 host prog[71]: ".
func isUnix(p []byte) bool {
	stamp, rest := scan.CutWord(p)
	return len(stamp) == len("1795206330.123456") && stamp[10] == '.' && scan.IsDigits(stamp[:10]) && scan.IsDigits(stamp[11:]) && tagged(rest)
}

// isFull reports whether p begins with "Fri 2026-11-20 20:25:30 CET host prog[71]: ".
func isFull(p []byte) bool {
	if len(p) < 30 || p[3] != ' ' || p[8] != '-' || p[11] != '-' || p[14] != ' ' || p[17] != ':' || p[20] != ':' || p[23] != ' ' || p[0]-'A' >= 26 {
		return false
	}
	_, rest := scan.CutWord(p[24:])
	return tagged(rest)
}

// tagged reports whether p begins with the name of a machine and that of a program.
func tagged(p []byte) bool {
	host, rest := scan.CutWord(p)
	tag, _ := scan.CutWord(rest)
	return len(host) > 0 && !bytes.ContainsAny(host, notInTag) && isTag(tag)
}

// isStampISO reports whether p begins with "2026-11-20T20:25:30", parts of seconds and a
// zone or not, and a space.
func isStampISO(p []byte) bool {
	if len(p) < 20 || p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' || p[16] != ':' || p[0]-'0' > 9 {
		return false
	}
	for _, c := range p[19:min(len(p), 40)] {
		switch {
		case c == ' ':
			return true
		case c-'0' > 9 && c != '.' && c != '+' && c != '-' && c != ':' && c != 'Z':
			return false
		}
	}
	return false
}

// isTag reports whether a word is the program of a syslog line: "prog[71]:".
func isTag(word []byte) bool {
	return len(word) > 1 && word[len(word)-1] == ':' && !isMnemonic(word) && !bytes.ContainsAny(word, notInTag)
}

// isMnemonic reports whether a word is the kind of a message, as Cisco writes it:
// "%ASA-6-302013:".
func isMnemonic(word []byte) bool { return len(word) > 1 && word[0] == '%' && word[len(word)-1] == ':' }

// notInTag are bytes that are in no name of a program or machine.
const notInTag = "\t\"'{}<>=,;|#"

// A stamper reads the times of wrappers: those of syslog, ISO 8601 and epochs of any
// magnitude, as numbers or text.
type stamper struct {
	syslog  scan.SyslogClock
	scratch []byte
}

// iso returns a stamp in a form that dialects with a header of syslog read; nil if
// it says no time.
func (c *stamper) iso(stamp []byte) []byte {
	switch {
	case len(stamp) == 15, len(stamp) > 18 && stamp[4] == '-' && stamp[10] == 'T' && bytes.IndexByte(stamp, ' ') < 0:
		return stamp
	case len(stamp) == 24 && stamp[3] == ' ' && stamp[7] == ' ': // OpenWrt's, of the zone of the options
		t, err := time.Parse("Mon Jan _2 15:04:05 2006", string(stamp))
		if err != nil {
			return nil
		}
		c.scratch = t.AppendFormat(c.scratch[:0], "2006-01-02T15:04:05")
		return c.scratch
	}
	us, ok := c.time(stamp)
	if !ok {
		return nil
	}
	c.scratch = time.UnixMicro(us).UTC().AppendFormat(c.scratch[:0], "2006-01-02T15:04:05.000000Z")
	return c.scratch
}

// time returns a stamp in µs UTC.
func (c *stamper) time(stamp []byte) (us int64, ok bool) {
	switch {
	case len(stamp) == 0:
		return 0, false
	case len(stamp) == 15 && stamp[3] == ' ', len(stamp) == 24 && stamp[3] == ' ' && stamp[7] == ' ':
		c.scratch = append(append(c.scratch[:0], stamp...), ' ')
		us, _, ok = c.syslog.Parse(c.scratch)
		return us, ok
	case len(stamp) > 18 && stamp[3] == ' ' && stamp[9] == ':' && bytes.HasSuffix(stamp, []byte(" UTC")): // without a year
		utc := c.syslog
		utc.Zone = nil
		c.scratch = append(append(c.scratch[:0], stamp[:15]...), ' ')
		us, _, ok = utc.Parse(c.scratch)
		return us, ok
	}
	if us, ok = c.syslog.ISO(stamp); ok { // most
		return us, true
	}
	return c.syslog.Any(stamp)
}
