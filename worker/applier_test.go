package worker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"rollcall/jobs"
	"rollcall/store"
)

// While the lanes are busy events gather; a lone one goes alone, at once.
func TestApplierGathers(t *testing.T) {
	var mu sync.Mutex
	var sizes []int
	hold, started := make(chan struct{}), make(chan struct{}, 100)
	a := newApplier(func(_ context.Context, ids []int64, _ int) (store.Outcome, error) {
		mu.Lock()
		sizes = append(sizes, len(ids))
		mu.Unlock()
		started <- struct{}{}
		<-hold
		return store.Outcome{}, nil
	}, jobs.Tracer(nil, ""))
	var callers sync.WaitGroup
	apply := func(id int64) {
		callers.Go(func() {
			if _, err := a.apply(context.Background(), id); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range transactions { // each lane busy with one event
		apply(int64(i))
		<-started
	}
	for i := range maxBatch {
		a.queue <- request{id: int64(100 + i), result: make(chan reply, 1)}
	}
	close(hold)
	callers.Wait()
	a.close()
	if total := len(sizes); total < transactions+1 || slices.Max(sizes) < maxBatch/transactions || sizes[0] != 1 {
		t.Errorf("transactions of %v events", sizes)
	}
}

// One bad event costs the others nothing: all are tried again one by one.
func TestApplierFallsBackToOneByOne(t *testing.T) {
	bad := errors.New("bad")
	a := newApplier(func(_ context.Context, ids []int64, _ int) (store.Outcome, error) {
		switch {
		case slices.Contains(ids, 3):
			return store.Outcome{}, bad
		case slices.Equal(ids, []int64{4}):
			return store.Outcome{Malformed: ids}, nil
		}
		return store.Outcome{}, nil
	}, jobs.Tracer(nil, ""))
	batch := make([]request, 6)
	for i := range batch {
		batch[i] = request{id: int64(i), result: make(chan reply, 1)}
	}
	a.applyBatch(batch)
	a.close()
	for i, r := range batch {
		want := map[int]error{3: bad, 4: errMalformed}[i]
		if err := (<-r.result).err; !errors.Is(err, want) {
			t.Errorf("event %d: %v, want %v", i, err, want)
		}
	}
}

// A caller that gives up leaves nobody waiting.
func TestApplierCallerGone(t *testing.T) {
	hold := make(chan struct{})
	a := newApplier(func(context.Context, []int64, int) (store.Outcome, error) {
		<-hold
		return store.Outcome{}, nil
	}, jobs.Tracer(nil, ""))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := a.apply(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(hold)
	a.close()
}

// With Postgres away nobody is tried alone: all hear of it at once.
func TestApplierOutage(t *testing.T) {
	away := &pgconn.PgError{Code: "57P01"}
	calls := 0
	a := newApplier(func(context.Context, []int64, int) (store.Outcome, error) {
		calls++
		return store.Outcome{}, away
	}, jobs.Tracer(nil, ""))
	batch := make([]request, 5)
	for i := range batch {
		batch[i] = request{id: int64(i), result: make(chan reply, 1)}
	}
	a.applyBatch(batch)
	a.close()
	for i, r := range batch {
		if err := (<-r.result).err; !errors.Is(err, away) {
			t.Errorf("event %d: %v", i, err)
		}
	}
	if calls != 1 {
		t.Errorf("%d tries", calls)
	}
}
