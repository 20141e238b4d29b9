package jobs

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/bounded"
	"outflow/reports"
	"outflow/stats/sigma"
)

// This file suggests the placeholders own_accounts and own_domains from the records that
// inspect reads. The snippet has them as comments: a guest's domain that nobody looked at
// would hide what is shared with the guest.

// A nameCount counts the records that name something, and those of each name.
type nameCount struct {
	records int
	of      map[string]int
}

func (n *nameCount) add(name string, records int) {
	if n.of == nil {
		n.of = map[string]int{}
	}
	n.of[name] += records
}

func (n *nameCount) addAll(m *nameCount) {
	n.records += m.records
	for name, records := range m.of {
		n.add(name, records)
	}
}

// owners counts the names that tell which company a log belongs to.
type owners struct {
	accounts nameCount // the accounts of the trails
	domains  nameCount // the mail domains of users, without guests
	users    namesakes
}

func (o *owners) add(p *owners) {
	o.accounts.addAll(&p.accounts)
	o.domains.addAll(&p.domains)
	o.users.addAll(&p.users)
}

// Fields of records that say whose they are.
const (
	trailAccountField = "recipientAccountId"
	m365TypeField     = "UserType"
	entraTypeField    = "properties.userType"
)

// ownersFields are the fields that owners reads of API logs, beside the users.
var ownersFields = columnar.WantedFields{{Name: trailAccountField}, {Name: m365TypeField}, {Name: entraTypeField}}

var (
	awsAccount = bounded.Expression(`^[0-9]{12}$`)
	mailDomain = bounded.Expression(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)
)

// serviceAccounts is the domain of Google's service accounts, which belong to its customers.
const serviceAccounts = "gserviceaccount.com"

// count adds the rows of a batch.
func (o *owners) count(b *columnar.Batch) {
	if codes, texts := b.Field(trailAccountField); codes != nil {
		o.accounts.records += b.Len()
		for code, n := range perCode(codes, texts) {
			if account := string(texts.Text(int32(code))); n > 0 && awsAccount().MatchString(account) {
				o.accounts.add(account, n)
			}
		}
	}
	if b.Server { // its users may be anybody
		return
	}
	o.users.count(b)
	codes, texts := b.Codes(columnar.User)
	for _, n := range perCode(codes, texts)[noUser+1:] {
		o.domains.records += n
	}
	users := codes // without guests
	for _, field := range []string{m365TypeField, entraTypeField} {
		types, names := b.Field(field)
		if types == nil {
			continue
		}
		users = slices.Clone(users)
		for i, t := range types {
			if isGuestType(names.Text(t)) {
				users[i] = noUser
			}
		}
	}
	for code, n := range perCode(users, texts) {
		if n == 0 {
			continue
		}
		if domain := ownDomain(texts.Text(int32(code))); domain != "" {
			o.domains.add(domain, n)
		}
	}
}

// noUser is the code of the text "", as rows without a user have it.
const noUser = 0

// perCode returns how many rows have each code.
func perCode(codes []int32, texts *columnar.Dict) []int {
	n := make([]int, texts.Len())
	for _, c := range codes {
		n[c]++
	}
	return n
}

// isGuestType reports whether a record calls its user a guest: 10 in audit logs of
// Microsoft 365.
func isGuestType(text []byte) bool {
	return string(text) == "10" || bytes.EqualFold(text, []byte("Guest"))
}

// ownDomain returns the domain of a user's mail address in lower case, or "" if the user
// has none or it tells nothing: a guest's, a free mail service's, or that of a role
// session, whose name the caller chooses.
func ownDomain(user []byte) string {
	if _, domain := mailName(strings.ToLower(string(user))); isOwn(domain) {
		return domain
	}
	return ""
}

// mailName splits a mail address, which is in lower case, but not that of a guest or of a role session.
func mailName(user string) (name, domain string) {
	at := strings.LastIndexByte(user, '@')
	if at <= 0 || strings.Contains(user, "#ext#") || strings.Contains(user, "/") {
		return "", ""
	}
	return user[:at], user[at+1:]
}

// isOwn reports whether a text is a domain of mail that may be a company's.
func isOwn(domain string) bool {
	return len(domain) <= 253 && mailDomain().MatchString(domain) &&
		!sigma.Private(domain) && domain != serviceAccounts && !strings.HasSuffix(domain, "."+serviceAccounts)
}

// minDomainShare is the share of an input's records with a user that a domain must have to
// be suggested. Guests who act under addresses of their own seldom have as much; a domain
// of the company's with less has to be added by hand.
const minDomainShare = 0.1

// A suggestion is a value of a placeholder, with the records that speak for it.
type suggestion struct {
	value   string
	records int
	because []string // one for each input
}

// suggest adds what an input suggests: names with at least that share of its records.
func suggest(all map[string]*suggestion, input string, n *nameCount, share float64) {
	for value, records := range n.of {
		if float64(records) < share*float64(n.records) {
			continue
		}
		s := all[value]
		if s == nil {
			s = &suggestion{value: value}
			all[value] = s
		}
		s.records += records
		s.because = append(s.because, fmt.Sprintf("%s of %s records of %s", reports.Count(int64(records)), reports.Count(int64(n.records)), input))
	}
}

// placeholdersSnippet returns the placeholders that the inputs suggest, as comments of
// YAML, or "". names has the inputs' names, and counts what their records say.
func placeholdersSnippet(names []string, counts []owners) string {
	accounts, domains := map[string]*suggestion{}, map[string]*suggestion{}
	for i := range names {
		suggest(accounts, names[i], &counts[i].accounts, 0)
		suggest(domains, names[i], &counts[i].domains, minDomainShare)
	}
	if len(accounts)+len(domains) == 0 {
		return ""
	}
	var out strings.Builder
	out.WriteString("## Whose the logs seem to be: sharing with these is no finding. Take the \"# \" from what is right.\n# placeholders:\n")
	write := func(placeholder, who string, of map[string]*suggestion) {
		if len(of) == 0 {
			return
		}
		fmt.Fprintf(&out, "#   %s:\n", placeholder)
		for _, s := range slices.SortedFunc(maps.Values(of), func(a, b *suggestion) int {
			return cmp.Or(cmp.Compare(b.records, a.records), strings.Compare(a.value, b.value))
		}) {
			fmt.Fprintf(&out, "#     - %q # %s%s\n", s.value, who, strings.Join(s.because, ", "))
		}
	}
	write("own_accounts", "", accounts)
	write("own_domains", "users of ", domains)
	return out.String()
}
