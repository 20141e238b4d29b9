package jobs

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"sort"
	"strings"

	"outflow/reports"
	"outflow/stats"
	"outflow/stats/detect"
)

// A history is what a run knows of the days up to the judged ones.
type history struct {
	rows map[string][]detect.Row // by aggregate
	// earlier are the findings of days before the judged ones.
	earlier []detect.Finding
	// flagged holds the findings so far that were not allowed.
	flagged map[flag]bool

	input []detect.Row // of the last inputOf, to be used again
}

type flag struct {
	detection string
	key       detect.Key
	day       detect.Day
}

// byFeed yields an aggregate's rows feed by feed, sorted by key and then day:
// feeds are judged apart.
func (h *history) byFeed(aggregate string) iter.Seq[[]detect.Row] {
	return func(yield func([]detect.Row) bool) {
		rows := h.rows[aggregate]
		byKey := func(a, b detect.Row) int { return cmp.Or(a.Key.Compare(b.Key), cmp.Compare(a.Day, b.Day)) }
		if !slices.IsSortedFunc(rows, byKey) {
			slices.SortFunc(rows, byKey)
		}
		for len(rows) > 0 {
			n := sort.Search(len(rows), func(i int) bool { return rows[i].Feed != rows[0].Feed })
			if !yield(rows[:n:n]) {
				return
			}
			rows = rows[n:]
		}
	}
}

// inputOf returns what a detection judges of one feed's rows on a day. It is
// valid until the next call.
func (h *history) inputOf(c *Config, d *detect.Detection, rows []detect.Row, day detect.Day) *detect.Input {
	in := &detect.Input{Day: day, Own: c.own, Flagged: func(k detect.Key, day detect.Day) bool {
		return h.flagged[flag{d.Name, k, day}]
	}}
	covered := map[detect.Day]bool{}
	h.input = slices.Grow(h.input[:0], len(rows))
	for i := range rows {
		if r := &rows[i]; r.Day <= day && int(day-r.Day) <= d.History {
			h.input = append(h.input, *r)
			if r.Day < day {
				covered[r.Day] = true
			}
		}
	}
	in.Rows = h.input
	in.Covered = sortedKeys(covered)
	return in
}

// judge runs the detections on each of the days in turn. What is found on one
// day is not taken for normal on the next.
func (h *history) judge(c *Config, days []detect.Day) []detect.Finding {
	if c.seed() {
		days = days[max(0, len(days)-1):] // the seeds judge a whole log at once
	}
	var all []detect.Finding
	for _, d := range c.detections {
		for rows := range h.byFeed(d.Reads) {
			for _, day := range days {
				found := detect.Judge(d, h.inputOf(c, d, rows, day))
				allow(c.Allow, found)
				for _, f := range found {
					if f.Allowed == "" {
						h.flagged[flag{d.Name, f.Key, f.Day}] = true
					}
				}
				all = append(all, found...)
			}
		}
	}
	return all
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// own reports whether a host is the company's own: it or a domain above it is
// listed, or its first label is, as a bucket or tenant.
func (c *Config) own(host string) bool {
	bucket, _, _ := strings.Cut(host, ".")
	for _, name := range c.Own {
		if below(host, name) || name == bucket && !strings.Contains(name, ".") {
			return true
		}
	}
	return false
}

// worstFirst orders findings as a report lists them.
func worstFirst(findings []detect.Finding) {
	boolean := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(findings, func(a, b detect.Finding) int {
		return cmp.Or(
			cmp.Compare(b.Day, a.Day),
			cmp.Compare(boolean(a.Allowed != ""), boolean(b.Allowed != "")),
			cmp.Compare(boolean(a.Label != ""), boolean(b.Label != "")),
			cmp.Compare(b.Severity, a.Severity),
			cmp.Compare(b.RiskScore, a.RiskScore),
			cmp.Compare(b.Score/max(b.Threshold, 1e-9), a.Score/max(a.Threshold, 1e-9)),
			a.Key.Compare(b.Key),
			cmp.Compare(a.Detection, b.Detection),
			cmp.Compare(a.UID, b.UID),
		)
	})
}

// userDays returns the user_day rows of the wanted days, with what was normal.
func (h *history) userDays(c *Config, wanted map[detect.Day]bool) []reports.UserDay {
	type place struct {
		day detect.Day
		key detect.Key
	}
	baselines := map[place]detect.UploadBaseline{}
	if d := c.detection("upload_zscore"); d != nil {
		for rows := range h.byFeed(d.Reads) {
			for day := range wanted {
				for _, b := range detect.UploadBaselines(d, h.inputOf(c, d, rows, day)) {
					baselines[place{day, b.Key}] = b
				}
			}
		}
	}
	var out []reports.UserDay
	rows := h.rows[detect.UserDay.Name]
	for i := range rows {
		row := &rows[i]
		if !wanted[row.Day] {
			continue
		}
		u := reports.UserDay{Row: row, BaselineMedian: math.NaN(), BaselineUpper: math.NaN(), Z: math.NaN(), Ratio: math.NaN()}
		if row.KnownOut > 0 && row.KnownIn > 0 {
			u.Ratio = stats.Ratio(row.BytesOut, row.BytesIn)
		}
		if b, ok := baselines[place{row.Day, row.Key}]; ok {
			u.BaselineDays, u.BaselineMedian, u.BaselineUpper, u.Z = b.Days, math.Round(b.Median), math.Round(b.Upper), b.Z
		}
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b reports.UserDay) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), a.Key.Compare(b.Key))
	})
	return out
}

// span returns how many days of history there were before the first judged day.
func (h *history) span(days []detect.Day) int {
	if len(days) == 0 {
		return 0
	}
	before := map[detect.Day]bool{}
	for _, rows := range h.rows {
		for _, r := range rows {
			if r.Day < days[0] {
				before[r.Day] = true
			}
		}
	}
	return min(len(before), 30)
}
