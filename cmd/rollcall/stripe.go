package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhookendpoint"

	"rollcall/facts"
)

type stripeCmd struct {
	Setup stripeSetupCmd `cmd:"" help:"Create the webhook endpoint in Stripe, for exactly the events that Rollcall reads."`
}

type stripeSetupCmd struct {
	URL        string `name:"url" required:"" placeholder:"URL" help:"Public address of this Rollcall's Stripe webhooks: https://rollcall.example.com/webhooks/stripe."`
	Connect    bool   `name:"connect" help:"Create a second endpoint, for events on connected accounts; it has its own secret."`
	APIVersion string `name:"api-version" placeholder:"V" default:"2023-10-16" help:"Stripe API version of the endpoint's events (${default}). It cannot be changed later."`
	DryRun     bool   `name:"dry-run" help:"Show what would be done, and do nothing."`
	JSON       bool   `name:"json" help:"Print JSON."`
}

// Help is shown below the usage.
func (stripeSetupCmd) Help() string {
	return `Uses STRIPE_API_KEY, which must be allowed to write webhook endpoints. The signing secret is printed on ` +
		`stdout: list it in STRIPE_WEBHOOK_SECRETS. If this URL already has an endpoint, its events are updated; Stripe ` +
		`does not show its secret again.`
}

// endpoint is the result of setup.
type endpoint struct {
	ID         string   `json:"id"`
	URL        string   `json:"url"`
	Connect    bool     `json:"connect"`
	APIVersion string   `json:"api_version"`
	Did        string   `json:"did"`              // created, updated, nothing; would_create and would_update in a dry run
	Secret     string   `json:"secret,omitempty"` // only of one just created
	Events     []string `json:"events"`
}

func (c stripeSetupCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	if e.StripeAPIKey == nil {
		return errors.New("STRIPE_API_KEY is not set: give a key that may write webhook endpoints (Stripe's dashboard, " +
			"Developers, API keys)")
	}
	made, err := c.setUp(webhookendpoint.Client{B: e.stripeBackend(), Key: *e.StripeAPIKey}, e)
	if err != nil {
		return stripeProblem(err)
	}
	if c.JSON {
		return printJSON(e.out, made)
	}
	return made.print(e)
}

func (c stripeSetupCmd) check() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Hostname() != "127.0.0.1" && u.Hostname() != "localhost" {
		return usageError(
			fmt.Sprintf("--url %q must be an address that Stripe can send to, as https://rollcall.example.com/webhooks/stripe",
				c.URL))
	}
	if strings.TrimRight(u.Path, "/") != "/webhooks/stripe" {
		return usageError(fmt.Sprintf("--url must end with /webhooks/stripe, where Stripe's events are taken; %q does not",
			c.URL))
	}
	return nil
}

func (e *env) stripeBackend() stripe.Backend {
	config := &stripe.BackendConfig{EnableTelemetry: stripe.Bool(false), LeveledLogger: &stripe.LeveledLogger{
		Level: stripe.LevelNull}}
	if e.StripeAPIBase != nil {
		config.URL = e.StripeAPIBase
	}
	return stripe.GetBackendWithConfig(stripe.APIBackend, config)
}

// setUp creates the endpoint, or brings the one that is there up to date.
func (c stripeSetupCmd) setUp(api webhookendpoint.Client, e *env) (endpoint, error) {
	want := endpoint{URL: c.URL, Connect: c.Connect, APIVersion: c.APIVersion, Events: facts.StripeTypes(c.APIVersion)}
	there, err := c.find(api, e)
	if err != nil {
		return want, err
	}
	if there != nil {
		return c.update(api, e, there, want)
	}
	want.Did = "would_create"
	if c.DryRun {
		return want, nil
	}
	made, err := api.New(&stripe.WebhookEndpointParams{
		Params:        stripe.Params{Context: e},
		URL:           &want.URL,
		Connect:       &want.Connect,
		APIVersion:    &want.APIVersion,
		Description:   stripe.String("Rollcall"),
		EnabledEvents: stripe.StringSlice(want.Events),
	})
	if err != nil {
		return want, err
	}
	want.ID, want.Secret, want.Did = made.ID, made.Secret, "created"
	return want, nil
}

// find finds the endpoint of this URL, nil if there is none. Stripe marks those
// of connected accounts by the application they belong to.
func (c stripeSetupCmd) find(api webhookendpoint.Client, e *env) (*stripe.WebhookEndpoint, error) {
	params := &stripe.WebhookEndpointListParams{ListParams: stripe.ListParams{Context: e, Limit: stripe.Int64(100)}}
	all := api.List(params)
	for all.Next() {
		if w := all.WebhookEndpoint(); w.URL == c.URL && (w.Application != "") == c.Connect {
			return w, nil
		}
	}
	return nil, all.Err()
}

// update adds the events that are missing, and takes away the others.
func (c stripeSetupCmd) update(api webhookendpoint.Client, e *env, there *stripe.WebhookEndpoint, want endpoint) (
	endpoint, error) {
	want.ID, want.APIVersion, want.Did = there.ID, cmp.Or(there.APIVersion, "the account's own"), "nothing"
	if there.APIVersion != "" {
		want.Events = facts.StripeTypes(there.APIVersion)
	}
	if slices.Equal(slices.Sorted(slices.Values(there.EnabledEvents)), want.Events) && there.Status != "disabled" {
		return want, nil
	}
	want.Did = "would_update"
	if c.DryRun {
		return want, nil
	}
	_, err := api.Update(there.ID, &stripe.WebhookEndpointParams{
		Params:        stripe.Params{Context: e},
		EnabledEvents: stripe.StringSlice(want.Events),
		Disabled:      stripe.Bool(false),
	})
	want.Did = "updated"
	return want, err
}

// print prints the result on stderr, and only the secret on stdout.
func (w endpoint) print(e *env) error {
	what := map[string]string{
		"created":      "Created endpoint " + w.ID,
		"updated":      "Brought endpoint " + w.ID + " up to date",
		"nothing":      "Endpoint " + w.ID + " is as it should be",
		"would_create": "Would create an endpoint",
		"would_update": "Would bring endpoint " + w.ID + " up to date",
	}[w.Did]
	on := "the account's own events"
	if w.Connect {
		on = "events on connected accounts"
	}
	fmt.Fprintf(e.err, "%s: %s to %s, %d types, API version %s.\n", what, on, w.URL, len(w.Events), w.APIVersion)
	if w.Secret == "" {
		return nil
	}
	fmt.Fprintln(e.err, "Its signing secret, for STRIPE_WEBHOOK_SECRETS (beside others, separated by a comma). Keep it "+
		"now: Stripe shows it in its dashboard only.")
	_, err := fmt.Fprintln(e.out, w.Secret)
	return err
}

// stripeProblem describes Stripe's error, without the key.
func stripeProblem(err error) error {
	if refused, is := errors.AsType[*stripe.Error](err); is {
		return fmt.Errorf("Stripe refused (%d): %s", refused.HTTPStatusCode, cmp.Or(refused.Msg, string(refused.Code)))
	}
	return fmt.Errorf("Stripe does not answer (%s)", reason(err))
}
