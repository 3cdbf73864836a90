package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"rollcall/store"
	"rollcall/store/customers"
)

const (
	// liveEvery is how often newcomers are looked for, while somebody watches.
	liveEvery = time.Second
	// liveOverlap is how many ids each look goes back: transactions that began
	// earlier may end later.
	liveOverlap = 1000
	// liveQuiet is after how long without news a line is sent that keeps the
	// connection open.
	liveQuiet = 15 * time.Second
	// liveCheck is how often it is looked whether who watches still may.
	liveCheck = 3 * time.Second
	// liveLife is how long a connection lasts. The browser then opens another,
	// unless who is signed in may no longer look.
	liveLife = 10 * time.Minute
)

// live tells pages that somebody is new on their list. One look a second serves
// all pages of this process; while nobody watches there is none.
type live struct {
	store *store.Store
	log   *slog.Logger
	ended chan struct{} // closed at the end
	end   func()
	check time.Duration // liveCheck, but in tests

	mu       sync.Mutex
	watchers map[*watcher]bool
	looking  bool
}

// watcher is one page: whose list it shows, and what wakes it.
type watcher struct {
	store string
	wake  chan struct{}
}

func newLive(s *store.Store, log *slog.Logger) *live {
	l := &live{store: s, log: log, ended: make(chan struct{}), check: liveCheck, watchers: map[*watcher]bool{}}
	l.end = sync.OnceFunc(func() { close(l.ended) })
	return l
}

// join adds a watcher; leave takes it away.
func (l *live) join(store string) (w *watcher, leave func()) {
	w = &watcher{store, make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers[w] = true
	if !l.looking {
		l.looking = true
		go l.look()
	}
	return w, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.watchers, w)
	}
}

// goOn tells whether anybody watches; if not, looking ends with that.
func (l *live) goOn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looking = len(l.watchers) > 0
	return l.looking
}

// look looks for newcomers until nobody watches.
func (l *live) look() {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	var seen map[int64]string // nil: the first look only learns who is there
	for l.goOn() {
		came, err := l.newcomers(slices.Collect(maps.Keys(seen)))
		if err != nil {
			l.log.Debug("new customers could not be looked for; the next look tries again", "error", err)
		} else {
			if seen != nil {
				l.wake(came, seen)
			}
			seen = came
		}
		select {
		case <-tick.C:
		case <-l.ended:
			return
		}
	}
}

// newcomers are the latest customers, from some way before the last seen on.
func (l *live) newcomers(seen []int64) (came map[int64]string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	var last int64
	if len(seen) > 0 {
		last = slices.Max(seen)
	} else if last, err = customers.New(l.store).LastCustomer(ctx); err != nil {
		return nil, err
	}
	return customers.New(l.store).Newcomers(ctx, last-liveOverlap)
}

// wake wakes those who watch the lists that somebody new came to.
func (l *live) wake(came, seen map[int64]string) {
	stores := map[string]bool{}
	for id, store := range came {
		if _, known := seen[id]; !known {
			stores[store] = true
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for w := range l.watchers {
		if stores[w.store] {
			select {
			case w.wake <- struct{}{}:
			default: // is to be woken already
			}
		}
	}
}

// liveScope is what the parameter "after" belongs to.
func liveScope(r *http.Request) string { return "newcomers of " + r.PathValue("store") }

// watch sends, as server-sent events, how many customers who meet the filter
// came after the one whom the parameter "after" stands for: whenever one did.
func (s *Site) watch(w http.ResponseWriter, r *http.Request) error {
	q, err := s.queryWith(r, "after", liveScope(r))
	after, no := strconv.ParseInt(q.Get("after"), 10, 64)
	if err != nil || no != nil {
		return &failure{http.StatusBadRequest, "invalid_parameter", "after: take the address as the page of the list has it"}
	}
	q.Del("after")
	filter, err := customers.ParseFilter(r.PathValue("store"), q)
	if err != nil {
		return err
	}
	leave, err := s.gates.watches.enter(r.Context(), admitted(r).party())
	if err != nil {
		return err
	}
	defer leave()
	news, end := s.live.join(filter.Store)
	defer end()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	return s.sendNews(w, r, news, func(ctx context.Context) (n int, err error) {
		err = s.counting(ctx, false, func() error {
			n, err = customers.New(s.cfg.Store).CountNewcomers(ctx, filter, after)
			return err
		})
		return n, err
	})
}

// sendNews counts at once and each time it is woken, until who asked is gone, may
// not look any more, or has watched long enough.
func (s *Site) sendNews(w http.ResponseWriter, r *http.Request, news *watcher, count func(context.Context) (int, error)) error {
	out := http.NewResponseController(w)
	life := time.After(liveLife)
	told := 0
	for {
		n, err := count(r.Context())
		line := ":\n\n"
		switch {
		case errors.Is(err, errCrowd), errors.Is(err, errBusy): // the next look counts
		case err != nil:
			return nil // too late for an answer; the browser tries again
		case n != told:
			line = fmt.Sprintf("data: %d\n\n", n)
			told = n
		}
		if _, err := w.Write([]byte(line)); err != nil || out.Flush() != nil {
			return nil
		}
		prolong(r.Context(), 2*liveQuiet)
		if !s.awaitNews(r, news, life) {
			return nil
		}
	}
}

// awaitNews returns true when a line is due, false when the watch is over: a
// token was revoked, a member removed, a session has ended.
func (s *Site) awaitNews(r *http.Request, news *watcher, life <-chan time.Time) bool {
	quiet, check := time.After(liveQuiet), time.NewTicker(s.live.check)
	defer check.Stop()
	for {
		select {
		case <-news.wake:
			return true
		case <-quiet:
			return true
		case <-check.C:
			if _, err := s.admit(sellers, r); err != nil && explain(err).Status < http.StatusInternalServerError {
				return false
			} // who cannot be asked about for now hears nothing meanwhile: that takes Postgres too
		case <-life:
			return false
		case <-s.live.ended:
			return false
		case <-r.Context().Done():
			return false
		}
	}
}

// count is the number of pages that watch.
func (l *live) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.watchers)
}
