package jobs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"outflow": func() { os.Exit(Main(os.Args[1:])) },
	})
}

// The scripts in fixtures/scripts are what a user does, end to end. The sample
// logs are at $FIXTURES.
func TestScripts(t *testing.T) {
	data := fixtures(t)
	testscript.Run(t, testscript.Params{
		Dir:           "../fixtures/scripts",
		UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("FIXTURES", data)
			env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			return os.Symlink(data, filepath.Join(env.WorkDir, "fixtures"))
		},
	})
}

// fixtures makes the sample logs once and returns a folder laid out as the
// repository's fixtures, so that fixtures/outflow.yaml holds in its parent.
func fixtures(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fixtures")
	if out, err := exec.Command("go", "run", "../fixtures/gen", "-out", filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("make the sample logs: %v\n%s", err, out)
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
