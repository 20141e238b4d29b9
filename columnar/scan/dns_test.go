package scan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDNSNumbers(t *testing.T) {
	var got []string
	for _, n := range []int64{1, 5, 10, 15, 16, 28, 65, 257, 65399, -1} {
		got = append(got, QueryTypeName(n))
	}
	for _, n := range []int64{0, 2, 3, 11, 99} {
		got = append(got, RcodeName(n))
	}
	want := []string{"A", "CNAME", "NULL", "MX", "TXT", "AAAA", "HTTPS", "CAA", "TYPE65399", "TYPE-1",
		"NOERROR", "SERVFAIL", "NXDOMAIN", "RCODE11", "RCODE99"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
