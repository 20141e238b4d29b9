package store

import (
	"path"
	"strings"
	"testing"
)

func TestTemplate(t *testing.T) {
	for _, c := range []struct {
		pattern        string
		anywhere, flat bool
		name           string
		want           string // base|account, or no
	}{
		{"AWSLogs/{account}/x/{region}/{yyyy}/{mm}/{dd}/", false, false, "AWSLogs/1/x/eu/2026/11/20/a/b.gz", "|1"},
		{"AWSLogs/{account}/x/{region}/{yyyy}/{mm}/{dd}/", false, false, "p/AWSLogs/1/x/eu/2026/11/20/a", "no"},
		{"AWSLogs/{account}/x/{region}/{yyyy}/{mm}/{dd}/", true, false, "p/q/AWSLogs/1/x/eu/2026/11/20/a", "p/q/|1"},
		{"AWSLogs/{account}/x/{region}/{yyyy}/{mm}/{dd}/", true, false, "pAWSLogs/1/x/eu/2026/11/20/a", "no"},
		{"AWSLogs/{account}/x/{region}/{yyyy}/{mm}/{dd}/", true, false, "AWSLogs/1/x/eu/2026/11/20", "no"},
		{"{yyyy}-{mm}-{dd}-*", true, true, "logs/E1.2026-11-20-03", "logs/E1.|"},
		{"{yyyy}-{mm}-{dd}", false, false, "2026-02-31", "|"}, // no such day
		{"{yyyy}{mm}{dd}/{yyyy}{mm}{dd}T*", false, false, "20261120/20261121T", "no"},
		{"y={yyyy}/m={mm}/d={dd}/h=*/m=00/", false, false, "y=2026/m=11/d=20/h=05/m=00/PT1H.json", "|"},
		{"year={yyyy}/month={m}/day={d}/", false, false, "year=2026/month=3/day=9/a", "|"},
		{"dt={yyyy}-{mm}-{dd}/", false, false, "dt%3D2026-11-20/a", "|"},
		{"dt={yyyy}-{mm}-{dd}/", false, false, "dt%3D2026-11-20/%zz", "no"},
		{"a/**/{account}.log", false, false, "a/b/c/7.log", "|7"},
		{"a/**/{account}.log", false, false, "a/7.log", "|7"},
		{"a/**", false, false, "a/b/c", "|"},
		{"{account}", false, false, "a\nb\x00", "|a\nb\x00"},
		{"a", false, false, "a/b", "|"}, // a folder
		{"a*", false, false, "a/b", "no"},
	} {
		tmpl, err := NewTemplate(c.pattern, c.anywhere, c.flat)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		got := "no"
		if m, ok := tmpl.Match(c.name); ok {
			got = m.Base + "|" + m.Account
		}
		if got != c.want {
			t.Errorf("%s on %q: got %q, want %q", c.pattern, c.name, got, c.want)
		}
	}
	for _, pattern := range []string{"[", "a[b", `a\`, "{x}", "{yyyy"} {
		if _, err := NewTemplate(pattern, false, false); err == nil {
			t.Errorf("%q: got no error", pattern)
		}
	}
}

// FuzzTemplate compares the globs of one segment with path.Match.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"a*b", "[a-c]?", "[^a]x", `\*`, "[]a]", "[a-]", `[\]]`, "[[]", "é?", "a.+(", "[x-\\z]"} {
		f.Add(s, "abc")
		f.Add(s, "]x")
		f.Add(s, "*")
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if strings.ContainsAny(pattern, "{/") || strings.Contains(pattern, "**") || strings.ContainsAny(name, "/%") || name == "" || pattern == "" ||
			strings.ToValidUTF8(pattern+name, "") != pattern+name {
			return
		}
		want, err := path.Match(pattern, name)
		if err != nil {
			return // path.Match reports bad patterns only if it gets that far
		}
		tmpl, err := NewTemplate(pattern, false, false)
		if err != nil {
			if want {
				t.Errorf("%q matches %q, but: %v", pattern, name, err)
			}
			return
		}
		if _, got := tmpl.Match(name); got != want {
			t.Errorf("%q on %q: got %v, want %v", pattern, name, got, want)
		}
	})
}
