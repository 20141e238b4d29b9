package scan

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestAny reads times of one moment as programs write them. The numbers are those of
// PowerShell, .NET and Chrome for it.
func TestAny(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"1795165200", "2026-11-20T09:00:00Z"},
		{"1795165200.5", "2026-11-20T09:00:00.5Z"},
		{"1795165200.", "2026-11-20T09:00:00Z"},
		{" 1795165200 ", "2026-11-20T09:00:00Z"},
		{"1.7951652e9", "2026-11-20T09:00:00Z"},
		{"1.7951652E+12", "2026-11-20T09:00:00Z"},
		{"1795165200123", "2026-11-20T09:00:00.123Z"},
		{"1795165200123.5", "2026-11-20T09:00:00.1235Z"},
		{"1795165200123456", "2026-11-20T09:00:00.123456Z"},
		{"1795165200123456789", "2026-11-20T09:00:00.123456Z"},
		{"134396388000000000", "2026-11-20T09:00:00Z"}, // FILETIME
		{"13439638800000000", "2026-11-20T09:00:00Z"},  // WebKit
		{"639307620000000000", "2026-11-20T09:00:00Z"}, // .NET
		{"20261120", "2026-11-20T00:00:00Z"},
		{"20261120090000", "2026-11-20T09:00:00Z"},
		{"2026-11-20 9:00:00 AM", "2026-11-20T09:00:00Z"},
		{"2026-11-20 09:00:00.25 PM", "2026-11-20T21:00:00.25Z"},
		{"11/20/2026 12:30 am", "2026-11-20T00:30:00Z"},
		{"1/2/2026, 12:30:01\u202fPM", "2026-01-02T12:30:01Z"},
		{"11/20/2026, 9:00:00.5 AM UTC", "2026-11-20T09:00:00.5Z"},
		{"Nov 20, 2026 9:00:00 AM", "2026-11-20T09:00:00Z"},
		{"Nov  2 2026 09:00:00 UTC", "2026-11-02T09:00:00Z"},
		{"November 2, 2026, 9:00:00 p.m.", "2026-11-02T21:00:00Z"},
		{"20 Nov 2026 21:00:00 GMT", "2026-11-20T21:00:00Z"},
		{"2 Nov 2026, 21:00", "2026-11-02T21:00:00Z"},
		{"20.11.2026, 9:00:00", "2026-11-20T09:00:00Z"},
		{"2.11.2026 21:00:00", "2026-11-02T21:00:00Z"},
		{"Nov 2 2026 21:00:00", "2026-11-02T21:00:00Z"},
		{"Nov 20, 2026 @ 21:00:00.250", "2026-11-20T21:00:00.25Z"},
		{"Fri, 20 Nov 2026 21:00:00 GMT", "2026-11-20T21:00:00Z"},
		{"Fri, 20 Nov 2026 21:00:00 +0100", "2026-11-20T20:00:00Z"},
		{"Friday, November 20, 2026 9:00:00 PM", "2026-11-20T21:00:00Z"},
		{"Fri Nov 20 21:00:00 2026", "2026-11-20T21:00:00Z"},
		{"Mon Nov  2 21:00:00 2026", "2026-11-02T21:00:00Z"},
		{"Fri Nov 20 21:00:00 UTC 2026", "2026-11-20T21:00:00Z"},
		{"Fri Nov 20 2026 21:00:00 GMT+0100 (Central European Standard Time)", "2026-11-20T20:00:00Z"},
		{"20/Nov/2026:21:00:00 +0100", "2026-11-20T20:00:00Z"},
		{"20-Nov-2026 21:00:00.5", "2026-11-20T21:00:00.5Z"},
		{"20-NOV-26 09.00.00 PM", ""},
		{"20-NOV-26 09:00:00 PM", "2026-11-20T21:00:00Z"},
		{"2 Sept 2026, 21:00:00", "2026-09-02T21:00:00Z"},
		{"2026/11/20 9:00:00 PM", "2026-11-20T21:00:00Z"},
		{"20261120T210000Z", "2026-11-20T21:00:00Z"},
		{"20261120T210000.5+0100", "2026-11-20T20:00:00.5Z"},
		{"2026-11-20T21:00", "2026-11-20T21:00:00Z"},
		{"2026-11-20T21:00Z", "2026-11-20T21:00:00Z"},
		{"2026-11-20T21:00+01:00", "2026-11-20T20:00:00Z"},
		{"2026-11-20 21:00:00.123456789 +0000 UTC", "2026-11-20T21:00:00.123456Z"},
		{"2026-11-20 21:00:00 +0100 CET", "2026-11-20T20:00:00Z"},
		{"2026-11-20T21:00:00+01:00[Europe/Paris]", "2026-11-20T20:00:00Z"},
		{"/Date(1795165200123)/", "2026-11-20T09:00:00.123Z"}, {"/Date(1795165200123+0100)/", "2026-11-20T09:00:00.123Z"}, {"/Date(1795165200123-0500)/", "2026-11-20T09:00:00.123Z"},
		{"1795165200,5", "2026-11-20T09:00:00.5Z"},
		{"2026-11-20T24:00:00Z", "2026-11-21T00:00:00Z"},
		{"2026-11-20 24:00:00", "2026-11-21T00:00:00Z"},
		{"20.11.2026 24:00:00", "2026-11-21T00:00:00Z"},
		{"2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"},
		{"2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z"},
		{"946684800", "2000-01-01T00:00:00Z"},
		{"1990-01-01T00:00:00Z", "1990-01-01T00:00:00Z"},

		{"1989-12-31T23:59:59Z", outside},
		{"2100-01-01T00:00:00Z", outside},
		{"4102444800", outside},
		{"1e30", outside},
		{"946684799", doubtful},
		{"2026-11-23T00:00:01Z", late},
		{"1795392001", late},
		{"46346.41", ""},
		{"17951688", ""},
		{"20261131", ""},
		{"20261120250000", ""},
		{"0", ""},
		{"-1795165200", ""},
		{"99999999999999999999", ""},
		{"1795165200x", ""},
		{"1.2.3", ""},
		{"2026-11-20", "2026-11-20T00:00:00Z"},
		{"2026-11-20 13:00:00 PM", ""},
		{"2026-11-20 0:00:00 AM", ""},
		{"20/11/2026 9:00:00 AM", ""},
		{"9:00 AM", ""},
		{"11/20/2026, 21:00:00", unordered}, // nobody says that the other dates of the log are so
		{"Nov 20, 2026", ""},
		{"Nov 31, 2026 9:00:00 AM", ""},
		{"Now 20, 2026 9:00:00 AM", ""},
		{"2026-11-20T24:00:01Z", ""},
		{"20.11.2026 24:30:00", ""},
		{"Fri 20/11/2026 21:00:00", unordered},
		{"20-11-26 21:00:00", unordered},
		{"20 Nov 21:00:00", ""},
		{"Fri, 20 Nov 2026 21:00:00 IST", ""}, // of India, Ireland or Israel?
		{"Fri, 20 Nov 2026 21:00:00 CET", "2026-11-20T20:00:00Z"},
		{"2026-11-20 21:00:00 EST", "2026-11-21T02:00:00Z"},
		{"2026-07-20 21:00:00 Europe/Berlin", "2026-07-20T19:00:00Z"},
		{"2026-11-20 21:00:00 Europe/Nowhere", ""},
		{"Fri Nov 20 21:00:00 CET 2026", "2026-11-20T20:00:00Z"},
		{"Fr., 20. Nov. 2026 21:00:00", "2026-11-20T21:00:00Z"},
		{"20. März 2026 21:00", "2026-03-20T21:00:00Z"},
		{"20 août 2026 21:00:00", "2026-08-20T21:00:00Z"},
		{"20 de noviembre de 2025, 21:00:00", "2025-11-20T21:00:00Z"},
		{"2026-11-20 9:00:00 p. m.", "2026-11-20T21:00:00Z"},
		{"2026/11/20 下午 9:00:00", "2026-11-20T21:00:00Z"},
		{"2026/11/20 오전9:00:00", "2026-11-20T09:00:00Z"},
		{"Nov 20 21:00:00 226", ""},
		{"20261120T21", ""},
		{"20261120T210060000", ""},
		{"/Date(soon)/", ""},
		{"20.11.26 9:00:00", "2026-11-20T09:00:00Z"},
		{"20.13.2026 9:00:00", ""},
		{"AM", ""},
		{"", ""},
	} {
		clock := Clock{Latest: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC).UnixMicro()}
		us, ok := clock.Any([]byte(c.text))
		got := clock.Fault("")
		if ok {
			got = time.UnixMicro(us).UTC().Format(time.RFC3339Nano)
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

// TestEpochs checks that no number fits two epochs, and that a float is read like the
// integer. Ticks may overlap with ns, since they are tried first.
func TestEpochs(t *testing.T) {
	for i, e := range epochs {
		for _, f := range epochs[i+1:] {
			if overlap := min(e.high, f.high) - max(e.low, f.low); overlap > 0 && e.start != start0001 {
				t.Errorf("%+v and %+v share %d numbers", e, f, overlap)
			}
		}
		for _, v := range []int64{e.low, e.low + (e.high-e.low)/2} {
			var c Clock
			us, ok := c.EpochOf(v)
			float, ok2 := c.EpochOfFloat(float64(v))
			if !ok || !ok2 || max(us-float, float-us) > 100*e.scale {
				t.Errorf("%d: got %d, %v, and %d, %v as a float", v, us, ok, float, ok2)
			}
		}
	}
}

// TestAnyAllocates checks that no time costs an allocation.
func TestAnyAllocates(t *testing.T) {
	var c Clock
	for _, text := range []string{"2026-11-20 09:00:00", "1795165200.25", "11/20/2026 9:00:00 PM", "Nov 20, 2026 9:00:00 PM UTC", "20261120090000", "2026-11-20", "soon"} {
		if n := testing.AllocsPerRun(10, func() { c.Any([]byte(text)) }); n > 0 {
			t.Errorf("%q: got %v allocations", text, n)
		}
	}
}

// If this fails, a time is read differently by its most frequent form than by all others, or
// damage in it passes. ISO reads fractions digit by digit.
func TestUTCIsISO(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 17))
	for range 200_000 {
		text := []byte("2026-11-20T22:14:05.273Z")
		if n := r.IntN(6); n != 3 {
			text = append(text[:19], ".5927"[:n]...)
			if n == 1 {
				text = text[:19]
			}
			text = append(text, 'Z')
		}
		for range r.IntN(3) {
			text[r.IntN(len(text))] = "09:/.Z-\x00\x80\xff5"[r.IntN(11)]
		}
		var fast, slow Clock
		us, ok := fast.UTC(text)
		if want, known := slow.ISO(text); ok && (!known || us != want) {
			t.Fatalf("%q: got %d, want %d, %t", text, us, want, known)
		}
	}
	for text, want := range map[string]int64{"2026-01-01T00:00:00.273Z": 273000, "2026-01-01T00:00:00.999Z": 999000, "2026-01-01T00:00:00.007Z": 7000} {
		var c Clock
		us, ok := c.UTC([]byte(text))
		if want += time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(); !ok || us != want {
			t.Errorf("%s: got %d, %t, want %d", text, us, ok, want)
		}
	}
}
