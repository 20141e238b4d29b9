package jobs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// testAuthority returns a certificate for 127.0.0.1, and who vouches for it.
func testAuthority(t *testing.T) (*tls.Config, *x509.CertPool) {
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, roots
}

// If this fails, a password or findings go over the network for all to read, or a server
// that will never be trusted holds up the night.
func TestNotifyMailTLS(t *testing.T) {
	config, roots := testAuthority(t)
	const login = "EHLO 250-test\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"
	for _, c := range []struct {
		name   string
		script []string
		server string // what the configuration names: HOST is the server's address
		bare   bool   // the server has no TLS
		trust  bool
		conns  int // 0: at least 3
		err    string
	}{
		{"STARTTLS", nil, "HOST", false, true, 1, ""},
		{"greylisting", []string{"RCPT 450 4.2.0 come back"}, "HOST", false, true, 2, ""},
		{"no such mailbox", []string{"RCPT 550 5.1.1 no"}, "HOST", false, true, 1, "550"},
		{"a stall under TLS", []string{"MAIL stall"}, "HOST", false, true, 2, ""},
		{"no TLS for a moment", []string{"STARTTLS 454 no entropy"}, "HOST", false, true, 2, ""},
		{"no TLS for ever", slices.Repeat([]string{"STARTTLS 454 no entropy"}, 20), "HOST", false, true, 0, "454"},
		{"TLS refused", []string{"STARTTLS 502 not here"}, "HOST", false, true, 1, "502"},
		{"TLS not offered", nil, "HOST", true, true, 1, "does not support STARTTLS"},
		{"TLS offered and not spoken", []string{"STARTTLS 220 sure"}, "HOST", false, true, 1, "tls: first record does not look like a TLS handshake"},
		{"a stall in STARTTLS", []string{"STARTTLS stall"}, "HOST", false, true, 2, ""},
		{"the end in STARTTLS", []string{"STARTTLS hang up"}, "HOST", false, true, 2, ""},
		{"unknown authority", nil, "HOST", false, false, 1, "certificate signed by unknown authority"},
		{"another's certificate", nil, "localhost", false, true, 1, "not localhost"},
		{"TLS from the start", nil, "smtps://HOST", false, true, 1, ""},
		{"TLS from the start, greylisting", []string{"RCPT 451 later"}, "smtps://HOST", false, true, 2, ""},
		{"TLS from the start, unknown authority", nil, "smtps://HOST", false, false, 1, "certificate signed by unknown authority"},
		{"TLS from the start, not spoken", []string{login}, "smtps://HOST", true, true, 1, "tls: first record does not look like a TLS handshake"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := &mailServer{script: c.script}
			switch implicit := strings.HasPrefix(c.server, "smtps:"); {
			case implicit && !c.bare:
				server.listen(t, config)
			default:
				if !c.bare {
					server.tls = config
				}
				server.listen(t, nil)
			}
			s, m := notifying(t, map[string]string{"PASSWORD": "pass"}, 4*time.Second)
			s.local = func(string) bool { return false }
			s.roots = x509.NewCertPool()
			if c.trust {
				s.roots = roots
			}
			_, port, _ := strings.Cut(server.addr, ":")
			at := strings.NewReplacer("HOST", server.addr, "localhost", "localhost:"+port).Replace(c.server)
			n := &Notify{To: "mail", Server: at, From: "outflow@corp.example", Recipients: []string{"soc@corp.example"}, User: "outflow", Password: "env:PASSWORD"}
			server.gets(t, s, n, m, c.conns, c.err)
			server.mu.Lock()
			defer server.mu.Unlock()
			if want := c.err == ""; len(server.mails) == 1 != want {
				t.Errorf("got %d mails", len(server.mails))
			}
			for _, command := range server.clear {
				if slices.Contains([]string{"AUTH", "MAIL", "RCPT", "DATA"}, command) {
					t.Errorf("%s was sent in clear text", command)
				}
			}
		})
	}
}

// If this fails, a relay whose port is not 465 cannot be told to speak TLS at once.
func TestRelay(t *testing.T) {
	for server, want := range map[string]relay{
		"smtp.corp.example":              {"smtp.corp.example", 587, false},
		"smtp.corp.example:25":           {"smtp.corp.example", 25, false},
		"smtp.corp.example:465":          {"smtp.corp.example", 465, true},
		"smtps://smtp.corp.example":      {"smtp.corp.example", 465, true},
		"smtps://smtp.corp.example:2465": {"smtp.corp.example", 2465, true},
		"[2001:db8::19]:25":              {"2001:db8::19", 25, false},
	} {
		if got, err := (&Notify{Server: server}).relay(); err != nil || got != want {
			t.Errorf("%s: got %v and %v, want %v", server, got, err, want)
		}
	}
	for _, server := range []string{"smtp://smtp.corp.example", "smtps://", "smtps://smtp.corp.example/x", "smtp.corp.example:0", ""} {
		if got, err := (&Notify{Server: server}).relay(); err == nil {
			t.Errorf("%s: got %v, want an error", server, got)
		}
	}
}

// If this fails, Splunk misses a part of the findings because it was busy, or a part is sent
// anew that it has.
func TestNotifySplunkRetries(t *testing.T) {
	for _, c := range []struct {
		name   string
		script []func(w http.ResponseWriter, r *http.Request)
		want   string // the parts as they are requested
	}{
		{"503 and 429", []func(w http.ResponseWriter, r *http.Request){answer(200), answer(503), answer(429, "Retry-After", "1")}, "01112345678"},
		{"a stall", []func(w http.ResponseWriter, r *http.Request){stall}, "0012345678"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := newReceiver(t, c.script...)
			s, m := notifying(t, map[string]string{"HEC": "t0ken"}, 4*time.Second)
			if err := s.send(t.Context(), &Notify{To: "splunk", URL: server.URL, Token: "env:HEC"}, m); err != nil {
				t.Fatal(err)
			}
			parts, got := m.Splunk(hecBytes), ""
			for i, r := range server.got {
				_, part, _ := strings.Cut(r.Header.Get("Idempotency-Key"), "-")
				n, err := strconv.Atoi(part)
				if err != nil || n >= len(parts) || !bytes.Equal(server.bodies[i], parts[n]) {
					t.Fatalf("request %d: part %q has other events", i, part)
				}
				got += part
			}
			if got != c.want || len(parts) != 9 {
				t.Errorf("got the parts %s of %d, want %s", got, len(parts), c.want)
			}
		})
	}
}

// If this fails, a night waits for a server that will never be trusted.
func TestNotifyUntrusted(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	s, m := notifying(t, nil, time.Minute)
	began := time.Now()
	err := s.send(t.Context(), &Notify{To: "webhook", URL: server.URL}, m)
	if err == nil || !strings.Contains(err.Error(), "unknown authority") || time.Since(began) > 10*time.Second {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
}
