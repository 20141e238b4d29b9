package logs

import (
	"cmp"
	"regexp"
	"strings"
	"testing"

	"outflow/columnar"
	"outflow/columnar/scan"
)

var (
	slowAddress  = regexp.MustCompile(`^[0-9a-fA-F.:]*[.:][0-9a-fA-F.:]*$`)
	slowRole     = regexp.MustCompile(`:assumed-role/([^/]*)(?:/((?s).*))?`)
	slowFleeting = regexp.MustCompile(`(?i)([0-9]{10}|[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)
)

func slowCloudTrail(e map[string]any) (rows []slowRow, skip bool) {
	text := func(key string) string { // names of fields fit in any case
		for k, v := range e {
			if k != key && strings.EqualFold(k, key) && slowText(e[key]) == "" {
				return slowText(v)
			}
		}
		return slowText(e[key])
	}
	if _, digest := e["digestEndTime"]; digest {
		return nil, false
	}
	owner, caller := cmp.Or(text("vpcEndpointAccountId"), text("recipientAccountId")), slowAccount(slowObject(e["userIdentity"]))
	switch foreign := owner != "" && caller != "" && owner != caller; {
	case text("eventCategory") == "Insight", text("eventType") == "AwsCloudTrailInsight":
		return nil, false
	case !foreign && (text("eventCategory") == "NetworkActivity" || text("eventType") == "AwsVpceEvent"):
		return nil, false
	}
	var clock scan.Clock
	us, timeOK := clock.ISO([]byte(text("eventTime")))
	bytesOut, ok1 := slowCount(slowObject(e["additionalEventData"])["bytesTransferredIn"])
	bytesIn, ok2 := slowCount(slowObject(e["additionalEventData"])["bytesTransferredOut"])
	if !ok1 {
		bytesOut = ""
	}
	if !ok2 {
		bytesIn = ""
	}
	if text("eventName") == "" || !timeOK {
		return nil, true
	}
	status := text("errorCode")
	if status == "" && text("errorMessage") != "" {
		status = "Failure"
	}
	if status == "" {
		status = "Success"
	} else {
		bytesOut, bytesIn = "", ""
	}
	address := text("sourceIPAddress")
	if !slowAddress.MatchString(address) {
		address = ""
	}
	agent := text("userAgent")
	if len(agent) > 1 && strings.HasPrefix(agent, "[") && strings.HasSuffix(agent, "]") {
		agent = agent[1 : len(agent)-1]
	}
	return []slowRow{{columnar.API, map[columnar.Col]string{
		columnar.Time: slowTime(us), columnar.User: slowUser(slowObject(e["userIdentity"])), columnar.SrcIP: address,
		columnar.Account: slowAccount(slowObject(e["userIdentity"])),
		columnar.Service: strings.TrimSuffix(text("eventSource"), ".amazonaws.com"), columnar.Operation: text("eventName"),
		columnar.Resource: slowResource(e), columnar.Status: status, columnar.UserAgent: agent,
		columnar.BytesOut: bytesOut, columnar.BytesIn: bytesIn, columnar.EventUID: cmp.Or(text("sharedEventID"), text("eventID")),
	}}}, false
}

func slowAccount(id map[string]any) string {
	account := slowText(id["accountId"])
	if parts := strings.Split(slowText(id["arn"]), ":"); account == "" && len(parts) > 4 {
		account = parts[4]
	}
	if account == "ANONYMOUS_PRINCIPAL" || account == "anonymous" || slowText(id["type"]) == "IdentityCenterUser" {
		return ""
	}
	return account
}

func slowUser(id map[string]any) string {
	text := func(key string) string { return slowText(id[key]) }
	last := func(s, sep string) string { return s[strings.LastIndex(s, sep)+1:] }
	switch text("type") {
	case "Root":
		return "root"
	case "AWSService":
		return text("invokedBy")
	case "IdentityCenterUser":
		if user := slowText(slowObject(id["onBehalfOf"])["userId"]); user != "" {
			return user
		}
	case "FederatedUser":
		if name := last(text("arn"), "/"); name != "" {
			return name
		}
	case "AWSAccount":
		account := text("accountId")
		switch {
		case account == "" || account == "ANONYMOUS_PRINCIPAL" || account == "anonymous":
			return ""
		case text("principalId") == "":
			return account
		}
		return account + "/" + last(text("principalId"), ":")
	case "AssumedRole":
		var role, session string
		if m := slowRole.FindStringSubmatch(text("arn")); m != nil {
			role, session = m[1], m[2]
		}
		if session == "" && strings.Contains(text("principalId"), ":") {
			session = last(text("principalId"), ":")
		}
		if issuer := slowText(slowObject(slowObject(id["sessionContext"])["sessionIssuer"])["userName"]); issuer != "" {
			role = issuer
		}
		switch {
		case role != "" && (session == "" || slowFleeting.MatchString(session)):
			return role
		case role != "":
			return role + "/" + session
		case session != "":
			return session
		}
	}
	switch {
	case text("userName") != "":
		return text("userName")
	case text("arn") != "":
		return last(text("arn"), "/")
	}
	return last(text("principalId"), ":")
}

func slowResource(e map[string]any) string {
	parameters := slowObject(e["requestParameters"])
	if bucket := slowText(parameters["bucketName"]); bucket != "" {
		if key := slowText(parameters["key"]); key != "" {
			return bucketARN + bucket + "/" + key
		}
		return bucketARN + bucket
	}
	resources, _ := e["resources"].([]any)
	for _, r := range resources {
		if arn := slowText(slowObject(r)["ARN"]); arn != "" {
			return arn
		}
	}
	for _, name := range cloudTrailObjects {
		if text := slowText(parameters[name]); text != "" {
			return text
		}
	}
	return ""
}

func TestCloudTrailSlow(t *testing.T) {
	checkSlow(t, CloudTrail, slowCloudTrail, jsonLinesOf(t, CloudTrail))
}

// FuzzCloudTrail compares the decoder with a simple one that uses encoding/json.
func FuzzCloudTrail(f *testing.F) {
	addLines(f, CloudTrail)
	f.Fuzz(func(t *testing.T, in []byte) { checkSlow(t, CloudTrail, slowCloudTrail, in) })
}

func TestIsFleeting(t *testing.T) {
	for name, want := range map[string]bool{
		"botocore-session-1763596800":                       true,
		"aws-go-sdk-1722455550269043000":                    true,
		"0123456789abcdef0123456789abcdef":                  true,
		"3F2504E0-4F89-41D3-9A0C-0305E82C3301":              true,
		"AWSCodeBuild-3f2504e0-4f89-41d3-9a0c-0305e82c3301": true,
		"alice":               false,
		"alice@example.com":   false,
		"i-0abc1234def56789a": false,
		"my-lambda-v2":        false,
		"feed-face-dead-beef": false,
		"":                    false,
	} {
		if got := isFleeting([]byte(name)); got != want {
			t.Errorf("isFleeting(%q): got %v, want %v", name, got, want)
		}
	}
}
