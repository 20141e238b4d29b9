package store

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A placeholder is what a pattern writes as {name}.
type placeholder struct {
	name string
	glob string // what it matches if it is not filled in
	expr string // the same as a regular expression
}

const digit = "[0-9]"

var placeholders = []placeholder{
	{"yyyy", digit + digit + digit + digit, digit + "{4}"},
	{"mm", digit + digit, digit + "{2}"},
	{"dd", digit + digit, digit + "{2}"},
	{"hh", digit + digit, digit + "{2}"},
	{"m", "[1-9]*", "[1-9]" + digit + "?"},
	{"d", "[1-9]*", "[1-9]" + digit + "?"},
	{"account", "*", "[^/]+"},
	{"region", "*", "[^/]+"},
}

func placeholderNamed(name string) *placeholder {
	for i := range placeholders {
		if placeholders[i].name == name {
			return &placeholders[i]
		}
	}
	return nil
}

// fill returns a pattern with its placeholders replaced by their values. A text between
// them passes through text, if that is not nil.
func fill(pattern string, text func(string) string, value func(*placeholder) string) (string, error) {
	var out strings.Builder
	begin := 0
	put := func(end int) {
		if s := pattern[begin:end]; text != nil {
			out.WriteString(text(s))
		} else {
			out.WriteString(s)
		}
	}
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case '{':
			name, _, ok := strings.Cut(pattern[i+1:], "}")
			p := placeholderNamed(name)
			if !ok || p == nil {
				return "", fmt.Errorf("template {%s: want {yyyy}, {mm}, {m}, {dd}, {d}, {hh}, {account} or {region}",
					strings.SplitAfter(name, "/")[0])
			}
			put(i)
			out.WriteString(value(p))
			i += len(name) + 1
			begin = i + 1
		}
	}
	put(len(pattern))
	return out.String(), nil
}

// Expand fills in the date placeholders of a URI for each of the days (UTC). {account}
// and {region}, and without days all placeholders, become globs. The result has each
// URI once, in the order of the days.
func Expand(uri string, days []time.Time) ([]string, error) {
	if len(days) == 0 {
		u, err := fill(uri, nil, func(p *placeholder) string { return p.glob })
		if err != nil {
			return nil, err
		}
		return []string{u}, nil
	}
	hours := 1
	if strings.Contains(uri, "{hh}") {
		hours = 24
	}
	var uris []string
	seen := map[string]bool{}
	for _, day := range days {
		day = day.UTC()
		for hour := range hours {
			u, err := fill(uri, nil, func(p *placeholder) string {
				switch p.name {
				case "yyyy":
					return day.Format("2006")
				case "mm":
					return day.Format("01")
				case "dd":
					return day.Format("02")
				case "hh":
					return fmt.Sprintf("%02d", hour)
				case "m":
					return strconv.Itoa(int(day.Month()))
				case "d":
					return strconv.Itoa(day.Day())
				}
				return p.glob
			})
			if err != nil {
				return nil, err
			}
			if !seen[u] {
				seen[u] = true
				uris = append(uris, u)
			}
		}
	}
	return uris, nil
}

// A Template matches names with a pattern, and says what its placeholders stand for.
type Template struct {
	pattern string
	expr    *regexp.Regexp
	names   []string // of the placeholders, in the order of the groups, after that of Base
}

// A Match is what a name says.
type Match struct {
	Base    string // what precedes the part that matches, see NewTemplate
	Account string
}

// NewTemplate compiles a pattern, which is a path as in Glob. The template matches
// whole names; of a pattern that ends with a slash, or whose last segment has no glob,
// also those of all objects below. If anywhere is true, the pattern may begin after
// any slash of a name, or anywhere if flat is true as well; the first such place
// counts.
func NewTemplate(pattern string, anywhere, flat bool) (*Template, error) {
	t := &Template{pattern: pattern}
	var bad error
	body, err := fill(pattern, func(text string) string {
		expr, err := globExpr(text)
		if err != nil && bad == nil {
			bad = fmt.Errorf("pattern %q: %w", pattern, err)
		}
		return expr
	}, func(p *placeholder) string {
		t.names = append(t.names, p.name)
		return "(" + p.expr + ")"
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return nil, err
	}
	base := "()"
	switch {
	case anywhere && flat:
		base = "(.*?)"
	case anywhere:
		base = "((?:[^/]*/)*?)"
	}
	last := pattern[strings.LastIndexByte(pattern, '/')+1:]
	below := ""
	switch {
	case last == "":
		below = ".*"
	case !strings.ContainsAny(last, globChars):
		below = "(?:/.+)?"
	}
	t.expr, err = regexp.Compile("(?s)^" + base + body + below + "$")
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	return t, nil
}

// globExpr returns the regular expression of a part of a pattern without placeholders.
func globExpr(glob string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			switch {
			case strings.HasPrefix(glob[i:], "**/") && (i == 0 || glob[i-1] == '/'):
				out.WriteString("(?:[^/]*/)*")
				i += 2
			case glob[i:] == "**" && (i == 0 || glob[i-1] == '/'):
				out.WriteString(".*")
				i++
			default:
				out.WriteString("[^/]*")
			}
		case '?':
			out.WriteString("[^/]")
		case '[':
			n, expr := classExpr(glob[i:])
			if n == 0 {
				return "", fmt.Errorf("[ without ]")
			}
			out.WriteString(expr)
			i += n - 1
		case '\\':
			i++
			if i == len(glob) {
				return "", fmt.Errorf(`\ at the end`)
			}
			fallthrough
		default:
			_, n := utf8.DecodeRuneInString(glob[i:])
			out.WriteString(regexp.QuoteMeta(glob[i : i+n]))
			i += n - 1
		}
	}
	return out.String(), nil
}

// classExpr returns the length of the class that glob begins with, as path.Match reads
// it, and its regular expression. The length is 0 if the class has no end.
func classExpr(glob string) (int, string) {
	var out strings.Builder
	out.WriteByte('[')
	for i := 1; i < len(glob); i++ {
		switch c := glob[i]; {
		case c == '^' && i == 1, c == '-' && i > 1:
			out.WriteByte(c)
			continue
		case c == ']' && i > 1:
			out.WriteByte(']')
			return i + 1, out.String()
		case c == '\\':
			i++
		}
		r, n := utf8.DecodeRuneInString(glob[min(i, len(glob)):])
		fmt.Fprintf(&out, `\x{%x}`, r)
		i += n - 1
	}
	return 0, ""
}

// Match returns what a name says, if it matches: as it is, or percent-decoded. If a
// placeholder stands twice, both must say the same.
func (t *Template) Match(name string) (Match, bool) {
	m, ok := t.match(name)
	if !ok && strings.Contains(name, "%") {
		if decoded, err := url.PathUnescape(name); err == nil {
			m, ok = t.match(decoded)
		}
	}
	return m, ok
}

func (t *Template) match(name string) (m Match, ok bool) {
	groups := t.expr.FindStringSubmatch(name)
	if groups == nil {
		return m, false
	}
	m.Base = groups[1]
	values := groups[2:]
	for i, n := range t.names {
		if first := slices.Index(t.names, n); values[first] != values[i] {
			return Match{}, false
		}
		if n == "account" {
			m.Account = values[i]
		}
	}
	return m, true
}
