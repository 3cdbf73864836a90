package webhooks

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/testdb"
)

// usualHeaders are those that Stripe's requests come with, through a proxy.
func usualHeaders(signature http.Header) http.Header {
	h := signature.Clone()
	for name, value := range map[string]string{
		"Accept": "*/*; q=0.5, application/xml", "Cache-Control": "no-cache",
		"Content-Type": "application/json; charset=utf-8",
		"User-Agent":   "Stripe/1.0 (+https://stripe.com/docs/webhooks)", "Accept-Encoding": "gzip", "Content-Length": "3059",
		"X-Forwarded-For": "54.187.174.169", "X-Forwarded-Proto": "https",
		"X-Request-Id": "0198c3a2-7f3b-7d0e-b8a4-2f5c1f0d9a11",
	} {
		h.Set(name, value)
	}
	return h
}

func headersOf(t testing.TB, h http.Header) map[string]string {
	t.Helper()
	req := httptest.NewRequest("POST", "http://rollcall.example/webhooks/stripe", nil)
	req.Header = h
	text := keptHeaders(req)
	var kept map[string]string
	if err := json.Unmarshal(text, &kept); err != nil || len(text) > maxHeaders {
		t.Fatalf("%d bytes, %v: %s", len(text), err, text)
	}
	return kept
}

// Whatever opens something is not kept, under whatever name it comes.
func TestHeadersWithoutSecrets(t *testing.T) {
	h := usualHeaders(SignStripe(stripeSecrets[0], []byte(`{}`), now))
	want := headersOf(t, h)
	if len(want) != 10 || want["Host"] != "rollcall.example" || want["X-Forwarded-For"] != "54.187.174.169" {
		t.Errorf("%q", want)
	}
	for name, value := range map[string]string{
		"Svix-Signature": "v1,x", "Webhook-Signature": "v1,x", "Authorization": "x", "Proxy-Authorization": "x",
		"Cookie":    "x",
		"X-Api-Key": "x", "X-Amz-Security-Token": "x", "Cf-Access-Jwt-Assertion": "x", "X-Forwarded-Client-Cert": "x",
		"X-Shared-Secret":           "x",
		"X-Forwarded-Authorization": "x", "X-Original": "Bearer x", "X-Odd": "eyJhbGciOiJub25lIn0.e30.",
		"X-Stripe": "t=1,v1=abc", "X-Oops": "my whsec_x",
	} {
		h.Set(name, value)
	}
	if diff := cmp.Diff(want, headersOf(t, h)); diff != "" {
		t.Error(diff)
	}
}

// Nobody fills the inbox by headers: what does not fit is left out, the rest is kept.
func TestHeadersWithinBounds(t *testing.T) {
	h := http.Header{"A-Long": {strings.Repeat("x", 3000)}, "B-Long": {strings.Repeat(`"`, 1000)},
		"C-Huge": {strings.Repeat("x", 60_000)}, "D": {"one", "two"}, "E": {"\xff\u202e"}}
	for i := range 300 {
		h["N"+strings.Repeat("n", i)] = []string{"x"}
	}
	kept := headersOf(t, h)
	if len(kept["A-Long"]) != 3000 || kept["B-Long"] != "" || kept["C-Huge"] != "" || kept["D"] != "one, two" ||
		kept["E"] != "\ufffd\u202e" {
		t.Errorf("%.40q", kept)
	}
}

// A delivery is kept with its headers; one that comes again changes none of it.
func TestHeadersKept(t *testing.T) {
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	body := fixture(t, "stripe/checkout.session.completed.json")
	for _, agent := range []string{"first", "second"} {
		h := SignStripe(stripeSecrets[0], body, now)
		h.Set("User-Agent", agent)
		if got := b.send(t, "POST", "/webhooks/stripe", h, body); got.code != 200 {
			t.Fatalf("%+v", got)
		}
	}
	conn, err := pgx.Connect(t.Context(), b.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var agent string
	var host, signature bool
	err = conn.QueryRow(t.Context(), `SELECT headers ->> 'User-Agent', headers ->> 'Host' <> '',
		headers::text LIKE '%ignature%' FROM webhook_events`).Scan(&agent, &host, &signature)
	if err != nil || agent != "first" || !host || signature {
		t.Errorf("%q %v %v %v", agent, host, signature, err)
	}
}

func BenchmarkHeaders(b *testing.B) {
	req := httptest.NewRequest("POST", "http://rollcall.example/webhooks/stripe", nil)
	req.Header = usualHeaders(SignStripe(stripeSecrets[0], []byte(`{}`), now))
	b.ReportAllocs()
	for b.Loop() {
		keptHeaders(req)
	}
}
