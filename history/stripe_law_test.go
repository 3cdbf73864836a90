package history

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/internal/testing/stripefake"
	"rollcall/internal/testing/testdb"
	"rollcall/store"
)

// sampleEvents are the samples of the main stories: what Stripe's webhooks
// said, and what the others did.
func sampleEvents(t *testing.T) (stripe, others []store.NewEvent) {
	t.Helper()
	var manifest struct {
		Events []struct {
			File, Type, Story string
			EventID           string `json:"event_id"`
			Created           int64
			Account           *string
		}
	}
	raw, err := os.ReadFile("../testdata/fixtures/manifest.json")
	if err == nil {
		err = json.Unmarshal(raw, &manifest)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range manifest.Events {
		if e.Story == "ava_refund_fails" || e.Story == "dmitri_lost" || e.Story == "ava_deleted" { // other endings
			continue
		}
		payload, err := os.ReadFile("../testdata/fixtures/" + e.File)
		if err != nil {
			t.Fatal(err)
		}
		n := store.NewEvent{Source: filepath.Dir(e.File), EventID: e.EventID, Type: e.Type,
			OccurredAt: time.Unix(e.Created, 0), Payload: payload}
		if e.Account != nil {
			n.Account = *e.Account
		}
		if n.Source == "stripe" {
			stripe = append(stripe, n)
		} else {
			others = append(others, n)
		}
	}
	for id, account := range map[string]string{
		"k57aurorastore00000000000000000a": "acct_1OwnerAurora3Hd",
		"k57borealisstore000000000000000b": "acct_1StoreBorealis9Kp",
		"k57cascadestore0000000000000000c": "acct_1StoreCascade4Wz",
	} {
		others = append(others, store.NewEvent{Source: "platform", EventID: "msg_" + id, Type: "store.upserted",
			OccurredAt: time.Unix(1759000000, 0),
			Payload: fmt.Appendf(
				nil, `{"type":"store.upserted","data":{"id":%q,"name":"S","owner_user_id":"user_%s","stripe_account_id":%q}}`, id,
				id, account)})
	}
	others = append(others, store.NewEvent{Source: "platform", EventID: "msg_course", Type: "product.upserted",
		OccurredAt: time.Unix(1759000000, 0),
		Payload: []byte(
			`{"type":"product.upserted","data":{"id":"jd7mixingbasics0000000000000001",` +
				`"store_id":"k57aurorastore00000000000000000a","kind":"course","title":"Mixing Basics"}}`)})
	return stripe, others
}

// serve puts into a fake the objects as the events left them, with what Stripe
// renders otherwise in its API, and the refunds of which no event of the
// samples' version tells.
func serve(t *testing.T, fake *stripefake.Server, events []store.NewEvent) {
	t.Helper()
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b store.NewEvent) int { return a.OccurredAt.Compare(b.OccurredAt) })
	latest, invoiceOf := map[string]stripefake.Object{}, map[any]any{}
	accounts := map[string]string{}
	for _, e := range events {
		var body struct {
			Data struct{ Object stripefake.Object }
		}
		if err := json.Unmarshal(e.Payload, &body); err != nil {
			t.Fatal(err)
		}
		o := body.Data.Object
		id, _ := o["id"].(string)
		if o["object"] == "invoice_payment" {
			invoiceOf[o["payment"].(stripefake.Object)["payment_intent"]] = o["invoice"]
		} else if id != "" {
			latest[id], accounts[id] = o, e.Account
		}
	}
	for id, o := range latest {
		if invoice := invoiceOf[id]; invoice != nil {
			o["invoice"] = invoice
		}
		fake.Add(accounts[id], o)
		if total, _ := o["amount_refunded"].(float64); o["object"] == "charge" && total > 0 && !strings.Contains(id, "Ava") {
			fake.Add(accounts[id], object("refund", "re_"+id, 1769076000, stripefake.Object{
				"amount": total, "currency": o["currency"], "charge": id, "payment_intent": o["payment_intent"],
				"status": "succeeded"}))
		}
	}
	raw, err := os.ReadFile("../testdata/fixtures/stripe/api/refunds.list.json")
	if err != nil {
		t.Fatal(err)
	}
	var page rawList
	if err := json.Unmarshal(raw, &page); err != nil {
		t.Fatal(err)
	}
	for _, refund := range page.Data {
		fake.Add("", refund)
	}
}

// told applies events in an order to an empty house, and returns its customers.
func told(t *testing.T, events []store.NewEvent, sets map[string]facts.Set) []string {
	t.Helper()
	ctx, url := context.Background(), testdb.Postgres(t)
	s, err := store.Open(ctx, url, store.Options{PlatformTypes: []string{"ppr_pro", "creator_plan", "credit_package"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for some := range slices.Chunk(events, 9) {
		rows, err := s.InsertEvents(ctx, some)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int64
		for _, row := range rows {
			ids = append(ids, row.ID)
		}
		if out, err := s.Apply(ctx, ids, 0, func(e facts.Event) (facts.Set, error) {
			if set, ok := sets[e.ID]; ok {
				return set, nil
			}
			return facts.Read(e)
		}); err != nil || len(out.Malformed) > 0 {
			t.Fatalf("%+v %v", out, err)
		}
	}
	return customerRows(t, url)
}

func customerRows(t *testing.T, url string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), `SELECT jsonb_pretty(to_jsonb(c) - 'id' - 'created_at' - 'updated_at')
		FROM customers c ORDER BY store_id, email`)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The law: webhooks alone, the API alone, and both at once in any order, come to
// the same customers.
func TestWebhooksAndHistoryAgree(t *testing.T) {
	hooks, others := sampleEvents(t)
	fake := stripefake.New(t)
	serve(t, fake, hooks)
	c := config(fake)
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	c.Now, c.Options.AsOf, c.Options.Accounts = func() time.Time { return now }, &now,
		[]string{"", "acct_1StoreBorealis9Kp"}
	sets := map[string]facts.Set{}
	for _, item := range readAll(t, newStripe(t, c), 10, 1).items {
		if item.Err != nil {
			t.Fatalf("%s: %v", item.Place, item.Err)
		}
		sets["read of "+item.Place] = item.Facts
	}
	var reads []store.NewEvent
	for _, id := range slices.Sorted(maps.Keys(sets)) {
		reads = append(reads, store.NewEvent{Source: "stripe", EventID: id, Type: "read", OccurredAt: now,
			Payload: []byte("{}")})
	}
	want := told(t, slices.Concat(others, hooks), nil)
	if len(want) < 10 {
		t.Fatalf("only %d customers", len(want))
	}
	if diff := cmp.Diff(want, told(t, slices.Concat(others, reads), sets)); diff != "" {
		t.Errorf("webhooks alone - API alone +\n%s", diff)
	}
	for seed := range uint64(5) {
		all := slices.Concat(others, hooks, reads)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if diff := cmp.Diff(want, told(t, all, sets)); diff != "" {
			t.Fatalf("webhooks alone - both in order %d +\n%s", seed, diff)
		}
	}
}
