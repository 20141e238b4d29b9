// Package scan reads the bytes of logs: where lines, fields and JSON values are,
// and the numbers, times, addresses, URLs and DNS names in them. It knows no
// tables and no dialects. Nothing in it allocates for each record, and results
// are slices of the text that was given wherever that has them as they are.
//
// A function with a result ok says false of text that is anything else than it
// reads; its other results then mean nothing. Times are µs UTC.
package scan
