//go:build race

package store

// raced says that the race detector is on. It takes memory of its own.
const raced = true
