package iceberg

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// maxSchemaDepth is how deep the columns of a table may be nested. OCSF has some ten
// levels.
const maxSchemaDepth = 64

// A Schema is the current schema of a table. Data files know a column by its id: its name
// in a file is the one that it had when the file was written.
type Schema struct {
	// Columns are the columns that are in no list or map, in the order of the schema.
	Columns []Column
	names   map[int]string // of the columns and what they are nested in, by id: the last segment
	mapped  map[string]int // ids, by path, in files that have none; see Mapped
}

// A Column is a column of a table.
type Column struct {
	ID       int
	Name     string // its path with dots, as in src_endpoint.ip
	Type     string // as Iceberg calls it: long, timestamptz, decimal(9,2)
	Required bool   // it has a value in every row
	// Default is the value of the rows of files that were written before the column was
	// added; HasDefault says that there is one, and not null.
	Default    string
	HasDefault bool
}

// Name returns the last segment of the current name of a field. ok is false if the table
// has dropped the field.
func (s *Schema) Name(id int) (name string, ok bool) {
	name, ok = s.names[id]
	return name, ok
}

// Mapped returns the id of a column of a file that was written without ids, by its path
// there. ok is false if the table does not know it.
func (s *Schema) Mapped(path string) (id int, ok bool) {
	id, ok = s.mapped[path]
	return id, ok
}

// column returns a column by its id, or nil.
func (s *Schema) column(id int) *Column {
	for i := range s.Columns {
		if s.Columns[i].ID == id {
			return &s.Columns[i]
		}
	}
	return nil
}

// A jsonField is a field of a schema, as the metadata write it.
type jsonField struct {
	ID       int             `json:"id"`
	Name     string          `json:"name"`
	Required bool            `json:"required"`
	Type     json.RawMessage `json:"type"`
	Default  json.RawMessage `json:"initial-default"`
}

// jsonType is a nested type.
type jsonType struct {
	Type      string          `json:"type"`
	Fields    []jsonField     `json:"fields"`
	ElementID int             `json:"element-id"`
	Element   json.RawMessage `json:"element"`
	KeyID     int             `json:"key-id"`
	Key       json.RawMessage `json:"key"`
	ValueID   int             `json:"value-id"`
	Value     json.RawMessage `json:"value"`
}

func parseSchema(text json.RawMessage) (*Schema, error) {
	var root jsonType
	if err := json.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	s := &Schema{names: map[int]string{}}
	if err := s.add(root.Fields, Column{Required: true}, 0); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return s, nil
}

// add adds the fields of a struct. In is the struct, or has no Type if it is in a list or
// map.
func (s *Schema) add(fields []jsonField, in Column, depth int) error {
	if depth > maxSchemaDepth {
		return fmt.Errorf("columns nested more than %d deep", maxSchemaDepth)
	}
	for _, f := range fields {
		if f.ID <= 0 {
			return fmt.Errorf("column %.64q has the id %d", f.Name, f.ID)
		}
		s.names[f.ID] = f.Name
		c := Column{ID: f.ID, Name: f.Name, Required: f.Required && in.Required, Type: "?"}
		if in.Name != "" {
			c.Name = in.Name + "." + f.Name
		}
		inner, err := nested(f.Type, &c.Type)
		if err != nil {
			return fmt.Errorf("column %.64q: %w", c.Name, err)
		}
		switch {
		case inner == nil:
			c.Default, c.HasDefault = constantOf(f.Default)
			s.Columns = append(s.Columns, c)
		case inner.Type == "struct":
			if err := s.add(inner.Fields, c, depth+1); err != nil {
				return err
			}
		default:
			if err := s.addNames(inner, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// addNames adds the names of what is in a list or map, whose columns are not listed.
func (s *Schema) addNames(t *jsonType, depth int) error {
	if depth > maxSchemaDepth {
		return fmt.Errorf("columns nested more than %d deep", maxSchemaDepth)
	}
	for _, f := range t.Fields {
		s.names[f.ID] = f.Name
		if err := s.addInner(f.Type, depth); err != nil {
			return err
		}
	}
	for _, inner := range []struct {
		id   int
		name string
		text json.RawMessage
	}{{t.ElementID, "element", t.Element}, {t.KeyID, "key", t.Key}, {t.ValueID, "value", t.Value}} {
		if inner.id > 0 {
			s.names[inner.id] = inner.name
			if err := s.addInner(inner.text, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Schema) addInner(text json.RawMessage, depth int) error {
	var plain string
	inner, err := nested(text, &plain)
	if err != nil || inner == nil {
		return err
	}
	return s.addNames(inner, depth+1)
}

// nested reads a type: a nested one, or else the name of a plain one.
func nested(text json.RawMessage, plain *string) (*jsonType, error) {
	text = bytes.TrimSpace(text)
	if len(text) > 0 && text[0] == '"' {
		return nil, json.Unmarshal(text, plain)
	}
	var t jsonType
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, fmt.Errorf("type: %w", err)
	}
	switch t.Type {
	case "struct", "list", "map":
		return &t, nil
	}
	*plain = t.Type
	return nil, nil
}

// constantOf returns the text of a value in JSON. ok is false if there is none.
func constantOf(text json.RawMessage) (value string, ok bool) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0 || string(text) == "null" || text[0] == '{' || text[0] == '[':
		return "", false
	case text[0] == '"':
		ok = json.Unmarshal(text, &value) == nil
		return value, ok
	}
	return string(text), true
}

// A jsonMapping is an element of the property schema.name-mapping.default.
type jsonMapping struct {
	ID     int           `json:"field-id"`
	Names  []string      `json:"names"`
	Fields []jsonMapping `json:"fields"`
}

// setMapping reads the names that columns have in files without ids.
func (s *Schema) setMapping(text string) error {
	var all []jsonMapping
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return fmt.Errorf("schema.name-mapping.default: %w", err)
	}
	s.mapped = map[string]int{}
	return s.addMapping(all, "", 0)
}

func (s *Schema) addMapping(all []jsonMapping, in string, depth int) error {
	// Of several names of a struct each is a path of its own to all that is below.
	const most = 1 << 16
	for _, m := range all {
		for _, name := range m.Names {
			path := in + name
			if len(s.mapped) == most || depth > maxSchemaDepth {
				return fmt.Errorf("schema.name-mapping.default: more than %d names, or nested more than %d deep", most, maxSchemaDepth)
			}
			if m.ID > 0 {
				s.mapped[path] = m.ID
			}
			if err := s.addMapping(m.Fields, path+".", depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// HasMapping reports whether the table says what the columns of files without ids are.
// Else they are known by their names.
func (s *Schema) HasMapping() bool { return s.mapped != nil }

// partitionText returns a value of a partition as the text that it would have in a log. ok is
// false if it has none. v is as avroReader.value gives it, kind the type of its column.
func partitionText(v any, kind string) (text string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		switch kind {
		case "date":
			return dayTime(v).Format("2006-01-02"), true
		case "int", "long":
			return strconv.FormatInt(v, 10), true
		case "timestamp", "timestamptz":
			return microsTime(v).Format("2006-01-02T15:04:05.000000Z"), true
		}
	}
	return "", false
}
