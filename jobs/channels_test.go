package jobs

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// If this fails, a password ends up in the log of a job, because a server repeated it or a
// URL has it.
func TestNotifyMasksSecrets(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "no: %s %s %s", user, password, r.Header.Get("Authorization"))
	}
	for _, n := range []*Notify{
		{To: "webhook", URL: "INLINE"},
		{To: "webhook", URL: "env:URL"},
		{To: "splunk", URL: "env:PLAIN", Token: "env:TOKEN"},
	} {
		server := newReceiver(t, echo, echo, echo, echo)
		inline := strings.Replace(server.URL, "http://", "http://bot:hunter2@", 1)
		s, m := notifying(t, map[string]string{"URL": inline, "PLAIN": server.URL, "TOKEN": "hunter2"}, 5*time.Second)
		if n.URL == "INLINE" {
			n.URL = inline
		}
		err := s.send(t.Context(), n, m)
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "answered 403: no: ") {
			t.Errorf("%s %s: got %v", n.To, n.URL, err)
		}
	}
}

// If this fails, validate says nothing of a channel that cannot work, or a test message is
// sent that nobody asked for.
func TestValidateChannels(t *testing.T) {
	server := newReceiver(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "outflow.yaml")
	validate := func(token string, args ...string) (int, string) {
		text := "inputs: [{name: x, uri: " + file + "}]\npushgateway: http://bot:hunter2@127.0.0.1:9\nnotify:\n  - {to: splunk, url: \"" + server.URL + "\", token: \"env:HEC\"}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		p := &program{stdout: &out, stderr: &out, now: time.Now, limit: noLimit, collect: noCollect, ctx: t.Context(), hooks: hooks{patience: 5 * time.Second},
			env: func(name string) (string, bool) { return token, name == "HEC" && token != "" }}
		return p.run(append([]string{"config"}, append(args, "--config", file)...)), out.String()
	}
	for _, c := range []struct {
		token, want string
		code        int
		args        []string
		requests    int
	}{
		{"", "notify[0] (splunk): token: the variable HEC is not set", exitOK, []string{"validate"}, 0},
		{"t0ken\r\nX-Other: 1", "notify[0] (splunk): token: it has a line break", exitConfig, []string{"validate", "--send-test"}, 0},
		{"t0ken", "ok: ", exitOK, []string{"validate", "--probe", "--days", "1"}, 0},
		{"t0ken", "notify[0]: splunk took the test message", exitOK, []string{"validate", "--send-test"}, 1},
		{"t0ken", "http://bot:xxxxx@127.0.0.1:9", exitOK, []string{"show"}, 1},
	} {
		code, out := validate(c.token, c.args...)
		if code != c.code || !strings.Contains(out, c.want) || strings.Contains(out, "t0ken") || strings.Contains(out, "hunter2") {
			t.Errorf("%q %v: exit %d\n%s\nwant exit %d, %q and no secret", c.token, c.args, code, out, c.code, c.want)
		}
		if len(server.got) != c.requests {
			t.Errorf("%v: got %d requests, want %d", c.args, len(server.got), c.requests)
		}
	}
	if len(server.bodies) == 1 && !strings.Contains(string(server.bodies[0]), "This is a test") {
		t.Errorf("got %s", server.bodies[0])
	}
}
