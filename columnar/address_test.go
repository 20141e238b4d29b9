package columnar

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestAppendAddress(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.5": "10.0.0.5", "::ffff:10.0.0.5": "10.0.0.5", "::FFFF:a00:5": "10.0.0.5", "10.0.0.5:51234": "10.0.0.5",
		"0:0:0:0:0:ffff:0a00:0005": "10.0.0.5", "[::ffff:10.0.0.5]:443": "10.0.0.5", "[10.0.0.5]": "10.0.0.5", " 10.0.0.5\t": "10.0.0.5",
		"2001:db8::5": "2001:db8::5", "2001:DB8::5": "2001:db8::5", "2001:0db8:0:0:0:0:0:5": "2001:db8::5",
		"[2001:db8::5]": "2001:db8::5", "[2001:db8::5]:443": "2001:db8::5", "fe80::1%eth0": "fe80::1", "[fe80::1%eth0]:53": "fe80::1",
		// Notations of single programs.
		"10.0.0.5, 203.0.113.9": "10.0.0.5", "2001:db8::5,10.0.0.5": "2001:db8::5", "10.0.0.5:51234, 203.0.113.9:80": "10.0.0.5",
		"[10.0.0.5]:7972": "10.0.0.5", "unknown, 10.0.0.5": "10.0.0.5", "-, Unknown,10.0.0.5:80, 10.0.0.6": "10.0.0.5",
		"/10.0.0.5:51234": "10.0.0.5", "/[2001:db8::5]:443": "2001:db8::5", "10.0.0.5/52110": "10.0.0.5", "10.0.0.5/32": "10.0.0.5",
		"2001:db8::5/128": "2001:db8::5", "10.0.0.5#53": "10.0.0.5", "2001:db8::5#53": "2001:db8::5", "10.0.0.5@53111": "10.0.0.5", "fe80::5%eth0@53": "fe80::5", "10.0.0.5(52110)": "10.0.0.5",
		"::ffff:10.0.0.5:51234": "10.0.0.5", "2001:db8:1:2:3:4:5:6:40684": "2001:db8:1:2:3:4:5:6", "10.0.0.5%2": "10.0.0.5",
		"10.0.0.5.443": "10.0.0.5", "2001:db8::5.443": "2001:db8::5", "::ffff:10.0.0.5.443": "10.0.0.5", "10.0.0.5.65536": "10.0.0.5.65536",
		"1.2.3.4.5.6": "1.2.3.4.5.6", "corp.2.3.4.5": "corp.2.3.4.5",
		"10.0.0.5%2:443": "10.0.0.5", "010.000.000.005": "10.0.0.5", "010.000.000.005:51234": "10.0.0.5",
		// Texts that are not an address, or that could mean several.
		"": "", "-": "", "N/A": "", "undefined": "", "010.0.0.5": "010.0.0.5", "10.0.0": "10.0.0", "167772165": "167772165", "10.0.0.5:": "10.0.0.5:",
		"10.0.0.5:65536": "10.0.0.5:65536", "pc1, 10.9.9.9": "pc1, 10.9.9.9", "pc.corp.example:443": "pc.corp.example:443",
		"unknown": "", "unknown,": "unknown,", "unknown, pc1": "unknown, pc1", "[pc1]:443": "[pc1]:443",
		"[]": "[]", "[": "[", "[::1": "[::1", "AWS Internal": "AWS Internal", "%eth0": "%eth0", "010.000.000.256": "010.000.000.256",
		"/": "/", "#53": "#53", "@53": "@53", "10.0.0.5@": "10.0.0.5@", "anna@10.0.0.5": "anna@10.0.0.5", ",": ",", "10.0.0.5/": "10.0.0.5/", "10.0.0.5#99999999999999999999": "10.0.0.5#99999999999999999999",
		strings.Repeat("1", 1000): strings.Repeat("1", 1000), "\xff::1": "\xff::1",
	} {
		if got := string(AppendAddress([]byte("x"), []byte(text))); got != "x"+want {
			t.Errorf("%q: got %q, want %q", text, got, "x"+want)
		}
	}
}

// notations returns an address in some of the ways in which logs write it.
func notations(a netip.Addr, r *rand.Rand) []string {
	long := netip.AddrFrom16(a.As16()).StringExpanded() // IPv4: as IPv6
	upper := strings.ToUpper(netip.AddrFrom16(a.As16()).String())
	port := r.IntN(1 << 16)
	out := []string{a.String(), long, upper, "[" + long + "]", fmt.Sprintf("[%s]:%d", upper, port), fmt.Sprint(" ", a, " ")}
	if a.Is4() {
		return append(out, fmt.Sprintf("%s:%d", a, port))
	}
	return append(out, long+"%eth0", fmt.Sprintf("[%s%%7]:%d", a, port))
}

// If this fails, two notations of an address have two codes. Cells are set in every way,
// and the dictionary grows meanwhile.
func TestOneAddressOneCode(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var want []string // by row
	var data []byte
	var spans []Span
	for range 2000 {
		bytes := [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: byte(r.IntN(200))}
		a := netip.AddrFrom16(bytes)
		if r.IntN(2) == 0 {
			a = netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(3)), byte(r.IntN(200))})
		}
		all := notations(a, r)
		text := all[r.IntN(len(all))]
		want = append(want, a.String())
		spans = append(spans, Span{uint32(len(data)), uint32(len(data) + len(text))})
		data = append(data, text...)
	}
	data = append(data, make([]byte, 64)...)
	data = data[:len(data)-64]
	distinct := len(slices.Compact(slices.Sorted(slices.Values(want))))
	ways := map[string]func(*Builder){
		"cell by cell": func(b *Builder) {
			for i, s := range spans {
				b.SetTime(0)
				b.SetText(SrcIP, data[s.Begin:s.End])
				b.SetText(DstIP, data[s.Begin:s.End])
				b.Next(int64(i + 1))
			}
		},
		"column by column": func(b *Builder) {
			times, records := make([]int64, len(spans)), make([]int64, len(spans))
			for i := range records {
				records[i] = int64(i + 1)
			}
			b.PutTimes(times)
			b.PutTexts(SrcIP, data, spans)
			b.PutTexts(DstIP, data, spans)
			b.NextRows(records)
		},
	}
	for way, put := range ways {
		t.Run(way, func(t *testing.T) {
			rows := 0
			out := &Out{Want: ColSet(Time, SrcIP, DstIP), Sink: func(b *Batch) {
				for _, c := range []Col{SrcIP, DstIP} {
					codes, dict := b.Codes(c)
					seen := map[int32]bool{}
					asked := 0
					lookup := Lookup[string]{Func: func(text []byte) string { asked++; return string(text) }}
					texts := lookup.Of(dict)
					for i, code := range codes {
						seen[code] = true
						if got := string(dict.Text(code)); got != want[i] || texts[code] != want[i] {
							t.Fatalf("%v, row %d: got %q (%q looked up), want %q", c, i, got, texts[code], want[i])
						}
					}
					if len(seen) != distinct || asked != distinct+1 {
						t.Errorf("%v: got %d codes, %d texts looked up, want %d, and one more", c, len(seen), asked, distinct)
					}
				}
				rows += b.Len()
			}}
			b := out.Table(Network)
			b.makeRoom(BatchRows) // for all in one batch
			put(b)
			out.Flush()
			if rows != len(want) {
				t.Errorf("got %d rows, want %d", rows, len(want))
			}
		})
	}
}
