package inflate

import "encoding/binary"

// quick decodes symbols until the block ends, or until so little is left of window
// or chunk that each step would have to check for the end. It takes most of the
// time of reading a compressed log. It is fast because of what it leaves out: it
// takes bits without a check, since a refill leaves at least 56; it stores every
// literal as two; it copies matches 16 bytes at a time, beyond their ends; and
// apart from the window and the tables it keeps its state in registers.
//
// Note: mispredicted branches bound its speed. It is no faster when compiled for
// BMI2 shifts, or with masks from a table; without bounds checks it is 5 % faster.
func (r *Reader) quick() error {
	in, at := r.chunk, uint(r.pos)
	inEnd := uint(len(in)) - reach
	write := uint(r.write)
	var err error

	at, b, count := refill(in, at, r.bits, r.count)
	e := r.litLen[b&(1<<litLenBits-1)]
loop:
	for at <= inEnd && write <= windowSize-room {
		// There are at least 28 bits. Literals of the table take at most 10, a
		// length at most 20, a distance 28.
		if e&literal != 0 {
			binary.LittleEndian.PutUint16(r.window[write:write+2], uint16(e>>16))
			write += uint(e >> 12 & 3)
			b, count = b>>(e&63), count-uint(e)
			e = r.litLen[b&(1<<litLenBits-1)]
			at, b, count = refill(in, at, b, count)
			if e&literal != 0 {
				binary.LittleEndian.PutUint16(r.window[write:write+2], uint16(e>>16))
				write += uint(e >> 12 & 3)
				b, count = b>>(e&63), count-uint(e)
				e = r.litLen[b&(1<<litLenBits-1)]
				if e&literal != 0 {
					binary.LittleEndian.PutUint16(r.window[write:write+2], uint16(e>>16))
					write += uint(e >> 12 & 3)
					b, count = b>>(e&63), count-uint(e)
					e = r.litLen[b&(1<<litLenBits-1)]
					continue
				}
			}
		}

		length := e.value()
		if e&special != 0 {
			if e&subtable != 0 {
				b, count = b>>litLenBits, count-litLenBits
				e = r.litLen[e.under(b)&(litLenSize-1)]
			}
			switch {
			case e&literal != 0:
				r.window[write] = uint8(e >> 16)
				write++
				at, b, count = refill(in, at, b>>(e&63), count-uint(e))
				e = r.litLen[b&(1<<litLenBits-1)]
				continue
			case e&endOfBlock != 0:
				b, count = b>>(e&63), count-uint(e)
				r.block = noBlock
				break loop
			case e&(special|long) == special:
				err = errSymbol
				break loop
			}
			length = e.extra(b)
		}
		at, b, count = refill(in, at, b>>(e&63), count-uint(e))

		d := r.dist[b&(1<<distBits-1)]
		if d&special != 0 {
			if d&subtable != 0 {
				b, count = b>>distBits, count-distBits
				d = r.dist[d.under(b)&(distSize-1)]
			}
			if d&special != 0 {
				err = errSymbol
				break
			}
		}
		distance := d.extra(b)
		b, count = b>>(d&63), count-uint(d)
		if distance > write-uint(r.start) {
			err = errDistance
			break
		}
		// Look the next entry up before copying, since it does not depend on the
		// copy.
		e = r.litLen[b&(1<<litLenBits-1)]
		to := (*[span]byte)(r.window[write : write+span])
		from := (*[span]byte)(r.window[write-distance : write-distance+span])
		write += length
		switch {
		case distance >= 16:
			copy(to[:16], from[:16])
			for i := uint(16); i < length; i += 16 {
				copy(to[i:i+16], from[i:i+16])
			}
		case distance >= 8:
			for i := uint(0); i < length; i += 8 {
				copy(to[i:i+8], from[i:i+8])
			}
		default:
			for i := range length {
				to[i] = from[i]
			}
		}
	}
	r.pos, r.write = int(at), int(write)
	r.bits, r.count = b, count&63
	return err
}

// refill adds the next bits of in, from byte at on, above the count bits of b. It
// leaves 56 to 63 bits. Only the six lowest bits of count matter, so a whole entry
// can be subtracted from count.
func refill(in []byte, at uint, b uint64, count uint) (uint, uint64, uint) {
	next := binary.LittleEndian.Uint64(in[at : at+8 : at+8])
	return at + ^count>>3&7, b | next<<(count&63), count | 56
}
