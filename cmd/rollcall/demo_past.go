package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"rollcall/cmd/rollcall/story"
	"rollcall/facts"
	"rollcall/store"
)

// bringPast loads what was before the story, as a move from another system
// would: as facts that nobody has attached. Then the backfills put those people
// on their list, and tell what they did.
func (p *player) bringPast(told story.Story) (differences []string, err error) {
	e := p.dev.env
	if err := p.loadPast(told.Events); err != nil {
		return nil, err
	}
	var stats store.Stats
	if err := p.get(e, "/api/stores/"+told.Stores[0].ID+"/stats", &stats); err != nil {
		return nil, err
	}
	fmt.Fprintf(e.out, "\n%s was there before Rollcall. What its people did is loaded, and its list\nhas %d customers. Two backfills bring them in:\n\n", told.Stores[0].Name, stats.Total)
	for _, want := range []store.Backfill{
		{Kind: "courses", Seen: story.PastCourses, Created: story.PastCoursesNew},
		{Kind: "subscriptions", Seen: story.PastSubscriptions, Created: story.PastSubscribers},
	} {
		b, err := p.backfill(e, want.Kind)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(e.out, "  %s\n  %s\n", opening(b), closing(b))
		if b.Status != "completed" || b.Seen != want.Seen || b.Created != want.Created {
			differences = append(differences, fmt.Sprintf("backfill %s: %s, %d seen and %d created; the story says %d and %d", b.Kind, b.Status, b.Seen, b.Created, want.Seen, want.Created))
		}
	}
	return differences, nil
}

// loadPast keeps facts, and attaches none.
func (p *player) loadPast(events []story.Event) error {
	s, err := p.dev.env.openAt(p.dev.at.database)
	if err != nil {
		return err
	}
	defer s.Close()
	var past facts.Set
	for _, e := range events {
		set, err := facts.Read(facts.Event{Source: e.Source, ID: e.ID, Type: e.Type, OccurredAt: e.At, Payload: e.Body})
		var ignored *facts.Ignored
		if err != nil && !errors.As(err, &ignored) {
			return err
		}
		past.Add(set)
	}
	return s.Keep(p.dev.env, past)
}

// backfill starts a run as an admin would, by the API, and waits for its end.
func (p *player) backfill(ctx context.Context, kind string) (b store.Backfill, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.dev.url+"/api/admin/backfills", strings.NewReader(`{"kind":"`+kind+`"}`))
	if err != nil {
		return b, err
	}
	req.Header.Set("Content-Type", "application/json")
	status, body, err := p.ask(req)
	if err != nil {
		return b, err
	}
	if status != http.StatusAccepted {
		return b, fmt.Errorf("POST %s was answered %d: %s", req.URL.Path, status, body)
	}
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		return b, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for b.EndedAt == nil {
		select {
		case <-ctx.Done():
			return b, fmt.Errorf("backfill %d (%s) is %s still after %v", b.ID, kind, b.Status, patience)
		case <-tick.C:
		}
		if err := p.get(ctx, fmt.Sprintf("/api/admin/backfills/%d", b.ID), &b); err != nil {
			return b, err
		}
		p.bar.show("%s", progressText(b))
	}
	p.bar.clear()
	return b, nil
}
