package scan

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The order of a log's dates would be guessed where it is open, or refused where all of them tell it.
func TestOrderIn(t *testing.T) {
	written := time.Date(2026, 11, 20, 23, 0, 0, 0, time.UTC).UnixMicro()
	for _, c := range []struct {
		dates string // of the lines
		want  Order
	}{
		{"19/11/2026 20/11/2026", DayFirst},
		{"11/19/2026 11/20/2026", MonthFirst},
		{"01/11/2026 02/11/2026 03/11/2026", DayFirst}, // only the day changes
		{"11-01-2026 11-02-2026", MonthFirst},
		{"05/06/2026", NoOrder},
		{"05/06/2026 06/05/2026", NoOrder},
		{"19/11/2026 11/20/2026", NoOrder}, // somebody writes both
		{"11/19/26 11/20/26", MonthFirst},
		{"26/11/19 26/11/20", YearFirst},
		{"12/11/2026", DayFirst}, // December is yet to come
		{"31/02/2026", NoOrder},
		{"", NoOrder},
	} {
		head := ""
		for _, date := range strings.Fields(c.dates) {
			head += fmt.Sprintf("\"%s 10:00:00\",ann,http://files.example/?on=31/12/2025 x\n", date)
		}
		if got := orderIn([]byte(head), written); got != c.want {
			t.Errorf("%q: got %d, want %d", c.dates, got, c.want)
		}
	}
	near := "\"09/11/2026 10:00:00\"\n" // November, since the log was written then
	if got := orderIn([]byte(near), time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC).UnixMicro()); got != DayFirst {
		t.Errorf("near: got %d, want %d", got, DayFirst)
	}
	if got := orderIn([]byte("http://files.example/30/11/2026 x\n10.0.0.5\n"), written); got != NoOrder {
		t.Errorf("within a URL: got %d, want %d", got, NoOrder)
	}
}
