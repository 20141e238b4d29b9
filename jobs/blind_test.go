package jobs

import (
	"fmt"
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
