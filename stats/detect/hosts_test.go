package detect

import (
	"slices"
	"strings"
	"testing"
)

// If this fails, the hosts of a tunnel service, each of which is somebody's own, count as one place.
func TestTunnels(t *testing.T) {
	for name := range strings.SplitSeq(strings.Trim(tunnels, "|"), "|") {
		if !slices.ContainsFunc(cloudHosts().services, func(s CloudService) bool { return s.Name == name && s.shares() }) {
			t.Errorf("no service that shares files is named %q", name)
		}
	}
}
