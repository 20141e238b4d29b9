package logs

// Dnsmasq is a stub.
var Dnsmasq = &Format{Name: "dnsmasq"}
