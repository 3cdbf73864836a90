package webhooks

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"rollcall/store"
)

// Counter adds up the outcomes of deliveries; *store.Store implements it.
type Counter interface {
	CountDeliveries(ctx context.Context, counts []store.Delivered) error
}

const (
	writeEvery   = 5 * time.Second
	writeTimeout = 5 * time.Second // of one write
	// maxHours is how many hours of counts are kept while Postgres is down. Each hour has about
	// twenty outcomes for each of three sources.
	maxHours = 7 * 24
)

// deliveryCounts counts deliveries by source, outcome and hour, and writes the counts
// asynchronously: a refused delivery leaves no other trace. Counting takes only a short lock. If a
// write fails, its counts are added to the next one.
type deliveryCounts struct {
	counter  Counter // nil: nothing is counted
	log      *slog.Logger
	logLimit rate.Sometimes
	ending   chan struct{}
	ended    sync.WaitGroup

	mu     sync.Mutex
	counts map[countKey]*store.Delivered
}

type countKey struct {
	source, outcome string
	hour            time.Time
}

func newDeliveryCounts(counter Counter, log *slog.Logger) *deliveryCounts {
	t := &deliveryCounts{counter: counter, log: log, logLimit: rate.Sometimes{Interval: time.Minute},
		ending: make(chan struct{}), counts: map[countKey]*store.Delivered{}}
	if counter != nil {
		t.ended.Go(t.writeUntilClosed)
	}
	return t
}

func (t *deliveryCounts) add(source, outcome string, at time.Time) {
	if t.counter == nil {
		return
	}
	at = at.UTC()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addLocked(store.Delivered{Source: source, Outcome: outcome, Hour: at.Truncate(time.Hour),
		Count: 1, First: at, Last: at})
}

// addLocked adds to the counts; the caller holds the lock.
func (t *deliveryCounts) addLocked(d store.Delivered) {
	k := countKey{d.Source, d.Outcome, d.Hour}
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

func (t *deliveryCounts) writeUntilClosed() {
	tick := time.NewTicker(writeEvery)
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

// write stores what was counted since the last write. If Postgres commits but its answer is lost,
// deliveries count twice, which is better than losing them.
func (t *deliveryCounts) write() {
	t.mu.Lock()
	counts := t.counts
	t.counts = map[countKey]*store.Delivered{}
	t.mu.Unlock()
	if len(counts) == 0 {
		return
	}
	list := make([]store.Delivered, 0, len(counts))
	for _, c := range counts {
		list = append(list, *c)
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err := t.counter.CountDeliveries(ctx, list); err != nil {
		t.restore(list)
		t.logLimit.Do(func() { t.log.Warn("deliveries are counted, but the counts could not be written yet", "error", err) })
	}
}

// restore keeps counts for the next write, except very old ones.
func (t *deliveryCounts) restore(list []store.Delivered) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var newest time.Time
	for _, d := range list {
		if d.Hour.After(newest) {
			newest = d.Hour
		}
	}
	for _, d := range list {
		if newest.Sub(d.Hour) < maxHours*time.Hour {
			t.addLocked(d)
		}
	}
}

// close writes the remaining counts. Later ones are lost.
func (t *deliveryCounts) close() {
	close(t.ending)
	t.ended.Wait()
}
