package detect

import (
	"bytes"
	"cmp"
	"unicode"
	"unicode/utf8"

	"outflow/columnar"
)

// Who rows are of: the numbers of entities, and which names are one.

// Names says which names of users and hosts are one entity. The zero value folds
// their case and outer white space.
type Names struct {
	// Domains maps a domain to the one that it is an alias of, both as FoldDomain
	// returns them. NoDomain maps users without a domain.
	Domains map[string]string
	// Literal takes names as logs spell them, as profile seed does.
	Literal bool
}

// NoDomain stands in Names.Domains for users whose names have no domain.
const NoDomain = "."

// FoldDomain returns the form in which domains are compared.
func FoldDomain(domain string) string { return string(appendFolded(nil, []byte(domain))) }

// User returns the name of a user's entity.
//
// Case, outer white space and invisible characters around the name do not count. A
// person of a domain, DOMAIN\name or name@domain, has a name of its own wherever it
// appears: ROLE/anna@corp.example, as sessions of cloud roles are called, is
// anna@corp.example. If Domains knows the domain, both forms become
// name@domain, else they stay two. Of other names those without a slash may be given
// a domain by NoDomain; those with one are a role's session or have an account.
func (n *Names) User(name string) string { return string(n.appendUser(nil, []byte(name))) }

func (n *Names) appendUser(dst, name []byte) []byte {
	if n.Literal {
		return append(dst, name...)
	}
	at := len(dst)
	dst = appendFolded(dst, name)
	folded := dst[at:]
	p, ok := n.person(folded)
	switch {
	case !ok:
		if to, ok := n.Domains[NoDomain]; ok && len(folded) > 0 && !bytes.ContainsAny(folded, `/\@`) {
			dst = append(append(dst, '@'), to...)
		}
		return dst
	case p.alias != "":
		return append(append(append(dst[:at], p.name...), '@'), p.alias...)
	case p.windows:
		return dst
	}
	return append(dst[:at], folded[bytes.LastIndexByte(folded, '/')+1:]...)
}

// Nobody reports whether the name of a user or host has nothing that can be seen, so that
// it names none.
func (n *Names) Nobody(name []byte) bool {
	return len(name) == 0 || !n.Literal && len(trimInvisible(name)) == 0
}

// Host returns the name of a host's entity: case and outer white space do not count.
func (n *Names) Host(name string) string { return string(n.appendHost(nil, []byte(name))) }

func (n *Names) appendHost(dst, name []byte) []byte {
	if n.Literal {
		return append(dst, name...)
	}
	at := len(dst)
	dst = appendFolded(dst, name)
	return columnar.AppendAddress(dst[:at], bytes.Clone(dst[at:]))
}

// A person is a user whose name says its domain.
type person struct {
	name    []byte
	alias   string // what Domains makes of the domain; "" if it does not know it
	windows bool   // DOMAIN\name
}

// person takes a folded name apart, or returns false if it says no domain.
func (n *Names) person(name []byte) (p person, ok bool) {
	if domain, rest, ok := bytes.Cut(name, []byte{'\\'}); ok {
		alias := ""
		if string(domain) != NoDomain { // .\name is of one machine
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

// appendFolded appends name in one case and without what is invisible around it.
func appendFolded(dst, name []byte) []byte {
	for name = trimInvisible(name); len(name) > 0; {
		r, size := utf8.DecodeRune(name)
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, name[0]) // no UTF-8
		} else {
			dst = utf8.AppendRune(dst, foldRune(r))
		}
		name = name[size:]
	}
	return dst
}

// trimInvisible returns name without white space and invisible characters around it.
func trimInvisible(name []byte) []byte {
	return bytes.TrimFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zs) })
}

// foldRune returns the same rune for all that are one by Unicode's simple folding: a
// lower-case one, if there is one.
func foldRune(r rune) rune {
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
	return least // also of İ, whose lower case is another letter's
}

// An entityKind is the column that an entity comes from.
type entityKind uint32

const (
	groupEntity entityKind = iota // no column: what a correlation groups, whoever it is of
	userEntity
	addressEntity
	hostEntity
)

var entityColumns = [...]columnar.Col{userEntity: columnar.User, addressEntity: columnar.SrcIP, hostEntity: columnar.Host}

// entityReads are the columns that tell whose a row is.
var entityReads = columnar.ColSet(columnar.User, columnar.SrcIP, columnar.Host, columnar.Account)

// entities numbers the entities that a worker has met, in each spelling. 0 is no
// entity. Spellings of one entity come together when a table is drained, under the
// entity's name: the rows of a batch need no look at their names.
//
// A user that says no domain belongs to its cloud account, if the row names one: its
// spelling and name are ACCOUNT/user, as the IAM user deploy of two accounts is two. A
// person (see Names) has no account: it is one in all accounts of a company, whether it
// comes by single sign-on, by a role's session that bears its e-mail address, or as an
// IAM user of that name.
type entities struct {
	names   *Names
	order   [3]entityKind // the first column with a value wins
	spelt   [4]*columnar.Dict
	numbers [4]columnar.Lookup[uint32]
	folded  [4]*columnar.Dict // names of entities; spelt itself where there is nothing to fold
	foldOf  [4]columnar.Lookup[int32]
	blank   bool // texts without anything that can be seen were met
	ids     [columnar.BatchRows]uint32

	accounts *columnar.Dict
	account  columnar.Lookup[uint32] // number in accounts
	pairs    *columnar.Groups        // of an account and a user
	paired   []uint32                // the entity by pair
	pairName []byte
}

func newEntities(o *FoldOptions, order ...entityKind) *entities {
	e := &entities{names: &o.Names, order: [3]entityKind(order), accounts: columnar.NewDict(), pairs: columnar.NewGroups(), paired: make([]uint32, 1)}
	e.account.Func = func(text []byte) uint32 { return uint32(e.accounts.Code(text)) }
	for _, kind := range order {
		spelt := columnar.NewDict()
		e.spelt[kind], e.folded[kind] = spelt, spelt
		e.numbers[kind].Func = func(text []byte) uint32 {
			code := spelt.Code(text)
			if e.foldedCode(uint32(code)<<2|uint32(kind)) == 0 {
				e.blank = e.blank || len(text) > 0
				return 0
			}
			return uint32(code)<<2 | uint32(kind)
		}
	}
	if !o.Names.Literal {
		e.fold(userEntity, o.Names.appendUser)
		e.fold(hostEntity, o.Names.appendHost)
	}
	return e
}

func (e *entities) fold(kind entityKind, fold func(dst, name []byte) []byte) {
	folded := columnar.NewDict()
	e.folded[kind] = folded
	var name []byte
	e.foldOf[kind].Func = func(text []byte) int32 {
		name = fold(name[:0], text)
		return folded.Code(name)
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

// addAccounts makes users of a cloud account those of its own.
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
	if _, ok := e.names.person(appendFolded(nil, name)); ok {
		return user
	}
	if rest, ok := bytes.CutPrefix(name, in); ok && (len(rest) == 0 || rest[0] == '/') {
		return user // its name says so already
	}
	e.pairName = append(append(append(e.pairName[:0], in...), '/'), name...)
	return uint32(e.spelt[userEntity].Code(e.pairName))<<2 | uint32(userEntity)
}

// namesOf returns the names of all entities of a kind.
func (e *entities) namesOf(kind entityKind) *columnar.Dict {
	if e.folded[kind] != e.spelt[kind] {
		e.foldOf[kind].Of(e.spelt[kind])
	}
	return e.folded[kind]
}

// foldedCode returns the code of an entity's name in folded. All spellings of an
// entity have the same.
func (e *entities) foldedCode(id uint32) int32 {
	kind, code := id&3, int32(id>>2)
	if e.folded[kind] == e.spelt[kind] {
		return code
	}
	return e.foldOf[kind].Of(e.spelt[kind])[code]
}

// key returns the type and the name of an entity.
func (e *entities) key(id uint32) (entityType, name string) {
	kind := entityKind(id & 3)
	entityType = "group"
	if kind != groupEntity {
		entityType = entityColumns[kind].String()
	}
	return entityType, string(e.folded[kind].Text(e.foldedCode(id)))
}

// spelling returns how the log spells an entity.
func (e *entities) spelling(id uint32) []byte { return e.spelt[id&3].Text(int32(id >> 2)) }

func (e *entities) size() int {
	n := sizeOf(e.accounts) + e.pairs.Size() + 4*len(e.paired)
	for kind, spelt := range e.spelt {
		if spelt != nil {
			n += sizeOf(spelt)
			if folded := e.folded[kind]; folded != spelt {
				n += sizeOf(folded) + 4*spelt.Len()
			}
		}
	}
	return n
}

// shown returns how the log spells an entity, nil if it is as the entity is named.
func (e *entities) shown(id uint32) []byte {
	spelt := e.spelling(id)
	if bytes.Equal(spelt, e.folded[id&3].Text(e.foldedCode(id))) {
		return nil
	}
	return spelt
}

// A spelling is how the log spells the entity of a key, for Summary.Spelling.
type spelling struct {
	at    int64  // µs of any origin
	other string // the least that is not the entity's name; "" if there is none
	named bool   // as the entity's name
}

// offer takes up what shown returns of events that begin at a time.
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

// of returns the spelling of the entity of k, and "" if it has but one.
func (s *spelling) of(k *Key) string {
	switch {
	case k.EntityType != columnar.User.String() && k.EntityType != columnar.Host.String():
		return ""
	case s.other == "" || s.named && k.Entity < s.other:
		return k.Entity
	}
	return s.other
}

// Who returns the entity as the log spells it.
func (r *Row) Who() string { return who(&r.Key, &r.Summary) }

// Who returns the entity as the log spells it.
func (f *Finding) Who() string { return who(&f.Key, &f.Summary) }

func who(k *Key, s *Summary) string { return cmp.Or(s.Spelling, k.Entity) }
