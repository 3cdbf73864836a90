package main

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"rollcall/web"
)

// The settings that say who may look, as the web takes them.

// checkAccess refuses what is malformed of them.
func (c *Config) checkAccess() error {
	_, keyErr := c.clerkKey()
	_, partiesErr := c.parties()
	_, proxiesErr := c.proxies()
	return errors.Join(keyErr, partiesErr, proxiesErr,
		checkToken(c.AdminToken),
		checkAddress("CLERK_ISSUER", c.ClerkIssuer, "https://clerk.example.com"),
		checkAddress("SIGN_IN_URL", c.SignInURL, "https://example.com/sign-in"))
}

// clerk is how Clerk's session tokens are checked.
func (c *Config) clerk() (web.Clerk, error) {
	key, err := c.clerkKey()
	if err != nil {
		return web.Clerk{}, err
	}
	parties, err := c.parties()
	return web.Clerk{
		Key: key, SecretKey: given(c.ClerkSecretKey), APIBase: given(c.ClerkAPIBase),
		Issuer: given(c.ClerkIssuer), Parties: parties,
	}, err
}

func (c *Config) clerkKey() (*rsa.PublicKey, error) {
	if c.ClerkJWTKey == nil {
		return nil, nil
	}
	key, err := web.ParseClerkKey(*c.ClerkJWTKey)
	if err != nil {
		return nil, fmt.Errorf("CLERK_JWT_KEY: %w; give the public key that Clerk's dashboard shows under API keys, from -----BEGIN PUBLIC KEY----- on", err)
	}
	return key, nil
}

// parties are origins, as a browser names them: a slash at the end would make
// one that no token has.
func (c *Config) parties() ([]string, error) {
	all, err := readList("CLERK_AUTHORIZED_PARTIES", c.ClerkParties)
	for _, party := range all {
		u, err := url.Parse(party)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != party {
			return nil, fmt.Errorf("CLERK_AUTHORIZED_PARTIES: %q is no origin: write scheme and host alone, as https://app.example.com", party)
		}
	}
	return all, err
}

// proxies are networks; an address alone is a network of one.
func (c *Config) proxies() (all []netip.Prefix, err error) {
	list, err := readList("TRUSTED_PROXIES", c.TrustedProxies)
	for _, text := range list {
		network, err := netip.ParsePrefix(text)
		if at, one := netip.ParseAddr(text); one == nil && at.Zone() == "" {
			network, err = at.Prefix(at.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("TRUSTED_PROXIES: %q is no network: write it as 10.0.0.0/8", text)
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
	u, err := url.Parse(*address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("%s must be a URL, as %s", name, example)
	}
	return nil
}
