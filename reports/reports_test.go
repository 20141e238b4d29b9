package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"
	"golang.org/x/net/html"

	"outflow/stats/detect"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func write(t *testing.T, f File, r *Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b, r); err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	return b.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run with -update and review it:\n%s", name, cmp.Diff(string(want), string(got)))
	}
}

// If this fails, the page says about a rule's finding what is true of DNS queries,
// or has a link to where data went.
func TestRuleFinding(t *testing.T) {
	f := detect.Finding{
		Key:       detect.Key{Feed: detect.AllFeeds, EntityType: "user", Entity: "ann", Object: "slack_upload: slack.com/api/files.upload"},
		Detection: "sigma_rule", Score: 1, Threshold: 0.5, Observed: 1, Baseline: math.NaN(), Unit: "matches/day",
		Why:     `ann matched the rule "x" 1 time: slack.com/api/files.upload, the first as "curl https://slack.com/api/x"`,
		Summary: detect.Summary{Events: 2, WindowEvents: 2, WindowAt: at(sampleDay, 16, 4)},
	}
	got := briefFinding(&f, nil)
	if want := `ann matched the rule "x" 1 time: slack[.]com/api/files[.]upload, the first as "curl https[:]//slack[.]com/api/x"`; got.Why.Text != want {
		t.Errorf("got %s\nwant %s", got.Why.Text, want)
	}
	if got.Unusual != "" {
		t.Errorf("got %q, want nothing: one match is enough", got.Unusual)
	}
	said := map[string]string{}
	for _, fact := range facts(&f) {
		said[fact.Name] = fact.Value.Text
	}
	for name, want := range map[string]string{"Source": "all feeds", "Observed": "1 match a day", "Fullest window": "2 events", "Busiest 5 min": ""} {
		if said[name] != want {
			t.Errorf("%s: got %q, want %q", name, said[name], want)
		}
	}
}

// What people read is compared for a night of every kind, and for a quiet one; what only
// programs read, for findings of each kind: TestMachines shows it hostile names.
func TestGolden(t *testing.T) {
	for name, report := range map[string]func() *Report{"rich": sampleReport, "quiet": quietReport, "kinds": kindsReport} {
		for _, format := range All {
			for _, f := range format.Files {
				if forMachines(f) != (name == "kinds") {
					continue
				}
				got := write(t, f, report())
				if f.Name != Parquet.Files[0].Name { // the library's next version may write it otherwise
					golden(t, filepath.Join(name, f.Name), got)
				}
				if again := write(t, f, report()); !bytes.Equal(got, again) {
					t.Errorf("%s of the same report differs from one writing to the next", f.Name)
				}
			}
		}
	}
}

// A consumer of findings.csv depends on these names and their order.
func TestFindingColumns(t *testing.T) {
	const want = "finding_uid,day,time,detection,severity,risk_score,technique,entity_type,entity,object," +
		"score,threshold,observed,baseline,unit,events,bytes_out,bytes_in,first_seen,last_seen,why,evidence," +
		"feed,label,allowed,also,person,person_by,places,host,parent_path,pid\n"
	if got := string(write(t, CSV.Files[0], &Report{})); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCSVCells(t *testing.T) {
	for _, f := range CSV.Files {
		b := write(t, f, sampleReport())
		if bytes.ContainsRune(b, '\r') {
			t.Errorf("%s holds a carriage return", f.Name)
		}
		records, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		for _, record := range records {
			for _, c := range record {
				if strings.IndexFunc(c, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
					t.Errorf("%s: cell %q holds what is not printable", f.Name, c)
				}
				if c == "" || !strings.ContainsRune("=+-@＝＋－＠", []rune(c)[0]) {
					continue
				}
				if _, err := strconv.ParseFloat(c, 64); err != nil || c[0] == '+' {
					t.Errorf("%s: cell %q is a formula", f.Name, c)
				}
			}
		}
	}
	for in, want := range map[string]string{
		"=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": `'\tx`, "\rx": `'\rx`, "\x00x": `'\x00x`,
		"＝1": "'＝1", "＋1": "'＋1", "－1": "'－1", "＠x": "'＠x",
		"": "", "a=1": "a=1", `CORP\bob`: `CORP\bob`, "a\xff": "a\uFFFD", "a\u202eb": `a\u202eb`, "石川": "石川", "nb\u00a0sp": `nb\u00a0sp`,
	} {
		if got := text(in); got != want {
			t.Errorf("text(%q): got %q, want %q", in, got, want)
		}
	}
	for in, want := range map[float64]string{
		0: "0", -3: "-3", 4509715660: "4509715660", 0.1: "0.1", 1.0 / 3: "0.3333333333333333", 1e-9: "1e-09", 2e22: "2e+22",
		math.Inf(1): "Inf", math.Inf(-1): "-Inf",
	} {
		if got := string(appendFloat(nil, in)); got != want {
			t.Errorf("float(%g): got %s, want %s", in, got, want)
		}
	}
	if got := string(appendFloat(nil, math.NaN())); got != "" {
		t.Errorf("float(NaN): got %q, want no cell", got)
	}
	if got, want := string(appendTime(nil, 1_795_132_800_250_000)), "2026-11-20T00:00:00.25Z"; got != want {
		t.Errorf("timestamp: got %s, want %s", got, want)
	}
	rnd := rand.New(rand.NewPCG(5, 5))
	for range 10_000 {
		us := rnd.Int64N(1<<58) - 1<<57
		us >>= rnd.IntN(58)
		us -= us % [...]int64{1, 1000, 1e6, 86400e6}[rnd.IntN(4)]
		at := time.UnixMicro(us).UTC()
		if got, want := string(appendTime(nil, us)), at.Format(time.RFC3339Nano); got != want {
			t.Fatalf("timestamp of %d: got %s, want %s", us, got, want)
		}
		if got, want := string(appendDay(nil, detect.DayOf(us))), at.Format(time.DateOnly); got != want {
			t.Fatalf("day of %d: got %s, want %s", us, got, want)
		}
	}
	if got, want := string(appendList(nil, []string{"a;b", "=c"})), `a\x3bb;'=c`; got != want {
		t.Errorf("list: got %s, want %s", got, want)
	}
}

type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// A full disk must not leave half a report that looks complete.
func TestWriteError(t *testing.T) {
	for _, format := range All {
		for _, f := range format.Files {
			if err := f.Write(&failing{left: 100}, sampleReport()); err == nil {
				t.Errorf("%s: a failing writer is no error", f.Name)
			}
		}
	}
	if err := Summary(&failing{}, sampleReport(), Terminal{Width: 80}); err == nil {
		t.Error("summary: a failing writer is no error")
	}
}

// pageReports are the reports whose pages are checked as HTML.
var pageReports = map[string]func() *Report{
	"rich":  sampleReport,
	"quiet": quietReport,
	"empty": func() *Report { return &Report{} },
	"many":  func() *Report { return manyReport(5000) },
	"worst": worstReport,
	"crowd": func() *Report { return crowdReport(15_000) },
}

func TestPage(t *testing.T) {
	for name, report := range pageReports {
		t.Run(name, func(t *testing.T) {
			b := write(t, HTML.Files[0], report())
			if len(b) > maxPage {
				t.Errorf("the page has %d bytes, want at most %d", len(b), maxPage)
			}
			root, err := html.Parse(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			checkPage(t, root)
		})
	}
}

// checkPage checks that the page keeps to its policy: no resource except itself, no
// inline handler or style, and no element that only a log could have made.
func checkPage(t *testing.T, root *html.Node) {
	elements := []string{
		"html", "head", "meta", "title", "style", "body", "script", "header", "main", "section", "article", "nav",
		"h1", "h2", "h3", "h4", "p", "ul", "ol", "li", "dl", "dt", "dd", "div", "span", "strong", "bdi", "code", "pre", "br",
		"a", "table", "input", "select", "option", "label", "thead", "tbody", "tr", "th", "td", "details", "summary", "figure", "figcaption",
		"svg", "symbol", "use", "path", "rect", "circle", "text", "desc",
	}
	ids := map[string]int{}
	var links []string
	var policy, style, script string
	for n := range root.Descendants() {
		switch n.Type {
		case html.TextNode:
			if n.Parent.Data == "style" || n.Parent.Data == "script" {
				continue
			}
			if i := strings.IndexFunc(n.Data, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("text %.80q holds what is not printable", n.Data[i:])
			}
			continue
		case html.CommentNode:
			t.Errorf("comment %.80q", n.Data)
		case html.ElementNode:
		default:
			continue
		}
		if !slices.Contains(elements, n.Data) {
			t.Errorf("element <%s>", n.Data)
		}
		for _, a := range n.Attr {
			switch key := strings.ToLower(a.Key); {
			case key == "href":
				if !strings.HasPrefix(a.Val, "#") {
					t.Errorf("<%s href=%q> leaves the page", n.Data, a.Val)
				}
				links = append(links, strings.TrimPrefix(a.Val, "#"))
			case key == "aria-labelledby":
				links = append(links, strings.Fields(a.Val)...)
			case key == "id":
				ids[a.Val]++
			case slices.Contains([]string{"src", "srcset", "action", "data", "poster", "ping", "background", "formaction"}, key):
				t.Errorf("<%s %s=%q> may load something", n.Data, key, a.Val)
			case strings.HasPrefix(key, "on"), key == "style", key == "nonce":
				t.Errorf("<%s %s=%q> is against the page's policy", n.Data, key, a.Val)
			case key == "content" && strings.Contains(a.Val, "default-src"):
				policy = a.Val
			}
		}
		switch n.Data {
		case "style":
			style = n.FirstChild.Data
		case "script":
			script = n.FirstChild.Data
		case "svg":
			role, hidden := attr(n, "role"), attr(n, "aria-hidden")
			if role != "img" && hidden != "true" {
				t.Error("an svg is neither an image with a name nor hidden from screen readers")
			}
			if role == "img" && (n.FirstChild == nil || !strings.Contains(content(n), "<title>")) {
				t.Error("an svg image has no title")
			}
		}
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("id %q stands %d times", id, n)
		}
	}
	for _, link := range links {
		if ids[link] == 0 {
			t.Errorf("#%s leads nowhere", link)
		}
	}
	want := fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; base-uri 'none'; form-action 'none'", digest(style), digest(script))
	if policy != want {
		t.Errorf("policy: got %s, want that of the page's own style and script, %s", policy, want)
	}
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// content lists the child elements of a node.
func content(n *html.Node) string {
	var b strings.Builder
	for c := range n.ChildNodes() {
		if c.Type == html.ElementNode {
			b.WriteString("<" + c.Data + ">")
		}
	}
	return b.String()
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Every finding must be on the page or be counted as left out.
func TestPageCounts(t *testing.T) {
	for _, n := range []int{0, 1, MaxFull, MaxFull + 1, MaxFull + maxBrief + 1, 5000} {
		for name, r := range map[string]*Report{"few names": manyReport(n), "many names": crowdReport(n)} {
			g, err := newGist(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, full := range []int{MaxFull, 3, 0} {
				p := newPage(r, g, full)
				on := 0
				for _, c := range p.Cards {
					on += len(c.Steps) + c.StepsLeft
				}
				if got := on + len(p.Accepted) + p.Left; got != n {
					t.Errorf("%d findings, %s: %d on cards, %d accepted, %d left out", n, name, on, len(p.Accepted), p.Left)
				}
			}
		}
	}
}

func TestVerdict(t *testing.T) {
	allowed := quietReport()
	allowed.Findings = []detect.Finding{{Allowed: "agreed"}}
	incomplete := quietReport()
	incomplete.Inputs = append(incomplete.Inputs, Input{Name: "x", Status: Unknown})
	blind, outside := quietReport(), quietReport()
	blind.Judged, outside.Judged = nil, nil
	for i := range outside.Inputs {
		outside.Inputs[i].Outside = outside.Inputs[i].Rows
	}
	const scope = "dnsmasq (dns), squid (http) and zeek (dns, network) by dns_information, upload_ratio and upload_zscore."
	for want, r := range map[string]*Report{
		"Nothing unusual was found in " + scope:                                                        quietReport(),
		"Nothing unusual was found in what was read: " + scope:                                         incomplete,
		"Nothing unusual but what is on the allow list in " + scope:                                    allowed,
		"Nothing could be judged: no log was found.":                                                   {Days: []detect.Day{sampleDay}},
		"Nothing could be judged: no log of this period had a row to read.":                            {Days: []detect.Day{sampleDay}, Inputs: []Input{{Name: "x"}}},
		"Nothing could be judged: no row is of this period.":                                           outside,
		"Nothing could be judged: no detection finds all that it needs in what was read.":              blind,
		"17 findings: 1 to look at now, 1 today, 2 this week, 7 when there is time and 6 for context.": sampleReport(),
	} {
		if got := verdict(r); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

var ansi = regexp.MustCompile("\x1b\\[[0-9;]*m")

// If this fails, logs that were not read look like logs without anything unusual,
// or pictures and empty files look like logs that were not read.
func TestIncomplete(t *testing.T) {
	in := func(name string, s Status, rows int64) Input { return Input{Name: name, Status: s, Rows: rows} }
	for _, c := range []struct {
		inputs []Input
		want   string
	}{
		{nil, ""},
		{[]Input{in("a", Read, 5), in("b", Empty, 0), in("c", NoLog, 0)}, ""},
		{[]Input{in("a", Unknown, 0)}, "INCOMPLETE: 1 of 1 object was not read (1 of unrecognised format)."},
		{[]Input{in("a", Read, 5), in("b", Empty, 0), in("c", NoLog, 0), in("d", Unknown, 0), in("e", Unknown, 0), in("f", Unreadable, 0)},
			"INCOMPLETE: 3 of 5 objects were not read (2 of unrecognised format, 1 unreadable)."},
		{[]Input{in("a", Damaged, 5), in("a", Damaged, 9), in("b", Read, 1)}, "INCOMPLETE: 1 of 2 objects was not fully read (1 damaged)."},
		{[]Input{in("a", Malformed, 5), in("b", Unnamed, 0)},
			"INCOMPLETE: 2 of 2 objects were not fully read (1 mostly malformed, 1 without a known record type)."},
		// One feed reads an object that another cannot: for the other one, it still
		// counts as not read.
		{[]Input{in("a", Read, 5), in("a", Unknown, 0)}, "INCOMPLETE: 1 of 1 object was not fully read (1 of unrecognised format)."},
	} {
		if got := Incomplete(c.inputs); got != c.want {
			t.Errorf("%+v:\ngot  %s\nwant %s", c.inputs, got, c.want)
		}
	}
	r := sampleReport()
	headline := Incomplete(r.Inputs)
	var b bytes.Buffer
	if err := Summary(&b, r, Terminal{}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.String(), headline+"\n") {
		t.Errorf("the summary does not begin with %q:\n%.300s", headline, &b)
	}
	if _, page, _ := strings.Cut(string(write(t, HTML.Files[0], r)), "</h1>"); strings.Index(page, headline) > strings.Index(page, `class="verdict`) || !strings.Contains(page, headline) {
		t.Error("the page does not say before the verdict that it is incomplete")
	}
	records, err := csv.NewReader(bytes.NewReader(write(t, CSV.Files[3], r))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	status := slices.Index(records[0], "status")
	read := slices.IndexFunc(records, func(r []string) bool { return r[status] == "read" })
	for i, record := range records[1:] {
		if good := slices.Contains([]string{"read", "empty", "no_log"}, record[status]); good != (i+1 >= read) && record[status] != "no_log" {
			t.Errorf("inputs.csv, line %d: status %s does not stand before the objects that were read", i+2, record[status])
		}
	}
}

func TestSummary(t *testing.T) {
	for name, r := range map[string]*Report{"rich": sampleReport(), "quiet": quietReport(), "empty": {}, "many": manyReport(300)} {
		for _, width := range []int{0, 1, 39, 40, 54, 55, 80, 120, 200} {
			for _, colour := range []bool{false, true} {
				var b bytes.Buffer
				if err := Summary(&b, r, Terminal{Width: width, Colour: colour}); err != nil {
					t.Fatal(err)
				}
				got := b.String()
				if colour {
					got = ansi.ReplaceAllString(got, "")
				}
				if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
					t.Errorf("%s, width %d: %.40q is not printable", name, width, got[i:])
				}
				for line := range strings.Lines(got) {
					line = strings.TrimSuffix(line, "\n")
					if n := uniseg.StringWidth(line); width > 0 && n > max(width, 40) {
						t.Errorf("%s: a line has %d cells, want at most %d: %s", name, n, max(width, 40), line)
					}
				}
				if name != "many" && !colour && (width == 54 || width == 120) {
					golden(t, fmt.Sprintf("%s/summary%d.txt", name, width), b.Bytes())
				}
			}
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{byteSize(0), "0 B"}, {byteSize(999), "999 B"}, {byteSize(1000), "1 kB"}, {byteSize(4.187e9), "4.2 GB"},
		{byteSize(9.96e6), "10 MB"}, {byteSize(999_499), "999 kB"}, {byteSize(999_500), "1 MB"}, {byteSize(3e21), "3000 EB"},
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(-1234567), "-1,234,567"},
		{shortCount(99_999), "99,999"}, {shortCount(12_400_000), "12 M"},
		{number(11.4375), "11.44"}, {number(3.5), "3.5"}, {number(120), "120"}, {number(-0.5), "−0.5"}, {number(math.NaN()), "–"}, {number(99.9), "100"},
		{quantity(4.187e9, "B/day"), "4.2 GB a day"}, {quantity(1203, "queries/5min"), "1,203 queries in 5 min"},
		{quantity(4.4375, "bits/char"), "4.44 bits/char"}, {quantity(34.8, ""), "34.8"}, {quantity(math.NaN(), "B/day"), "–"}, {quantity(math.Inf(1), "B/day"), "∞ B a day"},
		{percent(0, 0), "–"}, {percent(0, 5), "0 %"}, {percent(5, 5), "100 %"}, {percent(1, 100_000), "< 0.1 %"}, {percent(99_999, 100_000), "> 99.9 %"}, {percent(1, 3), "33.3 %"},
		{times(4.187e9, 31e6), "135 ×"}, {times(3, 2), "1.5 ×"}, {times(1, 2), ""}, {times(1, 0), ""}, {times(1, math.NaN()), ""},
		{hours(0), ""}, {hours(1 << 23), "23"}, {hours(0b1110_0010), "01, 05–07"}, {hours(1<<24 - 1), "00–23"},
		{span(at(sampleDay, 0, 0), at(sampleDay+1, 0, 0)), "2026-11-20"},
		{span(at(sampleDay, 2, 5), at(sampleDay, 2, 10)), "2026-11-20 02:05–02:10"},
		{span(at(sampleDay, 2, 5), at(sampleDay, 2, 5)+59e6), "2026-11-20 02:05"},
		{span(at(sampleDay, 23, 0), at(sampleDay+1, 1, 0)), "2026-11-20 23:00 – 2026-11-21 01:00"},
		{(&Report{}).period(), "no day"}, {(&Report{Days: []detect.Day{sampleDay}}).period(), "Friday 20 November 2026"},
		{(&Report{Days: []detect.Day{sampleDay, sampleDay + 1}}).period(), "20 to 21 November 2026"},
		{(&Report{Days: []detect.Day{sampleDay, sampleDay + 20}}).period(), "20 November to 10 December 2026"},
		{(&Report{Days: []detect.Day{sampleDay, sampleDay + 60}}).period(), "20 November 2026 to 19 January 2027"},
		{(&Report{Days: []detect.Day{sampleDay}, Window: [2]int64{at(sampleDay, 2, 5), at(sampleDay, 3, 5)}}).period(), "2026-11-20 02:05–03:05 UTC"},
		{defang("https://evil.example/x"), "https[:]//evil[.]example/x"},
		{defang(`rclone: C:\Temp\svchost.exe`), `rclone: C:\Temp\svchost.exe`},
		{listed(nil), ""}, {listed([]string{"a"}), "a"}, {listed([]string{"a", "b", "c"}), "a, b and c"},
		{snake("MinBytes"), "min_bytes"}, {snake("Z"), "z"}, {snake("URLHost"), "url_host"}, {snake("MinDNSNames"), "min_dns_names"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestInvestigate(t *testing.T) {
	for doc, want := range map[string][]string{
		"":                   {},
		"Sees.\n\nLast one.": {"Last one."},
		"Sees.\n\nTo investigate:\n- one\n  more\n- two\n\nLater.": {"To investigate:", "• one more", "• two", "Later."},
	} {
		if diff := cmp.Diff(want, append([]string{}, investigate(doc)...)); diff != "" {
			t.Errorf("%q: %s", doc, diff)
		}
	}
}

func TestAllowEntry(t *testing.T) {
	f := dnsFinding("fd00::17", `a": "b`, detect.High)
	const rest = "cidr: \"fd00::17/128\"\n  domain: \"a\\\": \\\"b\"\n" +
		"  reason: \"\"  # required: why this is expected, and who agreed\n  expires: 2027-02-18\n"
	if got, want := AllowEntry(&f, f.Day+AllowDays), "- "+rest; got != want { // an entry for one detection would not suppress the finding of the others
		t.Errorf("of several detections: got %s, want %s", got, want)
	}
	f.Also = nil
	if got, want := AllowEntry(&f, f.Day+AllowDays), "- detection: dns_information\n  "+rest; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	f.Entity = hostile[6]
	if got := AllowEntry(&f, f.Day+AllowDays); !strings.HasPrefix(got, "- fingerprint: \"77aa01c2d3e4f506\"\n") || len(got) > 200 {
		t.Errorf("a name of 10 kB: got %s, want an entry by fingerprint", got)
	}
}

// The ratios are those of WCAG 2.2: text needs 4.5, graphics need 3.
func TestContrast(t *testing.T) {
	schemes := strings.SplitN(pageStyle, "prefers-color-scheme: dark", 2)
	screen, _, _ := strings.Cut(schemes[1], "@media print")
	_, print, _ := strings.Cut(schemes[1], "@media print")
	for name, css := range map[string]string{"light": schemes[0], "dark": screen, "print": print} {
		colours := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{3,6});`).FindAllStringSubmatch(css, -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		check := func(front, back string, want float64) {
			a, b := colours[front], colours[back]
			if got := (max(a, b) + .05) / (min(a, b) + .05); got < want {
				t.Errorf("%s: %s on %s: got a contrast of %.2f, want %.1f", name, front, back, got, want)
			}
		}
		for _, c := range []string{"text", "quiet", "link", "critical", "high", "medium", "low", "info", "judged"} {
			check(c, "page", 4.5)
		}
		check("text", "soft", 4.5)
		check("alert-text", "alert", 4.5)
		check("mid", "page", 3)
		check("mid", "band", 3)
	}
}

func luminance(t *testing.T, hex string) float64 {
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	channel := func(shift int) float64 {
		c := float64(n>>shift&255) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return .2126*channel(16) + .7152*channel(8) + .0722*channel(0)
}

// If this fails, a detection's doc is one long paragraph, and all of it is shown as
// advice on how to investigate.
func TestQuestions(t *testing.T) {
	const doc = "Queries of a source.\n\nWhat it sees: many\nof them.\nWhy that means exfiltration: data\nmust go somewhere.\nHow to investigate: the names;\nwho asks.\n"
	want := []string{"Queries of a source.", "What it sees: many of them.", "Why that means exfiltration: data must go somewhere.", "How to investigate: the names; who asks."}
	if got := Paragraphs(doc); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	want = []string{"the names; who asks."} // without what the page has as a title
	if got := investigate(doc); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The top rows are the first rows of a stable sort, whatever their number.
func TestTop(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		got := top[[2]int64]{size: 5, by: func(v *[2]int64) int64 { return v[0] }}
		var want [][2]int64
		for i := range r.Int64N(40) {
			v := [2]int64{r.Int64N(8), i}
			want = append(want, v)
			if got.takes(&v) {
				got.add(v)
			}
		}
		slices.SortStableFunc(want, func(a, b [2]int64) int { return int(b[0] - a[0]) })
		if want := want[:min(len(want), 5)]; !slices.Equal(got.rows, want) {
			t.Fatalf("got %v, want %v", got.rows, want)
		}
	}
}

// A table that cannot be read to its end must not be taken for a complete one.
func TestBrokenTables(t *testing.T) {
	broken := errors.New("the partition is damaged")
	for _, f := range []File{CSV.Files[1], CSV.Files[2], CSV.Files[5], CSV.Files[6], HTML.Files[0]} {
		r := quietReport()
		r.UserDays = func(yield func(*UserDay, error) bool) { yield(nil, broken) }
		r.Domains = func(yield func(*detect.Row, error) bool) { yield(nil, broken) }
		r.Destinations, r.Matches = r.Domains, r.Domains
		if err := f.Write(io.Discard, r); !errors.Is(err, broken) {
			t.Errorf("%s: got error %v, want %v", f.Name, err, broken)
		}
	}
}

// Cells must be quoted as a CSV reader expects, whatever they hold.
func TestQuoting(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	parts := []string{"a", "-", "@", ".", " ", ",", "\"", "\\", "\\.", "=", "é", "\t", "\r\n", "\n", "\xff", "\u2028", "\u00a0", ";", "\x00"}
	for range 20_000 {
		s := ""
		for range r.IntN(4) {
			s += parts[r.IntN(len(parts))]
		}
		var want bytes.Buffer
		w := csv.NewWriter(&want)
		w.Write([]string{text(s), "x"})
		w.Flush()
		if got := string(appendText(nil, s)) + ",x\n"; got != want.String() {
			t.Fatalf("%q: got %s, want %s", s, got, want.String())
		}
	}
}

// If this fails, readers of findings.csv find a column that the manual does not explain.
func TestManualHasTheColumns(t *testing.T) {
	text, err := os.ReadFile("../docs/reports.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## findings.csv")
	table, _, _ = strings.Cut(table, "\n## ")
	named := map[string]bool{}
	for row := range strings.Lines(table) {
		if cells := strings.Split(row, "|"); len(cells) > 2 {
			for name := range strings.SplitSeq(cells[1], ",") {
				named[strings.TrimSpace(name)] = true
			}
		}
	}
	for _, c := range findingColumns {
		if !named[c.name] {
			t.Errorf("docs/reports.md does not explain %s", c.name)
		}
	}
}
