package scan

import (
	"math"
	"testing"
)

func TestParseNumber(t *testing.T) {
	for _, c := range []struct {
		in    string
		scale int64
		want  int64
		ok    bool
	}{
		{"0.0", 1, 0, true},
		{"1.073741824E9", 1, 1 << 30, true},
		{"9.5367431640625e-07", 1e6, 0, true},
		{"2.5e-3", 1e6, 2500, true},
		{"9223372036854775807", 1, math.MaxInt64, false}, // too large to be summed safely
		{"4611686018427387904", 1, 1 << 62, true},
		{"1e300", 1, 0, false},
		{"-1e2", 1, -100, true},
		{"e", 1, 0, false},
		{"", 1, 0, false},
		{"NaN", 1, 0, false},
	} {
		got, ok := Number([]byte(c.in), c.scale)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("parseNumber(%q, %d): got %d, %v, want %d, %v", c.in, c.scale, got, ok, c.want, c.ok)
		}
	}
}

// If this fails, an upload of 1,234,567 bytes counts for nothing, or for a thousandth.
func TestSize(t *testing.T) {
	for in, want := range map[string]float64{
		"5000 B": 5000, "5,000 bytes": 5000, "1 byte": 1, "5kB": 5000, "4.5 MiB": 4.5 * (1 << 20), "1.234 MB": 1234000, "1.234,5 GB": 1234.5e9, "0.000 B": 0, "1.5 tb": 1.5e12,
		"5000": -1, "": -1, "B": -1, "5 furlongs": -1, "734.003 B": -1, "1,234 KB": -1, "5 B B": -1, "0x5 B": -1,
	} {
		x, ok := Size([]byte(in))
		if ok != (want >= 0) || ok && x != want {
			t.Errorf("%q: got %v, %v, want %v", in, x, ok, want)
		}
	}
}

func TestGrouped(t *testing.T) {
	for _, c := range []struct {
		in    string
		whole bool
		want  float64
		ok    bool
	}{
		{"1,234,567", true, 1234567, true},
		{"1,234,567", false, 1234567, true},
		{"1,234,567.89", true, 1234567.89, true},
		{"1.234.567", true, 1234567, true},
		{"1.234.567,5", true, 1234567.5, true},
		{"12 345", true, 12345, true},
		{"12\u00a0345\u00a0678", true, 12345678, true},
		{"12\u202f345,5", false, 12345.5, true},
		{"1'234'567", true, 1234567, true},
		{"1’234’567", true, 1234567, true},
		{"1_000_000", true, 1000000, true},
		{"1,234", true, 1234, true},
		{"1,234", false, 0, false},
		{"0,245", false, 0.245, true},
		{"734003200,0", true, 734003200, true},
		{"5,0E+09", true, 5e9, true},
		{"12,5", true, 12.5, true},

		{"1,23,456", true, 123456, true},
		{"12,34,56,789.5", false, 123456789.5, true},
		{"123,45,678", true, 0, false},
		{"1,23,45", true, 0, false},
		{"1,23,456,789", true, 0, false},
		{"1,234,5", true, 0, false},
		{"1,2345,678", true, 0, false},
		{"1234,567,890", true, 0, false},
		{"0,234,567", true, 0, false},
		{"1.234.567.8", true, 0, false},
		{"1,234.567,8", true, 0, false},
		{"10.0.0.5", true, 0, false},
		{"1.5 MB", true, 0, false},
		{"12 KB", true, 0, false},
		{"1 234 bytes", true, 0, false},
		{",5", true, 0, false},
		{",", true, 0, false},
		{"", true, 0, false},
		{"-1,234", true, 0, false},
		{"many", true, 0, false},
		{"1,234,567,890,123,456,789,012,345,678", true, 0, false},
	} {
		got, ok := Grouped([]byte(c.in), c.whole)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("Grouped(%q, %v): got %v, %v, want %v, %v", c.in, c.whole, got, ok, c.want, c.ok)
		}
	}
}

// If this fails, bytes that a program printed in hexadecimal are not counted, or other texts are.
func TestHex(t *testing.T) {
	for text, want := range map[string]int64{
		"0x1fa4": 8100, "0X10": 16, "0xfffffffffffffff": 1<<60 - 1, "0x0": 0,
		"0x": -1, "1fa4": -1, "0xfg": -1, "0x1000000000000000": -1, "-0x1": -1, "": -1,
	} {
		if got, ok := Hex([]byte(text)); ok != (want >= 0) || ok && got != want {
			t.Errorf("Hex(%q) = %d, %v, want %d", text, got, ok, want)
		}
	}
}
