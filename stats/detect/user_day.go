package detect

import "outflow/columnar"

var volumeColumns = entityReads | columnar.ColSet(columnar.Time, columnar.BytesOut, columnar.BytesIn, columnar.DstIP,
	columnar.EventUID, columnar.Status, columnar.Action)

// UserDay sums what each entity sent and received in a day.
var UserDay = &Aggregate{
	Name: "user_day",
	Doc: "Bytes out and in of each entity (user, else address, else host) and UTC day, and how many addresses it came from. " +
		"Connections to internal addresses are left out: bytes sent there have not left. Blocked events are counted separately.",
	Rev:     3, // 3: blocked events are separate; entities have canonical names, and users have their account
	Tables:  []*columnar.Table{columnar.API, columnar.HTTP, columnar.Network},
	Reads:   volumeColumns,
	Depends: func(o *FoldOptions) []any { return []any{o.CountBlocked} },
	New: func(o *FoldOptions) Folder {
		v := newVolumes(o)
		v.countAddresses = true
		return v
	},
	Merger: func(*FoldOptions) Merger { return newVolumeMerger(nil) },
}
