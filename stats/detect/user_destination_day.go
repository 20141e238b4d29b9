package detect

import (
	"slices"

	"outflow/columnar"
)

// UserDestinationDay sums what each entity uploaded where in a day.
var UserDestinationDay = &Aggregate{
	Name: "user_destination_day",
	Doc: "Bytes of each entity and UTC day by where they went: the host of a known cloud service, else the registered " +
		"domain, else the address; the service of an API call. Of HTTP only requests with an uploading method.",
	Rev:    1,
	Tables: []*columnar.Table{columnar.API, columnar.HTTP, columnar.Network},
	Reads: volumeColumns | columnar.ColSet(columnar.Service, columnar.Method, columnar.URLHost,
		columnar.DstHost),
	New: func(o *FoldOptions) Folder {
		v := newVolumes(o)
		v.object = newDestinations(v.objects, o).of
		return v
	},
}

// destinations names where the rows of a batch went.
type destinations struct {
	names    *columnar.Dict
	domains  columnar.Domains
	hosts    [columnar.NumTables]columnar.Lookup[uint32]
	services columnar.Lookup[uint32]
	ips      columnar.Lookup[uint32]
	uploads  columnar.Lookup[bool]
	ids      [columnar.BatchRows]uint32
}

func newDestinations(names *columnar.Dict, o *FoldOptions) *destinations {
	d := &destinations{names: names}
	same := func(text []byte) uint32 { return uint32(names.Code(text)) }
	d.services.Func, d.ips.Func = same, same
	for i := range d.hosts {
		d.hosts[i].Func = func(host []byte) uint32 {
			if _, ok := CloudHost(host); !ok {
				host = d.domains.Registered(host)
			}
			return same(host)
		}
	}
	d.uploads.Func = func(method []byte) bool { return slices.Contains(o.Uploads, string(method)) }
	return d
}

func (d *destinations) of(b *columnar.Batch) []uint32 {
	ids := d.ids[:b.Len()]
	switch b.Table {
	case columnar.API:
		codes, dict := b.Codes(columnar.Service)
		names := d.services.Of(dict)
		for i, code := range codes {
			ids[i] = names[code]
		}
	case columnar.HTTP:
		codes, dict := b.Codes(columnar.URLHost)
		names := d.hosts[b.Table.ID].Of(dict)
		methods, methodDict := b.Codes(columnar.Method)
		uploads := d.uploads.Of(methodDict)
		for i, code := range codes {
			ids[i] = 0
			if uploads[methods[i]] {
				ids[i] = names[code]
			}
		}
	case columnar.Network:
		codes, dict := b.Codes(columnar.DstHost)
		names := d.hosts[b.Table.ID].Of(dict)
		ips, ipDict := b.Codes(columnar.DstIP)
		addresses := d.ips.Of(ipDict)
		for i, code := range codes {
			if ids[i] = names[code]; code == 0 {
				ids[i] = addresses[ips[i]]
			}
		}
	}
	return ids
}
