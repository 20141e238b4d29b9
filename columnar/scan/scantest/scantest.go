// Package scantest is what the tests of package scan and of the dialects have in common.
package scantest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Runes writes bytes that are not UTF-8 as encoding/json does: each becomes U+FFFD.
func Runes(b []byte) string { return string([]rune(string(b))) }

// Reference reads a JSON object or array with encoding/json; numbers stay texts. ok is
// false if b is not sound JSON or another value.
func Reference(b []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if d.Decode(&v) != nil || !json.Valid(b) {
		return nil, false
	}
	switch v.(type) {
	case map[string]any, []any:
		return v, true
	}
	return nil, false
}

// Depth returns how deep the objects and arrays of a value nest: 0 for any other value.
func Depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, m := range v {
			deepest = max(deepest, Depth(m))
		}
	case []any:
		for _, m := range v {
			deepest = max(deepest, Depth(m))
		}
	default:
		return 0
	}
	return deepest + 1
}

// CloudTrailLike returns what CloudTrail delivers: one line of n bytes or some more.
func CloudTrailLike(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"Records":[`)
	for i := 0; b.Len() < n; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"eventVersion":"1.09","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLE:alice@example.com","arn":"arn:aws:sts::111122223333:assumed-role/analyst/alice@example.com","accountId":"111122223333","sessionContext":{"sessionIssuer":{"type":"Role","userName":"analyst"},"attributes":{"creationDate":"2026-03-02T08:00:00Z","mfaAuthenticated":"true"}}},"eventTime":"2026-03-02T08:%02d:%02dZ","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.7","userAgent":"[aws-cli/2.15 \"x\"]","requestParameters":{"bucketName":"ledger","key":"2026/%d.parquet"},"responseElements":null,"additionalEventData":{"bytesTransferredIn":0,"bytesTransferredOut":%d,"x-amz-id-2":"dGhpcyBpcyBub3QgYW4gaWQ="},"requestID":"%016d","eventID":"%032d","readOnly":true,"resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::ledger/x"}],"eventType":"AwsApiCall","managementEvent":false}`,
			i/60%60, i%60, i, i*37, i, i)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// Mutate returns a copy of b with a few changes that are typical of damaged JSON. Guided
// fuzzing takes minutes to find what these changes find in a second.
func Mutate(random *rand.Rand, b []byte) []byte {
	const marks = "{}[]\",:\\ \t\r01-+.eEtfnu\x00\x1f\x7f\xff"
	b = bytes.Clone(b)
	for range 1 + random.IntN(3) {
		i := random.IntN(len(b) + 1)
		j := min(len(b), i+random.IntN(12))
		switch random.IntN(5) {
		case 0:
			b = slices.Delete(b, i, j)
		case 1:
			b = slices.Insert(b, i, marks[random.IntN(len(marks))])
		case 2:
			b = slices.Insert(b, random.IntN(len(b)+1), bytes.Clone(b[i:j])...)
		case 3:
			b = slices.Insert(b, i, bytes.Repeat([]byte{'x'}, random.IntN(130))...)
		case 4:
			if i < len(b) {
				b[i] = marks[random.IntN(len(marks))]
			}
		}
	}
	return b
}
