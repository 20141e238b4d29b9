package store

import "testing"

// If this fails, stages read objects that no input names, or refuse those of an input.
func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, uri string
		want         bool
	}{
		{"logs/", "logs/a/b.log", true},
		{"logs", "logs/a/b.log", true},
		{"logs", "logs", true},
		{"logs", "logs2/a.log", false},
		{"logs/", "logs/../secret", false},
		{"./logs/", "logs/a.log", true},
		{".", "a.log", true},
		{".", "../a.log", false},
		{".", "/etc/passwd", false},
		{"logs/", "/etc/passwd", false},
		{"/", "/etc/passwd", true},
		{"/var/log/*.log", "/var/log/a.log", true},
		{"/var/log/*.log", "/var/log/sub/a.log", false},
		{"/var/log/**/*.log", "/var/log/sub/deep/a.log", true},
		{"file:///var/log/", "/var/log/a.log", true},
		{"logs/[x].log", "logs/[x].log", true}, // as a file may be named
		{"s3://b/{yyyy}/{mm}/{dd}/", "s3://b/2026/11/20/a.gz", true},
		{"s3://b/{yyyy}/{mm}/{dd}/", "s3://b/secret/11/20/a.gz", false},
		{"s3://b/dt={yyyy}-{mm}-{dd}/", "s3://b/dt%3D2026-11-20/a.gz", true},
		{"s3://b/AWSLogs/{account}/*.gz", "s3://b/AWSLogs/123/a.gz", true},
		{"s3a://b/logs/", "s3://b/logs/a", true},
		{"s3://b/", "s3://b/any", true},
		{"s3://b", "s3://b/any", true},
		{"s3://b/", "s3://c/any", false},
		{"s3://b/logs/", "logs/a", false},
		{"logs/", "s3://b/logs/a", false},
	} {
		if got, err := Matches(c.pattern, c.uri); err != nil || got != c.want {
			t.Errorf("Matches(%q, %q): got %v, %v, want %v", c.pattern, c.uri, got, err, c.want)
		}
	}
}

// If this fails, a folder is taken for one in another that has a similar name.
func TestWithin(t *testing.T) {
	for _, c := range []struct {
		folder, uri string
		want        bool
	}{
		{"state", "state/work", true},
		{"state/", "./state", true},
		{"state", "state2", false},
		{"state", "state/../work", false},
		{"/mnt/state", "file:///mnt/state/x", true},
		{"s3://b/state", "s3://b/state/x", true},
		{"s3://b/state/", "s3a://b/state", true},
		{"s3://b/state", "s3://b/states", false},
		{"s3://b", "s3://b/x", true},
		{"s3://b/state", "state/x", false},
	} {
		if got := Within(c.folder, c.uri); got != c.want {
			t.Errorf("Within(%q, %q): got %v, want %v", c.folder, c.uri, got, c.want)
		}
	}
}
