package inflate

import "encoding/binary"

// quick decodes symbols while chunk and window have enough room not to look
// where they end at each. It is most of the time of reading a compressed log.
func (r *Reader) quick() error {
	in, ip := r.chunk, r.pos
	out, op := r.window, r.write
	b, count := r.bits, r.count
	inEnd, outEnd := len(in)-reach, len(out)-room
	var err error

	b |= binary.LittleEndian.Uint64(in[ip:]) << (count & 63)
	ip += int((63 - count) >> 3)
	count |= 56
	e := r.litLen[b&(1<<litLenBits-1)]
	for ip <= inEnd && op <= outEnd {
		// There are at least 28 bits.
		if e&literal != 0 {
			binary.LittleEndian.PutUint16(out[op:], uint16(e>>16))
			op += int(e >> 12 & 3)
			b >>= e & 63
			count -= uint(e & 63)
			e = r.litLen[b&(1<<litLenBits-1)]
			b |= binary.LittleEndian.Uint64(in[ip:]) << (count & 63)
			ip += int((63 - count) >> 3)
			count |= 56
			if e&literal != 0 {
				binary.LittleEndian.PutUint16(out[op:], uint16(e>>16))
				op += int(e >> 12 & 3)
				b >>= e & 63
				count -= uint(e & 63)
				e = r.litLen[b&(1<<litLenBits-1)]
				if e&literal != 0 {
					binary.LittleEndian.PutUint16(out[op:], uint16(e>>16))
					op += int(e >> 12 & 3)
					b >>= e & 63
					count -= uint(e & 63)
					e = r.litLen[b&(1<<litLenBits-1)]
					continue
				}
			}
		}
		if e&special != 0 {
			if e&subtable != 0 {
				b >>= litLenBits
				count -= litLenBits
				e = r.litLen[e.under(b)&(litLenSize-1)]
			}
			if e&literal != 0 {
				out[op] = uint8(e >> 16)
				op++
				b >>= e & 63
				count -= uint(e & 63)
				b |= binary.LittleEndian.Uint64(in[ip:]) << (count & 63)
				ip += int((63 - count) >> 3)
				count |= 56
				e = r.litLen[b&(1<<litLenBits-1)]
				continue
			}
			if e&special != 0 {
				b >>= e & 63
				count -= uint(e & 63)
				if e&endOfBlock == 0 {
					err = errSymbol
				}
				r.block = noBlock
				break
			}
		}
		length := int(e.extra(b))
		b >>= e & 63
		count -= uint(e & 63)
		b |= binary.LittleEndian.Uint64(in[ip:]) << (count & 63)
		ip += int((63 - count) >> 3)
		count |= 56
		e = r.dist[b&(1<<distBits-1)]
		if e&special != 0 {
			if e&subtable == 0 {
				err = errSymbol
				break
			}
			b >>= distBits
			count -= distBits
			e = r.dist[e.under(b)&(distSize-1)]
			if e&special != 0 {
				err = errSymbol
				break
			}
		}
		distance := int(e.extra(b))
		b >>= e & 63
		count -= uint(e & 63)
		e = r.litLen[b&(1<<litLenBits-1)]
		if distance > op-r.start {
			err = errDistance
			break
		}
		to := (*[span]byte)(out[op:])
		from := (*[span]byte)(out[op-distance:])
		op += length
		if distance >= 16 {
			copy(to[:16], from[:16])
			for i := 16; i < length; i += 16 {
				copy(to[i:i+16], from[i:i+16])
			}
		} else if distance >= 8 {
			for i := 0; i < length; i += 8 {
				copy(to[i:i+8], from[i:i+8])
			}
		} else {
			for i := range length {
				to[i] = from[i]
			}
		}
	}
	r.pos, r.write = ip, op
	r.bits, r.count = b, count
	return err
}
