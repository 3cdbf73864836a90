package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"rollcall/cmd/rollcall/story"
	"rollcall/store"
	"rollcall/webhooks"
)

// senders is how many connections webhooks come over at once.
const senders = 8

// player sends the story's events as their senders would, and reads the lists
// as a program would: over HTTP, with signatures and a token.
type player struct {
	dev    *dev
	random *rand.Rand
	http   *http.Client
	bar    progress

	sent     map[string]bool // what events tell of, once they are sent
	requests int
	events   int
	doubled  int
	late     int              // sent before something they lean on
	held     int              // until all others were worked through
	accepted int              // answered as new
	counts   map[string]int64 // of the inbox, by status
}

func newPlayer(d *dev, random *rand.Rand) *player {
	return &player{
		dev: d, random: random, bar: d.env.progress(), sent: map[string]bool{},
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxConnsPerHost: senders, MaxIdleConnsPerHost: senders}},
	}
}

// plan shuffles the events, doubles a good third of them, and holds back a
// fifth, with second copies of others, until the rest is through.
func (p *player) plan(events []story.Event) (first, second []story.Event) {
	p.events = len(events)
	for _, e := range events {
		to := &first
		if p.random.IntN(5) == 0 {
			to = &second
			p.held++
		}
		*to = append(*to, e)
		if p.random.IntN(3) == 0 {
			p.doubled++
			if p.random.IntN(2) == 0 {
				to = &second
			}
			*to = append(*to, e)
		}
	}
	for _, wave := range [][]story.Event{first, second} {
		p.random.Shuffle(len(wave), func(i, j int) { wave[i], wave[j] = wave[j], wave[i] })
		for _, e := range wave {
			p.note(e)
		}
	}
	return first, second
}

// note keeps account of what comes before what it leans on.
func (p *player) note(e story.Event) {
	if p.sent[e.ID] {
		return
	}
	if slices.ContainsFunc(e.Leans, func(key string) bool { return !p.sent[key] }) {
		p.late++
	}
	p.sent[e.ID] = true
	if e.Gives != "" {
		p.sent[e.Gives] = true
	}
}

// perform sends events over several connections at once, and waits until they
// are worked through.
func (p *player) perform(ctx context.Context, events []story.Event) error {
	p.bar.show("sending %d webhooks", len(events))
	g, sending := errgroup.WithContext(ctx)
	g.SetLimit(senders)
	answers := make(chan string, len(events))
	for _, e := range events {
		g.Go(func() error {
			status, body, err := p.send(sending, e, "")
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("%s %s was answered %d: %s", e.Source, e.Type, status, body)
			}
			answers <- body
			return err
		})
	}
	err := g.Wait()
	close(answers)
	for answer := range answers {
		p.requests++
		if strings.Contains(answer, "accepted") {
			p.accepted++
		}
	}
	if err != nil {
		return err
	}
	return p.settle(ctx)
}

// send signs an event with its source's secret, unless another is given, and
// posts it. Like a real sender it tries again when told to.
func (p *player) send(ctx context.Context, e story.Event, secret string) (status int, body string, err error) {
	header, err := p.sign(e, secret)
	if err != nil {
		return 0, "", err
	}
	for try := 1; ; try++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.dev.url+"/webhooks/"+e.Source, bytes.NewReader(e.Body))
		if err != nil {
			return 0, "", err
		}
		req.Header = header
		status, body, err = p.do(req)
		if err != nil || status != http.StatusServiceUnavailable || try == 5 {
			return status, body, err
		}
		time.Sleep(time.Duration(try) * 200 * time.Millisecond)
	}
}

func (p *player) sign(e story.Event, secret string) (http.Header, error) {
	c, now := p.dev.env.Config, time.Now()
	one := func(list *string) string {
		first, _, _ := strings.Cut(given(list), ",")
		return cmp.Or(secret, strings.TrimSpace(first))
	}
	switch e.Source {
	case webhooks.Clerk:
		return webhooks.SignClerk(one(c.ClerkSecrets), e.ID, e.Body, now)
	case webhooks.Platform:
		return webhooks.SignPlatform(one(c.PlatformSecrets), e.ID, e.Body, now)
	}
	return webhooks.SignStripe(one(c.StripeSecrets), e.Body, now), nil
}

func (p *player) do(req *http.Request) (status int, body string, err error) {
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(text)), err
}

// forge sends an event signed with a secret that is not ours. It must be
// refused, and leave nothing.
func (p *player) forge(ctx context.Context, e story.Event) error {
	e.ID = "evt_forged"
	status, body, err := p.send(ctx, e, signingSecret())
	if err == nil && status != http.StatusBadRequest {
		err = fmt.Errorf("a forged webhook was answered %d, not 400: %s", status, body)
	}
	return err
}

// settle waits until no event is pending.
func (p *player) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var page struct{ Counts map[string]int64 }
		if err := p.get(ctx, "/api/admin/events?limit=1", &page); err != nil {
			return err
		}
		p.counts = page.Counts
		if page.Counts["pending"] == 0 {
			p.bar.clear()
			return nil
		}
		p.bar.show("%d webhooks to be worked through", page.Counts["pending"])
		select {
		case <-ctx.Done():
			if p.dev.env.Err() != nil {
				return p.dev.env.Err()
			}
			return fmt.Errorf("%d events are still pending after %v; `rollcall events list --status pending` tells more", page.Counts["pending"], patience)
		case <-tick.C:
		}
	}
}

// get reads an answer of the API.
func (p *player) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.dev.url+path, nil)
	if err != nil {
		return err
	}
	status, body, err := p.ask(req)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("GET %s was answered %d: %s", path, status, body)
	}
	return json.Unmarshal([]byte(body), into)
}

// ask does a request as an operator.
func (p *player) ask(req *http.Request) (status int, body string, err error) {
	req.Header.Set("Authorization", "Bearer "+given(p.dev.env.AdminToken))
	return p.do(req)
}

// list is what the API says of one store.
type list struct {
	customers []store.Customer
	stats     store.Stats
}

// pageSize is small, so that a list takes several pages.
const pageSize = 5

// lists reads the lists of stores.
func (p *player) lists(ctx context.Context, stores []story.Store) (map[string]list, error) {
	out := map[string]list{}
	for _, s := range stores {
		var l list
		base := "/api/stores/" + url.PathEscape(s.ID)
		for cursor := ""; ; {
			var page struct {
				Data       []store.Customer
				NextCursor *string `json:"next_cursor"`
			}
			query := url.Values{"sort": {"-last_activity"}, "limit": {fmt.Sprint(pageSize)}, "cursor": {cursor}}
			if err := p.get(ctx, base+"/customers?"+query.Encode(), &page); err != nil {
				return nil, err
			}
			l.customers = append(l.customers, page.Data...)
			if page.NextCursor == nil {
				break
			}
			cursor = *page.NextCursor
		}
		if err := p.get(ctx, base+"/stats", &l.stats); err != nil {
			return nil, err
		}
		out[s.ID] = l
	}
	return out, nil
}
