package jobs

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"outflow/columnar/store"
)

// This file runs nights against a real S3 server, versitygw, behind a proxy that breaks
// some of its answers.

// A fault breaks an answer of the S3 server. What it returns goes to the client; nil: the
// fault has seen to it.
type fault struct {
	name  string
	rates []int // percent of the requests that it is about
	// about says whether it can break the answer to a request.
	about func(*http.Request) bool
	serve func(w http.ResponseWriter, r *http.Request, upstream http.Handler)
	most  int64 // how many answers are broken at most; 0: no limit
}

// faults are what servers, and what stands before them, were seen to do.
var faults = []fault{
	{"503 SlowDown", []int{5, 20, 50}, everyRequest, refuse(http.StatusServiceUnavailable, "SlowDown"), 0},
	{"500 InternalError", []int{5, 20, 50}, everyRequest, refuse(http.StatusInternalServerError, "InternalError"), 0},
	{"reset before the answer", []int{5, 20, 50}, everyRequest, func(w http.ResponseWriter, r *http.Request, upstream http.Handler) {
		reset(w)
	}, 0},
	{"done, but the answer is lost", []int{5, 20, 50}, everyRequest, func(w http.ResponseWriter, r *http.Request, upstream http.Handler) {
		upstream.ServeHTTP(httptest.NewRecorder(), r)
		reset(w)
	}, 0},
	{"body cut, length right", []int{5, 20, 50}, isGet, half(true), 0},
	{"body cut, length wrong", []int{5, 20, 50}, isGet, half(false), 0},
	{"resumed elsewhere", []int{5, 20, 50}, isObject, ranged(func(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
		var off, end, size int
		fmt.Sscanf(answer.Header().Get("Content-Range"), "bytes %d-%d/%d", &off, &end, &size)
		answer.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off-1, end, size))
		body := append([]byte{0}, answer.Body.Bytes()...)
		pass(w, answer, len(body), body)
	}), 0},
	{"range ignored", []int{5, 20, 50}, isObject, ranged(func(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
		answer.Header().Del("Content-Range")
		answer.Code = http.StatusOK
		pass(w, answer, answer.Body.Len(), answer.Body.Bytes())
	}), 0},
	// Under TLS no bit flips on its way. A plain server's listing has no checksum, so only
	// objects are broken.
	{"a bit of an object flipped", []int{5, 20, 50}, isObject, func(w http.ResponseWriter, r *http.Request, upstream http.Handler) {
		answer := httptest.NewRecorder()
		upstream.ServeHTTP(answer, r)
		body := answer.Body.Bytes()
		if len(body) > 0 {
			body[rand.IntN(len(body))] ^= 1 << rand.IntN(8) // noise hits another one each time
		}
		pass(w, answer, len(body), body)
	}, 0},
	// A silence lasts half a minute until the client gives up, so there are few.
	{"stalled within the body", []int{5}, isGet, func(w http.ResponseWriter, r *http.Request, upstream http.Handler) {
		answer := httptest.NewRecorder()
		upstream.ServeHTTP(answer, r)
		pass(w, answer, answer.Body.Len(), answer.Body.Bytes()[:answer.Body.Len()/2])
		<-r.Context().Done()
	}, 3},
}

func everyRequest(*http.Request) bool { return true }
func isGet(r *http.Request) bool      { return r.Method == http.MethodGet }
func isObject(r *http.Request) bool   { return isGet(r) && !r.URL.Query().Has("list-type") }

func refuse(status int, code string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>later</Message></Error>", code)
	}
}

// half sends half of a body. right says whether its length is that of the whole body.
func half(right bool) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, upstream http.Handler) {
		answer := httptest.NewRecorder()
		upstream.ServeHTTP(answer, r)
		body := answer.Body.Bytes()[:answer.Body.Len()/2]
		length := len(body)
		if right {
			length = answer.Body.Len()
		}
		pass(w, answer, length, body)
		if right && length > 0 {
			panic(http.ErrAbortHandler) // closes the connection
		}
	}
}

// ranged cuts a body, so that the client asks for the rest, and breaks the answer to that.
func ranged(wrongly func(http.ResponseWriter, *httptest.ResponseRecorder)) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, upstream http.Handler) {
		if from := strings.TrimPrefix(r.Header.Get("Range"), "bytes="); from == "" || from[0] == '-' || from[0] == '0' {
			half(true)(w, r, upstream)
			return
		}
		answer := httptest.NewRecorder()
		upstream.ServeHTTP(answer, r)
		if answer.Code != http.StatusPartialContent {
			pass(w, answer, answer.Body.Len(), answer.Body.Bytes())
			return
		}
		wrongly(w, answer)
	}
}

// pass sends an answer with another length and body.
func pass(w http.ResponseWriter, answer *httptest.ResponseRecorder, length int, body []byte) {
	maps.Copy(w.Header(), answer.Header())
	w.Header().Set("Content-Length", strconv.Itoa(length))
	w.WriteHeader(answer.Code)
	w.Write(body)
	w.(http.Flusher).Flush()
}

// reset ends the connection as a crashed server does.
func reset(w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// A gateway is versitygw on a folder, and the proxy before it.
type gateway struct {
	dir      string
	direct   string // URL of versitygw
	url      string // URL of the proxy
	upstream *httputil.ReverseProxy

	mu       sync.Mutex
	fault    *fault
	rate     int // percent
	rand     *rand.Rand
	requests atomic.Int64
	broken   atomic.Int64
}

// newGateway starts versitygw with the buckets logs and outflow.
func newGateway(t *testing.T) *gateway {
	server := os.Getenv("OUTFLOW_S3_SERVER")
	if server == "" {
		t.Skip("make faulttest names an S3 server in OUTFLOW_S3_SERVER")
	}
	newS3Server(t) // sets the environment
	g := &gateway{dir: t.TempDir()}
	for _, bucket := range []string{"logs", "outflow"} {
		if err := os.Mkdir(filepath.Join(g.dir, bucket), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	c := exec.Command(server, "--access", "key", "--secret", "secret", "--port", address, "--quiet", "posix", g.dir)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		if t.Failed() {
			t.Logf("versitygw: %s", said.String())
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	g.direct = "http://" + address
	target, err := url.Parse(g.direct)
	if err != nil {
		t.Fatal(err)
	}
	g.upstream = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	proxy := httptest.NewServer(g)
	t.Cleanup(proxy.Close)
	g.url = proxy.URL
	return g
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.requests.Add(1)
	g.mu.Lock()
	f := g.fault
	broken := f != nil && f.about(r) && g.rand.IntN(100) < g.rate && (f.most == 0 || g.broken.Load() < f.most)
	g.mu.Unlock()
	if !broken {
		g.upstream.ServeHTTP(w, r)
		return
	}
	g.broken.Add(1)
	f.serve(w, r, g.upstream)
}

// set makes the proxy break answers from now on. nil: none.
func (g *gateway) set(f *fault, rate int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault, g.rate, g.rand = f, rate, rand.New(rand.NewPCG(1, uint64(rate)))
	g.requests.Store(0)
	g.broken.Store(0)
}

// put writes objects of the bucket logs, past the proxy.
func (g *gateway) put(t *testing.T, objects map[string][]byte) {
	t.Helper()
	s, err := store.Open(t.Context(), "s3://logs", store.Options{EndpointURL: g.direct})
	if err != nil {
		t.Fatal(err)
	}
	names := make(chan string)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for name := range names {
				if err := s.Put(t.Context(), name, bytes.NewReader(objects[name]), store.Always); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for name := range objects {
		names <- name
	}
	close(names)
	all.Wait()
}

// empty removes state and reports.
func (g *gateway) empty(t *testing.T) {
	t.Helper()
	for _, name := range []string{"state", "out"} {
		if err := os.RemoveAll(filepath.Join(g.dir, "outflow", name)); err != nil {
			t.Fatal(err)
		}
	}
}

// made returns what runs made: the results among the objects of the bucket outflow.
func (g *gateway) made(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	root := filepath.Join(g.dir, "outflow")
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			if e != nil && e.Name() == ".sgwtmp" {
				return fs.SkipDir
			}
			return err
		}
		text, err := os.ReadFile(name)
		if short := strings.TrimPrefix(name, root+"/"); !strings.HasSuffix(short, "lock.json") {
			out[short] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return results(out)
}

// A ran is what a process of outflow took and said.
type ran struct {
	code   int
	took   time.Duration
	memory int64 // peak, in bytes
	stderr string
}

// run runs outflow as a process, with its state and reports in the bucket outflow.
func (g *gateway) run(t *testing.T, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], append(args, "--config", "outflow.yaml", "--state", "s3://outflow/state", "--out", "s3://outflow/out",
		"--s3-endpoint-url", g.url)...)
	c.Args[0] = "outflow" // by this name, the test's binary is the program
	c.Dir = g.dir
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OUTFLOW_") }) // they are this test's
	var stderr bytes.Buffer
	c.Stderr = &stderr
	begun := time.Now()
	err := c.Run()
	if c.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("%v: %v: %s", args, err, stderr.String())
	}
	usage := c.ProcessState.SysUsage().(*syscall.Rusage)
	return ran{c.ProcessState.ExitCode(), time.Since(begun), usage.Maxrss << 10, stderr.String()}
}

// If this fails, a fault of the network or of an S3 server changes what a night finds
// without a word, or the next night does not heal it. OUTFLOW_FAULTS is an expression that
// the names of the faults match; without it, there are all.
func TestFaults(t *testing.T) {
	g := newGateway(t)
	logs, r := map[string][]byte{}, rand.New(rand.NewPCG(7, 7))
	for day := 9; day <= 21; day++ {
		for object := range 4 {
			var events []string
			for n := range 1500 {
				sent := 1_000 + r.IntN(9_000)
				if day == 21 && object == 2 && n == 750 {
					sent = 9_000_000_000
				}
				events = append(events, fmt.Sprintf("2026-03-%02dT%02d:%02d user%d %d", day, object*6+n/300, n/10%60, r.IntN(30), sent))
			}
			logs[fmt.Sprintf("2026-03-%02d/%d.csv.gz", day, object)] = gzipped(t, uploads(events...))
		}
	}
	g.put(t, logs)
	config := "inputs:\n  - {name: cloud, uri: 's3://logs/{yyyy}-{mm}-{dd}/'}\n"
	if err := os.WriteFile(filepath.Join(g.dir, "outflow.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	night := []string{"run", "nightly", "--day", "2026-03-21", "--strict"}
	g.set(nil, 0)
	g.run(t, night...) // the first reads logs and program from disk
	g.empty(t)
	g.set(nil, 0)
	clean := g.run(t, night...)
	want := g.made(t)
	if clean.code != exitOK || !strings.Contains(want["out/nightly/2026-03-21/findings.csv"], "upload_zscore") {
		t.Fatalf("exit %d: %s", clean.code, clean.stderr)
	}
	only := regexp.MustCompile(os.Getenv("OUTFLOW_FAULTS"))
	t.Log("| fault | % | exit | s | times clean | requests | broken | said |")
	t.Logf("| none | | %d | %.1f | | %d | | |", clean.code, clean.took.Seconds(), g.requests.Load())
	for i := range faults {
		f := &faults[i]
		if !only.MatchString(f.name) {
			continue
		}
		for _, rate := range f.rates {
			g.empty(t)
			g.set(f, rate)
			got := g.run(t, night...)
			requests, broken := g.requests.Load(), g.broken.Load()
			g.set(nil, 0)
			said := ""
			if got.code == exitOK {
				if d := differences(g.made(t), want); len(d) > 0 {
					t.Errorf("%s, %d %%: exit 0, but other results: %q\n%s", f.name, rate, d, got.stderr)
				}
			} else {
				for line := range strings.Lines(got.stderr) {
					if strings.HasPrefix(line, "outflow: ") {
						said = strings.TrimSpace(line) // the last
					}
				}
				if !strings.Contains(said, "s3://") && !strings.Contains(got.stderr, "s3://") {
					t.Errorf("%s, %d %%: exit %d without a name: %s", f.name, rate, got.code, got.stderr)
				}
				if again := g.run(t, night...); again.code != exitOK {
					t.Errorf("%s, %d %%: the run after it: exit %d: %s", f.name, rate, again.code, again.stderr)
				}
				if d := differences(g.made(t), want); len(d) > 0 {
					t.Errorf("%s, %d %%: not healed by the next run: %q", f.name, rate, d)
				}
			}
			if broken == 0 {
				t.Errorf("%s, %d %%: no answer was broken", f.name, rate)
			}
			t.Logf("| %s | %d | %d | %.1f | %.1f | %d | %d | %s |", f.name, rate, got.code, got.took.Seconds(),
				got.took.Seconds()/clean.took.Seconds(), requests, broken, said)
		}
	}
}

// If this fails, a night of many objects does not read each of them once, or needs memory
// for each. OUTFLOW_OBJECTS says how many there are.
func TestManyObjects(t *testing.T) {
	g := newGateway(t)
	n := 1000
	if text := os.Getenv("OUTFLOW_OBJECTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	logs := map[string][]byte{}
	for i := range n {
		logs[fmt.Sprintf("2026-03-20/%02d/%06d.csv", i%24, i)] = uploads(fmt.Sprintf("2026-03-20T%02d:%02d user%d %d", i%24, i%60, i%500, 1000+i))
	}
	begun := time.Now()
	g.put(t, logs)
	t.Logf("%d objects written in %v", n, time.Since(begun).Round(time.Second))
	config := "backfill: false\ninputs:\n  - {name: cloud, uri: 's3://logs/{yyyy}-{mm}-{dd}/'}\n"
	if err := os.WriteFile(filepath.Join(g.dir, "outflow.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, again := range []string{"first", "second"} {
		g.set(nil, 0)
		got := g.run(t, "run", "nightly", "--day", "2026-03-20", "--strict")
		if got.code != exitOK {
			t.Fatalf("exit %d: %s", got.code, got.stderr)
		}
		inputs := g.made(t)["out/nightly/2026-03-20/inputs.csv"]
		if rows := strings.Count(inputs, "\n") - 1; rows != n {
			t.Errorf("got %d inputs, want %d", rows, n)
		}
		requests := g.requests.Load()
		t.Logf("%s night: %.1f s, peak memory %d MiB, %d requests", again, got.took.Seconds(), got.memory>>20, requests)
		// One for each object, the listings, and what state and reports take.
		if most := int64(n + n/1000*4 + 500); requests > most {
			t.Errorf("%d requests for %d objects, want %d at most", requests, n, most)
		}
	}
}
