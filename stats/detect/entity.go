package detect

import (
	"bytes"
	"cmp"
	"unicode"
	"unicode/utf8"

	"outflow/columnar"
)

// This file decides which entity a row belongs to, and which names mean one entity.

// Names says which names of users and hosts mean one entity. The zero value ignores
// case and outer white space.
type Names struct {
	// Domains maps an alias of a domain to the domain, both as CanonicalDomain returns
	// them. The key NoDomain stands for users without a domain.
	Domains map[string]string
	// Literal keeps names as logs spell them, as profile seed does.
	Literal bool
}

// NoDomain is the key in Names.Domains for users whose names have no domain.
const NoDomain = "."

// CanonicalDomain returns the form in which domains are compared.
func CanonicalDomain(domain string) string { return string(appendCanonical(nil, []byte(domain))) }

// User returns the canonical name of a user, which names its entity.
//
// Case, outer white space and invisible characters around the name are ignored. A
// person has a domain, as in DOMAIN\name or name@domain, and is the same person
// wherever the name appears: ROLE/anna@corp.example, the name of a cloud role's
// session, is anna@corp.example. If Domains has the domain, both forms become
// name@domain; otherwise they stay two names. NoDomain may give a domain to other
// names, unless they contain a slash: those are sessions of a role or have an account.
func (n *Names) User(name string) string { return string(n.appendUser(nil, []byte(name))) }

func (n *Names) appendUser(dst, name []byte) []byte {
	if n.Literal {
		return append(dst, name...)
	}
	at := len(dst)
	dst = appendCanonical(dst, name)
	canonical := dst[at:]
	p, ok := n.person(canonical)
	switch {
	case !ok:
		if to, ok := n.Domains[NoDomain]; ok && len(canonical) > 0 && !bytes.ContainsAny(canonical, `/\@`) {
			dst = append(append(dst, '@'), to...)
		}
		return dst
	case p.alias != "":
		return append(append(append(dst[:at], p.name...), '@'), p.alias...)
	case p.windows:
		return dst
	}
	return append(dst[:at], canonical[bytes.LastIndexByte(canonical, '/')+1:]...)
}

// Nobody reports whether the name of a user or host has nothing that can be seen, so that
// it names none.
func (n *Names) Nobody(name []byte) bool {
	return len(name) == 0 || !n.Literal && len(trimInvisible(name)) == 0
}

// Host returns the canonical name of a host: case and outer white space are ignored.
func (n *Names) Host(name string) string { return string(n.appendHost(nil, []byte(name))) }

func (n *Names) appendHost(dst, name []byte) []byte {
	if n.Literal {
		return append(dst, name...)
	}
	at := len(dst)
	dst = appendCanonical(dst, name)
	return columnar.AppendAddress(dst[:at], bytes.Clone(dst[at:]))
}

// A person is a user whose name contains a domain.
type person struct {
	name    []byte
	alias   string // the domain in Domains; "" if Domains does not have it
	windows bool   // DOMAIN\name
}

// person splits a canonical name, or returns false if it contains no domain.
func (n *Names) person(name []byte) (p person, ok bool) {
	if domain, rest, ok := bytes.Cut(name, []byte{'\\'}); ok {
		alias := ""
		if string(domain) != NoDomain { // .\name belongs to one machine
			alias = n.Domains[string(domain)]
		}
		return person{rest, alias, true}, len(domain) > 0 && len(rest) > 0
	}
	name = name[bytes.LastIndexByte(name, '/')+1:]
	i := bytes.LastIndexByte(name, '@')
	if i <= 0 {
		return person{}, false
	}
	domain := name[i+1:]
	alias := ""
	if string(domain) != NoDomain {
		alias = n.Domains[string(domain)]
	}
	dot := bytes.IndexByte(domain, '.')
	return person{name[:i], alias, false}, alias != "" || dot > 0 && dot < len(domain)-1
}

// appendCanonical appends name in one case and without invisible characters around it.
func appendCanonical(dst, name []byte) []byte {
	for name = trimInvisible(name); len(name) > 0; {
		r, size := utf8.DecodeRune(name)
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, name[0]) // not UTF-8
		} else {
			dst = utf8.AppendRune(dst, lowerRune(r))
		}
		name = name[size:]
	}
	return dst
}

// trimInvisible returns name without the white space and invisible characters around
// it.
func trimInvisible(name []byte) []byte {
	return bytes.TrimFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zs) })
}

// lowerRune returns the same rune for all runes that are equal under Unicode's simple
// case folding: a lower-case one, if there is one. Full-width letters, digits and signs, as
// Japanese keyboards write them, are those of ASCII.
func lowerRune(r rune) rune {
	if '！' <= r && r <= '～' {
		r -= '！' - '!'
	}
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r |= 0x20
		}
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	lower := unicode.ToLower(least)
	for f := unicode.SimpleFold(least); f != least; f = unicode.SimpleFold(f) {
		if f == lower {
			return lower
		}
	}
	return least // also for İ, whose lower case belongs to another letter
}

// An entityKind is the column that an entity comes from.
type entityKind uint32

const (
	groupEntity entityKind = iota // no column: the group of a correlation
	userEntity
	addressEntity
	hostEntity
)

var entityColumns = [...]columnar.Col{userEntity: columnar.User, addressEntity: columnar.SrcIP, hostEntity: columnar.Host}

// String returns the EntityType of a Key.
func (k entityKind) String() string {
	if k == groupEntity {
		return "group"
	}
	return entityColumns[k].String()
}

// entityReads are the columns that identify the entity of a row.
var entityReads = columnar.ColSet(columnar.User, columnar.SrcIP, columnar.Host, columnar.Account)

// entities assigns numbers to the entities that a worker has met, one number for each
// spelling. 0 means no entity. Spellings of one entity come together when a table is
// drained, under the entity's canonical name, so folding a batch need not compare
// names.
//
// A user whose name contains no domain belongs to its cloud account, if the row names
// one: its spelling and name are ACCOUNT/user, since the IAM user deploy of two
// accounts is two users. A person (see Names) has no account. A person is the same in
// all accounts of a company, whether signed in by single sign-on, by a role's session
// that bears the person's e-mail address, or as an IAM user of that name.
type entities struct {
	names   *Names
	order   [3]entityKind // the first column with a value wins
	spelt   [4]*columnar.Dict
	numbers [4]columnar.Lookup[uint32]
	named   [4]*columnar.Dict // canonical names; the same as spelt if the two cannot differ
	nameOf  [4]columnar.Lookup[int32]
	blank   bool // texts without a visible character were met
	ids     [columnar.BatchRows]uint32

	accounts *columnar.Dict
	account  columnar.Lookup[uint32] // number in accounts
	pairs    *columnar.Groups        // pairs of an account and a user
	paired   []uint32                // by pair: the entity
	pairName []byte
}

func newEntities(o *FoldOptions, order ...entityKind) *entities {
	e := &entities{names: &o.Names, order: [3]entityKind(order), accounts: columnar.NewDict(), pairs: columnar.NewGroups(), paired: make([]uint32, 1)}
	e.account.Func = func(text []byte) uint32 { return uint32(e.accounts.Code(text)) }
	for _, kind := range order {
		spelt := columnar.NewDict()
		e.spelt[kind], e.named[kind] = spelt, spelt
		e.numbers[kind].Func = func(text []byte) uint32 {
			code := spelt.Code(text)
			if e.nameCode(uint32(code)<<2|uint32(kind)) == 0 {
				e.blank = e.blank || len(text) > 0
				return 0
			}
			return uint32(code)<<2 | uint32(kind)
		}
	}
	if !o.Names.Literal {
		e.canonicalise(userEntity, o.Names.appendUser)
		e.canonicalise(hostEntity, o.Names.appendHost)
	}
	return e
}

func (e *entities) canonicalise(kind entityKind, toName func(dst, name []byte) []byte) {
	named := columnar.NewDict()
	e.named[kind] = named
	var name []byte
	e.nameOf[kind].Func = func(text []byte) int32 {
		name = toName(name[:0], text)
		return named.Code(name)
	}
}

// of returns the entity of each row.
func (e *entities) of(b *columnar.Batch) []uint32 {
	ids := e.ids[:b.Len()]
	clear(ids)
	missing := len(ids)
	for _, kind := range e.order {
		known := b.Known(entityColumns[kind])
		if known == 0 {
			continue
		}
		codes, dict := b.Codes(entityColumns[kind])
		numbers := e.numbers[kind].Of(dict)
		if missing == len(ids) && known == len(ids) && !e.blank {
			missing = 0
			for i, code := range codes {
				ids[i] = numbers[code]
			}
		} else {
			missing = 0
			for i, code := range codes {
				if ids[i] == 0 {
					ids[i] = numbers[code]
				}
				if ids[i] == 0 {
					missing++
				}
			}
		}
		if kind == userEntity && b.Known(columnar.Account) > 0 && !e.names.Literal {
			e.addAccounts(ids, b)
		}
		if missing == 0 {
			break
		}
	}
	return ids
}

// addAccounts replaces users by the users of their cloud accounts.
func (e *entities) addAccounts(ids []uint32, b *columnar.Batch) {
	codes, dict := b.Codes(columnar.Account)
	accounts := e.account.Of(dict)
	for i, code := range codes {
		account := accounts[code]
		if account == 0 || entityKind(ids[i]&3) != userEntity {
			continue
		}
		pair := e.pairs.Slot(account, ids[i])
		if int(pair) == len(e.paired) {
			e.paired = append(e.paired, e.ofAccount(account, ids[i]))
		}
		ids[i] = e.paired[pair]
	}
}

// ofAccount returns the user of an account.
func (e *entities) ofAccount(account, user uint32) uint32 {
	in, name := e.accounts.Text(int32(account)), trimInvisible(e.spelt[userEntity].Text(int32(user>>2)))
	if _, ok := e.names.person(appendCanonical(nil, name)); ok {
		return user
	}
	if rest, ok := bytes.CutPrefix(name, in); ok && (len(rest) == 0 || rest[0] == '/') {
		return user // its name starts with the account already
	}
	e.pairName = append(append(append(e.pairName[:0], in...), '/'), name...)
	return uint32(e.spelt[userEntity].Code(e.pairName))<<2 | uint32(userEntity)
}

// nameCode returns the code of an entity's canonical name in named. All spellings of
// an entity have the same code.
func (e *entities) nameCode(id uint32) int32 {
	kind, code := id&3, int32(id>>2)
	if e.named[kind] == e.spelt[kind] {
		return code
	}
	return e.nameOf[kind].Of(e.spelt[kind])[code]
}

// name returns the canonical name of an entity.
func (e *entities) name(id uint32) []byte { return e.named[id&3].Text(e.nameCode(id)) }

// spelling returns how the log spells an entity.
func (e *entities) spelling(id uint32) []byte { return e.spelt[id&3].Text(int32(id >> 2)) }

func (e *entities) size() int {
	n := e.accounts.Memory() + e.pairs.Size() + 4*len(e.paired)
	for kind, spelt := range e.spelt {
		if spelt != nil {
			n += spelt.Memory()
			if named := e.named[kind]; named != spelt {
				n += named.Memory() + 4*spelt.Len()
			}
		}
	}
	return n
}

// shown returns the log's spelling of an entity, or nil if it equals the canonical
// name.
func (e *entities) shown(id uint32) []byte {
	spelt := e.spelling(id)
	if bytes.Equal(spelt, e.name(id)) {
		return nil
	}
	return spelt
}

// A spelling is the log's spelling of the entity of a key, for Summary.Spelling.
type spelling struct {
	at    int64  // µs since any fixed time
	other string // the least spelling that differs from the entity's name; "" if there is none
	named bool   // the log also spells it as the entity's name
}

// offer adds what shown returned, for events that begin at a time.
func (s *spelling) offer(at int64, shown []byte) {
	switch begun := s.named || s.other != ""; {
	case begun && at > s.at:
		return
	case !begun || at < s.at:
		*s = spelling{at: at}
	}
	if len(shown) == 0 {
		s.named = true
	} else if s.other == "" || string(shown) < s.other {
		s.other = string(shown)
	}
}

// of returns the spelling of an entity, or "" if that is its name.
func (s *spelling) of(entity string) string {
	if s.named && entity < s.other {
		return ""
	}
	return s.other
}

// Who returns the entity as the log spells it.
func (r *Row) Who() string { return who(&r.Key, &r.Summary) }

// Who returns the entity as the log spells it.
func (f *Finding) Who() string { return who(&f.Key, &f.Summary) }

func who(k *Key, s *Summary) string { return cmp.Or(s.Spelling, k.Entity) }
