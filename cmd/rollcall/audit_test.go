package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/history"
	"rollcall/internal/testing/clerkfake"
	"rollcall/internal/testing/stripefake"
	"rollcall/internal/testing/testdb"
	"rollcall/store"
	"rollcall/store/checks"
)

// house is a Rollcall with a worker, beside fakes of Stripe and Clerk.
type house struct {
	t        *testing.T
	store    *store.Store
	database string
	args     []string // settings of commands
}

func newHouse(t *testing.T, stripe *stripefake.Server, clerkURL string) *house {
	t.Helper()
	database, redis := testdb.Postgres(t), testdb.Redis(t)
	types := []string{"ppr_pro", "creator_plan", "credit_package"}
	s, err := store.Open(t.Context(), database, store.Options{PlatformTypes: types})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := s.Rebuild(t.Context(), "", nil); err != nil { // or the worker would, and fix what a test damages
		t.Fatal(err)
	}
	h := &house{t, s, database, []string{
		"--database-url", database, "--redis-url", redis,
		"--stripe-api-key", stripefake.Key, "--stripe-api-base", stripe.URL, "--clerk-secret-key", clerkfake.Key,
		"--clerk-api-base", clerkURL,
	}}
	h.work(&env{Context: t.Context(), Config: Config{
		DatabaseURL: &database, RedisURL: &redis, StripeMode: new("any"), PlatformProductTypes: strings.Join(types, ","),
		StripeAPIKey: ptrTo(stripefake.Key), StripeAPIBase: &stripe.URL, ClerkSecretKey: ptrTo(clerkfake.Key),
		ClerkAPIBase: &clerkURL,
	}})
	return h
}

// work runs a worker until the test ends.
func (h *house) work(e *env) {
	h.t.Helper()
	redis, err := e.redis()
	if err != nil {
		h.t.Fatal(err)
	}
	w, closing, err := e.newWorker(h.store, redis, unwatched())
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
		closing()
	})
}

// auditJSON is what programs read of an audit.
type auditJSON struct {
	Differences, Mended []struct {
		Kind     string
		Count    int64
		Examples []store.Finding
	}
	Money []store.StoreMoney
}

// audit runs the command, and returns its status, what it found as "kind
// count", and its report.
func (h *house) audit(args ...string) (status int, found []string, report auditJSON) {
	h.t.Helper()
	var out, log bytes.Buffer
	status = run(append(append([]string{"audit", "--json"}, args...), h.args...), &out, &log)
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		h.t.Fatalf("audit %v: status %d, %v\n%s%s", args, status, err, &out, &log)
	}
	for _, d := range report.Differences {
		found = append(found, fmt.Sprint(d.Kind, " ", d.Count))
	}
	return status, found, report
}

// wants audits, and fails unless exactly that is found.
func (h *house) wants(args []string, want ...string) auditJSON {
	h.t.Helper()
	status, found, report := h.audit(args...)
	if diff := cmp.Diff(want, found); diff != "" || (status == 0) != (len(want) == 0) {
		h.t.Errorf("audit %v: status %d, -want +got:\n%s\n%+v", args, status, diff, report.Differences)
	}
	return report
}

// mends audits with --fix, after which nothing may be left.
func (h *house) mends(against string) {
	h.t.Helper()
	status, left, report := h.audit(against, "--fix")
	if status != 0 || left != nil || len(report.Mended) == 0 {
		h.t.Errorf("after mending: status %d, mended %v, left %+v", status, report.Mended, report.Differences)
	}
	h.wants([]string{against})
}

func (h *house) sql(statements ...string) {
	h.t.Helper()
	conn, err := pgx.Connect(h.t.Context(), h.database)
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close(h.t.Context())
	for _, sql := range statements {
		tag, err := conn.Exec(h.t.Context(), sql)
		if err != nil || tag.RowsAffected() == 0 {
			h.t.Fatalf("%s: %v %v", sql, tag, err)
		}
	}
}

// rows is all that we hold, to see that nothing of it changed.
func (h *house) rows() (out []string) {
	h.t.Helper()
	conn, err := pgx.Connect(h.t.Context(), h.database)
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close(h.t.Context())
	for _, table := range []string{"users", "payments", "refunds", "disputes", "subscriptions", "stripe_customers",
		"customers",
		"(SELECT * FROM backfills WHERE kind <> 'stripe-events')"} { // those begin by themselves
		rows, err := conn.Query(h.t.Context(), `SELECT to_jsonb(x)::text FROM `+table+` x ORDER BY 1`)
		if err != nil {
			h.t.Fatal(err)
		}
		some, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			h.t.Fatal(err)
		}
		out = append(out, some...)
	}
	return out
}

// yesterday is when what we hold was told.
var yesterday = time.Now().Add(-24 * time.Hour).Truncate(time.Second)

// saleObjects are what Stripe holds: of the platform's own account two sales for
// store s2, one partly refunded, one disputed, and a plan of the platform's own;
// of acct_1, which is store s1's, a subscription and its invoice.
func saleObjects() map[string][]string {
	at := yesterday.Add(-24 * time.Hour).Unix()
	own := []string{
		`{"id":"cs_1","object":"checkout.session","created":%d,"mode":"payment","status":"complete",` +
			`"payment_status":"paid","amount_total":2000,"currency":"usd","payment_intent":"pi_1",` +
			`"customer_details":{"email":"ann@x.example"},"metadata":{"storeId":"s2","productId":"p2"}}`,
		`{"id":"pi_1","object":"payment_intent","created":%d,"status":"succeeded","amount_received":2000,"currency":"usd",` +
			`"metadata":{}}`,
		`{"id":"pi_2","object":"payment_intent","created":%d,"status":"succeeded","amount_received":900,"currency":"eur",` +
			`"receipt_email":"bob@x.example","metadata":{"storeId":"s2","productId":"p2"}}`,
		`{"id":"pi_3","object":"payment_intent","created":%d,"status":"succeeded","amount_received":700,"currency":"usd",` +
			`"metadata":{}}`,
		`{"id":"ch_1","object":"charge","created":%d,"amount":2000,"currency":"usd"}`,
		`{"id":"re_1","object":"refund","created":%d,"amount":500,"currency":"usd","charge":"ch_1","payment_intent":"pi_1",` +
			`"status":"succeeded"}`,
		`{"id":"dp_1","object":"dispute","created":%d,"amount":900,"currency":"eur","charge":"ch_2",` +
			`"payment_intent":"pi_2","status":"lost","balance_transactions":[{"amount":-900}]}`,
		`{"id":"sub_p","object":"subscription","created":%d,"status":"active","currency":"usd",` +
			`"items":{"data":[{"price":{"id":"price_p","unit_amount":1000}}]},"metadata":{"plan":"creator_plan"}}`,
	}
	connected := []string{
		`{"id":"sub_1","object":"subscription","created":%d,"status":"active","currency":"usd","customer":"cus_1",` +
			`"items":{"data":[{"price":{"id":"price_1","unit_amount":1500}}]},"metadata":{"userId":"user_1"}}`,
		`{"id":"in_1","object":"invoice","created":%d,"status":"paid","amount_paid":1500,"currency":"usd",` +
			`"customer":"cus_1","customer_email":"cy@x.example","subscription":"sub_1","payment_intent":"pi_4",` +
			`"lines":{"data":[]}}`,
		`{"id":"pi_4","object":"payment_intent","created":%d,"status":"succeeded","amount_received":1500,"currency":"usd",` +
			`"invoice":"in_1","customer":"cus_1","metadata":{}}`,
	}
	for _, list := range [][]string{own, connected} {
		for i := range list {
			list[i] = fmt.Sprintf(list[i], at)
		}
	}
	return map[string][]string{"": own, "acct_1": connected}
}

// tell says what the platform, and the lists of Stripe's, told yesterday.
func (h *house) tell(objects map[string][]string) {
	h.t.Helper()
	set := facts.Set{
		Stores: []facts.Store{{ID: "s1", StripeAccountID: "acct_1", Version: "1"}, {ID: "s2", Version: "1"}},
		Users:  []facts.User{{ID: "user_1", Email: "cy@x.example", Version: "2026-01-01T00:00:00.000000Z 20 "}},
	}
	for account, list := range objects {
		for _, raw := range list {
			var head struct{ Object string }
			if err := json.Unmarshal([]byte(raw), &head); err != nil {
				h.t.Fatal(err)
			}
			some, err := facts.ReadStripeObject(head.Object, account, yesterday, []byte(raw))
			var useless *facts.Ignored
			if err != nil && !errors.As(err, &useless) {
				h.t.Fatal(err)
			}
			set.Add(some)
		}
	}
	if err := h.store.Keep(h.t.Context(), set); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.store.Rebuild(h.t.Context(), "", nil); err != nil {
		h.t.Fatal(err)
	}
}

// stripeDamages are what may go wrong between Stripe and us.
var stripeDamages = []struct {
	name string
	sql  []string
	s2   bool // it concerns store s2, else s1
	want []string
}{
	{"a sale never heard of", []string{`DELETE FROM payments WHERE id = 'pi_2'`}, true, []string{"payment_missing 1"}},
	{"a sale known only by its id",
		[]string{`UPDATE payments SET claim_version = '', claimed_by = NULL, claim_paid = NULL WHERE id = 'pi_1'`}, true,
		[]string{"payment_missing 1"}},
	{"a sale of another amount", []string{`UPDATE payments SET claim_amount = 1999 WHERE id = 'pi_1'`}, true,
		[]string{"payment_differs 1"}},
	{"an invoice not paid", []string{`UPDATE payments SET claim_paid = false WHERE id = 'in_1'`}, false,
		[]string{"payment_differs 1"}},
	{"a refund never heard of", []string{`DELETE FROM refunds`, `UPDATE payments SET refunded = 0 WHERE id = 'pi_1'`},
		true, []string{"refunded_differs 1", "refund_missing 1"}},
	{"a refund of another amount", []string{`UPDATE refunds SET amount = 100`}, true, []string{"refund_differs 1"}},
	{"a dispute never heard of", []string{`DELETE FROM disputes`, `UPDATE payments SET disputed = 0 WHERE id = 'pi_2'`},
		true, []string{"disputed_differs 1", "dispute_missing 1"}},
	{"a dispute not lost", []string{`UPDATE disputes SET withdrawn = false, status = 'under_review'`}, true,
		[]string{"dispute_differs 1"}},
	{"a subscription never heard of", []string{`DELETE FROM subscriptions WHERE id = 'sub_1'`}, false,
		[]string{"subscription_missing 1"}},
	{"a subscription that ended", []string{`UPDATE subscriptions SET status = 'canceled' WHERE id = 'sub_1'`}, false,
		[]string{"subscription_differs 1"}},
}

// Every difference from Stripe is named, in the store it concerns and no other,
// while nothing is written; --fix mends it.
func TestAuditAgainstStripe(t *testing.T) {
	t.Parallel()
	fake := stripefake.New(t)
	h := newHouse(t, fake, "http://127.0.0.1:1")
	objects := saleObjects()
	for account, list := range objects {
		for _, o := range list {
			fake.Add(account, o)
		}
	}
	h.tell(objects)
	report := h.wants([]string{"stripe"})
	want := []store.StoreMoney{
		{Store: "s1", Currency: "usd", Paid: 1500, StripePaid: 1500},
		{Store: "s2", Currency: "eur", Paid: 900, StripePaid: 900},
		{Store: "s2", Currency: "usd", Paid: 2000, Refunded: 500, StripePaid: 2000, StripeRefunded: 500},
	}
	if diff := cmp.Diff(want, report.Money); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, d := range stripeDamages {
		t.Run(d.name, func(t *testing.T) {
			h := &house{t, h.store, h.database, h.args}
			h.sql(d.sql...)
			before := h.rows()
			report := h.wants([]string{"stripe"}, d.want...)
			for _, f := range report.Differences {
				if len(f.Examples) != 1 || f.Examples[0].Why == "" {
					t.Errorf("%s is not explained: %+v", f.Kind, f)
				}
			}
			concerned, other := "s1", "s2"
			if d.s2 {
				concerned, other = other, concerned
			}
			h.wants([]string{"stripe", "--store", concerned}, d.want...)
			h.wants([]string{"stripe", "--store", other})
			if diff := cmp.Diff(before, h.rows()); diff != "" {
				t.Errorf("the audit wrote:\n%s", diff)
			}
			h.mends("stripe")
			h.wants(nil)
		})
	}
}

// Sales that we count and Stripe does not list are told, but those made while
// the audit runs, and those whose ids are not Stripe's, are none of them; of an
// account that cannot be read nobody says that it lists nothing.
func TestAuditOfWhatStripeDoesNotList(t *testing.T) {
	t.Parallel()
	fake := stripefake.New(t)
	h := newHouse(t, fake, "http://127.0.0.1:1")
	objects := saleObjects()
	h.tell(objects)
	amount, later := int64(100), time.Now().Add(time.Hour)
	if err := h.store.Keep(t.Context(), facts.Set{Payments: []facts.Payment{
		{ID: "order-1", Kind: "purchase", Paid: true, Amount: &amount, Currency: "usd", ClaimVersion: "2 1",
			PaidAt: &yesterday, Context: facts.Context{StoreRef: "s2", Email: "z@x.example"}},
		{ID: "pi_later", Kind: "intent", Paid: true, Amount: &amount, Currency: "usd", ClaimVersion: "3 1", PaidAt: &later,
			Context: facts.Context{StoreRef: "s2", Email: "z@x.example"}},
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.Rebuild(t.Context(), "", nil); err != nil {
		t.Fatal(err)
	}
	report := h.wants([]string{"stripe"}, "payment_not_listed 3", "refund_not_listed 1",
		"dispute_not_listed 1", "subscription_not_listed 2")
	if len(report.Money) != 3 || report.Money[0].Agrees() || report.Money[0].StripePaid != 0 {
		t.Errorf("%+v", report.Money)
	}
	h.wants([]string{"stripe", "--store", "s1"}, "payment_not_listed 1", "subscription_not_listed 1")
	fake.Deauthorise("acct_1")
	h.wants([]string{"stripe", "--store", "s1"}, fmt.Sprint("unreadable ", len(moneyStreams)))
}

// clerkWithUsers is a fake that also answers for one user.
func clerkWithUsers(t *testing.T, fake *clerkfake.Clerk, there map[string]clerkfake.User) string {
	t.Helper()
	to, err := url.Parse(strings.TrimSuffix(fake.URL, "/v1"))
	if err != nil {
		t.Fatal(err)
	}
	mux, proxy := http.NewServeMux(), httputil.NewSingleHostReverseProxy(to)
	mux.Handle("/", proxy)
	mux.Handle("GET /v1/users/count", proxy)
	mux.HandleFunc("GET /v1/users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if u, ok := there[r.PathValue("id")]; ok {
			json.NewEncoder(w).Encode(u)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"errors":[{"code":"resource_not_found","message":"not found"}]}`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/v1"
}

// Users are compared, and nobody is called deleted without Clerk saying so.
func TestAuditAgainstClerk(t *testing.T) {
	t.Parallel()
	fake, there := clerkfake.New(t), map[string]clerkfake.User{}
	h := newHouse(t, stripefake.New(t), clerkWithUsers(t, fake, there))
	for _, id := range []string{"user_1", "user_2", "user_3"} {
		u := clerkfake.NewUser(id, id+"@x.example", yesterday)
		fake.Add(u)
		raw, err := json.Marshal(u)
		if err != nil {
			t.Fatal(err)
		}
		set, err := facts.ReadClerkUser(yesterday, raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.store.Keep(t.Context(), set); err != nil {
			t.Fatal(err)
		}
	}
	against := []string{"clerk"}
	h.wants(against)
	for _, c := range []struct {
		name, sql string
		want      []string
	}{
		{"never heard of", `DELETE FROM users WHERE id = 'user_1'`, []string{"user_missing 1"}},
		{"known only by a sign-in", `UPDATE users SET version = '' WHERE id = 'user_1'`, []string{"user_missing 1"}},
		{"heard of before a change", `UPDATE users SET email = 'old@x.example', version = '2020' || substr(version, 5)
			WHERE id = 'user_2'`, []string{"user_differs 1"}},
		{"changed by hand", `UPDATE users SET email = 'other@x.example' WHERE id = 'user_2'`, []string{"user_differs 1"}},
		{"of no address", `UPDATE users SET email = NULL WHERE id = 'user_3'`, []string{"user_differs 1"}},
		{"deleted at Clerk", `INSERT INTO users (id, email, version, deleted_version)
			VALUES ('user_gone', 'gone@x.example', '2026', '')`, []string{"user_gone 1"}},
	} {
		h.sql(c.sql)
		before := h.rows()
		h.wants(against, c.want...)
		if diff := cmp.Diff(before, h.rows()); diff != "" {
			t.Errorf("%s: the audit wrote:\n%s", c.name, diff)
		}
		h.mends("clerk")
	}
	there["user_odd"] = clerkfake.NewUser("user_odd", "odd@x.example", yesterday)
	h.sql(`INSERT INTO users (id, email, version, deleted_version) VALUES ('user_odd', 'odd@x.example', '2026', '')`)
	h.wants(against) // Clerk still has them, though the list did not
	fake.Garble("user_1", `{"id":"user_1","email_addresses":7}`)
	if status, found, _ := h.audit(against...); status != 1 || len(found) == 0 || found[len(found)-1] != "unreadable 1" {
		t.Errorf("status %d: %v", status, found)
	}
}

// What may pass is tried again, what cannot be cured is not.
func TestAuditIsPatient(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{&history.Later{After: time.Nanosecond, Err: errors.New("too many")}, tries},
		{&history.Refused{Reason: "no such key"}, 1},
		{nil, 1},
	} {
		var log bytes.Buffer
		e, n := &env{Context: t.Context(), err: &log}, 0
		err := e.patiently(func() error { n++; return c.err })
		if n != c.want || !errors.Is(err, c.err) || strings.Count(log.String(), "trying again") != c.want-1 {
			t.Errorf("%v: %d tries, %v, %s", c.err, n, err, &log)
		}
	}
}

// Each audit can be asked for, and runs: by itself, or by what asks an API.
func TestAuditsAreBound(t *testing.T) {
	against, _ := reflect.TypeFor[auditCmd]().FieldByName("Against")
	var names []string
	for _, c := range checks.Audits {
		names = append(names, c.Name)
		if _, bound := apart[c.Name]; bound == (c.Run != nil) || reading[c.Name] == "" {
			t.Errorf("%s is not bound, or twice, or shows no progress", c.Name)
		}
	}
	if want := strings.Join(names, ","); against.Tag.Get("enum") != want {
		t.Errorf("audit takes %s, want %s", against.Tag.Get("enum"), want)
	}
}
