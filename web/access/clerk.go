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

const (
	clerkLeeway      = 5 * time.Second           // of Clerk's clock
	clerkSessionLife = 10 * 365 * 24 * time.Hour // the longest that Clerk lets one configure
)

// ParseClerkKey parses a Clerk instance's public key as its dashboard shows it, in
// PEM. "\n" may stand for line ends.
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

// Sessions verifies Clerk's session tokens. Safe for concurrent use.
type Sessions struct {
	// Ended tells whether a session, by Clerk's id, was signed out of here; nil: none was.
	Ended   func(ctx context.Context, id string) (bool, error)
	cfg     core.Clerk
	keys    *keyring // if cfg has no key
	now     func() time.Time
	issuer  string   // cfg's, by core.SameForm
	parties []string // cfg's, by core.Origin
}

// NewSessions returns nil if cfg allows no tokens.
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
		s.parties = append(s.parties, party) // also one that matches nothing: an empty list would allow any
	}
	return s
}

// Now implements the SDK's clock.
func (s *Sessions) Now() time.Time { return s.now() }

// user returns the user of a token; "" if it is not a token of this instance. The error
// says that the token has expired, that its session was signed out of, or that it cannot
// be checked. party says which "azp" is allowed.
func (s *Sessions) user(ctx context.Context, token string, party func(azp string) bool) (id string, err error) {
	said, err := s.claims(ctx, token, party, clerkLeeway)
	if said == nil {
		return "", err
	}
	if s.Ended == nil || said.SessionID == "" {
		return said.Subject, nil
	}
	ended, err := s.Ended(ctx, said.SessionID)
	switch {
	case err != nil:
		return "", err
	case ended:
		return "", core.ErrSignedOut
	}
	return said.Subject, nil
}

// Opened are the ids of the sessions that a request's cookies are of, however long ago
// they expired.
func (s *Sessions) Opened(ctx context.Context, tokens []string) (ids []string) {
	for _, token := range tokens[:min(len(tokens), MostTried)] {
		if said, _ := s.claims(ctx, token, s.partyOrNone, clerkSessionLife); said != nil && said.SessionID != "" {
			ids = append(ids, said.SessionID)
		}
	}
	return ids
}

// claims returns what a token of this instance says; nil if it is none.
func (s *Sessions) claims(ctx context.Context, token string, party func(azp string) bool, leeway time.Duration) (
	*clerk.SessionClaims, error) {
	if s == nil || strings.Count(token, ".") != 2 {
		return nil, nil
	}
	parsed, err := jwt.ParseSigned(token)
	if err != nil || len(parsed.Headers) != 1 || !forSessions(parsed.Headers[0]) {
		return nil, nil
	}
	key, err := s.key(ctx, parsed.Headers[0].KeyID)
	if key == nil {
		return nil, err
	}
	var more struct {
		Status string `json:"sts"` // pending: signed in, but a step is left
	}
	said, err := clerkjwt.Verify(ctx, &clerkjwt.VerifyParams{
		Token: token, JWK: key, Clock: s, Leeway: leeway,
		IsSatellite:             s.issuer != "", // the SDK compares issuers literally, issued does not
		AuthorizedPartyHandler:  party,
		CustomClaimsConstructor: func(context.Context) any { return &more },
	})
	switch {
	case errors.Is(err, jwt.ErrExpired): // checked after the signature
		return nil, core.ErrEnded
	case err != nil || !s.issued(said.Issuer) || said.Expiry == nil || more.Status == "pending":
		return nil, nil
	}
	return said, nil
}

// forSessions tells session tokens from others with the same key, such as those for
// third parties' programs (at+jwt).
func forSessions(h jose.Header) bool {
	typ, has := h.ExtraHeaders[jose.HeaderType]
	return !has || typ == "JWT"
}

// issued tells whether a token has the configured issuer. Without one, the SDK
// accepts anything like Clerk's domains.
func (s *Sessions) issued(iss string) bool { return s.issuer == "" || core.SameForm(iss) == s.issuer }

// party tells whether an "azp" is a configured origin.
func (s *Sessions) party(azp string) bool {
	origin, ok := core.Origin(azp)
	return len(s.parties) == 0 || ok && slices.Contains(s.parties, origin)
}

// partyOrNone is for cookies. Clerk's "azp" is the Origin header of the request that
// minted the token, which browsers leave out when they open a page. Clerk's own
// redirects mint such cookies. An "azp" with another origin is refused.
func (s *Sessions) partyOrNone(azp string) bool { return azp == "" || s.party(azp) }

// key returns a key by id; nil if there is none.
func (s *Sessions) key(ctx context.Context, id string) (*clerk.JSONWebKey, error) {
	if s.cfg.Key != nil {
		return &clerk.JSONWebKey{Key: s.cfg.Key, Algorithm: string(jose.RS256)}, nil
	}
	return s.keys.get(ctx, id)
}
