package logs

import (
	"bufio"
	"bytes"
	"errors"

	"outflow/columnar/scan"
)

// Answers of searches that still run. Splunk's export hands out what a search has found so far, more than
// once, and then all of it again; an asynchronous search of Elasticsearch does so each time it is asked.
// Such interim results are running totals: only the final ones count.

// An interimReader drops interim answers, which are objects of their own or the elements of one
// array, and hands on the others, each behind the end of a line.
type interimReader struct {
	made
	src *bufio.Reader

	depth  int  // open brackets in the object at hand; 0: in none
	text   bool // in a string
	escape bool // behind a backslash
	drop   bool // the object at hand is not handed on
	stray  bool // in a line that is no object
	begun  bool // a line begins

	settled int64 // dropped, and a final answer has followed
	waiting int64 // dropped, and none has so far
}

// answerHead is how much of an answer is looked at for what it says of itself, in bytes. Splunk says it
// first, but its keys may have been sorted; names of columns may then stand before them.
const answerHead = 4 << 10

const (
	interimResult  = "interim result of a search"
	withoutFinal   = "interim result of a search that no final one follows: export it when the search has ended"
	betweenAnswers = " \t\r\n,[]"
)

// errInterim is the error of a member without a final result.
var errInterim = errors.New("has only interim results of a search: export it when the search has ended (Splunk: preview=0)")

// A searchAnswer is what an answer of a search says of itself.
type searchAnswer struct {
	interim bool
	whole   bool // it begins with the first result, so it has what interim ones had
	empty   bool // it only says that no result follows
}

// searchAnswerOf returns what the answer that begins with head says; ok is false if it is none.
func searchAnswerOf(head []byte) (a searchAnswer, ok bool) {
	var state scan.Value
	beside, results := false, false
	a.whole = true
	var w scan.Walker
	for w.Open(head); w.InObject() && w.Next(); {
		switch string(w.Key) {
		case "preview", "is_running":
			state = w.Val
		case "offset", "init_offset":
			beside, a.whole = true, string(w.Val) == "0"
		case "result", "results", "rows", "columns", "response":
			beside, results = true, true
		case "lastrow", "is_partial", "fields", "messages":
			beside = true
		}
		if state != nil && beside && results {
			break
		}
	}
	a.interim, a.empty = string(state) == "true", string(state) == "false" && !results && !w.InObject()
	return a, beside && (a.interim || string(state) == "false")
}

// interimOf returns a reader of in without interim answers, nil if it does not begin with an answer
// of a search.
func interimOf(in *bufio.Reader) *interimReader {
	head, _ := in.Peek(answerHead)
	if _, ok := searchAnswerOf(bytes.TrimLeft(head, betweenAnswers)); !ok {
		return nil
	}
	return &interimReader{src: in}
}

func (r *interimReader) Read(p []byte) (int, error) { return r.read(p, r.next) }

// next reads on, to the end of a line or an object at most.
func (r *interimReader) next() error {
	_, err := r.src.Peek(answerHead)
	text, _ := r.src.Peek(r.src.Buffered())
	if len(text) == 0 {
		return err
	}
	// A line that ends within an object, and before one, is cut off: no answer goes on at the margin.
	if r.depth > 0 && r.begun && bytes.HasPrefix(text, []byte(`{"`)) {
		r.depth, r.text = 0, false
	}
	n := 0
	switch {
	case r.depth > 0:
		n = r.within(text)
	case r.stray:
		n = r.line(text)
	case bytes.IndexByte([]byte(betweenAnswers), text[0]) >= 0:
		n = len(text) - len(bytes.TrimLeft(text, betweenAnswers))
	case text[0] != '{':
		n = r.line(text)
	default:
		r.begin(text[:min(len(text), answerHead)])
		n = r.within(text)
	}
	r.begun = text[n-1] == '\n'
	r.src.Discard(n)
	return nil
}

// begin begins an object.
func (r *interimReader) begin(head []byte) {
	a, ok := searchAnswerOf(head)
	r.drop = ok && (a.interim || a.empty)
	switch {
	case !ok:
	case a.interim:
		r.waiting++
	case a.whole && !a.empty:
		r.settled, r.waiting = r.settled+r.waiting, 0
	}
}

// line hands on a line that is no object, as far as text has it.
func (r *interimReader) line(text []byte) int {
	end := bytes.IndexByte(text, '\n') + 1
	if r.stray = end == 0; r.stray {
		end = len(text)
	}
	r.out = append(r.out, text[:end]...)
	return end
}

// within reads the object at hand, and returns where it, a line of it or text ends. A newline in a string
// is damage: what is behind it begins anew.
func (r *interimReader) within(text []byte) int {
	end := bytes.IndexByte(text, '\n') + 1
	ends := end > 0
	if !ends {
		end = len(text)
	}
	i, depth, quoted := 0, r.depth, r.text
	if r.escape {
		i, r.escape = 1, false
	}
	for i < end {
		if quoted {
			for i < end && text[i] != '"' {
				if text[i] == '\\' {
					i++
				}
				i++
			}
			if i >= end {
				r.escape = i > end
				break
			}
			quoted = false
			i++
			continue
		}
		switch text[i] {
		case '"':
			quoted = true
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				end, ends = i+1, false
			}
		}
		i++
	}
	if r.depth, r.text = depth, quoted; ends && quoted {
		r.depth, r.text, r.escape = 0, false, false
	}
	return r.hand(text[:end])
}

// hand hands on a part of the object at hand, unless it is dropped.
func (r *interimReader) hand(part []byte) int {
	if !r.drop {
		r.out = append(r.out, part...)
		if r.depth == 0 && part[len(part)-1] != '\n' {
			r.out = append(r.out, '\n')
		}
	}
	return len(part)
}

// account accounts for what was dropped, once all was read: what a final answer repeats is a known kind.
func (r *interimReader) account(b *Block, record int64) (skipped []Reason) {
	if r.settled > 0 {
		b.Known = append(b.Known, Kind{interimResult, r.settled})
	}
	if r.waiting > 0 {
		skipped = append(skipped, Reason{Text: withoutFinal, Count: r.waiting, First: record})
	}
	return skipped
}
