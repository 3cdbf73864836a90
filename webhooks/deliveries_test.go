package webhooks

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rollcall/internal/testing/testdb"
)

// sender is one of the outsiders as the tables below see it.
type sender struct {
	source string
	// sign returns the headers of body, sent as message id.
	sign func(t testing.TB, secret int, id string, body []byte, at time.Time) http.Header
	// event returns a genuine event whose type is typ (JSON, "" for none), with
	// something odd of ours in its data.
	event func(id, typ, data string) []byte
	// row is how event(id, `"thing.happened"`, data) is kept.
	row inboxRow
}

var senders = []sender{
	{
		source: Stripe,
		sign: func(_ testing.TB, secret int, _ string, body []byte, at time.Time) http.Header {
			return SignStripe(stripeSecrets[secret], body, at)
		},
		event: func(id, typ, data string) []byte {
			return fmt.Appendf(
				nil, `{ "id": %q,%s "created": 1768212000, "api_version": "2023-10-16", "livemode": true, "data": {"object": %s}}`,
				id, field(typ), data)
		},
		row: inboxRow{APIVersion: "2023-10-16", Livemode: new(true)},
	},
	{
		source: Clerk,
		sign: func(t testing.TB, secret int, id string, body []byte, at time.Time) http.Header {
			return svixHeader(t, SignClerk, svixSecrets[secret], id, body, at)
		},
		event: func(_, typ, data string) []byte {
			return fmt.Appendf(nil, `{"data":%s,"object":"event",%s"timestamp":1768212000000}`, data, field(typ))
		},
	},
	{
		source: Resend,
		sign: func(t testing.TB, secret int, id string, body []byte, at time.Time) http.Header {
			return svixHeader(t, SignResend, svixSecrets[secret], id, body, at)
		},
		event: func(_, typ, data string) []byte {
			return fmt.Appendf(nil, `{%s"created_at":"2026-01-12T10:00:00Z","data":%s}`, field(typ), data)
		},
		row: inboxRow{},
	},
	{
		source: Platform,
		sign: func(t testing.TB, secret int, id string, body []byte, at time.Time) http.Header {
			return svixHeader(t, SignPlatform, svixSecrets[secret], id, body, at)
		},
		event: func(_, typ, data string) []byte {
			return fmt.Appendf(nil, `{%s"timestamp":"2026-01-12T10:00:00Z","data":%s}`, field(typ), data)
		},
	},
}

func field(typ string) string {
	if typ == "" {
		return ""
	}
	return `"type":` + typ + `,`
}

// kept is the row of an event made by s.event with type thing.happened.
func (s sender) kept(id string, body []byte) []inboxRow {
	row := s.row
	row.Source, row.EventID, row.Type, row.Status = s.source, id, "thing.happened", "pending"
	row.OccurredAt, row.Payload = time.Unix(1768212000, 0).UTC(), string(body)
	return []inboxRow{row}
}

// deliveryCase is a line of the tables: what is sent, what is answered, what is
// then in the inbox.
type deliveryCase struct {
	name   string
	method string // POST
	path   string // that of the source
	header http.Header
	body   []byte
	times  int // sent; 1

	code int
	what string
	rows []inboxRow
}

// common are the deliveries that every source treats alike.
func (s sender) common(t testing.TB) []deliveryCase {
	const id, typ = "evt_1", `"thing.happened"`
	body := s.event(id, typ, `{"a":1}`)
	good, rows := s.sign(t, 0, id, body, now), s.kept(id, body)
	signed := func(name, body, what string) deliveryCase {
		return deliveryCase{name: name, header: s.sign(t, 0, id, []byte(body), now), body: []byte(body),
			code: 400, what: what}
	}
	odd := s.event(id, typ, `{"nul":"\u0000","lone":"\ud800","big":1e999999,"twice":1,"twice":2, "é":"日本"}`)
	return []deliveryCase{
		{name: "genuine", header: good, body: body, code: 200, what: "accepted", rows: rows},
		{name: "second secret", header: s.sign(t, 1, id, body, now), body: body, code: 200, what: "accepted", rows: rows},
		{name: "one signature of two", header: twoSignatures(good), body: body, code: 200, what: "accepted", rows: rows},
		{name: "sent twice", header: good, body: body, times: 2, code: 200, what: "duplicate", rows: rows},
		{name: "odd but JSON", header: s.sign(t, 0, id, odd, now), body: odd, code: 200, what: "accepted",
			rows: s.kept(id, odd)},
		{name: "five minutes old", header: s.sign(t, 0, id, body, now.Add(-5*time.Minute)), body: body, code: 200,
			what: "accepted", rows: rows},

		{name: "tampered", header: good, body: append([]byte(" "), body...), code: 400, what: invalidSignature},
		{name: "wrong secret", header: s.sign(t, 2, id, body, now), body: body, code: 400, what: invalidSignature},
		{name: "no header", header: http.Header{}, body: body, code: 400, what: missingSignature},
		{name: "stale", header: s.sign(t, 0, id, body, now.Add(-301*time.Second)), body: body, code: 400,
			what: timestampTooOld},
		{name: "from the future", header: s.sign(t, 0, id, body, now.Add(301*time.Second)), body: body, code: 400,
			what: timestampTooNew},
		{name: "stale by a stranger: refused before its body is read",
			header: s.sign(t, 2, id, body, now.Add(-301*time.Second)), body: body, code: 400, what: timestampTooOld},
		{name: "not JSON by a stranger", header: s.sign(t, 2, id, []byte("{"), now), body: []byte("{"), code: 400,
			what: invalidSignature},

		signed("empty", "", invalidJSON),
		signed("blank", " \n", invalidJSON),
		signed("not JSON", "id=evt_1&type=thing.happened", invalidJSON),
		signed("torn JSON", string(body[:len(body)-1]), invalidJSON),
		signed("two events", string(body)+string(body), invalidJSON),
		signed("byte order mark", "\ufeff"+string(body), invalidJSON),
		signed("raw NUL", string(s.event(id, typ, "{\"a\":\"\x00\"}")), invalidJSON),
		signed("invalid UTF-8", string(s.event(id, typ, "{\"a\":\"\xff\"}")), invalidEncoding),
		signed("UTF-8 of a surrogate", string(s.event(id, typ, "{\"a\":\"\xed\xa0\x80\"}")), invalidEncoding),
		signed("array", "["+string(body)+"]", invalidJSON),
		signed("string", `"thing.happened"`, invalidJSON),
		signed("null", "null", invalidJSON),
		signed("no type", string(s.event(id, "", `{}`)), missingType),
		signed("empty type", string(s.event(id, `""`, `{}`)), missingType),
		signed("type a number", string(s.event(id, `7`, `{}`)), invalidField),
		signed("type with a NUL", string(s.event(id, `"a\u0000"`, `{}`)), invalidField),
		signed("type too long", string(s.event(id, `"`+strings.Repeat("x", 256)+`"`, `{}`)), invalidField),

		{name: "as large as may be", header: s.sign(t, 0, id, pad(body, 1<<20), now), body: pad(body, 1<<20), code: 200,
			what: "accepted", rows: s.kept(id, pad(body, 1<<20))},
		{name: "too large", header: s.sign(t, 0, id, pad(body, 1<<20+1), now), body: pad(body, 1<<20+1),
			code: 413, what: bodyTooLarge},
		{name: "GET", method: "GET", header: good, code: 405, what: methodNotAllowed},
		{name: "PUT", method: "PUT", header: good, body: body, code: 405, what: methodNotAllowed},
		{name: "elsewhere", path: "/webhooks/" + s.source + "/more", header: good, body: body, code: 404,
			what: unknownSource},
		{name: "unknown source", path: "/webhooks/paypal", header: good, body: body, code: 404, what: unknownSource},
	}
}

func pad(body []byte, size int) []byte {
	return append(append([]byte(nil), body...), strings.Repeat(" ", size-len(body))...)
}

// twoSignatures puts a wrong signature and one of a later scheme before the
// right one, as while a secret is being rotated.
func twoSignatures(header http.Header) http.Header {
	out, wrong := header.Clone(), make([]byte, 32)
	if s := out.Get("Stripe-Signature"); s != "" {
		t, right, _ := strings.Cut(s, ",")
		out.Set("Stripe-Signature", fmt.Sprintf("%s,v1=%x,v0=%x,%s", t, wrong, wrong, right))
	}
	for _, name := range []string{"Svix-Signature", "Webhook-Signature"} {
		if s := out.Get(name); s != "" {
			out.Set(name, fmt.Sprintf("v1,%s v2,x %s", base64.StdEncoding.EncodeToString(wrong), s))
		}
	}
	return out
}

func TestDeliveries(t *testing.T) {
	b := open(t, testdb.Postgres(t), testdb.Redis(t), nil)
	for _, s := range senders {
		t.Run(s.source, func(t *testing.T) { b.runAll(t, s.source, s.common(t)) })
	}
}

func (b *bench) runAll(t *testing.T, source string, deliveries []deliveryCase) {
	for _, d := range deliveries {
		t.Run(d.name, func(t *testing.T) {
			b.empty(t)
			b.run(t, source, d)
		})
	}
}

func (b *bench) run(t *testing.T, source string, d deliveryCase) {
	var got answer
	for range max(d.times, 1) {
		got = b.send(t, cmp.Or(d.method, "POST"), cmp.Or(d.path, "/webhooks/"+source), d.header, d.body)
	}
	if got.code != d.code || got.what != d.what {
		t.Errorf("answered %d %s, want %d %s", got.code, got.what, d.code, d.what)
	}
	if (got.header.Get("Allow") == "POST") != (d.code == 405) {
		t.Errorf("Allow: %q with %d", got.header.Get("Allow"), d.code)
	}
	if diff := gocmp.Diff(d.rows, b.rows(t), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("inbox (-want +got):\n%s", diff)
	}
}
