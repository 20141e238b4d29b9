package jobs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"outflow/columnar/logs"
	"outflow/columnar/store"
	"outflow/stats/detect"
)

// inputFlags say how to read the logs named on a command line.
type inputFlags struct {
	format, layout, logFormat, zone string
	mapping                         string   // file
	mapped                          []string // FORMAT=PATH
	sources                         []string // files and folders of source files
	formats                         logs.Formats
	endpointURL, region             string
}

// bind adds the flags to a command that has no configuration, or whose configuration has not
// those. What is a setting may come from its variable, as it does with a configuration.
func (f *inputFlags) bind(p *program, c *cobra.Command) {
	setting := func(key string) string {
		if text, ok := p.env(envOf(key)); ok {
			return text
		}
		return ""
	}
	c.Flags().StringVarP(&f.format, "format", "f", "", "format of the logs (default: sniffed); see outflow list formats")
	c.RegisterFlagCompletionFunc("format", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return formatNames(nil), cobra.ShellCompDirectiveNoFileComp
	})
	c.Flags().StringVar(&f.layout, "layout", "", "layout of the objects below the folders, as in an input's layout; see outflow list layouts")
	c.RegisterFlagCompletionFunc("layout", func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
		for _, l := range layouts {
			names = append(names, l.name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	c.Flags().StringVar(&f.mapping, "mapping", "", "`file` that maps the columns, like an input's mapping in the configuration")
	if c.Flags().Lookup("sources") == nil {
		c.Flags().StringSliceVar(&f.sources, "sources", strings.FieldsFunc(setting("sources"), func(r rune) bool { return r == ',' }), "files and folders of source files, which describe logs that outflow does not know")
	}
	c.Flags().StringVar(&f.logFormat, "logformat", "", "Squid's logformat directive, as in squid.conf, or the fields of a VPC flow log without a header")
	if c.Flags().Lookup("zone") == nil {
		c.Flags().StringVar(&f.zone, "zone", setting("zone"), "time zone of logs without one, as in Europe/Paris (default UTC)")
	}
	if c.Flags().Lookup("s3-endpoint-url") == nil {
		c.Flags().StringVar(&f.endpointURL, "s3-endpoint-url", setting("s3.endpoint_url"), "URL of an S3-compatible server")
		c.Flags().StringVar(&f.region, "s3-region", setting("s3.region"), "region of the bucket")
	}
}

// options returns the options of the decoders, and the format or nil.
func (f *inputFlags) options() (*logs.Format, logs.Options, error) {
	o := logs.Options{LogFormat: f.logFormat}
	if f.zone != "" {
		zone, err := time.LoadLocation(f.zone)
		if err != nil {
			return nil, o, badConfig("--zone: unknown time zone %q: want a name like Europe/Paris", f.zone)
		}
		o.Zone = zone
	}
	if f.mapping != "" {
		text, err := os.ReadFile(f.mapping)
		if err != nil {
			return nil, o, configError{fmt.Errorf("read the mapping: %w", err)}
		}
		if _, err := mappingLimits.Parse(text); err != nil {
			return nil, o, badConfig("%s: %s", f.mapping, yamlFault(text, err))
		}
		var m Mapping
		if err := yaml.UnmarshalWithOptions(text, &m, yaml.Strict()); err != nil {
			return nil, o, badConfig("%s: %s", f.mapping, yamlFault(text, err))
		}
		source, err := m.source("mapping", f.format)
		if err == nil && source == nil {
			o.Mapping, err = m.resolve()
		}
		if err != nil {
			return nil, o, badConfig("%s: %w", f.mapping, err)
		}
		if source != nil {
			f.formats = f.formats.With([]*logs.Format{source})
			return source, o, nil
		}
	}
	format, err := formatNamed(f.formats, f.format)
	if err == nil {
		err = checkFields(format, f.logFormat)
	}
	return format, o, err
}

// checkFields returns an error if a logformat is for flow logs, and names none of their fields.
func checkFields(format *logs.Format, logFormat string) error {
	if format != logs.VPCFlow || logFormat == "" || logs.FormatOf(logFormat) == format {
		return nil
	}
	return badConfig("logformat %q: want the fields of a flow log, srcaddr and bytes among them", logFormat)
}

// resolve loads the source files, and returns the options of the decoders and the format or nil.
func (f *inputFlags) resolve() (*logs.Format, logs.Options, error) {
	own, err := loadSources(f.sources)
	if err != nil {
		return nil, logs.Options{}, configError{err}
	}
	f.formats = logs.Formats(nil).With(own)
	return f.options()
}

func (f *inputFlags) store() store.Options {
	return store.Options{EndpointURL: f.endpointURL, Region: f.region}
}

func formatNamed(formats logs.Formats, name string) (*logs.Format, error) {
	if name == "" {
		return nil, nil
	}
	if f := formats.Named(name); f != nil {
		return f, nil
	}
	return nil, badConfig("unknown format %q%s", name, wanted(name, formatNames(formats), "formats"))
}

// loadSources reads source files; of a folder, those that end in .yaml or .yml.
func loadSources(paths []string) (formats []*logs.Format, err error) {
	for _, path := range paths {
		files := []string{path}
		if info, err := os.Stat(path); err != nil {
			return nil, err
		} else if info.IsDir() {
			files = nil
			entries, err := os.ReadDir(path)
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
					files = append(files, filepath.Join(path, e.Name()))
				}
			}
		}
		for _, file := range files {
			f, err := loadSource(file)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(formats, func(have *logs.Format) bool { return have.Name == f.Name }) {
				return nil, fmt.Errorf("%s: a source named %q stands in another file too", file, f.Name)
			}
			formats = append(formats, f)
		}
	}
	return formats, nil
}

// loadSource reads a source file.
func loadSource(file string) (*logs.Format, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f, err := logs.ParseSource(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return f, nil
}

// find lists the objects that the paths of a command line name.
func (p *program) find(f *inputFlags, paths []string) ([]source, error) {
	format, options, err := f.resolve()
	if err != nil {
		return nil, err
	}
	layout, err := layoutNamed(f.layout)
	if err != nil {
		return nil, err
	}
	if layout != nil && format == nil && options.Mapping == nil {
		format = layout.known()
	}
	var out []source
	seen := map[string]bool{}
	add := func(path string, format *logs.Format) error {
		if layout != nil {
			path = layout.uri(path)
		}
		found, _, err := p.glob(path, nil, f.store(), &options)
		if errors.Is(err, fs.ErrNotExist) {
			return badConfig("%s: no such file or folder", path)
		}
		if err != nil {
			return configError{err}
		}
		for _, s := range found {
			if seen[s.object.Name] {
				continue
			}
			seen[s.object.Name] = true
			s.decode(format, f.formats, options)
			out = append(out, s)
		}
		return nil
	}
	for _, pair := range f.mapped {
		name, path, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, badConfig("--input %q: want FORMAT=PATH", pair)
		}
		format, err := formatNamed(f.formats, name)
		if err != nil {
			return nil, err
		}
		if err := add(path, format); err != nil {
			return nil, err
		}
	}
	for _, path := range paths {
		if err := add(path, format); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decode sets how to decode the source: all of o, except what its object tells.
func (s *source) decode(format *logs.Format, formats logs.Formats, o logs.Options) {
	o.Written, o.Account = s.options.Written, s.options.Account
	s.format, s.formats, s.options = format, formats, o
}

// glob lists the objects that match a pattern, as sources. o tells how they are read. If there is
// none, left says what else matches.
func (p *program) glob(pattern string, days []detect.Day, at store.Options, o *logs.Options) (out []source, left string, err error) {
	at.Times, at.Requests = logs.TimesOf(o), &p.requests
	var times []time.Time
	for _, d := range days {
		times = append(times, d.Time())
	}
	found, err := store.Glob(p.ctx, pattern, times, at)
	if err != nil {
		return nil, "", err
	}
	for _, note := range found.Notes {
		if !slices.Contains(p.noted, note) { // a night lists its inputs several times
			p.noted = append(p.noted, note)
			p.note("%s", printable(note))
		}
	}
	if len(days) == 0 { // a folder that somebody named, and may not know by heart
		for _, s := range found.Skipped {
			p.note("%s: left out %s: %s", printable(pattern), counted(s.Count, "object"), s.Reason)
		}
		if len(found.Objects)+len(found.Skipped) == 0 {
			p.note("%s: matches nothing", printable(pattern))
		}
	}
	if len(found.Objects) == 0 {
		left = strings.Join(texts(found.Skipped, func(s store.Skip) string { return s.Reason }), "; ")
	}
	out = make([]source, 0, len(found.Objects))
	own := 0
	for _, at := range found.Objects {
		if p.written != nil && at.URI != pattern && p.written(at.URI) {
			own++
			continue
		}
		out = append(out, p.source(at))
	}
	if own > 0 && len(days) == 0 {
		p.note("%s: left out %s: written by outflow itself", printable(pattern), counted(own, "object"))
	}
	return out, left, nil
}

// source returns an object as a source.
func (p *program) source(at store.Object) source {
	sent, open := p.transferred(&at, func() (io.ReadCloser, error) {
		if at.Err != nil {
			return nil, at.Err
		}
		return at.Open(p.ctx)
	})
	return source{etag: at.ETag, closed: at.Err, sent: sent, options: logs.Options{Written: at.Written, Account: at.Account}, object: logs.Object{
		Name: at.URI, Size: at.Size, Written: at.Written, Open: open,
		At:    func() (logs.ReaderAtCloser, error) { return at.OpenAt(p.ctx) },
		Table: p.inTable(at.Table),
	}}
}

// inTable gives the decoder what a table knows of an object.
func (p *program) inTable(t *store.InTable) *logs.InTable {
	if t == nil {
		return nil
	}
	out := &logs.InTable{Schema: t.Schema, File: t.File}
	for _, d := range t.Deletes {
		out.Deletes = append(out.Deletes, func() (logs.SizedReaderAt, error) { return d.Store.OpenAt(p.ctx, d.Name) })
	}
	return out
}
