package main

import (
	"fmt"

	"rollcall/facts"
	"rollcall/webhooks"
)

// stripeMode is which Stripe events count; by default live ones.
func (c *Config) stripeMode() string {
	if c.StripeMode == nil {
		return "live"
	}
	return *c.StripeMode
}

// read reads an event into facts, and ignores Stripe events of the other mode.
func (c *Config) read() func(facts.Event) (facts.Set, error) {
	mode := c.stripeMode()
	if mode == "any" {
		return facts.Read
	}
	return func(e facts.Event) (facts.Set, error) {
		if e.Source == webhooks.Stripe && e.Livemode != nil && *e.Livemode != (mode == "live") {
			return facts.Set{}, &facts.Ignored{Reason: otherMode(mode)}
		}
		return facts.Read(e)
	}
}

// otherMode is why an event does not count: what it is, and how it would.
func otherMode(mode string) string {
	other := map[string]string{"live": "test", "test": "live"}[mode]
	return fmt.Sprintf("it is an event of Stripe's %s mode, and STRIPE_MODE is %s where work runs: to count it, set STRIPE_MODE=any and replay it", other, mode)
}
