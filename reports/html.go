package reports

var HTML = &Format{Name: "html"}
