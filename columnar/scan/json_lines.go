package scan

import (
	"bytes"
	"io"
)

// JSON logs come as objects one a line, one after another without a newline or
// spread over lines, as one array, and wrapped in an envelope. A shaper turns
// all of these into one object a line, so that decoders see nothing else.

// envelopes are the keys, of an object that is not in another, whose array of
// objects is what the object is for: CloudTrail; Azure and Firehose; Google
// Workspace; Box and Dropbox; Microsoft Graph; CloudWatch subscriptions. The
// object's other keys are ignored.
var envelopes = []string{"Records", "records", "items", "entries", "value", "logEvents"}

// NeedsJSONLines reports whether an object that begins with head is JSON of another
// shape than one object a line, and so has to be read through JSONLines. size is
// the most that head could have been. Looking at the first line is enough: nothing
// known writes one shape and then another.
func NeedsJSONLines(head []byte, size int) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	if len(head) == 0 || head[0] != '{' && head[0] != '[' {
		return false
	}
	inner := bytes.TrimLeft(head[1:], " \t\r\n")
	switch {
	case len(inner) == 0:
		return false
	case head[0] == '[':
		// Logs of other kinds begin with a bracket too.
		return inner[0] == '{' || inner[0] == ']'
	case inner[0] != '"' && inner[0] != '}':
		return false
	}
	line, _, found := bytes.Cut(head, []byte{'\n'})
	if !found && len(head) > size/2 {
		return true // the first line may be longer than what is looked at
	}
	line = bytes.TrimRight(line, " \t\r")
	var s shaper
	s.shape(bytes.Clone(line))
	// One object on a line stays as it is.
	return s.state != between || len(s.out) != len(line)+1 || bytes.Count(s.out, []byte{'\n'}) != 1
}

// shaperBlock is half of what is read in one go, in bytes.
const shaperBlock = 64 << 10

// holdBack is how much of an object is held back to see whether it is an envelope:
// more than what stands before the array in any known one. A longer object is
// passed on as it is.
const holdBack = 64 << 10

// shapeState is where in the JSON text a shaper is.
type shapeState uint8

const (
	between shapeState = iota // between values of the stream, or of the array that is open
	inside                    // in a value
	opening                   // behind the '[' that an envelope's key may have
	garbage                   // in a line that is not JSON
)

// A shaper reads JSON as one object a line. What is damaged becomes lines that
// no decoder accepts, so that it is counted. A newline in a string is damage
// for sure: from there the text is read as if it began anew, so that a cut-off
// line does not take those behind it along.
type shaper struct {
	src    io.Reader
	in     []byte // what src fills
	marked jsonText
	err    error

	out   []byte // shaped text; out[ready:] is held back
	read  int    // out[:read] was handed out
	ready int    // out[read:ready] can be

	state  shapeState
	array  bool // the values are elements of an array
	object bool // that array is in an envelope
	mute   bool // the value is the rest of an envelope, and dropped
	text   bool // in a string
	escape bool // behind a backslash
	depth  int  // brackets open in the value

	// Of a value that is an object in no array:
	whole bool // out[start:] is all that was seen of it
	start int
	key   int  // where in out the last string of depth 1 begins
	named bool // that string is a key of envelopes
	empty bool // its only key is one of envelopes, with an empty array
}

// JSONLines returns a reader of src as one JSON object a line.
func JSONLines(src io.Reader) io.Reader { return &shaper{src: src} }

func (s *shaper) Read(p []byte) (int, error) {
	for s.read == s.ready {
		if s.err != nil {
			return 0, s.err
		}
		s.fill()
	}
	n := copy(p, s.out[s.read:s.ready])
	s.read += n
	return n, nil
}

func (s *shaper) fill() {
	if s.in == nil {
		s.in = make([]byte, 2*shaperBlock)
		s.out = make([]byte, 0, 3*shaperBlock)
	}
	s.out = s.out[:copy(s.out, s.out[s.ready:])]
	s.start -= s.ready
	s.key -= s.ready
	s.read, s.ready = 0, 0
	n, err := s.src.Read(s.in)
	s.err = err
	s.shape(s.in[:n])
	switch {
	case err == io.EOF:
		if s.state != between {
			s.end()
		}
	case err != nil, s.state == inside && s.array, len(s.out)-s.ready > holdBack:
		s.whole = false
		s.ready = len(s.out)
	}
}

// shape adds in to out, and changes newlines in it.
func (s *shaper) shape(in []byte) {
	s.marked.mark(in)
	for len(in) > 0 {
		var n int
		switch s.state {
		case between:
			n = s.begin(in)
		case inside:
			n = s.value(in)
		case opening:
			n = s.open(in)
		case garbage:
			if n = bytes.IndexByte(in, '\n'); n < 0 {
				n = len(in)
				s.pass(in)
				break
			}
			s.pass(in[:n])
			s.end()
		}
		in = in[n:]
	}
}

// begin skips what stands between values, and begins the next. Like its
// siblings it returns how much of in it used.
func (s *shaper) begin(in []byte) int {
	for i, c := range in {
		switch c {
		case ' ', '\n', '\r', '\t', ',':
			continue
		case 0, 0x1e, 0xef, 0xbb, 0xbf:
			// Padding, record separators and byte order marks of files that
			// were put together.
			if !s.array {
				continue
			}
		case '[':
			if !s.array {
				s.array, s.object = true, false
				return i + 1
			}
		case ']':
			if s.array {
				s.array = false
				if s.object {
					s.state, s.mute, s.depth = inside, true, 1
				}
				return i + 1
			}
		}
		s.start, s.depth = len(s.out), 0
		s.whole, s.named, s.empty, s.mute = !s.array, false, false, false
		s.state = inside
		if c != '{' && !s.array {
			s.state = garbage
		}
		return i
	}
	return len(in)
}

// value passes on a value up to its end or that of in.
func (s *shaper) value(in []byte) int {
	from, i := 0, 0
	base := len(s.marked.b) - len(in)
	if s.escape {
		s.escape = false
		i = 1
	}
	for i < len(in) {
		if s.text {
			if i = s.marked.stop(base+i) - base; i >= len(in) {
				break
			}
			c := in[i]
			i++
			switch c {
			case '"':
				if i+1 < len(in) && in[i+1] == '"' && (in[i] == ':' || in[i] == ',') && (s.depth > 1 || s.depth == 1 && !s.whole) {
					i += 2 // most strings follow another where nothing hangs on it
					continue
				}
				s.text = false
				if s.whole && s.depth == 1 {
					s.pass(in[from:i])
					from = i
					s.named = isEnvelope(s.out[s.key:])
				}
			case '\\':
				if i == len(in) {
					s.escape = true
				} else {
					i++
				}
			case '\n':
				s.pass(in[from : i-1])
				s.array = false
				s.end()
				return i
			}
			continue
		}
		c := in[i]
		switch jsonClass[c] {
		case plainByte:
		case spaceByte:
			in[i] = ' '
		case quoteByte:
			s.text = true
			if s.whole && s.depth == 1 {
				s.pass(in[from:i])
				from = i
				s.key = len(s.out)
			}
		case openByte:
			s.depth++
			if s.named && s.whole && s.depth == 2 && c == '[' {
				s.pass(in[from : i+1])
				s.state = opening
				return i + 1
			}
		case closeByte:
			if s.depth == 0 {
				if c == ']' { // the end of the array, behind a number or the like
					s.pass(in[from:i])
					s.end()
					return i
				}
				break
			}
			if s.depth--; s.depth == 0 {
				s.pass(in[from : i+1])
				s.end()
				return i + 1
			}
		case commaByte:
			switch s.depth {
			case 0:
				s.pass(in[from:i])
				s.end()
				return i + 1
			case 1:
				s.named, s.empty = false, false
			}
		}
		i++
	}
	i = min(i, len(in))
	s.pass(in[from:i])
	return i
}

// open decides what the array of an envelope's key is.
func (s *shaper) open(in []byte) int {
	for i, c := range in {
		if jsonClass[c] == spaceByte {
			continue
		}
		s.state = inside
		switch c {
		case '{':
			s.out = s.out[:s.start]
			s.state, s.array, s.object = between, true, true
		case ']':
			s.empty = len(bytes.TrimSpace(s.out[s.start+1:s.key])) == 0
		}
		return i
	}
	return len(in)
}

func (s *shaper) pass(text []byte) {
	if !s.mute {
		s.out = append(s.out, text...)
	}
}

// end ends a value, and the line that it became.
func (s *shaper) end() {
	switch {
	case s.empty && s.depth == 0 && s.whole:
		s.out = s.out[:s.start]
	case !s.mute:
		s.out = append(s.out, '\n')
	}
	s.state, s.text, s.escape, s.mute, s.named, s.empty = between, false, false, false, false, false
	s.ready = len(s.out)
}

// isEnvelope reports whether quoted is a key of envelopes, in its quotes.
func isEnvelope(quoted []byte) bool {
	if len(quoted) > len(`"logEvents"`) {
		return false
	}
	for _, key := range envelopes {
		if string(quoted[1:len(quoted)-1]) == key {
			return true
		}
	}
	return false
}

// What a byte means outside strings.
const (
	plainByte = iota
	spaceByte
	quoteByte
	openByte
	closeByte
	commaByte
)

var jsonClass = [256]uint8{
	' ': spaceByte, '\n': spaceByte, '\r': spaceByte, '\t': spaceByte,
	'"': quoteByte, '{': openByte, '[': openByte, '}': closeByte, ']': closeByte, ',': commaByte,
}
