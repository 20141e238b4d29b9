package deploytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// If this fails, the driver for Spark calls outflow wrongly, loses its exit code, or tries again in vain. testdata/pyspark
// stands in for Spark; make spark-test has the real one.
func TestSpark(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3")
	}
	script, err := filepath.Abs("../spark/outflow_spark.py")
	if err != nil {
		t.Fatal(err)
	}
	stand, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		before   string // of the shell script that stands before outflow
		code     int
		says     string
		attempts int // at the first fold
	}{
		"works":   {"", 0, "outflow fold: 2 of 2, 2 rows, ", 1},
		"usage":   {`[ "$2" = fold ] && { echo "outflow: wrong" >&2; exit 2; }`, 2, "outflow: fold 0: exit 2: outflow: wrong\n", 1},
		"passing": {`[ "$2" = fold ] && { echo "outflow: no answer" >&2; exit 5; }`, 5, "outflow: fold 0: exit 5: outflow: no answer\n", 4},
		"killed":  {`[ "$2" = merge ] && kill -9 $$`, 137, "outflow: merge 0: exit 137: \n", 1},
		"once":    {`[ "$2" = fold ] && [ ! -e once ] && touch once && exit 5`, 0, "outflow fold: 2 of 2, 2 rows, ", 2},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir() // also where Spark puts the files of --files
			write := func(name, text string, mode os.FileMode) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
					t.Fatal(err)
				}
			}
			write("outflow", fmt.Sprintf("#!/bin/sh\necho \"$2 ${10}\" >> attempts\n%s\nexec %s \"$@\"\n", c.before, program), 0o755)
			for _, user := range []string{"ann", "ben"} {
				write(user+".csv", "time,user,bytes_out,url\n2026-11-20T10:00:00Z,"+user+",120,https://files.example/"+user+"\n", 0o644)
			}
			write("outflow.yaml", fmt.Sprintf("inputs: [{name: proxy, uri: '%s/*.csv', format: csv}]\nstate: %[1]s/state\nout: %[1]s/out\nbackfill: false\n", dir), 0o644)
			run := exec.Command("python3", script, "--config", "outflow.yaml", "--work", dir+"/stages", "--day", "2026-11-20", "--task-size", "1B", "--shards", "2")
			run.Env = []string{"PATH=" + os.Getenv("PATH"), "PYTHONPATH=" + stand, "PYTHONDONTWRITEBYTECODE=1", "SPARK_FILES=" + dir, "HOME=" + dir}
			run.Dir = t.TempDir()
			text, err := run.CombinedOutput()
			if run.ProcessState == nil {
				t.Fatal(err)
			}
			out := string(text)
			if code := run.ProcessState.ExitCode(); code != c.code || !strings.Contains(out, c.says) || !strings.Contains(out, "stopped\n") {
				t.Errorf("exit %d, want %d and %q:\n%s", code, c.code, c.says, out)
			}
			attempts, err := os.ReadFile(filepath.Join(dir, "attempts"))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(string(attempts), "fold 0\n"); got != c.attempts {
				t.Errorf("got %d attempts at fold 0, want %d:\n%s", got, c.attempts, attempts)
			}
			_, err = os.Stat(filepath.Join(dir, "out/nightly/2026-11-20/findings.csv"))
			if done := err == nil; done != (c.code == 0) {
				t.Errorf("exit %d, and findings.csv: %v", c.code, err)
			}
		})
	}
}
