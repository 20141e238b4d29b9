package dnsmodel

import "fmt"

// maxReasons is the number of reasons that Why gives at most: nobody reads more.
const maxReasons = 3

// reasons say what groups of inputs mean when they point to exfiltration. A reason
// applies only if there are at least past earlier queries.
var reasons = []struct {
	past   uint8
	inputs []int
	say    func(x *Input) string
}{
	{0, []int{length}, func(x *Input) string { return fmt.Sprintf("%d bytes before the domain", x[length]) }},
	{0, []int{longest, first, last, labels}, func(x *Input) string {
		return fmt.Sprintf("%d labels, the longest of %d bytes", x[labels], x[longest])
	}},
	{0, []int{entropy, evenness, distinct, commonest}, func(x *Input) string {
		return fmt.Sprintf("%.1f bits of entropy a byte", float64(x[entropy])/32)
	}},
	{0, []int{surprise, longestBits, lastBits, excess}, func(x *Input) string {
		return fmt.Sprintf("letters in an order that is rare in names (%.1f bits a byte)", float64(max(x[surprise], x[longestBits]))/16)
	}},
	{0, []int{digits, digitRun, numeric, switches}, func(x *Input) string {
		return fmt.Sprintf("%d %% digits", rounded(int(x[digits])*100))
	}},
	{0, []int{hex, hexRun}, func(x *Input) string { return fmt.Sprintf("a run of %d hexadecimal digits", x[hexRun]) }},
	{0, []int{base32Run}, func(x *Input) string { return fmt.Sprintf("a run of %d base32 characters", x[base32Run]) }},
	{0, []int{vowels, consonantRun}, func(x *Input) string {
		return fmt.Sprintf("%d consonants in a row", x[consonantRun])
	}},
	{0, []int{hyphens, other}, func(x *Input) string { return "unusual characters" }},
	{2, []int{earlier, distinctShare, nameBytes, repeats}, func(x *Input) string {
		return fmt.Sprintf("%d different names in the %d queries before", rounded(int(x[distinctShare])*int(x[earlier]/25)), x[earlier]/25)
	}},
	{1, []int{means, means + 1, means + 2, means + 3, means + 4, means + 5, means + 6, means + 7, maxExcess, minExcess}, func(x *Input) string {
		return fmt.Sprintf("the queries before had %d bytes and %.1f bits of entropy a byte", x[means], float64(x[means+2])/32)
	}},
	{2, []int{lengthOff, excessOff, sameFirst, sameLast, sameShape}, func(x *Input) string {
		return "built like the queries before"
	}},
	{2, []int{sinceLast, meanGap}, func(x *Input) string { return "queries soon after one another" }},
	{0, []int{rareShare, rareQuery}, func(x *Input) string { return "record types that few clients ask for" }},
	{1, []int{nxShare}, func(x *Input) string { return "names that do not exist" }},
}

// Why returns in words what points most to exfiltration: at most three reasons, the
// strongest first. The strength of a reason is how far the logit falls when its
// inputs are replaced by those of a typical benign query. Why returns no reason if
// no logit falls.
func (h *History) Why(f Features, at int64, rare bool) []string {
	x := h.Input(&f, at, rare)
	m := model()
	z := m.Logit(&x)
	var words []string
	var drops []float64
	for _, r := range reasons {
		if x[earlier]/25 < r.past {
			continue
		}
		without := x
		for _, i := range r.inputs {
			without[i] = m.Usual[i]
		}
		drop := z - m.Logit(&without)
		if !(drop > 0) {
			continue
		}
		at := len(drops)
		for at > 0 && drops[at-1] < drop {
			at--
		}
		if at == maxReasons {
			continue
		}
		words, drops = insert(words, at, r.say(&x)), insert(drops, at, drop)
	}
	return words
}

// rounded converts a share in 1/255.
func rounded(n int) int { return (n + 127) / 255 }

func insert[T any](s []T, at int, v T) []T {
	s = append(s, v)
	copy(s[at+1:], s[at:])
	s[at] = v
	return s[:min(len(s), maxReasons)]
}
