package webhooks

import (
	"testing"

	"rollcall/internal/testing/testdb"
)

// event3K is a Stripe event of three kilobytes, verified with the second of two
// secrets: the dearer case.
func event3K(b testing.TB) []byte {
	body := fixture(b, "stripe/checkout.session.completed.json")
	if len(body) < 2500 || len(body) > 4000 {
		b.Fatalf("the fixture has %d bytes", len(body))
	}
	return body
}

func BenchmarkStripe(b *testing.B) {
	body := event3K(b)
	header := SignStripe(stripeSecrets[1], body, now)
	secrets := secretsOf(b)[Stripe]
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sources[Stripe].open(secrets, header, body, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClerk(b *testing.B) {
	body := fixture(b, "clerk/user.created.json")
	header := svixHeader(b, SignClerk, svixSecrets[1], "msg_1", body, now)
	secrets := secretsOf(b)[Clerk]
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sources[Clerk].open(secrets, header, body, now); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReceive is the whole way, HTTP client included, into Postgres.
func BenchmarkReceive(b *testing.B) {
	receiveMany(b, open(b, testdb.Postgres(b), testdb.Redis(b), nil))
}
