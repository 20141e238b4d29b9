package store

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

// A wideRow is as wide as the rows of the state. Most of its columns are zero in
// any one aggregate.
type wideRow struct {
	Feed         string   `parquet:"feed,dict"`
	EntityType   string   `parquet:"entity_type,dict"`
	Entity       string   `parquet:"entity,dict"`
	Object       string   `parquet:"object,dict"`
	Events       int64    `parquet:"events"`
	BytesOut     int64    `parquet:"bytes_out"`
	BytesIn      int64    `parquet:"bytes_in"`
	KnownOut     int64    `parquet:"known_out"`
	KnownIn      int64    `parquet:"known_in"`
	First        int64    `parquet:"first_seen,timestamp(microsecond)"`
	Last         int64    `parquet:"last_seen,timestamp(microsecond)"`
	Hours        int64    `parquet:"hours"`
	PeakOut      int64    `parquet:"peak_out"`
	PeakTime     int64    `parquet:"peak_time,timestamp(microsecond)"`
	Evidence     string   `parquet:"evidence"`
	Names        int64    `parquet:"names"`
	NameBytes    int64    `parquet:"name_bytes"`
	WindowEvents int64    `parquet:"window_events"`
	WindowAt     int64    `parquet:"window_at,timestamp(microsecond)"`
	WindowBytes  int64    `parquet:"window_bytes"`
	BytesAt      int64    `parquet:"bytes_at,timestamp(microsecond)"`
	Odd          int64    `parquet:"odd"`
	MaxEntropy   float64  `parquet:"max_entropy"`
	MaxLength    int64    `parquet:"max_length"`
	Rare         int64    `parquet:"rare"`
	NXDomain     int64    `parquet:"nxdomain"`
	Examples     []string `parquet:"examples,list"`
}

// wideRows returns rows like those of a proxy's users and destinations: sorted by
// user, with ten destinations each.
func wideRows(n int) []wideRow {
	const day = 1_795_132_800_000_000
	rnd := rand.New(rand.NewPCG(11, 12))
	rows := make([]wideRow, n)
	for i := range rows {
		out := rnd.Int64N(1 << rnd.IntN(30))
		first := day + rnd.Int64N(43_200_000_000)
		rows[i] = wideRow{
			Feed: "proxy", EntityType: "user", Entity: fmt.Sprintf("user%06d@example.com", i/10),
			Object: fmt.Sprintf("host%d.example.net", i%10*1000+rnd.IntN(1000)),
			Events: rnd.Int64N(500), BytesOut: out, BytesIn: 20 * out, KnownOut: rnd.Int64N(500), KnownIn: 500,
			First: first, Last: first + rnd.Int64N(43_200_000_000), Hours: 3 << rnd.IntN(23),
			PeakOut: out / 3, PeakTime: first,
			Evidence: fmt.Sprintf("s3://logs/proxy/2026/11/20/access-%02d.log.gz:%d", rnd.IntN(24), rnd.IntN(1_000_000)),
		}
	}
	return rows
}

func BenchmarkCommit(b *testing.B) {
	rows := wideRows(300_000)
	p := Partitions[wideRow]{Store: newDisk(b.TempDir()), Folder: "aggregate=user_day"}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Commit(b.Context(), testDay, each(rows), &Done{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
}

func BenchmarkOpen(b *testing.B) {
	rows := wideRows(300_000)
	p := Partitions[wideRow]{Store: newDisk(b.TempDir()), Folder: "aggregate=user_day"}
	if err := p.Commit(b.Context(), testDay, each(rows), &Done{}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		part, err := p.Open(b.Context(), testDay)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, err := range part.Rows() {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if part.Close(); n != len(rows) {
			b.Fatalf("got %d rows, want %d", n, len(rows))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
}

// What a server that refuses some of the requests costs: 500 objects, 5 ms each.
func BenchmarkS3Refusals(b *testing.B) {
	for _, percent := range []int{0, 5, 20} {
		b.Run(fmt.Sprintf("refused=%d%%", percent), func(b *testing.B) {
			for b.Loop() {
				server := newS3Server(b)
				s := mustOpen(b, "s3://"+bucket, server.options())
				put(b, s, "x", "some text")
				rnd := rand.New(rand.NewPCG(1, 2))
				server.change = func(w http.ResponseWriter, r *http.Request, serve http.Handler) bool {
					time.Sleep(5 * time.Millisecond)
					if rnd.IntN(100) < percent {
						fail(w, http.StatusServiceUnavailable, "SlowDown")
						return false
					}
					return true
				}
				for range 500 {
					get(b, s, "x")
				}
			}
		})
	}
}
