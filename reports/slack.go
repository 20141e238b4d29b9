package reports

import (
	"slices"
	"strings"

	"outflow/stats/detect"
)

// maxSlack is the largest number of rows in slack.csv. Nobody reads that many, and
// the rows are held in memory because they are sorted.
const maxSlack = 1000

// slackRules are the rules whose matches are calls of Slack's API.
var slackRules = []string{"slack_message", "slack_upload", "seed_slack"}

// slackCalls returns the calls of Slack's API by day, client, host and method, the
// most frequent first.
func slackCalls(r *Report) ([]detect.Row, error) {
	if r.Matches == nil {
		return nil, nil
	}
	most := top[detect.Row]{size: maxSlack, by: func(c *detect.Row) int64 { return c.Events }}
	var sum detect.Row // of consecutive rows with the same method
	finish := func() {
		if sum.Events > 0 && most.takes(&sum) {
			most.add(sum)
		}
	}
	for row, err := range r.Matches {
		if err != nil {
			return nil, err
		}
		if rule, _ := detect.RuleMatch(row.Key); !slices.Contains(slackRules, rule) {
			continue
		}
		if !sameCall(&sum, row) {
			finish()
			sum = *row
			continue
		}
		sum.Summary = sum.Summary.Merge(row.Summary)
	}
	finish()
	return most.rows, nil
}

func sameCall(a, b *detect.Row) bool {
	keyA, keyB := a.Key, b.Key
	keyA.Object, keyB.Object = "", ""
	hostA, methodA := slackCall(a)
	hostB, methodB := slackCall(b)
	return a.Day == b.Day && keyA == keyB && hostA == hostB && methodA == methodB
}

// slackCall returns the host that was called, and the method: the part of the path
// after /api/. A file is sent to a new address each time; all of these count as the
// method upload.
func slackCall(c *detect.Row) (host, method string) {
	_, what := detect.RuleMatch(c.Key)
	host, path, _ := strings.Cut(what, "/")
	if strings.HasPrefix(path, "upload/") {
		return host, "upload"
	}
	return host, strings.TrimPrefix(path, "api/")
}

var slackColumns = []csvColumn[detect.Row]{
	{"day", func(b []byte, c *detect.Row) []byte { return appendDay(b, c.Day) }},
	{"feed", func(b []byte, c *detect.Row) []byte { return appendText(b, c.Feed) }},
	{"entity_type", func(b []byte, c *detect.Row) []byte { return appendText(b, c.EntityType) }},
	{"entity", func(b []byte, c *detect.Row) []byte { return appendText(b, c.Who()) }},
	{"url_host", func(b []byte, c *detect.Row) []byte {
		host, _ := slackCall(c)
		return appendText(b, host)
	}},
	{"operation", func(b []byte, c *detect.Row) []byte {
		_, method := slackCall(c)
		return appendText(b, method)
	}},
	{"events", func(b []byte, c *detect.Row) []byte { return appendInteger(b, c.Events) }},
	{"bytes_out", func(b []byte, c *detect.Row) []byte { return appendInteger(b, c.BytesOut) }},
	{"bytes_in", func(b []byte, c *detect.Row) []byte { return appendInteger(b, c.BytesIn) }},
	{"first_seen", func(b []byte, c *detect.Row) []byte { return appendSeen(b, c.First) }},
	{"last_seen", func(b []byte, c *detect.Row) []byte { return appendSeen(b, c.Last) }},
}
