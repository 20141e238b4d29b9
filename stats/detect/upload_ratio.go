package detect

func uploadRatio() *Detection { return &Detection{Name: "upload_ratio"} }
