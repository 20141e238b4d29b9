package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
)

// checkLine begins the last field of a checked text: the checksum of what stands before.
const checkLine = ",\n \"check\": \""

// EncodeChecked returns a struct with fields as JSON that has a checksum: the field check.
// The same struct gives the same text.
func EncodeChecked(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	text := bytes.TrimSuffix(b.Bytes(), []byte("\n}\n"))
	return fmt.Appendf(text, "%s%x\"\n}\n", checkLine, sha256.Sum256(text)), nil
}

// DecodeChecked reads what EncodeChecked wrote. A single other byte is an error.
func DecodeChecked(text []byte, v any) error {
	if !asWritten(text) {
		return errors.New("not as it was written")
	}
	return json.Unmarshal(text, v)
}

func asWritten(text []byte) bool {
	body, check := text, ""
	if i := bytes.LastIndex(text, []byte(checkLine)); i >= 0 {
		body, check = text[:i], string(text[i+len(checkLine):])
	}
	return check == fmt.Sprintf("%x\"\n}\n", sha256.Sum256(body))
}

// ReadChecked returns the bytes of an object for DecodeChecked. Bytes that are not as they
// were written are read again: they may have been damaged on their way.
func ReadChecked(ctx context.Context, s Store, name string) ([]byte, error) {
	for try := 0; ; try++ {
		text, err := ReadAll(ctx, s, name)
		if err != nil || asWritten(text) || try == maxResumes {
			return text, err
		}
	}
}
