package webhooks

import (
	"net/http"
	"testing"
	"time"
)

// The signers and verifiers of this package could be wrong in the same way and
// agree with each other, so both are held to what the vendors published.

// stripeVector is from stripe-dotnet's tests (EventUtilityTest.cs with
// event_test_signature.json), made by: (echo -n "1533204620." && cat
// event_test_signature.json) | openssl sha256 -hmac "webhook_secret"
const stripeVector = `{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "cus_123",
      "object": "customer",
      "created": 123456789,
      "email": "test@stripe.com",
      "livemode": false,
      "metadata": {}
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "customer.created"
}
`

const stripeVectorSignature = "2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7"

func TestStripeVector(t *testing.T) {
	at := time.Unix(1533204620, 0)
	if got, want := SignStripe("webhook_secret", []byte(stripeVector), at).Get("Stripe-Signature"), "t=1533204620,v1="+
		stripeVectorSignature; got != want {
		t.Errorf("SignStripe\n got %s\nwant %s", got, want)
	}
	header := http.Header{
		"Stripe-Signature": {"t=1533204620,v1=" + stripeVectorSignature +
			",v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"}}
	if err := sources[Stripe].signed([]Secret{{"webhook_secret"}}, header, []byte(stripeVector), at); err != nil {
		t.Errorf("verifyStripe: %v", err)
	}
	if err := sources[Stripe].signed([]Secret{{"webhook_secret"}}, header, []byte(stripeVector+" "), at); err == nil {
		t.Error("verifyStripe took another body")
	}
}

// TestSvixVector is from the tests of Svix's libraries (go/webhook_test.go,
// TestWebhookSign), and in the documentation of Standard Webhooks.
func TestSvixVector(t *testing.T) {
	const (
		secret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		id        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
		signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	)
	body, at := []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0)
	clerk := svixHeader(t, SignClerk, secret, id, body, at)
	platform := svixHeader(t, SignPlatform, secret, id, body, at)
	if clerk.Get("svix-signature") != signature || platform.Get("webhook-signature") != signature {
		t.Errorf("signed %v and %v, want %s", clerk, platform, signature)
	}
	for _, prefix := range []string{"Svix", "Webhook"} {
		header := http.Header{prefix + "-Id": {id}, prefix + "-Timestamp": {"1614265330"}, prefix + "-Signature": {signature}}
		if err := sources[Clerk].signed([]Secret{{secret}}, header, body, at); err != nil {
			t.Errorf("verifySvix with %s-…: %v", prefix, err)
		}
		if err := sources[Clerk].signed([]Secret{{secret}}, header, append(body, ' '), at); err == nil {
			t.Errorf("verifySvix with %s-… took another body", prefix)
		}
	}
}

// The edges of the five minutes, to the second.
func TestTolerance(t *testing.T) {
	body := []byte(`{}`)
	for _, c := range []struct {
		signed time.Duration // from now
		code   string
	}{
		{-5 * time.Minute, ""},
		{-5*time.Minute - time.Second, timestampTooOld},
		{5 * time.Minute, ""},
		{5*time.Minute + time.Second, timestampTooNew},
		{-365 * 24 * time.Hour, timestampTooOld},
		{365 * 24 * time.Hour, timestampTooNew},
	} {
		at := now.Add(c.signed)
		errs := map[string]error{
			Stripe: sources[Stripe].signed([]Secret{{stripeSecrets[0]}}, SignStripe(stripeSecrets[0], body, at), body, now),
			Clerk: sources[Clerk].signed([]Secret{{svixSecrets[0]}},
				svixHeader(t, SignClerk, svixSecrets[0], "msg_1", body, at), body, now),
		}
		for source, err := range errs {
			if got := codeOf(err); got != c.code {
				t.Errorf("%s signed %s from now: %q, want %q", source, c.signed, got, c.code)
			}
		}
	}
}

// codeOf is the code of a refusal, or empty.
func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return explain(err).Code
}
