package columnar

import "testing"

// If this fails, one server is several: each is new, and what went to it is not added up.
func TestAppendHost(t *testing.T) {
	for host, want := range map[string]string{
		"vault.hush.example":         "vault.hush.example",
		"bücher.hush.example":        "xn--bcher-kva.hush.example",
		"bÜcher.hush.example":        "xn--bcher-kva.hush.example",
		"xn--bcher-kva.hush.example": "xn--bcher-kva.hush.example",
		"vault[.]hush[.]example":     "vault.hush.example",
		"vault(dot)hush[dot]example": "vault.hush.example",
		"[2001:db8::5]":              "[2001:db8::5]",
		"b\xfccher.example":          "b\xfccher.example", // no UTF-8
		"my_host.example":            "my_host.example",
		"":                           "",
	} {
		got := string(AppendHost(nil, []byte(host)))
		if got != want {
			t.Errorf("AppendHost(%q) = %q, want %q", host, got, want)
		}
		if again := string(AppendHost(nil, []byte(got))); again != got {
			t.Errorf("AppendHost(%q) = %q: what is canonical must stay", got, again)
		}
	}
}
