package jobs

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"outflow/stats/detect"
)

// This file reads what the company says of its users, hosts and addresses: the files of
// the settings criticality and groups.

// entityWords has a word for each entity, by its canonical name.
type entityWords map[string]string

// readEntityWords reads a CSV file with a header and the columns entity and column, in
// any order and among others. An entity is a user, a host or an address as the logs or
// people spell it. Each may have one word only; empty lines are ignored. check, if not
// nil, refuses words.
func readEntityWords(file, column string, names *detect.Names, check func(word string) error) (entityWords, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	r := csv.NewReader(f)
	r.TrimLeadingSpace = true
	head, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s is empty: want a CSV file with the columns entity and %s", file, column)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for i := range head {
		head[i] = strings.ToLower(strings.Trim(head[i], " \ufeff"))
	}
	who, what := slices.Index(head, "entity"), slices.Index(head, column)
	if who < 0 || what < 0 {
		return nil, fmt.Errorf("%s: the first line is %q: want the columns entity and %s", file, strings.Join(head, ","), column)
	}
	words := entityWords{}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return words, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		line, _ := r.FieldPos(0)
		entity, word := strings.TrimSpace(cells[who]), strings.TrimSpace(cells[what])
		if entity == "" || word == "" {
			return nil, fmt.Errorf("%s:%d: entity %q has %s %q: want both", file, line, entity, column, word)
		}
		if check != nil {
			if err := check(word); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, line, err)
			}
		}
		for _, name := range []string{names.User(entity), names.Host(entity)} {
			if before, ok := words[name]; ok && before != word {
				return nil, fmt.Errorf("%s:%d: entity %q has the %s %q already", file, line, entity, column, before)
			}
			words[name] = word
		}
	}
}

// risk returns the risk of the entities with findings, see detect.Risk.
func (c *Config) risk(findings []detect.Finding, last detect.Day) []detect.EntityRisk {
	return detect.Risk(findings, last, func(entity string) string { return c.critical[entity] })
}

// group returns the group of an entity: as the file says, else as its name does.
func (c *Config) group(k detect.Key) string {
	return cmp.Or(c.peers[k.Entity], detect.GroupOf(k.EntityType, k.Entity))
}
