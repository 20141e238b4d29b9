package detect

import (
	"iter"
	"strings"
)

// This file says where the bytes of a day went of which no detection names a destination.

// Locate sets Mostly of findings. rows yields the rows of user_destination_day of the days
// of the findings; it is not ranged over if no finding needs it.
func Locate(findings []Finding, rows iter.Seq2[*Row, error]) error {
	type dayKey struct {
		Key
		day Day
	}
	of := map[dayKey][]*Finding{}
	for i := range findings {
		if f := &findings[i]; f.Verdict == uploadVerdict && f.Object == "" && f.Summary.BytesOut > 0 && f.Window[1]-f.Window[0] <= dayMicros {
			of[dayKey{f.Key, f.Day}] = append(of[dayKey{f.Key, f.Day}], f)
		}
	}
	if len(of) == 0 {
		return nil
	}
	for r, err := range rows {
		if err != nil {
			return err
		}
		if r.Object == "" {
			continue
		}
		k := dayKey{r.Key, r.Day}
		k.Object = ""
		for _, f := range of[k] {
			if r.BytesOut > f.Summary.BytesOut/2 { // no other row can
				f.Mostly = strings.Clone(r.Object) // not the block of rows
			}
		}
	}
	return nil
}
