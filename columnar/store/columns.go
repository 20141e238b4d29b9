package store

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/parquet-go/parquet-go/format"
)

// A column is a field of a row type and its place in the row.
//
// Note: rows are accessed by their address. Package reflect takes ten times as long
// for a field, and with some thirty fields a row that is most of the time of
// reading a row.
type column struct {
	name     string // from the parquet tag
	offset   uintptr
	kind     format.Type // Int32, Int64, Double or ByteArray: int32, int64, float64, string
	scratch  bool        // only a Scratch has it
	optional bool        // *kind: nil is null
	list     bool        // []kind; Parquet does not distinguish nil from an empty list
	dict     bool        // texts repeat, so each is written once
}

// Columns are the columns of a row type T: its fields, and those of its embedded
// structs, named by their parquet tags. A field with the tag "-" is not a column; an
// int32 that has a scratch tag, too, is one of a Scratch.
type Columns[T any] struct {
	all   []column
	texts []column // the columns that are texts or lists of texts
	part  bool     // the rows have more columns than these
}

// ColumnsOf returns the columns of T. It panics if a field has no parquet tag, or
// has a type that no table has.
func ColumnsOf[T any]() Columns[T] {
	all, err := columnsOf(reflect.TypeFor[T]())
	if err != nil {
		panic(err)
	}
	var c Columns[T]
	for _, column := range all {
		c.add(column)
	}
	return c
}

// Names returns the names of the columns.
func (c Columns[T]) Names() (names []string) {
	for i := range c.all {
		names = append(names, c.all[i].name)
	}
	return names
}

// IsList reports whether the column with a name has lists of texts.
func (c Columns[T]) IsList(name string) bool {
	return slices.ContainsFunc(c.all, func(c column) bool { return c.name == name && c.list })
}

// Only returns the columns with the given names and those that only a Scratch has. It
// panics if there is no column of a name.
func (c Columns[T]) Only(names []string) Columns[T] {
	only := Columns[T]{part: true}
	for _, name := range names {
		if !slices.ContainsFunc(c.all, func(c column) bool { return c.name == name }) {
			panic(fmt.Sprintf("rows of type %v: no column %s", reflect.TypeFor[T](), name))
		}
	}
	for _, column := range c.all {
		if column.scratch || slices.Contains(names, column.name) {
			only.add(column)
		}
	}
	return only
}

func (c *Columns[T]) add(column column) {
	c.all = append(c.all, column)
	if column.kind == format.ByteArray {
		c.texts = append(c.texts, column)
	}
}

// TextBytes returns the total length of the texts of a row, in bytes.
func (c Columns[T]) TextBytes(r *T) (n int) {
	row := unsafe.Pointer(r)
	for i := range c.texts {
		if c := &c.texts[i]; c.list {
			for _, t := range *in[[]string](row, c) {
				n += len(t)
			}
		} else {
			n += len(*in[string](row, c))
		}
	}
	return n
}

// Detach copies the texts of a row. Without it, texts of a row that was read may
// keep everything that was read with them in memory.
func (c Columns[T]) Detach(r *T) {
	row := unsafe.Pointer(r)
	for i := range c.texts {
		c := &c.texts[i]
		if !c.list {
			t := in[string](row, c)
			*t = strings.Clone(*t)
			continue
		}
		list := slices.Clone(*in[[]string](row, c))
		for i, t := range list {
			list[i] = strings.Clone(t)
		}
		*in[[]string](row, c) = list
	}
}

// columnsOf returns the columns of a struct, including those of embedded structs.
func columnsOf(t reflect.Type) ([]column, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("rows of type %v: want a struct", t)
	}
	var columns []column
	for f := range t.Fields() {
		tag, tagged := f.Tag.Lookup("parquet")
		if f.Anonymous && !tagged {
			inner, err := columnsOf(f.Type)
			if err != nil {
				return nil, err
			}
			for _, c := range inner {
				c.offset += f.Offset
				columns = append(columns, c)
			}
			continue
		}
		if tag == "-" {
			if name := f.Tag.Get("scratch"); name != "" && f.Type.Kind() == reflect.Int32 {
				columns = append(columns, column{name: name, offset: f.Offset, kind: format.Int32, scratch: true})
			}
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if !f.IsExported() || name == "" {
			return nil, fmt.Errorf("field %v.%s: want it exported, with a parquet tag", t, f.Name)
		}
		c := column{name: name, offset: f.Offset}
		typ := f.Type
		switch typ.Kind() {
		case reflect.Pointer:
			c.optional, typ = true, typ.Elem()
		case reflect.Slice:
			c.list, typ = true, typ.Elem()
		}
		// The library would write a named type in another way.
		var ok bool
		if c.kind, ok = kinds[typ]; !ok || c.list && c.kind != format.ByteArray || c.optional && c.kind != format.Double {
			return nil, fmt.Errorf("field %v.%s: got type %v, want int32, int64, float64, string, *float64 or []string", t, f.Name, f.Type)
		}
		c.dict = c.kind == format.ByteArray && slices.Contains(strings.Split(options, ","), "dict")
		columns = append(columns, c)
	}
	for i, c := range columns {
		if slices.ContainsFunc(columns[:i], func(d column) bool { return d.name == c.name }) {
			return nil, fmt.Errorf("rows of type %v: two columns %s", t, c.name)
		}
	}
	return columns, nil
}

var kinds = map[reflect.Type]format.Type{
	reflect.TypeFor[int32]():   format.Int32,
	reflect.TypeFor[int64]():   format.Int64,
	reflect.TypeFor[float64](): format.Double,
	reflect.TypeFor[string]():  format.ByteArray,
}

// in returns a pointer to the column's field of the row at an address.
func in[V any](row unsafe.Pointer, c *column) *V { return (*V)(unsafe.Add(row, c.offset)) }
