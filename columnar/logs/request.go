package logs

import "bytes"

// A uriPart is what a field that rules read says of the URI of a request, and no
// column holds: columns leave out what follows the path, as it may hold secrets.
type uriPart uint8

const (
	uriWhole     uriPart = iota // as the log has it
	uriQuery                    // behind the ?, without a fragment
	uriExtension                // of the last part of the path, without the dot
)

// uriPartNamed returns what a field of Sigma's taxonomies for proxies and web servers
// says of the URI.
func uriPartNamed(field string) (part uriPart, ok bool) {
	switch field {
	case "c-uri", "cs-uri":
		return uriWhole, true
	case "c-uri-query", "cs-uri-query":
		return uriQuery, true
	case "c-uri-extension", "cs-uri-extension":
		return uriExtension, true
	}
	return 0, false
}

// isReferrer reports whether a field is the address of the page that a request came
// from, which is spelt in two ways.
func isReferrer(field string) bool {
	switch field {
	case "cs-referrer", "cs-referer", "referrer", "referer":
		return true
	}
	return false
}

// of returns the part of a URI, nil if it has none.
func (p uriPart) of(uri []byte) []byte {
	switch p {
	case uriQuery:
		if i := bytes.IndexByte(uri, '#'); i >= 0 {
			uri = uri[:i]
		}
		if i := bytes.IndexByte(uri, '?'); i >= 0 {
			return uri[i+1:]
		}
		return nil
	case uriExtension:
		path := urlPath(uri)
		path = afterLast(path, '/')
		if i := bytes.LastIndexByte(path, '.'); i >= 0 {
			return path[i+1:]
		}
		return nil
	}
	return uri
}
