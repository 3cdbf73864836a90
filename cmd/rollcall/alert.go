package main

import (
	"errors"
	"fmt"
	"net/netip"

	"rollcall/internal/outbound"
	"rollcall/watch"
	"rollcall/webhooks"
	"rollcall/worker"
)

// checkAlert rejects malformed alert settings, and a URL without a secret: alerts are
// never sent unsigned.
func (c *Config) checkAlert() error {
	if _, err := c.allowedNetworks(); err != nil {
		return err
	}
	switch {
	case c.AlertURL == nil && c.AlertSecret == nil:
		return nil
	case c.AlertSecret == nil:
		return errors.New("ALERT_WEBHOOK_SECRET is not set, and ALERT_WEBHOOK_URL is: give whsec_ and 24 random bytes in " +
			"base64, to sign what is sent there")
	case c.AlertURL == nil:
		return errors.New(
			"ALERT_WEBHOOK_URL is not set, and ALERT_WEBHOOK_SECRET is: say where alerts are to be sent, or set neither")
	}
	if err := errors.Join(notEmpty("ALERT_WEBHOOK_URL", c.AlertURL),
		notEmpty("ALERT_WEBHOOK_SECRET", c.AlertSecret)); err != nil {
		return err
	}
	if err := watch.CheckAddress(*c.AlertURL); err != nil {
		return fmt.Errorf("ALERT_WEBHOOK_URL %w", err)
	}
	if err := webhooks.CheckSvixSecret(*c.AlertSecret); err != nil {
		return fmt.Errorf("ALERT_WEBHOOK_SECRET %w", err)
	}
	return nil
}

// alert is the receiver of watch changes, nil if there is none.
func (c *Config) alert() (worker.Alerter, error) {
	if c.AlertURL == nil {
		return nil, nil
	}
	allowed, err := c.allowedNetworks()
	if err != nil {
		return nil, err
	}
	a, err := watch.NewAlert(*c.AlertURL, given(c.AlertSecret), allowed)
	if err != nil {
		return nil, fmt.Errorf("ALERT_WEBHOOK_URL: %w", err)
	}
	return a, nil
}

// allowedNetworks are the private networks that alerts may be sent to.
func (c *Config) allowedNetworks() ([]netip.Prefix, error) {
	return readNetworks(outbound.Setting, c.AllowedNetworks)
}
