package main

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"outflow/columnar"
)

// A query is a line of a log.
type query struct {
	at       int64  // µs UTC
	of       string // source and registered domain: queries with the same are each other's history
	name     string // the part before the registered domain
	domain   string // registered
	set      string // the data set that it comes from
	tool     string // the tool of a tunnel, or the class of another query
	fold     int    // 0 or 1: queries of one domain (in ziza: of one name) are in the same fold
	rare, nx bool
	label    bool
}

// folds is the number of parts of the data: each is evaluated by a model that was
// not trained on it.
const folds = 2

func foldOf(text string) int {
	h := fnv.New64a()
	io.WriteString(h, text)
	return int(h.Sum64() >> 20 % folds)
}

// rareType reports whether few clients ask for records of a type, as in dns_pair.
func rareType(t string) bool {
	switch t {
	case "TXT", "NULL", "KEY", "MX", "CNAME", "SRV", "PRIVATE":
		return true
	}
	return false
}

var typeNames = map[string]string{
	"1": "A", "5": "CNAME", "10": "NULL", "12": "PTR", "15": "MX", "16": "TXT", "25": "KEY", "28": "AAAA", "33": "SRV",
	"65399": "PRIVATE",
}

// A reader reads data files and cuts the names in them.
type reader struct {
	domains columnar.Domains
	dir     string // third-party data
}

// cut sets the parts of a query's name.
func (r *reader) cut(q *query, src, name string) {
	lower := strings.ToLower(strings.TrimSuffix(name, "."))
	q.domain = string(r.domains.Registered([]byte(lower)))
	q.name = strings.TrimSuffix(lower[:len(lower)-len(q.domain)], ".")
	q.of = src + "|" + q.domain
	q.fold = foldOf(q.domain)
}

func open(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(path, ".gz") {
		return f, nil
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

// lines calls each for every line of a file.
func lines(path string, each func(line string) error) error {
	f, err := open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for n := 1; s.Scan(); n++ {
		if err := each(s.Text()); err != nil {
			return fmt.Errorf("%s: line %d: %w", path, n, err)
		}
	}
	return s.Err()
}

// own reads generated and captured traffic: time_us, src, query, qtype, label,
// tool, config, domain, resolver, set.
func (r *reader) own(path string) (all []query, err error) {
	err = lines(path, func(line string) error {
		f := strings.Split(line, "\t")
		if len(f) != 10 {
			return fmt.Errorf("%d columns, want 10", len(f))
		}
		if f[0] == "time_us" {
			return nil
		}
		at, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return err
		}
		if strings.HasPrefix(f[2], "<") {
			return nil // dnsmasq leaves out names that it cannot print
		}
		q := query{at: at, rare: rareType(f[3]), label: f[4] == "1", tool: strings.Clone(f[5]), set: strings.Clone(f[9])}
		// The views of two resolvers of one run are two sources.
		r.cut(&q, f[1]+"|"+f[8], f[2])
		all = append(all, q)
		return nil
	})
	return all, err
}

// ziza reads names from an ISP's resolver. They have no time and no source, so each
// is alone.
func (r *reader) ziza() (all []query, err error) {
	path := filepath.Join(r.dir, "dns-names-isp-ziza", "val_100k.csv.gz")
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i, row := range rows[1:] {
		q := query{of: fmt.Sprint("ziza ", i), name: row[0], set: "ziza", tool: "isp", label: row[1] == "1"}
		q.fold = foldOf(row[4])
		all = append(all, q)
	}
	return all, nil
}

// pcap reads packets extracted from a capture. A query for a domain with one of the
// suffixes in tunnel is a tunnel's.
func (r *reader) pcap(folder, file, set string, tunnel ...string) (all []query, err error) {
	type asked struct{ id, name string }
	open := map[asked]int{}
	err = lines(filepath.Join(r.dir, folder, file+".tsv.gz"), func(line string) error {
		f := strings.Split(line, "\t")
		if len(f) > 15 { // the first column is the capture
			f[2] = f[0] + " " + f[2]
			f = f[1:]
		}
		if strings.HasPrefix(line, "#") || len(f) < 13 {
			return nil
		}
		name := unescape(f[12])
		key := asked{f[7], name}
		if f[8] == "1" {
			if i, ok := open[key]; ok && f[10] == "3" {
				all[i].nx = true
			}
			return nil
		}
		seconds, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			return nil // the heading
		}
		q := query{at: int64(seconds * 1e6), set: set, tool: file, rare: rareType(typeNames[f[11]])}
		for _, suffix := range tunnel {
			q.label = q.label || strings.HasSuffix(name, suffix)
		}
		r.cut(&q, f[1], name)
		open[key] = len(all)
		all = append(all, q)
		return nil
	})
	return all, err
}

// unescape undoes the escapes \DDD and \. of RFC 1035.
func unescape(s string) string {
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		if n, err := strconv.Atoi(s[i+1 : min(i+4, len(s))]); err == nil && i+3 < len(s) {
			b = append(b, byte(n))
			i += 3
			continue
		}
		i++
		b = append(b, s[i])
	}
	return string(b)
}

// pihole reads the dnsmasq log of a home.
func (r *reader) pihole() (all []query, err error) {
	err = lines(filepath.Join(r.dir, "dnsmasq-pihole", "pihole.0236.log"), func(line string) error {
		f := strings.Fields(line)
		if len(f) < 8 || !strings.HasPrefix(f[4], "query[") {
			return nil
		}
		at, err := time.Parse("2006 Jan 2 15:04:05", "2024 "+strings.Join(f[:3], " "))
		if err != nil {
			return err
		}
		q := query{at: at.UnixMicro(), set: "pihole", tool: "home", rare: rareType(strings.Trim(f[4][5:], "[]"))}
		r.cut(&q, f[7], f[5])
		all = append(all, q)
		return nil
	})
	return all, err
}

// netrack reads names that have no time: they are set a second apart.
func (r *reader) netrack() (all []query, err error) {
	err = lines(filepath.Join(r.dir, "dns-names-netrack", "netrack_mixed_validate.csv.gz"), func(line string) error {
		label, name, _ := strings.Cut(line, ",")
		q := query{at: int64(len(all)) * 1e6, set: "netrack", tool: "mixed", label: label == "1"}
		r.cut(&q, label, name)
		all = append(all, q)
		return nil
	})
	return all, err
}

// zeek reads dns.log in its TSV form.
func (r *reader) zeek(path string) (all []query, err error) {
	var at, src, name, kind, rcode int
	err = lines(filepath.Join(r.dir, path), func(line string) error {
		f := strings.Split(line, "\t")
		if f[0] == "#fields" {
			at, src, name = slices.Index(f, "ts")-1, slices.Index(f, "id.orig_h")-1, slices.Index(f, "query")-1
			kind, rcode = slices.Index(f, "qtype_name")-1, slices.Index(f, "rcode_name")-1
		}
		if strings.HasPrefix(line, "#") || len(f) <= rcode || f[name] == "-" {
			return nil
		}
		seconds, err := strconv.ParseFloat(f[at], 64)
		if err != nil {
			return err
		}
		q := query{at: int64(seconds * 1e6), set: "zeek", tool: path, rare: rareType(f[kind]), nx: f[rcode] == "NXDOMAIN"}
		r.cut(&q, f[src], f[name])
		all = append(all, q)
		return nil
	})
	return all, err
}

// words returns the labels of popular domains. The language model learns from them
// how names are spelled.
func (r *reader) words() (all []string, err error) {
	err = lines(filepath.Join(r.dir, "domain-lists", "alexa_100k.csv.gz"), func(line string) error {
		_, domain, _ := strings.Cut(line, ",")
		label, _, _ := strings.Cut(domain, ".")
		all = append(all, label)
		return nil
	})
	return all, err
}

// inOrder sorts queries into histories: by source and domain, then by time, then by
// name. The remaining fields make the order independent of the order of files.
func inOrder(all []query) {
	slices.SortStableFunc(all, func(a, b query) int {
		return cmp.Or(cmp.Compare(a.of, b.of), cmp.Compare(a.at, b.at), cmp.Compare(a.name, b.name),
			one(a.rare)-one(b.rare), one(a.nx)-one(b.nx), one(a.label)-one(b.label), cmp.Compare(a.tool, b.tool))
	})
}
