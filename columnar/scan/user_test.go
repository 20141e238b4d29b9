package scan

import "testing"

// If this fails, one person is two: one with the escapes of a web server, one without.
func TestUnescapeUser(t *testing.T) {
	for in, want := range map[string]string{
		"mira":                "mira",
		"mira%20koch":         "mira koch",
		`CORP\mira+koch`:      `CORP\mira koch`,
		"mira+x@corp.example": "mira+x@corp.example",
		`j\xC3\xB6rg`:         "jörg",
		`CORP\x5Cmira+k`:      `CORP\mira k`,
		`CORP\xaver`:          `CORP\xaver`,
		`CORP\xabi`:           `CORP\xabi`,
		`\x41`:                `\x41`,
		`\x`:                  `\x`,
		`"mira"`:              "mira",
		`""`:                  `""`,
	} {
		got := string(UnescapeUser(nil, []byte(in)))
		if got != want {
			t.Errorf("UnescapeUser(%q): got %q, want %q", in, got, want)
		}
		if got != in && !EscapedUser([]byte(in)) {
			t.Errorf("EscapedUser(%q): got false", in)
		}
	}
}
