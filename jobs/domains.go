package jobs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"outflow/stats/detect"
)

// DomainAliases lists the aliases of a domain, by domain. With
//
//	corp.example: [CORP, corp.local]
//
// CORP\anna, anna@corp.local and anna@corp.example are one user. Case is ignored. The
// alias "." stands for names without a domain: with it, anna is the same user too.
type DomainAliases map[string][]string

// String returns the aliases as the flag spells them:
// corp.example=CORP,corp.local;lab.example=LAB.
func (d DomainAliases) String() string {
	var out []string
	for _, domain := range slices.Sorted(maps.Keys(d)) {
		out = append(out, domain+"="+strings.Join(d[domain], ","))
	}
	return strings.Join(out, ";")
}

// set parses the format of String.
func (d *DomainAliases) set(text string) error {
	*d = DomainAliases{}
	for _, entry := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == ' ' }) {
		domain, aliases, ok := strings.Cut(entry, "=")
		if !ok {
			return fmt.Errorf("%q: want a domain and its aliases, as in corp.example=CORP,corp.local;lab.example=LAB", entry)
		}
		(*d)[domain] = append((*d)[domain], strings.Split(aliases, ",")...)
	}
	return nil
}

// resolve returns the aliases as detect.Names has them, and the errors in the setting.
func (d DomainAliases) resolve() (domains map[string]string, faults []string) {
	domains = map[string]string{}
	add := func(alias, domain, where string) {
		folded := detect.CanonicalDomain(alias)
		if alias != detect.NoDomain && (folded == "" || strings.Trim(folded, ".") != folded || strings.ContainsAny(folded, `\@/,;= `)) {
			faults = append(faults, fmt.Sprintf("%s: %q: want a domain, as in corp.example or CORP", where, alias))
			return
		}
		if other, taken := domains[folded]; taken && other != domain {
			faults = append(faults, fmt.Sprintf("%s: %q already belongs to %s: list all aliases of a domain under one name", where, alias, other))
			return
		}
		domains[folded] = domain
	}
	for _, domain := range slices.Sorted(maps.Keys(d)) {
		where := "domain_aliases." + domain
		if domain == detect.NoDomain {
			faults = append(faults, where+`: "." can only be an alias: give the domain that users without a domain belong to`)
			continue
		}
		if len(d[domain]) == 0 {
			faults = append(faults, where+": no aliases: want a list, as in [CORP, corp.local]")
		}
		add(domain, detect.CanonicalDomain(domain), where)
	}
	for _, domain := range slices.Sorted(maps.Keys(d)) {
		for i, alias := range d[domain] {
			if domain != detect.NoDomain {
				add(alias, detect.CanonicalDomain(domain), fmt.Sprintf("domain_aliases.%s[%d]", domain, i))
			}
		}
	}
	return domains, faults
}
