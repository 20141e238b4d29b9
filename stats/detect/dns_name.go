package detect

import "outflow/columnar"

// DNSName counts how often each client queried each name in a day. It holds every
// distinct name, so only detections that judge single names read it.
var DNSName = &Aggregate{
	Name:   "dns_name",
	Doc:    "DNS queries of each client (address, else user, else host) and UTC day by full name, as it was written.",
	Rev:    2, // 2: entities have canonical names
	Tables: []*columnar.Table{columnar.DNS},
	Reads:  columnar.ColSet(columnar.Time, columnar.Query) | entityReads,
	New: func(o *FoldOptions) Folder {
		v := newVolumes(o)
		v.entities = newEntities(o, addressEntity, userEntity, hostEntity)
		var ids [columnar.BatchRows]uint32
		v.object = func(b *columnar.Batch) []uint32 {
			offsets, text := b.Texts(columnar.Query)
			for i := range b.Len() {
				ids[i] = uint32(v.objects.Code(text[offsets[i]:offsets[i+1]]))
			}
			return ids[:b.Len()]
		}
		return v
	},
	Merger: func(*FoldOptions) Merger { return newVolumeMerger(nil) },
}
