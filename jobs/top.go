package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rivo/uniseg"
	"github.com/spf13/cobra"

	"outflow/reports"
	"outflow/stats/detect"
)

// A ranking is a value of top --by.
type ranking struct {
	name      string
	title     string
	aggregate *detect.Aggregate
	of        func(r *detect.Row) string // what is counted; "" is left out
	with      func(r *detect.Row) string // who or what is named beside it
	rest      *detect.Aggregate          // has the bytes of feeds that aggregate has nothing of; nil: none
}

// aggregates returns what a ranking reads.
func (r *ranking) aggregates() []*detect.Aggregate {
	if r.rest == nil {
		return []*detect.Aggregate{r.aggregate}
	}
	return []*detect.Aggregate{r.aggregate, r.rest}
}

func rowObject(r *detect.Row) string { return r.Object }
func rowWho(r *detect.Row) string    { return r.Who() }

var rankings = []ranking{
	{"destination", "DESTINATION", detect.UserDestinationDay, rowObject, rowWho, detect.UserDay},
	{"user", "USER", detect.UserDay, rowWho, nil, nil},
	{"pair", "USER → DESTINATION", detect.UserDestinationDay, func(r *detect.Row) string {
		if r.Object == "" {
			return "" // all destinations
		}
		return r.Who() + " → " + r.Object
	}, nil, nil},
	{"domain", "DOMAIN", detect.DNSPair, rowObject, rowWho, nil},
}

// A topForm is a line of top.
type topForm struct {
	From     string `json:"from"` // the first and the last day that are summed up
	To       string `json:"to"`
	Name     string `json:"name"`
	Own      bool   `json:"own,omitempty"`        // a destination of the company's own
	Unlogged bool   `json:"not_logged,omitempty"` // what feeds without destinations saw
	BytesOut int64  `json:"bytes_out"`
	BytesIn  int64  `json:"bytes_in"`
	Events   int64  `json:"events"`
	Names    int64  `json:"names,omitempty"` // distinct names that were queried
	Clients  int    `json:"clients,omitempty"`
	Most     string `json:"most,omitempty"` // the client with the most

	share map[string]int64
}

func (p *program) topCommand() *cobra.Command {
	var by, day, from, to string
	var n int
	var inputs inputFlags
	names := make([]string, len(rankings))
	for i := range rankings {
		names[i] = rankings[i].name
	}
	c := &cobra.Command{
		Use:   "top [LOG…] --by " + strings.Join(names, "|"),
		Short: "print who sent most, and where",
		Long: "top sums up the bytes that left by destination, by user (or host or address, if no user is named), or by both (pair);\n" +
			"or the DNS queries by registered domain. It reads the state of the configuration for the last judged day or the days\n" +
			"that --day, --from and --to name; or the logs on its command line; or, after a scan, the logs of that scan.\n" +
			"What feeds without any destination saw is a line of its own by destination; (own) marks the company's destinations.",
		Example: "  outflow top --by destination\n  outflow top --by user --day 2026-11-20 --n 20\n  outflow top proxy.log.gz --by pair",
	}
	form := bindAs(c, "text", "json")
	c.Flags().StringVar(&by, "by", rankings[0].name, "what to sum up by: "+strings.Join(names, ", "))
	c.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	c.Flags().IntVarP(&n, "n", "n", 10, "how many lines; 0: all")
	c.Flags().StringVar(&day, "day", "", "this `day`, as in 2026-11-20")
	c.Flags().StringVar(&from, "from", "", "from this `day` on")
	c.Flags().StringVar(&to, "to", "", "up to this `day`")
	checkPeriod(c)
	load := p.withPlaces(c)
	inputs.bind(p, c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		as, err := form()
		if err != nil {
			return err
		}
		i := slices.Index(names, by)
		if i < 0 {
			return badConfig("--by %q: want %s%s", by, strings.Join(names, ", "), didYouMean(by, names))
		}
		config, last, err := p.loadLast(load)
		if err != nil {
			return err
		}
		h, days, err := p.rowsToRank(config, last, &inputs, args, &rankings[i])
		defer h.close()
		if err != nil {
			return err
		}
		if day != "" || from != "" {
			if days, err = dayRange(cmp.Or(day, from), cmp.Or(day, to), 0); err != nil {
				return err
			}
		}
		list, err := rank(config, h, days, &rankings[i])
		if err != nil {
			return err
		}
		if len(list) == 0 {
			p.note("nothing to rank on %s", daysInWords(days))
		}
		if n > 0 && len(list) > n {
			list = list[:n]
		}
		return p.printTop(as, list, &rankings[i], days)
	}
	return c
}

func daysInWords(days []detect.Day) string {
	if len(days) == 0 {
		return "any day"
	}
	return spanOf(days)
}

// rowsToRank returns the rows of a ranking's aggregate, and the days that are ranked if
// nobody says: those of the last run, or all of the logs. The caller must close the
// history, also after an error.
func (p *program) rowsToRank(config *Config, last *lastRun, inputs *inputFlags, logs []string, r *ranking) (*history, []detect.Day, error) {
	var sources []source
	var err error
	switch {
	case len(logs) > 0:
		inputs.endpointURL, inputs.region = config.S3.EndpointURL, config.S3.Region
		sources, err = p.find(inputs, logs)
	case last != nil && last.Job == "scan":
		sources, err = last.sourcesOf(p, config, nil)
	default:
		return p.storedRows(config, last, r)
	}
	if err != nil {
		return newHistory(), nil, err
	}
	aggregates := r.aggregates()
	folded, err := p.fold(p.ctx, "top", sources, &foldOptions{aggregates: aggregates, FoldOptions: config.foldOptions(),
		workers: config.Workers, memory: int64(config.Memory)})
	if err != nil {
		return newHistory(), nil, err
	}
	h, err := scratched(p.ctx, folded, aggregates, config.mergesAtOnce())
	if err = errors.Join(err, folded.Close()); err != nil {
		return h, nil, err
	}
	p.incomplete(folded.inputs)
	return h, h.days(folded.inputs), unreadable(folded.inputs)
}

// storedRows returns the rows of a ranking's aggregate that the state has.
func (p *program) storedRows(config *Config, last *lastRun, r *ranking) (*history, []detect.Day, error) {
	h := newHistory()
	s, err := p.openStored(config)
	if err != nil {
		return h, nil, err
	}
	var all []detect.Day
	for _, a := range r.aggregates() {
		stored, err := s.aggregate(a).List(p.ctx)
		if err != nil {
			return h, nil, err
		}
		for _, text := range stored {
			day, err := detect.ParseDay(text)
			if err != nil {
				continue // the store lists days alone
			}
			all = append(all, day)
			h.tables[a] = append(h.tables[a], &partition{day: day, rows: s.rows(p.ctx, h, a, day)(nil)})
		}
	}
	slices.Sort(all)
	if len(all) == 0 {
		return h, nil, badConfig("the state %s has no days: name logs, as in outflow top proxy.log.gz, or the configuration with --config", config.State)
	}
	days := all[len(all)-1:]
	if last != nil && last.Job == "nightly" && last.First != "" {
		if days, err = dayRange(last.First, last.Last, 0); err != nil {
			return h, nil, err
		}
	}
	return h, days, nil
}

// notLogged is the name of what went to destinations that the logs do not have.
const notLogged = "destination not logged"

// rank sums up rows, the most bytes out first.
func rank(config *Config, h *history, days []detect.Day, r *ranking) ([]topForm, error) {
	sums := map[string]*topForm{}
	logged := map[string]bool{} // feeds that name a destination
	add := func(row *detect.Row, name string, rest bool) {
		t := sums[name]
		if t == nil {
			name = strings.Clone(name)
			t = &topForm{Name: name, Unlogged: rest, Own: r.name == "destination" && !rest && config.own(name), share: map[string]int64{}}
			if len(days) > 0 {
				t.From, t.To = days[0].String(), days[len(days)-1].String()
			}
			sums[name] = t
		}
		out := row.BytesOut
		if r.aggregate == detect.DNSPair {
			out = row.NameBytes
			t.Names += row.Names
		}
		t.BytesOut, t.BytesIn, t.Events = reports.AddBytes(t.BytesOut, out), reports.AddBytes(t.BytesIn, row.BytesIn), t.Events+row.Events
		if r.with != nil {
			t.share[strings.Clone(r.with(row))] += max(out, 0) + 1
		}
	}
	for row, err := range h.rows(r.aggregate, days) {
		if err != nil {
			return nil, err
		}
		if !logged[row.Feed] && (row.Object != "" || len(row.Destinations) > 0) {
			logged[strings.Clone(row.Feed)] = true
		}
		if name := r.of(row); name != "" {
			add(row, name, false)
		}
	}
	if r.rest != nil {
		for row, err := range h.rows(r.rest, days) {
			if err != nil {
				return nil, err
			}
			if !logged[row.Feed] && row.BytesOut > 0 {
				add(row, notLogged, true)
			}
		}
	}
	list := make([]topForm, 0, len(sums))
	for _, t := range sums {
		t.Clients = len(t.share)
		for who, size := range t.share {
			if most := t.share[t.Most]; t.Most == "" || size > most || size == most && who < t.Most {
				t.Most = who
			}
		}
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b topForm) int {
		return cmp.Or(cmp.Compare(b.BytesOut, a.BytesOut), cmp.Compare(b.Events, a.Events), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}

// topOptional are the columns of topColumns that a narrow terminal goes without, the first
// to go first. How much an entity sends matters more than how often.
var topOptional = []int{1, 4, 2, 5}

// topColumns returns the cells of each column, its heading first.
func topColumns(list []topForm, r *ranking) [][]string {
	head := []string{"OUT", "IN", "EVENTS", r.title}
	if r.aggregate == detect.DNSPair {
		head = []string{"IN NAMES", "NAMES", "QUERIES", r.title}
	}
	if r.with != nil {
		head = append(head, "CLIENTS", "MOST BY")
	}
	columns := make([][]string, len(head))
	for i, text := range head {
		columns[i] = []string{text}
	}
	for _, t := range list {
		name := t.Name
		if t.Own {
			name += " (own)"
		}
		second := reports.ByteSize(float64(t.BytesIn))
		if r.aggregate == detect.DNSPair {
			second = reports.Count(t.Names)
		}
		row := []string{reports.ByteSize(float64(t.BytesOut)), second, reports.Count(t.Events), printable(name), reports.Count(int64(t.Clients)), printable(t.Most)}
		for i := range columns {
			columns[i] = append(columns[i], row[i])
		}
	}
	return columns
}

func (p *program) printTop(as string, list []topForm, r *ranking, days []detect.Day) error {
	if as == "json" {
		return p.printJSON(list)
	}
	if len(list) == 0 {
		return nil
	}
	columns := topColumns(list, r)
	widths := make([]int, len(columns))
	for i, cells := range columns {
		for _, cell := range cells {
			widths[i] = max(widths[i], uniseg.StringWidth(cell))
		}
	}
	if p.width > 0 {
		reports.DropColumns(widths, p.width, slices.DeleteFunc(slices.Clone(topOptional), func(i int) bool { return i >= len(columns) }))
	}
	var shown []int
	for i, cells := range widths {
		if cells > 0 {
			shown = append(shown, i)
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s\n\n", daysInWords(days))
	for row := range columns[0] {
		used := 0
		for _, i := range shown[:len(shown)-1] {
			cell := columns[i][row]
			out.WriteString(cell + strings.Repeat(" ", widths[i]-uniseg.StringWidth(cell)+2))
			used += widths[i] + 2
		}
		out.WriteString(p.behind(used, columns[shown[len(shown)-1]][row]) + "\n")
	}
	_, err := io.WriteString(p.stdout, out.String())
	return err
}
