package columnar

import "encoding/binary"

// This file turns texts into ASCII lower case.

// Lower returns text in ASCII lower case: text itself if it is, else a copy in
// *scratch.
func Lower(text []byte, scratch *[]byte) []byte {
	for i := 0; i < len(text); i++ {
		if i+8 <= len(text) && capitals(binary.LittleEndian.Uint64(text[i:])) == 0 {
			i += 7
		} else if text[i]-'A' < 26 {
			*scratch = AppendLower((*scratch)[:0], text)
			return *scratch
		}
	}
	return text
}

// hasCapital reports whether a letter from A to Z is in text.
func hasCapital(text []byte) bool {
	n := len(text)
	if n < 8 {
		for _, c := range text {
			if c-'A' < 26 {
				return true
			}
		}
		return false
	}
	found := capitals(binary.LittleEndian.Uint64(text[n-8:]))
	for ; n > 8; n -= 8 {
		found |= capitals(binary.LittleEndian.Uint64(text))
		text = text[8:]
	}
	return found != 0
}

// capitals marks the bytes of w from A to Z by their high bits.
func capitals(w uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	seven := w &^ highs
	return (seven + (0x80-'A')*ones) &^ (seven + (0x80-'Z'-1)*ones) &^ w & highs
}

// AppendLower appends text to dst with ASCII letters in lower case.
func AppendLower(dst, text []byte) []byte {
	dst = append(dst, text...)
	for i, c := range dst[len(dst)-len(text):] {
		if c-'A' < 26 {
			dst[len(dst)-len(text)+i] = c | 0x20
		}
	}
	return dst
}
