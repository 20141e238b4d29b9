package columnar

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Names of servers in one notation.

// hostColumns hold the names of servers, in lower case.
var hostColumns = ColSet(URLHost, DstHost)

// hostNames maps names as browsers do before they look them up.
var hostNames = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// dotMarks stand for the dots of a name that nobody shall click on: vault[.]hush[.]example.
var dotMarks = [...]string{"[.]", "(.)", "[dot]", "(dot)"}

// AppendHost appends the name of a server as DNS has it: what is not ASCII in Punycode, so that
// bücher.example and xn--bcher-kva.example are one, and with its dots. Other texts are appended
// unchanged.
func AppendHost(dst, host []byte) []byte {
	ascii, marked := true, false
	for _, c := range host {
		ascii = ascii && c < 0x80
		marked = marked || c == '[' || c == '('
	}
	if ascii && !marked {
		return append(dst, host...)
	}
	if marked {
		for _, mark := range dotMarks {
			host = bytes.ReplaceAll(host, []byte(mark), []byte("."))
		}
	}
	if !ascii && len(host) <= hostSize && utf8.Valid(host) {
		if name, err := hostNames.ToASCII(string(host)); err == nil {
			return append(dst, name...)
		}
	}
	return append(dst, host...)
}

// hostSize is the most bytes of a name that may be one of a server, each of its 253 characters in UTF-8.
const hostSize = 4 * 253
