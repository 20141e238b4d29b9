package jobs

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar/logs"
	"outflow/stats/detect"
)

// A sensorLog is what one sensor logs of the upload of TestOneUploadInEverySensor: by log,
// the lines, with one behind another what would make its bytes count twice.
type sensorLog struct {
	name string
	head map[string]string
	logs map[string][]string
	// entity is who it names, and destination what: an address where no record has a name.
	entity, destination string
}

// What happened: from 10:00:01 to 10:20 a session, and within it other records of it.
const (
	uploader    = "lea.roth@corp.example"
	uploadFrom  = "10.20.0.21"
	uploadTo    = "203.0.113.125"
	uploadHost  = "gfs270n231.userstorage.mega.co.nz"
	uploadBytes = 5_000_000_000
)

func panLine(kind, subtype, at string, rest string) string {
	return fmt.Sprintf("1,2026/11/20 %[3]s,0132,%[1]s,%[2]s,2561,2026/11/20 %[3]s,%[4]s,%[5]s,,,web,%[6]s,,ssl,vsys1,trust,untrust,e1,e2,siem,2026/11/20 %[3]s,900,1,52000,443,0,0,0x0,tcp,%[7]s",
		kind, subtype, at, uploadFrom, uploadTo, uploader, rest)
}

func fortiLine(at int, logid, kind, rest string) string {
	return fmt.Sprintf(`eventtime=%d devname="fw-1" devid="FG100F0001" tz="+0000" logid="%s" type="%s" level="notice" vd="root" srcip=%s dstip=%s dstport=443 sessionid=990 proto=6 user="%s" %s`,
		1795168800+at, logid, kind, uploadFrom, uploadTo, uploader, rest)
}

func ocsfLine(uid string, rest string) string {
	return fmt.Sprintf(`{"class_uid":4001,"time":1795170000000,"metadata":{"uid":"%s","version":"1.5.0","product":{"name":"Edge"}},"actor":{"user":{"name":"%s"}},"src_endpoint":{"ip":"%s"},"dst_endpoint":{"ip":"%s","port":443,"hostname":"%s"},"connection_info":{"protocol_name":"tcp","direction_id":2},%s}`,
		uid, uploader, uploadFrom, uploadTo, uploadHost, rest)
}

func umbrellaLine(at, action, url, status, out, in string) string {
	return fmt.Sprintf(`"2026-11-20 %s","Lea Roth (%s)","%s","198.51.100.2","%s","application/octet-stream","%s","%s","","Mozilla/5.0","%s","%s","%s","","","Online Storage","","","","","","AD Users","","Lea Roth (%[2]s),HQ","AD Users,Sites","POST"`,
		at, uploader, uploadFrom, uploadTo, action, url, status, out, in)
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
	{"paloalto", nil, map[string][]string{
		"pan.csv": {panLine("TRAFFIC", "start", "10:00:01", "allow,900,800,100,9,2026/11/20 10:00:01,0,any"),
			panLine("THREAT", "url", "10:00:02", `alert,"`+uploadHost+`/ul/1",(9999),any,informational,client-to-server`),
			panLine("TRAFFIC", "end", "10:20:00", "allow,5000001000,5000000000,1000,9,2026/11/20 10:00:01,1199,any"),
			panLine("TRAFFIC", "end", "10:20:00", "allow,5000001000,5000000000,1000,9,2026/11/20 10:00:01,1199,any")},
	}, "user " + uploader, uploadHost},
	{"fortinet", nil, map[string][]string{
		"fgt.log": {fortiLine(2, "0317013312", "utm", `subtype="webfilter" eventtype="ftgd_allow" action="passthrough" hostname="`+uploadHost+`" url="/ul" sentbyte=5000000000 rcvdbyte=800`),
			fortiLine(600, "0000000020", "traffic", `subtype="forward" action="accept" sentbyte=2000000000 rcvdbyte=500 sentdelta=2000000000 rcvddelta=500`),
			fortiLine(1199, "0000000013", "traffic", `subtype="forward" action="close" sentbyte=5000000000 rcvdbyte=1000 sentdelta=3000000000 rcvddelta=500`),
			fortiLine(1199, "0000000013", "traffic", `subtype="forward" action="close" sentbyte=5000000000 rcvdbyte=1000 sentdelta=3000000000 rcvddelta=500`)},
	}, "user " + uploader, uploadHost},
	{"fortinet without deltas", nil, map[string][]string{
		"fgt.log": {fortiLine(2, "0317013312", "utm", `subtype="webfilter" eventtype="ftgd_allow" action="passthrough" hostname="`+uploadHost+`" url="/ul" sentbyte=5000000000 rcvdbyte=800`),
			fortiLine(600, "0000000020", "traffic", `subtype="forward" action="accept" sentbyte=2000000000 rcvdbyte=500`),
			fortiLine(1199, "0000000013", "traffic", `subtype="forward" action="close" sentbyte=5000000000 rcvdbyte=1000`),
			fortiLine(1199, "0000000013", "traffic", `subtype="forward" action="close" sentbyte=5000000000 rcvdbyte=1000`)},
	}, "user " + uploader, uploadHost},
	{"zscaler", nil, map[string][]string{
		"nss.json": {`{"sourcetype":"zscalernss-web","event":{"datetime":"2026-11-20 10:00:01","action":"Blocked","event_id":"7001","user":"` + uploader + `","url":"` + uploadHost + `/ul","requestsize":"5000000000","responsesize":"9","requestmethod":"POST","ClientIP":"10.20.0.21"}}`,
			`{"sourcetype":"zscalernss-web","event":{"datetime":"2026-11-20 10:20:00","action":"Allowed","event_id":"7002","user":"` + uploader + `","url":"` + uploadHost + `/ul","requestsize":"5000000000","responsesize":"1000","requestmethod":"POST","ClientIP":"10.20.0.21"}}`,
			`{"sourcetype":"zscalernss-web","event":{"datetime":"2026-11-20 10:20:00","action":"Allowed","event_id":"7002","user":"` + uploader + `","url":"` + uploadHost + `/ul","requestsize":"5000000000","responsesize":"1000","requestmethod":"POST","ClientIP":"10.20.0.21"}}`},
	}, "user " + uploader, uploadHost},
	{"umbrella proxy", nil, map[string][]string{ // it writes no id: copies are of whole objects
		"proxylogs.csv": {umbrellaLine("10:00:01", "BLOCKED", "https://"+uploadHost+"/ul", "403", "5000000000", "9"),
			umbrellaLine("10:20:00", "ALLOWED", "https://"+uploadHost+"/ul", "200", "5000000000", "1000")},
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
	{"OCSF", nil, map[string][]string{
		"ocsf.json": {ocsfLine("o1", `"activity_id":1,"traffic":{"packets":1}`),
			ocsfLine("o2", `"activity_id":2,"traffic":{"bytes":5000001000,"bytes_out":5000000000,"bytes_in":1000},"duration":1199000`),
			ocsfLine("o2", `"activity_id":2,"traffic":{"bytes":5000001000,"bytes_out":5000000000,"bytes_in":1000},"duration":1199000`),
			ocsfLine("o3", `"activity_id":4,"action_id":2,"action":"Denied","disposition":"Blocked","traffic":{"bytes_out":5000000000,"bytes_in":0}`)},
	}, "user " + uploader, uploadHost},
}

// If this fails, one upload has another size, another uploader or no destination by the
// log that saw it, or counts again with each record of it that goes on, repeats its totals
// or was delivered twice.
func TestOneUploadInEverySensor(t *testing.T) {
	for _, s := range sensorLogs {
		t.Run(s.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for order := range 6 { // the first is that of the sensor
				workers := 1 + order%3
				var sources []source
				for _, name := range slices.Sorted(maps.Keys(s.logs)) {
					lines := slices.Clone(s.logs[name])
					if order > 0 {
						r.Shuffle(len(lines), func(i, k int) { lines[i], lines[k] = lines[k], lines[i] })
					}
					text := []byte(s.head[name] + strings.Join(lines, "\n") + "\n")
					var again bytes.Buffer // the whole object again, compressed
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
				got := map[string]int64{}
				for _, r := range foldedRows(t, f, o.aggregates) {
					if r.BytesOut > 0 {
						got[r.EntityType+" "+r.Entity+" "+r.Object] = max(got[r.EntityType+" "+r.Entity+" "+r.Object], r.BytesOut)
					}
				}
				want := map[string]int64{s.entity + " ": uploadBytes, s.entity + " " + s.destination: uploadBytes}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("order %d (-want +got):\n%s", order, diff)
				}
			}
		})
	}
}
