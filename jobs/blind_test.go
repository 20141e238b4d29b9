package jobs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"outflow/columnar"
	"outflow/reports"
	"outflow/stats/detect"
)

// If this fails, a silent zero is taken for a quiet night, or the report cries
// blind where another log of the feed says what is needed.
func TestBlind(t *testing.T) {
	in := func(format, table string, known ...columnar.Col) reports.Input {
		i := reports.Input{Feed: "f", Format: format, Table: table, Rows: 10, Known: map[columnar.Col]int64{}}
		for _, c := range known {
			i.Known[c] = 5
		}
		return i
	}
	for _, c := range []struct {
		name   string
		inputs []reports.Input
		want   string
	}{
		{"a proxy with hosts and upload bytes",
			[]reports.Input{in("squid", "http", columnar.URLHost, columnar.BytesOut, columnar.BytesIn)}, ""},
		{"Squid's native format",
			[]reports.Input{in("squid", "http", columnar.URLHost, columnar.BytesIn)},
			"upload_zscore http bytes_out;upload_ratio http bytes_out;cloud_upload http bytes_out"},
		{"Suricata: flows have the bytes of the requests, but no names",
			[]reports.Input{in("suricata", "http", columnar.URLHost, columnar.BytesIn), in("suricata", "network", columnar.BytesOut, columnar.BytesIn)},
			"cloud_upload http bytes_out;cloud_upload network dst_host"},
		{"Zeek: conn has bytes, ssl has names, http has both",
			[]reports.Input{in("zeek", "network", columnar.BytesOut, columnar.BytesIn), in("zeek", "network", columnar.DstHost),
				in("zeek", "http", columnar.URLHost, columnar.BytesOut, columnar.BytesIn)},
			"cloud_upload network dst_host"},
		{"nothing was read", nil, ""},
	} {
		var got []string
		for _, d := range detect.All() { // one at a time: blind joins what has one cause
			for _, b := range blind([]*detect.Detection{d}, c.inputs) {
				got = append(got, fmt.Sprintf("%s %s %s", d.Name, b.Table, b.Column))
			}
		}
		if s := strings.Join(got, ";"); s != c.want {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
	}
}

// If this fails, bytes that belong to nobody, or went nobody knows where, are missing
// from all sums without a word.
func TestUnattributed(t *testing.T) {
	in := func(feed, table string, rows, outside int64, nobody, nowhere reports.Volume) reports.Input {
		return reports.Input{Feed: feed, Table: table, Rows: rows, Outside: outside, Unattributed: nobody, Unplaced: nowhere}
	}
	none := reports.Volume{}
	for _, c := range []struct {
		name   string
		inputs []reports.Input
		want   []string
	}{
		{"everybody is known", []reports.Input{in("a", "http", 100, 0, none, none)}, nil},
		{"several objects, half of the rows", []reports.Input{in("a", "api", 5, 0, reports.Volume{Rows: 2, BytesOut: 1_800_000_000}, none), in("a", "api", 5, 0, reports.Volume{Rows: 3, BytesOut: 2_700_000_000, BytesIn: 1}, none)},
			[]string{"4.5 GB of 5 rows of feed a (api) belong to nobody: no user, address or host is named."}},
		{"one row", []reports.Input{in("a", "api", 1, 0, reports.Volume{Rows: 1, BytesOut: 9_000_000_000}, none)},
			[]string{"9 GB of 1 row of feed a (api) belongs to nobody: no user, address or host is named."}},
		{"no bytes", []reports.Input{in("d", "dns", 3, 0, reports.Volume{Rows: 2}, none)},
			[]string{"2 rows of feed d (dns) belong to nobody: no user, address or host is named."}},
		{"a few broken requests", []reports.Input{in("a", "http", 100_000, 0, reports.Volume{Rows: 999, BytesOut: 999_999}, none)}, nil},
		{"few rows, many bytes", []reports.Input{in("a", "http", 100_000, 0, reports.Volume{Rows: 1, BytesOut: 1_000_000}, none)},
			[]string{"1 MB of 1 row of feed a (http) belongs to nobody: no user, address or host is named."}},
		{"a share of the judged rows", []reports.Input{in("a", "http", 100_000, 99_000, reports.Volume{Rows: 10}, none)},
			[]string{"10 rows of feed a (http) belong to nobody: no user, address or host is named."}},
		{"nobody knows where", []reports.Input{in("a", "http", 10, 0, none, reports.Volume{Rows: 2, BytesOut: 7_000})},
			[]string{"7 kB of 2 rows of feed a (http) went nobody knows where: no destination is named."}},
		{"a log without destinations, which blind says", []reports.Input{in("a", "http", 2, 0, none, reports.Volume{Rows: 2, BytesOut: 7_000_000})}, nil},
	} {
		var got []string
		for _, b := range unattributed(c.inputs) {
			got = append(got, b.Why)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}
