// Package iceberg reads the metadata of Apache Iceberg tables: which data files the current
// snapshot has for some days, which rows of them are deleted, and what their columns are
// called now. It opens nothing itself.
//
// Metadata of format versions 1 and 2 are read, and those of 3 that use nothing else.
package iceberg

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxMetadata is how large a metadata file may be, in bytes, decompressed. Each snapshot
// and each old metadata file that it lists takes a few hundred.
const maxMetadata = 128 << 20

// ErrNotTable is what Parse's error wraps for a text that is not a metadata file.
var ErrNotTable = errors.New("not the metadata of an Iceberg table")

// A Table is the current snapshot of a table. It does not change.
type Table struct {
	Location string // of the table, as the metadata record it
	// MetadataLocation is where the metadata are, if that is not below Location.
	MetadataLocation string
	Schema           *Schema

	list   string   // path of the manifest list; ""
	inline []string // or paths of the manifests, as the first writers had it
	specs  map[int]*spec
}

// A spec says how a table is partitioned.
type spec struct {
	ID     int              `json:"spec-id"`
	Fields []partitionField `json:"fields"`
}

type metadata struct {
	Version    int               `json:"format-version"`
	Location   string            `json:"location"`
	SchemaID   *int              `json:"current-schema-id"`
	Schemas    []json.RawMessage `json:"schemas"`
	Schema     json.RawMessage   `json:"schema"` // version 1
	Specs      []*spec           `json:"partition-specs"`
	Spec       []partitionField  `json:"partition-spec"` // version 1
	Properties map[string]string `json:"properties"`
	SnapshotID *int64            `json:"current-snapshot-id"`
	Snapshots  []struct {
		ID        int64    `json:"snapshot-id"`
		List      string   `json:"manifest-list"`
		Manifests []string `json:"manifests"` // version 1
	} `json:"snapshots"`
}

// Parse reads a metadata file, plain or compressed with gzip.
func Parse(src io.Reader) (*Table, error) {
	in := bufio.NewReader(src)
	var text io.Reader = in
	if magic, _ := in.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		text = z
	}
	b, err := io.ReadAll(io.LimitReader(text, maxMetadata+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxMetadata {
		return nil, fmt.Errorf("more than %d bytes of metadata: have old snapshots expired", maxMetadata)
	}
	var m metadata
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotTable, err)
	}
	return m.table()
}

func (m *metadata) table() (*Table, error) {
	switch {
	case m.Version == 0 || m.Location == "":
		return nil, fmt.Errorf("%w: format-version or location is missing", ErrNotTable)
	case m.Version < 0 || m.Version > 3:
		return nil, fmt.Errorf("format version %d, which is not read: 1 to 3 of Iceberg are", m.Version)
	}
	schema, err := m.schema()
	if err != nil {
		return nil, err
	}
	if err := schema.setMapping(m.Properties["schema.name-mapping.default"]); err != nil {
		return nil, err
	}
	t := &Table{Location: m.Location, MetadataLocation: m.Properties["write.metadata.path"], Schema: schema, specs: map[int]*spec{}}
	for _, s := range m.Specs {
		if s != nil {
			t.specs[s.ID] = s
		}
	}
	if len(m.Specs) == 0 {
		t.specs[0] = &spec{Fields: m.Spec}
	}
	if m.SnapshotID == nil || *m.SnapshotID < 0 {
		return t, nil // nothing was written yet
	}
	for _, s := range m.Snapshots {
		if s.ID == *m.SnapshotID {
			if t.list, t.inline = s.List, s.Manifests; t.list == "" && len(t.inline) == 0 {
				return nil, fmt.Errorf("snapshot %d has no manifest list", s.ID)
			}
			return t, nil
		}
	}
	return nil, fmt.Errorf("the current snapshot %d is not among those of the metadata", *m.SnapshotID)
}

// schema returns the current schema.
func (m *metadata) schema() (*Schema, error) {
	if m.SchemaID == nil || len(m.Schemas) == 0 {
		if len(m.Schema) == 0 {
			return nil, errors.New("the metadata have no schema")
		}
		return parseSchema(m.Schema)
	}
	for _, text := range m.Schemas {
		var s struct {
			ID int `json:"schema-id"`
		}
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, fmt.Errorf("schema: %w", err)
		}
		if s.ID == *m.SchemaID {
			return parseSchema(text)
		}
	}
	return nil, fmt.Errorf("the current schema %d is not among those of the metadata", *m.SchemaID)
}
