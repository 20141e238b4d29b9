package jobs

import (
	"errors"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"outflow/stats/detect"
)

func (p *program) scanCommand() *cobra.Command {
	var inputs inputFlags
	var from, to string
	c := &cobra.Command{
		Use:   "scan PATH…",
		Short: "judge logs without configuration or state",
		Long: "scan detects the formats of the logs under the paths, and judges every day in them by the days before it, or the\n" +
			"days from --from to --to. All logs of one format are one feed.",
		Example: "  outflow scan ~/case-4711/logs\n  outflow scan logs --from 2026-11-18 --to 2026-11-20\n" +
			"  outflow scan --input squid=access.log --input zeek=conn.log --as json",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && len(inputs.mapped) == 0 {
				return cobra.MinimumNArgs(1)(c, args)
			}
			return nil
		},
	}
	load := p.withConfig(c, except("state", "backfill", "catch_up", "keep", "wait", "late_bytes")...)
	inputs.bind(p, c)
	p.withVerbose(c)
	form := bindAs(c, "text", "json")
	dry := bindDryRun(c)
	c.Flags().StringVar(&from, "from", "", "judge from this `day` on, as in 2026-11-20: days before it are history")
	c.Flags().StringVar(&to, "to", "", "judge up to this `day`")
	c.Flags().StringArrayVar(&inputs.mapped, "input", nil, "read PATH as this format: `FORMAT=PATH` (repeatable)")
	c.RunE = func(_ *cobra.Command, args []string) error {
		as, err := form()
		if err != nil {
			return err
		}
		p.json = as == "json"
		first, last, err := dayBounds(from, to)
		if err != nil {
			return err
		}
		config, err := load()
		if err != nil {
			return err
		}
		inputs.zone, inputs.endpointURL, inputs.region = config.Zone, config.S3.EndpointURL, config.S3.Region
		inputs.sources = config.Sources
		p.scanned = scannedBy(&inputs, args)
		p.scanned.Rules = config.Rules
		end := p.trace.stage(listStage)
		sources, err := p.find(&inputs, args)
		end()
		if err != nil {
			return err
		}
		if *dry {
			return p.dryScan(config, sources)
		}
		if err := p.checkOut(config); err != nil {
			return err
		}
		folded, err := p.fold(p.ctx, "scan", sources, &foldOptions{aggregates: config.aggregates(), FoldOptions: config.foldOptions(),
			workers: config.Workers, memory: int64(config.Memory)})
		if err != nil {
			return err
		}
		end = p.trace.stage(mergeStage)
		h, err := scratched(p.ctx, folded, config.aggregates(), config.mergesAtOnce())
		end()
		defer h.close()
		if err = errors.Join(err, folded.Close()); err != nil {
			return err
		}
		h.seen = folded.seen
		h.readOn(folded.inputs)
		end = p.trace.stage(scoreStage)
		days := slices.DeleteFunc(h.days(folded.inputs), func(d detect.Day) bool { return d < first || d > last })
		r, err := assemble(config, h, days, folded.inputs)
		end()
		if err != nil {
			return err
		}
		r.Job = "scan"
		objects := objectsOf(sources)
		r.Blind = append(overlaps(p.ctx, r.Inputs, objects), r.Blind...)
		p.scanned.Records, p.scanned.Exact = etagsOf(objects, r.Findings), exact(r.Findings)
		if r.Records, err = p.recordsBehind(config, r.Findings, objects); err != nil {
			return err
		}
		if err := p.write(config, "", r); err != nil {
			return err
		}
		p.complaints(r.Inputs, true)
		if len(sources) == 0 {
			p.note("no logs found")
		}
		return p.verdict(config, r)
	}
	return c
}

// dayBounds returns the days that two texts name; "" sets no bound.
func dayBounds(from, to string) (first, last detect.Day, err error) {
	first, last = math.MinInt32, math.MaxInt32
	if from != "" {
		if first, err = detect.ParseDay(from); err != nil {
			return 0, 0, badConfig("--from: %w", err)
		}
	}
	if to != "" {
		if last, err = detect.ParseDay(to); err != nil {
			return 0, 0, badConfig("--to: %w", err)
		}
	}
	if last < first {
		return 0, 0, badConfig("--to %s is before --from %s", to, from)
	}
	return first, last, nil
}
