package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store"
)

// The samples of real payloads, and the totals they must end in.
const fixtures = "../testdata/fixtures"

type manifest struct {
	Expected struct {
		Customers []struct {
			Store   *string
			Email   string
			Gross   map[string]int64
			Net     map[string]int64
			NetWon  map[string]int64 `json:"net_won"`
			Type    string
			Courses []string
		}
	}
	Events []struct {
		File    string
		EventID string `json:"event_id"`
		Type    string
		Created int64
		Account *string
		Story   string
	}
}

func readManifest(t testing.TB) (m manifest) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(fixtures, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// alternative endings: other than the main stories that the manifest totals.
var alternative = map[string]bool{"ava_refund_fails": true, "dmitri_lost": true, "ava_deleted": true}

// fixtureEvents are the fixtures as inbox events, with the platform's word on
// the stores they belong to, which no fixture holds.
func fixtureEvents(t testing.TB, keep func(story string) bool) []store.NewEvent {
	t.Helper()
	var out []store.NewEvent
	for _, e := range readManifest(t).Events {
		if !keep(e.Story) {
			continue
		}
		payload, err := os.ReadFile(filepath.Join(fixtures, e.File))
		if err != nil {
			t.Fatal(err)
		}
		n := store.NewEvent{Source: filepath.Dir(e.File), EventID: e.EventID, Type: e.Type,
			OccurredAt: time.Unix(e.Created, 0), Payload: payload}
		if e.Account != nil {
			n.Account = *e.Account
		}
		out = append(out, n)
	}
	for _, s := range []struct{ id, owner, account string }{
		{"k57aurorastore00000000000000000a", "user_2OwnerAurora000000000008", "acct_1OwnerAurora3Hd"},
		{"k57borealisstore000000000000000b", "user_2OwnerBorealis", "acct_1StoreBorealis9Kp"},
		{"k57cascadestore0000000000000000c", "user_2OwnerCascade", "acct_1StoreCascade4Wz"},
	} {
		out = append(out, store.NewEvent{
			Source: "platform", EventID: "msg_" + s.id, Type: "store.upserted", OccurredAt: time.Unix(1759000000, 0),
			Payload: fmt.Appendf(
				nil, `{"type":"store.upserted","data":{"id":%q,"name":"S","owner_user_id":%q,"stripe_account_id":%q}}`, s.id,
				s.owner, s.account),
		})
	}
	return out
}

// apply puts events into the inbox and applies them in order, some at a time.
func apply(t testing.TB, s *store.Store, events []store.NewEvent, batch int) {
	t.Helper()
	ctx := context.Background()
	for len(events) > 0 {
		n := min(batch, len(events))
		in, err := s.InsertEvents(ctx, events[:n])
		if err != nil {
			t.Fatal(err)
		}
		var ids []int64
		for i, row := range in {
			if !row.Duplicate {
				ids = append(ids, row.ID)
			} else if events[i].EventID == "" {
				t.Fatal("event without id")
			}
		}
		out, err := s.Apply(ctx, ids, 0, facts.Read)
		if err != nil || len(out.Malformed) > 0 {
			t.Fatalf("%s …: %+v %v", events[0].EventID, out, err)
		}
		events = events[n:]
	}
}

// query returns a query's rows as text.
func query(t testing.TB, url, sql string, args ...any) []string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const listSQL = `
	SELECT concat_ws(' ', store_id, email, type,
		(SELECT string_agg((m ->> 'amount') || (m ->> 'currency'), '+' ORDER BY m ->> 'currency')
			FROM jsonb_array_elements(spent) m))
	FROM customers
	ORDER BY store_id, email`

// expectedList writes the manifest's totals as listSQL does.
func expectedList(t testing.TB) (list []string) {
	for _, c := range readManifest(t).Expected.Customers {
		if c.Store == nil || strings.HasPrefix(c.Type, "not on the list") {
			continue
		}
		_, email, moved := strings.Cut(c.Email, " -> ")
		if !moved {
			email = c.Email
		}
		line := *c.Store + " " + email + " " + c.Type
		net := c.Net
		if net == nil {
			net = c.NetWon
		}
		for currency, amount := range net {
			line += fmt.Sprintf(" %d%s", amount, currency)
		}
		list = append(list, line)
	}
	// Not in the manifest's totals: a buyer in another currency (adaptive
	// pricing), who paid 274.40 BRL.
	return append(list, "k57aurorastore00000000000000000a joao.souza@example.com.br paying 27440brl")
}

func sameList(t *testing.T, want, got []string) {
	t.Helper()
	less := cmp.Transformer("sort", func(l []string) map[string]int {
		m := map[string]int{}
		for _, x := range l {
			m[x]++
		}
		return m
	})
	if diff := cmp.Diff(want, got, less); diff != "" {
		t.Errorf("the list is not what the manifest says (-want +got):\n%s", diff)
	}
}

// Every fixture goes in by itself, into an empty house.
func TestFixturesAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, e := range fixtureEvents(t, func(string) bool { return true }) {
		t.Run(e.EventID, func(t *testing.T) { h.told(t, []store.NewEvent{e}, plan{batch: 1, workers: 1}) })
	}
}

// All of the main stories, in any order and any batches, end in the manifest's totals.
func TestFixturesTogether(t *testing.T) {
	t.Parallel()
	want, h := expectedList(t), newHouse(t)
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			h.empty(t)
			events := fixtureEvents(t, func(story string) bool { return !alternative[story] })
			events = append(events, events...) // everything twice
			random := rand.New(rand.NewPCG(seed, 0))
			random.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			apply(t, h.store, events, 1+random.IntN(40))
			sameList(t, want, h.lines(t, listSQL))
			if diff, err := h.store.Rebuild(context.Background(), "", nil); err != nil || diff.Sum() != 0 {
				t.Errorf("rebuild: %+v %v", diff, err)
			}
		})
	}
}

// The other endings of the stories change what they say they change.
func TestFixturesAlternativeEndings(t *testing.T) {
	for story, want := range map[string]string{
		"ava_refund_fails": "k57aurorastore00000000000000000a ava@lindqvist.example paying 3400usd",
		"dmitri_lost":      "k57aurorastore00000000000000000a dmitri.kovac@example.net paying 0usd",
		"ava_deleted":      "k57aurorastore00000000000000000a ava@lindqvist.example paying 2400usd",
	} {
		t.Run(story, func(t *testing.T) {
			s, url := openURL(t)
			events := fixtureEvents(t, func(s string) bool { return !alternative[s] || s == story })
			if story == "dmitri_lost" { // instead of the dispute being won
				events = deleteEvents(events, "evt_1DmitriDispClosedWon01", "evt_1DmitriDispFundsBack01")
			}
			apply(t, s, events, 10)
			got := query(t, url, listSQL)
			if !strings.Contains(strings.Join(got, "\n"), want) {
				t.Errorf("want %q in\n%s", want, strings.Join(got, "\n"))
			}
		})
	}
}

func deleteEvents(events []store.NewEvent, ids ...string) (out []store.NewEvent) {
	for _, e := range events {
		keep := true
		for _, id := range ids {
			keep = keep && e.EventID != id
		}
		if keep {
			out = append(out, e)
		}
	}
	return out
}
