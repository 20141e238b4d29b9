package iceberg

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// avroFile is a container file with one block.
func avroFile(schema, codec string, count, size int64, block []byte) []byte {
	text := func(b []byte, s string) []byte { return append(binary.AppendVarint(b, int64(len(s))), s...) }
	b := binary.AppendVarint([]byte("Obj\x01"), 2)
	b = text(text(b, "avro.schema"), schema)
	b = text(text(b, "avro.codec"), codec)
	b = append(b, 0)
	sync := bytes.Repeat([]byte{7}, 16)
	b = append(b, sync...)
	b = binary.AppendVarint(binary.AppendVarint(b, count), size)
	return append(append(b, block...), sync...)
}

// compressed compresses a block as Avro's codec of the name does.
func compressed(t testing.TB, codec string, b []byte) []byte {
	t.Helper()
	switch codec {
	case "deflate":
		var out bytes.Buffer
		w, _ := flate.NewWriter(&out, 9)
		w.Write(b)
		w.Close()
		return out.Bytes()
	case "zstandard":
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll(b, nil)
	case "snappy":
		return binary.BigEndian.AppendUint32(snappy.Encode(nil, b), crc32.ChecksumIEEE(b))
	}
	return b
}

const pairSchema = `{"type": "record", "name": "pair", "fields": [
	{"name": "skipped", "type": ["null", {"type": "map", "values": {"type": "array", "items": "double"}}]},
	{"name": "fixed", "type": {"type": "fixed", "name": "f4", "size": 4}},
	{"name": "again", "type": "f4"},
	{"name": "n", "type": ["null", "long"]},
	{"name": "text", "type": "string"}]}`

// pairs are three records of pairSchema.
func pairs() []byte {
	var b []byte
	for i := range int64(3) {
		b = append(b, 2)                                     // a map
		b = append(binary.AppendVarint(b, -1), 24)           // one entry, in 12 bytes
		b = append(append(b, 2, 'k', 2), make([]byte, 8)...) // key, array of one
		b = append(b, 0, 0)                                  // ends of the array and the map
		b = append(b, "abcdwxyz"...)
		b = append(binary.AppendVarint(append(b, 2), 1000*i), 4)
		b = append(b, "x"+fmt.Sprint(i)...)
	}
	return b
}

func readPairs(file []byte) (got string, err error) {
	err = readAvro(bytes.NewReader(file), func(r *avroReader, t *avroType, _ map[string][]byte) error {
		r.record(t, func(f *avroField) {
			switch f.name {
			case "n":
				got += fmt.Sprint(r.number(f.avroType), " ")
			case "text", "again":
				got += fmt.Sprintf("%s ", r.value(f.avroType))
			default:
				r.skip(f.avroType)
			}
		})
		return nil
	})
	return got, err
}

func TestAvro(t *testing.T) {
	const want = "wxyz 0 x0 wxyz 1000 x1 wxyz 2000 x2 "
	for _, codec := range []string{"null", "deflate", "zstandard", "snappy"} {
		block := compressed(t, codec, pairs())
		file := avroFile(pairSchema, codec, 3, int64(len(block)), block)
		if got, err := readPairs(file); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", codec, got, err, want)
		}
		for n := range len(file) {
			if _, err := readPairs(file[:n]); err == nil && n != len(file)-len(block)-16-blockHeader(3, len(block)) {
				t.Errorf("%s: no error of a file cut off at byte %d of %d", codec, n, len(file))
			}
		}
	}
}

// blockHeader is how many bytes stand before a block. A file that ends there is whole.
func blockHeader(count, size int) int {
	return len(binary.AppendVarint(binary.AppendVarint(nil, int64(count)), int64(size)))
}

// If this fails, a small file takes the process's memory, its stack, or its time.
func TestAvroHostile(t *testing.T) {
	bomb := compressed(t, "deflate", make([]byte, 2*maxAvroBlock))
	deep := strings.Repeat(`{"type": "array", "items": `, 1000) + `"null"` + strings.Repeat("}", 1000)
	wide := `"null"`
	for i := range 40 { // each has the one before twice: 2^40 values of no bytes
		wide = fmt.Sprintf(`{"type": "record", "name": "r%d", "fields": [{"name": "a", "type": %s}, {"name": "b", "type": "%s"}]}`,
			i, wide, map[bool]string{true: "null", false: fmt.Sprintf("r%d", i-1)}[i == 0])
		if i == maxAvroDepth-2 {
			break
		}
	}
	const text = `{"type": "record", "name": "r", "fields": [{"name": "s", "type": "string"}]}`
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"negative size":    {avroFile(text, "null", 1, -5, nil), "-5 bytes"},
		"huge size":        {avroFile(text, "null", 1, 1<<40, nil), "at most"},
		"large size":       {avroFile(text, "null", 1, maxAvroBlock, nil), "ends early"},
		"negative count":   {avroFile(text, "null", -1, 0, nil), "-1 records"},
		"huge count":       {avroFile(`{"type": "record", "name": "r", "fields": []}`, "null", 1<<62, 0, nil), "more values"},
		"huge text":        {avroFile(text, "null", 1, 9, binary.AppendVarint(nil, 1<<61)), "ends early"},
		"negative text":    {avroFile(text, "null", 1, 1, binary.AppendVarint(nil, -3)), "ends early"},
		"recursive":        {avroFile(`{"type": "record", "name": "r", "fields": [{"name": "x", "type": "r"}]}`, "null", 1, 1, []byte{0}), "not defined before"},
		"deep":             {avroFile(`{"type": "record", "name": "r", "fields": [{"name": "x", "type": `+deep+`}]}`, "null", 1, 1, []byte{0}), "nested more than"},
		"wide":             {avroFile(wide, "null", 1, 0, nil), "more values"},
		"array of nothing": {avroFile(`{"type": "record", "name": "r", "fields": [{"name": "x", "type": {"type": "array", "items": "null"}}]}`, "null", 1, 11, append(binary.AppendVarint(nil, 1<<62), 0)), "more values"},
		"least count":      {avroFile(`{"type": "record", "name": "r", "fields": [{"name": "x", "type": {"type": "array", "items": "null"}}]}`, "null", 1, 12, append(binary.AppendVarint(nil, -1<<63), 0, 0)), "more values"},
		"bomb":             {avroFile(text, "deflate", 1, int64(len(bomb)), bomb), "bytes decompressed"},
		"zstd bomb":        {avroFile(text, "zstandard", 1, int64(len(compressed(t, "zstandard", make([]byte, 2*maxAvroBlock)))), compressed(t, "zstandard", make([]byte, 2*maxAvroBlock))), "zstandard"},
		"union":            {avroFile(`{"type": "record", "name": "r", "fields": [{"name": "x", "type": ["null"]}]}`, "null", 1, 1, []byte{8}), "branch 4"},
		"rest":             {avroFile(text, "null", 1, 5, []byte("\x02abcd")), "after its last record"},
		"codec":            {avroFile(text, "lzma", 1, 2, []byte{0, 0}), `"lzma"`},
		"no record":        {avroFile(`"string"`, "null", 1, 1, []byte{0}), "strings, not of records"},
		"no schema":        {avroFile(``, "null", 1, 1, []byte{0}), "type is missing"},
		"not avro":         {[]byte("PAR1...."), "not an avro file"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, err := readPairs(c.file)
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			// A buffer that doubles until it holds a block takes 4 of them, and with -race 8.
			if took := after.TotalAlloc - before.TotalAlloc; took > 9*maxAvroBlock || time.Since(start) > 20*time.Second {
				t.Errorf("took %d MiB, %v", took>>20, time.Since(start))
			}
		})
	}
}

// FuzzManifest reads anything as a manifest list, a manifest and a manifest of deletes.
func FuzzManifest(f *testing.F) {
	names, _ := filepath.Glob("../store/testdata/iceberg/metadata/*.avro")
	if len(names) == 0 {
		f.Fatal("no manifests to begin with")
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		// Without compression, so that changes reach the records.
		f.Add(plainAvro(f, b))
	}
	schema, err := parseSchema(json.RawMessage(testSchema))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		table := &Table{Schema: schema, list: "list", specs: map[int]*spec{0: {Fields: []partitionField{{Source: 1, ID: 1000, Name: "time_day", Transform: "day"}}}}}
		open := func(_ context.Context, path string) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(b)), nil
		}
		days := []time.Time{time.Date(2025, 11, 19, 0, 0, 0, 0, time.UTC)}
		table.Files(t.Context(), open, days, firstTime)
		s := scan{Table: table, question: newQuestion(schema, days, firstTime), constants: map[partition]map[int]string{}, deletes: map[partition][]deleteFile{}}
		for _, deletes := range []bool{true, false} {
			s.read(t.Context(), open, &manifestFile{path: "m", deletes: deletes})
		}
	})
}

// plainAvro is a container file without its compression.
func plainAvro(t testing.TB, file []byte) []byte {
	t.Helper()
	at := bytes.Index(file, []byte("deflate"))
	if at < 0 {
		return file
	}
	b := bytes.Replace(file, []byte("\x0edeflate"), []byte("\x08null"), 1)
	var meta map[string][]byte
	var block []byte
	codec := avroCodec{name: "deflate"}
	in := newAvroBlocks(t, file, &meta)
	count, _ := binary.ReadVarint(in)
	size, _ := binary.ReadVarint(in)
	stored := make([]byte, size)
	io.ReadFull(in, stored)
	block, err := codec.decode(stored)
	if err != nil {
		t.Fatal(err)
	}
	head := bytes.Index(b, stored) - blockHeader(int(count), int(size))
	sync := b[head-16 : head]
	b = append(bytes.Clone(b[:head]), binary.AppendVarint(binary.AppendVarint(nil, count), int64(len(block)))...)
	return append(append(b, block...), sync...)
}
