package jobs

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"outflow/columnar"
	"outflow/columnar/store"
	"outflow/stats/detect"
)

// This file keeps the DNS answers of a run, and lets them name the addresses that the
// tables of the workers ask for.

// DNS answers take 1/answerShare of a worker's budget, in addition to it, for each of: the
// part of the spool that is in memory; and the part of the questions that is being resolved.
// They take half as much for what is not written yet, which stays while other logs are read.
const answerShare = 8

// minAnswerPart is the least memory to resolve a part, in bytes. With less, the answers of a
// small site would be read many times over.
const minAnswerPart = 256 << 10

// resolves reports whether addresses are to be named by DNS: an aggregate asks for names,
// and the sources may have connections and DNS answers.
func resolves(sources []source, o *foldOptions) bool {
	connections := func(s source) bool { return s.format == nil || slices.Contains(s.format.Tables, columnar.Network) }
	answers := func(s source) bool {
		return s.format == nil || s.format.Answers || slices.Contains(s.format.Tables, columnar.DNS) && !s.format.Lacks.Has(columnar.Answers)
	}
	return !o.EachRecord && slices.Contains(o.aggregates, detect.UserDestinationDay) &&
		slices.ContainsFunc(sources, connections) && slices.ContainsFunc(sources, answers)
}

// openAnswers makes the worker keep DNS answers, if any aggregate asks for names.
func (w *worker) openAnswers() {
	if w.o.Resolve {
		w.answered = store.NewSpool(w.budget / answerShare)
		w.answers = detect.NewAnswers(&w.o.FoldOptions, w.answered, w.budget/answerShare/2)
		w.out.Answer = w.answers.Put
	}
}

// ask lets a table ask for names, before it is drained or sifted.
func (w *worker) ask(i int) {
	if a, ok := w.folders[i].(detect.Asker); ok && w.answers != nil {
		a.Ask(w.answers)
	}
}

// closeAnswers ends what the worker keeps of DNS answers and questions.
func (w *worker) closeAnswers() {
	if w.answers != nil {
		w.err = cmp.Or(w.err, w.answers.Close())
	}
}

// resolve answers parts of the questions of all workers, which take turns.
func (w *worker) resolve(ctx context.Context, workers []*worker, next *atomic.Int64) {
	if w.answers == nil {
		return
	}
	all := make([]*detect.Answers, len(workers))
	for i, w := range workers {
		all[i] = w.answers
	}
	memory := max(w.budget/answerShare, minAnswerPart)
	r := detect.NewResolver(&w.o.FoldOptions, all, memory)
	for part := range w.turns(ctx, next) {
		if w.err = r.Resolve(part); r.Size() > memory && w.err == nil {
			w.write(detect.UserDestinationDay, r.Drain)
		}
	}
	if r.Size() > 0 && w.err == nil {
		w.write(detect.UserDestinationDay, r.Drain)
	}
}
