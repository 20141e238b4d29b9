package jobs

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// mayImport says which packages of the module each may import. Imports run one
// way: columnar, scan, stats ← logs, sigma, dnsmodel ← detect ← reports ← jobs.
var mayImport = map[string][]string{
	"columnar":       {},
	"columnar/logs":  {"columnar", "columnar/bounded", "columnar/evtx", "columnar/iceberg", "columnar/inflate", "columnar/pages", "columnar/scan"},
	"columnar/scan":  {},
	"columnar/store": {"columnar", "columnar/bounded", "columnar/iceberg", "columnar/pages"},
	"stats":          {},
	"stats/dnsmodel": {},
	"stats/sigma":    {"columnar", "columnar/bounded"},
	"stats/detect":   {"columnar", "columnar/scan", "stats", "stats/dnsmodel", "stats/sigma"},
	"reports":        {"columnar", "columnar/bounded", "stats", "stats/detect"},
	"jobs":           {"columnar", "columnar/bounded", "columnar/logs", "columnar/store", "stats", "stats/sigma", "stats/detect", "reports"},
	"jobs/outflow":   {"jobs"},
	"fixtures/gen":   {},

	"stats/dnsmodel/train": {"columnar", "stats/dnsmodel"},

	"columnar/bounded":      {},
	"columnar/evtx":         {},
	"columnar/iceberg":      {},
	"columnar/inflate":      {},
	"columnar/pages":        {},
	"fixtures/bench/gen":    {},
	"fixtures/bench/decode": {"columnar", "columnar/logs"},

	"columnar/scan/scantest": {}, // for tests alone: no package may import it
}

// onlyIn says where a module may be imported, by the prefix of its path.
var onlyIn = map[string][]string{
	"github.com/aws/":                   {"columnar/store"},
	"github.com/parquet-go/parquet-go":  {"columnar/pages", "columnar/store", "columnar/logs/parquet", "columnar/logs/source_parquet", "reports/parquet", "fixtures/gen"},
	"github.com/apache/arrow/":          {"columnar"},
	"github.com/wneessen/go-mail":       {"jobs/notify"},
	"github.com/spf13/":                 {"jobs"},
	"github.com/expr-lang/expr":         {"jobs/where"},
	"github.com/goccy/go-yaml":          {"jobs", "stats/sigma", "columnar/bounded", "columnar/logs"},
	"github.com/schollz/progressbar/v3": {"jobs"},
	"os/signal":                         {"jobs"},
}

// If this fails, an import runs against the house's order.
func TestImportsRunOneWay(t *testing.T) {
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == "testdata" || base == ".git" || base == "data" || name == filepath.Join("..", "bench") {
				return fs.SkipDir
			}
			return nil
		}
		name = filepath.ToSlash(strings.TrimPrefix(name, ".."+string(filepath.Separator)))
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", name), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		allowed, known := mayImport[dir]
		if !known {
			t.Errorf("%s: package %s has no place in the house: give it a line in mayImport", name, dir)
			return nil
		}
		for _, spec := range file.Imports {
			p, _ := strconv.Unquote(spec.Path.Value)
			if own, ok := strings.CutPrefix(p, "outflow/"); ok {
				found := false
				for _, a := range allowed {
					found = found || a == own
				}
				if !found {
					t.Errorf("%s imports %s: %s may import only %v; move what is needed down, or the caller up", name, p, dir, allowed)
				}
			}
			if dir == "columnar/scan" && strings.Contains(p, ".") && !strings.HasPrefix(p, "golang.org/x/sys/") {
				t.Errorf("%s imports %s: columnar/scan reads bytes by the standard library and golang.org/x/sys alone", name, p)
			}
			for prefix, places := range onlyIn {
				if !strings.HasPrefix(p, prefix) {
					continue
				}
				found := false
				for _, place := range places {
					found = found || strings.HasPrefix(name, place)
				}
				if !found {
					t.Errorf("%s imports %s: only %v may", name, p, places)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
