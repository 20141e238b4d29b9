package logs

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// If this fails, an answer that is logged apart from its query names no address, or goes
// to a client that did not ask.
func TestAnswersApart(t *testing.T) {
	const eve = `{"timestamp":"2026-11-20T08:00:01.000000+0000","flow_id":7,"event_type":"dns","src_ip":"10.0.0.9","src_port":40000,"dest_ip":"10.0.0.2","dest_port":53,"dns":`
	const back = `{"timestamp":"2026-11-20T08:00:01.000000+0000","flow_id":7,"event_type":"dns","src_ip":"10.0.0.2","src_port":53,"dest_ip":"10.0.0.9","dest_port":40000,"dns":`
	const line = "Nov 20 08:00:01 dnsmasq[71]: "
	for _, c := range []struct {
		name   string
		format *Format
		in     string
		want   []string
	}{
		{"suricata 1", Suricata, eve + `{"type":"answer","id":3,"rcode":"NOERROR","rrname":"files.example.org.","rrtype":"A","ttl":60,"rdata":"203.0.113.9"}}`, []string{"10.0.0.9 files.example.org 203.0.113.9"}},
		{"suricata 1, a text", Suricata, eve + `{"type":"answer","id":3,"rrname":"files.example.org","rrtype":"TXT","rdata":"203.0.113.9"}}`, nil},
		{"suricata 2", Suricata, eve + `{"version":2,"type":"answer","rrname":"files.example.org","rrtype":"AAAA","answers":[{"rrname":"files.example.org","rrtype":"CNAME","ttl":9,"rdata":"a.example.net"},{"rrname":"a.example.net","rrtype":"AAAA","rdata":"2001:db8::9"}],"grouped":{"AAAA":["2001:db8::8"]}}}`,
			[]string{"10.0.0.9 files.example.org a.example.net,2001:db8::9"}},
		{"suricata 2, grouped only", Suricata, eve + `{"version":2,"type":"answer","rrname":"files.example.org","rrtype":"A","grouped":{"CNAME":["a.example.net"],"A":["203.0.113.8","203.0.113.9"]}}}`,
			[]string{"10.0.0.9 files.example.org 203.0.113.8,203.0.113.9"}},
		{"suricata 3, from the server", Suricata, back + `{"version":3,"type":"response","queries":[{"rrname":"files.example.org","rrtype":"A"}],"answers":[{"rrname":"files.example.org","rrtype":"A","rdata":"203.0.113.9"}]}}`,
			[]string{"10.0.0.9 files.example.org 203.0.113.9"}},
		{"suricata 3, no answers", Suricata, back + `{"version":3,"type":"response","rcode":"NXDOMAIN","queries":[{"rrname":"files.example.org","rrtype":"A"}]}}`, []string{"10.0.0.9 files.example.org "}},
		{"suricata, a query", Suricata, eve + `{"type":"query","rrname":"files.example.org","rrtype":"A","rdata":"203.0.113.9"}}`, nil},
		{"dnsmasq", Dnsmasq, line + "query[A] Files.example.org from 10.0.0.9\n" + line + "forwarded files.example.org to 192.0.2.1\n" + line + "reply files.example.org is 203.0.113.8\n" + line + "reply files.example.org is 203.0.113.9\n",
			[]string{"10.0.0.9 Files.example.org 203.0.113.8", "10.0.0.9 Files.example.org 203.0.113.9"}},
		{"dnsmasq, an alias of an alias", Dnsmasq, line + "query[AAAA] files.example.org from 10.0.0.9\n" + line + "query[A] other.example from 10.0.0.8\n" + line + "reply files.example.org is <CNAME>\n" + line + "reply a.example.net is <CNAME>\n" + line + "reply b.example.net is 2001:db8::9\n",
			[]string{"10.0.0.9 files.example.org 2001:db8::9"}},
		{"dnsmasq, an alias does not reach the next dialogue", Dnsmasq, line + "query[A] files.example.org from 10.0.0.9\n" + line + "reply files.example.org is <CNAME>\n" + line + "query[A] other.example from 10.0.0.8\n" + line + "reply b.example.net is 203.0.113.9\n", nil},
		{"dnsmasq, cached", Dnsmasq, line + "query[A] files.example.org from 10.0.0.9\n" + line + "query[A] files.example.org from 10.0.0.8\n" + line + "cached files.example.org is 203.0.113.9\n", []string{"10.0.0.8 files.example.org 203.0.113.9"}},
		{"dnsmasq, no such name", Dnsmasq, line + "query[A] files.example.org from 10.0.0.9\n" + line + "reply files.example.org is NXDOMAIN\n" + line + "config files.example.org is 203.0.113.9\n", nil},
		{"dnsmasq, nobody asked", Dnsmasq, line + "reply files.example.org is 203.0.113.9\n", nil},
		{"dnsmasq extra", Dnsmasq, line + "12 10.0.0.9/5353 query[A] files.example.org from 10.0.0.9\n" + line + "13 10.0.0.8/5353 query[A] files.example.org from 10.0.0.8\n" + line + "12 10.0.0.9/5353 reply files.example.org is 203.0.113.9\n" + line + "9 10.0.0.7/5353 reply early.example is 203.0.113.7\n",
			[]string{"10.0.0.9 files.example.org 203.0.113.9", "10.0.0.7 early.example 203.0.113.7"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := c.format.New(&Options{Want: ^columnar.Cols(0), Written: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			out := &columnar.Out{Want: ^columnar.Cols(0), Sink: func(*columnar.Batch) {}, Answer: func(us int64, client, name, answers []byte) {
				if want := int64(1795161601e6); us != want {
					t.Errorf("got time %d, want %d", us, want)
				}
				got = append(got, fmt.Sprintf("%s %s %s", client, name, answers))
			}}
			if err := (&Block{Data: []byte(c.in), First: 1}).Decode(d, out, &Tally{}); err != nil {
				t.Fatal(err)
			}
			out.Flush()
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
