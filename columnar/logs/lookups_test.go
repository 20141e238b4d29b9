package logs

import (
	"bytes"
	"fmt"
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
