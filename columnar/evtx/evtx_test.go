package evtx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata")

// paths returns an event as lines: for each attribute, and each element that has no
// other element in it, the path and the text.
func paths(event []Token) (lines []string, err error) {
	var open []string
	var text strings.Builder
	leaf := false
	for i, t := range event {
		path := strings.Join(open, "/")
		switch t.Kind {
		case Start:
			open = append(open, t.Name)
			text.Reset()
			leaf = true
		case Attribute:
			if i == 0 || event[i-1].Kind != Start && event[i-1].Kind != Attribute {
				return nil, errors.New("an attribute outside a tag")
			}
			lines = append(lines, path+"@"+t.Name+"="+string(t.Text))
		case Text:
			if i == 0 || event[i-1].Kind == Text {
				return nil, errors.New("two texts in a row")
			}
			text.Write(t.Text)
		case End:
			if len(open) == 0 || open[len(open)-1] != t.Name {
				return nil, fmt.Errorf("end of %s in %s", t.Name, path)
			}
			if leaf {
				lines = append(lines, path+"="+text.String())
			}
			leaf = false
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return nil, fmt.Errorf("%v does not end", open)
	}
	return lines, nil
}

// A reading is everything that is read from a file.
type reading struct {
	ids     []uint64
	events  [][]string
	damage  []string // the errors of Open and Next, and the number of missing records
	missing int64
}

func read(t testing.TB, file []byte) *reading {
	t.Helper()
	out := &reading{}
	var r Reader
	for rest := file; len(rest) > 0; {
		n := Piece(rest, true)
		if n <= 0 || n > len(rest) {
			t.Fatalf("Piece: got %d of %d bytes", n, len(rest))
		}
		piece := rest[:n:n]
		rest = rest[n:]
		if err := r.Open(piece); err != nil {
			out.damage = append(out.damage, err.Error())
		}
		steps := int64(0)
		for ; ; steps++ {
			record, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				out.damage = append(out.damage, err.Error())
				continue
			}
			lines, err := paths(record.Event)
			if err != nil {
				t.Fatalf("record %d: %v", record.ID, err)
			}
			out.ids = append(out.ids, record.ID)
			out.events = append(out.events, lines)
		}
		if got := Records(piece); got != steps {
			t.Fatalf("Records: got %d, want the %d that Next told of", got, steps)
		}
		out.missing += r.Missing()
	}
	return out
}

// sampleFile is a file of ten events in two chunks.
func sampleFile() []byte {
	a, b := newChunk(), newChunk()
	a.sample(101)
	b.sample(106)
	return file(0, a.bytes(), b.bytes())
}

// If this fails, the sample file in other packages' tests differs from what the
// writer writes.
func TestSampleFile(t *testing.T) {
	w := newChunk()
	w.sample(1)
	want := file(0, w.bytes())[:HeaderSize+len(w.buf)] // the rest is zeros
	const name = "testdata/sample.evtx"
	if *update {
		if err := os.WriteFile(name, want, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %v, or not what the writer writes: go test -update", name, err)
	}
}

// If this fails, an event differs from what Windows makes of it.
func TestEvent(t *testing.T) {
	got := read(t, sampleFile())
	if len(got.damage) > 0 || got.missing != 0 {
		t.Fatalf("got damage %q, %d missing, want none", got.damage, got.missing)
	}
	if want := []uint64{101, 102, 103, 104, 105, 106, 107, 108, 109, 110}; !slices.Equal(got.ids, want) {
		t.Errorf("got records %v, want %v", got.ids, want)
	}
	system := func(provider, event, time, id, channel string) []string {
		return []string{
			"Event@xmlns=http://schemas.microsoft.com/win/2004/08/events/event",
			"Event/System/Provider@Name=" + provider, "Event/System/Provider=", "Event/System/EventID=" + event,
			"Event/System/Keywords=0x8000000000000000", "Event/System/TimeCreated@SystemTime=" + time, "Event/System/TimeCreated=",
			"Event/System/EventRecordID=" + id, "Event/System/Correlation=",
			"Event/System/Execution@ProcessID=1234", "Event/System/Execution=", "Event/System/Channel=" + channel,
			"Event/System/Computer=ws7.corp.example", "Event/System/Security@UserID=S-1-5-18", "Event/System/Security=",
		}
	}
	want := append(system("Microsoft-Windows-Sysmon", "1", "2026-03-20T09:46:40.0000000Z", "106", "Microsoft-Windows-Sysmon/Operational"),
		"Event/EventData/Data@Name=RuleName", "Event/EventData/Data=-",
		"Event/EventData/Data@Name=UtcTime", "Event/EventData/Data=2026-03-20 09:46:39.123",
		"Event/EventData/Data@Name=ProcessGuid", "Event/EventData/Data={12345678-1234-5678-0102-030405060708}",
		"Event/EventData/Data@Name=ProcessId", "Event/EventData/Data=4242",
		"Event/EventData/Data@Name=Image", `Event/EventData/Data=C:\Tools\rclone.exe`,
		"Event/EventData/Data@Name=Description", "Event/EventData/Data=Rsync for cloud storage",
		"Event/EventData/Data@Name=OriginalFileName", "Event/EventData/Data=rclone.exe",
		"Event/EventData/Data@Name=CommandLine", `Event/EventData/Data=rclone.exe copy "C:\Größe" remote:x`,
		"Event/EventData/Data@Name=User", `Event/EventData/Data=CORP\ann`,
		"Event/EventData/Data@Name=Hashes", "Event/EventData/Data=SHA256=00FF",
		"Event/EventData/Data@Name=ParentImage", `Event/EventData/Data=C:\Windows\System32\cmd.exe`)
	if diff := cmp.Diff(want, got.events[5]); diff != "" {
		t.Errorf("the first event of the second chunk (-want +got):\n%s", diff)
	}
	want = append(system("PowerShell", "400", "2026-03-20T09:46:44.0000000Z", "105", "Windows PowerShell"),
		"Event/EventData/Data=Available", "Event/EventData/Data=None", "Event/EventData/Binary=CAFE")
	if diff := cmp.Diff(want, got.events[4]); diff != "" {
		t.Errorf("a classic event (-want +got):\n%s", diff)
	}
}

// one returns the event of a chunk with one record.
func one(t *testing.T, body func(w *chunkWriter)) []string {
	t.Helper()
	w := newChunk()
	w.record(1, ticks(sampleTime), func() {
		w.fragment()
		body(w)
		w.u8(tokenEOF)
	})
	got := read(t, file(0, w.bytes()))
	if len(got.damage) > 0 || len(got.events) != 1 {
		t.Fatalf("got %d events, damage %q", len(got.events), got.damage)
	}
	return got.events[0]
}

// If this fails, a part of binary XML is read as something else.
func TestBinaryXML(t *testing.T) {
	null := valueOf{}
	a := &templateOf{el("A", el("B", "x", valueAt{0, typeString}, "z").with("C", "[", optionalAt{1, typeString}, "]"))}
	bare := &templateOf{el("A").with("P", optionalAt{0, typeString}).with("Q", valueAt{0, typeString}).with("R", optionalAt{1, typeString})}
	list := &templateOf{el("A", el("D", valueAt{0, typeString}).with("N", "n"), el("E", "=", valueAt{0, typeString}), el("F").with("G", valueAt{0, typeString}))}
	tests := []struct {
		name string
		body func(w *chunkWriter)
		want []string
	}{
		{"an element without a template", func(w *chunkWriter) {
			w.element(el("A", el("B", "text"), el("B"), el("B").with("C", "1")).with("D", "2"), false)
		}, []string{"A@D=2", "A/B=text", "A/B=", "A/B@C=1", "A/B="}},
		{"an element without a template that has the number of those with one", func(w *chunkWriter) {
			w.element(el("A", el("B", "text")), true)
		}, []string{"A/B=text"}},
		{"references and character data", func(w *chunkWriter) {
			w.element(el("A", "a", entityRef("amp"), entityRef("lt"), entityRef("other"), charRef(0x20ac), cdata("<c>"), target("pi"), "z"), false)
		}, []string{"A=a&<&other;€<c>z"}},
		{"texts around values", func(w *chunkWriter) { w.instance(a, str("y"), str("w")) }, []string{"A/B@C=[w]", "A/B=xyz"}},
		{"null values", func(w *chunkWriter) { w.instance(a, null, null) }, []string{"A/B@C=[]", "A/B=xz"}},
		{"values that are not there", func(w *chunkWriter) { w.instance(a) }, []string{"A/B@C=[]", "A/B=xz"}},
		{"attributes without a value", func(w *chunkWriter) { w.instance(bare, null, null) }, []string{"A@Q=", "A="}},
		{"attributes that are empty", func(w *chunkWriter) { w.instance(bare, str(""), null) }, []string{"A@P=", "A@Q=", "A="}},
		{"an array", func(w *chunkWriter) {
			w.instance(list, valueOf{kind: typeArray | typeUint16, data: []byte{1, 0, 2, 0}})
		}, []string{"A/D@N=n", "A/D=1", "A/D@N=n", "A/D=2", "A/E==1, 2", "A/F@G=1, 2", "A/F="}},
		{"an array of texts, some empty", func(w *chunkWriter) {
			w.instance(list, valueOf{kind: typeArray | typeString, data: text16("a\x00\x00c")})
		}, []string{"A/D@N=n", "A/D=a", "A/D@N=n", "A/D=", "A/D@N=n", "A/D=c", "A/E==a, , c", "A/F@G=a, , c", "A/F="}},
		{"elements that are only an optional value", func(w *chunkWriter) {
			w.instance(&templateOf{el("A", el("B", optionalAt{0, typeString}), el("C", optionalAt{1, typeString}).with("D", "1"), el("E", "x", optionalAt{0, typeString}))},
				null, str(""))
		}, []string{"A/C@D=1", "A/C=", "A/E=x"}},
		{"an empty array", func(w *chunkWriter) {
			w.instance(list, valueOf{kind: typeArray | typeString})
		}, []string{"A/D@N=n", "A/D=", "A/E==", "A/F="}},
		{"a template that is used twice", func(w *chunkWriter) {
			w.instance(a, str("1"), str("2"))
			w.instance(a, str("3"), str("4"))
		}, []string{"A/B@C=[2]", "A/B=x1z", "A/B@C=[4]", "A/B=x3z"}},
		{"elements in a value, without a template", func(w *chunkWriter) {
			w.instance(a, valueOf{kind: typeXML, xml: func() {
				w.fragment()
				w.element(el("X", "1"), false)
				w.element(el("Y", "2").with("Z", "3"), false)
				w.u8(tokenEOF)
			}}, null)
		}, []string{"A/B@C=[]", "A/B/X=1", "A/B/Y@Z=3", "A/B/Y=2"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, one(t, test.body)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// If this fails, values are not written as Windows writes them. The expected texts
// are from the documentation of the types and from Windows' own output.
func TestValues(t *testing.T) {
	le := func(v any) []byte {
		b, err := binary.Append(nil, binary.LittleEndian, v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	tests := []struct {
		kind byte
		in   []byte
		want string
	}{
		{typeNull, []byte{1}, ""},
		{typeString, text16("aé€😀\x00\x00"), "aé€😀"},
		{typeString, text16("abcdefgh\x00i"), "abcdefgh\x00i"},
		{typeString, []byte{'a', 0, 0x00, 0xd8, 'b', 0, 'c'}, "a\ufffdb"},
		{typeString, []byte{0x00, 0xd8}, "\ufffd"},
		{typeANSI, []byte("a\x80\xe9\x9f\x81\x00"), "a€éŸ\u0081"},
		{typeInt8, []byte{0xff}, "-1"},
		{typeUint8, []byte{0xff}, "255"},
		{typeInt16, le(int16(-2)), "-2"},
		{typeUint16, le(uint16(65535)), "65535"},
		{typeInt32, le(int32(-3)), "-3"},
		{typeUint32, le(uint32(1 << 31)), "2147483648"},
		{typeInt64, le(int64(-1 << 63)), "-9223372036854775808"},
		{typeUint64, le(uint64(1<<64 - 1)), "18446744073709551615"},
		{typeUint32, []byte{1, 2, 3}, "010203"},
		{typeFloat32, le(float32(0.1)), "0.1"},
		{typeFloat64, le(-2.5e10), "-2.5e+10"},
		{typeBool, le(uint32(1)), "true"},
		{typeBool, le(uint32(0)), "false"},
		{typeBinary, []byte{0, 0xab}, "00AB"},
		{typeGUID, []byte{0x85, 0x37, 0x70, 0x57, 0x2a, 0xc2, 0xe0, 0x43, 0xbf, 0x4c, 0x06, 0xf5, 0x69, 0x8f, 0xfb, 0xd9}, "{57703785-C22A-43E0-BF4C-06F5698FFBD9}"},
		{typeGUID, []byte{1}, "01"},
		{typeSize, le(uint32(0x1d74)), "0x1d74"},
		{typeHex32, le(uint32(0)), "0x0"},
		{typeHex64, le(uint64(0x8020000000000000)), "0x8020000000000000"},
		{typeFiletime, le(uint64(132223104000000000)), "2020-01-01T00:00:00.0000000Z"},
		{typeFiletime, le(uint64(132223104000000001)), "2020-01-01T00:00:00.0000001Z"},
		{typeFiletime, le(uint64(0)), "1601-01-01T00:00:00.0000000Z"},
		{typeFiletime, le(uint64(1)), "1601-01-01T00:00:00.0000001Z"},
		{typeFiletime, le(uint64(1<<64 - 1)), "FFFFFFFFFFFFFFFF"},
		{typeFiletime, le(uint64(2650467743999999999)), "9999-12-31T23:59:59.9999999Z"},
		{typeFiletime, le(uint64(2650467744000000000)), "0040C0D15E5AC824"},
		{typeSystemtime, le([]uint16{2020, 2, 6, 29, 23, 59, 58, 7}), "2020-02-29T23:59:58.007Z"},
		{typeSystemtime, le([]uint16{2021, 2, 1, 29, 23, 59, 58, 7}), "E507020001001D0017003B003A000700"},
		{typeSID, []byte{1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0}, "S-1-5-32-544"},
		{typeSID, []byte{1, 0, 1, 2, 3, 4, 5, 6}, "S-1-0x10203040506"},
		{typeSID, []byte{1, 2, 0, 0, 0, 0, 0, 5}, "0102000000000005"},
		{0x7f, []byte{1}, "01"},
	}
	for _, test := range tests {
		if got := string(appendValue(nil, test.kind, test.in)); got != test.want {
			t.Errorf("type %#x, % x: got %q, want %q", test.kind, test.in, got, test.want)
		}
	}
}

// If this fails, damage costs more records than it must, or is not reported.
func TestDamage(t *testing.T) {
	const first, second = HeaderSize, HeaderSize + ChunkSize // where the chunks begin
	ids := []uint64{101, 102, 103, 104, 105, 106, 107, 108, 109, 110}
	record := func(f []byte, chunk, n int) int { // where a record begins
		at := chunk + chunkHeader
		for ; n > 0; n-- {
			at += int(binary.LittleEndian.Uint32(f[at+4:]))
		}
		return at
	}
	without := func(gone ...uint64) []uint64 {
		return slices.DeleteFunc(slices.Clone(ids), func(id uint64) bool { return slices.Contains(gone, id) })
	}
	tests := []struct {
		name    string
		hurt    func(f []byte) []byte
		ids     []uint64
		damage  []string
		missing int64
	}{
		{"nothing", func(f []byte) []byte { return f }, ids, nil, 0},
		{"no file header", func(f []byte) []byte { return f[HeaderSize:] }, ids, nil, 0},
		{"no zeros at the end", func(f []byte) []byte { return f[:record(f, second, 5)] }, ids, nil, 0},
		{"two files in one", func(f []byte) []byte { return append(f, f...) }, append(slices.Clone(ids), ids...), nil, 0},
		{"chunks that are not used yet", func(f []byte) []byte { return append(f, make([]byte, 3*ChunkSize+5)...) }, ids, nil, 0},
		{"a byte of a text", func(f []byte) []byte { f[record(f, first, 1)-20] ^= 1; return f }, ids, []string{"chunk does not match its checksum"}, 0},
		{"checksums that are not kept", func(f []byte) []byte {
			f[record(f, first, 1)-20] ^= 1
			f[first+120] |= 4
			return f
		}, ids, nil, 0},
		{"the header of a chunk", func(f []byte) []byte { f[first+9] ^= 1; return f }, ids, []string{"chunk does not match its checksum"}, 0},
		{"the mark of a chunk", func(f []byte) []byte { f[first] = 'X'; return f }, ids, []string{"no chunk where one should be"}, 0},
		{"the size of a record", func(f []byte) []byte { f[record(f, first, 1)+5] ^= 0x40; return f },
			without(102), []string{"chunk does not match its checksum", "damaged record"}, 0},
		{"the mark of two records", func(f []byte) []byte {
			f[record(f, first, 1)] = 0
			f[record(f, first, 2)-5] = 0xff // also where a search could find the mark
			f[record(f, first, 2)] = 0
			return f
		}, without(102, 103), []string{"chunk does not match its checksum", "damaged record"}, 1},
		{"zeros in place of records", func(f []byte) []byte {
			clear(f[record(f, first, 3):record(f, first, 5)])
			return f
		}, without(104, 105), []string{"chunk does not match its checksum"}, 2},
		{"zeros before records", func(f []byte) []byte {
			clear(f[record(f, second, 0):record(f, second, 2)])
			return f
		}, without(106, 107, 108, 109, 110), []string{"chunk does not match its checksum", "damaged record",
			"damaged binary XML", "damaged binary XML", "damaged binary XML"}, 1}, // their templates are gone
		{"zeros in place of a chunk", func(f []byte) []byte { clear(f[first:second]); return f }, without(101, 102, 103, 104, 105), nil, 0},
		{"junk in place of a chunk", func(f []byte) []byte {
			copy(f[first:second], bytes.Repeat([]byte("junk"), ChunkSize/4))
			return f
		}, without(101, 102, 103, 104, 105), []string{"no chunk where one should be"}, 0},
		{"bytes between chunks", func(f []byte) []byte { return slices.Insert(f, second, []byte("some more bytes")...) },
			ids, []string{"no chunk where one should be"}, 0},
		{"bytes that are gone", func(f []byte) []byte { return slices.Delete(f, second-1000, second-10) }, ids, nil, 0},
		{"a chunk that is cut off in a record", func(f []byte) []byte { return f[:record(f, second, 3)+100] },
			without(109, 110), []string{"chunk is cut off", "damaged record"}, 1},
		{"a chunk that is cut off in its header", func(f []byte) []byte { return f[:second+100] },
			without(106, 107, 108, 109, 110), []string{"chunk is cut off"}, 0},
		{"binary XML", func(f []byte) []byte { f[record(f, second, 4)+recordHeader+5] = 0x7f; return f },
			ids, []string{"chunk does not match its checksum"}, 0}, // the version of a template means nothing
		{"a token of binary XML", func(f []byte) []byte { f[record(f, second, 4)+recordHeader+4] = 0x3f; return f },
			without(110), []string{"chunk does not match its checksum", "damaged binary XML"}, 0},
		{"more records than the header of an open chunk knows", func(f []byte) []byte {
			c := f[second:]
			binary.LittleEndian.PutUint64(c[16:], 107)
			binary.LittleEndian.PutUint32(c[48:], uint32(record(f, second, 2)-second))
			sealHeader(c)
			return f
		}, ids, []string{"chunk does not match its checksum"}, 0},
		{"leftovers of an older use behind the newest record", func(f []byte) []byte {
			c := f[second:]
			at := record(f, second, 3)
			binary.LittleEndian.PutUint64(f[at+8:], 17)
			binary.LittleEndian.PutUint64(c[16:], 108)
			binary.LittleEndian.PutUint32(c[48:], uint32(at-second))
			sealHeader(c)
			return f
		}, without(109, 110), []string{"chunk does not match its checksum"}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := read(t, test.hurt(sampleFile()))
			if diff := cmp.Diff(test.ids, got.ids); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.damage, got.damage); diff != "" {
				t.Errorf("damage (-want +got):\n%s", diff)
			}
			if got.missing != test.missing {
				t.Errorf("got %d missing, want %d", got.missing, test.missing)
			}
		})
	}
}

// If this fails, a hostile file takes all memory or time, or the stack.
func TestLimits(t *testing.T) {
	const copies = 60
	many := el("A")
	for range copies {
		many.content = append(many.content, valueAt{0, typeXML})
	}
	deep := el("A", "x")
	for range 2 * maxDepth {
		deep = el("A", deep)
	}
	texts := &templateOf{el("A")}
	for range 100 {
		texts.root.content = append(texts.root.content, valueAt{0, typeString})
	}
	wide := el("A")
	for range 1000 {
		wide.content = append(wide.content, valueAt{0, typeXML})
	}
	tests := []struct {
		name string
		body func(w *chunkWriter)
	}{
		{"instructions with a long text in a value, many times", func(w *chunkWriter) {
			w.instance(&templateOf{wide}, valueOf{kind: typeXML, xml: func() {
				for range 5000 {
					w.u8(tokenPIData)
					w.u16(0)
				}
				w.u8(tokenPIData)
				w.u16(15000)
				w.buf = append(w.buf, make([]byte, 30000)...)
				w.u8(tokenEOF)
			}})
		}},
		{"an instance with many values in a value, many times", func(w *chunkWriter) {
			w.instance(&templateOf{wide}, valueOf{kind: typeXML, xml: func() {
				w.instance(&templateOf{el("A")}, make([]valueOf, 12000)...)
				w.u8(tokenEOF)
			}})
		}},
		{"values in values, each of them many times", func(w *chunkWriter) {
			var nest func(depth int)
			nest = func(depth int) {
				w.fragment()
				w.instance(&templateOf{many}, valueOf{kind: typeXML, xml: func() {
					if depth > 0 {
						nest(depth - 1)
					}
					w.u8(tokenEOF)
				}})
			}
			nest(10)
		}},
		{"values in values without end", func(w *chunkWriter) {
			var nest func(depth int)
			t := &templateOf{el("A", valueAt{0, typeXML})}
			nest = func(depth int) {
				w.fragment()
				w.instance(t, valueOf{kind: typeXML, xml: func() {
					if depth > 0 {
						nest(depth - 1)
					}
					w.u8(tokenEOF)
				}})
			}
			nest(maxNested)
		}},
		{"elements in elements without end", func(w *chunkWriter) { w.element(deep, false) }},
		{"a long text many times", func(w *chunkWriter) { w.instance(texts, str(strings.Repeat("long", 5000))) }},
		{"an array in an element with a long attribute", func(w *chunkWriter) {
			w.instance(&templateOf{el("A", valueAt{0, typeArray}).with("B", "1").with("C", "1").with("D", "1")},
				valueOf{kind: typeArray | typeUint8, data: make([]byte, 40000)})
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newChunk()
			w.record(1, 0, func() {
				w.fragment()
				test.body(w)
				w.u8(tokenEOF)
			})
			w.event(2, sysmon(1, sampleTime), processCreate)
			began, before := time.Now(), allocated()
			got := read(t, file(0, w.bytes()))
			if all := allocated() - before; all > 64<<20 {
				t.Errorf("took %d bytes", all)
			}
			if !slices.Equal(got.damage, []string{errLimit.Error()}) || !slices.Equal(got.ids, []uint64{2}) {
				t.Errorf("got damage %q, records %v, want the second record", got.damage, got.ids)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// allocated returns how many bytes were allocated up to now.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// If this fails, each record that names a faulty template costs as much as the first.
func TestFaultyTemplate(t *testing.T) {
	w := newChunk()
	faulty := &templateOf{el("A", strings.Repeat("long", 3000), target("x"))}
	w.record(1, 0, func() {
		w.fragment()
		w.instance(faulty)
		w.u8(tokenEOF)
	})
	at := bytes.LastIndexByte(w.buf, tokenEnd)
	w.buf[at] = 0x3f // no token
	const records = 300
	for id := range uint64(records) {
		w.record(2+id, 0, func() {
			w.fragment()
			w.instance(faulty)
			w.u8(tokenEOF)
		})
	}
	w.event(2+records, sysmon(1, sampleTime), processCreate)
	before := allocated()
	got := read(t, file(0, w.bytes()))
	if len(got.damage) != 1+records || !slices.Equal(got.ids, []uint64{2 + records}) {
		t.Errorf("got %d faults, records %v, want the last record", len(got.damage), got.ids)
	}
	if all := allocated() - before; all > 2<<20 {
		t.Errorf("took %d bytes", all)
	}
}

// If this fails, a file that arrives in parts is cut differently from a whole one.
func TestPieces(t *testing.T) {
	f := slices.Insert(sampleFile(), HeaderSize+ChunkSize, []byte("some more bytes")...)
	var whole []int
	for rest := f; len(rest) > 0; rest = rest[whole[len(whole)-1]:] {
		whole = append(whole, Piece(rest, true))
	}
	if want := []int{HeaderSize, ChunkSize, 15, ChunkSize}; !slices.Equal(whole, want) {
		t.Errorf("got pieces of %v bytes, want %v", whole, want)
	}
	for step := 1; step < 3*ChunkSize; step = step*3 + 1 {
		var parts []int
		for at, have := 0, 0; at < len(f); {
			n := Piece(f[at:have], have == len(f))
			if n == 0 {
				have = min(have+step, len(f))
				continue
			}
			parts = append(parts, n)
			at += n
		}
		if !slices.Equal(parts, whole) {
			t.Errorf("%d bytes at a time: got pieces of %v bytes, want %v", step, parts, whole)
		}
	}
}

// If this fails, the reader allocates memory for each event.
func TestAllocations(t *testing.T) {
	f := sampleFile()
	var r Reader
	decode := func() {
		for rest := f; len(rest) > 0; {
			n := Piece(rest, true)
			r.Open(rest[:n])
			rest = rest[n:]
			for {
				if _, err := r.Next(); err == io.EOF {
					break
				}
			}
		}
	}
	decode()
	if n := testing.AllocsPerRun(100, decode); n > 0 {
		t.Errorf("got %v allocations for ten events, want none", n)
	}
}

func FuzzEVTX(f *testing.F) {
	// Leave out the zeros that make the file long.
	short := sampleFile()[:HeaderSize+ChunkSize]
	f.Add(bytes.TrimRight(short, "\x00"))
	f.Add(bytes.TrimRight(short[HeaderSize:], "\x00"))
	w := newChunk()
	w.record(1, 1, func() {
		w.fragment()
		w.element(el("A", "a", entityRef("amp"), charRef(65), cdata("c"), target("pi"), el("B").with("C", "d")), false)
		w.u8(tokenEOF)
	})
	f.Add(bytes.TrimRight(w.bytes(), "\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 2*ChunkSize {
			return
		}
		read(t, in)
	})
}

func BenchmarkRead(b *testing.B) {
	w := newChunk()
	events := 0
	for id := uint64(1); len(w.buf) < ChunkSize-8<<10; id += 5 {
		w.sample(id)
		events += 5
	}
	c := w.bytes()
	b.SetBytes(ChunkSize)
	b.ReportAllocs()
	var r Reader
	for b.Loop() {
		if err := r.Open(c); err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := r.Next(); err != nil {
				break
			}
		}
	}
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
