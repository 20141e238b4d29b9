package detect

func dnsEntropy() *Detection { return &Detection{Name: "dns_entropy"} }
