package bounded

import (
	"math/rand/v2"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// expressions are in the shapes of rules, and others that make a table hard.
var expressions = []string{
	"", "a", "a|b", "(a|a)*b", "^a", "a$", "^$", `\Aab\z`, `\bab\b`, `\Bb`, "(?m)^a$", "(?i)rclone.*copy", "(?s)a.b", "a.b", "[^a]b", `[[:alpha:]]+\d`, "ſ", "(?i)k", "é+",
	`\d{1,3}(\.\d{1,3}){3}`, "[ab]{2,4}$", "(?i)\\s(-w|/w)\\s+[0-9]+", "a{3,}", "(ab|cd)+e?", "^(?:a|b).*c$", `\x{fffd}`, ".{30}", "(?U)a+b", "x*", "(|a)b", `(?i)straße`, "[^\n]a\n", `\pL\PL`,
	`a\b.`, "(?m:^b)|(?-m:^c)", "ab.{3}", "a.{20}b",
}

// If this fails, a rule finds other texts than its expression says.
func TestMatcherFindsTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"a", "b", "c", "d", "e", "A", "K", "k", "K", "é", "ß", "ſ", "\n", " ", "-", "w", "1", "2", ".", "_", "\xff", "\xe2\x82", "\ufffd", "rclone", "copy", "255.255"}
	texts := []string{"", "ab", "rclone x COPY", "10.1.22.255", strings.Repeat("x", 30), "STRASSE straße STRAßE"}
	for range 2000 {
		var b strings.Builder
		for range r.IntN(12) {
			b.WriteString(alphabet[r.IntN(len(alphabet))])
		}
		texts = append(texts, b.String())
	}
	for _, expr := range expressions {
		m, err := NewMatcher(expr, roomy())
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		re := regexp.MustCompile(expr)
		for _, text := range texts {
			if got, want := m.Match([]byte(text)), re.MatchString(text); got != want {
				t.Errorf("%q in %q: got %t, want %t", expr, text, got, want)
			}
		}
		slow := m.SlowSteps() > 0
		if slow != (expr == "a.{20}b") {
			t.Errorf("%q: slow: %t", expr, slow)
		}
		if later := Later(expr); later.String() != expr || !slow && (later.SlowSteps() > 0 || later.Match([]byte(texts[1])) != m.Match([]byte(texts[1]))) {
			t.Errorf("%q: is another later", expr)
		}
	}
}

// FuzzMatcher holds a Matcher to package regexp.
func FuzzMatcher(f *testing.F) {
	for _, expr := range expressions {
		f.Add(expr, "ab rclone 1.2.3.4\nKé\xff")
	}
	f.Fuzz(func(t *testing.T, expr, text string) {
		m, err := NewMatcher(expr, roomy())
		if err != nil {
			return
		}
		if got, want := m.Match([]byte(text)), regexp.MustCompile(expr).MatchString(text); got != want {
			t.Errorf("%q in %q: got %t, want %t", expr, text, got, want)
		}
	})
}

// If this fails, a small expression costs a run seconds for each megabyte, or its table the
// memory of the run.
func TestMatcherCosts(t *testing.T) {
	text := []byte(strings.Repeat("a", 1<<20))
	for _, c := range []struct {
		expr string
		slow bool
	}{
		{"(a|a)*b", false}, {".{1000}z", false}, {"(((a*)*)*)*z", false}, {"(a{30}){30}z", false}, {strings.Repeat("(a|a)*", 300) + "z", false},
		{strings.Repeat("a*", 900) + "z", false}, {"[ab]*a[ab]{900}z", true}, {"a.{20}b", true},
	} {
		began, room := time.Now(), roomy()
		m, err := NewMatcher(c.expr, room)
		if err != nil {
			t.Fatal(err)
		}
		made := time.Since(began)
		size := roomy().Bytes - room.Bytes
		if slow := m.SlowSteps() > 0; slow != c.slow || size > 2*maxSets*maxClasses+maxSets {
			t.Errorf("%.20s: slow: %t, want %t; %d bytes", c.expr, slow, c.slow, size)
		}
		if c.slow {
			continue
		}
		began = time.Now()
		if m.Match(text) {
			t.Errorf("%.20s: matches", c.expr)
		}
		// Tens of milliseconds, and a few for a megabyte; package regexp takes up to 30 s.
		if took := time.Since(began); made > 5*time.Second || took > 2*time.Second {
			t.Errorf("%.20s: %v to make, %v a megabyte", c.expr, made, took)
		}
		t.Logf("%-20.20s made in %v, %d bytes; %v a megabyte", c.expr, made, size, time.Since(began))
	}
	// Rules of a feed cannot take more than their room.
	room := &Room{Work: 1 << 20, Bytes: 10}
	if m, err := NewMatcher("ab", room); err != nil || m.SlowSteps() == 0 || !m.Match([]byte("xaby")) || m.Match([]byte("ba")) {
		t.Errorf("without room: got %v, %v, want a slow one that matches", m, err)
	}
}

func roomy() *Room { return &Room{Work: 1 << 30, Bytes: 1 << 30} }

// If this fails, the classes of a small expression are sorted as often as it repeats them: a
// file of rules takes minutes to load.
func TestMatcherSortsAClassOnce(t *testing.T) {
	made := func(expr string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := NewMatcher(expr, &Room{Work: maxWork, Bytes: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if one, many := made(`\pL{2}`), made(`\pL{900}`); many > one+16<<20 {
		t.Errorf("900 times a class: %d bytes, and twice %d", many, one)
	}
	// Classes that differ take of the room before they are sorted.
	room := &Room{Work: 1000}
	if m, err := NewMatcher(`\pL\PL\pN`, room); err != nil || m.SlowSteps() == 0 || room.Work > 0 {
		t.Errorf("got %v, room for %d, want a slow one that has taken it", err, room.Work)
	}
}
