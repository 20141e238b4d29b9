package jobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"outflow/columnar/store"
)

// This file makes sure that one run at a time writes the state.

// own makes this run the only one that writes the state of the configuration's profile,
// until release is called. It waits for another run as long as config.Wait.
func (p *program) own(config *Config, at store.Store, what string) (release func(), err error) {
	claim := p.claim(what)
	claim.Wait = config.Wait
	claim.Waiting = func(held *store.LockedError) {
		p.note("waiting up to %v for the state %s, which is locked by %s", config.Wait, config.State, held.Holder())
	}
	lease, err := claim.Hold(p.ctx, at, config.folder("lock"))
	if errors.Is(err, store.ErrLocked) {
		return nil, exit{exitEnvironment, fmt.Errorf("the state %s is %w", config.State, err)}
	}
	if err != nil {
		return nil, stateError(config, err)
	}
	if dead := lease.Dead; dead != nil {
		p.note("the run %s, which began %s, ended before it was done: this run does what is left", dead.Run, dead.Since.UTC().Format(time.RFC3339))
	}
	if lease.Every() > 0 && !store.Remote(config.State) {
		p.note("the file system of %s has no locks: a run that dies blocks the next one for a minute, and all runs must use the same machine or mount", config.State)
	}
	return p.while(lease), nil
}

// snapshot calls read while no other run writes the state. Until done is called, the files
// that read found stay there, even if other runs replace them.
func snapshot[T any](s *state, what string, read func(ctx context.Context) (T, error)) (out T, done func(), err error) {
	p := s.p
	done = func() {}
	var exists bool
	for _, err := range s.store.List(p.ctx, "v", store.Shallow) {
		if err != nil {
			return out, done, configError{fmt.Errorf("open the state: %w", err)}
		}
		exists = true
		break
	}
	if !exists { // a lock would make its folder
		out, err = read(p.ctx)
		return out, done, err
	}
	lease, err := p.claim(what).HoldReader(p.ctx, s.store)
	if errors.Is(err, fs.ErrPermission) { // a state that this user may only read
		out, err = read(p.ctx)
		return out, done, err
	}
	if err != nil {
		return out, done, stateError(s.config, err)
	}
	done = p.while(lease)
	ctx := p.ctx // what is read stays open after release
	release, err := p.own(s.config, s.store, what)
	if err != nil {
		return out, done, err
	}
	defer release()
	if err := s.upgrade(p.ctx); err != nil {
		return out, done, stateError(s.config, err)
	}
	out, err = read(ctx)
	return out, done, err
}

// claim returns a claim in the name of this run.
func (p *program) claim(what string) store.Claim {
	return store.Claim{Run: p.name(what), Now: p.now, Beat: p.beat, Warn: func(warning string) { p.note("%s", warning) }}
}

// while keeps a lease until release is called. If the lease is lost, p.ctx ends.
func (p *program) while(lease *store.Lease) (release func()) {
	before := p.ctx
	ctx, stop := context.WithCancelCause(before)
	p.ctx = ctx
	var beating sync.WaitGroup
	if every := lease.Every(); every > 0 {
		beating.Go(func() { beat(ctx, lease, every, stop) })
	}
	return func() {
		stop(nil) // does nothing if beat was faster
		beating.Wait()
		if cause := context.Cause(ctx); cause != context.Canceled && before.Err() == nil {
			p.lost = cause
		}
		lease.Release(before)
		p.ctx = before
	}
}

// beat tells other runs that this one lives, until ctx ends. If they may think
// otherwise, it stops the run.
func beat(ctx context.Context, lease *store.Lease, every time.Duration, stop context.CancelCauseFunc) {
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if err := lease.Beat(ctx); err != nil {
			stop(exit{exitEnvironment, fmt.Errorf("this run lost the lock of the state, and stopped: %w", err)})
			return
		}
	}
}

// name returns what other runs call this one.
func (p *program) name(what string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed host"
	}
	return fmt.Sprintf("%s on %s, pid %d", what, host, os.Getpid())
}
