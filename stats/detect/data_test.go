package detect

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"outflow/columnar"
	"outflow/stats"
)

// A seenQuery is one question of a capture or log.
type seenQuery struct {
	at          int64 // µs UTC
	source, kin string
	name        string
}

// rareTypes are those of Summary.Rare, by number.
var rareTypes = []string{"5", "10", "15", "16", "25", "33", "65399"}

// pairRows computes the measures of Summary with the simplest code.
func pairRows(queries []seenQuery) []Row {
	var domains columnar.Domains
	var meter stats.Entropy
	groups := map[Key][]seenQuery{}
	for _, q := range queries {
		k := Key{Feed: "dns", EntityType: "src_ip", Entity: q.source, Object: cmp.Or(string(domains.Asked([]byte(q.name))), noTopLevel)}
		groups[k] = append(groups[k], q)
	}
	var rows []Row
	for k, qs := range groups {
		slices.SortStableFunc(qs, func(a, b seenQuery) int { return int(a.at - b.at) })
		subdomain := func(name string) string { return strings.TrimSuffix(strings.TrimSuffix(name, k.Object), ".") } // the whole name, if the object is noTopLevel
		r := Row{Day: DayOf(qs[0].at), Key: k}
		names := map[string]bool{}
		for i, q := range qs {
			s := subdomain(q.name)
			bits := meter.Bits([]byte(s))
			r.Events++
			r.MaxEntropy, r.MaxLength = max(r.MaxEntropy, bits), max(r.MaxLength, int64(len(s)))
			if bits > 3.8 || len(s) > 60 {
				r.Odd++
			}
			if slices.Contains(rareTypes, q.kin) {
				r.Rare++
			}
			if !names[q.name] {
				names[q.name] = true
				r.NameBytes += int64(len(s))
			}
			inWindow, events, bytes := map[string]bool{}, int64(0), int64(0)
			for _, w := range qs[i:] {
				if w.at >= q.at+slidingWindow {
					break
				}
				events++
				if !inWindow[w.name] {
					inWindow[w.name] = true
					bytes += int64(len(subdomain(w.name)))
				}
			}
			if events > r.WindowEvents {
				r.WindowEvents, r.WindowAt = events, q.at
			}
			r.WindowNames = max(r.WindowNames, int64(len(inWindow)))
			if bytes > r.WindowBytes {
				r.WindowBytes, r.BytesAt = bytes, q.at
			}
		}
		r.Names = int64(len(names))
		examples := slices.Sorted(maps.Keys(names))
		slices.SortStableFunc(examples, func(a, b string) int { return len(b) - len(a) })
		r.Examples = examples[:min(3, len(examples))]
		rows = append(rows, r)
	}
	sortRows(rows)
	return rows
}

var escaped = regexp.MustCompile(`\\(\d\d\d|.)`)

// captured reads the questions of a table of captured packets: time, client, …
func captured(t *testing.T, file string, skip int) []seenQuery {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var out []seenQuery
	for line := range strings.Lines(string(text)) {
		c := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") || len(c) < skip+13 || c[skip+8] != "0" {
			continue
		}
		c = c[skip:]
		at, err := strconv.ParseFloat(c[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		name := escaped.ReplaceAllStringFunc(c[12], func(s string) string {
			if n, err := strconv.Atoi(s[1:]); err == nil && len(s) == 4 {
				return string([]byte{byte(n)})
			}
			return s[1:]
		})
		out = append(out, seenQuery{int64(at * 1e6), c[1], c[11], lowerASCII(strings.TrimSuffix(name, "."))})
	}
	return out
}

// lowerASCII changes only ASCII letters, because tunnels use all 256 bytes.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// TestRealDNS runs the DNS detections over captures of real tunnels and of
// ordinary use. They may not be redistributed, so they stand outside the
// repository, in the folder that OUTFLOW_DATA names.
func TestRealDNS(t *testing.T) {
	data := os.Getenv("OUTFLOW_DATA")
	if data == "" {
		t.Skip("OUTFLOW_DATA names no folder of captures")
	}
	judge := func(d *Detection, rows []Row) (found []string) {
		if len(rows) == 0 {
			t.Fatal("no rows")
		}
		for _, f := range Judge(d, &Input{Day: rows[0].Day, Series: seriesOf(rows)}) {
			if f.Label == "" {
				found = append(found, f.Object)
			}
		}
		return found
	}
	tunnels, err := filepath.Glob(filepath.Join(data, "dns-tunnel-pcap", "*.tsv.gz"))
	if err != nil || len(tunnels) == 0 {
		t.Fatalf("%d tunnels, error %v", len(tunnels), err)
	}
	for _, file := range tunnels {
		queries := captured(t, file, 0)
		rows := pairRows(queries)
		most := slices.MaxFunc(rows, func(a, b Row) int { return int(a.Events - b.Events) })
		information, volume, odd := judge(dnsInformation(), rows), judge(dnsVolume(), rows), judge(dnsEntropy(), rows)
		t.Logf("%s: %s, %d queries, window %d B and %d queries, day %d B, mean %.1f B: information %v, volume %v, entropy %v", filepath.Base(file),
			most.Object, most.Events, most.WindowBytes, most.WindowEvents, most.NameBytes, float64(most.NameBytes)/float64(most.Names), information, volume, odd)
		if most.Events >= 50 && !slices.Contains(append(information, volume...), most.Object) {
			t.Errorf("%s: %s is not found", file, most.Object)
		}
	}

	var pihole []seenQuery
	log, err := os.Open(filepath.Join(data, "dnsmasq-pihole", "pihole.0236.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	question := regexp.MustCompile(`^(\w+ +\d+ [\d:]+) .*query\[(\w+)\] (\S+) from (\S+)`)
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if m := question.FindStringSubmatch(lines.Text()); m != nil {
			at, err := time.Parse("Jan _2 15:04:05", m[1])
			if err != nil {
				t.Fatal(err)
			}
			pihole = append(pihole, seenQuery{at.AddDate(2024, 0, 0).UnixMicro(), m[4], m[2], strings.ToLower(m[3])})
		}
	}
	benign := map[string][]seenQuery{"pihole": pihole}
	for file, skip := range map[string]int{"gg_normal_00000": 0, "ndpi_apps_dns": 1} {
		benign[file] = captured(t, filepath.Join(data, "dns-benign-pcap", file+".tsv.gz"), skip)
	}
	for name, queries := range benign {
		byDay := map[Day][]seenQuery{}
		for _, q := range queries {
			byDay[DayOf(q.at)] = append(byDay[DayOf(q.at)], q)
		}
		pairs := 0
		for _, queries := range byDay {
			rows := pairRows(queries)
			pairs += len(rows)
			for _, d := range []*Detection{dnsInformation(), dnsVolume(), dnsEntropy()} {
				if found := judge(d, rows); len(found) > 0 {
					t.Errorf("%s: %s finds %v", name, d.Name, found)
				}
			}
		}
		t.Logf("%s: %d queries, %d pairs", name, len(queries), pairs)
	}
}
