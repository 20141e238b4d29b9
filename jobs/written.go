package jobs

import (
	"path"
	"slices"
	"strings"

	"outflow/columnar/bounded"
	"outflow/reports"
)

// This file tells what runs have written from logs: a folder of logs may hold both, as after
// outflow scan . or with a state in the bucket of the logs.

// stateObject matches the beginning of the names that a state has below its folder.
var stateObject = bounded.Expression(`(?:^|/)(?:seed_)?(?:v[0-9]+/|lock|readers/)`)

// written reports whether a run with this configuration writes an object of that name.
func (c *Config) written(uri string) bool {
	if stateObject().MatchString(uri) {
		name, ok := within(c.State, uri)
		if at := stateObject().FindStringIndex(name); ok && at != nil && at[0] == 0 {
			return true
		}
	}
	if !reportFile(path.Base(uri)) {
		return false
	}
	_, ok := within(c.Out, uri)
	return ok
}

// reportFile reports whether a file of that name is one of a run's reports.
func reportFile(name string) bool {
	if slices.Contains([]string{lastName, reports.IndexName, reports.RunFile, reports.MetricsFile}, name) {
		return true
	}
	return slices.ContainsFunc(reports.All, func(f *reports.Format) bool {
		return slices.ContainsFunc(f.Files, func(file reports.File) bool { return file.Name == name })
	})
}

// within returns the name of an object below a folder.
func within(folder, uri string) (name string, ok bool) {
	return strings.CutPrefix(absolute(uri), absolute(folder)+"/")
}
