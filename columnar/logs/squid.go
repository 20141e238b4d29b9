package logs

// Squid is a stub.
var Squid = &Format{Name: "squid"}
