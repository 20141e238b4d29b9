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
	// Of each night's entities at most 1/injectedShare have an injection, and drawnMost one of
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
	days  int    // how many days it lasts; one that finds it is enough
	// log writes a day of it, with src_ip as the client.
	log func(w io.Writer, day detect.Day, src string, r *rand.Rand)
}

var (
	sent       = []string{"user_day", "user_destination_day"}
	queried    = []string{"dns_pair"}
	downloaded = []string{"object_day"}
	beaten     = []string{"pair_times"}
)

// bucket is the host of somebody's bucket.
const bucket = "outflow-tune.s3.amazonaws.com"

// injections are the kinds of exfiltration that outflow tune injects.
var injections = []injection{
	{"+50MB", sent, "http", 1, uploadLog(bucket, 50e6)},
	{"+200MB", sent, "http", 1, uploadLog(bucket, 200e6)},
	{"+1GB", sent, "http", 1, uploadLog(bucket, 1e9)},
	{"+5GB", sent, "http", 1, uploadLog(bucket, 5e9)},
	{"drip", sent, "http", 14, uploadLog(bucket, 100e6)},
	{"dns 1/min", queried, "dns", 1, tunnelLog(60, 60, 40)},
	{"dns 10/min", queried, "dns", 1, tunnelLog(600, 6, 60)},
	{"dns 5/s", queried, "dns", 1, tunnelLog(3000, 0.2, 120)},
	{"drop 50MB", sent, "http", 1, uploadLog("outflow-tune.example", 50e6)},
	{"bulk 1GB", downloaded, "api", 1, downloadLog(500, 2e6)},
	{"beacon 1/min", beaten, "http", 1, beaconLog(60, .25)},
	{"beacon 4/h", beaten, "http", 1, beaconLog(900, .25)},
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

// uploadLog returns a log of ten uploads to a host, of size bytes together.
func uploadLog(host string, size int64) func(io.Writer, detect.Day, string, *rand.Rand) {
	return func(w io.Writer, day detect.Day, src string, _ *rand.Rand) {
		for i := range 10 {
			fmt.Fprintf(w, "%s,%s,PUT,%s,%d,2000\n", clock(day, float64(i)*300), src, host, size/10)
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

// beaconLog returns a log of a client that asks its server for commands from midnight to
// midnight, every so many seconds, give or take a share of them.
func beaconLog(every, jitter float64) func(io.Writer, detect.Day, string, *rand.Rand) {
	return func(w io.Writer, day detect.Day, src string, r *rand.Rand) {
		for at := every; at < 86400-every; at += every * (1 + jitter*(2*r.Float64()-1)) {
			fmt.Fprintf(w, "%s,%s,GET,beacon.outflow-tune.example,400,900\n", clock(day, at-9*3600), src)
		}
	}
}

// before returns how many days before the last night the injections that last longest may
// begin. It is a week more than they need: on a Sunday there are few entities to draw.
func before() detect.Day {
	days := 0
	for _, in := range injections {
		days = max(days, in.days)
	}
	return detect.Day(days - 1 + 7)
}

// begins reports whether injections of a kind begin on a night: those that end by the last
// night and not before the first that counts.
func (t *replay) begins(kind int, night detect.Day) bool {
	end := night + detect.Day(injections[kind].days-1)
	return t.first <= end && end <= t.last
}

// fold folds the logs of the injections that begin on the nights.
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
				if t.begins(k, night) {
					days[night+detect.Day(i)] = true
				}
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

// A victim is an entity that gets an injection.
type victim struct {
	detect.Key
	kind  int
	first detect.Day // of the injection
	last  detect.Day
	// For downloads: the service that it uses most, and whether its log counts bytes.
	service string
	known   bool
}

// draw returns the victims whose injections begin on a night: none of those that still
// have one.
func (t *replay) draw(night detect.Day) ([]victim, error) {
	var out []victim
	for _, a := range t.state.aggregates {
		var long, short []int // the kinds to draw
		shown := 0
		for k, in := range injections {
			switch {
			case in.shown[0] != a.Name || !slices.Contains(t.kinds, k):
				continue
			case !t.begins(k, night):
			case in.days > 1:
				long = append(long, k)
			default:
				short = append(short, k)
			}
			shown++
		}
		kinds := long
		if n := len(short); n > 0 { // if there are fewer entities than kinds, the kinds take turns
			at := int(night) % n
			kinds = slices.Concat(long, short[at:], short[:at])
		}
		if len(kinds) == 0 {
			continue
		}
		busy, active := map[detect.Key]bool{}, map[int]int{}
		for _, v := range t.victims {
			if injections[v.kind].shown[0] == a.Name && night <= v.last {
				busy[v.Key] = true
				active[v.kind]++
			}
		}
		most := drawnMost * len(kinds)
		r := rand.New(rand.NewPCG(t.seed, uint64(night)))
		var drawn []detect.Key // each entity as probable as the others
		var last detect.Key
		seen, free := 0, 0
		for row, err := range t.h.rows(a, []detect.Day{night}) {
			if err != nil {
				return nil, err
			}
			key := row.Key
			key.Object = ""
			switch {
			case key == last, a == detect.UserDay && row.KnownOut == 0: // no bytes are known in that log
				continue
			case a == detect.PairTimes && detect.LookUps(row.Feed): // a beacon there is the shadow of another
				continue
			}
			last = key
			seen++
			if busy[key] {
				continue
			}
			free++
			if len(drawn) < most {
				drawn = append(drawn, key)
			} else if at := r.IntN(free); at < most {
				drawn[at] = key
			}
		}
		if a == detect.UserDay {
			t.people = max(t.people, seen)
		}
		r.Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
		begun := len(out)
		each := max(1, min(drawnMost, seen/injectedShare/shown))
		for _, k := range kinds {
			n := min(len(drawn), max(0, each-active[k]))
			for _, key := range drawn[:n] {
				out = append(out, victim{Key: key, kind: k, first: night, last: night + detect.Day(injections[k].days-1)})
			}
			drawn = drawn[n:]
		}
		if a == detect.ObjectDay {
			if err := t.services(night, out[begun:]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// services sets the service of victims: that of the place that they fetch most objects
// from on the night.
func (t *replay) services(night detect.Day, victims []victim) error {
	of, most := map[detect.Key]*victim{}, map[detect.Key]int64{}
	for i := range victims {
		of[victims[i].Key] = &victims[i]
	}
	for row, err := range t.h.rows(detect.ObjectDay, []detect.Day{night}) {
		if err != nil {
			return err
		}
		key := row.Key
		key.Object = ""
		if v := of[key]; v != nil && (v.service == "" || row.Names > most[key]) {
			v.service, _, _ = strings.Cut(row.Object, "/")
			v.known, most[key] = row.KnownIn > 0, row.Names
		}
	}
	return nil
}

// act returns the key under which a finding is about an injection: that of the finding,
// but for downloads without the place, which a finding names if it gave nearly all.
func act(a *detect.Aggregate, k detect.Key) detect.Key {
	if a == detect.ObjectDay {
		k.Object, _, _ = strings.Cut(k.Object, "/")
	}
	return k
}

// inject returns the series to add to those of an aggregate, by key, and whose they are,
// by act. The destinations of each victim are its own: what many use is not unusual.
func (t *replay) inject(g *detectionGroup, night detect.Day) (added [][]detect.Row, whose map[detect.Key]int) {
	whose = map[detect.Key]int{}
	of := map[detect.Key][]detect.Row{}
	feeds := map[string]bool{} // that log what the aggregate reads
	for _, p := range t.h.partitions(g, night) {
		for _, feed := range p.feeds {
			feeds[feed] = true
		}
	}
	for i, v := range t.victims {
		if night > v.last || !feeds[v.Feed] || !slices.Contains(injections[v.kind].shown, g.detections[0].Aggregate.Name) {
			continue
		}
		first := max(g.first(night), v.first)
		for _, r := range t.rows[g.detections[0].Aggregate][v.kind] {
			if r.Day < first || r.Day > night {
				continue
			}
			key := v.Key
			switch service, place, _ := strings.Cut(r.Object, "/"); {
			case r.Object == "":
			case place == "":
				key.Object = fmt.Sprintf("%d-%s", i, service)
			default: // what a service never logs, it does not log of a theft
				key.Object = fmt.Sprintf("%s/%d-%s", v.service, i, place)
				if !v.known {
					r.BytesIn, r.KnownIn = 0, 0
				}
			}
			r.Key = key
			of[key] = append(of[key], r)
			whose[act(g.detections[0].Aggregate, key)] = i
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
