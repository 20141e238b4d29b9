package reports

import (
	"fmt"
	"slices"
	"strings"

	"outflow/stats/detect"
)

// This file writes queries with which an analyst follows a finding in other tools.

// A query is a text to copy into a tool.
type query struct {
	Tool string
	Text string
}

// maxQueryName is how long a name in a query may be, in characters. Longer texts are
// no names, and a cut one would match nothing.
const maxQueryName = 200

// queries returns the queries about a finding, outflow's own first. The flags are a Report's.
func queries(f *detect.Finding, flags []string) []query {
	uid, _ := cut(f.UID, maxName)
	out := []query{{"outflow", strings.Join(slices.Concat([]string{"outflow", "show"}, flags, []string{uid}), " ")}}
	who, long := cut(f.Who(), maxQueryName)
	object := f.Object
	if isRule(f) {
		object = detect.RuleHost(f)
	}
	object, longer := cut(object, maxQueryName)
	if long || longer || who == "" {
		return out
	}
	return append(out, query{"DuckDB, in the folder of this page", duckDB(f)},
		query{"KQL (Sentinel, ASIM)", kql(f, who, object)},
		query{"SPL (Splunk)", spl(f, who, object)})
}

// duckDB lists the findings of the entity on all nights whose reports lie beside this
// one.
func duckDB(f *detect.Finding) string {
	name := "'" + strings.ReplaceAll(text(f.Who()), "'", "''") + "'"
	return "SELECT day, severity, detection, object, bytes_out, why\n" +
		"FROM read_csv('../*/findings.csv', union_by_name = true)\n" +
		"WHERE " + name + " IN (entity, person) ORDER BY day;"
}

// quoted writes a text in double quotes, as KQL and SPL have it.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func kql(f *detect.Finding, who, object string) string {
	const layout = "2006-01-02T15:04:05Z"
	table, after := "_Im_WebSession", "summarize Sent=sum(SrcBytes), Requests=count() by SrcIpAddr, Url"
	column := map[string]string{"user": "SrcUsername", "src_ip": "SrcIpAddr", "host": "SrcHostname"}[f.EntityType]
	place := "Url has "
	switch {
	case f.Summary.NameBytes > 0:
		table, place = "_Im_Dns", "DnsQuery endswith "
		after = "summarize Queries=count(), Names=dcount(DnsQuery) by bin(TimeGenerated, 1m)"
	case ofProgram(f):
		table, object = "_Im_ProcessCreate", program(f)
		column = map[string]string{"user": "ActorUsername", "src_ip": "SrcIpAddr", "host": "DvcHostname"}[f.EntityType]
		place = "TargetProcessName has "
		after = "project TimeGenerated, DvcHostname, ActorUsername, CommandLine, ParentProcessName"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s(starttime=datetime(%s), endtime=datetime(%s))\n", table, utc(f.Window[0]).Format(layout), utc(f.Window[1]).Format(layout))
	if column != "" {
		fmt.Fprintf(&b, "| where %s =~ %s\n", column, quoted(who))
	}
	if object != "" {
		fmt.Fprintf(&b, "| where %s%s\n", place, quoted(object))
	}
	b.WriteString("| " + after)
	return b.String()
}

func spl(f *detect.Finding, who, object string) string {
	tag, after := "(tag=web OR tag=network)", "stats sum(bytes_out) AS sent count BY src user dest"
	column := map[string]string{"user": "user", "src_ip": "src", "host": "src"}[f.EntityType]
	switch {
	case f.Summary.NameBytes > 0:
		tag, after = "tag=dns", "timechart span=1m count dc(query) AS names"
		object = "query=" + quoted("*"+object)
	case ofProgram(f):
		tag, after = "tag=process", "table _time dest user parent_process process"
		if f.EntityType == "host" {
			column = "dest"
		}
		object = "process=" + quoted("*"+program(f)+"*")
	case object != "":
		object = quoted(object)
	}
	search := []string{"index=*", fmt.Sprintf("earliest=%d latest=%d", f.Window[0]/1e6, f.Window[1]/1e6), tag}
	if column != "" {
		search = append(search, column+"="+quoted(who))
	}
	if object != "" {
		search = append(search, object)
	}
	return strings.Join(search, " ") + "\n| " + after
}

// ofProgram reports whether a finding is about a program that was started.
func ofProgram(f *detect.Finding) bool { return isRule(f) && f.Stage() == detect.Tool }

// program returns the file name of the program that a rule matched.
func program(f *detect.Finding) string {
	_, what := detect.RuleMatch(f.Key)
	what, _ = cut(what, maxQueryName)
	return what[strings.LastIndexAny(what, `/\`)+1:]
}
