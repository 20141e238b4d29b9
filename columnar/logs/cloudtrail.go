package logs

import (
	"bytes"

	"outflow/columnar"
)

// CloudTrail decodes the audit log of AWS.
var CloudTrail = &Format{
	Name:  "cloudtrail",
	Title: "AWS CloudTrail events",
	Doc: `Reads management and S3 data events into api. Insight and network activity
events, which tell of calls that have an event of their own, and digest files are
counted as other.

eventTime     → time
userIdentity  → user, by its type: IAMUser, SAMLUser, WebIdentityUser the
                userName; AssumedRole ROLE/SESSION, or ROLE alone where the
                session's name is made anew each time (ends in ten digits or
                more, or is a task's id), as such a name has no past;
                IdentityCenterUser onBehalfOf.userId; Root "root";
                FederatedUser its name; AWSAccount ACCOUNT/PRINCIPAL, anonymous
                callers none: they are told apart by src_ip. AWSService is the
                name of the service that called (config.amazonaws.com): users
                that end in .amazonaws.com are no persons.
sourceIPAddress → src_ip, unless it is the name of a service
eventSource   → service, without .amazonaws.com
eventName     → operation
resource        arn:aws:s3:::bucket/key, else the first of resources, else the parameter
                that names what the call is about (snapshotId, secretId, …)
errorCode     → status, "Success" without one
bytes           additionalEventData.bytesTransferredIn, which came in to S3, is
                bytes_out, as it left the client; bytesTransferredOut is
                bytes_in. Null if the call failed. Only S3 data events have
                them, and a trail has those only if it is told to.
eventID       → event_uid

Events arrive late and in no order. Events of more than 256 KiB come cut by AWS.`,
	Tables: []*columnar.Table{columnar.API},
	Lacks:  columnar.ColSet(columnar.Host),
	Sniff: func(head []byte) bool {
		var event, digest int
		eachKey(head, func(key []byte, _ value) {
			switch string(key) {
			case "eventVersion", "userIdentity", "eventSource", "eventName", "awsRegion", "sourceIPAddress":
				event++
			case "digestStartTime", "digestEndTime", "digestS3Bucket":
				digest++
			}
		})
		return event >= 3 || digest == 3
	},
	New: func(*Options) (Decoder, error) { return &cloudTrail{}, nil },
}

type cloudTrail struct {
	clock    clock
	event    cloudTrailEvent
	identity cloudTrailIdentity
	outer    walker
	inner    walker
	element  walker
	scratch  []byte
	joined   []byte // resource or user that is put together
}

// A cloudTrailEvent is what is read of the members of an event.
type cloudTrailEvent struct {
	time, source, name, category, kind, sourceIP, userAgent, errorCode, id []byte

	identity, parameters, additional, resources value

	digest bool
}

type cloudTrailIdentity struct {
	kind, userName, arn, principalID, accountID, invokedBy, issuer, onBehalfOf []byte
}

func (d *cloudTrail) Decode(b *Block, out *columnar.Out, t *Tally) error {
	record := b.First
	builder := out.Table(columnar.API)
	for data := b.Data; len(data) > 0; record++ {
		var line []byte
		line, data = cutLine(data)
		row, reason := d.line(line, builder)
		switch {
		case row:
			builder.Next(record)
			t.Row()
		case reason != "":
			builder.Drop()
			t.Skip(record, reason)
		default:
			t.Pass()
		}
	}
	return nil
}

// line sets the cells of an event. If it is no row, reason says why it is
// malformed, or is "" if it is not.
func (d *cloudTrail) line(line []byte, b *columnar.Builder) (row bool, reason string) {
	if blank(line) {
		return false, ""
	}
	if !d.read(line) {
		return false, malformedJSON
	}
	e := &d.event
	switch {
	case e.digest, string(e.category) == "Insight", string(e.kind) == "AwsCloudTrailInsight",
		string(e.category) == "NetworkActivity", string(e.kind) == "AwsVpceEvent":
		return false, ""
	case len(e.name) == 0:
		return false, "no eventName"
	}
	us, ok := d.clock.parseISO(e.time)
	if !ok {
		return false, "bad eventTime"
	}
	b.SetTime(us)
	if reason = d.transferred(b); reason != "" {
		return false, reason
	}
	d.readIdentity()
	b.SetText(columnar.User, d.user())
	if isAddress(e.sourceIP) {
		b.SetText(columnar.SrcIP, e.sourceIP)
	}
	b.SetText(columnar.Service, bytes.TrimSuffix(e.source, []byte(".amazonaws.com")))
	b.SetText(columnar.Operation, e.name)
	if b.Wants(columnar.Resource) {
		b.SetText(columnar.Resource, d.resource())
	}
	status := e.errorCode
	if len(status) == 0 {
		status = []byte("Success")
	}
	b.SetText(columnar.Status, status)
	agent := e.userAgent
	if n := len(agent); n > 1 && agent[0] == '[' && agent[n-1] == ']' {
		agent = agent[1 : n-1]
	}
	b.SetText(columnar.UserAgent, agent)
	b.SetText(columnar.EventUID, e.id)
	return true, ""
}

// read fills d.event. It returns false if the line is no sound JSON object.
func (d *cloudTrail) read(line []byte) bool {
	d.event = cloudTrailEvent{}
	d.scratch = d.scratch[:0]
	e, w := &d.event, &d.outer
	w.open(line)
	for w.next() {
		switch string(w.key) {
		case "eventTime":
			e.time = w.text(&d.scratch)
		case "eventSource":
			e.source = w.text(&d.scratch)
		case "eventName":
			e.name = w.text(&d.scratch)
		case "eventCategory":
			e.category = w.text(&d.scratch)
		case "eventType":
			e.kind = w.text(&d.scratch)
		case "sourceIPAddress":
			e.sourceIP = w.text(&d.scratch)
		case "userAgent":
			e.userAgent = w.text(&d.scratch)
		case "errorCode":
			e.errorCode = w.text(&d.scratch)
		case "eventID":
			e.id = w.text(&d.scratch)
		case "userIdentity":
			e.identity = w.val
		case "requestParameters":
			e.parameters = w.val
		case "additionalEventData":
			e.additional = w.val
		case "resources":
			e.resources = w.val
		case "digestEndTime":
			e.digest = true
		}
	}
	return w.doneObject()
}

// into starts at an object or array within the event, which read has found
// sound. Of any other value it finds no members.
func (d *cloudTrail) into(v value) *walker {
	d.inner.open(v)
	return &d.inner
}

// transferred sets the bytes of an S3 data event, in the client's direction.
func (d *cloudTrail) transferred(b *columnar.Builder) (reason string) {
	in, out := int64(-1), int64(-1)
	ok1, ok2 := true, true
	for w := d.into(d.event.additional); w.next(); {
		switch string(w.key) {
		case "bytesTransferredIn":
			in, ok1 = countOf(w.text(&d.scratch))
		case "bytesTransferredOut":
			out, ok2 = countOf(w.text(&d.scratch))
		}
	}
	if !ok1 || !ok2 {
		return "bad bytesTransferredIn or bytesTransferredOut"
	}
	if len(d.event.errorCode) == 0 {
		setCount(b, columnar.BytesOut, in)
		setCount(b, columnar.BytesIn, out)
	}
	return ""
}

func (d *cloudTrail) readIdentity() {
	d.identity = cloudTrailIdentity{}
	id := &d.identity
	for w := d.into(d.event.identity); w.next(); {
		switch string(w.key) {
		case "type":
			id.kind = w.text(&d.scratch)
		case "userName":
			id.userName = w.text(&d.scratch)
		case "arn":
			id.arn = w.text(&d.scratch)
		case "principalId":
			id.principalID = w.text(&d.scratch)
		case "accountId":
			id.accountID = w.text(&d.scratch)
		case "invokedBy":
			id.invokedBy = w.text(&d.scratch)
		case "sessionContext":
			id.issuer = d.member(d.memberOf(w.val, "sessionIssuer"), "userName")
		case "onBehalfOf":
			id.onBehalfOf = d.member(w.val, "userId")
		}
	}
}

// memberOf returns a member of an object; nil if there is none.
func (d *cloudTrail) memberOf(v value, key string) (found value) {
	if !v.is('{') {
		return nil
	}
	w := &d.element
	for w.open(v); w.next(); {
		if string(w.key) == key {
			found = w.val
		}
	}
	return found
}

// member returns the text of a member of an object.
func (d *cloudTrail) member(v value, key string) []byte {
	return d.memberOf(v, key).text(&d.scratch)
}

// user returns who called; see the format's Doc.
func (d *cloudTrail) user() []byte {
	id := &d.identity
	switch string(id.kind) {
	case "Root":
		return []byte("root")
	case "AWSService":
		return id.invokedBy
	case "IdentityCenterUser":
		if len(id.onBehalfOf) > 0 {
			return id.onBehalfOf
		}
	case "FederatedUser":
		if name := afterLast(id.arn, '/'); len(name) > 0 {
			return name
		}
	case "AWSAccount":
		switch {
		case string(id.accountID) == "ANONYMOUS_PRINCIPAL", len(id.accountID) == 0:
			return nil
		case len(id.principalID) == 0:
			return id.accountID
		}
		return d.join(id.accountID, afterLast(id.principalID, ':'))
	case "AssumedRole":
		// arn:aws:sts::111122223333:assumed-role/ROLE/SESSION
		_, path, _ := bytes.Cut(id.arn, []byte(":assumed-role/"))
		role, session, _ := bytes.Cut(path, []byte{'/'})
		if len(session) == 0 && bytes.IndexByte(id.principalID, ':') >= 0 {
			session = afterLast(id.principalID, ':')
		}
		if len(id.issuer) > 0 {
			role = id.issuer
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
	switch {
	case len(id.userName) > 0:
		return id.userName
	case len(id.arn) > 0:
		return afterLast(id.arn, '/')
	}
	return afterLast(id.principalID, ':')
}

func (d *cloudTrail) join(a, b []byte) []byte {
	d.joined = append(append(append(d.joined[:0], a...), '/'), b...)
	return d.joined
}

// isFleeting reports whether a session's name is made anew for each session: by
// SDKs from the time (botocore-session-1700000000), by ECS from a task's id (32
// hexadecimal digits), or from a UUID.
func isFleeting(session []byte) bool {
	n := len(session)
	decimal, hex := 0, 0
	for hex < n && isHex(session[n-1-hex]) {
		if hex == decimal && session[n-1-hex]-'0' <= 9 {
			decimal++
		}
		hex++
	}
	return decimal >= 10 || hex >= 32 || n >= 36 && isUUID(session[n-36:])
}

// isUUID reports whether 36 bytes are a UUID in text.
func isUUID(b []byte) bool {
	for i, c := range b {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !isHex(c) {
				return false
			}
		}
	}
	return true
}

func isHex(c byte) bool {
	_, ok := hexDigit(c)
	return ok
}

// afterLast returns what follows the last c of b, all of b if there is none.
func afterLast(b []byte, c byte) []byte { return b[bytes.LastIndexByte(b, c)+1:] }

// isAddress tells an IP address from the name of a service ("AWS Internal",
// s3.amazonaws.com). It accepts octets with leading zeros, which anonymised logs
// have.
func isAddress(b []byte) bool {
	if bytes.IndexByte(b, '.') < 0 && bytes.IndexByte(b, ':') < 0 {
		return false
	}
	for _, c := range b {
		if !isHex(c) && c != '.' && c != ':' {
			return false
		}
	}
	return true
}

// cloudTrailObjects are the parameters that name what a call is about, the first
// that is there. bucketName comes with key; the next are those of calls that share
// or copy data away.
var cloudTrailObjects = [...]string{
	"bucketName", "snapshotId", "imageId", "dBSnapshotIdentifier", "dBClusterSnapshotIdentifier",
	"secretId", "instanceId", "functionName", "tableName", "queueUrl", "topicArn", "roleName", "policyArn", "userName", "name",
}

// bucketARN comes before the name of a bucket.
const bucketARN = "arn:aws:s3:::"

// resource returns what the call was about, "" if it does not say.
func (d *cloudTrail) resource() []byte {
	var named [len(cloudTrailObjects)][]byte
	var key []byte
	if d.event.parameters.is('{') {
		for w := d.into(d.event.parameters); w.next(); {
			if string(w.key) == "key" {
				key = w.text(&d.scratch)
				continue
			}
			for i, name := range cloudTrailObjects {
				if string(w.key) == name {
					named[i] = w.text(&d.scratch)
				}
			}
		}
	}
	switch {
	case len(named[0]) > 0 && len(key) > 0:
		return d.join(append([]byte(bucketARN), named[0]...), key)
	case len(named[0]) > 0:
		return append([]byte(bucketARN), named[0]...)
	}
	if d.event.resources.is('[') {
		for w := d.into(d.event.resources); w.next(); {
			if arn := d.member(w.val, "ARN"); len(arn) > 0 {
				return arn
			}
		}
	}
	for _, text := range named {
		if len(text) > 0 {
			return text
		}
	}
	return nil
}
