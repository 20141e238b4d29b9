package detect

func dnsInformation() *Detection { return &Detection{Name: "dns_information"} }
