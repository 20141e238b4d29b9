//go:build !amd64 || purego

package scan

// stopBlocks notes the stops in whole blocks of 64 bytes.
func stopBlocks(stops, text []byte) { stopWords(stops, text) }
