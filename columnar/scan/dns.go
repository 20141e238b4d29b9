package scan

import "strconv"

// DNS names in text, and the names of DNS numbers.

// TrimDot returns a name without the final dot of a fully qualified name.
func TrimDot(name []byte) []byte {
	if n := len(name); n > 0 && name[n-1] == '.' {
		return name[:n-1]
	}
	return name
}

// UnescapeName appends a domain name with its escapes decoded (RFC 1035, 5.1): \DDD
// is the byte with that decimal number, and \ before any other character stands for
// that character.
func UnescapeName(dst, name []byte) []byte {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '\\' && i+1 < len(name) {
			i++
			c = name[i]
			if i+2 < len(name) && c-'0' <= 2 && name[i+1]-'0' <= 9 && name[i+2]-'0' <= 9 {
				if n := int(c-'0')*100 + int(name[i+1]-'0')*10 + int(name[i+2]-'0'); n < 256 {
					c = byte(n)
					i += 2
				}
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// QueryTypeName returns the name of a DNS record type, such as TYPE999 if it has no
// name.
func QueryTypeName(n int64) string { return numbered(n, queryTypes[:], "TYPE") }

// AsksAddress reports whether the answer to a query of a type may be an address. The type is
// a name; "" is not known, and may be.
func AsksAddress(queryType []byte) bool {
	return len(queryType) == 0 || string(queryType) == "A" || string(queryType) == "AAAA"
}

// RcodeName returns the name of a DNS response code, such as RCODE99 if it has no
// name.
func RcodeName(n int64) string { return numbered(n, rcodes[:], "RCODE") }

// NumRcodes is one more than the highest response code with a name.
const NumRcodes = len(rcodes)

func numbered(n int64, names []string, prefix string) string {
	if n >= 0 && n < int64(len(names)) && names[n] != "" {
		return names[n]
	}
	return prefix + strconv.FormatInt(n, 10)
}

// From the IANA registry of DNS parameters.
var (
	queryTypes = [...]string{
		1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS", 12: "PTR",
		13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 24: "SIG", 25: "KEY", 28: "AAAA", 29: "LOC",
		33: "SRV", 35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 41: "OPT", 42: "APL", 43: "DS", 44: "SSHFP",
		45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA",
		53: "SMIMEA", 55: "HIP", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS",
		99: "SPF", 108: "EUI48", 109: "EUI64", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR", 255: "ANY", 256: "URI", 257: "CAA",
	}
	rcodes = [...]string{
		0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN", 7: "YXRRSET",
		8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE", 20: "BADNAME",
		21: "BADALG", 22: "BADTRUNC", 23: "BADCOOKIE",
	}
)
