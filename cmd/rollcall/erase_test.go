package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/internal/embedded"
	"rollcall/internal/testing/clerkfake"
	"rollcall/internal/testing/stripefake"
	"rollcall/jobs"
	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/status"
)

// Whom the test erases: words that are nobody else's.
const (
	annMail = "annabel.quistgaard@nordlys.example"
	annName = "Annabel Quistgaard"
	annUser = "user_2AnnabelQ"
	annCus  = "cus_AnnabelQ"
	annNote = "her dog is called Rexmondo"
)

// outsiders are a Stripe and a Clerk that have known Annabel, and Bob, for a year.
func outsiders(t *testing.T) (*stripefake.Server, *clerkfake.Clerk) {
	stripe, clerk := stripefake.New(t), clerkfake.New(t)
	at := time.Now().AddDate(-1, 0, 0)
	user := clerkfake.NewUser(annUser, annMail, at)
	user["first_name"], user["last_name"] = "Annabel", "Quistgaard"
	clerk.Add(user, clerkfake.NewUser("user_bob", "bob@x.example", at.Add(time.Hour)))
	her := strings.NewReplacer("CUS", annCus, "MAIL", annMail, "NAME", annName, "AT", fmt.Sprint(at.Unix()))
	for _, o := range []string{
		`{"id":"CUS","object":"customer","email":"MAIL","name":"NAME","created":AT}`,
		`{"id":"cs_1","object":"checkout.session","mode":"payment","status":"complete","payment_status":"paid",` +
			`"amount_total":4900,"currency":"usd","payment_intent":"pi_1","customer":"CUS",` +
			`"customer_details":{"email":"MAIL","name":"NAME"},"created":AT,"metadata":{"storeId":"s1","courseId":"c1"}}`,
		`{"id":"pi_1","object":"payment_intent","amount":4900,"amount_received":4900,"currency":"usd","status":"succeeded",` +
			`"customer":"CUS","receipt_email":"MAIL","created":AT,"metadata":{}}`,
		`{"id":"cs_2","object":"checkout.session","mode":"payment","status":"complete","payment_status":"paid",` +
			`"amount_total":4900,"currency":"MAIL","customer":"CUS","customer_details":{"email":"MAIL"},"created":AT,` +
			`"metadata":{}}`,
		`{"id":"sub_1","object":"subscription","created":AT,"status":"active","currency":"usd","customer":"CUS",` +
			`"items":{"data":[{"price":{"id":"price_1","unit_amount":1500}}]},"metadata":{"storeId":"s1"}}`,
		`{"id":"in_1","object":"invoice","created":AT,"status":"paid","amount_paid":1500,"currency":"usd","customer":"CUS",` +
			`"customer_email":"MAIL","customer_name":"NAME","subscription":"sub_1","lines":{"data":[]}}`,
		`{"id":"ch_1","object":"charge","amount":4900,"amount_refunded":900,"currency":"usd","payment_intent":"pi_1",` +
			`"billing_details":{"email":"MAIL"},"created":AT}`,
		`{"id":"re_1","object":"refund","amount":900,"currency":"usd","charge":"ch_1","payment_intent":"pi_1",` +
			`"status":"succeeded","created":AT}`,
	} {
		stripe.Add("", her.Replace(o))
	}
	return stripe, clerk
}

// erasing is a house in which somebody is to be erased.
type erasing struct {
	*house
	redis string
	jobs  *jobs.Client
}

func newErasing(t *testing.T, stripe *stripefake.Server, clerk *clerkfake.Clerk) erasing {
	t.Helper()
	h := erasing{house: newHouse(t, stripe, clerk.URL)}
	h.redis = h.args[slices.Index(h.args, "--redis-url")+1]
	opt, err := jobs.ParseRedis(h.redis)
	if err != nil {
		t.Fatal(err)
	}
	h.jobs = jobs.NewClient(opt)
	t.Cleanup(func() { h.jobs.Close() })
	return h
}

// hear receives events, and has them applied if asked to.
func (h erasing) hear(ask bool, events ...store.NewEvent) {
	h.t.Helper()
	in, err := h.store.InsertEvents(h.t.Context(), events)
	for i, row := range in {
		if err == nil && ask && !row.Duplicate {
			err = h.jobs.EnqueueEvent(h.t.Context(), events[i].Source, row.ID, "")
		}
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// closed waits until no event is pending.
func (h erasing) closed() {
	h.t.Helper()
	h.until("no event is pending", func() bool {
		counts, err := status.New(h.store).EventCounts(h.t.Context())
		return err == nil && counts["pending"] == 0
	})
}

func (h erasing) until(what string, done func() bool) {
	h.t.Helper()
	tick, end := time.Tick(20*time.Millisecond), time.After(deadline)
	for !done() {
		select {
		case <-tick:
		case <-end:
			h.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// run runs a command that must succeed.
func (h erasing) run(args ...string) string {
	h.t.Helper()
	var out, log bytes.Buffer
	if status := run(append(args, h.args...), &out, &log); status != 0 {
		h.t.Fatalf("%v: status %d\n%s%s", args, status, &out, &log)
	}
	return out.String()
}

// backfill runs one to its end, which may be one with errors.
func (h erasing) backfill(kind string) {
	h.t.Helper()
	b, err := h.store.StartBackfill(h.t.Context(), store.NewBackfill{Kind: kind, StartedBy: "a test"})
	if err == nil {
		err = h.jobs.EnqueueBackfill(h.t.Context(), b.ID, 0, "")
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.until("backfill "+kind, func() bool {
		b, err = h.store.Backfill(h.t.Context(), b.ID)
		return err == nil && b.EndedAt != nil
	})
	if !strings.HasPrefix(b.Status, "completed") {
		h.t.Fatalf("%+v", b)
	}
}

func event(source, id, typ, payload string) store.NewEvent {
	return store.NewEvent{Source: source, EventID: id, Type: typ, OccurredAt: time.Now().Add(-time.Hour),
		Payload: []byte(payload)}
}

// with gives an event the headers of its request.
func with(headers string, e store.NewEvent) store.NewEvent {
	e.Headers = []byte(headers)
	return e
}

// tell tells Annabel's story, of which some cannot be read and some is of no use.
func (h erasing) tell() {
	h.hear(true,
		event("platform", "e1", "product.upserted", `{"data":{"id":"c1","store_id":"s1","kind":"course","title":"C"}}`),
		event("clerk", "e2", "user.created", `{"data":{"id":"`+annUser+
			`","first_name":"Annabel","last_name":"Quistgaard","primary_email_address_id":"i",`+
			`"email_addresses":[{"id":"i","email_address":"`+strings.ToUpper(annMail)+
			`","verification":{"status":"verified"}}]}}`),
		event("clerk", "e3", "session.created", `{"data":{"id":"sess_1","user_id":"`+annUser+
			`","created_at":1768211400000}}`),
		event("clerk", "e4", "session.ended", `{"data":{"id":"sess_1","user_id":"`+annUser+`"}}`),
		event("platform", "e5", "enrollment.upserted", `{"data":{"course_id":"c1","user_id":"`+annUser+`","name":"`+annName+
			`"}}`),
		event("platform", "e6", "enrollment.upserted", `{"data":{"course_id":"c9","user_id":"`+annUser+`","email":"`+annMail+
			`"}}`),
		event("platform", "e7", "enrollment.upserted", `{"data":{"course_id":0.5,"email":"`+annMail+`"}}`),
		event("stripe", "e8", "charge.succeeded", `{"data":{"object":{"id":"ch_1","customer":"`+annCus+
			`","billing_details":{"email":"`+annMail+`","name":"`+annName+`"}}}}`),
		event("stripe", "e9", "customer.created", `{"data":{"object":{"id":"`+annCus+`","email":"`+annMail+`","name":"`+
			annName+`"}}}`),
		event("platform", "e10", "enrollment.upserted", `{"data":{"course_id":"c1","email":"bob@x.example","name":"Bob"}}`),
		with(`{"Referer":"https://x.example/?by=`+annMail+`"}`,
			event("platform", "e11", "product.upserted", `{"data":{"id":"c2","store_id":"s1","kind":"course","title":"D"}}`)),
		with(`{"X-Request":"of-annabel-quistgaard"}`,
			event("clerk", "e12", "session.created", `{"data":{"id":"sess_2","user_id":"`+annUser+
				`","created_at":1768211400000}}`)),
	)
}

// jobsThatFailed leaves jobs in the queue whose errors name somebody.
func (h erasing) jobsThatFailed(text string) {
	h.t.Helper()
	opt, err := jobs.ParseRedis(h.redis)
	if err != nil {
		h.t.Fatal(err)
	}
	tried := make(chan bool, 1)
	server := asynq.NewServer(opt, asynq.Config{Concurrency: 1, Queues: map[string]int{"odd": 1},
		TaskCheckInterval: 10 * time.Millisecond, LogLevel: asynq.FatalLevel})
	if err := server.Start(
		asynq.HandlerFunc(func(context.Context, *asynq.Task) error { tried <- true; return errors.New(text) })); err != nil {
		h.t.Fatal(err)
	}
	client := asynq.NewClient(opt)
	defer client.Close()
	if _, err := client.Enqueue(asynq.NewTask("odd", nil), asynq.Queue("odd")); err != nil {
		h.t.Fatal(err)
	}
	<-tried
	server.Shutdown()
}

// dump is all that Postgres and Redis hold, as text.
func (h erasing) dump() string {
	h.t.Helper()
	tool, err := embedded.PostgresTool("pg_dump")
	if err != nil {
		h.t.Fatal(err)
	}
	out, err := exec.Command(tool, "--data-only", "--dbname", h.database).Output()
	if err != nil {
		h.t.Fatal(err)
	}
	return string(out) + h.dumpRedis()
}

// dumpRedis reads every key: what DUMP gives may be compressed.
func (h erasing) dumpRedis() string {
	h.t.Helper()
	o, err := redis.ParseURL(h.redis)
	if err != nil {
		h.t.Fatal(err)
	}
	c, ctx := redis.NewClient(o), h.t.Context()
	defer c.Close()
	var all strings.Builder
	keys := c.Scan(ctx, 0, "", 1000).Iterator()
	for keys.Next(ctx) {
		k := keys.Val()
		var value any
		switch kind := c.Type(ctx, k).Val(); kind {
		case "string":
			value = c.Get(ctx, k).Val()
		case "hash":
			value = c.HGetAll(ctx, k).Val()
		case "list":
			value = c.LRange(ctx, k, 0, -1).Val()
		case "set":
			value = c.SMembers(ctx, k).Val()
		case "zset":
			value = c.ZRangeWithScores(ctx, k, 0, -1).Val()
		case "none": // gone meanwhile
		default:
			h.t.Fatalf("the key %s is a %s", k, kind)
		}
		fmt.Fprintln(&all, k, value)
	}
	if err := keys.Err(); err != nil {
		h.t.Fatal(err)
	}
	return all.String()
}

// found lists the lines that have any of the words, in any case or as bytes.
func found(dump string, words ...string) (lines []string) {
	for line := range strings.Lines(strings.ToLower(dump)) {
		for _, word := range words {
			for _, form := range []string{word, hex.EncodeToString([]byte(word)),
				base64.StdEncoding.EncodeToString([]byte(word))} {
				if strings.Contains(line, strings.ToLower(form)) {
					lines = append(lines, word+": "+line)
				}
			}
		}
	}
	return lines
}

// After a whole story, nothing of the person is in a dump of Postgres or of
// Redis; what stores took is what it was; and histories that are read again,
// though Stripe and Clerk still have her, bring nobody back.
func TestErasureLeavesNothing(t *testing.T) {
	stripe, clerk := outsiders(t)
	h := newErasing(t, stripe, clerk)
	h.tell()
	h.closed()
	for _, kind := range []string{"clerk", "stripe", "courses", "subscriptions"} {
		h.backfill(kind)
	}
	h.note("bob@x.example", "a friend of "+annMail)
	h.note(annMail, annNote)
	h.jobsThatFailed("no customer at " + annMail)
	before, words := h.figures(), []string{annMail, annName, annUser, annCus, "Rexmondo", "annabel-quistgaard"}
	for _, word := range words {
		if len(found(h.dump(), word)) == 0 {
			t.Errorf("%s was nowhere even before", word)
		}
	}
	// waits
	h.hear(false, event("platform", "e20", "enrollment.upserted", `{"data":{"course_id":"c1","user_id":"`+
		annUser+`","progress":50}}`))
	told := h.run("erase", "--email", annMail, "--yes")
	for _, want := range []string{"Erased.", "delete the customer", "delete the user"} {
		if !strings.Contains(told, want) {
			t.Errorf("it does not say %q:\n%s", want, told)
		}
	}
	h.wantsNothing(words...)
	if diff := cmp.Diff(before, h.figures()); diff != "" {
		t.Errorf("what the store took (-before +after):\n%s", diff)
	}
	for _, kind := range []string{"clerk", "stripe", "courses", "subscriptions"} {
		h.backfill(kind)
	}
	h.tell() // duplicates
	h.hear(true,
		event("clerk", "e21", "user.updated", `{"data":{"id":"`+annUser+
			`","first_name":"Annabel","last_name":"Quistgaard","primary_email_address_id":"i",`+
			`"email_addresses":[{"id":"i","email_address":"`+annMail+`","verification":{"status":"verified"}}]}}`),
		event("stripe", "e22", "charge.failed", `{"data":{"object":{"id":"ch_2","customer":"`+annCus+
			`","billing_details":{"email":"`+annMail+`"}}}}`),
		event("platform", "e23", "enrollment.upserted", `{"data":{"course_id":0.5,"email":"`+annMail+`"}}`),
		with(`{"X-Request":"of-annabel-quistgaard"}`,
			event("clerk", "e24", "session.created", `{"data":{"id":"sess_3","user_id":"`+annUser+
				`","created_at":1768211400000}}`)),
		with(`{"Referer":"https://x.example/?by=`+annMail+`"}`,
			event("platform", "e25", "product.upserted", `{"data":{"id":"c2","store_id":"s1","kind":"course","title":"D"}}`)))
	h.closed()
	h.wantsNothing(words...)
	if diff := cmp.Diff(before, h.figures()); diff != "" {
		t.Errorf("what the store took after all came again (-before +after):\n%s", diff)
	}
	h.wants([]string{"clerk"})
	h.wants(nil)
}

// wantsNothing wants nothing to be left of somebody, and everything in order.
func (h erasing) wantsNothing(words ...string) {
	h.t.Helper()
	if err := h.store.FinishErasures(h.t.Context(), 0, store.EraseOptions{}); err != nil {
		h.t.Fatal(err)
	}
	if left := found(h.dump(), words...); len(left) > 0 {
		h.t.Errorf("still there:\n%s", strings.Join(left, "\n"))
	}
	if diff, err := h.store.Rebuild(h.t.Context(), "", nil); err != nil || diff.Sum() != 0 {
		h.t.Errorf("rebuild: %+v %v", diff, err)
	}
}

func (h erasing) note(email, text string) {
	h.t.Helper()
	page, _, err := customers.New(h.store).Customers(h.t.Context(), customers.Filter{Store: "s1", Query: email})
	if err != nil || len(page) != 1 {
		h.t.Fatalf("%+v %v", page, err)
	}
	if _, err := customers.New(h.store).AddNote(h.t.Context(), "s1", page[0].ID,
		customers.NewNote{Body: text, Author: "admin"}); err != nil {
		h.t.Fatal(err)
	}
}

// figures are those of the list, as text.
func (h erasing) figures() string {
	h.t.Helper()
	st, err := customers.New(h.store).Stats(h.t.Context(), customers.Filter{Store: "s1"})
	if err != nil {
		h.t.Fatal(err)
	}
	text, err := json.MarshalIndent(st, "", " ")
	if err != nil {
		h.t.Fatal(err)
	}
	return string(text)
}

// Other addresses in the payloads are named, but not hundreds of them.
func TestErasePrintsTypedAddresses(t *testing.T) {
	var out bytes.Buffer
	typed := []string{}
	for i := range mostTyped + 2 {
		typed = append(typed, fmt.Sprintf("typed%d@x.example", i))
	}
	eraseCmd{}.print(&out, store.Footprint{Typed: typed})
	if text := out.String(); !strings.Contains(text, "typed0@x.example, typed1@x.example") ||
		!strings.Contains(text, "typed19@x.example and 2 more. If one") {
		t.Error(text)
	}
}
