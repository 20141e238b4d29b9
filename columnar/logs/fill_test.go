package logs

import (
	"fmt"
	"path/filepath"
	"testing"

	"outflow/columnar"
)

// If this fails, logs that depend on one another are read apart: a log has ids, answers or
// servers where nobody looks for them.
func TestMayFill(t *testing.T) {
	filled := map[columnar.Col]bool{}
	for _, c := range readCases(t) {
		if c.format.New == nil {
			continue
		}
		check := func(m *Member, b *Block) error {
			d, err := m.Format.New(m.Options)
			if err != nil {
				return err
			}
			out := columnar.Out{Want: columnar.Cols(^uint64(0)), Origin: m.Format.Origin(), Sink: func(rows *columnar.Batch) {
				for _, col := range []columnar.Col{columnar.EventUID, columnar.UID, columnar.Answers, columnar.DstIP, columnar.DstHost} {
					if !rows.Table.Set().Has(col) || rows.Known(col) == 0 {
						continue
					}
					filled[col] = true
					if !m.Format.MayFill(col, m.Options) {
						t.Errorf("%s: %s fills %v, and MayFill denies it", filepath.Base(c.file), m.Format.Name, col)
					}
				}
			}}
			var tally Tally
			err = b.Decode(d, &out, &tally)
			out.Flush()
			return err
		}
		Read(object("test", c.in), &ReadOptions{Format: c.format, Options: c.options}, check)
	}
	if len(filled) != 5 {
		t.Errorf("the cases fill %s only", fmt.Sprint(filled))
	}
	if CSV.MayFill(columnar.EventUID, &Options{Head: []byte("time,user,bytes_out\n")}) || !CSV.MayFill(columnar.EventUID, &Options{Head: []byte("time;Event-UID\n")}) {
		t.Error("a column of CSV is not found by its name")
	}
	const path, json = "#separator \\x09\n#path\t", `{"ts":1,"query":"a.example","qtype":1}` + "\n"
	for _, c := range []struct {
		name, head string
		want       bool // connections
	}{
		{"x.log", path + "dns\n#fields\tts\n", false}, {"x.log", path + "conn\n#fields\tts\n", true}, {"x.log", path + "dns\n#fields\tts\n#close\n" + path + "ssl\n#fields\tts\n", true}, {"x.log", path + "dns\n#fields\tts\n#separator \\x09\n#fields\tts\n", true},
		{"dns.log", json, false}, {"dns_20261120.json.gz", json, false}, {"all.log", json, true}, {"dns.log", json + `{"_path":"conn","ts":1}`, true},
		{"all.log", `{"_path":"dns","ts":1}`, true}, {"dns.log", "", true}, {"conn.log", json, true},
	} {
		o := &Options{Name: c.name, Head: []byte(c.head)}
		if got := Zeek.MayFill(columnar.UID, o) && Zeek.MayHave(columnar.Network, o); got != c.want {
			t.Errorf("%s %q may have connections: got %v, want %v", c.name, c.head, got, c.want)
		}
	}
}
