package webhooks

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"rollcall/internal/testing/testdb"
)

// at is the time of the events below.
var at = time.Date(2026, 1, 12, 9, 30, 0, 0, time.UTC)

func TestStripeDeliveries(t *testing.T) {
	thin := fixture(t, "stripe/thin_event_v2.json")
	basil := fixture(t, "stripe/invoice.paid.basil.json")
	connect := fixture(t, "stripe/checkout.session.completed.connect_direct.json")
	row := func(body, id string) inboxRow {
		return inboxRow{Source: Stripe, EventID: id, Type: "a.b", OccurredAt: time.Unix(1768212000, 0).UTC(), Payload: body,
			Status: "pending"}
	}
	accept := func(name, body string, rows ...inboxRow) deliveryCase {
		return deliveryCase{name: name, header: SignStripe(stripeSecrets[0], []byte(body), now), body: []byte(body),
			code: 200, what: "accepted", rows: rows}
	}
	refused := func(name, body, what string) deliveryCase {
		d := accept(name, body)
		d.code, d.what = 400, what
		return d
	}
	const oldest = `{"id":"evt_1","type":"a.b","created":1768212000,"api_version":null,"account":null,"request":"req_1"}`
	const context = `{"id":"evt_1","type":"a.b","created":1768212000,"context":"acct_1/x"}`
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	b.runAll(t, Stripe, []deliveryCase{
		accept("another API version", string(basil), inboxRow{Stripe, "evt_1ChloeInvPaidBasil0001", "invoice.paid", "",
			"2025-03-31.basil", new(false), time.Unix(1768298402, 0).UTC(), string(basil), "pending"}),
		accept("no API version", oldest, row(oldest, "evt_1")),
		accept("context instead of account", context, row(context, "evt_1")),
		accept("thin v2 event", string(thin), inboxRow{Stripe, "evt_test_65ThinFixture0000001",
			"v2.core.event_destination.ping", "", "", new(false), now, string(thin), "pending"}),
		accept("connected account", string(connect),
			inboxRow{Stripe, "evt_1BorealisCheckout00001", "checkout.session.completed", "acct_1StoreBorealis9Kp", "2023-10-16",
				new(false), time.Unix(1768384843, 0).UTC(), string(connect), "pending"}),

		refused("no id", `{"type":"a.b","created":1768212000}`, missingID),
		refused("id null", `{"id":null,"type":"a.b","created":1768212000}`, missingID),
		refused("id a number", `{"id":1,"type":"a.b","created":1768212000}`, invalidField),
		refused("id too long", `{"id":"`+strings.Repeat("e", 256)+`","type":"a.b","created":1768212000}`, invalidField),
		refused("no created", `{"id":"evt_1","type":"a.b"}`, missingTimestamp),
		refused("created no time", `{"id":"evt_1","type":"a.b","created":"today"}`, invalidField),
		refused("created before 1970", `{"id":"evt_1","type":"a.b","created":-5}`, invalidField),
		refused("created beyond Postgres", `{"id":"evt_1","type":"a.b","created":1e300}`, invalidField),
		refused("account with a NUL", `{"id":"evt_1","type":"a.b","created":1768212000,"account":"\u0000"}`, invalidField),
		refused("API version with a NUL", `{"id":"evt_1","type":"a.b","created":1768212000,"api_version":"\u0000"}`,
			invalidField),
		refused("livemode a string", `{"id":"evt_1","type":"a.b","created":1768212000,"livemode":"no"}`, invalidField),
	})
	b.runAll(t, Stripe, stripeHeaders(oldest, row(oldest, "evt_1")))
}

// stripeHeaders are signatures as they should not be, and one as the library
// reads it: the last t= is the one signed, so it is the one whose age counts.
func stripeHeaders(body string, row inboxRow) []deliveryCase {
	signature := func(at time.Time) string {
		return fmt.Sprintf("v1=%x", webhook.ComputeSignature(at, []byte(body), stripeSecrets[0]))
	}
	with := func(name, value string, code int, what string, rows ...inboxRow) deliveryCase {
		return deliveryCase{name: name, header: http.Header{"Stripe-Signature": {value}}, body: []byte(body), code: code,
			what: what, rows: rows}
	}
	old := now.Add(-time.Hour)
	return []deliveryCase{
		with("only v0", "t=1768212000,v0="+strings.TrimPrefix(signature(now), "v1="), 400, invalidSignature),
		with("no time", signature(time.Time{}), 400, timestampTooOld),
		with("time no number", "t=now,"+signature(now), 400, invalidSignature),
		with("garbage", "garbage", 400, invalidSignature),
		with("fresh time before the signed one", "t=1768212000,t=1768208400,"+signature(old), 400, timestampTooOld),
		with("fresh time after the signed one", "t=1768208400,t=1768212000,"+signature(old), 400, invalidSignature),
		with("signed time last", "t=1,t=1768212000,"+signature(now), 200, "accepted", row),
	}
}

func TestClerkDeliveries(t *testing.T) {
	user := string(fixture(t, "clerk/user.created.json"))
	code := string(fixture(t, "clerk/email.created.json"))
	row := func(typ string, at time.Time, payload string) inboxRow {
		return inboxRow{Source: Clerk, EventID: "msg_1", Type: typ, OccurredAt: at, Payload: payload, Status: "pending"}
	}
	accept := func(name, body string, row inboxRow) deliveryCase {
		header := svixHeader(t, SignClerk, svixSecrets[0], "msg_1", []byte(body), now)
		return deliveryCase{name: name, header: header, body: []byte(body), code: 200, what: "accepted",
			rows: []inboxRow{row}}
	}
	created := time.UnixMilli(1768211401000).UTC()
	const seconds, none, null = `{"type":"a.b","timestamp":1768210200}`, `{"type":"a.b"}`,
		`{"type":"a.b","timestamp":null}`
	redacted := func(typ string, at string) string {
		return `{"type":"` + typ + `","object":"event","timestamp":` + at + `,"redacted":"one-time codes are not kept"}`
	}
	aliases := accept("webhook-… headers", user, row("user.created", created, user))
	aliases.header = svixHeader(t, SignPlatform, svixSecrets[0], "msg_1", []byte(user), now)
	noTime := accept("timestamp no time", `{"type":"a.b","timestamp":"today"}`, inboxRow{})
	noTime.code, noTime.what, noTime.rows = 400, invalidField, nil
	open(t, testdb.Postgres(t), testdb.Redis(t), nil).runAll(t, Clerk, append(svixHeaders(t, SignClerk, none),
		accept("fixture, in milliseconds", user, row("user.created", created, user)),
		accept("in seconds", seconds, row("a.b", at, seconds)),
		accept("no timestamp", none, row("a.b", now, none)),
		accept("timestamp null", null, row("a.b", now, null)),
		accept("one-time code by email", code, row("email.created", time.UnixMilli(1768211399000).UTC(),
			redacted("email.created", "1768211399000"))),
		accept("one-time code by sms", `{"type":"sms.created","data":{"otp_code":"123456"}}`,
			row("sms.created", now, redacted("sms.created", "1768212000000"))),
		aliases, noTime,
	))
}

func TestPlatformDeliveries(t *testing.T) {
	try := func(name, body string, code int, what string, at time.Time) deliveryCase {
		d := deliveryCase{name: name, body: []byte(body), code: code, what: what}
		d.header = svixHeader(t, SignPlatform, svixSecrets[0], "msg_1", d.body, now)
		if code == 200 {
			d.rows = []inboxRow{
				{Source: Platform, EventID: "msg_1", Type: "a.b", OccurredAt: at, Payload: body, Status: "pending"}}
		}
		return d
	}
	refused := func(name, body, what string) deliveryCase { return try(name, body, 400, what, time.Time{}) }
	const good = `{"type":"a.b","timestamp":"2026-01-12T10:00:00Z","data":{}}`
	aliases := try("svix-… headers", good, 200, "accepted", now)
	aliases.header = svixHeader(t, SignClerk, svixSecrets[0], "msg_1", []byte(good), now)
	open(t, testdb.Postgres(t), testdb.Redis(t), nil).runAll(t, Platform, append(svixHeaders(t, SignPlatform, good),
		try("RFC 3339 in a zone", `{"type":"a.b","timestamp":"2026-01-12T11:30:00.5+02:00","data":{}}`, 200, "accepted",
			at.Add(500*time.Millisecond)),
		try("seconds", `{"type":"a.b","timestamp":1768210200,"data":{}}`, 200, "accepted", at),
		try("milliseconds", `{"type":"a.b","timestamp":1768210200000,"data":{}}`, 200, "accepted", at),
		try("seconds and a part", `{"type":"a.b","timestamp":1768210200.123456,"data":{}}`, 200, "accepted",
			at.Add(123456*time.Microsecond)),
		try("five minutes ahead", `{"type":"a.b","timestamp":"2026-01-12T10:05:00Z","data":{}}`, 200,
			"accepted", now.Add(tolerance)),
		try("long ago", `{"type":"a.b","timestamp":"1971-01-01T00:00:00Z","data":{}}`, 200, "accepted",
			time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC)),
		aliases,

		refused("more than five minutes ahead", `{"type":"a.b","timestamp":"2026-01-12T10:05:00.000001Z","data":{}}`,
			invalidField),
		refused("more than five minutes ahead, in another zone",
			`{"type":"a.b","timestamp":"2026-01-12T12:05:01+02:00","data":{}}`, invalidField),
		refused("years ahead, in seconds", `{"type":"a.b","timestamp":1893456000,"data":{}}`, invalidField),
		refused("years ahead, in milliseconds", `{"type":"a.b","timestamp":1893456000000,"data":{}}`, invalidField),
		refused("no timestamp", `{"type":"a.b","data":{}}`, missingTimestamp),
		refused("timestamp null", `{"type":"a.b","timestamp":null,"data":{}}`, missingTimestamp),
		refused("timestamp without zone", `{"type":"a.b","timestamp":"2026-01-12 10:00:00","data":{}}`, invalidField),
		refused("timestamp empty", `{"type":"a.b","timestamp":"","data":{}}`, invalidField),
		refused("timestamp true", `{"type":"a.b","timestamp":true,"data":{}}`, invalidField),
		refused("timestamp zero", `{"type":"a.b","timestamp":0,"data":{}}`, invalidField),
		refused("timestamp before 1970", `{"type":"a.b","timestamp":"0000-01-01T00:00:00Z","data":{}}`, invalidField),
		refused("timestamp an object", `{"type":"a.b","timestamp":{},"data":{}}`, invalidField),
		refused("no data", `{"type":"a.b","timestamp":1768212000}`, invalidField),
		refused("data null", `{"type":"a.b","timestamp":1768212000,"data":null}`, invalidField),
		refused("data an array", `{"type":"a.b","timestamp":1768212000,"data":[]}`, invalidField),
		refused("data a string", `{"type":"a.b","timestamp":1768212000,"data":"{}"}`, invalidField),
	))
}

// A timestamp that is refused is named with what came and what the time is here,
// so that whoever reads it sees which clock is wrong.
func TestPlatformTimestampAhead(t *testing.T) {
	body := []byte(`{"type":"store.upserted","timestamp":1893456000000,"data":{"id":"store_1","owner_user_id":"user_1"}}`)
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	got := b.send(t, "POST", "/webhooks/platform", svixHeader(t, SignPlatform, svixSecrets[0], "msg_1", body, now), body)
	const want = `the body's \"timestamp\" is 2030-01-01T00:00:00Z, more than 5 minutes ahead of this server's time, ` +
		`2026-01-12T10:00:00Z: write the time of the change, or set the clocks right`
	if got.code != 400 || !strings.Contains(got.text, want) {
		t.Errorf("%d %s", got.code, got.text)
	}
}

// svixHeaders are headers of Standard Webhooks as they should not be.
func svixHeaders(t *testing.T, sign func(secret, id string, body []byte, t time.Time) (http.Header, error),
	body string) []deliveryCase {
	with := func(name, id string, change func(http.Header), what string) deliveryCase {
		header := svixHeader(t, sign, svixSecrets[0], id, []byte(body), now)
		for _, prefix := range []string{"svix", "webhook"} {
			if header.Get(prefix+"-id") == "" {
				header.Del(prefix + "-id")
			}
		}
		if change != nil {
			change(header)
		}
		return deliveryCase{name: name, header: header, body: []byte(body), code: 400, what: what}
	}
	set := func(name, value string) func(http.Header) {
		return func(h http.Header) {
			for _, prefix := range []string{"svix-", "webhook-"} {
				if h.Get(prefix+name) != "" {
					h.Set(prefix+name, value)
				}
			}
		}
	}
	return []deliveryCase{
		with("no id", "", nil, missingSignature),
		with("another id", "msg_1", set("id", "msg_2"), invalidSignature),
		with("another timestamp", "msg_1", set("timestamp", "1768212001"), invalidSignature),
		with("timestamp no number", "msg_1", set("timestamp", "now"), invalidSignature),
		with("only a later scheme", "msg_1", set("signature", "v2,x v1a,y"), invalidSignature),
		with("id too long", strings.Repeat("m", 256), nil, invalidField),
		with("id no UTF-8", "msg_\xff", nil, invalidField),
		with("id with the start of a body", `msg_1.1768212000.{"a":"x`, nil, invalidSignature),
	}
}
