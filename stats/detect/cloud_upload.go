package detect

func cloudUpload() *Detection { return &Detection{Name: "cloud_upload"} }
