package detect

import "testing"

// If this fails, a backup is compared with people, or a person is taken for a machine.
func TestGroupOf(t *testing.T) {
	for _, c := range []struct{ kind, entity, want string }{
		{"user", "svc-reporting", ServiceGroup}, {"user", "111122223333/svc-backup", ServiceGroup}, {"user", `CORP\SVC_SQL`, ServiceGroup},
		{"user", "sync@project.iam.gserviceaccount.com", ServiceGroup}, {"user", "pc-ana$", ServiceGroup}, {"host", "backup2.corp.example", ServiceGroup},
		{"user", "ana", ""}, {"user", "svcetlana@corp.example", ""}, {"host", "ws-1-34.corp.example", ""}, {"src_ip", "10.0.0.7", ""}, {"user", "", ""},
	} {
		if got := GroupOf(c.kind, c.entity); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.kind, c.entity, got, c.want)
		}
	}
}
