package dnsmodel

import (
	"encoding/base32"
	"encoding/base64"
	hexadecimal "encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// If this fails, a slow tunnel escapes, or a name built like a tunnel's passes as a
// look-up. Only the detection's list of services may let it pass.
func TestRateDoesNotAcquit(t *testing.T) {
	base := map[string]func([]byte) string{
		"base32":    func(b []byte) string { return strings.ToLower(base32.StdEncoding.EncodeToString(b)) },
		"base64url": base64.RawURLEncoding.EncodeToString,
		"hex":       hexadecimal.EncodeToString,
	}
	for _, c := range []struct {
		encoding string
		size     int // characters
		every    time.Duration
		txt      bool
	}{
		{"base32", 48, time.Minute, true},
		{"base32", 48, time.Minute, false},
		{"base32", 46, 8 * time.Minute, false},
		{"base32", 46, 8 * time.Minute, true},
		{"base32", 13, 90 * time.Second, false},
		{"hex", 20, 90 * time.Second, false},
		{"hex", 32, 90 * time.Second, false},
		{"hex", 60, 10 * time.Second, false},
		{"hex", 60, time.Minute, false},
		{"base64url", 60, 10 * time.Second, false},
		{"base64url", 60, 10 * time.Minute, true},
		{"base32", 48, time.Second, true},
		{"hex", 32, time.Second, false},
	} {
		t.Run(fmt.Sprint(c.encoding, c.size, c.every, c.txt), func(t *testing.T) {
			r := rand.New(rand.NewPCG(41, 43))
			var x Extractor
			var h History
			over, n := 0, 0
			for i := range 60 {
				var b [64]byte
				for k := range b {
					b[k] = byte(r.Uint32())
				}
				f := x.Of([]byte(base[c.encoding](b[:])[:c.size]))
				at := int64(i) * c.every.Microseconds()
				if i >= 10 {
					n++
					if h.Score(f, at, c.txt) > Threshold {
						over++
					}
				}
				h.Add(f, at, c.txt, false)
			}
			if over*5 < n*4 {
				t.Errorf("got %d of %d over %v, want four fifths", over, n, Threshold)
			}
			t.Logf("%d of %d", over, n)
		})
	}
}

// If this fails, everyday names are reported at some rate of queries.
func TestEverydayNamesAreSilent(t *testing.T) {
	numbered := func(form string, n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprintf(form, i+1))
		}
		return names
	}
	for what, names := range map[string][]string{
		"hosts":    {"www", "mail", "api", "imap", "static.cdn", "", "img", "login", "m", "assets", "autodiscover", "fonts", "api.eu-west-1", "ns1", "ocsp"},
		"browsing": {"www", "pagead2", "accounts", "clients4", "play", "ssl", "encrypted-tbn0", "lh3", "docs", "drive", "mtalk", "safebrowsing", "update"},
		"farm":     numbered("node-%03d", 30),
		"shards":   numbered("web%d.fra1.prod", 30),
		"search": {"redis.prod.svc.cluster", "redis.svc.cluster", "redis.cluster", "payments-api.prod.svc.cluster", "www.example.com.prod.svc.cluster",
			"www.example.com.svc.cluster", "www.example.com.cluster", "kube-dns.kube-system.svc.cluster"},
		"balancer": {"shop-prod-1204365437.eu-central-1.elb", "internal-api-alb-764120981.eu-central-1.elb", "a2f0c1b97e64d11e9b0d302f6a7c81d5-917305523.eu-central-1.elb"},
		"cache":    {"d1qx8w2m0zk3va", "d3f9ay72hbtq1u", "d2j6nsy0r5ck4e"},
	} {
		for _, every := range []time.Duration{0, time.Second, time.Minute, 10 * time.Minute} {
			var x Extractor
			var h History
			for i := range 120 {
				name := names[(i*i+i/3)%len(names)]
				f, at := x.Of([]byte(name)), int64(i)*every.Microseconds()
				if p := h.Score(f, at, false); p > Threshold {
					t.Errorf("%s every %v, query %d: %q: got %v, want at most %v", what, every, i, name, p, Threshold)
				}
				h.Add(f, at, false, false)
			}
		}
	}
}

// If this fails, the tunnels that training slows down differ from slow tunnels.
func TestSlow(t *testing.T) {
	var x Extractor
	at := func(gap int64) Input {
		var h History
		for i := range int64(7) {
			h.Add(x.Of([]byte("ovydcnrnonugcnjr")), i*gap, false, false)
		}
		f := x.Of([]byte("giwgi2lgmzuwkllimvwgy3lb"))
		return h.Input(&f, 7*gap, false)
	}
	fast, slow := at(1e6), at(300e6)
	was := fast
	Slow(&fast, 300e6)
	for i := range fast {
		// Logarithms are rounded to an eighth of an octave.
		if off(fast[i], slow[i]) > 1 {
			t.Errorf("input %d: got %d, want %d", i, fast[i], slow[i])
		}
	}
	if fast == was {
		t.Error("nothing became slower")
	}
	was = slow
	if Slow(&slow, 1e6); slow != was {
		t.Error("a slow past became a fast one")
	}
}
