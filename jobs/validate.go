package jobs

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"outflow/columnar/bounded"
	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// defaultProbe is how many days validate looks at: a week has a weekend.
const defaultProbe = 7

func (p *program) validateCommand() *cobra.Command {
	var probe, test bool
	var days int
	c := &cobra.Command{
		Use: "validate", Short: "check the configuration, and what its inputs match", Args: cobra.NoArgs,
		Long: "validate reports everything that is wrong with the configuration: keys, values, formats, detections, templates and\n" +
			"schemes; and, as warnings, entries of the allow-list that have expired or name no detection, and inputs in folders that\n" +
			"match nothing on the last days. It exits with 2 if something is wrong.\n\n" +
			"--probe lists the inputs for each of the last days, in buckets too, and prints how many objects and bytes each\n" +
			"matches. It opens none, and exits with 4 if an input matches nothing on any day. --send-test sends a test message to\n" +
			"each channel of notify, and says which did not take it.",
		Example: "  outflow config validate --config outflow.yaml\n  outflow config validate --config outflow.yaml --probe --days 3",
	}
	c.Flags().BoolVar(&probe, "probe", false, "list what each input matches, by day")
	c.Flags().BoolVar(&test, "send-test", false, "send a test message to each channel of notify")
	c.Flags().IntVar(&days, "days", defaultProbe, "how many `days` up to yesterday to look at")
	load := p.withConfig(c)
	c.RunE = func(*cobra.Command, []string) error {
		config, err := load()
		if err != nil {
			return err
		}
		if days < 1 {
			return badConfig("--days %d: want at least 1", days)
		}
		yesterday := detect.DayOf(p.now().UnixMicro()) - 1
		first := yesterday - detect.Day(days-1)
		warnings := slices.Concat(config.rules.warnings, config.doubts(yesterday+1))
		if len(config.Inputs) == 0 {
			warnings = append(warnings, "No inputs: "+p.noInputs()+".")
		}
		var faults []string
		unset, wrong := p.channelFaults(config)
		warnings, faults = append(warnings, unset...), append(faults, wrong...)
		if test && len(faults) == 0 {
			faults = p.sendTests(config)
		}
		var rows [][]string
		var silent []*Input
		for _, in := range config.Inputs {
			if store.Remote(in.URI) && !probe {
				continue
			}
			counts, err := p.probe(config, in, first, yesterday)
			if err != nil {
				faults = append(faults, fmt.Sprintf("inputs.%s: %v", in.Name, err))
				continue
			}
			found := false
			row := []string{printable(in.Name)}
			for _, n := range counts {
				found = found || n.objects > 0
				row = append(row, n.String())
			}
			if !found {
				silent = append(silent, in)
			}
			rows = append(rows, row)
		}
		if len(silent) > 0 {
			warnings = append(warnings, silentInputs(silent, first, yesterday))
		}
		if probe && len(rows) > 0 {
			head := []string{"INPUT"}
			for d := first; d <= yesterday; d++ {
				head = append(head, d.String())
			}
			w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
			for _, row := range slices.Concat([][]string{head}, rows) {
				fmt.Fprintln(w, strings.Join(row, "\t"))
			}
			if err := w.Flush(); err != nil {
				return err
			}
		}
		for _, text := range warnings {
			p.note("%s", text)
		}
		if len(faults) > 0 {
			return badConfig("configuration: %s", strings.Join(faults, "\n  "))
		}
		result := fmt.Sprintf("ok: %s, %s", counted(len(config.Inputs), "input"), counted(len(config.detections), "detection"))
		if n := len(warnings); n > 0 {
			result += ", " + counted(n, "warning")
		}
		if _, err = fmt.Fprintln(p.stdout, result); err != nil {
			return err
		}
		if n := len(silent); probe && n > 0 {
			return exit{exitNoInput, fmt.Errorf("%s %s nothing", counted(n, "input"), verb(int64(n), "matches", "match"))}
		}
		return nil
	}
	return c
}

// sendTests sends a test message to each channel of notify, and returns which did not take it.
func (p *program) sendTests(config *Config) (faults []string) {
	for i, n := range config.Notify {
		m := reports.TestMessage(version(), config.Out, p.now())
		if err := p.newNotifier().send(p.ctx, n, m); err != nil {
			faults = append(faults, fmt.Sprintf("notify[%d]: the test message to %s was not sent: %v", i, n.To, err))
		} else {
			fmt.Fprintf(p.stdout, "notify[%d]: %s took the test message\n", i, n.To)
		}
	}
	return faults
}

// silentInputs says which inputs match nothing on the days first … last.
func silentInputs(inputs []*Input, first, last detect.Day) string {
	span := fmt.Sprintf("from %s to %s", first, last)
	if first == last {
		span = "on " + last.String()
	}
	if len(inputs) == 1 {
		return fmt.Sprintf("The input %s matches nothing %s: %s. %sCheck its uri; --days looks further back.", inputs[0].Name, span, inputs[0].URI, inputs[0].leftOut())
	}
	const most = 20
	var names []string
	for _, in := range inputs[:min(len(inputs), most)] {
		names = append(names, in.Name)
	}
	if len(inputs) > most {
		names = append(names, "…")
	}
	return fmt.Sprintf("%d inputs match nothing %s: %s. Check their uris; --days looks further back.", len(inputs), span, strings.Join(names, ", "))
}

// channelFaults returns what keeps the channels of notify from being used: what this
// machine does not have and the one of the job may, and what is wrong with a value.
func (p *program) channelFaults(config *Config) (unset, wrong []string) {
	for i, n := range config.Notify {
		for _, k := range n.keys() {
			if !isReference(k.value) {
				continue
			}
			where := fmt.Sprintf("notify[%d] (%s): %s", i, n.To, k.key)
			if _, err := p.referred(k.value); err != nil {
				unset = append(unset, where+": "+err.Error())
			} else if text, err := p.resolve(k.value); err != nil {
				wrong = append(wrong, where+": "+err.Error())
			} else if k.key == "url" && checkURL(text) != nil {
				wrong = append(wrong, where+": "+checkURL(text).Error())
			}
		}
	}
	return unset, wrong
}

// A probed is what an input matches of a day.
type probed struct {
	objects int
	bytes   int64
}

func (n probed) String() string {
	if n.objects == 0 {
		return "-"
	}
	return counted(n.objects, "object") + ", " + reports.ByteSize(float64(n.bytes))
}

// probe lists what an input matches on the days first … last. An input without a day in
// its URI matches the same on each.
func (p *program) probe(config *Config, in *Input, first, last detect.Day) ([]probed, error) {
	var out []probed
	for d := first; d <= last; d++ {
		if len(out) > 0 && !in.daily() {
			out = append(out, out[0])
			continue
		}
		found, left, err := p.glob(in.URI, []detect.Day{d}, config.store(), &in.options)
		if err != nil {
			return nil, err
		}
		in.left = left
		var n probed
		for i := range found {
			n.objects++
			n.bytes += found[i].object.Size
		}
		out = append(out, n)
	}
	return out, nil
}

// doubts returns what is allowed and probably not meant, as seen on a day.
func (c *Config) doubts(today detect.Day) (out []string) {
	names := detectionNames(detect.All())
	for _, d := range detect.All() {
		if d.Verdict != "" {
			names = append(names, d.Verdict)
		}
	}
	for _, a := range c.Allow {
		if a.expires < today {
			out = append(out, fmt.Sprintf("The allow-list entry for %s expired on %s and has no effect.", a, a.expires))
		}
		if a.Detection != "" && !slices.Contains(names, a.Detection) {
			out = append(out, fmt.Sprintf("The allow-list entry for %s names no detection%s", a, cmp.Or(didYouMean(a.Detection, names), ".")))
		}
		if strings.Contains(a.User+a.Host+a.Domain, "*") {
			out = append(out, fmt.Sprintf("The allow-list entry for %s has a *, which stands for itself: leave out the field that may be anything.", a))
		}
		if a.Fingerprint != "" && !plausibleID().MatchString(a.Fingerprint) {
			out = append(out, fmt.Sprintf("The allow-list entry for %s names no finding: a finding_uid has hexadecimal digits.", a))
		}
	}
	return out
}

var unknownKey = bounded.Expression(`unknown field "([^"]+)"`)

// A configKey is a key of the configuration, and the key that it stands below; "": none.
type configKey struct{ name, below string }

// keysBelow returns the keys of a type and of all types below it, as YAML has them.
func keysBelow(t reflect.Type) (keys []configKey) {
	seen := map[reflect.Type]bool{}
	var add func(t reflect.Type, below string)
	add = func(t reflect.Type, below string) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			add(t.Elem(), below)
		case reflect.Struct:
			if seen[t] {
				return
			}
			seen[t] = true
			for f := range t.Fields() {
				key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
				if key != "" {
					keys = append(keys, configKey{key, below})
				}
				if f.IsExported() {
					add(f.Type, cmp.Or(key, below))
				}
			}
		}
	}
	add(t, "")
	return keys
}

// keyHint says which key of the configuration was probably meant, or where the key belongs,
// if an error is about an unknown one.
func keyHint(err error) string {
	keys := keysBelow(reflect.TypeFor[Config]())
	if m := unknownKey().FindStringSubmatch(err.Error()); m != nil {
		for _, k := range keys {
			switch {
			case k.name != m[1]:
			case k.below == "":
				return "\n  " + k.name + " stands at the top level, not indented"
			default:
				return "\n  " + k.name + " stands below " + k.below
			}
		}
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return unknownField(err, names)
}

// unknownField is keyHint for these keys.
func unknownField(err error, keys []string) string {
	if m := unknownKey().FindStringSubmatch(err.Error()); m != nil {
		if best := closest(m[1], keys); best != "" {
			return "\n  did you mean " + best + "?"
		}
	}
	return ""
}
