package scan

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// If this fails, traffic within the company counts as sent out of it, or the reverse.
func TestIsInternal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	texts := []string{"", "8", "8.", "10.1.2.3.4", "010.1.2.3", "8.example.com", "1000.1.1.1", "0.0.0.0", "0.0.0.1", "255.255.255.255", "255.255.255.254",
		"::1", "fe80::1", "2001:db8::5", "::ffff:10.0.0.5", "::ffff:8.8.8.8", "fd00::10.1.1.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "172.15.0.1", "172.16.0.1", "172.32.0.1",
		"192.168.1.1", "192.167.1.1", "169.254.0.1", "169.253.0.1", "127.0.0.1", "10.0.0", "9.255.255.255", "11.0.0.0"}
	for first := range 256 {
		texts = append(texts, fmt.Sprintf("%d.%d.%d.%d", first, r.IntN(256), r.IntN(256), r.IntN(256)))
	}
	for _, text := range texts {
		a, err := netip.ParseAddr(text)
		a = a.Unmap()
		want := err == nil && internal(a)
		if got := IsInternal([]byte(text)); got != want {
			t.Errorf("%q: got %t, want %t", text, got, want)
		}
	}
}
