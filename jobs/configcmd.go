package jobs

import (
	_ "embed"
	"fmt"
	"io"
	"net/url"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

//go:embed outflow.yaml
var sampleConfig string

func (p *program) configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "write, show or check the configuration", Args: cobra.NoArgs,
		Example: "  outflow config init\n  outflow config validate --config outflow.yaml --probe",
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() }}

	c.AddCommand(&cobra.Command{
		Use: "init [FILE]", Short: "write a configuration to start from", Args: cobra.MaximumNArgs(1),
		Example: "  outflow config init outflow.yaml",
		Long:    "init writes a configuration with comments to FILE, or outflow.yaml. It does not overwrite an existing file.",
		RunE: func(_ *cobra.Command, args []string) error {
			name := "outflow.yaml"
			if len(args) == 1 {
				name = args[0]
			}
			if err := writeNew(name, sampleConfig); err != nil {
				return err
			}
			p.note("wrote %s: list your logs in it, then run: outflow run nightly --config %s", name, name)
			return nil
		},
	})

	show := &cobra.Command{Use: "show", Short: "print the effective settings", Args: cobra.NoArgs,
		Example: "  outflow config show --config outflow.yaml --origin",
		Long: "show prints every setting that has a single value or is a list of strings, including defaults, and the inputs; with\n" +
			"--origin it also prints whether a value comes from a flag, a variable, the file or the default."}
	origin := show.Flags().Bool("origin", false, "print where each value comes from")
	load := p.withConfig(show)
	show.RunE = func(*cobra.Command, []string) error {
		config, err := load()
		if err != nil {
			return err
		}
		tw := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
		for _, s := range config.settings() {
			if !*origin {
				fmt.Fprintf(tw, "%s:\t%s\n", s.key, withoutPassword(s.get()))
				continue
			}
			from := config.origins[s.key]
			if from == "" {
				from = "default"
			}
			fmt.Fprintf(tw, "%s:\t%s\t# %s\n", s.key, withoutPassword(s.get()), from)
		}
		for _, in := range config.Inputs {
			fmt.Fprintf(tw, "inputs.%s:\t%s\n", in.Name, in.URI)
		}
		return tw.Flush()
	}

	c.AddCommand(show, p.validateCommand())
	return c
}

// withoutPassword returns a value as it is shown: a URL without its password.
func withoutPassword(value string) string {
	if u, err := url.Parse(value); err == nil && u.User != nil {
		return u.Redacted()
	}
	return value
}

// createNew opens a file that must not exist: what it holds may be all that there is.
func createNew(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, configError{fmt.Errorf("write a new file: %w", err)}
	}
	return f, nil
}

// writeNew writes a file that must not exist.
func writeNew(name, text string) error {
	f, err := createNew(name)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
