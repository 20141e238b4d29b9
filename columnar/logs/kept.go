package logs

import (
	"strings"

	"outflow/columnar"
)

// keptKeys are the keys of nested JSON objects that lead to fields which rules read,
// named by their paths: requestParameters.bucketName.
type keptKeys struct {
	name []byte // of the field that ends here; nil: none
	next map[string]*keptKeys
}

// newKeptKeys returns the way to the fields; nil if there is none.
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
func (k *keptKeys) put(b *columnar.Builder, object value, depth int, scratch *[]byte) {
	var w walker
	for w.open(object); w.next(); {
		below := k
		if w.close == '}' {
			if below = k.next[string(w.key)]; below == nil {
				continue
			}
		}
		nested := w.val.is('{') || w.val.is('[')
		switch {
		case below.name == nil || w.close != '}':
		case nested:
			b.SetField(below.name, w.val)
		default:
			if text := w.text(scratch); text != nil {
				b.SetField(below.name, text)
			}
		}
		if nested && below.next != nil && depth < maxKeptDepth {
			below.put(b, w.val, depth+1, scratch)
		}
	}
}
