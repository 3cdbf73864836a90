package webhooks

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"rollcall/store"
)

// seed adds the fixtures of a source, as they are and with what they lack.
func seed(f *testing.F, folder string) {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "testdata", "fixtures", folder, "*.json"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no fixtures in %s: %v", folder, err)
	}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("msg_1", "t=1768212000,v1=00", body)
	}
	for _, body := range []string{``, `null`, `[]`, `{"a":"\u0000\ud800"}`, `{"type":"a","timestamp":1e400,"data":{}}`,
		"{\"\xff\":0}", `{"id":"a","type":"b","created":-1e300}`} {
		f.Add("1.2.{", "v1,x v1,=", []byte(body))
	}
}

// storableEvent is what an accepted event must be for Postgres to take it.
func storableEvent(t *testing.T, e store.NewEvent) {
	t.Helper()
	for _, text := range []string{e.EventID, e.Type, e.Account, e.APIVersion} {
		if !utf8.ValidString(text) || bytes.ContainsRune([]byte(text), 0) || len(text) > 255 {
			t.Errorf("%q cannot be the text of an indexed column", text)
		}
	}
	if e.EventID == "" || e.Type == "" || e.Source == "" {
		t.Errorf("no name: %+v", e)
	}
	if e.OccurredAt.Year() < 1970 || e.OccurredAt.Year() > 9999 {
		t.Errorf("time %s", e.OccurredAt)
	}
	trimmed := bytes.TrimLeft(e.Payload, " \t\r\n")
	if !utf8.Valid(e.Payload) || bytes.ContainsRune(e.Payload, 0) || !json.Valid(e.Payload) || trimmed[0] != '{' {
		t.Errorf("payload %q is nothing for a json column", e.Payload)
	}
}

// check holds for every source: what the signer signed is verified, what it did
// not is refused, and what is accepted can be stored.
func check(t *testing.T, src *source, secret Secret, good, strange http.Header, body []byte) {
	t.Helper()
	secrets := []Secret{secret}
	if event, err := src.open(secrets, strange, body, now); err == nil {
		t.Errorf("accepted the headers %v: %+v", strange, event)
	}
	event, err := src.open(secrets, good, body, now)
	if err == nil {
		storableEvent(t, event)
	}
	brace := strings.Contains(good.Get("Svix-Id")+good.Get("Webhook-Id"), "{") // see verifySvix
	if code := codeOf(err); code == internal || (code == invalidSignature) != brace && code != missingSignature {
		t.Errorf("genuine: %v", err)
	}
	if _, err := src.open(secrets, good, append(body[:len(body):len(body)], ' '), now); codeOf(err) != invalidSignature &&
		codeOf(err) != missingSignature {
		t.Errorf("tampered: %v", err)
	}
}

func FuzzStripe(f *testing.F) {
	seed(f, "stripe")
	f.Fuzz(func(t *testing.T, _, signature string, body []byte) {
		strange := http.Header{"Stripe-Signature": {signature}}
		check(t, sources[Stripe], Secret{stripeSecrets[0]}, SignStripe(stripeSecrets[0], body, now), strange, body)
	})
}

func FuzzClerk(f *testing.F) {
	seed(f, "clerk")
	f.Fuzz(func(t *testing.T, id, signature string, body []byte) {
		strange := http.Header{"Svix-Id": {id}, "Svix-Timestamp": {"1768212000"}, "Svix-Signature": {signature}}
		check(t, sources[Clerk], Secret{svixSecrets[0]}, svixHeader(t, SignClerk, svixSecrets[0], id, body, now), strange,
			body)
	})
}

func FuzzPlatform(f *testing.F) {
	seed(f, "clerk")
	f.Add("msg_1", "", []byte(`{"type":"store.upserted","timestamp":"2026-01-12T10:00:00Z","data":{"id":"s1"}}`))
	f.Fuzz(func(t *testing.T, id, signature string, body []byte) {
		strange := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {"1768212000"}, "Webhook-Signature": {signature}}
		check(t, sources[Platform], Secret{svixSecrets[0]}, svixHeader(t, SignPlatform, svixSecrets[0], id, body, now),
			strange, body)
	})
}

// Whatever comes in headers, what is kept of them is an object that Postgres can
// hold, of bounded size, without what opens something.
func FuzzHeaders(f *testing.F) {
	f.Add("User-Agent", "Stripe/1.0", "rollcall.example")
	f.Add("X-Api-Key", "sk_live_1", "a\"b")
	f.Add("X-Odd\x00", "\xff\x00\u2028eyJ", "\\")
	f.Fuzz(func(t *testing.T, name, value, host string) {
		req := &http.Request{Host: host, Header: http.Header{name: {value, value}, "Accept": {"*/*"}}}
		kept := keptHeaders(req)
		var read map[string]string
		if err := json.Unmarshal(kept, &read); err != nil || len(kept) > maxHeaders || !utf8.Valid(kept) {
			t.Fatalf("%d bytes, %v: %q", len(kept), err, kept)
		}
		for _, v := range read {
			if hasAny(v, secretValues) {
				t.Errorf("%q is kept", v)
			}
		}
	})
}
