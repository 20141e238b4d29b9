package logs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"outflow/columnar"
	"outflow/columnar/scan"
)

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		names string
		want  string // table: column=name …
	}{
		{"timestamp,user,bytes_uploaded", "api: time=timestamp user=user bytes_out=bytes_uploaded"},
		{"Time,Client IP,Bytes-Downloaded", "api: time=Time src_ip=Client IP bytes_in=Bytes-Downloaded"},
		// Names that some programs use for the client's direction and others for the
		// server's.
		{"time,user,bytes,bytes_sent,bytes_received,size,id", "api: time=time user=user"},
		{"timestamp,user,src_ip,service,action,bytes_uploaded,bytes_downloaded,object",
			"api: time=timestamp user=user src_ip=src_ip service=service operation=action bytes_out=bytes_uploaded bytes_in=bytes_downloaded resource=object"},
		{"ts,src,qr,qtype,rcode,qname,ancount", "dns: time=ts src_ip=src query_type=qtype rcode=rcode query=qname answers_len=ancount"},
		{"@timestamp,source.ip,dns.question.name", "dns: time=@timestamp src_ip=source.ip query=dns.question.name"},
		{"time,user,host,url,method,sc_bytes,status", "http: time=time user=user host=host url_host=url url_path=url method=method bytes_in=sc_bytes status_code=status"},
		{"time,src,host,uri,method", "http: time=time src_ip=src url_host=host url_path=uri method=method"},
		{"time,src_ip,dst_ip,dst_port,bytes_out,bytes_in", "network: time=time src_ip=src_ip dst_ip=dst_ip dst_port=dst_port bytes_out=bytes_out bytes_in=bytes_in"},
		{"time,src_ip,dst_host,dst_port,bytes_out", "network: time=time src_ip=src_ip dst_host=dst_host dst_port=dst_port bytes_out=bytes_out"},
		{"time,src_ip,dst_ip,dst_port,action", "network: time=time src_ip=src_ip dst_ip=dst_ip dst_port=dst_port action=action"},
		{"time,user,service,dst_ip,bytes_out", "api: time=time user=user service=service bytes_out=bytes_out"},
		{"UtcTime,Computer,Image,CommandLine,ParentImage,OriginalFileName,ProcessId",
			"process: time=UtcTime host=Computer path=Image cmd_line=CommandLine parent_path=ParentImage internal_name=OriginalFileName pid=ProcessId"},
		{"time,actor.user.name,api.operation,api.service.name,src_endpoint.ip,http_request.user_agent",
			"api: time=time user=actor.user.name operation=api.operation service=api.service.name src_ip=src_endpoint.ip user_agent=http_request.user_agent"},
	} {
		names := strings.Split(c.names, ",")
		p, err := resolve(nil, names, false)
		if err != nil {
			t.Errorf("%s: %v", c.names, err)
			continue
		}
		if got := describe(p, names); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.names, got, c.want)
		}
	}
}

func describe(p *plan, names []string) string {
	got := p.table.Name + ":"
	for _, f := range p.fields {
		name := string(f.text)
		if f.src >= 0 {
			name = names[f.src]
		}
		got += fmt.Sprintf(" %s=%s", f.col, name)
	}
	return got
}

// TestResolveCanonical checks that outflow reads what it writes.
func TestResolveCanonical(t *testing.T) {
	for _, table := range columnar.Tables {
		if table == columnar.Event {
			continue // it has no column by which it could be recognised
		}
		var names []string
		for _, c := range table.Cols {
			names = append(names, c.String())
		}
		p, err := resolve(nil, names, false)
		if err != nil || p.table != table {
			t.Errorf("%s: got table %v, error %v", table.Name, p.table, err)
			continue
		}
		for _, c := range table.Cols {
			if c == columnar.Domain || c == columnar.Duration || c == columnar.UID {
				continue // Domain is derived; the name duration does not say its unit, nor uid whose it is
			}
			i := slices.IndexFunc(p.fields, func(f field) bool { return f.col == c })
			if i < 0 || names[p.fields[i].src] != c.String() {
				t.Errorf("%s: %s is not read from the column of its name", table.Name, c)
			}
		}
	}
}

func TestResolveMapping(t *testing.T) {
	names := []string{"when", "WHO", "up", "src", "a.b.c"}
	for _, c := range []struct {
		name string
		m    Mapping
		want string // plan, or error
	}{
		{"letter case", Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Name: "When"}, columnar.User: {Name: "who"}}},
			"api: time=when user=WHO src_ip=src"},
		{"only", Mapping{Only: true, Columns: map[columnar.Col]Column{columnar.Time: {Name: "when"}}}, "api: time=when"},
		{"a named source is not guessed with", Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Name: "when"}, columnar.User: {Name: "src"}}},
			"api: time=when user=src"},
		{"constant", Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Name: "when"}, columnar.Service: {Const: "Box"}}},
			"api: time=when service=Box src_ip=src"},
		{"table follows the mapping", Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Name: "when"}, columnar.Query: {Name: "a.b.c"}}},
			"dns: time=when src_ip=src query=a.b.c"},
		{"no such source", Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Name: "when"}, columnar.User: {Name: "usr"}}},
			`mapping.columns.user: no column "usr": has "when", "WHO", "up", "src", "a.b.c"`},
		{"no time", Mapping{}, `no column for time: has "when", "WHO", "up", "src", "a.b.c"; name it in mapping.columns.time`},
		{"no such where", Mapping{Where: Where{Name: "qr"}}, `mapping.where: no column "qr": has "when", "WHO", "up", "src", "a.b.c"`},
		{"domain", Mapping{Table: columnar.DNS, Columns: map[columnar.Col]Column{columnar.Domain: {Name: "up"}}},
			"mapping.columns.domain: domain is derived from query; name that instead"},
		{"not of the table", Mapping{Table: columnar.DNS, Columns: map[columnar.Col]Column{columnar.BytesOut: {Name: "up"}}},
			"mapping.columns.bytes_out: table dns has no such column; set mapping.table"},
		{"unit", Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Name: "when"}, columnar.BytesOut: {Name: "up", Unit: "Mb"}}},
			`mapping.columns.bytes_out: unit "Mb" is none of B, KB, MB, GB, KiB, MiB, GiB`},
		{"several names", Mapping{Columns: map[columnar.Col]Column{columnar.Time: {First: []string{"at", "When"}}, columnar.User: {Name: "login", First: []string{"who", "src"}}}},
			"api: time=when user=WHO"},
		{"none of several names", Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Name: "when"}, columnar.User: {First: []string{"usr", "login"}}}},
			`mapping.columns.user: no column "usr" or "login": has "when", "WHO", "up", "src", "a.b.c"`},
		{"date", Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Name: "when", Date: "day"}}},
			`mapping.columns.time.date: no column "day": has "when", "WHO", "up", "src", "a.b.c"`},
		{"date of no time", Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Name: "when"}, columnar.User: {Name: "who", Date: "up"}}},
			`mapping.columns.user: date "up": only a time has one`},
		{"constant that is no number", Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Name: "when"}, columnar.BytesOut: {Const: "many"}}},
			`mapping.columns.bytes_out: const "many" is no number that bytes_out can be`},
		{"time", Mapping{Columns: map[columnar.Col]Column{columnar.Time: {Name: "when", Time: "seconds"}}},
			`mapping.columns.time: time "seconds" is neither s, ms, us, ns, iso nor a Go layout such as "02/Jan/2006:15:04:05 -0700"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := resolve(&c.m, names, false)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = describe(p, names)
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
	if _, err := resolve(nil, []string{strings.Repeat("x", 1000), "y"}, false); err == nil || len(err.Error()) > 200 {
		t.Errorf("a long name makes a long error: %v", err)
	}
}

func TestSetTime(t *testing.T) {
	oslo, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		unit, text string
		zone       *time.Location
		want       string // RFC 3339, "" if it is not a time
	}{
		{"", "2026-01-02T03:04:05Z", oslo, "2026-01-02T03:04:05Z"},
		{"", "2026-01-02T03:04:05.678Z", nil, "2026-01-02T03:04:05.678Z"},
		{"", "2026-01-02T03:04:05.6789012Z", nil, "2026-01-02T03:04:05.678901Z"},
		{"", "2026-07-02 03:04:05", oslo, "2026-07-02T01:04:05Z"},
		{"", " 2026-01-02T03:04:05+0130 ", nil, "2026-01-02T01:34:05Z"},
		{"", "2026-01-02", nil, "2026-01-02T00:00:00Z"},
		{"", "2026-02-30T03:04:05Z", nil, ""},
		{"", "2026-01-02T24:04:05Z", nil, ""},
		{"", "2026-01-02T03-04-05Z", nil, ""},
		{"", "2026-01-02T03:0a:05Z", nil, ""},
		{"", "1767225600", oslo, "2026-01-01T00:00:00Z"},
		{"", "1767225600.25", nil, "2026-01-01T00:00:00.25Z"},
		{"", "1.7672256e9", nil, "2026-01-01T00:00:00Z"},
		{"", "1767225600123", nil, "2026-01-01T00:00:00.123Z"},
		{"", "1767225600123456", nil, "2026-01-01T00:00:00.123456Z"},
		{"", "1767225600123456789", nil, "2026-01-01T00:00:00.123456Z"},
		{"", "20260102", nil, "2026-01-02T00:00:00Z"}, // not 1970-08-23
		{"", "12.5", nil, ""},
		{"", "-1767225600", nil, ""},
		{"", "yesterday", nil, ""},
		{"s", "99999", nil, ""},
		{"s", "1000000000", nil, "2001-09-09T01:46:40Z"},
		{"ms", "1767225600123.9", nil, "2026-01-01T00:00:00.1239Z"},
		{"us", "1767225600123456", nil, "2026-01-01T00:00:00.123456Z"},
		{"ns", "1767225600123456789", nil, "2026-01-01T00:00:00.123456Z"},
		{"s", "2026-01-02T03:04:05Z", nil, ""},
		{"iso", "1767225600", nil, ""},
		{"02/Jan/2006:15:04:05 -0700", "02/Mar/2026:10:00:00 +0200", nil, "2026-03-02T08:00:00Z"},
		{"2006/01/02 15.04", "2026/07/02 10.30", oslo, "2026-07-02T08:30:00Z"},
		{"2006/01/02 15.04", "2026-07-02T10:30:00Z", oslo, ""},
	} {
		s := setter{clock: scan.Clock{Zone: c.zone}}
		got := ""
		if us, ok := s.clock.In(c.unit, []byte(c.text)); ok {
			got = time.UnixMicro(us).UTC().Format(time.RFC3339Nano)
		}
		if got != c.want {
			t.Errorf("time %q in unit %q: got %q, want %q", c.text, c.unit, got, c.want)
		}
	}
}

func TestSetNumber(t *testing.T) {
	for _, c := range []struct{ unit, text, want string }{
		{"", "0", "0"},
		{"", "9223372036854775807", "9223372036854775807"},
		{"", "9223372036854775808", "bad bytes_out, left empty"},
		{"", " 12 ", "12"},
		{"", "12.0", "12"},
		{"", "12.9", "12"},
		{"", "1e6", "1000000"},
		{"", "NaN", ""},
		{"", "-", ""},
		{"", "N/A", ""},
		{"", "-1", "negative bytes_out, left empty"},
		{"", "-0.5", "negative bytes_out, left empty"},
		{"", "1,024", "1024"},
		{"", "1.024.000", "1024000"},
		{"", "1024,0", "1024"},
		{"KB", "1,5", "1500"},
		{"KB", "1,024", "bad bytes_out, left empty"}, // KB, or MB with a comma for the point
		{"", "12 KB", "12000"},
		{"", "1.024", "bad bytes_out, left empty"}, // a fraction, or a thousand
		{"MB", "12 KB", "bad bytes_out, left empty"},
		{"", "0x10", "16"},
		{"", "0x1g", "bad bytes_out, left empty"},
		{"", "Infinity", "bad bytes_out, left empty"},
		{"KB", "2", "2000"},
		{"KiB", "1.5", "1536"},
		{"GiB", "9007199254740993", "bad bytes_out, left empty"},
		{"MB", "9007199254", "9007199254000000"},
	} {
		f := newField(columnar.BytesOut, 0)
		if err := f.as(Column{Unit: c.unit}); err != nil {
			t.Fatal(err)
		}
		r := &result{}
		out := r.collect()
		b := out.Table(columnar.API)
		b.SetTime(1)
		var s setter
		got := s.set(b, &f, []byte(c.text))
		if got == "" {
			b.Next(1)
			out.Flush()
			got = r.tables[columnar.API.ID].Cells[slices.Index(columnar.API.Cols, columnar.BytesOut)][0]
		}
		if got != c.want {
			t.Errorf("%q %s: got %q, want %q", c.text, c.unit, got, c.want)
		}
	}
}
