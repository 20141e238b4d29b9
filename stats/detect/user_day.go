package detect

import "outflow/columnar"

// volumeWants asks for what joins connections.
func volumeWants(o *FoldOptions) (w columnar.Wanted) {
	if !o.EachRecord {
		w.Cols = columnar.ColSet(columnar.UID, columnar.DstHost, columnar.URLHost)
	}
	return w
}

var volumeColumns = entityReads | columnar.ColSet(columnar.Time, columnar.BytesOut, columnar.BytesIn, columnar.DstIP,
	columnar.EventUID, columnar.Status, columnar.Action)

// UserDay sums what each entity sent and received in a day.
var UserDay = &Aggregate{
	Name: "user_day",
	Doc: "Bytes out and in of each entity (user, else address, else host) and UTC day, and how many addresses it came from. " +
		"Connections to internal addresses are left out, as bytes sent there have not left; but what such an address sent back to " +
		"a client outside counts as its own bytes out. Blocked events are counted separately.",
	Rev:     6, // 6: what internal servers send to clients outside counts; 5: the records of one connection are one event, those of firewalls too; running totals are not added up; requests and connections with an id count once
	Tables:  []*columnar.Table{columnar.API, columnar.HTTP, columnar.Network},
	Joins:   true,
	Reads:   volumeColumns,
	Wants:   volumeWants,
	Depends: func(o *FoldOptions) []any { return []any{o.CountBlocked} },
	Past:    []string{"events", "bytes_out", "bytes_in", "known_out", "known_in"},
	New: func(o *FoldOptions) Folder {
		v := newVolumes(o)
		v.countAddresses = true
		v.served = newServed(v.entities)
		return v
	},
	Merger: func(*FoldOptions) Merger { return newVolumeMerger(nil) },
}
