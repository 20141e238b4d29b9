package jobs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dry runs a command with --dry-run, which must write nothing, and returns what it says.
func (s *site) dry(args ...string) (f dryForm, code int, stderr string) {
	s.t.Helper()
	w := world{t: s.t, dir: s.dir}
	before := w.files()
	code, stdout, stderr := invoke(s.t, s.dir, append(args, "--config", "outflow.yaml", "--dry-run", "--as", "json")...)
	if err := json.Unmarshal([]byte(stdout), &f); err != nil && code != exitConfig {
		s.t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	if diff := differences(w.files(), before); len(diff) > 0 {
		s.t.Errorf("it wrote:\n%s", strings.Join(diff, "\n"))
	}
	return f, code, stderr
}

// names returns the objects that a run would read.
func (f *dryForm) names() (out []string) {
	for _, o := range f.Objects {
		out = append(out, o.Name)
	}
	return out
}

// If this fails, a dry run lists other logs than the run then reads, or other days.
func TestDryRun(t *testing.T) {
	s := smallSite(t)
	first, code, stderr := s.dry("run", "nightly", "--day", "2026-03-20")
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var want []string
	for day := 16; day <= 21; day++ { // what follows a day may have its last events
		want = append(want, fmt.Sprintf("logs/2026-03-%d/a.csv", day))
	}
	if got := first.names(); !slices.Equal(got, want) || first.Total.Objects != 6 || first.Total.Bytes == 0 || first.Requests != nil {
		t.Errorf("first night: got %+v, want the objects %v", first, want)
	}
	if len(first.Days) != 1 || first.Days[0] != "2026-03-20" || !slices.Contains(first.History, "2026-03-16") || slices.Contains(first.History, "2026-03-20") {
		t.Errorf("first night: got days %v, history %v", first.Days, first.History)
	}
	s.run(20)
	s.write("logs/2026-03-17/late.csv", uploads("2026-03-17T22:00 ann 9000000"))
	s.write("logs/2026-03-22/a.csv", uploads("2026-03-22T10:00 ann 1100000"))
	next, code, stderr := s.dry("run", "nightly", "--at", "2026-03-23T02:00:00Z")
	if code != exitOK || !strings.Contains(stderr, "the night 2026-03-21 was missed") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	want = []string{"logs/2026-03-17/late.csv", "logs/2026-03-21/a.csv", "logs/2026-03-22/a.csv"}
	if got := next.names(); !slices.Equal(got, want) || !next.Objects[0].Late || next.Objects[1].Late || next.Known.Objects == 0 {
		t.Errorf("next nights: got %+v, want the objects %v, the first late", next, want)
	}
	if !slices.Equal(next.Days, []string{"2026-03-21", "2026-03-22"}) {
		t.Errorf("next nights: got days %v", next.Days)
	}
	past, code, stderr := s.dry("backfill", "--from", "2026-03-16", "--to", "2026-03-17")
	if code != exitOK || len(past.History) != 2 || len(past.Objects) != 3 {
		t.Errorf("backfill: exit %d, %+v: %s", code, past, stderr)
	}
	if f, code, stderr := s.dry("scan", "logs"); code != exitOK || f.Total.Objects != 8 {
		t.Errorf("scan: exit %d, %+v: %s", code, f, stderr)
	}
	if f, code, stderr := s.dry("run", "hourly-dns", "--at", "2026-03-20T15:10:00Z"); code != exitOK || f.Total.Objects != 1 {
		t.Errorf("hourly-dns: exit %d, %+v: %s", code, f, stderr)
	}
	_, stdout, _ := invoke(t, s.dir, "run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-21", "--dry-run", "-v")
	for _, want := range []string{"days to judge: 2026-03-21\n", "1 object came late", "logs/2026-03-17/late.csv  late\n", "\ntotal", "\ntime: about "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the text does not say %q:\n%s", want, stdout)
		}
	}
}

// If this fails, a dry run passes where the run would not, or says so in other words.
func TestDryRunExits(t *testing.T) {
	inputs := "inputs:\n  - {name: cloud, uri: 'logs/{yyyy}-{mm}-{dd}/'}\n"
	for name, c := range map[string]struct {
		config string
		args   []string
		code   int
	}{
		"an input without its folder":           {inputs + "  - {name: gone, uri: gone/logs}\n", []string{"--strict"}, exitPartial},
		"the same, when that is allowed":        {inputs + "  - {name: gone, uri: gone/logs}\n", nil, exitOK},
		"no input can be listed":                {"inputs:\n  - {name: gone, uri: gone/logs}\n", nil, exitConfig},
		"no logs, when some are required":       {"inputs:\n  - {name: none, uri: 'none/{yyyy}-{mm}-{dd}/'}\n", []string{"--require-input"}, exitNoInput},
		"no logs of an input that is required":  {inputs + "  - {name: none, uri: 'none/{yyyy}-{mm}-{dd}/', require: true}\n", nil, exitNoInput},
		"no inputs":                             {"own: [a.example]\n", nil, exitConfig},
		"an input that only has logs elsewhere": {inputs + "  - {name: none, uri: 'none/{yyyy}-{mm}-{dd}/'}\n", []string{"--strict"}, exitOK},
	} {
		t.Run(name, func(t *testing.T) {
			s := smallSite(t)
			s.write("outflow.yaml", []byte(c.config))
			_, code, dry := s.dry(append([]string{"run", "nightly", "--day", "2026-03-20", "-q"}, c.args...)...)
			real, _, wet := invoke(t, s.dir, append([]string{"run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20", "-q"}, c.args...)...)
			if code != c.code || real != c.code {
				t.Errorf("exit %d and %d, want %d: %s%s", code, real, c.code, dry, wet)
			}
			last := func(s string) string { lines := strings.Split(strings.TrimSpace(s), "\n"); return lines[len(lines)-1] }
			// A real run counts more objects as read, if history has any.
			of := func(s string) string { _, rest, _ := strings.Cut(s, " objects "); return rest }
			if c.code != exitOK && last(dry) != last(wet) && (of(dry) == "" || of(last(dry)) != of(last(wet))) {
				t.Errorf("a dry run says\n%sthe run\n%s", dry, wet)
			}
		})
	}
}

// If this fails, a dry run opens logs in a bucket, or its count of requests is not what the
// run then makes.
func TestDryRunOnS3(t *testing.T) {
	server := newS3Server(t)
	s := smallSite(t)
	for day := 16; day <= 21; day++ {
		name := fmt.Sprintf("2026-03-%d/a.csv", day)
		body, err := os.ReadFile(filepath.Join(s.dir, "logs", name))
		if err != nil {
			t.Fatal(err)
		}
		server.put(t, name, body)
	}
	s.write("outflow.yaml", []byte("inputs: [{name: cloud, uri: 's3://logs/{yyyy}-{mm}-{dd}/'}]\ns3: {endpoint_url: '"+server.url+"'}\n"))
	f, code, stderr := s.dry("run", "nightly", "--day", "2026-03-20")
	if opened := server.opened(); code != exitOK || len(opened) > 0 {
		t.Fatalf("exit %d, opened %v: %s", code, opened, stderr)
	}
	lists := server.listed()
	if f.Total.Objects != 6 || f.Requests == nil || f.Requests.Get != 6 || f.Requests.List != int64(lists) || f.Requests.USD <= 0 {
		t.Errorf("got %+v, %+v, want 6 objects and GETs, %d LISTs", f, f.Requests, lists)
	}
	if code, _, stderr := invoke(t, s.dir, "run", "nightly", "--config", "outflow.yaml", "--day", "2026-03-20"); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	// History and the night both read the object of the 20th.
	if gets := server.opened(); int64(len(gets)) != f.Requests.Get+1 {
		t.Errorf("the run opened %v, and the dry run counts %d", gets, f.Requests.Get)
	}
	if got := server.listed(); got < lists || got > 2*lists {
		t.Errorf("the run listed %d times, the dry run %d", got, lists)
	}
}
