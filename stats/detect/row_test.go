package detect

import (
	"math/rand/v2"
	"reflect"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// randomSummary returns a Summary with few different values, zero among them, so that
// there are ties.
func randomSummary(r *rand.Rand) (s Summary) {
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		n := r.Int64N(4)
		switch f := v.Field(i).Addr().Interface().(type) {
		case *int64:
			*f = n
		case *float64:
			*f = float64(n)
		case *string:
			*f = []string{"", "a", "b", "long"}[n]
			if v.Type().Field(i).Name == "Activity" {
				*f = []string{"", "h3 4", "h1:5 9:9223372036854775807", "h1:2"}[n]
			}
		case *[]string:
			*f = [][]string{nil, {"a"}, {"a", "b"}, {"long"}}[n]
		default:
			panic("a type that the test does not know: " + v.Type().Field(i).Name)
		}
	}
	return s
}

// If this fails, what a finding over several rows says depends on the order in which
// they were merged, or Merge forgets a measure.
func TestMergeLaws(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 20_000 {
		a, b, c := randomSummary(r), randomSummary(r), randomSummary(r)
		if diff := gocmp.Diff(a.Merge(b), b.Merge(a)); diff != "" {
			t.Fatalf("a and b, b and a:\n%s", diff)
		}
		if diff := gocmp.Diff(a.Merge(b).Merge(c), a.Merge(b.Merge(c))); diff != "" {
			t.Fatalf("(a and b) and c, a and (b and c):\n%s", diff)
		}
		if diff := gocmp.Diff(a, Summary{}.Merge(a)); diff != "" {
			t.Fatalf("nothing and a:\n%s", diff)
		}
	}
}

// If this fails, merging two days mixes the peak of one with the time or evidence of the
// other, or adds up their addresses.
func TestMerge(t *testing.T) {
	monday := Summary{Events: 2, BytesOut: 9e18, First: 10, Last: 30, PeakOut: 7, PeakTime: 20, Evidence: "mon:2", Addresses: 3, Examples: []string{"www"}}
	tuesday := Summary{Events: 1, BytesOut: 9e18, First: 50, Last: 60, PeakOut: 7, PeakTime: 55, Evidence: "tue:1", Addresses: 1, Examples: []string{"longer"}}
	want := Summary{Events: 3, BytesOut: 1<<63 - 1, First: 10, Last: 60, PeakOut: 7, PeakTime: 20, Evidence: "mon:2", Addresses: 3, Examples: []string{"longer"}}
	if diff := gocmp.Diff(want, tuesday.Merge(monday)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
