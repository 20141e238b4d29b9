package jobs

import (
	"errors"
	"sync/atomic"

	"github.com/spf13/cobra"
)

func (p *program) scanCommand() *cobra.Command {
	var inputs inputFlags
	c := &cobra.Command{
		Use:   "scan PATH…",
		Short: "judge logs without configuration or state",
		Long: "scan detects the formats of the logs under the paths, and judges every day in them by the days before it.\n" +
			"All logs of one format are one feed.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && len(inputs.mapped) == 0 {
				return cobra.MinimumNArgs(1)(c, args)
			}
			return nil
		},
	}
	load := p.withConfig(c)
	inputs.bind(c)
	p.withVerbose(c)
	c.Flags().StringArrayVar(&inputs.mapped, "input", nil, "read PATH as this format: `FORMAT=PATH` (repeatable)")
	c.RunE = func(_ *cobra.Command, args []string) error {
		config, err := load()
		if err != nil {
			return err
		}
		inputs.zone, inputs.endpointURL, inputs.region = config.Zone, config.S3.EndpointURL, config.S3.Region
		inputs.sources = config.Sources
		p.scanned = scannedBy(&inputs, args)
		sources, total, err := p.find(&inputs, args)
		if err != nil {
			return err
		}
		var read atomic.Int64
		stop := p.watch("scan", total, &read)
		folded, err := Fold(p.ctx, sources, &foldOptions{aggregates: config.aggregates(), FoldOptions: config.foldOptions(),
			workers: config.Workers, memory: int64(config.Memory), read: &read})
		stop()
		if err != nil {
			return err
		}
		p.collect(streamingGarbage)
		h, err := scratched(p.ctx, folded, config.aggregates(), config.Workers)
		defer h.close()
		if err = errors.Join(err, folded.Close()); err != nil {
			return err
		}
		h.seen = folded.seen
		r, err := assemble(config, h, h.days(folded.inputs), folded.inputs)
		if err != nil {
			return err
		}
		r.Job = "scan"
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
