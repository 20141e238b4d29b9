package store

import (
	"context"
	"fmt"
	"io"
	"iter"
	"reflect"
	"slices"
	"unsafe"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// groupRows is how many rows a row group has. A writer holds one in memory,
	// compressed: some 3 MB. More also makes dictionaries longer, which readers
	// hold; less makes more of them, and a longer footer.
	groupRows = 1 << 16
	// groupBytes ends a row group earlier that takes more memory than this.
	groupBytes = 16 << 20
	// pageBytes is about how long a page is before compression. A reader holds one
	// of each column, of each day it reads: more needs more memory, less costs more
	// headers and compresses worse.
	pageBytes = 32 << 10
	// dictionaryBytes is how long the texts of a column's dictionary may become in
	// a row group before the rest of its texts are written as they are. Readers
	// hold the dictionaries.
	dictionaryBytes = 256 << 10
	// batchRows is how many rows are turned into columns and back at once. More
	// falls out of the processor's cache, less costs a round of all columns for few
	// rows. Dividing groupRows, it makes all row groups but the last equally long.
	batchRows = 256
	// batchBytes ends a batch earlier whose texts take more bytes than this.
	batchBytes = 1 << 20
)

// writeRows writes rows as a Parquet file, compressed with zstd, and returns how
// many there were. The columns are the fields of T under their parquet tags. The
// same rows give the same bytes, whatever the build and the machine.
func writeRows[T any](ctx context.Context, w io.Writer, rows iter.Seq2[*T, error]) (n int64, err error) {
	columns, err := columnsOf(reflect.TypeFor[T]())
	if err != nil {
		return 0, err
	}
	columns = slices.DeleteFunc(columns, func(c column) bool { return c.kind != format.ByteArray && !c.optional })
	options := []parquet.WriterOption{
		// The level that follows is a tenth smaller for twice the time.
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		// Of numbers that are zero in all rows, which most are in any one
		// aggregate, almost nothing is left to compress.
		parquet.DefaultEncodingFor(parquet.Int64, &parquet.DeltaBinaryPacked),
		parquet.CreatedBy("outflow", fmt.Sprint(Version), ""),
		parquet.PageBufferSize(pageBytes),
		parquet.DictionaryMaxBytes(dictionaryBytes),
	}
	for _, path := range parquet.SchemaOf(new(T)).Columns() {
		if slices.ContainsFunc(columns, func(c column) bool { return c.name == path[0] }) {
			// Nobody asks, and comparing all texts takes a sixth of the time.
			options = append(options, parquet.SkipPageBounds(path...))
		}
	}
	pw := parquet.NewGenericWriter[T](w, options...)
	batch := make([]T, 0, batchRows)
	texts := 0           // bytes of them in the batch
	group := int64(0)    // rows in it
	written := pw.Size() // bytes before the row group
	flush := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		k, err := pw.Write(batch)
		n += int64(k)
		group += int64(k)
		clear(batch) // it must keep nothing alive
		batch, texts = batch[:0], 0
		if err == nil && (group >= groupRows || pw.Size()-written > groupBytes) {
			err = pw.Flush()
			group, written = 0, pw.Size()
		}
		return err
	}
	for r, err := range rows {
		if err != nil {
			return 0, err
		}
		batch = append(batch, *r)
		last := unsafe.Pointer(&batch[len(batch)-1])
		for i := range columns {
			columns[i].detach(last)
			texts += columns[i].textBytes(last)
		}
		if len(batch) == batchRows || texts > batchBytes {
			if err := flush(); err != nil {
				return 0, fmt.Errorf("write parquet: %w", err)
			}
		}
	}
	err = flush()
	if cerr := pw.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return 0, fmt.Errorf("write parquet: %w", err)
	}
	return n, nil
}
