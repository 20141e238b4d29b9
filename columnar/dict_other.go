//go:build !amd64 || purego

package columnar

// find sets codes to the codes of up to 64 texts. It returns a bitmap of the texts
// that it did not find. Nearly all of these are new.
func (d *Dict) find(codes []int32, data []byte, spans []Span) (missed uint64) {
	return d.findWords(codes, data, spans)
}
