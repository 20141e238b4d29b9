package jobs

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/stats/detect"
)

// A connectionLine is a line about a connection, and the log that it stands in.
type connectionLine struct{ log, text string }

// connectionDialects write what a sensor logs of connections.
var connectionDialects = []struct {
	name string
	feed string            // of its connections
	head map[string]string // by log
	// bytes tells of the end of a connection, at second at of the test's day. name
	// tells the server's name: by is tls, quic or http.
	bytes func(at int, uid, src, dst string, out, in int64) connectionLine
	named func(at int, uid, src, dst, by, name string) connectionLine
}{
	{"zeek TSV", "zeek", map[string]string{
		"conn": zeekHead("conn", "ts uid id.orig_h id.resp_h id.resp_p proto orig_bytes resp_bytes conn_state"),
		"ssl":  zeekHead("ssl", "ts uid id.orig_h id.resp_h id.resp_p server_name established"),
		"quic": zeekHead("quic", "ts uid id.orig_h id.resp_h id.resp_p server_name client_initial_dcid"),
		"http": zeekHead("http", "ts uid id.orig_h id.resp_h trans_depth method host uri request_body_len response_body_len"),
	}, func(at int, uid, src, dst string, out, in int64) connectionLine {
		return connectionLine{"conn", fmt.Sprintf("%d.5\t%s\t%s\t%s\t443\ttcp\t%d\t%d\tSF", connectionDay+at, uid, src, dst, out, in)}
	}, func(at int, uid, src, dst, by, name string) connectionLine {
		switch by {
		case "http":
			return connectionLine{"http", fmt.Sprintf("%d.5\t%s\t%s\t%s\t1\tGET\t%s\t/\t0\t0", connectionDay+at, uid, src, dst, name)}
		case "quic":
			return connectionLine{"quic", fmt.Sprintf("%d.5\t%s\t%s\t%s\t443\t%s\tab12", connectionDay+at, uid, src, dst, name)}
		}
		return connectionLine{"ssl", fmt.Sprintf("%d.5\t%s\t%s\t%s\t443\t%s\tT", connectionDay+at, uid, src, dst, name)}
	}},
	{"zeek JSON", "zeek", nil, func(at int, uid, src, dst string, out, in int64) connectionLine {
		return connectionLine{"conn", fmt.Sprintf(`{"ts":%d.5,"uid":"%s","id.orig_h":"%s","id.resp_h":"%s","id.resp_p":443,"proto":"tcp","orig_bytes":%d,"resp_bytes":%d,"conn_state":"SF"}`,
			connectionDay+at, uid, src, dst, out, in)}
	}, func(at int, uid, src, dst, by, name string) connectionLine {
		return connectionLine{by, fmt.Sprintf(`{"_path":"%s","ts":%d.5,"uid":"%s","id.orig_h":"%s","id.resp_h":"%s","%s":"%s"}`,
			zeekLogOf(by), connectionDay+at, uid, src, dst, zeekNameOf(by), name)}
	}},
	{"zeek JSON of Corelight", "zeek", nil, func(at int, uid, src, dst string, out, in int64) connectionLine {
		return connectionLine{"all", fmt.Sprintf(`{"_path":"conn","_system_name":"s1","ts":"%s","uid":"%s","id":{"orig_h":"%s","resp_h":"%s","resp_p":443},"proto":"tcp","orig_bytes":%d,"resp_bytes":%d,"conn_state":"SF"}`,
			connectionTime(at), uid, src, dst, out, in)}
	}, func(at int, uid, src, dst, by, name string) connectionLine {
		return connectionLine{"all", fmt.Sprintf(`{"_path":"%s","ts":"%s","uid":"%s","id":{"orig_h":"%s","resp_h":"%s"},"%s":"%s"}`,
			zeekLogOf(by), connectionTime(at), uid, src, dst, zeekNameOf(by), name)}
	}},
	{"suricata", "suricata", nil, func(at int, uid, src, dst string, out, in int64) connectionLine {
		return connectionLine{"eve", fmt.Sprintf(`{"timestamp":"%s","flow_id":%s,"event_type":"flow","src_ip":"%s","dest_ip":"%s","proto":"TCP","flow":{"bytes_toserver":%d,"bytes_toclient":%d,"end":"%s","state":"closed","reason":"timeout"}}`,
			connectionTime(at+60), suricataID(uid), src, dst, out, in, connectionTime(at))}
	}, func(at int, uid, src, dst, by, name string) connectionLine {
		key := "sni"
		if by == "http" {
			key = "hostname"
		}
		return connectionLine{"eve", fmt.Sprintf(`{"timestamp":"%s","flow_id":%s,"event_type":"%s","src_ip":"%s","dest_ip":"%s","proto":"TCP","%s":{"%s":"%s"}}`,
			connectionTime(at), suricataID(uid), by, src, dst, by, key, name)}
	}},
}

// connectionDay is when 2026-03-02 begins.
const connectionDay = 1772409600

func connectionTime(at int) string {
	return detect.Day(connectionDay / 86400).Time().Add(time.Duration(at) * time.Second).Format("2006-01-02T15:04:05.500000Z")
}

func zeekHead(path, fields string) string {
	return "#separator \\x09\n#unset_field\t-\n#path\t" + path + "\n#fields\t" + strings.ReplaceAll(fields, " ", "\t") + "\n"
}

func zeekLogOf(by string) string {
	if by == "tls" {
		return "ssl"
	}
	return by
}

func zeekNameOf(by string) string {
	if by == "http" {
		return "host"
	}
	return "server_name"
}

// suricataID makes a flow_id of a uid such as C12.
func suricataID(uid string) string { return "17458009906" + uid[1:] }

// foldConnections folds logs of lines, and returns the rows.
func foldConnections(t *testing.T, head map[string]string, lines []connectionLine, cut int, o foldOptions) []detect.Row {
	t.Helper()
	texts := map[string][]string{}
	for _, l := range lines {
		texts[l.log] = append(texts[l.log], l.text)
	}
	var sources []source
	for log, lines := range texts {
		for i := 0; len(lines) > 0; i++ {
			n := min(cut, len(lines))
			text := head[log] + strings.Join(lines[:n], "\n") + "\n"
			lines = lines[n:]
			sources = append(sources, source{object: logs.Object{Name: fmt.Sprintf("%s-%d.log", log, i), Size: int64(len(text)),
				Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}})
		}
	}
	o.aggregates = []*detect.Aggregate{detect.UserDay, detect.UserDestinationDay}
	if o.FoldOptions.To == 0 {
		o.FoldOptions = (&Config{}).foldOptions()
	}
	f, err := Fold(context.Background(), sources, &o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return foldedRows(t, f, o.aggregates)
}

// showConnections returns what rows say of bytes, each once: of an entity's connections,
// user_destination_day without an object says the same as user_day.
func showConnections(rows []detect.Row) (out []string) {
	for _, r := range rows {
		line := strings.TrimSpace(fmt.Sprintf("%s %s %s: %d events, %d of %d out, %d in %s", r.Day, r.Entity, r.Feed, r.Events, r.BytesOut, r.KnownOut, r.BytesIn, r.Object))
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	return out
}

// If this fails, 5 GB to a file sharing service are bytes to an address, or names go to
// the wrong connection.
func TestNamesOfConnections(t *testing.T) {
	const mega = "gfs214n107.userstorage.mega.co.nz"
	for _, d := range connectionDialects {
		t.Run(d.name, func(t *testing.T) {
			lines := []connectionLine{
				// Three uploads, named by TLS, by QUIC and by plain HTTP.
				d.bytes(4000, "C11", "10.0.0.1", "192.0.2.11", 5e9, 1e6), d.named(100, "C11", "10.0.0.1", "192.0.2.11", "tls", mega),
				d.bytes(4001, "C12", "10.0.0.1", "192.0.2.12", 2e9, 1e6), d.named(4001, "C12", "10.0.0.1", "192.0.2.12", "quic", mega),
				d.bytes(4002, "C13", "10.0.0.1", "192.0.2.13", 1e9, 1e6), d.named(4000, "C13", "10.0.0.1", "192.0.2.13", "http", "www.transfer.sh"),
				// The name was logged the day before.
				d.bytes(30, "C14", "10.0.0.1", "192.0.2.14", 3e9, 1e6), d.named(-4000, "C14", "10.0.0.1", "192.0.2.14", "tls", "up.pcloud.com"),
				// Near misses: another source with the uid, and a name without a connection.
				d.bytes(4003, "C11", "10.0.0.2", "192.0.2.99", 4e9, 1e6),
				d.named(4004, "C77", "10.0.0.3", "192.0.2.98", "tls", "mega.nz"),
				// Requests of one connection that name several hosts: a proxy's.
				d.bytes(4005, "C15", "10.0.0.4", "192.0.2.15", 6e9, 1e6),
				d.named(4005, "C15", "10.0.0.4", "192.0.2.15", "http", "a.example"), d.named(4006, "C15", "10.0.0.4", "192.0.2.15", "http", "b.example"),
				// TLS knows better than requests.
				d.bytes(4007, "C16", "10.0.0.4", "192.0.2.16", 7e9, 1e6),
				d.named(4007, "C16", "10.0.0.4", "192.0.2.16", "http", "a.example"), d.named(4008, "C16", "10.0.0.4", "192.0.2.16", "tls", "mega.nz"),
				// A connection that its sensor reports three times, with rising totals.
				d.bytes(4100, "C17", "10.0.0.5", "192.0.2.17", 1e9, 1e6), d.bytes(5100, "C17", "10.0.0.5", "192.0.2.17", 2e9, 2e6),
				d.bytes(6100, "C17", "10.0.0.5", "192.0.2.17", 9e9, 3e6), d.named(4000, "C17", "10.0.0.5", "192.0.2.17", "tls", "dropbox.com"),
				// Inside.
				d.bytes(4100, "C18", "10.0.0.6", "10.0.0.7", 1e9, 1e6), d.named(4000, "C18", "10.0.0.6", "10.0.0.7", "tls", "mega.nz"),
			}
			network := d.feed + "/network"
			want := []string{
				"2026-03-01 10.0.0.1 " + network + ": 1 events, 0 of 0 out, 0 in",
				"2026-03-02 10.0.0.1 " + network + ": 4 events, 11000000000 of 4 out, 4000000 in",
				"2026-03-02 10.0.0.2 " + network + ": 1 events, 4000000000 of 1 out, 1000000 in",
				"2026-03-02 10.0.0.3 " + network + ": 1 events, 0 of 0 out, 0 in",
				"2026-03-02 10.0.0.4 " + network + ": 2 events, 13000000000 of 2 out, 2000000 in",
				"2026-03-02 10.0.0.5 " + network + ": 1 events, 9000000000 of 1 out, 3000000 in",
				"2026-03-01 10.0.0.1 " + network + ": 1 events, 0 of 0 out, 0 in up.pcloud.com",
				"2026-03-02 10.0.0.1 " + network + ": 2 events, 7000000000 of 2 out, 2000000 in " + mega,
				"2026-03-02 10.0.0.1 " + network + ": 1 events, 3000000000 of 1 out, 1000000 in up.pcloud.com",
				"2026-03-02 10.0.0.1 " + network + ": 1 events, 1000000000 of 1 out, 1000000 in www.transfer.sh",
				"2026-03-02 10.0.0.2 " + network + ": 1 events, 4000000000 of 1 out, 1000000 in 192.0.2.99",
				"2026-03-02 10.0.0.3 " + network + ": 1 events, 0 of 0 out, 0 in mega.nz",
				"2026-03-02 10.0.0.4 " + network + ": 1 events, 6000000000 of 1 out, 1000000 in 192.0.2.15",
				"2026-03-02 10.0.0.4 " + network + ": 1 events, 7000000000 of 1 out, 1000000 in mega.nz",
				"2026-03-02 10.0.0.5 " + network + ": 1 events, 9000000000 of 1 out, 3000000 in dropbox.com",
			}
			r := rand.New(rand.NewPCG(1, 2))
			var first []detect.Row
			for range 8 {
				for _, o := range []foldOptions{{workers: 1}, {workers: 3}, {workers: 2, memory: 1}} {
					r.Shuffle(len(lines), func(i, k int) { lines[i], lines[k] = lines[k], lines[i] })
					rows := foldConnections(t, d.head, lines, 1+r.IntN(6), o)
					got := showConnections(slices.DeleteFunc(slices.Clone(rows), func(r detect.Row) bool { return r.Feed != network }))
					if diff := cmp.Diff(want, got); diff != "" {
						t.Fatalf("%d workers (-want +got):\n%s", o.workers, diff)
					}
					for i := range rows {
						rows[i].Evidence, rows[i].Places = "", nil // name the object
					}
					if first == nil {
						first = rows
					}
					if diff := cmp.Diff(first, rows); diff != "" {
						t.Fatalf("in another order (-first +this):\n%s", diff)
					}
				}
			}
		})
	}
}

// If this fails, an upload over midnight loses its destination at night, or each night
// reads the logs of the day before again.
func TestNamesOfTheNightBefore(t *testing.T) {
	const network = "zeek/network"
	site := newSite(t, "logs/{yyyy}-{mm}-{dd}/*.log")
	site.write("outflow.yaml", []byte("inputs:\n  - {name: zeek, format: zeek, uri: 'logs/{yyyy}-{mm}-{dd}/*.log'}\n"))
	d := connectionDialects[1] // each line says its log
	write := func(name string, lines ...connectionLine) {
		var text strings.Builder
		for _, l := range lines {
			text.WriteString(l.text + "\n")
		}
		site.write(name, []byte(text.String()))
	}
	const mega = "gfs1n1.userstorage.mega.co.nz"
	write("logs/2026-03-01/ssl-09.log", d.named(-54000, "C1", "10.0.0.1", "192.0.2.1", "tls", mega))
	write("logs/2026-03-01/ssl-22.log", d.named(-7000, "C2", "10.0.0.1", "192.0.2.2", "tls", mega), d.named(-7000, "C3", "10.0.0.1", "192.0.2.3", "tls", mega))
	write("logs/2026-03-01/conn-22.log", d.bytes(-6000, "C3", "10.0.0.1", "192.0.2.3", 1e9, 5))
	write("logs/2026-03-02/conn-01.log", d.bytes(4000, "C1", "10.0.0.1", "192.0.2.1", 2e9, 5), d.bytes(4000, "C2", "10.0.0.1", "192.0.2.2", 3e9, 5))
	want := []string{
		"2026-03-01 10.0.0.1 " + network + ": 3 events, 1000000000 of 1 out, 5 in " + mega,
		"2026-03-02 10.0.0.1 " + network + ": 1 events, 2000000000 of 1 out, 5 in 192.0.2.1",
		"2026-03-02 10.0.0.1 " + network + ": 1 events, 3000000000 of 1 out, 5 in " + mega,
	}
	rows := func(state string) (rows []detect.Row) {
		at, err := store.Open(t.Context(), filepath.Join(site.dir, state), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, day := range []string{"2026-03-01", "2026-03-02"} {
			of, _, err := store.Partitions[detect.Row]{Store: at, Folder: "aggregate=user_destination_day"}.Read(t.Context(), day)
			if err != nil {
				t.Fatal(err)
			}
			for i := range of {
				of[i].Day, _ = detect.ParseDay(day)
			}
			rows = append(rows, slices.DeleteFunc(of, func(r detect.Row) bool { return r.Object == "" })...)
		}
		return rows
	}
	run := func(args ...string) {
		if code, _, stderr := invoke(t, site.dir, args...); code != exitOK {
			t.Fatalf("%v: exit %d: %s", args, code, stderr)
		}
	}
	run("run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-01", "--state", "nights")
	run("run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-02", "--state", "nights", "--out", "second")
	nights := rows("nights")
	if diff := cmp.Diff(want, showConnections(nights)); diff != "" {
		t.Errorf("night by night (-want +got):\n%s", diff)
	}
	run("backfill", "--config", "outflow.yaml", "--from", "2026-03-01", "--to", "2026-03-02", "--state", "once")
	if diff := cmp.Diff(nights, rows("once")); diff != "" {
		t.Errorf("both days at once (-night by night +at once):\n%s", diff)
	}
	files, _ := filepath.Glob(filepath.Join(site.dir, "second", "*", "*", "inputs.csv"))
	if len(files) != 1 {
		t.Fatalf("reports of the second night: %v", files)
	}
	inputs, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]bool{"ssl-09": false, "ssl-22": true, "conn-22": false, "conn-01": true} {
		if got := strings.Contains(string(inputs), name); got != read {
			t.Errorf("the second night read %s: got %v, want %v", name, got, read)
		}
	}
}
