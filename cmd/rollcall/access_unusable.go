package main

import (
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"rollcall/cmd/rollcall/internal/doctor"
	"rollcall/facts"
	"rollcall/web/core"
)

// unusable lists settings whose value has no effect. No text repeats a value: it may be
// a secret that belongs in another variable.
func (c *Config) unusable() (all []doctor.Setting) {
	if _, err := c.clerkKey(); err != nil {
		all = append(all, doctor.Setting{Name: "CLERK_JWT_KEY", Text: fmt.Sprintf(
			"CLERK_JWT_KEY is %s: %s. Copy the public key from Clerk's dashboard, under API keys, from -----BEGIN PUBLIC "+
				"KEY----- on",
			kindOfKey(*c.ClerkJWTKey), c.withoutKey()), Value: "<PUBLIC KEY>"})
	}
	if c.ClerkIssuer != nil && !isWebAddress(*c.ClerkIssuer) {
		all = append(all, doctor.Setting{Name: "CLERK_ISSUER",
			Text: "CLERK_ISSUER is not a URL: no session matches it, and creators cannot sign in. Write the Frontend API " +
				"URL, as https://clerk.example.com",
			Value: "<FRONTEND API URL>"})
	}
	parties, _ := c.parties() // an empty list stops the start
	for i, party := range parties {
		if _, ok := core.Origin(party); !ok {
			return append(all, doctor.Setting{Name: "CLERK_AUTHORIZED_PARTIES", Text: fmt.Sprintf(
				"CLERK_AUTHORIZED_PARTIES: entry %d of %d is not an origin and matches no session. Write scheme and host, as "+
					"https://app.example.com; wildcards are not supported",
				i+1, len(parties)), Value: "<ORIGINS>"})
		}
	}
	return all
}

// withoutKey says what happens without a key in CLERK_JWT_KEY.
func (c *Config) withoutKey() string {
	if c.ClerkSecretKey == nil {
		return "creators cannot sign in"
	}
	return "sessions are checked with the keys that CLERK_SECRET_KEY fetches instead"
}

// warnOfUnusable logs them.
func (c *Config) warnOfUnusable(log *slog.Logger) {
	for _, u := range c.unusable() {
		log.Warn(u.Text)
	}
}

// kindOfKey describes a value that is not Clerk's public key.
func kindOfKey(text string) string {
	_, header, _ := strings.Cut(text, "-----BEGIN ")
	header, _, isPEM := strings.Cut(header, "-----")
	text = strings.TrimSpace(text)
	switch {
	case isPEM && strings.HasSuffix(header, "PRIVATE KEY"):
		return "a private key"
	case isPEM && strings.HasSuffix(header, "CERTIFICATE"):
		return "a certificate"
	case isPEM:
		return "not an RSA key of the form BEGIN PUBLIC KEY, or is cut short"
	case strings.HasPrefix(text, "sk_"):
		return "the secret key, which belongs in CLERK_SECRET_KEY"
	case strings.HasPrefix(text, "pk_"):
		return "the publishable key, which checks no signature"
	case strings.HasPrefix(text, "whsec_"):
		return "a signing secret, which belongs in CLERK_WEBHOOK_SECRETS"
	}
	return "not a public key"
}

// isWebAddress reports whether a text is an http or https URL.
func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	_, ok := core.Origin(text)
	return err == nil && ok && (u.Scheme == "https" || u.Scheme == "http")
}

// absent lists the unset settings of serve, and what does not work without them.
func (c *Config) absent() (all []doctor.Setting) {
	for _, v := range c.secretVariables() {
		if v.list == nil && !slices.Contains(facts.MailSources, v.source) { // most sites have one of those, or none
			all = append(all, doctor.Setting{Name: v.name, Text: v.name + " is not set: webhooks of " + v.source +
				" are answered 503"})
		}
	}
	if c.AdminToken == nil {
		all = append(
			all, doctor.Setting{
				Name: "ADMIN_TOKEN",
				Text: "ADMIN_TOKEN is not set: no one can see the inbox, the queues, or the lists of all stores"})
	}
	if c.ClerkJWTKey == nil && c.ClerkSecretKey == nil {
		all = append(all, doctor.Setting{Name: "CLERK_JWT_KEY", Text: "CLERK_JWT_KEY is not set, nor is CLERK_SECRET_KEY: " +
			"creators cannot sign in; only their programs get in, with tokens"})
	}
	return all
}
