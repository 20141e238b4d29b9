package detect

import (
	"iter"
	"runtime"
	"unsafe"
)

// chunks is a list that grows chunk by chunk. One growing slice would be copied again and
// again, and would be in memory twice meanwhile. The zero chunks is empty.
type chunks[T any] struct {
	all [][]T // of chunkLen elements each, but for the first
	n   int
}

const (
	chunkBits = 10
	chunkLen  = 1 << chunkBits
	// firstLen is how many elements the first chunk has at first. It grows: most lists are
	// short.
	firstLen = 16
)

// chunksFrom1 returns a list whose first element, with the index 0, stands for none.
func chunksFrom1[T any]() (c chunks[T]) {
	var none T
	c.add(none)
	return c
}

// at returns an element. The pointer is valid until the next element is added.
func (c *chunks[T]) at(i int32) *T { return &c.all[uint32(i)>>chunkBits][i&(chunkLen-1)] }

// add appends an element.
func (c *chunks[T]) add(v T) {
	k, i := c.n>>chunkBits, c.n&(chunkLen-1)
	switch {
	case k == 0 && len(c.all) == 0:
		c.all = append(c.all, make([]T, firstLen))
	case k == len(c.all):
		c.all = append(c.all, make([]T, chunkLen))
	case i == len(c.all[k]):
		c.all[k] = append(c.all[k], make([]T, i)...)
	}
	c.all[k][i] = v
	c.n++
}

// cut drops the elements after the first n and keeps their memory.
func (c *chunks[T]) cut(n int) { c.n = n }

// size returns how many bytes the elements take.
func (c *chunks[T]) size() int {
	var v T
	return c.n * int(unsafe.Sizeof(v))
}

// slices yields the elements, chunk by chunk.
func (c *chunks[T]) slices() iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		left := c.n
		for _, chunk := range c.all {
			chunk = chunk[:min(len(chunk), left)]
			if left -= len(chunk); !yield(chunk) {
				return
			}
		}
	}
}

// drain is slices, and gives up each chunk behind it. The list is empty then.
func (c *chunks[T]) drain() iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		k := 0
		for chunk := range c.slices() {
			c.all[k] = nil
			k++
			if !yield(chunk) {
				break
			}
		}
		*c = chunks[T]{}
	}
}

// touch reads something of what each item stands for, and so brings it into the processor's cache, all
// at once. One after another, as they are used, each would wait for memory.
func touch[T any](items []T, read func(T) int64) {
	var sum int64
	for _, item := range items {
		sum += read(item)
	}
	runtime.KeepAlive(sum) // so that the reads are not optimised away
}
