//go:build unix

package jobs

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process returns a run of the program, in a process of its own.
func (s *site) process(args ...string) (*exec.Cmd, *bytes.Buffer) {
	c := exec.Command(os.Args[0], args...)
	c.Dir = s.dir
	c.Env = append(os.Environ(), "OUTFLOW_TEST_KILL=0")
	var errs bytes.Buffer
	c.Stderr = &errs
	return c, &errs
}

// busySite has more names than fit into a megabyte.
func busySite(t *testing.T) *site {
	s := newSite(t, datedURI)
	for day := 19; day <= 20; day++ {
		var b strings.Builder
		b.WriteString("time,user,service,bytes_out\n")
		for i := range 8_000 {
			fmt.Fprintf(&b, "2026-03-%dT10:%02d:00Z,user%d,service%d,1000\n", day, i%60, i, i%977)
		}
		s.write(fmt.Sprintf("logs/2026-03-%d/a.csv", day), []byte(b.String()))
	}
	return s
}

// If this fails, a fault of the machine or of S3 is taken for wrong usage or for a fault of
// ours, is said in more than one line, or needs a hand to heal.
func TestEnvironment(t *testing.T) {
	night := []string{"run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20", "-q"}
	clean := busySite(t)
	clean.run(20)
	for _, c := range []struct {
		name string
		// breaks returns what the run is given besides, and how the fault is mended.
		breaks func(s *site, c *exec.Cmd) (args []string, mend func())
		code   int
		says   string
	}{
		{"no TMPDIR", func(s *site, c *exec.Cmd) ([]string, func()) {
			c.Env = append(c.Env, "TMPDIR="+filepath.Join(s.dir, "missing"))
			return []string{"--memory", "1MiB"}, nil
		}, exitEnvironment, "no such file or directory: make room, or set TMPDIR to a folder with more"},
		{"TMPDIR full", func(s *site, c *exec.Cmd) ([]string, func()) {
			c.Args = append([]string{"sh", "-c", `ulimit -f 64; exec "$@"`, "sh"}, c.Args...)
			c.Path, _ = exec.LookPath("sh")
			return []string{"--memory", "1MiB"}, nil
		}, exitEnvironment, "file too large: make room, or set TMPDIR to a folder with more"},
		{"state full", func(s *site, c *exec.Cmd) ([]string, func()) {
			c.Args = append([]string{"sh", "-c", `ulimit -f 64; exec "$@"`, "sh"}, c.Args...)
			c.Path, _ = exec.LookPath("sh")
			return nil, nil
		}, exitEnvironment, "write the state to state: "},
		{"reports' folder in the way", func(s *site, c *exec.Cmd) ([]string, func()) {
			s.write("out", []byte("a file"))
			return nil, func() { os.Remove(filepath.Join(s.dir, "out")) }
		}, exitConfig, "write the report to out: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := copySite(t, clean)
			for _, made := range []string{"state", "out"} {
				if err := os.RemoveAll(filepath.Join(s.dir, made)); err != nil {
					t.Fatal(err)
				}
			}
			p, errs := s.process(night...)
			args, mend := c.breaks(s, p)
			p.Args = append(p.Args, args...)
			began := time.Now()
			p.Run()
			if code := p.ProcessState.ExitCode(); code != c.code || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), c.says) {
				t.Errorf("exit %d, want %d and one line with %q: %s", code, c.code, c.says, errs)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("took %v", took)
			}
			if mend != nil {
				mend()
			}
			s.run(20)
			if diff := s.differs(clean); len(diff) > 0 {
				t.Errorf("the next run differs: %s", diff)
			}
			if left, _ := filepath.Glob(filepath.Join(s.dir, "state/.outflow-*")); len(left) > 0 {
				t.Errorf("temporary files stay: %v", left)
			}
		})
	}
}

// If this fails, S3 that is not there, or lets nobody in, is taken for wrong usage.
func TestEnvironmentOfS3(t *testing.T) {
	server := newS3Server(t)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>")
	}))
	defer refusing.Close()
	s := smallSite(t)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--state", "s3://outflow/state", "--s3-endpoint-url", refusing.URL}, exitEnvironment, "the AWS credentials are wrong (InvalidAccessKeyId)"},
		{[]string{"--state", "s3://nobody/state", "--s3-endpoint-url", server.url}, exitConfig, "no such bucket"},
		{[]string{"--out", "s3://nobody/out", "--s3-endpoint-url", server.url}, exitConfig, "no such bucket"},
	} {
		code, _, stderr := invoke(t, s.dir, append([]string{"run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20", "-q"}, c.args...)...)
		if code != c.code || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.says) {
			t.Errorf("%v: exit %d, want %d and one line with %q: %s", c.args, code, c.code, c.says, stderr)
		}
	}
	clean := smallSite(t)
	clean.run(20)
	s.run(20)
	if diff := s.differs(clean); len(diff) > 0 {
		t.Errorf("the next run differs: %s", diff)
	}
}

// If this fails, a run that is told to stop goes on, blocks the next one, or is taken for one
// that broke.
func TestSignals(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			server := newS3Server(t)
			s := newSite(t, "s3://logs/{yyyy}-{mm}-{dd}/")
			s.bucket = server
			for day := 18; day <= 20; day++ {
				date := fmt.Sprintf("2026-03-%d", day)
				s.write("logs/"+date+"/a.csv", uploads(date+"T10:00 ann 1100000"))
			}
			reading := make(chan struct{}, 8)
			slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "a.csv") { // a log that never comes
					reading <- struct{}{}
					<-r.Context().Done()
					return
				}
				r.URL.Host, r.URL.Scheme, r.RequestURI = strings.TrimPrefix(server.url, "http://"), "http", ""
				answer, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					w.WriteHeader(http.StatusBadGateway)
					return
				}
				defer answer.Body.Close()
				for k, v := range answer.Header {
					w.Header()[k] = v
				}
				w.WriteHeader(answer.StatusCode)
				io.Copy(w, answer.Body)
			}))
			defer slow.Close()
			p, errs := s.process("run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20", "-q", "--s3-endpoint-url", slow.URL)
			if err := p.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-reading:
			case <-time.After(time.Minute):
				p.Process.Kill()
				t.Fatalf("reads no log: %s", errs)
			}
			began := time.Now()
			p.Process.Signal(signal)
			p.Wait()
			if code := p.ProcessState.ExitCode(); code != exitEnvironment || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), "interrupted: ") {
				t.Errorf("exit %d, want %d and one line: %s", code, exitEnvironment, errs)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("ended after %v", took)
			}
			s.run(20, "--wait", "0s")
			s.sameAsFresh(19, 20)
		})
	}
}
