package jobs

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/logs"
	"outflow/reports"
	"outflow/stats/detect"
	"outflow/stats/sigma"
)

type feedColumn struct {
	feed string
	c    columnar.Col
}

// blind returns the detections that could not judge a table of a feed, because no log
// of that table fills all the columns that they need. Connections carry the bytes of
// the requests within them, so if the connections of a feed can be judged, its
// requests need not be; nor are requests blind for want of bytes that its connections have.
func blind(detections []*detect.Detection, formats logs.Formats, inputs []reports.Input) []reports.Blind {
	type place struct{ feed, table, detection string }
	missing := map[place]*reports.Blind{}
	judged := map[place]bool{}
	counted := map[feedColumn]bool{} // bytes of connections
	known := knownOf(inputs)
	for _, in := range inputs {
		table := columnar.TableNamed(in.Table)
		for _, c := range []columnar.Col{columnar.BytesOut, columnar.BytesIn} {
			if table == columnar.Network && in.Known[c] > 0 {
				counted[feedColumn{in.Feed, c}] = true
			}
		}
		for _, d := range detections {
			format := formats.Named(in.Format)
			if table == nil || !reads(d, format, table) {
				continue
			}
			p := place{in.Feed, in.Table, d.Name}
			if ofServer(format, d) {
				if missing[p] == nil {
					missing[p] = &reports.Blind{Feed: in.Feed, Table: in.Table, Detection: d.Name, Column: columnar.BytesOut.String(),
						Why:    "Feed " + in.Feed + " is the log of a server (" + in.Format + "): what clients upload to it does not leave the company.",
						Remedy: "Uploads show in the logs of the side that sends: a proxy, a network sensor or the cloud's API log."}
				}
				missing[p].Rows += in.Rows
				continue
			}
			i := slices.IndexFunc((d.Needs & table.Set()).List(), func(c columnar.Col) bool { return !known(&in, c) })
			if i < 0 {
				judged[p] = true
				continue
			}
			c := (d.Needs & table.Set()).List()[i]
			b := missing[p]
			if b == nil {
				b = &reports.Blind{Feed: in.Feed, Table: in.Table, Detection: d.Name, Column: c.String(),
					Why:    "No " + in.Format + " log of feed " + in.Feed + " has " + c.String() + " (" + c.Doc() + ").",
					Remedy: remedy(formats.Named(in.Format), c)}
				missing[p] = b
			}
			b.Rows += in.Rows
		}
	}
	var out []reports.Blind
	for p, b := range missing {
		c, _ := columnar.ColNamed(b.Column)
		elsewhere := p.table != columnar.Network.Name && counted[feedColumn{p.feed, c}]
		if !judged[p] && !judged[place{p.feed, columnar.Network.Name, p.detection}] && !elsewhere {
			out = append(out, *b)
		}
	}
	slices.SortFunc(out, byFeed)
	return joined(out)
}

// byFeed is the order of blind spots of one kind.
func byFeed(a, b reports.Blind) int {
	return cmp.Or(cmp.Compare(a.Feed, b.Feed), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Detection, b.Detection), cmp.Compare(a.Table, b.Table))
}

// ofServer reports whether a detection judges what leaves the company and f is the log of a
// server of the company's own, whose clients may be anybody.
func ofServer(f *logs.Format, d *detect.Detection) bool {
	return f != nil && f.Server && (d.Needs.Has(columnar.BytesOut) || d.Aggregate == detect.PairTimes)
}

// reads reports whether a detection reads rows of a table from logs of a format.
func reads(d *detect.Detection, f *logs.Format, t *columnar.Table) bool {
	if d.Aggregate.Serving && t == columnar.HTTP && (f == nil || !f.Server) {
		return false
	}
	return slices.Contains(d.Aggregate.Tables, t)
}

// uncounted returns the feeds with downloads whose log has no byte counts, so that only
// the number of objects is judged.
func uncounted(config *Config, h *history, inputs []reports.Input) []reports.Blind {
	d := config.detection("bulk_download")
	if d == nil {
		return nil
	}
	downloads := map[string]bool{}
	for _, p := range h.tables[d.Aggregate] {
		for _, feed := range p.feeds {
			downloads[feed] = true
		}
	}
	type place struct{ feed, table string }
	rows, counted, format := map[place]int64{}, map[place]bool{}, map[place]string{}
	for _, in := range inputs {
		f := config.formats.Named(in.Format)
		if t := columnar.TableNamed(in.Table); t == nil || !downloads[in.Feed] || !reads(d, f, t) {
			continue
		}
		p := place{in.Feed, in.Table}
		rows[p] += in.Rows
		counted[p] = counted[p] || in.Known[columnar.BytesIn] > 0
		format[p] = in.Format
	}
	var out []reports.Blind
	for p, n := range rows {
		if n > 0 && !counted[p] {
			out = append(out, reports.Blind{Feed: p.feed, Table: p.table, Detection: d.Name, Column: columnar.BytesIn.String(), Rows: n,
				Why:    "Feed " + p.feed + " says what was downloaded but not how much: only the number of objects is judged.",
				Remedy: remedy(config.formats.Named(format[p]), columnar.BytesIn)})
		}
	}
	slices.SortFunc(out, byFeed)
	return out
}

// knownOf returns a function that reports whether rows of an input have a column. The
// records of connections are joined, so what one log of a feed has of them counts for
// the others.
func knownOf(inputs []reports.Input) func(in *reports.Input, c columnar.Col) bool {
	joined := map[feedColumn]bool{}
	for _, in := range inputs {
		if in.Known[columnar.UID] == 0 {
			continue
		}
		for c, rows := range in.Known {
			switch {
			case rows == 0:
			case in.Table == columnar.Network.Name:
				joined[feedColumn{in.Feed, c}] = true
			case c == columnar.URLHost:
				joined[feedColumn{in.Feed, columnar.DstHost}] = true
			}
		}
	}
	return func(in *reports.Input, c columnar.Col) bool {
		return in.Known[c] > 0 || in.Table == columnar.Network.Name && in.Known[columnar.UID] > 0 && joined[feedColumn{in.Feed, c}]
	}
}

// unread returns the detections that had nothing to judge, because no log had rows of
// the tables that they read. If nothing was read at all, it returns nil: the report
// says so itself.
func unread(detections []*detect.Detection, formats logs.Formats, inputs []reports.Input) []reports.Blind {
	read := map[string]bool{}
	for _, in := range inputs {
		read[in.Table] = read[in.Table] || in.Rows > 0
	}
	if !slices.Contains(slices.Collect(maps.Values(read)), true) {
		return nil
	}
	var out []reports.Blind
	serving := map[string]bool{} // detections that need more than a table
	for _, d := range detections {
		serving[d.Name] = d.Aggregate.Serving
		tables := texts(d.Aggregate.Tables, tableName)
		if slices.ContainsFunc(inputs, func(in reports.Input) bool {
			t := columnar.TableNamed(in.Table)
			return in.Rows > 0 && t != nil && reads(d, formats.Named(in.Format), t)
		}) {
			continue
		}
		why := "No log with rows of " + strings.Join(tables, " or ") + " was read."
		if d.Aggregate.Serving {
			why = "No log of a cloud service or of a web server of the company's own was read."
		}
		out = append(out, reports.Blind{
			Detection: d.Name, Table: strings.Join(tables, " "),
			Why:    why,
			Remedy: "Add one: outflow list tables says which formats have such rows.",
		})
	}
	slices.SortFunc(out, byFeed)
	out = joined(out)
	for i := range out {
		if b := &out[i]; !serving[b.Detection] {
			b.Absent = b.Detection
		}
	}
	return out
}

// silent returns the configured feeds that have no row in the judged time, which when
// names in words. A log that is late, has stopped or was not read looks like a quiet
// time.
func silent(config *Config, h *history, days []detect.Day, inputs []reports.Input, when string) []reports.Blind {
	found, heard := map[string]bool{}, map[string]bool{}
	for _, in := range inputs {
		found[in.Feed] = true
		heard[in.Feed] = heard[in.Feed] || in.Rows > in.Outside
	}
	for aggregate := range h.tables { // logs that an earlier run has folded
		for _, p := range h.between(aggregate, days[0], days[len(days)-1]) {
			for _, feed := range p.feeds {
				feed, _, _ := strings.Cut(feed, "/")
				heard[feed] = true
			}
		}
	}
	var out []reports.Blind
	for _, in := range config.Inputs {
		switch {
		case heard[in.Name]:
		case found[in.Name]:
			out = append(out, reports.Blind{Feed: in.Name,
				Why:    "Feed " + in.Name + " has logs, but no row " + when + ".",
				Remedy: "Check whether its log is still written, and delivered in time."})
		default:
			out = append(out, reports.Blind{Feed: in.Name,
				Why:    "No log of feed " + in.Name + " was found for " + spanOf(days) + " at " + in.URI + ".",
				Remedy: in.leftOut() + "Check the uri, and whether the log was delivered."})
		}
	}
	return out
}

// spanOf formats the first and the last of days, which ascend.
func spanOf(days []detect.Day) string {
	if len(days) > 1 {
		return days[0].String() + " to " + days[len(days)-1].String()
	}
	return days[0].String()
}

// Rows without an entity or a destination are a blind spot if they exceed this share
// of their table's rows, or this number of bytes. Fewer are only in inputs.csv:
// proxies log a few requests that failed before the client was known.
const (
	minLackingShare = 0.01
	minLackingBytes = 1_000_000
)

// Cells of a feed that could not be read are a blind spot if they are more than this number,
// and at least this share of those that say anything. Fewer are only in inputs.csv.
const (
	fewUnread      = 5
	minUnreadShare = 0.001
)

// misread returns, by feed, the columns that detections need and that have cells which could
// not be read.
func misread(inputs []reports.Input) []reports.Blind {
	known := map[feedColumn]int64{}
	sums := map[feedColumn]*reports.Unread{}
	of := map[feedColumn]string{} // the object of the first such cell
	for _, in := range inputs {
		for c, rows := range in.Known {
			known[feedColumn{in.Feed, c}] += rows
		}
		for _, u := range in.Unread {
			at := feedColumn{in.Feed, u.Col}
			if sum := sums[at]; sum != nil {
				sum.Cells += u.Cells
				continue
			}
			sums[at], of[at] = &u, in.Name
		}
	}
	var out []reports.Blind
	for at, sum := range sums {
		sum.Of = sum.Cells + known[at]
		if sum.Cells <= fewUnread || float64(sum.Cells) < minUnreadShare*float64(sum.Of) {
			continue
		}
		out = append(out, reports.Blind{Feed: at.feed, Column: at.c.String(), Rows: sum.Cells,
			Why:    "Feed " + at.feed + ": " + sum.Describe(printable(of[at])) + ", so the rows count without it.",
			Remedy: "outflow inspect shows what it is read from; if that is another field, name the right one in the input's mapping: columns: {" + at.c.String() + ": NAME}."})
	}
	slices.SortFunc(out, byFeed)
	return out
}

// unattributed returns the feeds with rows that have no entity, or no destination.
// blind returns those whose columns are never filled.
func unattributed(inputs []reports.Input) []reports.Blind {
	type place struct{ feed, table string }
	type sum struct {
		rows            int64
		nobody, nowhere reports.Volume
	}
	sums := map[place]*sum{}
	var places []place
	for _, in := range inputs {
		p := place{in.Feed, in.Table}
		if sums[p] == nil {
			sums[p] = &sum{}
			places = append(places, p)
		}
		sums[p].rows += in.Rows - in.Outside
		sums[p].nobody.Add(in.Unattributed)
		sums[p].nowhere.Add(in.Unplaced)
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.feed, b.feed), cmp.Compare(a.table, b.table)) })
	var out []reports.Blind
	for _, p := range places {
		s := sums[p]
		matters := func(v reports.Volume) bool {
			return v.Rows > 0 && (v.BytesOut >= minLackingBytes || float64(v.Rows) >= minLackingShare*float64(s.rows))
		}
		if v := s.nobody; matters(v) {
			out = append(out, reports.Blind{Feed: p.feed, Table: p.table, Rows: v.Rows,
				Why:    fmt.Sprintf("%s of feed %s (%s) %s no user, address or host.", v, p.feed, p.table, verb(v.Rows, "has", "have")),
				Remedy: "Log the user or the client's address; if the log has one, name its column in the input's mapping."})
		}
		if v := s.nowhere; matters(v) && v.Rows < s.rows {
			out = append(out, reports.Blind{Feed: p.feed, Table: p.table, Rows: v.Rows, Detection: "cloud_upload",
				Why:    fmt.Sprintf("%s of feed %s (%s) %s no destination.", v, p.feed, p.table, verb(v.Rows, "has", "have")),
				Remedy: "The other detections count them. A proxy that logs hosts and upload bytes sees the destinations."})
		}
	}
	return out
}

// unidentified says which feeds count bytes in records without an id, so that copies of a
// record are not found. The uid of a connection is one.
func unidentified(inputs []reports.Input) []reports.Blind {
	rows, known := map[string]int64{}, map[string]bool{}
	for _, in := range inputs {
		if in.Known[columnar.BytesOut] > 0 || in.Known[columnar.BytesIn] > 0 {
			rows[in.Feed] += in.Rows
			known[in.Feed] = known[in.Feed] || in.Known[columnar.EventUID] > 0 || in.Known[columnar.UID] > 0
		}
	}
	var feeds []string
	var n int64
	for _, feed := range slices.Sorted(maps.Keys(rows)) {
		if !known[feed] {
			feeds = append(feeds, feed)
			n += rows[feed]
		}
	}
	if feeds == nil {
		return nil
	}
	return []reports.Blind{{Rows: n,
		Why:    "The records of " + strings.Join(feeds, ", ") + " have no id: one that is delivered twice counts twice, unless its whole log is a copy of another.",
		Remedy: "If the log has an id, name its column in the input's mapping: columns: {event_uid: NAME}."}}
}

// verb returns the form of a verb for a number.
func verb(n int64, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// judged returns, for each feed and table with rows of the judged days, the detections
// whose needed columns they have, without those that lack history.
func judged(config *Config, h *history, inputs []reports.Input, lacking []shortFeed) []reports.Judged {
	type place struct{ feed, table string }
	by := map[place]map[string]bool{}
	nowhere := unplaced(config, h, inputs)
	known := knownOf(inputs)
	for _, in := range inputs {
		table := columnar.TableNamed(in.Table)
		if table == nil || in.Rows <= in.Outside+in.Unattributed.Rows {
			continue
		}
		for _, d := range config.detections {
			lacks := func(c columnar.Col) bool { return !known(&in, c) }
			feed := in.Feed
			if table == columnar.Network {
				feed += "/network"
			}
			switch {
			case h.unread[d.Aggregate],
				slices.ContainsFunc(lacking, func(s shortFeed) bool { return s.feed == feed && s.needs[d.Name] != "" }):
				continue
			case !reads(d, config.formats.Named(in.Format), table),
				ofServer(config.formats.Named(in.Format), d),
				slices.ContainsFunc((d.Needs & table.Set()).List(), lacks),
				table == columnar.API && slices.ContainsFunc(nowhere, func(b reports.Blind) bool { return b.Feed == in.Feed && b.Detection == d.Name }),
				d.Name == "sigma_rule" && !config.hasRuleOf(table):
				continue
			}
			p := place{in.Feed, in.Table}
			if by[p] == nil {
				by[p] = map[string]bool{}
			}
			by[p][d.Name] = true
		}
	}
	var out []reports.Judged
	for p, detections := range by {
		out = append(out, reports.Judged{Feed: p.feed, Table: p.table, Detections: slices.Sorted(maps.Keys(detections))})
	}
	slices.SortFunc(out, func(a, b reports.Judged) int {
		return cmp.Or(cmp.Compare(a.Feed, b.Feed), cmp.Compare(a.Table, b.Table))
	})
	return out
}

// hasRuleOf reports whether a rule runs on rows of a table.
func (c *Config) hasRuleOf(t *columnar.Table) bool {
	return c.runsRules() && slices.ContainsFunc(c.rules.set.Rules, func(r *sigma.Rule) bool { return slices.Contains(r.Tables(), t) })
}

// unplaced returns the feeds of cloud API calls that name no bucket, so that the
// destination of their bytes is unknown, for each detection that judges destinations.
func unplaced(config *Config, h *history, inputs []reports.Input) []reports.Blind {
	rows := map[string]int64{}
	for _, in := range inputs {
		if in.Table == columnar.API.Name && in.Known[columnar.BytesOut] > 0 {
			rows[in.Feed] += in.Rows
		}
	}
	var out []reports.Blind
	for _, d := range config.detections {
		if !d.Needs.Has(columnar.URLHost) || !slices.Contains(d.Aggregate.Tables, columnar.API) {
			continue
		}
		named := map[string]bool{}
		for _, p := range h.tables[d.Aggregate] {
			for _, feed := range p.feeds {
				named[feed] = true
			}
		}
		for _, feed := range slices.Sorted(maps.Keys(rows)) {
			if !named[feed] {
				out = append(out, reports.Blind{Feed: feed, Table: columnar.API.Name, Detection: d.Name, Column: columnar.Resource.String(), Rows: rows[feed],
					Why:    "Feed " + feed + " does not log destinations: no call names a bucket.",
					Remedy: "A proxy that logs hosts and upload bytes sees the destinations."})
			}
		}
	}
	return out
}

// masked returns the feeds in which a dialect does not write all DNS names as they
// were queried, so that detections that judge names see fewer of them than there were.
// dns_volume is not affected: it counts queries, whatever their names.
func masked(detections []*detect.Detection, formats logs.Formats, inputs []reports.Input) []reports.Blind {
	var affected []string
	for _, d := range detections {
		if d.Needs.Has(columnar.Query) && d.Name != "dns_volume" {
			affected = append(affected, d.Name)
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
		if len(affected) == 0 {
			break
		}
		how := ""
		if f := formats.Named(p.format); f != nil {
			how = f.Masks
		}
		out = append(out, reports.Blind{Feed: p.feed, Table: columnar.DNS.Name, Detection: strings.Join(affected, ", "), Column: columnar.Query.String(), Rows: masked[p],
			Why:    fmt.Sprintf("Of %s queries of feed %s, %s have names that %s does not write as they were queried, but %s.", detect.Number(rows[p]), p.feed, detect.Number(masked[p]), p.format, how),
			Remedy: "Ordinary clients seldom query such names, tunnels of raw bytes do. Check which client queried them, or let BIND, CoreDNS or a network sensor log the names in full."})
	}
	return out
}

// A shortFeed is a feed with too few days of history for some detections.
type shortFeed struct {
	feed  string // of the rows of an aggregate
	days  int
	needs map[string]string // by detection, as Detection.Short says it
}

// short returns the feeds with too few days of history for detections that find nothing
// without, by feed. It looks at the last judged day of each feed: a run over many days
// begins without history.
func short(config *Config, h *history, days []detect.Day) []shortFeed {
	if len(days) == 0 {
		return nil
	}
	var out []shortFeed
	for _, d := range config.detections {
		if d.Short == nil {
			continue
		}
		looked := map[string]bool{}
		for _, p := range slices.Backward(h.between(d.Aggregate, days[0], days[len(days)-1])) {
			var in *detect.Input
			for _, feed := range p.feeds {
				if looked[feed] {
					continue
				}
				looked[feed] = true
				if in == nil {
					in = h.input(config, d, h.between(d.Aggregate, p.day-detect.Day(d.History), p.day), p.day)
				}
				covered := in.Covered(feed)
				need := d.Short(covered, p.day)
				if need == "" {
					continue
				}
				i := slices.IndexFunc(out, func(s shortFeed) bool { return s.feed == feed })
				if i < 0 {
					i = len(out)
					out = append(out, shortFeed{feed, 0, map[string]string{}})
				}
				out[i].days = max(out[i].days, len(covered))
				out[i].needs[d.Name] = need
			}
		}
	}
	slices.SortFunc(out, func(a, b shortFeed) int { return cmp.Compare(a.feed, b.feed) })
	return out
}

// shortBlind says which detections found nothing for want of history.
func shortBlind(feeds []shortFeed) []reports.Blind {
	var out []reports.Blind
	for _, s := range feeds {
		names := slices.Sorted(maps.Keys(s.needs))
		var needs []string
		for _, name := range names {
			needs = append(needs, name+" needs "+s.needs[name])
		}
		out = append(out, reports.Blind{Feed: s.feed, Detection: strings.Join(names, ", "),
			Why:    fmt.Sprintf("Feed %s has %s of history: %s.", s.feed, counted(s.days, "day"), strings.Join(needs, ", ")),
			Remedy: "Read logs of earlier days too, or wait: every night adds a day."})
	}
	return out
}

// joined joins the blind spots that have the same cause.
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

// remedy says how to get a dialect to fill a column.
func remedy(f *logs.Format, c columnar.Col) string {
	if f != nil {
		if text := f.Remedy(c); text != "" {
			return text
		}
		if have := logs.Named(f.Name); f.Vendor != nil && have != f && (have == nil || have.Objects != f) {
			return "If the log has it, name it under columns in the source file; if not, another sensor on the same path may."
		}
	}
	if c == columnar.DstHost {
		return "Connections have bytes but no server name: read the DNS answers of the same clients too, or a proxy, which logs both."
	}
	return "This dialect does not log it; another sensor on the same path may."
}
