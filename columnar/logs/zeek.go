package logs

// Zeek is a stub.
var Zeek = &Format{Name: "zeek"}
