package logs

import (
	"testing"

	"outflow/columnar/scan"
)

// memberIs is the slow way to tell an element: the first member that has the key.
func memberIs(object scan.Value, key, is string) bool {
	if !object.Is('{') {
		return false
	}
	var w scan.Walker
	for w.Open(object); w.Next(); {
		if string(w.Key) == key {
			return w.Val.Is('"') && !w.Escaped && string(w.Val[1:len(w.Val)-1]) == is
		}
	}
	return false
}

var choiceElements = []string{
	`{"name":"doc_id","value":"d1"}`, `{"value":"d1","name":"owner"}`, `{"name":"doc_id","name":"owner"}`, `{"name":7,"name":"owner"}`,
	`{"name":"own\u0065r"}`, `{"name":{"a":1}}`, `{"name":null}`, `{}`, `["name"]`, `"name"`, ` {"name" : "owner"} `, `{"Name":"owner"}`,
}

func checkChoice(t *testing.T, c *jsonChoice, element string) {
	t.Helper()
	var w scan.Walker
	for w.Open([]byte("[" + element + "]")); w.Next(); {
		for text, nodes := range c.nodes {
			got := false
			for _, n := range c.of(w.Val) {
				got = got || n == nodes[0]
			}
			if want := memberIs(w.Val, c.key, text); got != want {
				t.Errorf("%s is the element of %s: got %v, want %v", w.Val, text, got, want)
			}
		}
	}
}

func newChoice() *jsonChoice {
	p := jsonPath{}
	c := p.choice("name")
	for _, text := range []string{"doc_id", "owner", ""} {
		c.nodes[text] = append(c.nodes[text], &jsonNode{})
	}
	return c
}

// If this fails, a source reads another element of an array than its file says.
func TestJSONChoice(t *testing.T) {
	c := newChoice()
	for _, element := range append(choiceElements, choiceElements...) {
		checkChoice(t, c, element)
	}
}

// FuzzJSONChoice compares the choice with a walk of the element for each text.
func FuzzJSONChoice(f *testing.F) {
	for _, element := range choiceElements {
		f.Add(element)
	}
	c := newChoice()
	f.Fuzz(func(t *testing.T, element string) { checkChoice(t, c, element) })
}
