package logs

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"outflow/columnar"
	"outflow/columnar/scan"
)

func slowZeek(e map[string]any) (rows []slowRow, skip bool) {
	// Both spellings of a name mean the same field. No test has both in one object.
	if id, ok := e["id"].(map[string]any); ok {
		e = maps.Clone(e)
		for key, v := range id {
			switch key {
			case "orig_h", "resp_h", "resp_p", "orig_p":
				e["id."+key] = v
			}
		}
	}
	field := func(names ...string) any {
		for _, name := range names {
			if v, ok := e[name]; ok {
				if v == "-" {
					return nil
				}
				return v
			}
		}
		return nil
	}
	has := func(names ...string) bool {
		for _, name := range names {
			if _, ok := e[name]; ok {
				return true
			}
		}
		return false
	}
	log := ""
	switch path := field("_path", "@stream").(type) {
	case nil, map[string]any, []any:
		switch {
		case has("query") && has("qtype", "qtype_name", "trans_id", "rcode", "rcode_name", "answers"):
			log = "dns"
		case has("conn_state") || has("orig_bytes") && has("resp_bytes"):
			log = "conn"
		case has("established"):
			log = "ssl"
		case has("client_initial_dcid"):
			log = "quic"
		case has("call_id", "seq", "request_from", "request_to", "helo", "mailfrom", "rcptto"):
		case has("trans_depth") && has("request_body_len") && has("response_body_len") || has("host") && has("uri"):
			log = "http"
		case has("server_name", "host_name") && has("id.resp_h", "id_resp_h"):
			log = "ssl"
		}
	default:
		log = slowText(path)
	}
	var d zeek
	us, timeOK := d.time([]byte(slowText(field("ts"))))
	cells := map[columnar.Col]string{
		columnar.SrcIP: slowText(field("id.orig_h", "id_orig_h")),
		columnar.DstIP: slowText(field("id.resp_h", "id_resp_h")),
	}
	count := func(c columnar.Col, v any) {
		text, ok := slowCount(v)
		if !ok {
			text = ""
		}
		if c.Kind() == columnar.Int32 {
			text = slowAtMost(greatestOf(c), text)
		}
		cells[c] = text
	}
	least := func(c columnar.Col, payload, ip any) {
		count(c, payload)
		n, ok1 := scan.Count([]byte(slowText(payload)))
		seen, ok2 := scan.Count([]byte(slowText(ip)))
		wrapped, _ := strconv.ParseFloat(slowText(payload), 64)
		skip = skip || wrapped >= 1<<63 && !math.IsInf(wrapped, 0)
		if ok1 && ok2 && seen >= 0 && seen < n {
			cells[c] = fmt.Sprint(seen)
		}
	}
	code := func(name, number any, named func(int64) string) string {
		text := slowText(name)
		switch {
		case text == "*":
			return named(255)
		case text == "" || text[0] == 'q' || text[0] == 'r' || text[0] == '*':
			digits := slowText(number)
			if text != "" {
				_, digits, _ = strings.Cut(text, "-")
			}
			if n, ok := scan.Int([]byte(digits)); ok {
				return named(n)
			}
		}
		return text
	}
	table := columnar.Network
	switch log {
	case "dns":
		table = columnar.DNS
		switch slowSole(field("query")).(type) {
		case map[string]any, []any:
			return nil, true
		}
		name := strings.TrimSuffix(slowText(field("query")), ".")
		cells[columnar.Query], cells[columnar.Domain] = name, slowDomain(name)
		cells[columnar.QueryType] = code(field("qtype_name"), field("qtype"), scan.QueryTypeName)
		cells[columnar.Rcode] = code(field("rcode_name"), field("rcode"), scan.RcodeName)
		var texts []string
		answers, said := field("answers").([]any)
		if text, ok := field("answers").(string); ok {
			said = true
			for answer := range strings.SplitSeq(text, ",") {
				if text != "" && text != "(empty)" {
					answers = append(answers, answer)
				}
			}
		}
		for _, a := range answers {
			texts = append(texts, strings.ReplaceAll(slowText(a), ",", `\x2c`))
		}
		cells[columnar.Answers] = strings.Join(texts, ",")
		if said || cells[columnar.Rcode] != "" {
			cells[columnar.AnswersLen] = fmt.Sprint(len(answers))
		}
		if timeOK && name == "" {
			return nil, false
		}
	case "http":
		table = columnar.HTTP
		method, uri := slowText(field("method")), slowText(field("uri"))
		host, path := scan.RequestTarget([]byte(method), []byte(uri))
		if len(host) == 0 {
			host = scan.URLHost([]byte(slowText(field("host"))))
		}
		cells[columnar.User], cells[columnar.UserAgent], cells[columnar.Method] = slowText(field("username")), slowText(field("user_agent")), method
		cells[columnar.URLHost], cells[columnar.URLPath] = slowLower(string(host)), string(path)
		count(columnar.StatusCode, field("status_code"))
		count(columnar.BytesOut, field("request_body_len"))
		count(columnar.BytesIn, field("response_body_len"))
		if method == "CONNECT" {
			cells[columnar.BytesOut], cells[columnar.BytesIn] = "", ""
		}
	case "conn":
		least(columnar.BytesOut, field("orig_bytes"), field("orig_ip_bytes"))
		least(columnar.BytesIn, field("resp_bytes"), field("resp_ip_bytes"))
		if text := slowText(field("duration")); text != "" {
			if n, ok := scan.Number([]byte(text), 1e6); ok && n >= 0 && scan.Plausible(us+n) {
				us += n
				cells[columnar.Duration] = fmt.Sprint(n)
			}
		}
		protocol := slowText(field("service"))
		if protocol == "" {
			protocol = slowText(field("proto"))
		}
		cells[columnar.Protocol] = slowLower(protocol)
	case "ssl", "quic":
		cells[columnar.DstHost] = slowLower(strings.TrimSuffix(slowText(field("server_name")), "."))
		cells[columnar.Protocol] = log
	default:
		known := log != ""
		for name, val := range e {
			known = known || zeekLogOfField([]byte(name), []byte(slowText(val))) != ""
		}
		return nil, !known
	}
	if table != columnar.DNS {
		cells[columnar.UID] = slowText(field("uid"))
	}
	if table == columnar.Network {
		count(columnar.DstPort, field("id.resp_p", "id_resp_p"))
	}
	if skip || !timeOK {
		return nil, true
	}
	cells[columnar.Time] = slowTime(us)
	return []slowRow{{table, cells}}, false
}

// zeekJSON returns the lines that the slow decoder can read: JSON in which no two keys
// name the same field.
func zeekJSON(in []byte) []byte {
	var out []byte
	for line := range bytes.Lines(in) {
		for _, pair := range [][2]string{{"id.orig_h", "id_orig_h"}, {"id.resp_h", "id_resp_h"}, {"id.resp_p", "id_resp_p"}, {"_path", "@stream"}} {
			event, _ := mendedReference(bytes.TrimRight(line, "\r\n"))
			e := slowObject(event)
			_, ok1 := e[pair[0]]
			_, ok2 := e[pair[1]]
			_, nested := slowObject(e["id"])[strings.TrimPrefix(pair[0], "id.")]
			if ok1 && ok2 || nested && (ok1 || ok2) {
				line = nil
			}
		}
		if len(line) > 0 && line[0] == '{' {
			out = append(out, line...)
		}
	}
	return out
}

func TestZeekSlow(t *testing.T) {
	checkSlow(t, Zeek, slowZeek, zeekJSON(jsonLinesOf(t, Zeek)))
}

// FuzzZeek compares the decoder of JSON with a simple one that uses encoding/json.
func FuzzZeek(f *testing.F) {
	addLines(f, Zeek)
	f.Fuzz(func(t *testing.T, in []byte) { checkSlow(t, Zeek, slowZeek, zeekJSON(in)) })
}

// FuzzZeekTSV compares the splitting of lines with strings.Split.
func FuzzZeekTSV(f *testing.F) {
	f.Add([]byte("1763596800.5\t10.1.0.7\tWww.Example.com\t1"))
	f.Add([]byte("\t\t\t"))
	f.Add([]byte("1763596800\ta\tb\tc\td\te\tf\tg\th"))
	f.Fuzz(func(t *testing.T, line []byte) {
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 || line[0] == '#' || line[0] == '{' || bytes.ContainsAny(line, "\n\\") {
			return
		}
		const header = "#fields\tts\tid.orig_h\tquery\ttrans_id\n"
		c := logCase{format: Zeek}
		got := c.decode([]Block{{Data: line, Header: []byte(header), First: 1}})
		cells := strings.Split(string(line), "\t")
		var d zeek
		switch _, timeOK := d.time([]byte(cells[0])); {
		case len(cells) != 4 || !timeOK:
			if got.tally.Skipped != 1 {
				t.Fatalf("%q: got %+v, want it skipped", line, got.tally)
			}
		case cells[2] == "-" || strings.TrimSuffix(cells[2], ".") == "" || cells[2] == "(empty)":
			if got.tally.Other != 1 {
				t.Fatalf("%q: got %+v, want other", line, got.tally)
			}
		default:
			want := strings.TrimSuffix(cells[2], ".")
			if got.rows != 1 || got.tables[columnar.DNS.ID].Cells[slices.Index(columnar.DNS.Cols, columnar.Query)][0] != want {
				t.Fatalf("%q: got %+v, want query %q", line, got, want)
			}
		}
	})
}

func TestEpochMicro(t *testing.T) {
	for _, text := range []string{"1767225600.002921", "0000000000.000001", "9999999999.999999", "1767225600.00292x", "1767225600:002921", "-767225600.002921", "1767225600.00292", ""} {
		got, ok := epochMicro([]byte(text))
		want, wantOK := new(scan.Clock).Epoch([]byte(text))
		if ok && wantOK && got != want || !ok && wantOK && len(text) == 17 && text[0] != '-' {
			t.Errorf("epochMicro(%q): got %d, %v, want %d, %v", text, got, ok, want, wantOK)
		}
	}
}

// TestZeekWant checks that the wanted columns do not change which records are rows, other
// or skipped.
func TestZeekWant(t *testing.T) {
	for _, c := range readCases(t) {
		if c.format != Zeek || len(c.in) > 1<<20 {
			continue
		}
		all := c.decode(whole(c.in))
		var some result
		out := some.collect()
		out.Want = columnar.ColSet(columnar.Time)
		if c.events {
			out.WantEvents = columnar.AnyEvent
		}
		d, err := Zeek.New(&c.options)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range whole(c.in) {
			if err := d.Decode(&b, out, &some.tally); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := fmt.Sprint(some.tally), fmt.Sprint(all.tally); got != want {
			t.Errorf("%s: got %s with time alone, want %s", c.file, got, want)
		}
	}
}

// zeekDNSTSV returns n lines of a made-up dns.log, with its header: 1 in 20
// names is one of a tunnel's, the others come from a few thousand hosts.
func zeekDNSTSV(n int) []byte {
	var b bytes.Buffer
	b.WriteString("#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tdns\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\ttrans_id\trtt\tquery\tqclass\tqclass_name\tqtype\tqtype_name\trcode\trcode_name\tAA\tTC\tRD\tRA\tZ\tanswers\tTTLs\trejected\n")
	random := uint64(1)
	for i := range n {
		random = random*6364136223846793005 + 1442695040888963407
		r := int(random >> 33)
		query := fmt.Sprintf("%s%d.example%d.%s", []string{"www", "api", "cdn", "static"}[r%4], r%7, r%5000, []string{"com", "co.uk", "io"}[r%3])
		if r%20 == 0 {
			query = fmt.Sprintf("%016x%016x.%08x.tunnel.example", random, ^random, r)
		}
		fmt.Fprintf(&b, "%d.%06d\tC%013x\t10.0.%d.%d\t%d\t10.0.0.53\t53\tudp\t%d\t0.0234\t%s\t1\tC_INTERNET\t1\tA\t0\tNOERROR\tF\tF\tT\tT\t0\t192.0.2.%d,192.0.2.7\t300.000000,60.000000\tF\n",
			1767225600+i/100, r%1000000, r, r/250%8, r%250, 1024+r%60000, r%65536, query, r%250)
	}
	return b.Bytes()
}

func zeekDNSJSON(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		b.WriteString(zeekDNSLine(i))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func BenchmarkDecodeZeek(b *testing.B) {
	dns := columnar.ColSet(columnar.Time, columnar.SrcIP, columnar.Query, columnar.Domain, columnar.QueryType, columnar.Rcode)
	const rows = 100_000
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"form=tsv", benchLog(b, "OUTFLOW_BENCH_ZEEK", func() []byte { return zeekDNSTSV(rows) })},
		{"form=json", zeekDNSJSON(rows)},
	} {
		b.Run(c.name, func(b *testing.B) { benchDecode(b, Zeek, c.data, dns) })
	}
}

// If this fails, another log in JSON counts as Zeek's, whose records it has none of.
func TestSniffZeekJSON(t *testing.T) {
	for in, want := range map[string]bool{
		`{"ts":1763596807.5,"peer":"10.4.0.1","user":"mira","bytes_out":5}`:                           false,
		`{"ts":"2026-11-20T20:14:06Z","node":"worker-1","message":"started"}`:                         false,
		`{"ts":1763596807.5,"uid":"mira","src_ip":"10.4.0.1","bytes_out":5}`:                          false,
		`{"ts":1763596807.5,"uid":"Christopher","src_ip":"10.4.0.1"}`:                                 false,
		`{"ts":1763596807.5,"peer":"worker-1","mem":120,"pkts_proc":7}`:                               true,
		`{"ts":1763596807.5,"ts_delta":900.0,"peer":"worker-1","gaps":0,"acks":1,"percent_lost":0.0}`: true,
		`{"ts":1763596807.5,"uid":"CHhAvVGS1DHFjwGM9","name":"x"}`:                                    true,
		`{"ts":1763596807.5,"uid":"Ca","id.orig_h":"10.4.0.1"}`:                                       true,
		`{"ts":1763596807.5,"fuid":"Fa","seen_bytes":17}`:                                             true,
		`{"_path":"cluster","ts":1763596807.5,"node":"worker-1","message":"got hello"}`:               true,
	} {
		if got := sniffZeek([]byte(in + "\n")); got != want {
			t.Errorf("%s: got %v, want %v", in, got, want)
		}
	}
}
