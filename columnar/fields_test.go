package columnar

import (
	"slices"
	"strings"
	"testing"
)

// If this fails, a log is read for fields that only rules of other products or services
// name, or a field that a rule needs of it is left out.
func TestWantedFields(t *testing.T) {
	trail := Origin{Product: "aws", Service: "cloudtrail"}
	fields := WantedFields{
		{Name: "any"},
		{Name: "policy", Origin: trail, Operations: []string{"putbucketpolicy"}},
		{Name: "principal", Origin: Origin{Product: "aws"}},
		{Name: "policy", Origin: Origin{Product: "aws"}},
		{Name: "parent", Origin: Origin{Product: "windows"}, Operations: []string{"send"}},
		{Name: "rule", Origin: Origin{Service: "exchange"}, Operations: []string{"new-inboxrule"}},
	}
	for _, c := range []struct {
		of              Origin
		names, ofAnyRow string
	}{
		{trail, "any policy principal", "any principal policy"},
		{Origin{Product: "aws", Service: "s3"}, "any principal policy", "any principal policy"},
		{Origin{Product: "aws"}, "any policy principal rule", "any principal policy"}, // its service may be any
		{Origin{Product: "windows"}, "any parent rule", "any"},
		{Origin{Product: "m365", Service: "exchange"}, "any rule", "any"},
		{Origin{}, "any policy principal parent rule", "any principal policy"}, // it may be any
	} {
		out := Out{Origin: c.of}
		out.WantFields[API.ID] = fields
		b := out.Table(API)
		if got := strings.Join(b.FieldNames(), " "); got != c.names {
			t.Errorf("%+v: got %s, want %s", c.of, got, c.names)
		}
		if got := strings.Join(b.WantedFields().Always().Names(), " "); got != c.ofAnyRow {
			t.Errorf("%+v, of every call: got %s, want %s", c.of, got, c.ofAnyRow)
		}
		if got := out.Table(HTTP).FieldNames(); len(got) > 0 {
			t.Errorf("%+v: got %v of another table", c.of, got)
		}
		// What a builder can hold depends on no log: the next one may be of another origin.
		for _, f := range fields {
			if !b.WantsField(f.Name) {
				t.Errorf("%+v: %s has no place", c.of, f.Name)
			}
		}
		out.Origin = Origin{Product: "windows"}
		if got := b.FieldNames(); !slices.Equal(got, []string{"any", "parent", "rule"}) {
			t.Errorf("after a log of %+v: got %v", c.of, got)
		}
	}
}

// If this fails, what two parts of a run want together is less than what each wants.
func TestWantedAnd(t *testing.T) {
	var a, b Wanted
	a.Fields[API.ID] = WantedFields{{Name: "x", Operations: []string{"get"}}}
	b.Fields[API.ID] = WantedFields{{Name: "x"}}
	both := a.And(b).Fields[API.ID]
	if got := both.Always().Names(); !slices.Equal(got, []string{"x"}) {
		t.Errorf("a field of some calls hides that it is wanted of all: got %v", got)
	}
	if got := both.Names(); !slices.Equal(got, []string{"x"}) {
		t.Errorf("got %v, want the name once", got)
	}
	if len(a.Fields[API.ID]) != 1 || len(a.Fields[API.ID][0].Operations) != 1 {
		t.Error("And changed what it was given")
	}
}

// If this fails, a text that somebody asks about is left out because of its length, or an event
// seems to lack a field because its text was.
func TestFieldsOfSomeLength(t *testing.T) {
	for _, put := range []func(b *Builder, texts []string){
		func(b *Builder, texts []string) {
			for i, text := range texts {
				b.SetTime(int64(i + 1))
				b.SetField([]byte("query"), []byte(text))
				b.SetField([]byte("uri"), []byte(text))
				b.Next(int64(i + 1))
			}
		},
		func(b *Builder, texts []string) {
			var spans []Span
			var records, times []int64
			data := strings.Join(texts, "")
			for i, text := range texts {
				begin := uint32(len(strings.Join(texts[:i], "")))
				spans = append(spans, Span{begin, begin + uint32(len(text))})
				records, times = append(records, int64(i+1)), append(times, int64(i+1))
			}
			b.PutTimes(times)
			b.PutField("query", []byte(data), spans)
			b.PutField("uri", []byte(data), spans)
			b.NextRows(records)
		},
	} {
		var got []string
		out := Out{Sink: func(b *Batch) {
			for _, name := range []string{"query", "uri"} {
				codes, dict := b.Field(name)
				for _, code := range codes {
					got = append(got, string(dict.Text(code)))
				}
			}
		}}
		out.WantFields[HTTP.ID] = WantedFields{{Name: "query", Least: 9}, {Name: "query", Least: 5}, {Name: "uri", Least: 7}, {Name: "uri"}}
		put(out.Table(HTTP), []string{"abcd", "abcde", "abcdefghij", "abcd"})
		out.Flush()
		if want := []string{"", "abcde", "abcdefghij", "", "abcd", "abcde", "abcdefghij", "abcd"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		var seen []string
		short := Out{Sink: func(*Batch) {}, WantFields: out.WantFields}
		put(short.Table(HTTP), []string{"abcd"})
		short.Flush()
		short.Fields(func(_ *Table, field string) { seen = append(seen, field) })
		if !slices.Equal(seen, []string{"query", "uri"}) {
			t.Errorf("got %v, want both fields", seen)
		}
	}
}
