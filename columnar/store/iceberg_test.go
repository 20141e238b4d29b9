package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"outflow/columnar/iceberg"
)

// small is a table that pyiceberg wrote at another place, see fixtures/oracle/iceberg.py.
// Live are, by day (November 2025):
//
//	18 two rows, in the file that replaced another of three
//	19 four rows, of which two are deleted
//	20 two rows
const small = "testdata/iceberg"

// smallFiles returns the files of the table by name.
func smallFiles(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(small), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(small, name))
		files[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// byTime takes the column time for the time.
var byTime = iceberg.Times{Columns: func(names []string) []int {
	if i := slices.Index(names, "time"); i >= 0 {
		return []int{i}
	}
	return nil
}}

// live describes the objects: the folder of each, its rows, and how many files delete some.
func live(f Found) string {
	var out []string
	for _, o := range f.Objects {
		if o.Table == nil {
			out = append(out, "no table: "+o.URI)
			continue
		}
		_, day, _ := strings.Cut(filepath.ToSlash(o.URI), "time_day=2025-11-")
		text := fmt.Sprintf("%.2s:%d-%d", day, o.Table.File.Records, len(o.Table.Deletes))
		if o.Err != nil {
			text += " " + o.Err.Error()
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// If this fails, a table's compacted, foreign or deleted data count, or live data do not.
func TestIceberg(t *testing.T) {
	const all = "18:2-0, 19:4-1, 20:2-0"
	files := smallFiles(t)
	for i, c := range []struct {
		pattern string // of a table at lake/t
		days    []string
		want    string
		noted   bool
	}{
		{"iceberg+ROOT/lake/t", nil, all, false},
		{"iceberg+ROOT/lake/t/", nil, all, false},
		{"iceberg+ROOT/lake/t/METADATA", nil, all, false},
		{"iceberg+ROOT/lake/t", []string{"2025-11-19"}, "19:4-1", false},
		{"iceberg+ROOT/lake/t", []string{"2025-11-18", "2025-11-20"}, "18:2-0, 20:2-0", false},
		{"iceberg+ROOT/lake/t", []string{"2031-01-01"}, "", false},
		{"ROOT/lake/t", nil, all, true},
		{"ROOT/lake/t/", []string{"2025-11-20"}, "20:2-0", true},
		{"ROOT/lake", nil, all, true},
		{"ROOT/lake/t/data", nil, all, true},
		{"ROOT/lake/t/data/time_day={yyyy}-{mm}-{dd}/", []string{"2025-11-18"}, "18:2-0", true},
		{"ROOT/lake/*/data/**", nil, all, true},
		{"ROOT/lake/**", nil, all, true},
		{"ROOT/lake/t/data/time_day=2025-11-1*/*.parquet", nil, "18:2-0, 19:4-1", true},
		{"ROOT/lake/t/data/orphan*", nil, "", true},
	} {
		run := func(t *testing.T, root string, o Options) {
			o.Times = byTime
			pattern := strings.ReplaceAll(c.pattern, "ROOT", root)
			for name := range files {
				if strings.HasSuffix(name, ".metadata.json") {
					pattern = strings.ReplaceAll(pattern, "METADATA", name)
				}
			}
			f, err := Glob(t.Context(), pattern, days(t, c.days...), o)
			if err != nil {
				t.Fatal(err)
			}
			if got := live(f); got != c.want {
				t.Errorf("%s: got %s, want %s", pattern, got, c.want)
			}
			if noted := len(f.Notes) == 1 && strings.Contains(f.Notes[0], "is an Iceberg table"); noted != c.noted {
				t.Errorf("%s: got the notes %q", pattern, f.Notes)
			}
			for _, o := range f.Objects {
				if b, err := ReadAll(t.Context(), o.Store, o.Name); err != nil || int64(len(b)) != o.Size || o.Written.IsZero() {
					t.Errorf("%s: got %d bytes, %v, want what its entry %v says", o.URI, len(b), err, o.Entry)
				}
				if o.Table == nil {
					continue
				}
				if deleted := strings.Contains(o.ETag, "+"); deleted != (len(o.Table.Deletes) > 0) {
					t.Errorf("%s: ETag %s of a file with %d files of deletes", o.URI, o.ETag, len(o.Table.Deletes))
				}
				for _, d := range o.Table.Deletes {
					if b, err := ReadAll(t.Context(), d.Store, d.Name); err != nil || string(b) != files["data/deletes.parquet"] {
						t.Errorf("deletes %s: got %d bytes, %v", d.URI, len(b), err)
					}
				}
			}
		}
		t.Run(fmt.Sprint("disk/", i), func(t *testing.T) {
			dir := t.TempDir()
			for name, body := range files {
				write(t, filepath.Join(dir, "lake/t", name), body)
			}
			write(t, filepath.Join(dir, "lake/t/metadata/version-hint.text"), "6\n")
			root := dir
			if strings.HasPrefix(c.pattern, "iceberg+") {
				root = "file://" + dir
			}
			run(t, root, Options{})
		})
		t.Run(fmt.Sprint("s3/", i), func(t *testing.T) {
			server := newS3Server(t)
			s := mustOpen(t, "s3://"+bucket, server.options())
			for name, body := range files {
				put(t, s, "lake/t/"+name, body)
			}
			run(t, "s3://"+bucket, server.options())
		})
	}
}

// If this fails, damage to a table is not told, or ends a run that could go on.
func TestIcebergDamage(t *testing.T) {
	const all = "18:2-0, 19:4-1, 20:2-0"
	newest := ""
	for name := range smallFiles(t) {
		if strings.HasSuffix(name, ".metadata.json") {
			newest = name
		}
	}
	for name, c := range map[string]struct {
		change func(files map[string]string)
		want   string
		err    string
		note   string
	}{
		"as it is": {change: func(map[string]string) {}, want: all},
		"data file is missing": {change: func(files map[string]string) {
			for name := range files {
				if strings.Contains(name, "2025-11-20") {
					delete(files, name)
				}
			}
		}, want: "18:2-0, 19:4-1, 20:2-0 is not there, although the table names it: file does not exist"},
		"manifest list is missing": {change: func(files map[string]string) {
			for name := range files {
				if strings.Contains(name, "snap-") {
					delete(files, name)
				}
			}
		}, err: "manifest list "},
		"manifest cut off": {change: func(files map[string]string) {
			for name, body := range files {
				if strings.Contains(name, "deletes-") {
					files[name] = body[:len(body)-100]
				}
			}
		}, err: "ends early"},
		"metadata cut off": {change: func(files map[string]string) { files[newest] = files[newest][:300] }, err: "not the metadata of an Iceberg table"},
		"no metadata":      {change: func(files map[string]string) { delete(files, newest) }, err: "is none: there is no metadata/"},
		"newer metadata": {change: func(files map[string]string) {
			files["metadata/00007-x.metadata.json"] = strings.ReplaceAll(files[newest], `"current-snapshot-id"`, `"was"`)
		}, want: ""},
		"hint": {change: func(files map[string]string) {
			files["metadata/00009-x.metadata.json"] = "damaged"
			files["metadata/version-hint.text"] = " 6\n"
		}, want: all},
		"hint is behind": {change: func(files map[string]string) {
			files["metadata/v5.metadata.json"] = "damaged"
			files["metadata/version-hint.text"] = "5"
		}, want: all},
		"hint is a name": {change: func(files map[string]string) {
			files["metadata/00009-x.metadata.json"] = "damaged"
			files["metadata/version-hint.text"] = strings.TrimSuffix(filepath.Base(newest), ".metadata.json")
		}, want: all},
		"same number": {change: func(files map[string]string) { files["metadata/00006-0.metadata.json"] = files[newest] }, want: all, note: "1 other metadata files have the same number"},
		"another location": {change: func(files map[string]string) {
			files[newest] = strings.ReplaceAll(files[newest], `/srv/lake/`, `/mnt/`)
		}, err: "is outside the table"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			files := smallFiles(t)
			c.change(files)
			for name, body := range files {
				write(t, filepath.Join(dir, name), body)
			}
			f, err := Glob(t.Context(), "iceberg+file://"+dir, nil, Options{Times: byTime})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), dir) {
					t.Errorf("got %v, want an error with %q", err, c.err)
				}
				return
			}
			if got := live(f); err != nil || got != c.want {
				t.Errorf("got %s, %v, want %s", got, err, c.want)
			}
			if note := strings.Join(f.Notes, "\n"); (c.note == "") != (note == "") || !strings.Contains(note, c.note) {
				t.Errorf("got the note %q, want %q", note, c.note)
			}
		})
	}
}

// If this fails, metadata lead out of the table, or a table that was moved is not found.
func TestIcebergPaths(t *testing.T) {
	s3 := icebergTable{recorded: canonical("s3a://lake/old/t/"), uri: "s3://lake/", folder: "new/t/"}
	disk := icebergTable{recorded: canonical("hdfs://node:8020/t"), uri: "/mnt/t", local: true}
	same := icebergTable{recorded: canonical("file:/mnt/t"), uri: "/mnt/t", local: true}
	for _, c := range []struct {
		t          *icebergTable
		path, want string
	}{
		{&s3, "s3://lake/old/t/data/x.parquet", "new/t/data/x.parquet"},
		{&s3, "s3n://lake/old/t/data/x=%20/x.parquet", "new/t/data/x=%20/x.parquet"},
		{&s3, "s3://lake/old/t//data/x.parquet", "new/t/data/x.parquet"},
		{&s3, "s3://lake/elsewhere/x.parquet", "elsewhere/x.parquet"},
		{&s3, "data/x.parquet", "new/t/data/x.parquet"},
		{&s3, "s3://lake/old/t2/x.parquet", "old/t2/x.parquet"},
		{&s3, "s3://other/x.parquet", ""},
		{&s3, "s3://lake/old/t/../../secret", ""},
		{&s3, "../secret", ""},
		{&s3, "file:///etc/passwd", ""},
		{&s3, "/etc/passwd", ""},
		{&s3, "gs://lake/old/t/x", ""},
		{&disk, "hdfs://node:8020/t/data/x.parquet", "data/x.parquet"},
		{&disk, "hdfs://other/t/data/x.parquet", ""},
		{&disk, "s3://lake/x", ""},
		{&disk, "/mnt/t/data/x", "data/x"},
		{&disk, "file:///mnt/t/data/x", "data/x"},
		{&disk, "file:///etc/passwd", ""},
		{&same, "file:///mnt/t/data/x", "data/x"},
		{&same, "/mnt/t/data/x", "data/x"},
		{&same, "file://localhost/mnt/t/data/x", "data/x"},
		{&same, "file:/mnt/t/data/../../x", ""},
		{&same, "/mnt/t2/x", ""},
	} {
		got, err := c.t.name(c.path)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s of %s: got %q, %v, want %q", c.path, c.t.recorded, got, err, c.want)
		}
	}
}

// If this fails, a file of a table elsewhere is read, or ends the run.
func TestIcebergOutside(t *testing.T) {
	server := newS3Server(t)
	s := mustOpen(t, "s3://"+bucket, server.options())
	for name, body := range smallFiles(t) {
		if strings.HasSuffix(name, ".metadata.json") {
			// The manifests are found; the files that they name are those of another table.
			body = strings.ReplaceAll(body, "file:///srv/lake/", "s3://"+bucket+"/lake/")
		}
		put(t, s, "lake/small/"+name, body)
	}
	o := server.options()
	o.Times = byTime
	_, err := Glob(t.Context(), "iceberg+s3://"+bucket+"/lake/small", nil, o)
	if err == nil || !strings.Contains(err.Error(), "is outside the table") {
		t.Errorf("got %v, want an error about a path outside the table", err)
	}
}

// If this fails, one file that cannot be read keeps the others from being read, or is read
// without its deletes.
func TestIcebergPlace(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"data/a", "data/b", "data/c", "data/x/d"} {
		write(t, filepath.Join(dir, name), "bytes")
	}
	at := &icebergTable{Table: &iceberg.Table{}, recorded: "s3://lake/t", store: newDisk(dir), uri: dir, local: true}
	objects, err := at.place(t.Context(), []*iceberg.File{
		{Path: "s3://lake/t/data/a", Deletes: []string{"s3://lake/t/data/deletes1"}},
		{Path: "s3://lake/t/data/b", Deletes: []string{"s3://other/deletes2"}},
		{Path: "s3://lake/t/data/c", Err: errors.New("is encrypted")},
		{Path: "s3://lake/t/data/x/d"},
		{Path: "s3://lake/t/data/none"},
		{Path: "s3://other/t/\xff"},
		{Path: "s3://lake/t/\xff"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range objects {
		if o.ETag == "" || o.URI == "" {
			t.Errorf("%s: no ETag or URI", o.Name)
		}
		got = append(got, fmt.Sprint(strings.TrimPrefix(o.URI, dir+"/"), " ", o.Size, " ", o.Err))
	}
	want := []string{
		"data/a 5 <nil>",
		"data/b 5 has rows that s3://other/deletes2 deletes, which is outside the table, which was at s3://lake/t when it was written and is at " + dir + " now, and is not read",
		"data/c 5 is encrypted",
		"data/x/d 5 <nil>",
		"data/none 0 is not there, although the table names it: file does not exist",
		"s3://other/t/� 0 is outside the table, which was at s3://lake/t when it was written and is at " + dir + " now, and is not read",
		"s3://lake/t/� 0 its name is not UTF-8",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// newGlue is a Glue Data Catalog in this process.
func newGlue(t *testing.T, answer func(database, name, catalog string) (int, string)) *int {
	t.Helper()
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		body, _ := io.ReadAll(r.Body)
		var ask struct{ DatabaseName, Name, CatalogId string }
		if err := json.Unmarshal(body, &ask); err != nil {
			t.Errorf("request %s: %v", body, err)
		}
		if got := r.Header.Get("X-Amz-Target"); got != "AWSGlue.GetTable" {
			t.Errorf("X-Amz-Target: got %q", got)
		}
		auth := r.Header.Get("Authorization")
		if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=key/") || !strings.Contains(auth, "/eu-west-3/glue/aws4_request") || !strings.Contains(auth, "x-amz-target") {
			t.Errorf("Authorization: got %q", auth)
		}
		status, text := answer(ask.DatabaseName, ask.Name, ask.CatalogId)
		w.WriteHeader(status)
		io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_GLUE", server.URL)
	return &requests
}

// If this fails, a table is not found by its name in Glue, or a refusal is not explained.
func TestGlue(t *testing.T) {
	server := newS3Server(t)
	s := mustOpen(t, "s3://"+bucket, server.options())
	metadata := ""
	for name, body := range smallFiles(t) {
		put(t, s, "lake/t/"+name, body)
		if strings.HasSuffix(name, ".metadata.json") {
			metadata = "s3://" + bucket + "/lake/t/" + name
		}
	}
	requests := newGlue(t, func(database, name, catalog string) (int, string) {
		switch {
		case catalog == "222" && name == "shared", catalog == "" && name == "t" && database == "lake":
			return 200, fmt.Sprintf(`{"Table": {"Name": "t", "Parameters": {"table_type": "ICEBERG", "metadata_location": %q}}}`, metadata)
		case name == "link":
			return 200, `{"Table": {"TargetTable": {"CatalogId": "222", "DatabaseName": "theirs", "Name": "shared"}}}`
		case name == "loop":
			return 200, `{"Table": {"TargetTable": {"CatalogId": "1", "DatabaseName": "lake", "Name": "loop"}}}`
		case name == "csv":
			return 200, `{"Table": {"Parameters": {"classification": "csv"}}}`
		case name == "broken":
			return 200, `{"Table": `
		case name == "denied":
			return 400, `{"__type": "AccessDeniedException", "Message": "User: arn:aws:iam::1:user/x is not authorized"}`
		case name == "odd":
			return 500, "<html>\nno</html>"
		}
		return 400, `{"__type": "com.amazonaws.glue#EntityNotFoundException", "Message": "Table x not found."}`
	})
	o := server.options()
	o.Region, o.Times = "eu-west-3", byTime
	for _, c := range []struct {
		name, err string
		requests  int
	}{
		{"lake/t", "", 1},
		{"lake/link", "", 2},
		{"222@theirs/shared", "", 1},
		{"lake/loop", "is a link to a link", 2},
		{"lake/csv", "is no Iceberg table", 1},
		{"lake/broken", "the answer of Glue", 1},
		{"lake/denied", "needs glue:GetTable", 1},
		{"lake/none", "no such table in the catalog of region eu-west-3", 1},
		{"lake/odd", "Glue answers 500", 1},
		{"lake", "want glue://database/table", 0},
	} {
		*requests = 0
		f, err := Glob(t.Context(), "iceberg+glue://"+c.name, days(t, "2025-11-19"), o)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: got %v, want an error with %q", c.name, err, c.err)
			}
		case err != nil || live(f) != "19:4-1":
			t.Errorf("%s: got %s, %v, want 19:4-1", c.name, live(f), err)
		}
		if *requests != c.requests {
			t.Errorf("%s: got %d requests, want %d", c.name, *requests, c.requests)
		}
	}
	t.Setenv("AWS_ENDPOINT_URL_GLUE", "http://127.0.0.1:1")
	if _, err := Glob(t.Context(), "iceberg+glue://lake/t", nil, o); err == nil || !strings.Contains(err.Error(), "no answer from http://127.0.0.1:1") {
		t.Errorf("no server: got %v", err)
	}
}

// The names of metadata files that writers give.
func TestMetadataNumber(t *testing.T) {
	for name, want := range map[string]int{
		"v3.metadata.json": 3, "00012-5c2b.metadata.json": 12, "v7.gz.metadata.json": 7, "00007-a.gz.metadata.json": 7, "v8.metadata.json.gz": 8,
		"snap-1.avro": -1, "version-hint.text": -1, "x.metadata.json": -1, "-1.metadata.json": -1, "v.json": -1,
	} {
		got, ok := metadataNumber(name)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}

// If this fails, listing a table takes a request for each of its files.
func TestIcebergRequests(t *testing.T) {
	server := newS3Server(t)
	s := mustOpen(t, "s3://"+bucket, server.options())
	for name, body := range smallFiles(t) {
		put(t, s, "t/"+name, body)
	}
	o := server.options()
	o.Times = byTime
	server.requests = nil
	if _, err := Glob(t.Context(), "iceberg+s3://"+bucket+"/t", []time.Time{time.Date(2025, 11, 19, 0, 0, 0, 0, time.UTC)}, o); err != nil {
		t.Fatal(err)
	}
	// The folder of metadata, the metadata, the manifest list, the manifests of data and
	// of deletes, and the folder of the day.
	gets, lists := 0, 0
	for _, r := range server.requests {
		if strings.Contains(r, "list-type") {
			lists++
		} else {
			gets++
		}
	}
	if lists != 2 || gets != 4 {
		t.Errorf("got %d listings, %d reads, want 2 and 4: %q", lists, gets, server.requests)
	}
	if _, err := Glob(t.Context(), "iceberg+s3://"+bucket+"/none", nil, o); err == nil || !strings.Contains(err.Error(), "is none: there is no none/metadata/") || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no table: got %v", err)
	}
}
