package detect

// A CloudService is a kind of place on the internet that data can be put.
type CloudService struct {
	Name      string // "Amazon S3"
	Kind      string // "storage", "sharing", "paste", "webhook", "code", "mail"
	Technique string // ATT&CK technique id of uploading there
}

// CloudHost returns the service that a host belongs to, by the longest matching
// domain suffix. host is in lower case, without port.
func CloudHost(host []byte) (CloudService, bool) { return CloudService{}, false }
