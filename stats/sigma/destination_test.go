package sigma

import "testing"

// If this fails, data that goes to one place counts as going to several, or the key of a rule
// is misread in silence.
func TestDestination(t *testing.T) {
	rule := func(destination string) string {
		return "title: x\nlogsource: {product: aws}\ndetection: {c: {a: b}, condition: c}\ndestination: " + destination + "\n"
	}
	for _, c := range []struct{ destination, text, want string }{
		{"{field: a, match: '^s3://([^/]+)', level: high}", "s3://Evil-1/out/x", "evil-1"},
		{"{field: a, match: '^s3://([^/]+)'}", "results", ""},
		{"{field: a, match: 'x=(\\w+)|y=(\\w+)'}", "y=7", "7"},
		{"{field: a, match: '[0-9]+'}", "to 42", "42"},
		{"{field: a}", " Ann@Mail.example ", "ann@mail.example"},
		{"{field: [a, b]}", "Z", "z"},
	} {
		set, errs := Load([]File{{Name: "r.yml", Text: []byte(rule(c.destination))}}, Options{})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		if got := string(set.Rules[0].Destination.In([]byte(c.text))); got != c.want {
			t.Errorf("%s of %q: got %q, want %q", c.destination, c.text, got, c.want)
		}
	}
	for _, bad := range []string{"evil", "{match: x}", "{field: a, level: grave}", "{field: a, match: '('}", "{field: a, to: b}", "{field: {x: y}}", "{field: []}"} {
		if _, errs := Load([]File{{Name: "r.yml", Text: []byte(rule(bad))}}, Options{}); len(errs) == 0 {
			t.Errorf("%s: no error", bad)
		}
	}
	for text, want := range map[string]bool{
		"ann@gmail.com": true, "gmail.com": true, "Shared with ann.b@GMX.de, x": true, "ann@yahoo.co.uk": true, "ann_gmail.com#EXT#@corp.example": true,
		"ann@gmail.com.evil.example": false, "ann@notgmail.com": false, "ann@live-arts.example": false, "ann@corp.example": false, "gmail": false,
	} {
		if got := Private(text); got != want {
			t.Errorf("%q is private: got %t", text, got)
		}
	}
}
