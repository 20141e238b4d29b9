package jobs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// A night over a large state must stay within a small container: two million
// pairs of clients and domains on the judged day, and a month of 20,000 users. It
// takes a minute, so only with OUTFLOW_LONG.
func TestNightMemory(t *testing.T) {
	if os.Getenv("OUTFLOW_LONG") == "" || runtime.GOOS != "linux" {
		t.Skip("takes a minute: set OUTFLOW_LONG")
	}
	const most = 256 << 20
	s := newSite(t, datedURI)
	p := &program{ctx: context.Background(), now: time.Now, env: func(string) (string, bool) { return "", false }, stderr: os.Stderr}
	config := &Config{State: s.dir + "/state", Inputs: []*Input{{Name: "cloud", URI: s.dir + "/" + datedURI}}, detections: detect.All()}
	st, err := p.openState(config, "test")
	if err != nil {
		t.Fatal(err)
	}
	judged, err := detect.ParseDay("2026-03-31")
	if err != nil {
		t.Fatal(err)
	}
	const clients, domains = 2000, 1000
	for day := judged - 30; day <= judged; day++ {
		at := day.Time().UnixMicro()
		for _, a := range st.aggregates {
			rows := func(yield func(*detect.Row, error) bool) {
				switch {
				case a == detect.DNSPair && day == judged:
					for i := range clients * domains {
						r := detect.Row{Day: day, Key: detect.Key{Feed: "dns", EntityType: "src_ip",
							Entity: fmt.Sprintf("10.%03d.%03d.7", i/domains/250, i/domains%250), Object: fmt.Sprintf("domain-%06d.example", i%domains*500+i/domains%500)}}
						r.Summary = detect.Summary{Events: int64(i % 97), First: at, Last: at + int64(i), Names: 3, NameBytes: int64(i % 60), WindowEvents: 5,
							WindowAt: at, WindowBytes: 9, BytesAt: at, MaxEntropy: 2.5, MaxLength: 12, Examples: []string{fmt.Sprintf("host-%d.example", i)}}
						if !yield(&r, nil) {
							return
						}
					}
				case a == detect.UserDay:
					for i := range 20_000 {
						r := detect.Row{Day: day, Key: detect.Key{Feed: "cloud", EntityType: "user", Entity: fmt.Sprintf("user-%05d@example.com", i)}}
						r.Summary = detect.Summary{Events: 9, KnownOut: 9, KnownIn: 9, BytesOut: int64(i) * 1000 * int64(1+(i+int(day))%7), BytesIn: 1e6,
							First: at, Last: at + 9, Hours: 255, PeakOut: 7, PeakTime: at, Evidence: fmt.Sprintf("logs/cloud.csv.gz:%d", i)}
						if !yield(&r, nil) {
							return
						}
					}
				}
			}
			if err := st.commitRows(p.ctx, a, map[detect.Day]store.Done{day: {}}, rows); err != nil {
				t.Fatal(err)
			}
		}
	}
	outflow := exec.Command(os.Args[0])
	outflow.Args = []string{"outflow", "run", "nightly", "--config", "outflow.yaml", "--day", judged.String(), "--backfill=false"}
	outflow.Dir = s.dir
	outflow.Env = append(os.Environ(), "GOMEMLIMIT=128MiB")
	if out, err := outflow.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	usage := outflow.ProcessState.SysUsage().(*syscall.Rusage)
	t.Logf("peak %d MiB, %v of CPU", usage.Maxrss>>10, outflow.ProcessState.UserTime()+outflow.ProcessState.SystemTime())
	if usage.Maxrss<<10 > most {
		t.Errorf("the night took %d MiB, want no more than %d", usage.Maxrss>>10, most>>20)
	}
}
