package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rollcall/store/customers"
	"rollcall/web/core"
)

// locked runs something while nobody can read the table of customers.
func (x *site) locked(t testing.TB, do func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), x.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `LOCK TABLE customers IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	do()
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// asking sends requests that will not be answered for now, and returns what ends
// them. It returns once the gate knows of all of them.
func (x *site) asking(t testing.TB, g *core.Gate, n int, path string, who as) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range n {
		r, err := http.NewRequestWithContext(ctx, "GET", x.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		who(r)
		all.Go(func() {
			if res, err := http.DefaultTransport.RoundTrip(r); err == nil {
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		})
	}
	x.await(t, func() bool { return g.Inside() >= n })
	return func() { cancel(); all.Wait() }
}

// await waits for what comes soon, or never.
func (x *site) await(t testing.TB, there func() bool) {
	t.Helper()
	hang := time.Now().Add(20 * time.Second)
	for tick := time.Tick(time.Millisecond); !there(); <-tick {
		if time.Now().After(hang) {
			t.Fatal("what is waited for has not come")
		}
	}
}

// tokens makes a token of each store.
func (x *site) tokens(t testing.TB, stores ...string) (tokens []as) {
	t.Helper()
	for _, id := range stores {
		x.exec(t, `INSERT INTO stores (id, name, version) VALUES ($1, $1, 'v')`, id)
		made, err := customers.New(x.Cfg.Store).CreateToken(t.Context(), customers.NewToken{Store: id, Name: "test"})
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, withBearer(made.Secret))
	}
	return tokens
}

// One store's token asks for all it can; the answers do not come. Another's is
// answered, and so is who asks whether this server is ready.
func TestOneVisitorLeavesRoom(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	who := x.tokens(t, "greedy", "other")
	x.locked(t, func() {
		end := x.asking(t, x.Gates.Requests, 60, "/api/stores/greedy/customers", who[0])
		defer end()
		if got := x.get(t, "/api/stores/other/customers/x/notes", who[1]); got.StatusCode != 404 {
			t.Errorf("another visitor: %d %s", got.StatusCode, got.text)
		}
		if got := x.get(t, "/readyz"); got.StatusCode != 200 {
			t.Errorf("readyz: %d %s", got.StatusCode, got.text)
		}
	})
}

// What one visitor, or all together, have too much of is refused with a word on
// when to come again; to programs, and as a page.
func TestRefusedAtGates(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	who := x.tokens(t, "greedy", "other")
	const counted = "/stats?q=ann"
	x.Gates.Requests.Each = 100
	x.Gates.Counts.Limits = core.Limits{Each: 1, Line: 1, MaxWait: time.Hour}
	x.locked(t, func() {
		end := x.asking(t, x.Gates.Counts, 2, "/api/stores/greedy"+counted, who[0])
		defer end()
		if got := x.get(t, "/api/stores/greedy"+counted, who[0]); got.StatusCode != 429 ||
			got.code(t) != "too_many_requests" || got.Header.Get("Retry-After") == "" {
			t.Errorf("the visitor's own limit: %d %v %s", got.StatusCode, got.Header, got.text)
		}
		x.Gates.Counts.Turns.TryAcquire(1) // the last
		x.Gates.Counts.MaxWait = 0
		if got := x.get(t, "/api/stores/other"+counted, who[1]); got.StatusCode != 503 || got.code(t) != "busy" ||
			got.Header.Get("Retry-After") == "" {
			t.Errorf("the limit of all: %d %v %s", got.StatusCode, got.Header, got.text)
		}
	})
}

func TestGate(t *testing.T) {
	t.Parallel()
	refused := core.NewMetrics(nil).Refused
	g := core.NewGate("test", core.Limits{Each: 2, All: 3, Line: 1, MaxWait: 0}, refused)
	var leave []func()
	enter := func(visitor string, want error) {
		t.Helper()
		end, err := g.Enter(t.Context(), visitor)
		if !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", visitor, err, want)
		}
		if err == nil {
			leave = append(leave, end)
		}
	}
	enter("a", nil)
	enter("a", nil)
	enter("a", core.ErrCrowd) // waits for no time
	enter("b", nil)
	enter("c", core.ErrBusy)
	leave[0]()
	enter("c", nil)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Enter(gone, "b"); !errors.Is(err, context.Canceled) {
		t.Errorf("who has hung up: %v", err)
	}
	for _, end := range leave[1:] {
		end()
	}
	if n := g.Inside(); n != 0 || len(g.Lanes) != 0 {
		t.Errorf("%d are still in", n)
	}
}

// Who waits is let in in turn, behind nobody's second request.
func TestGateTakesTurns(t *testing.T) {
	t.Parallel()
	g := core.NewGate("test", core.Limits{Each: 1, All: 1, Line: 100, MaxWait: time.Hour}, core.NewMetrics(nil).Refused)
	first, err := g.Enter(t.Context(), "greedy")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	order := make(chan string, 60)
	ask := func(visitor string) {
		served.Go(func() {
			if end, err := g.Enter(t.Context(), visitor); err == nil {
				order <- visitor
				end()
			}
		})
	}
	for range 50 {
		ask("greedy")
	}
	x := &site{}
	x.await(t, func() bool { return g.Inside() == 51 })
	ask("other")
	x.await(t, func() bool { return g.Inside() == 52 })
	first()
	served.Wait()
	close(order)
	for place := 1; ; place++ {
		if visitor, ok := <-order; visitor == "other" {
			if place > 2 {
				t.Errorf("served at place %d", place)
			}
			break
		} else if !ok {
			t.Fatal("not served")
		}
	}
}

// Pages that wait for news are limited too, exports as well: the next is refused.
func TestLastingRequestsAreLimited(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	who := x.tokens(t, "greedy", "other")
	for _, c := range []struct {
		gate *core.Gate
		path string
	}{{x.Gates.Watches, "/store/%s/customers/live"}, {x.Gates.Exports, "/api/stores/%s/customers.csv"}} {
		c.gate.Limits.MaxWait = 0
		var ends []func()
		for range c.gate.Each + int64(c.gate.Line) {
			end, err := c.gate.Enter(t.Context(), "store:greedy")
			if err != nil {
				break
			}
			ends = append(ends, end)
		}
		pathOf := func(store string) string {
			path := fmt.Sprintf(c.path, store)
			if c.gate == x.Gates.Watches {
				path += "?after=" + x.after(t, store, 0)
			}
			return path
		}
		got := x.get(t, pathOf("greedy"), who[0])
		if got.StatusCode != 429 || got.Header.Get("Retry-After") == "" || strings.HasPrefix(c.path, "/api") &&
			got.code(t) != "too_many_requests" {
			t.Errorf("%s: %d %v %s", c.path, got.StatusCode, got.Header, got.text)
		}
		ends[0]()
		for _, end := range ends[1:] {
			defer end()
		}
		c.gate.Turns.TryAcquire(c.gate.All - int64(len(ends)) + 1) // all places are taken
		got = x.get(t, pathOf("other"), who[1])
		if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" || strings.HasPrefix(c.path, "/api") &&
			got.code(t) != "busy" {
			t.Errorf("%s: %d %v %s", c.path, got.StatusCode, got.Header, got.text)
		}
	}
}

// What Postgres ended as it took too long is said to be so.
func TestTooSlow(t *testing.T) {
	if got := core.Explain(fmt.Errorf("store.Figures: %w", &pgconn.PgError{Code: "57014"})); got != core.ErrSlow ||
		core.RetryAfter(got) == "" {
		t.Errorf("%+v", got)
	}
}
