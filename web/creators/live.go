package creators

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

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/web/core"
)

const (
	// liveEvery is how often Live looks for new customers while a page waits.
	liveEvery = time.Second
	// liveOverlap is how many ids each look goes back: an earlier transaction may
	// commit later.
	liveOverlap = 1000
	// liveQuiet is the time without news after which a comment keeps the connection open.
	liveQuiet = 15 * time.Second
	// liveCheck is how often Live checks that the visitor may still see the list.
	liveCheck = 3 * time.Second
	// liveLife limits a connection. The browser then opens another, if the visitor may
	// still see the list.
	liveLife = 10 * time.Minute
)

// Live notifies pages of new customers on their lists. One query a second serves all
// pages of this process; without pages there is none. Safe for concurrent use.
type Live struct {
	store *store.Store
	log   *slog.Logger
	ended chan struct{} // closed by End
	End   func()
	Check time.Duration // liveCheck, except in tests

	mu       sync.Mutex
	watchers map[*watcher]bool
	looking  bool
}

// watcher is one page that waits: its store, and what wakes it.
type watcher struct {
	store string
	wake  chan struct{}
}

func newLive(s *core.Site) *Live {
	l := &Live{store: s.Cfg.Store, log: s.Cfg.Log, ended: make(chan struct{}), Check: liveCheck,
		watchers: map[*watcher]bool{}}
	l.End = sync.OnceFunc(func() { close(l.ended) })
	promauto.With(s.Cfg.Metrics).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rollcall_web_watchers",
		Help: "Pages that wait for news of their list right now.",
	}, func() float64 { return float64(l.Count()) })
	return l
}

// Join adds a watcher; leave removes it.
func (l *Live) Join(store string) (w *watcher, leave func()) {
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

// goOn tells whether a page waits; if none does, look ends.
func (l *Live) goOn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looking = len(l.watchers) > 0
	return l.looking
}

// look queries for new customers until no page waits.
func (l *Live) look() {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	var seen map[int64]string // nil: the first look only sets the baseline
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

// newcomers are the latest customers, from liveOverlap ids before the last on.
func (l *Live) newcomers(seen []int64) (came map[int64]string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), core.AskTimeout)
	defer cancel()
	var last int64
	if len(seen) > 0 {
		last = slices.Max(seen)
	} else if last, err = customers.New(l.store).LastCustomer(ctx); err != nil {
		return nil, err
	}
	return customers.New(l.store).Newcomers(ctx, last-liveOverlap)
}

// wake wakes the watchers of lists with new customers.
func (l *Live) wake(came, seen map[int64]string) {
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
			default: // is about to wake
			}
		}
	}
}

// liveScope is the scope of the parameter "after".
func liveScope(r *http.Request) string { return "newcomers of " + r.PathValue("store") }

// Watch sends, as server-sent events, the number of matching customers that are newer
// than the one in "after".
func (s *Pages) Watch(w http.ResponseWriter, r *http.Request) error {
	q, err := s.QueryWith(r, "after", liveScope(r))
	after, no := strconv.ParseInt(q.Get("after"), 10, 64)
	if err != nil || no != nil {
		return &core.Failure{Status: http.StatusBadRequest, Code: "invalid_parameter",
			Message: "after: use the address from the list's page"}
	}
	q.Del("after")
	filter, err := customers.ParseFilter(r.PathValue("store"), q)
	if err != nil {
		return err
	}
	leave, err := s.Gates.Watches.Enter(r.Context(), core.Admitted(r).Party())
	if err != nil {
		return err
	}
	defer leave()
	news, end := s.Live.Join(filter.Store)
	defer end()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	return s.sendNews(w, r, news, func(ctx context.Context) (n int64, err error) {
		err = s.Counting(ctx, false, func() error {
			n, err = customers.New(s.Cfg.Store).CountNewcomers(ctx, filter, after)
			return err
		})
		return n, err
	})
}

// sendNews counts at once and each time it is woken, until the client is gone, may no
// longer see the list, or liveLife is over.
func (s *Pages) sendNews(w http.ResponseWriter, r *http.Request, news *watcher,
	count func(context.Context) (int64, error)) error {
	out := http.NewResponseController(w)
	life := time.After(liveLife)
	told := int64(0)
	for {
		n, err := count(r.Context())
		line := ":\n\n"
		switch {
		case errors.Is(err, core.ErrCrowd), errors.Is(err, core.ErrBusy): // counted at the next wake
		case err != nil:
			return nil // too late for an answer; the browser tries again
		case n != told:
			line = fmt.Sprintf("data: %d\n\n", n)
			told = n
		}
		if _, err := w.Write([]byte(line)); err != nil || out.Flush() != nil {
			return nil
		}
		core.Prolong(r.Context(), 2*liveQuiet)
		if !s.awaitNews(r, news, life) {
			return nil
		}
	}
}

// awaitNews returns true when a line is due; false when the watch ends, for example
// because the visitor may no longer see the list.
func (s *Pages) awaitNews(r *http.Request, news *watcher, life <-chan time.Time) bool {
	quiet, check := time.After(liveQuiet), time.NewTicker(s.Live.Check)
	defer check.Stop()
	for {
		select {
		case <-news.wake:
			return true
		case <-quiet:
			return true
		case <-check.C:
			if _, err := s.Admit(core.Sellers, r); err != nil && core.Explain(err).Status < http.StatusInternalServerError {
				return false
			} // while Postgres is away there is no news either
		case <-life:
			return false
		case <-s.Live.ended:
			return false
		case <-r.Context().Done():
			return false
		}
	}
}

// Count is the number of pages that wait.
func (l *Live) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.watchers)
}
