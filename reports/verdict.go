package reports

import (
	"strings"

	"outflow/stats/detect"
)

// verdictOf returns the result in two sentences that a manager can repeat: how much
// probably left, through how many people, service accounts and machines, and who must decide when; then
// what was not read or could not be judged. It holds no text from a log.
func verdictOf(r *Report) string {
	t := newToll(subjects(r))
	return strings.TrimSpace(t.sentence(r) + " " + coverageSentence(r))
}

// A toll sums up what the findings of a report mean.
type toll struct {
	bytes      int64          // that probably left; see leaks
	of         map[string]int // by class: the subjects with a finding of medium severity or higher
	subjects   int            // sum of them
	now, today int            // subjects whose worst finding is critical, or high
	minor      int            // findings of lower severity than medium
	places     int            // distinct destinations that were never used before
}

func newToll(all []*subject) toll {
	t := toll{of: map[string]int{}}
	places := map[string]bool{}
	for _, s := range all {
		t.bytes = AddBytes(t.bytes, s.bytes)
		switch s.worst {
		case detect.Critical:
			t.now++
		case detect.High:
			t.today++
		}
		if s.worst >= detect.Medium {
			t.of[s.class()]++
			t.subjects++
		}
		for _, f := range s.findings {
			if f.Severity < detect.Medium {
				t.minor++
				continue
			}
			for _, place := range newPlaces(f) {
				places[place] = true
			}
		}
	}
	t.places = len(places)
	return t
}

// newPlaces returns the destinations of a finding that its entity never used before.
func newPlaces(f *detect.Finding) []string {
	const detection = "first_destination"
	var places []string
	if f.Detection == detection && f.Object != "" {
		places = append(places, f.Object)
	}
	for _, p := range f.Parts {
		if p.Detection == detection && p.Object != "" {
			places = append(places, p.Object)
		}
	}
	return places
}

// sentence is the first sentence of the verdict.
func (t *toll) sentence(r *Report) string {
	when := r.when()
	open := openFindings(r)
	switch {
	case len(open) == 0 && len(r.Judged) == 0 && len(r.Findings) == 0:
		return "Nothing could be judged" + when + ": " + r.unjudged() + "."
	case len(open) == 0 && len(r.Findings) > 0:
		return "Nothing unusual was found" + when + " except what the allow list accepts."
	case len(open) == 0 && covered(r.Inputs).incomplete() > 0:
		return "Nothing unusual was found" + when + " in what was read."
	case len(open) == 0:
		return "Nothing unusual was found" + when + "."
	case t.subjects == 0:
		return "Nothing needs a decision" + when + ": " + counted(t.minor, "minor finding", "minor findings") + "."
	}
	if t.bytes > 0 {
		return "About " + byteSize(float64(t.bytes)) + " probably left through " + t.who() + when + "; " + t.decide() + "."
	}
	has := " have"
	if t.subjects == 1 {
		has = " has"
	}
	return t.who() + has + " findings of medium or higher severity" + when + ", without a known volume; " + t.decide() + "."
}

// who counts the subjects: "5 people, 2 service accounts and 1 machine".
func (t *toll) who() string {
	var parts []string
	for _, c := range [...]struct{ one, class string }{{"person", people}, {"service account", services}, {"machine", machines}} {
		if n := t.of[c.class]; n > 0 {
			parts = append(parts, counted(n, c.one, c.class))
		}
	}
	return listed(parts)
}

// decide says how many of them need a decision, and how soon.
func (t *toll) decide() string {
	all := t.subjects
	switch {
	case t.now+t.today == 0 && all == 1:
		return "it needs a look this week"
	case t.now+t.today == 0:
		return "all need a look this week"
	case all == 1 && t.now == 1:
		return "it needs a decision now"
	case all == 1:
		return "it needs a decision today"
	case t.now == 0:
		return count(int64(t.today)) + " of them " + needs(t.today) + " a decision today"
	case t.today == 0:
		return count(int64(t.now)) + " of them " + needs(t.now) + " a decision now"
	}
	return count(int64(t.now)) + " of them " + needs(t.now) + " a decision now and " + count(int64(t.today)) + " today"
}

func needs(n int) string {
	if n == 1 {
		return "needs"
	}
	return "need"
}

// coverageSentence is the second sentence of the verdict. It is "" if there was
// nothing to read.
func coverageSentence(r *Report) string {
	c := covered(r.Inputs)
	gaps := ""
	if n := len(alike(r.Blind)); n > 0 {
		gaps = counted(n, "blind spot", "blind spots")
	}
	missing := c.incomplete()
	switch {
	case c.objects == 0 && gaps == "":
		return ""
	case c.objects == 0:
		return "There is no log to judge: see Coverage."
	case missing > 0:
		return count(int64(missing)) + " of " + counted(c.objects, "log file", "log files") + " could not be " +
			c.extent() + ": see Coverage."
	case gaps != "":
		return allRead(c.objects) + ", with " + gaps + ": see Coverage."
	case len(r.Judged) == 0:
		return allRead(c.objects) + "."
	}
	return allRead(c.objects) + ", without blind spots."
}

func allRead(n int) string {
	switch n {
	case 1:
		return "The only log file was read"
	case 2:
		return "Both log files were read"
	}
	return "All " + count(int64(n)) + " log files were read"
}

// extent says how far the incomplete objects were read.
func (c *completeness) extent() string {
	if c.partly {
		return "read in full"
	}
	return "read"
}

// when writes the judged period as the end of a sentence: " on Friday 20 November
// 2026".
func (r *Report) when() string {
	switch {
	case r.Window != [2]int64{}:
		return " in " + r.period()
	case len(r.Days) == 0:
		return ""
	case len(r.Days) == 1:
		return " on " + r.period()
	}
	return " from " + r.period()
}

// tiles are the figures below the verdict.
func tiles(r *Report, t toll) []tile {
	volume := tile{"Probable volume", "–", "no log says how much"}
	switch {
	case t.bytes > 0, t.subjects == 0 && len(r.Judged) > 0:
		volume.Value, volume.Note = byteSize(float64(t.bytes)), "left, above normal"
	case t.subjects == 0:
		volume.Note = "nothing was judged"
	}
	persons := tile{"People", count(int64(t.of[people])), "with findings of medium or higher"}
	others := tile{"Machines", count(int64(t.of[machines])), "without a known user"}
	if n := t.of[services]; n > 0 {
		others.Note += "; also " + counted(n, "service account", services)
		if t.of[machines] == 0 {
			others = tile{"Service accounts", count(int64(n)), "no machines"}
		}
	}
	places := tile{"New destinations", count(int64(t.places)), "first used by the sender"}
	decide := tile{"Needs a decision", count(int64(t.now + t.today)), "people and machines, today"}
	switch {
	case t.now+t.today == 0:
		decide.Note = "none today"
	case t.today == 0:
		decide.Note = "people and machines, now"
	case t.now > 0:
		decide.Note = count(int64(t.now)) + " now, the others today"
	}
	c := covered(r.Inputs)
	read := tile{"Coverage", count(int64(c.objects-c.incomplete())) + " of " + count(int64(c.objects)), "log files read"}
	switch {
	case len(r.Blind) > 0:
		read.Note += "; " + counted(len(alike(r.Blind)), "blind spot", "blind spots")
	case len(r.Judged) > 0:
		read.Note += "; no blind spots"
	}
	return []tile{volume, persons, others, places, decide, read}
}
