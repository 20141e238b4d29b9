package detect

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"

	"outflow/stats/dnsmodel"
)

// DNSScore has a row with dns_model's score for each name. It holds every distinct
// name, so it is folded only if a detection or report needs it.
var DNSScore = &Aggregate{
	Name: "dns_score",
	Doc: "DNS queries of each client (address, else user, else host) by UTC day and name, with the probability that it carries data out; " +
		"keyed by the registered domain, so that a key has one row for each name: the first 2^20 names that are queried.",
	Rev:        2, // 2: for the reasons of dns_pair's Rev 3
	Tables:     DNSPair.Tables,
	Reads:      DNSPair.Reads,
	Depends:    DNSPair.Depends,
	JudgedOnly: true,
	New:        DNSPair.New,
	Merger: func(o *FoldOptions) Merger {
		model := ModelOptions{Threshold: dnsmodel.Threshold}
		if o.Model != nil {
			model.Threshold = o.Model.Threshold
		}
		return newDNSMerger(&model, true)
	},
}

// ModelOptions say which names dns_model scores.
type ModelOptions struct {
	// Threshold is the probability above which a name counts as data.
	Threshold float64
	// Names and Bytes: a client's names of a domain are scored only if there are at
	// least this many distinct names, with at least this many bytes of subdomains.
	// Fewer could not give a finding, since dns_model asks for as many names and bytes
	// above the threshold.
	Names, Bytes int
}

// certain is a probability of 1 in a Summary. Probabilities are whole numbers there,
// because sums of fractions would depend on the order.
const certain = 1e6

// A pair is scored up to this many names, or bytes of their subdomains. Each name
// takes 40 bytes and, if rows are wanted, another 40 and its subdomain. More would
// fill the memory and tell nothing new about the domain. With fewer, the rows of a
// busy resolver's reverse look-ups would end before the day does.
const (
	maxScored      = 1 << 20
	maxScoredBytes = 256 << 20
)

// A dnsScorer scores each name of a pair when it is first queried. Only then can a
// name carry anything new, and later queries do not change the score. The score
// depends on the pair's queries up to then.
//
// Until the pair qualifies for scoring, the scorer keeps only what scores depend on:
// of repeated queries in a row, it keeps the last ones.
type dnsScorer struct {
	o         ModelOptions
	threshold int64 // of certain
	m         *dnsMerger
	extract   dnsmodel.Extractor
	most      int64         // maxScored
	open      bool          // the pair qualifies for scoring
	full      bool          // no further names are scored
	bytes     int           // of the subdomains of scored names
	past      []mergedQuery // queries that passed the sliding window before the pair qualified
	repeats   int           // at the end of past
	names     []scoredName  // as in dnsMerger
	history   dnsmodel.History

	// texts are the subdomains of names, each preceded by its length; those of scored
	// names may be gone. spare is a buffer for them. kept is how many bytes were left
	// when texts was last compacted.
	texts, spare []byte
	kept         int

	best likely
	rows *scoreRows // nil: only sums are needed
}

type scoredName struct {
	features      dnsmodel.Features // once the pair is scored
	text          uint32            // offset in texts
	asked, scored bool
	moved         bool // see forget
}

// A likely is the name with the greatest probability, the first of several.
type likely struct {
	score   int64
	sub     []byte
	query   mergedQuery
	history dnsmodel.History // before it
}

// A scoreRows makes a row for each name.
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

// name adds a new name.
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

var errTexts = errors.New("the names that one client queries in one domain take more than 2 GiB")

// added starts scoring the pair once it qualifies.
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

// ask adds a query. Queries come in the order of time.
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
	default: // no history reaches back to the first of them
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

// textSlack is how many bytes of texts are not worth compacting.
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

// row is dnsMerger.Row for each name in turn, in the order of their texts.
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
		Events: of.events, First: of.first + midnight, Last: of.last + midnight, Names: 1, Scored: 1, MaxScore: of.score, Spelling: s.m.spelt.of(r.Entity),
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
