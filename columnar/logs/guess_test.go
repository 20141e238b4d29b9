package logs

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// If this fails, inspect writes a mapping that takes the server for the client or one of
// two names by chance, or none where a name tells.
func TestGuess(t *testing.T) {
	type guess map[columnar.Col]string
	all := columnar.API.Set()
	for _, c := range []struct {
		name, text string
		f          *Format
		lacks      columnar.Cols
		want       guess
	}{
		{"keys", `{"time":"2026-11-20T01:02:03Z","who":{"login":"ann"},"req":{"bytes_out":5,"id":"7"},"dest":{"ip":"192.0.2.1"},"client":{"ip":"10.0.0.1"}}`, JSONLines, all,
			guess{columnar.User: "who.login", columnar.BytesOut: "req.bytes_out"}}, // client.ip is read as it is
		{"server", `{"time":"2026-11-20T01:02:03Z","destination":{"node":{"ip":"192.0.2.1"}},"target":{"user":"bob"},"parent":{"host":"h"}}`, JSONLines, all, guess{}},
		{"two names", `{"time":"2026-11-20T01:02:03Z","asked":{"user":"ann"},"agreed":{"user":"bob"}}`, JSONLines, all, guess{}},
		{"lists", `{"time":"2026-11-20T01:02:03Z","list":[{"user":"ann"}]}`, JSONLines, all, guess{}},
		{"known", `{"time":"2026-11-20T01:02:03Z","who":{"user":"ann"}}`, JSONLines, all &^ columnar.ColSet(columnar.User), guess{}},
		{"header", "time,who.user,sum.bytes_in\n2026-11-20T01:02:03Z,ann,5\n", CSV, all, guess{columnar.User: "who.user", columnar.BytesIn: "sum.bytes_in"}},
	} {
		var got guess
		Read(object("log", []byte(c.text)), &ReadOptions{Format: c.f}, func(_ *Member, b *Block) error {
			got = b.Guess(c.f, columnar.API, c.lacks)
			return errors.New("enough")
		})
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
