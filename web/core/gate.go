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

// Limits are how much of a kind may be under way at a time.
type Limits struct {
	Each     int64         // for one visitor
	All      int64         // for all together
	Line     int           // of one visitor that wait for a turn
	Patience time.Duration // how long each waits
}

// gates keep visitors from hurting each other: whoever asks for much waits
// behind themselves. What is not let in is told when to come again.
type gates struct {
	Requests *Gate // all that is asked of Postgres but for the two below
	Counts   *Gate // counting those who meet a filter, which may read a whole list
	Exports  *Gate // lists as CSV
	Watches  *Gate // pages that wait for news
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
		Requests: NewGate("requests", Limits{half, math.MaxInt64, 64, patience}, refused),
		Counts:   NewGate("counts", Limits{1, half, 16, patience}, refused),
		Exports:  NewGate("exports", Limits{exportsEach, exportsAll, 4, patience}, refused),
		Watches:  NewGate("watches", Limits{watchesEach, watchesAll, 0, 0}, refused),
	}
}

// Gate lets visitors in by turns: first among their own requests, then among all
// visitors, so that everybody comes in turn however much one asks.
type Gate struct {
	Limits
	name    string
	Turns   *semaphore.Weighted
	refused *prometheus.CounterVec

	mu    sync.Mutex
	Lanes map[string]*lane // of visitors who are in or wait
}

// lane is one visitor's.
type lane struct {
	turns *semaphore.Weighted
	n     int64 // in or waiting
}

func NewGate(name string, l Limits, refused *prometheus.CounterVec) *Gate {
	for _, limit := range []string{"visitor", "all"} { // so that the first is a rise from zero
		refused.WithLabelValues(name, limit)
	}
	return &Gate{Limits: l, name: name, Turns: semaphore.NewWeighted(l.All), refused: refused, Lanes: map[string]*lane{}}
}

// Enter lets a visitor in, after a while perhaps. Who is in leaves by leave. The
// error says which limit is reached, or that ctx has ended.
func (g *Gate) Enter(ctx context.Context, visitor string) (leave func(), err error) {
	l := g.join(visitor)
	if l == nil {
		return nil, g.refuse(ErrCrowd, "visitor")
	}
	wait, cancel := context.WithTimeout(ctx, g.Patience)
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

// take takes a turn, also where there is no time to wait for one.
func take(ctx context.Context, turns *semaphore.Weighted) error {
	if turns.TryAcquire(1) {
		return nil
	}
	return turns.Acquire(ctx, 1)
}

// join puts a visitor's request in line; nil if that is too long.
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

// part takes it out again. A lane that nobody is in is forgotten.
func (g *Gate) part(visitor string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.Lanes[visitor]
	if l.n--; l.n == 0 {
		delete(g.Lanes, visitor)
	}
}

// outOf tells why nobody was let in: who has hung up is not refused.
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

// Counting runs what counts on a list behind the gate for that, unless the
// figures are kept.
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

// RetryAfter is what Retry-After says with a failure, in seconds; 0: nothing.
func RetryAfter(f *Failure) string {
	switch f {
	case errAway, ErrNoKeys, ErrBusy, ErrCrowd:
		return "5"
	case ErrSlow:
		return "30"
	case ErrTooMany:
		return strconv.Itoa(int(TryEvery / time.Second))
	}
	return ""
}

const TryEvery = 6 * time.Second // also what Retry-After says

// Inside is how many are in a gate or wait at it.
func (g *Gate) Inside() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.Lanes {
		n += int(l.n)
	}
	return n
}
