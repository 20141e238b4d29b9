package evtx

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Real logs, if there are any, compared with the output of libevtx' evtxexport.
// evtxexport keeps leading zeros of hexadecimal numbers, and leaves out what it
// cannot read.
func TestRealLogs(t *testing.T) {
	dir := os.Getenv("OUTFLOW_DATA")
	if dir == "" {
		t.Skip("OUTFLOW_DATA names no folder of logs")
	}
	files, err := filepath.Glob(filepath.Join(dir, "evtx-*", "*_evtxexport.xml.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no exported logs: %v", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			want := exported(t, name)
			in, err := os.ReadFile(strings.Replace(name, "_evtxexport.xml.gz", ".evtx", 1))
			if err != nil {
				t.Fatal(err)
			}
			got := read(t, in)
			events := map[string][]string{}
			for _, event := range got.events {
				events[eventRecordID(event)] = event
			}
			for id, event := range want {
				if diff := cmp.Diff(event, normal(events[id])); diff != "" {
					t.Errorf("record %s (-evtxexport +got):\n%s", id, diff)
				}
			}
			t.Logf("%d events, %d of them exported; damage %q, %d missing", len(got.ids), len(want), got.damage, got.missing)
			if len(got.damage) == 0 && len(want) > 0 && len(got.ids) != len(want) {
				t.Errorf("got %d events, want %d", len(got.ids), len(want))
			}
		})
	}
}

// The events of Sigma's regression tests, compared with the JSON that evtx_dump
// writes.
func TestSigmaLogs(t *testing.T) {
	dir := os.Getenv("OUTFLOW_DATA")
	if dir == "" {
		t.Skip("OUTFLOW_DATA names no folder of logs")
	}
	files, err := filepath.Glob(filepath.Join(dir, "sigma-regression", "*", "*.evtx"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no logs: %v", err)
	}
	compared := 0
	for _, name := range files {
		in, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got := read(t, in)
		if len(got.damage) > 0 || got.missing > 0 {
			t.Errorf("%s: got damage %q, %d missing", name, got.damage, got.missing)
		}
		stored, err := os.Open(strings.TrimSuffix(name, "evtx") + "json")
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(stored)
		d.UseNumber()
		events := 0
		for ; ; events++ {
			var want struct {
				Event struct {
					System struct {
						EventRecordID json.Number
						EventID       any
						Computer      string
					}
					EventData map[string]any
				}
			}
			if err := d.Decode(&want); err != nil {
				if err != io.EOF {
					t.Fatalf("%s: %v", name, err)
				}
				break
			}
			at := slices.IndexFunc(got.events, func(e []string) bool { return eventRecordID(e) == want.Event.System.EventRecordID.String() })
			if at < 0 {
				t.Errorf("%s: no event %s", name, want.Event.System.EventRecordID)
				continue
			}
			fields := map[string]string{}
			for i, line := range got.events[at] {
				if field, ok := strings.CutPrefix(line, "Event/EventData/Data@Name="); ok {
					_, fields[field], _ = strings.Cut(got.events[at][i+1], "=")
				}
				if host, ok := strings.CutPrefix(line, "Event/System/Computer="); ok && host != want.Event.System.Computer {
					t.Errorf("%s: got computer %q, want %q", name, host, want.Event.System.Computer)
				}
			}
			for field, v := range want.Event.EventData {
				text := fmt.Sprint(v)
				switch v.(type) {
				case nil:
					text = ""
				case map[string]any, []any:
					continue
				}
				// That JSON lacks the space that cmd.exe appends to its own name,
				// and has one text in lower case.
				if value := strings.TrimSpace(fields[field]); !strings.EqualFold(value, text) && strings.Trim(value, "{}") != text {
					t.Errorf("%s: %s: got %q, want %q", name, field, value, text)
				}
				compared++
			}
		}
		if events != len(got.events) {
			t.Errorf("%s: got %d events, want %d", name, len(got.events), events)
		}
	}
	t.Logf("%d files, %d values", len(files), compared)
}

// eventRecordID returns the id in an event. The id of its record differs if the
// event was copied from another file.
func eventRecordID(lines []string) string {
	for _, line := range lines {
		if id, ok := strings.CutPrefix(line, "Event/System/EventRecordID="); ok {
			return id
		}
	}
	return ""
}

// exported returns the events of an export by their id.
func exported(t *testing.T, name string) map[string][]string {
	stored, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Close()
	z, err := gzip.NewReader(stored)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	_, text, _ = bytes.Cut(text, []byte("\n")) // the program's name
	d := xml.NewDecoder(bytes.NewReader(text))
	var event []Token
	for depth := 0; ; {
		token, err := d.RawToken()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			event = append(event, Token{Kind: Start, Name: token.Name.Local})
			for _, a := range token.Attr {
				name := a.Name.Local
				if a.Name.Space != "" {
					name = a.Name.Space + ":" + name
				}
				event = append(event, Token{Kind: Attribute, Name: name, Text: []byte(a.Value)})
			}
		case xml.CharData:
			if depth > 0 {
				event = append(event, Token{Kind: Text, Text: bytes.Clone(token)})
			}
		case xml.EndElement:
			event = append(event, Token{Kind: End, Name: token.Name.Local})
			if depth--; depth == 0 {
				lines, err := paths(event)
				if err != nil {
					t.Fatal(err)
				}
				out[eventRecordID(lines)] = normal(lines)
				event = nil
			}
		}
	}
}

// normal rewrites the values that can be written in several ways, so that equal values
// are equal texts.
func normal(lines []string) []string {
	var out []string
	for _, line := range lines {
		path, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(strings.ReplaceAll(value, "\r\n", "\n"))
		if digits, ok := strings.CutPrefix(value, "0x"); ok {
			if v, err := strconv.ParseUint(digits, 16, 64); err == nil {
				value = fmt.Sprintf("%#x", v)
			}
		}
		if v, err := time.Parse(time.RFC3339Nano, value); err == nil {
			value = v.Format(time.RFC3339Nano)
		}
		out = append(out, path+"="+value)
	}
	return out
}
