package detect

func uploadZScore() *Detection { return &Detection{Name: "upload_zscore"} }
