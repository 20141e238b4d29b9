package jobs

import (
	"crypto/sha256"
	"fmt"
	"sync"

	"outflow/columnar/logs"
)

// This file decides in one place which logs are copies, for those who fold them elsewhere.

// A logName names a log in an object.
type logName struct {
	Object string `json:"object"`
	Log    string `json:"log"`
}

// A copyOf says what is known of the content of a log that is a copy, or begins with one.
type copyOf struct {
	logName
	Of    *logName `json:"of,omitempty"`    // the log that it is a copy of
	Cut   bool     `json:"cut,omitempty"`   // it ends before that one
	Holds *logName `json:"holds,omitempty"` // the log that it begins with; both count
}

// decidedCopies are the copies among sources of one fold. The same object may be a source
// of several feeds.
type decidedCopies struct {
	of map[feedLog]*copyOf

	mu   sync.Mutex
	seen map[feedLog]*content
}

type feedLog struct {
	feed string
	logName
}

func newDecided() *decidedCopies {
	return &decidedCopies{of: map[feedLog]*copyOf{}, seen: map[feedLog]*content{}}
}

// check is contents.check.
func (d *decidedCopies) check(s *source, m *logs.Member, x *logs.Content) (*content, error) {
	k := &content{source: s, member: m, size: int64(len(x.Head)), whole: x.Whole, head: sha256.Sum256(x.Head)}
	at := feedLog{s.feed, logName{s.object.Name, m.Name}}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[at] = k
	if c := d.of[at]; c != nil && c.Of != nil {
		k.cut = c.Cut
		return k, errCopy
	}
	return k, nil
}

// link tells the contents which logs they are copies of, after all of them were checked.
func (c *contents) link() error {
	if c == nil || c.decided == nil {
		return nil
	}
	d := c.decided
	gone := "" // the first by its name
	for at, k := range d.seen {
		c := d.of[at]
		if c == nil {
			continue
		}
		for _, to := range []struct {
			name *logName
			set  **content
		}{{c.Of, &k.of}, {c.Holds, &k.holds}} {
			if to.name == nil {
				continue
			}
			if *to.set = d.seen[feedLog{at.feed, *to.name}]; *to.set == nil && (gone == "" || to.name.Log < gone) {
				gone = to.name.Log
			}
		}
	}
	if gone != "" {
		return exit{exitEnvironment, fmt.Errorf("%s could be read when the run was planned, and cannot be read now: fold again, or plan anew", gone)}
	}
	return nil
}

// copies returns what was decided of the logs of each source, in the order of their names.
// all are the contents of the sources' logs.
func copies(all [][]*content) [][]copyOf {
	nameOf := func(k *content) *logName {
		if k == nil {
			return nil
		}
		return &logName{k.source.object.Name, k.member.Name}
	}
	out := make([][]copyOf, len(all))
	for i, of := range all {
		for _, k := range of {
			if k.of != nil || k.holds != nil {
				out[i] = append(out[i], copyOf{*nameOf(k), nameOf(k.of), k.cut, nameOf(k.holds)})
			}
		}
	}
	return out
}
