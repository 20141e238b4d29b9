package reports

import (
	"math"

	"outflow/stats/detect"
)

// beaconColumns are those of beacons.csv. A pair with fewer than 24 intervals has no
// severity: only its RITA score says that it may be a beacon.
var beaconColumns = []csvColumn[detect.Beacon]{
	{"day", func(b []byte, c *detect.Beacon) []byte { return appendDay(b, c.Day) }},
	{"feed", func(b []byte, c *detect.Beacon) []byte { return appendText(b, c.Feed) }},
	{"entity_type", func(b []byte, c *detect.Beacon) []byte { return appendText(b, c.EntityType) }},
	{"entity", func(b []byte, c *detect.Beacon) []byte { return appendText(b, c.Who()) }},
	{"destination", func(b []byte, c *detect.Beacon) []byte { return appendText(b, c.Object) }},
	{"severity", func(b []byte, c *detect.Beacon) []byte {
		if !c.Regular {
			return b
		}
		return append(b, c.Severity.String()...)
	}},
	{"label", func(b []byte, c *detect.Beacon) []byte { return appendText(b, c.Label) }},
	{"signs", func(b []byte, c *detect.Beacon) []byte { return appendList(b, c.Signs) }},
	{"period", func(b []byte, c *detect.Beacon) []byte { return appendRounded(b, c.Period, 10) }},
	{"jitter", func(b []byte, c *detect.Beacon) []byte { return appendRounded(b, c.Jitter, 1000) }},
	{"dispersion", func(b []byte, c *detect.Beacon) []byte { return appendRounded(b, c.Dispersion, 1000) }},
	{"intervals", func(b []byte, c *detect.Beacon) []byte { return appendInteger(b, int64(c.Intervals)) }},
	{"days", func(b []byte, c *detect.Beacon) []byte { return appendInteger(b, int64(c.Days)) }},
	{"autocorrelation", func(b []byte, c *detect.Beacon) []byte { return appendRounded(b, c.Echo, 1000) }},
	{"beats", func(b []byte, c *detect.Beacon) []byte { return appendInteger(b, c.Beats) }},
	{"beat_bytes_out", func(b []byte, c *detect.Beacon) []byte { return appendRounded(b, c.BeatBytes, 1) }},
	{"hours", func(b []byte, c *detect.Beacon) []byte { return appendInteger(b, int64(c.HoursActive())) }},
	{"rita_ts", func(b []byte, c *detect.Beacon) []byte { return appendRounded(b, c.Rita.TS, 1000) }},
	{"rita_ds", func(b []byte, c *detect.Beacon) []byte { return appendRounded(b, c.Rita.DS, 1000) }},
	{"rita_hist", func(b []byte, c *detect.Beacon) []byte { return appendRounded(b, c.Rita.Hist, 1000) }},
	{"rita_dur", func(b []byte, c *detect.Beacon) []byte { return appendRounded(b, c.Rita.Dur, 1000) }},
	{"rita_score", func(b []byte, c *detect.Beacon) []byte { return appendRounded(b, c.Rita.Mean, 1000) }},
	{"pollers", func(b []byte, c *detect.Beacon) []byte { return appendInteger(b, int64(c.Pollers)) }},
	{"sources", func(b []byte, c *detect.Beacon) []byte { return appendInteger(b, int64(c.Sources)) }},
	{"dst_port", func(b []byte, c *detect.Beacon) []byte {
		if c.Port <= 0 {
			return b
		}
		return appendInteger(b, c.Port)
	}},
	{"events", func(b []byte, c *detect.Beacon) []byte { return appendInteger(b, c.Events) }},
	{"bytes_out", func(b []byte, c *detect.Beacon) []byte { return appendInteger(b, c.BytesOut) }},
	{"bytes_in", func(b []byte, c *detect.Beacon) []byte { return appendInteger(b, c.BytesIn) }},
	{"blocked", func(b []byte, c *detect.Beacon) []byte { return appendInteger(b, c.Blocked) }},
	{"first_seen", func(b []byte, c *detect.Beacon) []byte { return appendSeen(b, c.First) }},
	{"last_seen", func(b []byte, c *detect.Beacon) []byte { return appendSeen(b, c.Last) }},
	{"evidence", func(b []byte, c *detect.Beacon) []byte { return appendText(b, c.Evidence) }},
}

// appendRounded appends f rounded to a fraction of 1.
func appendRounded(b []byte, f, fraction float64) []byte {
	return appendFloat(b, math.Round(f*fraction)/fraction)
}
