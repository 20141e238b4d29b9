package scan_test

import (
	"bytes"
	"math/rand/v2"
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

// checkFields compares the fields of text without quotes with those found byte by byte, and looks whether what is
// said of each window holds.
func checkFields(t *testing.T, data []byte, sep, other byte) {
	t.Helper()
	var f scan.Fields
	f.Reset(data, sep, other)
	at := 0 // where the next field begins
	for f.Next() {
		begin := 0
		for _, end := range f.Ends {
			record := at
			for i := begin; i < end; i++ {
				want := at
				for want < len(data) && data[want] != sep && data[want] != '\n' {
					want++
				}
				if got := int(f.Pos[i+1]); got != want || int(f.Pos[i]+1) != at && at > 0 {
					t.Fatalf("a field at %d ends at %d, want %d: %q, %q", at, got, want, sep, data)
				}
				if f.Plain && (at == len(data) || data[at] <= '"' || data[at] == '[') {
					t.Fatalf("the field at %d is said to be plain: %q, %q", at, sep, data)
				}
				if last := i+1 == end; last != (want == len(data) || data[want] == '\n') {
					t.Fatalf("a record ends at %d, or does not: %q, %q", want, sep, data)
				}
				at = want + 1
			}
			if other != sep && !f.Noted && bytes.IndexByte(data[record:min(at, len(data))], other) >= 0 {
				t.Fatalf("%q in the record at %d is not noted: %q, %q", other, record, sep, data)
			}
			begin = end
		}
	}
	if at < len(data) {
		t.Fatalf("found %d of %d bytes: %q, %q", at, len(data), sep, data)
	}
}

// If this fails, fields or records are cut at the wrong byte, or a field in quotes is read as a plain one.
func TestFields(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for range 400 {
		p := make([]byte, r.IntN(3*scan.Window))
		plain := r.IntN(2) == 0
		between := 1 + r.IntN(40)
		for i := range p {
			switch c := r.IntN(between + 1); {
			case c < between || plain && i > 0 && (p[i-1] == ' ' || p[i-1] == '\n'):
				p[i] = "abcdefgh"[r.IntN(8)]
			case r.IntN(5) == 0:
				p[i] = '\n'
			case plain || r.IntN(20) > 0:
				p[i] = ' '
			default:
				p[i] = "\"[\t\x00\r|"[r.IntN(6)]
			}
		}
		checkFields(t, p, ' ', "\t |"[r.IntN(3)])
	}
}

func FuzzFields(f *testing.F) {
	f.Add(bytes.Repeat([]byte("2026-01-01 10.0.0.5 GET /a - 200\n"), 40), byte(' '), byte('\t'))
	f.Add(bytes.Repeat([]byte("a  \"b c\" [d]\n\n"), 40), byte(' '), byte(' '))
	f.Add(bytes.Repeat([]byte("a\tb\\\tc|d"), 900), byte('\t'), byte('\\'))
	f.Fuzz(func(t *testing.T, data []byte, sep, other byte) {
		if other == '"' || sep == '\n' {
			return
		}
		checkFields(t, data, sep, other)
	})
}
