package jobs

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"outflow/columnar"
	"outflow/columnar/logs"
	"outflow/reports"
	"outflow/stats/detect"
)

// A catalogue is a table of what outflow supports: a heading and rows. Help, the
// README and --as json are made from it.
type catalogue struct {
	columns []string
	rows    [][]string
}

var catalogues = []string{"formats", "tables", "layouts", "detections", "thresholds", "rules", "reports", "columns", "settings", "notify"}

func catalogueOf(what string) (*catalogue, error) {
	switch what {
	case "formats":
		c := &catalogue{columns: []string{"format", "title", "tables", "cannot fill"}}
		for _, f := range logs.All() {
			c.rows = append(c.rows, []string{f.Name, f.Title, strings.Join(texts(f.Tables, tableName), " "),
				strings.Join(texts(f.Lacks.List(), columnar.Col.String), " ")})
		}
		return c, nil
	case "tables":
		c := &catalogue{columns: []string{"table", "holds", "formats"}}
		for _, t := range columnar.Tables {
			var formats []string
			for _, f := range logs.All() {
				if slices.Contains(f.Tables, t) {
					formats = append(formats, f.Name)
				}
			}
			slices.Sort(formats)
			c.rows = append(c.rows, []string{t.Name, t.Doc, strings.Join(formats, " ")})
		}
		return c, nil
	case "layouts":
		c := &catalogue{columns: []string{"layout", "title", "format", "names"}}
		for _, l := range layouts {
			format := "detected"
			if f := l.known(); f != nil {
				format = f.Name
			}
			c.rows = append(c.rows, []string{l.name, l.title, format, l.pattern})
		}
		return c, nil
	case "detections":
		c := &catalogue{columns: []string{"detection", "title", "ATT&CK", "reads", "history", "risk"}}
		for _, d := range detect.All() {
			c.rows = append(c.rows, []string{d.Name, d.Title, d.Technique, d.Aggregate.Name, fmt.Sprint(d.History), fmt.Sprint(d.Risk())})
		}
		return c, nil
	case "settings", "thresholds":
		c := &catalogue{columns: []string{"key", "default", "meaning"}}
		config := defaults()
		config.detections = detect.All()
		for _, s := range config.settings() {
			d, _, dotted := strings.Cut(s.key, ".")
			if threshold := dotted && config.detection(d) != nil; threshold == (what == "thresholds") {
				c.rows = append(c.rows, []string{s.key, s.get(), s.doc})
			}
		}
		return c, nil
	case "rules":
		return ruleCatalogue(), nil
	case "notify":
		return notifyCatalogue(), nil
	case "reports":
		c := &catalogue{columns: []string{"report", "file", "what"}}
		for _, f := range reports.All {
			for _, file := range f.Files {
				c.rows = append(c.rows, []string{f.Name, file.Name, file.Doc})
			}
		}
		return c, nil
	case "columns":
		c := &catalogue{columns: []string{"column", "tables", "meaning"}}
		for col := range columnar.NumCols {
			var tables []string
			for _, t := range columnar.Tables {
				if slices.Contains(t.Cols, col) {
					tables = append(tables, t.Name)
				}
			}
			if len(tables) == columnar.NumTables {
				tables = []string{"all"}
			}
			c.rows = append(c.rows, []string{col.String(), strings.Join(tables, " "), col.Doc()})
		}
		return c, nil
	}
	return nil, badConfig("list %q: want one of %s%s", what, strings.Join(catalogues, ", "), didYouMean(what, catalogues))
}

// leastColumn is how wide the last column of a list is at least: what is narrower is
// hard to read.
const leastColumn = 24

// text writes the catalogue as lines of at most width columns: as a table if the last column
// can be wrapped to that, else as entries, if they have more room; 0: as a table, and no line is wrapped.
func (c *catalogue) text(w io.Writer, width int) error {
	last, left := len(c.columns)-1, width
	widest := make([]int, len(c.columns))
	for i, name := range c.columns {
		widest[i] = len(name)
		for _, row := range c.rows {
			widest[i] = max(widest[i], utf8.RuneCountInString(row[i]))
		}
		if i < last {
			left -= widest[i] + 2
		}
	}
	lead := 0
	for _, name := range c.columns[1:] {
		lead = max(lead, len("  ")+len(name)+len("  "))
	}
	if width > 0 && left < min(leastColumn, widest[last], width-lead) {
		return c.entries(w, width, lead)
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ToUpper(strings.Join(c.columns, "\t")))
	for _, row := range c.rows {
		row = slices.Clone(row)
		text := []rune(row[last])
		for left >= leastColumn && len(text) > left {
			at := left
			for at > 0 && text[at] != ' ' {
				at--
			}
			if at == 0 {
				break // one long word
			}
			row[last] = string(text[:at])
			fmt.Fprintln(tw, strings.Join(row, "\t"))
			clear(row)
			text = text[at+1:]
		}
		row[last] = string(text)
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// entries writes each row as lines of its own, for terminals that the columns do not fit
// into. Its cells begin at lead.
func (c *catalogue) entries(w io.Writer, width, lead int) error {
	var out strings.Builder
	for _, row := range c.rows {
		out.WriteString(row[0] + "\n")
		for i, cell := range row[1:] {
			if cell != "" {
				cell = strings.ReplaceAll(wrapped(cell, width-lead, ""), "\n", "\n"+strings.Repeat(" ", lead))
				fmt.Fprintf(&out, "%-*s%s\n", lead, "  "+c.columns[1+i], cell)
			}
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (c *catalogue) json(w io.Writer) error {
	out := make([]map[string]string, len(c.rows))
	for i, row := range c.rows {
		out[i] = map[string]string{}
		for j, name := range c.columns {
			out[i][name] = row[j]
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(out)
}

func (c *catalogue) markdown(w io.Writer) error {
	line := func(cells []string) {
		for i, cell := range cells {
			cells[i] = strings.ReplaceAll(cell, "|", `\|`)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	line(slices.Clone(c.columns))
	line(strings.Split(strings.Repeat("--- ", len(c.columns)-1)+"---", " "))
	for _, row := range c.rows {
		row = slices.Clone(row)
		if strings.Contains(row[0], "_") || c.columns[0] == "format" || c.columns[0] == "layout" || c.columns[0] == "rule" || c.columns[0] == "key" {
			row[0] = "`" + row[0] + "`"
		}
		line(row)
	}
	return nil
}

func (p *program) listCommand() *cobra.Command {
	var form func() (string, error)
	c := &cobra.Command{
		Use: "list " + strings.Join(catalogues, "|"), Short: "list what outflow supports",
		Example: "  outflow list formats\n  outflow list detections --as json",
		Args:    cobra.ExactArgs(1), ValidArgs: catalogues,
		RunE: func(_ *cobra.Command, args []string) error {
			list, err := catalogueOf(args[0])
			if err != nil {
				return err
			}
			as, err := form()
			switch {
			case err != nil:
				return err
			case as == "json":
				return list.json(p.stdout)
			case as == "markdown":
				return list.markdown(p.stdout)
			}
			return list.text(p.stdout, p.width)
		},
	}
	form = bindAs(c, "text", "json", "markdown")
	return c
}
