package jobs

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"outflow/columnar/logs"
	"outflow/stats/detect"
)

// If this fails, an address or a user that a log writes in several ways becomes several
// entities in some dialect.
func TestOneEntityInEveryDialect(t *testing.T) {
	users := []string{"mira", "MIRA", "Mira"}
	addresses := map[string][]string{
		"192.0.2.77":   {"192.0.2.77", "::ffff:192.0.2.77", "::FFFF:c000:24d", "0:0:0:0:0:ffff:c000:024d"},
		"2001:db8::77": {"2001:db8::77", "2001:DB8::77", "2001:0db8:0000:0000:0000:0000:0000:0077"},
	}
	ported := func(a string) string { // for dialects in which the address may be any text
		if strings.Contains(a, ":") {
			return "[" + a + "%3]:4711"
		}
		return a + ":4711"
	}
	for _, d := range []struct {
		name string
		any  bool // an address may have a port, brackets and a zone
		head string
		line func(user, ip string) string // "" stands for a user or address that the log lacks
		user string                       // the name of the user's entity; "" if the dialect has none
	}{
		{"csv", true, "time,user,src_ip,operation,bytes_out\n", func(user, ip string) string {
			return "2027-04-01T10:00:00Z," + user + "," + ip + ",PutObject,5"
		}, "mira"},
		{"jsonl", true, "", func(user, ip string) string {
			return fmt.Sprintf(`{"time":"2027-04-01T10:00:00Z","user":"%s","src_ip":"%s","operation":"PutObject","bytes_out":5}`, user, ip)
		}, "mira"},
		{"squid", false, "", func(user, ip string) string {
			if user == "" {
				user = "-"
			}
			return "1806573600.000 5 " + ip + " TCP_MISS/200 5 POST http://up.example/ " + user + " HIER_DIRECT/198.51.100.7 text/html"
		}, "mira"},
		{"zeek", false, "", func(user, ip string) string {
			return fmt.Sprintf(`{"_path":"http","ts":1806573600,"id.orig_h":"%s","username":"%s","method":"POST","host":"up.example","uri":"/","request_body_len":5}`, ip, user)
		}, "mira"},
		{"cloudtrail", false, "", func(user, ip string) string {
			identity := `{"type":"AWSService"}`
			if user != "" {
				identity = `{"type":"IAMUser","userName":"` + user + `","accountId":"500600500600"}`
			}
			return `{"eventVersion":"1.09","userIdentity":` + identity + `,"eventTime":"2027-04-01T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"PutObject","awsRegion":"x","sourceIPAddress":"` + ip + `"}`
		}, "500600500600/mira"},
		{"suricata", false, "", func(_, ip string) string {
			return fmt.Sprintf(`{"timestamp":"2027-04-01T10:00:00.000000+0000","event_type":"http","src_ip":"%s","dest_ip":"198.51.100.7","http":{"hostname":"up.example","url":"/","http_method":"POST","length":5}}`, ip)
		}, ""},
	} {
		t.Run(d.name, func(t *testing.T) {
			fold := func(lines []string) map[string]int64 {
				text := d.head + strings.Join(lines, "\n") + "\n"
				o := &foldOptions{aggregates: []*detect.Aggregate{detect.UserDay}, workers: 1}
				o.FoldOptions = (&Config{}).foldOptions()
				f, err := Fold(context.Background(), []source{{object: logs.Object{Name: "log", Size: int64(len(text)),
					Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}}}, o)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				events := map[string]int64{}
				for _, row := range foldedRows(t, f, o.aggregates) {
					events[row.EntityType+" "+row.Entity] += row.Events
				}
				return events
			}
			check := func(lines []string, want string) {
				t.Helper()
				if got := fold(lines); len(got) != 1 || got[want] != int64(len(lines)) {
					t.Errorf("got %v, want %d events of %s", got, len(lines), want)
				}
			}
			for canonical, notations := range addresses {
				var lines []string
				for _, a := range notations {
					lines = append(lines, d.line("", a))
					if d.any {
						lines = append(lines, d.line("", ported(a)), d.line("", " "+a+" "))
					}
				}
				check(lines, "src_ip "+canonical)
			}
			if d.user == "" {
				return
			}
			var lines []string
			for _, user := range users {
				lines = append(lines, d.line(user, "192.0.2.77"))
				if d.any {
					lines = append(lines, d.line(user+"\u00a0", "192.0.2.77"), d.line("\ufeff"+user+" ", "192.0.2.77"))
				}
			}
			check(lines, "user "+d.user)
		})
	}
}
