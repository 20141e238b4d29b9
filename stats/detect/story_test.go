package detect

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// If this fails, a card tells of the upload before the archive that was uploaded.
func TestStoryOrder(t *testing.T) {
	rule := func(object, technique string, first int64) Finding {
		return Finding{Detection: "sigma_rule", Day: 10, Technique: technique, Key: Key{Object: object}, Summary: Summary{First: first}}
	}
	want := []Finding{
		{Detection: "bulk_download", Verdict: downloadVerdict, Day: 10, Technique: "T1530", Summary: Summary{First: 90}},
		rule(`archive_made: C:\Program Files\7-Zip\7z.exe`, "T1560.001", 95),
		rule(`archive_then_upload: within 1h`, "T1567.002", 20),
		rule(`rclone: /usr/bin/rclone`, "T1567.002", 60),
		rule(`curl_upload: C:\Windows\System32\curl.exe`, "T1048", 70),
		{Detection: "upload_zscore", Verdict: uploadVerdict, Day: 10, Technique: "T1567.002", Summary: Summary{First: 5}},
		rule(`webhook: discord.com/api/webhooks/1`, "T1567.004", 6),
		{Detection: "dns_information", Verdict: dnsTunnel, Day: 10, Technique: "T1048.003", Summary: Summary{First: 7}},
		rule(`m365_link: Plans.zip`, "T1537", 1),
		{Detection: "upload_ratio", Verdict: uploadVerdict, Day: 11, Technique: "T1567", Summary: Summary{First: 1}},
	}
	r := rand.New(rand.NewPCG(3, 1))
	for range 20 {
		got := slices.Clone(want)
		r.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		slices.SortFunc(got, func(a, b Finding) int { return StoryOrder(&a, &b) })
		for i := range got {
			if got[i].Detection != want[i].Detection || got[i].Object != want[i].Object {
				t.Fatalf("place %d: got %s %s, want %s %s", i, got[i].Detection, got[i].Object, want[i].Detection, want[i].Object)
			}
		}
	}
}
