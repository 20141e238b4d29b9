package detect

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// If this fails, an address in place of a host goes under a part of its text.
func TestDestinationAddresses(t *testing.T) {
	for _, test := range []struct{ host, want string }{
		{"::ffff:203.0.113.4", "203.0.113.4"},
		{"[::ffff:203.0.113.4]:443", "203.0.113.4"},
		{"[::ffff:203.0.113.4]", "203.0.113.4"},
		{"::ffff:cb00:7104", "203.0.113.4"},
		{"64:ff9b::203.0.113.4", "64:ff9b::cb00:7104"},
		{"203.0.113.4", "203.0.113.4"},
		{"203.0.113.4.", "203.0.113.4"},
		{"203.0.113.4:8443", "203.0.113.4"},
		{"[2001:0db8::0005]:443", "2001:db8::5"},
		{"::1", "::1"},
		{"3405803780", "3405803780"},
		{"0xcb007104", "0xcb007104"},
		{"www.example.com.", "example.com"},
		{"1.example.com", "example.com"},
		{"::ffff:203.0.113.4.example.com", "::ffff:203.0.113.4.example.com"}, // no address, and no name
	} {
		names, hosts := columnar.NewDict(), columnar.NewDict()
		code := hosts.Code([]byte(test.host))
		d := newDestinations(names)
		d.domains = &columnar.Domains{}
		if got := string(names.Text(int32(d.hosts.Of(hosts)[code]))); got != test.want {
			t.Errorf("%s: got object %q, want %q", test.host, got, test.want)
		}
	}
}

// If this fails, hosts that are looked up together get other destinations than one by one.
func TestHostsTogether(t *testing.T) {
	one := func(host string, domains *columnar.Domains) string {
		name := scan.TrimDot([]byte(host))
		if scan.AddressLike(name) {
			name = columnar.AppendAddress(nil, name)
		}
		if _, ok := CloudHost(name); ok {
			return string(name)
		}
		return string(domains.Registered(name))
	}
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	host := func() string {
		switch r.IntN(8) {
		case 0:
			return pick("", ".", "com", "co.uk.", "localhost", "s3.amazonaws.com", "github.io", "a.github.io.", "bucket.s3.amazonaws.com", "onedrive.live.com")
		case 1:
			return pick("203.0.113.7", "203.0.113.7.", "::ffff:203.0.113.7", "2001:DB8::0:1", "2001:db8::1", "fe80::1%eth0", "1.2.3", "0.1.2.3.4", "9.example.7", "203.0.113.7:80", "[::1]", "a:b")
		}
		return fmt.Sprintf("%s%d.%s%d.%s%s", pick("www", "h", "x.y"), r.IntN(20), pick("a", "shop", "b.c"), r.IntN(400), pick("com", "example.co.uk", "s3.amazonaws.com", "github.io", "7"), pick("", "", "."))
	}
	for _, many := range []int{3000, 400_000} { // more parents than are remembered
		d := newDestinations(columnar.NewDict())
		d.domains = &columnar.Domains{}
		hosts := columnar.NewDict()
		var domains columnar.Domains
		var of []uint32
		for hosts.Len() < many {
			for range r.IntN(5000) {
				if hosts.Code([]byte(host())); many > 3000 {
					hosts.Code(fmt.Appendf(nil, "www.n%d.example", hosts.Len()))
				}
			}
			for i := range 100 * (many / 400_000) { // as another log's decoder does meanwhile
				d.domains.Registered(fmt.Appendf(nil, "www.other%d-%d.example", hosts.Len(), i))
			}
			of = d.hosts.Of(hosts)
		}
		for code, id := range of {
			text := string(hosts.Text(int32(code)))
			if got, want := string(d.names.Text(int32(id))), one(text, &domains); got != want {
				t.Fatalf("%q: got %q, want %q", text, got, want)
			}
		}
	}
}
