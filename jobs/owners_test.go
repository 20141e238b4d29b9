package jobs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// If this fails, the configuration that inspect writes hides what is shared with guests, or
// says nothing of the accounts and domains that sharing is no finding with.
func TestSnippetSuggestsOwners(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The caller's account may be anybody's; the one that received the event is ours.
	var trail []string
	for i, account := range []string{"111122223333", "111122223333", "444455556666", "x\n: y"} {
		trail = append(trail, fmt.Sprintf(`{"eventVersion":"1.11","eventTime":"2026-11-20T10:00:0%dZ","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.7","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::999900001111:assumed-role/reader/ann@taker.example","accountId":"999900001111"},"recipientAccountId":%q}`, i, account))
	}
	write("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/20/a.json", `{"Records":[`+strings.Join(trail, ",")+"]}")

	// Of 40 records, 3 are too few, and 4 are enough.
	audit := func(user string, kind, n int) (lines string) {
		for range n {
			lines += fmt.Sprintf(`{"CreationTime":"2026-11-20T10:00:00","Workload":"SharePoint","Operation":"FileAccessed","RecordType":6,"UserType":%d,"UserId":%q}`+"\n", kind, user)
		}
		return lines
	}
	write("m365/audit-2026-11-20.json", audit("Ann@Corp.example", 0, 13)+audit("bob@labs.example", 0, 4)+audit("cem@few.example", 0, 3)+
		audit("dag@guest.example", 10, 5)+audit("eva_partner.example#EXT#@corp.onmicrosoft.example", 0, 4)+
		audit("fay@gmail.com", 0, 4)+audit("gil@bad domain: [", 0, 4)+audit("app@sharepoint", 0, 3))
	write("proxy/access.log-20261120", "1795168800.000    120 192.0.2.7 TCP_MISS/200 4500 GET http://www.example.com/a ann@corp.example HIER_DIRECT/198.51.100.7 text/html\n")
	write("web/access.log-20261120", "192.0.2.1 - hal@customer.example [20/Nov/2026:10:00:00 +0000] \"GET /a HTTP/1.1\" 200 4500 \"-\" \"curl/8.0\"\n")

	var stdout, stderr bytes.Buffer
	p := &program{stdout: &stdout, stderr: &stderr, env: func(string) (string, bool) { return "", false }, now: time.Now, limit: noLimit, collect: noCollect, ctx: t.Context()}
	if code := p.run([]string{"inspect", "--config-snippet", dir}); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	snippet := stdout.String()
	_, got, _ := strings.Cut(snippet, "what is right.\n")
	want := `# placeholders:
#   own_accounts:
#     - "111122223333" # 2 of 4 records of cloudtrail
#     - "444455556666" # 1 of 4 records of cloudtrail
#   own_domains:
#     - "corp.example" # users of 13 of 40 records of m365, 1 of 1 records of proxy
#     - "labs.example" # users of 4 of 40 records of m365
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, snippet)
	}
	// They hold only for who removes the signs.
	for _, c := range []struct {
		text string
		want Placeholders
	}{
		{snippet, nil},
		{strings.ReplaceAll(snippet, "\n# ", "\n"), Placeholders{"own_accounts": {"111122223333", "444455556666"}, "own_domains": {"corp.example", "labs.example"}}},
	} {
		write("outflow.yaml", c.text)
		config, err := loadConfig(filepath.Join(dir, "outflow.yaml"), p.env, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, c.text)
		}
		if diff := cmp.Diff(c.want, config.Placeholders); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
