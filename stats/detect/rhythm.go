package detect

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"outflow/stats"
)

// This file describes how regular the beats of a pair are.

// A rhythm is what is known of the beats of a pair. All times are in seconds.
type rhythm struct {
	intervals      int
	between        stats.Quartiles // of the intervals between beats
	period, jitter float64         // see stats.Period
	bytes          stats.Quartiles // of the bytes out of the beats that have a count; NaN if none has
	echo           float64         // autocorrelation, one period later, of the beats in bins of half a period
	hours          [24]float64     // beats by hour of the day
}

// appendRhythm appends the text of Summary.Rhythm: of at most maxTimes beats the beats, of
// more their rhythm.
//
// Note: percentiles of bytes and times in columns of their own would take room in each row
// of every aggregate.
func appendRhythm(b []byte, beats []pairBeat) []byte {
	if len(beats) <= maxTimes {
		before := uint32(0)
		for i, beat := range beats {
			if i > 0 {
				b = append(b, ' ')
			}
			b = strconv.AppendUint(b, uint64(beat.begin()-before), 10)
			if beat.bytes > 0 {
				b = strconv.AppendUint(append(b, ':'), beat.bytes-1, 10)
			}
			before = beat.begin()
		}
		return b
	}
	var s beatSeries
	s.add(beats)
	r := s.rhythm()
	for i, f := range r.numbers() {
		if i > 0 {
			b = append(b, ' ')
		}
		// Nine digits are the last that do not depend on the order of a sum.
		b = strconv.AppendFloat(b, *f, 'g', 9, 64)
	}
	return b
}

// numbers are the numbers that the text of a rhythm has, in this order.
func (r *rhythm) numbers() []*float64 {
	out := []*float64{&r.period, &r.jitter, &r.between.Q1, &r.between.Q2, &r.between.Q3, &r.between.MAD,
		&r.bytes.Q1, &r.bytes.Q2, &r.bytes.Q3, &r.bytes.MAD, &r.echo}
	for h := range r.hours {
		out = append(out, &r.hours[h])
	}
	return out
}

// rhythmOf returns the rhythm of a row of pair_times, and false if its text is none.
func rhythmOf(row *Row) (r rhythm, ok bool) {
	if row.Beats <= maxTimes {
		var s beatSeries
		ok = s.addRow(row)
		return s.rhythm(), ok
	}
	r.intervals = int(row.Beats) - 1
	fields := strings.Fields(row.Rhythm)
	numbers := r.numbers()
	if len(fields) != len(numbers) {
		return rhythm{}, false
	}
	for i, f := range fields {
		var err error
		if *numbers[i], err = strconv.ParseFloat(f, 64); err != nil {
			return rhythm{}, false
		}
	}
	return r, true
}

// A beatSeries collects beats in the order of time.
type beatSeries struct {
	times   []float64 // seconds since 1970
	between []float64 // intervals between them; not over a day that is missing, whose beats were not kept
	bytes   []float64 // of the beats with a count
	day     Day       // of the row added last
}

// beat adds a beat, and the interval before it unless it is the first one after a pause.
func (s *beatSeries) beat(t float64, first bool) {
	if n := len(s.times); n > 0 && !first {
		s.between = append(s.between, t-s.times[n-1])
	}
	s.times = append(s.times, t)
}

// add adds the beats of a day.
func (s *beatSeries) add(beats []pairBeat) {
	for _, b := range beats {
		s.beat(float64(b.begin()), false)
		if b.bytes > 0 {
			s.bytes = append(s.bytes, float64(b.bytes-1))
		}
	}
}

// addRow adds the beats of a row that has them, and reports whether its text was right.
func (s *beatSeries) addRow(row *Row) bool {
	at, first := float64(row.Day)*86400, row.Day != s.day+1
	s.day = row.Day
	for beat := range strings.FieldsSeq(row.Rhythm) {
		gap, bytes, known := strings.Cut(beat, ":")
		seconds, err := strconv.ParseUint(gap, 10, 32)
		if err != nil {
			return false
		}
		at += float64(seconds)
		s.beat(at, first)
		first = false
		if known {
			n, err := strconv.ParseUint(bytes, 10, 63)
			if err != nil {
				return false
			}
			s.bytes = append(s.bytes, float64(n))
		}
	}
	return true
}

func (s *beatSeries) rhythm() rhythm {
	r := rhythm{intervals: len(s.between), between: stats.QuartilesOf(s.between), bytes: stats.QuartilesOf(s.bytes)}
	r.period, r.jitter = stats.Period(s.between)
	r.echo = s.echo(r.period)
	for _, t := range s.times {
		r.hours[int64(t)/3600%24]++
	}
	return r
}

// maxBins bounds the work of echo: a day in bins of five seconds.
const maxBins = 1 << 15

// echo returns the autocorrelation of the beats per half period, one period later.
func (s *beatSeries) echo(period float64) float64 {
	if len(s.times) == 0 || !(period > 0) {
		return math.NaN()
	}
	// A beat may follow one that is later, if rows of two days overlap.
	first, bin := slices.Min(s.times), period/2
	n := int((slices.Max(s.times)-first)/bin) + 1
	if n > maxBins {
		return math.NaN()
	}
	counts := make([]float64, n)
	for _, t := range s.times {
		counts[min(n-1, int((t-first)/bin))]++
	}
	return stats.Autocorrelation(counts, 2)
}

// A RitaScore has the parts of the beacon score of RITA 5, from 0 to 1, which analysts
// know, and their mean. It is of the judged day.
//
// Note: RITA counts connections where this counts beats, and takes the whole time of its
// data for the coverage where this takes a day.
type RitaScore struct{ TS, DS, Hist, Dur, Mean float64 }

// ritaBeats is how many beats the score needs.
const ritaBeats = 4

// rita returns the score of a day, from its first and last beat in seconds.
func (r *rhythm) rita(first, last float64) (s RitaScore) {
	if r.intervals < ritaBeats-1 {
		return s
	}
	s.TS = r.between.Evenness(1)
	if s.DS = r.bytes.Evenness(0); math.IsNaN(s.DS) {
		s.DS = .5 // as RITA has it for connections without bytes
	}
	bars, tallest := 0, 0.0
	for _, n := range r.hours {
		if n > 0 {
			bars++
		}
		tallest = max(tallest, n)
	}
	s.Hist = stats.Flatness(r.hours[:])
	if bars >= 11 {
		height := math.Ceil(tallest * .05)
		heights := map[float64]int{}
		for _, n := range r.hours {
			if n > 0 {
				heights[math.Floor(n/height)]++
			}
		}
		one, two := 0, 0
		for _, n := range heights {
			switch {
			case n > one:
				one, two = n, one
			case n > two:
				two = n
			}
		}
		s.Hist = max(s.Hist, min(1, float64(one+two)/float64(bars-1)))
	}
	if bars >= 6 {
		s.Dur = min(1, max((last-first)/86400, float64(r.longestRun())/12))
	}
	s.Mean = (s.TS + s.DS + s.Hist + s.Dur) / 4
	return s
}

// longestRun returns the most hours in a row with a beat, across midnight too.
func (r *rhythm) longestRun() int {
	longest, run := 0, 0
	for h := range 2 * len(r.hours) {
		if run++; r.hours[h%len(r.hours)] == 0 {
			run = 0
		}
		longest = max(longest, run)
	}
	return min(longest, len(r.hours))
}

// mayBeat reports whether the beats of a day, at least two, may be those of a clock. Its
// bounds are beyond what beacons reach that stray by half their period and miss a fifth of
// their beats (TestSimulation). Without it, each site that a user looks at a few times
// a day is a row of history.
func mayBeat(beats []pairBeat, buf *[]float64) bool {
	intervals := len(beats) - 1
	between, least := (*buf)[:0], math.Inf(1)
	for i := range intervals {
		x := float64(beats[i+1].begin() - beats[i].begin())
		between, least = append(between, x), min(least, x)
	}
	*buf = between
	// So few intervals are judged with those of other days. Someone who looks at a site for an
	// hour, or twice in a row and later again, is no clock.
	if intervals <= slowIntervals && least < slowLeast ||
		intervals < fewIntervals && beats[intervals].begin()-beats[0].begin() < slowSpan {
		return false
	}
	slices.Sort(between)
	dispersion := stats.SortedDispersion(between)
	if intervals >= manyIntervals || intervals < fewIntervals {
		return dispersion <= .45
	}
	return dispersion <= .5
}

const (
	// slowIntervals is up to how many intervals of a day are a clock of hours, none of them
	// shorter than slowLeast, in seconds. A clock of four hours has up to seven.
	slowIntervals = 5
	slowLeast     = 1.75 * 3600
	// slowSpan is the least time, in seconds, between the first and last of a few beats.
	slowSpan = 3 * 3600
)

// BeatTimes returns when on its day a row of pair_times has beats, in seconds since
// midnight UTC. It returns nil of other rows, and of those with more beats than are kept one
// by one: Summary.Hourly counts them.
func (s *Summary) BeatTimes() []float64 {
	var b beatSeries
	if s.Beats > maxTimes || !b.addRow(&Row{Summary: *s}) {
		return nil
	}
	return b.times
}
