package detect

import (
	"outflow/columnar"
	"outflow/columnar/scan"
)

// served are the rows of a batch of network that say what a client outside fetched from a server
// inside. They are turned round: what the client received is what the server's address sent.
type served struct {
	clients columnar.Lookup[bool]   // addresses outside
	servers columnar.Lookup[uint32] // entities of internal addresses
	rows    []int32
	out, in byteCounts
}

// byteCounts are the bytes of each row, and whether they are known.
type byteCounts struct {
	of    []int64
	known columnar.Bitmap
}

func bytesOf(b *columnar.Batch, col columnar.Col) byteCounts {
	return byteCounts{b.Int64(col), b.Valid(col)}
}

func (c *byteCounts) copy(of byteCounts) {
	c.of, c.known = append(c.of[:0], of.of...), append(c.known[:0], of.known...)
}

// put sets a row to that of another column.
func (c *byteCounts) put(of byteCounts, row int32) {
	c.of[row] = of.of[row]
	c.known[row>>3] = c.known[row>>3]&^(1<<(row&7)) | of.known.Bit(int(row))<<(row&7)
}

func newServed(e *entities) *served {
	return &served{
		clients: columnar.Lookup[bool]{Func: externalAddress},
		servers: columnar.Lookup[uint32]{Func: func(address []byte) uint32 {
			if !scan.IsInternal(address) {
				return 0
			}
			return e.numbers[addressEntity].Func(address)
		}},
	}
}

// find finds the rows, among those with an entity.
func (s *served) find(b *columnar.Batch, who []uint32, servers []int32, inside []bool) {
	s.rows = s.rows[:0]
	if b.Known(columnar.SrcIP) == 0 || b.Known(columnar.BytesIn) == 0 {
		return
	}
	clients, dict := b.Codes(columnar.SrcIP)
	outside := s.clients.Of(dict)
	in := b.Int64(columnar.BytesIn)
	for i, server := range servers {
		if inside[server] && in[i] > 0 && outside[clients[i]] && who[i] != 0 {
			s.rows = append(s.rows, int32(i))
		}
	}
}

// turn gives the rows to their servers, and returns the bytes of all rows of the batch.
func (s *served) turn(b *columnar.Batch, who []uint32) (out, in byteCounts) {
	out, in = bytesOf(b, columnar.BytesOut), bytesOf(b, columnar.BytesIn)
	codes, dict := b.Codes(columnar.DstIP)
	servers := s.servers.Of(dict)
	s.out.copy(out)
	s.in.copy(in)
	for _, row := range s.rows {
		who[row] = servers[codes[row]]
		s.out.put(in, row)
		s.in.put(out, row)
	}
	return s.out, s.in
}
