package logs

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what an object may hold. Sound archives are far below; a hostile one
// must end.
const (
	maxMembers = 1 << 16 // files in one object
	maxNested  = 4       // compressions around one stream, and archives in archives
)

// tarBlock is the size of a header of a tar archive, in bytes.
const tarBlock = 512

// isTar reports whether head begins with a header of a tar archive. Its check sum
// tells, since archives older than POSIX have no magic.
func isTar(head []byte) bool {
	if len(head) < tarBlock || head[0] == 0 {
		return false
	}
	const at, n = 148, 8 // where the sum itself stands, which counts as spaces
	digits := bytes.Trim(head[at:at+n], " \x00")
	want, err := strconv.ParseUint(string(digits), 8, 32)
	if err != nil {
		return false
	}
	sum := uint64(n * ' ')
	for i, c := range head[:tarBlock] {
		if i < at || i >= at+n {
			sum += uint64(c)
		}
	}
	return sum == want
}

// tar reads the files of a tar archive in their order. m, which stands for the
// archive, is kept only if the archive itself is at fault.
func (r *reader) tar(m *Member, in io.Reader) error {
	if r.nested++; r.nested > maxNested {
		return fmt.Errorf("tar archives nest deeper than %d: unpack it first", maxNested)
	}
	defer func() { r.nested-- }()
	r.again = nil
	files := 0
	for t := tar.NewReader(in); !r.stopped; {
		h, err := t.Next()
		switch {
		case err == io.EOF && files == 0:
			return fmt.Errorf("tar archive %w", ErrEmpty)
		case err == io.EOF:
			r.drop(m)
			return nil
		case err != nil:
			return fmt.Errorf("tar archive: %w; %d files were read", err, files)
		}
		base := path.Base(h.Name)
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeGNUSparse || strings.HasPrefix(base, "._") {
			continue // folders, links; macOS adds a file of attributes for each file
		}
		if files++; len(r.members) > maxMembers {
			return fmt.Errorf("tar archive holds more than %d files: unpack it first", maxMembers)
		}
		file := r.member(m.Name + "!" + memberName(h.Name))
		if file.Err = sparse(h); file.Err == nil {
			stored := &counter{src: t}
			file.Err = r.stream(file, bufio.NewReaderSize(stored, headSize), stored)
		}
	}
	r.drop(m)
	return nil
}

// sparse refuses a file with holes: a few bytes can stand for any number of zeros.
func sparse(h *tar.Header) error {
	holes := h.Typeflag == tar.TypeGNUSparse
	for key := range h.PAXRecords {
		holes = holes || strings.HasPrefix(key, "GNU.sparse.")
	}
	if holes {
		return errors.New("is a sparse file of a tar archive: unpack it first")
	}
	return nil
}

// memberName returns the name of a file in an archive as reports may print it.
func memberName(name string) string {
	odd := func(c rune) bool { return c == utf8.RuneError || !unicode.IsPrint(c) }
	if strings.IndexFunc(name, odd) < 0 {
		return name
	}
	quoted := strconv.Quote(name)
	return quoted[1 : len(quoted)-1]
}
