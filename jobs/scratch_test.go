package jobs

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"outflow/stats/detect"
)

// benchRows are rows as a scan keeps them: those of users, or of pairs of a client
// and a domain.
func benchRows(dns bool) []detect.Row {
	r := rand.New(rand.NewPCG(11, 12))
	rows := make([]detect.Row, 100_000)
	for i := range rows {
		day := detect.Day(20000 + i/25_000)
		first := day.Time().UnixMicro() + r.Int64N(43_200_000_000)
		last := first + r.Int64N(43_200_000_000)
		row := &rows[i]
		if row.Day = day; dns {
			row.Key = detect.Key{Feed: "dns", EntityType: "src_ip", Entity: fmt.Sprintf("10.0.%03d.%03d", i/2500%250, i/10%250), Object: fmt.Sprintf("domain%d-%d.example", i%10, r.IntN(1000))}
			row.Summary = detect.Summary{Events: r.Int64N(500), First: first, Last: last, Hours: 3 << r.IntN(23), Names: r.Int64N(9), NameBytes: r.Int64N(99),
				WindowEvents: 1 + r.Int64N(99), WindowAt: first, WindowBytes: r.Int64N(99), BytesAt: first, MaxEntropy: 4 * r.Float64(), MaxLength: r.Int64N(40),
				Rare: r.Int64N(2), Examples: []string{fmt.Sprintf("www.domain%d.example", i), fmt.Sprintf("mail.domain%d.example", i)}}
			continue
		}
		out := r.Int64N(1 << r.IntN(30))
		row.Key = detect.Key{Feed: "proxy", EntityType: "user", Entity: fmt.Sprintf("user%06d@example.com", i/10), Object: fmt.Sprintf("host%d.example.net", i%10*1000+r.IntN(1000))}
		row.Summary = detect.Summary{Events: r.Int64N(500), BytesOut: out, BytesIn: 20 * out, KnownOut: r.Int64N(500), KnownIn: 500, First: first, Last: last,
			Hours: 3 << r.IntN(23), PeakOut: out / 3, PeakTime: first, Evidence: fmt.Sprintf("s3://logs/proxy/2026/11/20/access-%02d.log.gz:%d", r.IntN(24), r.IntN(1_000_000))}
	}
	return rows
}

func BenchmarkScratch(b *testing.B) {
	for _, table := range []string{"volumes", "dns"} {
		rows := benchRows(table == "dns")
		keep := func() *scratch {
			s := newScratch()
			for i := range rows {
				if err := s.add(&rows[i]); err != nil {
					b.Fatal(err)
				}
			}
			if err := s.end(); err != nil {
				b.Fatal(err)
			}
			return s
		}
		perRow := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
		}
		b.Run("write/"+table, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				keep().rows.Close()
			}
			perRow(b)
		})
		s := keep()
		b.Run("read/"+table, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, p := range s.partitions {
					for block, err := range p.rows {
						if err != nil {
							b.Fatal(err)
						}
						n += len(block)
					}
				}
				if n != len(rows) {
					b.Fatalf("got %d rows, want %d", n, len(rows))
				}
			}
			perRow(b)
			b.ReportMetric(float64(s.rows.Size())/float64(len(rows)), "B/row")
		})
		s.rows.Close()
	}
}
