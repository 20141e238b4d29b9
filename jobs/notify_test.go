package jobs

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"outflow/reports"
	"outflow/stats/detect"
)

// A receiver is a server that answers as its script says, and then with 200.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	script []func(w http.ResponseWriter, r *http.Request)
	got    []*http.Request
	bodies [][]byte
}

func newReceiver(t *testing.T, script ...func(w http.ResponseWriter, r *http.Request)) *receiver {
	v := &receiver{script: script}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		v.mu.Lock()
		n := len(v.got)
		v.got, v.bodies = append(v.got, r), append(v.bodies, body)
		v.mu.Unlock()
		if n < len(v.script) {
			v.script[n](w, r)
		}
	}))
	t.Cleanup(func() { v.CloseClientConnections(); v.Close() })
	return v
}

func answer(code int, header ...string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		io.WriteString(w, "said \x1b[31mno")
	}
}

func stall(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(10 * time.Second):
	}
}

// notifying returns a notifier that gives up after some seconds, and a message with
// names that a log could use against its reader.
func notifying(t *testing.T, env map[string]string, patience time.Duration) (*notifier, *reports.Message) {
	p := &program{stderr: io.Discard, ctx: t.Context(), now: time.Now, hooks: hooks{patience: patience}, global: global{logFormat: "text"},
		env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
	hostile := "<!channel> <https://evil.example|click> & *x*\r\nBcc: all@corp.example\r\n\r\n\x1b[31m\u202e{{.}} http://evil.example/a" + strings.Repeat("&<", 3000)
	run := &reports.Run{Config: "c", Report: &reports.Report{Version: "1", Job: "nightly", Days: []detect.Day{20777}, At: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}}
	for range 14 {
		run.Findings = append(run.Findings, detect.Finding{UID: "f", Day: 20777, Detection: "sigma_rule", Severity: detect.High, RiskScore: 70, Label: hostile,
			Key: detect.Key{Feed: hostile, EntityType: "user", Entity: hostile, Object: hostile + ": " + hostile}, Why: hostile, Person: hostile, Technique: "T1567"})
	}
	run.Inputs = []reports.Input{{Name: hostile, Status: reports.Unreadable, Error: hostile}}
	return p.newNotifier(), run.Message(detect.High, "s3://reports/nightly/2026-11-20")
}

// If this fails, a message is lost because a server was busy for a moment, or a night
// waits for one that never answers.
func TestNotifyRetries(t *testing.T) {
	const limit = 4 * time.Second
	for _, c := range []struct {
		name     string
		script   []func(w http.ResponseWriter, r *http.Request)
		requests int // 0: at least 3
		err      string
		least    time.Duration
	}{
		{"well", nil, 1, "", 0},
		{"429 with Retry-After", []func(w http.ResponseWriter, r *http.Request){answer(429, "Retry-After", "1")}, 2, "", time.Second},
		{"503 twice", []func(w http.ResponseWriter, r *http.Request){answer(503), answer(503)}, 3, "", 0},
		{"a stall", []func(w http.ResponseWriter, r *http.Request){stall}, 2, "", limit / 4},
		{"an hour of pause", []func(w http.ResponseWriter, r *http.Request){answer(503, "Retry-After", "3600")}, 1, `the server answered 503: said \x1b[31mno (1 attempt)`, 0},
		{"400", []func(w http.ResponseWriter, r *http.Request){answer(400)}, 1, `the server answered 400: said \x1b[31mno`, 0},
		{"a redirection", []func(w http.ResponseWriter, r *http.Request){answer(307, "Location", "https://evil.example/")}, 1, "the server answered 307", 0},
		{"500 for ever", slicesOf(answer(500), 99), 0, "attempts)", limit / 8},
		{"stalls for ever", slicesOf(stall, 99), 0, "context deadline exceeded", limit / 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := newReceiver(t, c.script...)
			s, m := notifying(t, map[string]string{"HOOK": server.URL + "/secret-path"}, limit)
			began := time.Now()
			err := s.send(t.Context(), &Notify{To: "slack", URL: "env:HOOK"}, m)
			took := time.Since(began)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(printable(err.Error()), c.err) {
				t.Errorf("got the error %v, want %q", err, c.err)
			}
			if err != nil && strings.Contains(err.Error(), "secret-path") {
				t.Errorf("the error tells the secret: %v", err)
			}
			server.mu.Lock() // a server that stalls still takes requests
			got := append([]*http.Request(nil), server.got...)
			server.mu.Unlock()
			if n := len(got); n != c.requests && (c.requests > 0 || n < 3) {
				t.Errorf("got %d requests, want %d", n, c.requests)
			}
			if took < c.least || took > limit+2*time.Second {
				t.Errorf("took %v, want at least %v and not much more than %v", took, c.least, limit)
			}
			for _, r := range got {
				if r.Header.Get("Idempotency-Key") != m.RunID || m.RunID == "" {
					t.Errorf("got the key %q, want %q", r.Header.Get("Idempotency-Key"), m.RunID)
				}
			}
		})
	}
	t.Run("an interrupt", func(t *testing.T) {
		server := newReceiver(t, slicesOf(answer(503), 99)...)
		s, m := notifying(t, map[string]string{"HOOK": server.URL}, time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		if err := s.send(ctx, &Notify{To: "slack", URL: "env:HOOK"}, m); err == nil || time.Since(began) > 5*time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}

func slicesOf(f func(w http.ResponseWriter, r *http.Request), n int) (all []func(w http.ResponseWriter, r *http.Request)) {
	for range n {
		all = append(all, f)
	}
	return all
}

// If this fails, a receiver cannot tell who sent a message, or a log writes into it.
func TestNotifyChannels(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("t0ken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*Notify{{To: "slack", URL: "env:URL"}, {To: "teams", URL: "env:URL"}, {To: "webhook", URL: "env:URL", Secret: "env:KEY"}, {To: "splunk", URL: "env:URL", Token: "file:" + token}} {
		server := newReceiver(t)
		s, m := notifying(t, map[string]string{"URL": server.URL, "KEY": "k3y"}, 5*time.Second)
		if err := s.send(t.Context(), n, m); err != nil {
			t.Fatalf("%s: %v", n.To, err)
		}
		if many := len(server.bodies) > 1; many != (n.To == "splunk") { // in parts: the names are long
			t.Fatalf("%s: got %d requests", n.To, len(server.bodies))
		}
		body, r := bytes.Join(server.bodies, nil), server.got[0]
		if n.To == "teams" && len(body) > 28_000 {
			t.Errorf("teams: the message has %d bytes, and would be refused", len(body))
		}
		values := 0
		for d := json.NewDecoder(bytes.NewReader(body)); d.More(); values++ {
			var v any
			if err := d.Decode(&v); err != nil {
				t.Fatalf("%s: %v", n.To, err)
			}
			text := fmt.Sprint(v)
			for _, bad := range []string{"\x1b", "\u202e", "\r", "Bcc: all@corp.example\n"} {
				if strings.Contains(text, bad) {
					t.Errorf("%s: the message holds %q", n.To, bad)
				}
			}
			if n.To == "slack" && (strings.Contains(text, "<!channel>") || !strings.Contains(text, "&lt;!channel&gt;") || strings.Contains(text, "http://evil")) {
				t.Errorf("slack: a mention or a link: %.3000s", text)
			}
		}
		switch n.To {
		case "slack":
			var v struct {
				Blocks []struct{ Text struct{ Type, Text string } }
				Unfurl bool `json:"unfurl_links"`
			}
			json.Unmarshal(body, &v)
			if len(v.Blocks) != 14 || v.Unfurl { // header, warning, verdict, 10 findings, close
				t.Errorf("got %d blocks", len(v.Blocks))
			}
			for _, b := range v.Blocks {
				if n := len([]rune(b.Text.Text)); n == 0 || n > 3000 {
					t.Errorf("a block has %d characters", n)
				}
			}
			if last := v.Blocks[13].Text.Text; !strings.HasPrefix(last, "… and 4 more in the reports.\nReports: s3://reports/nightly/2026-11-20") {
				t.Errorf("the message closes with %q", last)
			}
		case "teams":
			if bytes.Contains(body, []byte(`"TextBlock"`)) {
				t.Error("teams: a TextBlock is read as Markdown")
			}
		case "webhook":
			sum := hmac.New(sha256.New, []byte("k3y"))
			sum.Write(body)
			if got, want := r.Header.Get("X-Outflow-Signature"), "sha256="+hex.EncodeToString(sum.Sum(nil)); got != want {
				t.Errorf("got the signature %s, want %s", got, want)
			}
		case "splunk":
			if r.URL.Path != "/services/collector/event" || r.Header.Get("Authorization") != "Splunk t0ken" || values != 14*3 {
				t.Errorf("got %d events at %s, authorised by %q", values, r.URL.Path, r.Header.Get("Authorization"))
			}
		}
	}
	// One part that is refused does not keep the others from being sent.
	server := newReceiver(t, answer(413))
	s, m := notifying(t, map[string]string{"URL": server.URL}, 5*time.Second)
	err := s.send(t.Context(), &Notify{To: "splunk", URL: "env:URL", Token: "file:" + token}, m)
	if want := len(m.Splunk(hecBytes)); err == nil || !strings.Contains(err.Error(), "413") || len(server.got) != want {
		t.Errorf("got %d of %d requests, and the error %v", len(server.got), want, err)
	}
	parts := m.Splunk(1_000_000)
	for i, part := range parts {
		if len(part) > 1_000_000 || i < len(parts)-1 && len(part) < 500_000 || part[len(part)-1] != '\n' {
			t.Errorf("part %d of %d has %d bytes", i, len(parts), len(part))
		}
	}
	if len(parts) < 2 || bytes.Count(bytes.Join(parts, nil), []byte("\n")) != 14*3 {
		t.Errorf("got %d parts with %d events", len(parts), bytes.Count(bytes.Join(parts, nil), []byte("\n")))
	}
}

// A mailServer speaks as much SMTP as it must. A reply that the script has for a command
// is given once, in the order of the script; "stall" answers nothing, "hang up" ends the
// connection.
type mailServer struct {
	addr   string
	tls    *tls.Config // offered by STARTTLS; nil: not offered
	mu     sync.Mutex
	script []string // "DATA 451 busy"
	conns  int
	clear  []string // commands that came without TLS
	mails  []string
}

// gets sends a message to the server. It checks the error, "" for none, the time that it
// takes, and the connections; 0 stands for three or more.
func (s *mailServer) gets(t *testing.T, from *notifier, n *Notify, m *reports.Message, conns int, says string) {
	t.Helper()
	if err := n.check(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err := from.send(t.Context(), n, m)
	if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
		t.Errorf("got the error %v, want %q", err, says)
	}
	if took := time.Since(began); took > 7*time.Second {
		t.Errorf("took %v", took)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns != conns && (conns > 0 || s.conns < 3) {
		t.Errorf("got %d connections, want %d", s.conns, conns)
	}
}

// newMailServer returns a server that speaks clear text.
func newMailServer(t *testing.T, script ...string) *mailServer {
	s := &mailServer{script: script}
	s.listen(t, nil)
	return s
}

// listen accepts connections, with TLS from the start if implicit is set.
func (s *mailServer) listen(t *testing.T, implicit *tls.Config) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.addr = l.Addr().String()
	if implicit != nil {
		l = tls.NewListener(l, implicit)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go s.serve(c)
		}
	}()
}

func (s *mailServer) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	s.mu.Lock()
	s.conns++
	s.mu.Unlock()
	io.WriteString(c, "220 test\r\n")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		command, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		reply := map[string]string{"EHLO": "250-test\r\n250 AUTH PLAIN LOGIN", "DATA": "354 go on", "QUIT": "221 bye", "AUTH": "235 welcome", "STARTTLS": "220 go on"}[command]
		if reply == "" {
			reply = "250 ok"
		}
		_, encrypted := c.(*tls.Conn)
		if command == "EHLO" && s.tls != nil && !encrypted {
			reply = "250-test\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"
		}
		s.mu.Lock()
		if !encrypted {
			s.clear = append(s.clear, command)
		}
		if len(s.script) > 0 {
			if said, ok := strings.CutPrefix(s.script[0], command+" "); ok {
				reply, s.script = said, s.script[1:]
			}
		}
		s.mu.Unlock()
		if reply == "stall" {
			in.ReadString('\n') // until the client gives up
			return
		}
		if reply == "hang up" {
			return
		}
		io.WriteString(c, reply+"\r\n")
		if command == "STARTTLS" && reply == "220 go on" {
			c = tls.Server(c, s.tls)
			in = bufio.NewReader(c)
		}
		if command == "DATA" && strings.HasPrefix(reply, "354") {
			var text strings.Builder
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(line)
			}
			s.mu.Lock()
			s.mails = append(s.mails, text.String())
			s.mu.Unlock()
			io.WriteString(c, "250 taken\r\n")
		}
	}
}

// If this fails, a mail is lost in a moment of trouble, an account is locked by retries, or
// a log writes headers.
func TestNotifyMail(t *testing.T) {
	for _, c := range []struct {
		name   string
		script []string
		conns  int // 0: at least 3
		err    string
	}{
		{"well", nil, 1, ""},
		{"busy", []string{"DATA 451 try later", "MAIL 421 not now"}, 3, ""},
		{"a stall", []string{"EHLO stall"}, 2, ""},
		{"a stall late", []string{"MAIL stall"}, 2, ""},
		{"no such mailbox", []string{"RCPT 550 no such \x1b[31mmailbox"}, 1, "550"},
		{"wrong password", []string{"AUTH 535 no"}, 1, "535"},
		{"greylisting", []string{"RCPT 450 4.2.0 greylisted, come back"}, 2, ""},
		{"hangs up", []string{"EHLO hang up", "DATA hang up"}, 3, ""},
		{"a stall at the end", []string{"QUIT stall"}, 1, ""},
		{"an error at the end", []string{"QUIT 421 not now"}, 1, ""},
		{"no login", []string{"EHLO 250 test"}, 1, "does not support SMTP AUTH"},
		{"stalls for ever", strings.Split(strings.Repeat("EHLO stall,", 20), ",")[:20], 0, "attempts)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := newMailServer(t, c.script...)
			s, m := notifying(t, map[string]string{"PASSWORD": "pass"}, 4*time.Second)
			n := &Notify{To: "mail", Server: server.addr, From: "outflow@corp.example", Recipients: []string{"soc@corp.example", "Ann Lee <ann@corp.example>"},
				User: "outflow", Password: "env:PASSWORD"}
			server.gets(t, s, n, m, c.conns, c.err)
			server.mu.Lock()
			defer server.mu.Unlock()
			if c.err != "" {
				return
			}
			if len(server.mails) != 1 {
				t.Fatalf("got %d mails, want 1", len(server.mails))
			}
			got, err := mail.ReadMessage(strings.NewReader(server.mails[0]))
			if err != nil {
				t.Fatal(err)
			}
			subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
			if err != nil || subject != "INCOMPLETE: outflow nightly, Friday 20 November 2026: 14 findings" {
				t.Errorf("got the subject %q: %v", subject, err)
			}
			if got.Header.Get("Bcc") != "" || got.Header.Get("Message-Id") != "<"+m.RunID+"@outflow.invalid>" || !strings.HasPrefix(got.Header.Get("Content-Type"), "multipart/alternative") {
				t.Errorf("got the header %v", got.Header)
			}
			var html strings.Builder
			if err := m.HTML(&html); err != nil || strings.Contains(html.String(), "<https") || strings.Contains(html.String(), "<!channel") || strings.Contains(html.String(), "href") {
				t.Errorf("%v: %s", err, &html)
			}
			if strings.Contains(m.Text(), "http://evil") || strings.ContainsAny(m.Text(), "\x1b\r\u202e") || !strings.Contains(m.Text(), `\r\nBcc: all@corp`) {
				t.Errorf("got the text %s", m.Text())
			}
		})
	}
}

// If this fails, a secret stands in a file that is backed up and shared, or goes over the
// wire for all to read.
func TestNotifyCheck(t *testing.T) {
	for _, c := range []struct {
		n    Notify
		want string
	}{
		{Notify{To: "pager"}, `to: unknown channel "pager": want one of slack, teams, webhook, splunk, mail`},
		{Notify{To: "slack"}, "url is missing: slack needs it"},
		{Notify{To: "slack", URL: "https://hooks.slack.com/services/T0/B0/x"}, "url: a secret does not belong into the configuration: name where it is, env:NAME or file:PATH"},
		{Notify{To: "slack", URL: "env:HOOK"}, ""},
		{Notify{To: "slack", URL: "env:HOOK", Token: "env:X"}, "slack has no use for token"},
		{Notify{To: "webhook", URL: "http://soar.corp.example/x"}, "url: want https: who reads on the way learns what was found"},
		{Notify{To: "webhook", URL: "http://127.0.0.1:8080/x"}, ""},
		{Notify{To: "webhook", URL: "soar.corp.example"}, "url: want a URL like https://hooks.corp.example/outflow"},
		{Notify{To: "webhook", URL: "https://soar.corp.example", Secret: "hunter2"}, "secret: a secret does not belong"},
		{Notify{To: "splunk", URL: "https://hec.corp.example:8088"}, "token is missing: splunk needs it"},
		{Notify{To: "mail", Server: "smtp.corp.example", From: "outflow", Recipients: []string{"soc@corp.example"}}, "from: "},
		{Notify{To: "mail", Server: "smtp.corp.example", From: "outflow@corp.example", Recipients: []string{"soc@corp.example\r\nBcc: x@evil.example"}}, "recipients: "},
		{Notify{To: "mail", Server: "smtp.corp.example:x", From: "outflow@corp.example", Recipients: []string{"soc@corp.example"}}, `server "smtp.corp.example:x": want a host and a port`},
		{Notify{To: "mail", Server: "smtp.corp.example", From: "outflow@corp.example", Recipients: []string{"soc@corp.example"}, User: "outflow"}, "password is missing"},
		{Notify{To: "mail", Server: "smtp.corp.example", From: "outflow@corp.example", Recipients: []string{"soc@corp.example"}}, ""},
		{Notify{To: "slack", URL: "env:HOOK", Level: "loud"}, "level: "},
	} {
		err := c.n.check()
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.n, err, c.want)
		}
	}
	s, m := notifying(t, nil, time.Second)
	for _, n := range []*Notify{{To: "slack", URL: "env:NONE"}, {To: "slack", URL: "file:/nowhere"}, {To: "webhook", URL: "http://127.0.0.1:1", Secret: "env:NONE"}} {
		if err := s.send(t.Context(), n, m); err == nil || !strings.Contains(err.Error(), "not set") && !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%+v: got %v", n, err)
		}
	}
}

// If this fails, a night without a finding wakes somebody, one with a finding does not, or
// a message that cannot be sent costs the report.
func TestNotifyOfNights(t *testing.T) {
	server := newReceiver(t)
	s := newSite(t, datedURI)
	config := "inputs:\n  - {name: cloud, uri: '" + datedURI + "'}\nnotify:\n  - {to: webhook, url: '" + server.URL + "', level: medium}\n"
	s.write("outflow.yaml", []byte(config))
	s.quiet(21)
	s.run(19)
	if len(server.bodies) != 0 {
		t.Fatalf("a quiet night: got the message %s", server.bodies[0])
	}
	s.write("logs/2026-03-20/theft.csv", uploads("2026-03-20T22:00 ann 9000000000"))
	s.run(20)
	var v struct {
		RunID    string `json:"run_id"`
		Findings []struct{ Entity string }
		Reports  string
	}
	if len(server.bodies) != 1 {
		t.Fatalf("got %d messages, want 1", len(server.bodies))
	}
	if err := json.Unmarshal(server.bodies[0], &v); err != nil || len(v.Findings) == 0 || v.Findings[0].Entity != "ann" || v.Reports != "out/nightly/2026-03-20" {
		t.Errorf("%v: got %s", err, server.bodies[0])
	}
	if got := s.ran("out/nightly/2026-03-20").RunID; got != v.RunID {
		t.Errorf("the message is of run %s, run.json of %s", v.RunID, got)
	}
	s.run(20)
	if len(server.bodies) != 2 || server.got[0].Header.Get("Idempotency-Key") != server.got[1].Header.Get("Idempotency-Key") {
		t.Errorf("the same night again: got %d messages, or another key", len(server.bodies))
	}
	s.write("logs/2026-03-21/broken.csv.gz", []byte("\x1f\x8b this is no gzip"))
	s.run(21)
	if len(server.bodies) != 3 || !bytes.Contains(server.bodies[2], []byte(`"incomplete":"INCOMPLETE: 1 of`)) {
		t.Errorf("an incomplete night: got %d messages", len(server.bodies))
	}

	server.script = slicesOf(answer(400), 9)
	os.RemoveAll(filepath.Join(s.dir, "out"))
	stderr := s.run(20, "--quiet")
	if !strings.Contains(stderr, `the message to webhook was not sent: the server answered 400: said \x1b[31mno`) {
		t.Errorf("a quiet run does not say that the message was not sent: %s", stderr)
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "out/nightly/2026-03-20/run.json"))
	if err != nil || !strings.Contains(string(text), `"sent": false`) {
		t.Errorf("%v: run.json does not say that the message was not sent:\n%s", err, text)
	}
	if got := s.metric("nightly", `notifications_failed{outflow_job="nightly"}`); got != "1" {
		t.Errorf("got %q failed messages, want 1", got)
	}
	if s.reports(20)["findings.csv"] == "" {
		t.Error("the report is lost")
	}
}
