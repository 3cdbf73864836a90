package store_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	command "os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rollcall/facts"
	"rollcall/internal/embedded"
	"rollcall/store"
	"rollcall/store/customers"
)

// writeDump is where TestUpgrade writes the database that it makes.
var writeDump = flag.String("upgrade.write", "",
	"write the dump of today, gzipped, to this `file` (see testdata/upgrade)")

// dumpOfToday makes a database with something of all that there is, and returns
// it as a plain dump.
func dumpOfToday(t *testing.T) string {
	t.Helper()
	s, url := openURL(t)
	fillForUpgrade(t, s, url)
	tool, err := embedded.PostgresTool("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	dump, err := command.Command(tool, "--no-owner", "--no-privileges", "--inserts", "--rows-per-insert=50",
		"--dbname", url).Output()
	if err != nil {
		t.Fatal(err)
	}
	if *writeDump != "" {
		var b bytes.Buffer
		w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		w.Write(dump) // into memory: no error
		w.Close()
		if err := os.WriteFile(*writeDump, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return string(dump)
}

// fillForUpgrade tells the fixtures, the cases and some stories, merges two
// customers, writes notes, backfills a payment and erases somebody.
func fillForUpgrade(t *testing.T, s *store.Store, url string) {
	t.Helper()
	ctx := context.Background()
	all := fixtureEvents(t, func(string) bool { return true })
	all = append(all, caseEvents(t)...)
	for n := range 8 {
		all = append(all, apart(rapid.Custom(drawStory).Example(100+n), n)...)
	}
	if _, err := s.InsertEvents(ctx, all); err != nil {
		t.Fatal(err)
	}
	applyWaiting(t, s)

	e := teller{n: 500}
	in := func(at, course, who string) store.NewEvent {
		return e.platform("enrollment.upserted", fmt.Sprintf(`{"course_id":%q,"store_id":%q,%s}`, course, at, who))
	}
	apply(t, s, []store.NewEvent{
		in("store_merged", "c_merged", `"email":"mo@merged.example"`),
		e.user("user_merged", "mo.old@merged.example", "verified"),
		in("store_merged", "d_merged", `"user_id":"user_merged"`), e.user("user_merged", "mo@merged.example", "verified"),
	}, 1)
	apply(t, s, []store.NewEvent{
		e.user("user_erased", "gone@erased.example", "verified"), in("store_erased", "c_erased", `"user_id":"user_erased"`),
		e.sale("pi_erased", "gone@erased.example", `{"storeId":"store_erased","productId":"p_erased"}`),
	}, 1)
	noteOn(t, s, url, "store_merged", "mo@merged.example", "was two people")
	noteOn(t, s, url, "k57aurorastore00000000000000000a", "ava@lindqvist.example", "prefers letters")
	backfillOne(t, s)
	erase(t, s, store.Erasing{Email: "gone@erased.example"})
	if err := s.FinishErasures(ctx, 0, store.EraseOptions{Read: facts.Read}); err != nil {
		t.Fatal(err)
	}
}

func noteOn(t *testing.T, s *store.Store, url, storeID, email, body string) {
	t.Helper()
	id := query(t, url, `SELECT id::text FROM customers WHERE store_id = $1 AND email = $2`, storeID, email)
	if len(id) != 1 {
		t.Fatalf("%d customers at %s in %s", len(id), email, storeID)
	}
	if _, err := customers.New(s).AddNote(context.Background(), storeID, id[0],
		customers.NewNote{Body: body, Author: "admin"}); err != nil {
		t.Fatal(err)
	}
}

// backfillOne is a run that brings in one payment that no event tells of.
func backfillOne(t *testing.T, s *store.Store) {
	t.Helper()
	ctx := context.Background()
	read := storyStart.AddDate(0, 0, 1)
	set, err := facts.ReadStripeObject("checkout.session", "", read,
		[]byte(`{"id":"cs_backfilled","object":"checkout.session","mode":"payment","status":"complete",
		"payment_status":"paid",
		"amount_total":2500,"currency":"usd","payment_intent":"pi_backfilled","created":1768212000,
		"customer_details":{"email":"bea@backfilled.example","name":"Bea"},
		"metadata":{"storeId":"store_backfilled","productId":"p_backfilled"}}`))
	if err != nil {
		t.Fatal(err)
	}
	run, err := s.StartBackfill(ctx, store.NewBackfill{Kind: "stripe", StartedBy: "a test"})
	if err != nil {
		t.Fatal(err)
	}
	chunk, err := s.OpenChunk(ctx, run.ID, 0, time.Minute)
	if err == nil {
		_, err = s.ApplyChunk(ctx, chunk, store.Page{Items: []store.Item{{Place: "cs_backfilled", Facts: set}}})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// caseEvents are the events of all cases, as the receiver keeps them.
func caseEvents(t *testing.T) (all []store.NewEvent) {
	t.Helper()
	files, err := filepath.Glob("../testdata/cases/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		var c struct {
			Events []struct {
				Path, ID string
				Body     json.RawMessage
			}
		}
		raw, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(raw, &c)
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, e := range c.Events {
			n, err := received(strings.TrimPrefix(e.Path, "/webhooks/"), e.ID, e.Body)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all = append(all, n)
		}
	}
	return all
}

// received reads an event's envelope.
func received(source, id string, body []byte) (store.NewEvent, error) {
	var b struct {
		ID, Type, Account string
		APIVersion        string `json:"api_version"`
		Livemode          *bool
		Created           int64
		Timestamp         json.RawMessage
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return store.NewEvent{}, err
	}
	n := store.NewEvent{Source: source, EventID: id, Type: b.Type, Account: b.Account, APIVersion: b.APIVersion,
		Livemode: b.Livemode, Payload: body}
	switch source {
	case "stripe":
		n.EventID, n.OccurredAt = b.ID, time.Unix(b.Created, 0)
	case "clerk":
		var millis int64
		err := json.Unmarshal(b.Timestamp, &millis)
		n.OccurredAt = time.UnixMilli(millis)
		return n, err
	case "platform":
		return n, json.Unmarshal(b.Timestamp, &n.OccurredAt)
	}
	return n, nil
}

// storyIDs are the ids and addresses that stories use.
var storyIDs = regexp.MustCompile(
	`"((?:[a-z]+_)*(?:store|user|course|bundle|pi|cs|ch|re|dp|in|inpay|sub|cus|price|acct|buy)_(?:\d|owner|null))"`)

// apart gives a story stores, people and payments of its own.
func apart(story []store.NewEvent, n int) []store.NewEvent {
	for i, e := range story {
		own := storyIDs.ReplaceAllString(string(e.Payload), fmt.Sprintf(`"${1}_s%d"`, n))
		own = strings.ReplaceAll(own, "course_1,course_2", fmt.Sprintf("course_1_s%[1]d,course_2_s%[1]d", n))
		story[i].Payload = []byte(strings.ReplaceAll(own, "@x.example", fmt.Sprintf("@s%d.example", n)))
		story[i].EventID = fmt.Sprintf("s%d_%s", n, e.EventID)
		if e.Account != "" {
			story[i].Account = fmt.Sprintf("%s_s%d", e.Account, n)
		}
	}
	return story
}
