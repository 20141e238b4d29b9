package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func days(t *testing.T, texts ...string) []time.Time {
	t.Helper()
	var ds []time.Time
	for _, text := range texts {
		d, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		ds = append(ds, d)
	}
	return ds
}

func TestExpand(t *testing.T) {
	hours := make([]string, 24)
	for h := range hours {
		hours[h] = fmt.Sprintf("2026/11/20/%02d/", h)
	}
	for _, c := range []struct {
		uri  string
		days []string
		want []string
	}{
		{"s3://b/{yyyy}/{mm}/{dd}/", []string{"2026-11-20", "2026-12-01"}, []string{"s3://b/2026/11/20/", "s3://b/2026/12/01/"}},
		{"x-{yyyy}{mm}", []string{"2026-11-20", "2026-11-21", "2026-12-01"}, []string{"x-202611", "x-202612"}},
		{"{dd}.{dd}", []string{"2026-01-09"}, []string{"09.09"}},
		{"{yyyy}/{mm}/{dd}/{hh}/", []string{"2026-11-20"}, hours},
		{"x", []string{"2026-11-20", "2026-11-21"}, []string{"x"}},
		{"x/{mm}", nil, []string{"x/[0-9][0-9]"}},
		{"plain", nil, []string{"plain"}},
		{"{account}/{region}/{yyyy}", []string{"2026-11-20"}, []string{"*/*/2026"}},
		{"year={yyyy}/month={m}/day={d}/", []string{"2026-03-09", "2026-11-20"}, []string{"year=2026/month=3/day=9/", "year=2026/month=11/day=20/"}},
		{"y={yyyy}/m={mm}/d={dd}/h=*/m=00/", []string{"2026-11-20"}, []string{"y=2026/m=11/d=20/h=*/m=00/"}},
		{`\{yyyy}/{yyyy}`, []string{"2026-11-20"}, []string{`\{yyyy}/2026`}},
	} {
		got, err := Expand(c.uri, days(t, c.days...))
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, %v, want %q", c.uri, got, err, c.want)
		}
	}
	for uri, want := range map[string]string{
		"x/{day}/":     "template {day: want {yyyy}, {mm}, {m}, {dd}, {d}, {hh}, {account} or {region}",
		"x/{yyyy/{mm}": "template {yyyy/: want {yyyy}, {mm}, {m}, {dd}, {d}, {hh}, {account} or {region}",
		"x/{yyyy":      "template {yyyy: want {yyyy}, {mm}, {m}, {dd}, {d}, {hh}, {account} or {region}",
	} {
		if got, err := Expand(uri, nil); err == nil || err.Error() != want {
			t.Errorf("%s: got %q, %v, want %s", uri, got, err, want)
		}
	}
}

// tree is created on disk and in S3. An empty body marks a folder in S3.
var tree = map[string]string{
	"AWSLogs/111/CloudTrail/eu-1/2026/11/19/a.json.gz":                         "x",
	"AWSLogs/111/CloudTrail/eu-1/2026/11/20/b.json.gz":                         "x",
	"AWSLogs/111/CloudTrail/us-1/2026/11/20/c.json.gz":                         "x",
	"AWSLogs/222/CloudTrail/eu-1/2026/11/20/d.json.gz":                         "x",
	"AWSLogs/222/CloudTrail/eu-1/2026/11/21/e.json.gz":                         "x",
	"AWSLogs/111/CloudTrail-Digest/eu-1/2026/11/20/f.json.gz":                  "x",
	"AWSLogs/111/elasticloadbalancing/eu-1/2026/11/20/g.gz":                    "x",
	"hive/year=2026/month=3/day=9/a.parquet":                                   "x",
	"hive/year=2026/month=11/day=20/b.parquet":                                 "x",
	"lake2/dt%3D2026-11-20/c.parquet":                                          "x",
	"lake2/dt=2026-11-21/d.parquet":                                            "x",
	"lake3/r%3Deu-1/dt%3D2026-11-20/e.parquet":                                 "x",
	"lake3/r=eu-2/dt=2026-11-20/f.parquet":                                     "x",
	"lake3/r=eu-2/dt=2026-11-21/g.parquet":                                     "x",
	"times/12%3A30-20261120.log":                                               "x",
	"times/12:30-20261120.log":                                                 "x",
	"azure/resourceId=/SUBSCRIPTIONS/s-1/y=2026/m=11/d=20/h=05/m=00/PT1H.json": "x",
	"azure/resourceId=/SUBSCRIPTIONS/s-1/y=2026/m=00/d=20/h=05/m=11/PT1H.json": "x",
	"squid/access.log-20261119.gz":                                             "x",
	"squid/access.log-20261120":                                                "x",
	"squid/access.log-20261120.gz":                                             "x",
	"squid/cache.log-20261120":                                                 "x",
	"squid/old/access.log-20261120":                                            "x",
	"lake/date=2026-11-20/part-0.parquet":                                      "x",
	"lake/date=2026-11-20/.part-0.parquet.crc":                                 "x",
	"lake/date=2026-11-20/part-1.parquet.crc":                                  "x",
	"lake/date=2026-11-20/part-1.parquet.sha256":                               "x",
	"lake/date=2026-11-20/_SUCCESS":                                            "",
	"lake/_temporary/0/part-9.parquet":                                         "x",
	"lake/metadata/v1.metadata.json":                                           "x",
	"lake/copy.log.part":                                                       "x",
	"lake/[odd]*.log":                                                          "x",
	".hidden/x.log":                                                            "x",
	"zeek/2026-11-20/conn.00:00:00-01:00:00.log.gz":                            "x",
	"zeek/2026-11-20/dns.00:00:00-01:00:00.log.gz":                             "x",
	"zeek/2026-11-20/sensor/dns.log":                                           "x",
	"zeek/2026-11-21/dns.log":                                                  "x",
}

func TestGlob(t *testing.T) {
	const digest = " CloudTrail-Digest:1"
	cases := []struct {
		pattern string
		days    []string
		want    string // names, sorted
		skipped string
	}{
		// What a nightly job does.
		{"AWSLogs/*/CloudTrail/*/{yyyy}/{mm}/{dd}/", []string{"2026-11-20"},
			"AWSLogs/111/CloudTrail/eu-1/2026/11/20/b.json.gz AWSLogs/111/CloudTrail/us-1/2026/11/20/c.json.gz AWSLogs/222/CloudTrail/eu-1/2026/11/20/d.json.gz", ""},
		{"AWSLogs/*/CloudTrail/*/{yyyy}/{mm}/{dd}/", []string{"2026-11-19", "2026-11-21", "2026-11-19"},
			"AWSLogs/111/CloudTrail/eu-1/2026/11/19/a.json.gz AWSLogs/222/CloudTrail/eu-1/2026/11/21/e.json.gz", ""},
		{"AWSLogs/*/CloudTrail/*/{yyyy}/{mm}/{dd}/", []string{"2031-01-01"}, "", ""},
		{"AWSLogs/*/Cloud*/eu-1/2026/11/20/", nil,
			"AWSLogs/111/CloudTrail/eu-1/2026/11/20/b.json.gz AWSLogs/222/CloudTrail/eu-1/2026/11/20/d.json.gz", digest},
		{"AWSLogs/*/CloudTrail-Digest/**", nil, "AWSLogs/111/CloudTrail-Digest/eu-1/2026/11/20/f.json.gz", ""},
		{"squid/access.log-{yyyy}{mm}{dd}*", []string{"2026-11-20"}, "squid/access.log-20261120 squid/access.log-20261120.gz", ""},
		{"squid/access.log-{yyyy}{mm}{dd}*", nil, "squid/access.log-20261119.gz squid/access.log-20261120 squid/access.log-20261120.gz", ""},
		{"zeek/{yyyy}-{mm}-{dd}/dns.*", []string{"2026-11-20", "2026-11-21"},
			"zeek/2026-11-20/dns.00:00:00-01:00:00.log.gz zeek/2026-11-21/dns.log", ""},
		{"zeek/*/dns.*", nil, "zeek/2026-11-20/dns.00:00:00-01:00:00.log.gz zeek/2026-11-21/dns.log", ""},
		{"zeek/**/dns.*", nil, "zeek/2026-11-20/dns.00:00:00-01:00:00.log.gz zeek/2026-11-20/sensor/dns.log zeek/2026-11-21/dns.log", ""},
		{"zeek/*/*", nil, "zeek/2026-11-20/conn.00:00:00-01:00:00.log.gz zeek/2026-11-20/dns.00:00:00-01:00:00.log.gz zeek/2026-11-21/dns.log", ""},

		// Hive partitions, with keys that are percent-encoded or not.
		{"hive/year={yyyy}/month={m}/day={d}/", []string{"2026-03-09", "2026-03-10"}, "hive/year=2026/month=3/day=9/a.parquet", ""},
		{"hive/year={yyyy}/month={mm}/day={dd}/", []string{"2026-11-20"}, "hive/year=2026/month=11/day=20/b.parquet", ""},
		{"hive/year={yyyy}/month={m}/day={d}/", nil, "hive/year=2026/month=11/day=20/b.parquet hive/year=2026/month=3/day=9/a.parquet", ""},
		{"lake2/dt={yyyy}-{mm}-{dd}/", []string{"2026-11-20"}, "lake2/dt%3D2026-11-20/c.parquet", ""},
		{"lake2/dt={yyyy}-{mm}-{dd}", []string{"2026-11-20", "2026-11-21"}, "lake2/dt%3D2026-11-20/c.parquet lake2/dt=2026-11-21/d.parquet", ""},
		{"lake2/dt={yyyy}-{mm}-{dd}/*.parquet", []string{"2026-11-21"}, "lake2/dt=2026-11-21/d.parquet", ""},
		{"lake2/dt=*/*", nil, "lake2/dt%3D2026-11-20/c.parquet lake2/dt=2026-11-21/d.parquet", ""},
		{"lake2/**/dt=2026-11-20/*", nil, "lake2/dt%3D2026-11-20/c.parquet", ""},
		{"lake3/r={region}/dt={yyyy}-{mm}-{dd}/", []string{"2026-11-20"},
			"lake3/r%3Deu-1/dt%3D2026-11-20/e.parquet lake3/r=eu-2/dt=2026-11-20/f.parquet", ""},
		{"times/12:30-{yyyy}{mm}{dd}.log", []string{"2026-11-20"}, "times/12%3A30-20261120.log times/12:30-20261120.log", ""},
		{"times/12:30-{yyyy}{mm}{dd}*", []string{"2026-11-20"}, "times/12%3A30-20261120.log times/12:30-20261120.log", ""},
		// Azure's second m= is the minute.
		{"azure/resourceId=/*/{account}/y={yyyy}/m={mm}/d={dd}/", []string{"2026-11-20"},
			"azure/resourceId=/SUBSCRIPTIONS/s-1/y=2026/m=11/d=20/h=05/m=00/PT1H.json", ""},

		// A * stays within a segment; ? and [] are one character.
		{"squid/*", nil, "squid/access.log-20261119.gz squid/access.log-20261120 squid/access.log-20261120.gz squid/cache.log-20261120", ""},
		{"squid/[a-b]*-2026112?", nil, "squid/access.log-20261120", ""},
		{"squid/**", nil, "squid/access.log-20261119.gz squid/access.log-20261120 squid/access.log-20261120.gz squid/cache.log-20261120 squid/old/access.log-20261120", ""},
		{"*/access.log-20261120", nil, "squid/access.log-20261120", " hidden (. or _):1"},
		{"**/access.log-20261120", nil, "squid/access.log-20261120 squid/old/access.log-20261120", ""},
		{"squ*/", nil, "squid/access.log-20261119.gz squid/access.log-20261120 squid/access.log-20261120.gz squid/cache.log-20261120 squid/old/access.log-20261120", ""},

		// Folders and files.
		{"zeek/2026-11-21", nil, "zeek/2026-11-21/dns.log", ""},
		{"zeek/2026-11-21/", nil, "zeek/2026-11-21/dns.log", ""},
		{"squid/access.log-20261120", nil, "squid/access.log-20261120", ""},
		{"zeek/{yyyy}-{mm}-{dd}", []string{"2026-11-21", "2026-11-22"}, "zeek/2026-11-21/dns.log", ""},

		// Files that are not logs are left out, unless they are named.
		{"lake/", nil, "lake/[odd]*.log lake/date=2026-11-20/part-0.parquet",
			" checksum (.crc):2 checksum (.sha256):1 hidden (. or _):2 table metadata:1 unfinished:1"},
		{"lake/date=*/*.parquet", nil, "lake/date=2026-11-20/part-0.parquet", ""},
		{"lake/_temporary/", nil, "lake/_temporary/0/part-9.parquet", ""},
		{"lake/metadata/v1.metadata.json", nil, "lake/metadata/v1.metadata.json", ""},
		{`lake/\[odd\]*`, nil, "lake/[odd]*.log", ""},
		{".hidden/*", nil, ".hidden/x.log", ""},
		{"*/x.log", nil, "", " hidden (. or _):1"},
		{"none/*", nil, "", ""},
		{"squid/{yyyy}/", []string{"2026-11-20"}, "", ""},
	}
	run := func(t *testing.T, base string, o Options) {
		for _, c := range cases {
			f, err := Glob(t.Context(), base+c.pattern, days(t, c.days...), o)
			if err != nil {
				t.Errorf("%s: %v", c.pattern, err)
				continue
			}
			var got []string
			for _, o := range f.Objects {
				got = append(got, strings.TrimPrefix(o.URI, base))
				if b, err := ReadAll(t.Context(), o.Store, o.Name); err != nil || int64(len(b)) != o.Size || o.ETag == "" || o.Written.IsZero() {
					t.Errorf("%s: %s: got %q, %v, want what its entry %v says", c.pattern, o.URI, b, err, o.Entry)
				}
			}
			skipped := ""
			for _, s := range f.Skipped {
				skipped += fmt.Sprintf(" %s:%d", s.Reason, s.Count)
			}
			if g := strings.Join(got, " "); g != c.want || skipped != c.skipped {
				t.Errorf("%s %v:\n got %s |%s\nwant %s |%s", c.pattern, c.days, g, skipped, c.want, c.skipped)
			}
		}
		for _, pattern := range []string{"none", "none/", "squid/access.log", "squid/access.log-20261120/x"} {
			_, err := Glob(t.Context(), base+pattern, nil, o)
			if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), base+pattern) {
				t.Errorf("%s: got %v, want not exist, with its name", pattern, err)
			}
		}
		for _, pattern := range []string{"squid/[", "squid/{yyy}/*"} {
			if f, err := Glob(t.Context(), base+pattern, nil, o); err == nil {
				t.Errorf("%s: got %v and no error", pattern, f)
			}
		}
	}
	t.Run("disk", func(t *testing.T) {
		dir := t.TempDir()
		for n, body := range tree {
			write(t, filepath.Join(dir, n), body)
		}
		run(t, dir+"/", Options{})
		t.Chdir(dir)
		f, err := Glob(t.Context(), "squid/c*", nil, Options{})
		if err != nil || len(f.Objects) != 1 || f.Objects[0].URI != "squid/cache.log-20261120" {
			t.Errorf("relative: got %v, %v", f, err)
		}
		if f, err = Glob(t.Context(), "lake/[odd]*.log", nil, Options{}); err != nil || len(f.Objects) != 1 {
			t.Errorf("a name that looks like a glob: got %v, %v", f, err)
		}
		if f, err = Glob(t.Context(), "file://"+dir+"/squid/c*", nil, Options{}); err != nil || f.Objects[0].URI != dir+"/squid/cache.log-20261120" {
			t.Errorf("file URI: got %v, %v", f, err)
		}
	})
	t.Run("s3", func(t *testing.T) {
		server := newS3Server(t)
		s := mustOpen(t, "s3://"+bucket, server.options())
		for n, body := range tree {
			put(t, s, n, body)
		}
		run(t, "s3://"+bucket+"/", server.options())
		put(t, s, "marked/", "")
		put(t, s, "marked/sub_$folder$", "")
		f, err := Glob(t.Context(), "s3://"+bucket+"/marked/", nil, server.options())
		if err != nil || len(f.Objects) != 0 || fmt.Sprint(f.Skipped) != "[{folder marker 2}]" {
			t.Errorf("folder with nothing but markers: got %v, %v", f, err)
		}
	})
}

// If this fails, rows get the wrong account: it is the text in the name.
func TestGlobAccounts(t *testing.T) {
	files := []string{
		"AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/20/a.gz",
		"AWSLogs/444455556666/CloudTrail/eu-west-1/2026/11/20/b.gz",
		"org/o-abc/111122223333/x-777788889999-2026/c.gz",
		"enc/accountId%3D111122223333/d.gz",
		"enc/accountId=4444 5555%2F/e.gz",
		"deep/q/w/acct-9/f.gz",
	}
	run := func(t *testing.T, base string, o Options) {
		for pattern, want := range map[string]string{
			"AWSLogs/{account}/CloudTrail/{region}/{yyyy}/{mm}/{dd}/": "a:111122223333 b:444455556666",
			"AWSLogs/*/CloudTrail/{account}/{yyyy}/{mm}/{dd}/":        "a:eu-west-1 b:eu-west-1",
			"AWSLogs/*/CloudTrail/*/{yyyy}/{mm}/{dd}/":                "a: b:",
			"org/o-*/*/x-{account}-{yyyy}/":                           "c:777788889999",
			"org/o-*/{account}/":                                      "c:111122223333",
			"enc/accountId={account}/*":                               "d:111122223333 e:4444 5555%2F",
			"deep/**/{account}/f.gz":                                  "f:acct-9",
			// Two accounts that differ: neither is the row's.
			"org/o-*/{account}/x-{account}-2026/": "c:",
		} {
			f, err := Glob(t.Context(), base+pattern, days(t, "2026-11-20"), o)
			if err != nil {
				t.Errorf("%s: %v", pattern, err)
				continue
			}
			var got []string
			for _, o := range f.Objects {
				got = append(got, strings.TrimSuffix(filepath.Base(o.URI), ".gz")+":"+o.Account)
			}
			if g := strings.Join(got, " "); g != want {
				t.Errorf("%s: got %s, want %s", pattern, g, want)
			}
		}
	}
	t.Run("disk", func(t *testing.T) {
		dir := t.TempDir()
		for _, n := range files {
			write(t, filepath.Join(dir, n), "x")
		}
		run(t, dir+"/", Options{})
		t.Chdir(dir)
		run(t, "", Options{})
		run(t, "./", Options{})
	})
	t.Run("s3", func(t *testing.T) {
		server := newS3Server(t)
		s := mustOpen(t, "s3://"+bucket, server.options())
		for _, n := range files {
			put(t, s, n, "x")
		}
		run(t, "s3://"+bucket+"/", server.options())
	})
}

// Log rotation and Kubernetes name the newest file by a link. Its target must be
// counted once.
func TestGlobLinks(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "pods", "1.log"), "x")
	if err := os.Mkdir(filepath.Join(dir, "containers"), 0o755); err != nil {
		t.Fatal(err)
	}
	link(t, filepath.Join(dir, "pods", "1.log"), filepath.Join(dir, "containers", "a.log"))
	link(t, filepath.Join(dir, "pods"), filepath.Join(dir, "link"))
	for folder, want := range map[string]int{"": 2, "containers": 1, "pods": 0} {
		f, err := Glob(t.Context(), filepath.Join(dir, folder), nil, Options{})
		got := 0
		for _, s := range f.Skipped {
			got += s.Count
		}
		if err != nil || got != want {
			t.Errorf("folder %q: got %+v, %v, want %d links", folder, f.Skipped, err, want)
		}
	}
	for pattern, want := range map[string]Skip{
		"containers/*":     {skipLink, 1},
		"containers/*.txt": {},
		"*/a.log":          {skipLink, 2}, // link may lead to one, too
		"l*/*":             {skipLink, 1},
		"l*/":              {skipLink, 1},
		"link*/**/1.log":   {skipLink, 1},
		"cont*/**/1.log":   {},
		"c*":               {skipPassed, 1},
		"p*s":              {skipPassed, 1},
		"**":               {skipLink, 2},
		"pods/*":           {},
	} {
		f, err := Glob(t.Context(), filepath.Join(dir, pattern), nil, Options{})
		if strings.HasSuffix(pattern, "/") {
			f, err = Glob(t.Context(), filepath.Join(dir, pattern)+"/", nil, Options{})
		}
		if all := append(f.Skipped, Skip{}); err != nil || all[0] != want || len(all) > 2 {
			t.Errorf("%s: got %+v, %v, want %+v", pattern, f.Skipped, err, want)
		}
	}
	for pattern, want := range map[string]string{
		"**":               "pods/1.log",
		"containers/*":     "",
		"containers/a.log": "pods/1.log",
		"link/*":           "link/1.log",
		"link":             "link/1.log",
	} {
		f, err := Glob(t.Context(), filepath.Join(dir, pattern), nil, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		got := ""
		for _, o := range f.Objects {
			got += strings.TrimPrefix(o.URI, dir+"/")
			if get(t, o.Store, o.Name) != "x" {
				t.Errorf("%s: %s: wrong bytes", pattern, o.URI)
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", pattern, got, want)
		}
	}
}

// A bucket holds years. The cost of a day must not depend on the other days.
func TestGlobRequests(t *testing.T) {
	server := newS3Server(t)
	s := mustOpen(t, "s3://"+bucket, server.options())
	var all []time.Time
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for d := range 30 {
		day := first.AddDate(0, 0, d)
		all = append(all, day)
		for account := range 2 {
			for region := range 3 {
				put(t, s, fmt.Sprintf("AWSLogs/%d/CloudTrail/r%d/%s/x.gz", account, region, day.Format("2006/01/02")), "x")
				put(t, s, fmt.Sprintf("lake/region=r%d/accountId=%d/eventDay=%s/x.parquet", region, account, day.Format("20060102")), "x")
			}
		}
	}
	for _, c := range []struct {
		pattern string
		days    int
		objects int
		// Folders of accounts, of regions in each, and then everything below a day
		// of each; of a lake also whether it is a table.
		requests int
	}{
		{"AWSLogs/*/CloudTrail/*/{yyyy}/{mm}/{dd}/", 1, 6, 1 + 2 + 6},
		{"AWSLogs/*/CloudTrail/*/{yyyy}/{mm}/{dd}/", 30, 180, 1 + 2 + 180},
		{"AWSLogs/{account}/CloudTrail/{region}/{yyyy}/{mm}/{dd}/", 1, 6, 1 + 2 + 6},
		{"lake/region={region}/accountId={account}/eventDay={yyyy}{mm}{dd}/", 1, 6, 1 + 3 + 6 + 1},
		{"lake/region={region}/accountId={account}/eventDay={yyyy}{mm}{dd}/", 30, 180, 1 + 3 + 180 + 1},
		// Whether the keys are percent-encoded takes one request, not one a day.
		{"lake/region=r1/accountId=0/eventDay={yyyy}{mm}{dd}/", 30, 30, 1 + 30 + 1},
		{"AWSLogs/**", 30, 180, 1},
		{"AWSLogs/*/*/*/*/*/*/*", 30, 180, 1},
		{"AWSLogs/1/CloudTrail/r2/{yyyy}/{mm}/{dd}/x.gz", 1, 1, 1},
	} {
		server.requests = nil
		f, err := Glob(t.Context(), "s3://"+bucket+"/"+c.pattern, all[:c.days], server.options())
		if err != nil || len(f.Objects) != c.objects || len(server.requests) != c.requests {
			t.Errorf("%s, %d days: got %d objects, %d requests, %v, want %d and %d",
				c.pattern, c.days, len(f.Objects), len(server.requests), err, c.objects, c.requests)
		}
	}
}

// If this fails, a log is left out as a marker of a folder, or a marker is read as a log.
func TestFolderMarkers(t *testing.T) {
	for _, c := range []struct {
		name  string
		size  int64
		named []string
		want  string
	}{
		{"logs/day_$folder$", 0, nil, "folder marker"},
		{"logs/day_$folder$", 1, nil, ""},
		{"logs/", 0, []string{"logs", ""}, "folder marker"}, // the pattern ends with a slash
		{"logs/a.log", 0, nil, ""},
	} {
		if got := notLog(c.name, c.size, c.named); got != c.want {
			t.Errorf("%s of %d bytes: got %q, want %q", c.name, c.size, got, c.want)
		}
	}
}
