// Package demo sends the recorded scenario to a running Rollcall, as real senders would:
// signed webhooks over HTTP, late, repeated and out of order. Then it reads the lists
// as a program would, and compares them with the scenario.
package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"rollcall/facts"
	"rollcall/internal/scenario"
	"rollcall/store"
	"rollcall/webhooks"
)

const (
	// Senders is how many connections webhooks come over at once.
	Senders = 8
	// patience is how long the demo waits for its events to be worked through.
	patience = time.Minute
	// forgers sign with a secret that is not ours.
	forgers = "whsec_bm90IHRoZSBzZWNyZXQ="
)

// Target is the Rollcall that the scenario is played at.
type Target struct {
	URL        string
	AdminToken string
	Secrets    map[string]string                      // by source
	Keep       func(context.Context, facts.Set) error // stores facts and attaches none
	Show       func(format string, args ...any)       // shows the current step
	Clear      func()                                 // clears that line
}

// Sent counts the sent events and their results.
type Sent struct {
	Events, Requests int
	Doubled          int              // events sent twice
	Late             int              // before something that they name
	Held             int              // until all others were worked through
	Accepted         int              // answered as new
	Then, Now        int              // customers on the lists before and after those held
	Took             time.Duration    //
	Counts           map[string]int64 // of the inbox, by status
}

// Player plays a scenario at a target.
type Player struct {
	Scenario *scenario.Scenario
	Sent     Sent
	Lists    map[string]List // of all stores, once they are read
	Missed   []string        // how backfills differ from the scenario

	at     Target
	random *rand.Rand
	http   *http.Client
}

// New returns a player of the scenario as of now. The same seed shuffles alike.
func New(at Target, seed uint64) (*Player, error) {
	s, err := scenario.Load(time.Now())
	return &Player{
		Scenario: s, at: at, random: rand.New(rand.NewPCG(seed, 0)),
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
			MaxConnsPerHost: Senders, MaxIdleConnsPerHost: Senders}},
	}, err
}

// LoadPast stores older data, like a move from another system, and returns how many
// customers the stores have then: none, until backfills have run.
func (p *Player) LoadPast(ctx context.Context) (customers int, err error) {
	var past facts.Set
	for _, e := range p.Scenario.Past {
		set, err := facts.Read(facts.Event{Source: e.Source, ID: e.ID, Type: e.Type, OccurredAt: e.At, Payload: e.Body})
		var ignored *facts.Ignored
		if err != nil && !errors.As(err, &ignored) {
			return 0, err
		}
		past.Add(set)
	}
	if err := p.at.Keep(ctx, past); err != nil {
		return 0, err
	}
	return p.readLists(ctx)
}

// Backfill runs a kind like an operator, and compares the result with the scenario.
func (p *Player) Backfill(ctx context.Context, want scenario.Row) (b store.Backfill, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	kind := want["backfill"]
	if err := p.ask(ctx, http.MethodPost, "/api/admin/backfills", `{"kind":"`+kind+`"}`, &b); err != nil {
		return b, err
	}
	for tick := time.Tick(20 * time.Millisecond); b.EndedAt == nil; {
		p.at.Show("backfill %s: %d of %d", kind, b.Seen, deref(b.Expected))
		select {
		case <-ctx.Done():
			return b, fmt.Errorf("backfill %d (%s) is %s still after %v", b.ID, kind, b.Status, patience)
		case <-tick:
		}
		if err := p.ask(ctx, http.MethodGet, fmt.Sprintf("/api/admin/backfills/%d", b.ID), "", &b); err != nil {
			return b, err
		}
	}
	p.at.Clear()
	if b.Status != "completed" || fmt.Sprint(b.Seen) != want["seen"] || fmt.Sprint(b.Created) != want["created"] {
		p.Missed = append(p.Missed, fmt.Sprintf("backfill %s: %s, %d seen and %d created; the scenario says %s and %s",
			kind, b.Status, b.Seen, b.Created, want["seen"], want["created"]))
	}
	return b, nil
}

// Play sends all events and a forged one, and reads the lists.
func (p *Player) Play(ctx context.Context) (err error) {
	first, second := p.plan()
	began := time.Now()
	if err := p.perform(ctx, first); err != nil {
		return err
	}
	if p.Sent.Then, err = p.readLists(ctx); err != nil {
		return err
	}
	if err := p.perform(ctx, second); err != nil {
		return err
	}
	if err := p.forge(ctx, p.Scenario.Events[0]); err != nil {
		return err
	}
	p.Sent.Took = time.Since(began)
	p.Sent.Now, err = p.readLists(ctx)
	return err
}

// plan shuffles the events, doubles a good third of them, and holds back a
// fifth, with second copies of others, until the rest is through.
func (p *Player) plan() (first, second []scenario.Event) {
	for _, e := range p.Scenario.Events {
		to := &first
		if p.random.IntN(5) == 0 {
			to = &second
			p.Sent.Held++
		}
		*to = append(*to, e)
		if p.random.IntN(3) == 0 {
			p.Sent.Doubled++
			if p.random.IntN(2) == 0 {
				to = &second
			}
			*to = append(*to, e)
		}
	}
	for _, wave := range [][]scenario.Event{first, second} {
		p.random.Shuffle(len(wave), func(i, j int) { wave[i], wave[j] = wave[j], wave[i] })
	}
	p.Sent.Events, p.Sent.Late = len(p.Scenario.Events), late(p.Scenario.Events, first, second)
	return first, second
}

// late counts the events sent before something that they name: a user, store or product.
func late(all []scenario.Event, waves ...[]scenario.Event) (n int) {
	unknown := map[string]string{} // a quoted id, by the event that brings it
	for _, e := range all {
		if e.Type == "user.created" || e.Type == "store.upserted" || e.Type == "product.upserted" {
			var body struct{ Data struct{ ID string } }
			_ = json.Unmarshal(e.Body, &body) // it was marshalled by us
			unknown[e.ID] = `"` + body.Data.ID + `"`
		}
	}
	sent := map[string]bool{}
	for _, wave := range waves {
		for _, e := range wave {
			delete(unknown, e.ID)
			for _, id := range unknown {
				if !sent[e.ID] && bytes.Contains(e.Body, []byte(id)) {
					n++
					break
				}
			}
			sent[e.ID] = true
		}
	}
	return n
}

// perform sends events over several connections at once, and waits until they
// are worked through.
func (p *Player) perform(ctx context.Context, events []scenario.Event) error {
	p.at.Show("sending %d webhooks", len(events))
	g, sending := errgroup.WithContext(ctx)
	g.SetLimit(Senders)
	answers := make(chan string, len(events))
	for _, e := range events {
		g.Go(func() error {
			status, body, err := p.send(sending, e, p.at.Secrets[e.Source])
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
		p.Sent.Requests++
		if strings.Contains(answer, "accepted") {
			p.Sent.Accepted++
		}
	}
	if err != nil {
		return err
	}
	return p.settle(ctx)
}

// send signs and posts an event. Like a real sender it retries on 503.
func (p *Player) send(ctx context.Context, e scenario.Event, secret string) (status int, body string, err error) {
	header, err := sign(e, secret)
	if err != nil {
		return 0, "", err
	}
	for try := 1; ; try++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.at.URL+"/webhooks/"+e.Source, bytes.NewReader(e.Body))
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

func sign(e scenario.Event, secret string) (http.Header, error) {
	switch e.Source {
	case webhooks.Clerk:
		return webhooks.SignClerk(secret, e.ID, e.Body, time.Now())
	case webhooks.Platform:
		return webhooks.SignPlatform(secret, e.ID, e.Body, time.Now())
	}
	return webhooks.SignStripe(secret, e.Body, time.Now()), nil
}

// forge sends an event with a wrong signature. It must be rejected without a trace.
func (p *Player) forge(ctx context.Context, e scenario.Event) error {
	e.ID = "evt_forged"
	status, body, err := p.send(ctx, e, forgers)
	if err == nil && status != http.StatusBadRequest {
		err = fmt.Errorf("a forged webhook was answered %d, not 400: %s", status, body)
	}
	return err
}

// settle waits until no event is pending.
func (p *Player) settle(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for tick := time.Tick(20 * time.Millisecond); ; {
		var page struct{ Counts map[string]int64 }
		if err := p.ask(waiting, http.MethodGet, "/api/admin/events?limit=1", "", &page); err != nil {
			return err
		}
		p.Sent.Counts = page.Counts
		pending := page.Counts["pending"]
		if pending == 0 {
			p.at.Clear()
			return nil
		}
		p.at.Show("%d webhooks to be worked through", pending)
		select {
		case <-waiting.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%d events are still pending after %v; `rollcall events list --status pending` shows them",
				pending, patience)
		case <-tick:
		}
	}
}
