package detect

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"outflow/columnar"
	"outflow/columnar/logs"
)

// randomDownloads returns S3 calls of a few entities in shuffled order. One of them reads
// so many objects that they fill several records.
func randomDownloads(r *rand.Rand, n int) []event {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	events := make([]event, n)
	for i := range events {
		user, objects := pick("ann", "Bob", "bob", ""), 9
		if r.IntN(2) == 0 {
			user, objects = "backup", 2000
		}
		events[i] = event{
			table: columnar.API, feed: "trail", object: pick("a.log", "b.log"), record: int64(i + 1), us: testDay + r.Int64N(2*86400e6),
			texts: map[columnar.Col]string{
				columnar.User: user, columnar.SrcIP: fmt.Sprintf("10.0.0.%d", r.IntN(12)), columnar.Account: pick("", "111", "222"),
				columnar.Service: "s3", columnar.Operation: pick("GetObject", "GetObject", "GetObject", "HeadObject"),
				columnar.Resource: fmt.Sprintf("arn:aws:s3:::%s/%d", pick("pay", "logs"), r.IntN(objects)),
				columnar.Status:   pick("Success", "Success", "AccessDenied"), columnar.UserAgent: fmt.Sprintf("tool%d/1.%d", r.IntN(12), r.IntN(3)),
			},
			ints: map[columnar.Col]int64{},
		}
		if r.IntN(4) > 0 {
			events[i].ints[columnar.BytesIn] = 400e3 * r.Int64N(3)
		}
	}
	return events
}

// slowDownloads is ObjectDay by the book: sets of texts.
func slowDownloads(events []event) []Row {
	type sets struct {
		row                       Row
		peak                      int64
		at                        string
		objects, agents, accounts map[string]bool
		addresses                 map[string]bool
		hours                     [24]map[string]bool
		bytes                     hourly
		spelt                     spelling
		events                    []event // that did not fail
	}
	rows := map[string]*sets{}
	for _, e := range events {
		if e.texts[columnar.Operation] != "GetObject" {
			continue
		}
		k := Key{Feed: e.feed, EntityType: "user", Entity: strings.ToLower(e.texts[columnar.User])}
		if account := e.texts[columnar.Account]; k.Entity != "" && account != "" {
			k.Entity = account + "/" + k.Entity
		}
		if k.Entity == "" {
			k.EntityType, k.Entity = "src_ip", e.texts[columnar.SrcIP]
		}
		bucket, _, _ := strings.Cut(strings.TrimPrefix(e.texts[columnar.Resource], "arn:aws:s3:::"), "/")
		k.Object = "s3/" + bucket
		id := fmt.Sprint(DayOf(e.us), k)
		s := rows[id]
		if s == nil {
			s = &sets{row: Row{Day: DayOf(e.us), Key: k}, objects: map[string]bool{}, agents: map[string]bool{}, accounts: map[string]bool{}, addresses: map[string]bool{}}
			rows[id] = s
		}
		r := &s.row
		failed := e.texts[columnar.Status] == "AccessDenied"
		in, known := e.ints[columnar.BytesIn]
		r.Events++
		if known {
			r.KnownIn++
		}
		if r.First == 0 || e.us < r.First {
			r.First = e.us
		}
		r.Last = max(r.Last, e.us)
		hour := e.us / 3600e6 % 24
		r.Hours |= 1 << hour
		if r.EntityType == "user" {
			s.addresses[e.texts[columnar.SrcIP]] = true
			shown := e.texts[columnar.User]
			if account := e.texts[columnar.Account]; account != "" {
				shown = account + "/" + shown
			}
			if shown == r.Entity {
				shown = ""
			}
			s.spelt.offer(e.us, []byte(shown))
		}
		agent, _, _ := strings.Cut(e.texts[columnar.UserAgent], "/")
		s.agents[agent] = true
		if account := e.texts[columnar.Account]; account != "" {
			s.accounts[account] = true
		}
		if failed {
			r.Blocked++
			continue
		}
		r.BytesIn += in
		s.bytes[hour] += in
		s.events = append(s.events, e)
		object := e.texts[columnar.Resource]
		s.objects[object] = true
		if s.hours[hour] == nil {
			s.hours[hour] = map[string]bool{}
		}
		s.hours[hour][object] = true
		at := fmt.Sprintf("%s:%09d", e.object, e.record)
		if s.at == "" || cmp.Or(cmp.Compare(s.peak, in), cmp.Compare(e.us, r.PeakTime), cmp.Compare(at, s.at)) < 0 {
			s.peak, s.at, r.PeakTime, r.Evidence = in, at, e.us, fmt.Sprintf("%s:%d", e.object, e.record)
		}
	}
	var out []Row
	for _, s := range rows {
		r := &s.row
		r.Names, r.Addresses, r.Agents, r.Accounts = int64(len(s.objects)), int64(len(s.addresses)), int64(len(s.agents)), int64(len(s.accounts))
		for hour, objects := range s.hours {
			if int64(len(objects)) > r.WindowNames {
				r.WindowNames, r.WindowAt = int64(len(objects)), int64(r.Day)*dayMicros+int64(hour)*3600e6
			}
		}
		for _, all := range []map[string]bool{s.addresses, s.agents} {
			names := slices.Sorted(maps.Keys(all))
			r.Clients = append(r.Clients, names[:min(len(names), 8)]...)
		}
		slices.Sort(r.Clients)
		r.Spelling = s.spelt.of(r.Entity)
		if r.BytesIn >= 20e6 {
			r.Activity = s.bytes.text(r.BytesIn)
		}
		if r.BytesIn >= 100e6 || r.Names >= 50 {
			r.Places = slowPlaces(s.events, columnar.BytesIn, 0)
		}
		if r.EntityType != "src_ip" || r.BytesIn >= 1e6 || r.Names >= 10 {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b Row) int { return cmp.Or(cmp.Compare(a.Day, b.Day), a.Key.Compare(b.Key)) })
	return out
}

// If this fails, a measure of a download is wrong, or depends on how the input was split.
func TestObjectDay(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 3))
		events := randomDownloads(r, 1+r.IntN(6000))
		want := slowDownloads(events)
		folders := make([]Folder, 1+r.IntN(5))
		for i := range folders {
			folders[i] = ObjectDay.New(&openBounds)
			feedTo(folders[i], ObjectDay, events[i*len(events)/len(folders):(i+1)*len(events)/len(folders)])
		}
		if diff := gocmp.Diff(want, merged(t, ObjectDay, &openBounds, folders...)); diff != "" {
			t.Fatalf("seed %d, %d folders (-want +got):\n%s", seed, len(folders), diff)
		}
	}
}

// If this fails, an operation that hands out content is no download, or one that does not
// is; or what it hands out is not found in its bucket, site, organisation or database.
func TestDownloads(t *testing.T) {
	for _, c := range []struct{ service, operation, resource, want string }{
		{"s3", "GetObject", "arn:aws:s3:::pay/2026/a.csv", "s3/pay"},
		{"s3", "ListObjects", "arn:aws:s3:::pay", ""},
		{"s3", "HeadObject", "arn:aws:s3:::pay/a", ""},
		{"s3", "CopyObject", "arn:aws:s3:::pay/a", ""},
		{"ec2", "GetObject", "x", ""},
		{"s3.amazonaws.com", "REST.GET.OBJECT", "pay/2026/a.csv", "s3/pay"},
		{"s3.amazonaws.com", "REST.GET.BUCKET", "pay", ""},
		{"s3.amazonaws.com", "REST.GET.OBJECT_TAGGING", "pay/a", ""},
		{"storage.googleapis.com", "storage.objects.get", "projects/_/buckets/pay/objects/2026/a.csv", "gcs/pay"},
		{"storage.googleapis.com", "storage.objects.list", "projects/_/buckets/pay", ""},
		{"Storage.googleapis.com", "Storage.Objects.Get", "projects/_/buckets/pay/objects/2026/a.csv", "gcs/pay"},
		{"storage.googleapis.com", "storage.objects.getter", "projects/_/buckets/pay", ""},
		{"bigquery.googleapis.com", "tabledataread", "projects/p/datasets/d/tables/t", "bigquery/p/datasets/d"},
		{"sharepoint", "filesyncdownloadedfull", "https://acme.sharepoint.com/sites/hr/a.docx", "m365/acme.sharepoint.com/sites/hr"},
		{"teleport", "session.data", "db1", "teleport/"},
		{"teleport", "session.start", "db1", ""},
		{"clickhouse", "select", "pay.clients", "clickhouse/pay"},
		{"storage.googleapis.com", "GET_Object", "pay/2026/a.csv", "gcs/pay"},
		{"storage.azure.com", "GetBlob", "/acct/pay/2026/a.csv", "azurestorage/acct/pay"},
		{"storage.azure.com", "GetBlob", "https://acct.blob.core.windows.net/pay/a.csv?sv=1&sig=x", "azurestorage/acct.blob.core.windows.net/pay"},
		{"storage.azure.com", "GetBlobProperties", "/acct/pay/a", ""},
		{"OneDrive", "FileDownloaded", "https://acme-my.sharepoint.com/personal/ann_acme/Documents/a.docx", "m365/acme-my.sharepoint.com/personal/ann_acme"},
		{"SharePoint", "FileSyncDownloadedFull", "https://acme.sharepoint.com/sites/hr/Shared Documents/a.docx", "m365/acme.sharepoint.com/sites/hr"},
		{"SharePoint", "FileDownloaded", "https://acme.sharepoint.com/Shared Documents/a.docx", "m365/acme.sharepoint.com"},
		{"SharePoint", "FilePreviewed", "https://acme.sharepoint.com/sites/hr/a.docx", ""},
		{"SharePoint", "FileAccessed", "https://acme.sharepoint.com/sites/hr/a.docx", ""},
		{"Microsoft SharePoint Online", "FileDownloaded", "https://acme.sharepoint.com/sites/hr/a.docx", "Microsoft SharePoint Online/acme.sharepoint.com/sites/hr"},
		{"drive", "download", "1AbC", "drive/"},
		{"drive", "view", "1AbC", ""},
		{"Endpoint", "FileCopiedToRemovableMedia", `C:\a.docx`, "removable-media/"},
		{"Endpoint", "FileUploadedToCloud", `files.example/C:\a.docx`, "browser-upload/files.example"},
		{"Endpoint", "FileModified", `C:\a.docx`, ""},
		{"MicrosoftGraphActivityLogs", "GET", "/v1.0/users/1/messages/AA/$value", "graph/"},
		{"MicrosoftGraphActivityLogs", "GET", "/v1.0/me/drive/items/1/content", "graph/"},
		{"MicrosoftGraphActivityLogs", "GET", "/v1.0/me/drive/recent", ""},
		{"MicrosoftGraphActivityLogs", "POST", "/v1.0/me/messages/AA/send", ""},
		{"box.com", "DOWNLOAD", "a.docx", "box/"},
		{"box.com", "PREVIEW", "a.docx", ""},
		{"dropbox.com", "file_download", "/a/b.docx", "dropbox/"},
		{"github.com", "git.clone", "acme/billing", "github/acme"},
		{"github.com", "git.fetch", "acme/billing", ""},
		{"snowflake", "GET_FILES", "PAY.PUBLIC", "snowflake/PAY"},
		{"snowflake", "INSERT", "PAY.PUBLIC", ""},
		{"salesforce.com", "ContentTransfer.VersionDownloadAction", "069", "salesforce/"},
		{"slack.com", "file_downloaded", "a.pdf", "slack/"},
		{"MyShare", "download", "a.pdf", "MyShare/"},
		{"", "download", "a.pdf", ""},
	} {
		var got []string
		f := ObjectDay.New(&openBounds)
		feedTo(f, ObjectDay, []event{{table: columnar.API, feed: "f", object: "o", record: 1, us: testDay, texts: map[columnar.Col]string{
			columnar.User: "ann", columnar.Service: c.service, columnar.Operation: c.operation, columnar.Resource: c.resource}}})
		for _, r := range merged(t, ObjectDay, &openBounds, f) {
			got = append(got, r.Object)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s %s %s: got %q, want %q", c.service, c.operation, c.resource, got, c.want)
		}
	}
}

// If this fails, a proxy's log, a page, its pictures, or an answer without content counts
// as a download from the company's web server.
func TestWebDownloads(t *testing.T) {
	request := func(feed, path string, status, in int64) event {
		return event{table: columnar.HTTP, feed: feed, object: "o", record: 1, us: testDay, texts: map[columnar.Col]string{
			columnar.User: "ann", columnar.Method: "GET", columnar.URLHost: "files.acme.example", columnar.URLPath: path},
			ints: map[columnar.Col]int64{columnar.StatusCode: status, columnar.BytesIn: in}}
	}
	events := []event{
		request("proxy", "/a.zip", 200, 9e6),
		request(serverFeed, "/a.zip", 200, 1000), request(serverFeed, "/a.zip", 206, 100), request(serverFeed, "/b.PDF", 200, 10),
		request(serverFeed, "/dir/", 200, 1), request(serverFeed, "/thumbs/1.JPG", 200, 1), request(serverFeed, "/app.js", 200, 1),
		request(serverFeed, "/c.zip", 304, 500), request(serverFeed, "/d.zip", 403, 500), request(serverFeed, "/report", 200, 1),
	}
	f := ObjectDay.New(&openBounds)
	feedTo(f, ObjectDay, events)
	rows := merged(t, ObjectDay, &openBounds, f)
	if len(rows) != 1 || rows[0].Object != "web/files.acme.example" || rows[0].Names != 3 || rows[0].BytesIn != 1114 || rows[0].Events != 8 || rows[0].Blocked != 1 {
		t.Errorf("got %+v, want one row of 8 events, 1 of them blocked, 3 objects and 1114 bytes", rows)
	}
}

// If this fails, a new version of a program counts as a new program.
func TestApplication(t *testing.T) {
	for agent, want := range map[string]string{
		"aws-cli/2.15.3 Python/3.11": "aws-cli",
		"rclone/v1.66":               "rclone",
		"Microsoft SkyDriveSync 23.048.0305.0002 ship; Windows NT 10.0 (19045)": "Microsoft SkyDriveSync",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64)":                             "Mozilla",
		"": "", " ": "", "/x": "",
	} {
		if got := string(application([]byte(agent))); got != want {
			t.Errorf("%q: got %q, want %q", agent, got, want)
		}
	}
}

// If this fails, downloadKinds names a service that no format's log has, or a format of
// services of the company's own has been forgotten there. The formats that are not
// listed hand out no content, see downloadKinds.
func TestEveryFormatsDownloads(t *testing.T) {
	kinds := map[string]string{
		"azure": "graph", "azurestorage": "azurestorage", "azurestoragelogs": "azurestorage", "asim": "", "island": "", "box": "box", "cloudtrail": "s3", "crowdstrike": "removable-media", "defender": "", "dropbox": "dropbox", "gcpaudit": "gcs", "gcpaudit-bigquery": "gcs",
		"gcsusage": "gcs", "github": "github", "kubernetes": "kubernetes", "m365": "m365", "m365csv": "m365", "netskope": "", "netskope-csv": "", "ocsf": "s3",
		"s3access": "s3", "s3access-json": "s3", "salesforce": "salesforce", "slack": "slack", "snowflake": "snowflake", "snowflakecsv": "snowflake", "vsftpd": "", "workspace": "drive", "workspace-flat": "drive", "xferlog": "",
		"gitlab": "gitlab", "databricks": "databricks", "teleport": "teleport",
		"asana": "asana", "azuredata": "keyvault", "egnyte": "", "figma": "figma", "hubspot": "hubspot", "miro": "miro", "nextcloud": "nextcloud", "notion": "notion",
		"moveit": "", "officeactivity": "m365", "opensshsftp": "", "pureftpd": "", "qnap": "", "rsyncd": "", "sambaaudit": "", "sftpgo": "", "sharefile": "sharefile", "zoom": "zoom", "zscaler": removableMedia,
		"atlassian": "confluence", "pgaudit": "postgresql", "bitwarden": "bitwarden", "onepassword": "1password",
		"evtx": removableMedia, "winjson": removableMedia, "winxml": removableMedia,
		"alibabaoss": "oss", "alibabaoss-json": "oss", "awstransfer": "", "awstransfer-json": "", "cephrgw": "ceph", "clickhouse": "clickhouse", "gitlabserver": "gitlab", "ibmactivity": "ibmcos", "mattermost": "mattermost",
		"minio": "minio", "qumulo": "", "tencentcos": "cos", "vault": "vault", "vcenter": "vsphere",
		"alibaba": "oss", "globalscape": "", "incydr": removableMedia, "ociaudit": "oci", "smartsheet": "smartsheet", "synology": "",
		"hdfsaudit": "", "lyvecloud": "lyvecloud", "wallix": "", "yandexstorage": "yandex",
	}
	none := []string{
		"auth0", "cloudflareaccess", "cloudflareaudit", "duo", "entra", "jumpcloud", "mongoatlas", "keeper", "lastpass", "okta", "onelogin", "pingone", "servicenow", "sophoscentral", "trendapex", "workday", "zendesk",
		"airtable", "anthropic", "docusign", "canva", "atlassiandc", "azuredevops", "bitbucketaccess", "openai", "proofpointitm", "ranger", "dovecot", "forcepointdlp", "cassandra", "bedrock",
		"elasticaudit", "opensearch", "mariadbaudit", "mongodbaudit", "mssqlaudit", "mysqlaudit", "oracleaud", "oracleaudit", "pgcsvlog", "pgjsonlog", "redshift", "redshiftconn", // these log statements, and not what a statement returned
	}
	general := []string{"parquet", "jsonl", "csv", "w3c", "cef", "leef", "ecs"}
	for _, f := range logs.All() {
		kind, ok := kinds[f.Name]
		if !slices.Contains(f.Tables, columnar.API) {
			continue
		}
		if !ok && !slices.Contains(none, f.Name) && !slices.Contains(general, f.Name) {
			t.Errorf("format %s has rows of api: say in downloadKinds which of its operations are downloads, or here that none is", f.Name)
		}
		if ok && kind != "" && !slices.ContainsFunc(downloadKinds[:], func(k downloadKind) bool {
			return k.service == kind || k.service == "" && oneOf(kind, k.logged)
		}) {
			t.Errorf("format %s: no kind %q", f.Name, kind)
		}
	}
}
