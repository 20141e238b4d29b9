package logs

import (
	"bytes"

	"outflow/columnar/scan"
)

// DNS answers, as logs list them.

// appendAnswer appends an answer to those that begin at first in text, as
// columnar.Answers.
func appendAnswer(text []byte, first int, answer []byte) []byte {
	if len(text) > first {
		text = append(text, ',')
	}
	for _, c := range answer {
		if c == ',' {
			text = append(text, `\x2c`...)
		} else {
			text = append(text, c)
		}
	}
	return text
}

// An answerList reads answers in JSON.
type answerList struct {
	list, record scan.Walker
	scratch      []byte
	text         []byte
}

// of returns the answers of a list, as columnar.Answers: texts, or objects that have the
// answer as rdata (Suricata, Route 53, OCSF) or data (ECS). It is valid until the next
// call.
func (a *answerList) of(list scan.Value) []byte {
	a.text = a.text[:0]
	a.add(list)
	return a.text
}

// grouped returns the addresses of an object that has a list of answers for each type, as
// of does.
func (a *answerList) grouped(object scan.Value) []byte {
	a.text = a.text[:0]
	var types scan.Walker
	for types.Open(object); types.InObject() && types.Next(); {
		if key := string(types.Key); key == "A" || key == "AAAA" {
			a.add(types.Val)
		}
	}
	return a.text
}

func (a *answerList) add(list scan.Value) {
	for a.list.Open(list); a.list.InArray() && a.list.Next(); {
		if !a.list.Val.Is('{') {
			a.put(&a.list)
			continue
		}
		for a.record.Open(a.list.Val); a.record.Next(); {
			if bytes.EqualFold(a.record.Key, rdataKey) || bytes.EqualFold(a.record.Key, dataKey) {
				a.put(&a.record)
				break
			}
		}
	}
}

// put adds the answer that a walker is at, if it is a text.
func (a *answerList) put(w *scan.Walker) {
	a.scratch = a.scratch[:0]
	if answer := w.Text(&a.scratch); len(answer) > 0 {
		a.text = appendAnswer(a.text, 0, answer)
	}
}

var (
	rdataKey = []byte("rdata")
	dataKey  = []byte("data")
)
