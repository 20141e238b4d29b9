package reports

var CSV = &Format{Name: "csv"}
