package logs

// JSONLines is a stub.
var JSONLines = &Format{Name: "jsonl"}
