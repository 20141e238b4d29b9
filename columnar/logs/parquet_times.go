package logs

import (
	"math"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"outflow/columnar/scan"
)

// Times of a Parquet log, whose unit the file tells or the values do.

// toTimes turns the numbers of the window into µs UTC. A time of day waits for its date.
func (c *parquetColumn) toTimes(clock *scan.Clock) {
	if _, ofDay := c.leaf.logical.(*format.TimeType); ofDay {
		return
	}
	switch c.held {
	case heldFloats:
		c.ints = slices.Grow(c.buf.values.ints[:0], len(c.floats))[:len(c.floats)]
		c.buf.values.ints = c.ints
		for i, x := range c.floats {
			c.ints[i] = epochFloat(c.field.unit, x, clock)
		}
	case heldInts:
		c.toMicros(clock)
	default:
		return
	}
	c.held = heldTimes
	local := false
	if t, ok := c.leaf.logical.(*format.TimestampType); ok {
		local = !t.IsAdjustedToUTC
	} else if _, ok := c.leaf.logical.(*format.DateType); ok {
		local = true
	}
	if !local || clock.Zone == nil || clock.Zone == time.UTC {
		return
	}
	for i, us := range c.ints {
		if us != noTime {
			c.ints[i], _ = clock.Local(us)
		}
	}
}

// toMicros turns the integers of the window into µs.
func (c *parquetColumn) toMicros(clock *scan.Clock) {
	unit := c.field.unit
	switch t := c.leaf.logical.(type) {
	case *format.TimestampType:
		switch unitOf(t.Unit) {
		case 1e6:
			unit = "ms"
		case 1e3:
			unit = "us"
		default:
			unit = "ns"
		}
	case *format.DateType:
		scale(c.ints, scan.Day)
		return
	}
	if c.leaf.kind == parquet.Int96 {
		unit = "us"
	}
	toMicros(c.ints, unit, clock)
}

// toMicros turns integers of a unit into µs; those of "" have that which their size tells.
func toMicros(ints []int64, unit string, clock *scan.Clock) {
	switch unit {
	case "s":
		scale(ints, 1e6)
	case "ms":
		scale(ints, 1e3)
	case "us":
	case "ns":
		for i, v := range ints {
			ints[i] = v / 1e3
		}
	default:
		for i, v := range ints {
			ints[i] = epochInt(v, clock)
		}
	}
}

func scale(ints []int64, by int64) {
	for i, v := range ints {
		ints[i] = scaled(v, by)
	}
}

func scaled(v, scale int64) int64 {
	if v <= 0 || v > math.MaxInt64/scale {
		return noTime
	}
	return v * scale
}

// epochInt is the time of a number whose unit its size tells.
func epochInt(v int64, clock *scan.Clock) int64 {
	us, ok := clock.EpochOf(v)
	if !ok && us == 0 {
		return noTime
	}
	return us
}

// epochFloat is the time of a number with a fraction.
func epochFloat(unit string, x float64, clock *scan.Clock) int64 {
	switch unit {
	case "":
		us, ok := clock.EpochOfFloat(x)
		if !ok && us == 0 {
			return noTime
		}
		return us
	case "s":
		x *= 1e6
	case "ms":
		x *= 1e3
	case "ns":
		x /= 1e3
	}
	if !(math.Abs(x) < 1<<62) {
		return noTime
	}
	return int64(x)
}
