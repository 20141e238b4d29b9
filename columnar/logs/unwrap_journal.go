package logs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
)

// The export format of the journal of systemd (journalctl -o export): fields a line each, and a
// blank line behind each entry. A field with bytes that are no text has its name alone on the line,
// then its length in eight bytes, and the bytes.

// journalFirst is the name of the field that an entry begins with.
var journalFirst = []byte("__CURSOR=")

// isJournal reports whether an entry begins head.
func isJournal(head []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(head, "\n"), journalFirst) }

// A journalReader reads entries as one object of JSON a line, as journalctl -o json writes them.
type journalReader struct {
	made
	src *bufio.Reader
}

func (r *journalReader) Read(p []byte) (int, error) {
	return r.read(p, func() (err error) {
		r.out, err = r.entry(append(r.out, '{'))
		return err
	})
}

// entry appends the members of the next entry to dst, and ends its line. What ends early or is
// too long becomes a line that no decoder accepts.
func (r *journalReader) entry(dst []byte) ([]byte, error) {
	long := false
	for {
		line, err := r.src.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			line = bytes.Clone(line)
			for err == bufio.ErrBufferFull {
				var more []byte
				if more, err = r.src.ReadSlice('\n'); len(line) <= MaxRecord {
					line = append(line, more...)
				}
			}
		}
		text := trimEOL(line)
		if err == nil && len(text) > 0 {
			name, value, isText := bytes.Cut(text, []byte{'='})
			if !isText {
				name = bytes.Clone(name)
				if value, err = r.bytes(); err == nil && value == nil {
					long = true
				}
			}
			if long = long || len(dst)+len(value) > MaxRecord; !long {
				dst = appendMember(dst, string(name), value)
			}
		}
		switch {
		case err == nil && len(text) > 0:
		case err == io.EOF && len(text) == 0 && len(dst) == 1:
			return dst[:0], io.EOF
		case len(dst) == 1 && !long: // a second blank line
		case long, err != nil && err != io.EOF, len(text) > 0:
			return append(dst[:0], malformedBlock...), err
		default:
			return append(dst, "}\n"...), err
		}
	}
}

// bytes reads the bytes of a field; nil if they are more than a record may have.
func (r *journalReader) bytes() ([]byte, error) {
	var size [8]byte
	if _, err := io.ReadFull(r.src, size[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n > MaxRecord {
		_, err := r.src.Discard(int(min(n, 1<<40)))
		return nil, err
	}
	value := make([]byte, n+1) // and the end of the line
	_, err := io.ReadFull(r.src, value)
	return value[:n], err
}
