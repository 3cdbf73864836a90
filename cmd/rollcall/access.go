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

// The settings that say who may look, as the web takes them.

// checkAccess refuses what is malformed of them, if nothing could be done without.
// What only keeps creators out is for unusable to tell: webhooks arrive here too.
func (c *Config) checkAccess() error {
	_, partiesErr := c.parties()
	_, proxiesErr := c.proxies()
	return errors.Join(notEmpty("CLERK_JWT_KEY", c.ClerkJWTKey), partiesErr, proxiesErr,
		checkToken(c.AdminToken),
		notEmpty("CLERK_ISSUER", c.ClerkIssuer),
		checkAddress("PUBLIC_URL", c.PublicURL, "https://rollcall.example.com"),
		checkAddress("SIGN_IN_URL", c.SignInURL, "https://example.com/sign-in"))
}

// clerk is how Clerk's session tokens are checked. Settings that are of no use
// let nobody in who would not get in without them.
func (c *Config) clerk() (core.Clerk, error) {
	key, _ := c.clerkKey() // unusable tells of it
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

// readList takes a list apart at its commas. One that is set to nothing is
// refused: it would stand for everything.
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
