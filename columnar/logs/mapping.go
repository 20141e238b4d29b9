package logs

import "outflow/columnar"

// A Mapping says how the columns of a csv, the keys of a jsonl or the leaves of
// a parquet object become columns of a canonical table.
type Mapping struct {
	// Table is the canonical table that the rows belong to.
	Table *columnar.Table
	// Columns maps a canonical column to where its value stands. A column that
	// is not named here is found by well-known names, unless Only is set.
	Columns map[columnar.Col]Source
	Only    bool
	// Delimiter of csv; 0: found by sniffing (comma, tab, semicolon, pipe).
	Delimiter byte
	// Header of csv, if the object has none: its column names in order.
	Header []string
}

// A Source says where the value of one column stands and how to read it.
type Source struct {
	Name  string // column name, or path of keys with dots
	Const string // the value of every row, instead of Name
	// Time is how a time is written: "" (found per value: ISO 8601 or epoch by
	// magnitude), "s", "ms", "us", "ns" (epoch units), "iso", or a Go layout.
	Time string
	// Unit multiplies a byte count: "" or "B", "KB", "MB", "GB" (powers of
	// 1000), "KiB", "MiB", "GiB" (powers of 1024).
	Unit string
}
