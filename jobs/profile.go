package jobs

import (
	"errors"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/spf13/cobra"
)

// profiled adds the hidden flags --cpuprofile, --memprofile and --trace to every command.
// They write files for go tool pprof, and one for ui.perfetto.dev. stop ends them.
func (p *program) profiled(root *cobra.Command) (stop func() error) {
	cpu := root.PersistentFlags().String("cpuprofile", "", "write a CPU profile to this `file`")
	mem := root.PersistentFlags().String("memprofile", "", "write an allocation profile to this `file`")
	events := root.PersistentFlags().String("trace", "", "write what the run does when to this `file`")
	for _, name := range []string{"cpuprofile", "memprofile", "trace"} {
		root.PersistentFlags().Lookup(name).Hidden = true
	}
	var file *os.File
	root.PersistentPreRunE = func(*cobra.Command, []string) (err error) {
		p.trace = &trace{now: p.now, began: p.now(), detail: *events != ""}
		if *cpu == "" {
			return nil
		}
		if file, err = os.Create(*cpu); err != nil {
			return configError{err}
		}
		return pprof.StartCPUProfile(file)
	}
	return func() error {
		if file != nil {
			pprof.StopCPUProfile()
			if err := file.Close(); err != nil {
				return err
			}
		}
		if *events != "" && p.trace != nil {
			if err := p.trace.writeFile(*events); err != nil {
				return err
			}
		}
		if *mem == "" {
			return nil
		}
		f, err := os.Create(*mem)
		if err != nil {
			return configError{err}
		}
		runtime.GC()
		return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
	}
}
