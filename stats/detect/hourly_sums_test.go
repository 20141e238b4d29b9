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
		var turns []hourTurn
		for n := range 4000 {
			at := r.Int32N(int32(len(cells)))
			c := &cells[at]
			hour, bytes := r.Int64N(hoursOfDay), r.Int64N(3)*r.Int64N(1000)
			if n%2 == 0 {
				hour %= 1 + r.Int64N(6) // some cells have few hours
			}
			if bytes > 0 && hour != c.list.hour() {
				turns = append(turns, c.list.begin(at, hour, c.out, c.hours>>hour&1 != 0))
			}
			for ; len(turns) > 0 && r.IntN(20) == 0; turns = turns[1:] { // some wait for others
				s.turn(&cells[turns[0].cell].list, &turns[0])
			}
			c.hours |= 1 << hour
			c.out += bytes
			c.want[hour] += bytes
		}
		for i := range turns {
			s.turn(&cells[turns[i].cell].list, &turns[i])
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
