package jobs

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"outflow/columnar/bounded"
	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file finds copies of logs that an earlier run has read.

// readBefore finds the sources whose content an earlier run folded from an object of
// another name or another date, and notes that in their inputs. It returns the names
// of those objects. all are the existing sources that the run has listed for days;
// partitions of the days without do not count.
//
// If the other object still exists, it is compared byte by byte. If not, the new one must
// have a name that log rotation gives it; the report says that they were not compared.
func (s *state) readBefore(ctx context.Context, days, without []detect.Day, all, sources []source, result *folded) (map[string]string, error) {
	type log struct {
		feed    string
		content store.Content
	}
	contentOf := func(src *source) log {
		o := result.objects[src.object.Name]
		if o == nil || o.copyOf != "" || !o.whole || o.content == (store.Content{}) {
			return log{}
		}
		return log{src.feed, o.content}
	}
	wanted := map[log]bool{}
	etags := map[string]string{} // as earlier runs have recorded them
	for i := range sources {
		wanted[contentOf(&sources[i])] = true
		etags[sources[i].object.Name] = ""
	}
	delete(wanted, log{})
	folded := map[log]store.InputRef{}
	from, to := s.reach(days)
	if err := s.recorded(ctx, from, to, without, func(in *store.InputRef) {
		if _, ok := etags[in.Name]; ok {
			etags[in.Name] = in.ETag
		}
		at := log{in.Feed, in.Content}
		if !wanted[at] || in.First == "" {
			return
		}
		if first, ok := folded[at]; !ok || first.CopyOf != "" && in.CopyOf == "" || (first.CopyOf == "") == (in.CopyOf == "") && in.Name < first.Name {
			folded[at] = *in
		}
	}); err != nil {
		return nil, err
	}
	there := map[string]*source{}
	for i := range all {
		there[all[i].object.Name] = &all[i]
	}
	out := map[string]string{}
	for i := range sources {
		src := &sources[i]
		name := src.object.Name
		before, ok := folded[contentOf(src)]
		if !ok || etags[name] == src.etag {
			continue
		}
		why := "a copy of " + before.Name + ", which an earlier run has read"
		old := there[before.Name]
		if old == nil {
			var err error
			if old, err = s.find(&before); err != nil {
				return nil, err
			}
		}
		switch {
		case before.Name == name: // rewritten with the same bytes
			out[name] = before.Name
			continue
		case old == nil || old.etag != before.ETag:
			if before.Content.Length > leastMarked {
				if !renamed(before.Name, name) {
					continue // another log can be made that has the same length, head and tail
				}
				if u := (uncompared{src.feed, name, before.Name}); !slices.Contains(s.uncompared, u) {
					s.uncompared = append(s.uncompared, u)
				}
			}
			why += " and which no longer exists: its length, head and tail are the same"
		case !sameObject(old, src):
			continue
		}
		out[name] = before.Name
		for j := range result.inputs {
			if in := &result.inputs[j]; in.Feed == src.feed && (in.Name == name || strings.HasPrefix(in.Name, name+"!")) && in.CopyOf == "" {
				in.CopyOf = before.Name
				in.Reasons = append(in.Reasons, why)
			}
		}
	}
	return out, nil
}

// An uncompared object was taken for a copy of one that no longer exists.
type uncompared struct{ feed, name, before string }

// blindToCopies says, once for each feed, that objects could not be compared with those that
// they were taken for copies of.
func blindToCopies(all []uncompared) (out []reports.Blind) {
	byFeed := map[string][]uncompared{}
	for _, u := range all {
		byFeed[u.feed] = append(byFeed[u.feed], u)
	}
	for _, feed := range slices.Sorted(maps.Keys(byFeed)) {
		of := byFeed[feed]
		first := slices.MinFunc(of, func(a, b uncompared) int { return cmp.Compare(a.name, b.name) })
		why := fmt.Sprintf("%s was taken for a copy of %s, which no longer exists: they could not be compared, and count once.", first.name, first.before)
		if len(of) > 1 {
			why = fmt.Sprintf("%d objects were taken for copies of objects that no longer exist, such as %s for one of %s: they could not be compared, and count once.", len(of), first.name, first.before)
		}
		out = append(out, reports.Blind{Feed: feed, Why: why, Remedy: "Keep rotated logs under one name, so that they are compared; inputs.csv lists the copies."})
	}
	return out
}

var (
	// rotationSuffix is what rotation and compression put behind a name: .1, -20260301.gz.
	rotationSuffix = bounded.Expression(`([-._][0-9][-._0-9T]*|\.(gz|bz2|xz|zst|lz4|Z))+$`)
	// rotationInfix is what rotation puts before an extension: -20260301 in app-20260301.log.
	rotationInfix = bounded.Expression(`[-._][0-9][-._0-9T]*(\.[a-zA-Z]+)$`)
)

// renamed reports whether the rotation or compression of logs, or a move to another folder,
// can give an object with the first name the second one, or the other way round.
func renamed(a, b string) bool {
	a, b = rotationSuffix().ReplaceAllString(path.Base(a), ""), rotationSuffix().ReplaceAllString(path.Base(b), "")
	return a == b || rotationInfix().ReplaceAllString(a, "$1") == b || a == rotationInfix().ReplaceAllString(b, "$1")
}

// sameObject reports whether two objects hold the same bytes, as stored or
// decompressed.
func sameObject(a, b *source) bool {
	if a.object.Size == b.object.Size && sameStored(a, b) {
		return true
	}
	how := different
	err := logs.Bytes(&a.object, a.object.Name, nil, func(first io.Reader) error {
		return logs.Bytes(&b.object, b.object.Name, nil, func(second io.Reader) (err error) {
			how, err = compareBytes(first, second)
			return err
		})
	})
	return err == nil && how == equal
}

func sameStored(a, b *source) bool {
	first, err := a.object.Open()
	if err != nil {
		return false
	}
	defer first.Close()
	second, err := b.object.Open()
	if err != nil {
		return false
	}
	defer second.Close()
	how, err := compareBytes(first, second)
	return err == nil && how == equal
}

// elsewhere lists the objects that this run read only to find that another object has
// the same events, which count on days outside first … last. The next run need not
// read them.
func (s *state) elsewhere(first, last detect.Day) []store.InputRef {
	var out []store.InputRef
	for _, r := range s.read {
		if (r.copyOf != "" || r.before != "") && !r.meets(first, last) {
			in := r.ref(r.source)
			in.CopyOf = cmp.Or(in.CopyOf, r.before)
			out = append(out, in)
		}
	}
	return out
}
