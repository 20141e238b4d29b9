package jobs

import (
	"errors"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/spf13/cobra"
)

// profiled adds the hidden flags --cpuprofile, --memprofile and --trace to every command.
// They write new files for go tool pprof, and one for ui.perfetto.dev. stop ends them.
func (p *program) profiled(root *cobra.Command) (stop func() error) {
	cpu := root.PersistentFlags().String("cpuprofile", "", "write a CPU profile to this `file`")
	mem := root.PersistentFlags().String("memprofile", "", "write an allocation profile to this `file`")
	events := root.PersistentFlags().String("trace", "", "write what the run does when to this `file`")
	for _, name := range []string{"cpuprofile", "memprofile", "trace"} {
		root.PersistentFlags().Lookup(name).Hidden = true
	}
	var files [3]*os.File
	root.PersistentPreRunE = func(*cobra.Command, []string) (err error) {
		p.trace = &trace{now: p.now, began: p.now(), detail: *events != ""}
		for i, name := range []string{*cpu, *mem, *events} {
			if name == "" {
				continue
			}
			if files[i], err = createNew(name); err != nil {
				return err
			}
		}
		if files[0] == nil {
			return nil
		}
		return pprof.StartCPUProfile(files[0])
	}
	return func() error {
		var errs []error
		if f := files[0]; f != nil {
			pprof.StopCPUProfile()
			errs = append(errs, f.Close())
		}
		if f := files[1]; f != nil {
			runtime.GC()
			errs = append(errs, pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
		}
		if f := files[2]; f != nil {
			errs = append(errs, p.trace.write(f), f.Close())
		}
		return errors.Join(errs...)
	}
}
