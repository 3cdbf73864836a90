package web

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

// limits are how much of a kind may be under way at a time.
type limits struct {
	each     int64         // for one visitor
	all      int64         // for all together
	line     int           // of one visitor that wait for a turn
	patience time.Duration // how long each waits
}

// gates keep visitors from hurting each other: whoever asks for much waits
// behind themselves. What is not let in is told when to come again.
type gates struct {
	requests *gate // all that is asked of Postgres but for the two below
	counts   *gate // counting those who meet a filter, which may read a whole list
	exports  *gate // lists as CSV
	watches  *gate // pages that wait for news
}

const (
	exportsEach, exportsAll = 2, 16
	watchesEach, watchesAll = 20, 1000
	patience                = 10 * time.Second
)

// newGates fit a pool of connections: one visitor leaves half of it to others,
// and half is never counting.
func newGates(conns int, refused *prometheus.CounterVec) gates {
	half := int64(max(1, conns/2))
	return gates{
		requests: newGate("requests", limits{half, math.MaxInt64, 64, patience}, refused),
		counts:   newGate("counts", limits{1, half, 16, patience}, refused),
		exports:  newGate("exports", limits{exportsEach, exportsAll, 4, patience}, refused),
		watches:  newGate("watches", limits{watchesEach, watchesAll, 0, 0}, refused),
	}
}

// gate lets visitors in by turns: first among their own requests, then among all
// visitors, so that everybody comes in turn however much one asks.
type gate struct {
	limits
	name    string
	turns   *semaphore.Weighted
	refused *prometheus.CounterVec

	mu    sync.Mutex
	lanes map[string]*lane // of visitors who are in or wait
}

// lane is one visitor's.
type lane struct {
	turns *semaphore.Weighted
	n     int64 // in or waiting
}

func newGate(name string, l limits, refused *prometheus.CounterVec) *gate {
	for _, limit := range []string{"visitor", "all"} { // so that the first is a rise from zero
		refused.WithLabelValues(name, limit)
	}
	return &gate{limits: l, name: name, turns: semaphore.NewWeighted(l.all), refused: refused, lanes: map[string]*lane{}}
}

// enter lets a visitor in, after a while perhaps. Who is in leaves by leave. The
// error says which limit is reached, or that ctx has ended.
func (g *gate) enter(ctx context.Context, visitor string) (leave func(), err error) {
	l := g.join(visitor)
	if l == nil {
		return nil, g.refuse(errCrowd, "visitor")
	}
	wait, cancel := context.WithTimeout(ctx, g.patience)
	defer cancel()
	if err := take(wait, l.turns); err != nil {
		g.part(visitor)
		return nil, g.outOf(ctx, errCrowd, "visitor")
	}
	if err := take(wait, g.turns); err != nil {
		l.turns.Release(1)
		g.part(visitor)
		return nil, g.outOf(ctx, errBusy, "all")
	}
	return func() {
		g.turns.Release(1)
		l.turns.Release(1)
		g.part(visitor)
	}, nil
}

// take takes a turn, also where there is no time to wait for one.
func take(ctx context.Context, turns *semaphore.Weighted) error {
	if turns.TryAcquire(1) {
		return nil
	}
	return turns.Acquire(ctx, 1)
}

// join puts a visitor's request in line; nil if that is too long.
func (g *gate) join(visitor string) *lane {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lanes[visitor]
	if l == nil {
		l = &lane{turns: semaphore.NewWeighted(g.each)}
		g.lanes[visitor] = l
	}
	if l.n >= g.each+int64(g.line) {
		return nil
	}
	l.n++
	return l
}

// part takes it out again. A lane that nobody is in is forgotten.
func (g *gate) part(visitor string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lanes[visitor]
	if l.n--; l.n == 0 {
		delete(g.lanes, visitor)
	}
}

// outOf tells why nobody was let in: who has hung up is not refused.
func (g *gate) outOf(ctx context.Context, f *failure, limit string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return g.refuse(f, limit)
}

func (g *gate) refuse(f *failure, limit string) error {
	g.refused.WithLabelValues(g.name, limit).Inc()
	return f
}

// through runs a handler behind a gate.
func (g *gate) through(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		leave, err := g.enter(r.Context(), admitted(r).party())
		if err != nil {
			return err
		}
		defer leave()
		return h(w, r)
	}
}

// counting runs what counts on a list behind the gate for that, unless the
// figures are kept.
func (s *Site) counting(ctx context.Context, kept bool, count func() error) error {
	if kept {
		return count()
	}
	v, _ := ctx.Value(visitorKey{}).(visitor)
	leave, err := s.gates.counts.enter(ctx, v.party())
	if err != nil {
		return err
	}
	defer leave()
	return count()
}

// retryAfter is what Retry-After says with a failure, in seconds; 0: nothing.
func retryAfter(f *failure) string {
	switch f {
	case errAway, errNoKeys, errBusy, errCrowd:
		return "5"
	case errSlow:
		return "30"
	case errTooMany:
		return strconv.Itoa(int(tryEvery / time.Second))
	}
	return ""
}

const tryEvery = 6 * time.Second // also what Retry-After says

// inside is how many are in a gate or wait at it.
func (g *gate) inside() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.lanes {
		n += int(l.n)
	}
	return n
}
