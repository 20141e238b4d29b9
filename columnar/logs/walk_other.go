//go:build !amd64

package logs

// markBlocks notes the stops of whole blocks of 64 bytes.
func markBlocks(stops, text []byte) { markWords(stops, text) }
