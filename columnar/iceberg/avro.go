package iceberg

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// This file reads Avro object container files, as far as manifests need them: records
// are read by the schema in the file, field by field, and what nobody asks for is
// skipped.

// Limits of what a file may ask for. They bound the memory and the time that a damaged
// or hostile file can take. Writers make blocks of 64 KiB to a few MiB.
const (
	maxAvroSchema = 16 << 20 // bytes; a field of the partition takes about 100
	maxAvroBlock  = 64 << 20 // bytes, both compressed and decompressed
	maxAvroDepth  = 32       // of nested types
	// freeSteps is how many values a block may have beside one for each byte: values of
	// no bytes, such as the partition of a table without one.
	freeSteps = 1 << 22
)

// AvroMagic begins an Avro object container file.
const AvroMagic = "Obj\x01"

var errTruncated = errors.New("ends early")

// An avroType is a type of a schema.
type avroType struct {
	kind   string // primitive, or record, enum, fixed, array, map, union
	fields []avroField
	items  *avroType   // of an array or map
	of     []*avroType // of a union
	size   int         // of a fixed
}

type avroField struct {
	name string
	id   int // Iceberg's field-id; 0: none
	*avroType
}

// A schemaParser reads a schema. Named types may be referred to after their end: a
// record within itself has no place in a manifest, and could have no end.
type schemaParser struct{ named map[string]*avroType }

func (p *schemaParser) parse(text json.RawMessage, depth int) (*avroType, error) {
	if depth > maxAvroDepth {
		return nil, fmt.Errorf("types nested more than %d deep", maxAvroDepth)
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return nil, errors.New("a type is missing")
	}
	switch text[0] {
	case '"':
		var name string
		if err := json.Unmarshal(text, &name); err != nil {
			return nil, err
		}
		switch name {
		case "null", "boolean", "int", "long", "float", "double", "bytes", "string":
			return &avroType{kind: name}, nil
		}
		if t := p.named[name]; t != nil {
			return t, nil
		}
		return nil, fmt.Errorf("type %.64q is not defined before its use", name)
	case '[':
		var of []json.RawMessage
		if err := json.Unmarshal(text, &of); err != nil {
			return nil, err
		}
		t := &avroType{kind: "union"}
		for _, branch := range of {
			b, err := p.parse(branch, depth+1)
			if err != nil {
				return nil, err
			}
			t.of = append(t.of, b)
		}
		return t, nil
	}
	var s struct {
		Type   json.RawMessage `json:"type"`
		Name   string          `json:"name"`
		Fields []struct {
			Name string          `json:"name"`
			Type json.RawMessage `json:"type"`
			ID   int             `json:"field-id"`
		} `json:"fields"`
		Items  json.RawMessage `json:"items"`
		Values json.RawMessage `json:"values"`
		Size   int             `json:"size"`
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, err
	}
	var kind string
	if json.Unmarshal(s.Type, &kind) != nil {
		return p.parse(s.Type, depth+1)
	}
	t := &avroType{kind: kind, size: s.Size}
	var err error
	switch kind {
	case "record":
		for _, f := range s.Fields {
			of, err := p.parse(f.Type, depth+1)
			if err != nil {
				return nil, fmt.Errorf("field %.64q: %w", f.Name, err)
			}
			t.fields = append(t.fields, avroField{f.Name, f.ID, of})
		}
	case "array":
		t.items, err = p.parse(s.Items, depth+1)
	case "map":
		t.items, err = p.parse(s.Values, depth+1)
	case "fixed":
		if s.Size < 0 || s.Size > maxAvroBlock {
			return nil, fmt.Errorf("a fixed of %d bytes", s.Size)
		}
	case "enum":
	default:
		return p.parse(s.Type, depth+1)
	}
	if err != nil {
		return nil, err
	}
	if s.Name != "" {
		p.named[s.Name] = t
	}
	return t, nil
}

// readAvro calls each with every record of a container file, to read it, and with the
// file's own metadata.
func readAvro(src io.Reader, each func(r *avroReader, t *avroType, meta map[string][]byte) error) error {
	in := bufio.NewReaderSize(src, 64<<10)
	meta, sync, err := avroHeader(in)
	if err != nil {
		return err
	}
	p := schemaParser{map[string]*avroType{}}
	t, err := p.parse(meta["avro.schema"], 0)
	if err != nil {
		return fmt.Errorf("avro schema: %w", err)
	}
	if t.kind != "record" {
		return fmt.Errorf("an avro file of %ss, not of records", t.kind)
	}
	codec := avroCodec{name: string(meta["avro.codec"])}
	defer codec.close()
	var stored []byte
	for block := 1; ; block++ {
		if _, err := in.Peek(1); err == io.EOF {
			return nil
		}
		count, err1 := binary.ReadVarint(in)
		size, err2 := binary.ReadVarint(in)
		switch err := errors.Join(err1, err2); {
		case err != nil:
			return fmt.Errorf("avro block %d: %w", block, ended(err))
		case count < 0 || size < 0 || size > maxAvroBlock:
			return fmt.Errorf("avro block %d: %d records in %d bytes; at most %d bytes are read", block, count, size, maxAvroBlock)
		}
		if stored, err = readN(in, stored[:0], int(size)); err != nil {
			return fmt.Errorf("avro block %d: %w", block, err)
		}
		var mark [16]byte
		if _, err := io.ReadFull(in, mark[:]); err != nil {
			return fmt.Errorf("avro block %d: %w", block, ended(err))
		}
		if mark != sync {
			return fmt.Errorf("avro block %d is damaged: another sync marker than the file's", block)
		}
		data, err := codec.decode(stored)
		if err != nil {
			return fmt.Errorf("avro block %d: %w", block, err)
		}
		r := avroReader{b: data, steps: len(data) + freeSteps}
		for ; count > 0 && r.step(); count-- {
			if err := each(&r, t, meta); err != nil {
				return err
			}
			if r.err != nil {
				return fmt.Errorf("avro block %d: %w", block, r.err)
			}
		}
		if r.err != nil {
			return fmt.Errorf("avro block %d: %w", block, r.err)
		}
		if len(r.b) > 0 {
			return fmt.Errorf("avro block %d is damaged: %d bytes after its last record", block, len(r.b))
		}
	}
}

func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTruncated
	}
	return err
}

// readN appends n bytes. It takes no more memory than there are bytes.
func readN(in io.Reader, b []byte, n int) ([]byte, error) {
	const step = 1 << 20
	for n > 0 {
		k := min(n, step)
		at := len(b)
		b = append(b, make([]byte, k)...)
		if _, err := io.ReadFull(in, b[at:]); err != nil {
			return b, ended(err)
		}
		n -= k
	}
	return b, nil
}

// avroHeader reads what stands before the first block.
func avroHeader(in *bufio.Reader) (meta map[string][]byte, sync [16]byte, err error) {
	fail := func(err error) (map[string][]byte, [16]byte, error) {
		return nil, sync, fmt.Errorf("avro header: %w", ended(err))
	}
	var magic [4]byte
	if _, err := io.ReadFull(in, magic[:]); err != nil {
		return fail(err)
	}
	if string(magic[:]) != AvroMagic {
		return nil, sync, errors.New("is not an avro file")
	}
	meta = map[string][]byte{}
	left := int64(maxAvroSchema)
	text := func() (b []byte, err error) {
		n, err := binary.ReadVarint(in)
		if err != nil {
			return nil, err
		}
		if n < 0 || n > left {
			return nil, fmt.Errorf("more than %d bytes", maxAvroSchema)
		}
		left -= n + 1
		return readN(in, nil, int(n))
	}
	for {
		n, err := binary.ReadVarint(in)
		if err != nil {
			return fail(err)
		}
		if n < 0 { // followed by its size in bytes
			if _, err := binary.ReadVarint(in); err != nil {
				return fail(err)
			}
			n = -n
		}
		if n == 0 {
			break
		}
		for ; n != 0; n-- {
			key, err := text()
			if err != nil {
				return fail(err)
			}
			value, err := text()
			if err != nil {
				return fail(err)
			}
			meta[string(key)] = value
		}
	}
	if _, err := io.ReadFull(in, sync[:]); err != nil {
		return fail(err)
	}
	return meta, sync, nil
}

// An avroCodec decompresses blocks.
type avroCodec struct {
	name string
	buf  []byte
	zstd *zstd.Decoder
}

func (c *avroCodec) close() {
	if c.zstd != nil {
		c.zstd.Close()
	}
}

// decode returns the content of a block. It is valid until the next call.
func (c *avroCodec) decode(b []byte) ([]byte, error) {
	var err error
	switch c.name {
	case "", "null":
		return b, nil
	case "deflate":
		c.buf, err = readAtMost(c.buf[:0], flate.NewReader(bytes.NewReader(b)))
	case "zstandard":
		if c.zstd == nil {
			c.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(maxAvroBlock), zstd.WithDecoderMaxMemory(maxAvroBlock))
			if err != nil {
				return nil, err
			}
		}
		c.buf, err = c.zstd.DecodeAll(b, c.buf[:0])
	case "snappy":
		if len(b) < 4 {
			return nil, errTruncated
		}
		n, err := snappy.DecodedLen(b[:len(b)-4])
		if err != nil || n > maxAvroBlock {
			return nil, fmt.Errorf("damaged snappy block of %d bytes", n)
		}
		if c.buf, err = snappy.Decode(c.buf[:cap(c.buf)], b[:len(b)-4]); err != nil {
			return nil, err
		}
		if crc32.ChecksumIEEE(c.buf) != binary.BigEndian.Uint32(b[len(b)-4:]) {
			return nil, errors.New("damaged: wrong checksum")
		}
	default:
		return nil, fmt.Errorf("compressed with %.32q, which is not read", c.name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, ended(err))
	}
	return c.buf, nil
}

// readAtMost appends all of src, or fails if that is more than a block may have.
func readAtMost(b []byte, src io.Reader) ([]byte, error) {
	to := bytes.NewBuffer(b)
	_, err := io.Copy(to, io.LimitReader(src, maxAvroBlock+1))
	if err == nil && to.Len() > maxAvroBlock {
		err = fmt.Errorf("more than %d bytes decompressed", maxAvroBlock)
	}
	return to.Bytes(), err
}

// An avroReader reads the values of a block. After an error all values are zero.
type avroReader struct {
	b     []byte
	steps int // values to come, at most
	err   error
}

func (r *avroReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

// step counts a value, and reports whether there may be one.
func (r *avroReader) step() bool {
	if r.steps--; r.steps < 0 {
		r.fail(errors.New("more values than its bytes can hold"))
	}
	return r.err == nil
}

func (r *avroReader) long() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail(errTruncated)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// take returns the next n bytes, which are valid as long as the block is.
func (r *avroReader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.b)) {
		r.fail(errTruncated)
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// value reads a value that is not nested: nil, bool, int64, float64, []byte or string.
// Records, arrays and maps are skipped and give nil.
func (r *avroReader) value(t *avroType) any {
	if !r.step() {
		return nil
	}
	switch t.kind {
	case "boolean":
		b := r.take(1)
		return len(b) == 1 && b[0] != 0
	case "int", "long", "enum":
		return r.long()
	case "float":
		if b := r.take(4); b != nil {
			return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
		}
	case "double":
		if b := r.take(8); b != nil {
			return math.Float64frombits(binary.LittleEndian.Uint64(b))
		}
	case "bytes":
		return bytes.Clone(r.take(r.long()))
	case "string":
		return string(r.take(r.long()))
	case "fixed":
		return bytes.Clone(r.take(int64(t.size)))
	case "union":
		if t := r.branch(t); t != nil {
			return r.value(t)
		}
	case "record":
		r.record(t, func(f *avroField) { r.skip(f.avroType) })
	case "array":
		r.array(t, r.skip)
	case "map":
		r.items(func() {
			r.take(r.long())
			r.skip(t.items)
		})
	}
	return nil
}

// skip passes over a value.
func (r *avroReader) skip(t *avroType) {
	switch {
	case t.kind == "bytes" || t.kind == "string":
		if r.step() {
			r.take(r.long())
		}
	case t.kind == "fixed":
		if r.step() {
			r.take(int64(t.size))
		}
	default:
		r.value(t)
	}
}

// branch returns the type that a union has here.
func (r *avroReader) branch(t *avroType) *avroType {
	i := r.long()
	if i < 0 || i >= int64(len(t.of)) {
		r.fail(fmt.Errorf("damaged: branch %d of a union of %d", i, len(t.of)))
		return nil
	}
	return t.of[i]
}

// some returns t, or the type that it has here if it is a union; nil for null.
func (r *avroReader) some(t *avroType) *avroType {
	for t != nil && t.kind == "union" && r.step() {
		t = r.branch(t)
	}
	if r.err != nil || t == nil || t.kind == "null" {
		return nil
	}
	return t
}

// record calls read with each field in order, which must read it.
func (r *avroReader) record(t *avroType, read func(f *avroField)) {
	for i := range t.fields {
		if r.err != nil {
			return
		}
		read(&t.fields[i])
	}
}

// array calls read with the type of the items for each of them.
func (r *avroReader) array(t *avroType, read func(*avroType)) {
	r.items(func() { read(t.items) })
}

// items calls read for each item of an array or a map.
func (r *avroReader) items(read func()) {
	for r.step() {
		n := r.long()
		if n < 0 {
			r.long() // size in bytes
			n = -n
		}
		if n == 0 {
			return
		}
		for ; n != 0 && r.step(); n-- {
			read()
		}
	}
}
