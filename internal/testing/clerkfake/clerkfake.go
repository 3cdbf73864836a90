// Package clerkfake is a Clerk for tests: a server that keeps users and lists
// them as Clerk's Backend API does, and misbehaves when it is told to.
package clerkfake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Key is the secret key that the server accepts.
const Key = "sk_test_clerkfake"

// User is a user in the shape of Clerk's API.
type User map[string]any

// NewUser returns a user with a verified address who signed up at a time, as
// complete as readers need; what is missing can be set.
func NewUser(id, email string, at time.Time) User {
	ms := at.UnixMilli()
	return User{
		"id": id, "object": "user", "first_name": nil, "last_name": nil, "username": nil, "image_url": nil,
		"primary_email_address_id": "idn_" + id,
		"email_addresses": []any{map[string]any{
			"id": "idn_" + id, "object": "email_address", "email_address": email,
			"verification": map[string]any{"status": "verified", "strategy": "email_code"},
		}},
		"created_at": ms, "updated_at": ms, "last_sign_in_at": ms, "last_active_at": ms,
	}
}

// Clerk is the server.
type Clerk struct {
	URL string // base of the API, with its /v1

	mu        sync.Mutex
	users     []User
	raw       map[string]string // instead of a user's JSON
	faults    []Fault
	listing   func(n int)
	lists     int
	requests  int
	inclusive bool
	most      int
	stop      chan struct{}
}

// New starts a server that ends with the test.
func New(t testing.TB) *Clerk {
	c := &Clerk{raw: map[string]string{}, most: 500, stop: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/users", c.list)
	mux.HandleFunc("GET /v1/users/count", c.count)
	server := httptest.NewServer(c.guard(mux))
	c.URL = server.URL + "/v1"
	t.Cleanup(func() {
		close(c.stop)
		server.Close()
	})
	return c
}

// Add keeps users. Those of one id replace each other.
func (c *Clerk) Add(users ...User) {
	for _, u := range users {
		c.Remove(fmt.Sprint(u["id"]))
		c.mu.Lock()
		c.users = append(c.users, u)
		c.mu.Unlock()
	}
}

// Remove deletes users.
func (c *Clerk) Remove(ids ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users = slices.DeleteFunc(c.users, func(u User) bool { return slices.Contains(ids, fmt.Sprint(u["id"])) })
}

// Garble sends a user as the given JSON.
func (c *Clerk) Garble(id, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw[id] = text
}

// Inclusive makes created_at_after take in its own time.
func (c *Clerk) Inclusive(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inclusive = yes
}

// Most is how many users a page holds at most, whatever is asked for.
func (c *Clerk) Most(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = n
}

// BeforeList is called before the nth list (from 1) is put together, to add and
// remove users between pages.
func (c *Clerk) BeforeList(f func(n int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listing = f
}

// Requests is how many requests have come, those that failed included.
func (c *Clerk) Requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

func (c *Clerk) list(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.lists++
	n, listing := c.lists, c.listing
	c.mu.Unlock()
	if listing != nil {
		listing(n)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	q := r.URL.Query()
	users := c.filtered(r)
	order := q.Get("order_by")
	slices.SortStableFunc(users, func(a, b User) int {
		if order == "+created_at" {
			return cmp.Compare(millis(a), millis(b))
		}
		return cmp.Compare(millis(b), millis(a))
	})
	limit, offset := min(number(q.Get("limit"), 10), c.most), number(q.Get("offset"), 0)
	users = users[min(offset, len(users)):]
	users = users[:min(limit, len(users))]
	out := make([]json.RawMessage, len(users))
	for i, u := range users {
		out[i] = c.text(u)
	}
	answer(w, http.StatusOK, out)
}

func (c *Clerk) text(u User) json.RawMessage {
	if raw, ok := c.raw[fmt.Sprint(u["id"])]; ok {
		return json.RawMessage(raw)
	}
	text, err := json.Marshal(u)
	if err != nil {
		panic(err)
	}
	return text
}

func (c *Clerk) count(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{"object": "total_count", "total_count": len(c.filtered(r))})
}

// filtered returns the users that a request's filters let through.
func (c *Clerk) filtered(r *http.Request) (out []User) {
	q := r.URL.Query()
	after, before := number(q.Get("created_at_after"), -1), number(q.Get("created_at_before"), 1<<62)
	for _, u := range c.users {
		at := millis(u)
		if at > after && at < before || c.inclusive && (at == after || at == before) {
			out = append(out, u)
		}
	}
	return out
}

func millis(u User) int {
	switch n := u["created_at"].(type) {
	case int64:
		return int(n)
	case int:
		return n
	case float64:
		return int(n)
	}
	return 0
}

func number(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return otherwise
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // a client that has gone needs no answer
}
