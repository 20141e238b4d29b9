package reports

import (
	"strings"
	"testing"
)

// An expression that a text without its words would match is not tried, and the secret stays.
func FuzzMasked(f *testing.F) {
	for _, text := range []string{
		`7z.exe a -pX out.7z c:\finance`, `winrar a -hpX out`, `zip -P X a.zip b`, `sshpass -p X ssh host`, `plink -pw X host`, `mysqldump -pX db`, `mariadb -pX`,
		`curl -u me:X https://h/`, `wget --proxy-user me:X h`, `tool --api-key X`, `rclone obscure X`, `net use z: \\host\share X`, `net use z: \\h\s /user:me X`,
		`sig=abcdefgh1`, `AKIAABCDEFGHIJKLMNOP:abcdefghijabcdefghijabcdefghijabcdefghij`, `AccountKey=X;`, `ftp://me:X@host/`, `https://hooks.slack.com/services/T/B/X`,
		`https://api.telegram.org/bot1:X`, `Authorization: Token X`, `bearer abcdefgh`, `passwd: X`, `eyJabcdefgh.abc.def`, `http://h/?a=X&b=Y`, "pa\u017f\u017fword: X", "to\u212aen=X",
	} {
		f.Add(text)
		f.Add(strings.ToUpper(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := Masked(text), masked(text, ""); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	})
}

func BenchmarkMasked(b *testing.B) {
	const why = `user1916 matched the rule "HTTP request by rclone (user agent)" 1 time on 2026-01-01: www.photo118.com/legal/invoice, 4.45 MB out, the first as "PUT www.photo118.com/legal/invoice"`
	for b.Loop() {
		Masked(why)
	}
}
