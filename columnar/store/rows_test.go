package store

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

type key struct {
	Feed   string `parquet:"feed,dict"`
	Entity string `parquet:"entity"`
}

type row struct {
	Day int32 `parquet:"day"`
	key
	BytesOut int64    `parquet:"bytes_out"`
	Entropy  float64  `parquet:"entropy"`
	Examples []string `parquet:"examples,list"`
}

func someRows(n int) []row {
	rnd := rand.New(rand.NewPCG(7, 8))
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{int32(i / 1000), key{"proxy", fmt.Sprintf("user%06d", i)}, rnd.Int64() - math.MaxInt64/2, rnd.Float64(), nil}
		for j := range i % 4 {
			rows[i].Examples = append(rows[i].Examples, fmt.Sprintf("%d\x00\xff%d", j, i))
		}
	}
	return rows
}

func TestRows(t *testing.T) {
	for _, n := range []int{0, 1, readRows, readRows + 1, 30_000} {
		rows := someRows(n)
		var a, b bytes.Buffer
		if err := WriteRows(&a, rows); err != nil {
			t.Fatal(err)
		}
		if err := WriteRows(&b, rows); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%d rows: the same rows gave other bytes", n)
		}
		got, err := ReadRows[row](bytes.NewReader(a.Bytes()), int64(a.Len()))
		if err != nil || len(got) != n {
			t.Fatalf("%d rows: got %d, %v", n, len(got), err)
		}
		for i := range got {
			if len(got[i].Examples) == 0 {
				got[i].Examples = nil // Parquet does not tell no list from an empty one
			}
			if !reflect.DeepEqual(got[i], rows[i]) {
				t.Fatalf("row %d: got %v, want %v", i, got[i], rows[i])
			}
		}
		if !bytes.Contains(a.Bytes(), []byte("outflow version 1(build )")) {
			t.Errorf("created_by is not ours")
		}
	}
}

// A column that a later version adds or drops must not stop an older file.
func TestRowsOtherColumns(t *testing.T) {
	var file bytes.Buffer
	if err := WriteRows(&file, someRows(10)); err != nil {
		t.Fatal(err)
	}
	type other struct {
		Entity string `parquet:"entity"`
		New    int64  `parquet:"new"`
	}
	got, err := ReadRows[other](bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil || len(got) != 10 || got[3] != (other{"user000003", 0}) {
		t.Errorf("got %v, %v", got, err)
	}
}

// The state may lie in a bucket that others write to: damage is an error, never a
// panic or memory without bound.
func TestRowsDamaged(t *testing.T) {
	var file bytes.Buffer
	if err := WriteRows(&file, someRows(500)); err != nil {
		t.Fatal(err)
	}
	good := file.Bytes()
	rnd := rand.New(rand.NewPCG(9, 10))
	for range 3000 {
		b := bytes.Clone(good)
		switch rnd.IntN(3) {
		case 0:
			b = b[:rnd.IntN(len(b))]
		case 1: // in the footer
			b[len(b)-1-rnd.IntN(1500)] ^= 1 << rnd.IntN(8)
		default:
			b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
		}
		rows, err := ReadRows[row](bytes.NewReader(b), int64(len(b)))
		if err != nil && rows != nil {
			t.Fatal("got rows and an error")
		}
	}
	for _, b := range []string{"", "PAR1", "PAR1PAR1", "PAR1\xff\xff\xff\x7fPAR1", "no parquet at all"} {
		if _, err := ReadRows[row](bytes.NewReader([]byte(b)), int64(len(b))); err == nil {
			t.Errorf("%q: got no error", b)
		}
	}
}
