package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

type key struct {
	Feed   string `parquet:"feed,dict"`
	Entity string `parquet:"entity"`
}

type row struct {
	Day int32 `parquet:"day"`
	key
	BytesOut int64    `parquet:"bytes_out"`
	Hours    int64    `parquet:"hours"`
	Entropy  float64  `parquet:"entropy"`
	Baseline *float64 `parquet:"baseline,optional"`
	Examples []string `parquet:"examples,list"`
	Object   string   `parquet:"object,dict"`
}

func someRows(n int) []row {
	rnd := rand.New(rand.NewPCG(7, 8))
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{Day: int32(i / 1000), key: key{"proxy", fmt.Sprintf("user%06d", i)}, BytesOut: rnd.Int64() - math.MaxInt64/2,
			Entropy: rnd.Float64(), Object: fmt.Sprint("host", rnd.IntN(i/7+1))}
		for j := range i % 4 {
			rows[i].Examples = append(rows[i].Examples, fmt.Sprintf("%d\x00\xff%d", j, i))
		}
		if i%3 == 1 {
			rows[i].Baseline = &rows[i].Entropy
		}
	}
	return rows
}

// each yields rows like a producer that has one row at a time: a row that was
// yielded is gone.
func each[T any](rows []T) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		var one, zero T
		for _, one = range rows {
			if !yield(&one, nil) {
				return
			}
			one = zero
		}
	}
}

func encode[T any](t *testing.T, rows []T) []byte {
	t.Helper()
	var file bytes.Buffer
	n, err := new(Writer[T]).write(t.Context(), &file, each(rows))
	if err != nil || n != int64(len(rows)) {
		t.Fatalf("got %d rows, %v, want %d", n, err, len(rows))
	}
	return file.Bytes()
}

func decode[T any](file []byte, only ...string) (rows []T, err error) {
	table, err := openTable(bytes.NewReader(file), int64(len(file)), reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	for r, err := range rowsOf[T](table, only) {
		if err != nil {
			return rows, err
		}
		rows = append(rows, *r)
	}
	if int64(len(rows)) != table.rows {
		return rows, fmt.Errorf("got %d rows, want %d", len(rows), table.rows)
	}
	return rows, nil
}

// same compares rows. Parquet does not distinguish nil from an empty list.
func same(t *testing.T, got, want []row) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d rows, want %d", len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		if len(g.Examples) == 0 && len(w.Examples) == 0 {
			g.Examples, w.Examples = nil, nil
		}
		if !reflect.DeepEqual(g, w) {
			t.Fatalf("row %d: got %+v, want %+v", i, g, w)
		}
	}
}

// The library reads what we write, and we read what it writes: earlier versions of
// this program wrote with the library and their own settings.
func TestRows(t *testing.T) {
	for _, n := range []int{0, 1, 2, batchRows, batchRows + 1, 30_000, groupRows + 1} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			rows := someRows(n)
			file := encode(t, rows)
			if !bytes.Equal(file, encode(t, rows)) {
				t.Error("the same rows gave other bytes")
			}
			if !bytes.Contains(file, fmt.Appendf(nil, "outflow version %d(build )", Version)) {
				t.Error("created_by is not ours")
			}
			got, err := decode[row](file)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, rows)
			if got, err = decode[row](file, "entity", "examples"); err != nil {
				t.Fatal(err)
			}
			some := make([]row, n)
			for i, r := range rows {
				some[i].Entity, some[i].Examples = r.Entity, r.Examples
			}
			same(t, got, some)
			if got, err = parquet.Read[row](bytes.NewReader(file), int64(len(file))); err != nil {
				t.Fatalf("by the library: %v", err)
			}
			same(t, got, rows)

			var earlier bytes.Buffer
			if err := parquet.Write(&earlier, rows, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(1<<20)); err != nil {
				t.Fatal(err)
			}
			if got, err = decode[row](earlier.Bytes()); err != nil {
				t.Fatalf("an earlier version's: %v", err)
			}
			same(t, got, rows)
		})
	}
}

// Numbers of all sizes, so that every width of packed bits occurs, and texts whose
// dictionary becomes too long half-way.
func TestRowsExtremes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(13, 14))
	long := strings.Repeat("x", 3*textSlab)
	var rows []row
	for bits := range 64 {
		for range 1000 {
			r := row{Day: int32(rnd.Uint32()), BytesOut: rnd.Int64() >> bits, Hours: int64(bits/40) * rnd.Int64N(1<<uint(bits%40+1)), Entropy: math.Inf(bits%3 - 1)}
			r.Object = fmt.Sprint(rnd.IntN(1 << min(bits/2+1, 30)))
			r.Feed = strings.Repeat("f", rnd.IntN(300))
			if rnd.IntN(100) == 0 {
				r.Entity = long[:rnd.IntN(len(long))]
				r.Examples = slices.Repeat([]string{r.Entity, ""}, rnd.IntN(listSlab))
			}
			rows = append(rows, r)
		}
	}
	rows = append(rows, row{BytesOut: math.MinInt64}, row{BytesOut: math.MaxInt64}, row{BytesOut: math.MinInt64})
	got, err := decode[row](encode(t, rows))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, rows)
}

// The same rows give the same bytes on a machine without this one's instructions.
// The library's encoders do not.
func TestRowsSameOnEveryMachine(t *testing.T) {
	sum := fmt.Sprintf("sum %x", sha256.Sum256(encode(t, wideRows(20_000))))
	if os.Getenv("STORE_TEST_PLAIN") != "" {
		t.Log(sum)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestRowsSameOnEveryMachine$", "-test.v")
	cmd.Env = append(os.Environ(), "STORE_TEST_PLAIN=1", "GODEBUG=cpu.avx2=off,cpu.bmi2=off")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), sum) {
		t.Errorf("got %s, %v, want %s", out, err, sum)
	}
}

// A producer may reuse everything of a row except its texts.
func TestRowsReused(t *testing.T) {
	var file bytes.Buffer
	_, err := new(Writer[row]).write(t.Context(), &file, func(yield func(*row, error) bool) {
		var r row
		r.Baseline, r.Examples = new(float64), make([]string, 1)
		for i := range 1000 {
			*r.Baseline, r.Examples[0] = float64(i), fmt.Sprint(i)
			if !yield(&r, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode[row](file.Bytes())
	if err != nil || len(got) != 1000 {
		t.Fatalf("got %d rows, %v", len(got), err)
	}
	for i, r := range got {
		if *r.Baseline != float64(i) || len(r.Examples) != 1 || r.Examples[0] != fmt.Sprint(i) {
			t.Fatalf("row %d: got %v, %q", i, *r.Baseline, r.Examples)
		}
	}
}

func TestRowsEndWithError(t *testing.T) {
	bad := errors.New("bad rows")
	rows := func(yield func(*row, error) bool) {
		_ = yield(&row{}, nil) && yield(nil, bad)
	}
	if n, err := new(Writer[row]).write(t.Context(), new(bytes.Buffer), rows); n != 0 || !errors.Is(err, bad) {
		t.Errorf("got %d, %v", n, err)
	}
}

// A file must not depend on what its writer made before: nothing, another file, or one
// whose rows ended with an error in the middle of a page.
func TestWriterReused(t *testing.T) {
	rows := someRows(pageRows + 100)
	want := encode(t, rows)
	var w Writer[row]
	for i := range 3 {
		var file bytes.Buffer
		if n, err := w.write(t.Context(), &file, each(rows)); err != nil || n != int64(len(rows)) || !bytes.Equal(file.Bytes(), want) {
			t.Fatalf("file %d: got %d rows, %d bytes, %v, want %d bytes", i, n, file.Len(), err, len(want))
		}
		bad := errors.New("bad rows")
		part := func(yield func(*row, error) bool) {
			for r := range each(rows[i : 10*i]) {
				if !yield(r, nil) {
					return
				}
			}
			if i == 1 {
				yield(nil, bad)
			}
		}
		if _, err := w.write(t.Context(), io.Discard, part); (err != nil) != (i == 1) {
			t.Fatal(err)
		}
	}
}

// A column that a later version adds or drops must not stop an older file. A column
// that changes its type must.
func TestRowsOtherColumns(t *testing.T) {
	file := encode(t, someRows(10))
	type other struct {
		Entity string `parquet:"entity"`
		New    int64  `parquet:"new"`
	}
	got, err := decode[other](file)
	if err != nil || len(got) != 10 || got[3] != (other{"user000003", 0}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := decode[struct {
		Entity int64 `parquet:"entity"`
	}](file); err == nil || !strings.Contains(err.Error(), "column entity") {
		t.Errorf("other type: got %v", err)
	}
	if _, err := decode[struct {
		Examples string `parquet:"examples"`
	}](file); err == nil || !strings.Contains(err.Error(), "column examples") {
		t.Errorf("no list: got %v", err)
	}
}

func TestRowTypes(t *testing.T) {
	type named int64
	for _, typ := range []reflect.Type{
		reflect.TypeFor[int](),
		reflect.TypeFor[struct{ NoTag int64 }](),
		reflect.TypeFor[struct {
			A named `parquet:"a"`
		}](),
		reflect.TypeFor[struct {
			A []int64 `parquet:"a,list"`
		}](),
		reflect.TypeFor[struct {
			A *string `parquet:"a,optional"`
		}](),
		reflect.TypeFor[struct {
			a int64 `parquet:"a"`
		}](),
	} {
		if c, err := columnsOf(typ); err == nil {
			t.Errorf("%v: got %v, want an error", typ, c)
		}
	}
}

// The state may be in a bucket that others write to: damage must be an error, never
// a panic or memory without bound.
func TestRowsDamaged(t *testing.T) {
	good := encode(t, someRows(500))
	footer := len(good) - 8 - int(uint32(good[len(good)-8])|uint32(good[len(good)-7])<<8)
	rnd := rand.New(rand.NewPCG(9, 10))
	for range 2000 {
		b := bytes.Clone(good)
		switch rnd.IntN(3) {
		case 0:
			b = b[:rnd.IntN(len(b))]
		case 1:
			b[footer+rnd.IntN(len(b)-footer)] ^= 1 << rnd.IntN(8)
		default:
			b[rnd.IntN(footer)] ^= 1 << rnd.IntN(8)
		}
		decode[row](b)
	}
	for _, b := range []string{"", "PAR1", "PAR1PAR1", "PAR1\xff\xff\xff\x7fPAR1", "PAR1\x00\x00\x00\x00PAR1", "no parquet at all"} {
		if _, err := decode[row]([]byte(b)); err == nil {
			t.Errorf("%q: got no error", b)
		}
	}
}
