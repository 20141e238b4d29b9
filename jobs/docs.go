package jobs

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// docsCommand rewrites the generated parts of Markdown files: the text between
// "<!-- list formats -->" and "<!-- end -->".
func (p *program) docsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "docs FILE...", Short: "write the generated tables of Markdown files", Hidden: true, Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, name := range args {
				text, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				made, err := generate(text)
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				if bytes.Equal(text, made) {
					continue
				}
				if err := os.WriteFile(name, made, 0o644); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// generate returns text with its generated parts rewritten.
func generate(text []byte) ([]byte, error) {
	const begin, end = "<!-- list ", "<!-- end -->"
	var out bytes.Buffer
	rest := string(text)
	for {
		before, after, found := strings.Cut(rest, begin)
		out.WriteString(before)
		if !found {
			return out.Bytes(), nil
		}
		what, after, ok1 := strings.Cut(after, " -->")
		_, after, ok2 := strings.Cut(after, end)
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("%s%s has no %s", begin, what, end)
		}
		list, err := catalogueOf(what)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "%s%s -->\n", begin, what)
		if err := list.markdown(&out); err != nil {
			return nil, err
		}
		out.WriteString(end)
		rest = after
	}
}
