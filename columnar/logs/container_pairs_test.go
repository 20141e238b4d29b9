package logs

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"outflow/columnar/scan"
)

// The slow readers of pairs are regular expressions, a line at a time. Each returns what a
// line says under each name in lower case, nil if the line is no record. The first value
// of a name counts.

type slowPairs map[string]string

func (p slowPairs) add(name, value string) {
	if name = strings.ToLower(name); name != "" {
		if _, ok := p[name]; !ok {
			p[name] = value
		}
	}
}

// slowKeyvalue reads pairs with sep between them, and the sign assign in them.
func slowKeyvalue(sep, assign byte) func(line string) slowPairs {
	not := "[^" + regexp.QuoteMeta(string(sep)) + "]"
	blanks := ""
	if assign != '=' {
		blanks = " *"
	}
	pair := regexp.MustCompile(`(?s)([^` + string(assign) + ` ` + regexp.QuoteMeta(string(sep)) + `]*)` + string(assign) + blanks + `(?:"((?:\\.|[^"\\]|\\$)*)(?:"|$)|(` + not + `*))`)
	escape := regexp.MustCompile(`\\(["\\])`)
	return func(line string) slowPairs {
		pairs := slowPairs{}
		all := pair.FindAllStringSubmatchIndex(line, -1)
		for i, at := range all {
			if words := strings.Trim(line[:at[0]], " \t"+string(sep)); i == 0 && words != "" {
				pairs.add(beforePairs, words)
			}
			value := ""
			if at[4] >= 0 {
				value = escape.ReplaceAllString(line[at[4]:at[5]], "$1")
			} else {
				value = line[at[6]:at[7]]
			}
			pairs.add(line[at[2]:at[3]], value)
		}
		if len(all) == 0 {
			return nil
		}
		return pairs
	}
}

// slowPatterns reads the lines of words of the test below, and pairs.
func slowPatterns(line string) slowPairs {
	pairs := slowKeyvalue(' ', '=')
	if m := regexp.MustCompile(`^(?s)Built (.*?) for (.*?):.*? to (.*)$`).FindStringSubmatch(line); m != nil {
		return slowPairs{"a": m[1], "bc": m[2], "d.e": m[3]}
	}
	if m := regexp.MustCompile(`^(?s).*?-2: (.*?)/ (.*)$`).FindStringSubmatch(line); m != nil {
		all := slowPairs{"a": m[1]}
		for name, value := range pairs(m[2]) {
			all.add(name, value)
		}
		return all
	}
	if m := regexp.MustCompile(`^(?s)end (.*?) now`).FindStringSubmatch(line); m != nil {
		return slowPairs{"a": m[1]}
	}
	return pairs(line)
}

// slowHead cuts a head of n fields off, and returns what is behind it.
func slowHead(mark string, n int, line string) (fields []string, rest string, ok bool) {
	_, line, ok = strings.Cut(line, mark)
	head := regexp.MustCompile(`^(?s)(?:(?:\\.|[^|\\])*\|){` + strconv.Itoa(n) + `}`).FindString(line)
	if !ok || head == "" {
		return nil, "", false
	}
	for _, f := range regexp.MustCompile(`(?s)((?:\\.|[^|\\])*)\|`).FindAllStringSubmatch(head, -1) {
		fields = append(fields, f[1])
	}
	return fields, line[len(head):], true
}

func slowBare(text string) string { return string(bare([]byte(text))) }

func slowCEF(line string) slowPairs {
	escape := regexp.MustCompile(`(?s)\\(.)`)
	plain := func(text string) string {
		return escape.ReplaceAllStringFunc(slowBare(text), func(e string) string {
			switch e {
			case `\\`, `\=`, `\|`:
				return e[1:]
			}
			return e
		})
	}
	head, rest, ok := slowHead("CEF:", 1+len(cefHead), line)
	if !ok {
		return nil
	}
	pairs := slowPairs{}
	for i, name := range cefHead {
		pairs.add(name, plain(head[1+i]))
	}
	keys := regexp.MustCompile(`(?:^| )([A-Za-z0-9_.\-\[\]]+)=`).FindAllStringSubmatchIndex(rest, -1)
	for i, at := range keys {
		end := len(rest)
		if i+1 < len(keys) {
			end = keys[i+1][2]
		}
		pairs.add(rest[at[2]:at[3]], plain(strings.TrimRight(rest[at[1]:end], " ")))
	}
	return pairs
}

func slowLEEF(line string) slowPairs {
	head, rest, ok := slowHead("LEEF:", 1+len(leefHead), line)
	if !ok {
		return nil
	}
	pairs := slowPairs{}
	for i, name := range leefHead {
		pairs.add(name, slowBare(head[1+i]))
	}
	sep := "\t"
	if at := regexp.MustCompile(`^(?s)((?:\\.|[^|\\=]){0,4})\|`).FindStringSubmatchIndex(rest); strings.HasPrefix(head[0], "2") && at != nil && at[3] <= 4 {
		field := rest[:at[3]]
		rest = rest[at[1]:]
		if hex := regexp.MustCompile(`^0?x?([0-9a-fA-F]{2})$`).FindStringSubmatch(field); hex != nil {
			n, _ := strconv.ParseUint(hex[1], 16, 8)
			sep = string([]byte{byte(n)})
		} else if field != "" {
			sep = field[:1]
		}
	}
	for pair := range strings.SplitSeq(rest, sep) {
		if key, value, ok := strings.Cut(pair, "="); ok && key != "" {
			pairs.add(strings.TrimSpace(key), slowBare(value))
		}
	}
	return pairs
}

// pairContainers are the containers of pairs, each with its slow reader, the names that
// are compared and lines that show its rules.
var pairContainers = []struct {
	source Source
	names  []string
	slow   func(line string) slowPairs
	lines  []string
}{
	{Source{Container: "keyvalue"}, []string{beforePairs, "a", "Bc", "d.e"}, slowKeyvalue(' ', '='), []string{
		"a=1 Bc=2 d.e=3", "word a=1", "one two  a=1 three Bc=2", `a="x y" bc="" d.e="z`, `a="q\"r\\" BC=\n`, "=1 =2", "a==b", "a=1=2 a=3", `a="x"y bc=1`, `a="x\`,
		"no pair", "A=1 a=2", " a= bc= ", "a=1,bc=2", "\ta=1\tbc=2",
	}},
	{Source{Container: "keyvalue", Separator: ","}, []string{beforePairs, "a", "Bc", "d.e"}, slowKeyvalue(',', '='), []string{
		"a=1,Bc=2,d.e=3", "word,a=1", `a=x y, bc="1,2",d.e=`, `<13>host a=1,,bc=2`, ",,", `a="x",y,bc=1`,
	}},
	{Source{Container: "keyvalue", Separator: ";", Assign: ":"}, []string{beforePairs, "a", "Bc", "d.e"}, slowKeyvalue(';', ':'), []string{
		`- a:"1"; Bc:"x; y"; d.e:"q\"r"`, "%X-1-2: a: 1; long Bc: x y; d.e: z:w", "a::1;Bc:", `a:  "x`, "no pair", "a=1;Bc=2",
	}},
	{Source{Container: "keyvalue", Patterns: []string{"Built %{a} for %{Bc}:%{} to %{d.e}", "%{}-2: %{a}/ %{=}", "end %{a} now"}}, []string{beforePairs, "a", "Bc", "d.e"}, slowPatterns, []string{
		"Built x y for z:1 to w v", "Built x for y", "%X-1-2: q/ Bc=2 d.e=3 a=4", "-2: / words", "end  now then a=1", "end a=1", "Built  for : to ", "a=1 Bc=2",
	}},
	{Source{Container: "cef"}, []string{"name", "severity", "src", "cs1"}, slowCEF, []string{
		"CEF:0|v|p|1|id|n|5|src=1.2.3.4 cs1=two words", `x CEF:0|v|p|1|id|a \| b|5|cs1=a\=b\\ src=\n`, "CEF:0|v|p|1|id|n|", "CEF:0|v|p", "no head", `CEF:0|v|p|1|id|n|5|src="q" SRC=2 cs1=`,
		`CEF:0|v|p|1|id|n|5|src=a=b cs1=x [=] cs1=y  `, `CEF:0|v|p|1|id|n|5|src=CORP\mira cs1=\\srv\d\`, `CEF:0|v|p|1|id|n|5|junk src=1`,
	}},
	{Source{Container: "leef"}, []string{"id", "product", "src", "usrName"}, slowLEEF, []string{
		"LEEF:1.0|v|p|1|id|src=1\tusrName=a b", "LEEF:2.0|v|p|1|id|^|src=1^usrName=x", "LEEF:2.0|v|p|1|id|0x7C|src=1|usrName=x", "LEEF:2.0|v|p|1|id|x09|src=1\tusrName=x",
		"LEEF:2.0|v|p|1|id|src=1|2\tusrName=x", "LEEF:2.0|v|p|1|id||src=1", "LEEF:1.0|v", " src = 1\tLEEF:1.0|v|p|1|id| src =\"1\"\t=2\tsrc=3",
	}},
}

// checkPairs compares what the container n finds in a text with what its slow reader does.
func checkPairs(t *testing.T, n int, text []byte) {
	t.Helper()
	c := pairContainers[n]
	source := c.source
	got := containerTexts(t, &source, c.names, text)
	var want [][]string
	for i, line := range bytes.Split(text, eol) {
		line, _ = scan.CutLine(line)
		if scan.Blank(line) {
			continue
		}
		if pairs := c.slow(string(line)); pairs != nil {
			var texts []string
			for _, name := range c.names {
				texts = append(texts, pairs[strings.ToLower(name)])
			}
			want = append(want, append(texts, strconv.Itoa(i+1)))
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s of %q: got %q, want %q", source.Container, text, got, want)
	}
}

// If this fails, a value of a vendor's log stands under another name than in the log.
func TestPairsAreAsSlow(t *testing.T) {
	r := rand.New(rand.NewPCG(29, 11))
	for n, c := range pairContainers {
		for _, line := range c.lines {
			checkPairs(t, n, []byte(line))
			checkPairs(t, n, []byte(c.lines[0]+"\n\n"+line+"\r\n"+c.lines[0])) // a line before it says what to expect
		}
		for range 300 {
			text := []byte(strings.Join([]string{c.lines[r.IntN(len(c.lines))], c.lines[r.IntN(len(c.lines))], c.lines[r.IntN(len(c.lines))]}, "\n"))
			for range r.IntN(6) {
				text[r.IntN(len(text))] = ` ="\|,a0`[r.IntN(8)]
			}
			checkPairs(t, n, text)
		}
	}
}

// fuzzPairs looks for lines of a container that the test above does not make.
func fuzzPairs(f *testing.F, container string) {
	var of []int
	for n, c := range pairContainers {
		if c.source.Container == container {
			of = append(of, n)
			for _, line := range c.lines {
				f.Add(uint8(len(of)-1), []byte(line))
			}
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, text []byte) { checkPairs(t, of[int(n)%len(of)], text) })
}

func FuzzPairs(f *testing.F) { fuzzPairs(f, "keyvalue") }
func FuzzCEF(f *testing.F)   { fuzzPairs(f, "cef") }
func FuzzLEEF(f *testing.F)  { fuzzPairs(f, "leef") }
