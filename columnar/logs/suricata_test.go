package logs

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"outflow/columnar"
	"outflow/columnar/scan"
)

func slowSuricata(e map[string]any) (rows []slowRow, skip bool) {
	var clock scan.Clock
	us, timeOK := clock.ISO([]byte(slowText(e["timestamp"])))
	cells := map[columnar.Col]string{columnar.SrcIP: slowText(e["src_ip"]), columnar.DstIP: slowText(e["dest_ip"]), columnar.UID: slowText(e["flow_id"])}
	kind := slowText(e["event_type"])
	part, isObject := e[kind].(map[string]any)
	count := func(c columnar.Col, v any) {
		if text, ok := slowCount(v); ok {
			cells[c] = text
		}
	}
	host := func(named, method, url any) {
		h, p := scan.RequestTarget([]byte(slowText(method)), []byte(slowText(url)))
		if len(h) == 0 {
			h = scan.URLHost([]byte(slowText(named)))
		}
		cells[columnar.URLHost], cells[columnar.URLPath] = slowLower(string(h)), string(p)
	}
	protocol := slowText(e["proto"])
	table := columnar.Network
	switch kind {
	case "dns":
		if !timeOK || !isObject || slowText(part["type"]) == "" {
			return nil, true
		}
		if t := slowText(part["type"]); t != "query" && t != "request" {
			return nil, false
		}
		queries, ok := part["queries"].([]any)
		if !ok {
			queries = []any{part}
		}
		for _, q := range queries {
			q := slowObject(q)
			skip = skip || !slowIsText(q["rrname"])
			name := strings.TrimSuffix(slowText(q["rrname"]), ".")
			if name == "" {
				continue
			}
			rrtype := slowText(q["rrtype"])
			if n, ok := scan.Int([]byte(rrtype)); ok {
				rrtype = scan.QueryTypeName(n)
			}
			rows = append(rows, slowRow{columnar.DNS, map[columnar.Col]string{
				columnar.Time: slowTime(us), columnar.SrcIP: cells[columnar.SrcIP], columnar.DstIP: cells[columnar.DstIP],
				columnar.Query: name, columnar.Domain: slowDomain(name), columnar.QueryType: rrtype,
			}})
		}
		return rows, skip
	case "http":
		table = columnar.HTTP
		host(part["hostname"], part["http_method"], part["url"])
		cells[columnar.Method], cells[columnar.UserAgent] = slowText(part["http_method"]), slowText(part["http_user_agent"])
		count(columnar.StatusCode, part["status"])
		count(columnar.BytesIn, part["length"])
		cells[columnar.StatusCode] = slowAtMost(999, cells[columnar.StatusCode])
	case "flow":
		count(columnar.BytesOut, part["bytes_toserver"])
		count(columnar.BytesIn, part["bytes_toclient"])
		cells[columnar.Action] = slowText(part["action"])
		if app := slowText(e["app_proto"]); app != "" && app != "failed" && app != "unknown" {
			protocol = app
		}
		state := slowText(part["state"])
		if timeOK && isObject && slowUnknown(part["end"]) && slowUnknown(part["reason"]) && (state == "new" || state == "established") {
			return nil, false
		}
		if end, ok := clock.ISO([]byte(slowText(part["end"]))); ok {
			us = end
			if start, ok := clock.ISO([]byte(slowText(part["start"]))); ok && start <= end {
				cells[columnar.Duration] = fmt.Sprint(end - start)
			}
		}
	case "tls":
		protocol = "tls"
		cells[columnar.DstHost] = slowLower(strings.TrimSuffix(slowText(part["sni"]), "."))
	case "quic":
		if slowUnknown(part["sni"]) {
			return nil, false
		}
		protocol = "quic"
		cells[columnar.DstHost] = slowLower(strings.TrimSuffix(slowText(part["sni"]), "."))
	case "":
		return nil, true
	default:
		return nil, false
	}
	if table == columnar.Network {
		count(columnar.DstPort, e["dest_port"])
		cells[columnar.DstPort] = slowAtMost(65535, cells[columnar.DstPort])
		cells[columnar.Protocol] = slowLower(protocol)
	}
	cells[columnar.Time] = slowTime(us)
	if !timeOK || !isObject {
		return nil, true
	}
	return []slowRow{{table, cells}}, false
}

// slowAtMost returns a count, "" if it is greater than most.
func slowAtMost(most int64, text string) string {
	var n int64
	if json.Unmarshal([]byte(text), &n) == nil && n > most {
		return ""
	}
	return text
}

func slowUnknown(v any) bool { return scan.Unknown([]byte(slowText(v))) }

func TestSuricataSlow(t *testing.T) {
	checkSlow(t, Suricata, slowSuricata, jsonLinesOf(t, Suricata))
}

// FuzzSuricata compares the decoder with a simple one that uses encoding/json.
func FuzzSuricata(f *testing.F) {
	addLines(f, Suricata)
	f.Fuzz(func(t *testing.T, in []byte) { checkSlow(t, Suricata, slowSuricata, in) })
}
