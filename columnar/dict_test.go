package columnar

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// randomText returns short and long texts, with repetitions and shared starts.
func randomText(r *rand.Rand) []byte {
	n := r.IntN(80)
	if r.IntN(4) == 0 {
		n = r.IntN(4)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = "ab\x00"[r.IntN(3)]
	}
	return b
}

func TestDict(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	d := NewDict()
	codes := map[string]int32{"": 0}
	texts := []string{""}
	var kept [][]byte
	for range 100_000 {
		text := randomText(r)
		want, seen := codes[string(text)]
		if !seen {
			want = int32(len(texts))
			codes[string(text)] = want
			texts = append(texts, string(text))
		}
		if got := d.Code(text); got != want {
			t.Fatalf("Code(%q): got %d, want %d", text, got, want)
		}
		if !seen {
			kept = append(kept, d.Text(want))
		}
		clear(text) // the Dict must have copied it
	}
	if d.Len() != len(texts) || d.Len() < 10_000 {
		t.Errorf("got %d texts, want %d", d.Len(), len(texts))
	}
	size := 0
	for code, text := range texts {
		if got := d.Text(int32(code)); string(got) != text {
			t.Fatalf("Text(%d): got %q, want %q", code, got, text)
		}
		if code > 0 && string(kept[code-1]) != text {
			t.Fatalf("text %d did not stay valid: got %q, want %q", code, kept[code-1], text)
		}
		size += len(text)
	}
	if d.size() != size {
		t.Errorf("got size %d, want %d", d.size(), size)
	}
	text := []byte("seen before")
	d.Code(text)
	if n := testing.AllocsPerRun(100, func() { d.Code(text) }); n != 0 {
		t.Errorf("Code of a known text: got %v allocations, want 0", n)
	}
}

// If this fails, cells of a column have the text of another cell, perhaps only on
// some machines, or every look-up takes the slow path.
func TestDictCodes(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for by, find := range map[string]func(d *Dict, codes []int32, data []byte, spans []Span) uint64{"find": (*Dict).find, "findWords": (*Dict).findWords} {
		d, want := NewDict(), NewDict()
		known, found := 0, 0
		for range 3000 {
			var data []byte
			var spans []Span
			for range 1 + r.IntN(150) {
				text := randomText(r)
				if r.IntN(3) == 0 && d.Len() > 1 {
					text = d.Text(int32(r.IntN(d.Len())))
				}
				begin := uint32(len(data))
				data = append(data, text...)
				spans = append(spans, Span{begin, uint32(len(data))})
				data = append(data, "abab\x00\x00"[:r.IntN(7)]...)
			}
			some := spans[:min(len(spans), 64)]
			codes := make([]int32, len(spans))
			missed := find(d, codes, data, some)
			for i, s := range some {
				text := data[s.Begin:s.End]
				if missed>>i&1 == 0 {
					if got := d.Text(codes[i]); string(got) != string(text) {
						t.Fatalf("%s: got %q, want %q", by, got, text)
					}
					known, found = known+1, found+1
				} else if n := d.Len(); d.Code(text) < int32(n) && int(s.Begin)+room <= len(data) && len(text) <= longest {
					known++
				}
				want.Code(text)
			}
			d.Codes(codes, data, spans)
			for i, s := range spans {
				if code := want.Code(data[s.Begin:s.End]); codes[i] != code {
					t.Fatalf("%q: got code %d, want %d", data[s.Begin:s.End], codes[i], code)
				}
			}
		}
		if found*4 < known*3 {
			t.Errorf("%s found %d of %d texts", by, found, known)
		}
	}
}

// Texts that occur in logs must not share hashes, short texts least of all.
func TestHash(t *testing.T) {
	for _, test := range []struct {
		name string
		hash func([]byte) uint64
	}{{"hash", hash}, {"longHash", longHash}} {
		t.Run(test.name, func(t *testing.T) { checkHash(t, test.hash) })
	}
}

func checkHash(t *testing.T, hash func([]byte) uint64) {
	seen := map[uint64]string{}
	add := func(text string) {
		h := hash([]byte(text))
		if other, ok := seen[h]; ok && other != text {
			t.Errorf("%q and %q have the same hash", text, other)
		}
		seen[h] = text
	}
	for a := range 256 {
		add(string([]byte{byte(a)}))
		for b := range 256 {
			add(string([]byte{byte(a), byte(b)}))
		}
	}
	for i := range 100_000 {
		add(fmt.Sprint(i))
		add(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
		add(fmt.Sprintf("host-%06d.example.com", i))
	}
	for n := range 100 {
		add(strings.Repeat("\x00", n))
		for at := range n {
			add(strings.Repeat("a", at) + "b" + strings.Repeat("a", n-at-1))
		}
	}
	for i := range 1000 { // the first and the last half are the same
		add(strings.Repeat(fmt.Sprintf("%032d", i), 2))
	}
}

func BenchmarkDict(b *testing.B) {
	for _, distinct := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("distinct=%d", distinct), func(b *testing.B) {
			texts := make([][]byte, distinct)
			for i := range texts {
				texts[i] = fmt.Appendf(nil, "host-%d.example.com", i*7919)
			}
			d := NewDict()
			i := 0
			for b.Loop() {
				d.Code(texts[i])
				if i++; i == distinct {
					i = 0
				}
			}
		})
	}
}

// FuzzCodes looks up the texts of a block. The dictionary knows every other text
// already.
func FuzzCodes(f *testing.F) {
	f.Add([]byte("GETPOSTGETann@corp.exampleabob.jones@subsidiary.of.the.corp.example"), []byte{3, 4, 3, 16, 1, 40})
	f.Add(bytes.Repeat([]byte("ab"), 200), []byte{0, 31, 32, 33, 63, 64, 65, 7, 8, 9, 64})
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		var spans []Span
		d, want := NewDict(), NewDict()
		at := 0
		for i, size := range sizes[:min(len(sizes), 150)] {
			end := min(at+int(size), len(data))
			spans = append(spans, Span{uint32(at), uint32(end)})
			if i&1 == 0 {
				d.Code(data[at:end])
				want.Code(data[at:end])
			}
			at = end
		}
		if len(spans) == 0 {
			return
		}
		some := spans[:min(len(spans), 64)]
		codes, twin := make([]int32, len(spans)), make([]int32, len(spans))
		missed, missedByTwin := d.find(codes, data, some), d.findWords(twin, data, some)
		for i, s := range some {
			if found := missed>>i&1 == 0; found && string(d.Text(codes[i])) != string(data[s.Begin:s.End]) {
				t.Fatalf("%q: got %q", data[s.Begin:s.End], d.Text(codes[i]))
			} else if found && missedByTwin>>i&1 == 0 && codes[i] != twin[i] {
				t.Fatalf("%q: got code %d, want %d", data[s.Begin:s.End], codes[i], twin[i])
			}
		}
		d.Codes(codes, data, spans)
		for i, s := range spans {
			if code := want.Code(data[s.Begin:s.End]); codes[i] != code {
				t.Fatalf("%q: got code %d, want %d", data[s.Begin:s.End], codes[i], code)
			}
		}
	})
}

// BenchmarkCodes looks up the texts of a column of a large log.
func BenchmarkCodes(b *testing.B) {
	r := rand.New(rand.NewPCG(15, 16))
	for _, test := range []struct {
		name, format string
		texts        int
	}{
		{"methods", "", 6},
		{"users", "user%d", 3000},
		{"emails", "first.last%d@corp.example", 3000},
		{"hosts", "www.report%d.example", 200_000},
	} {
		zipf := rand.NewZipf(r, 1.05, 1, uint64(test.texts-1))
		var data []byte
		var spans []Span
		for range 1 << 20 {
			data = append(data, "GET https://"...)
			begin := uint32(len(data))
			if n := zipf.Uint64(); test.texts > 6 {
				data = fmt.Appendf(data, test.format, n)
			} else {
				data = append(data, "POST\x00CONNECT\x00GET\x00HEAD\x00PUT\x00OPTIONS\x00"[n*4:n*4+3+n%3]...)
			}
			spans = append(spans, Span{begin, uint32(len(data))})
		}
		data = append(data, "                                "...)
		b.Run("texts="+test.name, func(b *testing.B) {
			d := NewDict()
			var codes [256]int32
			for b.Loop() {
				for i := 0; i < len(spans); i += len(codes) {
					d.Codes(codes[:], data, spans[i:i+len(codes)])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(spans)), "ns/row")
		})
	}
}
