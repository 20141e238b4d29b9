package scan

import (
	"bytes"
	"io"
	"slices"
)

// JSON logs hold objects one to a line, one after another without newlines, spread
// over lines, in one array, or wrapped in an envelope. A shaper turns all of these
// into one object a line, the only form that decoders have to read.

// envelopes are the keys of top-level objects that only wrap an array of objects:
// of CloudTrail; Azure and Firehose; Google Workspace; Box and Dropbox; Zendesk; Microsoft
// Graph; CloudWatch subscriptions; the AWS CLI. The other keys of such an object are ignored.
var envelopes = []string{"Records", "records", "items", "entries", "value", "logEvents", "Events", "audit_logs"}

// firstEnvelopes are such keys where only answers stand before them, since some records have
// them, too: of CloudWatch's get-log-events and filter-log-events; many programming interfaces; of SQS; of Pub/Sub.
var firstEnvelopes = []string{"events", "data", "results", "result", "logs", "rows", "hits", "Messages", "receivedMessages"}

// answers are the keys of what a programming interface says of its answer: how the question
// went, and how much there is. A record may have one of them, but not before what it is about.
var answers = []string{"status", "statuscode", "code", "success", "ok", "error", "errors", "message", "count", "total", "totalcount",
	"totalresults", "size", "took", "timedout", "page", "pagesize", "pages", "limit", "offset", "next", "nextpage", "nexttoken",
	"nextcursor", "cursor", "scrollid", "pitid", "terminatedearly", "numreducephases", "hasmore", "more", "moreevents", "meta", "metadata", "requestid", "shards", "maxscore", "links", "version", "nodekey", "logtype", "preview", "initoffset", "messages", "fields"}

// NeedsJSONLines reports whether an object that begins with head is JSON that is
// not one object a line, and so must be read through JSONLines. size is the largest
// size that head could have. The first line tells, unless an array or an envelope
// begins a later one, as where several exports were put together.
func NeedsJSONLines(head []byte, size int) bool {
	separated := len(head) > 0 && head[0] == recordSeparator
	head = bytes.TrimLeft(head, " \t\r\n\x1e")
	if len(head) == 0 || head[0] != '{' && head[0] != '[' {
		return false
	}
	inner := bytes.TrimLeft(head[1:], " \t\r\n")
	switch {
	case len(inner) == 0:
		return false
	case head[0] == '[':
		// Other kinds of logs begin with a bracket, too.
		return inner[0] == '{' || inner[0] == ']' || isRecord(inner)
	case inner[0] != '"' && inner[0] != '}':
		return false
	}
	line, rest, found := bytes.Cut(head, []byte{'\n'})
	if separated || !found && len(head) > size/2 {
		return true // the first line may be longer than head
	}
	for line := range bytes.Lines(rest) {
		if beginsArray(line) {
			return true
		}
	}
	line = bytes.TrimRight(line, " \t\r")
	var s shaper
	s.shape(bytes.Clone(line))
	// One object on a line stays as it is.
	return s.state != between || len(s.out) != len(line)+1 || bytes.Count(s.out, []byte{'\n'}) != 1
}

// recordSeparator stands before each text of a sequence of JSON texts.
const recordSeparator = 0x1e

// beginsArray reports whether a line begins with an array of objects, or the envelope of one.
func beginsArray(line []byte) bool {
	if named, ok := bytes.CutPrefix(line, []byte(`{"`)); ok {
		key, rest, _ := bytes.Cut(named[:min(len(named), 32)], []byte{'"'})
		if len(rest) == 0 || rest[0] != ':' || !slices.ContainsFunc(envelopes, func(name string) bool { return string(key) == name }) {
			return false
		}
		line = bytes.TrimLeft(named[len(key)+2:], " ")
	}
	inner, ok := bytes.CutPrefix(line, []byte{'['})
	inner = bytes.TrimLeft(inner, " ")
	return ok && len(inner) > 0 && inner[0] == '{'
}

// isRecord reports whether text begins with a string that is no word alone: a record within an array.
func isRecord(text []byte) bool {
	if text[0] != '"' {
		return false
	}
	end := bytes.IndexByte(text[1:], '"')
	return end > 0 && bytes.ContainsAny(text[1:end], " ,{")
}

// shaperBlock is half of the bytes that are read at once.
const shaperBlock = 64 << 10

// holdBack is how many bytes of an object are held back to see whether it is an
// envelope. It is more than what precedes the array in any known envelope. A longer
// object is passed on unchanged.
const holdBack = 64 << 10

// A shapeState is the place of a shaper in the JSON text.
type shapeState uint8

const (
	between shapeState = iota // between values of the stream, or of the open array
	inside                    // in a value
	opening                   // after the '[' of a key that may be an envelope's
	garbage                   // in a line that is not JSON
)

// A shaper rewrites JSON as one object a line. Damaged parts become lines that no
// decoder accepts, so that they are counted. A newline in a string is certain
// damage: there the text is read as if it began anew, so that a line that was cut
// off does not damage the lines after it.
type shaper struct {
	src    io.Reader
	in     []byte // the buffer that src fills
	marked jsonText
	err    error

	out   []byte // shaped text; out[ready:] is held back
	read  int    // out[:read] was handed out
	ready int    // out[read:ready] can be handed out

	state  shapeState
	array  bool // the values are elements of an array
	around int  // objects of the envelope that the array is in
	mute   bool // the value is the rest of an envelope, and is dropped
	text   bool // in a string
	escape bool // after a backslash
	depth  int  // open brackets in the value

	// For a value that is an object in no array:
	whole bool // out[start:] is everything read of it
	start int
	key   int  // where in out the last key of the object begins
	named bool // that key is one of envelopes
	hits  bool // it is that of Elasticsearch, whose object has the array
	empty bool // its only key is one of envelopes, with an empty array
}

// JSONLines returns a reader of src rewritten as one JSON object a line.
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

// shape adds in to out, and replaces newlines in it.
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

// begin skips the bytes between values, and begins the next value. Like value and
// open, it returns how many bytes of in it used.
func (s *shaper) begin(in []byte) int {
	for i, c := range in {
		switch c {
		case ' ', '\n', '\r', '\t', ',':
			continue
		case 0, recordSeparator, 0xef, 0xbb, 0xbf:
			// Padding, record separators, and the byte order marks of concatenated
			// files.
			if !s.array {
				continue
			}
		case '[':
			if !s.array {
				s.array, s.around = true, 0
				return i + 1
			}
		case ']':
			if s.array {
				s.array = false
				if s.around > 0 {
					s.state, s.mute, s.depth = inside, true, s.around
				}
				return i + 1
			}
		}
		s.start, s.depth = len(s.out), 0
		s.whole, s.named, s.hits, s.empty, s.mute = !s.array, false, false, false, false
		s.state = inside
		if c != '{' && !s.array {
			s.state = garbage
		}
		return i
	}
	return len(in)
}

// value passes on a value, up to its end or the end of in.
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
				if i+1 < len(in) && in[i+1] == '"' && (in[i] == ':' || in[i] == ',') && !s.atKey() {
					i += 2 // most strings follow another one where nothing depends on it
					continue
				}
				s.text = false
				if s.atKey() {
					s.pass(in[from:i])
					from = i
					s.nameKey()
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
			if s.atKey() {
				s.pass(in[from:i])
				from = i
				s.key = len(s.out)
			}
		case openByte:
			if s.named && c == '[' && s.atKey() {
				s.pass(in[from : i+1])
				s.state, s.around = opening, s.depth
				s.depth++
				return i + 1
			}
			s.depth++
		case closeByte:
			if s.depth == 0 {
				if c == ']' { // the end of the array, after a number or the like
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
				s.named, s.hits, s.empty = false, false, false
			case 2:
				s.named = false
			}
		}
		i++
	}
	i = min(i, len(in))
	s.pass(in[from:i])
	return i
}

// open decides whether the array under an envelope's key makes the object an
// envelope.
func (s *shaper) open(in []byte) int {
	for i, c := range in {
		if jsonClass[c] == spaceByte {
			continue
		}
		s.state = inside
		switch c {
		case '{':
			s.out = s.out[:s.start]
			s.state, s.array = between, true
		case ']':
			s.empty = s.depth == 2 && len(bytes.TrimSpace(s.out[s.start+1:s.key])) == 0
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

// end ends a value, and the line for it.
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

// atKey reports whether a string here may be the key of an envelope.
func (s *shaper) atKey() bool {
	return s.whole && (s.depth == 1 || s.depth == 2 && s.hits)
}

// nameKey tells whether the last key is one of envelopes.
func (s *shaper) nameKey() {
	key := s.out[s.key+1 : len(s.out)-1]
	s.named = false
	if len(key) > len("receivedMessages") {
		return
	}
	is := func(name string) bool { return string(key) == name }
	switch {
	case s.depth == 2:
		s.named = is("hits")
	case slices.ContainsFunc(envelopes, is):
		s.named = true
	case slices.ContainsFunc(firstEnvelopes, is):
		s.named = onlyAnswers(s.out[s.start+1 : s.key])
		s.hits = s.named && is("hits")
	}
}

// onlyAnswers reports whether the first members of an object are only answers.
func onlyAnswers(members []byte) bool {
	const most = 1 << 10 // they are few, and each such key looks at all before it
	if members = bytes.TrimRight(members, " ,"); len(members) == 0 {
		return true
	}
	if len(members) > most {
		return false
	}
	var w Walker
	w.Open(slices.Concat([]byte{'{'}, members, []byte{'}'}))
	for w.Next() {
		key := bytes.ToLower(bytes.Trim(w.Key, "@_"))
		key = bytes.ReplaceAll(bytes.ReplaceAll(key, []byte("_"), nil), []byte("-"), nil)
		if !slices.Contains(answers, string(key)) {
			return false
		}
	}
	return w.Done()
}

// The classes of bytes outside strings.
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
