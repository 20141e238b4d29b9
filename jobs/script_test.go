package jobs

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	if how := os.Getenv("OUTFLOW_TEST_KILL"); how != "" {
		os.Exit(killedMain(how, os.Args[1:]))
	}
	testscript.Main(tidy{m}, map[string]func(){
		"outflow": func() { os.Exit(Main(os.Args[1:])) },
	})
}

// tidy removes the samples when all tests have run.
type tidy struct{ *testing.M }

func (m tidy) Run() int {
	defer func() {
		if !made {
			return
		}
		if dir, err := samples(); err == nil {
			os.RemoveAll(dir)
		}
	}()
	return m.M.Run()
}

// The scripts in fixtures/scripts are what a user does, end to end. The sample
// logs are at $FIXTURES, a small Iceberg table is at $TABLE.
func TestScripts(t *testing.T) {
	data := fixtures(t)
	table, err := filepath.Abs("../columnar/store/testdata/iceberg")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "../fixtures/scripts",
		UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("FIXTURES", data)
			env.Setenv("TABLE", table)
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			return os.Symlink(data, filepath.Join(env.WorkDir, "fixtures"))
		},
	})
}

// made is true once a test has asked for the samples.
var made bool

// samples makes the sample logs, once for all tests.
var samples = sync.OnceValues(func() (string, error) {
	made = true
	dir, err := os.MkdirTemp("", "outflow-samples")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "run", "../fixtures/gen", "-out", dir).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("make the sample logs: %w\n%s", err, out)
	}
	return dir, err
})

// fixtures returns a new folder with the layout of the repository's fixtures, so that the
// paths of fixtures/outflow.yaml are right in its parent.
func fixtures(t *testing.T) string {
	t.Helper()
	made, err := samples()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "fixtures")
	err = filepath.WalkDir(made, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, "data", strings.TrimPrefix(name, made))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		return os.Link(name, to) // keeps the file's time, which a log without years needs
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"outflow.yaml", "planted.csv", "near_misses.csv"} {
		text, err := os.ReadFile(filepath.Join("../fixtures", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
