package logs

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"outflow/columnar"
)

// randomAudit returns an audit log whose events are written at the same time, and the
// rows expected of it.
func randomAudit(r *rand.Rand, events int) ([]byte, *slowLog) {
	type event struct {
		records []string
		first   int
		cells   map[columnar.Col]string
	}
	var (
		b       strings.Builder
		open    []*event
		started []*event
		line    = 0
	)
	begin := func(serial int) *event {
		e := &event{cells: map[columnar.Col]string{}}
		us := int64(1774000000000000) + int64(serial/3)*1000
		stamp := fmt.Sprintf("msg=audit(%d.%03d:%d):", us/1e6, us/1000%1000, serial)
		var args, fields []string
		for i := range 1 + r.IntN(4) {
			arg := pick(r, "-T", "two words", "https://files.example", "é", "")
			args = append(args, arg)
			if strings.ContainsAny(arg, " é") {
				arg = fmt.Sprintf("%X", arg)
			} else {
				arg = `"` + arg + `"`
			}
			fields = append(fields, fmt.Sprintf("a%d=%s", i, arg))
		}
		e.cells[columnar.CmdLine] = strings.Join(args, " ")
		e.cells[columnar.Path] = "/bin/x"
		e.cells[columnar.PID] = fmt.Sprint(serial)
		e.cells[columnar.User] = "ann"
		e.cells[columnar.Time] = micros(time.UnixMicro(us))
		e.records = append(e.records, fmt.Sprintf("type=SYSCALL %s success=yes pid=%d auid=1 uid=0 exe=\"/bin/x\"\x1dAUID=\"ann\"", stamp, serial))
		for len(fields) > 0 { // spread over several records
			n := 1 + r.IntN(len(fields))
			e.records = append(e.records, "type=EXECVE "+stamp+" argc=9 "+strings.Join(fields[:n], " "))
			fields = fields[n:]
		}
		e.records = append(e.records, "type=PATH "+stamp+" item=0", "type=EOE "+stamp+" ")
		return e
	}
	for serial := 1; serial <= events || len(open) > 0; {
		if len(open) == 0 || serial <= events && serial%32 != 0 && r.IntN(8) > len(open) {
			open = append(open, begin(serial))
			serial++
		}
		i := r.IntN(len(open))
		e := open[i]
		line++
		if e.first == 0 {
			e.first = line
			started = append(started, e)
		}
		b.WriteString(e.records[0] + "\n")
		if e.records = e.records[1:]; len(e.records) == 0 {
			open = append(open[:i], open[i+1:]...)
		}
		if r.IntN(50) == 0 {
			line++
			b.WriteString("type=CONFIG_CHANGE msg=audit(1774000000.000:0): op=x\n")
		}
	}
	want := &slowLog{}
	for _, e := range started {
		want.row(e.first, columnar.Process, e.cells)
	}
	return []byte(b.String()), want
}

// If this fails, events that are written at the same time are mixed up, or cut
// where one block of the log ends.
func TestAuditdIsCutAnyhow(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for _, events := range []int{1, 10, 300, 3000} {
		in, want := randomAudit(r, events)
		checkLog(t, Auditd, Options{}, columnar.Process, in, want)
		for _, size := range []int{1, 5000, 1 << 15} {
			c := &logCase{format: Auditd}
			c.options.Want = ^c.options.Want
			blocks, err := c.read(in, size)
			if err != nil {
				t.Fatal(err)
			}
			if events == 3000 && len(blocks) < 3 {
				t.Errorf("%d events in blocks of %d bytes or more: got %d blocks", events, size, len(blocks))
			}
			if diff := difference(c.run(in, wholeBlock), c.decode(blocks)); diff != "" {
				t.Fatalf("blocks of %d bytes (-whole +cut):\n%.2000s", size, diff)
			}
		}
	}
}

// If this fails, a log in which an event is open all the time is not read, or
// takes all memory.
func TestAuditdWithoutEnd(t *testing.T) {
	var b bytes.Buffer
	for i := 0; b.Len() < 3*MaxRecord; i++ {
		fmt.Fprintf(&b, "type=PATH msg=audit(1774000000.000:1): item=0 name=%0100d\n", i)
	}
	b.WriteString("type=EXECVE msg=audit(1774000000.000:2): argc=1 a0=\"last\"\n")
	r := &result{}
	out := r.collect()
	for _, m := range Read(object("audit.log", b.Bytes()), &ReadOptions{Format: Auditd}, func(m *Member, b *Block) error {
		if len(b.Data) > MaxRecord {
			t.Errorf("got a block of %d bytes", len(b.Data))
		}
		d, err := Auditd.New(m.Options)
		if err != nil {
			return err
		}
		return b.Decode(d, out, &r.tally)
	}) {
		if m.Err != nil {
			t.Error(m.Err)
		}
	}
	out.Flush()
	if r.tally.Rows != 1 || r.tally.Skipped != 0 {
		t.Errorf("got %+v, want one row", r.tally)
	}
}

func BenchmarkDecodeAuditd(b *testing.B) {
	in, _ := randomAudit(rand.New(rand.NewPCG(1, 2)), 1000)
	benchmarkEvents(b, Auditd, in, 1000)
}

func BenchmarkCutAuditd(b *testing.B) {
	in, _ := randomAudit(rand.New(rand.NewPCG(1, 2)), 1000)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		cutAudit(in, false)
	}
}
