package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"outflow/columnar"
)

// Rows in the shape that Security Lake writes.
type (
	lakeUser struct {
		Type    *string      `parquet:"type,optional,dict" json:"type,omitempty"`
		Name    *string      `parquet:"name,optional,dict" json:"name,omitempty"`
		UID     *string      `parquet:"uid,optional" json:"uid,omitempty"`
		Account *lakeAccount `parquet:"account,optional" json:"account,omitempty"`
	}
	lakeAccount struct {
		UID *string `parquet:"uid,optional,dict" json:"uid,omitempty"`
	}
	lakeEndpoint struct {
		IP       *string `parquet:"ip,optional" json:"ip,omitempty"`
		Port     *int32  `parquet:"port,optional" json:"port,omitempty"`
		Instance *string `parquet:"instance_uid,optional,dict" json:"instance_uid,omitempty"`
	}
	lakeResource struct {
		UID  *string `parquet:"uid,optional" json:"uid,omitempty"`
		Type string  `parquet:"type" json:"type,omitempty"`
	}
	lakeMetadata struct {
		UID     string `parquet:"uid" json:"uid,omitempty"`
		Version string `parquet:"version,dict" json:"version"`
		Product struct {
			Name string `parquet:"name,dict" json:"name"`
		} `parquet:"product" json:"product"`
	}
	lakeRow struct {
		Class    int32        `parquet:"class_uid,dict" json:"class_uid"`
		Time     int64        `parquet:"time" json:"time"`
		Metadata lakeMetadata `parquet:"metadata" json:"metadata"`
		Actor    *struct {
			User lakeUser `parquet:"user" json:"user"`
		} `parquet:"actor,optional" json:"actor,omitempty"`
		API *struct {
			Operation string `parquet:"operation,dict" json:"operation"`
			Service   struct {
				Name string `parquet:"name,dict" json:"name"`
			} `parquet:"service" json:"service"`
			Request struct {
				Data *string `parquet:"data,optional" json:"data,omitempty"`
			} `parquet:"request" json:"request"`
			Response struct {
				Error *string `parquet:"error,optional" json:"error,omitempty"`
			} `parquet:"response" json:"response"`
		} `parquet:"api,optional" json:"api,omitempty"`
		Src        lakeEndpoint   `parquet:"src_endpoint" json:"src_endpoint"`
		Dst        lakeEndpoint   `parquet:"dst_endpoint" json:"dst_endpoint"`
		Resources  []lakeResource `parquet:"resources,list" json:"resources,omitempty"`
		Connection *struct {
			Direction int32  `parquet:"direction_id" json:"direction_id"`
			Protocol  *int32 `parquet:"protocol_num,optional" json:"protocol_num,omitempty"`
		} `parquet:"connection_info,optional" json:"connection_info,omitempty"`
		Traffic *struct {
			Bytes *int64 `parquet:"bytes,optional" json:"bytes,omitempty"`
		} `parquet:"traffic,optional" json:"traffic,omitempty"`
		Query *struct {
			Hostname string `parquet:"hostname" json:"hostname"`
			Type     string `parquet:"type,dict" json:"type"`
		} `parquet:"query,optional" json:"query,omitempty"`
		Cloud struct {
			Account lakeAccount `parquet:"account" json:"account"`
		} `parquet:"cloud" json:"cloud"`
		Unmapped map[string]string `parquet:"unmapped" json:"unmapped,omitempty"`
	}
)

// lakeEvents are the events of the test as JSON, n times: calls with and without lists and
// maps, flows of each direction, a lookup and what is no row.
func lakeEvents(t testing.TB, n int) (rows []lakeRow, text []byte) {
	templates := []string{
		`{"class_uid":6003,"metadata":{"uid":"e%[1]d","version":"1.1.0","product":{"name":"CloudTrail"}},"actor":{"user":{"type":"IAMUser","name":"mira","uid":"arn:aws:iam::444455556666:user/mira","account":{"uid":"444455556666"}}},"api":{"operation":"PutObject","service":{"name":"s3.amazonaws.com"},"request":{"data":"{\"bucketName\":\"b\",\"key\":\"k%[1]d\"}"},"response":{}},"src_endpoint":{"ip":"203.0.113.5"},"unmapped":{"additionalEventData.bytesTransferredIn":"5%[1]d","additionalEventData.bytesTransferredOut":"0","eventType":"AwsApiCall"}`,
		`{"class_uid":6003,"metadata":{"uid":"f%[1]d","version":"1.1.0","product":{"name":"CloudTrail"}},"actor":{"user":{"type":"AssumedRole","uid":"arn:aws:sts::444455556666:assumed-role/Ops/tom","account":{"uid":"444455556666"}}},"api":{"operation":"GetObject","service":{"name":"s3.amazonaws.com"},"request":{},"response":{"error":"AccessDenied"}},"src_endpoint":{"ip":"203.0.113.%[2]d"},"resources":[{"type":"x"},{"type":"AWS::S3::Object","uid":"arn:aws:s3:::b/o%[1]d"},{"type":"y","uid":"arn:aws:s3:::b"}],"unmapped":{"additionalEventData.bytesTransferredOut":"243"}`,
		`{"class_uid":4001,"metadata":{"version":"1.1.0","product":{"name":"Amazon VPC"}},"src_endpoint":{"ip":"198.51.100.9","port":443},"dst_endpoint":{"ip":"10.2.0.%[2]d","port":50123,"instance_uid":"i-%[2]d"},"connection_info":{"direction_id":1,"protocol_num":6},"traffic":{"bytes":9%[1]d},"cloud":{"account":{"uid":"444455556666"}}`,
		`{"class_uid":4001,"metadata":{"version":"1.1.0","product":{"name":"Amazon VPC"}},"src_endpoint":{"ip":"10.2.0.%[2]d","port":50123,"instance_uid":"-"},"dst_endpoint":{"ip":"198.51.100.9","port":443},"connection_info":{"direction_id":2,"protocol_num":17},"traffic":{"bytes":7%[1]d},"cloud":{"account":{"uid":"444455556666"}}`,
		`{"class_uid":4003,"metadata":{"version":"1.1.0","product":{"name":"Route 53"}},"src_endpoint":{"ip":"10.2.0.5"},"query":{"hostname":"n%[1]d.Example.com.","type":"A"},"cloud":{"account":{"uid":"444455556666"}}`,
		`{"class_uid":2004,"metadata":{"version":"1.1.0","product":{"name":"Finder"}}`,
	}
	for i := range n {
		line := fmt.Sprintf(templates[i%len(templates)]+`,"time":%[3]d}`+"\n", i, i%250, 1795132800000+int64(i))
		var row lakeRow
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		rows, text = append(rows, row), append(text, line...)
	}
	return rows, text
}

// readObject reads an object as a run does, without saying what it is.
func readObject(t testing.TB, data []byte) (*result, []*Member) {
	t.Helper()
	r, members := readAny(data)
	for _, m := range members {
		if m.Err != nil {
			t.Fatal(m.Err)
		}
	}
	return r, members
}

// readAny is readObject of what may not be a log.
func readAny(data []byte) (*result, []*Member) {
	r := &result{}
	out := r.collect()
	members := Read(object("x", data), &ReadOptions{}, func(m *Member, b *Block) error {
		d, err := m.Format.New(m.Options)
		if err != nil {
			return err
		}
		return b.Decode(d, out, &r.tally)
	})
	out.Flush()
	return r, members
}

// Events give the same rows in JSON and in Parquet, where they are in a list, in a map, in
// JSON within a text, or in a dictionary, over pages and row groups.
func TestParquetSource(t *testing.T) {
	rows, text := lakeEvents(t, 3_000)
	want, members := readObject(t, text)
	if f := members[0].Format; f.Name != "ocsf" {
		t.Fatalf("JSON: got %s, want ocsf", f.Name)
	}
	if want.rows != 2_500 {
		t.Fatalf("JSON: got %d rows, want 2500", want.rows)
	}
	for version := 1; version <= 2; version++ {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			file := write(t, rows, parquet.DataPageVersion(version), parquet.PageBufferSize(2_000), parquet.MaxRowsPerRowGroup(1_300), parquet.Compression(&parquet.Zstd))
			got, members := readObject(t, file)
			if f := members[0].Format; f.Name != "ocsf" {
				t.Fatalf("got %s, want ocsf", f.Name)
			}
			if err := got.check(); err != nil {
				t.Error(err)
			}
			if d := cmp.Diff(want.tables, got.tables); d != "" {
				t.Errorf("Parquet (-JSON +Parquet):\n%s", d)
			}
			if !slices.Equal(want.tally.Kinds, got.tally.Kinds) {
				t.Errorf("got kinds %v, want %v", got.tally.Kinds, want.tally.Kinds)
			}
		})
	}
}

// A file of one class gives the rows that JSON gives, too: it may be read column by column.
func TestParquetSourceOfOneClass(t *testing.T) {
	all, _ := lakeEvents(t, 3_000)
	for _, class := range []int32{6003, 4001, 4003, 2004, 0} {
		var rows []lakeRow
		var text []byte
		for _, row := range all {
			inbound := row.Connection != nil && row.Connection.Direction == 1
			if row.Class == class || class == 0 && inbound { // 0: flows of one direction
				line, err := json.Marshal(row)
				if err != nil {
					t.Fatal(err)
				}
				rows, text = append(rows, row), append(append(text, line...), '\n')
			}
		}
		want, _ := readObject(t, text)
		got, _ := readObject(t, write(t, rows, parquet.MaxRowsPerRowGroup(400)))
		if d := cmp.Diff(want.tables, got.tables); d != "" {
			t.Errorf("class %d, Parquet (-JSON +Parquet):\n%s", class, d)
		}
		if d := cmp.Diff(want.tally, got.tally); d != "" {
			t.Errorf("class %d, tally (-JSON +Parquet):\n%s", class, d)
		}
	}
}

// If this fails, what a column's texts give by their dictionary is not what they give one by
// one: hosts of odd URLs, texts that say nothing, and a second choice.
func TestParquetSourceOddTexts(t *testing.T) {
	type request struct {
		Class    int32  `parquet:"class_uid,dict" json:"class_uid"`
		Time     int64  `parquet:"time" json:"time"`
		Action   string `parquet:"action,dict" json:"action"`
		Metadata struct {
			Version string `parquet:"version,dict" json:"version"`
		} `parquet:"metadata" json:"metadata"`
		Src struct {
			IP   string `parquet:"ip,dict" json:"ip"`
			Name string `parquet:"hostname" json:"hostname"`
		} `parquet:"src_endpoint" json:"src_endpoint"`
		Request struct {
			Method string `parquet:"http_method,dict" json:"http_method"`
			URL    struct {
				Hostname string `parquet:"hostname,dict" json:"hostname"`
				Path     string `parquet:"path" json:"path"`
				Text     string `parquet:"url_string" json:"url_string"`
			} `parquet:"url" json:"url"`
		} `parquet:"http_request" json:"http_request"`
		Response struct {
			Code int32 `parquet:"code" json:"code"`
		} `parquet:"http_response" json:"http_response"`
	}
	odd := []string{"", "-", "Host.Example", "host.example:8443", "https://User@Host.Example/a?b=c", "/only/a/path", "https://", "://", "?", "[2001:db8::1]:80", "Unknown", "No Action", "Allowed"}
	r := rand.New(rand.NewPCG(1, 2))
	var rows []request
	var text []byte
	for i := range 2_500 {
		var row request
		row.Class, row.Time, row.Metadata.Version = 4002, 1795132800000+int64(i), "1.1.0"
		row.Action, row.Src.IP, row.Src.Name = one(r, odd...), one(r, "10.2.0.5", "-", "", "10.2.0.6"), one(r, odd...)
		row.Request.Method = one(r, "GET", "PUT", "")
		row.Request.URL.Hostname, row.Request.URL.Path, row.Request.URL.Text = one(r, odd...), one(r, odd...), one(r, odd...)
		row.Response.Code = one[int32](r, 0, 200, 503, -1)
		line, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		rows, text = append(rows, row), append(append(text, line...), '\n')
	}
	want, _ := readObject(t, text)
	got, _ := readObject(t, write(t, rows, parquet.PageBufferSize(3_000), parquet.MaxRowsPerRowGroup(1_200)))
	if d := cmp.Diff(want.tables, got.tables); d != "" {
		t.Errorf("Parquet (-JSON +Parquet):\n%s", d)
	}
	if d := cmp.Diff(want.tally, got.tally); d != "" {
		t.Errorf("tally (-JSON +Parquet):\n%s", d)
	}
}

// If this fails, a number that a window takes as it stands in the file becomes another cell,
// or is left out for another reason, than its text would.
func TestParquetSourceOddNumbers(t *testing.T) {
	all, _ := lakeEvents(t, 600)
	odd := []int64{0, 1, -1, 443, 65535, 65536, 1<<31 - 1, -1 << 31, 1<<53 + 1, 1<<63 - 1, -1 << 63, 20261120, 20261120070000, 99999999,
		1795158000, 1795158000123, 1795158000123456, 1795158000123456789, 700000000, 4294967296, 134277652801234567, 639000000000000000}
	var rows []lakeRow
	var text []byte
	for _, row := range all {
		if row.Class != 4001 || row.Connection == nil {
			continue
		}
		n := len(rows)
		row.Time = odd[n%len(odd)]
		if n%2 == 0 {
			row.Time = 1795158000000 + int64(n)
		}
		port := int32(odd[n/3%len(odd)])
		row.Dst.Port = &port
		if n%5 == 0 {
			row.Dst.Port = nil
		}
		if row.Traffic != nil {
			traffic := *row.Traffic
			traffic.Bytes = &odd[n/2%len(odd)]
			row.Traffic = &traffic
		}
		line, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		rows, text = append(rows, row), append(append(text, line...), '\n')
	}
	want, _ := readObject(t, text)
	for _, o := range []parquet.WriterOption{parquet.MaxRowsPerRowGroup(70), parquet.DataPageVersion(2)} {
		got, _ := readObject(t, write(t, rows, o))
		if d := cmp.Diff(want.tables, got.tables); d != "" {
			t.Errorf("(-JSON +Parquet):\n%s", d)
		}
		if d := cmp.Diff(want.tally, got.tally); d != "" {
			t.Errorf("tally (-JSON +Parquet):\n%s", d)
		}
	}
	if want.rows < 20 || want.tally.Skipped == 0 || len(want.tally.Cleared) == 0 {
		t.Errorf("got %d rows and %v, want some of each", want.rows, want.tally)
	}
}

// Rows that a table has deleted are no events, whether they are read in windows or column by
// column.
func TestParquetSourceDeletes(t *testing.T) {
	for _, class := range []int32{4001, 4003} {
		var rows []lakeRow
		all, _ := lakeEvents(t, 600)
		for _, row := range all {
			if row.Class == class {
				rows = append(rows, row)
			}
		}
		file := write(t, rows)
		opened, err := openParquet(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		r := &result{}
		out := r.collect()
		d, err := Named("ocsf").New(&Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = splitSource(opened, bytes.NewReader(file), &Options{}, func(b *Block) error {
			part := *b.Part.(*parquetPart)
			part.deleted = rowSet{1<<3 | 1<<63, 1}
			return d.Decode(&Block{First: b.First, Part: &part}, out, &r.tally)
		})
		out.Flush()
		if err != nil {
			t.Fatal(err)
		}
		n := int64(len(rows))
		if r.rows != n-3 || r.tally.Records != n || !slices.Equal(r.tally.Kinds, []Kind{{deletedRows, 3}}) {
			t.Errorf("class %d: got %d rows of %d, kinds %v, want %d of %d and 3 deleted", class, r.rows, r.tally.Records, r.tally.Kinds, n-3, n)
		}
	}
}

// Damage ends a row group with a reason, and never the program.
func TestParquetSourceDamaged(t *testing.T) {
	rows, _ := lakeEvents(t, 300)
	file := write(t, rows, parquet.PageBufferSize(500), parquet.Compression(&parquet.Uncompressed))
	random := rand.New(rand.NewPCG(7, 9))
	refused := 0
	for range 400 {
		bad := slices.Clone(file)
		for range 1 + random.IntN(4) {
			bad[4+random.IntN(len(bad)/2)] = byte(random.Uint32())
		}
		r := decodeSource(t, "ocsf", bad)
		if err := r.check(); err != nil {
			t.Error(err)
		}
		if r.err != nil || r.tally.Skipped > 0 || len(r.tally.Cleared) > 0 {
			refused++
		}
	}
	if refused < 40 {
		t.Errorf("only %d of 400 damaged files were noticed", refused)
	}
}

// decodeSource decodes a file as a source that reads JSON.
func decodeSource(t *testing.T, source string, file []byte) *result {
	t.Helper()
	r := &result{}
	opened, err := openParquet(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		r.err = err
		return r
	}
	d, err := Named(source).New(&Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := r.collect()
	r.err = splitSource(opened, bytes.NewReader(file), &Options{}, func(b *Block) error { return d.Decode(b, out, &r.tally) })
	out.Flush()
	return r
}

// FuzzParquetSource writes events as JSON and as Parquet, in pages and row groups of any
// size. They must give the same rows.
func FuzzParquetSource(f *testing.F) {
	_, text := lakeEvents(f, 60)
	f.Add(text, uint16(500), uint8(7), false)
	for line := range bytes.Lines(text[:len(text)/4]) {
		f.Add(bytes.Repeat(line, 3), uint16(1), uint8(1), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, page uint16, group uint8, dataPage2 bool) {
		if len(text) > fuzzSize {
			return
		}
		var rows []lakeRow
		var lines []byte
		for line := range bytes.Lines(text) {
			var row lakeRow
			if json.Unmarshal(line, &row) != nil {
				continue
			}
			line, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			rows, lines = append(rows, row), append(append(lines, line...), '\n')
		}
		if len(rows) == 0 {
			return
		}
		version := 1
		if dataPage2 {
			version = 2
		}
		file := write(t, rows, parquet.PageBufferSize(1+int(page)), parquet.MaxRowsPerRowGroup(1+int64(group)), parquet.DataPageVersion(version))
		want := (&logCase{format: Named("ocsf"), options: Options{Want: ^columnar.Cols(0)}}).run(lines, wholeBlock)
		got := decodeSource(t, "ocsf", file)
		if err := got.check(); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(want.tables, got.tables); d != "" {
			t.Errorf("(-JSON +Parquet):\n%s\nof %s", d, lines)
		}
		if d := cmp.Diff(want.tally.Kinds, got.tally.Kinds); d != "" {
			t.Errorf("kinds (-JSON +Parquet):\n%s\nof %s", d, lines)
		}
	})
}

// FuzzParquet reads any bytes as a file, by its columns and by a source. Nothing may panic,
// and each row must be accounted for, or the file refused.
func FuzzParquet(f *testing.F) {
	lake, _ := lakeEvents(f, 12)
	for version := 1; version <= 2; version++ {
		for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Zstd} {
			o := []parquet.WriterOption{parquet.DataPageVersion(version), parquet.Compression(codec), parquet.PageBufferSize(200)}
			f.Add(write(f, events(40), o...))
			f.Add(write(f, lake, o...))
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 4*fuzzSize {
			return
		}
		for _, r := range []*result{decodeParquet(file, Options{}), decodeSource(t, "ocsf", file)} {
			if err := r.check(); err != nil && r.err == nil {
				t.Error(err)
			}
		}
	})
}

// A few bytes of a dictionary can stand for a long text in many rows.
func TestParquetSourceLongTexts(t *testing.T) {
	rows, _ := lakeEvents(t, 600)
	long := strings.Repeat("x", 100<<10)
	for i := range rows {
		if a := rows[i].Actor; a != nil && a.User.Name != nil {
			a.User.Name = &long
		}
	}
	r, _ := readObject(t, write(t, rows))
	n := 0
	for _, user := range r.column(columnar.API, columnar.User) {
		if user == long {
			n++
		}
	}
	if r.rows != 500 || n != 100 {
		t.Errorf("got %d rows, %d with the long name, want 500 and 100", r.rows, n)
	}
}

// VPC flow in Parquet, with the names that AWS gives its columns, has the rows of the text.
func TestParquetVPCFlow(t *testing.T) {
	type flow struct {
		Version   int32   `parquet:"version"`
		Account   string  `parquet:"account_id,dict"`
		Interface string  `parquet:"interface_id,dict"`
		Src       *string `parquet:"srcaddr,optional"`
		Dst       *string `parquet:"dstaddr,optional"`
		SrcPort   int32   `parquet:"srcport"`
		DstPort   int32   `parquet:"dstport"`
		Protocol  int32   `parquet:"protocol,dict"`
		Bytes     int64   `parquet:"bytes"`
		Start     int64   `parquet:"start"`
		End       int64   `parquet:"end"`
		Action    string  `parquet:"action,dict"`
		Status    string  `parquet:"log_status,dict"`
		Direction string  `parquet:"flow_direction,dict"`
	}
	text := []byte("version account-id interface-id srcaddr dstaddr srcport dstport protocol bytes start end action log-status flow-direction\n")
	var rows []flow
	for i := range 900 {
		src, dst := fmt.Sprintf("10.2.0.%d", i%250), "198.51.100.9"
		direction := []string{"egress", "ingress", "-"}[i%3]
		if i%2 == 1 {
			src, dst = dst, src
		}
		f := flow{5, "444455556666", "eni-0b", &src, &dst, 40_000 + int32(i), 443, 6 + int32(i%2)*11, int64(i) * 100, 1795132800 + int64(i), 1795132900 + int64(i), "ACCEPT", "OK", direction}
		if i%50 == 7 {
			f.Src, f.Dst, f.Status = nil, nil, "NODATA"
			src, dst = "-", "-"
		}
		rows = append(rows, f)
		text = fmt.Appendf(text, "5 %s %s %s %s %d %d %d %d %d %d %s %s %s\n", f.Account, f.Interface, src, dst, f.SrcPort, f.DstPort, f.Protocol, f.Bytes, f.Start, f.End, f.Action, f.Status, direction)
	}
	want, members := readObject(t, text)
	if f := members[0].Format; f != VPCFlow {
		t.Fatalf("text: got %s, want vpcflow", f.Name)
	}
	got, members := readObject(t, write(t, rows))
	if f := members[0].Format; f.Name != "vpcflowjson" {
		t.Fatalf("got %s, want vpcflowjson", f.Name)
	}
	for _, r := range []*result{want, got} {
		for i := range r.tables {
			r.tables[i].Records = nil // the text has a header
		}
	}
	if d := cmp.Diff(want.tables, got.tables); d != "" || got.rows != 882 {
		t.Errorf("%d rows (-text +Parquet):\n%s", got.rows, d)
	}
}

// What a source wants of lists and maps and cannot be read is said, and the rest is read.
func TestParquetSourceUnread(t *testing.T) {
	type part struct {
		Name string   `parquet:"name"`
		Tags []string `parquet:"tags,list"`
	}
	type row struct {
		Time   int64             `parquet:"time"`
		Who    string            `parquet:"who"`
		Hashes [][4]byte         `parquet:"hashes,list"`
		Parts  []part            `parquet:"parts,list"`
		Labels map[string]string `parquet:"labels"`
		Sizes  map[int64]string  `parquet:"sizes"`
		More   string            `parquet:"more"`
	}
	f, err := ParseSource([]byte(`{name: parts, title: parts, container: json, sniff: {keys: [who]}, embedded: [more], rows: [{table: api, columns: {
		time: time, user: who, host: "hashes[]", account: "parts[0].tags[]", service: "parts[name=a].tags[]", operation: labels.op, resource: sizes.1, status: "parts[name=a].name",
		user_agent: more.agent}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, []row{
		{Time: 1795132800, Who: "mira", Hashes: [][4]byte{{1}}, Parts: []part{{"a", []string{"x"}}}, Labels: map[string]string{"op": "put"}, Sizes: map[int64]string{1: "y"}, More: `{"agent":"curl"}`},
		{Time: 1795132801, Who: "tom", More: `{"agent":"cu`},
	})
	opened, err := openParquet(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.New(&Options{})
	if err != nil {
		t.Fatal(err)
	}
	var tally Tally
	out := &columnar.Out{Want: ^columnar.Cols(0), Sink: func(*columnar.Batch) {}}
	if err := splitSource(opened, bytes.NewReader(file), &Options{}, func(b *Block) error { return d.Decode(b, out, &tally) }); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, reason := range tally.Cleared {
		got = append(got, reason.String())
	}
	slices.Sort(got)
	want := []string{
		`column "hashes[]" left out: it is FIXED_LEN_BYTE_ARRAY, which cannot be user (2, first at record 1)`,
		`column "parts[].name" left out: it is a list whose elements are found by their number alone (2, first at record 1)`,
		`column "parts[].tags[]" left out: it is a list in a list (2, first at record 1)`,
		`column "sizes{}" left out: it is a map whose keys are no texts (2, first at record 1)`,
		"field that should be a JSON object and is none, left out (1, first at record 2)",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("cleared (-want +got):\n%s", d)
	}
	if tally.Rows != 2 {
		t.Errorf("got %d rows, want 2", tally.Rows)
	}
}

// Only what is asked for is read: each column costs.
func TestParquetSourceColumns(t *testing.T) {
	rows, _ := lakeEvents(t, 60)
	file := write(t, rows)
	f := Named("ocsf")
	d, err := f.New(&Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := &columnar.Out{Want: columnar.ColSet(columnar.DstIP), Sink: func(*columnar.Batch) {}}
	opened, err := openParquet(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	err = splitSource(opened, bytes.NewReader(file), &Options{}, func(b *Block) error {
		var tally Tally
		if err := d.Decode(b, out, &tally); err != nil {
			return err
		}
		var names []string
		for _, c := range d.(*sourceDecoder).parquet.columns {
			names = append(names, c.leaf.name)
		}
		slices.Sort(names)
		if slices.Contains(names, "metadata.uid") || slices.Contains(names, "api.request.data") || !slices.Contains(names, "dst_endpoint.ip") {
			t.Errorf("got columns %v, want those of the address", names)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkParquetSource decodes events as Security Lake has them, as a source and by
// well-known names.
func BenchmarkParquetSource(b *testing.B) {
	for _, class := range []int32{4001, 4003, 6003} {
		b.Run(fmt.Sprintf("class=%d", class), func(b *testing.B) { benchmarkParquetSource(b, class) })
	}
}

func benchmarkParquetSource(b *testing.B, class int32) {
	var all []lakeRow
	for rows, _ := lakeEvents(b, 60_000); len(all) < 400_000; {
		for _, r := range rows {
			if r.Class == class {
				all = append(all, r)
			}
		}
	}
	file := write(b, all, parquet.Compression(&parquet.Zstd))
	opened, err := openParquet(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		b.Fatal(err)
	}
	want := columnar.ColSet(columnar.Time, columnar.SrcIP, columnar.DstIP, columnar.DstPort, columnar.Host, columnar.Account, columnar.BytesOut, columnar.BytesIn,
		columnar.Protocol, columnar.Action, columnar.User, columnar.Query, columnar.QueryType, columnar.Operation)
	for _, f := range []*Format{Named("ocsf"), Parquet} {
		b.Run("format="+f.Name, func(b *testing.B) {
			split := splitSource
			if f == Parquet {
				split = splitFile
			}
			d, err := f.New(&Options{})
			if err != nil {
				b.Fatal(err)
			}
			out := &columnar.Out{Want: want, Sink: func(*columnar.Batch) {}}
			var t Tally
			b.ReportAllocs()
			for b.Loop() {
				if err := split(opened, bytes.NewReader(file), &Options{}, func(block *Block) error { return d.Decode(block, out, &t) }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(t.Records), "ns/record")
		})
	}
}
