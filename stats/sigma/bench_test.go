package sigma

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"outflow/columnar"
)

var programs = []string{"powershell", "cmd", "rundll32", "certutil", "curl", "rclone", "wmic", "schtasks", "reg", "net", "mshta", "regsvr32",
	"bitsadmin", "7z", "rar", "winscp", "msiexec", "explorer", "svchost", "chrome", "outlook", "teams", "code", "python", "node", "java"}

// manyRules makes rules in the most frequent shapes of SigmaHQ's rules: an image or
// its original name, words of the command line, and exceptions.
func manyRules(n int) []File {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(size int) string {
		b := make([]byte, size)
		for i := range b {
			b[i] = "etaoinshrdlucmfwypvbgkqjxz"[min(r.IntN(26), r.IntN(26))]
		}
		return string(b)
	}
	files := make([]File, n)
	for i := range files {
		var b strings.Builder
		fmt.Fprintf(&b, "title: rule %d\nid: %08d-0000-4000-8000-000000000000\nstatus: test\nlevel: high\ntags: [attack.exfiltration, attack.t1567.002]\n"+
			"description: made for a benchmark\nlogsource:\n  category: process_creation\n  product: windows\ndetection:\n", i, i)
		program := programs[r.IntN(len(programs))]
		switch r.IntN(10) {
		case 0, 1, 2, 3, 4:
			fmt.Fprintf(&b, "  selection_img:\n    - Image|endswith: '\\%s.exe'\n    - OriginalFileName: '%s.exe'\n  selection_cli:\n    CommandLine|contains:\n", program, program)
			for range 1 + r.IntN(6) {
				fmt.Fprintf(&b, "      - ' -%s %s'\n", word(3+r.IntN(5)), word(2+r.IntN(6)))
			}
			b.WriteString("  condition: all of selection_*\n")
		case 5, 6:
			b.WriteString("  selection:\n    CommandLine|contains|all:\n")
			for range 2 + r.IntN(3) {
				fmt.Fprintf(&b, "      - '%s'\n", word(3+r.IntN(8)))
			}
			fmt.Fprintf(&b, "  filter_main:\n    ParentImage: 'C:\\Program Files\\%s\\%s.exe'\n  condition: selection and not 1 of filter_*\n", word(6), word(6))
		case 7:
			fmt.Fprintf(&b, "  selection:\n    ParentImage|endswith: '\\%s.exe'\n    Image|endswith:\n", program)
			for range 2 + r.IntN(8) {
				fmt.Fprintf(&b, "      - '\\%s.exe'\n", word(4+r.IntN(6)))
			}
			b.WriteString("  condition: selection\n")
		case 8:
			fmt.Fprintf(&b, "  selection:\n    Image|endswith: '\\%s.exe'\n    CommandLine|re: '(?i)%s\\s+[a-z0-9]{8,}\\s'\n  condition: selection\n", program, word(5))
		default:
			fmt.Fprintf(&b, "  selection:\n    CommandLine|contains|windash: ' -%s '\n    Description: '%s tool'\n  filter:\n    User|contains: [AUTHORI, AUTORI]\n"+
				"  condition: selection and not filter\n", word(6), word(5))
		}
		files[i] = File{Name: fmt.Sprintf("rule_%d.yml", i), Text: []byte(b.String())}
	}
	return files
}

func BenchmarkLoad(b *testing.B) {
	files := manyRules(1000)
	for b.Loop() {
		if set, errs := Load(files, Options{}); len(errs) > 0 || len(set.Rules) != len(files) {
			b.Fatal(errs)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(files)), "ns/rule")
}

// BenchmarkMatch matches batches of 16,384 process events. One event in five is of
// a program that rules are about. The time to build the batches is not measured.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 4000} {
		b.Run(fmt.Sprint("rules=", n), func(b *testing.B) {
			set, errs := Load(manyRules(n), Options{})
			if len(errs) > 0 {
				b.Fatal(errs[0])
			}
			want := set.Want()
			m := set.Matcher()
			matches, rows := 0, 0
			// A sink runs while its batch is valid, so the measured part is in it.
			out := columnar.Out{Want: want.Cols, WantFields: want.Fields}
			out.Sink = func(batch *columnar.Batch) {
				b.StartTimer()
				matches += len(m.Match(batch))
				b.StopTimer()
				rows += batch.Len()
			}
			r := rand.New(rand.NewPCG(3, 4))
			t := out.Table(columnar.Process)
			text := func(c columnar.Col, s string) { t.SetText(c, []byte(s)) }
			b.ResetTimer()
			b.StopTimer()
			for range b.N {
				for i := range columnar.BatchRows {
					program := fmt.Sprintf("tool%d", r.IntN(400))
					if r.IntN(5) == 0 {
						program = programs[r.IntN(len(programs))]
					}
					t.SetTime(int64(i))
					text(columnar.Path, `C:\Windows\System32\`+program+".exe")
					text(columnar.InternalName, program+".exe")
					text(columnar.Description, program+" of a vendor")
					text(columnar.ParentPath, `C:\Windows\`+programs[r.IntN(len(programs))]+".exe")
					text(columnar.User, fmt.Sprintf(`ACME\user%d`, r.IntN(3000)))
					text(columnar.CmdLine, fmt.Sprintf(`"C:\Windows\System32\%s.exe" /run --config C:\Users\user%d\AppData\Local\Temp\%x.json -session %d -o out%d`,
						program, r.IntN(3000), r.Uint64(), r.IntN(1e6), r.IntN(100)))
					t.Next(int64(i + 1))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/event")
			b.ReportMetric(float64(matches)/float64(rows), "matches/event")
		})
	}
}
