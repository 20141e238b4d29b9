// Command train makes the DNS exfiltration model of package dnsmodel, model.bin,
// and with -evaluate the tables of its card. The same data gives the same bytes
// on every machine.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"outflow/stats/dnsmodel"
)

func main() {
	data := flag.String("data", "", "folder with the third-party data")
	traffic := flag.String("traffic", "", "folder with the generated and captured traffic, *.tsv.gz: see fixtures/tunnels")
	dir := flag.String("out", "stats/dnsmodel", "folder where model.bin and, with -evaluate, card.md are written")
	evaluate := flag.Bool("evaluate", false, "evaluate the model and write the card's tables; trains some twenty more models")
	flag.Parse()
	if err := run(*data, *traffic, *dir, *evaluate); err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

func run(data, traffic, dir string, evaluate bool) error {
	for _, folder := range []struct{ path, needs string }{{data, "domain-lists, dns-names-isp-ziza and dns-benign-pcap"}, {traffic, "made and captured traffic, *.tsv.gz"}} {
		if s, err := os.Stat(folder.path); err != nil || !s.IsDir() {
			return fmt.Errorf("%q is not a folder: it must hold %s", folder.path, folder.needs)
		}
	}
	c, err := load(data, traffic)
	if err != nil {
		return err
	}
	var predicted []prediction
	var m *dnsmodel.Model
	together(2, func(i int) {
		if i == 0 {
			predicted = c.predictFolds(nil)
		} else {
			m = c.train(func(*query) bool { return true }, variant{})
		}
	})
	m.Curve = calibrate(predicted, func(*prediction) bool { return true })
	m.Usual = usual(c, &m.Surprise)
	if err := os.WriteFile(filepath.Join(dir, "model.bin"), m.Append(nil), 0o644); err != nil {
		return err
	}
	tables, err := c.tables(m, predicted, data, evaluate)
	if err != nil {
		return err
	}
	if !evaluate {
		return nil
	}
	return writeTables(filepath.Join(dir, "card.md"), tables)
}

// A corpus is the data for training and for evaluation by folds, in the order of
// histories.
type corpus struct {
	words   []string
	queries []query
	sums    []string // of the files of generated and captured traffic
}

func load(data, traffic string) (*corpus, error) {
	r := &reader{dir: data}
	c := new(corpus)
	var err error
	if c.words, err = r.words(); err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(traffic, "*.tsv.gz"))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("%s: no generated or captured traffic, *.tsv.gz (%v)", traffic, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		c.sums = append(c.sums, fmt.Sprintf("%s: SHA-256 %x", filepath.Base(name), sha256.Sum256(b)))
		q, err := r.own(name)
		if err != nil {
			return nil, err
		}
		c.queries = append(c.queries, q...)
	}
	q, err := r.ziza()
	if err != nil {
		return nil, err
	}
	c.queries = append(c.queries, q...)
	if q, err = r.pcap("dns-benign-pcap", "gg_normal_00000", "crawl"); err != nil {
		return nil, err
	}
	c.queries = append(c.queries, q...)
	c.queries = append(c.queries, serviceNames()...)
	c.queries = append(c.queries, numberedHosts()...)
	inOrder(c.queries)
	return c, nil
}

// language learns from the words, and from the benign names of the ISP for which in
// is true. A name of the ISP counts for three words, because there are fewer names
// and the evaluation is about names.
func (c *corpus) language(in func(*query) bool) *dnsmodel.Surprise {
	var l language
	for _, w := range c.words {
		l.add(w, 1)
	}
	seen := map[string]bool{}
	for i := range c.queries {
		q := &c.queries[i]
		if q.set == "ziza" && !q.label && in(q) && !seen[q.name] {
			seen[q.name] = true
			l.add(q.name, 3)
		}
	}
	return l.surprise()
}

// each calls f with every query for which in is true: the number of queries of its
// source and domain, its history and its features.
func each(queries []query, surprise *dnsmodel.Surprise, in func(*query) bool, f func(q *query, events int, h *dnsmodel.History, v *dnsmodel.Features)) {
	x := dnsmodel.Extractor{Surprise: surprise}
	for from := 0; from < len(queries); {
		to := from + 1
		for to < len(queries) && queries[to].of == queries[from].of {
			to++
		}
		var h dnsmodel.History
		for i := from; i < to; i++ {
			q := &queries[i]
			if !in(q) {
				continue
			}
			v := x.Of([]byte(q.name))
			f(q, to-from, &h, &v)
			h.Add(v, q.at, q.rare, q.nx)
		}
		from = to
	}
}

// usual returns the input of a typical benign query: the median of each input over
// the names of the ISP. The inputs about the past have the median over names asked
// ten times for www.
func usual(c *corpus, surprise *dnsmodel.Surprise) dnsmodel.Input {
	var counts [inputs][256]int
	n := 0
	each(c.queries, surprise, func(q *query) bool { return q.set == "ziza" && !q.label }, func(q *query, _ int, h *dnsmodel.History, v *dnsmodel.Features) {
		for range 10 {
			h.Add(*v, 0, false, false)
		}
		for k, b := range h.Input(v, 600e6, false) {
			counts[k][b]++
		}
		n++
	})
	var x dnsmodel.Input
	for k := range counts {
		sum := 0
		for b, count := range counts[k] {
			if sum += count; sum*2 >= n {
				x[k] = uint8(b)
				break
			}
		}
	}
	return x
}
