package web

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
)

// Clerk says whose session tokens are taken: whoever is signed in there is
// signed in here. Without Key and SecretKey none are.
type Clerk struct {
	Key       *rsa.PublicKey // what they are signed with; nil: the keys that Clerk's API tells
	SecretKey string         // to ask it with
	APIBase   string         // where it is; empty: where it always is
	Issuer    string         // what "iss" has to be; empty: anything that looks like Clerk's
	// Parties are the origins that "azp" may name: where people sign in. If it is
	// empty any may be named, or none.
	Parties []string
}

const (
	clerkCookie = "__session"     // where Clerk keeps the token in a browser
	clerkLeeway = 5 * time.Second // by which Clerk's clock may differ from ours
)

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

// sessions knows Clerk's session tokens.
type sessions struct {
	cfg  Clerk
	keys *keyring // where there is no key in cfg
	now  func() time.Time
}

// newSessions returns nil if cfg takes no tokens.
func newSessions(cfg Clerk, now func() time.Time, log *slog.Logger) *sessions {
	switch {
	case cfg.Key != nil:
		return &sessions{cfg: cfg, now: now}
	case cfg.SecretKey != "":
		return &sessions{cfg: cfg, now: now, keys: newKeyring(cfg, now, log)}
	}
	return nil
}

// Now makes it the SDK's clock.
func (s *sessions) Now() time.Time { return s.now() }

// user returns who a token was made out to; none if it is no token of ours.
// The error is a *failure: a token that has ended, or that cannot be checked.
func (s *sessions) user(ctx context.Context, token string) (id string, err error) {
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
		ProxyURL:                s.issuer(),
		AuthorizedPartyHandler:  func(azp string) bool { return len(s.cfg.Parties) == 0 || slices.Contains(s.cfg.Parties, azp) },
		CustomClaimsConstructor: func(context.Context) any { return &more },
	})
	switch {
	case errors.Is(err, jwt.ErrExpired): // checked after the signature
		return "", errEnded
	case err != nil || said.Expiry == nil || more.Status == "pending":
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

// issuer is what the SDK takes for a proxy of Clerk's: the one way to make it
// compare the issuer exactly. Without it anything like Clerk's domains does.
func (s *sessions) issuer() *string {
	if s.cfg.Issuer == "" {
		return nil
	}
	return &s.cfg.Issuer
}

// key returns the key with an id, nil if there is none.
func (s *sessions) key(ctx context.Context, id string) (*clerk.JSONWebKey, error) {
	if s.cfg.Key != nil {
		return &clerk.JSONWebKey{Key: s.cfg.Key, Algorithm: string(jose.RS256)}, nil
	}
	return s.keys.get(ctx, id)
}
