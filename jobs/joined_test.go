package jobs

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// webUploads writes the proxy log of a day of March: a small upload by ann, and 3 GB to a
// file sharing service if she takes data.
func (s *site) webUploads(day int, takes bool) {
	date := fmt.Sprintf("2026-03-%02d", day)
	log := "time,user,src_ip,method,url_host,bytes_out,bytes_in\n" +
		fmt.Sprintf("%sT10:00:00Z,ann,10.0.0.7,POST,intranet.example,12%02d000,900000\n", date, day)
	if takes {
		log += date + "T12:00:00Z,ann,10.0.0.7,POST,up.gofile.io,3000000000,4000\n"
	}
	s.write("logs/"+date+"/proxy.csv", []byte(log))
}

// If this fails, the days of findings that were joined with others train the baselines,
// so that a theft on the next night is what is usual.
func TestJoinedDaysDoNotTrain(t *testing.T) {
	s := newSite(t, datedURI)
	for day := 9; day <= 22; day++ {
		s.webUploads(day, day >= 20)
	}
	for i, day := range []int{20, 21, 22} {
		s.run(day)
		out := filepath.Join(s.dir, fmt.Sprintf("out/nightly/2026-03-%02d", day))
		found := readCSV(t, filepath.Join(out, "findings.csv"))
		if len(found) != 1 {
			t.Fatalf("the %dth: got %d findings, want one", day, len(found))
		}
		f := found[0]
		by := strings.Join([]string{f["detection"], f["also"]}, ";")
		for _, d := range []string{"upload_zscore", "upload_ratio", "cloud_upload"} {
			if !strings.Contains(by, d) {
				t.Errorf("the %dth, night %d of the theft: found by %s, want also %s", day, i+1, by, d)
			}
		}
		for _, r := range readCSV(t, filepath.Join(out, "user_day.csv")) {
			if r["baseline_days"] != "11" {
				t.Errorf("the %dth: got a baseline of %s days, want the 11 before the theft", day, r["baseline_days"])
			}
		}
	}
}
