package jobs

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
)

var (
	quotedText = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	// keyOfLine matches a line of YAML up to its first key.
	keyOfLine = regexp.MustCompile(`^[-\s{\[]*[A-Za-z0-9_."'-]+:(\s|$)`)
)

// yamlFault says what is wrong in a configuration, and at which key. It has no value and no
// neighbouring line: these may be secrets, and messages end up in logs.
func yamlFault(text []byte, err error) string {
	var at yaml.Error
	if !errors.As(err, &at) {
		return err.Error()
	}
	message, _, _ := strings.Cut(at.GetMessage(), "\n")
	var unknown *yaml.UnknownFieldError
	isKey := errors.As(err, &unknown) || strings.HasPrefix(message, "mapping key ")
	message = quotedText.ReplaceAllStringFunc(message, func(quoted string) string {
		key, _, ofValue := strings.Cut(quoted, ":") // {token:SECRET} is a key without a value
		switch {
		case !isKey:
			return `"…"`
		case ofValue:
			return key + `:…"`
		}
		return quoted
	})
	t := at.GetToken()
	if t == nil || t.Position == nil {
		return message
	}
	out := fmt.Sprintf("[%d:%d] %s", t.Position.Line, t.Position.Column, message)
	lines := strings.Split(string(text), "\n")
	if n := t.Position.Line; n >= 1 && n <= len(lines) {
		if key := strings.TrimRight(keyOfLine.FindString(lines[n-1]), " \t\r"); key != "" {
			out += fmt.Sprintf("\n%4d | %s …", n, key)
		}
	}
	return out
}
