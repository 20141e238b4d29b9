package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"outflow/stats/dnsmodel"
)

// lookUp reports whether a query asks a service of a class that the detection
// labels: the name holds what is looked up.
func lookUp(q *query) bool {
	switch q.tool {
	case "eset", "mcafee", "sophos", "antivirus", "reputation", "mail_content", "block_list", "registry", "safeframe", "probe_ids",
		"content_address", "reverse", "service_names":
		return true
	}
	return false
}

const day = 24 * 3600e6

// flags counts flagged queries. The queries must come pair by pair.
type flags struct {
	queries, flagged int
	pairs            int // numbers of source, domain and day with a flagged query
	findings         int // pairs that dns_model reports with its default settings
	days             map[int64]bool

	pair        string          // the current pair
	names       map[string]bool // of the current pair
	over, bytes int             // of the current pair: flagged names, and their bytes
}

// The limits of dns_model for a pair, see detect.
const (
	minOver  = 10
	minBytes = 500
	minShare = 0.2
)

func (f *flags) add(q *query, p float64) {
	if f.days == nil {
		f.days, f.names = map[int64]bool{}, map[string]bool{}
	}
	if pair := fmt.Sprint(q.of, " ", q.at/day); pair != f.pair {
		f.close()
		f.pair = pair
	}
	f.queries++
	f.days[q.at/day] = true
	if p > dnsmodel.Threshold {
		f.flagged++
	}
	if !f.names[q.name] {
		f.names[q.name] = true
		if p > dnsmodel.Threshold {
			f.over++
			f.bytes += len(q.name)
		}
	}
}

// close ends the current pair.
func (f *flags) close() {
	if f.over > 0 {
		f.pairs++
		if f.over >= minOver && f.bytes >= minBytes && float64(f.over) >= minShare*float64(len(f.names)) {
			f.findings++
		}
	}
	clear(f.names)
	f.pair, f.over, f.bytes = "", 0, 0
}

// share formats a share with its 95 % interval.
func share(k, n int) string {
	low, high := wilson(k, n)
	return fmt.Sprintf("%.4f (%.4f–%.4f)", float64(k)/float64(max(1, n)), low, high)
}

// ranked formats the average precision, and how much is found at fixed false
// positive rates.
func ranked(s []scored) string {
	r := rank(s)
	one, _ := r.found(0.01)
	tenth, _ := r.found(0.001)
	return fmt.Sprintf("%.3f | %s | %s", r.averagePrecision(), share(one, r.positive), share(tenth, r.positive))
}

func scoresOf(predicted []prediction, in func(*query) bool) (s []scored) {
	for i := range predicted {
		if in(predicted[i].query) {
			s = append(s, scored{predicted[i].logit, predicted[i].label})
		}
	}
	return s
}

func isZiza(q *query) bool   { return q.set == "ziza" }
func hasPast(q *query) bool  { return q.set != "ziza" }
func noLookUp(q *query) bool { return hasPast(q) && !lookUp(q) }

func (c *corpus) tables(m *dnsmodel.Model, predicted []prediction, data string, more bool) (string, error) {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(io.MultiWriter(&b, os.Stdout), format, args...) }
	say("\n### Data\n\n| set | queries | of them tunnel |\n|---|---|---|\n")
	sets := map[string][2]int{}
	for i := range c.queries {
		q := &c.queries[i]
		n := sets[q.set]
		sets[q.set] = [2]int{n[0] + 1, n[1] + one(q.label)}
	}
	for _, k := range slices.Sorted(maps.Keys(sets)) {
		say("| %s | %d | %d |\n", k, sets[k][0], sets[k][1])
	}
	say("\n%s\n", strings.Join(c.sums, "  \n"))
	// Each fold uses the curve of the other.
	var curves [folds]*dnsmodel.Model
	for f := range folds {
		curves[f] = &dnsmodel.Model{Curve: calibrate(predicted, func(j *prediction) bool { return j.fold != f })}
	}
	probability := func(j *prediction) float64 { return curves[j.fold].Probability(j.logit) }

	say("\n### Names of an ISP, each by itself (two halves by name, each by a model of the other)\n\n")
	say("| | AP | TPR at FPR 1 %% | at 0.1 %% |\n|---|---|---|---|\n| this model | %s |\n", ranked(scoresOf(predicted, isZiza)))
	if more {
		say("| seed's rule (entropy > 3.8 or length > 60, as entropy + length) | %s |\n", ranked(c.seedRule()))
		say("| surprise of a character bigram model | %s |\n", ranked(c.bigrams()))
	}
	say("\n### With history, domains never trained on (two halves by registered domain)\n\n")
	say("| negatives | AP | TPR at FPR 1 %% | at 0.1 %% | precision there at 0.5 %% prevalence |\n|---|---|---|---|---|\n")
	for _, row := range []struct {
		name string
		in   func(*query) bool
	}{{"all", hasPast}, {"all but labelled look-ups", noLookUp}} {
		s := scoresOf(predicted, row.in)
		r := rank(s)
		tp, t := r.found(0.001)
		_, fp := r.at(t)
		tpr, fpr := float64(tp)/float64(r.positive), float64(fp)/float64(r.negative)
		say("| %s (%d, %d positive) | %s | %.3f |\n", row.name, len(s), r.positive, ranked(s), precision(tpr, fpr))
	}

	var tp, fp, yes, no int
	tools, classes := map[string]*flags{}, map[string]*flags{}
	of := func(m map[string]*flags, key string) *flags {
		if m[key] == nil {
			m[key] = new(flags)
		}
		return m[key]
	}
	for i := range predicted {
		j := &predicted[i]
		p := probability(j)
		if isZiza(j.query) {
			continue
		}
		if j.label {
			of(tools, j.set+" "+j.tool).add(j.query, p)
		} else {
			of(classes, j.set+" "+j.tool).add(j.query, p)
		}
		if !noLookUp(j.query) {
			continue
		}
		if j.label {
			yes++
			tp += one(p > dnsmodel.Threshold)
		} else {
			no++
			fp += one(p > dnsmodel.Threshold)
		}
	}
	say("\nAt the threshold of 0.5: TPR %s, FPR %s; at 0.5 %% prevalence a precision of %.3f.\n",
		share(tp, yes), share(fp, no), precision(float64(tp)/float64(yes), float64(fp)/float64(no)))
	say("\n### What is flagged at 0.5, by class (domains never trained on)\n\n| class | queries | flagged | source and domain pairs a day | findings of dns_model a day |\n|---|---|---|---|---|\n")
	for _, k := range slices.Sorted(maps.Keys(classes)) {
		f := classes[k]
		f.close()
		days := float64(len(f.days))
		say("| %s | %d | %d | %.1f | %.1f |\n", k, f.queries, f.flagged, float64(f.pairs)/days, float64(f.findings)/days)
	}
	say("\n### What is found at 0.5, by tool (domains never trained on)\n\n| tool | queries | found | tunnels (source, domain, day) | with a query found | reported by dns_model |\n|---|---|---|---|---|---|\n")
	for _, k := range slices.Sorted(maps.Keys(tools)) {
		f := tools[k]
		f.close()
		tunnels := map[string]bool{}
		for i := range predicted {
			if j := &predicted[i]; j.label && j.set+" "+j.tool == k {
				tunnels[fmt.Sprint(j.of, j.at/day)] = true
			}
		}
		say("| %s | %d | %s | %d | %d | %d |\n", k, f.queries, share(f.flagged, f.queries), len(tunnels), f.pairs, f.findings)
	}
	say("\n### Calibration (each half by the other's curve, at 0.5 %% prevalence, tools weighted alike)\n\n| said | exfiltration | queries |\n|---|---|---|\n")
	weigh := weights(predicted)
	var bins [10]struct {
		said, yes, all float64
		n              int
	}
	for i := range predicted {
		j := &predicted[i]
		w, p := weigh(j), probability(j)
		bin := &bins[min(9, int(p*10))]
		bin.said += p * w
		bin.all += w
		if j.label {
			bin.yes += w
		}
		bin.n++
	}
	for _, bin := range bins {
		if bin.n > 0 && bin.all > 0 {
			say("| %.3f | %.3f | %d |\n", bin.said/bin.all, bin.yes/bin.all, bin.n)
		}
	}

	r := &reader{dir: data}
	if err := c.elsewhere(r, m, say); err != nil {
		return "", err
	}
	if more {
		c.leaveOut(say)
		c.ablate(say)
	}
	return b.String(), nil
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func precision(tpr, fpr float64) float64 {
	return tpr * prevalence / (tpr*prevalence + fpr*(1-prevalence))
}

// elsewhere evaluates the shipped model on data that nothing was trained on.
func (c *corpus) elsewhere(r *reader, m *dnsmodel.Model, say func(string, ...any)) error {
	say("\n### Captures and logs that nothing was trained on (the shipped model, at 0.5)\n\n| data | queries | flagged | a 100,000 | source and domain pairs | reported by dns_model |\n|---|---|---|---|---|---|\n")
	evaluateOn := func(name string, all []query, err error) error {
		if err != nil {
			return err
		}
		inOrder(all)
		var yes, no flags
		for _, j := range predict(m, all, func(*query) bool { return true }, nil) {
			if j.label {
				yes.add(j.query, m.Probability(j.logit))
			} else {
				no.add(j.query, m.Probability(j.logit))
			}
		}
		yes.close()
		no.close()
		if yes.queries > 0 {
			say("| %s, tunnel | %d | %s | | %d | %d |\n", name, yes.queries, share(yes.flagged, yes.queries), yes.pairs, yes.findings)
		}
		if no.queries > 0 {
			say("| %s, other | %d | %d | %.0f | %d | %d |\n", name, no.queries, no.flagged, 1e5*float64(no.flagged)/float64(no.queries), no.pairs, no.findings)
		}
		return nil
	}
	for _, t := range []struct{ file, suffix string }{
		{"dmachard_dns2tcp", "dns2tcp.hsc.fr"}, {"dmachard_dnscat2", "biillpi.com"}, {"dmachard_dnsextrator", "hsc.fr"},
		{"dmachard_iodine", "biillpi.com"}, {"dmachard_sods", "tun.hsc.fr"}, {"ndpi_bad-dns-traffic", "skullseclabs.org"},
		{"ndpi_dns-exf", ""}, {"ndpi_dns-tunnel-iodine", "pirate.sea"}, {"ndpi_dns_long_domainname", "tunnel.example.com"},
	} {
		q, err := r.pcap("dns-tunnel-pcap", t.file, "pcap", t.suffix)
		if err := evaluateOn(t.file, q, err); err != nil {
			return err
		}
	}
	q, err := r.pcap("dns-benign-pcap", "ndpi_apps_dns", "pcap")
	if err := evaluateOn("ndpi_apps_dns", q, err); err != nil {
		return err
	}
	if q, err = r.pihole(); evaluateOn("pihole", q, err) != nil {
		return err
	}
	if q, err = r.netrack(); evaluateOn("netrack", q, err) != nil {
		return err
	}
	for _, path := range []string{"zeek-tsv-slips/dns.log", "zeek-tsv-json-zat/dns.log"} {
		q, err := r.zeek(path)
		if err := evaluateOn(path, q, err); err != nil {
			return err
		}
	}
	return nil
}

// leaveOut evaluates each tool with a model trained without that tool and without
// half the domains. The benign queries of those domains give the false positive
// rates.
func (c *corpus) leaveOut(say func(string, ...any)) {
	say("\n### A tool never trained on (and benign domains never trained on; trained for %d epochs of %d)\n\n", quickEpochs, epochs)
	say("| tool | queries | TPR at FPR 1 %% | at 0.1 %% |\n|---|---|---|---|\n")
	tools := map[string]bool{}
	for i := range c.queries {
		if q := &c.queries[i]; q.label && q.set != "ziza" {
			tools[q.tool] = true
		}
	}
	names := slices.Sorted(maps.Keys(tools))
	rows := make([]string, len(names))
	together(len(names), func(i int) {
		tool := names[i]
		like := func(q *query) bool {
			return q.label && strings.TrimSuffix(q.tool, "-style") == strings.TrimSuffix(tool, "-style")
		}
		m := c.train(func(q *query) bool { return q.fold != 0 && !like(q) }, variant{quick: true})
		predicted := predict(m, c.queries, func(q *query) bool {
			return noLookUp(q) && (q.label && q.tool == tool || !q.label && q.fold == 0)
		}, nil)
		r := rank(scoresOf(predicted, noLookUp))
		one, _ := r.found(0.01)
		tenth, _ := r.found(0.001)
		rows[i] = fmt.Sprintf("| %s | %d | %s | %s |\n", tool, r.positive, share(one, r.positive), share(tenth, r.positive))
	})
	for _, row := range rows {
		say("%s", row)
	}
}

func (c *corpus) ablate(say func(string, ...any)) {
	say("\n### What each part brings (trained for %d epochs)\n\n| | ISP names: AP | TPR at FPR 1 %% | at 0.1 %% | with history: AP | TPR at FPR 1 %% | at 0.1 %% |\n|---|---|---|---|---|---|---|\n", quickEpochs)
	for _, a := range []struct {
		name  string
		blank func(*dnsmodel.Input)
	}{
		{"all", func(*dnsmodel.Input) {}},
		{"no history", dnsmodel.WithoutHistory},
		{"no language model", dnsmodel.WithoutLanguage},
	} {
		j := c.predictFolds(a.blank)
		say("| %s | %s | %s |\n", a.name, ranked(scoresOf(j, isZiza)), ranked(scoresOf(j, noLookUp)))
	}
	j := c.predictSeed()
	say("| the seed's network, its faults mended (on half the samples, a tenth of everyday queries) | %s | %s |\n", ranked(scoresOf(j, isZiza)), ranked(scoresOf(j, noLookUp)))
}

// seedRule scores the ISP's names by the seed's two measures, each divided by its
// limit.
func (c *corpus) seedRule() (s []scored) {
	for i := range c.queries {
		if q := &c.queries[i]; isZiza(q) {
			s = append(s, scored{max(bits(q.name)/3.8, float64(len(q.name))/60), q.label})
		}
	}
	return s
}

func bits(name string) float64 {
	var count [256]float64
	n := 0.0
	for _, b := range []byte(name) {
		if b != '.' {
			count[b]++
			n++
		}
	}
	sum := 0.0
	for _, k := range count {
		if k > 0 {
			sum -= k / n * math.Log2(k/n)
		}
	}
	return sum
}

// bigrams scores the ISP's names by the sum over their bytes of the surprise above
// the mean, under bigrams of the benign names of the other fold.
func (c *corpus) bigrams() (s []scored) {
	for f := range folds {
		var two [256 * 256]float64
		var one [256]float64
		walk := func(name string, f func(a, b byte)) {
			before := byte('.')
			for _, b := range []byte(name + ".") {
				f(before, b)
				before = b
			}
		}
		for i := range c.queries {
			if q := &c.queries[i]; isZiza(q) && !q.label && q.fold != f {
				walk(q.name, func(a, b byte) { two[int(a)*256+int(b)]++; one[a]++ })
			}
		}
		for i := range c.queries {
			if q := &c.queries[i]; isZiza(q) && q.fold == f {
				sum := 0.0
				walk(q.name, func(a, b byte) { sum -= math.Log2((two[int(a)*256+int(b)] + 0.1) / (one[a] + 4)) })
				s = append(s, scored{sum, q.label})
			}
		}
	}
	return s
}

// tablesMark precedes the generated part of the card.
const tablesMark = "<!-- What follows is written by the program in train. -->\n"

func writeTables(path, tables string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, _, found := strings.Cut(string(b), tablesMark)
	if !found {
		return fmt.Errorf("%s: no mark where the tables begin", filepath.Base(path))
	}
	return os.WriteFile(path, []byte(head+tablesMark+tables), 0o644)
}
