package dnsmodel

import "math"

// Features are what the model reads from a name alone. The zero value belongs to an
// empty name, that is, to the registered domain itself.
type Features [featureCount]uint8

// The indexes of Features. Shares are in 1/255. Lengths are in bytes, at most 255.
const (
	length       = iota // of the whole name
	labels              // number of labels
	longest             // length of the longest label
	first               // length of the first label
	last                // length of the label next to the domain
	entropy             // of the bytes other than dots, in 1/32 bit
	evenness            // entropy as a share of the most that so many bytes can have
	distinct            // number of distinct bytes
	digits              // share of 0-9
	hex                 // share of 0-9 a-f
	vowels              // share of vowels among the letters
	consonantRun        // longest run of consonants
	digitRun            // longest run of digits
	hexRun              // longest run of 0-9 a-f
	base32Run           // longest run of a-z 2-7
	switches            // share of bytes where a digit follows a letter or a letter a digit
	hyphens             // share of - and _
	other               // share of bytes that are not a letter, digit, - or _
	commonest           // share of the most frequent byte
	numeric             // number of labels with digits only
	surprise            // mean surprise per byte by the language model, in 1/16 bit
	excess              // largest sum over one stretch of the surprise above usualBits, in 2 bits
	longestBits         // mean surprise within the longest label, in 1/16 bit
	lastBits            // mean surprise within the label next to the domain, in 1/16 bit
	nameInputs          // the number of features that the network reads

	// Hashes show what repeats; they mean nothing on their own.
	nameHash  = iota - 1
	nameHash2 // its second byte
	firstHash // of the first label
	lastHash  // of the last label
	shapeHash // of the kinds of bytes, where a run of one kind counts once
	featureCount
)

// maxName is the number of bytes of a subdomain that are read: a DNS name has at
// most 255.
const maxName = 255

// usualBits is the part of a byte's surprise that does not count as excess, in 1/16
// bit. It lies between the mean of words, about 3.5 bits, and that of random
// base32, about 6.
const usualBits = 72

// The symbols of the language model: a dot or an end, each letter, any digit, the
// hyphen, the underscore, any other byte.
const (
	symbolBits = 5
	symbolMask = 1<<(3*symbolBits) - 1 // of three symbols
	digitSym   = 27
	hyphenSym  = 28
	underSym   = 29
	otherSym   = 30
)

// The counts of bytes are packed into one word, 10 bits each: a name has fewer than
// 1024 bytes.
const (
	countDigits = 10 * iota
	countHex
	countVowels
	countLetters
	countHyphens
	countOther
	countMask = 1<<10 - 1
)

// The lengths of runs are packed, too, 16 bits each. The highest bit of each is
// free.
const (
	consonants = 16 * iota
	digitsOnly
	hexOnly
	base32Only
	runMask  = 1<<15 - 1
	runOnes  = 1<<consonants | 1<<digitsOnly | 1<<hexOnly | 1<<base32Only
	runTests = runOnes << 15
)

// A byteClass is what the loop needs to know about a byte.
type byteClass struct {
	counts        uint64 // what to add
	runs          uint64 // all bits of the runs that the byte continues
	lower, symbol uint8
	shape         uint8
}

// The shapes of bytes.
const (
	letterShape = iota
	digitShape
	hyphenShape
	dotShape
	otherShape
)

var classes = func() (t [256]byteClass) {
	for i := range t {
		c := &t[i]
		b := byte(i)
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		c.lower, c.symbol, c.shape = b, otherSym, otherShape
		switch {
		case 'a' <= b && b <= 'z':
			c.symbol, c.shape = b-'a'+1, letterShape
			c.counts = 1 << countLetters
			c.runs = runMask << base32Only
			switch b {
			case 'a', 'e', 'i', 'o', 'u', 'y':
				c.counts |= 1 << countVowels
			default:
				c.runs |= runMask << consonants
			}
		case '0' <= b && b <= '9':
			c.symbol, c.shape = digitSym, digitShape
			c.counts = 1 << countDigits
			c.runs = runMask << digitsOnly
			if '2' <= b && b <= '7' {
				c.runs |= runMask << base32Only
			}
		case b == '-':
			c.symbol, c.shape, c.counts = hyphenSym, hyphenShape, 1<<countHyphens
		case b == '_':
			c.symbol, c.shape, c.counts = underSym, hyphenShape, 1<<countHyphens
		case b == '.':
			c.symbol, c.shape = 0, dotShape
		default:
			c.counts = 1 << countOther
		}
		if '0' <= b && b <= '9' || 'a' <= b && b <= 'f' {
			c.counts |= 1 << countHex
			c.runs |= runMask << hexOnly
		}
	}
	return t
}()

// totals holds n·log2 n in 1/65536. gains holds what the nth of several equal bytes
// adds to it. They are integers, so every machine gets the same sums.
var totals, gains = func() (totals, gains [maxName + 1]int32) {
	for n := 1; n <= maxName; n++ {
		totals[n] = int32(math.Round(float64(n) * math.Log2(float64(n)) * 65536))
		gains[n] = totals[n] - totals[n-1]
	}
	return totals, gains
}()

// An Extractor computes Features. The zero value is ready for use. It allocates
// nothing, and must not be used by several goroutines at once.
type Extractor struct {
	// Surprise is the language model; nil means the embedded one.
	Surprise *Surprise
	count    [256]uint8
}

// A Surprise holds −log2 P(third | first two) of three symbols, in 1/16 bit. The
// index has 5 bits for each symbol, the first symbol highest.
type Surprise [1 << (3 * symbolBits)]uint8

// Of returns the features of the part of a name before the registered domain,
// without the dot between them. The bytes may be any; those after the 255th are
// ignored. Upper case counts as lower case.
func (x *Extractor) Of(subdomain []byte) (f Features) {
	bits := x.Surprise
	if bits == nil {
		bits = &model().Surprise
	}
	if len(subdomain) == 0 {
		return f
	}
	text := subdomain[:min(len(subdomain), maxName)]
	const fnv, prime = 2166136261, 16777619 // FNV-1a
	var (
		labelCount, numericLabels, dots, switched    int
		labelAt, labelSum, longestLength, longestSum int
		total, stretch, best                         int
		information                                  int32
		different                                    int
		most                                         uint8
		counts, digitsBefore, runs, longestRuns      uint64
		context                                      uint32
		name, label, shape, firstLabel               uint32 = fnv, fnv, fnv, 0
		firstLength                                  int
		before                                       uint8 = dotShape
	)
	for i := 0; ; i++ {
		c := &classes['.']
		if i < len(text) {
			c = &classes[text[i]]
			name = (name ^ uint32(c.lower)) * prime
		}
		context = (context<<symbolBits | uint32(c.symbol)) & symbolMask
		s := int(bits[context])
		total += s
		stretch = max(0, stretch+s-usualBits)
		best = max(best, stretch)
		if c.shape != before {
			shape = (shape ^ uint32(c.shape)) * prime
			if c.shape+before == letterShape+digitShape {
				switched++
			}
			before = c.shape
		}
		if c.shape != dotShape {
			labelSum += s
			label = (label ^ uint32(c.lower)) * prime
			n := x.count[c.lower] + 1
			x.count[c.lower] = n
			information += gains[n]
			if n == 1 {
				different++
			}
			most = max(most, n)
			counts += c.counts
			runs = (runs + runOnes) & c.runs
			// A run that is at least as long as the longest so far replaces it.
			longer := (runs | runTests) - longestRuns&^runTests
			longer &= runTests
			longer -= longer >> 15
			longestRuns = longestRuns&^longer | runs&longer
			continue
		}
		n := i - labelAt
		if labelCount++; labelCount == 1 {
			firstLength, firstLabel = n, label
		}
		if n > longestLength {
			longestLength, longestSum = n, labelSum
		}
		if n > 0 && int(counts>>countDigits&countMask-digitsBefore) == n {
			numericLabels++
		}
		if i == len(text) {
			f[last], f[lastHash], f[lastBits] = uint8(n), fold8(label), mean(labelSum, n)
			break
		}
		dots++
		digitsBefore = counts >> countDigits & countMask
		labelAt, labelSum, label, runs = i+1, 0, fnv, 0
	}
	for _, b := range text {
		x.count[classes[b].lower] = 0
	}
	n := len(text) - dots
	f[length] = uint8(len(text))
	f[labels] = uint8(labelCount)
	f[longest] = uint8(longestLength)
	f[first] = uint8(firstLength)
	f[distinct] = uint8(different)
	f[numeric] = uint8(numericLabels)
	if n > 0 {
		left := max(0, totals[n]-information)
		f[entropy] = uint8(min(255, left/int32(n)>>11))
		if n > 1 {
			f[evenness] = uint8(min(255, 255*int64(left)/int64(totals[n])))
		}
		count := func(at int) int { return int(counts >> at & countMask) }
		f[commonest] = share(int(most), n)
		f[digits] = share(count(countDigits), n)
		f[hex] = share(count(countHex), n)
		f[vowels] = share(count(countVowels), count(countLetters))
		f[hyphens] = share(count(countHyphens), n)
		f[other] = share(count(countOther), n)
		f[switches] = share(switched, n)
	}
	f[consonantRun] = uint8(longestRuns >> consonants & runMask)
	f[digitRun] = uint8(longestRuns >> digitsOnly & runMask)
	f[hexRun] = uint8(longestRuns >> hexOnly & runMask)
	f[base32Run] = uint8(longestRuns >> base32Only & runMask)
	f[surprise] = mean(total, len(text)+1)
	f[excess] = uint8(min(255, best>>5))
	f[longestBits] = mean(longestSum, longestLength)
	f[nameHash], f[nameHash2] = uint8(name), uint8(name>>8)^uint8(name>>24)
	f[firstHash] = fold8(firstLabel)
	f[shapeHash] = fold8(shape)
	return f
}

func fold8(hash uint32) uint8 { return uint8(hash ^ hash>>8 ^ hash>>16 ^ hash>>24) }

func share(n, of int) uint8 {
	if of == 0 {
		return 0
	}
	return uint8(255 * n / of)
}

func mean(sum, of int) uint8 {
	if of == 0 {
		return 0
	}
	return uint8(sum / of)
}

// Symbol returns the symbol of a byte in the language model. It is 0 for a dot,
// which also stands before and after every name.
func Symbol(b byte) uint8 { return classes[b].symbol }
