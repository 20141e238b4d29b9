package logs

import "testing"

// If this fails, the packets of servers whose log is in a code page have no time.
func TestWinHalf(t *testing.T) {
	for text, want := range map[string]int{
		"AM": 0, "p. m.": 1, "\u202fPM": 1, "下午": 1, "ч.": winWhole, "soon": -1,
		"\xf0\xec":         0, // Greek, 1253
		"\xec\xec":         1,
		"\xc9\xcf\xce\xe7": 0, // simplified Chinese, 936
		"\xcf\xc2\xce\xe7": 1,
		"\xa4\x57\xa4\xc8": 0, // traditional Chinese, 950
		"\xa4\x55\xa4\xc8": 1,
		"\xbf\xc0\xc0\xfc": 0, // Korean, 949
		"\xbf\xc0\xc8\xc4": 1,
		"\x8c\xdf\x91\x4f": 0, // Japanese, 932
		"\x8c\xdf\x8c\xe3": 1,
		"\xf7.":            winWhole, // Bulgarian, 1251
	} {
		if got := winHalf([]byte(text)); got != want {
			t.Errorf("winHalf(%q): got %d, want %d", text, got, want)
		}
	}
}
