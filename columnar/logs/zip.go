package logs

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"outflow/columnar/inflate"
)

// Limits of the directory of a zip archive, which takes memory before any file is read.
const (
	// maxEntries is how many entries a directory may have: files, folders, and what macOS adds
	// for each.
	maxEntries = 3 * maxMembers
	// maxDirectory is how many bytes of an archive may be read for its directory. maxMembers
	// files with names of 120 bytes take 15 MB.
	maxDirectory = 32 << 20
)

// archive reads the files of a zip archive in the order of their names. m, which
// stands for the archive, is kept only if that does not work.
func (r *reader) archive(m *Member) error {
	if r.object.At == nil {
		return errors.New("zip needs access to ranges of the object: copy it to a disk or a bucket")
	}
	at, err := r.object.At()
	if err != nil {
		return err
	}
	defer at.Close()
	bounded := &boundedDirectory{at: at}
	z, err := zip.NewReader(bounded, r.object.Size)
	if bounded.err != nil {
		return bounded.err
	}
	if err != nil {
		return fmt.Errorf("zip archive: %w", err)
	}
	bounded.open = true
	if err := notLogZip(z.File); err != nil {
		return err
	}
	// A buffer of this size makes few ranged reads of a remote object.
	z.RegisterDecompressor(zip.Deflate, func(in io.Reader) io.ReadCloser {
		return io.NopCloser(inflate.NewReader(bufio.NewReaderSize(in, BlockSize)))
	})
	files := slices.DeleteFunc(z.File, func(f *zip.File) bool {
		// macOS adds a file of attributes for each file.
		return f.FileInfo().IsDir() || strings.HasPrefix(f.Name, "__MACOSX/")
	})
	switch {
	case len(files) == 0:
		return fmt.Errorf("zip archive %w", ErrEmpty)
	case len(files) > maxMembers:
		return errTooManyFiles
	}
	slices.SortStableFunc(files, func(a, b *zip.File) int { return cmp.Compare(a.Name, b.Name) })
	for i, f := range files {
		if len(r.members) > maxMembers {
			return errTooManyFiles
		}
		r.more = i < len(files)-1
		m := r.member(r.object.Name + "!" + memberName(f.Name))
		m.Err = r.file(m, f)
		if r.stopped {
			break
		}
	}
	r.drop(m)
	return nil
}

var errTooManyFiles = fmt.Errorf("zip archive holds more than %d files: unpack it first", maxMembers)

func (r *reader) file(m *Member, f *zip.File) error {
	if f.Flags&1 != 0 {
		return errors.New("is encrypted: unpack it first")
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	stored := &counter{src: in}
	r.again = f.Open
	return r.stream(m, bufio.NewReaderSize(stored, headSize), stored)
}

// A boundedDirectory is a zip archive that cannot be opened if its directory is beyond the
// limits. What the archive says of the directory's size is not to be believed: package zip
// reads on until there is no further entry.
type boundedDirectory struct {
	at   io.ReaderAt
	open bool // the directory was read

	read    int64
	entries int
	last    int64  // where the last read ended
	tail    []byte // of the last read
	err     error
}

// entryMark begins each entry of a directory.
var entryMark = []byte("PK\x01\x02")

func (d *boundedDirectory) ReadAt(p []byte, off int64) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.at.ReadAt(p, off)
	if d.open {
		return n, err
	}
	d.read += int64(n)
	d.entries += bytes.Count(p[:n], entryMark)
	if off == d.last { // a mark may lie across both reads
		d.entries += bytes.Count(append(d.tail, p[:min(n, len(entryMark)-1)]...), entryMark)
	}
	d.last, d.tail = off+int64(n), append(d.tail[:0], p[max(0, n-len(entryMark)+1):n]...)
	switch {
	case d.entries > maxEntries:
		d.err = errTooManyFiles
	case d.read > maxDirectory:
		d.err = fmt.Errorf("zip archive has a directory of more than %d MB: unpack it first", maxDirectory>>20)
	}
	if d.err != nil {
		return 0, d.err
	}
	return n, err
}
