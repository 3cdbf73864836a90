// Package stripefake is a Stripe for tests: it holds objects in memory and
// pages through them as Stripe does, for the platform's own account and for
// connected ones, and fails on demand.
package stripefake

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"
)

// Key is the one API key that the fake accepts.
const Key = "sk_test_stripefake51H8"

// Object is an object of Stripe's, as its JSON. A list inside it ({"data":
// […]}) is given whole; the fake hands it out as Stripe does.
type Object = map[string]any

// Server is a fake Stripe. Its methods may be called while it serves.
type Server struct {
	URL string

	t       testing.TB
	closing chan struct{} // ends the requests that hang

	mu       sync.Mutex
	accounts map[string]map[string]Object // by account, then id
	lost     map[string]bool              // accounts that took back the platform's access
	faults   Faults
	requests []Request
}

// Faults says which requests go wrong: every nth, counted over all. Zero is
// never. Where several fall together the first one named here happens.
type Faults struct {
	LimitEvery int           // 429
	RetryAfter time.Duration // its Retry-After, in whole seconds; 0: none is sent
	HangEvery  int           // no answer until the client gives up
	FailEvery  int           // 500
	CutEvery   int           // half of the body, then the connection ends

	// Answered, if set, is called just before a right answer is sent, with the
	// request and the ids on the page, for a test to change something between
	// pages.
	Answered func(r Request, ids []string)
}

// Request is one that was made.
type Request struct {
	At        time.Time
	Operation string // method and route, as "GET /v1/invoices/{id}/lines"
	Path      string
	Query     url.Values
	Account   string // Stripe-Account
	Status    int    // of the answer; 0: it hung
}

// New starts a fake Stripe that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, closing: make(chan struct{}), accounts: map[string]map[string]Object{}, lost: map[string]bool{}}
	server := httptest.NewServer(s)
	s.URL = server.URL
	t.Cleanup(func() {
		close(s.closing)
		server.Close()
	})
	return s
}

// Add puts objects into an account (empty: the platform's own): each an Object
// or its JSON as string, []byte or json.RawMessage. One of an id that is there
// replaces it.
func (s *Server) Add(account string, objects ...any) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accounts[account] == nil {
		s.accounts[account] = map[string]Object{}
	}
	for _, given := range objects {
		o, err := decode(given)
		id, _ := o["id"].(string)
		if kind, _ := o["object"].(string); err != nil || id == "" || kind == "" {
			s.t.Errorf("stripefake: no object with id and object: %v %v", given, err)
			continue
		}
		s.accounts[account][id] = o
	}
}

func decode(given any) (o Object, err error) {
	switch v := given.(type) {
	case string:
		err = json.Unmarshal([]byte(v), &o)
	case []byte:
		err = json.Unmarshal(v, &o)
	case json.RawMessage:
		err = json.Unmarshal(v, &o)
	case Object: // through JSON, so that all numbers are of one type
		var text []byte
		if text, err = json.Marshal(v); err == nil {
			err = json.Unmarshal(text, &o)
		}
	default:
		err = fmt.Errorf("%T is neither an object nor JSON", given)
	}
	return o, err
}

// Remove deletes objects.
func (s *Server) Remove(account string, ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.accounts[account], id)
	}
}

// Deauthorise makes an account one that the platform may no longer read.
func (s *Server) Deauthorise(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost[account] = true
}

// Faults replaces what goes wrong from now on. Requests are counted from the
// server's start.
func (s *Server) Faults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

// Requests returns the requests made so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// IDs returns the ids of an account's objects of a kind, sorted.
func (s *Server) IDs(account, kind string) (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(s.accounts[account])) {
		if s.accounts[account][id]["object"] == kind {
			ids = append(ids, id)
		}
	}
	return ids
}

// ServeHTTP answers a request of the API.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var a answer
	s.mu.Lock()
	number, faults := len(s.requests)+1, s.faults
	to, fault := route(r.URL.Path), faults.of(number)
	if fault == "" {
		a = s.answer(r, to)
	} else {
		a = faults.answer(fault, func() answer { return s.answer(r, to) })
	}
	seen := Request{
		At: time.Now(), Operation: r.Method + " " + to.name, Path: r.URL.Path, Query: r.URL.Query(),
		Account: r.Header.Get("Stripe-Account"), Status: a.status,
	}
	s.requests = append(s.requests, seen)
	s.mu.Unlock()
	if faults.Answered != nil && a.status == http.StatusOK && !a.cut {
		faults.Answered(seen, a.ids)
	}
	s.write(w, r, a)
}
