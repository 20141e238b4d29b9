package jobs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"path"

	"outflow/columnar/logs"
	"outflow/reports"
)

// This file finds logs that begin with what another ends with, as where a log was copied while its program
// wrote on. Such records count twice, unless they have ids: no log is a copy of the other.

// maxOverlaps is how many logs of a run are looked into, each once more.
const maxOverlaps = 8

// overlaps says which logs begin with a record that the log has, too, that was rotated before them. Only the log that is
// still written to is compared, with the last of its folder that has a name that rotation gives, if their times overlap.
func overlaps(ctx context.Context, inputs []reports.Input, objects map[string]*source) (out []reports.Blind) {
	type log struct{ dir, name, feed string }
	alive := map[log]*reports.Input{}
	for i := range inputs {
		if in := &inputs[i]; in.Rows > 0 && in.CopyOf == "" && objects[in.Name] != nil && rotationSuffix().ReplaceAllString(path.Base(in.Name), "") == path.Base(in.Name) {
			alive[log{path.Dir(in.Name), path.Base(in.Name), in.Feed}] = in
		}
	}
	before := map[*reports.Input]*reports.Input{}
	for i := range inputs {
		in := &inputs[i]
		now := alive[log{path.Dir(in.Name), rotationSuffix().ReplaceAllString(path.Base(in.Name), ""), in.Feed}]
		if now == nil || now == in || now.Name == in.Name || in.Rows == 0 || in.CopyOf != "" || objects[in.Name] == nil || in.First > now.First || in.Last < now.First {
			continue
		}
		if last := before[now]; last == nil || in.Last > last.Last {
			before[now] = in
		}
	}
	compared := 0
	for i := range inputs { // in their order
		now := &inputs[i]
		last := before[now]
		if last == nil {
			continue
		}
		if compared++; compared > maxOverlaps || ctx.Err() != nil {
			break
		}
		if !beginsWithin(objects[now.Name], objects[last.Name]) {
			continue
		}
		out = append(out, reports.Blind{Feed: now.Feed, Table: now.Table,
			Why:    fmt.Sprintf("%s begins with records that %s has, too: they count twice.", now.Name, last.Name),
			Remedy: "Let rotation rename logs, or end the program's writing before a log is copied."})
	}
	return out
}

// beginsWithin reports whether the first record of a log is a line of another.
func beginsWithin(log, other *source) bool {
	first := ""
	eachLine(log, func(line []byte) bool {
		if mayHaveRecords(line) {
			first = string(line)
		}
		return first == ""
	})
	found := false
	if len(first) >= leastBeginning/2 {
		eachLine(other, func(line []byte) bool {
			found = string(line) == first
			return !found
		})
	}
	return found
}

// eachLine calls yield with the lines of a log until it returns false. A line that is longer than the
// buffer comes in pieces.
func eachLine(s *source, yield func(line []byte) bool) {
	// A log that cannot be read again is said elsewhere.
	_ = logs.Bytes(&s.object, s.object.Name, nil, func(in io.Reader) error {
		r := bufio.NewReaderSize(in, 64<<10)
		for {
			line, err := r.ReadSlice('\n')
			if len(line) > 0 && !yield(bytes.TrimRight(line, "\r\n")) || err != nil && err != bufio.ErrBufferFull {
				return nil
			}
		}
	})
}
