package detect

import (
	"bytes"
	"strings"

	"outflow/columnar"
)

// Blocked events did not send anything: a proxy that refuses a request answers it
// itself, a firewall drops the connection, a cloud API refuses the call. Only the
// device in between can tell, in action and in the status of a call. The server's
// answer, status_code, proves nothing: an attacker's server may answer 403 and still
// keep the data.

// blockedWords are the first words of the actions that proxies and firewalls log when
// they let nothing pass: deny, Denied by rule, block-url, drop-icmp, REJECT.
const blockedWords = "deny denied block blocked drop dropped reject rejected prevent prevented"

// blockedAction reports whether an action says that the data was not sent. Squid's
// TCP_DENIED_REPLY does not: the request was sent, and only the reply was withheld.
func blockedAction(action []byte) bool {
	text := strings.ToLower(string(bytes.TrimSpace(action)))
	if code, _, _ := strings.Cut(text, "/"); strings.HasSuffix(code, "_denied") || strings.Contains(code, "_denied_") {
		return !strings.Contains(code, "_denied_reply")
	}
	word := text
	if end := strings.IndexFunc(text, func(r rune) bool { return r < 'a' || r > 'z' }); end >= 0 {
		word = text[:end]
	}
	return oneOf(word, blockedWords)
}

// failedParts are substrings of the status of a call that failed: AccessDenied,
// Client.UnauthorizedOperation, NoSuchKey, ThrottlingException, failure. Any other
// status counts as success, because nobody would notice bytes that are wrongly left
// out.
var failedParts = strings.Fields("denied deny unauthorized forbidden fail error exception nosuch notfound invalid throttl exceed " +
	"notallowed rejected refused blocked malformed expired unavailable unsupported doesnotmatch")

// failedCall reports whether the status of a cloud API call says that it failed: in
// words, or as an HTTP status of 400 or above.
func failedCall(status []byte) bool {
	text := strings.ToLower(string(bytes.TrimSpace(status)))
	if len(text) == 3 && (text[0] == '4' || text[0] == '5') && text[1]-'0' < 10 && text[2]-'0' < 10 {
		return true
	}
	if text == "false" { // Microsoft 365: false means that the call failed
		return true
	}
	for _, success := range [...]string{"success", "succeeded", "ok", "partial", "no error", "noerror"} {
		if strings.HasPrefix(text, success) {
			return false
		}
	}
	for _, part := range failedParts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// oneOf reports whether a word is in a list of words.
func oneOf(word, list string) bool {
	for len(list) > 0 {
		var w string
		if w, list, _ = strings.Cut(list, " "); w == word {
			return true
		}
	}
	return false
}

// blockers tell which rows of a batch were blocked.
type blockers [columnar.NumTables]columnar.Lookup[bool]

func newBlockers() *blockers {
	k := &blockers{}
	for i := range k {
		k[i].Func = blockedAction
	}
	k[columnar.API.ID].Func = failedCall
	return k
}

// blockColumn is the column, by table, that says whether a row was blocked.
var blockColumn = map[*columnar.Table]columnar.Col{
	columnar.API: columnar.Status, columnar.HTTP: columnar.Action, columnar.Network: columnar.Action,
}

// of returns a code for each row, and which codes mean blocked; nil if no code does.
// Texts of earlier batches may count too, which costs time but changes no result.
func (k *blockers) of(b *columnar.Batch) (codes []int32, blocked []bool) {
	c, ok := blockColumn[b.Table]
	if !ok || b.Known(c) == 0 {
		return nil, nil
	}
	codes, dict := b.Codes(c)
	blocked = k[b.Table.ID].Of(dict)
	for _, yes := range blocked {
		if yes {
			return codes, blocked
		}
	}
	return nil, nil
}

// andBlocked returns a sentence about the blocked events, or "".
func andBlocked(s *Summary) string {
	switch {
	case s.Blocked == 0:
		return ""
	case s.BlockedOut == 0:
		return " In addition, " + count(s.Blocked, "event") + " were blocked."
	}
	return " Another " + size(float64(s.BlockedOut)) + " in " + count(s.Blocked, "event") + " was blocked."
}
