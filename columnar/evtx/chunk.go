// Package evtx reads Windows event logs in their binary form: a header of 4 KiB,
// then chunks of 64 KiB that hold records of binary XML. It does not interpret the
// events.
//
// Piece cuts a file into pieces, and a Reader reads the records of a piece. Damage
// is reported by errors, and intact records around it are still read.
package evtx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
)

const (
	// HeaderSize is the size of the header of a file, in bytes.
	HeaderSize = 4 << 10
	// ChunkSize is the size of a chunk, in bytes.
	ChunkSize = 64 << 10

	chunkHeader  = 512
	recordHeader = 24
	// leastRecord is the size of an empty record, with the size field at its end.
	leastRecord = recordHeader + 4
)

var (
	fileMagic   = []byte("ElfFile\x00")
	chunkMagic  = []byte("ElfChnk\x00")
	recordMagic = []byte("**\x00\x00")
)

// The faults of chunks and records. A Reader returns no other error but io.EOF.
var (
	errMagic    = errors.New("no chunk where one should be")
	ErrChecksum = errors.New("chunk does not match its checksum")
	errShort    = errors.New("chunk is cut off")
	errRecord   = errors.New("damaged record")
	errXML      = errors.New("damaged binary XML")
	errLimit    = errors.New("event is larger than any sound one")
)

// IsHeader reports whether p begins with the header of a file.
func IsHeader(p []byte) bool { return bytes.HasPrefix(p, fileMagic) }

// IsChunk reports whether p begins with a chunk.
func IsChunk(p []byte) bool { return bytes.HasPrefix(p, chunkMagic) }

// Dirty reports whether a header says that the file was not closed. In that case
// the counts in the header and the checksums of chunks may be older than the
// records.
func Dirty(header []byte) bool {
	const flags = 120
	return len(header) >= flags+4 && header[flags]&1 != 0
}

// Piece returns the length of the piece of a file at the start of p: a header, a
// chunk, or bytes between them that are neither. all says that p holds the rest of
// the file. Piece returns 0 if p is empty, or if it is too short to tell and all is
// false.
func Piece(p []byte, all bool) int {
	size := ChunkSize
	if IsHeader(p) {
		size = HeaderSize
	}
	after := p[min(len(p), size):]
	switch {
	case len(after) < len(fileMagic) && !all:
		// The bytes that follow tell whether something is missing.
		return 0
	case IsHeader(p), IsChunk(p) && (len(after) < len(fileMagic) || IsChunk(after) || IsHeader(after) || allZero(after[:len(fileMagic)])):
		return min(len(p), size)
	case len(p) == 0:
		return 0
	}
	// Find the next piece: it comes too early, or is the first one after damage.
	within := p[1:min(len(p), size+len(fileMagic)-1)]
	for _, magic := range [][]byte{chunkMagic, fileMagic} {
		if i := bytes.Index(within, magic); i >= 0 {
			within = within[:min(len(within), i+len(magic)-1)]
			size = i + 1
		}
	}
	return min(len(p), size)
}

func allZero(p []byte) bool { return len(bytes.TrimLeft(p, "\x00")) == 0 }

// Records returns how many records a Reader finds in a piece of a file. A damaged
// stretch counts as one record.
func Records(piece []byte) (n int64) {
	var w walk
	w.open(piece)
	for {
		if _, ok, _ := w.next(); !ok {
			return n
		}
		n++
	}
}

// A walk finds the records of a chunk.
type walk struct {
	chunk []byte
	at    int
	free  int    // where records end according to the header
	last  uint64 // id of the last record
	any   bool   // there was a record
}

// open starts at the first record of a piece.
func (w *walk) open(piece []byte) {
	*w = walk{chunk: piece[:min(len(piece), ChunkSize)], at: chunkHeader}
	w.free = len(w.chunk)
	switch {
	case IsHeader(piece), len(w.chunk) < chunkHeader:
		w.at = w.free
	case IsChunk(w.chunk):
		if free := int(binary.LittleEndian.Uint32(w.chunk[48:])); free >= chunkHeader {
			w.free = min(w.free, free)
		}
	case !bytes.HasPrefix(w.chunk[chunkHeader:], recordMagic):
		w.at = w.free
	}
}

// record returns the record at w.chunk[at:], or nil if there is none.
func (w *walk) record(at int) []byte {
	p := w.chunk[at:]
	if len(p) < leastRecord || !bytes.HasPrefix(p, recordMagic) {
		return nil
	}
	size := int64(binary.LittleEndian.Uint32(p[4:]))
	if size < leastRecord || size > int64(len(p)) || int64(binary.LittleEndian.Uint32(p[size-4:])) != size {
		return nil
	}
	return p[:size]
}

// next returns the next record. For a damaged stretch it returns an error once,
// however many records were in it.
func (w *walk) next() (record []byte, ok bool, err error) {
	record = w.record(w.at)
	if w.at >= w.free {
		// A chunk that is still being written has valid records beyond the end that
		// its header gives. Their ids go on; other records there are left over from
		// an older use of the chunk.
		if record == nil || w.any && binary.LittleEndian.Uint64(record[8:]) != w.last+1 {
			return nil, false, nil
		}
	}
	if record == nil {
		return nil, w.skip(), errRecord
	}
	w.at += len(record)
	w.last, w.any = binary.LittleEndian.Uint64(record[8:]), true
	return record, true, nil
}

// skip goes to the next sound record. It reports whether there is one, or whether
// it skipped anything but zeros.
func (w *walk) skip() bool {
	from := w.at
	for w.at < w.free {
		i := bytes.Index(w.chunk[w.at+1:w.free], recordMagic)
		if i < 0 {
			w.at = w.free
			break
		}
		if w.at += 1 + i; w.record(w.at) != nil {
			break
		}
	}
	return w.at < w.free || !allZero(w.chunk[from:w.at])
}

// check returns what is wrong with the chunk as a whole, and the number of records
// by its header, or -1 if the header cannot be trusted.
func (w *walk) check() (records int64, err error) {
	c := w.chunk
	if !IsChunk(c) {
		if allZero(c) { // not used yet
			return -1, nil
		}
		return -1, errMagic
	}
	if len(c) < chunkHeader {
		return -1, errShort
	}
	const noChecksums = 4
	if binary.LittleEndian.Uint32(c[120:])&noChecksums == 0 {
		sum := crc32.ChecksumIEEE(c[:120])
		if crc32.Update(sum, crc32.IEEETable, c[128:chunkHeader]) != binary.LittleEndian.Uint32(c[124:]) {
			return -1, ErrChecksum
		}
	}
	first, last := binary.LittleEndian.Uint64(c[8:]), binary.LittleEndian.Uint64(c[16:])
	records = int64(last - first + 1)
	if records < 0 || records > ChunkSize/leastRecord {
		records = -1
	}
	switch {
	case int64(binary.LittleEndian.Uint32(c[48:])) > int64(len(c)):
		return records, errShort
	case binary.LittleEndian.Uint32(c[120:])&noChecksums == 0 &&
		crc32.ChecksumIEEE(c[chunkHeader:w.free]) != binary.LittleEndian.Uint32(c[52:]):
		return records, ErrChecksum
	}
	return records, nil
}
