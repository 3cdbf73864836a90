package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rollcall/webhooks"
)

const connections = 64

// load posts signed events over kept connections.
type load struct {
	url    string
	client *http.Client
}

func newLoad(url string) *load {
	return &load{url, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections,
		MaxConnsPerHost: connections, DisableCompression: true}}}
}

// padding brings an event to the 3 KB that Stripe's sessions have.
var padding = strings.Repeat("x", 2300)

// checkout is sale n: a new buyer of one of 3 stores pays for a course.
func checkout(n int) []byte {
	return fmt.Appendf(nil, `{"id":"evt_%08d","object":"event","api_version":"2023-10-16","created":%d,"livemode":true,
"type":"checkout.session.completed","data":{"object":{"id":"cs_%08d","object":"checkout.session","mode":"payment",
"status":"complete","payment_status":"paid","amount_subtotal":4900,"amount_total":4900,"currency":"usd",
"payment_intent":"pi_%08d","customer":null,
"customer_details":{"email":"buyer%d@bench.example","name":"Buyer %d","phone":null,"tax_exempt":"none"},
"metadata":{"storeId":"store_%d","courseId":"course_%d","productType":"course","userId":"user_%d"},
"success_url":"https://shop.example/%s"}},
"pending_webhooks":1,"request":{"id":null,"idempotency_key":null}}`,
		n, time.Now().Unix(), n, n, n, n, n%3, n%30, n, padding)
}

// request is a signed event, ready to be sent.
type request struct {
	body   []byte
	header http.Header
}

// next are the next n sales.
func (s *system) next(n int) []request {
	out := make([]request, n)
	for i := range out {
		body := checkout(s.sent + i)
		out[i] = request{body, webhooks.SignStripe(secret, body, time.Now())}
	}
	s.sent += n
	return out
}

func (l *load) post(ctx context.Context, r request) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(r.body))
	if err != nil {
		return err
	}
	req.Header = r.header
	res, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, text)
	}
	return err
}

// run posts all requests over the connections as fast as they are answered, and
// returns how long all took, and each.
func (l *load) run(ctx context.Context, requests []request) (total time.Duration, each []time.Duration) {
	each = make([]time.Duration, len(requests))
	start := time.Now()
	var g errgroup.Group
	for c := range connections {
		g.Go(func() error {
			for i := c; i < len(requests); i += connections {
				began := time.Now()
				if err := l.post(ctx, requests[i]); err != nil {
					return err
				}
				each[i] = time.Since(began)
			}
			return nil
		})
	}
	check(g.Wait())
	return time.Since(start), each
}

// pace posts requests one so often, whether or not those before are answered: who
// waits for a slow answer before asking again sees few of them. began gets when
// each was sent; each is how long its answer took.
func (l *load) pace(ctx context.Context, requests []request, every time.Duration, began []time.Time) (
	each []time.Duration, err error,
) {
	each, errs := make([]time.Duration, len(requests)), make([]error, len(requests))
	tick := time.NewTicker(every)
	defer tick.Stop()
	var all sync.WaitGroup
	for i, r := range requests {
		<-tick.C
		began[i] = time.Now()
		all.Go(func() {
			errs[i] = l.post(ctx, r)
			each[i] = time.Since(began[i])
		})
	}
	all.Wait()
	return each, errors.Join(errs...)
}

// percentile of durations, in milliseconds.
func percentile(all []time.Duration, p int) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[min(p*len(sorted)/100, len(sorted)-1)].Microseconds()) / 1000
}
