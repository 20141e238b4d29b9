package logs

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// slowVPC reads flow logs line by line.
func slowVPC(in []byte) *slowLog {
	l := &slowLog{}
	names := strings.Fields(string(vpcDefault))
	internal := func(s string) bool {
		a, err := netip.ParseAddr(s)
		a = a.Unmap()
		return err == nil && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a.String() == "255.255.255.255")
	}
	for i, line := range strings.Split(string(in), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.Trim(line, " \t\r\n") == "" {
			continue
		}
		if line[0] >= 'a' && isVPCHeader([]byte(line)) {
			names = strings.Fields(line)
			continue
		}
		words := strings.Split(line, " ")
		if len(words) != len(names) {
			l.skipped++
			continue
		}
		said := map[string]string{}
		for k, name := range names {
			if said[name] = words[k]; words[k] == "-" {
				delete(said, name)
			}
		}
		if s := said["log-status"]; s == "NODATA" || s == "SKIPDATA" {
			continue
		}
		source, destination, way := said["srcaddr"], said["dstaddr"], said["flow-direction"]
		if end, ok := said["pkt-dstaddr"]; ok {
			if way != "egress" && end != destination && internal(destination) && !internal(end) {
				continue
			}
			destination = end
		}
		if end, ok := said["pkt-srcaddr"]; ok {
			if way != "ingress" && end != source && internal(source) && !internal(end) {
				continue
			}
			source = end
		}
		start, err := strconv.ParseInt(said["start"], 10, 64)
		if err != nil || start < 631152000 || start >= 4102444800 {
			l.skipped++
			continue
		}
		cells := map[columnar.Col]string{columnar.Time: micros(time.Unix(start, 0))}
		port, size := said["dstport"], columnar.BytesOut
		if way == "ingress" || way != "egress" && internal(destination) && !internal(source) {
			source, destination, port, size = destination, source, said["srcport"], columnar.BytesIn
		}
		cells[columnar.SrcIP], cells[columnar.DstIP], cells[columnar.Action], cells[columnar.Account] = source, destination, said["action"], said["account-id"]
		host, ok := said["instance-id"]
		if !ok {
			host = said["interface-id"]
		}
		cells[columnar.Host] = host
		if n, err := strconv.ParseInt(said["protocol"], 10, 64); err == nil {
			cells[columnar.Protocol] = scan.ProtocolName(n)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			cells[columnar.DstPort] = strconv.FormatUint(n, 10)
		}
		if n, err := strconv.ParseInt(said["bytes"], 10, 64); err == nil && n >= 0 {
			cells[size] = strconv.FormatInt(n, 10)
		}
		l.row(i+1, columnar.Network, cells)
	}
	return l
}

func randomVPC(r *rand.Rand, n, odd int) []byte {
	end := pick(r, "\n", "\r\n")
	headers := []string{
		string(vpcDefault),
		"srcaddr dstaddr bytes start dstport protocol action",
		"version instance-id interface-id srcaddr pkt-srcaddr dstaddr pkt-dstaddr srcport dstport protocol bytes start end flow-direction action log-status vpc-id",
	}
	header := pick(r, headers...)
	var b strings.Builder
	b.WriteString(header + end)
	address := func() string {
		return pick(r, fmt.Sprintf("10.0.%d.%d", r.IntN(3), r.IntN(99)), fmt.Sprintf("203.0.113.%d", r.IntN(99)), "192.168.7.7", "2001:db8::7", "fd00::1", "172.31.0.9", "224.0.0.251")
	}
	for range n {
		var words []string
		for _, name := range strings.Fields(header) {
			word := "-"
			switch name {
			case "version":
				word = "5"
			case "account-id":
				word = "111122223333"
			case "interface-id", "instance-id":
				word = pick(r, fmt.Sprintf("eni-%08x", r.IntN(9)), "-")
			case "srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr":
				word = address()
			case "srcport", "dstport":
				word = strconv.Itoa(r.IntN(1 << 16))
			case "protocol":
				word = pick(r, "6", "17", "1")
			case "bytes":
				word = strconv.Itoa(r.IntN(1e9))
			case "start", "end":
				word = strconv.Itoa(1_770_000_000 + r.IntN(1e6))
			case "action":
				word = pick(r, "ACCEPT", "REJECT")
			case "flow-direction":
				word = pick(r, "egress", "ingress", "-")
			case "log-status":
				word = pick(r, "OK", "OK", "OK", "NODATA", "SKIPDATA")
			}
			if r.IntN(400) < odd {
				word = pick(r, "-", "x", "", "-1", "70000", "10.0.0.256", "010.0.0.1", "a b", "12345678901234567890", "253402300800")
			}
			words = append(words, word)
		}
		b.WriteString(strings.Join(words, " ") + end)
		switch {
		case r.IntN(1000) >= odd:
		case r.IntN(2) == 0:
			b.WriteString(pick(r, " ", "#", "version srcaddr") + end)
		default:
			header = pick(r, headers...)
			b.WriteString(header + end)
		}
	}
	return []byte(strings.TrimSuffix(b.String(), pick(r, "", end)))
}

// If this fails, rows of flow logs are not what their lines say.
func TestVPCFlowIsAsSlow(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	for i := range 24 {
		in := randomVPC(r, 41+r.IntN(1<<(2+i/2)), []int{0, 1, 10, 50}[i%4])
		checkLog(t, VPCFlow, Options{}, columnar.Network, in, slowVPC(in))
	}
}
