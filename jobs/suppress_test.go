package jobs

import (
	"strings"
	"testing"
)

// If this fails, suppress damages a configuration, or writes an entry that no run reads.
func TestWithAllow(t *testing.T) {
	const entry = "- user: anna\n  reason: \"x\"\n  expires: 2099-01-01\n"
	for _, c := range []struct{ name, text, want string }{
		{"no list", "own: [a] # ours\n", "own: [a] # ours\n\nallow:\n  - user: anna\n    reason: \"x\"\n    expires: 2099-01-01\n"},
		{"no newline at the end", "own: [a]", "own: [a]\n\nallow:\n  - user: anna\n    reason: \"x\"\n    expires: 2099-01-01\n"},
		{"an empty file", "", "\nallow:\n  - user: anna\n    reason: \"x\"\n    expires: 2099-01-01\n"},
		{"an empty list", "allow: []\nown: [a]\n", "allow: \n  - user: anna\n    reason: \"x\"\n    expires: 2099-01-01\nown: [a]\n"},
		{"a key without a value", "allow:\nown: [a]\n", "allow:\n  - user: anna\n    reason: \"x\"\n    expires: 2099-01-01\nown: [a]\n"},
		{"entries at the margin", "allow: # known\n- host: h\n  reason: y\n  expires: 2099-01-01\n",
			"allow: # known\n- user: anna\n  reason: \"x\"\n  expires: 2099-01-01\n- host: h\n  reason: y\n  expires: 2099-01-01\n"},
		{"indented entries", "allow:\n    # first\n    - host: h\n      reason: y\n      expires: 2099-01-01\n",
			"allow:\n    - user: anna\n      reason: \"x\"\n      expires: 2099-01-01\n    # first\n    - host: h\n      reason: y\n      expires: 2099-01-01\n"},
		{"a list in a line", "allow: [{host: h, reason: y, expires: 2099-01-01}]\n", ""},
		{"no YAML", "own: [\n", ""},
	} {
		got, err := withAllow([]byte(c.text), []string{entry})
		if (err != nil) != (c.want == "") || string(got) != c.want {
			t.Errorf("%s: got %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
}

// If this fails, a mistyped name leads nowhere, or to a name that is nothing like it.
func TestClosest(t *testing.T) {
	names := []string{"upload_zscore", "upload_ratio", "beacon", "dns_model"}
	for name, want := range map[string]string{
		"upload_zscor": "upload_zscore", "uplaod_ratio": "upload_ratio", "BEACON": "beacon", "becon": "beacon", "dnsmodel": "dns_model",
		"": "", "x": "", "weekly": "", strings.Repeat("a", 1000): "",
	} {
		if got := closest(name, names); got != want {
			t.Errorf("%.20q: got %q, want %q", name, got, want)
		}
	}
}
