package logs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"outflow/columnar"
	"outflow/columnar/scan"
)

func TestSquidLogFormat(t *testing.T) {
	for _, format := range []string{
		squidNative, squidHeaders, squidOutflow, squidCommon, squidCombined,
		"logformat squid " + squidNative, `%ts`, `%9ts.%03tu %-6tr %#ru`, `%ts "%>h{User-Agent}"`,
	} {
		if _, err := compileSquid(format); err != nil {
			t.Errorf("got %v", err)
		}
	}
	for _, test := range []struct{ format, want string }{
		{"%ru", "names no time"},
		{"%ts%tu", "nothing stands between two fields"},
		{"%ts %nosuch", "%nosuch: the code is not known"},
		{"%ts %", "%: the code is not known"},
		{"%ts %{User-Agent", "no } behind {"},
		{"%ts %{User-Agent}>h", "put its field in quotes"},
		{"%{%H:%M}tl", "is not read: use %ts"},
	} {
		if _, err := Squid.New(&Options{LogFormat: test.format}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("logformat %q: got %v, want an error with %q", test.format, err, test.want)
		}
	}
}

// If this fails, the fields of some lines are not cut where the format says.
func TestSquidUsual(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	agent := "Mozilla/5.0 (X11; Linux x86_64)"
	for _, test := range []struct{ format, line string }{
		{squidNative, "1772000000.123     45 10.0.0.1 TCP_MISS/200 512 GET http://a.example/x bob HIER_DIRECT/192.0.2.1 text/html"},
		{squidOutflow, `1772000000.123     45 10.0.0.1 TCP_MISS/200 512 99 GET http://a.example/x bob HIER_DIRECT/192.0.2.1 text/html "` + agent + `"`},
		{squidCommon, `10.0.0.1 - bob [01/Mar/2026:10:11:12 +0000] "GET http://a.example/x HTTP/1.1" 200 512 TCP_MISS:HIER_DIRECT`},
		{squidCombined, `10.0.0.1 - bob [01/Mar/2026:10:11:12 +0000] "GET http://a.example/x HTTP/1.1" 200 512 "-" "` + agent + `" TCP_MISS:HIER_DIRECT`},
		{`x "%{User-Agent}>h" %6tr "%{Referer}>h" %ts %5>a %ru "`, `x "` + agent + `"     17 "a b" 1772000000   10.0.0.1 http://a.example/x "`},
	} {
		l, err := compileSquid(test.format)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 20_000 {
			text := []byte(test.line)
			for range min(n/4, r.IntN(4)) {
				at := r.IntN(len(text))
				switch c := " \"\\:/1aA\r\n"[r.IntN(10)]; r.IntN(3) {
				case 0:
					text = append(text[:at], append([]byte{c}, text[at:]...)...)
				case 1:
					text[at] = c
				default:
					text = append(text[:at], text[at+1:]...)
				}
			}
			usual := checkUsual(t, l, test.line, text, n)
			if n < 4 && !usual {
				t.Errorf("%q is not usual", text)
			}
		}
	}
}

// checkUsual reads a line that is followed by another one, and reports whether it is
// usual. The window has n&2 bytes before the line, and n&1 selects its line end. The
// assembly must give the same result as the Go code, and the usual path the same fields
// as the careful one.
func checkUsual(t *testing.T, l *squidLayout, next string, text []byte, n int) (usual bool) {
	t.Helper()
	data := []byte("x\n" + string(text) + []string{"\n", "\r\n"}[n&1] + next + "\nanother \"line, and usual reads its start")
	line := bytes.TrimRight(data[2:scan.LineEnd(data, 2)], " \r\n")
	fast, slow := squid{layout: l, data: data}, squid{layout: l, data: data}
	begin := n & 2
	if want := scan.LineEnd(data, 2); !fast.look(begin) || fast.behind[1-begin/2] != want || data[fast.behind[len(fast.behind)-1]] != 'a' {
		t.Fatalf("%q: got lines up to %d, want %d among them", data, fast.behind, want)
	}
	usual = fast.usual(2, scan.LineEnd(data, 2)) && fast.fits()
	any := squid{layout: l, data: data, window: fast.window, spaces: fast.spaces, quotes: fast.quotes}
	if at := 2 - begin + len(l.lead); bytes.HasPrefix(data[2:], []byte(l.lead)) {
		// If the assembly finds no end within 32 bytes, the careful path reads the line.
		got, want := fast.cut(at), any.cutGo(at)
		if got != want && !(got < 0 && farApart(line)) || got >= 0 && fast.spans != any.spans {
			t.Fatalf("%q:\ngot  %x, to %d\nwant %x, to %d", data, fast.spans, got, any.spans, want)
		}
	}
	if usual && (!slow.match(2, 2+len(line)) || fast.spans != slow.spans) {
		t.Fatalf("%q:\ngot  %x\nwant %x", data, fast.spans, slow.spans)
	}
	return usual
}

// farApart reports whether a field may end 32 or more bytes after its start, because a
// word is that long.
func farApart(line []byte) bool {
	return slices.ContainsFunc(bytes.Split(line, []byte(" ")), func(word []byte) bool { return len(word) >= 32 })
}

func FuzzUsual(f *testing.F) {
	formats := []string{squidNative, squidHeaders, squidOutflow, squidCommon, squidCombined}
	f.Add([]byte("1772000000.123     45 10.0.0.1 TCP_MISS/200 512 GET http://a.example/x bob HIER_DIRECT/192.0.2.1 text/html"), uint8(0), false)
	f.Add([]byte(`10.0.0.1 - bob [01/Mar/2026:10:11:12 +0000] "GET http://a.example/x HTTP/1.1" 200 512 TCP_MISS:HIER_DIRECT`), uint8(2), true)
	f.Add([]byte(`10.0.0.1 - bob [01/Mar/2026:10:11:12 +0000] "GET http://a.example/x HTTP/1.1" 200 512 "-" "a\"b" TCP_MISS:HIER_DIRECT`), uint8(3), false)
	f.Fuzz(func(t *testing.T, text []byte, format uint8, crlf bool) {
		if len(text) > 1000 || bytes.IndexByte(text, '\n') >= 0 { // a window holds the line and those around it
			return
		}
		l, err := compileSquid(formats[int(format)%len(formats)])
		if err != nil {
			t.Fatal(err)
		}
		n := 2
		if crlf {
			n = 1
		}
		checkUsual(t, l, "1772000000.123 45 10.0.0.1 TCP_MISS/200 512 GET http://a.example/x bob HIER_DIRECT/192.0.2.1 text/html", text, n)
	})
}

// BenchmarkDecodeSquid decodes with every column wanted and with those of a
// day's uploads.
func BenchmarkDecodeSquid(b *testing.B) {
	data := benchLog(b, "OUTFLOW_BENCH_SQUID", func() []byte {
		var in bytes.Buffer
		for i := range 1 << 16 {
			fmt.Fprintf(&in, "%d.%03d %6d 10.1.%d.%d TCP_TUNNEL/200 %d CONNECT host%d.example.com:443 user%d HIER_DIRECT/203.0.113.%d text/html;x=%d\n",
				1772000000+i/50, i%1000, i*7%90000, i%7, i%250, i*7919%1_000_003, i*31%5000, i*17%2000, i%250, i%100)
		}
		return in.Bytes()
	})
	for _, test := range []struct {
		name string
		want columnar.Cols
	}{
		{"all", ^columnar.Cols(0)},
		{"uploads", columnar.ColSet(columnar.Time, columnar.User, columnar.SrcIP, columnar.Method, columnar.URLHost, columnar.BytesOut)},
	} {
		b.Run("columns="+test.name, func(b *testing.B) { benchDecode(b, Squid, data, test.want) })
	}
}
