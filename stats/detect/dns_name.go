package detect

var DNSName = &Aggregate{Name: "dns_name"}
