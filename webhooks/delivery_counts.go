package webhooks

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"rollcall/store"
)

// Counter adds up what became of deliveries; *store.Store does.
type Counter interface {
	CountDeliveries(ctx context.Context, counts []store.Delivered) error
}

const (
	tallyEvery   = 5 * time.Second
	tallyTimeout = 5 * time.Second // of one writing
	// tallyHours is how many hours of counts wait for a Postgres that is away.
	// There are some twenty outcomes of three sources in each.
	tallyHours = 7 * 24
)

// tally counts what became of deliveries, by source, outcome and hour, and
// writes that down behind the back of the answers: what is refused leaves no
// other trace. Counting takes no longer than a lock that nobody holds for long,
// and nobody waits for the writing; if that fails, the counts stay for the next.
type tally struct {
	counter Counter // nil: nothing is counted
	log     *slog.Logger
	seldom  rate.Sometimes
	ending  chan struct{}
	ended   sync.WaitGroup

	mu     sync.Mutex
	counts map[tallyKey]*store.Delivered
}

type tallyKey struct {
	source, outcome string
	hour            time.Time
}

func newTally(counter Counter, log *slog.Logger) *tally {
	t := &tally{counter: counter, log: log, seldom: rate.Sometimes{Interval: time.Minute}, ending: make(chan struct{}), counts: map[tallyKey]*store.Delivered{}}
	if counter != nil {
		t.ended.Go(t.writeUntilClosed)
	}
	return t
}

// add counts a delivery.
func (t *tally) add(source, outcome string, at time.Time) {
	if t.counter == nil {
		return
	}
	at = at.UTC()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(store.Delivered{Source: source, Outcome: outcome, Hour: at.Truncate(time.Hour), Count: 1, First: at, Last: at})
}

// put adds to what is counted, under the lock.
func (t *tally) put(d store.Delivered) {
	k := tallyKey{d.Source, d.Outcome, d.Hour}
	c := t.counts[k]
	if c == nil {
		t.counts[k] = &d
		return
	}
	c.Count += d.Count
	if d.First.Before(c.First) {
		c.First = d.First
	}
	if d.Last.After(c.Last) {
		c.Last = d.Last
	}
}

func (t *tally) writeUntilClosed() {
	tick := time.NewTicker(tallyEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.write()
		case <-t.ending:
			t.write()
			return
		}
	}
}

// write writes down what was counted since the last time. A writing whose
// answer is lost counts twice: better than not at all.
func (t *tally) write() {
	t.mu.Lock()
	counts := t.counts
	t.counts = map[tallyKey]*store.Delivered{}
	t.mu.Unlock()
	if len(counts) == 0 {
		return
	}
	list := make([]store.Delivered, 0, len(counts))
	for _, c := range counts {
		list = append(list, *c)
	}
	ctx, cancel := context.WithTimeout(context.Background(), tallyTimeout)
	defer cancel()
	if err := t.counter.CountDeliveries(ctx, list); err != nil {
		t.putBack(list)
		t.seldom.Do(func() { t.log.Warn("deliveries are counted, but the counts could not be written yet", "error", err) })
	}
}

// putBack keeps counts for the next writing, but for those of long ago.
func (t *tally) putBack(list []store.Delivered) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var newest time.Time
	for _, d := range list {
		if d.Hour.After(newest) {
			newest = d.Hour
		}
	}
	for _, d := range list {
		if newest.Sub(d.Hour) < tallyHours*time.Hour {
			t.put(d)
		}
	}
}

// close writes down what is left. What is added later is lost.
func (t *tally) close() {
	close(t.ending)
	t.ended.Wait()
}
