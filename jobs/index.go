package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"outflow/columnar/store"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file writes the page over all nights from the state, so that it is right after any
// run, whatever was judged again, and needs none of the reports.

// maxIndexed is how many nights the index has, the newest. A quarter shows what is
// ongoing; each night costs reading its findings.
const maxIndexed = 92

// writeIndex writes the index of the nights whose reports are in a folder. now is the
// night whose other reports are in place.
func (s *state) writeIndex(ctx context.Context, folder string, now *night) error {
	if !slices.Contains(s.config.Reports, reports.HTML.Name) {
		return nil
	}
	all, err := s.readNights(ctx)
	if err != nil {
		return err
	}
	x := &reports.Index{Version: version()}
	for _, n := range all[max(0, len(all)-maxIndexed):] {
		days, err := dayRange(n.First, n.Last, 0)
		if err != nil {
			continue // somebody else wrote the list
		}
		entry := reports.Night{Name: n.name(), Days: days, Owed: n.Owed && n.name() != now.name()}
		for _, day := range days {
			found, err := s.findingsOf(ctx, day)
			if damaged := (*store.DamagedError)(nil); errors.As(err, &damaged) || errors.Is(err, fs.ErrNotExist) {
				entry.Lost = true
				continue
			}
			if err != nil {
				return err
			}
			entry.Findings = append(entry.Findings, found...)
		}
		detect.SortFindings(entry.Findings)
		x.Nights = append(x.Nights, entry)
	}
	out, err := s.p.open(s.config, "output folder", s.config.Out)
	if err != nil {
		return err
	}
	if _, err := out.Tidy(ctx, folder, store.Shallow); err != nil {
		return configError{fmt.Errorf("write the index to %s: %w", s.config.Out, err)}
	}
	file := reports.File{Name: reports.IndexName, Write: func(w io.Writer, _ *reports.Report) error { return reports.WriteIndex(w, x) }}
	return writeFile(file, nil, func(body io.ReadSeeker) error {
		err := out.Put(ctx, path.Join(folder, reports.IndexName), body, store.Always)
		if err != nil {
			err = configError{fmt.Errorf("write the index to %s: %w", s.config.Out, err)}
		}
		return err
	})
}

// findingsOf returns the findings of a judged day.
func (s *state) findingsOf(ctx context.Context, day detect.Day) ([]detect.Finding, error) {
	rows, _, err := s.findings().Read(ctx, day.String())
	if err != nil {
		return nil, err
	}
	out := make([]detect.Finding, len(rows))
	for i := range rows {
		out[i] = rows[i].finding(day)
	}
	return out, nil
}
