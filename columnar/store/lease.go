package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
	"unicode"
)

// A Claim asks for a lease.
//
// On disk a lease is a lock of the file system (flock), which ends with its process,
// however that ends. It also holds between containers that share a mount. In S3, and
// on file systems without such locks, it is an object that its holder writes anew at
// every beat. A run that sees it unchanged for missedBeats beats takes it over. The clocks
// of different machines are never compared.
type Claim struct {
	// Run names the holder to others: "nightly 2026-11-20 on web1, pid 312".
	Run string
	// Now is the wall clock, for the time that others are told; nil means time.Now.
	Now func() time.Time
	// Wait is how long to wait for another holder; 0 means not at all. To take over a
	// lease without beats takes a minute.
	Wait time.Duration
	// Waiting, if set, is called before the first wait.
	Waiting func(*LockedError)
	// Warn, if set, is called with what the operator should know.
	Warn func(warning string)
	// Beat is the time between two beats; 0 means 15 seconds. All runs must have the
	// same.
	Beat time.Duration
}

const (
	// defaultBeat is the default of Claim.Beat. Less would cost requests; more would make
	// the run after a crash wait longer.
	defaultBeat = 15 * time.Second
	// missedBeats is how many beats must be missed until a lease is taken over. A beat
	// that S3 refuses is tried again for over a minute, but hardly ever needs that.
	missedBeats = 4
	// lockPause is the time between two looks at a lock of the file system.
	lockPause = 200 * time.Millisecond
	// maxNameless is how long a lock may have no name: a holder writes it when it has the
	// lock, and removes it before it gives the lock back.
	maxNameless = time.Second
)

// ErrLocked is what a LockedError wraps.
var ErrLocked = errors.New("locked by another run")

// A LockedError says that another run holds a lease.
type LockedError struct {
	Run   string    // the holder, as its Claim.Run; "" if it cannot be read
	Since time.Time // by the holder's clock
	Lock  string    // name of the lock
	// Beats is the time between two beats of the holder. After missedBeats of it without
	// one, the lease can be taken over. 0: the lease of a dead holder is free at once.
	Beats time.Duration
}

// Holder names the holder for a sentence.
func (e *LockedError) Holder() string {
	if e.Run == "" {
		return "another run"
	}
	return fmt.Sprintf("the run %s since %s", e.Run, e.Since.UTC().Format(time.RFC3339))
}

func (e *LockedError) Error() string {
	text := "locked by " + e.Holder() + ": try again when it has ended"
	if e.Beats > 0 {
		text += fmt.Sprintf("; if it died, a run that waits for %v takes its lock over", missedBeats*e.Beats+e.Beats)
	}
	return text
}

func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// A Lease is the right to something that one run at a time may have. Its methods must
// not be called concurrently.
type Lease struct {
	claim Claim
	store Store
	name  string
	lock  Lock   // nil: it needs beats
	once  bool   // no other run asks for the name, so Release deletes its object
	body  holder // what the object says
	last  time.Time
	// Dead is the holder that did not give the lease back, nil if there was none.
	Dead *LockedError
}

// A holder is the content of a lock.
type holder struct {
	Run   string    `json:"run"`
	Since time.Time `json:"since"`
	ID    string    `json:"id"`   // distinguishes runs of the same name
	Beat  int       `json:"beat"` // makes each beat another object
}

// Hold returns the lease of that name, which is the name of an object. If another run
// holds it and goes on to do so, the error is a LockedError.
func (c Claim) Hold(ctx context.Context, s Store, name string) (*Lease, error) {
	now := c.Now
	if now == nil {
		now = time.Now
	}
	c.Beat = cmp.Or(c.Beat, defaultBeat)
	l := &Lease{claim: c, store: s, name: name,
		body: holder{Run: c.Run, Since: now().UTC().Truncate(time.Second), ID: rand.Text()}}
	lock, held, err := l.tryLock(ctx)
	try, pause := l.tryLock, lockPause
	if errors.Is(err, errors.ErrUnsupported) {
		l.name = name + ".json" // the lock may have made a file
		watch := &watch{}
		try = func(ctx context.Context) (Lock, *LockedError, error) { return nil, l.tryObject(ctx, watch), watch.err }
		pause = min(c.Beat, time.Second)
		lock, held, err = try(ctx)
	}
	wait := func(most, pause time.Duration, still func() bool) {
		for end := time.Now().Add(most); err == nil && held != nil && still() && time.Now().Before(end); {
			select {
			case <-time.After(min(pause, time.Until(end))):
				lock, held, err = try(ctx)
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
	}
	wait(maxNameless, maxNameless/50, func() bool { return held.Run == "" })
	if held != nil && c.Wait > 0 && c.Waiting != nil {
		c.Waiting(held)
	}
	wait(c.Wait, pause, func() bool { return true })
	if err == nil && held != nil {
		err = held
	}
	if err != nil {
		return nil, err
	}
	l.lock, l.last = lock, time.Now()
	return l, nil
}

// tryLock tries a lock of the file system.
func (l *Lease) tryLock(ctx context.Context) (Lock, *LockedError, error) {
	lock, err := l.store.Lock(ctx, l.name)
	if err != nil && !errors.Is(err, ErrLocked) {
		return nil, nil, err
	}
	there, rerr := l.read(ctx)
	before := &LockedError{Run: there.Run, Since: there.Since, Lock: l.name}
	if err != nil {
		return nil, before, nil // rerr: its holder is about to write it
	}
	if rerr == nil && there.Run != "" {
		l.Dead = before
	}
	if err := lock.Note(l.body.encode()); err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return lock, nil, nil
}

// A watch is what was seen of the object of another run.
type watch struct {
	etag  string
	since time.Time
	err   error
}

// tryObject tries to write the object. It returns its holder if that is another run.
func (l *Lease) tryObject(ctx context.Context, w *watch) *LockedError {
	put := func(when Condition) error {
		return l.store.Put(ctx, l.name, bytes.NewReader(l.body.encode()), when)
	}
	if w.err = put(IfAbsent); !errors.Is(w.err, ErrExists) {
		if w.err != nil {
			l.give(ctx) // it may have been written nevertheless
		}
		return nil
	}
	e, ok, err := stat(ctx, l.store, l.name)
	if err != nil {
		w.err = err
		return nil
	}
	there, err := l.read(ctx)
	w.err = nil
	switch {
	case there.ID == l.body.ID:
		return nil // a request whose answer got lost was sent again
	case err != nil && !errors.Is(err, errNoHolder) && !errors.Is(err, fs.ErrNotExist):
		w.err = err
		return nil
	}
	held := &LockedError{Run: there.Run, Since: there.Since, Lock: l.name, Beats: l.claim.Beat}
	if !ok || e.ETag != w.etag {
		w.etag, w.since = e.ETag, time.Now()
		return held
	}
	if time.Since(w.since) < missedBeats*l.claim.Beat {
		return held
	}
	if err := put(Condition(e.ETag)); errors.Is(err, ErrChanged) {
		if there, _ := l.read(ctx); there.ID != l.body.ID {
			return held
		}
	} else if err != nil {
		w.err = err
		l.give(ctx)
		return nil
	}
	l.Dead = held
	return nil
}

func (h *holder) encode() []byte {
	b, err := json.Marshal(h)
	if err != nil {
		panic(err) // texts and numbers
	}
	return append(b, '\n')
}

// errNoHolder says that a lock has no holder, or not yet all of its name.
var errNoHolder = errors.New("no holder")

// maxHolder is how many bytes of a lock are read. A holder writes some 200; more is not of
// this program, and is not shown on a terminal.
const maxHolder = 4 << 10

// read returns what the lock says of its holder. The error is errNoHolder if that is
// nothing. Half a text is read again: it may have been cut on its way.
func (l *Lease) read(ctx context.Context) (h holder, err error) {
	for try := 0; ; try++ {
		b, err := l.readText(ctx)
		if err != nil {
			return holder{}, err
		}
		h = holder{}
		if json.Unmarshal(b, &h) == nil {
			break
		}
		if len(b) == 0 || try == maxResumes {
			return holder{}, errNoHolder
		}
	}
	h.Run = strings.Map(func(r rune) rune { // it is shown on a terminal
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, h.Run)
	return h, nil
}

func (l *Lease) readText(ctx context.Context) ([]byte, error) {
	r, err := l.store.Open(ctx, l.name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxHolder))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", l.name, err)
	}
	return b, nil
}

// Every is how often Beat must be called; 0 means never.
func (l *Lease) Every() time.Duration {
	if l.lock != nil {
		return 0
	}
	return l.claim.Beat
}

// Beat tells others that the holder lives. The error is a LockedError if another run
// has taken the lease over, and any other error if that may be so: the holder must then
// stop.
func (l *Lease) Beat(ctx context.Context) error {
	if l.lock != nil {
		return nil
	}
	var err error
	for {
		// An answer that comes later than this may be about a lease that is lost.
		within, cancel := context.WithDeadline(ctx, l.last.Add(missedBeats*l.claim.Beat))
		begun := time.Now()
		if err = l.beat(within); err == nil {
			l.last = begun
		}
		late := within.Err() != nil
		cancel()
		if err == nil || errors.Is(err, ErrLocked) || late {
			break
		}
		select {
		case <-time.After(l.claim.Beat / 4):
		case <-within.Done():
		}
	}
	return err
}

func (l *Lease) beat(ctx context.Context) error {
	e, _, err := stat(ctx, l.store, l.name)
	if err != nil {
		return err
	}
	there, err := l.read(ctx)
	for try := 0; try < maxResumes && err == nil && there.ID != l.body.ID; try++ {
		there, err = l.read(ctx) // a byte of it may have been damaged on its way
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoHolder) || err == nil && there.ID != l.body.ID {
		return &LockedError{Run: there.Run, Since: there.Since, Lock: l.name, Beats: l.claim.Beat}
	}
	if err != nil {
		return err
	}
	l.body.Beat++
	err = l.store.Put(ctx, l.name, bytes.NewReader(l.body.encode()), Condition(e.ETag))
	if errors.Is(err, ErrChanged) {
		// By another run, or by this one: a request whose answer got lost is sent again.
		if there, rerr := l.read(ctx); rerr == nil && there.ID == l.body.ID {
			return nil
		}
	}
	return err
}

// releaseTimeout limits the release of a lease after the run was cancelled. It is long
// enough for two requests, and short enough for the grace period of a container.
const releaseTimeout = 10 * time.Second

// Release gives the lease back, even if ctx has ended.
func (l *Lease) Release(ctx context.Context) {
	if l.lock != nil {
		err := l.lock.Note(nil)
		if l.once {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
			defer cancel()
			err = l.store.Delete(ctx, l.name)
		}
		if err := errors.Join(err, l.lock.Close()); err != nil {
			l.warn("%s: the name of this run stays in the lock, which is free: %v", l.name, err)
		}
		return
	}
	if err := l.give(ctx); err != nil {
		l.warn("%s: the lock could not be deleted, so the next run waits for %v: %v", l.name, missedBeats*l.claim.Beat, err)
	}
}

// give deletes the object of the lease, unless another run has taken it over.
func (l *Lease) give(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	there, err := l.read(ctx)
	if err == nil && there.ID == l.body.ID {
		return l.store.Delete(ctx, l.name)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoHolder) {
		return nil
	}
	return err
}

func (l *Lease) warn(format string, args ...any) {
	if l.claim.Warn != nil {
		l.claim.Warn(fmt.Sprintf(format, args...))
	}
}
