package access

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v3/jwt"

	"rollcall/web/core"
)

const (
	ClerkCookie = "__session" // where Clerk's script keeps the token in a browser
	// MostTried is how many of a request's cookies are checked at most, so that a
	// header full of them costs no more than these signatures.
	MostTried = 8
)

// ClerkTokens returns what Clerk's cookies of a request hold, each value once.
// A host with several Clerk instances has a `__session_SUFFIX` for each of them,
// and the plain `__session` belongs to whichever wrote it last.
func ClerkTokens(r *http.Request) (tokens []string) {
	seen := map[string]bool{}
	for _, c := range r.Cookies() {
		if (c.Name == ClerkCookie || strings.HasPrefix(c.Name, ClerkCookie+"_")) && !seen[c.Value] {
			seen[c.Value] = true
			tokens = append(tokens, c.Value)
		}
	}
	return tokens
}

// FirstUser returns the user of the first cookie that verifies. A cookie of
// another instance, or an expired one, hides no good one. The error says why no
// cookie counts; it is nil if none is a token of ours.
func (s *Sessions) FirstUser(ctx context.Context, tokens []string) (id string, doubt error) {
	if s == nil {
		return "", nil
	}
	tokens = s.likelyFirst(tokens)
	for _, token := range tokens[:min(len(tokens), MostTried)] {
		id, err := s.user(ctx, token, s.partyOrNone)
		if id != "" {
			return id, nil
		}
		if err != nil && !errors.Is(doubt, core.ErrNoKeys) { // one that cannot be checked may be good
			doubt = err
		}
	}
	return "", doubt
}

// likelyFirst puts the tokens that promise to verify before all others: those
// that developers collect on localhost would use up the tries, and asking Clerk
// for the key of a foreign one takes time.
func (s *Sessions) likelyFirst(tokens []string) []string {
	var likely, others []string
	for _, token := range tokens {
		if s.promising(token) {
			likely = append(likely, token)
		} else {
			others = append(others, token)
		}
	}
	return append(likely, others...)
}

// promising reads a token without checking its signature, so it proves nothing.
func (s *Sessions) promising(token string) bool {
	parsed, err := jwt.ParseSigned(token)
	if err != nil || len(parsed.Headers) != 1 {
		return false
	}
	var claims jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil || claims.Expiry == nil {
		return false
	}
	return s.now().Before(claims.Expiry.Time().Add(clerkLeeway)) && s.issued(claims.Issuer) &&
		(s.keys == nil || s.keys.known(parsed.Headers[0].KeyID) != nil)
}
