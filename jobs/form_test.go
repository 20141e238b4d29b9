package jobs

import (
	"bytes"
	"encoding/json"
	"testing"
)

// If this fails, --as json writes characters to a terminal that turn its text around or
// hide in it, or it changes what the JSON says.
func TestInvisibleJSON(t *testing.T) {
	const text = "Zoë a\u0301 \u202eexe.gnp\u200b \u009b31m \x7f \U000e0041 \\u202e"
	var out bytes.Buffer
	p := &program{stdout: &out}
	if err := p.printJSON(text); err != nil {
		t.Fatal(err)
	}
	const want = `"Zoë a` + "\u0301" + ` \u202eexe.gnp\u200b \u009b31m \u007f \udb40\udc41 \\u202e"` + "\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	var back string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back != text {
		t.Errorf("got %q, %v, want %q", back, err, text)
	}
}
