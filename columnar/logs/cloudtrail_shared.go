package logs

import (
	"bytes"
	"slices"

	"outflow/columnar"
	"outflow/columnar/scan"
)

// Whom a call of AWS lets in: the field shared_with of CloudTrail's events.

// sharedWith is the name of the field. Its values are everyone, and the numbers of
// accounts other than the one that the event is of.
var sharedWith = []byte("shared_with")

// everyone stands for all of AWS, or the whole Internet.
var everyone = []byte("everyone")

// A shareFinder reads from the parameters of a call whom it lets in: those whom a policy
// allows, and those whom lists of permissions and grants name. What a call takes away does
// not count.
type shareFinder struct {
	own     []byte // the account that the event is of
	found   [][]byte
	list    []byte
	scratch []byte // the texts with escapes
}

// of returns whom a call lets in, nil for nobody but the account own.
func (f *shareFinder) of(parameters scan.Value, own []byte) []byte {
	f.own, f.found, f.list, f.scratch = own, f.found[:0], f.list[:0], f.scratch[:0]
	f.inside(nil, parameters, 0)
	slices.SortFunc(f.found, bytes.Compare)
	f.found = slices.CompactFunc(f.found, bytes.Equal)
	switch len(f.found) {
	case 0:
		return nil
	case 1:
		return f.found[0]
	}
	for _, who := range f.found {
		f.list = columnar.AppendList(f.list, who)
	}
	return f.list
}

// inside looks through an object or array that stands under a key.
func (f *shareFinder) inside(key []byte, v scan.Value, depth int) {
	if depth > maxKeptDepth {
		return
	}
	var w scan.Walker
	for w.Open(v); w.Next(); {
		name := key
		if w.InObject() {
			name = w.Key
		}
		switch string(name) {
		case "remove", "valuesToRemove", "Owner", "s3BucketSource": // what a table is read from gets nothing
			continue
		case "registryId":
			if depth == 0 { // what the call is about, not where images are copied to
				continue
			}
		case "Statement":
			f.statements(w.Val, depth)
			continue
		}
		if w.Val.Is('{') || w.Val.Is('[') {
			f.inside(name, w.Val, depth+1)
			continue
		}
		switch text := bytes.TrimSpace(w.Text(&f.scratch)); {
		case len(text) == 0:
		case text[0] == '{': // a policy, as text
			f.inside(nil, scan.Value(text), depth+1)
		default:
			f.named(name, text)
		}
	}
}

// named takes the value of a parameter that names whom a call lets in.
func (f *shareFinder) named(key, text []byte) {
	switch string(key) {
	case "userId", "valuesToAdd", "principal", "principals", "granteePrincipal", "Account", "accountWithRestoreAccess",
		"aWSAccountId", "aWSAccountIds", "accountIdsToAdd", "organizationArn", "organizationalUnitArn", "dataLakePrincipalIdentifier",
		"TargetAccounts", "targetAccountIds", "userIds", "registryId", "s3BucketOwner", "expectedBucketOwner":
		f.principal(text)
	case "group", "userGroups":
		if string(text) == "all" {
			f.add(everyone)
		}
	case "URI", "x-amz-grant-read", "x-amz-grant-full-control", "x-amz-grant-read-acp", "x-amz-grant-write-acp":
		if bytes.Contains(text, []byte("/groups/global/AllUsers")) || bytes.Contains(text, []byte("/groups/global/AuthenticatedUsers")) {
			f.add(everyone)
		}
	case "x-amz-acl":
		switch string(text) {
		case "public-read", "public-read-write", "authenticated-read":
			f.add(everyone)
		}
	}
}

// principal takes one whom AWS calls a principal: * or all, an account, or the ARN of
// something in an account. Services have no account.
func (f *shareFinder) principal(text []byte) {
	if string(text) == "*" || string(text) == "all" || string(text) == "arn:aws:iam::*:root" {
		f.add(everyone)
		return
	}
	if bytes.HasPrefix(text, []byte("arn:")) {
		for range 4 {
			_, text, _ = bytes.Cut(text, []byte{':'})
		}
		text, _, _ = bytes.Cut(text, []byte{':'})
	}
	if len(text) == 12 && !slices.ContainsFunc(text, func(c byte) bool { return c-'0' > 9 }) && !bytes.Equal(text, f.own) {
		f.add(text)
	}
}

func (f *shareFinder) add(who []byte) { f.found = append(f.found, who) }

// A statement is one of a policy.
type statement struct {
	effect     []byte
	principals [][]byte
	except     bool // all but the principals
	gives      bool // some action lets others read, or act as they like
	limits     bool // a condition keeps strangers out
	limitedTo  [][]byte
}

// statements takes those whom the statements of a policy allow.
func (f *shareFinder) statements(v scan.Value, depth int) {
	if v.Is('[') {
		var w scan.Walker
		for w.Open(v); w.Next(); {
			if w.Val.Is('{') {
				f.statements(w.Val, depth)
			}
		}
		return
	}
	var s statement
	var w scan.Walker
	for w.Open(v); w.Next(); {
		switch string(w.Key) {
		case "Effect":
			s.effect = w.Text(&f.scratch)
		case "Principal", "NotPrincipal":
			s.except = string(w.Key) == "NotPrincipal"
			if !w.Val.Is('{') {
				s.principals = f.texts(w.Val)
				continue
			}
			var of scan.Walker
			for of.Open(w.Val); of.Next(); {
				if string(of.Key) == "AWS" || string(of.Key) == "*" {
					s.principals = append(s.principals, f.texts(of.Val)...)
				}
			}
		case "Action":
			s.gives = slices.ContainsFunc(f.texts(w.Val), func(action []byte) bool { return !onlyTakes[string(action)] })
		case "NotAction":
			s.gives = true
		case "Condition":
			f.conditions(w.Val, &s)
		}
	}
	if string(s.effect) != "Allow" {
		return
	}
	for _, p := range s.principals {
		all := s.except || string(p) == "*"
		switch {
		case all && s.limits: // to those whom the condition names
			for _, who := range s.limitedTo {
				f.principal(who)
			}
		case all:
			f.add(everyone)
		case s.gives:
			f.principal(p)
		}
	}
}

// onlyTakes has actions by which others put something into a resource. An account that
// is allowed no more gets nothing: load balancers of AWS write their logs like this.
var onlyTakes = map[string]bool{"s3:PutObject": true, "s3:PutObjectAcl": true, "s3:AbortMultipartUpload": true, "sns:Publish": true,
	"sqs:SendMessage": true, "events:PutEvents": true, "logs:PutLogEvents": true, "logs:CreateLogStream": true}

// limiting has the keys of conditions, in lower case, that keep strangers out.
var limiting = map[string]bool{"aws:principalorgid": true, "aws:principalorgpaths": true, "aws:principalaccount": true, "aws:principalarn": true,
	"aws:sourceaccount": true, "aws:sourcearn": true, "aws:sourceorgid": true, "aws:sourceorgpaths": true, "aws:sourceowner": true,
	"aws:sourcevpc": true, "aws:sourcevpce": true, "aws:sourceip": true, "aws:vpcsourceip": true, "aws:userid": true, "aws:username": true,
	"kms:calleraccount": true, "s3:dataaccesspointaccount": true, "s3:dataaccesspointarn": true}

// conditions reads whom a statement's conditions keep out. Only those that ask for a value
// do: IfExists lets in who has none, and a negation all but some.
func (f *shareFinder) conditions(v scan.Value, s *statement) {
	var op, key scan.Walker
	for op.Open(v); op.Next(); {
		asks := bytes.HasSuffix(op.Key, []byte("Equals")) || bytes.HasSuffix(op.Key, []byte("EqualsIgnoreCase")) || bytes.HasSuffix(op.Key, []byte("Like")) ||
			bytes.HasSuffix(op.Key, []byte("IpAddress"))
		if !asks || bytes.Contains(op.Key, []byte("Not")) || bytes.HasPrefix(op.Key, []byte("ForAllValues")) {
			continue
		}
		for key.Open(op.Val); key.Next(); {
			if !limiting[string(bytes.ToLower(key.Key))] {
				continue
			}
			values := f.texts(key.Val)
			if slices.ContainsFunc(values, func(v []byte) bool { return string(v) == "*" || string(v) == "0.0.0.0/0" || string(v) == "::/0" }) {
				continue
			}
			s.limits = true
			s.limitedTo = append(s.limitedTo, values...)
		}
	}
}

// texts returns a text, or those in an array.
func (f *shareFinder) texts(v scan.Value) (out [][]byte) {
	if !v.Is('[') {
		if text := v.Text(&f.scratch); text != nil {
			out = append(out, text)
		}
		return out
	}
	var w scan.Walker
	for w.Open(v); w.Next(); {
		if text := w.Text(&f.scratch); text != nil {
			out = append(out, text)
		}
	}
	return out
}
