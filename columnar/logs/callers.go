package logs

import (
	"bytes"

	"outflow/columnar/scan"
)

// How the ARNs and ids of AWS name who calls.

// callerOf returns whom a text names as a user of CloudTrail is named, if it is the ARN of
// one or the id of a principal; else the text. It stands in the text.
func callerOf(text []byte) []byte {
	rest, isARN := bytes.CutPrefix(text, []byte("arn:aws"))
	if !isARN {
		if id, session, ok := bytes.Cut(text, []byte{':'}); ok && isPrincipal(id) {
			return session
		}
		return text
	}
	if _, path, ok := bytes.Cut(rest, []byte(":assumed-role/")); ok {
		if at := bytes.IndexByte(path, '/'); at >= 0 && isFleeting(path[at+1:]) {
			return path[:at]
		}
		return path
	}
	name := scan.AfterLast(text, ':')
	return name[bytes.LastIndexByte(name, '/')+1:]
}

// isPrincipal reports whether a text is the id of a user or role of AWS.
func isPrincipal(id []byte) bool {
	if len(id) < 16 || id[0] != 'A' {
		return false
	}
	for _, c := range id {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// isFleeting reports whether a session's name is made anew for each session: by
// SDKs from the time (botocore-session-1700000000), by ECS from a task's id (32
// hexadecimal digits), or from a UUID.
func isFleeting(session []byte) bool {
	n := len(session)
	decimal, hex := 0, 0
	for hex < n && scan.IsHex(session[n-1-hex]) {
		if hex == decimal && session[n-1-hex]-'0' <= 9 {
			decimal++
		}
		hex++
	}
	return decimal >= 10 || hex >= 32 || n >= 36 && isUUID(session[n-36:])
}

// isUUID reports whether 36 bytes are a UUID in text.
func isUUID(b []byte) bool {
	for i, c := range b {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !scan.IsHex(c) {
				return false
			}
		}
	}
	return true
}
