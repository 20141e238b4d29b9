package detect

var DNSPair = &Aggregate{Name: "dns_pair"}
