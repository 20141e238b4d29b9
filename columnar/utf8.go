package columnar

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Names that are not in UTF-8.

// nameColumns hold names of people and machines, in UTF-8: they tell who somebody is, in
// whatever encoding the log is. Other texts stay as the log has them.
var nameColumns = ColSet(User, Host, Account)

// AppendName appends a name to dst in the form in which names are compared: without quotes around it,
// NULs and the lines of a cell that name nobody, and as AppendUTF8 has it. What says that nobody is known is "".
func AppendName(dst, text []byte) []byte {
	if text = bareName(text); IsNobody(text) {
		return dst
	}
	return AppendUTF8(dst, text)
}

// AppendUTF8 appends text to dst in one form. Letters with marks are
// composed (Unicode's NFC): directories write ü as one character, macOS and some browsers as u and
// two dots, and nobody sees the difference. A byte
// that is not part of UTF-8 is what it means in Windows-1252, which has Latin-1 in it. What is cut off within a character, as some programs
// cut long texts, stays as readable as its bytes are.
func AppendUTF8(dst, text []byte) []byte {
	if utf8.Valid(text) {
		return appendComposed(dst, text)
	}
	begin := len(dst)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			r = rune(text[0])
			if r-0x80 < rune(len(windows1252)) {
				r = windows1252[r-0x80]
			}
		}
		dst = utf8.AppendRune(dst, r)
		text = text[size:]
	}
	return appendComposed(dst[:begin], dst[begin:])
}

// bareName returns a name without what programs put around it or into it: the NULs of fields of
// fixed width, quotes, and the lines of a cell that name nobody or the same again, as Splunk exports
// a field of several values.
func bareName(text []byte) []byte {
	if bytes.IndexByte(text, 0) >= 0 {
		text = bytes.ReplaceAll(text, []byte{0}, nil)
	}
	text = withoutQuotes(text)
	if bytes.IndexByte(text, '\n') < 0 {
		return text
	}
	var only []byte
	for line := range bytes.Lines(text) {
		line = withoutQuotes(bytes.TrimSpace(line))
		switch {
		case IsNobody(line), bytes.EqualFold(line, only):
		case only != nil:
			return text
		default:
			only = line
		}
	}
	return only
}

// withoutQuotes returns a text without the quotes around it.
func withoutQuotes(text []byte) []byte {
	for n := len(text); n > 1 && (text[0] == '\'' || text[0] == '"') && text[n-1] == text[0]; n = len(text) {
		text = text[1 : n-1]
	}
	return text
}

func appendComposed(dst, text []byte) []byte {
	if !norm.NFC.IsNormal(text) {
		text = norm.NFC.Bytes(text)
	}
	return append(dst, text...)
}

// windows1252 has the characters from 0x80 on that are not Latin-1's. Five bytes have none.
var windows1252 = [...]rune{'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8d, 'Ž', 0x8f,
	0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9d, 'ž', 'Ÿ'}
