package logs

import (
	"fmt"
	"testing"

	"outflow/columnar"
)

// If this fails, rules about Windows run on events of Sysmon for Linux, or rules about
// Linux on events of Windows.
func TestWinXMLOrigin(t *testing.T) {
	event := func(provider string, second int) string {
		return fmt.Sprintf(`<Event><System><Provider Name="%s"/><EventID>1</EventID><TimeCreated SystemTime="2026-05-04T08:00:0%dZ"/></System>`+
			`<EventData><Data Name="Image">tool</Data></EventData></Event>`+"\n", provider, second)
	}
	text := event("Microsoft-Windows-Sysmon", 0) + event("Linux-Sysmon", 1) + event("Linux-Sysmon", 2) + event("Microsoft-Windows-Sysmon", 3)
	d, err := WinXML.New(&Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	out := columnar.Out{Want: columnar.ColSet(columnar.Time, columnar.Path), Sink: func(b *columnar.Batch) {
		got += fmt.Sprintf("%d of %s %s; ", b.Len(), b.Product, b.Service)
	}}
	if err := d.Decode(&Block{Data: []byte(text), First: 1}, &out, &Tally{}); err != nil {
		t.Fatal(err)
	}
	out.Flush()
	if want := "1 of windows ; 2 of linux sysmon; 1 of windows ; "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
