package jobs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"outflow/columnar"
	"outflow/reports"
	"outflow/stats/detect"
)

// The window of hourly-dns, back from when it runs: an hour, so that each query is
// judged once, and ten minutes for logs to arrive. Both ends are at a whole minute.
const (
	hourlyFrom = 70 * time.Minute
	hourlyTo   = 10 * time.Minute
)

// hourlyDNS judges an hour of DNS by the detections that look at what a source asks
// of one domain, and writes the reports. It leaves no state, and needs none: it can
// run beside the nightly job, which judges the same queries in their day.
//
// What was asked before the window is not known to it. Rather than read a little of
// it, which would only move the edge, it says so.
func (p *program) hourlyDNS(config *Config, job string, at time.Time) error {
	from, to := at.UTC().Add(-hourlyFrom).Truncate(time.Minute), at.UTC().Add(-hourlyTo).Truncate(time.Minute)
	config = config.hourly()
	aggregates := config.aggregates()
	sources, err := p.sources(config, detect.DayOf(from.UnixMicro()), detect.DayOf(at.UnixMicro()))
	if err != nil {
		return err
	}
	var total int64
	for i := range sources {
		total += sources[i].object.Size
	}
	o := config.foldOptions()
	o.From, o.To, o.OneDay = from.UnixMicro(), to.UnixMicro(), true
	var read atomic.Int64
	stop := p.watch("fold "+from.Format("2006-01-02 15:04")+" to "+to.Format("15:04"), total, &read)
	folded, err := Fold(p.ctx, sources, &foldOptions{aggregates: aggregates, FoldOptions: o, workers: config.Workers,
		memory: int64(config.Memory), read: &read})
	stop()
	if err != nil {
		return err
	}
	p.collect(judgingGarbage)
	h, err := scratched(p.ctx, folded, aggregates, config.Workers)
	defer h.close()
	if err = errors.Join(err, folded.Close()); err != nil {
		return err
	}
	h.window = [2]int64{o.From, o.To}
	r, err := assemble(config, h, []detect.Day{detect.DayOf(o.From)}, folded.inputs)
	if err != nil {
		return err
	}
	r.Job, r.Window, r.At = job, h.window, to
	r.Warnings = append(r.Warnings, fmt.Sprintf("What was asked before %s is not known to this run: a slow tunnel shows in the nightly job first.", from.Format("15:04")))
	r.Blind = slices.Concat(silent(config, h, r.Days, folded.inputs), stale(folded.inputs, from, to), r.Blind)
	p.complaints(r)
	folder := job
	if config.seed() {
		folder += "-seed"
	}
	if err := p.write(config, folder+"/"+from.Format("2006-01-02T1504Z"), r); err != nil {
		return err
	}
	return p.verdict(config, r)
}

// stale says of which feeds there are logs, but no row of the window: what is late, or
// has stopped, looks like a quiet hour.
func stale(inputs []reports.Input, from, to time.Time) []reports.Blind {
	inside, rows := map[string]int64{}, map[string]int64{}
	for _, in := range inputs {
		rows[in.Feed] += in.Rows
		inside[in.Feed] += in.Rows - in.Outside
	}
	var out []reports.Blind
	for _, feed := range slices.Sorted(maps.Keys(rows)) {
		if inside[feed] == 0 {
			out = append(out, reports.Blind{Feed: feed,
				Why:    fmt.Sprintf("No row of feed %s is of the time from %s to %s.", feed, from.Format("15:04"), to.Format("15:04")),
				Remedy: "Check whether its log is still written, and delivered within ten minutes."})
		}
	}
	return out
}

// hourly returns the configuration of hourly-dns: the detections that judge what a
// source asks of a domain, the inputs that can have DNS, no rules.
func (c *Config) hourly() *Config {
	h := *c
	h.rules = ruleSet{}
	h.detections = slices.DeleteFunc(slices.Clone(c.detections), func(d *detect.Detection) bool {
		if c.seed() {
			return d.Name != "dns_model" // the document gives this schedule to it alone
		}
		return d.Aggregate != detect.DNSPair
	})
	h.Inputs = slices.DeleteFunc(slices.Clone(c.Inputs), func(in *Input) bool {
		return in.format != nil && !slices.Contains(in.format.Tables, columnar.DNS) ||
			in.Mapping != nil && in.Mapping.Table != "" && in.Mapping.Table != columnar.DNS.Name
	})
	h.Allow = nil
	for _, a := range c.Allow {
		entry := *a
		entry.used = true // that it matches nothing in an hour means nothing
		h.Allow = append(h.Allow, &entry)
	}
	h.onlyDNS = true
	return &h
}
