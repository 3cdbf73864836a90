package history

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
)

const stripeTimeout = 60 * time.Second

// stripeAPI reads Stripe's lists as JSON, as stripe-go's types would drop unknown fields. The
// worker retries failed pages.
type stripeAPI struct {
	key     string
	backend stripe.Backend
	now     func() time.Time
}

func newStripeAPI(c StripeConfig) (*stripeAPI, error) {
	if c.Key == "" {
		return nil, refused("STRIPE_API_KEY is not set: give a secret key, or a restricted one that may read")
	}
	api := &stripeAPI{key: c.Key, now: c.Now}
	if api.now == nil {
		api.now = time.Now
	}
	config := &stripe.BackendConfig{
		EnableTelemetry:   stripe.Bool(false),
		MaxNetworkRetries: stripe.Int64(0),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull}, // its errors contain parts of answers
		HTTPClient:        newHTTPClient(http.DefaultTransport, c.Budget, cmp.Or(c.Timeout, stripeTimeout)),
	}
	if c.BaseURL != "" {
		config.URL = &c.BaseURL
	}
	api.backend = stripe.GetBackendWithConfig(stripe.APIBackend, config)
	return api, nil
}

// operation names a request without its ids, as Stripe counts them.
func operation(r *http.Request) string {
	parts := strings.Split(r.URL.Path, "/")
	for i, p := range parts {
		// The API's path elements are lower-case letters; ids contain other characters.
		if p != "v1" && strings.ContainsAny(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
			parts[i] = "{id}"
		}
	}
	return r.Method + " " + strings.Join(parts, "/")
}

// rawList is a page of any list.
type rawList struct {
	stripe.APIResource
	HasMore bool              `json:"has_more"`
	Data    []json.RawMessage `json:"data"`
}

// list reads a page of a list of an account (empty: the platform's own). It also returns the time
// of reading, by Stripe's clock if known.
func (a *stripeAPI) list(ctx context.Context, account, path string, query *form.Values) (*rawList, time.Time, error) {
	params := &stripe.Params{Context: ctx}
	if account != "" {
		params.StripeAccount = &account
	}
	var page rawList
	start := a.now()
	err := a.backend.CallRaw(http.MethodGet, path, a.key, query, params, &page)
	if err == nil && page.Data == nil {
		err = notReadable("Stripe")
	}
	if err != nil {
		return nil, time.Time{}, a.explain(ctx, err)
	}
	return &page, readAt(start, a.now().Sub(start), page.LastResponse.Header), nil
}

// readAt returns a time at which the whole answer was already true. Later events must count as
// newer, and Stripe's clock dates them.
func readAt(start time.Time, took time.Duration, header http.Header) time.Time {
	if date, err := http.ParseTime(header.Get("Date")); err == nil && date.Add(-took).Before(start) {
		return date.Add(-took)
	}
	return start
}
