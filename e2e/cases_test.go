package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"rollcall/store"
)

// Cases: small inputs that real deployments have met, each with what a creator
// or operator would rightly expect. A file holds the events in their natural
// order, or names an export (a zip beside it), and what must come of them, in
// the shapes of the API.
const casesDir = "../testdata/cases"

// testCase is one file of cases.
type testCase struct {
	name     string
	Title    string
	Events   []caseEvent
	Requests []json.RawMessage // HTTP requests: see casesElsewhere
	Expect   map[string]any    // see caseChecks
}

// caseEvent is a webhook as it is sent.
type caseEvent struct {
	Path string          // /webhooks/{source}
	ID   string          // the header's; Stripe has it in the body
	Body json.RawMessage // sent without white space
}

// casesElsewhere are the cases that are no story of events or of an export.
var casesElsewhere = map[string]string{
	"clerk-30-suffixed-cookies": "requests with session cookies: web",
	"clerk-31-azp-less-cookie":  "requests with session cookies: web",
}

// readCases reads the folder: the cases told by events, and those told by an
// export. Whatever else lies there is named in casesElsewhere, or an error.
func readCases(t *testing.T) (told, exported []testCase) {
	t.Helper()
	files, err := os.ReadDir(casesDir)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, f := range files {
		name, isCase := strings.CutSuffix(f.Name(), ".json")
		if !isCase {
			continue
		}
		used[f.Name()] = true
		c := readCase(t, name)
		_, elsewhere := casesElsewhere[name]
		switch {
		case elsewhere != (len(c.Requests) > 0):
			t.Errorf("%s has %d requests; in casesElsewhere: %t", name, len(c.Requests), elsewhere)
		case elsewhere:
		case len(c.Events) > 0:
			told = append(told, c)
		default:
			exported = append(exported, c)
			used[name+".zip"] = true
		}
	}
	for _, f := range files {
		if !used[f.Name()] {
			t.Errorf("%s/%s is neither played nor named", casesDir, f.Name())
		}
	}
	if len(told) < 26 || len(exported) < 3 {
		t.Errorf("only %d cases of events and %d of exports", len(told), len(exported))
	}
	return told, exported
}

func readCase(t *testing.T, name string) (c testCase) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(casesDir, name+".json"))
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	c.name = name
	return c
}

// compactJSON takes the white space out, as senders do.
func compactJSON(raw []byte) []byte {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		panic(err) // it came out of a JSON document
	}
	return b.Bytes()
}

// caseOrders are the orders in which every case is told.
var caseOrders = []struct {
	name  string
	order func(testCase) []caseEvent
}{
	{"in order", func(c testCase) []caseEvent { return c.Events }},
	{"reversed", func(c testCase) []caseEvent {
		events := slices.Clone(c.Events)
		slices.Reverse(events)
		return events
	}},
	{"doubled", func(c testCase) []caseEvent { return slices.Concat(c.Events, c.Events) }},
	{"doubled and shuffled", func(c testCase) []caseEvent {
		events := slices.Concat(c.Events, c.Events)
		seed := fnv.New64()
		seed.Write([]byte(c.name))
		random := rand.New(rand.NewPCG(seed.Sum64(), 0))
		random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		return events
	}},
}

// Every case ends as it should, in whatever order its events come.
func TestCases(t *testing.T) {
	told, exported := readCases(t)
	for _, o := range caseOrders {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			s := newSharedSystem(t)
			s.startWorker()
			s.tellCases(told, o.order)
			for _, c := range told {
				t.Run(c.name, func(t *testing.T) { s.wantCase(t, c) })
			}
		})
	}
	t.Run("exports", func(t *testing.T) {
		t.Parallel()
		s := newSharedSystem(t)
		s.startWorkerWith(&past{})
		for _, c := range exported {
			t.Run(c.name, func(t *testing.T) {
				s.on(t).importCase(c)
				s.wantCase(t, c)
			})
		}
	})
}

// tellCases posts every case's events one after the other, several cases at once, as
// each has stores of its own, and waits until nothing is pending.
func (s *system) tellCases(cases []testCase, order func(testCase) []caseEvent) {
	s.t.Helper()
	var g errgroup.Group
	g.SetLimit(8)
	for _, c := range cases {
		g.Go(func() error {
			for _, e := range order(c) {
				if err := s.postCase(e); err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		s.t.Fatal(err)
	}
	s.until("nothing pending", `NOT EXISTS (SELECT FROM webhook_events WHERE status = 'pending')`)
}

func (s *system) postCase(e caseEvent) error {
	d := delivery{source: strings.TrimPrefix(e.Path, "/webhooks/"), id: e.ID, body: compactJSON(e.Body)}
	header, err := d.header()
	if err == nil {
		_, err = s.send(d.source, header, d.body)
	}
	return err
}

// importCase runs the backfill of a case's export to its end.
func (s *system) importCase(c testCase) {
	s.t.Helper()
	file, err := filepath.Abs(filepath.Join(casesDir, c.name+".zip"))
	if err != nil {
		s.t.Fatal(err)
	}
	run := s.ended(s.backfill(store.NewBackfill{Kind: "convex", Options: store.BackfillOptions{File: file}}))
	s.until("nothing pending", `NOT EXISTS (SELECT FROM webhook_events WHERE status = 'pending')`)
	if c.name == "clerk-22-convex-silent-skips" {
		s.wantNoSilentSkips(run)
	}
}

// wantNoSilentSkips: of an export in another schema the buyer is listed with the
// money, or the run says which rows it has passed over.
func (s *system) wantNoSilentSkips(run store.Backfill) {
	s.t.Helper()
	for _, line := range s.list("k_st22") {
		if line == "u1@c22.example paying 1999usd" {
			return
		}
	}
	found, err := s.store.BackfillErrors(context.Background(), run.ID, 0, 100)
	if err != nil {
		s.t.Fatal(err)
	}
	var users, purchases int
	for _, f := range found {
		if strings.HasPrefix(f.Place, "users") || strings.Contains(f.What, "k_u22") {
			users++
		}
		if strings.HasPrefix(f.Place, "purchases") || strings.Contains(f.What, "k_p22") {
			purchases++
		}
	}
	if users == 0 || purchases == 0 {
		s.t.Errorf("%s; the list is %v, and of what was passed over it only says %+v", counts(run), s.list("k_st22"), found)
	}
}
