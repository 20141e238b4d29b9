package detect

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"

	"outflow/stats/dnsmodel"
)

// DNSScore says of each name what dns_model makes of it. It holds every distinct
// name, so it is folded only if somebody wants it.
var DNSScore = &Aggregate{
	Name: "dns_score",
	Doc: "DNS queries of each client (address, else user, else host) by UTC day and name, with the probability that it carries data out; " +
		"keyed by the registered domain, so that a key has a row for each of its names: the first 2^20 that are asked for.",
	Rev:     2, // 2: as dns_pair's 3
	Tables:  DNSPair.Tables,
	Reads:   DNSPair.Reads,
	Depends: DNSPair.Depends,
	Judged:  true,
	New:     DNSPair.New,
	Merger: func(o *FoldOptions) Merger {
		model := ModelOptions{Threshold: dnsmodel.Threshold}
		if o.Model != nil {
			model.Threshold = o.Model.Threshold
		}
		m := &dnsMerger{}
		m.scorer = newDNSScorer(m, model, true)
		return m
	},
}

// ModelOptions say what dns_model wants scored.
type ModelOptions struct {
	// Threshold is the probability above which a name counts as data.
	Threshold float64
	// Names and Bytes: a source's names of a domain are scored only if there are so
	// many distinct ones, with subdomains of so many bytes. What the verdict asks
	// for is of some of the names, so that others could not be found.
	Names, Bytes int
}

// certain is a probability of 1 in a Summary: whole numbers, as sums of fractions
// would depend on the order.
const certain = 1e6

// A pair is scored up to so many names, or bytes of their subdomains: 40 bytes and,
// where rows are wanted, 40 and the subdomain are kept of each. More would fill the
// memory, and say nothing new of the domain; with fewer, the rows of a busy resolver's
// reverse look-ups would end before the day does.
const (
	maxScored      = 1 << 20
	maxScoredBytes = 256 << 20
)

// A dnsScorer scores the names of a pair, each when it is asked for the first time:
// only then can it say anything new, and what comes later does not change it. What
// is known then are the queries of the pair before it.
//
// Until the pair is found to be worth scoring, only what scores depend on is kept:
// of queries that repeat names one after the other, the last ones.
type dnsScorer struct {
	o         ModelOptions
	threshold int64 // of certain
	m         *dnsMerger
	extract   dnsmodel.Extractor
	most      int64         // maxScored
	open      bool          // the pair is scored
	full      bool          // no further names are
	bytes     int           // of the subdomains of those that are
	past      []mergedQuery // those that went through the window before it was
	repeats   int           // at the end of past
	names     []scoredName  // as in dnsMerger
	history   dnsmodel.History

	// texts are the subdomains of names, at least of those that are not scored yet,
	// each behind its length; spare is room for them, and kept how many bytes there
	// were when the others were last forgotten.
	texts, spare []byte
	kept         int

	best likely
	rows *scoreRows // nil: only sums are wanted
}

type scoredName struct {
	features      dnsmodel.Features // once the pair is scored
	text          uint32            // where in texts
	asked, scored bool
	moved         bool // see forget
}

// A likely is the first name with the greatest probability.
type likely struct {
	score   int64
	sub     []byte
	query   mergedQuery
	history dnsmodel.History // before it
}

// A scoreRows makes a row of each name.
type scoreRows struct {
	of     []scoreRow // by name
	sorted []int32    // names by their texts, once all queries are known
	next   int        // of sorted
}

type scoreRow struct {
	score, events int64
	first, last   int64 // µs since midnight
}

func newDNSScorer(m *dnsMerger, o ModelOptions, rows bool) *dnsScorer {
	s := &dnsScorer{m: m, o: o, threshold: int64(math.Round(o.Threshold * certain)), most: maxScored}
	if rows {
		s.rows = &scoreRows{}
	}
	return s
}

// name takes up a new name.
func (s *dnsScorer) name(sub []byte) {
	if s.full {
		return
	}
	n := scoredName{text: uint32(len(s.texts))}
	s.texts = appendBytes(s.texts, sub)
	if s.open {
		n.features = s.extract.Of(sub)
	}
	s.names = append(s.names, n)
	if s.rows != nil {
		s.rows.of = append(s.rows.of, scoreRow{})
	}
}

func (s *dnsScorer) text(n *scoredName) []byte {
	d := decoder{b: s.texts[n.text:]}
	return d.bytes()
}

var errTexts = errors.New("the names that one source asks of one domain take more than 2 GiB")

// added begins to score the pair when it is worth it.
func (s *dnsScorer) added() error {
	if len(s.texts) > math.MaxInt32 {
		return errTexts
	}
	if s.open || len(s.names) < s.o.Names || s.m.s.NameBytes < int64(s.o.Bytes) {
		return nil
	}
	s.open = true
	for i := range s.names {
		n := &s.names[i]
		n.features = s.extract.Of(s.text(n))
	}
	for _, q := range s.past {
		s.ask(q)
	}
	return nil
}

// historyQueries is how many queries a dnsmodel.History remembers.
const historyQueries = 10

// ask takes up a query, in the order of time.
func (s *dnsScorer) ask(q mergedQuery) {
	if s.full {
		s.count(q)
		return
	}
	if s.open {
		s.score(q)
		return
	}
	switch n := &s.names[q.name]; {
	case !n.asked:
		n.asked = true
		s.repeats = 0
	case s.repeats < historyQueries:
		s.repeats++
	default: // no history goes back to the first of them
		copy(s.past[len(s.past)-historyQueries:], s.past[len(s.past)-historyQueries+1:])
		s.past = s.past[:len(s.past)-1]
	}
	s.past = append(s.past, q)
}

func (s *dnsScorer) score(q mergedQuery) {
	n := &s.names[q.name]
	at, rare := s.at(q), q.flags&rareQuery != 0
	if !n.scored {
		n.scored = true
		p := int64(math.Round(s.history.Score(n.features, at, rare) * certain))
		sum := &s.m.s
		sum.Scored++
		s.bytes += int(s.m.names[q.name].size)
		s.full = sum.Scored == s.most || s.bytes >= maxScoredBytes
		if p > s.threshold {
			sum.Over++
			sum.OverBytes += int64(s.m.names[q.name].size)
			sum.OverScore += p
		}
		if p > s.best.score {
			s.best.score, s.best.query, s.best.history = p, q, s.history
			s.best.sub = append(s.best.sub[:0], s.text(n)...)
		}
		if s.rows != nil {
			s.rows.of[q.name].score, s.rows.of[q.name].first = p, q.time
		}
	}
	s.count(q)
	s.history.Add(n.features, at, rare, q.flags&nxQuery != 0)
}

// count counts a query in the row of its name, if it has one.
func (s *dnsScorer) count(q mergedQuery) {
	if s.rows != nil && int(q.name) < len(s.names) && s.names[q.name].scored {
		s.rows.of[q.name].events++
		s.rows.of[q.name].last = q.time
	}
}

// at is the time of a query, µs UTC.
func (s *dnsScorer) at(q mergedQuery) int64 { return int64(s.m.day)*dayMicros + q.time }

// textSlack is how many bytes of texts are not worth forgetting.
const textSlack = 64 << 10

// forget drops the texts of names that have been scored.
func (s *dnsScorer) forget() {
	if !s.open || s.full || s.rows != nil || len(s.texts) < 2*s.kept+textSlack {
		return
	}
	s.spare = s.spare[:0]
	for _, q := range s.m.pending {
		if n := &s.names[q.name]; !n.scored && !n.moved {
			text := s.text(n)
			n.text, n.moved = uint32(len(s.spare)), true
			s.spare = appendBytes(s.spare, text)
		}
	}
	for _, q := range s.m.pending {
		s.names[q.name].moved = false
	}
	s.texts, s.spare = s.spare, s.texts
	s.kept = len(s.texts)
}

// sum completes the Summary of the pair.
func (s *dnsScorer) sum(domain string) {
	sum := &s.m.s
	if sum.MaxScore = s.best.score; sum.Over > 0 {
		sum.Likely = string(appendName(nil, s.best.sub, domain))
		why := s.best.history.Why(s.extract.Of(s.best.sub), s.at(s.best.query), s.best.query.flags&rareQuery != 0)
		sum.Signs = strings.Join(why, ", ")
	}
}

// row is dnsMerger.Row of each name in turn, in the order of their texts.
func (s *dnsScorer) row(r *Row) bool {
	rows := s.rows
	if len(s.names) == 0 {
		return false
	}
	if len(rows.sorted) == 0 {
		s.m.slide(math.MaxInt64)
		for i := range s.names {
			if s.names[i].scored {
				rows.sorted = append(rows.sorted, int32(i))
			}
		}
		slices.SortFunc(rows.sorted, func(a, b int32) int {
			return bytes.Compare(s.text(&s.names[a]), s.text(&s.names[b]))
		})
	}
	if rows.next == len(rows.sorted) {
		s.m.reset()
		return false
	}
	name := rows.sorted[rows.next]
	rows.next++
	of, midnight := &rows.of[name], int64(s.m.day)*dayMicros
	r.Summary = Summary{
		Events: of.events, First: of.first + midnight, Last: of.last + midnight, Names: 1, Scored: 1, MaxScore: of.score, Spelling: s.m.spelt.of(&r.Key),
		Examples: []string{string(appendName(nil, s.text(&s.names[name]), r.Object))},
	}
	if of.score > s.threshold {
		r.Over = 1
	}
	return true
}

// reset makes the scorer ready for another pair.
func (s *dnsScorer) reset() {
	if s.open {
		s.open, s.full, s.bytes, s.history, s.best.score, s.kept = false, false, 0, dnsmodel.History{}, 0, 0
	}
	s.past, s.repeats, s.names, s.texts = s.past[:0], 0, s.names[:0], s.texts[:0]
	if s.rows != nil {
		*s.rows = scoreRows{of: s.rows.of[:0], sorted: s.rows.sorted[:0]}
	}
}
