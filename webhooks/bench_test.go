package webhooks

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"rollcall/internal/embedded/testdb"
)

// event3K is a Stripe event of three kilobytes, verified with the second of two
// secrets: the dearer case.
func event3K(b *testing.B) []byte {
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
	r := open(b, testdb.Postgres(b), testdb.Redis(b), nil)
	template := event3K(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	var n atomic.Int64
	b.SetParallelism(128)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := bytes.Replace(template, []byte("evt_1"), fmt.Appendf(nil, "evt_%d_", n.Add(1)), 1)
			req, _ := http.NewRequest("POST", r.url+"/webhooks/stripe", bytes.NewReader(body))
			req.Header = SignStripe(stripeSecrets[0], body, now)
			res, err := client.Do(req)
			if err != nil || res.StatusCode != 200 {
				b.Errorf("%v %v", res, err)
				return
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
