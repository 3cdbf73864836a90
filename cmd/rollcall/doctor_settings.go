package main

import (
	"context"
	"fmt"
	"strings"
)

// checkSettings looks at the settings that this command sees. Those of serve and
// work may be others: what they are without shows elsewhere, too.
func (d *doctor) checkSettings(context.Context) error {
	d.fill()
	bad := problems(d.Config.check(), d.checkWeb())
	for _, err := range bad {
		name, _, _ := strings.Cut(err.Error(), " ")
		name = strings.TrimSuffix(name, ":")
		d.find(finding{Kind: "setting_malformed", Subject: name, Severity: problem, Count: 1, What: harmless(err.Error()),
			Fix: []string{"export " + name + "=" + valueFor(name) + "   # where serve and work run"}})
	}
	for _, a := range d.absent() {
		d.find(finding{Kind: "setting_missing", Subject: a.name, Severity: note, Count: 1, What: "here " + a.text,
			Fix: []string{"export " + a.name + "=" + valueFor(a.name) + "   # where serve runs, unless it is set there"}})
	}
	useless := d.unusable()
	for _, u := range useless {
		d.find(finding{Kind: "setting_unusable", Subject: u.name, Severity: warning, Count: 1, What: u.text,
			Fix: []string{"export " + u.name + "='" + u.value + "'   # where serve runs"}})
	}
	d.modes()
	if len(bad)+len(useless) == 0 {
		d.fine("the settings that this command sees are well-formed")
	}
	return nil
}

// valueFor is a value for a setting as a shell has it: made up, where that may be.
func valueFor(name string) string {
	switch name {
	case "ADMIN_TOKEN":
		return "$(openssl rand -hex 32)"
	case "PLATFORM_WEBHOOK_SECRETS", "ALERT_WEBHOOK_SECRET":
		return "whsec_$(openssl rand -base64 24)"
	}
	return "<VALUE>"
}

// problems takes errors apart that were joined, each once.
func problems(errs ...error) (all []error) {
	for _, err := range errs {
		var joined interface{ Unwrap() []error }
		ok := false
		if err != nil {
			joined, ok = err.(interface{ Unwrap() []error })
		}
		switch {
		case ok:
			all = append(all, problems(joined.Unwrap()...)...)
		case err != nil:
			all = append(all, err)
		}
	}
	return all
}

// modes looks whether Stripe's key is of the mode whose events count.
func (d *doctor) modes() {
	key := given(d.StripeAPIKey)
	_, kind, _ := strings.Cut(key, "_") // sk_test_…, rk_live_…
	mode, _, _ := strings.Cut(kind, "_")
	counts := d.stripeMode()
	if counts == "any" || mode != "live" && mode != "test" || mode == counts {
		return
	}
	d.find(finding{Kind: "settings_disagree", Subject: "STRIPE_API_KEY", Severity: warning, Count: 1,
		What: fmt.Sprintf("STRIPE_API_KEY is a key of %s mode and STRIPE_MODE is %s: what a backfill would bring does not count", mode, counts),
		Fix:  []string{"export STRIPE_API_KEY=<KEY OF " + strings.ToUpper(counts) + " MODE>   # where work runs"}})
}

// absent is a setting of serve's that is not set.
type absent struct {
	name string
	text string // what does not work without it
}

// absent lists them.
func (c *Config) absent() (all []absent) {
	for _, v := range c.secretVariables() {
		if v.list == nil {
			all = append(all, absent{v.name, v.name + " is not set: webhooks of " + v.source + " are answered 503"})
		}
	}
	if c.AdminToken == nil {
		all = append(all, absent{"ADMIN_TOKEN", "ADMIN_TOKEN is not set: nobody can look at the inbox, the queues, or at every store's list"})
	}
	if c.ClerkJWTKey == nil && c.ClerkSecretKey == nil {
		all = append(all, absent{"CLERK_JWT_KEY", "CLERK_JWT_KEY is not set, nor is CLERK_SECRET_KEY: creators cannot sign in; only their programs get in, with tokens"})
	}
	return all
}
