package logs

import (
	"bytes"
	"fmt"
	"slices"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// W3C decodes logs in the W3C extended log file format.
var W3C = &Format{
	Name:  "w3c",
	Title: "W3C extended log of a proxy or web server",
	Doc: `Written by Symantec (Blue Coat) ProxySG and Edge SWG, IIS, Forefront TMG, Netskope's transaction events and
Amazon CloudFront: columns that the directive #Fields names, separated by spaces or tabs. The directive may stand
anywhere and again, with other columns; the records behind it are read by it. Records before the first one are
skipped.

Columns are found as in csv, by well-known names or a mapping: cs-bytes is bytes_out, sc-bytes bytes_in,
cs-username user, cs-host url_host, cs-uri-path or cs-uri-stem url_path. A column date with the column time behind
it is the time; it is in the input's zone (the format's own is UTC).

Quotes are as in csv, but end with the line. "-" says nothing. Percent escapes of a user name are undone, and a +
behind its domain is a space, as IIS writes it. Other text stays as it was written.`,
	Tables:      []*columnar.Table{columnar.HTTP, columnar.API, columnar.DNS, columnar.Network, columnar.Process, columnar.Event},
	Remedies:    []Remedy{{Columns: columnar.ColSet(columnar.User, columnar.BytesOut, columnar.BytesIn, columnar.URLHost), Text: "Add the column to the fields that the device logs: cs-bytes is bytes_out, sc-bytes bytes_in, cs-username user, cs-host url_host."}},
	Sniff:       func(head []byte) bool { return sniffW3C(head, false) },
	SniffInside: func(head []byte) bool { return sniffW3C(head, true) },
	Outer:       true,
	Header:      w3cHeader,
	New: func(o *Options) (Decoder, error) {
		return &w3c{separated: separated{mapping: o.Mapping, inside: o.Inside, set: setter{clock: o.clock()}}}, nil
	},
}

func sniffW3C(head []byte, inside bool) bool {
	for len(head) > 0 && head[0] == '#' {
		var line []byte
		if line, head = scan.CutLine(head); bytes.HasPrefix(line, w3cFields) {
			p, _, err := w3cPlan(nil, line, inside)
			return err == nil && p.tellsMuch()
		}
	}
	return false
}

// w3cPlan makes the plan for the columns that a directive #Fields names.
func w3cPlan(m *Mapping, directive []byte, inside bool) (p *plan, columns int, err error) {
	names := directiveNames(directive)
	if p, err = resolve(m, names, inside); err != nil {
		return nil, 0, fmt.Errorf("#Fields: %w", err)
	}
	for i := range p.fields {
		if f := &p.fields[i]; f.col == columnar.User && f.read == readText {
			f.read = readW3CUser
		}
	}
	return p, len(names), nil
}

// w3c is a separated whose columns change, and whose records are lines.
type w3c struct {
	separated
	line  scan.Fields // of one line
	unfit string      // why no plan is in force, if header is nil
}

func (d *w3c) Decode(b *Block, out *columnar.Out, t *Tally) error {
	d.useFields(b.Header)
	for data, line := b.Data, b.First; len(data) > 0; line++ {
		if data[0] != '#' {
			n := nextDirective(data)
			line = d.records(b, data[:n], line, out, t) - 1
			data = data[n:]
			continue
		}
		var directive []byte
		directive, data = scan.CutLine(data)
		if bytes.HasPrefix(directive, w3cFields) {
			if d.useFields(directive); d.header == nil {
				t.Skip(line, d.unfit)
				continue
			}
		}
		t.Known("directive")
	}
	return nil
}

// nextDirective returns where the next directive begins: the end of data if there is none. Few
// records have a #, and every one has a newline.
func nextDirective(data []byte) int {
	for at := 1; at < len(data); at++ {
		i := bytes.IndexByte(data[at:], '#')
		if i < 0 {
			break
		}
		if at += i; data[at-1] == '\n' {
			return at
		}
	}
	return len(data)
}

// useFields makes the plan of a directive #Fields the one that is in force. If it
// is nil or gives no plan, none is.
func (d *w3c) useFields(directive []byte) {
	if d.header != nil && bytes.Equal(directive, d.header) {
		return
	}
	d.header, d.unfit = nil, "no directive #Fields says what the columns are"
	if directive == nil {
		return
	}
	p, columns, err := w3cPlan(d.mapping, directive, d.inside)
	if err != nil {
		d.unfit = err.Error()
		return
	}
	d.plan, d.columns, d.header, d.fields = p, columns, slices.Clone(directive), nil
}

// records decodes lines without directives, and returns the number of the line
// behind them.
func (d *w3c) records(b *Block, data []byte, line int64, out *columnar.Out, t *Tally) int64 {
	if d.header == nil {
		return skipLines(data, line, d.unfit, t)
	}
	d.begin(b, out)
	d.sep = ' '
	first, _ := scan.CutLine(bytes.TrimLeft(data, "\r\n"))
	if bytes.IndexByte(first, '\t') >= 0 && bytes.Count(first, []byte{'\t'}) >= d.columns-1 {
		d.sep = '\t'
	}
	if last := []byte{d.sep}; bytes.HasSuffix(trimEOL(first), last) && bytes.HasSuffix(trimEOL(d.header), last) {
		d.columns++ // as IIS's Advanced Logging ends lines
		defer func() { d.columns-- }()
	}
	s := &d.scanner
	s.Reset(data, d.sep, '"')
	for s.Next() {
		if !s.Noted {
			line = d.window(data, line, t)
			continue
		}
		// A quote that is not closed on its line stands for itself.
		behind := min(int(s.Pos[s.Ends[len(s.Ends)-1]])+1, len(data))
		for lines := data[s.Pos[0]+1 : behind]; len(lines) > 0; line++ {
			end := scan.LineEnd(lines, 0)
			d.line.Reset(lines[:end], d.sep, '"')
			if d.line.Next() {
				d.record(lines[:end], d.line.Pos[:d.line.Ends[0]+1], line, t)
			}
			lines = lines[end:]
		}
	}
	return line
}
