package history

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"rollcall/internal/testing/stripefake"
	"rollcall/internal/testing/testdb"
)

func client(t testing.TB, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(options)
	t.Cleanup(func() { c.Close() })
	return c
}

func budget(t testing.TB, c *redis.Client, all, operation int) *Budget {
	t.Helper()
	b, err := NewBudget(c, all, operation)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// held checks that grants, noted when or after they were given, were never more
// since start than the rate allows.
func held(t *testing.T, what string, start time.Time, grants []time.Time, rate int) {
	t.Helper()
	slices.SortFunc(grants, time.Time.Compare)
	for i, at := range grants {
		if allowed := float64(max(rate/5, 1)) + float64(rate)*at.Sub(start).Seconds(); float64(i+1) > allowed {
			t.Fatalf("%s: %d requests after %v, the budget allows %.1f", what, i+1, at.Sub(start), allowed)
		}
	}
}

// Two budgets on one Redis are one: over all, and for each operation.
func TestBudgetIsShared(t *testing.T) {
	for _, c := range []struct{ all, operation, operations int }{
		{all: 100, operation: 10, operations: 2},
		{all: 20, operation: 19, operations: 6},
	} {
		url := testdb.Redis(t)
		budgets := []*Budget{budget(t, client(t, url), c.all, c.operation), budget(t, client(t, url), c.all, c.operation)}
		var mu sync.Mutex
		granted := map[string][]time.Time{}
		var group errgroup.Group
		start := time.Now()
		for i := range 24 {
			operation := fmt.Sprint("GET /v1/", i%c.operations)
			group.Go(func() error {
				err := budgets[i/c.operations%2].Wait(t.Context(), operation)
				at := time.Now()
				mu.Lock()
				defer mu.Unlock()
				granted[operation], granted["all"] = append(granted[operation], at), append(granted["all"], at)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if len(granted["all"]) != 24 || len(granted) != c.operations+1 {
			t.Fatalf("granted %v", granted)
		}
		for operation, times := range granted {
			rate := c.operation
			if operation == "all" {
				rate = c.all
			}
			held(t, operation, start, times, rate)
		}
	}
}

// Every request passes the budget, those for child lists too.
func TestEveryRequestIsBudgeted(t *testing.T) {
	fake := stripefake.New(t)
	fake.Add("", customers(30, 60)...)
	for i := range 12 {
		fake.Add("", object("checkout.session", fmt.Sprintf("cs_%d", i), begin, bought(11)))
	}
	c := config(fake)
	c.Budget = budget(t, client(t, testdb.Redis(t)), 40, 10)
	start := time.Now()
	readAll(t, newStripe(t, c), 3, 1)
	grants := map[string][]time.Time{}
	for _, r := range fake.Requests() {
		grants[r.Operation] = append(grants[r.Operation], r.At)
		grants["all"] = append(grants["all"], r.At)
	}
	lines := "GET /v1/checkout/sessions/{id}/line_items"
	if len(grants[lines]) != 12 || len(grants["GET /v1/customers"]) < 10 {
		t.Fatalf("requests: %v", grants)
	}
	held(t, "all", start, grants["all"], 40)
	held(t, lines, start, grants[lines], 10)
	held(t, "customers", start, grants["GET /v1/customers"], 10)
}

func TestBudgetErrors(t *testing.T) {
	b := budget(t, client(t, testdb.Redis(t)), 1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	if err := b.Wait(ctx, "GET /v1/x"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := b.Wait(ctx, "GET /v1/x"); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with a cancelled context: %v", err)
	}
	if _, err := NewBudget(nil, -1, 1); err == nil {
		t.Error("a negative rate was taken")
	}

	fake := stripefake.New(t)
	c := config(fake)
	c.Budget = budget(t, redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1}), 1, 1)
	c.Options.Only = []string{"customers"}
	s := newStripe(t, c)
	plan, err := s.Read(t.Context(), position(""), 10)
	if err != nil {
		t.Fatal(err)
	}
	var later *Later
	var refused *Refused
	if _, err = s.Read(t.Context(), plan.Next[0], 10); !errors.Is(err, errBudget) || errors.As(err, &later) ||
		errors.As(err, &refused) {
		t.Errorf("without Redis: %v", err)
	}
	if n := len(fake.Requests()); n != 0 {
		t.Errorf("%d requests without a budget", n)
	}
}

func TestOperation(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/payment_intents":                         "GET /v1/payment_intents",
		"/v1/checkout/sessions/cs_test_a1/line_items": "GET /v1/checkout/sessions/{id}/line_items",
		"/v1/invoices/in_Abc/lines":                   "GET /v1/invoices/{id}/lines",
	} {
		r, err := http.NewRequest(http.MethodGet, "http://stripe.example"+path, nil)
		if err != nil || operation(r) != want {
			t.Errorf("%s is %q, want %q", path, operation(r), want)
		}
	}
}
