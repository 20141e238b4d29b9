package jobs

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"sync"
	"time"

	"outflow/reports"
)

// This file records what a run does when: its stages, for run.json, and what its
// goroutines do in them, for --trace.

// The stages of a run, in the order in which it goes through them.
const (
	listStage   = "list"   // the objects of the inputs
	foldStage   = "fold"   // read, decode and fold
	drainStage  = "drain"  // join what workers have apart, sift, and write the tables as runs
	mergeStage  = "merge"  // the runs into partitions of the state, or the rows of a scan
	scoreStage  = "score"  // the detections
	reportStage = "report" // write the reports
)

// A trace records the stages and tasks of a run. Its methods may be called concurrently. The nil trace records
// nothing.
type trace struct {
	now    func() time.Time
	began  time.Time
	detail bool // keep what goroutines do, too

	mu    sync.Mutex
	spans []traced
	lanes []bool // which lanes are taken; lane 0 is that of the stages
}

// A traced is one stage, or one task of a goroutine.
type traced struct {
	name     string
	lane     int           // 0: a stage
	from, to time.Duration // since the trace began
	busy     time.Duration // of a stage: the processor time of the process
}

func (t *trace) since() time.Duration { return t.now().Sub(t.began) }

// stage records a stage until end is called. No two stages are at the same time.
func (t *trace) stage(name string) (end func()) {
	if t == nil {
		return func() {}
	}
	from, busy := t.since(), processorTime()
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.spans = append(t.spans, traced{name, 0, from, t.since(), processorTime() - busy})
	}
}

// task records what a goroutine does until end is called, if the trace keeps it. It
// takes the first lane that no other task has.
func (t *trace) task(name string) (end func()) {
	if t == nil || !t.detail {
		return func() {}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	lane := slices.Index(t.lanes, false)
	if lane < 0 {
		lane = len(t.lanes)
		t.lanes = append(t.lanes, false)
	}
	t.lanes[lane] = true
	from := t.since()
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.lanes[lane] = false
		t.spans = append(t.spans, traced{name: name, lane: lane + 1, from: from, to: t.since()})
	}
}

// timeline returns the stages since a time, those of one name together, in their order.
func (t *trace) timeline(since time.Time) (out []reports.Phase) {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range [...]string{listStage, foldStage, drainStage, mergeStage, scoreStage, reportStage} {
		p := reports.Phase{Name: name}
		for _, s := range t.spans {
			if s.lane == 0 && s.name == name && !t.began.Add(s.from).Before(since) {
				p.Took += s.to - s.from
				p.Busy += s.busy
			}
		}
		if p.Took > 0 {
			out = append(out, p)
		}
	}
	return out
}

// A traceEvent is an event of the Trace Event Format, which ui.perfetto.dev opens.
type traceEvent struct {
	Name string         `json:"name"`
	Ph   string         `json:"ph"`
	Ts   float64        `json:"ts"` // µs
	Dur  float64        `json:"dur"`
	Pid  int            `json:"pid"`
	Tid  int            `json:"tid"`
	Args map[string]any `json:"args,omitempty"`
}

// write writes the spans by their beginning.
func (t *trace) write(w io.Writer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.SortStableFunc(t.spans, func(a, b traced) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.lane, b.lane)) })
	events := []traceEvent{{Name: "thread_name", Ph: "M", Pid: 1, Args: map[string]any{"name": "stages"}}}
	for lane := range t.lanes {
		events = append(events, traceEvent{Name: "thread_name", Ph: "M", Pid: 1, Tid: lane + 1, Args: map[string]any{"name": "tasks"}})
	}
	for _, s := range t.spans {
		e := traceEvent{Name: s.name, Ph: "X", Ts: s.from.Seconds() * 1e6, Dur: (s.to - s.from).Seconds() * 1e6, Pid: 1, Tid: s.lane}
		if s.lane == 0 {
			e.Args = map[string]any{"cores_busy": (&reports.Phase{Took: s.to - s.from, Busy: s.busy}).Cores()}
		}
		events = append(events, e)
	}
	return json.NewEncoder(w).Encode(map[string]any{"traceEvents": events})
}
