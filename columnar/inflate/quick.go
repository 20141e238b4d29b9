package inflate

import "encoding/binary"

// quick decodes symbols while chunk and window have enough room not to look
// where they end at each. It is most of the time of reading a compressed log.
func (r *Reader) quick() error {
	in, ip := r.chunk, uint(r.pos)
	op := uint(r.write)
	inEnd := uint(len(in)) - reach
	b, count := r.bits, r.count
	var err error

	b |= load(in, ip) << (count & 63)
	ip += ^count >> 3 & 7
	count |= 56
	e := r.litLen[b&(1<<litLenBits-1)]
loop:
	for ip <= inEnd && op <= windowSize-room {
		// There are at least 28 bits.
		if e&literal != 0 {
			binary.LittleEndian.PutUint16(r.window[op:op+2], uint16(e>>16))
			op += uint(e >> 12 & 3)
			b >>= e & 63
			count -= uint(e)
			e = r.litLen[b&(1<<litLenBits-1)]
			b |= load(in, ip) << (count & 63)
			ip += ^count >> 3 & 7
			count |= 56
			if e&literal != 0 {
				binary.LittleEndian.PutUint16(r.window[op:op+2], uint16(e>>16))
				op += uint(e >> 12 & 3)
				b >>= e & 63
				count -= uint(e)
				e = r.litLen[b&(1<<litLenBits-1)]
				if e&literal != 0 {
					binary.LittleEndian.PutUint16(r.window[op:op+2], uint16(e>>16))
					op += uint(e >> 12 & 3)
					b >>= e & 63
					count -= uint(e)
					e = r.litLen[b&(1<<litLenBits-1)]
					continue
				}
			}
		}
		length := uint(e >> 16)
		if e&special != 0 {
			if e&long == 0 {
				if e&subtable != 0 {
					b >>= litLenBits
					count -= litLenBits
					e = r.litLen[e.under(b)&(litLenSize-1)]
				}
				if e&literal != 0 {
					r.window[op] = uint8(e >> 16)
					op++
					b >>= e & 63
					count -= uint(e)
					b |= load(in, ip) << (count & 63)
					ip += ^count >> 3 & 7
					count |= 56
					e = r.litLen[b&(1<<litLenBits-1)]
					continue
				}
				if e&special != 0 {
					b >>= e & 63
					count -= uint(e)
					if e&endOfBlock == 0 {
						err = errSymbol
					}
					r.block = noBlock
					break loop
				}
			}
			length = e.extra(b)
		}
		b >>= e & 63
		count -= uint(e)
		b |= load(in, ip) << (count & 63)
		ip += ^count >> 3 & 7
		count |= 56
		d := r.dist[b&(1<<distBits-1)]
		if d&special != 0 {
			if d&subtable == 0 {
				err = errSymbol
				break
			}
			b >>= distBits
			count -= distBits
			d = r.dist[d.under(b)&(distSize-1)]
			if d&special != 0 {
				err = errSymbol
				break
			}
		}
		distance := d.extra(b)
		b >>= d & 63
		count -= uint(d)
		e = r.litLen[b&(1<<litLenBits-1)]
		if distance > op-uint(r.start) {
			err = errDistance
			break
		}
		to := (*[span]byte)(r.window[op : op+span])
		from := (*[span]byte)(r.window[op-distance : op-distance+span])
		op += length
		if distance >= 16 {
			copy(to[:16], from[:16])
			for i := uint(16); i < length; i += 16 {
				copy(to[i:i+16], from[i:i+16])
			}
		} else if distance >= 8 {
			for i := uint(0); i < length; i += 8 {
				copy(to[i:i+8], from[i:i+8])
			}
		} else {
			for i := range length {
				to[i] = from[i]
			}
		}
	}
	r.pos, r.write = int(ip), int(op)
	r.bits, r.count = b, count&63
	return err
}

func load(p []byte, i uint) uint64 { return binary.LittleEndian.Uint64(p[i : i+8 : i+8]) }
