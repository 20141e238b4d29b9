package jobs

import (
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// If this fails, two runs at the same time give what neither order of them gives, or one
// gives up without saying why. OUTFLOW_LONG=1 tries each pair 50 times, as make overlaptest
// does.
func TestOverlap(t *testing.T) {
	tries, pairs := 1, [][2]string{{"nightly", "another day"}, {"nightly", "backfill"}}
	if os.Getenv("OUTFLOW_LONG") != "" {
		tries, pairs = 50, nil
		names := []string{"nightly", "another day", "backfill", "hourly"}
		for i, a := range names {
			for _, b := range names[i:] {
				pairs = append(pairs, [2]string{a, b})
			}
		}
	}
	jobs := map[string][]string{
		"nightly":     {"run", "nightly", "--day", "2026-03-21"},
		"another day": {"run", "nightly", "--day", "2026-03-20"},
		"backfill":    {"backfill", "--from", "2026-03-17", "--to", "2026-03-20"},
		"hourly":      {"run", "hourly-dns", "--at", "2026-03-21T12:00:00Z"},
	}
	files := killWorld(true)
	serial := func(t *testing.T, runs ...[]string) (map[string]string, time.Duration) {
		w := newWorld(t, false, files)
		begun := time.Now()
		for _, args := range runs {
			w.must(args...)
		}
		return results(w.files()), time.Since(begun)
	}
	for _, pair := range pairs {
		a, b := pair[0], pair[1]
		t.Run(a+" and "+b, func(t *testing.T) {
			ab, long := serial(t, jobs[a], jobs[b])
			ba, _ := serial(t, jobs[b], jobs[a])
			r := rand.New(rand.NewPCG(1, uint64(len(a)*100+len(b))))
			waited, gaveUp := 0, 0
			for n := range tries {
				w := newWorld(t, false, files)
				wait := []string{"--wait", "10m"}
				if n%2 == 1 {
					wait[1] = "0"
				}
				var both sync.WaitGroup
				var codes [2]int
				var says [2]string
				for k, name := range []string{a, b} {
					pause := time.Duration(r.Int64N(int64(long)/2 + 1))
					both.Go(func() {
						time.Sleep(pause)
						codes[k], _, says[k] = w.run("0", append(jobs[name], wait...)...)
					})
				}
				both.Wait()
				for k := range codes {
					if strings.Contains(says[k], "waiting up to") {
						waited++
					}
					if codes[k] == exitOK {
						continue
					}
					gaveUp++
					if codes[k] != exitEnvironment || wait[1] != "0" || !strings.Contains(says[k], "is locked by the run") {
						t.Errorf("exit %d: %s", codes[k], says[k])
					}
				}
				if codes[0] != exitOK && codes[1] != exitOK {
					t.Errorf("both gave up: %s\n%s", says[0], says[1])
				}
				if codes[0] != exitOK {
					w.must(jobs[a]...)
				} else if codes[1] != exitOK {
					w.must(jobs[b]...)
				}
				got := results(w.files())
				if first, second := differences(got, ab), differences(got, ba); len(first) > 0 && len(second) > 0 {
					t.Errorf("differs from %s, then %s:\n%s\nand from the other order:\n%s", a, b, strings.Join(first, "\n"), strings.Join(second, "\n"))
				}
			}
			t.Logf("%d tries: %d runs waited, %d gave up", tries, waited, gaveUp)
		})
	}
}
