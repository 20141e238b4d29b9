package store

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// This file tells from the text of a key which parts of it are dates, accounts, regions
// and numbers, and so which pattern the key has.

// A shape is the pattern of one segment of a key, as in Glob.
type shape struct {
	pattern string
	kind    shapeKind
}

type shapeKind uint8

const (
	literalShape shapeKind = iota // no placeholder and no glob
	wildShape                     // globs, accounts or regions, and no date
	dateShape                     // a date or a part of one
)

// A dating is what the segments of a key so far say of its day.
type dating struct {
	year, month, day int
	goesOn           bool // the last segment was a part of the date
}

func (d *dating) whole() bool { return d.day > 0 }

// date returns the day, or zero if the key does not say it.
func (d *dating) date() time.Time {
	if !d.whole() {
		return time.Time{}
	}
	return time.Date(d.year, time.Month(d.month), d.day, 0, 0, 0, 0, time.UTC)
}

// Years before and after these are taken for other numbers.
const firstYear, lastYear = 1990, 2099

// folderShape returns the shape of a folder's name, and notes in d what it says of the
// day.
func folderShape(segment string, d *dating) shape {
	name := decoded(segment)
	wasDate := d.goesOn
	d.goesOn = false
	key, value, hive := strings.Cut(name, "=")
	if !hive {
		key, value = "", name
	} else {
		key += "="
	}
	s := valueShape(strings.ToLower(strings.TrimSuffix(key, "=")), value, hive, wasDate, d)
	if s.kind == literalShape {
		return shape{escapeGlob(segment), literalShape}
	}
	s.pattern = escapeGlob(key) + s.pattern
	return s
}

// valueShape returns the shape of a folder's name or, if hive is true, of what follows
// its "key=".
func valueShape(key, value string, hive, wasDate bool, d *dating) shape {
	part := func(pattern string) shape {
		d.goesOn = true
		return shape{pattern, dateShape}
	}
	n, digits := number(value)
	switch {
	case value == "":
		return shape{"", literalShape}
	case is(key, "account", "accountid", "account_id", "account-id", "aws-account-id", "aws_account_id", "tenantid", "subscriptionid"),
		digits == 12 && !hive:
		return shape{"{account}", wildShape}
	case is(key, "region", "aws-region", "aws_region"), isRegion(value):
		return shape{"{region}", wildShape}
	case digits == 4 && n >= firstYear && n <= lastYear && d.year == 0 && (!hive || is(key, "year", "yyyy", "y")):
		d.year = n
		return part("{yyyy}")
	case (digits == 1 || digits == 2) && d.year > 0 && d.month == 0 && n >= 1 && n <= 12 && (wasDate && !hive || is(key, "month", "mm", "m")):
		d.month = n
		return part([]string{"{m}", "{mm}"}[digits-1])
	case (digits == 1 || digits == 2) && d.month > 0 && d.day == 0 && n >= 1 && n <= 31 && (wasDate && !hive || is(key, "day", "dd", "d")):
		d.day = n
		return part([]string{"{d}", "{dd}"}[digits-1])
	case digits > 0 && digits <= 2 && d.whole(), is(key, "hour", "hh", "h", "hr", "minute", "min"):
		return shape{"*", wildShape} // an hour or a minute
	}
	if d.year == 0 {
		if before, date, after, ok := cutDate(value, d); ok {
			// A number after the day is the hour.
			return part(generalise(before, isRandom) + date + generalise(after, isVariable))
		}
	}
	pattern := generalise(value, isRandom)
	if pattern == escapeGlob(value) {
		return shape{pattern, literalShape}
	}
	return shape{pattern, wildShape}
}

// compressed are the ends of names that tell a compression. A log is the same whether
// it is compressed already or not yet.
var compressed = []string{".gz", ".zst", ".bz2", ".lz4", ".snappy"}

// objectShape returns the pattern of an object's name without the end that tells its
// compression, and that end. It notes in d what the name says of the day.
func objectShape(name string, d *dating) (pattern, end string) {
	raw := name
	name = decoded(name)
	for _, e := range compressed {
		if rest, ok := strings.CutSuffix(name, e); ok && rest != "" {
			name, end = rest, e
			break
		}
	}
	if d.year == 0 {
		if before, date, after, ok := cutDate(name, d); ok {
			return generalise(before, isVariable) + date + generalise(after, isVariable), end
		}
	}
	if pattern = generalise(name, isVariable); pattern == escapeGlob(name) {
		before, ok := strings.CutSuffix(raw, end)
		if !ok {
			end = ""
		}
		pattern = escapeGlob(before)
	}
	return pattern, end
}

func decoded(name string) string {
	if strings.Contains(name, "%") {
		if d, err := url.PathUnescape(name); err == nil && !strings.Contains(d, "/") {
			return d
		}
	}
	return name
}

func is(key string, names ...string) bool { return slices.Contains(names, key) }

// number returns the value of a text of digits and their count; the count is 0 if
// anything else is in it.
func number(s string) (n, digits int) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, 0
		}
		n = (n*10 + int(c-'0')) % 1e12
	}
	return n, len(s)
}

// isRegion reports whether a name is that of a region of AWS: us-east-1.
func isRegion(s string) bool {
	parts := strings.Split(s, "-")
	last := len(parts) - 1
	if last < 2 || last > 4 || len(parts[0]) != 2 || len(parts[last]) != 1 || !hasDigit(parts[last]) {
		return false
	}
	where := parts[last-1]
	for _, direction := range []string{"north", "south", "east", "west", "central"} {
		where = strings.TrimPrefix(where, direction)
	}
	return where == "" && parts[last-1] != ""
}

// cutDate cuts the first date out of a text, notes it in d, and returns its placeholders.
func cutDate(s string, d *dating) (before, date, after string, ok bool) {
	for i := range s {
		if i > 0 && isDigit(s[i-1]) {
			continue
		}
		for _, sep := range []string{"", "-", "_", "."} {
			n := len("20260102") + 2*len(sep)
			if len(s) < i+n {
				continue
			}
			part := strings.Split(s[i:i+n], sep)
			if sep == "" {
				part = []string{s[i : i+4], s[i+4 : i+6], s[i+6 : i+8]}
			}
			if len(part) != 3 || len(part[0]) != 4 || len(part[1]) != 2 {
				continue
			}
			// 20261120 may be followed by the hour, minute and second.
			more := 0
			for i+n+more < len(s) && isDigit(s[i+n+more]) {
				more++
			}
			if more > 6 || more%2 > 0 || more > 0 && sep != "" {
				continue
			}
			t, err := time.Parse("20060102", part[0]+part[1]+part[2])
			if err != nil || t.Year() < firstYear || t.Year() > lastYear {
				continue
			}
			d.year, d.month, d.day = t.Year(), int(t.Month()), t.Day()
			return s[:i], "{yyyy}" + sep + "{mm}" + sep + "{dd}", s[i+n:], true
		}
	}
	return "", "", "", false
}

func isDigit(c byte) bool { return c-'0' < 10 }

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

// isRandom reports whether a run of letters and digits in a folder's name is an
// identifier or a serial number, and not a word.
func isRandom(run string) bool {
	if _, digits := number(run); digits >= 5 {
		return true
	}
	hex := strings.IndexFunc(run, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) }) < 0
	return hasDigit(run) && (hex && len(run) >= 8 || len(run) >= 16)
}

// isVariable is isRandom for the name of an object, where numbers tell hours, parts and
// hosts, and identifiers may have no digit.
func isVariable(run string) bool { return hasDigit(run) || len(run) >= 16 }

// generalise returns the pattern of a text in which the runs of letters and digits for
// which varies returns true are globs. A pattern has no two globs with only a separator
// between.
func generalise(s string, varies func(string) bool) string {
	const separators = "-_.:+ "
	var out strings.Builder
	pending := ""    // separators after a glob
	starred := false // a glob was written, and after it only separators
	for len(s) > 0 {
		n := strings.IndexFunc(s, func(r rune) bool { return !isWordRune(r) })
		if n < 0 {
			n = len(s)
		}
		if n == 0 {
			n = 1
			for n < len(s) && s[n]&0xc0 == 0x80 {
				n++
			}
			if c := s[:n]; starred && strings.Contains(separators, c) {
				pending += c
			} else {
				out.WriteString(pending + escapeGlob(c))
				pending, starred = "", false
			}
			s = s[n:]
			continue
		}
		run := s[:n]
		s = s[n:]
		if varies(run) {
			if !starred {
				out.WriteString("*")
			}
			pending, starred = "", true
			continue
		}
		out.WriteString(pending + run)
		pending, starred = "", false
	}
	return out.String() + pending
}

func isWordRune(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80
}

// escapeGlob returns the pattern that matches only s.
func escapeGlob(s string) string {
	if !strings.ContainsAny(s, globChars+"{") {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		if strings.ContainsRune(globChars+"{", r) {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}
