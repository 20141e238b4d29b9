package logs

import (
	"bytes"
	"slices"
	"testing"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// keptNames lead through objects and arrays, and one of them leads to others.
var keptNames = []string{"a", "a.b", "a.b.c", "x.list.name", "additionalEventData.via", "userIdentity.type", "d"}

// keptOf returns the fields of an event, as put sets them.
func keptOf(put func(b *columnar.Builder)) (fields []string) {
	out := &columnar.Out{Want: columnar.ColSet(columnar.Operation)}
	for _, name := range keptNames {
		out.WantFields[columnar.API.ID] = append(out.WantFields[columnar.API.ID], columnar.WantedField{Name: name})
	}
	out.Sink = func(b *columnar.Batch) {
		for _, name := range keptNames {
			codes, dict := b.Field(name)
			text := "no " + name
			if codes != nil && codes[0] == columnar.FieldEmpty {
				text = "empty"
			} else if codes != nil && codes[0] >= 0 {
				text = string(dict.Text(codes[0]))
			}
			fields = append(fields, text)
		}
	}
	b := out.Table(columnar.API)
	b.SetTime(0)
	put(b)
	b.Next(1)
	out.Flush()
	return fields
}

func checkKept(t *testing.T, event []byte) {
	t.Helper()
	keys := newKeptKeys(keptNames)
	shape := newTrailShape()
	along := keys.within(shape, numTrailFields)
	var values [64]scan.Value
	for range 2 { // the second time keys are known
		has, _, ok := shape.Read(event, values[:])
		if !ok {
			return
		}
		var scratch []byte
		var twice bool
		got := keptOf(func(b *columnar.Builder) { twice = !along.put(b, shape, has, &scratch) })
		if twice {
			return // keptKeys.put reads it
		}
		want := keptOf(func(b *columnar.Builder) { newKeptKeys(keptNames).put(b, event, &scratch) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: got fields %q, want %q", event, got, want)
		}
	}
}

var keptEvents = []string{
	`{"a":{"b":{"c":"1"}},"d":null,"additionalEventData":{"via":"q\u0041","bytesTransferredIn":5},"userIdentity":{"type":"Root"}}`,
	`{"x":{"list":[{"name":"1"},{"name":"2"},{"other":3}]},"a":[{"b":1},{"b":{"c":2}}],"d":""}`,
	`{"x":{"list":[[{"name":"1"}],{"name":"only"}]},"a.b":1,"a":{"b.c":2},"x.list":{"name":3}}`,
	`{"d":"first","d":"last","a":{"b":1},"a":{"c":2}}`,
	`{"userIdentity":[{"type":"x"}],"additionalEventData":null,"d":[1,2],"a":5}`,
}

// If this fails, a rule reads another field of an event along with its columns than it
// would find by its path.
func TestKeptAlong(t *testing.T) {
	for _, event := range keptEvents {
		checkKept(t, []byte(event))
	}
	many := make([]string, 64)
	for i := range many {
		many[i] = "f" + string(rune('A'+i))
	}
	if newKeptKeys(many).within(newTrailShape(), numTrailFields) != nil {
		t.Error("more fields than a shape has fit into one")
	}
}

// FuzzKeptAlong compares the fields that a shape reads with those of a walk by path.
func FuzzKeptAlong(f *testing.F) {
	for _, event := range keptEvents {
		f.Add([]byte(event))
	}
	f.Fuzz(func(t *testing.T, event []byte) {
		if len(event) <= fuzzSize && bytes.IndexByte(event, '\n') < 0 {
			checkKept(t, event)
		}
	})
}
