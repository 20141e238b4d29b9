package detect

var UserDestinationDay = &Aggregate{Name: "user_destination_day"}
