package jobs

import (
	"fmt"
	"iter"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"outflow/stats/detect"
)

// A setting is one key with a single value.
type setting struct {
	key    string // "state", "s3.region", "upload_zscore.threshold"
	doc    string
	toggle bool // true or false
	list   bool // of strings, separated by commas
	get    func() string
	set    func(text string) error
}

// flagOf returns a setting's name on the command line: "s3-region".
func flagOf(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, ".", "-"), "_", "-")
}

// envOf returns a setting's name in the environment: "OUTFLOW_S3_REGION".
func envOf(key string) string {
	return "OUTFLOW_" + strings.ToUpper(strings.ReplaceAll(strings.ReplaceAll(key, ".", "_"), "-", "_"))
}

// settings lists the keys with a single value, those of the configuration first.
func (c *Config) settings() []setting {
	out := settingsOf("", reflect.ValueOf(c).Elem())
	for _, d := range c.detections {
		for _, o := range detect.Options(d) {
			doc := o.Doc
			if o.Unit != "" {
				doc += " (" + o.Unit + ")"
			}
			out = append(out, setting{key: d.Name + "." + o.Key, doc: doc,
				get: func() string { return detect.Value(d, o.Key) },
				set: func(text string) error { return detect.Set(d, o.Key, text) },
			})
		}
	}
	return out
}

func settingsOf(prefix string, v reflect.Value) []setting {
	var out []setting
	for i := range v.NumField() {
		field, at := v.Type().Field(i), v.Field(i)
		key := field.Tag.Get("yaml")
		if !field.IsExported() || key == "" {
			continue
		}
		s := setting{key: prefix + key, doc: field.Tag.Get("doc")}
		switch p := at.Addr().Interface().(type) {
		case *string:
			s.get = func() string { return *p }
			s.set = func(text string) error { *p = text; return nil }
		case *[]string:
			s.list = true
			s.get = func() string { return strings.Join(*p, ",") }
			s.set = func(text string) error {
				*p = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
				return nil
			}
		case *int:
			s.get = func() string { return strconv.Itoa(*p) }
			s.set = func(text string) (err error) {
				if *p, err = strconv.Atoi(text); err != nil {
					err = fmt.Errorf("%q: want a whole number", text)
				}
				return err
			}
		case *bool:
			s.toggle = true
			s.get = func() string { return strconv.FormatBool(*p) }
			s.set = func(text string) (err error) {
				if *p, err = strconv.ParseBool(text); err != nil {
					err = fmt.Errorf("%q: want true or false", text)
				}
				return err
			}
		case *detect.Bytes:
			s.get = func() string { return strconv.FormatInt(int64(*p), 10) }
			s.set = func(text string) error { return p.UnmarshalText([]byte(text)) }
		case *time.Duration:
			s.get = func() string { return p.String() }
			s.set = func(text string) (err error) {
				if *p, err = time.ParseDuration(text); err != nil {
					err = fmt.Errorf("%q: want a time like 90s or 10m", text)
				}
				return err
			}
		case *DomainAliases:
			s.get = func() string { return p.String() }
			s.set = p.set
		case *S3:
			out = append(out, settingsOf(prefix+key+".", at)...)
			continue
		default:
			continue // a list or a map of its own
		}
		out = append(out, s)
	}
	return out
}

// overlay applies the environment and the flags to a setting.
func (c *Config) overlay(s setting, env func(string) (string, bool), flags map[string]string) error {
	if text, ok := env(envOf(s.key)); ok {
		if err := s.set(text); err != nil {
			return badConfig("%s: %w", envOf(s.key), err)
		}
		c.origins[s.key] = envOf(s.key)
	}
	if text, ok := flags[flagOf(s.key)]; ok {
		if err := s.set(text); err != nil {
			return badConfig("--%s: %w", flagOf(s.key), err)
		}
		c.origins[s.key] = "--" + flagOf(s.key)
	}
	return nil
}

// inFile yields the settings that a file has, with their values as YAML reads them.
func (c *Config) inFile(body ast.Node) iter.Seq2[setting, any] {
	return func(yield func(setting, any) bool) {
		var tree map[string]any
		if body == nil || yaml.NodeToValue(body, &tree) != nil {
			return
		}
		for _, s := range c.settings() {
			path := strings.Split(s.key, ".")
			if c.detection(path[0]) != nil {
				path = append([]string{"detections"}, path...)
			}
			var at any = tree
			for _, key := range path {
				m, _ := at.(map[string]any)
				at = m[key]
			}
			if at != nil && !yield(s, at) {
				return
			}
		}
	}
}

// noteOrigins records which settings the file sets.
func (c *Config) noteOrigins(body ast.Node, file string) {
	for s := range c.inFile(body) {
		c.origins[s.key] = file
	}
}
