package sigma

import (
	"slices"
	"testing"
)

// A name that is missed would be reported as mistyped though a rule has it.
func TestPlaceholders(t *testing.T) {
	files := []File{
		{Name: "a.yml", Text: []byte("f|expand: '50%%servers%.%zones%x%nets%'\ng: '\\%plain\\% 5 % of it'\n")},
		{Name: "b.yml", Text: []byte("f|contains: '%TEMP%'\n")},
		{Name: "c.yml", Text: []byte("f|expand: none")},
	}
	want := []string{".", "nets", "servers", "x", "zones"}
	if got := Placeholders(files); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
