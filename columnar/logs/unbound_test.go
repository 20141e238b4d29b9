package logs

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"outflow/columnar"
)

var (
	slowLookup = regexp.MustCompile(`^\[(\d+)\] \S+\[\d+:[0-9a-f]+\] (?:info|query|reply): ([0-9.]+) (\S+)\. (\S+) (\S+)(?: (\S+) \S+ \d \d+)?$`)
	slowStart  = regexp.MustCompile(`info: start of service \(unbound `)
)

// slowUnbound reads a log of times in seconds, line by line.
func slowUnbound(in []byte) *slowLog {
	l := &slowLog{}
	logged := false
	for i, line := range strings.Split(strings.TrimSuffix(string(in), "\n"), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if slowStart.MatchString(line) {
			logged = false
		}
		m := slowLookup.FindStringSubmatch(line)
		switch {
		case m == nil || m[6] != "" && logged:
			continue
		case m[6] == "" && m[5] == "IN":
			logged = true
		}
		seconds, _ := strconv.ParseInt(m[1], 10, 64)
		l.row(i+1, columnar.DNS, map[columnar.Col]string{columnar.Time: micros(time.Unix(seconds, 0)), columnar.SrcIP: m[2],
			columnar.Query: m[3], columnar.Domain: "example.com", columnar.QueryType: m[4], columnar.Rcode: m[6]})
	}
	return l
}

// If this fails, whether a reply is a row depends on how the object is cut into
// blocks.
func TestUnboundInBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		end := pick(r, "\n", "\r\n")
		var log strings.Builder
		for i := range 1 + r.IntN(150) {
			tag := pick(r, "info", "query", "reply")
			at := fmt.Sprintf("[%d] unbound[%d:%x] ", 1770797703+i, 812, r.IntN(20))
			name := fmt.Sprintf("a%d.example.com", r.IntN(50))
			switch n := r.IntN(60); {
			case n == 0:
				fmt.Fprintf(&log, "%sinfo: start of service (unbound 1.17.1).%s", at, end)
			case n < 3:
				fmt.Fprintf(&log, "%sinfo: service stopped (unbound 1.17.1).%s", at, end)
			case n < 5:
				fmt.Fprintf(&log, "%sinfo: resolving %s. A IN%s", at, name, end)
			case n < 10:
				fmt.Fprintf(&log, "%s%s: 192.0.2.1 %s. TXT CH%s", at, strings.Replace(tag, "reply", "query", 1), name, end)
			case n < 12:
				fmt.Fprintf(&log, "%s%s: 192.0.2.1 %s. A IN%s", at, strings.Replace(tag, "reply", "query", 1), name, end)
			default:
				fmt.Fprintf(&log, "%s%s: 192.0.2.1 %s. A IN %s 0.000425 0 61%s", at, strings.Replace(tag, "query", "reply", 1), name, pick(r, "NOERROR", "NXDOMAIN"), end)
			}
		}
		in := []byte(log.String())
		checkLog(t, Unbound, Options{}, columnar.DNS, in, slowUnbound(in))
	}
}
