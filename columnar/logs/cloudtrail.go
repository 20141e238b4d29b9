package logs

import (
	"bytes"
	"slices"
	"strings"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// CloudTrail decodes the audit log of AWS.
var CloudTrail = &Format{
	Name:    "cloudtrail",
	Origins: []columnar.Origin{{Product: "aws", Service: "cloudtrail"}},
	Title:   "AWS CloudTrail events",
	Doc: `Reads management and S3 data events into api. Insight events and those of VPC
endpoints (network activity), which tell of calls that have an event of their own,
and digest files are counted as other. Calls that go through an endpoint with the
keys of another account than the endpoint's have no other event, and are read.

eventTime     → time; without one @timestamp, which Logstash makes of it
userIdentity  → user, by its type: IAMUser, SAMLUser, WebIdentityUser the
                userName; AssumedRole ROLE/SESSION, or ROLE alone where the
                session's name is made anew each time (ends in ten digits or
                more, or is a task's id), as such a name has no past;
                IdentityCenterUser onBehalfOf.userId; Root "root";
                FederatedUser its name; AWSAccount ACCOUNT/PRINCIPAL, anonymous
                callers none: they are told apart by src_ip. AWSService is the
                name of the service that called (config.amazonaws.com): users
                that end in .amazonaws.com are no persons.
userIdentity.accountId → account, else the one in its arn: that of the caller, which may be
                another than that of the trail. None for IdentityCenterUser, who is
                one person in all accounts, and for services and anonymous callers.
sourceIPAddress → src_ip, unless it is the name of a service
eventSource   → service, without .amazonaws.com
eventName     → operation
resource        arn:aws:s3:::bucket/key, else the first of resources, else the parameter
                that names what the call is about (snapshotId, secretId, …)
errorCode     → status; without one "Success", or "Failure" with an errorMessage, as sign-ins have
bytes           additionalEventData.bytesTransferredIn, which came in to S3, is
                bytes_out, as it left the client; bytesTransferredOut is
                bytes_in. Null if the call failed. Only S3 data events have
                them, and a trail has those only if it is told to.
sharedEventID → event_uid, else eventID: a call from one account into another stands in the
                trails of both, each time with an eventID of its own

What else Sigma rules read is found by its path, as in userIdentity.type and
requestParameters.bucketName. The field shared_with says whom a call lets in: everyone,
or accounts other than that of the trail, which a policy, an access control list or a
grant in its parameters names. Calls that failed have none.

Events arrive late and in no order. Events of more than 256 KiB come cut by AWS.`,
	Tables:   []*columnar.Table{columnar.API},
	Lacks:    columnar.ColSet(columnar.Host),
	Remedies: []Remedy{{Text: "Enable S3 data events in the trail: management events carry no bytes."}},
	Outer:    true,
	Sniff: func(head []byte) bool {
		var event, digest int
		scan.EachKey(head, func(key []byte, _ scan.Value) {
			switch strings.ToLower(string(key)) {
			case "eventversion", "useridentity", "eventsource", "eventname", "awsregion", "sourceipaddress", "insightdetails":
				event++
			case "digeststarttime", "digestendtime", "digests3bucket":
				digest++
			case "acsregion": // Alibaba's events have the names of Amazon's
				event -= 6
			}
		})
		return event >= 3 || digest == 3
	},
	New: func(o *Options) (Decoder, error) {
		d := newCloudTrail()
		d.clock.Latest = o.clock().Latest
		return d, nil
	},
}

// Fields of an event, in the order of the shapes that read them.
const (
	trailTime = iota
	trailSource
	trailName
	trailCategory
	trailType
	trailSourceIP
	trailUserAgent
	trailErrorCode
	trailErrorMessage
	trailID
	trailSharedID
	trailResources
	trailDigestEnd
	trailShipped // as Logstash's codec calls the time of an event

	trailIdentityType // of userIdentity
	trailUserName
	trailARN
	trailPrincipal
	trailAccount
	trailInvokedBy

	trailIssuer     // of userIdentity.sessionContext.sessionIssuer
	trailOnBehalfOf // of userIdentity.onBehalfOf

	trailBytesIn // of additionalEventData
	trailBytesOut

	trailKey // of requestParameters
	trailBucket
	trailObjects // those of cloudTrailObjects

	trailGrants    = trailObjects + len(cloudTrailObjects) // those of cloudTrailGrants
	numTrailGrants = len(cloudTrailGrants)

	numTrailFields = trailGrants + numTrailGrants
)

type cloudTrail struct {
	other   string // kind of the last event that gave no row
	clock   scan.Clock
	outer   outerTimes
	event   *scan.Shape
	values  [64]scan.Value
	array   scan.Walker
	element scan.Walker
	scratch []byte
	joined  []byte // resource or user that is put together
	builder *columnar.Builder
	kept    *keptKeys  // fields that are read of the builder's rows, of the calls asked for
	always  *keptKeys  // those that are read of all calls
	along   *keptShape // reads those along with the columns; nil: they are too many
	asked   askedCalls
	shares  bool // rules read whom calls let in
	share   shareFinder
}

func newCloudTrail() *cloudTrail { return &cloudTrail{event: newTrailShape()} }

// newTrailShape returns the shape of events. Athena's tables have the keys that all events share
// in lower case, and those of what a call is about as they were written.
func newTrailShape() *scan.Shape {
	within := func(s *scan.Shape, key string, inner func() *scan.Shape) {
		s.Within(key, inner())
		s.Within(strings.ToLower(key), inner())
	}
	identity := func() *scan.Shape {
		s := scan.FoldedShapeOf(trailIdentityType, "type", "userName", "arn", "principalId", "accountId", "invokedBy")
		within(s, "sessionContext", func() *scan.Shape {
			s := scan.ShapeOf(0)
			within(s, "sessionIssuer", func() *scan.Shape { return scan.FoldedShapeOf(trailIssuer, "userName") })
			return s
		})
		within(s, "onBehalfOf", func() *scan.Shape { return scan.FoldedShapeOf(trailOnBehalfOf, "userId") })
		return s
	}
	request := func() *scan.Shape {
		s := scan.ShapeOf(trailKey, slices.Concat([]string{"key", "bucketName"}, cloudTrailObjects[:], cloudTrailGrants[:])...)
		s.Nested = s.Fields &^ (1 << trailBucket) // other calls have other things under these names
		return s
	}
	event := scan.FoldedShapeOf(trailTime, "eventTime", "eventSource", "eventName", "eventCategory", "eventType", "sourceIPAddress",
		"userAgent", "errorCode", "errorMessage", "eventID", "sharedEventID", "resources", "digestEndTime", "@timestamp")
	event.Nested = 1 << trailResources
	within(event, "userIdentity", identity)
	within(event, "additionalEventData", func() *scan.Shape { return scan.ShapeOf(trailBytesIn, "bytesTransferredIn", "bytesTransferredOut") })
	within(event, "requestParameters", request)
	return event
}

func (d *cloudTrail) Decode(b *Block, out *columnar.Out, t *Tally) error {
	record := b.First
	d.outer = b.outer()
	builder := out.Table(columnar.API)
	if builder != d.builder {
		fields := builder.WantedFields()
		n := len(fields)
		fields = slices.DeleteFunc(fields, func(f columnar.WantedField) bool { return f.Name == string(sharedWith) })
		d.builder, d.shares, d.asked, d.kept = builder, len(fields) < n, newAskedCalls(fields), newKeptKeys(fields.Names())
		d.always, d.along, d.event = newKeptKeys(fields.Always().Names()), nil, newTrailShape()
		if d.always != nil {
			d.along = d.always.within(d.event, numTrailFields)
		}
	}
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		if line, data = scan.CutLine(data); scan.Blank(line) {
			continue
		}
		row, reason := d.line(line, recordRow{builder, t, record})
		switch {
		case row:
			builder.Next(record)
			t.Row()
		case reason != "":
			builder.Drop()
			t.Skip(record, reason)
		default:
			t.Known(d.other)
		}
	}
	return nil
}

// line sets the cells of an event. If it is not a row, reason says why it is malformed,
// or d.other names its kind.
func (d *cloudTrail) line(line []byte, b recordRow) (row bool, reason string) {
	d.scratch = d.scratch[:0]
	has, _, ok := d.event.Read(line, d.values[:])
	if !ok {
		return false, notObject(line)
	}
	line = d.event.Object()
	category, kind, name := d.text(trailCategory), d.text(trailType), d.text(trailName)
	switch {
	case has>>trailDigestEnd&1 != 0:
		d.other = "digest"
		return false, ""
	case string(category) == "Insight", string(kind) == "AwsCloudTrailInsight":
		d.other = "insight"
		return false, ""
	case (string(category) == "NetworkActivity" || string(kind) == "AwsVpceEvent") && !d.foreignKeys(line):
		d.other = "network activity"
		return false, ""
	case len(name) == 0:
		return false, "no eventName"
	}
	eventTime := d.text(trailTime)
	if has>>trailTime&1 == 0 {
		eventTime = d.text(trailShipped)
	}
	us, ok := d.clock.ISO(eventTime)
	if !ok {
		if us, ok = d.outer.of(b.record, eventTime); !ok {
			return false, d.clock.Fault("bad eventTime")
		}
	}
	failure := d.failure()
	b.SetTime(us)
	d.transferred(b, len(failure) == 0)
	b.SetText(columnar.User, d.user())
	b.SetText(columnar.Account, d.account())
	if ip := d.text(trailSourceIP); scan.IsAddress(ip) {
		b.SetText(columnar.SrcIP, ip)
	} else if !scan.Unknown(ip) && !bytes.HasSuffix(ip, []byte(".amazonaws.com")) && string(ip) != "AWS Internal" {
		b.tally.Unread(b.record, columnar.SrcIP, ip, "sourceIPAddress that is neither an address nor a service")
	}
	b.misfits(d.event, 1<<numTrailFields-1)
	b.SetText(columnar.Service, bytes.TrimSuffix(d.text(trailSource), []byte(".amazonaws.com")))
	b.SetText(columnar.Operation, name)
	if b.Wants(columnar.Resource) {
		b.SetText(columnar.Resource, d.resource())
	}
	if len(failure) == 0 {
		failure = []byte("Success")
	}
	b.SetText(columnar.Status, failure)
	agent := d.text(trailUserAgent)
	if n := len(agent); n > 1 && agent[0] == '[' && agent[n-1] == ']' {
		agent = agent[1 : n-1]
	}
	b.SetText(columnar.UserAgent, agent)
	id := d.text(trailSharedID)
	if len(id) == 0 {
		id = d.text(trailID)
	}
	b.SetText(columnar.EventUID, id)
	kept := d.always
	if d.asked.has(name) {
		kept = d.kept
	}
	if kept != nil {
		if kept == d.kept || d.along == nil || !d.along.put(b.Builder, d.event, has, &d.scratch) {
			kept.put(b.Builder, line, &d.scratch)
		}
		if kept.next[columnar.Message] != nil {
			b.SetField(wholeKey, line)
		}
	}
	if d.shares && len(d.failure()) == 0 && !givesNothing(name) && (!movesData(name) || has>>trailGrants&(1<<numTrailGrants-1) != 0) {
		if with := d.sharedWith(line); with != nil {
			b.SetField(sharedWith, with)
		}
	}
	return true, ""
}

// foreignKeys reports whether the caller of an event of a VPC endpoint has another account than the endpoint: the
// company's own trail has no event of that call.
func (d *cloudTrail) foreignKeys(event []byte) bool {
	var owner, recipient []byte
	w := &d.element
	for w.Open(event); w.Next(); {
		switch strings.ToLower(string(w.Key)) {
		case "vpcendpointaccountid":
			owner = w.Val.Text(&d.scratch)
		case "recipientaccountid":
			recipient = w.Val.Text(&d.scratch)
		}
	}
	if len(owner) == 0 {
		owner = recipient
	}
	caller := d.account()
	return len(owner) > 0 && len(caller) > 0 && !bytes.Equal(caller, owner)
}

// movesData reports whether calls of that name write or delete an object, which lets nobody
// in unless the call has a grant.
func movesData(name []byte) bool {
	switch string(name) {
	case "PutObject", "CopyObject", "UploadPart", "UploadPartCopy", "CreateMultipartUpload", "CompleteMultipartUpload", "DeleteObject", "DeleteObjects":
		return true
	}
	return false
}

// givesNothing reports whether the calls of that name only read, or take away what others
// may: those have the same parameters as the calls that let them in.
func givesNothing(name []byte) bool {
	for _, verb := range [...]string{"Get", "List", "Describe", "Head", "Assume", "Decrypt", "Lookup", "BatchGet", "Generate",
		"Revoke", "BatchRevoke", "Disassociate", "Deauthorize", "Remove", "Delete"} {
		if bytes.HasPrefix(name, []byte(verb)) {
			return true
		}
	}
	return false
}

// sharedWith returns whom a call lets in.
func (d *cloudTrail) sharedWith(event []byte) []byte {
	var parameters scan.Value
	own := d.text(trailAccount)
	w := &d.element
	for w.Open(event); w.Next(); {
		switch strings.ToLower(string(w.Key)) {
		case "requestparameters":
			parameters = w.Val
		case "recipientaccountid":
			if account := w.Text(&d.scratch); len(account) > 0 {
				own = account
			}
		}
	}
	return d.share.of(parameters, own)
}

// text returns the text of a field of the event; see scan.Value.Text.
func (d *cloudTrail) text(field int) []byte { return d.event.Text(field, &d.scratch) }

// failure returns why the call failed, nothing if it did not. Sign-ins say so in a message
// alone.
func (d *cloudTrail) failure() []byte {
	code := d.text(trailErrorCode)
	if len(code) == 0 && len(d.text(trailErrorMessage)) > 0 {
		return []byte("Failure")
	}
	return code
}

// transferred sets the bytes of an S3 data event, in the client's direction;
// those of a call that failed are only looked at.
func (d *cloudTrail) transferred(r recordRow, success bool) {
	in := r.count(columnar.BytesOut, d.text(trailBytesIn), "bad bytesTransferredIn")
	out := r.count(columnar.BytesIn, d.text(trailBytesOut), "bad bytesTransferredOut")
	if success {
		setCount(r.Builder, columnar.BytesOut, in)
		setCount(r.Builder, columnar.BytesIn, out)
	}
}

// user returns who called; see the format's Doc.
func (d *cloudTrail) user() []byte {
	var (
		arn       = d.text(trailARN)
		principal = d.text(trailPrincipal)
	)
	switch string(d.text(trailIdentityType)) {
	case "Root":
		return []byte("root")
	case "AWSService":
		return d.text(trailInvokedBy)
	case "IdentityCenterUser":
		if user := d.text(trailOnBehalfOf); len(user) > 0 {
			return user
		}
	case "FederatedUser":
		if name := scan.AfterLast(arn, '/'); len(name) > 0 {
			return name
		}
	case "AWSAccount":
		account := d.text(trailAccount)
		switch {
		case isAnonymous(account), len(account) == 0:
			return nil
		case len(principal) == 0:
			return account
		}
		return d.join(account, scan.AfterLast(principal, ':'))
	case "AssumedRole":
		// arn:aws:sts::111122223333:assumed-role/ROLE/SESSION
		_, path, _ := bytes.Cut(arn, []byte(":assumed-role/"))
		role, session, _ := bytes.Cut(path, []byte{'/'})
		if len(session) == 0 && bytes.IndexByte(principal, ':') >= 0 {
			session = scan.AfterLast(principal, ':')
		}
		if issuer := d.text(trailIssuer); len(issuer) > 0 {
			role = issuer
		}
		switch {
		case len(role) > 0 && (len(session) == 0 || isFleeting(session)):
			return role
		case len(role) > 0:
			return d.join(role, session)
		case len(session) > 0:
			return session
		}
	}
	switch name := d.text(trailUserName); {
	case len(name) > 0:
		return name
	case len(arn) > 0:
		return scan.AfterLast(arn, '/')
	}
	return scan.AfterLast(principal, ':')
}

// account returns the account that the caller belongs to; see the format's Doc.
func (d *cloudTrail) account() []byte {
	account := d.text(trailAccount)
	if len(account) == 0 {
		// arn:aws:iam::111122223333:user/alice
		account = d.text(trailARN)
		for range 4 {
			_, account, _ = bytes.Cut(account, []byte{':'})
		}
		account, _, _ = bytes.Cut(account, []byte{':'})
	}
	if isAnonymous(account) || string(d.text(trailIdentityType)) == "IdentityCenterUser" {
		return nil
	}
	return account
}

// isAnonymous reports whether an account stands for a caller without credentials.
func isAnonymous(account []byte) bool {
	return string(account) == "ANONYMOUS_PRINCIPAL" || string(account) == "anonymous"
}

func (d *cloudTrail) join(a, b []byte) []byte {
	d.joined = append(append(append(d.joined[:0], a...), '/'), b...)
	return d.joined
}

// cloudTrailGrants are the parameters by which a call that writes an object lets others in.
var cloudTrailGrants = [...]string{"x-amz-acl", "x-amz-grant-read", "x-amz-grant-full-control", "x-amz-grant-read-acp", "x-amz-grant-write-acp"}

// cloudTrailObjects are the parameters that name what a call is about, the first
// that is there; bucketName, which comes with key, goes before them. The first are
// those of calls that share or copy data away.
var cloudTrailObjects = [...]string{
	"snapshotId", "imageId", "dBSnapshotIdentifier", "dBClusterSnapshotIdentifier",
	"secretId", "instanceId", "functionName", "tableName", "queueUrl", "topicArn", "roleName", "policyArn", "userName", "name", "repositoryName", "keyId", "domainName",
}

// bucketARN comes before the name of a bucket.
const bucketARN = "arn:aws:s3:::"

// resource returns what the call was about, "" if it does not say.
func (d *cloudTrail) resource() []byte {
	if bucket := d.text(trailBucket); len(bucket) > 0 {
		d.joined = append(append(d.joined[:0], bucketARN...), bucket...)
		if key := d.text(trailKey); len(key) > 0 {
			d.joined = append(append(d.joined, '/'), key...)
		}
		return d.joined
	}
	if resources := d.event.Value(trailResources); resources.Is('[') {
		for d.array.Open(resources); d.array.Next(); {
			if arn := d.arnOf(d.array.Val); len(arn) > 0 {
				return arn
			}
		}
	}
	for i := range cloudTrailObjects {
		if text := d.text(trailObjects + i); len(text) > 0 {
			return text
		}
	}
	return nil
}

// arnOf returns the ARN of an element of resources.
func (d *cloudTrail) arnOf(resource scan.Value) (arn []byte) {
	if !resource.Is('{') {
		return nil
	}
	w := &d.element
	for w.Open(resource); w.Next(); {
		if strings.EqualFold(string(w.Key), "ARN") {
			arn = w.Text(&d.scratch)
		}
	}
	return arn
}
