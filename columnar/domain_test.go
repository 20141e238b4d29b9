package columnar

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"
)

func TestRegistered(t *testing.T) {
	var d Domains
	for _, test := range []struct{ name, want string }{
		{"example.com", "example.com"},
		{"a.b.example.com", "example.com"},
		{"example.co.uk", "example.co.uk"},
		{"alice.example.co.uk", "example.co.uk"},
		{"com", "com"},
		{"co.uk", "co.uk"},
		{"localhost", "localhost"},
		{"a.b.localhost", "b.localhost"},
		{"", ""},
		{"192.0.2.1", "192.0.2.1"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
		{"1.2.0.192.in-addr.arpa", "192.in-addr.arpa"},
		{"bucket.s3.amazonaws.com", "bucket.s3.amazonaws.com"},
		{"x.bucket.s3.amazonaws.com", "bucket.s3.amazonaws.com"},
		{"s3.amazonaws.com", "amazonaws.com"},
		{"alice.github.io", "alice.github.io"},
		{"a.city.kawasaki.jp", "city.kawasaki.jp"}, // an exception in the list
		{"a.b.kawasaki.jp", "a.b.kawasaki.jp"},
		{"trailing.", "trailing."},
		{".", "."},
		{".com", ".com"},
	} {
		for range 2 { // the second time from memory
			if got := d.Registered([]byte(test.name)); string(got) != test.want {
				t.Errorf("Registered(%q): got %q, want %q", test.name, got, test.want)
			}
		}
	}
}

// If this fails, a local zone is now a top-level domain on the public suffix list. Remove
// it from localZones.
func TestLocalZones(t *testing.T) {
	for _, zone := range localZones {
		if _, icann := publicsuffix.PublicSuffix(zone); icann {
			t.Errorf("%s is on the public suffix list", zone)
		}
	}
}

// A remembered result must not leak from one name to another.
func TestRegisteredList(t *testing.T) {
	// The label city is left out: the list has city.kawasaki.jp and six similar names as
	// exceptions, which belong to kawasaki.jp.
	labels := []string{"a", "example", "www", "com", "uk", "co", "org", "jp", "kawasaki", "amazonaws", "s3", "github", "io", "ck", "dev", "internal"}
	r := rand.New(rand.NewPCG(7, 8))
	var d Domains
	for range 50_000 {
		parts := make([]string, 1+r.IntN(5))
		for i := range parts {
			parts[i] = labels[r.IntN(len(labels))]
		}
		name := strings.Join(parts, ".")
		want, err := publicsuffix.EffectiveTLDPlusOne(name)
		if err != nil {
			continue // a public suffix: see TestRegistered
		}
		if got := d.Registered([]byte(name)); string(got) != want {
			t.Fatalf("Registered(%q): got %q, want %q", name, got, want)
		}
	}
}

// If this fails, what a Domains says of a name depends on the names that it met before.
func TestDomainsForgetLabels(t *testing.T) {
	var d Domains
	for i := range labelsMaxSize / 8 { // twice the labels that are remembered
		for _, top := range []string{"com", "local", fmt.Sprintf("madeup%09d", i)} {
			name := []byte("www.example." + top)
			if got, want := string(d.Asked(name)), string(new(Domains).Asked(name)); got != want {
				t.Fatalf("%s after %d others: got %q, want %q", name, 3*i, got, want)
			}
			if d.labels.size() > labelsMaxSize+len(name) {
				t.Fatalf("%d bytes of labels are remembered, want at most %d", d.labels.size(), labelsMaxSize)
			}
		}
	}
}
