package core

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

// Limits are how many requests of a kind may run at a time.
type Limits struct {
	Each    int64         // for one visitor
	All     int64         // for all together
	Line    int           // how many requests of one visitor may wait
	MaxWait time.Duration // how long each may wait
}

// gates keep visitors from slowing each other down: requests of one visitor wait
// for each other. Those refused are told when to try again.
type gates struct {
	Requests *Gate // everything that uses Postgres, except the two below
	Counts   *Gate // counts of filtered customers, which may read a whole list
	Exports  *Gate // CSV exports
	Watches  *Gate // long polls
}

const (
	exportsEach, exportsAll = 2, 16
	watchesEach, watchesAll = 20, 1000
	maxWait                 = 10 * time.Second
)

// newGates sizes the gates for a pool of connections: one visitor uses at most half
// of it, and so do counts.
func newGates(conns int, refused *prometheus.CounterVec) gates {
	half := int64(max(1, conns/2))
	return gates{
		Requests: NewGate("requests", Limits{half, math.MaxInt64, 64, maxWait}, refused),
		Counts:   NewGate("counts", Limits{1, half, 16, maxWait}, refused),
		Exports:  NewGate("exports", Limits{exportsEach, exportsAll, 4, maxWait}, refused),
		Watches:  NewGate("watches", Limits{watchesEach, watchesAll, 0, 0}, refused),
	}
}

// Gate limits concurrency: first each visitor's, then that of all visitors
// together. All visitors get turns, however many requests one of them sends.
// Safe for concurrent use.
type Gate struct {
	Limits
	name    string
	Turns   *semaphore.Weighted
	refused *prometheus.CounterVec

	mu    sync.Mutex
	Lanes map[string]*lane // by visitor; only those who are in or wait
}

// lane is the queue of one visitor.
type lane struct {
	turns *semaphore.Weighted
	n     int64 // in or waiting
}

// NewGate returns a gate. refused counts refusals by gate and limit.
func NewGate(name string, l Limits, refused *prometheus.CounterVec) *Gate {
	for _, limit := range []string{"visitor", "all"} { // so that the first refusal is a rise from zero
		refused.WithLabelValues(name, limit)
	}
	return &Gate{Limits: l, name: name, Turns: semaphore.NewWeighted(l.All), refused: refused, Lanes: map[string]*lane{}}
}

// Enter waits for a turn; the visitor ends it with leave. The error says which
// limit is reached, or that ctx has ended.
func (g *Gate) Enter(ctx context.Context, visitor string) (leave func(), err error) {
	l := g.join(visitor)
	if l == nil {
		return nil, g.refuse(ErrCrowd, "visitor")
	}
	wait, cancel := context.WithTimeout(ctx, g.MaxWait)
	defer cancel()
	if err := take(wait, l.turns); err != nil {
		g.part(visitor)
		return nil, g.outOf(ctx, ErrCrowd, "visitor")
	}
	if err := take(wait, g.Turns); err != nil {
		l.turns.Release(1)
		g.part(visitor)
		return nil, g.outOf(ctx, ErrBusy, "all")
	}
	return func() {
		g.Turns.Release(1)
		l.turns.Release(1)
		g.part(visitor)
	}, nil
}

// take acquires a turn, even if ctx has already ended.
func take(ctx context.Context, turns *semaphore.Weighted) error {
	if turns.TryAcquire(1) {
		return nil
	}
	return turns.Acquire(ctx, 1)
}

// join adds a request of the visitor to their lane; nil if the lane is full.
func (g *Gate) join(visitor string) *lane {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.Lanes[visitor]
	if l == nil {
		l = &lane{turns: semaphore.NewWeighted(g.Each)}
		g.Lanes[visitor] = l
	}
	if l.n >= g.Each+int64(g.Line) {
		return nil
	}
	l.n++
	return l
}

// part removes a request from the lane, and the lane if it is empty.
func (g *Gate) part(visitor string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.Lanes[visitor]
	if l.n--; l.n == 0 {
		delete(g.Lanes, visitor)
	}
}

// outOf returns why Enter failed. A client that hung up does not count as refused.
func (g *Gate) outOf(ctx context.Context, f *Failure, limit string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return g.refuse(f, limit)
}

func (g *Gate) refuse(f *Failure, limit string) error {
	g.refused.WithLabelValues(g.name, limit).Inc()
	return f
}

// Through runs a handler behind a gate.
func (g *Gate) Through(h Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		leave, err := g.Enter(r.Context(), Admitted(r).Party())
		if err != nil {
			return err
		}
		defer leave()
		return h(w, r)
	}
}

// Counting runs count behind the gate for counts; directly if the figures are kept.
func (s *Site) Counting(ctx context.Context, kept bool, count func() error) error {
	if kept {
		return count()
	}
	v, _ := ctx.Value(VisitorKey{}).(Visitor)
	leave, err := s.Gates.Counts.Enter(ctx, v.Party())
	if err != nil {
		return err
	}
	defer leave()
	return count()
}

// RetryAfter is the value of Retry-After for f, in seconds; empty: none.
func RetryAfter(f *Failure) string {
	switch f {
	case errAway, ErrNoKeys, ErrBusy, ErrCrowd, ErrCounting:
		return "5"
	case ErrSlow:
		return "30"
	case ErrTooMany:
		return strconv.Itoa(int(TryEvery / time.Second))
	}
	return ""
}

// TryEvery is how often a wrong token may be tried once the limit is reached.
const TryEvery = 6 * time.Second

// Inside is the number of requests that are in the gate or wait for it.
func (g *Gate) Inside() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.Lanes {
		n += int(l.n)
	}
	return n
}
