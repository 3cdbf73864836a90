package history

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testing/stripefake"
	"rollcall/store"
)

// begin is when the fakes' history begins; asOf when the runs over it start.
const begin = 1_700_000_000

var asOf = time.Unix(1_768_000_000, 0)

// config reads a fake.
func config(fake *stripefake.Server) StripeConfig {
	return StripeConfig{
		Key: stripefake.Key, BaseURL: fake.URL, Timeout: 20 * time.Second,
		Options: store.BackfillOptions{AsOf: &asOf},
		Now:     func() time.Time { return asOf.Add(time.Hour) },
	}
}

// object makes an object of a kind.
func object(kind, id string, created int64, more ...stripefake.Object) stripefake.Object {
	o := stripefake.Object{"id": id, "object": kind, "created": created, "livemode": false}
	for _, m := range more {
		for k, v := range m {
			o[k] = v
		}
	}
	return o
}

// customers makes n customers, one each step seconds.
func customers(n int, step int64) (objects []any) {
	for i := range n {
		objects = append(objects, object("customer", fmt.Sprintf("cus_%04d", i), begin+int64(i)*step))
	}
	return objects
}

// source is what the worker knows of a source.
type source interface {
	Read(ctx context.Context, at store.Position, limit int) (store.Page, error)
}

func newStripe(t testing.TB, c StripeConfig) *Stripe {
	t.Helper()
	s, err := NewStripe(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newEvents(t testing.TB, c StripeConfig) *StripeEvents {
	t.Helper()
	s, err := NewStripeEvents(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run is what a whole backfill came to.
type run struct {
	items []store.Item
	tries int // reads that failed and were repeated
	pages int
	open  int // most positions that could be read at once
}

// seen counts the items by place.
func (r run) seen() map[string]int {
	places := map[string]int{}
	for _, item := range r.items {
		places[item.Place]++
	}
	return places
}

// fataler is a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// readAll reads a source as workers would, in any order, trying again whatever
// may be tried again.
func readAll(t fataler, s source, limit int, seed uint64) (r run) {
	t.Helper()
	order := rand.New(rand.NewPCG(seed, 0))
	open := []store.Position{{}}
	for len(open) > 0 {
		r.open = max(r.open, len(open))
		i := order.IntN(len(open))
		page, err := s.Read(context.Background(), open[i], limit)
		var refused *Refused
		if errors.As(err, &refused) || r.tries > 1000 {
			t.Fatalf("%s %s: %v", open[i].Stream, open[i].Cursor, err)
		}
		if err != nil {
			noKey(t, err)
			r.tries++
			continue
		}
		r.pages++
		open = append(open[:i], open[i+1:]...)
		r.items, open = append(r.items, page.Items...), append(open, page.Next...)
	}
	return r
}

// noKey fails if an error tells anything of the key.
func noKey(t fataler, err error) {
	t.Helper()
	if text := err.Error(); strings.Contains(text, "sk_") ||
		strings.Contains(text, stripefake.Key[len(stripefake.Key)-4:]) {
		t.Fatalf("the error tells of the key: %s", text)
	}
}
