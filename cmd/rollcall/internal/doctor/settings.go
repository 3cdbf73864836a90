package doctor

import (
	"context"
	"fmt"
	"strings"

	"rollcall/store/finding"
)

// Settings are the settings of serve and work that a command sees, and their faults.
type Settings struct {
	Malformed  []string // each begins with the setting's name
	Absent     []Setting
	Unusable   []Setting
	StripeKey  string
	StripeMode string // live, test or any
}

// Setting is a setting without effect. The service runs without its function.
type Setting struct {
	Name  string
	Text  string // what is wrong, and what follows; never its value, which may be a secret
	Value string // what a shell is to set it to
}

// checkSettings checks the settings that this command sees. serve and work may have
// others.
func (d *doctor) checkSettings(context.Context) error {
	for _, wrong := range d.Settings.Malformed {
		name, _, _ := strings.Cut(wrong, " ")
		name = strings.TrimSuffix(name, ":")
		d.find(finding.Finding{Kind: "setting_malformed", Subject: name, What: wrong,
			Fix: []string{"export " + name + "=" + valueFor(name) + "   # where serve and work run"}})
	}
	for _, a := range d.Settings.Absent {
		d.find(finding.Finding{Kind: "setting_missing", Subject: a.Name, What: "here " + a.Text,
			Fix: []string{"export " + a.Name + "=" + valueFor(a.Name) + "   # where serve runs, unless it is set there"}})
	}
	for _, u := range d.Settings.Unusable {
		d.find(finding.Finding{Kind: "setting_unusable", Subject: u.Name, What: u.Text,
			Fix: []string{"export " + u.Name + "='" + u.Value + "'   # where serve runs"}})
	}
	d.modes()
	if len(d.Settings.Malformed)+len(d.Settings.Unusable) == 0 {
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

// modes checks that Stripe's key is of the mode whose events count.
func (d *doctor) modes() {
	_, kind, _ := strings.Cut(d.Settings.StripeKey, "_") // sk_test_…, rk_live_…
	mode, _, _ := strings.Cut(kind, "_")
	counts := d.Settings.StripeMode
	if counts == "any" || mode != "live" && mode != "test" || mode == counts {
		return
	}
	d.find(finding.Finding{Kind: "settings_disagree", Subject: "STRIPE_API_KEY",
		What: fmt.Sprintf(
			"STRIPE_API_KEY is a key of %s mode and STRIPE_MODE is %s: what a backfill would bring does not count", mode,
			counts),
		Fix: []string{"export STRIPE_API_KEY=<KEY OF " + strings.ToUpper(counts) + " MODE>   # where work runs"}})
}
