package detect

import (
	"bytes"
	"math/bits"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// This file says which rows are downloads, and what was downloaded.

// A downloadKind is the calls of one kind of service that hand out the content of
// objects. Calls that list, look at, preview or copy them within the service are left
// out: nothing leaves by them.
type downloadKind struct {
	service string // as findings name it; "": as the log does
	logged  string // the services as logs name them, in any case; "": any
	// operations are compared without regard to case, or end in * for any rest.
	operations string
	// place returns what the object of a call is in: a bucket, a site, an organisation.
	// Nil: objects are in nothing that the log names.
	place func(resource []byte) []byte
	// weight is how many files an object counts for; 0: one.
	weight int64
	// content reports whether a call hands out content, where the operation does not say.
	content func(resource []byte) bool
	// pages says that each call is an object: it hands out another page of the same resource.
	pages bool
	// closed says that nobody is let in on the first day in a company, and for all to read: who
	// is new there is no newcomer who fetches what all have.
	closed bool
}

// Where endpoint DLP saw files go: what a machine gives away is counted as what its user
// takes, by the file.
const (
	removableMedia = "removable-media"
	printers       = "printers"
	browserUpload  = "browser-upload"
)

// takenTo tells the services to which files go, other than those that they are fetched from,
// with the verb and the preposition that say so.
func takenTo(service string) (verb, preposition string, ok bool) {
	switch service {
	case removableMedia:
		return "copied", "to", true
	case printers:
		return "printed", "on", true
	case browserUpload:
		return "uploaded", "to", true
	}
	return "downloaded", "from", false
}

// The weights of objects that are more than a file: a repository is hundreds of files, a
// report a table of customers, a mail folder all its mails, a page of a list up to 60 people, and
// a secret opens what lies behind it. A file on a stick, on
// paper or in somebody's web mail has left, other than one that was downloaded.
const (
	takenWeight      = 4
	pageWeight       = 4
	folderWeight     = 10
	repositoryWeight = 10
	reportWeight     = 10
	secretWeight     = 20
)

// Where no log names objects, the limits of bytes are multiplied: anyone who opens a drawing, a
// mailbox or a virtual disk on a file server reads it from there, and who works through a VPN
// all day watches meetings and fetches updates, too.
const (
	fileServerDay = 5
	vpnDay        = 20
)

// objectWeight returns how many files an object of a service counts for; if no log of the service
// names objects, the negative of by how much the limits of bytes are multiplied.
func objectWeight(service string) int64 {
	switch service {
	case fileServer:
		return -fileServerDay
	case vpnService:
		return -vpnDay
	}
	for i := range downloadKinds {
		if k := &downloadKinds[i]; k.service == service && k.weight > 0 {
			return k.weight
		}
	}
	return 1
}

// isClosed reports whether a service is closed, see downloadKind.
func isClosed(service string) bool {
	return slices.ContainsFunc(downloadKinds[:], func(k downloadKind) bool { return k.service == service && k.closed })
}

// downloadKinds lists the kinds. A call belongs to the first that fits.
//
// Note: FileAccessed and view are left out, as they are logged whenever somebody looks at a
// document, git.fetch, which brings what is new in what was cloned before, and Snowflake's
// access history, which tells of the queries once more.
var downloadKinds = [...]downloadKind{
	{service: "s3", logged: "s3 s3.amazonaws.com", operations: "GetObject SelectObjectContent REST.GET.OBJECT REST.SELECT.OBJECT SOAP.GET.OBJECT WEBSITE.GET.OBJECT", place: bucketOf},
	{service: "gcs", logged: "storage.googleapis.com", operations: "storage.objects.get GET_Object google.storage.objects.get", place: bucketOf},
	{service: "oss", logged: "Oss", operations: "GetObject", place: bucketOf},
	{service: "cos", logged: "cos", operations: "GetObject", place: bucketOf},
	{service: "ibmcos", logged: "cloud-object-storage", operations: "cloud-object-storage.object.read"},
	{service: "minio", logged: "minio", operations: "GetObject SelectObjectContent", place: bucketOf},
	{service: "yandex", logged: "storage", operations: "REST.GET.OBJECT", place: bucketOf},
	{service: "lyvecloud", logged: "lyvecloud", operations: "GetObject", place: bucketOf},
	{service: "ceph", logged: "ceph", operations: "get_obj", place: bucketOf},
	{service: "oci", logged: "ObjectStorage", operations: "GetObject", place: bucketOf},
	{service: "azurestorage", logged: "storage.azure.com", operations: "GetBlob QueryBlobContents ReadFile GetFile Read QueryEntities QueryEntity", place: containerOf},
	{service: "m365", logged: "OneDrive SharePoint MicrosoftTeams", operations: "FileDownloaded FileSyncDownloaded*", place: siteOf},
	{operations: "FileDownloaded FileSyncDownloaded*", place: siteOf}, // as Defender names the services
	// A record sums up the mails of two minutes, and is named by the first of them; that of a synchronisation, by
	// a folder, which is fetched as a whole.
	{service: "mail-folders", logged: "Exchange", operations: "MailItemsAccessed", place: mailboxOf, weight: folderWeight, content: isMailFolder, closed: true},
	{service: "exchange", logged: "Exchange", operations: "MailItemsAccessed", place: mailboxOf},
	{service: removableMedia, logged: "Endpoint", operations: "FileCopiedToRemovableMedia FileCreatedOnRemovableMedia FileTransferredByBluetooth", weight: takenWeight, closed: true},
	{service: printers, logged: "Endpoint", operations: "FilePrinted", weight: takenWeight},
	{service: browserUpload, logged: "Endpoint", operations: "FileUploadedToCloud", place: func(resource []byte) []byte { return segments(resource, 1) }, weight: takenWeight},
	{service: "graph", logged: "MicrosoftGraphActivityLogs", operations: "GET", content: isGraphContent},
	{service: "drive", logged: "drive", operations: "download sync_item_content"},
	{service: "box", logged: "box.com", operations: "DOWNLOAD ITEM_DOWNLOAD"},
	{service: "dropbox", logged: "dropbox.com", operations: "file_download shared_link_download shared_content_download paper_doc_download"},
	{service: "github", logged: "github.com", operations: "git.clone repo.download_zip", place: ownerOf, weight: repositoryWeight},
	{service: "gitlab", logged: "gitlab", operations: "repository_download_operation git-upload-pack project_export_created", place: ownerOf, weight: repositoryWeight},
	// Git pulls what is new, too, but by the repository.
	{service: "codecommit", logged: "codecommit codecommit.amazonaws.com", operations: "GitPull", weight: repositoryWeight, closed: true},
	{service: "databricks", logged: "databricks.notebook databricks.databrickssql", operations: "downloadLargeResults downloadPreviewResults downloadQueryResult",
		weight: reportWeight},
	{logged: "teleport nextcloud mattermost", operations: "scp.download session.data accessed file_read getFile"}, // each named as it is logged
	{service: "slack", logged: "slack.com", operations: "file_downloaded"},
	{service: "sharefile", logged: "sharefile.com", operations: "Download DownloadFile"},
	{service: "vsphere", logged: "vsphere", operations: "exportVm downloadFile", weight: repositoryWeight},
	{service: "figma", logged: "figma.com", operations: "file_export fig_file_export fig_file_save_as"},
	{service: "miro", logged: "miro.com", operations: "board_exported"},
	{service: "notion", logged: "notion.so", operations: "page.exported"},
	{service: "asana", logged: "asana.com", operations: "attachment_downloaded"},
	{service: "zoom", logged: "zoom.us", operations: "Recording.Download", weight: reportWeight},
	{service: "powerbi", logged: "PowerBI", operations: "ExportReport ExportArtifact ExportTile ExportDataflow DownloadReport ExportActivityEvents", weight: reportWeight},
	{service: "confluence", logged: "atlassian", operations: "confluence_space_exported confluence_space_export_created", weight: repositoryWeight},
	{service: "smartsheet", logged: "smartsheet", operations: "SHEET.EXPORT REPORT.EXPORT", weight: reportWeight},
	{service: "hubspot", logged: "hubspot.com", operations: "CRM_OBJECT.EXPORT.PERFORM", weight: reportWeight},
	{service: "dynamics", logged: "CRM", operations: "ExportToExcel", place: func(resource []byte) []byte { return segments(resource, 1) }, weight: reportWeight, pages: true},
	// An application reads with the token of a user, past the log of the service.
	{service: "applications", logged: "token", operations: "activity", pages: true, closed: true},
	{service: "lambda", logged: "lambda lambda.amazonaws.com", operations: "GetFunction GetFunction20150331 GetFunction20150331v2 GetLayerVersion20181031", weight: repositoryWeight, closed: true},
	{service: "ecr", logged: "ecr ecr.amazonaws.com", operations: "GetDownloadUrlForLayer", weight: takenWeight, pages: true, closed: true},
	{service: "cognito", logged: "cognito-idp cognito-idp.amazonaws.com", operations: "ListUsers ListUsersInGroup", weight: pageWeight, pages: true, closed: true},
	{service: "dynamodb", logged: "dynamodb dynamodb.amazonaws.com", operations: "Scan ExecuteStatement BatchExecuteStatement", place: tableOf, pages: true, closed: true},
	// Of these, a call hands out a page of a result; what was asked they do not say.
	{service: "redshift-data", logged: "redshift-data redshift-data.amazonaws.com", operations: "GetStatementResult GetStatementResultV2", weight: pageWeight, pages: true, closed: true},
	{service: "rds-data", logged: "rdsdata rdsdata.amazonaws.com", operations: "ExecuteStatement ExecuteSql", pages: true, closed: true},
	{service: "athena", logged: "athena athena.amazonaws.com", operations: "GetQueryResults GetQueryResultsStream", weight: pageWeight, pages: true, closed: true},
	// As of PostgreSQL, a table counts; results of queries are tables without a name of anybody's.
	{service: "bigquery", logged: "bigquery.googleapis.com", operations: "tableDataRead", place: datasetOf, weight: pageWeight, content: isNamedTable, closed: true},
	// A query's bytes are those of its result.
	{service: "snowflake", logged: "snowflake", operations: "SELECT GET_FILES UNLOAD", place: databaseOf},
	{service: "clickhouse", logged: "clickhouse", operations: "SELECT", place: databaseOf},
	{service: "salesforce", logged: "salesforce.com", operations: "ContentTransfer.VersionDownload* DocumentAttachmentDownloads ReportExport BulkApi BulkApi2 API RestApi", weight: reportWeight},
	// A table counts, not what a statement took of it: who dumps a database reads them all.
	{service: "postgresql", logged: "postgresql", operations: "READ*", weight: reportWeight, closed: true},
	{service: "secretsmanager", logged: "secretsmanager.amazonaws.com secretsmanager", operations: "GetSecretValue", weight: secretWeight, closed: true},
	{service: "secretmanager", logged: "secretmanager.googleapis.com", operations: "google.cloud.secretmanager.v1.SecretManagerService.AccessSecretVersion google.cloud.secretmanager.v1beta2.SecretManagerService.AccessSecretVersion",
		weight: secretWeight, closed: true},
	{service: "keyvault", logged: "vault.azure.net", operations: "SecretGet KeyGet CertificateGet", weight: secretWeight, closed: true},
	{service: "vault", logged: "vault", operations: "read", weight: secretWeight, content: isVaultSecret, closed: true},
	{service: "kubernetes", logged: "kubernetes k8s.io", operations: "get/secrets io.k8s.core.v1.secrets.get", weight: secretWeight, closed: true},
	{service: "ssm", logged: "ssm.amazonaws.com ssm", operations: "GetParameter GetParameters", weight: secretWeight, closed: true},
	{service: "ssm", logged: "ssm.amazonaws.com ssm", operations: "GetParametersByPath", weight: secretWeight, pages: true, closed: true},
	// A password that is seen or copied, other than one that is filled in, which people do all day.
	{service: "1password", logged: "1password", operations: "reveal secure-copy server-fetch export", weight: takenWeight},
	{service: "bitwarden", logged: "bitwarden", operations: "item.password.view item.password.copy item.field.view item.field.copy", weight: takenWeight},
	// Security brokers, OCSF's file hosting activity, and sources of the user's own.
	{operations: "download"},
}

// A downloader has a bit for each kind.
var _ [64 - len(downloadKinds)]struct{}

// webService is the service of downloads from web servers.
const webService = "web"

// fileServer is the service of downloads from machines inside that share files.
const fileServer = "file-server"

// vpnService is the service of what VPN gateways sent to their users: of a session they log
// how much went each way, and not with what.
const vpnService = "vpn"

// A downloader finds the downloads among the rows of batches.
type downloader struct {
	services, operations columnar.Lookup[uint64] // bit i: may belong to downloadKinds[i]
	methods              columnar.Lookup[bool]
	hosts                columnar.Lookup[uint32]
	servers              columnar.Lookup[uint32] // that share files
	vpn                  uint32                  // the code of vpnService
	// objects are SERVICE/PLACE. The place may be empty, and the slash is there even so:
	// in the order of texts all places of a service then follow one another.
	objects *columnar.Dict
	name    []byte
	last    struct { // the row before: its kind, service, place, and code of objects
		kind    int
		service int32
		place   []byte
		code    uint32
	}
	what [columnar.BatchRows]uint32
	// pages tells, of rows with a code in what, those that are an object by themselves.
	pages [columnar.BatchRows]bool
}

func newDownloader(objects *columnar.Dict) *downloader {
	d := &downloader{objects: objects}
	d.services.Func = func(service []byte) (mask uint64) {
		for i, k := range downloadKinds {
			if k.logged == "" && len(service) > 0 || slices.ContainsFunc(strings.Fields(k.logged), func(logged string) bool { return strings.EqualFold(string(service), logged) }) {
				mask |= 1 << i
			}
		}
		return mask
	}
	d.operations.Func = func(operation []byte) (mask uint64) {
		for i, k := range downloadKinds {
			for _, want := range strings.Fields(k.operations) {
				prefix, any := strings.CutSuffix(want, "*")
				if begin := string(operation[:min(len(operation), len(prefix))]); strings.EqualFold(begin, prefix) && (any || len(operation) == len(prefix)) {
					mask |= 1 << i
				}
			}
		}
		return mask
	}
	d.methods.Func = func(method []byte) bool { return len(method) == 0 || oneOf(string(method), "GET POST") }
	d.hosts.Func = func(host []byte) uint32 {
		d.name = append(d.name[:0], webService...)
		return d.code(host)
	}
	d.servers.Func = func(address []byte) uint32 {
		if !scan.IsInternal(address) {
			return 0
		}
		d.name = append(d.name[:0], fileServer...)
		return d.code(address)
	}
	return d
}

// of returns, for each row, what it downloaded from as a code of objects, 0 if it is no
// download; and the column that names the objects.
func (d *downloader) of(b *columnar.Batch) (what []uint32, names columnar.Col) {
	switch b.Table {
	case columnar.HTTP:
		return d.requests(b), columnar.URLPath
	case columnar.Network:
		return d.connections(b), columnar.DstIP
	}
	what = d.what[:b.Len()]
	clear(what)
	operations, dict := b.Codes(columnar.Operation)
	ofOperation := d.operations.Of(dict)
	services, serviceDict := b.Codes(columnar.Service)
	ofService := d.services.Of(serviceDict)
	offsets, resources := b.Texts(columnar.Resource)
	d.last.code = 0
	for i, operation := range operations {
		for mask := ofOperation[operation] & ofService[services[i]]; mask != 0; mask &= mask - 1 {
			kind, resource := bits.TrailingZeros64(mask), resources[offsets[i]:offsets[i+1]]
			if content := downloadKinds[kind].content; content == nil || content(resource) {
				what[i] = d.from(kind, services[i], serviceDict, resource)
				d.pages[i] = downloadKinds[kind].pages
				break
			}
		}
	}
	return what, columnar.Resource
}

// from returns the code of a service and of the place of an object.
func (d *downloader) from(kind int, service int32, services *columnar.Dict, resource []byte) uint32 {
	k := &downloadKinds[kind]
	var place []byte
	if k.place != nil {
		place = k.place(resource)
	}
	last := &d.last
	if last.code != 0 && kind == last.kind && service == last.service && bytes.Equal(place, last.place) {
		return last.code // most rows are like the one before
	}
	if d.name = append(d.name[:0], k.service...); k.service == "" {
		d.name = append(d.name, services.Text(service)...)
	}
	last.kind, last.service, last.place, last.code = kind, service, append(last.place[:0], place...), d.code(place)
	return last.code
}

// code returns the code of the service in name and a place.
func (d *downloader) code(place []byte) uint32 {
	d.name = append(append(d.name, '/'), place...)
	return uint32(d.objects.Code(d.name))
}

// requests is of for the log of a web server. An answer without content (not modified, moved)
// is not a download.
func (d *downloader) requests(b *columnar.Batch) []uint32 {
	what := d.what[:b.Len()]
	clear(d.pages[:b.Len()])
	codes, dict := b.Codes(columnar.URLHost)
	hosts := d.hosts.Of(dict)
	methods, methodDict := b.Codes(columnar.Method)
	fetches := d.methods.Of(methodDict)
	statuses := b.Int32(columnar.StatusCode)
	for i, code := range codes {
		what[i] = 0
		if answered := statuses[i]; fetches[methods[i]] && (answered == 0 || answered/100 == 2 || refusedAnswer(answered)) {
			what[i] = hosts[code]
		}
	}
	return what
}

// connections is of for connections. Rows with a uid are left out: they come again, joined.
// A connection of a user that goes nowhere is a session of a VPN, unless RADIUS counted it: that is
// also all that people do in the company's own network.
func (d *downloader) connections(b *columnar.Batch) []uint32 {
	what := d.what[:b.Len()]
	clear(what)
	valid := b.Valid(columnar.BytesIn)
	var ends []int32
	if b.Known(columnar.UID) > 0 {
		ends, _ = b.Texts(columnar.UID)
	}
	counts := func(row int) bool { return valid.Bit(row) == 1 && (ends == nil || ends[row] == ends[row+1]) }
	addresses, dict := b.Codes(columnar.DstIP)
	if b.Known(columnar.DstPort) > 0 {
		servers := d.servers.Of(dict)
		for i, port := range b.Int32(columnar.DstPort) {
			if scan.SharesFiles(int64(port)) && counts(i) {
				what[i] = servers[addresses[i]]
			}
		}
	}
	if b.Known(columnar.User) == 0 || b.Known(columnar.DstIP) == b.Len() {
		return what
	}
	if d.vpn == 0 {
		d.name = append(d.name[:0], vpnService...)
		d.vpn = d.code(nil)
	}
	users, names := b.Codes(columnar.User)
	hosts, called := b.Codes(columnar.DstHost)
	protocols, protocol := b.Codes(columnar.Protocol)
	for i, address := range addresses {
		if len(dict.Text(address)) == 0 && len(called.Text(hosts[i])) == 0 && len(names.Text(users[i])) > 0 &&
			string(protocol.Text(protocols[i])) != "radius" && counts(i) {
			what[i] = d.vpn
		}
	}
	return what
}

// refusedAnswer reports whether a web server of the company's own sent no content: its
// own answer can be trusted, other than that of a thief's.
func refusedAnswer(status int32) bool { return status >= 400 }

// furniture are the extensions of what web pages are made of. Browsers fetch dozens of
// such files with each page, thumbnails among them.
const furniture = "css js mjs map png jpg jpeg gif svg ico webp avif woff woff2 ttf eot"

// isObject reports whether the path of a request names an object: neither a page, which
// lists others, nor a part of one.
func isObject(path []byte) bool {
	if len(path) == 0 || path[len(path)-1] == '/' {
		return false
	}
	dot := bytes.LastIndexByte(path[max(0, len(path)-6):], '.')
	if dot < 0 {
		return true
	}
	var lower [5]byte
	extension := path[max(0, len(path)-6)+dot+1:]
	for i, c := range extension {
		lower[i] = c | 0x20
	}
	return !oneOf(string(lower[:len(extension)]), furniture)
}

// bucketOf returns the bucket of arn:aws:s3:::BUCKET/KEY, of
// projects/_/buckets/BUCKET/objects/OBJECT, or of BUCKET/KEY.
func bucketOf(resource []byte) []byte {
	resource = bytes.TrimPrefix(resource, bucketARN)
	if _, rest, ok := bytes.Cut(resource, []byte("/buckets/")); ok && bytes.HasPrefix(resource, []byte("projects/")) {
		resource = rest
	}
	bucket, _, _ := bytes.Cut(resource, []byte{'/'})
	return bucket
}

// containerOf returns the storage account and the container of /ACCOUNT/CONTAINER/BLOB,
// or the host and the container of a URL.
func containerOf(resource []byte) []byte { return segments(resource, 2) }

// siteOf returns the site of https://TENANT.sharepoint.com/sites/SITE/FILE, and the
// owner's of a OneDrive: .../personal/OWNER/FILE.
func siteOf(resource []byte) []byte {
	site := segments(resource, 3)
	host, path, _ := bytes.Cut(site, []byte{'/'})
	if kind, _, _ := bytes.Cut(path, []byte{'/'}); oneOf(string(kind), "sites teams personal") {
		return site
	}
	return host
}

// segments returns the first n segments of a path, or those of a URL beginning with its
// host.
func segments(path []byte, n int) []byte {
	if _, rest, ok := bytes.Cut(path, []byte("://")); ok {
		path = rest
	}
	path = bytes.TrimLeft(path, "/")
	for end := range path {
		switch path[end] {
		case '/':
			if n--; n == 0 {
				return path[:end]
			}
		case '?', '#':
			return path[:end]
		}
	}
	return path
}

// mailboxOf returns the mailbox of MAILBOX/<MESSAGE>, nil of <MESSAGE>.
func mailboxOf(resource []byte) []byte {
	if bytes.HasPrefix(resource, []byte{'<'}) {
		return nil
	}
	mailbox, _, _ := bytes.Cut(resource, []byte{'/'})
	return mailbox
}

// isMailFolder reports whether a resource is a folder: MAILBOX/\FOLDER.
func isMailFolder(resource []byte) bool { return bytes.Contains(resource, []byte("/\\")) }

// isGraphContent reports whether the path of a request to Microsoft Graph asks for mails, or
// for the content of a file or an attachment: most requests ask who somebody is, and
// what there is.
func isGraphContent(path []byte) bool {
	return bytes.Contains(path, []byte("/messages")) || bytes.HasSuffix(path, []byte("/content")) || bytes.HasSuffix(path, []byte("/$value")) ||
		bytes.Contains(path, []byte("/attachments"))
}

// ownerOf returns the organisation of ORGANISATION/REPOSITORY.
func ownerOf(resource []byte) []byte {
	owner, _, _ := bytes.Cut(resource, []byte{'/'})
	return owner
}

// tableOf returns the table of arn:aws:dynamodb:REGION:ACCOUNT:table/TABLE, or of TABLE.
func tableOf(resource []byte) []byte {
	if _, table, ok := bytes.Cut(resource, []byte(":table/")); ok {
		resource = table
	}
	table, _, _ := bytes.Cut(resource, []byte{'/'})
	return table
}

// datasetOf returns the project and the data set of projects/PROJECT/datasets/DATASET/tables/TABLE.
func datasetOf(resource []byte) []byte {
	resource = bytes.TrimPrefix(resource, []byte("projects/"))
	dataset, _, _ := bytes.Cut(resource, []byte("/tables/"))
	return dataset
}

// isNamedTable reports whether a resource of BigQuery is a table that somebody made: what
// queries give is kept in data sets that begin with _.
func isNamedTable(resource []byte) bool {
	return bytes.Contains(resource, []byte("/tables/")) && !bytes.Contains(resource, []byte("/datasets/_"))
}

// isVaultSecret reports whether a path of Vault holds a secret: not what it says of itself, of who
// signs in, or of versions of a secret.
func isVaultSecret(path []byte) bool {
	for _, of := range [...]string{"sys/", "auth/", "identity/", "cubbyhole/"} {
		if bytes.HasPrefix(path, []byte(of)) {
			return false
		}
	}
	return !bytes.Contains(path, []byte("/metadata")) && !bytes.HasSuffix(path, []byte("/config"))
}

// databaseOf returns the database of DATABASE.SCHEMA.
func databaseOf(resource []byte) []byte {
	database, _, _ := bytes.Cut(resource, []byte{'.'})
	return database
}

// signedFields are the fields that say what allowed a call, as CloudTrail, the same in
// OCSF, S3's access log and Azure Storage name them; signedBy reports whether it was a
// link, which works for anyone who has it.
var signedFields = []string{"additionalEventData.AuthenticationMethod", "unmapped.additionalEventData.AuthenticationMethod", "auth_type", "identity.type"}

func signedBy(how []byte) bool { return string(how) == "QueryString" || string(how) == "SAS" }

// application returns what a user agent calls the program, without versions: aws-cli,
// rclone, Microsoft SkyDriveSync, and Mozilla for any browser. A new version is no new
// program.
func application(agent []byte) []byte {
	const longest = 64
	agent = bytes.TrimSpace(agent[:min(len(agent), longest)])
	if end := bytes.IndexAny(agent, "/(;,"); end >= 0 {
		agent = agent[:end]
	}
	for i := 1; i < len(agent); i++ {
		if agent[i-1] == ' ' && agent[i] >= '0' && agent[i] <= '9' {
			agent = agent[:i]
			break
		}
	}
	return bytes.TrimSpace(agent)
}
