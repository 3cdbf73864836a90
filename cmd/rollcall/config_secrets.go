package main

import (
	"errors"
	"fmt"

	"rollcall/webhooks"
)

// secrets are the signing secrets by source. One that is empty is
// refused: signed with it, every forgery would be taken.
func (c *Config) secrets() (map[string][]webhooks.Secret, error) {
	out := map[string][]webhooks.Secret{}
	var wrong []error
	for _, v := range c.secretVariables() {
		if v.list == nil {
			continue
		}
		secrets, err := webhooks.ParseSecrets(v.source, *v.list)
		if *v.list == "" {
			err = fmt.Errorf("%s is empty: give the signing secrets, or leave it out", v.name)
		}
		wrong = append(wrong, err)
		out[v.source] = secrets
	}
	return out, errors.Join(wrong...)
}

type secretVariable struct {
	source, name string
	list         *string
}

func (c *Config) secretVariables() []secretVariable {
	return []secretVariable{
		{webhooks.Stripe, "STRIPE_WEBHOOK_SECRETS", c.StripeSecrets},
		{webhooks.Clerk, "CLERK_WEBHOOK_SECRETS", c.ClerkSecrets},
		{webhooks.Platform, "PLATFORM_WEBHOOK_SECRETS", c.PlatformSecrets},
		{webhooks.Resend, "RESEND_WEBHOOK_SECRETS", c.ResendSecrets},
		{webhooks.Postmark, "POSTMARK_WEBHOOK_SECRETS", c.PostmarkSecrets},
		{webhooks.SES, "SES_SNS_TOPICS", c.SESTopics},
		{webhooks.Mailgun, "MAILGUN_WEBHOOK_KEYS", c.MailgunKeys},
	}
}
