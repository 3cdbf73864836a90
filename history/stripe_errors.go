package history

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"
)

// stripePause is how long to pause when Stripe asks for it without a duration.
const stripePause = 2 * time.Second

// lostAccount is the error of a Connect account without permission to read it.
type lostAccount struct{ message string }

func (e *lostAccount) Error() string { return e.message }

// missing is the error of an object that does not exist.
type missing struct{ message string }

func (e *missing) Error() string { return e.message }

// explain classifies Stripe's errors. The texts contain neither the key nor anything from an answer
// that is not Stripe's.
func (a *stripeAPI) explain(ctx context.Context, err error) error {
	if answer, is := errors.AsType[*stripe.Error](err); ctx.Err() == nil && is {
		return a.explainStatus(answer)
	}
	return explainBroken(ctx, "Stripe", err)
}

func (a *stripeAPI) explainStatus(e *stripe.Error) error {
	err := fmt.Errorf("Stripe answered %d: %s", e.HTTPStatusCode, a.scrub(e.Msg))
	switch {
	case e.HTTPStatusCode == http.StatusTooManyRequests:
		return &Later{retryAfter(e), err}
	case e.HTTPStatusCode >= 500 || e.HTTPStatusCode == http.StatusConflict || e.Code == stripe.ErrorCodeLockTimeout:
		return err
	case e.Code == stripe.ErrorCodeAccountInvalid || e.Code == "platform_account_required":
		return &lostAccount{err.Error()}
	case e.HTTPStatusCode == http.StatusUnauthorized:
		return refused("Stripe does not accept the key in STRIPE_API_KEY: it is mistyped, expired or rolled; copy a " +
			"valid one from Stripe's dashboard")
	case e.HTTPStatusCode == http.StatusForbidden:
		return &lostAccount{err.Error()}
	case e.Code == stripe.ErrorCodeResourceMissing:
		return &missing{err.Error()}
	}
	return refused("%v", err)
}

// mayPass separates temporary errors from permanent ones and from requests for a pause.
func mayPass(err error) bool {
	var later *Later
	var refused *Refused
	var lost *lostAccount
	var gone *missing
	return err != nil && !errors.As(err, &later) && !errors.As(err, &refused) && !errors.As(err, &lost) &&
		!errors.As(err, &gone)
}

// retryAfter returns the pause that Stripe asks for.
func retryAfter(e *stripe.Error) time.Duration {
	if e.LastResponse == nil {
		return stripePause
	}
	return pause(e.LastResponse.Header.Get("Retry-After"), stripePause)
}

// keys matches Stripe's API keys, whole or masked, as its messages repeat them.
var keys = regexp.MustCompile(`\b[a-z]{2}_(live|test|org)_[\w*]+|\b[a-z]{2}_\w*\*[\w*]*`)

func (a *stripeAPI) scrub(message string) string {
	return keys.ReplaceAllString(strings.ReplaceAll(message, a.key, "…"), "…")
}
