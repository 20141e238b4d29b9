package logs

import "outflow/columnar/scan"

// The fields of requests that rules name and no column holds.

// uriPartNamed returns what a field of Sigma's taxonomies for proxies and web servers
// says of the URI.
func uriPartNamed(field string) (part scan.URIPart, ok bool) {
	switch field {
	case "c-uri", "cs-uri":
		return scan.URIWhole, true
	case "c-uri-query", "cs-uri-query":
		return scan.URIQuery, true
	case "c-uri-extension", "cs-uri-extension":
		return scan.URIExtension, true
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
