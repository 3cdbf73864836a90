// Package scenario is what `rollcall demo` plays: some weeks of a marketplace of three
// stores, recorded event by event, and what the lists must say at the end.
//
//	story.jsonl   webhooks to send, one a line
//	past.jsonl    what happened at a fourth store before Rollcall ran there
//	lists.jsonl   the stores with their figures, each followed by its customers; who
//	              must be on no list, and why; what the backfills of the past must do
//
// To add a scene, write its events and correct the lists by hand: they are the test of
// the program, so they must not come from it.
//
// Times are counted back from when the demo starts: "2d3h" is that long ago, "2d3h+5s"
// five seconds later, "-3d" in three days. Inside an event they begin with an @.
package scenario

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed *.jsonl
var files embed.FS

// Event is a webhook as its sender would make it, not yet signed.
type Event struct {
	Source, ID, Type string
	At               time.Time
	Body             []byte
}

// Row is a line of lists.jsonl: texts by field.
type Row map[string]string

// Store is a store, its figures, and the customers on its list.
type Store struct {
	Row
	Customers []Row
}

// Scenario is a scenario as of a moment.
type Scenario struct {
	Events, Past []Event // by time
	Stores       []Store
	Absent       []Row // who must be on no list
	Backfills    []Row // of the past
}

// Load reads the scenario as of now: it ends some minutes ago.
func Load(now time.Time) (s *Scenario, err error) {
	s, now = &Scenario{}, now.UTC().Truncate(time.Second)
	if s.Events, err = events("story.jsonl", now); err != nil {
		return nil, err
	}
	if s.Past, err = events("past.jsonl", now); err != nil {
		return nil, err
	}
	rows, err := lines[Row]("lists.jsonl")
	for _, row := range rows {
		if err := row.date(now); err != nil {
			return nil, err
		}
		s.add(row)
	}
	return s, err
}

// add puts a row where it belongs; a customer belongs to the store before.
func (s *Scenario) add(row Row) {
	switch {
	case row["backfill"] != "":
		s.Backfills = append(s.Backfills, row)
	case row["absent"] != "":
		s.Absent = append(s.Absent, row)
	case row["email"] != "":
		last := &s.Stores[len(s.Stores)-1]
		last.Customers = append(last.Customers, row)
	default:
		s.Stores = append(s.Stores, Store{Row: row})
	}
}

func (r Row) date(now time.Time) error {
	for _, field := range []string{"first_seen", "last_activity"} {
		if r[field] == "" {
			continue
		}
		t, err := at(r[field], now)
		if err != nil {
			return err
		}
		r[field] = t.Format(time.RFC3339)
	}
	return nil
}

func lines[T any](name string) (all []T, err error) {
	raw, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for n, line := range bytes.Split(bytes.TrimSpace(raw), []byte("\n")) {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return nil, fmt.Errorf("scenario: %s:%d: %w", name, n+1, err)
		}
		all = append(all, v)
	}
	return all, nil
}

// recorded is a line of story.jsonl and past.jsonl.
type recorded struct {
	Ago     string
	From    string // the source
	Type    string
	ID      string
	Account string // Stripe's, of Connect
	Version string `json:"api_version"`
	Data    json.RawMessage
}

func events(name string, now time.Time) (all []Event, err error) {
	read, err := lines[recorded](name)
	for _, r := range read {
		e := Event{Source: r.From, ID: r.ID, Type: r.Type}
		if e.At, err = at(r.Ago, now); err != nil {
			return nil, err
		}
		if r.Data, err = dated(r.Data, r.From, now); err != nil {
			return nil, err
		}
		if e.Body, err = r.body(e.At); err != nil {
			return nil, fmt.Errorf("scenario: %s: %w", r.ID, err)
		}
		all = append(all, e)
	}
	return all, err
}

// body is the event as its sender wraps it.
func (r recorded) body(at time.Time) ([]byte, error) {
	switch r.From {
	case "clerk":
		return json.Marshal(map[string]any{"object": "event", "type": r.Type, "timestamp": at.UnixMilli(), "data": r.Data})
	case "platform":
		return json.Marshal(map[string]any{"type": r.Type, "timestamp": at, "data": r.Data})
	}
	object := map[string]any{"created": at.Unix()}
	if err := json.Unmarshal(r.Data, &object); err != nil {
		return nil, err
	}
	body := map[string]any{
		"id": r.ID, "object": "event", "api_version": r.Version, "created": at.Unix(), "livemode": false,
		"pending_webhooks": 1, "type": r.Type, "data": map[string]any{"object": object},
	}
	if r.Version == "" {
		body["api_version"] = "2023-10-16"
	}
	if r.Account != "" {
		body["account"] = r.Account
	}
	return json.Marshal(body)
}

var moment = regexp.MustCompile(`"@([-+0-9dhms]+)"`)

// dated writes the times in an event as its source does.
func dated(data []byte, source string, now time.Time) (out []byte, err error) {
	out = moment.ReplaceAllFunc(data, func(m []byte) []byte {
		t, failed := at(string(m[2:len(m)-1]), now)
		if failed != nil {
			err = failed
		}
		switch source {
		case "stripe":
			return strconv.AppendInt(nil, t.Unix(), 10)
		case "clerk":
			return strconv.AppendInt(nil, t.UnixMilli(), 10)
		}
		return strconv.AppendQuote(nil, t.Format(time.RFC3339))
	})
	return out, err
}

// at is the moment that a text counts back to.
func at(text string, now time.Time) (time.Time, error) {
	back, on, _ := strings.Cut(text, "+")
	days, rest, found := strings.Cut(back, "d")
	if !found {
		days, rest = "0", back
	} else if rest == "" {
		rest = "0s"
	}
	if on == "" {
		on = "0s"
	}
	n, err := strconv.Atoi(days)
	ago, wrong := time.ParseDuration(rest)
	later, alas := time.ParseDuration(on)
	if err != nil || wrong != nil || alas != nil {
		return now, fmt.Errorf("scenario: %q is no time such as 2d3h+5s", text)
	}
	return now.Add(later-ago).AddDate(0, 0, -n), nil
}
