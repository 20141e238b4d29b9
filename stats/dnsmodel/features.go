package dnsmodel

import "math"

// Features are what the model knows of a name by itself. The zero value is that of
// no name: of the registered domain itself.
type Features [featureCount]uint8

// What stands where in Features. Shares are of 255; lengths are in bytes, cut at 255.
const (
	length       = iota // of the whole
	labels              // how many
	longest             // length of the longest label
	first               // length of the first label
	last                // length of the label next to the domain
	entropy             // of the bytes but dots, in 1/32 bit
	evenness            // share of the entropy in what bytes so many can have
	distinct            // different bytes
	digits              // share of 0-9
	hex                 // share of 0-9 a-f
	vowels              // share of vowels among the letters
	consonantRun        // longest run of consonants
	digitRun            // longest run of digits
	hexRun              // longest run of 0-9 a-f
	base32Run           // longest run of a-z 2-7
	switches            // share of bytes with a digit behind a letter or a letter behind a digit
	hyphens             // share of - and _
	other               // share of what is neither letter, digit, - nor _
	commonest           // share of the commonest byte
	numeric             // labels of digits alone
	surprise            // mean surprise of a byte to the language model, in 1/16 bit
	excess              // greatest sum of surprise above the usual in one stretch, in 2 bits
	longestBits         // mean surprise within the longest label, in 1/16 bit
	lastBits            // mean surprise within the label next to the domain, in 1/16 bit
	nameInputs          // what comes behind is no input of the network

	// Hashes tell what is the same as before; by themselves they say nothing.
	nameHash  = iota - 1
	nameHash2 // its second byte
	firstHash // of the first label
	lastHash  // of the last label
	shapeHash // of the kinds of bytes, a run of one kind counted once
	featureCount
)

// maxName is how much of a subdomain is looked at: a DNS name has at most 255 bytes.
const maxName = 255

// usualBits is what of a byte's surprise is not counted as excess, in 1/16 bit:
// between the mean of words, about 3.5 bits, and that of random base32, about 6.
const usualBits = 72

// symbols of the language model: a dot or an end, the letters, any digit, the
// hyphen, the underscore, anything else.
const (
	symbolBits = 5
	symbolMask = 1<<(3*symbolBits) - 1 // of three
	digitSym   = 27
	hyphenSym  = 28
	underSym   = 29
	otherSym   = 30
)

// kinds of bytes
const (
	isDigit = 1 << iota
	isHex
	isVowel
	isLetter
	isBase32
	isHyphen
)

// A byteClass is what the loop asks of a byte.
type byteClass struct {
	lower, symbol, kind uint8
	shape               uint8 // which of letter, digit, hyphen, dot, other it is
}

var classes = func() (t [256]byteClass) {
	for i := range t {
		c := &t[i]
		b := byte(i)
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		c.lower, c.symbol, c.shape = b, otherSym, 4
		switch {
		case 'a' <= b && b <= 'z':
			c.symbol, c.shape = b-'a'+1, 0
			c.kind = isLetter | isBase32
			if b <= 'f' {
				c.kind |= isHex
			}
			switch b {
			case 'a', 'e', 'i', 'o', 'u', 'y':
				c.kind |= isVowel
			}
		case '0' <= b && b <= '9':
			c.symbol, c.shape = digitSym, 1
			c.kind = isDigit | isHex
			if '2' <= b && b <= '7' {
				c.kind |= isBase32
			}
		case b == '-':
			c.symbol, c.shape, c.kind = hyphenSym, 2, isHyphen
		case b == '_':
			c.symbol, c.shape, c.kind = underSym, 2, isHyphen
		case b == '.':
			c.symbol, c.shape = 0, 3
		}
	}
	return t
}()

// information is n·log2 n in 1/65536, in whole numbers so that every machine sums
// the same.
var information = func() (t struct{ total, gain [maxName + 1]int32 }) {
	for n := 1; n <= maxName; n++ {
		t.total[n] = int32(math.Round(float64(n) * math.Log2(float64(n)) * 65536))
		t.gain[n-1] = t.total[n] - t.total[n-1]
	}
	return t
}()

// An Extractor computes Features. The zero value is ready; it is used by one
// goroutine at a time and allocates nothing.
type Extractor struct {
	// Surprise is the language model; nil stands for the embedded one.
	Surprise *Surprise
	count    [256]uint8
}

// A Surprise holds −log2 P(third | first two) of three symbols, in 1/16 bit, by the
// 5 bits of each, the first highest.
type Surprise [1 << (3 * symbolBits)]uint8

// Of returns the features of the part of a name before its registered domain and
// the dot between: any bytes, of which those behind the 255th are not looked at.
// Upper case is as lower case.
func (x *Extractor) Of(subdomain []byte) (f Features) {
	bits := x.Surprise
	if bits == nil {
		bits = &model.Surprise
	}
	if len(subdomain) == 0 {
		return f
	}
	text := subdomain[:min(len(subdomain), maxName)]
	var kinds [6]int // digits, hex, vowels, letters, base 32, hyphens: see isDigit
	var (
		labelCount, numericLabels, others, dots, switched int
		run                                               [4]int // consonants, digits, hex, base 32
		longestRun                                        [4]int
		labelAt, labelSum, labelDigits                    int
		longestLength, longestSum, firstLength            int
		total, stretch, best                              int
		info                                              int32
		different, most                                   int
		context                                           uint32
		name                                              uint32 = 2166136261 // FNV-1a
		label                                             uint32 = 2166136261
		shape                                             uint32 = 2166136261
		firstLabel                                        uint32
		before                                            byteClass
	)
	before.shape = 3
	for i := 0; i <= len(text); i++ {
		c := classes['.']
		if i < len(text) {
			c = classes[text[i]]
			name = (name ^ uint32(c.lower)) * 16777619
		}
		context = (context<<symbolBits | uint32(c.symbol)) & symbolMask
		s := int(bits[context])
		total += s
		stretch = max(0, stretch+s-usualBits)
		best = max(best, stretch)
		if c.shape != before.shape {
			shape = (shape ^ uint32(c.shape)) * 16777619
		}
		if c.shape == 3 {
			n := i - labelAt
			if labelCount++; labelCount == 1 {
				firstLength, firstLabel = n, label
			}
			if n > longestLength {
				longestLength, longestSum = n, labelSum
			}
			if n > 0 && labelDigits == n {
				numericLabels++
			}
			if i == len(text) {
				f[last], f[lastHash] = uint8(n), fold8(label)
				f[lastBits] = mean(labelSum, n)
				break
			}
			dots++
			labelAt, labelSum, labelDigits, label = i+1, 0, 0, 2166136261
			run = [4]int{}
			before = c
			continue
		}
		labelSum += s
		label = (label ^ uint32(c.lower)) * 16777619
		n := x.count[c.lower]
		info += information.gain[n]
		if n == 0 {
			different++
		}
		x.count[c.lower] = n + 1
		most = max(most, int(n)+1)
		k := int(c.kind)
		digit, letter, vowel := k&1, k>>3&1, k>>2&1
		labelDigits += digit
		kinds[0] += digit
		kinds[1] += k >> 1 & 1
		kinds[2] += vowel
		kinds[3] += letter
		kinds[4] += k >> 4 & 1
		kinds[5] += k >> 5 & 1
		if k == 0 {
			others++
		}
		if (c.kind|before.kind)&(isDigit|isLetter) == isDigit|isLetter {
			switched++
		}
		run[0] = (run[0] + 1) * (letter &^ vowel)
		run[1] = (run[1] + 1) * digit
		run[2] = (run[2] + 1) * (k >> 1 & 1)
		run[3] = (run[3] + 1) * (k >> 4 & 1)
		for r := range run {
			longestRun[r] = max(longestRun[r], run[r])
		}
		before = c
	}
	n := len(text) - dots
	for _, b := range text {
		x.count[classes[b].lower] = 0
	}
	f[length] = uint8(len(text))
	f[labels] = uint8(labelCount)
	f[longest] = uint8(longestLength)
	f[first] = uint8(firstLength)
	f[distinct] = uint8(different)
	f[numeric] = uint8(numericLabels)
	if n > 0 {
		f[entropy] = uint8(min(255, max(0, (information.total[n]-info)/int32(n)>>11)))
		if n > 1 {
			f[evenness] = uint8(min(255, max(0, 255*int64(information.total[n]-info)/int64(information.total[n]))))
		}
		f[commonest] = share(most, n)
		f[digits] = share(kinds[0], n)
		f[hex] = share(kinds[1], n)
		f[vowels] = share(kinds[2], kinds[3])
		f[hyphens] = share(kinds[5], n)
		f[other] = share(others, n)
		f[switches] = share(switched, n)
	}
	f[consonantRun] = uint8(longestRun[0])
	f[digitRun] = uint8(longestRun[1])
	f[hexRun] = uint8(longestRun[2])
	f[base32Run] = uint8(longestRun[3])
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

// Symbol returns the symbol of the language model that a byte is: 0 for a dot, which
// also stands before and behind a name.
func Symbol(b byte) uint8 { return classes[b].symbol }
