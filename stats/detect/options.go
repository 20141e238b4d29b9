package detect

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// The options of a detection are the exported fields of the struct that its Options
// field points to. Each has these tags, from which the keys of the configuration, the
// flags, the help and the tables of the README are made:
//
//	yaml  the key, snake_case
//	unit  the unit of the number; "" for words and pure numbers
//	doc   what it decides, and why it is not more or less; no period
//	enum  the allowed words, separated by spaces; only for strings
//	tune  the values that outflow tune tries, separated by spaces; only for options that
//	      Fold does not read, since the rows of the state stay as they were folded
//
// A field is an int, a float64, a string or a Bytes. Numbers are finite and not
// negative.

// An Option is one threshold of a detection.
type Option struct {
	Key   string
	Value string // the current value; the default in a detection fresh from All
	Unit  string
	Doc   string
	Enum  []string // nil: any value
	Tune  []string // values to try, ascending; empty: it is not tuned
}

// Bytes is a count of bytes that may be written with a unit: 150 MB, 4 KiB.
type Bytes int64

var byteUnits = []struct {
	name string
	size float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// UnmarshalText reads a number with an optional unit.
func (b *Bytes) UnmarshalText(text []byte) error {
	s, size := string(text), 1.0
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			s, size = rest, u.size
			break
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || !(v >= 0 && v*size < 1<<62) {
		return fmt.Errorf("bytes %q: want a number with an optional unit, such as 150 MB", text)
	}
	*b = Bytes(math.Round(v * size))
	return nil
}

// MarshalText writes the count without a unit.
func (b Bytes) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(b), 10), nil }

// Options lists the detection's options in the order of their fields.
func Options(d *Detection) []Option {
	if d.Options == nil {
		return nil
	}
	v := reflect.ValueOf(d.Options).Elem()
	var out []Option
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		out = append(out, Option{
			Key:   tag.Get("yaml"),
			Value: fmt.Sprint(v.Field(i).Interface()),
			Unit:  tag.Get("unit"),
			Doc:   tag.Get("doc"),
			Enum:  strings.Fields(tag.Get("enum")),
			Tune:  strings.Fields(tag.Get("tune")),
		})
	}
	return out
}

// Value returns the current value of one option, "" if the detection has no such option.
func Value(d *Detection, key string) string {
	v := reflect.ValueOf(d.Options).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return fmt.Sprint(v.Field(i).Interface())
		}
	}
	return ""
}

// With returns a copy of the detection with one option set, whose other options have the
// values that d has now. d must be of the default profile.
func With(d *Detection, key, value string) (*Detection, error) {
	all := All()
	at := slices.IndexFunc(all, func(e *Detection) bool { return e.Name == d.Name })
	if at < 0 {
		return nil, fmt.Errorf("unknown detection %q", d.Name)
	}
	for _, o := range Options(d) {
		if err := Set(all[at], o.Key, o.Value); err != nil {
			return nil, err
		}
	}
	return all[at], Set(all[at], key, value)
}

// Set sets one option from text, as a flag or an environment variable gives it.
func Set(d *Detection, key, value string) error {
	for i, o := range Options(d) {
		if o.Key != key {
			continue
		}
		f := reflect.ValueOf(d.Options).Elem().Field(i)
		old := reflect.New(f.Type()).Elem()
		old.Set(f)
		err := setText(f, value)
		if err == nil {
			err = check(f, o.Enum)
		}
		if err != nil {
			f.Set(old)
			return fmt.Errorf("%s.%s: %w", d.Name, key, err)
		}
		return nil
	}
	return fmt.Errorf("%s has no option %q", d.Name, key)
}

// Check reports the first option with an invalid value, for options that were decoded
// instead of Set.
func Check(d *Detection) error {
	for i, o := range Options(d) {
		if err := check(reflect.ValueOf(d.Options).Elem().Field(i), o.Enum); err != nil {
			return fmt.Errorf("%s.%s: %w", d.Name, o.Key, err)
		}
	}
	return nil
}

func setText(f reflect.Value, text string) error {
	switch p := f.Addr().Interface().(type) {
	case *Bytes:
		return p.UnmarshalText([]byte(text))
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q: want a whole number", text)
		}
		*p = n
	case *float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q: want a number", text)
		}
		*p = n
	case *string:
		*p = text
	default:
		return fmt.Errorf("options of type %s cannot be set", f.Type())
	}
	return nil
}

func check(f reflect.Value, enum []string) error {
	switch f.Kind() {
	case reflect.Int, reflect.Int64:
		if f.Int() < 0 {
			return fmt.Errorf("%d is negative", f.Int())
		}
	case reflect.Float64:
		if n := f.Float(); !(n >= 0) || math.IsInf(n, 0) {
			return fmt.Errorf("%v: want a finite number, not negative", n)
		}
	case reflect.String:
		for _, word := range enum {
			if word == f.String() {
				return nil
			}
		}
		if len(enum) > 0 {
			return fmt.Errorf("%q: want one of %s", f.String(), strings.Join(enum, ", "))
		}
	}
	return nil
}
