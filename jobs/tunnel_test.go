package jobs

import (
	"cmp"
	"encoding/base32"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A lookup is a DNS query in a form that every dialect can write: its time is in whole
// seconds.
type lookup struct {
	at                   time.Time
	client, name, rrtype string
}

// tunnelled returns a day's lookups of n clients and, among them, of a tunnel that sends
// data in names under domain.
func tunnelled(client, domain string, queries int) []lookup {
	r := rand.New(rand.NewPCG(7, 7))
	day := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	var all []lookup
	for range 600 {
		site := r.IntN(40)
		all = append(all, lookup{day.Add(time.Duration(r.IntN(8*3600)) * time.Second), fmt.Sprintf("192.0.2.%d", 10+r.IntN(6)),
			fmt.Sprintf("%s.site%d.example", []string{"www", "api", "cdn-3", "mail"}[r.IntN(4)], site), []string{"A", "AAAA", "HTTPS"}[r.IntN(3)]})
	}
	for i := range queries {
		data := make([]byte, 40)
		for k := range data {
			data[k] = byte(r.Uint32())
		}
		text := strings.ToLower(base32.StdEncoding.EncodeToString(data))
		all = append(all, lookup{day.Add(time.Hour + time.Duration(2*i)*time.Second), client, text[:32] + "." + text[32:] + "." + domain, "TXT"})
	}
	slices.SortStableFunc(all, func(a, b lookup) int { return cmp.Compare(a.at.Unix(), b.at.Unix()) })
	return all
}

// If this fails, a tunnel whose names the resolver does not write is missed, or the
// report does not say that one could be missed.
func TestMaskedTunnel(t *testing.T) {
	day := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	const dnsmasqLine = "Nov 20 09:00:00 dnsmasq[71]: query[A] www.example.com from 192.0.2.78\n"
	const unboundLine = "[1795165200] unbound[812:0] info: 192.0.2.78 www.example.com. A IN\n"
	dnsmasq := func(b *strings.Builder, at time.Time, i int) {
		fmt.Fprintf(b, "%s dnsmasq[71]: query[NULL] <name unprintable> from 192.0.2.77\n", at.Format(time.Stamp))
	}
	unbound := func(b *strings.Builder, at time.Time, i int) {
		fmt.Fprintf(b, "[%d] unbound[812:0] info: 192.0.2.77 b?%dn?.tunnel.& NULL IN\n", at.Unix(), i%3)
	}
	for _, c := range []struct {
		name, object string
		write        func(b *strings.Builder, at time.Time, i int)
		sound        string // a query whose name is written in full
		every        time.Duration
		found        int
	}{
		{"dnsmasq, fast", "<name unprintable>", dnsmasq, dnsmasqLine, 500 * time.Millisecond, 1},
		{"dnsmasq, slow", "<name unprintable>", dnsmasq, dnsmasqLine, 2 * time.Second, 0},
		{"unbound, fast", "tunnel.&", unbound, unboundLine, 500 * time.Millisecond, 1},
		{"unbound, slow", "tunnel.&", unbound, unboundLine, 2 * time.Second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			var log strings.Builder
			for i := range 600 {
				c.write(&log, day.Add(time.Duration(i)*c.every), i)
			}
			log.WriteString(c.sound)
			file := filepath.Join(dir, "dns.log")
			if err := os.WriteFile(file, []byte(log.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(file, day.Add(9*time.Hour), day.Add(9*time.Hour)); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := invoke(t, dir, "scan", "--out", "out", "dns.log")
			if code != exitOK {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			findings := readCSV(t, filepath.Join(dir, "out", "findings.csv"))
			if len(findings) != c.found {
				t.Errorf("got %d findings, want %d: %v", len(findings), c.found, findings)
			}
			for _, f := range findings {
				if f["detection"] != "dns_volume" || f["object"] != c.object {
					t.Errorf("got %s of %s, want dns_volume of %s", f["detection"], f["object"], c.object)
				}
			}
			if said := strings.Join(strings.Fields(stdout), " "); !strings.Contains(said, "Of 601 queries of feed "+strings.Split(c.name, ",")[0]+", 600 have names") {
				t.Errorf("no blind spot in %s", stdout)
			}
			if input := readCSV(t, filepath.Join(dir, "out", "inputs.csv"))[0]; input["masked"] != "600" {
				t.Errorf("inputs.csv: got %s masked, want 600", input["masked"])
			}
		})
	}
}

// dnsDialects write lookups as servers and sensors log them, with the other lines that
// those log about each lookup.
var dnsDialects = []struct {
	name, format string
	head         string
	write        func(b *strings.Builder, q lookup)
}{
	{"dnsmasq", "dnsmasq", "Nov 20 07:59:59 dnsmasq[71]: started, version 2.90 cachesize 150\n", func(b *strings.Builder, q lookup) {
		stamp := q.at.Format(time.Stamp)
		fmt.Fprintf(b, "%s dnsmasq[71]: query[%s] %s from %s\n", stamp, q.rrtype, q.name, q.client)
		fmt.Fprintf(b, "%s dnsmasq[71]: forwarded %s to 203.0.113.53\n", stamp, q.name)
		fmt.Fprintf(b, "%s dnsmasq[71]: reply %s is 203.0.113.9\n", stamp, q.name)
	}},
	{"bind", "bind", "20-Nov-2026 07:59:59.000 general: notice: running\n", func(b *strings.Builder, q lookup) {
		fmt.Fprintf(b, "%s queries: info: client @0x7f841c26d098 %s#33151 (%s): query: %[3]s IN %s +E(0)K (192.0.2.53)\n", q.at.Format("02-Jan-2006 15:04:05.000"), q.client, q.name, q.rrtype)
	}},
	{"bind through syslog", "bind", "", func(b *strings.Builder, q lookup) {
		fmt.Fprintf(b, "%s ns1 named[812]: client @0x7f841c26d098 %s#33151 (%s): view inner: query: %[3]s IN %s +E(0)K (192.0.2.53)\n", q.at.Format(time.Stamp), q.client, q.name, q.rrtype)
	}},
	{"unbound queries", "unbound", "", func(b *strings.Builder, q lookup) {
		fmt.Fprintf(b, "[%d] unbound[812:0] info: %s %s. %s IN\n", q.at.Unix(), q.client, q.name, q.rrtype)
	}},
	{"unbound replies", "unbound", "", func(b *strings.Builder, q lookup) {
		fmt.Fprintf(b, "[%d] unbound[812:0] info: %s %s. %s IN NOERROR 0.004017 0 189\n", q.at.Unix(), q.client, q.name, q.rrtype)
	}},
	{"unbound both", "unbound", "", func(b *strings.Builder, q lookup) {
		fmt.Fprintf(b, "[%d] unbound[812:0] query: %s %s. %s IN\n", q.at.Unix(), q.client, q.name, q.rrtype)
		fmt.Fprintf(b, "[%d] unbound[812:0] reply: %s %s. %s IN NOERROR 0.004017 0 189\n", q.at.Unix(), q.client, q.name, q.rrtype)
	}},
	{"coredns under CRI", "coredns", "2026-11-20T07:59:59.000000000Z stdout F .:53\n", func(b *strings.Builder, q lookup) {
		fmt.Fprintf(b, "%s stdout F [INFO] %s:43582 - 38739 \"%s IN %s. udp 57 false 1232\" NOERROR qr,rd,ra 66 0.001189942s\n", q.at.Format("2006-01-02T15:04:05.000000000Z"), q.client, q.rrtype, q.name)
	}},
	{"coredns under Docker", "coredns", "", func(b *strings.Builder, q lookup) {
		fmt.Fprintf(b, `{"log":"[INFO] %s:43582 - 38739 \"%s IN %s. udp 57 false 1232\" NOERROR qr,rd,ra 66 0.001189942s\n","stream":"stdout","time":%q}`+"\n", q.client, q.rrtype, q.name, q.at.Format(time.RFC3339Nano))
	}},
	{"windns", "windns", "DNS Server log file creation at 11/20/2026 7:59:59 AM\r\n\r\n", func(b *strings.Builder, q lookup) {
		var name strings.Builder
		for label := range strings.SplitSeq(q.name, ".") {
			fmt.Fprintf(&name, "(%d)%s", len(label), label)
		}
		for _, packet := range []struct{ direction, address, flags string }{
			{"Rcv", q.client, "  Q [0001   D   NOERROR]"}, {"Snd", "203.0.113.53", "  Q [0001   D   NOERROR]"},
			{"Rcv", "203.0.113.53", "R Q [8081   DR  NOERROR]"}, {"Snd", q.client, "R Q [8081   DR  NOERROR]"},
		} {
			fmt.Fprintf(b, "%s 0D48 PACKET  000000000181D1C0 UDP %s %-15s 0c6b %s %-6s %s(0)\r\n\r\n", q.at.Format("1/2/2006 3:04:05 PM"), packet.direction, packet.address, packet.flags, q.rrtype, &name)
		}
	}},
	{"zeek TSV", "zeek", "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n#fields\tts\tid.orig_h\tid.resp_h\tquery\tqtype_name\trcode_name\tanswers\n", func(b *strings.Builder, q lookup) {
		fmt.Fprintf(b, "%d.000000\t%s\t192.0.2.53\t%s\t%s\tNOERROR\t203.0.113.9\n", q.at.Unix(), q.client, q.name, q.rrtype)
	}},
	{"zeek JSON", "zeek", "", func(b *strings.Builder, q lookup) {
		fmt.Fprintf(b, `{"_path":"dns","ts":%d.0,"uid":"C1","id.orig_h":%q,"id.resp_h":"192.0.2.53","query":%q,"qtype_name":%q,"rcode_name":"NOERROR"}`+"\n", q.at.Unix(), q.client, q.name, q.rrtype)
	}},
	{"suricata 2", "suricata", "", func(b *strings.Builder, q lookup) {
		for _, kind := range []string{"query", "answer"} {
			fmt.Fprintf(b, `{"timestamp":%q,"event_type":"dns","src_ip":%q,"dest_ip":"192.0.2.53","proto":"UDP","dns":{"version":2,"type":%q,"rrname":%q,"rrtype":%q}}`+"\n", q.at.Format("2006-01-02T15:04:05.000000-0700"), q.client, kind, q.name, q.rrtype)
		}
	}},
	{"suricata 3", "suricata", "", func(b *strings.Builder, q lookup) {
		for _, kind := range []string{"request", "response"} {
			fmt.Fprintf(b, `{"timestamp":%q,"event_type":"dns","src_ip":%q,"dest_ip":"192.0.2.53","proto":"UDP","dns":{"version":3,"type":%q,"queries":[{"rrname":%q,"rrtype":%q}]}}`+"\n", q.at.Format("2006-01-02T15:04:05.000000-0700"), q.client, kind, q.name, q.rrtype)
		}
	}},
	{"csv", "csv", "time,src_ip,query,query_type\n", func(b *strings.Builder, q lookup) {
		fmt.Fprintf(b, "%s,%s,%s,%s\n", q.at.Format(time.RFC3339), q.client, q.name, q.rrtype)
	}},
}

// If this fails, whether a tunnel is found depends on the program that logged it.
func TestTunnelInEveryDialect(t *testing.T) {
	const client, domain, queries = "192.0.2.77", "exfil.example", 300
	lookups := tunnelled(client, "t."+domain, queries)
	for _, dialect := range dnsDialects {
		t.Run(dialect.name, func(t *testing.T) {
			dir := t.TempDir()
			var log strings.Builder
			log.WriteString(dialect.head)
			for _, q := range lookups {
				dialect.write(&log, q)
			}
			file := filepath.Join(dir, "dns.log")
			if err := os.WriteFile(file, []byte(log.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			// The file's time gives the year of logs that have none.
			written := time.Date(2026, 11, 20, 23, 0, 0, 0, time.UTC)
			if err := os.Chtimes(file, written, written); err != nil {
				t.Fatal(err)
			}
			if code, _, stderr := invoke(t, dir, "scan", "--reports", "csv", "--out", "out", "dns.log"); code != exitOK {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			input := readCSV(t, filepath.Join(dir, "out", "inputs.csv"))[0]
			if input["format"] != dialect.format || input["rows"] != fmt.Sprint(len(lookups)) || input["skipped"] != "0" {
				t.Errorf("got %s rows of %s, %s skipped, want %d of %s, none skipped", input["rows"], input["format"], input["skipped"], len(lookups), dialect.format)
			}
			found := 0
			for _, f := range readCSV(t, filepath.Join(dir, "out", "findings.csv")) {
				switch {
				case f["object"] != domain:
					t.Errorf("%s is found too: %s", f["object"], f["why"])
				case f["detection"] == "dns_information":
					found++
					got := []string{f["entity"], f["events"], f["observed"], f["unit"], f["first_seen"], f["last_seen"]}
					// 150 queries in 5 minutes, each of 64 bytes, a dot and ".t".
					want := []string{client, fmt.Sprint(queries), "10050", "B/5min", "2026-11-20T09:00:00Z", "2026-11-20T09:09:58Z"}
					if !slices.Equal(got, want) {
						t.Errorf("got %q, want %q", got, want)
					}
					if !seenBy(f, "dns_model") {
						t.Errorf("only %s and %s see it, want dns_model, too", f["detection"], f["also"])
					}
				}
			}
			if found != 1 {
				t.Errorf("dns_information found the tunnel %d times, want once", found)
			}
		})
	}
}
