package jobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

func (p *program) stateCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "state", Short: "look after the state: ls, verify, gc, repair", Args: cobra.NoArgs,
		Example: "  outflow state ls --config outflow.yaml\n  outflow state verify --config outflow.yaml",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	sub := func(use, short, long string, run func(*Config) error) {
		s := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.NoArgs, Example: "  outflow state " + use + " --config outflow.yaml"}
		load := p.withConfig(s, "profile", "state", "keep", "wait", "s3.endpoint_url", "s3.region")
		s.RunE = func(*cobra.Command, []string) error {
			config, err := load()
			if err != nil {
				return err
			}
			return run(config)
		}
		c.AddCommand(s)
	}
	sub("ls", "list the days of the state",
		"ls lists the days of the state: how many partitions and rows they have, of how many log objects, how many of these\n"+
			"came late, and whether the day was judged and reported.", p.stateList)
	sub("verify", "read all of the state and name what is damaged",
		"verify reads every file of the state and compares it with its checksum. It prints what is damaged, with the command\n"+
			"that makes it again, and then exits with 3.", p.stateVerify)
	sub("gc", "delete what no run needs any more",
		"gc deletes files that were replaced, temporary files of runs that died, and days older than keep. The nightly job and\n"+
			"backfill do that, too, when they end.", func(config *Config) error {
			s, err := p.openOwned(config, "state gc")
			if err != nil {
				return err
			}
			defer s.close()
			n, err := s.clean(p.ctx)
			if err != nil {
				return stateError(config, err)
			}
			fmt.Fprintf(p.stdout, "deleted %s\n", counted(n, "file"))
			return nil
		})
	sub("repair", "remove what is damaged, so that it can be made again",
		"repair removes damaged partitions, which no run can use, and prints the commands that make them again. The nightly job\n"+
			"makes history that it lacks again by itself, if the logs are there.", p.stateRepair)
	return c
}

// openOwned opens a state to write it, without reading logs.
func (p *program) openOwned(config *Config, what string) (*state, error) {
	s, err := p.openStored(config)
	if err != nil {
		return nil, err
	}
	if s.close, err = p.own(config, s.store, what); err != nil {
		return nil, err
	}
	return s, nil
}

// folders returns the partitions of all aggregates of the profile, and its findings.
// Those that the configuration does not use are there, too.
func (s *state) folders() []store.Partitions[struct{}] {
	var out []store.Partitions[struct{}]
	for _, a := range detect.Aggregates {
		out = append(out, partitionsOf[struct{}](s, s.aggregate(a).Folder))
	}
	return append(out, partitionsOf[struct{}](s, s.findings().Folder))
}

func (p *program) stateList(config *Config) error {
	s, err := p.openStored(config)
	if err != nil {
		return err
	}
	type line struct {
		partitions            int
		rows                  int64
		objects, late         int
		judged, damaged, owed bool
	}
	days := map[string]*line{}
	of := func(day string) *line {
		if days[day] == nil {
			days[day] = &line{}
		}
		return days[day]
	}
	findings := s.findings().Folder
	for _, folder := range s.folders() {
		list, err := folder.List(p.ctx)
		if err != nil {
			return err
		}
		for _, day := range list {
			l := of(day)
			done, err := folder.Done(p.ctx, day)
			if _, ok := errors.AsType[*store.DamagedError](err); ok {
				l.damaged = true
				continue
			}
			if errors.Is(err, fs.ErrNotExist) {
				continue // another run has removed it meanwhile
			}
			if err != nil {
				return err
			}
			l.partitions++
			l.rows += done.Rows
			l.objects, l.late = max(l.objects, len(done.Inputs)), max(l.late, len(done.Late))
			l.judged = l.judged || folder.Folder == findings
		}
	}
	nights, err := s.readNights(p.ctx)
	if err != nil {
		return err
	}
	for _, n := range nights {
		if n.Owed {
			for _, day := range append(n.late(), n.days...) {
				of(day.String()).owed = true
			}
		}
	}
	if len(days) == 0 {
		p.note("the state %s has no days", config.State)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DAY\tPARTITIONS\tROWS\tOBJECTS\tLATE\tSTATE")
	for _, day := range slices.Sorted(maps.Keys(days)) {
		l := days[day]
		text := "baseline"
		switch {
		case l.damaged:
			text = "damaged: outflow state verify says more"
		case l.owed:
			text = "report owed: the next nightly run writes it"
		case l.judged:
			text = "judged"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\n", day, l.partitions, l.rows, l.objects, l.late, text)
	}
	return w.Flush()
}

// damaged reads all partitions of the state, calls each with those that are damaged, and
// returns how many it read.
func (s *state) damaged(ctx context.Context, each func(folder store.Partitions[struct{}], d *store.DamagedError) error) (n int, err error) {
	for _, folder := range s.folders() {
		days, err := folder.List(ctx)
		if err != nil {
			return n, err
		}
		for _, day := range days {
			n++
			err := folder.Verify(ctx, day)
			if d, ok := errors.AsType[*store.DamagedError](err); ok {
				err = each(folder, d)
			}
			if err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (p *program) stateVerify(config *Config) error {
	s, err := p.openStored(config)
	if err != nil {
		return err
	}
	damaged := 0
	n, done, err := snapshot(s, "state verify", func(ctx context.Context) (int, error) {
		return s.damaged(ctx, func(_ store.Partitions[struct{}], d *store.DamagedError) error {
			damaged++
			_, err := fmt.Fprintln(p.stdout, printable(d.Error()))
			return err
		})
	})
	defer done()
	if err != nil {
		return err
	}
	if _, err := s.storedNights(p.ctx); errors.Is(err, errNoNights) && !errors.Is(err, fs.ErrNotExist) {
		damaged++
		fmt.Fprintf(p.stdout, "%v: remove it with %s\n", err, p.here("state repair"))
	} else if err != nil && !errors.Is(err, errNoNights) {
		return err
	}
	if damaged > 0 {
		return exit{exitPartial, fmt.Errorf("the state %s has %s: %s removes what is damaged", config.State, counted(damaged, "damaged object"), p.here("state repair"))}
	}
	fmt.Fprintf(p.stdout, "%s in the state %s, none damaged\n", counted(n, "partition"), printable(config.State))
	return nil
}

func (p *program) stateRepair(config *Config) error {
	s, err := p.openOwned(config, "state repair")
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.upgrade(p.ctx); err != nil {
		return stateError(config, err)
	}
	commands := map[string]bool{}
	_, err = s.damaged(p.ctx, func(folder store.Partitions[struct{}], d *store.DamagedError) error {
		fmt.Fprintf(p.stdout, "removed the partition %s of %s: %s\n", d.Day, d.Folder, printable(d.Err.Error()))
		commands[d.Mend] = true
		return folder.Remove(p.ctx, d.Day)
	})
	if err != nil {
		return stateError(config, err)
	}
	_, err = s.storedNights(p.ctx)
	if errors.Is(err, errNoNights) && !errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(p.stdout, "removed the list of nights, so nights that have findings count as reported: %v\n", err)
		if err := s.store.Delete(p.ctx, s.nightsName()); err != nil {
			return stateError(config, err)
		}
	} else if len(commands) == 0 {
		fmt.Fprintf(p.stdout, "nothing in the state %s is damaged\n", printable(config.State))
	}
	for _, command := range slices.Sorted(maps.Keys(commands)) { // backfill first: days are folded before they are judged
		fmt.Fprintf(p.stdout, "to make it again: %s\n", command)
	}
	_, err = s.clean(p.ctx)
	return stateError(config, err)
}
