package columnar

import "testing"

// If this fails, one person is two: one in each encoding. The texts were encoded by Python.
func TestAppendName(t *testing.T) {
	for in, want := range map[string]string{
		"Zoe\u0301.Mu\u0308ller": "Zoé.Müller", "Zoé": "Zoé", "\u0301": "\u0301", "e\u0301\xe9": "éé",
		"":          "",
		"anna":      "anna",
		"Undefined": "", "(null)": "", " N/A ": "", "CORP\\-": "", "-\\-": "", "S-1-0-0": "", "\\": "",
		"00000000-0000-0000-0000-000000000000": "", "anonymous": "", "UNKNOWN": "",
		"Nona": "Nona", "nullman": "nullman", "unknown@corp.example": "unknown@corp.example", "ANONYMOUS LOGON": "ANONYMOUS LOGON",
		"CORP\\nobody": "CORP\\nobody",
		"'anna'":       "anna", `"anna"`: "anna", `"'anna'"`: "anna", "'": "'", "'t hooft": "'t hooft", "o'neill": "o'neill", "'-'": "", `""`: "",
		"anna\x00": "anna", "CORP\\\x00anna": "CORP\\anna", "\x00": "", "a\x00n\x00": "an",
		"anna\nanna": "anna", "-\nanna": "anna", "Anna\r\nanna\n": "Anna", "-\n-": "", "pc1$\nanna": "pc1$\nanna",
		"j\xf6rg":              "jörg",
		"jörg":                 "jörg",
		"CORP\\\xd8stensj\xf8": "CORP\\Østensjø",
		"\x80 \x8a\x9f":        "€ ŠŸ",
		"\x81":                 "\u0081",
		"jörg\xc3":             "jörgÃ",
		"\xff\xfe":             "ÿþ",
		"\xed\xa0\x80":         "í\u00a0€",
		"\xef\xbf\xbd":         "\ufffd",
	} {
		if got := string(AppendName(nil, []byte(in))); got != want {
			t.Errorf("AppendName(%q): got %q, want %q", in, got, want)
		}
	}
}
