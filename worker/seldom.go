package worker

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	// quietFor is how long an error that lasts is not logged again; overAfter is how long one must not have been seen to
	// count as new.
	quietFor  = 24 * time.Hour
	overAfter = 10 * time.Minute
	// mostTroubles is how many errors are known at a time, if each try fails with another.
	mostTroubles = 100
)

// troubles logs the errors of tasks that are tried again every few seconds: an error at once, and then once a day while
// it lasts. Numbers in it do not make another error of it: they are ports, process ids and times.
type troubles struct {
	log   *slog.Logger
	mu    sync.Mutex
	known map[string]*trouble
}

type trouble struct{ logged, seen time.Time }

// note logs an error of a task, unless ctx has ended: then it is no more than that the worker stops.
func (t *troubles) note(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil && t.isNew(what+": "+err.Error(), time.Now()) {
		t.log.Warn(what+" (logged once a day while it lasts)", "error", err)
	}
}

func (t *troubles) isNew(text string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := strings.Join(strings.FieldsFunc(text, unicode.IsDigit), "0")
	if len(t.known) >= mostTroubles || t.known == nil {
		t.known = map[string]*trouble{}
	}
	known := t.known[key]
	if known == nil || now.Sub(known.seen) >= overAfter || now.Sub(known.logged) >= quietFor {
		t.known[key] = &trouble{logged: now, seen: now}
		return true
	}
	known.seen = now
	return false
}
