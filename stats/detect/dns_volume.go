package detect

func dnsVolume() *Detection { return &Detection{Name: "dns_volume"} }
