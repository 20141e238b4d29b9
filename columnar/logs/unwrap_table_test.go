package logs

import (
	"bufio"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// Tables and blocks of lines are read through all that comes before a decoder. A case is named
// for the format that is inside.
func TestTables(t *testing.T) {
	files, err := filepath.Glob("testdata/tables/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		c, err := readCase(file)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			m, one := c.unwrapped(c.in, wholeBlock)
			if m.Format != c.format || one.err != nil {
				t.Fatalf("got %s, %v, want %s", nameOf(m.Format), one.err, c.format.Name)
			}
			if err := one.check(); err != nil {
				t.Error(err)
			}
			got := one.files()
			if *update {
				c.rewrite(t, got)
				return
			}
			want := slices.DeleteFunc(slices.Clone(c.archive.Files), func(f txtar.File) bool { return f.Name == "in" || f.Name == "options" })
			if d := gocmp.Diff(text(want), text(got)); d != "" {
				t.Errorf("one block (-want +got):\n%s", d)
			}
			if _, small := c.unwrapped(c.in, 1); difference(one, small) != "" {
				t.Errorf("a block for each record (-one block +cut):\n%s", difference(one, small))
			}
		})
	}
}

// Each kind of value that a cell may be becomes what JSON has for it, and no cell can add a
// member.
func TestTableObjects(t *testing.T) {
	for _, c := range []struct{ table, want string }{
		{"a,b\n1,x\n", `{"a":1,"b":"x"}`},
		{"a,b\n007,\n", `{"a":"007"}`},
		{"a;b\n\"x\"\"y\";\\\n", `{"a":"x\"y","b":"\\"}`},
		{"a;b\n\"{\"\"k\"\":[1]}\";[1,2]\n", `{"a":{"k":[1]},"b":[1,2]}`},
		{"a\tb\n1,234,567\t1,23\n", `{"a":1234567,"b":"1,23"}`},
		{"a,b\n\"x\",\"\"\"},\"\"c\"\":1\"\n", `{"a":"x","b":"\"},\"c\":1"}`},
		{"a,b\n\"{\"\"k\"\":1},\"\"c\"\":{}\",y\n", `{"a":"{\"k\":1},\"c\":{}","b":"y"}`},
		{"a.b,a.c,d\n1,2,3\n", `{"a":{"b":1,"c":2},"d":3}`},
		{"a.b,a.c,d\n,,3\n", `{"d":3}`},
		{"a,a.b\n1,2\n", `{"a":1,"a.b":2}`},
		{"a..b,c\n1,2\n", `{"a..b":1,"c":2}`},
		{"message,b\n{},2\n", `{"message":"{}","b":2}`},
		{"T [UTC],b\n\"11/20/2026, 8:00:00 AM\",2\n", `{"T":"11/20/2026, 8:00:00 AM UTC","b":2}`},
		{"a,b\n\"{k=v, w, l=[{m=1}, {m=2}], n=null, e={}}\",2\n", `{"a":{"k":"v, w","l":[{"m":"1"},{"m":"2"}],"n":null,"e":{}},"b":2}`},
		{"a,b\n\"{k=v, \"\"x\"\":1\",2\n", `{"a":"{k=v, \"x\":1","b":2}`},
		{"a,b\n\"{k=[x, y]}\",2\n", `{"a":{"k":["x","y"]},"b":2}`}, {"a,b\n[2001:db8::1],2\n", `{"a":"[2001:db8::1]","b":2}`},
		{"message [UTC],b\n,2\n", `{"message":"","b":2}`},
		{"a,b\n1,2,3\n", `{"a":1,"b":2,"Message":"3"}`},
	} {
		head := tableHeadOf([]byte(c.table))
		if head == nil {
			t.Errorf("%q is no table", c.table)
			continue
		}
		l := &tableLayer{tableHead: head, begun: true}
		_, record, _ := strings.Cut(strings.TrimSuffix(c.table, "\n"), "\n")
		got, _, why := l.unwrap([]byte(record), &envelope{})
		if why != "" || string(got) != c.want || !soundObject(got) {
			t.Errorf("%q: got %s %s, want %s", c.table, got, why, c.want)
		}
	}
	for _, text := range []string{"", "a,b", "a,b\n", "a,b\n1\n", "1,2\n3,4\n", "k=1,l=2\nk=3,l=4\n", "{\"a\":1},b\n1,2\n", "#a,b\n1,2\n", "a b\nc d\n"} {
		if tableHeadOf([]byte(text)) != nil {
			t.Errorf("%q is a table", text)
		}
	}
}

// What stands in the middle of a line begins no record, wherever the buffer ends.
func TestBlockWithinLine(t *testing.T) {
	const head = "Event[0]:\n  Message: "
	for _, size := range []int{16, 32, 64} {
		line := strings.Repeat("x", 4*size-len("  Message: "))
		in := head + line + "Event[1]:\n  User: eve\n"
		out, err := io.ReadAll(&blockReader{blockForm: blockFormOf([]byte(in)), src: bufio.NewReaderSize(strings.NewReader(in), size)})
		if n := strings.Count(string(out), "\n"); err != nil || n != 1 {
			t.Errorf("buffer of %d: got %d records, %v, want 1: %s", size, n, err, out)
		}
	}
}
