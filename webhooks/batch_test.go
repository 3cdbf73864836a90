package webhooks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/internal/testing/testdb"
	"rollcall/jobs"
	"rollcall/store"
)

// gate is an inserter whose inserts wait to be let through; it keeps their sizes.
type gate struct {
	sizes []int
	open  chan error // one for each insert
}

func (g *gate) insert(ctx context.Context, events []store.NewEvent) ([]store.Inserted, error) {
	g.sizes = append(g.sizes, len(events))
	select {
	case err := <-g.open:
		return make([]store.Inserted, len(events)), err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func newGate() (*gate, *batcher) {
	g := &gate{open: make(chan error)}
	return g, &batcher{insert: g.insert, onNew: func(row) {}, timeout: 10 * time.Second, tracer: jobs.Tracer(nil, "")}
}

// addAll adds n events from as many goroutines and returns when all wait. Every
// answer goes to the returned channel.
func addAll(b *batcher, n int) chan error {
	answers := make(chan error, n)
	for i := range n {
		go func() {
			_, err := b.add(context.Background(), store.NewEvent{EventID: fmt.Sprint(i), Payload: []byte("{}")})
			answers <- err
		}()
	}
	synctest.Wait()
	return answers
}

func TestLoneEventGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, b := newGate()
		began := time.Now()
		answers := addAll(b, 1)
		if len(g.sizes) != 1 || g.sizes[0] != 1 {
			t.Fatalf("inserts %v, want one of one event", g.sizes)
		}
		g.open <- nil
		if err := <-answers; err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %s, want nil after 0", err, time.Since(began))
		}
	})
}

func TestEventsGatherWhileAnInsertIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, b := newGate()
		first := addAll(b, 1)
		rest := addAll(b, 600)
		for _, want := range [][]int{{1}, {1, 256}, {1, 256, 256}, {1, 256, 256, 88}} {
			synctest.Wait()
			if diff := gocmp.Diff(want, g.sizes); diff != "" {
				t.Fatalf("inserts (-want +got):\n%s", diff)
			}
			g.open <- nil
		}
		synctest.Wait()
		if len(first) != 1 || len(rest) != 600 || b.running || b.bytes != 0 {
			t.Errorf("%d and %d answered, running %t, %d bytes left", len(first), len(rest), b.running, b.bytes)
		}
	})
}

func TestGroupsAreBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, b := newGate()
		large := []byte(strings.Repeat(" ", 1<<20))
		for range waitingBytes>>20 + 3 { // one is in flight
			go b.add(context.Background(), store.NewEvent{Payload: large})
			synctest.Wait()
		}
		if len(b.waiting) != waitingBytes>>20 {
			t.Errorf("%d MiB wait, want %d", len(b.waiting), waitingBytes>>20)
		}
		if _, err := b.add(context.Background(), store.NewEvent{Payload: large}); codeOf(err) != unavailable {
			t.Errorf("one too many: %v", err)
		}
		g.open <- nil
		synctest.Wait()
		if g.sizes[1] != groupBytes>>20 {
			t.Errorf("%d MiB in one insert, want %d", g.sizes[1], groupBytes>>20)
		}
		b.close()
	})
}

// An insert that hangs answers its senders after the timeout, those who wait
// behind it too, and what nobody waits for any more is not inserted.
func TestHangingInsert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, b := newGate()
		began := time.Now()
		first := addAll(b, 1)
		time.Sleep(time.Second) // of the bubble's clock
		rest := addAll(b, groupEvents+5)
		if err := <-first; codeOf(err) != unavailable || time.Since(began) != 10*time.Second {
			t.Errorf("first: %v after %s", err, time.Since(began))
		}
		for range groupEvents + 5 {
			if err := <-rest; codeOf(err) != unavailable || time.Since(began) != 11*time.Second {
				t.Errorf("behind it: %v after %s", err, time.Since(began))
			}
		}
		b.close()
		if diff := gocmp.Diff([]int{1, groupEvents}, g.sizes); diff != "" {
			t.Errorf("inserts (-want +got):\n%s", diff)
		}
	})
}

func TestErrorReachesTheWholeGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, b := newGate()
		first, rest := addAll(b, 1), addAll(b, 3)
		g.open <- nil
		g.open <- errors.New("of a kind nobody knows")
		if err := <-first; err != nil {
			t.Errorf("first: %v", err)
		}
		for range 3 {
			if err := <-rest; codeOf(err) != internal {
				t.Errorf("group: %v", err)
			}
		}
	})
}

func TestCloseWaitsForTheGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, b := newGate()
		first, rest := addAll(b, 1), addAll(b, 2)
		var closed atomic.Bool
		go func() { b.close(); closed.Store(true) }()
		synctest.Wait()
		if closed.Load() {
			t.Error("closed with an insert in flight")
		}
		if _, err := b.add(context.Background(), store.NewEvent{}); !errors.Is(err, errClosed) {
			t.Errorf("add after close: %v", err)
		}
		g.open <- nil
		g.open <- nil
		synctest.Wait()
		if !closed.Load() || len(first) != 1 || len(rest) != 2 {
			t.Errorf("closed %t, answered %d and %d", closed.Load(), len(first), len(rest))
		}
	})
}

// One body that Postgres refuses fails nobody else in its group. The envelope
// lets none through that we know of, so these come past it.
func TestOddBodyFallsAlone(t *testing.T) {
	inbox, err := store.Open(t.Context(), testdb.Postgres(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer inbox.Close()
	var kept []int64
	b := &batcher{
		insert: inbox.InsertEvents, timeout: 10 * time.Second, tracer: jobs.Tracer(nil, ""),
		onNew: func(r row) { kept = append(kept, r.id) },
	}
	var group []*waiter
	for i, payload := range []string{`{}`, `{"torn":`, `{}`, "{\"nul\":\"\x00\"}", "{\"latin1\":\"\xe9\"}", `{}`} {
		event := store.NewEvent{Source: Stripe, EventID: fmt.Sprint(i % 5), Type: "a.b", OccurredAt: now,
			Payload: []byte(payload)}
		group = append(group, &waiter{t.Context(), event, make(chan outcome, 1)})
	}
	b.commit(t.Context(), group)
	var got []string
	for _, w := range group {
		o := <-w.done
		got = append(got, fmt.Sprintf("%s duplicate=%t", codeOf(o.err), o.Duplicate))
	}
	want := []string{" duplicate=false", "unstorable duplicate=false", " duplicate=false", "unstorable duplicate=false",
		"unstorable duplicate=false", " duplicate=true"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(kept) != 2 {
		t.Errorf("hinted at %v, want the two new rows", kept)
	}
}
