package jobs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"

	"outflow/reports"
	"outflow/stats/detect"
)

// This file tells people and other programs of a run that has written its reports.

// A Notify is a channel that is told of a run with a finding of a level or higher, or with
// logs that were not read.
type Notify struct {
	To         string   `yaml:"to" doc:"slack, teams, webhook, splunk or mail"`
	Level      string   `yaml:"level" doc:"the least severity of a finding that is worth a message, high if not set; a run with logs that were not read is always worth one"`
	Always     bool     `yaml:"always" doc:"send a message after every run"`
	URL        string   `yaml:"url" doc:"of the webhook, or of Splunk up to the port: https, or http to this machine. It is a secret for slack and teams"`
	Secret     string   `yaml:"secret" doc:"of a webhook: the key of the header X-Outflow-Signature, sha256= and the HMAC of the body in hexadecimal digits"`
	Token      string   `yaml:"token" doc:"of Splunk's HTTP Event Collector"`
	Server     string   `yaml:"server" doc:"of mail: host and port, 587 if not set. Port 465 and smtps://host:port are TLS from the start; others must offer STARTTLS, except this machine"`
	User       string   `yaml:"user" doc:"of mail: who logs in; empty: nobody"`
	Password   string   `yaml:"password" doc:"of mail"`
	From       string   `yaml:"from" doc:"of mail: the sender's address"`
	Recipients []string `yaml:"recipients" doc:"of mail: addresses"`

	level detect.Severity
}

// channels says which keys a channel needs, and which it may have.
var channels = map[string]struct{ needs, may []string }{
	"slack":   {[]string{"url"}, nil},
	"teams":   {[]string{"url"}, nil},
	"webhook": {[]string{"url"}, []string{"secret"}},
	"splunk":  {[]string{"url", "token"}, nil},
	"mail":    {[]string{"server", "from", "recipients"}, []string{"user", "password"}},
}

// channelNames lists the channels in the order in which they are documented.
var channelNames = []string{"slack", "teams", "webhook", "splunk", "mail"}

// keys returns the values of the keys that not every channel has.
func (n *Notify) keys() []struct{ key, value string } {
	return []struct{ key, value string }{{"url", n.URL}, {"secret", n.Secret}, {"token", n.Token}, {"server", n.Server}, {"user", n.User},
		{"password", n.Password}, {"from", n.From}, {"recipients", strings.Join(n.Recipients, ",")}}
}

// check checks the entry and resolves its level.
func (n *Notify) check() error {
	c, ok := channels[n.To]
	if !ok {
		return fmt.Errorf("to: unknown channel %q: want one of %s", n.To, strings.Join(channelNames, ", "))
	}
	for _, k := range n.keys() {
		switch need := slices.Contains(c.needs, k.key); {
		case need && k.value == "":
			return fmt.Errorf("%s is missing: %s needs it", k.key, n.To)
		case !need && k.value != "" && !slices.Contains(c.may, k.key):
			return fmt.Errorf("%s has no use for %s", n.To, k.key)
		}
	}
	secrets := []struct{ key, value string }{{"secret", n.Secret}, {"token", n.Token}, {"password", n.Password}}
	if n.To == "slack" || n.To == "teams" {
		secrets = append(secrets, struct{ key, value string }{"url", n.URL})
	}
	for _, s := range secrets {
		if s.value != "" && !isReference(s.value) {
			return fmt.Errorf("%s: a secret does not belong into the configuration: name where it is, env:NAME or file:PATH", s.key)
		}
	}
	if n.URL != "" && !isReference(n.URL) {
		if err := checkURL(n.URL); err != nil {
			return fmt.Errorf("url: %w", err)
		}
	}
	if n.User != "" && n.Password == "" {
		return errors.New("password is missing: user has no use without it")
	}
	if n.To == "mail" {
		// Addresses are headers: the library refuses malformed ones.
		if err := n.addresses(mail.NewMsg()); err != nil {
			return err
		}
		if _, err := n.relay(); err != nil {
			return err
		}
	}
	var err error
	if n.level, err = detect.ParseSeverity(cmp.Or(n.Level, detect.High.String())); err != nil {
		return fmt.Errorf("level: %w", err)
	}
	return nil
}

// notifyCatalogue lists the keys of an entry.
func notifyCatalogue() *catalogue {
	c := &catalogue{columns: []string{"key", "meaning"}}
	for f := range reflect.TypeFor[Notify]().Fields() {
		if key := f.Tag.Get("yaml"); key != "" {
			c.rows = append(c.rows, []string{key, f.Tag.Get("doc")})
		}
	}
	return c
}

func (n *Notify) addresses(m *mail.Msg) error {
	if err := m.From(n.From); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	if err := m.To(n.Recipients...); err != nil {
		return fmt.Errorf("recipients: %w", err)
	}
	return nil
}

// A relay is a server that takes mail.
type relay struct {
	host string
	port int
	tls  bool // from the start
}

func (n *Notify) relay() (relay, error) {
	at, implicit := strings.CutPrefix(n.Server, "smtps://")
	host, text, err := net.SplitHostPort(at)
	if err != nil {
		host, text = at, "587"
		if implicit {
			text = "465"
		}
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 || host == "" || strings.ContainsAny(host, "/ ") {
		return relay{}, fmt.Errorf("server %q: want a host and a port, as in smtp.corp.example:587", n.Server)
	}
	return relay{host, port, implicit || port == 465}, nil
}

// checkURL returns an error if a secret sent there could be read on the way.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return errors.New("want a URL like https://hooks.corp.example/outflow")
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && isLocal(u.Hostname())) {
		return errors.New("want https: who reads on the way learns what was found")
	}
	return nil
}

// isLocal reports whether a host is this machine.
func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// isReference reports whether a value names where it is, instead of being it.
func isReference(value string) bool {
	return strings.HasPrefix(value, "env:") || strings.HasPrefix(value, "file:")
}

// resolve returns the value that a reference names, or the value itself. It has no line
// break or other control character: these end headers.
func (p *program) resolve(value string) (string, error) {
	text, err := p.referred(value)
	if err == nil && strings.ContainsFunc(text, unicode.IsControl) {
		err = errors.New("it has a line break or another control character")
	}
	return text, err
}

// referred is resolve for any text.
func (p *program) referred(value string) (string, error) {
	if name, ok := strings.CutPrefix(value, "env:"); ok {
		text, _ := p.env(name)
		if text == "" {
			return "", fmt.Errorf("the variable %s is not set", name)
		}
		return text, nil
	}
	if name, ok := strings.CutPrefix(value, "file:"); ok {
		text, err := os.ReadFile(name)
		if err == nil && len(bytes.TrimSpace(text)) == 0 {
			err = fmt.Errorf("%s is empty", name)
		}
		return string(bytes.TrimSpace(text)), err
	}
	return value, nil
}

// How long a message may take. A run waits for it, so a channel that does not answer must
// not hold up a night.
const (
	notifyLimit   = 60 * time.Second // for a channel, with all repetitions
	notifyAttempt = 15 * time.Second // for one attempt
	notifyPause   = time.Second      // before the first repetition; each further one waits twice as long
	// hecBytes is how much one request may bring to Splunk, whose limit is 1 MB by default.
	hecBytes = 900_000
)

// A notifier sends messages.
type notifier struct {
	p                     *program
	http                  *http.Client
	limit, attempt, pause time.Duration
	roots                 *x509.CertPool         // that a mail server's certificate must come from; nil: the system's
	local                 func(host string) bool // reports whether mail to a host stays on this machine
}

func (p *program) newNotifier() *notifier {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableKeepAlives = true
	return &notifier{
		p: p, local: isLocal, limit: cmp.Or(p.patience, notifyLimit), attempt: cmp.Or(p.patience/4, notifyAttempt), pause: cmp.Or(p.patience/50, notifyPause),
		// A redirection would take the message, and its secret, elsewhere.
		http: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// notify tells the channels of a run for which a message is due. What was not sent is
// said, in the run's record as well; it does not make the run fail.
func (r *runRecord) notify(p *program) {
	place := strings.TrimSuffix(r.config.Out, "/") + "/" + r.folder
	var due []*Notify
	for _, n := range r.config.Notify {
		if n.Always || r.Due(n.level) {
			due = append(due, n)
			r.Notified = append(r.Notified, reports.Notified{To: n.To})
		}
	}
	together(len(due), len(due), func(i int) error { // all have the same minute
		if err := p.newNotifier().send(p.ctx, due[i], r.Message(due[i].level, place)); err != nil {
			r.Notified[i].Error = err.Error()
		}
		return nil
	})
	for _, n := range r.Notified {
		if n.Error != "" {
			p.say(slog.LevelWarn, fmt.Sprintf("the message to %s was not sent: %s", n.To, n.Error))
		}
	}
}

// send sends a message by a channel. The error has no secret of the channel.
func (s *notifier) send(ctx context.Context, n *Notify, m *reports.Message) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	var err error
	if n.To == "mail" {
		err = s.mail(ctx, n, m)
	} else {
		err = s.message(ctx, n, m)
	}
	if err != nil {
		return errors.New(s.p.masked(n, err.Error()))
	}
	return nil
}

// masked returns a text, such as the answer of a server that repeats what it was sent,
// without the secrets of a channel.
func (p *program) masked(n *Notify, text string) string {
	for _, value := range []string{n.Secret, n.Token, n.Password, n.URL} {
		secret, err := p.resolve(value)
		if err != nil || secret == "" {
			continue
		}
		all := []string{secret}
		if u, err := url.Parse(secret); err == nil && u.User != nil {
			password, _ := u.User.Password()
			all = append(all, u.User.String(), password)
		}
		for _, secret := range all {
			if len(secret) > 3 {
				text = strings.ReplaceAll(text, secret, "…")
			}
		}
	}
	return text
}

// message sends a message by HTTP.
func (s *notifier) message(ctx context.Context, n *Notify, m *reports.Message) error {
	to, err := s.p.resolve(n.URL)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if err := checkURL(to); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"outflow"}, "Idempotency-Key": {m.RunID}}
	switch n.To {
	case "slack":
		return s.post(ctx, to, header, m.Slack())
	case "teams":
		return s.post(ctx, to, header, m.Teams())
	case "splunk":
		token, err := s.p.resolve(n.Token)
		if err != nil {
			return fmt.Errorf("token: %w", err)
		}
		header.Set("Authorization", "Splunk "+token)
		var first error
		for i, body := range m.Splunk(hecBytes) {
			header.Set("Idempotency-Key", fmt.Sprintf("%s-%d", m.RunID, i))
			err := s.post(ctx, strings.TrimSuffix(to, "/")+"/services/collector/event", header, body)
			if first = cmp.Or(first, err); ctx.Err() != nil {
				break
			}
		}
		return first
	}
	body := m.Webhook()
	if n.Secret != "" {
		secret, err := s.p.resolve(n.Secret)
		if err != nil {
			return fmt.Errorf("secret: %w", err)
		}
		sum := hmac.New(sha256.New, []byte(secret))
		sum.Write(body)
		header.Set("X-Outflow-Signature", "sha256="+hex.EncodeToString(sum.Sum(nil)))
	}
	return s.post(ctx, to, header, body)
}

// push gives the metrics of a job to a Pushgateway, in place of those of its last run.
func (s *notifier) push(ctx context.Context, gateway, job string, metrics []byte) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	to := strings.TrimSuffix(gateway, "/") + "/metrics/job/outflow/outflow_job/" + url.PathEscape(job)
	return s.request(ctx, http.MethodPut, to, http.Header{"Content-Type": {"text/plain; version=0.0.4"}, "User-Agent": {"outflow"}}, metrics)
}

// A refusal is an answer that says that a message was not taken.
type refusal struct {
	text  string
	again bool          // it may be taken later
	after time.Duration // not before that; 0: not said
}

func (r *refusal) Error() string { return r.text }

func (s *notifier) post(ctx context.Context, to string, header http.Header, body []byte) error {
	return s.request(ctx, http.MethodPost, to, header, body)
}

// request sends a body, again if the server is busy or does not answer.
func (s *notifier) request(ctx context.Context, method, to string, header http.Header, body []byte) error {
	return s.repeat(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
		if err != nil {
			return &refusal{text: "no request can be made of the url"} // the error would have it, and it may be a secret
		}
		req.Header = header
		resp, err := s.http.Do(req)
		if err != nil {
			if u, ok := errors.AsType[*url.Error](err); ok {
				err = u.Err // without the URL
			}
			_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
			return &refusal{text: err.Error(), again: !untrusted}
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		if resp.StatusCode >= 200 && resp.StatusCode < 300 {
			return nil
		}
		r := &refusal{text: "the server answered " + strconv.Itoa(resp.StatusCode)}
		if text := strings.TrimSpace(string(text)); text != "" {
			r.text += ": " + text
		}
		r.again = resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout || resp.StatusCode >= 500
		r.after = retryAfter(resp.Header.Get("Retry-After"), s.p.now())
		return r
	})
}

// retryAfter returns how long a header asks to wait: seconds, or a time.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return time.Duration(min(n, 86400)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// repeat calls f until it succeeds, fails for good, or no time is left for another pause.
func (s *notifier) repeat(ctx context.Context, f func(ctx context.Context) error) error {
	pause := s.pause
	for attempt := 1; ; attempt++ {
		one, cancel := context.WithTimeout(ctx, s.attempt)
		err := f(one)
		cancel()
		r, ok := errors.AsType[*refusal](err)
		if err == nil || !ok || !r.again {
			return err
		}
		// Half of the pause is by chance, so that many runs do not come back together.
		wait := max(pause/2+rand.N(pause), r.after)
		deadline, _ := ctx.Deadline()
		if ctx.Err() != nil || time.Until(deadline) <= wait {
			return fmt.Errorf("%w (%s)", err, counted(attempt, "attempt"))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%s)", err, counted(attempt, "attempt"))
		case <-time.After(wait):
		}
		pause *= 2
	}
}

// mail sends the message by SMTP.
func (s *notifier) mail(ctx context.Context, n *Notify, m *reports.Message) error {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := n.addresses(msg); err != nil {
		return err
	}
	msg.Subject(m.Subject())
	msg.SetDateWithValue(s.p.now().UTC())
	msg.SetMessageIDWithValue(m.RunID + "@outflow.invalid") // a repeated mail of one run shows once
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	var html strings.Builder
	if err := m.HTML(&html); err != nil {
		return err
	}
	msg.SetBodyString(mail.TypeTextPlain, m.Text())
	msg.AddAlternativeString(mail.TypeTextHTML, html.String())

	to, err := n.relay()
	if err != nil {
		return err
	}
	policy, auth := mail.TLSMandatory, mail.SMTPAuthAutoDiscover
	if !to.tls && s.local(to.host) {
		policy, auth = mail.NoTLS, mail.SMTPAuthPlainNoEnc
	}
	options := []mail.Option{mail.WithPort(to.port), mail.WithTimeout(s.attempt), mail.WithTLSPolicy(policy), mail.WithoutNoop(),
		mail.WithTLSConfig(&tls.Config{ServerName: to.host, MinVersion: tls.VersionTLS12, RootCAs: s.roots})}
	if to.tls {
		options = append(options, mail.WithSSL())
	}
	if n.User != "" {
		password, err := s.p.resolve(n.Password)
		if err != nil {
			return fmt.Errorf("password: %w", err)
		}
		options = append(options, mail.WithSMTPAuth(auth), mail.WithUsername(n.User), mail.WithPassword(password))
	}
	return s.repeat(ctx, func(ctx context.Context) error {
		c, err := mail.NewClient(to.host, options...)
		if err != nil {
			return err
		}
		err = c.DialAndSendWithContext(ctx, msg)
		if err == nil || msg.IsDelivered() { // a server that took it may still fail to say goodbye
			return nil
		}
		return &refusal{text: err.Error(), again: mayPass(err)}
	})
}

// mayPass reports whether a mail that failed may succeed later. A wrong password must not be
// tried until the account is locked, and a server without TLS has none a minute later.
func mayPass(err error) bool {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return reply.Code < 500
	}
	if sent, ok := errors.AsType[*mail.SendError](err); ok {
		return sent.IsTemp() || sent.ErrorCode() == 0
	}
	_, network := errors.AsType[net.Error](err) // the server was not reached, or fell silent
	return network || errors.Is(err, io.EOF)
}
