package sigma

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The kinds of a pattern's elements.
type elemKind byte

const (
	literal elemKind = iota
	star             // *: any text, or none
	one              // ?: one character
	dash             // a character that Windows takes as the dash of an option
)

// An elem is one element of a pattern.
type elem struct {
	kind elemKind
	text string // of a literal
}

// dashes are the texts that windash treats as equal.
var dashes = [...]string{"-", "/", "–", "—", "―"}

// A pattern is a text with wildcards. A pattern without elements is the empty text.
type pattern []elem

// parsePattern reads a value of a rule. * and ? are wildcards. A backslash before
// *, ? or another backslash makes that character plain; any other backslash is
// plain itself.
func parsePattern(s string) pattern {
	var p pattern
	var plain strings.Builder
	flush := func() {
		if plain.Len() > 0 {
			p = append(p, elem{literal, plain.String()})
			plain.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && (s[i+1] == '*' || s[i+1] == '?' || s[i+1] == '\\'):
			i++
			plain.WriteByte(s[i])
		case c == '*':
			flush()
			if len(p) == 0 || p[len(p)-1].kind != star {
				p = append(p, elem{kind: star})
			}
		case c == '?':
			flush()
			p = append(p, elem{kind: one})
		default:
			plain.WriteByte(c)
		}
	}
	flush()
	return p
}

// plain returns the text of a pattern without wildcards.
func (p pattern) plain() (string, bool) {
	switch {
	case len(p) == 0:
		return "", true
	case len(p) == 1 && p[0].kind == literal:
		return p[0].text, true
	}
	return "", false
}

// open returns p with any text allowed before it, after it, or both.
func (p pattern) open(before, after bool) pattern {
	out := make(pattern, 0, len(p)+2)
	if before && (len(p) == 0 || p[0].kind != star) {
		out = append(out, elem{kind: star})
	}
	out = append(out, p...)
	if after && (len(out) == 0 || out[len(out)-1].kind != star) {
		out = append(out, elem{kind: star})
	}
	return out
}

// mapText returns p with its literals replaced.
func (p pattern) mapText(f func(string) string) pattern {
	out := make(pattern, len(p))
	for i, e := range p {
		if e.kind == literal {
			e.text = f(e.text)
		}
		out[i] = e
	}
	return out
}

// windash returns p with every dash or slash that begins an option replaced by any
// dash, as between "cmd " and "c" in "cmd /c".
func (p pattern) windash() pattern {
	var out pattern
	for _, e := range p {
		if e.kind != literal {
			out = append(out, e)
			continue
		}
		from := 0
		for i := 0; i < len(e.text); i++ {
			before, _ := utf8.DecodeLastRuneInString(e.text[:i])
			after, _ := utf8.DecodeRuneInString(e.text[i+1:])
			if (e.text[i] == '-' || e.text[i] == '/') && (i == 0 || !wordRune(before)) && i+1 < len(e.text) && wordRune(after) {
				if from < i {
					out = append(out, elem{literal, e.text[from:i]})
				}
				out = append(out, elem{kind: dash})
				from = i + 1
			}
		}
		if from < len(e.text) {
			out = append(out, elem{literal, e.text[from:]})
		}
	}
	return out
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// spellings returns the patterns without dash elements that p stands for.
func (p pattern) spellings() []pattern {
	out := []pattern{nil}
	for _, e := range p {
		if e.kind != dash {
			for i := range out {
				out[i] = append(out[i][:len(out[i]):len(out[i])], e)
			}
			continue
		}
		var next []pattern
		for _, o := range out {
			for _, d := range dashes {
				next = append(next, append(o[:len(o):len(o)], elem{literal, d}))
			}
		}
		out = next
	}
	for i := range out {
		out[i] = out[i].joined()
	}
	return out
}

// longest returns the longest literal of p, or "".
func (p pattern) longest() string {
	longest := ""
	for _, e := range p {
		if e.kind == literal && len(e.text) > len(longest) {
			longest = e.text
		}
	}
	return longest
}

// match reports whether p matches the whole of text.
func (p pattern) match(text []byte) bool {
	// The elements before the first * and those after the last one have a fixed
	// place. Each sequence between two * may take the first place where it fits.
	head := 0
	for head < len(p) && p[head].kind != star {
		head++
	}
	n, ok := p[:head].at(text)
	if !ok || head == len(p) {
		return ok && n == len(text)
	}
	text, p = text[n:], p[head+1:]
	for {
		part := 0
		for part < len(p) && p[part].kind != star {
			part++
		}
		if part == len(p) {
			return p.ends(text)
		}
		if text, ok = p[:part].after(text); !ok {
			return false
		}
		p = p[part+1:]
	}
}

// at returns how many bytes at the start of text p matches. p has no *.
func (p pattern) at(text []byte) (int, bool) {
	n := 0
	for _, e := range p {
		size := 0
		switch e.kind {
		case literal:
			if !hasPrefix(text[n:], e.text) {
				return 0, false
			}
			size = len(e.text)
		case one:
			_, size = utf8.DecodeRune(text[n:])
		case dash:
			for _, d := range dashes {
				if hasPrefix(text[n:], d) {
					size = len(d)
				}
			}
		}
		if size == 0 {
			return 0, false
		}
		n += size
	}
	return n, true
}

// ends reports whether text ends with a match of p, which has no *.
func (p pattern) ends(text []byte) bool {
	for i := len(p) - 1; i >= 0; i-- {
		size := 0
		switch e := p[i]; e.kind {
		case literal:
			if !hasSuffix(text, e.text) {
				return false
			}
			size = len(e.text)
		case one:
			_, size = utf8.DecodeLastRune(text)
		case dash:
			for _, d := range dashes {
				if hasSuffix(text, d) {
					size = len(d)
				}
			}
		}
		if size == 0 {
			return false
		}
		text = text[:len(text)-size]
	}
	return true
}

// after returns the text that follows the first match of p in text. p has no *.
func (p pattern) after(text []byte) ([]byte, bool) {
	if len(p) == 0 {
		return text, true
	}
	for {
		if p[0].kind == literal {
			i := bytes.Index(text, []byte(p[0].text))
			if i < 0 {
				return nil, false
			}
			text = text[i:]
		}
		if n, ok := p.at(text); ok {
			return text[n:], true
		}
		_, size := utf8.DecodeRune(text)
		if size == 0 {
			return nil, false
		}
		text = text[size:]
	}
}

func hasPrefix(text []byte, s string) bool { return len(text) >= len(s) && string(text[:len(s)]) == s }

func hasSuffix(text []byte, s string) bool {
	return len(text) >= len(s) && string(text[len(text)-len(s):]) == s
}

// foldCase appends text to dst so that letters that differ only in case become equal.
// ASCII letters become lower case; others use Unicode's simple folding. Bytes that
// are not UTF-8 stay as they are.
func foldCase(dst, text []byte) []byte {
	at := len(dst)
	dst = append(dst, text...)
	out := dst[at:]
	i := 0
	for ; i+8 <= len(out); i += 8 {
		const ones, highs = 0x0101010101010101, 0x8080808080808080
		w := binary.LittleEndian.Uint64(out[i:])
		if w&highs != 0 {
			break
		}
		capitals := (w + (0x80-'A')*ones) &^ (w + (0x80-'Z'-1)*ones) & highs
		binary.LittleEndian.PutUint64(out[i:], w|capitals>>2)
	}
	for ; i < len(out); i++ {
		c := out[i]
		if c >= utf8.RuneSelf {
			return foldRunes(dst[:at+i], text[i:])
		}
		if c-'A' < 26 {
			out[i] = c | 0x20
		}
	}
	return dst
}

func foldRunes(dst, text []byte) []byte {
	for len(text) > 0 {
		if c := text[0]; c < utf8.RuneSelf {
			if c-'A' < 26 {
				c |= 0x20
			}
			dst, text = append(dst, c), text[1:]
			continue
		}
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, text[0])
		} else {
			dst = utf8.AppendRune(dst, foldRune(r))
		}
		text = text[size:]
	}
	return dst
}

// foldRune returns the least of the runes that differ from r only in case. If an
// ASCII letter is among them, it returns that letter in lower case.
func foldRune(r rune) rune {
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	if least-'A' < 26 && least >= 'A' {
		least |= 0x20
	}
	return least
}

func foldText(s string) string { return string(foldCase(nil, []byte(s))) }

func parsePatterns(texts []string) []pattern {
	out := make([]pattern, len(texts))
	for i, text := range texts {
		out[i] = parsePattern(text)
	}
	return out
}
