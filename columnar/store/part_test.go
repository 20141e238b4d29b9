package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"outflow/columnar/pages"
)

func collect(t *testing.T, rows iter.Seq2[*row, error]) (all []row) {
	t.Helper()
	for r, err := range rows {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *r)
	}
	return all
}

// An open partition does not change: when it is read again, read several times at
// once or only in part, and after the day was replaced or deleted. Nothing is left
// behind.
func TestPart(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	eachStore(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		p := partitions(s)
		if _, err := p.Open(ctx, testDay); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open nothing: got %v", err)
		}
		for _, n := range []int{0, 500, 70_000} { // the last is longer than what is held in memory
			rows := someRows(n)
			if err := p.Commit(ctx, testDay, each(rows), &Done{Fold: "f"}); err != nil {
				t.Fatal(err)
			}
			part, err := p.Open(ctx, testDay)
			if err != nil || part.Done.Rows != int64(n) || part.Done.Fold != "f" {
				t.Fatalf("open: %v, want %d rows", err, n)
			}
			if err := p.Commit(ctx, testDay, each(someRows(3)), &Done{}); err != nil {
				t.Fatal(err)
			}
			for _, name := range partNames(t, s) {
				if err := s.Delete(ctx, name); err != nil {
					t.Fatal(err)
				}
			}
			for range part.Rows() {
				break
			}
			seq := part.Rows()
			var group sync.WaitGroup
			for range 2 {
				group.Go(func() { same(t, collect(t, seq), rows) })
			}
			group.Wait()
			same(t, collect(t, seq), rows)
			if err := part.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	if files, err := os.ReadDir(os.TempDir()); len(files) != 0 || err != nil {
		t.Errorf("left: %v, %v", files, err)
	}
}

// A partition in S3 is fetched once, however large it is.
func TestPartFetchedOnce(t *testing.T) {
	server := newS3Server(t)
	p := partitions(mustOpen(t, "s3://"+bucket, server.options()))
	p.Marks = nil
	rows := someRows(70_000)
	if err := p.Commit(t.Context(), testDay, each(rows), &Done{}); err != nil {
		t.Fatal(err)
	}
	server.requests = nil
	part, err := p.Open(t.Context(), testDay)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	same(t, collect(t, part.Rows()), rows)
	if got := strings.Join(server.requests, "\n"); strings.Count(got, partPrefix) != 1 || len(server.requests) != 2 {
		t.Errorf("got %s, want %s and %s once", got, doneName, partPrefix)
	}
}

// Rows that end with an error change nothing.
func TestCommitRowsFail(t *testing.T) {
	eachStore(t, func(t *testing.T, s Store) {
		p := partitions(s)
		oldR, oldD := oldRows()
		if err := p.Commit(t.Context(), testDay, each(oldR), &oldD); err != nil {
			t.Fatal(err)
		}
		p.Store = hooked{Store: s, before: func() { t.Error("something was written") }}
		bad := errors.New("bad rows")
		err := p.Commit(t.Context(), testDay, func(yield func(*row, error) bool) {
			for i := range someRows(1000) {
				if !yield(&row{Day: int32(i)}, nil) {
					return
				}
			}
			yield(nil, bad)
		}, &Done{})
		if !errors.Is(err, bad) {
			t.Errorf("got %v, want %v", err, bad)
		}
		if got := which(t, p); got != "old" {
			t.Errorf("got %s, want old", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err = p.Commit(ctx, testDay, func(yield func(*row, error) bool) {
			for i := 0; yield(new(row), nil); i++ {
				if i == 1000 {
					cancel()
				}
			}
		}, &Done{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: got %v", err)
		}
	})
}

// Being cancelled is not damage: damage would make the day be folded again.
func TestPartCancelled(t *testing.T) {
	p := partitions(mustOpen(t, t.TempDir(), Options{}))
	if err := p.Commit(t.Context(), testDay, each(someRows(10)), &Done{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	part, err := p.Open(ctx, testDay)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	cancel()
	for r, err := range part.Rows() {
		if r != nil || !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "backfill") {
			t.Errorf("got %v, %v", r, err)
		}
	}
}

// A page that is damaged before it is compressed passes every checksum. Reading it
// must end with an error, or with as many rows as the file declares, and must take
// no more memory than its size allows.
func TestPagesDamaged(t *testing.T) {
	rows := someRows(600)
	good := encode(t, rows)
	meta, err := pages.ReadFooter(bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(17, 18))
	for range 2000 {
		decode[row](withPage(t, good, meta, rnd.IntN(len(meta.RowGroups[0].Columns)), func(h *format.PageHeader, levels, b []byte) []byte {
			d := &h.DataPageHeaderV2.V
			switch rnd.IntN(5) {
			case 0:
				for range 1 + rnd.IntN(3) {
					b[rnd.IntN(len(b))] = byte(rnd.Uint32())
				}
			case 1:
				b = b[:rnd.IntN(len(b))]
			case 2:
				d.NumValues += rnd.Int32N(9) - 4
			case 3:
				if len(levels) > 0 {
					levels[rnd.IntN(len(levels))] ^= 1 << rnd.IntN(8)
				}
			default:
				d.Encoding = format.Encoding(rnd.IntN(10))
			}
			return b
		}))
	}

	billions := binary.AppendUvarint(nil, 1<<32) // a run of 2³¹ numbers
	delta := binary.AppendUvarint([]byte{0x80, 1, 4}, 1<<31-1)
	for name, body := range map[string][]byte{
		"day": nil, "feed": append([]byte{1}, append(billions, 0)...), "entity": append(delta, 0), "bytes_out": append(delta, 0),
		"object": append([]byte{40}, billions...), "entropy": make([]byte, 7), "examples": append(delta, 2),
	} {
		i := slices.IndexFunc(meta.RowGroups[0].Columns, func(c format.ColumnChunk) bool { return c.MetaData.PathInSchema[0] == name })
		file := withPage(t, good, meta, i, func(h *format.PageHeader, _, _ []byte) []byte {
			h.DataPageHeaderV2.V.NumValues += 1000
			return body
		})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := decode[row](file)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "column "+name) {
			t.Errorf("%s: got %d rows, %v", name, len(got), err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 32<<20 {
			t.Errorf("%s: took %d bytes", name, took)
		}
	}
}

// withPage returns the file with the first data page of a column changed, by adding
// a new chunk at its end.
func withPage(t *testing.T, file []byte, meta *format.FileMetaData, column int, change func(h *format.PageHeader, levels, body []byte) []byte) []byte {
	t.Helper()
	changed := *meta
	changed.RowGroups = slices.Clone(meta.RowGroups)
	g := &changed.RowGroups[0]
	g.Columns = slices.Clone(g.Columns)
	m := &g.Columns[column].MetaData
	file = slices.Clip(file[:len(file)-8-int(binary.LittleEndian.Uint32(file[len(file)-8:]))])
	var chunk []byte
	if m.DictionaryPageOffset > 0 {
		chunk = append(chunk, file[m.DictionaryPageOffset:m.DataPageOffset]...)
		m.DictionaryPageOffset = int64(len(file))
	}
	r := new(thrift.CompactProtocol).NewReaderFromBytes(file[m.DataPageOffset:])
	var h format.PageHeader
	if err := thrift.NewDecoder(r).Decode(&h); err != nil {
		t.Fatal(err)
	}
	page := file[m.DataPageOffset+int64(r.BytesRead()):][:h.CompressedPageSize]
	n := h.DataPageHeaderV2.V.RepetitionLevelsByteLength + h.DataPageHeaderV2.V.DefinitionLevelsByteLength
	levels := bytes.Clone(page[:n])
	body, err := parquet.Zstd.Decode(nil, page[n:])
	if err != nil {
		t.Fatal(err)
	}
	body = change(&h, levels, body)
	packed, err := parquet.Zstd.Encode(nil, body)
	if err != nil {
		t.Fatal(err)
	}
	h.UncompressedPageSize, h.CompressedPageSize = n+int32(len(body)), n+int32(len(packed))
	head, err := thrift.Marshal(new(thrift.CompactProtocol), &h)
	if err != nil {
		t.Fatal(err)
	}
	m.DataPageOffset = int64(len(file) + len(chunk))
	chunk = slices.Concat(chunk, head, levels, packed)
	m.TotalCompressedSize = int64(len(chunk))
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &changed)
	if err != nil {
		t.Fatal(err)
	}
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	return slices.Concat(file, chunk, footer, []byte("PAR1"))
}

// The method of withPage must not damage the file by itself.
func TestPageUnchanged(t *testing.T) {
	rows := someRows(600)
	good := encode(t, rows)
	meta, err := pages.ReadFooter(bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range reflect.TypeFor[row]().NumField() {
		got, err := decode[row](withPage(t, good, meta, i, func(_ *format.PageHeader, _, b []byte) []byte { return b }))
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, rows)
	}
}
