package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/internal/testing/clerkfake"
	"rollcall/internal/testing/stripefake"
	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/webhooks"
)

// buffer takes lines from several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// lines are the log's, those with a message or all.
func (b *buffer) lines(t *testing.T, message string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(b.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		if message == "" || l["msg"] == message {
			all = append(all, l)
		}
	}
	return all
}

// word marks what must not be in the log: it is in every payload, note, question
// and path of the test, and in every address, whose other mark is the @.
const word = "PRIVATEWORD"

const address = "privateword@x.example"

// logged is a system whose log, from info on, is kept.
type logged struct {
	*system
	log *buffer
}

// TestLogIsPrivate drives all that can go well and wrong with marked words,
// addresses and secrets, and finds none of them in the log.
func TestLogIsPrivate(t *testing.T) {
	t.Parallel()
	log := &buffer{}
	by := blind
	// as serve and work write it
	by.log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{ReplaceAttr: pg.PlainErrors}))
	s := &logged{newWatchedSystem(t, by), log}
	s.failures()
	s.startWorkerWith(s.markedPast())
	s.deliveries()
	s.until("all is tried", `count(*) = 8 AND bool_and(attempts > 0) FROM webhook_events`)
	s.requests()
	s.backfills()
	s.exec(`DROP TRIGGER derive ON customers; DROP TRIGGER say ON products`)
	s.until("all ended", `count(*) = 0 FROM webhook_events WHERE status = 'pending'`)
	s.wantLines()
	text := s.log.String()
	for _, mark := range []string{word, strings.ToLower(word), "@", secret, strings.TrimPrefix(secret, "whsec_"),
		adminToken, stripefake.Key, clerkfake.Key, "v1="} {
		if i := strings.Index(text, mark); i >= 0 {
			t.Errorf("%q is in the log: …%s…", mark, text[max(0, i-300):min(len(text), i+100)])
		}
	}
}

// failures makes Postgres refuse some of what follows, and quote it.
func (s *logged) failures() {
	s.exec(`CREATE FUNCTION quote() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no place for %', NEW;
		END $$`)
	s.exec(`CREATE TRIGGER derive BEFORE INSERT ON customers FOR EACH ROW WHEN (NEW.email = 'derive.` + address +
		`') EXECUTE FUNCTION quote()`)
	s.exec(`CREATE TRIGGER say BEFORE INSERT ON products FOR EACH ROW WHEN (NEW.title = 'say ` + word +
		`') EXECUTE FUNCTION quote()`)
}

// deliveries are eight that are kept, and others that are refused.
func (s *logged) deliveries() {
	s.t.Helper()
	data := func(format string, args ...any) []byte {
		return fmt.Appendf(nil, `{"timestamp":"2026-01-12T10:00:00Z",%s}`, fmt.Sprintf(format, args...))
	}
	enrolled := `"type":"enrollment.upserted","data":{"course_id":"c1","store_id":"s1","email":%q,"name":"` + word + `"}`
	for id, body := range map[string][]byte{
		"applied": data(enrolled, address),
		"derive":  data(enrolled, "derive."+address),
		"say": data(`"type":"product.upserted","data":{"id":"p1","store_id":"s1","kind":"course","title":"say %s"}`,
			word),
		"malformed": data(`"type":"product.upserted","data":{"id":"p2","store_id":"s1","kind":"%s","title":"T"}`, word),
		"wrong": data(
			`"type":"purchase.recorded","data":{"id":"%s","product_id":"p1","email":"%s","amount":"%[1]s","currency":"usd"}`,
			word, address),
		"ignored": data(`"type":"unknown.thing","data":{"secret":"%s"}`, word),
	} {
		s.deliver("platform", id, body)
		s.deliver("platform", id, body) // a duplicate
	}
	s.deliver("clerk", "clerk",
		fmt.Appendf(
			nil, `{"type":"user.created","timestamp":1768212000000,`+
				`"data":{"id":"user_1","first_name":%q,"primary_email_address_id":"e",`+
				`"email_addresses":[{"id":"e","email_address":%q,"verification":{"status":"verified"}}]}}`, word, address))
	sale := bytes.ReplaceAll(checkout(1, 1), []byte("buyer1@x.example"), []byte(address))
	if err := s.post(bytes.ReplaceAll(sale, []byte("Buyer 1"), []byte(word))); err != nil {
		s.t.Fatal(err)
	}
	s.refusals(sale)
}

func (s *logged) deliver(source, id string, body []byte) {
	s.t.Helper()
	sign := webhooks.SignPlatform
	if source == "clerk" {
		sign = webhooks.SignClerk
	}
	header, err := sign(secret, id, body, time.Now())
	if err == nil {
		_, err = s.send(source, header, body)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *logged) refusals(sale []byte) {
	torn := append([]byte(nil), sale[:len(sale)-3]...)
	odd := []byte(`{"id":"evt_odd","type":["` + word + `"],"created":1768212000}`)
	for path, body := range map[string][]byte{
		"stripe?torn": torn, "stripe?odd": odd, "stripe?large": bytes.Repeat([]byte(word), 1<<17),
		"elsewhere/" + address: sale,
	} {
		s.ask(http.MethodPost, "/webhooks/"+path, webhooks.SignStripe(secret, body, time.Now()), body)
	}
	s.ask(http.MethodPost, "/webhooks/stripe", http.Header{"Stripe-Signature": {"t=1,v1=" + word}}, sale)
	s.ask(http.MethodPost, "/webhooks/stripe", webhooks.SignStripe(secret, sale, time.Now().Add(-time.Hour)), sale)
	s.ask(http.MethodGet, "/webhooks/stripe?"+word, nil, nil)
}

// ask asks for something, whatever is answered.
func (s *logged) ask(method, path string, header http.Header, body []byte) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.http.URL+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	res, err := s.http.Client().Do(req)
	if err != nil {
		return // cut off in the middle of a body that is too large
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
}

// requests are for pages and API, by operators and strangers.
func (s *logged) requests() {
	s.t.Helper()
	operator := http.Header{"Authorization": {"Bearer " + adminToken}, "Content-Type": {"application/json"}}
	stranger := http.Header{"Authorization": {"Bearer rc_" + word}}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for _, r := range []struct {
		method, path string
		header       http.Header
		body         string
	}{
		{"GET", "/store/s1/customers?q=" + address, operator, ""},
		{"GET", "/api/stores/s1/customers?q=" + word, operator, ""},
		{"GET", "/api/stores/s1/customers?sort=" + word, operator, ""},
		{"GET", "/api/stores/s1/customers/1", operator, ""},
		{"POST", "/api/stores/s1/customers/1/notes", operator, `{"body":"` + word + `"}`},
		{"GET", "/api/stores/s1/customers", stranger, ""},
		{"GET", "/signin?link=" + word, nil, ""},
		{"POST", "/signin", form, "token=" + word},
		{"GET", "/nowhere/" + address, operator, ""},
		{"GET", "/api/admin/events?type=" + word, operator, ""},
		{"POST", "/api/admin/backfills", operator, `{"kind":"` + word + `"}`},
		{"POST", "/api/admin/events/retry", operator, `{"error":"` + address + `"}`},
	} {
		s.ask(r.method, r.path, r.header, []byte(r.body))
	}
}

// markedPast has objects with the marks, one of which cannot be read, and one
// of whom Postgres will not have as a customer.
func (s *logged) markedPast() *past {
	p := &past{stripe: stripefake.New(s.t), clerk: clerkfake.New(s.t)}
	at := time.Now().Add(-time.Hour)
	p.clerk.Add(clerkfake.NewUser("user_2", "second."+address, at))
	p.stripe.Add("", fmt.Sprintf(`{"id":"cus_1","object":"customer","email":%q,"name":%q,"created":%d}`, "derive."+address,
		word, at.Unix()),
		fmt.Sprintf(`{"id":"cs_9","object":"checkout.session","mode":"payment","status":"complete","payment_status":"paid",`+
			`"amount_total":%q,"created":%d}`, word, at.Unix()),
		fmt.Sprintf(`{"id":"cs_8","object":"checkout.session","mode":"payment","status":"complete","payment_status":"paid",
		"amount_total":900,"currency":"usd","payment_intent":"pi_8","created":%d,
			"customer_details":{"email":"derive.%s"},"metadata":{"storeId":"s1","productId":"p9","note":%q}}`,
			at.Unix(), address, word))
	return p
}

// backfills bring in the marked past, fail for a wrong key, and find no file.
func (s *logged) backfills() {
	s.t.Helper()
	for _, n := range []store.NewBackfill{{Kind: "stripe"}, {Kind: "clerk"},
		{Kind: "convex", Options: store.BackfillOptions{File: "/nowhere/export.zip"}}} {
		n.StartedBy = "a test"
		if _, err := s.store.StartBackfill(s.t.Context(), n); err != nil {
			s.t.Fatal(err)
		}
	}
	s.until("backfills ended", `count(*) = 3 AND bool_and(ended_at IS NOT NULL) FROM backfills`)
}

// wantLines checks that what happened is in the log, each once and whole.
func (s *logged) wantLines() {
	t := s.t
	for message, attributes := range map[string]string{
		"webhook accepted":                     "source path status event type bytes row took",
		"webhook duplicate":                    "source path status event type bytes took",
		"webhook refused":                      "source path status code error took",
		"request":                              "method path route status bytes took remote",
		"event applied":                        "source event type row status attempt waited",
		"event not applied; it is tried again": "job outcome source event type row status attempt waited error took",
		"event cannot be read; see `rollcall events show`": "source event type row status attempt waited",
		"chunk done":      "backfill kind chunk stream attempt outcome objects errors took",
		"backfill failed": "backfill kind chunk attempt outcome error took",
		"backfill ended":  "backfill kind status",
	} {
		lines := s.log.lines(t, message)
		if len(lines) == 0 {
			t.Errorf("no line %q in\n%s", message, s.log)
		}
		for _, l := range lines {
			for name := range strings.FieldsSeq(attributes) {
				if _, ok := l[name]; !ok {
					t.Errorf("line %v has no %q", l, name)
				}
			}
		}
	}
	if n := len(s.log.lines(t, "webhook accepted")); n != 8 {
		t.Errorf("%d lines of 8 accepted deliveries", n)
	}
	applied := map[any]int{}
	for _, l := range s.log.lines(t, "event applied") {
		applied[l["event"]]++
	}
	for event, n := range applied {
		if n != 1 || event == nil {
			t.Errorf("event %v is applied in %d lines", event, n)
		}
	}
}
