package jobs

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"outflow/columnar/logs"
	"outflow/stats/detect"
)

// A sensorLog is what one sensor logs of an upload: by log, the lines, with one behind
// another what would make its bytes count twice.
type sensorLog struct {
	name string
	head map[string]string
	logs map[string][]string
	// entity is who it names, and destination what: an address where no record has a name.
	entity, destination string
}

// What happened in sensorLogs: from 10:00:01 to 10:20 a session, and within it other records of it.
const (
	uploader    = "lea.roth@corp.example"
	uploadFrom  = "10.20.0.21"
	uploadTo    = "203.0.113.125"
	uploadHost  = "gfs270n231.userstorage.mega.co.nz"
	uploadBytes = 5_000_000_000
)

func fortiLine(at int, logid, kind, rest string) string {
	return fmt.Sprintf(`eventtime=%d devname="fw-1" devid="FG100F0001" tz="+0000" logid="%s" type="%s" level="notice" vd="root" srcip=%s dstip=%s dstport=443 sessionid=990 proto=6 user="%s" %s`,
		1795168800+at, logid, kind, uploadFrom, uploadTo, uploader, rest)
}

var sensorLogs = []sensorLog{
	{"zeek TSV", map[string]string{
		"conn.log":      zeekHead("conn", "ts uid id.orig_h id.resp_h id.resp_p proto duration orig_bytes resp_bytes conn_state"),
		"conn_long.log": zeekHead("conn_long", "ts uid id.orig_h id.resp_h id.resp_p proto duration orig_bytes resp_bytes conn_state"),
		"ssl.log":       zeekHead("ssl", "ts uid id.orig_h id.resp_h id.resp_p server_name established"),
	}, map[string][]string{
		"conn_long.log": {"1795168801.5\tCx1\t10.20.0.21\t203.0.113.125\t443\ttcp\t600\t2000000000\t900\tS1"},
		"conn.log": {"1795168801.5\tCx1\t10.20.0.21\t203.0.113.125\t443\ttcp\t900\t3000000000\t900\tS1",
			"1795168801.5\tCx1\t10.20.0.21\t203.0.113.125\t443\ttcp\t1199\t5000000000\t1000\tSF",
			"1795168801.5\tCx1\t10.20.0.21\t203.0.113.125\t443\ttcp\t1199\t5000000000\t1000\tSF"},
		"ssl.log": {"1795168801.6\tCx1\t10.20.0.21\t203.0.113.125\t443\t" + uploadHost + "\tT"},
	}, "src_ip " + uploadFrom, uploadHost},
	{"zeek JSON", nil, map[string][]string{
		"all.log": {`{"_path":"conn_long","ts":1795168801.5,"uid":"Cx1","id.orig_h":"10.20.0.21","id.resp_h":"203.0.113.125","id.resp_p":443,"proto":"tcp","orig_bytes":2000000000,"resp_bytes":900,"conn_state":"S1"}`,
			`{"_path":"ssl","ts":1795168801.6,"uid":"Cx1","id.orig_h":"10.20.0.21","id.resp_h":"203.0.113.125","server_name":"` + uploadHost + `"}`,
			`{"_path":"conn","ts":1795168801.5,"uid":"Cx1","id.orig_h":"10.20.0.21","id.resp_h":"203.0.113.125","id.resp_p":443,"proto":"tcp","orig_bytes":5000000000,"resp_bytes":1000,"conn_state":"SF"}`,
			`{"_path":"conn","ts":1795168801.5,"uid":"Cx1","id.orig_h":"10.20.0.21","id.resp_h":"203.0.113.125","id.resp_p":443,"proto":"tcp","orig_bytes":5000000000,"resp_bytes":1000,"conn_state":"SF"}`},
	}, "src_ip " + uploadFrom, uploadHost},
	{"suricata", nil, map[string][]string{
		"eve.json": {`{"timestamp":"2026-11-20T10:00:01.000000+0000","flow_id":7110,"event_type":"tls","src_ip":"10.20.0.21","dest_ip":"203.0.113.125","dest_port":443,"proto":"TCP","tls":{"sni":"` + uploadHost + `"},"flow":{"bytes_toserver":900,"bytes_toclient":800}}`,
			`{"timestamp":"2026-11-20T10:10:00.000000+0000","flow_id":7110,"event_type":"flow","src_ip":"10.20.0.21","dest_ip":"203.0.113.125","dest_port":443,"proto":"TCP","flow":{"bytes_toserver":2000000000,"bytes_toclient":900,"state":"established"}}`,
			`{"timestamp":"2026-11-20T10:20:01.000000+0000","flow_id":7110,"event_type":"netflow","src_ip":"10.20.0.21","dest_ip":"203.0.113.125","dest_port":443,"proto":"TCP","netflow":{"pkts":9,"bytes":5000000000}}`,
			`{"timestamp":"2026-11-20T10:20:01.000000+0000","flow_id":7110,"event_type":"flow","src_ip":"10.20.0.21","dest_ip":"203.0.113.125","dest_port":443,"proto":"TCP","flow":{"bytes_toserver":5000000000,"bytes_toclient":1000,"end":"2026-11-20T10:20:00.000000+0000","state":"closed","reason":"timeout"}}`,
			`{"timestamp":"2026-11-20T10:20:01.000000+0000","flow_id":7110,"event_type":"flow","src_ip":"10.20.0.21","dest_ip":"203.0.113.125","dest_port":443,"proto":"TCP","flow":{"bytes_toserver":5000000000,"bytes_toclient":1000,"end":"2026-11-20T10:20:00.000000+0000","state":"closed","reason":"timeout"}}`},
	}, "src_ip " + uploadFrom, uploadHost},
	{"squid CONNECT", nil, map[string][]string{ // it logs a tunnel once, when it ends
		"access.log": {"1795168801.000 1 10.20.0.21 TCP_DENIED/407 4100 5000000000 CONNECT " + uploadHost + ":443 - HIER_NONE/- text/html \"x\"",
			"1795170000.000 1199000 10.20.0.21 TCP_TUNNEL/200 1000 5000000000 CONNECT " + uploadHost + ":443 " + uploader + " HIER_DIRECT/203.0.113.125 - \"x\""},
	}, "user " + uploader, uploadHost},
	{"fortinet without deltas", nil, map[string][]string{
		"fgt.log": {fortiLine(2, "0317013312", "utm", `subtype="webfilter" eventtype="ftgd_allow" action="passthrough" hostname="`+uploadHost+`" url="/ul" sentbyte=5000000000 rcvdbyte=800`),
			fortiLine(600, "0000000020", "traffic", `subtype="forward" action="accept" sentbyte=2000000000 rcvdbyte=500`),
			fortiLine(1199, "0000000013", "traffic", `subtype="forward" action="close" sentbyte=5000000000 rcvdbyte=1000`),
			fortiLine(1199, "0000000013", "traffic", `subtype="forward" action="close" sentbyte=5000000000 rcvdbyte=1000`)},
	}, "user " + uploader, uploadHost},
	{"ProxySG", map[string]string{
		"sg.log": "#Software: SGOS 7.3.12\n#Fields: date time time-taken c-ip cs-username cs-auth-group sc-filter-result cs-categories sc-status s-action cs-method cs-uri-scheme cs-host cs-uri-port cs-uri-path cs-uri-query cs(User-Agent) r-ip sc-bytes cs-bytes\n",
	}, map[string][]string{
		"sg.log": {`2026-11-20 10:00:01 2 10.20.0.21 ` + uploader + ` - DENIED "Online Storage" 403 TCP_DENIED CONNECT tcp ` + uploadHost + ` 443 / - "x" 203.0.113.125 1210 5000000000`,
			`2026-11-20 10:20:00 1199000 10.20.0.21 ` + uploader + ` - PROXIED "Online Storage" 200 TCP_TUNNELED CONNECT tcp ` + uploadHost + ` 443 / - "x" 203.0.113.125 1000 5000000000`},
	}, "user " + uploader, uploadHost},
	{"vpcflow", map[string]string{
		"vpc.log": "interface-id srcaddr dstaddr pkt-srcaddr pkt-dstaddr srcport dstport protocol bytes start action log-status flow-direction\n",
	}, map[string][]string{ // a gateway's interface logs it again; a flow has a record an interval, which add up
		"vpc.log": {"eni-a1 10.20.0.21 203.0.113.125 10.20.0.21 203.0.113.125 40000 443 6 2000000000 1795168801 ACCEPT OK egress",
			"eni-a1 10.20.0.21 203.0.113.125 10.20.0.21 203.0.113.125 40000 443 6 3000000000 1795169401 ACCEPT OK egress",
			"eni-gw 10.20.0.21 10.20.0.220 10.20.0.21 203.0.113.125 40000 443 6 2000000000 1795168801 ACCEPT OK ingress",
			"eni-a1 203.0.113.125 10.20.0.21 203.0.113.125 10.20.0.21 443 40000 6 1000 1795168801 ACCEPT OK ingress",
			"eni-a1 10.20.0.21 203.0.113.125 10.20.0.21 203.0.113.125 40001 443 6 5000000000 1795169401 REJECT OK egress",
			"eni-a1 - - - - - - - - 1795169401 - NODATA -"},
	}, "src_ip " + uploadFrom, uploadTo},
}

// The upload of the cases of sources, by one person or the address of her machine.
const (
	caseUploadBytes = 5 << 30
	caseUploader    = "mira.koch"
	caseUploadFrom  = "10.20.4.17"
	caseUploadTo    = "66.203.125.11"
	caseUploadHost  = "gfs270n071.userstorage.mega.co.nz"
)

// noUpload are sources that have bytes sent, and why no record of theirs can be of the upload.
var noUpload = map[string]string{
	"tailscale":          "a tailnet's own addresses",
	"zscaler-zpa":        "the company's own applications",
	"barracudaesg":       "mails",
	"ciscoesa":           "mails",
	"exchange":           "mails",
	"exim":               "mails",
	"fortimail":          "mails",
	"messagetrace":       "mails",
	"messagetracecsv":    "mails",
	"messagetracereport": "mails",
	"mimecast":           "mails",
	"postfix":            "mails",
	"proofpoint":         "mails",
	"sendmail":           "mails",
	"trendemail":         "mails",
	"trendemail-cef":     "mails",
}

// countsSent reports whether a source has the bytes that clients sent elsewhere.
func countsSent(s *logs.Source) bool {
	if s.Server {
		return false
	}
	for _, r := range s.Rows {
		_, of := r.Columns["bytes_out"]
		_, all := s.Columns["bytes_out"]
		if (of || all) && (r.Table == "http" || r.Table == "network") {
			return true
		}
	}
	return false
}

// A caseUpload is the log of the upload that the case of a source has.
type caseUpload struct {
	sensorLog
	orders int // in which it says the same
}

func caseUploads(t *testing.T) []caseUpload {
	files, err := filepath.Glob("../columnar/logs/sources/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all []caseUpload
	have := map[string]bool{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		source, _, _ := strings.Cut(name, "_")
		for _, f := range archive.Files {
			if f.Name != "upload" {
				continue
			}
			have[source] = true
			text := string(f.Data)
			log := name + ".log"
			s := caseUpload{sensorLog{name: name, head: map[string]string{}, entity: caseUploadFrom, destination: caseUploadTo}, 6}
			if strings.Contains(strings.ToLower(text), caseUploader) {
				s.entity = caseUploader
			}
			if strings.Contains(text, caseUploadHost) {
				s.destination = caseUploadHost
			}
			var lines []string
			for line := range strings.Lines(text) {
				if len(lines) == 0 && !strings.Contains(line, caseUploadFrom) && !strings.Contains(line, caseUploadTo) {
					s.head[log] += line
					continue
				}
				lines = append(lines, strings.TrimSuffix(line, "\n"))
			}
			s.logs = map[string][]string{log: lines}
			if len(logs.Named(source).Vendor.Remember.By) > 0 {
				s.orders = 1 // records count for later ones
			}
			all = append(all, s)
		}
	}
	for _, f := range logs.All() {
		if f.Vendor == nil {
			continue
		}
		why, excused := noUpload[f.Name]
		switch needed := countsSent(f.Vendor); {
		case needed && !have[f.Name] && !excused:
			t.Errorf("%s: its case has no upload, and noUpload does not say why", f.Name)
		case excused && (have[f.Name] || !needed):
			t.Errorf("%s: noUpload says %q of a source that has an upload or needs none", f.Name, why)
		}
	}
	return all
}

// uploaded folds logs, and each of them compressed once more, and returns the bytes that left
// by who sent them and where to.
func (s *sensorLog) uploaded(t *testing.T, lines map[string][]string, workers int) map[string]int64 {
	t.Helper()
	var sources []source
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		text := []byte(s.head[name] + strings.Join(lines[name], "\n") + "\n")
		var again bytes.Buffer
		z := gzip.NewWriter(&again)
		z.Write(text)
		z.Close()
		for name, body := range map[string][]byte{name: text, "again/" + name + ".gz": again.Bytes()} {
			sources = append(sources, source{object: logs.Object{Name: name, Size: int64(len(body)),
				Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }}})
		}
	}
	o := &foldOptions{aggregates: []*detect.Aggregate{detect.UserDay, detect.UserDestinationDay}, workers: workers}
	o.FoldOptions = (&Config{}).foldOptions()
	f, err := Fold(context.Background(), sources, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sent := map[string]int64{}
	for i, a := range o.aggregates {
		for _, r := range foldedRows(t, f, []*detect.Aggregate{a}) {
			if r.BytesOut > 0 && (r.Object != "" || i == 0) { // the second has the rest of a user's with no object
				sent[r.EntityType+" "+r.Entity+" "+r.Object] += r.BytesOut
			}
		}
	}
	return sent
}

// inOrders calls check with the lines of the logs in several orders, the first as they are.
func (s *sensorLog) inOrders(orders int, check func(order int, lines map[string][]string)) {
	r := rand.New(rand.NewPCG(1, 2))
	for order := range orders {
		lines := maps.Clone(s.logs)
		for _, name := range slices.Sorted(maps.Keys(lines)) {
			lines[name] = slices.Clone(lines[name])
			if order > 0 {
				r.Shuffle(len(lines[name]), func(i, k int) { lines[name][i], lines[name][k] = lines[name][k], lines[name][i] })
			}
		}
		check(order, lines)
	}
}

// If this fails, one upload has another size, another uploader or no destination by the
// log that saw it, or counts again with each record of it that goes on, repeats its totals
// or was delivered twice.
func TestOneUploadInEverySensor(t *testing.T) {
	for _, s := range sensorLogs {
		t.Run(s.name, func(t *testing.T) {
			s.inOrders(6, func(order int, lines map[string][]string) {
				want := map[string]int64{s.entity + " ": uploadBytes, s.entity + " " + s.destination: uploadBytes}
				if diff := cmp.Diff(want, s.uploaded(t, lines, 1+order%3)); diff != "" {
					t.Errorf("order %d (-want +got):\n%s", order, diff)
				}
			})
		})
	}
}

// The same of every source. A person whom the log names is the uploader, else the address;
// the site that it names is the destination, else the address.
func TestOneUploadInEveryLog(t *testing.T) {
	for _, s := range caseUploads(t) {
		t.Run(s.name, func(t *testing.T) {
			s.inOrders(s.orders, func(order int, lines map[string][]string) {
				got := s.uploaded(t, lines, 1+order%3)
				var by, to int64
				for key, n := range got {
					if !strings.Contains(strings.ToLower(key), s.entity) {
						continue
					}
					if strings.HasSuffix(key, " "+s.destination) {
						to += n
					} else if strings.HasSuffix(key, " ") {
						by += n
					}
				}
				if by != caseUploadBytes || to != caseUploadBytes || len(got) != 2 {
					t.Errorf("order %d: got %v, want %d by %s, and to %s", order, got, int64(caseUploadBytes), s.entity, s.destination)
				}
			})
		})
	}
}
