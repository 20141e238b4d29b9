package store

import (
	"reflect"
	"testing"
	"unsafe"
)

type scratchRow struct {
	Name  string `parquet:"name,dict"`
	Count int64  `parquet:"count"`
	scratchMore
	Day int32 `parquet:"-"`
}

type scratchMore struct {
	Ratio float64  `parquet:"ratio"`
	List  []string `parquet:"list,list"`
}

// A temporary file whose bytes were changed must give an error, never a panic or
// rows in other memory.
func TestScratchDamaged(t *testing.T) {
	s := NewScratch(1<<20, ColumnsOf[scratchRow]())
	defer s.Close()
	for i := range 100 {
		if err := s.Add(&scratchRow{Name: string(rune('a' + i/3)), Count: int64(i%4) << i, scratchMore: scratchMore{Ratio: 0.5, List: []string{"x", "yy"}[:i%3]}}); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := s.Part()
	if err != nil {
		t.Fatal(err)
	}
	whole := s.spool.memory[0]
	for at := range whole {
		for _, bit := range []byte{1, 0x40, 0x80} {
			whole[at] ^= bit
			for _, needed := range []Needed[scratchRow]{{}, {NoLists: true}, {Head: 1, Rows: func([]scratchRow) uint64 { return 0b1001 }}} {
				for block := range rows(needed) {
					_ = block
				}
			}
			whole[at] ^= bit
		}
	}
	n := 0
	for block, err := range rows(Needed[scratchRow]{}) {
		if n += len(block); err != nil {
			t.Fatal(err)
		}
	}
	if n != 100 {
		t.Errorf("got %d rows, want 100", n)
	}
}

// If this fails, a finding keeps everything that was read with it in memory, or a
// text is in the row of another.
func TestDetach(t *testing.T) {
	columns := ColumnsOf[scratchRow]()
	list := []string{"list of", "texts"}
	row := scratchRow{Name: "name", scratchMore: scratchMore{List: list}}
	own := row
	columns.Detach(&own)
	if !reflect.DeepEqual(own, row) {
		t.Fatalf("got %+v, want %+v", own, row)
	}
	if unsafe.StringData(own.Name) == unsafe.StringData(row.Name) || &own.List[0] == &list[0] || unsafe.StringData(own.List[1]) == unsafe.StringData(list[1]) {
		t.Error("a text is still that of the other row")
	}
	if got, want := columns.TextBytes(&row), len("name"+"list of"+"texts"); got != want {
		t.Errorf("got %d bytes of texts, want %d", got, want)
	}
}
