package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// What the clients of Stripe and of Clerk have in common.

// transport sends requests within the budget. Each has its own time limit, as the client's would
// include the wait for the budget.
type transport struct {
	budget  *Budget // nil: unlimited
	timeout time.Duration
	next    http.RoundTripper
}

// newHTTPClient returns a client of a vendor's API, which has no redirects: they are answers.
func newHTTPClient(next http.RoundTripper, budget *Budget, timeout time.Duration) *http.Client {
	return &http.Client{
		Transport:     transport{budget, timeout, next},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.budget != nil {
		if err := t.budget.Wait(r.Context(), operation(r)); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), t.timeout)
	response, err := t.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	response.Body = cancelling{response.Body, cancel}
	return response, nil
}

// cancelling is a body that ends its request when it is closed.
type cancelling struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (c cancelling) Close() error {
	defer c.cancel()
	return c.ReadCloser.Close()
}

// notReadable is the error of an answer that is not the vendor's.
func notReadable(vendor string) error {
	return fmt.Errorf("%s's answer cannot be read: it was cut short, or is not %[1]s's", vendor)
}

// explainBroken explains why there is no answer of a vendor that could be read. The text contains
// nothing from an answer.
func explainBroken(ctx context.Context, vendor string, err error) error {
	var broken *url.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &broken) && errors.Is(err, errBudget):
		return broken.Err
	case errors.As(err, &broken):
		return fmt.Errorf("%s cannot be reached: %w", vendor, broken.Err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s's answer was cut short: %w", vendor, err)
	}
	return notReadable(vendor)
}

// pause returns how long a Retry-After header asks to wait; otherwise, if it does not say.
func pause(header string, otherwise time.Duration) time.Duration {
	if seconds, err := strconv.ParseFloat(header, 64); err == nil && seconds > 0 && seconds < 24*60*60 {
		return time.Duration(seconds * float64(time.Second))
	}
	return otherwise
}
