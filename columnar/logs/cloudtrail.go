package logs

// CloudTrail is a stub.
var CloudTrail = &Format{Name: "cloudtrail"}
