package store

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// This file chooses what of a bucket a survey lists.

// A toSurvey is a folder of a bucket that waits to be surveyed.
type toSurvey struct {
	prefix string
	from   sampled
	end    dateEnd
}

// A dateEnd says which of several dates are surveyed.
type dateEnd uint8

const (
	bothEnds dateEnd = iota
	oldest
	newest
)

// bucket surveys the store breadth first, so that all of its branches are seen before
// the requests run out.
func (s *surveyor) bucket(ctx context.Context) error {
	for queue := []toSurvey{{from: sampled{weight: 1}}}; len(queue) > 0; queue = queue[1:] {
		if s.result.Lists+2 > MaxLists {
			s.result.Unlisted = len(queue)
			s.result.Whole = false
			return nil
		}
		more, err := s.folder(ctx, queue[0])
		if err != nil {
			return err
		}
		queue = append(queue, more...)
	}
	return nil
}

// folder surveys a folder: all of it, if one request is enough. If not, it returns the
// folders to go on with.
func (s *surveyor) folder(ctx context.Context, f toSurvey) ([]toSurvey, error) {
	page, whole, err := s.page(s.store.List(ctx, f.prefix, Deep), 1)
	if err != nil {
		return nil, err
	}
	if whole {
		f.from.counts = true
		for _, e := range page {
			s.add(e, f.from)
		}
		return nil, nil
	}
	before, stream := f.dating()
	pages := maxFolders / listPage
	if before.whole() {
		pages = dayPages
	}
	var folders []string
	page, whole, err = s.page(s.store.List(ctx, f.prefix, Shallow), pages)
	if err != nil {
		return nil, err
	}
	objects := page[:0]
	for _, e := range page {
		if e.ETag != "" {
			objects = append(objects, e)
			continue
		}
		name := strings.TrimSuffix(e.Name[len(f.prefix):], "/")
		if reason := skipFolder(name); reason != "" {
			s.skipped[reason]++
			continue
		}
		folders = append(folders, name)
	}
	s.result.Whole = s.result.Whole && whole
	if !whole && len(folders) > 0 {
		more, err := s.newestFolders(ctx, f.prefix, folders[len(folders)-1])
		if err != nil {
			return nil, err
		}
		folders = append(folders, more...)
	}
	if whole || before.whole() {
		f.from.counts, f.from.more = true, !whole
		for _, e := range objects {
			s.add(e, f.from)
		}
	} else if err := s.flat(ctx, f, objects); err != nil {
		return nil, err
	}
	return s.choose(f, folders, before, stream), nil
}

// dating returns what the names of a folder and those above say of the day, and the
// stream of the folder: its name, with patterns instead of dates.
func (f *toSurvey) dating() (d dating, stream string) {
	for segment := range strings.SplitSeq(strings.TrimSuffix(f.prefix, "/"), "/") {
		if sh := folderShape(segment, &d); sh.kind == dateShape {
			segment = sh.pattern
		}
		stream += segment + "/"
	}
	return d, stream
}

// page returns the entries of up to so many requests, and whether they are all.
func (s *surveyor) page(list iter.Seq2[Entry, error], pages int) (entries []Entry, whole bool, err error) {
	pages = max(1, min(pages, MaxLists-s.result.Lists))
	defer func() { s.result.Lists += max(1, (len(entries)+listPage-1)/listPage) }()
	for e, err := range list {
		if err != nil {
			return nil, false, err
		}
		entries = append(entries, e)
		if len(entries) == pages*listPage {
			return entries, false, nil
		}
	}
	return entries, true, nil
}

// choose returns the folders to survey, given all in a folder, and its dating.
func (s *surveyor) choose(f toSurvey, names []string, before dating, stream string) (out []toSurvey) {
	type kind struct {
		shape
		whole bool // the name completes the day
	}
	var order []kind
	of := map[kind][]string{}
	put := func(k kind, name string) {
		if of[k] == nil {
			order = append(order, k)
		}
		of[k] = append(of[k], name)
	}
	for _, name := range names {
		d := before
		sh := folderShape(name, &d)
		put(kind{sh, d.whole()}, name)
	}
	literal := func(k kind) bool { return k.kind == literalShape }
	if n := len(order) - len(slices.DeleteFunc(slices.Clone(order), literal)); n > maxFolderNames {
		order = slices.DeleteFunc(order, literal)
		for _, name := range names {
			if sh := folderShape(name, &dating{}); sh.kind == literalShape {
				put(kind{shape{"*", wildShape}, before.whole()}, name)
			}
		}
	}
	for _, k := range order {
		names, last := of[k], len(of[k])-1
		var chosen []int
		from := f.from
		switch {
		case k.kind == dateShape && last > 0:
			slices.SortFunc(names, compareNumbers)
			if f.end != newest {
				out = append(out, toSurvey{f.prefix + names[0] + "/", from, oldest})
			}
			if f.end != oldest {
				if k.whole {
					chosen = dayBefore(names, before)
				}
				if f.end != newest { // the first is there already
					chosen = slices.DeleteFunc(chosen, func(i int) bool { return i == 0 })
				}
				chosen = append(chosen, last)
			}
			for _, i := range chosen {
				out = append(out, toSurvey{f.prefix + names[i] + "/", from, newest})
			}
			if len(chosen) < last {
				s.result.Whole = false
			}
		case k.kind == wildShape && last > 1:
			s.result.Whole = false
			from.weight *= float64(len(names)) / 2
			slices.Sort(names)
			for _, i := range []int{0, last} {
				from.stream = stream + names[i] + "/"
				out = append(out, toSurvey{f.prefix + names[i] + "/", from, f.end})
			}
		default:
			for _, name := range names {
				out = append(out, toSurvey{f.prefix + name + "/", from, f.end})
			}
		}
	}
	return out
}

// dayBefore returns the indexes of the names of the day before the newest day, which the last name
// has: one, or several if each hour has a folder.
func dayBefore(names []string, before dating) (chosen []int) {
	day := func(i int) time.Time {
		d := before
		folderShape(names[i], &d)
		return d.date()
	}
	i, newest := len(names)-1, day(len(names)-1)
	for i >= 0 && day(i).Equal(newest) {
		i--
	}
	for end := i; i >= 0 && day(i).Equal(day(end)) && len(chosen) < maxDayFolders; i-- {
		chosen = append(chosen, i)
	}
	slices.Reverse(chosen)
	return chosen
}

// maxDayFolders is how many folders of one day are surveyed: hours, and some to spare.
const maxDayFolders = 30

// compareNumbers orders names of dates: 9 is before 10.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// A lister lists the names after a name.
type lister interface {
	listAfter(ctx context.Context, prefix, after string, depth Depth) iter.Seq2[Entry, error]
}

// flat surveys the objects that lie in a folder itself, given the first of them. It goes
// from one beginning of names to the next, without listing all that begin alike.
func (s *surveyor) flat(ctx context.Context, f toSurvey, objects []Entry) error {
	from, list := f.from, s.store.(lister)
	for whole := false; len(objects) > 0; {
		end := objects[len(objects)-1].Name
		begin, day := beginning(end[len(f.prefix):])
		begin = f.prefix + begin
		after := begin + string(utf8.MaxRune)
		var listed []string
		if day != "" && !whole {
			var err error
			if listed, err = s.newestDays(ctx, list, begin, day, f.from); err != nil {
				return err
			}
			after = begin + ":" // the character after 9: behind all that go on with a digit
		}
		for _, e := range objects {
			from.counts = whole || !strings.HasPrefix(e.Name, begin)
			if !slices.ContainsFunc(listed, func(prefix string) bool { return strings.HasPrefix(e.Name, prefix) }) {
				s.add(e, from)
			}
		}
		if whole || after <= end || s.result.Lists >= MaxLists {
			return nil
		}
		page, all, err := s.page(list.listAfter(ctx, f.prefix, after, Shallow), 1)
		if err != nil {
			return err
		}
		whole = all
		objects = slices.DeleteFunc(page, func(e Entry) bool { return e.ETag == "" })
	}
	return nil
}

// beginning returns the text of a name before the first part that varies, and that part
// if it is a date.
func beginning(name string) (begin, day string) {
	if before, _, after, ok := cutDate(name, &dating{}); ok && generalise(before, isRandom) == escapeGlob(before) {
		return before, strings.TrimSuffix(name[len(before):], after)
	}
	if i := strings.IndexAny(name, "0123456789"); i >= 0 {
		return name[:i], ""
	}
	return name, ""
}

// newestDays finds the newest day of the names that are begin and a day written like
// day, and adds the objects of that day and of the day before. It returns the beginnings
// of the names it has added.
func (s *surveyor) newestDays(ctx context.Context, list lister, begin, day string, from sampled) (listed []string, err error) {
	before := false
	listed, err = s.newest(ctx, list, begin, day)
	for i, prefix := range listed {
		page, whole, err := s.page(s.store.List(ctx, prefix, Shallow), dayPages)
		if err != nil {
			return nil, err
		}
		// The newest day is not over, so it counts only if it is alone.
		from.counts, from.more = i == 0 || !before, !whole
		for _, e := range page {
			if e.ETag != "" {
				s.add(e, from)
				before = true
			}
		}
	}
	return listed, err
}

// newestFolders returns the names of the folders of the newest day and of the day before
// it, in a folder that has more folders than were listed up to last.
func (s *surveyor) newestFolders(ctx context.Context, folder, last string) (names []string, err error) {
	begin, day := beginning(last)
	if day == "" || s.result.Lists >= MaxLists {
		return nil, nil
	}
	listed, err := s.newest(ctx, s.store.(lister), folder+begin, day)
	for _, prefix := range listed {
		page, _, err := s.page(s.store.List(ctx, prefix, Shallow), 1)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if name, ok := strings.CutSuffix(e.Name[len(folder):], "/"); ok && e.ETag == "" && name > last {
				names = append(names, name)
			}
		}
	}
	return names, err
}

// newest finds the newest day of the names that are begin and a day written like day.
// It returns the beginnings of the names of the day before that, and of that day.
func (s *surveyor) newest(ctx context.Context, list lister, begin, day string) ([]string, error) {
	layout := "20060102"
	if sep := strings.Trim(day, "0123456789"); sep != "" {
		layout = strings.ReplaceAll(time.DateOnly, "-", sep[:1])
	}
	low, err := time.Parse(layout, day)
	if err != nil {
		return nil, nil // cutDate has read it
	}
	// low is a day that has objects; no day from high on has any.
	for high := s.now.Truncate(24*time.Hour).AddDate(0, 0, 2); low.AddDate(0, 0, 1).Before(high) && s.result.Lists < MaxLists; {
		middle := low.Add(high.Sub(low) / 2).Truncate(24 * time.Hour)
		next := time.Time{}
		s.result.Lists++
		for e, err := range list.listAfter(ctx, begin, begin+middle.Format(layout), Shallow) {
			if err != nil {
				return nil, err
			}
			if rest := e.Name[len(begin):]; len(rest) >= len(day) {
				next, _ = time.Parse(layout, rest[:len(day)])
			}
			break
		}
		if next.Before(middle) || !next.Before(high) {
			high = middle
		} else {
			low = next
		}
	}
	return []string{begin + low.AddDate(0, 0, -1).Format(layout), begin + low.Format(layout)}, nil
}
