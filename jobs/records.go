package jobs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"outflow/columnar"
	"outflow/columnar/logs"
	"outflow/reports"
	"outflow/stats/detect"
)

// This file reads the records that findings name again, where the logs are: for show, and
// for the page.

// A rereading bounds what is read again. It counts bytes after decompression, so that the
// same records are read on each machine.
type rereading struct {
	bytes   int64 // of all objects
	each    int64 // of one object
	objects int
	// read, if not nil, is called for each record that was read. It takes what it wants of
	// the record's texts, which may be long.
	read func(r *recordForm)
}

// How much of record_bytes one object may take, so that a record at the end of a huge log
// does not hide all others, and how many objects are opened: each is a request to S3.
const (
	rereadShare   = 4
	rereadObjects = 64
)

// recordsBehind reads the records that findings name, by their places, the worst finding's
// first, of as many findings as a page shows in full. objects are what the run has read, by name.
func (p *program) recordsBehind(config *Config, findings []detect.Finding, objects map[string]*source) (map[string]reports.LogRecord, error) {
	if config.RecordBytes == 0 || !slices.Contains(config.Reports, reports.HTML.Name) {
		return nil, nil
	}
	defer p.trace.stage(reportStage)()
	defer p.trace.task("read records again")()
	var wanted []*recordForm
	named := map[string]bool{}
	left := reports.MaxFull
	for i := range findings {
		f := &findings[i]
		if f.Allowed != "" || left == 0 {
			continue
		}
		left--
		for _, r := range recordsIn(f) {
			if !named[r.At] {
				named[r.At] = true
				wanted = append(wanted, &r)
			}
		}
	}
	out := make(map[string]reports.LogRecord, len(wanted))
	p.readAgain(objects, wanted, rereading{int64(config.RecordBytes), int64(config.RecordBytes) / rereadShare, rereadObjects, func(r *recordForm) {
		out[r.At] = reports.NewLogRecord(r.text(), r.joined())
		r.Raw, r.Columns = "", nil
	}})
	for _, r := range wanted {
		if r.Error != "" {
			out[r.At] = reports.LogRecord{Missing: r.Error}
		}
	}
	return out, p.ctx.Err()
}

// text returns the record as its log has it, or if it is no line its columns.
func (r *recordForm) text() string {
	if r.Raw != "" {
		return r.Raw
	}
	var parts []string
	for c := range columnar.NumCols {
		if v, ok := r.Columns[c.String()]; ok {
			parts = append(parts, fmt.Sprintf("%s=%v", c, v))
		}
	}
	return strings.Join(parts, " ")
}

// readAgain fills records, or their Error. Of several objects, it reads the one with the
// first of the records first.
func (p *program) readAgain(objects map[string]*source, records []*recordForm, limit rereading) {
	var order []*source
	wanted := map[*source][]*recordForm{}
	for _, r := range records {
		src := objectAt(r.At, objects)
		if src == nil {
			r.Error = "the log is not there any more, or not where the configuration says"
			continue
		}
		if wanted[src] == nil {
			order = append(order, src)
		}
		wanted[src] = append(wanted[src], r)
	}
	for _, src := range order {
		if limit.objects--; limit.objects < 0 {
			for _, r := range wanted[src] {
				r.Error = fmt.Sprintf("a run reads only %d logs again", rereadObjects)
			}
			continue
		}
		limit.bytes -= p.readRecords(src, wanted[src], min(limit.bytes, limit.each), limit.read)
	}
}

// objectsOf returns sources by the names of their objects.
func objectsOf(sources []source) map[string]*source {
	out := make(map[string]*source, len(sources))
	for i := range sources {
		out[sources[i].object.Name] = &sources[i]
	}
	return out
}

// objectAt returns the object in which a record is, nil if it is in none of them.
func objectAt(at string, objects map[string]*source) *source {
	for i := len(at) - 1; i >= 0; i-- {
		if at[i] == ':' || at[i] == '!' {
			if src := objects[at[:i]]; src != nil {
				return src
			}
		}
	}
	return nil
}

// These end the reading of an object.
var (
	errFound = errors.New("all records were found")
	errMost  = errors.New("finding it takes more reading than record_bytes allows")
)

// readRecords fills the records from their object. It reads at most so many bytes and
// returns how many it has read. done is rereading.read.
func (p *program) readRecords(src *source, wanted []*recordForm, most int64, done func(*recordForm)) (read int64) {
	left := len(wanted)
	var failure error
	visit := func(m *logs.Member, b *logs.Block) error {
		records, size := b.Holds(m.Format)
		here := map[int64]*recordForm{} // one for each number
		for _, r := range wanted {
			if n, ok := recordNumber(r.At, m.Name); ok && r.Format == "" && b.First <= n && n < b.First+records {
				here[n] = r
			}
		}
		if len(here) > 0 || len(b.Data) > 0 {
			read += size
		}
		switch {
		case p.ctx.Err() != nil:
			return p.ctx.Err()
		case read > most:
			return errMost
		case len(here) == 0:
			return nil
		}
		columns, err := decodeRecords(m, b, here)
		if err != nil {
			return err
		}
		for n, r := range here {
			raw := reports.Masked(string(lineOf(m.Format, b, n)))
			if columns[n] == nil && raw == "" {
				continue
			}
			r.Format, r.Raw, r.Columns = m.Format.Name, raw, columns[n]
			if at, ok := r.Columns[columnar.Time.String()].(string); ok && r.us != 0 && !sameTime(at, r.us) {
				*r = recordForm{At: r.At, Time: r.Time, Bytes: r.Bytes, Format: m.Format.Name, Changed: true, us: r.us,
					Error: "the log was exchanged since the run read it: the record here is now one of " + at}
			} else if done != nil {
				done(r)
			}
			left--
		}
		if left == 0 {
			return errFound
		}
		return nil
	}
	if most > 0 {
		for _, m := range logs.Read(&src.object, &logs.ReadOptions{Format: src.format, Formats: src.formats, Options: src.options}, visit) {
			if m.Err != nil && !errors.Is(m.Err, errFound) {
				failure = m.Err
			}
		}
	} else {
		failure = errMost
	}
	for _, r := range wanted {
		if r.Format == "" {
			r.Error = "the log has no such record now"
			if failure != nil {
				r.Error = failure.Error()
			}
		}
	}
	return read
}

// sameTime reports whether a time of a row, as rowForm has it, is that of a finding's record,
// in µs UTC.
func sameTime(text string, us int64) bool {
	t, err := time.Parse(time.RFC3339Nano, text)
	return err != nil || t.UnixMicro() == us
}

// recordNumber returns the number of the record that at names, if it is one of a member.
func recordNumber(at, member string) (int64, bool) {
	rest, ok := strings.CutPrefix(at, member+":")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	return n, err == nil
}

// lineOf returns the text of a record if the records of the block are its lines, else nil.
// The number of a record that has newlines inside quotes is that of its first line.
func lineOf(f *logs.Format, b *logs.Block, n int64) []byte {
	if f.Split != nil || f.Cut != nil {
		return nil
	}
	data := b.Data
	for range n - b.First {
		_, data, _ = bytes.Cut(data, []byte{'\n'})
	}
	end := 0
	for {
		i := bytes.IndexByte(data[end:], '\n')
		if i < 0 {
			return data
		}
		if line := data[:end+i]; !f.Quoted || bytes.Count(line, []byte{'"'})%2 == 0 {
			return bytes.TrimSuffix(line, []byte{'\r'})
		}
		end += i + 1
	}
}

// decodeRecords returns the columns that have a value, of those records of a block that are
// rows.
func decodeRecords(m *logs.Member, b *logs.Block, wanted map[int64]*recordForm) (map[int64]map[string]any, error) {
	d, err := m.Format.New(m.Options)
	if err != nil {
		return nil, err
	}
	found := map[int64]map[string]any{}
	var tally logs.Tally
	var failed error
	out := columnar.Out{Want: everything, WantEvents: columnar.AnyEvent, Origin: m.Format.Origin(), Server: m.Format.Server, Sink: func(rows *columnar.Batch) {
		for row := range rows.Len() {
			n := rows.First + int64(rows.Record[row])
			if wanted[n] != nil && found[n] == nil && failed == nil {
				found[n], failed = rowForm(rows, row)
			}
		}
	}}
	err = b.Decode(d, &out, &tally)
	out.Flush()
	return found, cmp.Or(err, failed)
}

// rowForm returns the known columns of a row, masked.
func rowForm(b *columnar.Batch, row int) (map[string]any, error) {
	var line bytes.Buffer
	w, err := logs.NewWriter("jsonl", &line, b.Table)
	if err == nil {
		err = w.Write(b, []int{row})
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, err
	}
	var out map[string]any
	d := json.NewDecoder(&line)
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		return nil, err
	}
	for name, v := range out {
		if text, ok := v.(string); ok {
			out[name] = reports.Masked(text)
		}
	}
	return out, nil
}
