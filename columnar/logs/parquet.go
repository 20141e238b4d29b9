package logs

// Parquet is a stub.
var Parquet = &Format{Name: "parquet"}
