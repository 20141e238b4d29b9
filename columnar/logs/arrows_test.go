package logs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// knowDialects are files that belong to no dialect but may use the declarations of all.
// They list formats, open them, write one, say what each may fill, or read the columns of
// Parquet for sources.
var knowDialects = map[string]bool{"format.go": true, "read.go": true, "write.go": true, "fill.go": true,
	"source_parquet.go": true, "source_parquet_column.go": true, "source_parquet_narrow.go": true}

// If this fails, a dialect depends on another one, so a change of one can break the
// other. The files of a dialect are the one that declares its Format, such as zeek.go,
// and those named after it, such as zeek_rows.go.
func TestDialectsStandAlone(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	files := map[string]*ast.File{}
	var dialects []string
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		// The parser lists the names that a file uses and does not declare.
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = file
		if declaresFormat(file) {
			dialects = append(dialects, strings.TrimSuffix(name, ".go"))
		}
	}
	if len(dialects) != len(particular)+len(general) {
		t.Fatalf("got %d files that declare a Format, want %d, one for each of All: %v", len(dialects), len(particular)+len(general), dialects)
	}
	dialectOf := func(file string) string {
		for _, d := range dialects {
			if file == d+".go" || strings.HasPrefix(file, d+"_") {
				return d
			}
		}
		return ""
	}
	declared := map[string]string{} // the file that declares each name
	for name, file := range files {
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil {
					declared[decl.Name.Name] = name
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						declared[spec.Name.Name] = name
					case *ast.ValueSpec:
						for _, id := range spec.Names {
							declared[id.Name] = name
						}
					}
				}
			}
		}
	}
	for name, file := range files {
		own := dialectOf(name)
		if own == "" && knowDialects[name] {
			continue
		}
		for _, id := range file.Unresolved {
			from, found := declared[id.Name]
			if other := dialectOf(from); found && other != "" && other != own {
				t.Errorf("%v: %s uses %s of %s: move what both need to columnar/scan if it is about bytes, else to a file of columnar/logs named for it",
					fset.Position(id.Pos()), name, id.Name, from)
			}
		}
	}
}

// declaresFormat reports whether a file declares a variable that is a *Format.
func declaresFormat(file *ast.File) bool {
	for _, decl := range file.Decls {
		decl, ok := decl.(*ast.GenDecl)
		if !ok || decl.Tok != token.VAR {
			continue
		}
		for _, spec := range decl.Specs {
			for _, value := range spec.(*ast.ValueSpec).Values {
				if and, ok := value.(*ast.UnaryExpr); ok && and.Op == token.AND {
					if literal, ok := and.X.(*ast.CompositeLit); ok {
						if id, ok := literal.Type.(*ast.Ident); ok && id.Name == "Format" {
							return true
						}
					}
				}
			}
		}
	}
	return false
}
