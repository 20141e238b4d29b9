package scan

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// markSlowly defines the result of MarkText.
func markSlowly(p []byte, sep, other byte) []Mark {
	marks := make([]Mark, (len(p)+63)/64)
	for i, c := range p {
		m, bit := &marks[i/64], uint64(1)<<(i%64)
		if c == sep {
			m.Sep |= bit
		}
		if c == '\n' {
			m.Line |= bit
		}
		if c == other {
			m.Other |= bit
		}
	}
	return marks
}

// checkMarks compares the functions of this machine, and those for any machine,
// with the slow definition.
func checkMarks(t *testing.T, p []byte, sep, other byte) {
	t.Helper()
	want := markSlowly(p, sep, other)
	if got := MarkText(nil, p, sep, other); !slices.Equal(got, want) {
		t.Errorf("markText(%q, %q, %q):\ngot  %x\nwant %x", p, sep, other, got, want)
	}
	var at []uint32
	for i, c := range p {
		if c == sep || c == '\n' {
			at = append(at, uint32(i+7))
		}
	}
	for by, write := range map[string]func(pos []uint32, marks []Mark, at int) int{"places": places, "placesWords": placesWords} {
		pos := make([]uint32, 64*len(want)+64)
		if got := pos[:write(pos, want, 7)]; !slices.Equal(got, at) {
			t.Errorf("%s of %q, %q: got %d, want %d", by, p, sep, got, at)
		}
	}
	whole := len(p) / 64
	got := make([]Mark, whole)
	if markWords(got, p, sep, other); !slices.Equal(got, want[:whole]) {
		t.Errorf("markWords(%q, %q, %q):\ngot  %x\nwant %x", p, sep, other, got, want)
	}
}

// If this fails, fields or records are cut at the wrong byte, perhaps on some
// machines only.
func TestMarks(t *testing.T) {
	for c := range 256 { // each byte beside each byte that it could be confused with
		p := make([]byte, 0, 256)
		for d := range 256 {
			p = append(p, byte(d))
		}
		checkMarks(t, p, byte(c), byte(c)^1)
		checkMarks(t, bytes.Repeat([]byte{byte(c)}, 130), byte(c), byte(c)^0x80)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		p := make([]byte, r.IntN(300))
		for i := range p {
			p[i] = "\x00\t\n\",;a\x7f\x80\xff"[r.IntN(10)]
		}
		checkMarks(t, p[min(len(p), r.IntN(3)):], "\t,; \x00"[r.IntN(5)], "\"\\\xff"[r.IntN(3)])
	}
}

// The memory of an earlier text must not show through.
func TestMarksAgain(t *testing.T) {
	marks := MarkText(nil, bytes.Repeat([]byte{','}, 1000), ',', '"')
	p := []byte("a,b\n\"")
	if got, want := MarkText(marks, p, ',', '"'), markSlowly(p, ',', '"'); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func FuzzMarks(f *testing.F) {
	f.Add([]byte("a,\"b\"\"\n\",c\n"), byte(','), byte('"'))
	f.Add(bytes.Repeat([]byte("a\tb\\\n"), 40), byte('\t'), byte('\\'))
	f.Fuzz(func(t *testing.T, p []byte, sep, other byte) { checkMarks(t, p, sep, other) })
}

func BenchmarkMarks(b *testing.B) {
	p := bytes.Repeat([]byte("2026-01-01T00:00:01.687Z,liam@corp.example.com,10.34.182.87,0,2801\n"), 480)
	marks := make([]Mark, len(p)/64)
	for _, by := range []struct {
		name string
		mark func(marks []Mark, p []byte, sep, other byte)
	}{{"this", markBlocks}, {"any", markWords}} {
		b.Run("machine="+by.name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				by.mark(marks, p, ',', '"')
			}
		})
	}
}
