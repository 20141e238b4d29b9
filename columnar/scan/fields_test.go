package scan_test

import (
	"testing"

	"outflow/columnar/scan"
)

// A log may be a million objects of one line, and many sources look for a header in each:
// what a record takes must not be what a window takes.
func TestFieldsOfFewBytes(t *testing.T) {
	var f scan.Fields
	f.Reset([]byte("a,b\n"), ',', '"')
	if !f.Next() || cap(f.Pos) > 1024 {
		t.Errorf("room for %d fields in a record of 4 bytes", cap(f.Pos))
	}
}
