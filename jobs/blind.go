package jobs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/reports"
	"outflow/stats/detect"
)

// blind says which detections could not judge which tables of which feeds: no
// log of the table fills all the columns that they need. Connections carry the
// bytes of the requests within them, so where a feed's connections can be judged
// its requests need not be.
func blind(detections []*detect.Detection, inputs []reports.Input) []reports.Blind {
	type place struct{ feed, table, detection string }
	missing := map[place]*reports.Blind{}
	judged := map[place]bool{}
	for _, in := range inputs {
		table := columnar.TableNamed(in.Table)
		for _, d := range detections {
			if table == nil || !slices.Contains(d.Aggregate.Tables, table) {
				continue
			}
			p := place{in.Feed, in.Table, d.Name}
			i := slices.IndexFunc((d.Needs & table.Set()).List(), func(c columnar.Col) bool { return in.Known[c] == 0 })
			if i < 0 {
				judged[p] = true
				continue
			}
			c := (d.Needs & table.Set()).List()[i]
			b := missing[p]
			if b == nil {
				b = &reports.Blind{Feed: in.Feed, Table: in.Table, Detection: d.Name, Column: c.String(),
					Why:    "No " + in.Format + " log of feed " + in.Feed + " says " + c.String() + " (" + c.Doc() + ") where the rest is.",
					Remedy: remedy(in.Format, c.String())}
				missing[p] = b
			}
			b.Rows += in.Rows
		}
	}
	var out []reports.Blind
	for p, b := range missing {
		if !judged[p] && !judged[place{p.feed, columnar.Network.Name, p.detection}] {
			out = append(out, *b)
		}
	}
	slices.SortFunc(out, func(a, b reports.Blind) int {
		return cmp.Or(cmp.Compare(a.Feed, b.Feed), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Detection, b.Detection),
			cmp.Compare(a.Table, b.Table))
	})
	return joined(out)
}

// unread says which detections had nothing to judge, because no log of any table
// that they read was there. Where nothing was read at all, the report says so.
func unread(detections []*detect.Detection, inputs []reports.Input) []reports.Blind {
	read := map[string]bool{}
	for _, in := range inputs {
		read[in.Table] = read[in.Table] || in.Rows > 0
	}
	if !slices.Contains(slices.Collect(maps.Values(read)), true) {
		return nil
	}
	var out []reports.Blind
	for _, d := range detections {
		var tables []string
		for _, t := range d.Aggregate.Tables {
			tables = append(tables, t.Name)
		}
		if slices.ContainsFunc(tables, func(t string) bool { return read[t] }) {
			continue
		}
		out = append(out, reports.Blind{
			Detection: d.Name, Table: strings.Join(tables, " "),
			Why:    "No log with rows of " + strings.Join(tables, " or ") + " was read.",
			Remedy: "Add one: outflow list formats says which logs have such rows.",
		})
	}
	slices.SortFunc(out, func(a, b reports.Blind) int { return cmp.Compare(a.Detection, b.Detection) })
	return joined(out)
}

// silent says which feeds of the configuration had no log for the judged days.
func silent(config *Config, h *history, days []detect.Day, inputs []reports.Input) []reports.Blind {
	heard := map[string]bool{}
	for _, in := range inputs {
		heard[in.Feed] = true
	}
	for aggregate := range h.tables { // logs that an earlier run has folded
		for _, p := range h.between(aggregate, days[0], days[len(days)-1]) {
			for _, feed := range p.feeds {
				feed, _, _ := strings.Cut(feed, "/")
				heard[feed] = true
			}
		}
	}
	when := days[0].String()
	if len(days) > 1 {
		when += " to " + days[len(days)-1].String()
	}
	var out []reports.Blind
	for _, in := range config.Inputs {
		if !heard[in.Name] {
			out = append(out, reports.Blind{Feed: in.Name,
				Why:    "No log of feed " + in.Name + " was found for " + when + " at " + in.URI + ".",
				Remedy: "Check the uri, and whether the log was delivered."})
		}
	}
	return out
}

// unplaced says which feeds of cloud API calls name no bucket: where their bytes
// went is not known.
func unplaced(config *Config, h *history, inputs []reports.Input) []reports.Blind {
	d := config.detection("cloud_upload")
	if d == nil {
		return nil
	}
	rows, named := map[string]int64{}, map[string]bool{}
	for _, in := range inputs {
		if in.Table == columnar.API.Name && in.Known[columnar.BytesOut] > 0 {
			rows[in.Feed] += in.Rows
		}
	}
	for _, p := range h.tables[d.Aggregate] {
		for _, feed := range p.feeds {
			named[feed] = true
		}
	}
	var out []reports.Blind
	for _, feed := range slices.Sorted(maps.Keys(rows)) {
		if !named[feed] {
			out = append(out, reports.Blind{Feed: feed, Table: columnar.API.Name, Detection: d.Name, Column: columnar.Resource.String(), Rows: rows[feed],
				Why:    "No call of feed " + feed + " names a bucket, so where its bytes went is not known.",
				Remedy: "A proxy that logs hosts and upload bytes sees the destinations."})
		}
	}
	return out
}

// masked says of which feeds a dialect does not write all DNS names as they were
// asked: what judges names sees less of them than there was. dns_volume counts queries,
// whatever their names.
func masked(detections []*detect.Detection, inputs []reports.Input) []reports.Blind {
	var judges []string
	for _, d := range detections {
		if d.Needs.Has(columnar.Query) && d.Name != "dns_volume" {
			judges = append(judges, d.Name)
		}
	}
	type place struct{ feed, format string }
	rows, masked := map[place]int64{}, map[place]int64{}
	var places []place
	for _, in := range inputs {
		p := place{in.Feed, in.Format}
		if in.Masked > 0 && masked[p] == 0 {
			places = append(places, p)
		}
		rows[p] += in.Rows
		masked[p] += in.Masked
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.feed, b.feed), cmp.Compare(a.format, b.format)) })
	var out []reports.Blind
	for _, p := range places {
		if len(judges) == 0 {
			break
		}
		how := "as <name unprintable>, all of a client together: only how many there are is known"
		if p.format == "unbound" {
			how = "with ? for odd bytes or & for the last label: fewer are distinct, or they are of another domain than shorter ones"
		}
		out = append(out, reports.Blind{Feed: p.feed, Table: columnar.DNS.Name, Detection: strings.Join(judges, ", "), Column: columnar.Query.String(), Rows: masked[p],
			Why:    fmt.Sprintf("Of %d queries of feed %s, %d have names that %s does not write as they were asked, but %s.", rows[p], p.feed, masked[p], p.format, how),
			Remedy: "Ordinary clients seldom ask for such names, tunnels of raw bytes do: look who asked, or let BIND, CoreDNS or a network sensor log the names in full."})
	}
	return out
}

// joined makes one of the blind spots that have one cause.
func joined(all []reports.Blind) []reports.Blind {
	var out []reports.Blind
	for _, b := range all {
		i := slices.IndexFunc(out, func(o reports.Blind) bool { return o.Feed == b.Feed && o.Why == b.Why && o.Remedy == b.Remedy })
		if i < 0 {
			out = append(out, b)
			continue
		}
		out[i].Detection += ", " + b.Detection
		out[i].Rows = max(out[i].Rows, b.Rows)
	}
	return out
}

// remedy says what would make a dialect fill a column.
func remedy(format, column string) string {
	switch {
	case format == "squid" && column == "bytes_out":
		return "Let Squid log what clients send: logformat outflow %ts.%03tu %6tr %>a %Ss/%03>Hs %<st %>st %rm %ru %[un %Sh/%<a %mt \"%{User-Agent}>h\"."
	case format == "suricata" && (column == "bytes_out" || column == "bytes_in"):
		return "Enable the flow event in Suricata's eve-log: it counts bytes in both directions."
	case format == "zeek" && (column == "bytes_out" || column == "bytes_in"):
		return "Keep Zeek's conn.log beside this log: it counts bytes in both directions."
	case column == "dst_host":
		return "Connections have bytes without the name of the server: a proxy that logs hosts and upload bytes has both."
	case format == "cloudtrail":
		return "Enable S3 data events in the trail: management events carry no bytes."
	case format == "csv" || format == "jsonl" || format == "parquet":
		return "If the log has it under another name, say so in the input's mapping: columns: {" + column + ": NAME}."
	}
	return "This dialect does not log it; another sensor on the same path may."
}
