package reports

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/stats/detect"
)

// If this fails, an entry for one finding of a person allows others of that person: uploads
// to another destination, or all that the verdict finds.
func TestAllowEntryIsNarrow(t *testing.T) {
	anna := detect.Key{EntityType: "user", Entity: "anna"}
	to := func(host string) detect.Key { k := anna; k.Object = host; return k }
	const rest = "  reason: \"x\"\n  expires: 2026-11-20\n"
	for _, c := range []struct {
		name string
		f    detect.Finding
		want []string
	}{
		{"a total alone", detect.Finding{Detection: "upload_zscore", Verdict: "upload", Key: anna},
			[]string{"- detection: upload_zscore\n  user: anna\n"}},
		{"totals", detect.Finding{Detection: "upload_zscore", Verdict: "upload", Key: anna, Also: []string{"upload_ratio"}},
			[]string{"- detection: upload_zscore\n  user: anna\n", "- detection: upload_ratio\n  user: anna\n"}},
		{"a destination", detect.Finding{Detection: "cloud_upload", Verdict: "upload", Key: to("a.example")},
			[]string{"- detection: cloud_upload\n  user: anna\n  domain: a.example\n"}},
		{"a destination and a total", detect.Finding{Detection: "cloud_upload", Verdict: "upload", Key: to("a.example"), Also: []string{"upload_zscore"},
			Parts: []detect.Part{{Detection: "cloud_upload", Key: to("a.example")}, {Detection: "upload_zscore", Key: anna}}},
			[]string{"- detection: upload\n  user: anna\n  domain: a.example\n"}},
		{"two destinations of two addresses", detect.Finding{Detection: "cloud_upload", Verdict: "upload", Person: "anna",
			Key: detect.Key{EntityType: "src_ip", Entity: "10.1.1.1", Object: "a.example"},
			Parts: []detect.Part{{Detection: "cloud_upload", Key: detect.Key{EntityType: "src_ip", Entity: "10.1.1.1", Object: "a.example"}},
				{Detection: "cloud_upload", Key: detect.Key{EntityType: "src_ip", Entity: "10.1.1.2", Object: "b.example"}}}},
			[]string{"- detection: upload\n  user: anna\n  domain: a.example\n", "- detection: upload\n  user: anna\n  domain: b.example\n"}},
		{"an address that is none", detect.Finding{UID: "abc", Detection: "upload_zscore", Key: detect.Key{EntityType: "src_ip", Entity: "1.2.3.4/0"}},
			[]string{"- fingerprint: abc\n"}},
		{"more destinations than a list should name", detect.Finding{UID: "abc", Detection: "cloud_upload", Verdict: "upload", Key: to("a.example"),
			Parts: []detect.Part{{Key: to("b.example")}, {Key: to("c.example")}, {Key: to("d.example")}, {Key: to("e.example")}, {Key: to("f.example")}}},
			[]string{"- fingerprint: abc\n"}},
	} {
		for i := range c.want {
			c.want[i] += rest
		}
		if diff := cmp.Diff(c.want, AllowEntriesFor(&c.f, "x", sampleDay, false)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, diff)
		}
	}
}

// If this fails, show and explain do not find what a run has reported.
func TestReadFindings(t *testing.T) {
	r := sampleReport()
	text := write(t, CSV.Files[0], r)
	got, err := ReadFindings(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(r.Findings) {
		t.Fatalf("got %d findings, want %d", len(got), len(r.Findings))
	}
	// What was read is written as it was: only texts that were escaped are now longer, and
	// of the evidence the examples are not read.
	again := *r
	again.Findings = got
	lines := func(text []byte) []string { return strings.Split(string(text), "\n") }
	before, after := lines(text), lines(write(t, CSV.Files[0], &again))
	for i := range r.Findings {
		if f, g := &r.Findings[i], &got[i]; f.UID != g.UID || f.Day != g.Day || f.Severity != g.Severity || visible(f.Person) != g.Person ||
			f.Summary.BytesOut != g.Summary.BytesOut || len(f.Summary.Records()) != len(g.Summary.Records()) {
			t.Errorf("finding %d:\ngot  %+v\nwant %+v", i, g, f)
		}
	}
	if before[0] != after[0] {
		t.Errorf("the header changed: got %s", after[0])
	}
	for _, bad := range []string{"", "a,b\n1,2\n", "finding_uid,day,severity\nx,yesterday,high\n", "finding_uid,day,severity\nx,2026-11-20,grave\n", "finding_uid,day\n\"x"} {
		if _, err := ReadFindings(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}

// If this fails, a secret of a log is printed, or what is none is hidden.
func TestMasked(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"GET https://x.example/a?key=hunter2&part=2 HTTP/1.1", "GET https://x.example/a?key=…&part=… HTTP/1.1"},
		{`{"url":"https://x.example/?q=a b","n":5}`, `{"url":"https://x.example/?q=… b","n":5}`},
		{"curl -u x https://anna:hunter2@x.example/", "curl -u x https://…@x.example/"},
		{"Authorization: Bearer abcdefgh.ijk", "Authorization: …"},
		{`"sessionToken":"FwoGZXIvYXdz","accessKeyId":"AKIAEXAMPLE"`, `"sessionToken":…,"accessKeyId":"AKIAEXAMPLE"`},
		{`"SignatureVersion":"SigV4"`, `"SignatureVersion":"SigV4"`},
		{`Cookie: sid=abc123`, `Cookie: …`},
		{"password=hunter2 user=anna", "password=… user=anna"},
		{"https://hooks.slack.com/services/T000/B000/XXXX", "https://hooks.slack.com/services/T000/…"},
		{"https://discord.com/api/webhooks/123/abc-def", "https://discord.com/api/webhooks/123/…"},
		{"https://api.telegram.org/bot123:AAbb/sendDocument", "https://api.telegram.org/bot123:…"},
		{"id eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "id …"},
		{"rclone copy D:\\Footage gd:f --transfers 16", "rclone copy D:\\Footage gd:f --transfers 16"},
		{`7z.exe a -pKestrel7 -mhe C:\Windows\Temp\u.7z D:\Contracts`, `7z.exe a -p… -mhe C:\Windows\Temp\u.7z D:\Contracts`},
		{`"C:\Program Files\7-Zip\7z.exe" a -mhe -p"two words" u.7z D:\`, `"C:\Program Files\7-Zip\7z.exe" a -mhe -p… u.7z D:\`},
		{`{"cmd":"\"C:\\7z.exe\" a \"-pKestrel7\" u.7z","pid":7}`, `{"cmd":"\"C:\\7z.exe\" a \"-p…\" u.7z","pid":7}`},
		{`{"cmd":"7za a -pKestrel7","pid":7}`, `{"cmd":"7za a -p…","pid":7}`},
		{"rar a -hpKestrel7 -v2g u.rar docs", "rar a -hp… -v2g u.rar docs"},
		{"zip -r -P Kestrel7 u.zip docs", "zip -r -P … u.zip docs"},
		{"sshpass -p Kestrel7 scp f x@h:", "sshpass -p … scp f x@h:"},
		{"sshpass -pKestrel7 scp -p f x@h:", "sshpass -p… scp -p f x@h:"},
		{"pscp.exe -l x -pw Kestrel7 f x@h:", "pscp.exe -l x -pw … f x@h:"},
		{"mysqldump -u root -pKestrel7 sales", "mysqldump -u root -p… sales"},
		{"curl -T f -u anna:Kestrel7 https://x.example/", "curl -T f -u anna:… https://x.example/"},
		{`curl --user "anna:Kestrel7" https://x.example/`, `curl --user "anna:…" https://x.example/`},
		{"curl -H 'Authorization: Token Kestrel7' https://x.example/", "curl -H 'Authorization: …' https://x.example/"},
		{`curl -H "X-Api-Key: Kestrel7" -T f`, `curl -H "X-Api-Key: …" -T f`},
		{"megaput --username a --password=Kestrel7 f", "megaput --username a --password=… f"},
		{"mega-login --password Kestrel7", "mega-login --password …"},
		{"rclone copy D: m: --mega-pass Kestrel7 --transfers 9", "rclone copy D: m: --mega-pass … --transfers 9"},
		{"rclone.exe obscure Kestrel7", "rclone.exe obscure …"},
		{`net use Z: \\h\s Kestrel7 /user:corp\anna`, `net use Z: \\h\s … /user:corp\anna`},
		{`net.exe use \\h\s /user:corp\anna Kestrel7 /persistent:no`, `net.exe use \\h\s /user:corp\anna … /persistent:no`},
		{`net use \\h\s /user:anna *`, `net use \\h\s /user:anna *`},
		{"sv=2024-11-04&sig=abcd%2Bef12345%3D", "sv=2024-11-04&sig=…"},
		{"AKIAABCDEFGHIJKLMNOP wJalrXUtnFEMIxK7MDENGzbPxRfiCYEXAMPLEKEY", "AKIAABCDEFGHIJKLMNOP …"},
		{"AccountName=x;AccountKey=abc+/==;Endpoint=y", "AccountName=x;AccountKey=…;Endpoint=y"},
		// These are no secrets.
		{"7z.exe a -p u.7z D:\\", "7z.exe a -p u.7z D:\\"},
		{"unzip -p a.zip b", "unzip -p a.zip b"},
		{"ssh -p 2222 x@h", "ssh -p 2222 x@h"},
		{"cp -pr a b", "cp -pr a b"},
		{"tar -C /srv -cpf a.tar docs", "tar -C /srv -cpf a.tar docs"},
		{"curl -x p:1 -U ben:Kestrel8 -u anna:Kestrel7 x.example", "curl -x p:1 -U ben:… -u anna:… x.example"},
		{`smbclient //h/s -U anna%Kestrel7`, `smbclient //h/s -U anna%…`},
		{"python -u C:/run.py", "python -u C:/run.py"},
		{"git push -u origin main:main2", "git push -u origin main:main2"},
		{"user=anna action=accept sent=5", "user=anna action=accept sent=5"},
	} {
		if got := Masked(c.in); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.in, got, c.want)
		}
	}
}
