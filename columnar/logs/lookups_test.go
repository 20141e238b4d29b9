package logs

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"outflow/columnar"
)

// BenchmarkDecodeServers decodes logs of DNS servers that hold queries only: 1 in
// 20 names is one of a tunnel's, the others come from a few thousand hosts.
func BenchmarkDecodeServers(b *testing.B) {
	const rows = 100_000
	want := columnar.ColSet(columnar.Time, columnar.SrcIP, columnar.Query, columnar.Domain, columnar.QueryType, columnar.Rcode)
	written := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, c := range []struct {
		form   string
		format *Format
		line   func(t time.Time, client, name string) string
	}{
		{"dnsmasq", Dnsmasq, func(t time.Time, client, name string) string {
			return fmt.Sprintf("%s dnsmasq[713]: query[A] %s from %s\n", t.Format(time.Stamp), name, client)
		}},
		{"bind", BIND, func(t time.Time, client, name string) string {
			return fmt.Sprintf("%s queries: info: client @0x7fe26fe1c098 %s#33264 (%s): query: %[3]s IN A +E(0)K (10.0.0.53)\n", t.Format("02-Jan-2006 15:04:05.000"), client, name)
		}},
		{"unbound", Unbound, func(t time.Time, client, name string) string {
			return fmt.Sprintf("[%d] unbound[713:0] info: %s %s. A IN\n", t.Unix(), client, name)
		}},
		{"unbound-replies", Unbound, func(t time.Time, client, name string) string {
			return fmt.Sprintf("[%d] unbound[713:0] info: %s %s. A IN NOERROR 0.004017 0 89\n", t.Unix(), client, name)
		}},
		{"coredns", CoreDNS, func(t time.Time, client, name string) string {
			return fmt.Sprintf("%s stdout F [INFO] %s:43582 - 38739 \"A IN %s. udp 57 false 1232\" NOERROR qr,aa,rd 66 0.001189942s\n", t.Format("2006-01-02T15:04:05.000000000Z"), client, name)
		}},
		{"windns", WinDNS, func(t time.Time, client, name string) string {
			var text string
			for label := range strings.SplitSeq(name, ".") {
				text += fmt.Sprintf("(%d)%s", len(label), label)
			}
			return fmt.Sprintf("%s 0D48 PACKET  000000000181D1C0 UDP Rcv %-15s 0c6b   Q [0001   D   NOERROR] A      %s(0)\r\n", t.Format("1/2/2006 3:04:05 PM"), client, text)
		}},
	} {
		var log bytes.Buffer
		random := uint64(1)
		for i := range rows {
			random = random*6364136223846793005 + 1442695040888963407
			r := int(random >> 33)
			name := fmt.Sprintf("%s%d.example%d.%s", []string{"www", "api", "cdn", "static"}[r%4], r%7, r%5000, []string{"com", "co.uk", "io"}[r%3])
			if r%20 == 0 {
				name = fmt.Sprintf("%016x%016x.%08x.tunnel.example", random, ^random, r)
			}
			t := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 10 * time.Millisecond)
			log.WriteString(c.line(t, fmt.Sprintf("10.0.%d.%d", r/250%8, r%250), name))
		}
		b.Run("form="+c.form, func(b *testing.B) {
			blocks := blocksOf(c.format, log.Bytes())
			benchBlocks(b, c.format, &Options{Written: written, Want: want}, blocks)
			b.SetBytes(int64(log.Len()))
		})
	}
}

// If this fails, the log of one DNS server is taken for that of another. Each format must
// recognise its own cases only.
func TestSniffServers(t *testing.T) {
	servers := []*Format{CoreDNS, Dnsmasq, BIND, Unbound, WinDNS}
	for _, c := range readCases(t) {
		if !c.sniff || c.format == Parquet || c.format == EVTX {
			continue
		}
		for _, f := range servers {
			if got, want := f.Sniff(c.in[:min(len(c.in), headSize)]), f == c.format; got != want {
				t.Errorf("%s: %s says %v", c.file, f.Name, got)
			}
		}
	}
}

// If this fails, a log with few lines about queries is not recognised, or one that
// only looks like it is.
func TestSniffServersAmong(t *testing.T) {
	syslog := strings.Repeat("Feb  9 02:36:02 ns1 sshd[9]: Accepted publickey for root from 192.0.2.99 port 50022 ssh2\n", 100)
	for _, c := range []struct{ in, want string }{
		{syslog + "Feb  9 02:36:03 ns1 named[812]: client 192.0.2.1#5 (a.example): query: a.example IN A + (192.0.2.53)\n", "bind"},
		{syslog + "Feb  9 02:36:03 ns1 unbound[812]: [812:0] info: 192.0.2.1 a.example. A IN\n", "unbound"},
		{strings.Repeat("11-Feb-2026 08:15:02.361 general: info: zone a.example/IN: loaded serial 7\n", 200) +
			"11-Feb-2026 08:15:02.361 queries: info: client 192.0.2.1#5 (a.example): query: a.example IN A + (192.0.2.53)\n", "bind"},
		{"[1770797702] unbound[812:0] info: start of service (unbound 1.17.1).\n", "unbound"},
		{syslog, "no format"},
		{syslog + "Feb  9 02:36:03 ns1 sshd[9]: Invalid user [812:0] info: 192.0.2.1 a.example. A IN\n", "no format"},
		{syslog + "Feb  9 02:36:03 ns1 sshd[9]: client 192.0.2.1#5 (a.example): query: a.example IN A + (192.0.2.53)\n", "no format"},
		{"11-Feb-2026 08:15:02.361 INFO [main] org.apache.catalina.startup.Catalina.start Server startup in 812 ms\n", "no format"},
	} {
		if got := sniffed([]byte(c.in)); got != c.want {
			t.Errorf("got %s, want %s, of …%.90q", got, c.want, c.in[max(0, len(c.in)-90):])
		}
	}
}
