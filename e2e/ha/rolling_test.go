package ha

import (
	"fmt"
	"html"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"rollcall/internal/testing/testdb"
)

// All processes are replaced one by one under load, as by a new version: senders
// see neither a broken connection nor a refusal.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	database := testdb.Postgres(t)
	s := newSystem(t, database, testdb.Redis(t), database)
	delay := fmt.Sprintf("DRAIN_DELAY=%v", 10*checkEvery)
	b := newBalancer(t)
	serves, works := []*process{s.start("serve", delay), s.start("serve", delay)},
		[]*process{s.start("work"), s.start("work")}
	for _, p := range serves {
		b.add(p.url())
	}
	load := s.survives(b.url, func() {
		for i := range 2 {
			b.add(s.start("serve", delay).url())
			watch(t, serves[i].base)
			serves[i].terminate()
			s.start("work")
			works[i].terminate()
		}
	})
	for _, err := range append(load.broken, b.errors...) {
		t.Errorf("a sender was let down: %v", err)
	}
	if n := load.refused.Load(); n > 0 {
		t.Errorf("%d tries refused", n)
	}
}

// liveURL is where a list's page waits for newcomers.
var liveURL = regexp.MustCompile(`id="live" data-url="([^"]+)"`)

// watch opens a page's connection that waits for newcomers, as creators have
// open all day.
func watch(t *testing.T, base string) {
	page := look(t, base+"/store/store_1/customers")
	defer page.Body.Close()
	text, err := io.ReadAll(page.Body)
	found := liveURL.FindSubmatch(text)
	if err != nil || found == nil {
		t.Fatalf("the page waits for nobody: %v\n%s", err, text)
	}
	answer := look(t, base+html.UnescapeString(string(found[1])))
	t.Cleanup(func() { answer.Body.Close() })
}

// look asks as an operator.
func look(t *testing.T, url string) *http.Response {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", url, answer.Status)
	}
	return answer
}

// checkEvery is how often a balancer asks for /readyz.
const checkEvery = 50 * time.Millisecond

// balancer stands before several serve and passes each request on to the next of
// those whose /readyz says 200. It tries none twice.
type balancer struct {
	url string

	mu     sync.Mutex
	ready  []*url.URL
	turn   int
	errors []error
}

func newBalancer(t *testing.T) *balancer {
	b := &balancer{}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(b.next()) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 32},
		ErrorLog:  log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.errors = append(b.errors, err)
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// add sends requests to a serve for as long as it is ready.
func (b *balancer) add(base string) {
	target, err := url.Parse(base)
	if err != nil {
		panic(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = append(b.ready, target)
	go func() {
		for range time.Tick(checkEvery) {
			answer, err := http.Get(base + "/readyz")
			if err == nil {
				answer.Body.Close()
			}
			if err != nil || answer.StatusCode != http.StatusOK {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.ready = slices.DeleteFunc(b.ready, func(u *url.URL) bool { return u == target })
				return
			}
		}
	}()
}

func (b *balancer) next() *url.URL {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn++
	return b.ready[b.turn%len(b.ready)]
}
