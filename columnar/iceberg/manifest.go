package iceberg

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file reads manifest lists and manifests.

// Limits of what a snapshot may have. A file takes some 300 bytes of memory.
const (
	maxManifests = 1 << 16
	maxFiles     = 1 << 20   // of the days asked for, and of deletes
	maxPairs     = 1 << 22   // of a data file and what may delete rows of it
	maxPath      = 4 << 10   // bytes, also of a value of a partition
	maxText      = 256 << 20 // bytes of all paths and values that are kept
)

var errText = fmt.Errorf("more than %d bytes of paths: ask for fewer days, or have the table compacted", maxText)

// A File is a data file of a snapshot.
type File struct {
	Path    string // as the metadata record it
	Records int64
	// Constants are the values of columns that all of its rows have, by id: those by
	// which the table is partitioned. They stand in for columns that the file lacks.
	// Files share them.
	Constants map[int]string
	// Deletes are the paths of the files that may list deleted rows of it.
	Deletes []string
	// Err says why the file must not be read; nil if it may be.
	Err error
}

// An Open opens a file by its path, as the metadata record it.
type Open func(ctx context.Context, path string) (io.ReadCloser, error)

// Files returns the data files of the snapshot that may have rows of the days (UTC), in the
// order of the manifests. Without days it returns all of them.
func (t *Table) Files(ctx context.Context, open Open, days []time.Time, times Times) ([]*File, error) {
	manifests, err := t.manifests(ctx, open)
	if err != nil {
		return nil, err
	}
	s := scan{Table: t, question: newQuestion(t.Schema, days, times), constants: map[partition]map[int]string{}, deletes: map[partition][]deleteFile{}}
	// All that is deleted must be known before the first file is asked about.
	for _, deletes := range []bool{true, false} {
		for i := range manifests {
			m := &manifests[i]
			if m.deletes != deletes || !s.wantsManifest(m) {
				continue
			}
			if err := s.read(ctx, open, m); err != nil {
				return nil, fmt.Errorf("manifest %s: %w", m.path, err)
			}
		}
	}
	return s.files, nil
}

// A manifestFile is an entry of a manifest list.
type manifestFile struct {
	path     string
	spec     int
	deletes  bool
	sequence int64
	bounds   []fieldBounds // of the fields of the partition spec; nil: unknown
}

type fieldBounds struct{ low, high []byte }

// manifests reads the manifest list.
func (t *Table) manifests(ctx context.Context, open Open) (all []manifestFile, err error) {
	if t.list == "" {
		for _, path := range t.inline {
			all = append(all, manifestFile{path: path})
		}
		return all, nil
	}
	seen := map[string]bool{}
	size := 0
	err = readFile(ctx, open, t.list, func(r *avroReader, of *avroType, _ map[string][]byte) error {
		var m manifestFile
		r.record(of, func(f *avroField) {
			switch f.name {
			case "manifest_path":
				m.path = r.text(f.avroType)
			case "partition_spec_id":
				m.spec = int(r.number(f.avroType))
			case "content":
				m.deletes = r.number(f.avroType) != 0
			case "sequence_number":
				m.sequence = r.number(f.avroType)
			case "partitions":
				m.bounds = r.summaries(f.avroType)
			default:
				r.skip(f.avroType)
			}
		})
		switch {
		case r.err != nil:
			return nil
		case m.path == "":
			return errors.New("has an entry without manifest_path: not a manifest list")
		case len(all) == maxManifests:
			return fmt.Errorf("lists more than %d manifests: have the table's manifests rewritten", maxManifests)
		case !seen[m.path]:
			seen[m.path] = true
			all = append(all, m)
			size += len(m.path)
			for _, b := range m.bounds {
				size += 64 + len(b.low) + len(b.high)
			}
			if size > maxText {
				return errText
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("manifest list %s: %w", t.list, err)
	}
	return all, nil
}

func readFile(ctx context.Context, open Open, path string, each func(*avroReader, *avroType, map[string][]byte) error) error {
	f, err := open(ctx, path)
	if err != nil {
		return err
	}
	defer f.Close()
	return readAvro(f, each)
}

// text reads a text that may be null.
func (r *avroReader) text(t *avroType) string {
	s, _ := r.value(t).(string)
	if len(s) > maxPath {
		r.fail(fmt.Errorf("a text of %d bytes; at most %d are read", len(s), maxPath))
		return ""
	}
	return s
}

// short reads bytes that may be null; longer ones say nothing either.
func (r *avroReader) short(t *avroType) []byte {
	b, _ := r.value(t).([]byte)
	if len(b) > maxPath {
		return nil
	}
	return b
}

// number reads an integer that may be null, which is 0.
func (r *avroReader) number(t *avroType) int64 {
	n, _ := r.value(t).(int64)
	return n
}

// summaries reads what a manifest list says of the partitions of a manifest.
func (r *avroReader) summaries(t *avroType) (out []fieldBounds) {
	if t = r.some(t); t == nil {
		return nil
	}
	if t.kind != "array" {
		r.fail(errors.New("partitions is no array"))
		return nil
	}
	r.array(t, func(item *avroType) {
		var b fieldBounds
		r.record(item, func(f *avroField) {
			switch f.name {
			case "lower_bound":
				b.low = r.short(f.avroType)
			case "upper_bound":
				b.high = r.short(f.avroType)
			default:
				r.skip(f.avroType)
			}
		})
		out = append(out, b)
	})
	return out
}

// A partition tells the files of one partition from those of others: by the spec and the
// values of its fields, in one form.
type partition struct {
	spec   int
	values string
}

func partitionOf(spec int, values []any) partition {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case bool:
			b = append(b, 'b', 0)
			if v {
				b[len(b)-1] = 1
			}
		case int64:
			b = binary.AppendVarint(append(b, 'i'), v)
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 'f'), math.Float64bits(v))
		case string:
			b = append(binary.AppendUvarint(append(b, 's'), uint64(len(v))), v...)
		case []byte:
			b = append(binary.AppendUvarint(append(b, 's'), uint64(len(v))), v...)
		default:
			b = append(b, 'n')
		}
	}
	return partition{spec, string(b)}
}

// A scan reads the manifests of a snapshot.
type scan struct {
	*Table
	*question
	files     []*File
	constants map[partition]map[int]string // File.Constants
	deletes   map[partition][]deleteFile
	global    []deleteFile // equality deletes that are for all partitions
	deleting  int          // deletes and global
	pairs     int
	size      int // of the paths and partitions that are kept, in bytes
}

// A deleteFile deletes rows of the files of a partition.
type deleteFile struct {
	path      string
	format    string
	sequence  int64 // of the data that it is about: this and before, or before it if equality
	equality  bool
	low, high string // of the paths of the files that it is about; "" if unknown
}

// wantsManifest reports whether a manifest may list files of the days.
func (s *scan) wantsManifest(m *manifestFile) bool {
	sp := s.specs[m.spec]
	if sp == nil || len(m.bounds) != len(sp.Fields) {
		return true
	}
	narrowed := map[int]span{}
	for i := range sp.Fields {
		f := &sp.Fields[i]
		c := s.Schema.column(f.Source)
		if c == nil {
			continue
		}
		if f.Transform == "identity" && c.Type == "string" && isDayColumn(c.Name) {
			low, ok1 := dayOf(string(m.bounds[i].low))
			high, ok2 := dayOf(string(m.bounds[i].high))
			if ok1 && ok2 && !s.meets(span{low.first, high.last}) {
				return false
			}
		}
		l, ok1 := boundInt(m.bounds[i].low)
		h, ok2 := boundInt(m.bounds[i].high)
		if !ok1 || !ok2 {
			continue
		}
		low, ok1 := f.span(l)
		high, ok2 := f.span(h)
		if !ok1 || !ok2 {
			continue
		}
		of := span{low.first, high.last}
		if c.Type != "timestamptz" && c.Type != "timestamptz_ns" {
			of = of.wider(s.Zone)
		}
		narrowed[c.ID] = of
	}
	return s.wants(&fileBounds{}, narrowed)
}

// An entry is an entry of a manifest.
type entry struct {
	status    int64
	sequence  any // nil: the manifest's
	content   int64
	path      string
	format    string
	records   int64
	partition []any
	bounds    fileBounds
	encrypted bool
	refersTo  string // the only data file that a delete file is about
}

const (
	statusDeleted = 2

	contentData      = 0
	contentPositions = 1
	contentEquality  = 2

	// pathID is the column of a file of deletes that has the path of a data file.
	pathID = 2147483546
)

// read reads a manifest.
func (s *scan) read(ctx context.Context, open Open, m *manifestFile) error {
	wanted := []int{pathID}
	if !m.deletes {
		wanted = wanted[:0]
		for _, c := range s.times {
			wanted = append(wanted, c.ID)
		}
	}
	return readFile(ctx, open, m.path, func(r *avroReader, t *avroType, meta map[string][]byte) error {
		if s.list == "" { // there is no manifest list to say it
			m.spec, _ = strconv.Atoi(string(meta["partition-spec-id"]))
		}
		sp := s.specs[m.spec]
		if sp == nil {
			return fmt.Errorf("is of partition spec %d, which the table does not have", m.spec)
		}
		var e entry
		known := false
		r.record(t, func(f *avroField) {
			switch f.name {
			case "status":
				e.status = r.number(f.avroType)
			case "sequence_number":
				e.sequence = r.value(f.avroType)
			case "data_file":
				if of := r.some(f.avroType); of != nil && of.kind == "record" {
					known = true
					r.dataFile(of, &e, sp, wanted)
				}
			default:
				r.skip(f.avroType)
			}
		})
		switch {
		case r.err != nil:
			return nil
		case !known || e.path == "":
			return errors.New("has an entry without data_file.file_path: not a manifest")
		case e.status == statusDeleted:
			return nil
		}
		sequence, ok := e.sequence.(int64)
		if !ok {
			sequence = m.sequence
		}
		if s.size += len(e.path); s.size > maxText {
			return errText
		}
		narrowed := map[int]span{}
		if !s.partitioned(sp, s.Schema, e.partition, narrowed) {
			return nil
		}
		at := partitionOf(m.spec, e.partition)
		switch e.content {
		case contentData:
			if !s.question.wants(&e.bounds, narrowed) {
				return nil
			}
			return s.add(&e, sp, at, sequence)
		case contentPositions, contentEquality:
			if s.deleting++; s.deleting > maxFiles {
				return fmt.Errorf("the table has more than %d files of deletes: have it compacted", maxFiles)
			}
			d := deleteFile{path: e.path, format: e.format, sequence: sequence, equality: e.content == contentEquality}
			if !d.equality {
				d.low, d.high = string(e.bounds.lower[pathID]), string(e.bounds.upper[pathID])
			}
			if e.refersTo != "" {
				d.low, d.high = e.refersTo, e.refersTo
			}
			if d.equality && len(sp.Fields) == 0 {
				s.global = append(s.global, d)
			} else {
				s.deletes[at] = append(s.deletes[at], d)
			}
			return nil
		}
		return fmt.Errorf("%s has the content %d, which is not known", e.path, e.content)
	})
}

// dataFile reads the record of a file.
func (r *avroReader) dataFile(t *avroType, e *entry, sp *spec, wanted []int) {
	r.record(t, func(f *avroField) {
		switch f.name {
		case "content":
			e.content = r.number(f.avroType)
		case "file_path":
			e.path = r.text(f.avroType)
		case "file_format":
			e.format = strings.ToLower(r.text(f.avroType))
		case "record_count":
			e.records = r.number(f.avroType)
		case "partition":
			e.partition = r.partition(f.avroType, sp)
		case "value_counts":
			e.bounds.values = r.counts(f.avroType, wanted)
		case "null_value_counts":
			e.bounds.nulls = r.counts(f.avroType, wanted)
		case "lower_bounds":
			e.bounds.lower = r.bounds(f.avroType, wanted)
		case "upper_bounds":
			e.bounds.upper = r.bounds(f.avroType, wanted)
		case "key_metadata":
			e.encrypted = r.value(f.avroType) != nil
		case "referenced_data_file":
			e.refersTo = r.text(f.avroType)
		default:
			r.skip(f.avroType)
		}
	})
}

// partition reads the values of the fields of a spec, in its order.
func (r *avroReader) partition(t *avroType, sp *spec) []any {
	values := make([]any, len(sp.Fields))
	if t = r.some(t); t == nil {
		return values
	}
	r.record(t, func(f *avroField) {
		for i := range sp.Fields {
			if sp.Fields[i].ID == f.id && f.id != 0 || f.id == 0 && sp.Fields[i].Name == f.name {
				values[i] = r.value(f.avroType)
				if text, ok := values[i].(string); ok && len(text) > maxPath {
					r.fail(fmt.Errorf("a partition with a text of %d bytes; at most %d are read", len(text), maxPath))
				}
				return
			}
		}
		r.skip(f.avroType)
	})
	return values
}

// entries reads a map whose keys are ids of columns, which Avro has as an array.
func (r *avroReader) entries(t *avroType, wanted []int, keep func(id int, v any)) {
	if t = r.some(t); t == nil {
		return
	}
	if t.kind != "array" {
		r.fail(errors.New("a map of columns is no array"))
		return
	}
	r.array(t, func(item *avroType) {
		id := 0
		r.record(item, func(f *avroField) {
			switch {
			case f.name == "key":
				id = int(r.number(f.avroType))
			case f.name == "value" && slices.Contains(wanted, id):
				keep(id, r.value(f.avroType))
			default:
				r.skip(f.avroType)
			}
		})
	})
}

func (r *avroReader) counts(t *avroType, wanted []int) map[int]int64 {
	out := map[int]int64{}
	r.entries(t, wanted, func(id int, v any) {
		if n, ok := v.(int64); ok {
			out[id] = n
		}
	})
	return out
}

func (r *avroReader) bounds(t *avroType, wanted []int) map[int][]byte {
	out := map[int][]byte{}
	r.entries(t, wanted, func(id int, v any) {
		if b, ok := v.([]byte); ok && len(b) <= maxPath {
			out[id] = b
		}
	})
	return out
}

// add adds a data file, with what deletes rows of it.
func (s *scan) add(e *entry, sp *spec, at partition, sequence int64) error {
	if len(s.files) == maxFiles {
		return fmt.Errorf("the table has more than %d data files for the days asked for: ask for fewer, or have it compacted", maxFiles)
	}
	constants, ok := s.constants[at]
	if !ok {
		constants = map[int]string{}
		for i := range sp.Fields {
			c := s.Schema.column(sp.Fields[i].Source)
			if c == nil || sp.Fields[i].Transform != "identity" || i >= len(e.partition) {
				continue
			}
			if text, ok := partitionText(e.partition[i], c.Type); ok {
				constants[c.ID] = text
			}
		}
		s.constants[at] = constants
		s.size += 4 * len(at.values)
	}
	f := &File{Path: e.path, Records: e.records, Constants: constants}
	switch {
	case e.encrypted:
		f.Err = errors.New("is encrypted by the table")
	case e.format != "parquet":
		f.Err = fmt.Errorf("is a data file in %.16s: of tables only Parquet is read", e.format)
	}
	for _, all := range [][]deleteFile{s.deletes[at], s.global} {
		for i := range all {
			d := &all[i]
			switch {
			case d.equality && d.sequence > sequence:
				if f.Err == nil {
					f.Err = fmt.Errorf("has rows that %s deletes by their values (an equality delete), which is not read: have the table compacted", d.path)
				}
			case d.equality || d.sequence < sequence || d.low > e.path || d.high != "" && d.high < e.path:
			case d.format != "parquet":
				if f.Err == nil {
					f.Err = fmt.Errorf("has rows that %s deletes, a deletion vector or a file in %.16s, which is not read: have the table compacted", d.path, d.format)
				}
			default:
				if s.pairs++; s.pairs > maxPairs {
					return errors.New("too many files of deletes for as many data files: have the table compacted")
				}
				f.Deletes = append(f.Deletes, d.path)
			}
		}
	}
	s.files = append(s.files, f)
	return nil
}
