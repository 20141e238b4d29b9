package jobs

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// An s3Server is an S3 server in this process, with a bucket logs.
type s3Server struct {
	url     string
	backend *s3mem.Backend

	mu    sync.Mutex
	gets  []string // keys of logs that were opened
	lists int      // LIST requests of the bucket logs
	// refused are the keys of logs that nobody may open.
	refused map[string]bool
	// flips says of how many answers with a log a bit flips.
	flips map[string]int
}

// newS3Server also sets the environment, so that neither the developer's own environment
// nor an instance role matters.
func newS3Server(t *testing.T) *s3Server {
	t.Helper()
	empty := filepath.Join(t.TempDir(), "empty")
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "",
		"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "",
		"AWS_CONFIG_FILE": empty, "AWS_SHARED_CREDENTIALS_FILE": empty, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
	} {
		t.Setenv(k, v)
	}
	s := &s3Server{backend: s3mem.New()}
	for _, bucket := range []string{"logs", "outflow"} {
		if err := s.backend.CreateBucket(bucket); err != nil {
			t.Fatal(err)
		}
	}
	fake := gofakes3.New(s.backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if key, ok := strings.CutPrefix(r.URL.Path, "/logs/"); ok && key != "" && r.Method == http.MethodGet {
			s.mu.Lock()
			s.gets = append(s.gets, key)
			refused := s.refused[key]
			flip := s.flips[key] > 0
			if flip {
				s.flips[key]--
			}
			s.mu.Unlock()
			if flip {
				answer := httptest.NewRecorder()
				fake.ServeHTTP(answer, r)
				body := answer.Body.Bytes()
				body[len(body)*2/3] ^= 0x10
				pass(w, answer, len(body), body)
				return
			}
			if refused {
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, "<Error><Code>AccessDenied</Code></Error>")
				return
			}
		}
		if r.Method == http.MethodGet && r.URL.Query().Has("list-type") && strings.HasPrefix(r.URL.Path, "/logs") {
			s.mu.Lock()
			s.lists++
			s.mu.Unlock()
		}
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// put writes an object of the bucket logs.
func (s *s3Server) put(t *testing.T, key string, body []byte) {
	t.Helper()
	if _, err := s.backend.PutObject("logs", key, nil, bytes.NewReader(body), int64(len(body)), nil); err != nil {
		t.Fatal(err)
	}
}

// listed returns the number of LIST requests since the last call.
func (s *s3Server) listed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.lists
	s.lists = 0
	return n
}

// opened returns the logs that were opened since the last call.
func (s *s3Server) opened() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	gets := s.gets
	s.gets = nil
	return gets
}

// get returns an object of the bucket outflow.
func (s *s3Server) get(t *testing.T, key string) string {
	t.Helper()
	resp, err := http.Get(s.url + "/outflow/" + key)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", key, resp.Status, err)
	}
	return b.String()
}

func gzipped(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// onS3 is fixtures/outflow.yaml with the logs, state and reports in buckets,
// under the same names as on disk.
func onS3(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "fixtures/outflow.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config := strings.ReplaceAll(string(text), "uri: fixtures/data/", "uri: s3://logs/")
	config = strings.Replace(config, "\nstate: state\n", "\nstate: s3://outflow/state\n", 1)
	config = strings.Replace(config, "\nout: out\n", "\nout: s3://outflow/out\n", 1)
	if strings.Count(config, "s3://") != strings.Count(string(text), "uri:")+2 {
		t.Fatalf("fixtures/outflow.yaml has another form than this test knows:\n%s", config)
	}
	name := filepath.Join(dir, "s3.yaml")
	if err := os.WriteFile(name, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// If this fails, a night over buckets does not find what the same night over
// folders finds, or a second run of it does not give the same bytes.
func TestNightlyOnS3(t *testing.T) {
	dir := filepath.Dir(fixtures(t))
	const day = "2026-11-20"
	if code, _, stderr := invoke(t, dir, "run", "nightly", "--config", "fixtures/outflow.yaml", "--day", day); code != exitOK {
		t.Fatalf("on disk: exit %d: %s", code, stderr)
	}
	onDisk, err := os.ReadFile(filepath.Join(dir, "out/nightly", day, "findings.csv"))
	if err != nil {
		t.Fatal(err)
	}
	server := newS3Server(t)
	logs := os.DirFS(filepath.Join(dir, "fixtures/data"))
	if err := fs.WalkDir(logs, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(logs, name)
		if err == nil {
			server.put(t, name, body)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	run := func() map[string]string {
		code, stdout, stderr := invoke(t, dir, "run", "nightly", "--config", onS3(t, dir), "--day", day, "--s3-endpoint-url", server.url)
		if code != exitOK {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		if want := "report: s3://outflow/out/nightly/" + day + "/report.html"; !strings.Contains(stdout, want) {
			t.Errorf("stdout does not say %q:\n%s", want, stdout)
		}
		files := map[string]string{}
		for _, name := range []string{"findings.csv", "report.html", "inputs.csv"} {
			files[name] = server.get(t, "out/nightly/"+day+"/"+name)
		}
		files["done"] = server.get(t, "state/v2/aggregate=user_day/date="+day+"/_done.json")
		return files
	}
	first := run()
	want := strings.ReplaceAll(string(onDisk), "fixtures/data/", "s3://logs/")
	if got := first["findings.csv"]; got != want || strings.Count(got, "\n") < 3 {
		t.Errorf("findings.csv: got\n%s\nwant, as on disk,\n%s", got, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "s3:")); err == nil {
		t.Error("a bucket's name was taken for a folder")
	}
	server.opened()
	again := run()
	for name := range first {
		if again[name] != first[name] {
			t.Errorf("%s: another after a second run", name)
		}
	}
	for _, key := range server.opened() {
		if strings.Contains(key, "2026-11-18") || strings.Contains(key, "20261118") {
			t.Errorf("the second run of %s read %s", day, key)
		}
	}
}
