package sigma

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"outflow/columnar"
)

// A Logsource says which events a rule is about. An empty part stands for any.
type Logsource struct {
	Category, Product, Service string
}

// Origin returns the origin of the logs that l is about.
func (l Logsource) Origin() columnar.Origin {
	return columnar.Origin{Product: l.Product, Service: l.Service}
}

func (l Logsource) String() string {
	var parts []string
	for _, p := range []string{l.Product, l.Category, l.Service} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, "/")
}

// holds reports whether every part that l names is the same in m.
func (l Logsource) holds(m Logsource) bool {
	return (l.Category == "" || l.Category == m.Category) && (l.Product == "" || l.Product == m.Product) &&
		(l.Service == "" || l.Service == m.Service)
}

// Levels are the levels of rules, the least severe first.
var Levels = []string{"informational", "low", "medium", "high", "critical"}

var statuses = []string{"stable", "test", "experimental", "deprecated", "unsupported"}

// A Rule is one rule of a Set. It does not change once it is loaded.
type Rule struct {
	Title string
	// ID is the rule's id, or "" if it has none. Name is another text by which it
	// is referred to.
	ID, Name       string
	Status, Level  string // "" if not given
	Description    string
	Author         string
	License        string
	Date, Modified string // YYYY-MM-DD
	References     []string
	Tags           []string
	FalsePositives []string
	Fields         []string // fields to show to an analyst
	Logsource      Logsource
	// Correlation is nil for a rule about single events.
	Correlation *Correlation
	// Destination is nil for a rule that does not say where its matches send data.
	Destination *Destination
	// Part says that the rule's matches only feed correlations, and are not
	// reported themselves.
	Part bool
	// Unset names the placeholders for what is the company's own that have no value:
	// the rule takes everything for another's.
	Unset []string
	// Bundled says that the rule comes with outflow.
	Bundled bool
	File    string
	Line    int

	cond *expr
}

// Ref returns the name by which people refer to the rule: its name, or else its
// title. Ids are for programs.
func (r *Rule) Ref() string { return cmp.Or(r.Name, r.Title) }

// Techniques returns the ATT&CK technique ids among the tags, such as T1567.002.
func (r *Rule) Techniques() []string {
	var out []string
	for _, tag := range r.Tags {
		if id, ok := strings.CutPrefix(strings.ToLower(tag), "attack.t"); ok && id != "" && id[0]-'0' < 10 {
			out = append(out, "T"+id)
		}
	}
	return out
}

// A filterRule is a document that narrows other rules.
type filterRule struct {
	Rule
	every bool // the filter applies to every rule of the logsource
	refs  []node
}

// parseRule reads a document about single events.
func parseRule(doc *node, o *Options) (*Rule, error) {
	r, err := parseMeta(doc)
	if err != nil {
		return nil, err
	}
	if r.Logsource, err = parseLogsource(doc); err != nil {
		return nil, err
	}
	if r.Destination, err = parseDestination(doc.key("destination")); err != nil {
		return nil, err
	}
	o.unset = nil
	r.cond, err = parseDetection(doc.key("detection"), nil, o)
	r.Unset = o.unset
	return r, err
}

// parseFilter reads a document with a condition that the rules it names must also
// meet.
func parseFilter(doc *node, o *Options) (*filterRule, error) {
	meta, err := parseMeta(doc)
	if err != nil {
		return nil, err
	}
	f := &filterRule{Rule: *meta}
	if f.Logsource, err = parseLogsource(doc); err != nil {
		return nil, err
	}
	body := doc.key("filter")
	if body.kind != mapNode {
		return nil, faultAt(body.at, "filter: want a map, this is %v", body)
	}
	switch rules := body.key("rules"); {
	case rules == nil:
		return nil, faultAt(body.at, "filter: rules is missing: want ids or names, or any")
	case rules.kind == textNode && strings.EqualFold(rules.text, "any"):
		f.every = true
	case rules.kind == textNode:
		f.refs = []node{*rules}
	case rules.kind == listNode && len(rules.items) > 0:
		for _, ref := range rules.items {
			if !ref.scalar() || ref.kind == nullNode {
				return nil, faultAt(ref.at, "filter: want the id or name of a rule, this is %v", &ref)
			}
			f.refs = append(f.refs, ref)
		}
	default:
		return nil, faultAt(rules.at, "filter: rules: want ids or names, or any")
	}
	f.cond, err = parseDetection(body, []string{"rules"}, o)
	return f, err
}

// parseMeta reads the keys that every document may have.
func parseMeta(doc *node) (*Rule, error) {
	r := &Rule{}
	texts := []struct {
		key string
		to  *string
	}{
		{"title", &r.Title}, {"id", &r.ID}, {"name", &r.Name}, {"status", &r.Status}, {"level", &r.Level},
		{"description", &r.Description}, {"author", &r.Author}, {"license", &r.License}, {"date", &r.Date}, {"modified", &r.Modified},
	}
	for _, t := range texts {
		if n := doc.key(t.key); n != nil && n.kind != nullNode {
			if !n.scalar() {
				return nil, faultAt(n.at, "%s: want a text, this is %v", t.key, n)
			}
			*t.to = strings.TrimSpace(n.text)
		}
	}
	lists := []struct {
		key string
		to  *[]string
	}{{"references", &r.References}, {"tags", &r.Tags}, {"falsepositives", &r.FalsePositives}, {"fields", &r.Fields}}
	for _, l := range lists {
		n := doc.key(l.key)
		switch {
		case n == nil || n.kind == nullNode:
			continue
		case n.scalar():
			*l.to = []string{n.text}
			continue
		case n.kind != listNode:
			return nil, faultAt(n.at, "%s: want a list of texts, this is %v", l.key, n)
		}
		for i := range n.items {
			if !n.items[i].scalar() {
				return nil, faultAt(n.items[i].at, "%s: want a text, this is %v", l.key, &n.items[i])
			}
			*l.to = append(*l.to, n.items[i].text)
		}
	}
	r.Level, r.Status = strings.ToLower(r.Level), strings.ToLower(r.Status)
	r.Line = doc.at.line
	switch {
	case r.Title == "":
		return nil, faultAt(doc.at, "title is missing")
	case r.Level != "" && !slices.Contains(Levels, r.Level):
		return nil, faultAt(doc.key("level").at, "level %q: want one of %s", r.Level, strings.Join(Levels, ", "))
	case r.Status != "" && !slices.Contains(statuses, r.Status):
		return nil, faultAt(doc.key("status").at, "status %q: want one of %s", r.Status, strings.Join(statuses, ", "))
	}
	if n := doc.key("taxonomy"); n != nil && n.text != "sigma" && n.kind != nullNode {
		return nil, faultAt(n.at, "taxonomy %q: only sigma's own is known", n.text)
	}
	return r, nil
}

func parseLogsource(doc *node) (l Logsource, err error) {
	n := doc.key("logsource")
	if n == nil {
		return l, faultAt(doc.at, "logsource is missing")
	}
	if n.kind != mapNode {
		return l, faultAt(n.at, "logsource: want a map, this is %v", n)
	}
	for _, part := range []struct {
		key string
		to  *string
	}{{"category", &l.Category}, {"product", &l.Product}, {"service", &l.Service}} {
		if v := n.key(part.key); v != nil && v.kind != nullNode {
			if !v.scalar() {
				return l, faultAt(v.at, "logsource: %s: want a text, this is %v", part.key, v)
			}
			*part.to = strings.ToLower(strings.TrimSpace(v.text))
		}
	}
	if l == (Logsource{}) {
		return l, faultAt(n.at, "logsource: want a category, product or service")
	}
	return l, nil
}

// parseDetection reads the searches and the condition over them, and returns the
// condition.
func parseDetection(body *node, beside []string, o *Options) (*expr, error) {
	if body == nil {
		return nil, fmt.Errorf("detection is missing")
	}
	if body.kind != mapNode {
		return nil, faultAt(body.at, "detection: want a map, this is %v", body)
	}
	named := map[string]*expr{}
	var names []string
	for i := range body.keys {
		key := &body.keys[i]
		switch {
		case key.text == "condition" || slices.Contains(beside, key.text):
			continue
		case key.text == "timeframe":
			return nil, faultAt(key.at, "timeframe belongs to Sigma 1: write a correlation rule")
		case key.text == "":
			return nil, faultAt(key.at, "a search has no name")
		}
		e, err := parseSearch(&body.items[i], o)
		if err != nil {
			return nil, err
		}
		named[key.text] = e
		names = append(names, key.text)
	}
	condition := body.key("condition")
	if condition == nil {
		return nil, faultAt(body.at, "condition is missing")
	}
	conditions := []node{*condition}
	if condition.kind == listNode {
		conditions = condition.items
	}
	var kids []*expr
	for _, c := range conditions {
		if c.kind != textNode && c.kind != numberNode && c.kind != boolNode {
			return nil, faultAt(c.at, "condition: want a text, this is %v", &c)
		}
		e, err := parseCondition(c.text, names, named)
		if err != nil {
			return nil, faultAt(c.at, "condition: %v", err)
		}
		kids = append(kids, e)
	}
	if len(kids) == 0 {
		return nil, faultAt(condition.at, "condition: the list is empty")
	}
	return join(opOr, kids), nil
}

// parseSearch reads one search. It is a map whose items must all hold, or a list of
// which one entry must hold. Texts in the list are looked for anywhere in the
// event.
func parseSearch(n *node, o *Options) (*expr, error) {
	switch {
	case n.kind == mapNode && len(n.keys) > 0:
		var kids []*expr
		for i := range n.keys {
			e, err := parseItem(&n.keys[i], &n.items[i], o)
			if err != nil {
				return nil, err
			}
			kids = append(kids, e)
		}
		return join(opAnd, kids), nil
	case n.kind == listNode && len(n.items) > 0:
		var kids []*expr
		keywords := node{kind: listNode, at: n.at}
		for i := range n.items {
			if n.items[i].scalar() {
				keywords.items = append(keywords.items, n.items[i])
				continue
			}
			e, err := parseSearch(&n.items[i], o)
			if err != nil {
				return nil, err
			}
			kids = append(kids, e)
		}
		if len(keywords.items) > 0 {
			e, err := parseItem(&node{at: n.at}, &keywords, o)
			if err != nil {
				return nil, err
			}
			kids = append(kids, e)
		}
		return join(opOr, kids), nil
	case n.scalar() && n.kind != nullNode:
		return parseItem(&node{at: n.at}, n, o)
	}
	return nil, faultAt(n.at, "a search is empty")
}
