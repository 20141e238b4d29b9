package jobs

import (
	"cmp"
	"encoding/base32"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"outflow/columnar/logs"
	"outflow/stats/detect"
)

// This file makes the exfiltration that outflow tune injects. It is folded from logs that
// are made here, and added to copies of rows: neither the state nor a report ever has it.

const (
	// Of each night's entities at most 1/injectedShare get an injection, and drawnMost for
	// each kind: if 30 % of its peers rise, upload_zscore takes a rise for a crowd's.
	injectedShare = 5
	drawnMost     = 20
)

// An injection is a kind of exfiltration.
type injection struct {
	name string
	// shown names the aggregates that show it. Its victims are entities that the first has
	// rows of on that night.
	shown []string
	table string // of the header of its log
	days  int    // how many days it lasts; recall is that of the last
	// log writes a day of it, with src_ip as the client.
	log func(w io.Writer, day detect.Day, src string, r *rand.Rand)
}

var (
	sent       = []string{"user_day", "user_destination_day"}
	queried    = []string{"dns_pair"}
	downloaded = []string{"object_day"}
)

// injections are the kinds of exfiltration that outflow tune injects.
var injections = []injection{
	{"+50MB", sent, "http", 1, uploadLog(50e6)},
	{"+200MB", sent, "http", 1, uploadLog(200e6)},
	{"+1GB", sent, "http", 1, uploadLog(1e9)},
	{"+5GB", sent, "http", 1, uploadLog(5e9)},
	{"drip", sent, "http", 14, uploadLog(100e6)},
	{"dns 1/min", queried, "dns", 1, tunnelLog(60, 60, 40)},
	{"dns 10/min", queried, "dns", 1, tunnelLog(600, 6, 60)},
	{"dns 5/s", queried, "dns", 1, tunnelLog(3000, 0.2, 120)},
	{"bulk 1GB", downloaded, "api", 1, downloadLog(500, 2e6)},
}

var injectedHeader = map[string]string{
	"http": "time,src_ip,method,url_host,bytes_out,bytes_in\n",
	"dns":  "time,src_ip,query,query_type\n",
	"api":  "time,src_ip,service,operation,resource,bytes_out,bytes_in\n",
}

// clock formats a time some seconds after nine o'clock, when people are at work.
func clock(day detect.Day, seconds float64) string {
	return stamp(day.Time().UnixMicro() + int64((9*3600+seconds)*1e6))
}

// uploadLog returns a log of ten uploads, of size bytes together, to somebody's bucket.
func uploadLog(size int64) func(io.Writer, detect.Day, string, *rand.Rand) {
	return func(w io.Writer, day detect.Day, src string, _ *rand.Rand) {
		for i := range 10 {
			fmt.Fprintf(w, "%s,%s,PUT,outflow-tune.s3.amazonaws.com,%d,2000\n", clock(day, float64(i)*300), src, size/10)
		}
	}
}

// tunnelLog returns a log of queries, one every so many seconds, for names with that many
// bytes of base32 before the domain.
func tunnelLog(queries int, every float64, bytes int) func(io.Writer, detect.Day, string, *rand.Rand) {
	const label = 60 // bytes; DNS allows 63
	return func(w io.Writer, day detect.Day, src string, r *rand.Rand) {
		data := make([]byte, (bytes*5+7)/8)
		for i := range queries {
			for j := range data {
				data[j] = byte(r.Uint32())
			}
			text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(data))[:bytes]
			var labels []string
			for part := range slices.Chunk([]byte(text), label) {
				labels = append(labels, string(part))
			}
			fmt.Fprintf(w, "%s,%s,%s.outflow-tune.example,TXT\n", clock(day, float64(i)*every), src, strings.Join(labels, "."))
		}
	}
}

// downloadLog returns a log of downloads of different objects of a size from a bucket.
func downloadLog(objects, size int) func(io.Writer, detect.Day, string, *rand.Rand) {
	return func(w io.Writer, day detect.Day, src string, _ *rand.Rand) {
		for i := range objects {
			fmt.Fprintf(w, "%s,%s,s3.amazonaws.com,GetObject,outflow-tune/%d,0,%d\n", clock(day, float64(i)*5), src, i, size)
		}
	}
}

// fold folds the logs of the injections on the nights and the days before them that the
// longest lasts.
func (t *replay) fold(aggregates []*detect.Aggregate, nights []detect.Day) error {
	var sources []source
	for k, in := range injections {
		if !slices.ContainsFunc(aggregates, func(a *detect.Aggregate) bool { return slices.Contains(in.shown, a.Name) }) {
			continue
		}
		t.kinds = append(t.kinds, k)
		days := map[detect.Day]bool{}
		for _, night := range nights {
			for i := range in.days {
				days[night-detect.Day(i)] = true
			}
		}
		for _, day := range slices.Sorted(maps.Keys(days)) {
			sources = append(sources, source{feed: "tune", object: logs.Object{Name: fmt.Sprintf("tune/%d/%s", k, day),
				Open: func() (io.ReadCloser, error) {
					var b strings.Builder
					b.WriteString(injectedHeader[in.table])
					in.log(&b, day, injectedClient(k), rand.New(rand.NewPCG(t.seed, uint64(day)<<8|uint64(k))))
					return io.NopCloser(strings.NewReader(b.String())), nil
				}}})
		}
	}
	result, err := Fold(t.p.ctx, sources, &foldOptions{aggregates: aggregates, FoldOptions: t.state.options, workers: t.config.Workers, memory: int64(t.config.Memory)})
	if err != nil {
		return err
	}
	defer result.Close() // it was only read
	t.rows = map[*detect.Aggregate][][]detect.Row{}
	for _, a := range aggregates {
		t.rows[a] = make([][]detect.Row, len(injections))
		for r, err := range result.Rows(a) {
			if err != nil {
				return err
			}
			for k := range injections {
				if r.Entity == injectedClient(k) {
					t.rows[a][k] = append(t.rows[a][k], *r)
				}
			}
		}
	}
	return nil
}

// injectedClient returns the address under which an injection is folded, before its rows
// get a victim.
func injectedClient(k int) string { return fmt.Sprintf("192.0.2.%d", k+1) }

// A victim is an entity that gets an injection on a night.
type victim struct {
	detect.Key
	kind int
}

// draw returns the victims of a night.
func (t *replay) draw(night detect.Day) ([]victim, error) {
	var out []victim
	for _, a := range t.state.aggregates {
		var kinds []int
		for _, k := range t.kinds {
			if injections[k].shown[0] == a.Name {
				kinds = append(kinds, k)
			}
		}
		if len(kinds) == 0 {
			continue
		}
		r := rand.New(rand.NewPCG(t.seed, uint64(night)))
		var drawn []detect.Key // each entity as probable as the others
		var last detect.Key
		seen := 0
		for row, err := range t.h.rows(a, []detect.Day{night}) {
			if err != nil {
				return nil, err
			}
			key := row.Key
			key.Object = ""
			if key == last || a == detect.UserDay && row.KnownOut == 0 { // no bytes are known in that log
				continue
			}
			last = key
			seen++
			if most := drawnMost * len(kinds); len(drawn) < most {
				drawn = append(drawn, key)
			} else if at := r.IntN(seen); at < most {
				drawn[at] = key
			}
		}
		if a == detect.UserDay {
			t.people = max(t.people, seen)
		}
		r.Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
		n := min(len(drawn), len(kinds)*max(1, min(drawnMost, seen/injectedShare/len(kinds))))
		for i, key := range drawn[:n] {
			// If there are fewer entities than kinds, the kinds take turns.
			out = append(out, victim{key, kinds[(i+int(night))%len(kinds)]})
		}
	}
	return out, nil
}

// inject returns the series to add to those of an aggregate, by key, and whose they are.
// The destinations of each victim are its own: what many use is not unusual.
func (t *replay) inject(g *detectionGroup, night detect.Day, victims []victim) (added [][]detect.Row, whose map[detect.Key]int) {
	whose = map[detect.Key]int{}
	of := map[detect.Key][]detect.Row{}
	feeds := map[string]bool{} // that log what the aggregate reads
	for _, p := range t.h.partitions(g, night) {
		for _, feed := range p.feeds {
			feeds[feed] = true
		}
	}
	for i, v := range victims {
		if !feeds[v.Feed] || !slices.Contains(injections[v.kind].shown, g.detections[0].Aggregate.Name) {
			continue
		}
		first := max(g.first(night), night-detect.Day(injections[v.kind].days-1))
		for _, r := range t.rows[g.detections[0].Aggregate][v.kind] {
			if r.Day < first || r.Day > night {
				continue
			}
			key := v.Key
			if r.Object != "" {
				key.Object = fmt.Sprintf("%d-%s", i, r.Object)
			}
			r.Key = key
			of[key] = append(of[key], r)
			whose[key] = i
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(of), detect.Key.Compare) {
		added = append(added, of[key])
	}
	return added, whose
}

// withInjected yields the series with those of added, which is in the order of its keys.
// Rows of the same key and day become one.
func withInjected(rows seriesByKey, added [][]detect.Row) seriesByKey {
	return func(yield func(detect.Key, []detect.Row) bool) {
		rest := added
		for key, series := range rows {
			for ; len(rest) > 0 && rest[0][0].Key.Compare(key) < 0; rest = rest[1:] {
				if !yield(rest[0][0].Key, rest[0]) {
					return
				}
			}
			if len(rest) > 0 && rest[0][0].Key == key {
				series, rest = mergeSeries(series, rest[0]), rest[1:]
			}
			if !yield(key, series) {
				return
			}
		}
		for _, series := range rest {
			if !yield(series[0].Key, series) {
				return
			}
		}
	}
}

// mergeSeries merges two series of a key.
func mergeSeries(a, b []detect.Row) []detect.Row {
	out := slices.Concat(a, b)
	slices.SortStableFunc(out, func(x, y detect.Row) int { return cmp.Compare(x.Day, y.Day) })
	n := 0
	for i := range out {
		if n > 0 && out[n-1].Day == out[i].Day {
			out[n-1].Summary = out[n-1].Summary.Merge(out[i].Summary)
			continue
		}
		out[n] = out[i]
		n++
	}
	return out[:n]
}
