package logs

import (
	"bytes"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"outflow/columnar"
)

// If this fails, a decoder loses or invents queries of a real log. The logs are of real
// tunnels through real resolvers; a packet capture counted their queries. See
// fixtures/tunnels.
func TestTunnelsAreWhole(t *testing.T) {
	const dir = "../../fixtures/tunnels/sessions"
	f, err := os.Open(filepath.Join(dir, "truth.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	truth, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range truth[1:] {
		file, name, client, domain, queries, tunnel := want[0], want[1], want[2], want[3], want[4], want[5]
		t.Run(file, func(t *testing.T) {
			format := Named(name)
			stored, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			z, err := gzip.NewReader(bytes.NewReader(stored))
			if err != nil {
				t.Fatal(err)
			}
			in, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			if got := sniffed(in); got != name {
				t.Errorf("recognised as %q, want %q", got, name)
			}
			c := &logCase{format: format, options: Options{Written: time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)}}
			r := c.run(in, wholeBlock)
			if r.err != nil {
				t.Fatal(r.err)
			}
			if r.tally.Skipped != 0 {
				t.Errorf("skipped %d records, want none: %v", r.tally.Skipped, r.tally.Reasons)
			}
			if want, _ := strconv.ParseInt(queries, 10, 64); r.rows != want {
				t.Errorf("got %d queries, want %d", r.rows, want)
			}
			cells := r.tables[columnar.DNS.ID].Cells
			of := func(c columnar.Col) []string { return cells[slices.Index(columnar.DNS.Cols, c)] }
			got := 0
			for i, query := range of(columnar.Query) {
				// dnsmasq and Unbound write names with unprintable bytes in these forms.
				inside := query == "<name unprintable>" || strings.HasSuffix(query, "&") || strings.HasSuffix(strings.ToLower(query), "."+domain)
				if of(columnar.SrcIP)[i] == client && inside {
					got++
				}
			}
			if want, _ := strconv.Atoi(tunnel); got != want {
				t.Errorf("got %d queries of the tunnel, want %d", got, want)
			}
		})
	}
}
