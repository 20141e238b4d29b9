package scan

import "strconv"

// ProtocolName returns the name of an IP protocol in the IANA registry, in lower
// case as sensors write it. For a rare protocol it returns the number.
func ProtocolName(n int64) string {
	switch n {
	case 1:
		return "icmp"
	case 2:
		return "igmp"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 47:
		return "gre"
	case 50:
		return "esp"
	case 51:
		return "ah"
	case 58:
		return "ipv6-icmp"
	case 132:
		return "sctp"
	}
	return strconv.FormatInt(n, 10)
}
