package columnar

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// A modelRow is the expected row of a batch, as text; null is "null".
type modelRow struct {
	record int64
	cells  [NumCols]string
}

// cellOf returns a cell in the form of a modelRow.
func cellOf(b *Batch, c Col, row int) string {
	switch c.Kind() {
	case Timestamp:
		return fmt.Sprint(b.Int64(c)[row])
	case Dictionary:
		codes, dict := b.Codes(c)
		return string(dict.Text(codes[row]))
	case Text:
		offsets, text := b.Texts(c)
		return string(text[offsets[row]:offsets[row+1]])
	}
	valid := b.Valid(c)[row>>3]>>(row&7)&1 != 0
	value := int64(0)
	if c.Kind() == Int32 {
		value = int64(b.Int32(c)[row])
	} else {
		value = b.Int64(c)[row]
	}
	if !valid {
		if value != 0 {
			return "null that is not 0"
		}
		return "null"
	}
	return fmt.Sprint(value)
}

// TestBuilder builds random rows of every table and drops some. It compares the
// batches, and the Arrow records made of them, with a plain model.
func TestBuilder(t *testing.T) {
	for _, table := range Tables {
		for _, want := range []Cols{^Cols(0), ColSet(User, BytesOut, Query, Resource, URLPath, CmdLine, StatusCode)} {
			t.Run(fmt.Sprintf("%s/%x", table.Name, uint64(want)), func(t *testing.T) { testBuilder(t, table, want) })
		}
	}
}

func testBuilder(t *testing.T, table *Table, want Cols) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	r := rand.New(rand.NewPCG(5, uint64(table.ID)))
	var model []modelRow
	var stream bytes.Buffer
	w := ipc.NewWriter(&stream, ipc.WithSchema(table.Schema()), ipc.WithDictionaryDeltas(true), ipc.WithAllocator(mem))
	batches := 0
	at := 0 // rows of model that came out
	out := &Out{Want: want, Feed: "feed", Object: "object", Sink: func(b *Batch) {
		batches++
		if b.Table != table || b.Feed != "feed" || b.Object != "object" || b.Len() == 0 || b.Len() > BatchRows || len(b.Record) != b.Len() {
			t.Fatalf("got a batch of %s with %d rows", b.Table.Name, b.Len())
		}
		for _, c := range table.Cols {
			known := 0
			for row := range b.Len() {
				got, want := cellOf(b, c, row), model[at+row].cells[c]
				if got != want {
					t.Fatalf("row %d: %v: got %.40q, want %.40q", at+row, c, got, want)
				}
				if want != "" && want != "null" {
					known++
				}
			}
			if b.Known(c) != known {
				t.Errorf("%v: got %d known, want %d", c, b.Known(c), known)
			}
		}
		for row := range b.Len() {
			if got, want := b.First+int64(b.Record[row]), model[at+row].record; got != want {
				t.Fatalf("row %d: got record %d, want %d", at+row, got, want)
			}
		}
		rec := b.Arrow()
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
		rec.Release()
		at += b.Len()
	}}
	b := out.Table(table)
	wanted := table.Set() & (want | ColSet(Time))
	record := int64(0)
	for range BatchRows + 2000 {
		record += int64(1 + r.IntN(3))
		row := modelRow{record: record}
		for _, c := range table.Cols {
			if k := c.Kind(); k == Int64 || k == Int32 {
				row.cells[c] = "null"
			}
			if c != Time && r.IntN(3) == 0 {
				continue
			}
			text := ""
			switch c.Kind() {
			case Timestamp:
				us := int64(r.IntN(1 << 50))
				b.SetTime(us)
				text = fmt.Sprint(us)
			case Int64:
				v := r.Int64() - r.Int64()
				b.SetInt(c, v)
				text = fmt.Sprint(v)
			case Int32:
				v := r.Int64N(1<<33) - 1<<32
				b.SetInt(c, v)
				text = fmt.Sprint(min(max(v, -1<<31), 1<<31-1))
			default:
				v := randomText(r)
				if r.IntN(8) == 0 { // set twice: the last counts
					b.SetText(c, []byte("first"))
				}
				if c.Kind() == Dictionary && b.Wants(c) && r.IntN(2) == 0 {
					b.SetCode(c, b.Dict(c).Code(v))
				} else {
					b.SetText(c, v)
				}
				if text = string(v); nameColumns.Has(c) {
					text = string(AppendName(nil, v))
				}
			}
			if wanted.Has(c) {
				row.cells[c] = text
			}
		}
		if r.IntN(10) == 0 {
			b.Drop()
			continue
		}
		model = append(model, row)
		b.Next(record)
		if r.IntN(5000) == 0 {
			out.Flush()
		}
	}
	out.Flush()
	out.Flush()
	if at != len(model) || batches < 2 {
		t.Errorf("got %d rows in %d batches, want %d", at, batches, len(model))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	checkStream(t, mem, &stream, table, model)
}

// checkStream compares an Arrow stream with the model.
func checkStream(t *testing.T, mem memory.Allocator, stream *bytes.Buffer, table *Table, model []modelRow) {
	r, err := ipc.NewReader(stream, ipc.WithAllocator(mem))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if !r.Schema().Equal(table.Schema()) {
		t.Errorf("got schema %v, want %v", r.Schema(), table.Schema())
	}
	at := 0
	for r.Next() {
		rec := r.Record()
		for i, c := range table.Cols {
			for row := range int(rec.NumRows()) {
				got := "null"
				switch col := rec.Column(i).(type) {
				case *array.Timestamp:
					got = fmt.Sprint(int64(col.Value(row)))
				case *array.Dictionary:
					got = col.Dictionary().(*array.String).Value(col.GetValueIndex(row))
				case *array.String:
					got = col.Value(row)
				case *array.Int64:
					if col.IsValid(row) {
						got = fmt.Sprint(col.Value(row))
					}
				case *array.Int32:
					if col.IsValid(row) {
						got = fmt.Sprint(col.Value(row))
					}
				default:
					t.Fatalf("%v: got a column of type %T", c, col)
				}
				if want := model[at+row].cells[c]; got != want {
					t.Fatalf("arrow row %d: %v: got %.40q, want %.40q", at+row, c, got, want)
				}
			}
		}
		at += int(rec.NumRows())
	}
	if r.Err() != nil || at != len(model) {
		t.Errorf("arrow: got %d rows, %v, want %d", at, r.Err(), len(model))
	}
}

// Long texts end a batch early, and a dictionary that outgrew its limit is
// replaced: memory stays bounded whatever a log holds.
func TestBuilderLongTexts(t *testing.T) {
	for _, test := range []struct {
		table *Table
		col   Col
	}{{HTTP, UserAgent}, {HTTP, URLPath}, {Process, CmdLine}, {API, User}} {
		t.Run(test.col.String(), func(t *testing.T) {
			const size, rows = 1 << 20, 100
			total, batches := 0, 0
			out := &Out{Want: ^Cols(0), Sink: func(b *Batch) {
				batches++
				held := 0
				if test.col.Kind() == Dictionary {
					_, dict := b.Codes(test.col)
					held = dict.size()
				} else {
					_, text := b.Texts(test.col)
					held = len(text)
				}
				if held > dictMaxSize+size {
					t.Errorf("batch %d of %d rows holds %d bytes", batches, b.Len(), held)
				}
				for row := range b.Len() {
					if got := cellOf(b, test.col, row); len(got) != size || got[:3] != fmt.Sprintf("%03d", total) {
						t.Errorf("row %d: got %d bytes %.3q", total, len(got), got)
					}
					total++
				}
			}}
			b := out.Table(test.table)
			text := bytes.Repeat([]byte("x"), size)
			for i := range rows {
				copy(text, fmt.Sprintf("%03d", i))
				b.SetTime(1)
				b.SetText(test.col, text)
				b.Next(int64(i + 1))
			}
			out.Flush()
			if total != rows || batches < 3 {
				t.Errorf("got %d rows in %d batches, want %d in at least 3", total, batches, rows)
			}
		})
	}
}

// If this fails, the texts of a log stay in memory while another one is read, or what comes of
// the first table again has wrong texts.
func TestBuilderIdle(t *testing.T) {
	var got []string
	length := Lookup[int]{Func: func(text []byte) int { return len(text) }}
	out := &Out{Want: ^Cols(0)}
	out.Sink = func(b *Batch) {
		if b.Table != DNS {
			return
		}
		codes, dict := b.Codes(Domain)
		lengths := length.Of(dict)
		for _, code := range codes {
			got = append(got, fmt.Sprintf("%s %d", dict.Text(code), lengths[code]))
		}
	}
	names := out.Table(DNS)
	name := func(domain string) {
		names.SetTime(1)
		names.SetText(Domain, []byte(domain))
		names.Next(1)
	}
	others := func() {
		b := out.Table(HTTP)
		for i := range idleRows + BatchRows {
			b.SetTime(1)
			b.Next(int64(i + 1))
		}
	}
	name("a.example")
	name("bb.example")
	out.Flush()
	first := names.Dict(Domain)
	others()
	if first.Memory() != 0 || names.Dict(Domain) == first {
		t.Errorf("the texts of a table without rows still take %d bytes", first.Memory())
	}
	name("dddd.example")
	out.Flush()
	held := names.Dict(Domain)
	names.SetText(Domain, []byte("ccc.example")) // a row is being built
	others()
	if names.Dict(Domain) != held {
		t.Error("the texts of a row that is being built are given up")
	}
	names.SetTime(1)
	names.Next(1)
	out.Flush()
	if want := []string{"a.example 9", "bb.example 10", "dddd.example 12", "ccc.example 11"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A small log must not pay for the room of a large one, nor a large one for small batches.
func TestBuilderGrows(t *testing.T) {
	var got []int
	out := &Out{Want: ColSet(Query)}
	out.WantFields[DNS.ID] = WantedFields{{Name: "field"}}
	out.Sink = func(b *Batch) {
		got = append(got, b.Len())
		codes, dict := b.Field("field")
		offsets, queries := b.Texts(Query)
		for i := range codes {
			want := fmt.Sprint(b.First + int64(b.Record[i]))
			if field, query := string(dict.Text(codes[i])), string(queries[offsets[i]:offsets[i+1]]); field != want || query != want {
				t.Fatalf("record %s: got %q and %q", want, field, query)
			}
		}
	}
	b := out.Table(DNS)
	for i := range int64(2*BatchRows + 1) {
		text := fmt.Append(nil, i+1)
		b.SetTime(1)
		b.SetText(Query, text)
		b.SetField([]byte("field"), text)
		b.Next(i + 1)
	}
	out.Flush()
	if want := []int{firstRows, 4 * firstRows, BatchRows, BatchRows - 5*firstRows + 1}; !slices.Equal(got, want) {
		t.Errorf("got batches of %d rows, want %d", got, want)
	}
}

// Rows may be a billion records apart: the distance to the first row of a batch
// must fit its type.
func TestBuilderFarRecords(t *testing.T) {
	var got []int64
	out := &Out{Sink: func(b *Batch) {
		for _, further := range b.Record {
			got = append(got, b.First+int64(further))
		}
	}}
	b := out.Table(DNS)
	want := []int64{1, 2, 1<<30 + 3, 1 << 31, 1<<31 + 1<<30}
	for _, record := range want {
		b.SetTime(1)
		b.Next(record)
	}
	out.Flush()
	if !slices.Equal(got, want) {
		t.Errorf("got records %v, want %v", got, want)
	}
}
