package store

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// rowGroup bounds the rows that a writer holds in memory at once, and is the
	// least that a reader can skip. More needs more memory, less compresses worse.
	rowGroup = 1 << 20
	// readRows is how many rows are read at once. The library turns values into
	// rows by way of a buffer of so many: more falls out of the processor's cache,
	// less costs a round of all columns for few rows. It is also what is made room
	// for before more is known than what the file says of itself.
	readRows = 1 << 10
)

// WriteRows writes rows as a Parquet file, compressed with zstd. The columns are
// the fields of T under their parquet tags. The same rows give the same bytes,
// whatever the build.
func WriteRows[T any](w io.Writer, rows []T) error {
	pw := parquet.NewGenericWriter[T](w,
		parquet.Compression(&parquet.Zstd),
		parquet.CreatedBy("outflow", fmt.Sprint(Version), ""),
		parquet.MaxRowsPerRowGroup(rowGroup),
	)
	_, err := pw.Write(rows)
	if cerr := pw.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write parquet: %w", err)
	}
	return nil
}

// ReadRows reads the rows of a Parquet file of size bytes that WriteRows wrote. Columns that T does
// not have are left out, and fields that the file does not have are zero. A file
// that is damaged is an error.
func ReadRows[T any](r io.ReaderAt, size int64) (rows []T, err error) {
	// The library checks the footer but trusts the pages, and panics on bad ones.
	defer func() {
		if p := recover(); p != nil {
			rows, err = nil, fmt.Errorf("read parquet: damaged file: %v", p)
		}
	}()
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("read parquet: %w", err)
	}
	// WriteRows makes no others, and on bad lz4 the library takes memory without end.
	for _, g := range f.Metadata().RowGroups {
		for _, c := range g.Columns {
			if codec := c.MetaData.Codec; codec != format.Zstd {
				return nil, fmt.Errorf("read parquet: column %v is compressed with %v, want zstd", c.MetaData.PathInSchema, codec)
			}
		}
	}
	pr := parquet.NewGenericReader[T](f)
	defer pr.Close()
	rows = make([]T, 0, min(max(f.NumRows(), 0), readRows))
	for {
		if len(rows) == cap(rows) {
			rows = slices.Grow(rows, max(len(rows), 1))
		}
		n, err := pr.Read(rows[len(rows):min(len(rows)+readRows, cap(rows))])
		rows = rows[:len(rows)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read parquet: row %d: %w", len(rows)+1, err)
		}
		if n == 0 {
			return nil, fmt.Errorf("read parquet: %w after row %d", io.ErrNoProgress, len(rows))
		}
	}
	if int64(len(rows)) != f.NumRows() {
		return nil, fmt.Errorf("read parquet: %d rows, but the footer says %d", len(rows), f.NumRows())
	}
	return rows, nil
}
