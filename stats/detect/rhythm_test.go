package detect

import (
	"math"
	"testing"
)

// If this fails, rows whose beats overlap end the program.
func TestEchoOfOverlappingRows(t *testing.T) {
	var s beatSeries
	for day, rhythm := range []string{"90000:1 60:1 60:1", "30:1 60:1 60:1"} {
		if !s.addRow(&Row{Day: Day(day), Summary: Summary{Rhythm: rhythm}}) {
			t.Fatalf("%q is not read", rhythm)
		}
	}
	if e := s.echo(60); math.IsNaN(e) || e < -1 || e > 1 {
		t.Errorf("got an autocorrelation of %v", e)
	}
}
