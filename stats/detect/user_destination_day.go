package detect

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"slices"

	"outflow/columnar"
)

// UserDestinationDay sums what each entity uploaded to each destination in a day.
var UserDestinationDay = &Aggregate{
	Name: "user_destination_day",
	Doc: "Bytes of each entity and UTC day by destination: the host of a known cloud service, else the registered " +
		"domain, else the address; the bucket of an S3 call. HTTP requests count only with an uploading method. Destinations " +
		"that are not a known cloud service and got less than 1 MB from an entity in a day are left out.",
	Rev:    4, // 4: for the reasons of user_day's Rev 5, and connections go under the names that their other records have
	Joins:  true,
	Tables: []*columnar.Table{columnar.API, columnar.HTTP, columnar.Network},
	Reads: volumeColumns | columnar.ColSet(columnar.Resource, columnar.Method, columnar.URLHost,
		columnar.DstHost),
	Wants:   volumeWants,
	Depends: func(o *FoldOptions) []any { return []any{o.Uploads, o.CountBlocked} },
	New:     func(o *FoldOptions) Folder { return newUploads(o) },
	Merger: func(*FoldOptions) Merger {
		return newVolumeMerger(func(object string, c *volume) bool {
			return c.out >= minDestinationBytes || isCloudHost([]byte(object))
		})
	},
}

func isCloudHost(name []byte) bool {
	_, known := CloudHost(name)
	return known
}

// uploads are volumes by destination. Almost all of them are left out in the end.
type uploads struct {
	*volumes
	known   columnar.Lookup[bool]      // objects that are never left out
	names   [4]columnar.Lookup[uint64] // by spelling: the hash of the entity's canonical name
	objects columnar.Lookup[uint64]
}

func newUploads(o *FoldOptions) *uploads {
	u := &uploads{volumes: newVolumes(o)}
	u.object = newDestinations(u.volumes.objects, o).of
	u.known.Func = isCloudHost
	u.objects.Func = hashText
	e := u.volumes.entities
	for kind, spelt := range e.spelt {
		u.names[kind].Func = func(text []byte) uint64 {
			return hashText(e.name(uint32(spelt.Code(text))<<2 | uint32(kind)))
		}
	}
	return u
}

func hashText(text []byte) uint64 { return maphash.Bytes(hashSeed, text) }

// hash returns a function that hashes the keys of a section.
func (u *uploads) hash(at sectionKey, p *volumeSection) func(slot int32) uint64 {
	sectionHash := maphash.Comparable(hashSeed, at)
	var names [4][]uint64
	for kind, spelt := range u.volumes.entities.spelt {
		if spelt != nil {
			names[kind] = u.names[kind].Of(spelt)
		}
	}
	objects := u.objects.Of(u.volumes.objects)
	return func(slot int32) uint64 {
		who, what := p.groups.Key(slot)
		high, low := bits.Mul64(sectionHash^names[who&3][who>>2], objects[what])
		return high ^ low
	}
}

// Weigh implements Sifter.
func (u *uploads) Weigh(w *Weights) {
	for at, p := range u.sections.all {
		hash := u.hash(at, p)
		for slot := int32(1); int(slot) < p.groups.Len(); slot++ {
			w.add(hash(slot), p.out(slot))
		}
	}
}

// Sift implements Sifter.
func (u *uploads) Sift(w *Weights) (more bool, err error) {
	known := u.known.Of(u.volumes.objects)
	for at, p := range u.sections.all {
		hash := u.hash(at, p)
		p.leave(func(slot int32) bool {
			_, what := p.groups.Key(slot)
			return !known[what] && w.most(hash(slot)) < minDestinationBytes
		})
	}
	return false, nil
}

// minDestinationBytes is what an unknown destination must get from an entity in a day
// to be kept. With less, each web site that a user visits becomes a row of every day's
// state. With more, data that trickles out over weeks is not seen.
const minDestinationBytes = 1e6

// destinations finds the destination of each row of a batch.
type destinations struct {
	names   *columnar.Dict
	domains columnar.Domains
	hosts   [columnar.NumTables]columnar.Lookup[uint32]
	ips     columnar.Lookup[uint32]
	uploads columnar.Lookup[bool]
	bucket  []byte
	ids     [columnar.BatchRows]uint32
}

func newDestinations(names *columnar.Dict, o *FoldOptions) *destinations {
	d := &destinations{names: names}
	d.ips.Func = func(ip []byte) uint32 { return uint32(names.Code(ip)) }
	for i := range d.hosts {
		d.hosts[i].Func = func(host []byte) uint32 {
			if _, ok := CloudHost(host); !ok {
				host = d.domains.Registered(host)
			}
			return uint32(names.Code(host))
		}
	}
	d.uploads.Func = func(method []byte) bool { return slices.Contains(o.Uploads, string(method)) }
	return d
}

var bucketARN = []byte("arn:aws:s3:::")

func (d *destinations) of(b *columnar.Batch) []uint32 {
	ids := d.ids[:b.Len()]
	switch b.Table {
	case columnar.API:
		// In a cloud API only a bucket is a destination: the rest is the company's own
		// use of the service.
		clear(ids)
		if b.Known(columnar.Resource) == 0 {
			break
		}
		offsets, resources := b.Texts(columnar.Resource)
		for i := range ids {
			if rest, ok := bytes.CutPrefix(resources[offsets[i]:offsets[i+1]], bucketARN); ok {
				bucket, _, _ := bytes.Cut(rest, []byte("/"))
				d.bucket = append(append(d.bucket[:0], bucket...), ".s3.amazonaws.com"...)
				ids[i] = uint32(d.names.Code(d.bucket))
			}
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
