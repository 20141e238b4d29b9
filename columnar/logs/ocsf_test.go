package logs

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"outflow/columnar"
)

// The OCSF form of an event, as Security Lake has it, gives the row that the log itself gives:
// who looks for a person or an address finds the events of both under one name.
func TestOCSFPairs(t *testing.T) {
	const flowFields = "version account-id interface-id instance-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status flow-direction\n"
	for _, c := range []struct {
		name, raw, ocsf string
		table           *columnar.Table
	}{
		{"upload", `{"eventVersion":"1.08","eventTime":"2026-11-20T00:00:00Z","eventSource":"s3.amazonaws.com","eventName":"PutObject","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.5","userAgent":"[aws-cli/2]","eventID":"p1","userIdentity":{"type":"IAMUser","userName":"mira","arn":"arn:aws:iam::444455556666:user/mira","accountId":"444455556666","principalId":"AIDA1234567890ABCDEF"},"requestParameters":{"bucketName":"drop","key":"a/b.zip"},"additionalEventData":{"bytesTransferredIn":81000,"bytesTransferredOut":0},"resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::drop/a/b.zip"}]}`,
			`{"class_uid":6003,"time":1795132800000,"metadata":{"uid":"p1","version":"1.1.0","product":{"name":"CloudTrail"}},"api":{"operation":"PutObject","service":{"name":"s3.amazonaws.com"},"request":{"data":"{\"bucketName\":\"drop\",\"key\":\"a/b.zip\"}"}},"actor":{"user":{"type":"IAMUser","name":"mira","uid":"arn:aws:iam::444455556666:user/mira","uid_alt":"AIDA1234567890ABCDEF","account":{"uid":"444455556666"}}},"src_endpoint":{"ip":"203.0.113.5"},"http_request":{"user_agent":"aws-cli/2"},"status":"Success","cloud":{"account":{"uid":"111122223333"}},"unmapped":{"additionalEventData.bytesTransferredIn":"81000","additionalEventData.bytesTransferredOut":"0"}}`,
			columnar.API},
		{"refused", `{"eventVersion":"1.08","eventTime":"2026-11-20T00:00:01Z","eventSource":"secretsmanager.amazonaws.com","eventName":"GetSecretValue","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.6","eventID":"p2","errorCode":"AccessDenied","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::444455556666:assumed-role/Ops/tom","accountId":"444455556666","principalId":"AROA1234567890ABCDEF:tom"},"requestParameters":{"secretId":"db/prod"}}`,
			`{"class_uid":6003,"time":1795132801000,"metadata":{"uid":"p2","version":"1.1.0","product":{"name":"CloudTrail"}},"api":{"operation":"GetSecretValue","service":{"name":"secretsmanager.amazonaws.com"},"request":{"data":"{\"secretId\":\"db/prod\"}"},"response":{"error":"AccessDenied"}},"actor":{"user":{"type":"AssumedRole","uid":"arn:aws:sts::444455556666:assumed-role/Ops/tom","uid_alt":"AROA1234567890ABCDEF:tom","account":{"uid":"444455556666"}}},"src_endpoint":{"ip":"203.0.113.6"},"status":"Failure"}`,
			columnar.API},
		{"fleeting session", `{"eventVersion":"1.08","eventTime":"2026-11-20T00:00:02Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.7","eventID":"p3","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::444455556666:assumed-role/Build/botocore-session-1795132000","accountId":"444455556666"},"requestParameters":{"userName":"temp"}}`,
			`{"class_uid":3001,"time":1795132802000,"metadata":{"uid":"p3","version":"1.0.0-rc.2","product":{"name":"CloudTrail"}},"api":{"operation":"CreateUser","service":{"name":"iam.amazonaws.com"}},"actor":{"user":{"type":"AssumedRole","uid":"AROA1234567890ABCDEF:botocore-session-1795132000","uuid":"arn:aws:sts::444455556666:assumed-role/Build/botocore-session-1795132000","account_uid":"444455556666"}},"user":{"name":"temp"},"src_endpoint":{"ip":"203.0.113.7"},"status":"Success"}`,
			columnar.API},
		{"inbound flow", flowFields + "5 444455556666 eni-0b i-0a1 198.51.100.9 10.2.0.4 443 50123 6 3 900 1795132803 1795132860 ACCEPT OK ingress",
			`{"class_uid":4001,"time":1795132803000,"metadata":{"version":"1.1.0","product":{"name":"Amazon VPC"}},"src_endpoint":{"ip":"198.51.100.9","port":443},"dst_endpoint":{"ip":"10.2.0.4","port":50123,"instance_uid":"i-0a1","interface_uid":"eni-0b"},"connection_info":{"direction_id":1,"protocol_num":6},"traffic":{"bytes":900,"packets":3},"action":"Allowed","cloud":{"account":{"uid":"444455556666"}}}`,
			columnar.Network},
		{"outbound flow", flowFields + "5 444455556666 eni-0b - 10.2.0.4 198.51.100.9 50123 443 17 3 70000 1795132804 1795132860 REJECT OK egress",
			`{"class_uid":4001,"time":1795132804000,"metadata":{"version":"1.0.0-rc.2"},"src_endpoint":{"ip":"10.2.0.4","port":50123,"instance_uid":"-","interface_uid":"eni-0b"},"dst_endpoint":{"ip":"198.51.100.9","port":443},"connection_info":{"direction_id":2,"protocol_num":17},"traffic":{"bytes":70000},"disposition":"Blocked","cloud":{"account_uid":"444455556666"}}`,
			columnar.Network},
		{"lookup", `{"version":"1.100000","account_id":"444455556666","region":"eu-west-1","vpc_id":"vpc-1","query_timestamp":"2026-11-20T00:00:05Z","query_name":"Up.Example.net.","query_type":"TXT","query_class":"IN","rcode":"NXDOMAIN","answers":[],"srcaddr":"10.2.0.5","srcport":"5353","transport":"UDP"}`,
			`{"class_uid":4003,"time":1795132805000,"metadata":{"version":"1.1.0","product":{"name":"Route 53"}},"query":{"hostname":"Up.Example.net.","type":"TXT","class":"IN"},"rcode":"NXDomain","rcode_id":3,"src_endpoint":{"ip":"10.2.0.5","port":5353},"cloud":{"account":{"uid":"444455556666"}}}`,
			columnar.DNS},
	} {
		raw, _ := readObject(t, []byte(c.raw+"\n"))
		ocsf, members := readObject(t, []byte(c.ocsf+"\n"))
		if f := members[0].Format; f.Name != "ocsf" || raw.rows != 1 || ocsf.rows != 1 {
			t.Errorf("%s: %s gives %d rows, the log %d, want 1 of ocsf each", c.name, f.Name, ocsf.rows, raw.rows)
			continue
		}
		if d := cmp.Diff(raw.tables[c.table.ID].Cells, ocsf.tables[c.table.ID].Cells); d != "" {
			t.Errorf("%s (-log +OCSF):\n%s", c.name, d)
		}
	}
}
