// Package tally adds up counts in memory and writes them every few seconds, so that counting costs
// nobody a wait. What cannot be written waits for the next time.
package tally

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	every        = 2 * time.Second // between two writes
	writeTimeout = 5 * time.Second // of one write
)

// Config says what a Tally counts: values V by keys K. All are required.
type Config[K comparable, V any] struct {
	Add   func(sum, more V) V
	Write func(context.Context, map[K]V) error
	// Keep returns the key that a count which could not be written waits under; false: it does not wait.
	Keep func(K) (K, bool)
	Log  *slog.Logger
	What string // is counted, for the log
}

// Tally adds up counts. Make it with New, end it with Close.
type Tally[K comparable, V any] struct {
	cfg      Config[K, V]
	logLimit rate.Sometimes
	ending   chan struct{}
	ended    sync.WaitGroup

	mu     sync.Mutex
	counts map[K]V
}

// New returns a running Tally.
func New[K comparable, V any](cfg Config[K, V]) *Tally[K, V] {
	t := &Tally[K, V]{cfg: cfg, logLimit: rate.Sometimes{Interval: time.Minute},
		ending: make(chan struct{}), counts: map[K]V{}}
	t.ended.Go(t.writeUntilClosed)
	return t
}

// Add counts. It takes only a short lock.
func (t *Tally[K, V]) Add(key K, more V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addLocked(key, more)
}

func (t *Tally[K, V]) addLocked(key K, more V) {
	if sum, there := t.counts[key]; there {
		more = t.cfg.Add(sum, more)
	}
	t.counts[key] = more
}

func (t *Tally[K, V]) writeUntilClosed() {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.Flush()
		case <-t.ending:
			t.Flush()
			return
		}
	}
}

// Flush writes what was counted since the last write. If its answer is lost, counts are written
// twice, which is better than losing them.
func (t *Tally[K, V]) Flush() {
	t.mu.Lock()
	counts := t.counts
	t.counts = map[K]V{}
	t.mu.Unlock()
	if len(counts) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	if err := t.cfg.Write(ctx, counts); err != nil {
		t.restore(counts)
		t.logLimit.Do(func() {
			t.cfg.Log.Warn(t.cfg.What+" are counted, but the counts could not be written yet", "error", err)
		})
	}
}

func (t *Tally[K, V]) restore(counts map[K]V) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, count := range counts {
		if key, keep := t.cfg.Keep(key); keep {
			t.addLocked(key, count)
		}
	}
}

// Close writes the remaining counts. Later ones are lost.
func (t *Tally[K, V]) Close() {
	close(t.ending)
	t.ended.Wait()
}
