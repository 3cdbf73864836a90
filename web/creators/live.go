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

// Live tells pages that somebody is new on their list. One look a second serves
// all pages of this process; while nobody watches there is none.
type Live struct {
	store *store.Store
	log   *slog.Logger
	ended chan struct{} // closed at the end
	End   func()
	Check time.Duration // liveCheck, but in tests

	mu       sync.Mutex
	watchers map[*watcher]bool
	looking  bool
}

// watcher is one page: whose list it shows, and what wakes it.
type watcher struct {
	store string
	wake  chan struct{}
}

func newLive(s *core.Site) *Live {
	l := &Live{store: s.Cfg.Store, log: s.Cfg.Log, ended: make(chan struct{}), Check: liveCheck, watchers: map[*watcher]bool{}}
	l.End = sync.OnceFunc(func() { close(l.ended) })
	promauto.With(s.Cfg.Metrics).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rollcall_web_watchers",
		Help: "Pages that wait for news of their list right now.",
	}, func() float64 { return float64(l.Count()) })
	return l
}

// Join adds a watcher; leave takes it away.
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

// goOn tells whether anybody watches; if not, looking ends with that.
func (l *Live) goOn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looking = len(l.watchers) > 0
	return l.looking
}

// look looks for newcomers until nobody watches.
func (l *Live) look() {
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

// wake wakes those who watch the lists that somebody new came to.
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
			default: // is to be woken already
			}
		}
	}
}

// liveScope is what the parameter "after" belongs to.
func liveScope(r *http.Request) string { return "newcomers of " + r.PathValue("store") }

// Watch sends, as server-sent events, how many customers who meet the filter
// came after the one whom the parameter "after" stands for: whenever one did.
func (s *Pages) Watch(w http.ResponseWriter, r *http.Request) error {
	q, err := s.QueryWith(r, "after", liveScope(r))
	after, no := strconv.ParseInt(q.Get("after"), 10, 64)
	if err != nil || no != nil {
		return &core.Failure{Status: http.StatusBadRequest, Code: "invalid_parameter", Message: "after: use the address from the list's page"}
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
	return s.sendNews(w, r, news, func(ctx context.Context) (n int, err error) {
		err = s.Counting(ctx, false, func() error {
			n, err = customers.New(s.Cfg.Store).CountNewcomers(ctx, filter, after)
			return err
		})
		return n, err
	})
}

// sendNews counts at once and each time it is woken, until who asked is gone, may
// not look any more, or has watched long enough.
func (s *Pages) sendNews(w http.ResponseWriter, r *http.Request, news *watcher, count func(context.Context) (int, error)) error {
	out := http.NewResponseController(w)
	life := time.After(liveLife)
	told := 0
	for {
		n, err := count(r.Context())
		line := ":\n\n"
		switch {
		case errors.Is(err, core.ErrCrowd), errors.Is(err, core.ErrBusy): // the next look counts
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

// awaitNews returns true when a line is due, false when the watch is over: a
// token was revoked, a member removed, a session has ended.
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
			} // who cannot be asked about for now hears nothing meanwhile: that takes Postgres too
		case <-life:
			return false
		case <-s.Live.ended:
			return false
		case <-r.Context().Done():
			return false
		}
	}
}

// Count is the number of pages that watch.
func (l *Live) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.watchers)
}
