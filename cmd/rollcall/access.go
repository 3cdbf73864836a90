package main

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"rollcall/web/access"
	"rollcall/web/core"
)

// The access settings, in the form that web needs.

// checkAccess rejects malformed access settings that stop the start. Settings that only
// keep creators out are reported by unusable, because webhooks must still arrive.
func (c *Config) checkAccess() error {
	_, partiesErr := c.parties()
	_, proxiesErr := c.proxies()
	return errors.Join(notEmpty("CLERK_JWT_KEY", c.ClerkJWTKey), partiesErr, proxiesErr,
		checkToken(c.AdminToken),
		notEmpty("CLERK_ISSUER", c.ClerkIssuer),
		checkAddress("PUBLIC_URL", c.PublicURL, "https://rollcall.example.com"),
		checkAddress("SIGN_IN_URL", c.SignInURL, "https://example.com/sign-in"))
}

// clerk configures the check of Clerk's session tokens. Unusable settings match no session.
func (c *Config) clerk() (core.Clerk, error) {
	key, _ := c.clerkKey() // unusable reports the error
	parties, err := c.parties()
	return core.Clerk{
		Key: key, SecretKey: given(c.ClerkSecretKey), APIBase: given(c.ClerkAPIBase),
		Issuer: given(c.ClerkIssuer), Parties: parties,
	}, err
}

func (c *Config) clerkKey() (*rsa.PublicKey, error) {
	if c.ClerkJWTKey == nil {
		return nil, nil
	}
	return access.ParseClerkKey(*c.ClerkJWTKey)
}

// parties are origins, or were meant to be.
func (c *Config) parties() ([]string, error) {
	return readList("CLERK_AUTHORIZED_PARTIES", c.ClerkParties)
}

// proxies are networks; an address alone is a network of one.
func (c *Config) proxies() (all []netip.Prefix, err error) {
	return readNetworks("TRUSTED_PROXIES", c.TrustedProxies)
}

// readNetworks reads a list of networks; one address is a network, too.
func readNetworks(name string, list *string) (all []netip.Prefix, err error) {
	parts, err := readList(name, list)
	for _, text := range parts {
		network, err := netip.ParsePrefix(text)
		if at, one := netip.ParseAddr(text); one == nil && at.Zone() == "" {
			network, err = at.Prefix(at.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %q is no network: write it as 10.0.0.0/8", name, text)
		}
		all = append(all, network)
	}
	return all, err
}

// readList splits a list at its commas. It rejects an empty list, which would mean
// everything.
func readList(name string, list *string) ([]string, error) {
	all := strings.FieldsFunc(given(list), func(r rune) bool { return r == ',' || r == ' ' })
	if list != nil && len(all) == 0 {
		return nil, fmt.Errorf("%s is empty: set it to something, or not at all", name)
	}
	return all, nil
}

// checkAddress refuses what cannot be an address on the web.
func checkAddress(name string, address *string, example string) error {
	if err := notEmpty(name, address); err != nil || address == nil {
		return err
	}
	if !isWebAddress(*address) {
		return fmt.Errorf("%s must be a URL, as %s", name, example)
	}
	return nil
}
