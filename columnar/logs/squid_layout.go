package logs

import (
	"fmt"
	"strings"
)

// A logformat directive, compiled to the steps that cut a line.

// squidField is what one field of a logformat is to us.
type squidField uint8

const (
	squidOther squidField = iota
	squidSeconds
	squidMillis
	squidDate // %tl and %tg: 02/Jan/2006:15:04:05 -0700
	squidClient
	squidClientName
	squidServer
	squidUser
	squidMethod
	squidURL
	squidPath
	squidHost
	squidStatus
	squidOut
	squidIn
	squidAction
	squidHierarchy
	squidAgent
	squidReferrer
	numSquidFields
)

// squidCodes are the format codes that are known. If a layout has several codes for one
// field, the first in this list is read.
var squidCodes = []struct {
	code  string
	field squidField
}{
	{"ts", squidSeconds}, {"tu", squidMillis}, {"tg", squidDate}, {"tl", squidDate},
	{">a", squidClient}, {">A", squidClientName}, {"<a", squidServer},
	// un is the best of the others; ui is what the client says.
	{"un", squidUser}, {"ul", squidUser}, {"ue", squidUser}, {"us", squidUser}, {"ui", squidUser},
	{"rm", squidMethod}, {">rm", squidMethod}, {"<rm", squidMethod},
	{"ru", squidURL}, {">ru", squidURL}, {"<ru", squidURL},
	{"rp", squidPath}, {">rp", squidPath}, {"<rp", squidPath}, {">rd", squidHost}, {"<rd", squidHost},
	{">Hs", squidStatus}, {"Hs", squidStatus}, {"<Hs", squidStatus},
	{">st", squidOut}, {"<st", squidIn}, {"Ss", squidAction}, {"Sh", squidHierarchy},
	{">h", squidAgent}, // of the header User-Agent; of Referer squidReferrer
	{"tr", squidOther}, {"dt", squidOther}, {"st", squidOther}, {">sh", squidOther}, {"<sh", squidOther}, {"mt", squidOther},
	{">p", squidOther}, {"la", squidOther}, {"lp", squidOther}, {"<A", squidOther}, {"<p", squidOther}, {"<la", squidOther}, {"<lp", squidOther},
	{"<h", squidOther}, {"rv", squidOther}, {">rv", squidOther}, {"<rv", squidOther}, {">rs", squidOther}, {"<rs", squidOther}, {">rP", squidOther}, {"<rP", squidOther},
	{"<tt", squidOther}, {"<pt", squidOther}, {"err_code", squidOther}, {"err_detail", squidOther}, {"ea", squidOther}, {"et", squidOther}, {"sn", squidOther},
	{"lr", squidOther}, {"qos", squidOther}, {"note", squidOther}, {">eui", squidOther}, {"handshake", squidOther}, {"sni", squidOther}, {">sni", squidOther}, {"bump_mode", squidOther},
}

// A squidLayout is a compiled logformat: fields with literal text between them.
type squidLayout struct {
	lead   string // before the first field
	fields []squidItem
	open   int    // the one field that may have spaces, -1 if there is no such or more than one
	tail   string // begins what may stand behind the last field, which nobody reads; "": nothing
	hasURL bool   // else from host and path
	timed  bool

	steps []squidStep // what usual does, nil if it cannot read the format
}

type squidItem struct {
	field  squidField
	quoted bool   // in quotes, within which quotes are escaped
	padded bool   // spaces may stand before it
	after  string // the text behind it
}

// A squidStep cuts one field off a usual line.
type squidStep struct {
	word, mask uint64 // the text behind the field, and which of the 8 bytes at its place that is
	size       uint32 // of that text
	end        squidEnd
	field      squidField
	quoted     bool
	padded     bool
}

// squidEnd is how the end of a field is found.
type squidEnd uint8

const (
	squidToSpace squidEnd = iota
	squidToQuote
	squidToSize // of a date
	squidToByte
	squidToEnd // of the line
)

const squidDateSize = len("02/Jan/2006:15:04:05 -0700")

// compileSquid compiles a logformat directive, or what stands in one behind its
// name.
func compileSquid(format string) (*squidLayout, error) {
	spec := strings.TrimSpace(format)
	if rest, ok := strings.CutPrefix(spec, "logformat "); ok {
		_, spec, _ = strings.Cut(strings.TrimSpace(rest), " ")
		spec = strings.TrimSpace(spec)
	}
	l := &squidLayout{}
	rank := [numSquidFields]int{}
	var agents, free []int
	for spec != "" {
		literal, rest, more := strings.Cut(spec, "%")
		for more && strings.HasPrefix(rest, "%") {
			var text string
			text, rest, more = strings.Cut(rest[1:], "%")
			literal += "%" + text
		}
		if n := len(l.fields); n == 0 {
			l.lead = literal
		} else {
			l.fields[n-1].after = literal
		}
		if !more {
			break
		}
		n := len(l.fields)
		if n > 0 && literal == "" {
			return nil, fmt.Errorf("logformat %q: nothing stands between two fields, so they cannot be told apart: put a space there", format)
		}
		field, r, header, left, err := squidCode(rest)
		if err != nil {
			return nil, fmt.Errorf("logformat %q: %w", format, err)
		}
		item := squidItem{
			field:  field,
			quoted: strings.HasSuffix(literal, `"`) && strings.HasPrefix(left, `"`),
			padded: strings.HasSuffix(literal, " ") && rest[0]-'1' < 9,
		}
		if header && !item.quoted {
			return nil, fmt.Errorf(`logformat %q: a header can hold spaces: put its field in quotes, as in "%%{User-Agent}>h"`, format)
		}
		if field != squidOther {
			switch have := rank[field]; {
			case have == 0:
				rank[field] = r
			case r < have:
				for i := range l.fields {
					if l.fields[i].field == field {
						l.fields[i].field = squidOther
					}
				}
				rank[field] = r
			default:
				item.field = squidOther
			}
		}
		if header {
			agents = append(agents, n)
		} else if field == squidURL || field == squidPath {
			free = append(free, n)
		}
		l.fields = append(l.fields, item)
		spec = left
	}
	l.timed = rank[squidSeconds] != 0 || rank[squidDate] != 0
	l.open = -1
	if len(agents) == 0 && len(free) == 1 && !l.fields[free[0]].quoted {
		l.open = free[0]
	}
	l.hasURL = rank[squidURL] != 0
	l.plan()
	return l, nil
}

// plan finds out how a usual line is cut.
func (l *squidLayout) plan() {
	if strings.ContainsAny(l.lead, "\r\n") {
		return
	}
	steps := make([]squidStep, len(l.fields))
	for i, f := range l.fields {
		if len(f.after) > 8 || strings.ContainsAny(f.after, "\r\n") {
			return
		}
		s := squidStep{size: uint32(len(f.after)), field: f.field, quoted: f.quoted, padded: f.padded}
		s.mask = 1<<(8*s.size) - 1
		for k := range f.after {
			s.word |= uint64(f.after[k]) << (8 * k)
		}
		switch {
		case f.field == squidDate:
			s.end = squidToSize
		case f.quoted || f.after != "" && f.after[0] == '"':
			s.end = squidToQuote
		case f.after == "":
			s.end = squidToEnd
		case f.after[0] == ' ':
			s.end = squidToSpace
		default:
			s.end = squidToByte
		}
		steps[i] = s
	}
	l.steps = steps
}

// squidCode parses the code behind a percent sign: modifiers, width, argument,
// namespace, name. rank orders codes of the same field, from 1.
func squidCode(s string) (field squidField, rank int, header bool, rest string, err error) {
	whole := s
	s = strings.TrimLeft(s, "\"['#/")
	s = strings.TrimLeft(s, "-0123456789.")
	var arg string
	if strings.HasPrefix(s, "{") {
		var ok bool
		if arg, s, ok = strings.Cut(s[1:], "}"); !ok {
			return 0, 0, false, "", fmt.Errorf("%%%s: no } behind {", whole)
		}
	}
	for _, namespace := range []string{"http::", "ssl::", "tls::", "icap::", "adapt::", "acl::", "proxy_protocol::", "transport::"} {
		s = strings.TrimPrefix(s, namespace)
	}
	longest := ""
	for i, c := range squidCodes {
		if len(c.code) > len(longest) && strings.HasPrefix(s, c.code) {
			longest, field, rank = c.code, c.field, i+1
		}
	}
	if longest == "" {
		return 0, 0, false, "", fmt.Errorf("%%%s: the code is not known", whole)
	}
	s = s[len(longest):]
	if arg == "" && strings.HasPrefix(s, "{") {
		arg, s, _ = strings.Cut(s[1:], "}")
	}
	switch {
	case longest == ">h" || longest == "<h":
		header = true
		switch {
		case field != squidAgent || strings.EqualFold(arg, "User-Agent"):
		case strings.EqualFold(arg, "Referer"):
			field = squidReferrer
		default:
			field = squidOther
		}
	case field == squidDate && arg != "":
		return 0, 0, false, "", fmt.Errorf("%%%s: a time of a format of its own is not read: use %%ts.%%03tu, %%tl or %%tg", whole)
	}
	return field, rank, header, s, nil
}
