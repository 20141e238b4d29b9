package jobs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/spf13/cobra"

	"outflow/reports"
	"outflow/stats/detect"
)

func (p *program) suppressCommand() *cobra.Command {
	var reason, expires string
	var only bool
	c := &cobra.Command{
		Use:   "suppress FINDING --reason TEXT",
		Short: "accept a finding: write its entry of the allow-list",
		Long: "suppress adds an entry to the list allow of the configuration, so that the finding and others like it are kept as allowed\n" +
			"and add no risk from the next run on. The rest of the file stays as it is. The entry is for the user (host, address) and\n" +
			"the destination of the finding; suppress says what else it accepts. An entry that is there already is not added again.",
		Example: "  outflow suppress 5fdf8cf7 --reason 'nightly export, agreed with IT' --config outflow.yaml\n" +
			"  outflow suppress 5fdf8cf7 --reason 'pen test' --expires 2026-12-24 --only",
		Args: cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&reason, "reason", "", "why this is known and accepted, and who agreed")
	c.Flags().StringVar(&expires, "expires", "", "last `day` on which the entry is valid (default: 90 days after the finding, or from today if they are over)")
	c.Flags().BoolVar(&only, "only", false, "accept this finding alone, and none like it")
	c.MarkFlagRequired("reason")
	load := p.withPlaces(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		config, last, err := p.loadLast(load)
		if err != nil {
			return err
		}
		f, err := p.findingNamed(config, last, args[0])
		if err != nil {
			return err
		}
		if f == nil {
			return noSuchFinding(config, last, args[0])
		}
		if strings.TrimSpace(reason) == "" {
			return badConfig("--reason is empty: say why this is known and accepted")
		}
		today := detect.DayOf(p.now().UnixMicro())
		until := p.allowUntil(f)
		if expires != "" {
			if until, err = detect.ParseDay(expires); err != nil {
				return badConfig("--expires: %w", err)
			}
			if until < today {
				return badConfig("--expires %s is over: give a day from %s on", until, today)
			}
		}
		entries := reports.AllowEntriesFor(f, reason, until, only)
		name := p.configuration()
		if name == "" {
			return badConfig("no configuration to add the entry to: name it with --config. The entry is:\nallow:\n%s", strings.Join(entries, ""))
		}
		var added []string
		for _, entry := range entries {
			a, err := present(config.Allow, entry, today)
			if err != nil {
				return err
			}
			if a != nil {
				fmt.Fprintf(p.stdout, "%s has the entry already: %s, until %s (%s)\n", printable(name), printable(a.String()), a.expires, printable(a.Reason))
				continue
			}
			added = append(added, entry)
		}
		if len(added) == 0 {
			return nil
		}
		if err := addAllow(name, added); err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "added to %s:\n\n%s\n%s\nThe reports stay as they are: run again to see it.\n", printable(name),
			printableLines(strings.Join(added, "")), printable(reports.AllowScope(f, only)))
		return nil
	}
	return c
}

// allowUntil returns the last day of a finding's entry of the allow-list if nobody names
// one: reports.AllowDays after the finding, or from today if they are over.
func (p *program) allowUntil(f *detect.Finding) detect.Day {
	today := detect.DayOf(p.now().UnixMicro())
	if until := f.Day + reports.AllowDays; until >= today {
		return until
	}
	return today + reports.AllowDays
}

// present returns the entry of a list that accepts what another one in YAML does, and that
// has not expired, or nil.
func present(list []*Allow, entry string, today detect.Day) (*Allow, error) {
	var made []*Allow
	if err := yaml.Unmarshal([]byte(entry), &made); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(a *Allow) bool {
		return a.expires >= today && len(made) == 1 && strings.EqualFold(a.String(), made[0].String())
	})
	if i < 0 {
		return nil, nil
	}
	return list[i], nil
}

// addAllow adds entries to the list allow of a configuration, as its first. The rest of
// the file stays as it is.
func addAllow(name string, entries []string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return configError{err}
	}
	made, err := withAllow(text, entries)
	if err != nil {
		return badConfig("%s: %w: add this yourself:\nallow:\n%s", name, err, strings.Join(entries, ""))
	}
	info, err := os.Stat(name)
	if err != nil {
		return configError{err}
	}
	if name, err = filepath.EvalSymlinks(name); err != nil {
		return configError{err}
	}
	return replace(name, made, info)
}

// replace writes a file anew. Mode and owner stay. If the owner can be kept, it is replaced
// in one step, so that a run that begins meanwhile reads one or the other; if not, it is
// written in place.
func replace(name string, text []byte, info fs.FileInfo) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".outflow-*")
	if err == nil {
		defer os.Remove(f.Name())
		if sameOwner(f, info) != nil {
			f.Close()
			err = fs.ErrPermission
		}
	}
	if errors.Is(err, fs.ErrPermission) { // of the folder, or to give the file away
		if f, err = os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0); err == nil {
			_, err = f.Write(text)
			err = errors.Join(err, f.Sync(), f.Close())
		}
		if err != nil {
			return configError{err}
		}
		return nil
	}
	if err != nil {
		return configError{err}
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return configError{err}
	}
	return nil
}

// withAllow returns a configuration with more entries in its list allow.
func withAllow(text []byte, entries []string) ([]byte, error) {
	var before, after struct {
		Allow []*Allow `yaml:"allow"`
	}
	file, err := configLimits.Parse(text)
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(text, &before); err != nil {
		return nil, errors.New("it is not valid YAML")
	}
	indented := func(n int) string {
		pad := strings.Repeat(" ", n)
		return pad + strings.ReplaceAll(strings.TrimSuffix(strings.Join(entries, ""), "\n"), "\n", "\n"+pad) + "\n"
	}
	made := text
	line, indent, empty := allowAt(file)
	switch {
	case line == 0: // no list yet
		if len(made) > 0 && made[len(made)-1] != '\n' {
			made = append(slices.Clone(made), '\n')
		}
		made = slices.Concat(made, []byte("\nallow:\n"+indented(2)))
	default:
		lines := bytes.SplitAfter(text, []byte{'\n'})
		if line > len(lines) {
			return nil, errors.New("the list allow was not found")
		}
		head := lines[line-1]
		if empty { // allow: []
			head = bytes.Replace(head, []byte("[]"), nil, 1)
		}
		if len(head) == 0 || head[len(head)-1] != '\n' {
			head = append(slices.Clone(head), '\n')
		}
		made = slices.Concat(bytes.Join(lines[:line-1], nil), head, []byte(indented(indent)), bytes.Join(lines[line:], nil))
	}
	if err := yaml.Unmarshal(made, &after); err != nil || len(after.Allow) != len(before.Allow)+len(entries) {
		return nil, errors.New("the list allow is written in a way that outflow does not change")
	}
	return made, nil
}

// allowAt returns the line of the key allow, from 1 and 0 if there is none, and how far its
// entries are indented. empty says that it is written as [].
func allowAt(file *ast.File) (line, indent int, empty bool) {
	for _, doc := range file.Docs {
		for _, v := range mappingValues(doc.Body) {
			if v.Key.String() != "allow" {
				continue
			}
			line, indent = v.Key.GetToken().Position.Line, 2
			if list, ok := v.Value.(*ast.SequenceNode); ok {
				if empty = list.IsFlowStyle; !empty {
					indent = list.Start.Position.Column - 1
				}
			}
			return line, indent, empty
		}
	}
	return 0, 0, false
}
