package detect

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"outflow/columnar"
)

// Identities say which names and addresses belong to one person. The nil Identities
// know nobody.
type Identities struct {
	names  *Names
	claims map[alias][]claim
}

// An alias is the canonical name of a user, host or address.
type alias struct {
	kind entityKind
	name string
}

// A claim says that an alias is a person's from one day to another, both included.
type claim struct {
	person   string // canonical
	from, to Day
	line     int
}

// The days of a claim that has no first or last one.
const (
	firstDay = Day(-1 << 31)
	lastDay  = Day(1<<31 - 1)
)

// ReadIdentities reads a CSV file with the columns alias, user, from and to:
//
//	alias,user,from,to
//	10.20.0.7,ana@corp.example,,2026-11-12
//	10.20.0.7,ben@corp.example,2026-11-13,
//	PC-ANA,ana@corp.example
//	CORP\ana,ana@corp.example
//	arn:aws:iam::111122223333:user/ana,ana@corp.example
//
// The user is the person's one name. An alias is an address, a name of a host, a name of
// a user in any form that logs have, or the ARN of a user, role or session. from and to
// are its first and last day, as in 2026-11-12; an empty or missing one sets no limit.
// An alias must not belong to two users on one day, and a user must not be an alias of
// another: such lines are refused. Errors say which line is wrong.
func ReadIdentities(r io.Reader, names *Names) (*Identities, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	in := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	in.FieldsPerRecord = -1
	in.TrimLeadingSpace = true
	head, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("line 1: the file is empty: want a line with alias,user,from,to first")
	}
	if err != nil {
		return nil, identityError(err)
	}
	at := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains([]string{"alias", "user", "from", "to"}, name) {
			return nil, fmt.Errorf("line 1: unknown column %q: want alias,user,from,to", name)
		}
		at[name] = i + 1
	}
	if at["alias"] == 0 || at["user"] == 0 {
		return nil, errors.New("line 1: want the columns alias and user, and if needed from and to")
	}
	x := &Identities{names: names, claims: map[alias][]claim{}}
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, identityError(err)
		}
		line, _ := in.FieldPos(0)
		if len(record) > len(head) {
			return nil, fmt.Errorf("line %d: %d fields: want at most %d", line, len(record), len(head))
		}
		field := func(name string) string {
			if i := at[name]; i > 0 && i <= len(record) {
				return strings.TrimSpace(record[i-1])
			}
			return ""
		}
		if err := x.add(field("alias"), field("user"), field("from"), field("to"), line); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	return x, x.check()
}

// identityError says in which line the CSV is malformed, as the other errors do.
func identityError(err error) error {
	var bad *csv.ParseError
	if errors.As(err, &bad) {
		return fmt.Errorf("line %d: %w", bad.Line, bad.Err)
	}
	return err
}

func (x *Identities) add(name, user, from, to string, line int) error {
	c := claim{person: x.names.User(user), from: firstDay, to: lastDay, line: line}
	switch {
	case name == "":
		return errors.New("alias is empty")
	case c.person == "":
		return fmt.Errorf("%s has no user", name)
	}
	var err error
	if from != "" {
		if c.from, err = ParseDay(from); err != nil {
			return fmt.Errorf("from: %w", err)
		}
	}
	if to != "" {
		if c.to, err = ParseDay(to); err != nil {
			return fmt.Errorf("to: %w", err)
		}
	}
	if c.from > c.to {
		return fmt.Errorf("from %s is after to %s", from, to)
	}
	for _, a := range x.aliases(name) {
		x.claims[a] = append(x.claims[a], c)
	}
	return nil
}

// aliases returns what an alias of the file may be the name of.
func (x *Identities) aliases(name string) []alias {
	address := string(columnar.AppendAddress(nil, []byte(name)))
	if _, err := netip.ParseAddr(address); err == nil {
		return []alias{{addressEntity, address}, {hostEntity, address}}
	}
	if user, ok := userOfARN(name); ok {
		// Logs that name users by their ARN have it as it is.
		return []alias{{userEntity, x.names.User(user)}, {userEntity, x.names.User(name)}}
	}
	return []alias{{userEntity, x.names.User(name)}, {hostEntity, x.names.Host(name)}}
}

// userOfARN returns the user whom an ARN names, with its account, as in the entities of
// CloudTrail: ACCOUNT/user, ACCOUNT/role/session.
func userOfARN(arn string) (user string, ok bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" {
		return "", false
	}
	kind, path, _ := strings.Cut(parts[5], "/")
	switch kind {
	case "assumed-role": // role/session
		if session := path[strings.LastIndexByte(path, '/')+1:]; strings.Contains(session, "@") {
			return session, true
		}
	case "root":
		path = "root"
	default: // a user, role or federated user, below a path
		path = path[strings.LastIndexByte(path, '/')+1:]
	}
	return parts[4] + "/" + path, true
}

// check reports aliases that belong to two persons on one day, and persons who are
// aliases of others.
func (x *Identities) check() error {
	type fault struct {
		line int
		why  string
	}
	var first fault
	report := func(line int, format string, args ...any) {
		f := fault{line, fmt.Sprintf(format, args...)}
		if first.line == 0 || f.line < first.line || f.line == first.line && f.why < first.why {
			first = f
		}
	}
	for a, claims := range x.claims {
		slices.SortFunc(claims, func(a, b claim) int { return a.line - b.line })
		for i, c := range claims {
			for _, d := range claims[:i] {
				if c.person != d.person && c.from <= d.to && d.from <= c.to {
					report(c.line, "%s is %s's, but line %d says %s's on some of the same days: end one with to, and begin the other with from the day after",
						a.name, c.person, d.line, d.person)
				}
			}
			for _, d := range x.claims[alias{userEntity, c.person}] {
				if d.person != c.person && c.from <= d.to && d.from <= c.to {
					report(c.line, "%s is itself an alias of %s, by line %d: give every alias the person's one name", c.person, d.person, d.line)
				}
			}
		}
	}
	if first.line == 0 {
		return nil
	}
	return fmt.Errorf("line %d: %s", first.line, first.why)
}

// person returns whose an entity was on all days first … last, "" if the file does not
// say, or names several.
func (x *Identities) person(kind entityKind, name string, first, last Day) string {
	if x == nil {
		return ""
	}
	claims := x.claims[alias{kind, name}]
	if len(claims) == 0 {
		return ""
	}
	person := ""
	for day := first; day <= last; day++ {
		i := slices.IndexFunc(claims, func(c claim) bool { return c.from <= day && day <= c.to })
		if i < 0 || person != "" && claims[i].person != person {
			return ""
		}
		person = claims[i].person
	}
	return person
}

// user returns the canonical name of the person who has a user's name on a day.
func (x *Identities) user(name string, day Day) string {
	if person := x.person(userEntity, name, day, day); person != "" {
		return person
	}
	return name
}
