package detect

var UserDay = &Aggregate{Name: "user_day"}
