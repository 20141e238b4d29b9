package jobs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"outflow/columnar"
	"outflow/columnar/logs"
	"outflow/reports"
	"outflow/stats/detect"
)

// If this fails, a silent zero looks like a quiet night, or the report says blind
// although another log of the feed has what is needed.
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
			"upload_zscore http bytes_out;upload_ratio http bytes_out;cloud_upload http bytes_out;first_destination http bytes_out;destination_rise http bytes_out;destination_ratio http bytes_out;upload_slow http bytes_out"},
		{"Suricata: flows have the bytes of the requests, but no names",
			[]reports.Input{in("suricata", "http", columnar.URLHost, columnar.BytesIn), in("suricata", "network", columnar.BytesOut, columnar.BytesIn)},
			"cloud_upload network dst_host"},
		{"Zeek: conn has bytes, ssl has names, http has both",
			[]reports.Input{in("zeek", "network", columnar.BytesOut, columnar.BytesIn), in("zeek", "network", columnar.DstHost),
				in("zeek", "http", columnar.URLHost, columnar.BytesOut, columnar.BytesIn)},
			"cloud_upload network dst_host"},
		{"Zeek: the same, and they say which connection they are of",
			[]reports.Input{in("zeek", "network", columnar.UID, columnar.BytesOut, columnar.BytesIn), in("zeek", "network", columnar.UID, columnar.DstHost)}, ""},
		{"Suricata: flows, and requests that name them",
			[]reports.Input{in("suricata", "http", columnar.UID, columnar.URLHost, columnar.BytesIn), in("suricata", "network", columnar.UID, columnar.BytesOut, columnar.BytesIn)}, ""},
		{"Zeek: names without bytes", []reports.Input{in("zeek", "network", columnar.UID, columnar.DstHost)},
			"upload_zscore network bytes_out;upload_ratio network bytes_out;cloud_upload network bytes_out;first_destination network bytes_out;destination_rise network bytes_out;destination_ratio network bytes_out;upload_slow network bytes_out"},
		{"nothing was read", nil, ""},
	} {
		var got []string
		for _, d := range detect.All() { // one at a time, because blind joins blind spots with the same cause
			for _, b := range blind([]*detect.Detection{d}, logs.All(), c.inputs) {
				got = append(got, fmt.Sprintf("%s %s %s", d.Name, b.Table, b.Column))
			}
		}
		if s := strings.Join(got, ";"); s != c.want {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
	}
}

// If this fails, a report tells users to do what does not help, or nothing.
func TestRemedy(t *testing.T) {
	const (
		server  = "Connections have bytes but no server name: read the DNS answers of the same clients too, or a proxy, which logs both."
		sensor  = "This dialect does not log it; another sensor on the same path may."
		eve     = "Enable the flow event in Suricata's eve-log: it counts bytes in both directions."
		tls     = "Enable the events tls, quic, http and dns in Suricata's eve-log: they name the servers of its flows."
		ssl     = "Give the input Zeek's ssl.log, quic.log, http.log and dns.log too: they name the servers of conn.log's connections."
		conn    = "Keep Zeek's conn.log beside this log: it counts bytes in both directions."
		trail   = "Enable S3 data events in the trail: management events carry no bytes."
		w3c     = "Add the column to the fields that the device logs: cs-bytes is bytes_out, sc-bytes bytes_in, cs-username user, cs-host url_host."
		vpc     = "Add the field to the flow log's format; srcaddr, dstaddr, bytes and start are the least that is needed."
		mapping = "If the log has it under another name, say so in the input's mapping: columns: {NAMED: NAME}."
	)
	want := map[string]map[columnar.Col]string{
		"squid":      {columnar.BytesOut: `Let Squid log what clients send: logformat outflow %ts.%03tu %6tr %>a %Ss/%03>Hs %<st %>st %rm %ru %[un %Sh/%<a %mt "%{User-Agent}>h".`},
		"suricata":   {columnar.BytesOut: eve, columnar.BytesIn: eve, columnar.DstHost: tls},
		"zeek":       {columnar.BytesOut: conn, columnar.BytesIn: conn, columnar.DstHost: ssl},
		"w3c":        {columnar.User: w3c, columnar.BytesOut: w3c, columnar.BytesIn: w3c, columnar.URLHost: w3c},
		"vpcflow":    {columnar.SrcIP: vpc, columnar.DstIP: vpc, columnar.BytesOut: vpc, columnar.BytesIn: vpc},
		"cloudtrail": {},
		"csv":        {},
		"jsonl":      {},
		"parquet":    {},
	}
	other := map[string]string{"cloudtrail": trail, "csv": mapping, "jsonl": mapping, "parquet": mapping}
	names := []string{"of no format"}
	for _, f := range logs.All() {
		if f.Vendor != nil {
			continue // its file says what helps
		}
		names = append(names, f.Name)
	}
	for _, name := range names {
		for c := range columnar.NumCols {
			text, found := want[name][c]
			if !found {
				if text = other[name]; text == "" {
					text = sensor
					if c == columnar.DstHost {
						text = server
					}
				}
			}
			text = strings.ReplaceAll(text, "NAMED", c.String())
			if got := remedy(logs.Named(name), c); got != text {
				t.Errorf("%s without %v:\ngot  %s\nwant %s", name, c, got, text)
			}
		}
	}
}

// If this fails, a report does not say how much is known of names that a dialect
// masks.
func TestMaskedSaysHow(t *testing.T) {
	d := &detect.Detection{Name: "dns_tunnel", Needs: columnar.ColSet(columnar.Query)}
	for format, how := range map[string]string{
		"dnsmasq": "as <name unprintable>, all of a client together: only how many there are is known",
		"unbound": "with ? for odd bytes or & for the last label: fewer are distinct, or they are of another domain than shorter ones",
	} {
		got := masked([]*detect.Detection{d}, logs.All(), []reports.Input{{Feed: "dns", Format: format, Rows: 9, Masked: 2}})
		want := "Of 9 queries of feed dns, 2 have names that " + format + " does not write as they were queried, but " + how + "."
		if len(got) != 1 || got[0].Why != want {
			t.Errorf("%s: got %+v, want %s", format, got, want)
		}
	}
}

// If this fails, sizes that could not be read are missing from all sums without a word, or
// every night speaks of the same three cells.
func TestMisread(t *testing.T) {
	in := func(name string, known, cells int64) reports.Input {
		i := reports.Input{Name: name, Feed: "squid", Known: map[columnar.Col]int64{columnar.BytesOut: known}}
		if cells > 0 {
			i.Unread = []reports.Unread{{Col: columnar.BytesOut, Cells: cells, Of: known + cells, First: 12, Sample: "1.2\x1b.3"}}
		}
		return i
	}
	for _, c := range []struct {
		name   string
		inputs []reports.Input
		want   []string
	}{
		{"a few", []reports.Input{in("a", 20, 5)}, nil},
		{"a small share", []reports.Input{in("a", 8000, 8)}, nil},
		{"of several logs", []reports.Input{in("a", 10, 0), in("b\n", 5, 4), in("c", 2, 16)},
			[]string{`Feed squid: 20 of 37 bytes_out could not be read ("1.2\x1b.3" in record 12 of b\n), so the rows count without it.`}},
	} {
		var got []string
		for _, b := range misread(c.inputs) {
			got = append(got, b.Why)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// If this fails, bytes without an entity or a destination are missing from all sums
// without a word.
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
			[]string{"5 rows (4.5 GB) of feed a (api) have no user, address or host."}},
		{"one row", []reports.Input{in("a", "api", 1, 0, reports.Volume{Rows: 1, BytesOut: 9_000_000_000}, none)},
			[]string{"1 row (9 GB) of feed a (api) has no user, address or host."}},
		{"no bytes", []reports.Input{in("d", "dns", 3, 0, reports.Volume{Rows: 2}, none)},
			[]string{"2 rows of feed d (dns) have no user, address or host."}},
		{"a few broken requests", []reports.Input{in("a", "http", 100_000, 0, reports.Volume{Rows: 999, BytesOut: 999_999}, none)}, nil},
		{"few rows, many bytes", []reports.Input{in("a", "http", 100_000, 0, reports.Volume{Rows: 1, BytesOut: 1_000_000}, none)},
			[]string{"1 row (1 MB) of feed a (http) has no user, address or host."}},
		{"a share of the judged rows", []reports.Input{in("a", "http", 100_000, 99_000, reports.Volume{Rows: 10}, none)},
			[]string{"10 rows of feed a (http) have no user, address or host."}},
		{"nobody knows where", []reports.Input{in("a", "http", 10, 0, none, reports.Volume{Rows: 2, BytesOut: 7_000})},
			[]string{"2 rows (7 kB) of feed a (http) have no destination."}},
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
