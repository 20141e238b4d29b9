package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"outflow/columnar"
	"outflow/stats/detect"
)

// The window of hourly-dns, counted back from the time of the run: an hour, so that
// each query is judged once, and ten minutes for logs to arrive. Both ends are at a
// whole minute.
const (
	hourlyFrom = 70 * time.Minute
	hourlyTo   = 10 * time.Minute
)

// hourlyDNS judges an hour of DNS by the detections that judge a client's queries to
// one domain, and writes the reports. It neither writes nor needs state, so it can run
// beside the nightly job, which judges the same queries within their day.
//
// It does not know the queries before its window. Reading some of them would only move
// the edge, so the report names the limit instead.
func (p *program) hourlyDNS(config *Config, job string, at time.Time) (err error) {
	if err := p.checkOut(config); err != nil {
		return err
	}
	from, to := hourBefore(at)
	config = config.hourly()
	run := p.record(config, job, from.Format("2006-01-02T1504Z"))
	defer func() { err = p.ended(run, run.failed(p, err)) }()
	aggregates := config.aggregates()
	end := p.trace.stage(listStage)
	sources, err := p.hourSources(config, at)
	end()
	if err != nil {
		return err
	}
	o := config.foldOptions()
	o.From, o.To, o.OneDay = from.UnixMicro(), to.UnixMicro(), true
	folded, err := p.fold(p.ctx, "fold "+from.Format("2006-01-02 15:04")+" to "+to.Format("15:04"), sources,
		&foldOptions{aggregates: aggregates, FoldOptions: o, workers: config.Workers, memory: int64(config.Memory)})
	if err != nil {
		return err
	}
	run.stage(p, "fold")
	end = p.trace.stage(mergeStage)
	h, err := scratched(p.ctx, folded, aggregates, config.mergesAtOnce())
	end()
	defer h.close()
	if err = errors.Join(err, folded.Close()); err != nil {
		return err
	}
	h.window = [2]int64{o.From, o.To}
	end = p.trace.stage(scoreStage)
	r, err := assemble(config, h, []detect.Day{detect.DayOf(o.From)}, folded.inputs)
	end()
	if err != nil {
		return err
	}
	r.Job, r.Window, r.At = job, h.window, to
	r.Warnings = append(r.Warnings, fmt.Sprintf("This run does not know the queries before %s: the nightly job finds slow tunnels first.", from.Format("15:04")))
	quiet := silent(config, h, r.Days, folded.inputs, "from "+from.Format("15:04")+" to "+to.Format("15:04"))
	r.Feeds = feedsOf(config, folded.inputs, quiet)
	r.Blind = append(quiet, r.Blind...)
	run.stage(p, "judge")
	if r.Records, err = p.recordsBehind(config, r.Findings, objectsOf(sources)); err != nil {
		return err
	}
	if err := p.write(config, run.folder, r); err != nil {
		return err
	}
	run.stage(p, "report")
	p.complaints(r.Inputs, true)
	result := p.verdict(config, r)
	return cmp.Or(run.write(p, r, result), result)
}

// hourBefore returns the hour that a run at a time judges.
func hourBefore(at time.Time) (from, to time.Time) {
	return at.UTC().Add(-hourlyFrom).Truncate(time.Minute), at.UTC().Add(-hourlyTo).Truncate(time.Minute)
}

// hourSources lists the logs that a run at a time reads.
func (p *program) hourSources(config *Config, at time.Time) ([]source, error) {
	from, _ := hourBefore(at)
	return p.sources(config, detect.DayOf(from.UnixMicro()), detect.DayOf(at.UnixMicro()))
}

// hourly returns the configuration of hourly-dns: the detections that judge a client's
// queries to one domain, the inputs that may have DNS, and no rules.
func (c *Config) hourly() *Config {
	h := *c
	h.rules = ruleSet{}
	h.detections = slices.DeleteFunc(slices.Clone(c.detections), func(d *detect.Detection) bool {
		if c.seed() {
			return d.Name != "dns_model" // the original rules give only this one an hourly schedule
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
		entry.used = true // no warning: an hour without a match means nothing
		h.Allow = append(h.Allow, &entry)
	}
	h.onlyDNS = true
	return &h
}
