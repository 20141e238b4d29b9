package reports

import (
	"strings"

	"outflow/stats/detect"
)

// topUploads is the number of uploads in cloud_uploads.csv. With fewer, an upload
// that stands out could be hidden by a company's shares and backups. Larger sets
// are what cloud_upload judges.
const topUploads = 20

// A cloudUpload is what an entity sent to one destination on one day.
type cloudUpload struct {
	detect.Row
	service detect.CloudService
	path    string // the start of the path with the most bytes, "" if no log has paths
	most    int64  // bytes sent to that path
}

// cloudUploads returns the days, entities and destinations with the most bytes to
// cloud storage and file sharing, the largest first.
func cloudUploads(r *Report) ([]cloudUpload, error) {
	all := top[cloudUpload]{size: topUploads, by: func(u *cloudUpload) int64 { return u.BytesOut }}
	if r.Destinations != nil {
		for row, err := range r.Destinations {
			if err != nil {
				return nil, err
			}
			service, _ := detect.CloudHost([]byte(row.Object))
			if u := (cloudUpload{Row: *row, service: service}); row.KnownOut > 0 && all.takes(&u) {
				all.add(u)
			}
		}
	}
	if r.Matches == nil || len(all.rows) == 0 {
		return all.rows, nil
	}
	type place struct {
		day detect.Day
		key detect.Key
	}
	at := map[place]*cloudUpload{}
	for i := range all.rows {
		u := &all.rows[i]
		at[place{u.Day, u.Key}] = u
	}
	for row, err := range r.Matches {
		if err != nil {
			return nil, err
		}
		rule, what := detect.RuleMatch(row.Key)
		host, path, found := strings.Cut(what, "/")
		if rule != "cloud_put" || !found {
			continue
		}
		key := row.Key
		key.Object = host
		if u := at[place{row.Day, key}]; u != nil && (u.path == "" || row.BytesOut > u.most) {
			u.path, u.most = "/"+path, row.BytesOut
		}
	}
	return all.rows, nil
}

var cloudUploadColumns = []csvColumn[cloudUpload]{
	{"day", func(b []byte, u *cloudUpload) []byte { return appendDay(b, u.Day) }},
	{"feed", func(b []byte, u *cloudUpload) []byte { return appendText(b, u.Feed) }},
	{"entity_type", func(b []byte, u *cloudUpload) []byte { return appendText(b, u.EntityType) }},
	{"entity", func(b []byte, u *cloudUpload) []byte { return appendText(b, u.Who()) }},
	{"destination", func(b []byte, u *cloudUpload) []byte { return appendText(b, u.Object) }},
	{"service", func(b []byte, u *cloudUpload) []byte { return appendText(b, u.service.Name) }},
	{"url_path", func(b []byte, u *cloudUpload) []byte { return appendText(b, u.path) }},
	{"events", func(b []byte, u *cloudUpload) []byte { return appendInteger(b, u.Events) }},
	{"bytes_out", func(b []byte, u *cloudUpload) []byte { return appendInteger(b, u.BytesOut) }},
	{"peak_out", func(b []byte, u *cloudUpload) []byte { return appendInteger(b, u.PeakOut) }},
	{"peak_at", func(b []byte, u *cloudUpload) []byte { return appendSeen(b, u.PeakTime) }},
	{"first_seen", func(b []byte, u *cloudUpload) []byte { return appendSeen(b, u.First) }},
	{"last_seen", func(b []byte, u *cloudUpload) []byte { return appendSeen(b, u.Last) }},
	{"evidence", func(b []byte, u *cloudUpload) []byte { return appendText(b, u.Evidence) }},
}
