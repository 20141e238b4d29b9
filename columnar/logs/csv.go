package logs

// CSV is a stub.
var CSV = &Format{Name: "csv"}
