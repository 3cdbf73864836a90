package access

import (
	"context"
	"crypto/rsa"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	clerkjwt "github.com/clerk/clerk-sdk-go/v2/jwt"
	"github.com/go-jose/go-jose/v3"
	"github.com/go-jose/go-jose/v3/jwt"

	"rollcall/web/core"
)

const clerkLeeway = 5 * time.Second // by which Clerk's clock may differ from ours

// ParseClerkKey reads the public key of a Clerk instance as its dashboard shows
// it, a PEM text. Where line ends do not fit, "\n" stands for them.
func ParseClerkKey(text string) (*rsa.PublicKey, error) {
	jwk, err := clerk.JSONWebKeyFromPEM(strings.ReplaceAll(text, `\n`, "\n"))
	if err != nil {
		return nil, err
	}
	key, ok := jwk.Key.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	return key, nil
}

// Sessions knows Clerk's session tokens.
type Sessions struct {
	cfg     core.Clerk
	keys    *keyring // where there is no key in cfg
	now     func() time.Time
	issuer  string   // of cfg, as sameForm has it
	parties []string // the same of its origins
}

// NewSessions returns nil if cfg takes no tokens.
func NewSessions(cfg core.Clerk, now func() time.Time, log *slog.Logger) *Sessions {
	if cfg.Key == nil && cfg.SecretKey == "" {
		return nil
	}
	s := &Sessions{cfg: cfg, now: now, issuer: core.SameForm(cfg.Issuer)}
	if cfg.Key == nil {
		s.keys = newKeyring(cfg, now, log)
	}
	for _, party := range cfg.Parties {
		if origin, ok := core.Origin(party); ok {
			party = origin
		}
		s.parties = append(s.parties, party) // a useless one too: no party at all would allow any
	}
	return s
}

// Now makes it the SDK's clock.
func (s *Sessions) Now() time.Time { return s.now() }

// user returns who a token was made out to; none if it is no token of ours.
// The error is a *failure: a token that has ended, or that cannot be checked.
// party tells which "azp" may stand in it.
func (s *Sessions) user(ctx context.Context, token string, party func(azp string) bool) (id string, err error) {
	if s == nil || strings.Count(token, ".") != 2 {
		return "", nil
	}
	parsed, err := jwt.ParseSigned(token)
	if err != nil || len(parsed.Headers) != 1 || !forSessions(parsed.Headers[0]) {
		return "", nil
	}
	key, err := s.key(ctx, parsed.Headers[0].KeyID)
	if key == nil {
		return "", err
	}
	var more struct {
		Status string `json:"sts"` // pending: signed in, but with something left to do first
	}
	said, err := clerkjwt.Verify(ctx, &clerkjwt.VerifyParams{
		Token: token, JWK: key, Clock: s, Leeway: clerkLeeway,
		IsSatellite:             s.issuer != "", // the SDK then leaves the issuer to us: it knows no equal URLs
		AuthorizedPartyHandler:  party,
		CustomClaimsConstructor: func(context.Context) any { return &more },
	})
	switch {
	case errors.Is(err, jwt.ErrExpired): // checked after the signature
		return "", core.ErrEnded
	case err != nil || !s.issued(said.Issuer) || said.Expiry == nil || more.Status == "pending":
		return "", nil
	}
	return said.Subject, nil
}

// forSessions tells tokens of sessions from others that Clerk signs with the
// same key, as those it hands to a third party's programs (at+jwt).
func forSessions(h jose.Header) bool {
	typ, has := h.ExtraHeaders[jose.HeaderType]
	return !has || typ == "JWT"
}

// issued tells whether a token's issuer is the one that is set. Where none is,
// the SDK takes anything like Clerk's domains.
func (s *Sessions) issued(iss string) bool { return s.issuer == "" || core.SameForm(iss) == s.issuer }

// party tells whether an "azp" names one of the origins that are set.
func (s *Sessions) party(azp string) bool {
	origin, ok := core.Origin(azp)
	return len(s.parties) == 0 || ok && slices.Contains(s.parties, origin)
}

// partyOrNone is for cookies. Clerk's "azp" is the Origin header of the request
// that minted the token, and browsers send none when they open a page: Clerk's
// own redirects mint cookies without it, which would lock people out until a page
// of the marketplace renews them. An "azp" that names another origin is refused.
func (s *Sessions) partyOrNone(azp string) bool { return azp == "" || s.party(azp) }

// key returns the key with an id, nil if there is none.
func (s *Sessions) key(ctx context.Context, id string) (*clerk.JSONWebKey, error) {
	if s.cfg.Key != nil {
		return &clerk.JSONWebKey{Key: s.cfg.Key, Algorithm: string(jose.RS256)}, nil
	}
	return s.keys.get(ctx, id)
}
