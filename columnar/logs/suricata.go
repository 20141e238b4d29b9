package logs

// Suricata is a stub.
var Suricata = &Format{Name: "suricata"}
