package detect

import (
	"testing"

	"outflow/columnar"
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
		names := columnar.NewDict()
		d := newDestinations(names)
		if got := string(names.Text(int32(d.hosts.Func([]byte(test.host))))); got != test.want {
			t.Errorf("%s: got object %q, want %q", test.host, got, test.want)
		}
	}
}
