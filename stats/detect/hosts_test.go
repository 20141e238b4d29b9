package detect

import (
	"slices"
	"strings"
	"testing"
)

// If this fails, the hosts of a tunnel service count as one place, although each is somebody's own.
func TestTunnels(t *testing.T) {
	for name := range strings.SplitSeq(strings.Trim(tunnels, "|"), "|") {
		if !slices.ContainsFunc(cloudHosts().services, func(s CloudService) bool { return s.Name == name && s.shares() }) {
			t.Errorf("no service that shares files is named %q", name)
		}
	}
}
