package logs

import (
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// keptKeys are the keys of nested JSON objects that lead to fields which rules read,
// named by their paths: requestParameters.bucketName.
type keptKeys struct {
	name []byte // of the field that ends here; nil: none
	next map[string]*keptKeys
}

// wholeKey is the name of the field that is the whole text of an event.
var wholeKey = []byte(columnar.Message)

// newKeptKeys returns the keys that lead to the fields; nil if there are no fields.
func newKeptKeys(names []string) *keptKeys {
	if len(names) == 0 {
		return nil
	}
	top := &keptKeys{}
	for _, name := range names {
		k := top
		for key := range strings.SplitSeq(name, ".") {
			if k.next == nil {
				k.next = map[string]*keptKeys{}
			}
			if k.next[key] == nil {
				k.next[key] = &keptKeys{}
			}
			k = k.next[key]
		}
		k.name = []byte(name)
	}
	return top
}

// maxKeptDepth is how deep arrays and objects are looked into: known sources have half
// as many levels.
const maxKeptDepth = 16

// put sets the fields that an object has. An object or array that is a field itself is
// its JSON text; of the objects of an array the last that has a field counts.
func (k *keptKeys) put(b *columnar.Builder, object scan.Value, depth int, scratch *[]byte) {
	var w scan.Walker
	for w.Open(object); w.Next(); {
		below := k
		if w.InObject() {
			if below = k.next[string(w.Key)]; below == nil {
				continue
			}
		}
		nested := w.Val.Is('{') || w.Val.Is('[')
		switch {
		case below.name == nil || !w.InObject():
		case nested:
			b.SetField(below.name, w.Val)
		default:
			if text := w.Text(scratch); text != nil {
				b.SetField(below.name, text)
			}
		}
		if nested && below.next != nil && depth < maxKeptDepth {
			below.put(b, w.Val, depth+1, scratch)
		}
	}
}
