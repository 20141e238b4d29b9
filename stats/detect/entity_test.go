package detect

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

func TestNames(t *testing.T) {
	plain := &Names{}
	aliases := &Names{Domains: map[string]string{"corp.example": "corp.example", "corp": "corp.example", "corp.local": "corp.example", "lab": "lab.example"}}
	without := &Names{Domains: map[string]string{"corp": "corp.example", NoDomain: "corp.example"}}
	literal := &Names{Literal: true}
	for _, test := range []struct {
		names      *Names
		name, want string
	}{
		{plain, "Anna", "anna"}, {plain, "anna ", "anna"}, {plain, "\u00a0\ufeffANNA\u200b\t\r\n", "anna"}, {plain, "", ""}, {plain, " \u00ad ", ""},
		{plain, "anna b", "anna b"}, {plain, "a\u00a0b", "a\u00a0b"},
		{plain, "MÜLLER", "müller"}, {plain, "ΣΑΣ", "σασ"}, {plain, "σας", "σασ"}, {plain, "\u212aarl", "karl"}, {plain, "ſam", "sam"}, {plain, "Ꭰ", "ꭰ"},
		{plain, "ＭＩＲＡ＠corp．example", "mira@corp.example"}, {plain, "ｶﾅ", "ｶﾅ"}, {plain, "İ", "İ"}, {plain, "a\xff\xfeB", "a\xff\xfeb"}, {plain, "\xc3", "\xc3"},
		// Forms of a domain stay apart without an alias.
		{plain, `CORP\Anna`, `corp\anna`}, {plain, "Anna@Corp.Example", "anna@corp.example"}, {plain, "anna@corp", "anna@corp"},
		{plain, `.\Anna`, `.\anna`}, {plain, `\anna`, `\anna`}, {plain, `CORP\`, `corp\`}, {plain, "@corp.example", "@corp.example"},
		{aliases, `CORP\Anna`, "anna@corp.example"}, {aliases, `corp.example\anna`, "anna@corp.example"}, {aliases, "ANNA@corp.local", "anna@corp.example"},
		{aliases, "anna@CORP", "anna@corp.example"}, {aliases, "anna@corp.example", "anna@corp.example"}, {aliases, `lab\anna`, "anna@lab.example"},
		{aliases, "anna", "anna"}, {aliases, `OTHER\anna`, `other\anna`}, {aliases, "anna@other.example", "anna@other.example"},
		{without, "Anna", "anna@corp.example"}, {without, `.\anna`, `.\anna`}, {without, "role/anna", "role/anna"}, {without, "@", "@"}, {without, "", ""},
		// A session of a role that bears a person's name.
		{plain, "AWSReservedSSO_Admin_0a1b/Anna@corp.example", "anna@corp.example"}, {aliases, "ops/anna@CORP", "anna@corp.example"},
		{plain, "ops/anna@corp", "ops/anna@corp"}, {plain, "ops/i-0abc", "ops/i-0abc"}, {plain, "a/@b.c", "a/@b.c"}, {plain, "a/b@.c", "a/b@.c"},
		{literal, " Anna", " Anna"}, {literal, "r/anna@corp.example", "r/anna@corp.example"},
	} {
		if got := test.names.User(test.name); got != test.want {
			t.Errorf("%q with %q: got %q, want %q", test.name, test.names.Domains, got, test.want)
		}
		if got := test.names.User(test.want); test.names != literal && got != test.want {
			t.Errorf("%q, which is folded: got %q", test.want, got)
		}
	}
	for name, want := range map[string]string{"PC-1 ": "pc-1", "PC1.Corp.Example": "pc1.corp.example", "2001:DB8::1": "2001:db8::1", `A\B`: `a\b`, "": ""} {
		if got := plain.Host(name); got != want {
			t.Errorf("host %q: got %q, want %q", name, got, want)
		}
	}
}

// FuzzNames fails if folding a name twice differs from folding it once, or if names that
// are equal by strings.EqualFold fold to two names.
func FuzzNames(f *testing.F) {
	f.Add("Anna", "ANNA")
	f.Add("\u212a\xff", "k\xff")
	f.Fuzz(func(t *testing.T, a, b string) {
		n := &Names{}
		if once := n.User(a); n.User(once) != once {
			t.Errorf("%q: folds to %q, and that to %q", a, once, n.User(once))
		}
		if utf8.ValidString(a) && utf8.ValidString(b) && strings.EqualFold(a, b) && n.User(a) != n.User(b) {
			t.Errorf("%q and %q: got %q and %q", a, b, n.User(a), n.User(b))
		}
	})
}

// If this fails, the account of a cloud user makes two users one, or one user two.
func TestEntitiesOfAccounts(t *testing.T) {
	for _, test := range []struct{ account, user, srcIP, want string }{
		{"111", "deploy", "192.0.2.1", "user 111/deploy"},
		{"222", "Deploy", "192.0.2.1", "user 222/deploy"},
		{"", "deploy", "192.0.2.1", "user deploy"},
		{"222", "root", "", "user 222/root"},
		{"111", "ops/i-0abc", "", "user 111/ops/i-0abc"},
		// A person is the same entity in all accounts.
		{"111", "AWSReservedSSO_Admin_0a/Anna@corp.example", "", "user anna@corp.example"},
		{"222", "AWSReservedSSO_Admin_1b/anna@corp.example", "", "user anna@corp.example"},
		{"222", "anna@corp.example", "", "user anna@corp.example"},
		{"222", `CORP\anna`, "", `user corp\anna`},
		// The name has the account already.
		{"333", "333/AIDA1", "", "user 333/aida1"},
		{"333", "333", "", "user 333"},
		{"333", "3334", "", "user 333/3334"},
		{"111", "", "192.0.2.1", "src_ip 192.0.2.1"},
		{"111", "\u200b", "192.0.2.1", "src_ip 192.0.2.1"},
	} {
		e := newEntities(&FoldOptions{}, userEntity, addressEntity, hostEntity)
		out := &columnar.Out{Want: entityReads, Sink: func(b *columnar.Batch) {
			for i, id := range e.of(b) {
				if got := entityKind(id&3).String() + " " + string(e.name(id)); got != test.want {
					t.Errorf("row %d of account %q, user %q: got %q, want %q", i, test.account, test.user, got, test.want)
				}
			}
		}}
		b := out.Table(columnar.API)
		for record := range int64(2) {
			b.SetTime(0)
			b.SetText(columnar.Account, []byte(test.account))
			b.SetText(columnar.User, []byte(test.user))
			b.SetText(columnar.SrcIP, []byte(test.srcIP))
			b.Next(record + 1)
		}
		out.Flush()
	}
}

// respelt returns a name in another spelling of the same entity.
func respelt(r *rand.Rand, name string) string {
	if name == "" {
		return ""
	}
	b := []byte(name)
	for i := range b {
		if r.IntN(2) == 0 {
			b[i] = bytes.ToUpper(b[i : i+1])[0]
		}
	}
	return []string{"", " ", "\u00a0"}[r.IntN(3)] + string(b) + []string{"", "\t", "\u200b"}[r.IntN(3)]
}

// If this fails, a row does not show the spelling of its earliest event, or, if several
// events are the earliest, not the least of their spellings.
func TestSpelling(t *testing.T) {
	type key struct {
		day                Day
		feed, kind, entity string
	}
	several := false
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 8))
		events := randomEvents(r, 1+r.IntN(400))
		first := map[key]*event{}
		for i := range events {
			e := &events[i]
			e.us -= e.us % 3600e6
			e.texts[columnar.Account] = ""
			k := key{DayOf(e.us), e.feed, "user", (&Names{}).User(e.texts[columnar.User])}
			if e.table == columnar.Network {
				k.feed += "/network"
			}
			if e.table == columnar.DNS || k.entity == "" || e.table == columnar.Network && e.texts[columnar.DstIP] == "10.9.9.9" {
				continue
			}
			old := first[k]
			if old == nil || e.us < old.us || e.us == old.us && e.texts[columnar.User] < old.texts[columnar.User] {
				several = several || old != nil && e.us == old.us
				first[k] = e
			}
		}
		folders := make([]Folder, 3)
		for i := range folders {
			folders[i] = UserDay.New(&openBounds)
			feedTo(folders[i], UserDay, events[i*len(events)/3:(i+1)*len(events)/3])
		}
		for _, row := range merged(t, UserDay, &openBounds, folders...) {
			switch row.EntityType {
			case "user":
				if want := first[key{row.Day, row.Feed, "user", row.Entity}].texts[columnar.User]; row.Who() != want || row.Spelling == row.Entity {
					t.Errorf("seed %d: %s on %s: got %q, want %q", seed, row.Entity, row.Day, row.Spelling, want)
				}
			case "src_ip":
				if row.Spelling != "" || row.Who() != row.Entity {
					t.Errorf("seed %d: address %s: got spelling %q, want none", seed, row.Entity, row.Spelling)
				}
			}
		}
	}
	if !several {
		t.Error("no two spellings at one time: this proves little")
	}
}

// If this fails, the results for an entity depend on how logs spell it.
func TestSpellingsFoldAlike(t *testing.T) {
	for _, a := range Aggregates {
		t.Run(a.Name, func(t *testing.T) {
			for seed := range uint64(10) {
				r := rand.New(rand.NewPCG(seed, 7))
				events := randomEvents(r, 1+r.IntN(800))
				canonical := &Names{}
				for i := range events {
					texts := events[i].texts
					texts[columnar.User] = canonical.User(texts[columnar.User])
					texts[columnar.Host] = canonical.Host(texts[columnar.Host])
				}
				fold := func() []Row {
					f := a.New(&openBounds)
					feedTo(f, a, events)
					rows := merged(t, a, &openBounds, f)
					for i := range rows {
						rows[i].Spelling = ""
						if a == RuleDay {
							rows[i].Examples = nil // they show names as the log spells them
						}
					}
					return rows
				}
				want := fold()
				for i := range events {
					texts := events[i].texts
					texts[columnar.User] = respelt(r, texts[columnar.User])
					texts[columnar.Host] = respelt(r, texts[columnar.Host])
					if ip := texts[columnar.SrcIP]; ip != "" && !strings.Contains(ip, ":") {
						texts[columnar.SrcIP] = []string{ip, "::ffff:" + ip, ip + ":77", "[::FFFF:" + ip + "]:5"}[r.IntN(4)]
					}
				}
				if diff := cmp.Diff(want, fold()); diff != "" {
					t.Fatalf("seed %d: -one spelling +many:\n%s", seed, diff)
				}
			}
		})
	}
}
