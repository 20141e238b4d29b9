package jobs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/stats/detect"
)

// answerDialects write connections without names, and answers to DNS queries.
var answerDialects = []struct {
	name string
	feed string
	head map[string]string // by log
	flow func(at int, uid, src, dst string, out int64) connectionLine
	said func(at int, client, name, address string) connectionLine
}{
	{"zeek TSV", "zeek", map[string]string{
		"conn": zeekHead("conn", "ts uid id.orig_h id.resp_h id.resp_p proto orig_bytes resp_bytes conn_state"),
		"dns":  zeekHead("dns", "ts uid id.orig_h id.resp_h query qtype_name rcode_name answers"),
	}, func(at int, uid, src, dst string, out int64) connectionLine {
		return connectionLine{"conn", fmt.Sprintf("%d.5\t%s\t%s\t%s\t443\ttcp\t%d\t%d\tSF", connectionDay+at, uid, src, dst, out, 7)}
	}, func(at int, client, name, address string) connectionLine {
		return connectionLine{"dns", fmt.Sprintf("%d.5\tD1\t%s\t10.0.0.53\t%s\tA\tNOERROR\talias.example,%s", connectionDay+at, client, name, address)}
	}},
	{"zeek JSON", "zeek", nil, func(at int, uid, src, dst string, out int64) connectionLine {
		return connectionLine{"conn", fmt.Sprintf(`{"ts":%d.5,"uid":"%s","id.orig_h":"%s","id.resp_h":"%s","id.resp_p":443,"proto":"tcp","orig_bytes":%d,"resp_bytes":7,"conn_state":"SF"}`, connectionDay+at, uid, src, dst, out)}
	}, func(at int, client, name, address string) connectionLine {
		return connectionLine{"dns", fmt.Sprintf(`{"_path":"dns","ts":%d.5,"uid":"D1","id.orig_h":"%s","id.resp_h":"10.0.0.53","query":"%s","qtype_name":"A","rcode_name":"NOERROR","answers":["alias.example","%s"]}`, connectionDay+at, client, name, address)}
	}},
	{"suricata", "suricata", nil, func(at int, uid, src, dst string, out int64) connectionLine {
		return connectionLine{"eve", fmt.Sprintf(`{"timestamp":"%s","flow_id":%s,"event_type":"flow","src_ip":"%s","dest_ip":"%s","dest_port":443,"proto":"TCP","flow":{"bytes_toserver":%d,"bytes_toclient":7,"end":"%[1]s","state":"closed"}}`,
			connectionTime(at), suricataID(uid), src, dst, out)}
	}, func(at int, client, name, address string) connectionLine {
		return connectionLine{"eve", fmt.Sprintf(`{"timestamp":"%s","flow_id":9,"event_type":"dns","src_ip":"%s","src_port":4000,"dest_ip":"10.0.0.53","dest_port":53,"dns":{"version":2,"type":"answer","rrname":"%s","rrtype":"A","answers":[{"rrname":"%[3]s","rrtype":"A","rdata":"%s"}]}}`,
			connectionTime(at), client, name, address)}
	}},
	{"VPC flow and Route 53", "vpcflow", map[string]string{
		"flow": "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n",
	}, func(at int, _, src, dst string, out int64) connectionLine {
		return connectionLine{"flow", fmt.Sprintf("2 444455556666 eni-1 %s %s 40001 443 6 9 %d %d %[4]d ACCEPT OK", src, dst, out, connectionDay+at)}
	}, func(at int, client, name, address string) connectionLine {
		return connectionLine{"resolver", fmt.Sprintf(`{"version":"1.100000","account_id":"444455556666","vpc_id":"vpc-1","query_timestamp":"%s","query_name":"%s.","query_type":"A","rcode":"NOERROR","answers":[{"Rdata":"alias.example.","Type":"CNAME","Class":"IN"},{"Rdata":"%s","Type":"A","Class":"IN"}],"srcaddr":"%s"}`,
			connectionTime(at), name, address, client)}
	}},
}

// If this fails, 5 GB to a file sharing service are bytes to an address in a log that names
// no servers, or addresses go under names that their clients did not ask for.
func TestNamesByDNS(t *testing.T) {
	const mega = "gfs214n107.userstorage.mega.co.nz"
	for _, d := range answerDialects {
		t.Run(d.name, func(t *testing.T) {
			lines := []connectionLine{
				d.flow(4000, "C11", "10.0.0.1", "203.0.113.11", 5e9), d.said(3999, "10.0.0.1", mega, "203.0.113.11"),
				d.flow(4001, "C12", "10.0.0.1", "203.0.113.12", 2e9), d.said(100, "10.0.0.1", "files.shop.example.org", "203.0.113.12"), d.said(5000, "10.0.0.1", "later.example.com", "203.0.113.12"),
				// Near misses: another client asked, on the day before, after the connection, for another
				// address; two names share the address.
				d.flow(4002, "C13", "10.0.0.2", "203.0.113.11", 3e9),
				d.flow(4003, "C14", "10.0.0.3", "203.0.113.14", 3e9), d.said(-60, "10.0.0.3", mega, "203.0.113.14"),
				d.flow(4004, "C15", "10.0.0.4", "203.0.113.15", 3e9), d.said(4200, "10.0.0.4", mega, "203.0.113.15"),
				d.flow(4005, "C16", "10.0.0.5", "203.0.113.16", 3e9), d.said(4000, "10.0.0.5", mega, "203.0.113.17"),
				d.flow(4006, "C17", "10.0.0.6", "203.0.113.18", 3e9), d.said(4000, "10.0.0.6", mega, "203.0.113.18"), d.said(4000, "10.0.0.6", "cdn.example.org", "203.0.113.18"),
			}
			network := d.feed + "/network"
			row := func(entity string, out int64, object string) string {
				return fmt.Sprintf("2026-03-02 %s: %d to %s", entity, out, object)
			}
			want := []string{
				row("10.0.0.1", 2e9, "example.org by 10.0.0.1@100"), row("10.0.0.1", 5e9, mega+" by 10.0.0.1@3999"),
				row("10.0.0.2", 3e9, "203.0.113.11"), row("10.0.0.3", 3e9, "203.0.113.14"), row("10.0.0.4", 3e9, "203.0.113.15"),
				row("10.0.0.5", 3e9, "203.0.113.16"), row("10.0.0.6", 3e9, "203.0.113.18"),
			}
			r := rand.New(rand.NewPCG(1, 2))
			var first []detect.Row
			for range 3 {
				for _, o := range []foldOptions{{workers: 1}, {workers: 3}, {workers: 2, memory: 1}} {
					r.Shuffle(len(lines), func(i, k int) { lines[i], lines[k] = lines[k], lines[i] })
					rows := foldConnections(t, d.head, lines, 1+r.IntN(6), o)
					var got []string
					for i := range rows {
						rows[i].Evidence, rows[i].Places = "", nil // name the object
						if r := &rows[i]; r.Feed == network && r.Object != "" {
							by := ""
							if r.AnswerTime != 0 {
								by = fmt.Sprintf(" by %s@%d", r.AnswerTo, r.AnswerTime/1e6-connectionDay)
							}
							got = append(got, row(r.Entity, r.BytesOut, r.Object+by))
						}
					}
					slices.Sort(got)
					if diff := cmp.Diff(want, got); diff != "" {
						t.Fatalf("%d workers (-want +got):\n%s", o.workers, diff)
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
