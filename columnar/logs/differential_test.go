package logs

// The decoders of CSV, of Zeek's TSV and of Squid read runs of records column by column.
// Here each is compared with a slow reader that takes the same text record by record,
// with the standard library.

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// A slowLog is what a slow reader makes of a log.
type slowLog struct {
	rows    []string // the record's number, then column=value for each known value
	skipped int64
}

func (l *slowLog) row(record int, table *columnar.Table, cells map[columnar.Col]string) {
	var b strings.Builder
	fmt.Fprint(&b, record)
	for _, c := range table.Cols {
		if text := slowCell(c, cells[c]); text != "" {
			fmt.Fprintf(&b, " %v=%q", c, text)
		}
	}
	l.rows = append(l.rows, b.String())
}

// slowCell returns the text of a cell: addresses and names have one notation.
func slowCell(c columnar.Col, text string) string {
	switch c {
	case columnar.SrcIP, columnar.DstIP:
		return string(columnar.AppendAddress(nil, []byte(text)))
	case columnar.User, columnar.Host, columnar.Account:
		return string(columnar.AppendName(nil, []byte(text)))
	}
	return text
}

// slow returns the result in the form of a slowLog.
func (r *result) slow(table *columnar.Table) *slowLog {
	l := &slowLog{skipped: r.tally.Skipped}
	t := &r.tables[table.ID]
	for i, record := range t.Records {
		cells := map[columnar.Col]string{}
		for k, c := range table.Cols {
			cells[c] = t.Cells[k][i]
		}
		l.row(int(record), table, cells)
	}
	return l
}

// checkLog decodes in as one block, and again as many blocks. It compares both results
// with want.
func checkLog(t *testing.T, format *Format, options Options, table *columnar.Table, in []byte, want *slowLog) {
	t.Helper()
	for _, size := range []int{wholeBlock, 1 << 16, 777, 64} {
		if len(in)/size > 200 {
			break // each block has a new decoder
		}
		options.Want, options.Head = ^columnar.Cols(0), in[:min(len(in), headSize)]
		c := &logCase{format: format, options: options}
		r := c.run(in, size)
		if r.err != nil {
			t.Fatalf("blocks of %d bytes: %v in\n%.2000q", size, r.err, in)
		}
		if err := r.check(); err != nil {
			t.Errorf("blocks of %d bytes: %v", size, err)
		}
		got := r.slow(table)
		if diff := cmp.Diff(want.rows, got.rows); diff != "" {
			t.Fatalf("blocks of %d bytes (-want +got):\n%.3000s\nin:\n%.2000q", size, diff, in)
		}
		if got.skipped != want.skipped {
			t.Fatalf("blocks of %d bytes: got %d skipped %v, want %d, in\n%.2000q", size, got.skipped, r.tally.Reasons, want.skipped, in)
		}
	}
}

// pick returns one of a, the first ones more often.
func pick(r *rand.Rand, a ...string) string { return a[r.IntN(1+r.IntN(len(a)))] }

func micros(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999999Z07:00") }

// slowCSV reads CSV of the api table with the columns time, user, src_ip,
// bytes_out, resource, bytes_in in this order.
func slowCSV(in []byte, zone *time.Location) *slowLog {
	l := &slowLog{}
	reader := csv.NewReader(bytes.NewReader(in))
	reader.FieldsPerRecord = -1
	said := func(s string) string {
		switch s {
		case "-", "null", "NULL", "None", "N/A":
			return ""
		}
		return s
	}
	for first := true; ; first = false {
		record, err := reader.Read()
		if err != nil {
			return l
		}
		if first {
			continue
		}
		line, _ := reader.FieldPos(0)
		cells := map[columnar.Col]string{}
		ok := len(record) == 6
		if ok {
			t, err := time.Parse(time.RFC3339Nano, record[0])
			if err != nil {
				t, err = time.ParseInLocation("2006-01-02 15:04:05", record[0], zone)
			}
			ok = err == nil
			cells[columnar.Time] = micros(t)
			cells[columnar.User], cells[columnar.SrcIP], cells[columnar.Resource] = said(record[1]), said(record[2]), said(record[4])
			for c, s := range map[columnar.Col]string{columnar.BytesOut: record[3], columnar.BytesIn: record[5]} {
				if s = said(s); s != "" {
					if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 {
						cells[c] = strconv.FormatInt(n, 10)
					}
				}
			}
		}
		switch {
		case ok:
			l.row(line, columnar.API, cells)
		case len(record) > 1 || record[0] != "": // else the line is blank
			l.skipped++
		}
	}
}

// randomCSV returns a log for slowCSV. odd is the percentage of unusual cells.
func randomCSV(r *rand.Rand, n, odd int) []byte {
	end := pick(r, "\n", "\r\n")
	var b strings.Builder
	b.WriteString("time,user,src_ip,bytes_out,resource,bytes_in" + end)
	for range n {
		cells := []string{
			time.Unix(1.77e9+r.Int64N(1e6), 0).UTC().Format(pick(r, "2006-01-02T15:04:05.000Z", "2006-01-02T15:04:05Z")),
			fmt.Sprintf("user%d@corp.example", r.IntN(50)), fmt.Sprintf("10.0.%d.%d", r.IntN(3), r.IntN(256)),
			strconv.Itoa(r.IntN(1 << r.IntN(30))), fmt.Sprintf("/sites/%d.docx", r.IntN(1e6)), strconv.Itoa(r.IntN(1e6)),
		}
		for i := range cells {
			if r.IntN(100) >= odd {
				continue
			}
			switch i {
			case 0:
				cells[i] = pick(r, "2026-03-01 10:11:12", "2026-03-01T10:11:12+02:00", "2026-03-01T10:11:12.123456789Z", "", "-", "yesterday", "2026-02-30T10:11:12Z")
			case 3, 5:
				cells[i] = pick(r, "", "-", "1234567890123456", "999999999999999999", "-1", "many", "null")
			default:
				cells[i] = pick(r, "", "-", "a, b", "a \"b\" c", "one\ntwo", "\n", ",\n\"", "é", "None", "x", "\"", strings.Repeat("long ", r.IntN(200)))
			}
			if strings.ContainsAny(cells[i], ",\"\n") || r.IntN(2) == 0 {
				cells[i] = `"` + strings.ReplaceAll(cells[i], `"`, `""`) + `"`
			}
		}
		if r.IntN(1000) < odd {
			cells = cells[:1+r.IntN(5)]
		} else if r.IntN(1000) < odd {
			cells = append(cells, "more")
		}
		b.WriteString(strings.Join(cells, ",") + end)
	}
	return []byte(strings.TrimSuffix(b.String(), pick(r, "", end)))
}

// If this fails, rows of CSV are not what encoding/csv reads.
func TestCSVIsAsSlow(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	zone := time.FixedZone("", 3600)
	for i := range 16 {
		in := randomCSV(r, 1+r.IntN(1<<(2+i/2)), []int{0, 1, 10, 50}[i%4])
		checkLog(t, CSV, Options{Zone: zone}, columnar.API, in, slowCSV(in, zone))
	}
}

// slowZeekDNS reads a dns.log in TSV form.
func slowZeekDNS(in []byte) *slowLog {
	l := &slowLog{}
	var fields []string
	escape := regexp.MustCompile(`\\x[0-9a-fA-F]{2}|\\\\`)
	for i, line := range bytes.Split(in, []byte("\n")) {
		text := strings.TrimSuffix(string(line), "\r")
		if names, ok := strings.CutPrefix(text, "#fields\t"); ok {
			fields = strings.Split(names, "\t")
		}
		if text == "" || text[0] == '#' {
			continue
		}
		values := strings.Split(text, "\t")
		if len(values) != len(fields) {
			l.skipped++
			continue
		}
		unescaped := func(text string) string {
			return escape.ReplaceAllStringFunc(text, func(s string) string {
				if s == `\\` {
					return `\`
				}
				c, _ := strconv.ParseUint(s[2:], 16, 8)
				return string([]byte{byte(c)})
			})
		}
		cell := func(name string) string {
			for k := range fields {
				if fields[k] != name {
					continue
				}
				switch values[k] {
				case "-", "(empty)":
					return ""
				}
				return unescaped(values[k])
			}
			return ""
		}
		code := func(name, number string, named func(int64) string) string {
			text := cell(name)
			if n, ok := strings.CutPrefix(text, "query-"); ok {
				text, number = "", n
			} else if number = cell(number); text != "" {
				return text
			}
			if n, err := strconv.ParseInt(number, 10, 64); err == nil {
				text = named(n)
			}
			return text
		}
		whole, fraction, _ := strings.Cut(cell("ts"), ".")
		seconds, err := strconv.ParseInt(whole, 10, 64)
		nano, err2 := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
		if err != nil || err2 != nil || !scan.Plausible(seconds*scan.Second) {
			l.skipped++
			continue
		}
		query := strings.TrimSuffix(cell("query"), ".")
		if query == "" {
			continue
		}
		rcode, answers, said := code("rcode_name", "rcode", scan.RcodeName), "", ""
		for k := range fields {
			if fields[k] == "answers" {
				switch values[k] {
				case "-":
					if rcode != "" {
						answers = "0"
					}
				case "(empty)":
					answers = "0"
				default:
					all := strings.Split(values[k], ",")
					answers = strconv.Itoa(len(all))
					for i := range all {
						all[i] = strings.ReplaceAll(unescaped(all[i]), ",", `\x2c`)
					}
					said = strings.Join(all, ",")
				}
			}
		}
		l.row(i+1, columnar.DNS, map[columnar.Col]string{
			columnar.Time: micros(time.Unix(seconds, nano)), columnar.SrcIP: cell("id.orig_h"), columnar.DstIP: cell("id.resp_h"), columnar.Query: query,
			columnar.Domain:    string(new(columnar.Domains).Asked(columnar.AppendLower(nil, []byte(query)))),
			columnar.QueryType: code("qtype_name", "qtype", scan.QueryTypeName), columnar.Rcode: rcode, columnar.AnswersLen: answers,
			columnar.Answers: said,
		})
	}
	return l
}

func randomZeek(r *rand.Rand, n, odd int) []byte {
	end := pick(r, "\n", "\r\n")
	var b strings.Builder
	header := "#separator \\x09" + end + "#set_separator\t," + end + "#empty_field\t(empty)" + end + "#unset_field\t-" + end + "#path\tdns" + end + "#fields\t"
	last := "answers"
	if r.IntN(2) == 0 {
		last = "rejected"
	}
	header += "ts\tuid\tid.orig_h\tid.resp_h\tquery\tqtype\tqtype_name\trcode\trcode_name\t" + strings.Join([]string{"answers", "rejected"}[:1+len(last)/8], "\t") + end
	b.WriteString(header)
	for range n {
		cells := []string{
			fmt.Sprintf("%d.%06d", 1_770_000_000+r.IntN(1e6), r.IntN(1e6)), "C1", fmt.Sprintf("10.0.0.%d", r.IntN(99)), "10.0.0.53",
			fmt.Sprintf("%s.host%d.%s", pick(r, "www", "a.b", "cdn-1"), r.IntN(300), pick(r, "com", "co.uk", "github.io", "in-addr.arpa")),
			"1", pick(r, "A", "AAAA", "TXT"), "0", "NOERROR", pick(r, "192.0.2.1", "a,b,c"), "F",
		}
		for i := range cells {
			if r.IntN(100) >= odd {
				continue
			}
			switch i {
			case 0:
				cells[i] = pick(r, "1770000000.5", "1770000000", "-", "soon", "1770000000.12345x")
			case 4:
				cells[i] = pick(r, "-", "(empty)", "localhost", "WWW.Example.COM", "x.", ".", "com", "co.uk", `a\x09b.example.com`, `\\.c`, "192.0.2.7", strings.Repeat("l.", r.IntN(100)))
			case 5, 7:
				cells[i] = pick(r, "28", "65535", "3", "-")
			case 6:
				cells[i] = pick(r, "-", "query-65", "HTTPS")
			default:
				cells[i] = pick(r, "-", "(empty)", `\x2d`, "x")
			}
		}
		cells = cells[:10+len(last)/8]
		if r.IntN(1000) < odd {
			cells = append(cells, "more")
		}
		b.WriteString(strings.Join(cells, "\t") + end)
		if r.IntN(2000) < odd {
			b.WriteString(pick(r, "#close\t2026"+end+header, "# a comment"+end, end, "{}"[:0]))
		}
	}
	return []byte(strings.TrimSuffix(b.String(), pick(r, "", end)))
}

// If this fails, rows of Zeek's TSV are not what its lines say.
func TestZeekIsAsSlow(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for i := range 16 {
		in := randomZeek(r, 1+r.IntN(1<<(2+i/2)), []int{0, 1, 10, 50}[i%4])
		checkLog(t, Zeek, Options{}, columnar.DNS, in, slowZeekDNS(in))
	}
}

// slowSquid reads Squid's native format. It cannot read lines with spaces in the URL.
func slowSquid(in []byte) *slowLog {
	l := &slowLog{}
	stamp, upper := regexp.MustCompile(`^\d+\.\d{1,3}$`), regexp.MustCompile(`^[A-Z0-9_-]+$`)
	for i, line := range strings.Split(string(in), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		skip := len(f) != 10 || !stamp.MatchString(f[0])
		var code, status, hierarchy, server string
		if !skip {
			var ok1, ok2 bool
			code, status, ok1 = strings.Cut(f[3], "/")
			hierarchy, server, ok2 = strings.Cut(f[8], "/")
			skip = !ok1 || !ok2 || !upper.MatchString(code) || !upper.MatchString(hierarchy) || status == "" || server == ""
		}
		number := func(s string) string {
			if s == "-" {
				return ""
			}
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil || n < 0 {
				return ""
			}
			return strconv.FormatInt(n, 10)
		}
		if skip {
			l.skipped++
			continue
		}
		cells := map[columnar.Col]string{columnar.Action: code, columnar.StatusCode: number(status), columnar.BytesIn: number(f[4]), columnar.Method: f[5]}
		if cells[columnar.StatusCode] == "0" {
			cells[columnar.StatusCode] = ""
		}
		if len(cells[columnar.StatusCode]) > 3 {
			cells[columnar.StatusCode] = ""
		}
		seconds, ms, _ := strings.Cut(f[0], ".")
		s, _ := strconv.ParseInt(seconds, 10, 64)
		m, _ := strconv.ParseInt(ms, 10, 64)
		cells[columnar.Time] = micros(time.Unix(s, m*1e6))
		ip := regexp.MustCompile(`^[0-9.]+$`)
		if ip.MatchString(f[2]) {
			cells[columnar.SrcIP] = f[2]
		} else {
			cells[columnar.Host] = f[2]
		}
		if f[7] != "-" {
			cells[columnar.User] = regexp.MustCompile(`%20`).ReplaceAllString(f[7], " ")
		}
		if ip.MatchString(server) && hierarchy == "HIER_DIRECT" {
			cells[columnar.DstIP] = server
		}
		slowURL(f[6], cells)
		l.row(i+1, columnar.HTTP, cells)
	}
	return l
}

func slowURL(url string, cells map[columnar.Col]string) {
	if m := regexp.MustCompile(`^https?://([^/?]+)(/[^?]*)?`).FindStringSubmatch(url); m != nil {
		host, _, _ := strings.Cut(m[1], ":")
		cells[columnar.URLHost], cells[columnar.URLPath] = strings.ToLower(host), m[2]
	} else if strings.HasPrefix(url, "/") {
		cells[columnar.URLPath], _, _ = strings.Cut(url, "?")
	} else if host, _, ok := strings.Cut(url, ":"); ok {
		cells[columnar.URLHost] = strings.ToLower(host)
	}
}

// slowSquidCombined reads Squid's combined format.
func slowSquidCombined(in []byte) *slowLog {
	l := &slowLog{}
	quoted := `"((?:[^"\\]|\\.)*)"`
	pattern := regexp.MustCompile(`^ *([^ ]+) +[^ ]+ +([^ ]+) \[ *(.{26})\] " *([^ ]+) +([^ ]+) HTTP/[^"]+" +([^ ]+) +([^ ]+) ` +
		quoted + " " + quoted + ` +([A-Z0-9_-]+): *([A-Z0-9_-]+)$`)
	ip := regexp.MustCompile(`^[0-9.]+$`)
	for i, line := range strings.Split(string(in), "\n") {
		line = strings.TrimRight(line, " \r")
		if line == "" {
			continue
		}
		m := pattern.FindStringSubmatch(line)
		if m == nil || m[4][0] >= '0' && m[4][0] <= '9' {
			l.skipped++
			continue
		}
		number := func(s string) string {
			if s == "-" {
				return ""
			}
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil || n < 0 {
				return ""
			}
			return strconv.FormatInt(n, 10)
		}
		cells := map[columnar.Col]string{columnar.Method: m[4], columnar.StatusCode: number(m[6]), columnar.BytesIn: number(m[7]), columnar.Action: m[10]}
		if cells[columnar.StatusCode] == "0" || len(cells[columnar.StatusCode]) > 3 {
			cells[columnar.StatusCode] = ""
		}
		at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[3])
		if err != nil {
			l.skipped++
			continue
		}
		cells[columnar.Time] = micros(at)
		if ip.MatchString(m[1]) {
			cells[columnar.SrcIP] = m[1]
		} else {
			cells[columnar.Host] = m[1]
		}
		if m[2] != "-" {
			cells[columnar.User] = strings.ReplaceAll(m[2], "%20", " ")
		}
		slowURL(m[5], cells)
		if m[9] != "-" {
			cells[columnar.UserAgent] = regexp.MustCompile(`\\(["\\])`).ReplaceAllString(m[9], "$1")
		}
		l.row(i+1, columnar.HTTP, cells)
	}
	return l
}

func randomSquidCombined(r *rand.Rand, n, odd int) []byte {
	end := pick(r, "\n", "\r\n")
	var b strings.Builder
	for k := range n {
		at := time.Unix(1_770_000_000+r.Int64N(1e6), 0).In(time.FixedZone("", []int{0, 0, 7200, -12600}[r.IntN(4)]))
		agents := []string{"curl/8.5", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Safari/537.36", "x", ""}
		cells := []string{
			fmt.Sprintf("10.0.0.%d", r.IntN(99)), " - ", fmt.Sprintf("user%d", r.IntN(40)), " [" + at.Format("02/Jan/2006:15:04:05 -0700") + `] "`,
			pick(r, "GET", "POST"), " ", fmt.Sprintf("https://www%d.example.com/a/%d?q=%d", r.IntN(50), r.IntN(1e5), r.IntN(9)), ` HTTP/1.1" `,
			"200", " ", strconv.Itoa(r.IntN(1e6)), ` "`, pick(r, "-", "https://example.com/x y"), `" "`, pick(r, agents...), `" `, "TCP_MISS", ":", "HIER_DIRECT", pick(r, "", "", " "),
		}
		for i := range cells {
			if r.IntN(200) >= odd || k < 40 {
				continue
			}
			cells[i] = pick(r, [][]string{
				0: {"client7", " 10.0.0.1", "a b"}, 1: {" guess ", "  -  ", " "}, 2: {"-", "a%20b", "x%2"},
				3: {` [30/Feb/2026:10:11:12 +0000] "`, ` [01/Mar/2026:24:11:12 +0000] "`, ` [01/Mar/2026:10:1x:12 +0000] "`, ` [01/Mar/2026:10:11:12 UTC] "`, ` [01/Mar/2026:10:11:12 +9900] "`, `  [01/Mar/2026:10:11:12 +0000] "`, ` [01/Mar/2026:10:11:12 +0000]  "`},
				4: {"CONNECT", "9", " PUT"}, 5: {"  ", " / "}, 6: {"Host7.Example:443", "http://A.example:8080", "http://a.example?x", "/x", "https://b.example/", `http://c.example/"`},
				7: {` HTTP/1.1 "`, ` HTTP/1.1"  `, ` HTTP/" `, ` http/1.1" `}, 8: {"000", "-", "2000", "x", "-1"}, 9: {"  "}, 10: {"-", "x", "12345678901234567"},
				11: {`  "`, ` ""`}, 12: {"", `a\"b`, `a\`, `\\`, `a"b`, "   "}, 13: {`"  "`, `\" "`, `""`}, 14: {"-", `\"q\" \\`, `"`, `" "`, `x\`, " a ", `" TCP_MISS:HIER_NONE`},
				15: {`"`, `"  `, `\" `}, 16: {"NONE", "tcp", "TCP_MISS_ABORTED", "TCP_REFRESH_MODIFIED"}, 17: {"::", " :", ": ", ""}, 18: {"HIER_NONE", "hier", "A B", "-"}, 19: {"  ", "x"},
			}[i]...)
		}
		b.WriteString(strings.Join(cells, "") + end)
		if r.IntN(1000) < odd {
			b.WriteString(end)
		}
	}
	return []byte(strings.TrimSuffix(b.String(), pick(r, "", end)))
}

func randomSquid(r *rand.Rand, n, odd int) []byte {
	end := pick(r, "\n", "\r\n")
	var b strings.Builder
	for k := range n {
		cells := []string{
			fmt.Sprintf("%d.%03d %6d", 1_770_000_000+r.IntN(1e6), r.IntN(1000), r.IntN(1e5)), fmt.Sprintf("10.0.0.%d", r.IntN(99)), "TCP_MISS/200", strconv.Itoa(r.IntN(1e6)),
			"GET", fmt.Sprintf("https://www%d.example.com/a/%d?q=%d", r.IntN(50), r.IntN(1e5), r.IntN(9)), fmt.Sprintf("user%d", r.IntN(40)),
			fmt.Sprintf("HIER_DIRECT/203.0.113.%d", r.IntN(99)), "text/html",
		}
		for i := range cells {
			if r.IntN(100) >= odd || k < 40 {
				continue
			}
			cells[i] = [][]string{{"1770000000.1 1", "1770000000.1234 1", "x.123 1", "1770000000 1"}, {"client7", "laptop-a"}, {"TCP_DENIED/403", "NONE/000", "TCP_MISS", "tcp/200", "TCP_MISS/-", "TCP_MISS/2000"},
				{"-", "0", "x", "12345678901234567"}, {"CONNECT", "PUT"}, {"Host7.Example:443", "http://A.example:8080", "http://a.example?x", "/x", "https://b.example/"}, {"-", "a%20b", "x%2"},
				{"HIER_NONE/-", "CACHE_PEER/203.0.113.9", "hier/x", "HIER_DIRECT/name"}, {"-", "text/html more"}}[i][r.IntN(2)]
		}
		b.WriteString(strings.Join(cells, pick(r, " ", " ", " ", "  ")) + pick(r, "", "", " ") + end)
		if r.IntN(1000) < odd {
			b.WriteString(end)
		}
	}
	return []byte(strings.TrimSuffix(b.String(), pick(r, "", end)))
}

// If this fails, rows of Squid's native format are not what its lines say.
func TestSquidIsAsSlow(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for i := range 16 {
		in := randomSquid(r, 41+r.IntN(1<<(2+i/2)), []int{0, 1, 10, 50}[i%4])
		checkLog(t, Squid, Options{}, columnar.HTTP, in, slowSquid(in))
	}
}

// If this fails, rows of Squid's combined format are not what its lines say.
func TestSquidCombinedIsAsSlow(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for i := range 24 {
		in := randomSquidCombined(r, 41+r.IntN(1<<(2+i/3)), []int{0, 1, 10, 50}[i%4])
		checkLog(t, Squid, Options{LogFormat: squidCombined}, columnar.HTTP, in, slowSquidCombined(in))
	}
}

// FuzzAsSlow looks for logs that the tests above do not make.
func FuzzAsSlow(f *testing.F) {
	f.Add(uint64(1), uint16(300), uint8(5))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16, odd uint8) {
		r := rand.New(rand.NewPCG(seed, 0))
		rows := 41 + int(n)%1000
		in := randomCSV(r, rows, int(odd)%100)
		checkLog(t, CSV, Options{}, columnar.API, in, slowCSV(in, time.UTC))
		in = randomZeek(r, rows, int(odd)%100)
		checkLog(t, Zeek, Options{}, columnar.DNS, in, slowZeekDNS(in))
		in = randomSquid(r, rows, int(odd)%100)
		checkLog(t, Squid, Options{}, columnar.HTTP, in, slowSquid(in))
		in = randomSquidCombined(r, rows, int(odd)%100)
		checkLog(t, Squid, Options{LogFormat: squidCombined}, columnar.HTTP, in, slowSquidCombined(in))
		in = randomVPC(r, rows, int(odd)%100)
		checkLog(t, VPCFlow, Options{}, columnar.Network, in, slowVPC(in))
	})
}

// Real logs, if there are any.
func TestRealLogsAreAsSlow(t *testing.T) {
	dir := os.Getenv("OUTFLOW_DATA")
	if dir == "" {
		t.Skip("OUTFLOW_DATA names no folder of logs")
	}
	files, err := filepath.Glob(filepath.Join(dir, "zeek-*", "*", "dns.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		in, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(in, []byte("#separator")) {
			t.Log(file)
			checkLog(t, Zeek, Options{}, columnar.DNS, in, slowZeekDNS(in))
		}
	}
}
