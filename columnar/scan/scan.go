// Package scan reads the bytes of logs: where lines, fields and JSON values are,
// and the numbers, times, addresses, URLs and DNS names in them. It knows no tables
// and no dialects. It allocates nothing for each record: results are slices of the
// given text wherever the text has them unchanged.
//
// A function with a result ok returns false for text that it does not read; its
// other results then mean nothing. Times are µs UTC.
// reads; its other results then mean nothing. Times are µs UTC.
package scan
