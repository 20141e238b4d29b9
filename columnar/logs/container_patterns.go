package logs

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Lines of words, as firewalls and mail servers write them for people.

// A linePattern says how a line is written: texts with holes between them. Each hole holds
// what stands before the text behind it, however little. What follows the last text does
// not matter.
type linePattern struct {
	first []byte // what the line begins with
	holes []patternHole
	pairs bool // what is behind the last text is pairs
}

// A patternHole is what a line has before a text, or to its end if that is empty.
type patternHole struct {
	slots []int
	then  []byte
}

// pairsHole is the name of the hole that is read as pairs.
const pairsHole = "="

// newLinePattern compiles a pattern, in which a hole is %{name}, or %{} if nobody reads it.
func newLinePattern(text string, k *keys) (p linePattern, err error) {
	first, rest, more := strings.Cut(text, "%{")
	if !more {
		return p, fmt.Errorf("%q: want a hole, as %%{name}", text)
	}
	p.first = []byte(first)
	for more {
		name, behind, closed := strings.Cut(rest, "}")
		if !closed {
			return p, fmt.Errorf("%q: a hole has no }", text)
		}
		var then string
		if then, rest, more = strings.Cut(behind, "%{"); more && then == "" {
			return p, fmt.Errorf("%q: nothing stands between two holes", text)
		}
		if name == pairsHole {
			if behind != "" {
				return p, errors.New("%{=} is not the last of the pattern")
			}
			p.pairs = true
			break
		}
		hole := patternHole{then: []byte(then)}
		if name != "" {
			hole.slots = k.slotsOf([]byte(name))
		}
		p.holes = append(p.holes, hole)
	}
	return p, nil
}

// cut finds what stands in the holes of a line, and returns what is behind the last text.
// It returns false if the line does not fit.
func (p *linePattern) cut(line []byte, found *[][]byte) (rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(line, p.first)
	if !ok {
		return nil, false
	}
	*found = (*found)[:0]
	for i := range p.holes {
		then := p.holes[i].then
		if len(then) == 0 {
			*found = append(*found, rest)
			return nil, true
		}
		at := bytes.Index(rest, then)
		if at < 0 {
			return nil, false
		}
		*found = append(*found, rest[:at])
		rest = rest[at+len(then):]
	}
	return rest, true
}
