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

// checkAlert refuses what is malformed of the settings of alerts, and one
// without the other: nothing is sent unsigned.
func (c *Config) checkAlert() error {
	if _, err := c.allowedNetworks(); err != nil {
		return err
	}
	switch {
	case c.AlertURL == nil && c.AlertSecret == nil:
		return nil
	case c.AlertSecret == nil:
		return errors.New("ALERT_WEBHOOK_SECRET is not set, and ALERT_WEBHOOK_URL is: give whsec_ and 24 random bytes in base64, to sign what is sent there")
	case c.AlertURL == nil:
		return errors.New("ALERT_WEBHOOK_URL is not set, and ALERT_WEBHOOK_SECRET is: say where alerts are to be sent, or set neither")
	}
	if err := errors.Join(notEmpty("ALERT_WEBHOOK_URL", c.AlertURL), notEmpty("ALERT_WEBHOOK_SECRET", c.AlertSecret)); err != nil {
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

// alert is who is told when a watch changes; nil: nobody.
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

// allowedNetworks are those that are not public and may be sent to all the same.
func (c *Config) allowedNetworks() ([]netip.Prefix, error) {
	return readNetworks(outbound.Setting, c.AllowedNetworks)
}
