package webhooks_test

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"rollcall/webhooks"
)

// A platform signs its events with a secret that it shares with Rollcall.
func ExampleSignPlatform() {
	secret := "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX" // make yours of random bytes
	at := time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)
	body := []byte(`{"type":"store.upserted","timestamp":"2026-01-31T10:00:00Z","data":{"id":"store_1"}}`)

	header, err := webhooks.SignPlatform(secret, "msg_1", body, at)
	if err != nil {
		panic(err)
	}
	request, err := http.NewRequest("POST", "https://rollcall.example.com/webhooks/platform", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header = header
	fmt.Println(request.Header.Get("Webhook-Id"), request.Header.Get("Webhook-Timestamp"))
	fmt.Println(request.Header.Get("Webhook-Signature"))
	// Output:
	// msg_1 1769853600
	// v1,dXrFdVKhkBuKG9x94Us7v80VAeCIpPZMFyiLzEzhWtM=
}

// Tests sign as Stripe does.
func ExampleSignStripe() {
	body := []byte(`{"id":"evt_1","object":"event"}`)
	header := webhooks.SignStripe("whsec_0123456789abcdef", body, time.Unix(1769853600, 0))
	fmt.Println(header.Get("Stripe-Signature"))
	// Output:
	// t=1769853600,v1=32ddffdeb66c55623d7f23ddad24530c4d3a1a6bbe961e9df4b3986a64d84441
}
