package detect

import (
	"math/rand/v2"
	"testing"
)

// If this fails, bytes of one hour are counted in another, or in another cell.
func TestHourSums(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	type cell struct {
		counts
		list hourList
		want hourly
	}
	s := newHourSums()
	for range 20 {
		var cells [50]cell
		for n := range 4000 {
			c := &cells[r.IntN(len(cells))]
			hour, bytes := r.Int64N(hoursOfDay), r.Int64N(3)*r.Int64N(1000)
			if n%2 == 0 {
				hour %= 1 + r.Int64N(6) // some cells have few hours
			}
			if bytes > 0 && hour != c.list.hour() {
				s.turn(&c.list, hour, c.out, c.hours>>hour&1 != 0)
			}
			c.hours |= 1 << hour
			c.out += bytes
			c.want[hour] += bytes
		}
		for i := range cells {
			var got hourly
			if s.addTo(&got, cells[i].list, cells[i].out); got != cells[i].want {
				t.Fatalf("cell %d: got %v, want %v", i, got, cells[i].want)
			}
		}
		s.reset()
	}
}
