package jobs

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"outflow/columnar/store"
	"outflow/stats/detect"
)

// A stagedRun runs a job in stages.
type stagedRun struct {
	t      *testing.T
	dir    string
	name   string // of the folders of state, reports and work
	config []string
	plan   planForm
}

// begin plans a run.
func (r *stagedRun) begin(args ...string) {
	r.t.Helper()
	code, stdout, stderr := r.stage("plan", append([]string{"--state", r.name + "/state", "--work", r.work(), "--as", "json"}, args...)...)
	if code != exitOK {
		r.t.Fatalf("plan: exit %d: %s", code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &r.plan); err != nil {
		r.t.Fatalf("plan printed %q: %v", stdout, err)
	}
}

func (r *stagedRun) work() string { return filepath.Join(r.dir, r.name, "work") }

func (r *stagedRun) stage(name string, args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	return invoke(r.t, r.dir, slices.Concat([]string{"stage", name, "-q"}, r.config, args)...)
}

// must runs a stage, which must work.
func (r *stagedRun) must(name string, args ...string) {
	r.t.Helper()
	if code, _, stderr := r.stage(name, append([]string{"--plan", r.plan.Plan}, args...)...); code != exitOK {
		r.t.Fatalf("%s %v: exit %d: %s", name, args, code, stderr)
	}
}

// all folds, merges and judges: in any order, and some of it twice.
func (r *stagedRun) all() {
	r.t.Helper()
	order := rand.New(rand.NewPCG(1, uint64(r.plan.Tasks)))
	for _, flag := range []struct {
		stage, index string
		n            int
	}{{"fold", "--task", r.plan.Tasks}, {"join", "--part", r.plan.Joins}, {"merge", "--shard", r.plan.Shards}} {
		for _, i := range append(order.Perm(flag.n), order.Perm(flag.n)[:(flag.n+1)/2]...) {
			r.must(flag.stage, flag.index, fmt.Sprint(i))
		}
	}
	r.judge()
}

// forgePlan changes the plan.
func (r *stagedRun) forgePlan(change func(*stagePlan)) (mend func()) {
	r.t.Helper()
	text, err := os.ReadFile(r.plan.Plan)
	plan := &stagePlan{}
	if err == nil {
		err = store.DecodeChecked(text, plan)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	change(plan)
	forged, err := store.EncodeChecked(plan)
	if err != nil {
		r.t.Fatal(err)
	}
	os.WriteFile(r.plan.Plan, forged, 0o644)
	return func() { os.WriteFile(r.plan.Plan, text, 0o644) }
}

func (r *stagedRun) judge() {
	r.t.Helper()
	r.must("judge", "--state", r.name+"/state", "--out", r.name+"/out", "--reports", "csv,html,dns_scores")
}

// withoutFlags returns a page without the flags that say where its run is.
func withoutFlags(page string) string { return showFlags.ReplaceAllString(page, "$1") }

var showFlags = regexp.MustCompile(`(outflow show )(?:--[a-z]+ \S+ )+`)

// resultsOf returns what a run has left, by name: reports, and each partition with its rows.
// The names of its files are by their bytes.
func resultsOf(t *testing.T, folder string) map[string]any {
	t.Helper()
	out := map[string]any{}
	filepath.WalkDir(filepath.Join(folder, "out"), func(path string, d fs.DirEntry, err error) error {
		// last.json names the state; run.json and outflow.prom have the time of day.
		if err == nil && !d.IsDir() && d.Name() != "last.json" && d.Name() != "run.json" && d.Name() != "outflow.prom" {
			text, _ := os.ReadFile(path)
			out[strings.TrimPrefix(path, folder)] = withoutFlags(string(text))
		}
		return err
	})
	at, err := store.Open(t.Context(), filepath.Join(folder, "state"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range detect.Aggregates {
		p := store.Partitions[detect.Row]{Store: at, Folder: "aggregate=" + a.Name}
		days, err := p.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, day := range days {
			rows, done, err := p.Read(t.Context(), day)
			if err != nil {
				t.Fatal(err)
			}
			slices.SortStableFunc(rows, func(a, b detect.Row) int { return a.Key.Compare(b.Key) })
			out[done.Partition] = []any{done, rows}
		}
	}
	nights, _ := os.ReadFile(filepath.Join(folder, "state/v2/nights.json"))
	others, _ := os.ReadFile(filepath.Join(folder, "state/v2/others.json"))
	out["nights"], out["others"] = string(nights), string(others)
	return out
}

func sameResults(t *testing.T, what string, got, want map[string]any) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("%s: %s differs from that of one machine", what, name)
			if testing.Verbose() {
				t.Logf("got %.3000v\nwant %.3000v", got[name], want[name])
			}
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: got %d results, want %d", what, len(got), len(want))
	}
}

// If this fails, a run in stages finds or keeps something else than one on one machine.
func TestStages(t *testing.T) {
	dir := filepath.Dir(fixtures(t))
	config := []string{"--config", "fixtures/outflow.yaml", "--backfill=false"}
	code, _, stderr := invoke(t, dir, append([]string{"run", "nightly", "-q", "--day", "2026-11-20", "--state", "one/state", "--out", "one/out", "--reports", "csv,html,dns_scores"}, config...)...)
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	want := resultsOf(t, filepath.Join(dir, "one"))
	if len(want) < 20 {
		t.Fatalf("got %d results, want reports and partitions", len(want))
	}
	tasks := map[int]bool{}
	for _, of := range []struct{ size, shards string }{{"1GiB", "3"}, {"200KB", "1"}, {"40KB", "7"}} {
		r := &stagedRun{t: t, dir: dir, name: of.size + "-" + of.shards, config: config}
		r.begin("--day", "2026-11-20", "--task-size", of.size, "--shards", of.shards)
		tasks[r.plan.Tasks] = true
		r.all()
		sameResults(t, r.name, resultsOf(t, filepath.Join(dir, r.name)), want)
		if left, _ := os.ReadDir(r.work()); len(left) > 0 {
			t.Errorf("%s: the work folder has %s after the run", r.name, left[0])
		}
	}
	if len(tasks) != 3 || !tasks[1] {
		t.Errorf("got runs of %v tasks, want one task, some and more", slices.Sorted(maps.Keys(tasks)))
	}
}

// stagedConfig has feeds whose logs depend on one another in all known ways.
const stagedConfig = `inputs:
  - {name: cloud, uri: 'logs/cloud/{yyyy}-{mm}-{dd}/'}
  - {name: events, format: csv, uri: 'logs/events/{yyyy}-{mm}-{dd}/'}
  - {name: zeek, uri: 'logs/zeek/{yyyy}-{mm}-{dd}/'}
  - {name: again, uri: 'logs/cloud/{yyyy}-{mm}-{dd}/a.csv'}
`

// stagedDay writes the logs of a day of March.
func (s *site) stagedDay(day int) {
	date := fmt.Sprintf("2026-03-%02d", day)
	cloud := func(name string, body []byte) { s.write("logs/cloud/"+date+"/"+name, body) }
	var events []string
	for i := range 40 {
		events = append(events, fmt.Sprintf("%sT10:%02d user%d %d", date, i, i%7, 100000+1000*i*day))
	}
	a := uploads(events...)
	cloud("a.csv", a)
	cloud("copy.csv.gz", gzipped(s.t, a))
	cloud("grown.csv", append(slices.Clone(a), date+"T12:00:00Z,ann,77777777,5\n"...))
	cloud("some.zip", zipped(s.t, map[string][]byte{"a.csv": a, "own.csv": uploads(date + "T13:00 bob 5000000")}))
	cloud("cut.csv.gz", gzipped(s.t, uploads(date+"T14:00 cid 900", date+"T14:01 cid 901"))[:40])
	cloud("text.log", []byte("this is no log of a known form\n"))
	cloud("faulty.csv", append(uploads(date+"T15:00 dee 12000000"), "yesterday,dee,x,y\n"...))
	cloud("other.csv", uploads(fmt.Sprintf("2026-03-%02dT09:00 eve 3000000", day+1), date+"T09:00 eve 900000000"))
	for k := range 3 { // the same events, delivered in three logs
		text := "time,user,bytes_out,event_uid\n"
		for i := range 20 {
			text += fmt.Sprintf("%sT08:%02d:00Z,fay,1000000,e%d\n", date, i, i+5*k)
		}
		s.write(fmt.Sprintf("logs/events/%s/%d.csv", date, k), []byte(text))
	}
	at := func(seconds int) int64 {
		d, err := detect.ParseDay(date)
		if err != nil {
			s.t.Fatal(err)
		}
		return d.Time().Unix() + int64(seconds)
	}
	zeek := func(name, fields, rows string) {
		s.write("logs/zeek/"+date+"/"+name+".log", []byte("#separator \\x09\n#set_separator\t,\n#unset_field\t-\n#path\t"+name+"\n#fields\t"+fields+"\n"+rows))
	}
	var conn, ssl string
	for i := range 30 {
		conn += fmt.Sprintf("%d.25\tC%d\t10.20.0.%d\t5%d\t203.0.113.%d\t443\ttcp\t2.5\t%d\t900\tSF\n", at(36000+i), i, i%5, i, i%9, 2000000+i)
		ssl += fmt.Sprintf("%d.50\tC%d\t10.20.0.%d\t5%d\t203.0.113.%d\t443\tw%d.example.com\tT\n", at(36000+i), i, i%5, i, i%9, i%4)
	}
	conn += fmt.Sprintf("%d.25\tCx\t10.20.0.4\t99\t203.0.113.125\t443\ttcp\t2.5\t800000000\t900\tSF\n", at(40000))
	zeek("conn", "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\torig_bytes\tresp_bytes\tconn_state", conn)
	zeek("ssl", "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tserver_name\testablished", ssl)
	zeek("dns", "ts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tquery\tqtype_name\trcode_name\tanswers",
		fmt.Sprintf("%d.5\tD1\t10.20.0.4\t5\t10.20.0.2\t53\tudp\tmega.nz\tA\tNOERROR\t203.0.113.125\n", at(39000)))
}

// If this fails, what depends on several logs is not what it is on one machine, if the logs
// are in several tasks: copies, repeated events, connections and their names, late logs.
func TestStagesOfNights(t *testing.T) {
	s := newSite(t, "")
	s.bucket = newS3Server(t)
	s.write("outflow.yaml", []byte(strings.ReplaceAll(stagedConfig, "logs/", "s3://logs/")))
	args := []string{"--config", "outflow.yaml", "--s3-endpoint-url", s.bucket.url}
	for day := 16; day <= 17; day++ {
		s.stagedDay(day)
	}
	for day := 18; day <= 20; day++ {
		s.stagedDay(day)
		if day == 19 { // for the 17th, and with a copy of what it has
			s.write("logs/cloud/2026-03-17/late.csv", uploads("2026-03-17T16:00 gus 200000000"))
			s.write("logs/cloud/2026-03-17/late-copy.csv", uploads("2026-03-17T16:00 gus 200000000"))
		}
		s.run(day, "-q", "--state", "one/state", "--out", "one/out", "--reports", "csv,html,dns_scores")
		if day == 20 { // on one machine, what several have left
			s.run(day, "-q", "--state", "many/state", "--out", "many/out", "--reports", "csv,html,dns_scores")
		} else {
			size, shards := "1B", "3"
			if day == 19 {
				size, shards = "4KB", "2"
			}
			r := &stagedRun{t: t, dir: s.dir, name: "many", config: args}
			r.begin("--day", fmt.Sprintf("2026-03-%02d", day), "--task-size", size, "--shards", shards, "--work", "s3://outflow/stages")
			if r.plan.Tasks < 4 || r.plan.Joins < 2 {
				t.Errorf("got %d tasks and %d joins, want several", r.plan.Tasks, r.plan.Joins)
			}
			r.all()
		}
		sameResults(t, fmt.Sprint(day), resultsOf(t, filepath.Join(s.dir, "many")), resultsOf(t, filepath.Join(s.dir, "one")))
	}
}

// If this fails, connections whose records are in several tasks are joined from a part of them, or
// the same task or join gives other bytes each time.
func TestStagesJoin(t *testing.T) {
	s := newSite(t, "")
	s.write("outflow.yaml", []byte(stagedConfig))
	s.stagedDay(18)
	s.run(18, "-q", "--state", "one/state", "--out", "one/out", "--reports", "csv,html,dns_scores")
	r := &stagedRun{t: t, dir: s.dir, name: "many", config: []string{"--config", "outflow.yaml"}}
	r.begin("--day", "2026-03-18", "--task-size", "1B", "--shards", "3")
	work := filepath.Dir(r.plan.Plan)
	if r.plan.Joins < 3 || r.plan.Tasks < 4 {
		t.Fatalf("got %d joins of %d tasks, want several", r.plan.Joins, r.plan.Tasks)
	}
	// twice runs a stage for each index, and again without what tells that it is done.
	twice := func(stage, flag, of string, n int) {
		t.Helper()
		var first [2]string
		for attempt := range first {
			for i := range n {
				r.must(stage, flag, fmt.Sprint(i))
				folder := filepath.Join(work, fmt.Sprintf("%s=%d", of, i))
				for _, name := range []string{runsName, doneName} {
					text, err := os.ReadFile(filepath.Join(folder, name))
					if err != nil {
						t.Fatal(err)
					}
					first[attempt] += string(text)
				}
				if attempt == 0 {
					os.Remove(filepath.Join(folder, doneName))
				}
			}
		}
		if first[0] != first[1] {
			t.Errorf("%s gave other bytes the second time", stage)
		}
	}
	refused := func(want, stage string, args ...string) {
		t.Helper()
		code, _, stderr := r.stage(stage, append([]string{"--plan", r.plan.Plan}, args...)...)
		if code != exitEnvironment || !strings.Contains(stderr, want) {
			t.Errorf("%s %v: exit %d: %s\nwant exit %d and %q", stage, args, code, stderr, exitEnvironment, want)
		}
	}
	refused("fold --task 0 is not done", "join", "--part", "0")
	twice("fold", "--task", "task", r.plan.Tasks)
	refused("join --part 0 is not done", "merge", "--shard", "0")
	twice("join", "--part", "join", r.plan.Joins)
	var joined string
	for i := range r.plan.Joins {
		if name := filepath.Join(work, fmt.Sprintf("join=%d", i), runsName); len(readFile(t, name)) > 0 {
			joined = name
		}
	}
	if joined == "" {
		t.Fatal("no join has runs")
	}
	os.WriteFile(joined, readFile(t, joined)[1:], 0o644)
	part := strings.TrimPrefix(filepath.Base(filepath.Dir(joined)), "join=")
	var said string
	for shard := range r.plan.Shards {
		_, _, stderr := r.stage("merge", "--plan", r.plan.Plan, "--shard", fmt.Sprint(shard))
		said += stderr
	}
	if !strings.Contains(said, "join --part "+part+" is not done") {
		t.Errorf("merges of a damaged join say %q", said)
	}
	r.all()
	sameResults(t, "joined", resultsOf(t, filepath.Join(s.dir, "many")), resultsOf(t, filepath.Join(s.dir, "one")))
	if left, _ := os.ReadDir(r.work()); len(left) > 0 {
		t.Errorf("the work folder has %s after the run", left[0])
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// If this fails, DNS alone has a stage of joins, or connections are not joined because their log
// began with DNS.
func TestStagesOfMixedLogs(t *testing.T) {
	s := newSite(t, "")
	s.write("outflow.yaml", []byte("inputs: [{name: zeek, uri: 'logs/zeek/{yyyy}-{mm}-{dd}/'}]\n"))
	s.stagedDay(18)
	logs := map[string]string{}
	for _, name := range []string{"dns", "conn", "ssl"} {
		file := filepath.Join(s.dir, "logs/zeek/2026-03-18", name+".log")
		logs[name] = string(readFile(t, file))
		if name != "dns" {
			os.Remove(file)
		}
	}
	plan := func(name string) *stagedRun {
		r := &stagedRun{t: t, dir: s.dir, name: name, config: []string{"--config", "outflow.yaml", "--backfill=false"}}
		r.begin("--day", "2026-03-18", "--task-size", "1B", "--shards", "2")
		if r.plan.Joins != 0 {
			t.Errorf("%s: got %d joins, want none", name, r.plan.Joins)
		}
		return r
	}
	plan("dns")
	long := strings.Repeat(logs["dns"][strings.LastIndex(strings.TrimSpace(logs["dns"]), "\n")+1:], 20_000) // longer than what plan sees
	for _, name := range []string{"conn", "ssl"} {
		s.write("logs/zeek/2026-03-18/all-"+name+".log", []byte(logs["dns"]+long+"#close\n"+logs[name]))
	}
	s.run(18, "-q", "--backfill=false", "--state", "one/state", "--out", "one/out", "--reports", "csv,html,dns_scores")
	r := plan("many")
	r.all()
	sameResults(t, "mixed", resultsOf(t, filepath.Join(s.dir, "many")), resultsOf(t, filepath.Join(s.dir, "one")))
}

// If this fails, a run goes on with what a stage has not done, has done only in part, or has
// done for another run.
func TestStagesRefuse(t *testing.T) {
	s := newSite(t, datedURI)
	s.quiet(20)
	s.write("logs/2026-03-20/b.csv", uploads("2026-03-20T12:00 ann 900000000"))
	r := &stagedRun{t: t, dir: s.dir, name: "many", config: []string{"--config", "outflow.yaml"}}
	r.begin("--day", "2026-03-20", "--task-size", "100B", "--shards", "2")
	work := filepath.Dir(r.plan.Plan)
	refused := func(want string, code int, stage string, args ...string) {
		t.Helper()
		got, _, stderr := r.stage(stage, append([]string{"--plan", r.plan.Plan}, args...)...)
		if got != code || !strings.Contains(stderr, want) {
			t.Errorf("%s %v: exit %d: %s\nwant exit %d and %q", stage, args, got, stderr, code, want)
		}
	}
	secret := filepath.Join(s.dir, "secret.csv")
	s.write("secret.csv", uploads("2026-03-20T12:00 eve 900000000"))
	mend := r.forgePlan(func(p *stagePlan) { p.Tasks[0].Objects[0].URI = secret })
	refused("has the object "+secret+" for the input cloud", exitConfig, "fold", "--task", "0")
	mend()
	judge := []string{"--state", "many/state", "--out", "many/out"}
	last := fmt.Sprint(r.plan.Tasks - 1)
	for i := range r.plan.Tasks - 1 {
		r.must("fold", "--task", fmt.Sprint(i))
	}
	refused("fold --task "+last+" is not done", exitEnvironment, "merge", "--shard", "0")
	r.must("fold", "--task", last)
	files := func() map[string]string {
		out := map[string]string{}
		for _, name := range []string{runsName, inputsName, doneName} {
			text, err := os.ReadFile(filepath.Join(work, "task="+last, name))
			if err != nil {
				t.Fatal(err)
			}
			out[name] = string(text)
		}
		return out
	}
	first := files()
	if err := os.Remove(filepath.Join(work, "task="+last, doneName)); err != nil {
		t.Fatal(err)
	}
	r.must("fold", "--task", last)
	if again := files(); !maps.Equal(again, first) || len(first[runsName]) == 0 {
		t.Errorf("task %s gave other bytes the second time, or none", last)
	}
	var done taskDone
	if err := store.DecodeChecked([]byte(first[doneName]), &done); err != nil {
		t.Fatal(err)
	}
	shard := fmt.Sprint(slices.IndexFunc(done.Shards, func(s taskShard) bool { return s.End > s.From })) // has runs of the task
	name := filepath.Join(work, "task="+last, runsName)
	damage := func(name string) (mend func()) {
		text, err := os.ReadFile(name)
		if err != nil || len(text) == 0 {
			t.Fatalf("%s: %d bytes, %v", name, len(text), err)
		}
		bad := slices.Clone(text)
		bad[len(bad)/2] ^= 1
		if err := os.WriteFile(name, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		return func() { os.WriteFile(name, text, 0o644) }
	}
	damage(name)
	refused("fold --task "+last+" is not done", exitEnvironment, "merge", "--shard", shard)
	r.must("fold", "--task", last) // which the message says mends it
	if again := files(); !maps.Equal(again, first) {
		t.Errorf("task %s was not folded again although it was damaged", last)
	}
	mend = damage(filepath.Join(work, "task=0", doneName))
	refused("fold --task 0 is not done", exitEnvironment, "merge", "--shard", "1")
	mend()
	r.must("merge", "--shard", "0")
	refused("merge --shard 1 is not done", exitEnvironment, "judge", judge...)
	r.must("merge", "--shard", "1")
	parts, err := filepath.Glob(filepath.Join(work, "fold=0/aggregate=user_day/date=*/part-*.parquet"))
	if err != nil || len(parts) == 0 {
		t.Fatalf("got files %v, %v, want some", parts, err)
	}
	mend = damage(parts[len(parts)-1])
	refused("is not done", exitEnvironment, "judge", judge...)
	mend()
	mend = damage(filepath.Join(work, "task=0", inputsName))
	refused("fold --task 0 is not done", exitEnvironment, "judge", judge...)
	mend()
	for _, args := range [][]string{{"fold", "--task", "0"}, {"merge", "--shard", "0"}, append([]string{"judge"}, judge...)} {
		refused("another configuration", exitConfig, args[0], append(args[1:], "--own", "example.com")...)
	}
	for _, other := range []struct {
		want   string
		change func(*stagePlan)
	}{
		{"was made by outflow 0.0.1", func(p *stagePlan) { p.Program = "0.0.1" }},
		{"has version 99", func(p *stagePlan) { p.Version = 99 }},
		{"was moved", func(p *stagePlan) { p.Run = "nightly-2026-03-20-00000000" }},
		{"it has 0 shards", func(p *stagePlan) { p.Shards = 0 }},
		{"it has -1 shards", func(p *stagePlan) { p.Shards = -1 }},
		{"it has 1000000000000 shards", func(p *stagePlan) { p.Shards = 1e12 }},
		{"task 0 is of fold 0, and there are 0", func(p *stagePlan) { p.Folds = nil }},
		{"a fold without days", func(p *stagePlan) { p.Folds = []plannedFold{{}} }},
		{"the days of fold 0 do not ascend", func(p *stagePlan) { p.Folds = []plannedFold{{Days: []string{"2026-03-20", "2026-03-19"}}} }},
		{"is before the first", func(p *stagePlan) { p.Last = "2026-03-01" }},
		{"an object of task 0 has -1 bytes", func(p *stagePlan) {
			p.Tasks = []plannedTask{{Objects: []plannedObject{{URI: "a", Feed: "log", Size: -1}}}}
		}},
	} {
		mend := r.forgePlan(other.change)
		for _, stage := range []string{"fold", "merge", "judge"} {
			refused(other.want, exitConfig, stage)
		}
		mend()
	}
	forged := func(name string, done any, change func()) (mend func()) {
		text, err := os.ReadFile(filepath.Join(work, name))
		if err == nil {
			err = store.DecodeChecked(text, done)
		}
		if err != nil {
			t.Fatal(err)
		}
		change()
		bad, err := store.EncodeChecked(done)
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(work, name), bad, 0o644)
		return func() { os.WriteFile(filepath.Join(work, name), text, 0o644) }
	}
	for _, change := range []func(*taskDone){
		func(d *taskDone) { d.Run = "another" },
		func(d *taskDone) { d.Shards[1].From, d.Shards[1].End = -100, -50 },
		func(d *taskDone) { d.Shards[0].Runs = []storedRun{{"user_day", 1 << 60}} },
		func(d *taskDone) { d.Shards[1].End = 1 << 60 },
		func(d *taskDone) { d.Shards = d.Shards[:1] },
	} {
		var done taskDone
		mend := forged("task=0/"+doneName, &done, func() { change(&done) })
		refused("fold --task 0 is not done", exitEnvironment, "merge", "--shard", "1")
		mend()
	}
	for _, change := range []func(*mergedPart){
		func(p *mergedPart) { p.Fold = 7 },
		func(p *mergedPart) { p.Fold = -1 },
		func(p *mergedPart) { p.Aggregate = "../../other" },
		func(p *mergedPart) { p.Day = "2026-03-01" },
	} {
		var done shardDone
		mend := forged(shardName(1), &done, func() { done.Parts = append(done.Parts, done.Parts[0]); change(&done.Parts[0]) })
		refused("merge --shard 1 is not done", exitEnvironment, "judge", judge...)
		mend()
	}
	refused("the plan has", exitConfig, "fold", "--task", fmt.Sprint(r.plan.Tasks))
	refused("no task: give --task, or set JOB_COMPLETION_INDEX", exitConfig, "fold")
	refused("there is no plan", exitConfig, "fold", "--plan", filepath.Join(s.dir, "nowhere/plan.json"), "--task", "0")
	if left, err := os.ReadDir(filepath.Join(s.dir, "many/state")); err == nil && len(left) > 0 {
		if _, err := os.Stat(filepath.Join(s.dir, "many/state/v2")); err == nil {
			t.Errorf("runs that were refused have left %v in the state", left)
		}
	}
	others := filepath.Join(work, "task=0/case.txt") // judge removes what it knows
	if err := os.WriteFile(others, []byte("evidence"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.must("judge", judge...)
	if left := filesBelow(t, r.work()); len(left) != 1 || left[0] != others {
		t.Errorf("judge left %v, want %s", left, others)
	}
	s.run(20, "-q", "--state", "one/state", "--out", "one/out")
	sameResults(t, "after all", resultsOf(t, filepath.Join(s.dir, "many")), resultsOf(t, filepath.Join(s.dir, "one")))
}

// If this fails, stages write where the state, the reports or an input have their files.
func TestStagesOwnFolder(t *testing.T) {
	s := newSite(t, "logs/")
	s.quiet(20)
	for _, c := range []struct{ work, want string }{
		{"logs", "is in the input cloud (logs/)"},
		{"logs/deep/stages", "is in the input cloud (logs/)"},
		{filepath.Join(s.dir, "logs"), "is in the input cloud (logs/)"},
		{"own/state", "is in state (own/state)"},
		{"own/out/stages", "is in out (own/out)"},
		{"own", ""},
		{"own/stateless", ""},
	} {
		code, _, stderr := invoke(t, s.dir, "stage", "plan", "-q", "--config", "outflow.yaml", "--day", "2026-03-20", "--state", "own/state", "--out", "own/out", "--work", c.work)
		if want := exitConfig; c.want != "" && (code != want || !strings.Contains(stderr, c.want)) || c.want == "" && code != exitOK {
			t.Errorf("--work %s: exit %d: %s\nwant %q", c.work, code, stderr, c.want)
		}
	}
}

// If this fails, logs that depend on one another are in several tasks, or none of a feed with
// too many events for one.
func TestBonds(t *testing.T) {
	objects := make([]plannedObject, 8)
	for i, feed := range []string{"a", "a", "b", "b", "c", "c", "d", "a"} {
		objects[i] = plannedObject{URI: fmt.Sprint(i), Feed: feed, Size: 10}
	}
	objects[5].URI = "3" // of two feeds
	objects[6].Copies = []copyOf{{logName: logName{"6", "6"}, Of: &logName{"7", "7"}}}
	looks := []looked{{event: true}, {event: true}, {uid: true}, {uid: true}, {answers: true}, {}, {network: true}, {}}
	for _, c := range []struct {
		most    int64
		want    [][]int
		eachLog bool
	}{
		{20, [][]int{{0, 1}, {2}, {3, 5}, {4}, {6, 7}}, false},
		{19, [][]int{{0}, {1}, {2}, {3, 5}, {4}, {6, 7}}, true},
	} {
		b := newBonds(len(objects))
		eachLog := b.tie(objects, looks, c.most)
		if got := b.groups(); !reflect.DeepEqual(got, c.want) || eachLog["a"] != c.eachLog || eachLog["b"] {
			t.Errorf("%+v: got %v, %v", c, got, eachLog)
		}
	}
	for _, c := range []struct {
		looks   []looked
		resolve bool
		want    int64
	}{
		{looks, false, 20},
		{looks, true, 40},
		{looks[4:6], false, -1},
		{looks[4:6], true, -1},
		{looks[4:7], true, 20},
		{looks[5:7], true, -1},
		{[]looked{{unsure: true}}, false, 10},
		{[]looked{{unsure: true}, {network: true}}, true, 20},
	} {
		if got := joinedBytes(objects[:len(c.looks)], c.looks, c.resolve); got != c.want {
			t.Errorf("%+v, %v: %d bytes to join, want %d", c.looks, c.resolve, got, c.want)
		}
	}
}

// If this fails, a merge has more than a disk holds, or the stages of a large run have so
// many requests to make that these cost more than the machines.
func TestShards(t *testing.T) {
	for _, c := range []struct {
		bytes       int64
		given, want int
	}{{0, 0, 1}, {1<<30 - 1, 0, 1}, {2 << 30, 0, 3}, {100 << 40, 0, mostShards}, {100 << 40, 5, 5}} {
		plan := &stagePlan{Tasks: []plannedTask{{Objects: []plannedObject{{Size: c.bytes / 2}, {Size: c.bytes - c.bytes/2}}}}}
		pl := &planner{stage: &stage{plan: plan}, shards: c.given}
		if form := pl.finish(); plan.Shards != c.want || form.Shards != c.want || form.Bytes != c.bytes {
			t.Errorf("%+v: got %d shards, printed %d", c, plan.Shards, form.Shards)
		}
	}
}

func filesBelow(t *testing.T, folder string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
