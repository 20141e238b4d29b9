package logs

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	gocmp "github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// hostile has texts that a client could write into a log.
var hostile = []string{
	"plain", "", "a,b", `say "hi"`, "two\nlines", "cr\r", " spaces ", "=1+1", "+1", "-1", "@x", "\tx", "＝1", "\x00nul", "\x1b[2Jesc", "\x9b2J", "\u009bc1",
	"\xff\xfe", "é\xc3", "日本語", "a\\b", "\u2028", "</script>", "'", strings.Repeat("x", 70_000), "\x7f", `\`, "null",
}

// writeHostile writes the hostile texts as users and URL paths, in batches whose
// dictionaries grow; every third row has bytes_out.
func writeHostile(t *testing.T, as string, rows int, flushEvery int) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := NewWriter(as, &file, columnar.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	out := &columnar.Out{Want: ^columnar.Cols(0), Sink: func(b *columnar.Batch) {
		if err := w.Write(b, nil); err != nil {
			t.Fatal(err)
		}
	}}
	b := out.Table(columnar.HTTP)
	for i := range rows {
		b.SetTime(1772000000_000000 + int64(i)*250_000)
		b.SetText(columnar.User, []byte(hostile[i%len(hostile)]))
		b.SetText(columnar.URLPath, []byte(hostile[(i+1)%len(hostile)]))
		b.SetText(columnar.SrcIP, fmt.Appendf(nil, "10.0.%d.%d", i>>8&255, i&255))
		if i%3 == 0 {
			b.SetInt(columnar.BytesOut, int64(i)-3)
		}
		if i%2 == 0 {
			b.SetInt(columnar.StatusCode, 200)
		}
		b.Next(int64(i + 1))
		if i%flushEvery == flushEvery-1 {
			out.Flush()
		}
	}
	out.Flush()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// utf8Name returns the text of a user whom a log names so.
func utf8Name(text string) string { return string(columnar.AppendName(nil, []byte(text))) }

func TestWriteCSV(t *testing.T) {
	for _, test := range []struct {
		as   string
		want func(string) string
	}{
		{"csv-raw", func(s string) string { return string(appendUTF8(nil, []byte(s))) }},
		{"csv", func(s string) string { return string(guardCell(nil, []byte(s))) }},
	} {
		t.Run(test.as, func(t *testing.T) {
			file := writeHostile(t, test.as, len(hostile), 5)
			records, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Join(records[0], ","), "time,user,src_ip,host,account,method,url_host,url_path,user_agent,status_code,bytes_out,bytes_in,dst_ip,action,uid,event_uid"; got != want {
				t.Errorf("got header %s, want %s", got, want)
			}
			if len(records) != len(hostile)+1 {
				t.Fatalf("got %d records, want %d", len(records), len(hostile)+1)
			}
			// encoding/csv reads CR LF in quotes as LF; no text here has both.
			for i, text := range hostile {
				r := records[i+1]
				if want := test.want(utf8Name(text)); r[1] != want {
					t.Errorf("user: got %q, want %q", r[1], want)
				}
				wantOut := ""
				if i%3 == 0 {
					wantOut = strconv.Itoa(i - 3)
				}
				if r[10] != wantOut {
					t.Errorf("bytes_out: got %q, want %q", r[10], wantOut)
				}
			}
			if got, want := records[2][0], "2026-02-25T06:13:20.25Z"; got != want {
				t.Errorf("time: got %s, want %s", got, want)
			}
		})
	}
}

func TestGuardCell(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"plain", "plain"}, {"", ""}, {"=1", "'=1"}, {"+1", "'+1"}, {"-1", "'-1"}, {"@a", "'@a"}, {"\t=1", "'\t=1"},
		{"＝1", "'＝1"}, {"－1", "'－1"}, {"\x00=1", "'\ufffd=1"}, {"a=1", "a=1"}, {"\x1b[2J", "\ufffd[2J"}, {"\u009b", "\ufffd"}, {"\x9b", "\ufffd"}, {"©", "©"}, {"a\nb", "a\nb"}, {"a\r\nb", "a\r\nb"}, {"a\rb", "a\ufffdb"}, {"\r=1\r", "'\ufffd=1\ufffd"},
		{"\u202egnp.exe", `\u202egnp.exe`}, {"a\u200bb", `a\u200bb`}, {"1\u00a0000 Zoë", "1\u00a0000 Zoë"}, {"\U000e0041", `\udb40\udc41`}, {"\u2028", `\u2028`},
	} {
		if got := string(guardCell(nil, []byte(test.text))); got != test.want {
			t.Errorf("guardCell(%q): got %q, want %q", test.text, got, test.want)
		}
	}
}

func TestWriteJSONL(t *testing.T) {
	file := writeHostile(t, "jsonl", len(hostile), 5)
	lines := bytes.Split(bytes.TrimSuffix(file, []byte("\n")), []byte("\n"))
	if len(lines) != len(hostile) {
		t.Fatalf("got %d lines, want %d", len(lines), len(hostile))
	}
	for i, line := range lines {
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%.100q: %v", line, err)
		}
		want := map[string]any{"time": got["time"], "src_ip": fmt.Sprintf("10.0.0.%d", i)}
		if name := utf8Name(hostile[i]); name != "" {
			want["user"] = name
		}
		if text := hostile[(i+1)%len(hostile)]; text != "" {
			want["url_path"] = string(appendUTF8(nil, []byte(text)))
		}
		if i%3 == 0 {
			want["bytes_out"] = float64(i - 3)
		}
		if i%2 == 0 {
			want["status_code"] = 200.0
		}
		if d := gocmp.Diff(want, got); d != "" {
			t.Errorf("line %d (-want +got):\n%s", i+1, d)
		}
		if bytes.ContainsAny(line, "\x00\x1b\x7f\r") {
			t.Errorf("line %d has control characters: %.100q", i+1, line)
		}
	}
}

func TestWriteArrow(t *testing.T) {
	const rows = 1000
	file := writeHostile(t, "arrow", rows, 7)
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	r, err := ipc.NewReader(bytes.NewReader(file), ipc.WithAllocator(mem))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Schema().Equal(columnar.HTTP.Schema()) {
		t.Errorf("got schema %v", r.Schema())
	}
	i := 0
	for r.Next() {
		rec := r.Record()
		users := rec.Column(1).(*array.Dictionary)
		texts := users.Dictionary().(*array.String)
		out := rec.Column(10).(*array.Int64)
		for row := range int(rec.NumRows()) {
			if got, want := texts.Value(users.GetValueIndex(row)), utf8Name(hostile[i%len(hostile)]); got != want {
				t.Fatalf("row %d: got user %.40q, want %.40q", i, got, want)
			}
			if out.IsNull(row) != (i%3 != 0) || i%3 == 0 && out.Value(row) != int64(i)-3 {
				t.Fatalf("row %d: got bytes_out %v", i, out.ValueStr(row))
			}
			i++
		}
	}
	if r.Err() != nil || i != rows {
		t.Errorf("got %d rows, %v, want %d", i, r.Err(), rows)
	}
}

// TestWriteArrowPython reads the stream with pyarrow, if OUTFLOW_PYTHON names a
// Python that has it: dictionary deltas are where implementations differ.
func TestWriteArrowPython(t *testing.T) {
	python := os.Getenv("OUTFLOW_PYTHON")
	if python == "" {
		t.Skip("OUTFLOW_PYTHON does not name a Python with pyarrow")
	}
	name := filepath.Join(t.TempDir(), "http.arrows")
	if err := os.WriteFile(name, writeASCII(t, 40_000), 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := exec.Command(python, "-c", `
import sys, pyarrow.ipc as ipc
n = out = last = 0
for b in ipc.open_stream(sys.argv[1]):
    for user, bytes_out in zip(b["user"].to_pylist(), b["bytes_out"].to_pylist()):
        assert user == "user%d" % (n // 3), (n, user)
        out += bytes_out or 0
        n += 1
print(n, out)`, name).CombinedOutput()
	if want := "40000 799980000"; err != nil || strings.TrimSpace(string(got)) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

// writeASCII writes rows of ever new users, in batches of any size.
func writeASCII(t *testing.T, rows int) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := NewWriter("arrow", &file, columnar.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	out := &columnar.Out{Want: ^columnar.Cols(0), Sink: func(b *columnar.Batch) {
		if err := w.Write(b, nil); err != nil {
			t.Fatal(err)
		}
	}}
	b := out.Table(columnar.HTTP)
	for i := range rows {
		b.SetTime(1772000000_000000)
		b.SetText(columnar.User, fmt.Appendf(nil, "user%d", i/3))
		b.SetInt(columnar.BytesOut, int64(i))
		b.Next(int64(i + 1))
		if i%9973 == 0 {
			out.Flush()
		}
	}
	out.Flush()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestWriteNothing(t *testing.T) {
	for as, want := range map[string]string{"csv": "time,user,src_ip,host,account,query,domain,query_type,rcode,answers_len,dst_ip,answers\n", "jsonl": ""} {
		var file bytes.Buffer
		w, err := NewWriter(as, &file, columnar.DNS)
		if err == nil {
			err = w.Close()
		}
		if err != nil || file.String() != want {
			t.Errorf("%s: got %q, %v, want %q", as, file.String(), err, want)
		}
	}
	if _, err := NewWriter("xml", io.Discard, columnar.DNS); err == nil {
		t.Error("xml: got no error")
	}
}

type fullDisk struct{}

var errFull = errors.New("no space left")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestWriteError(t *testing.T) {
	for _, as := range []string{"csv", "jsonl", "arrow"} {
		w, err := NewWriter(as, fullDisk{}, columnar.DNS)
		if err != nil {
			t.Fatal(err)
		}
		out := &columnar.Out{Want: ^columnar.Cols(0), Sink: func(b *columnar.Batch) { err = w.Write(b, nil) }}
		b := out.Table(columnar.DNS)
		b.SetTime(1)
		b.Next(1)
		out.Flush()
		if !errors.Is(err, errFull) {
			t.Errorf("%s: got %v, want %v", as, err, errFull)
		}
	}
	w, _ := NewWriter("csv", io.Discard, columnar.HTTP)
	out := &columnar.Out{Sink: func(b *columnar.Batch) {
		if err := w.Write(b, nil); err == nil {
			t.Error("a batch of another table: got no error")
		}
	}}
	b := out.Table(columnar.DNS)
	b.SetTime(1)
	b.Next(1)
	out.Flush()
}

func BenchmarkWrite(b *testing.B) {
	for _, as := range []string{"csv", "jsonl", "arrow"} {
		b.Run(as, func(b *testing.B) {
			w, err := NewWriter(as, io.Discard, columnar.HTTP)
			if err != nil {
				b.Fatal(err)
			}
			rows := 0
			out := &columnar.Out{Want: ^columnar.Cols(0), Sink: func(batch *columnar.Batch) {
				for b.Loop() {
					if err := w.Write(batch, nil); err != nil {
						b.Fatal(err)
					}
					rows += batch.Len()
				}
			}}
			rb := out.Table(columnar.HTTP)
			for i := range columnar.BatchRows {
				rb.SetTime(1772000000_000000 + int64(i))
				rb.SetText(columnar.User, fmt.Appendf(nil, "user%d", i%100))
				rb.SetText(columnar.URLPath, fmt.Appendf(nil, "/a/b/%d.html", i))
				rb.SetInt(columnar.BytesOut, int64(i))
				rb.Next(int64(i + 1))
			}
			out.Flush()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
		})
	}
}
