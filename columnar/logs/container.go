package logs

import (
	"slices"

	"outflow/columnar/scan"
)

// A container is a way to write records, such as JSON or csv. Many vendors use each.
type container struct {
	name   string
	quoted bool // as Format.Quoted
	// keyed says that the names that a source reads stand in its logs.
	keyed  bool
	embeds bool                        // it knows Source.Embedded
	begins func(head []byte) bool      // whether an object may be of it; nil: any may
	header func(prev, p []byte) []byte // as Format.Header
	open   func(p *sourcePlan) (recordReader, error)
}

// A recordReader finds the records of an object, and in each the texts of a source's
// slots. It is used by one goroutine.
type recordReader interface {
	// use makes a header the one in force.
	use(header []byte) error
	// read puts records from the start of data into w until that is full, and returns
	// what is left. It accounts in t for those that it does not put, and keeps
	// window.next the number of the next record.
	read(data []byte, w *window, t *Tally) (rest []byte)
}

// containers lists the containers.
var containers = []*container{jsonContainer, csvContainer, spaceContainer, w3cContainer, keyvalueContainer, cefContainer, leefContainer}

func containerNamed(name string) *container {
	if i := slices.Index(containerNames(), name); i >= 0 {
		return containers[i]
	}
	return nil
}

func containerNames() []string {
	names := make([]string, len(containers))
	for i, c := range containers {
		names[i] = c.name
	}
	return names
}

// eachLine calls one for each line of data until w is full, and returns what is left.
// It skips blank lines.
func eachLine(data []byte, w *window, one func(line []byte, record int64)) []byte {
	for len(data) > 0 && !w.full() {
		var line []byte
		line, data = scan.CutLine(data)
		if !scan.Blank(line) {
			one(line, w.next)
		}
		w.next++
	}
	return data
}
