//go:build !amd64 || purego

package columnar

// find sets codes to those of texts, up to 64. It returns a bitmap of those that it
// did not find, which are new ones but for a few.
func (d *Dict) find(codes []int32, data []byte, spans []Span) (missed uint64) {
	return d.findWords(codes, data, spans)
}
