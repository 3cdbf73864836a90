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
	ClerkCookie = "__session" // set by Clerk's script
	// MostTried is how many cookies of a request are verified at most, to limit the cost
	// of a header full of them.
	MostTried = 8
)

// ClerkTokens returns the values of a request's Clerk cookies, each once. A host with
// several Clerk instances has a `__session_SUFFIX` for each; the plain `__session`
// belongs to the one that wrote it last.
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

// FirstUser returns the user of the first cookie that verifies, even among expired or
// foreign ones. The error says why none does; nil if none is a token of this instance.
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
		if err != nil && !errors.Is(doubt, core.ErrNoKeys) { // a token that cannot be checked may be valid
			doubt = err
		}
	}
	return "", doubt
}

// likelyFirst moves tokens that will probably verify to the front. Developers collect
// others on localhost, which would use up the tries, and a foreign key costs a
// request to Clerk.
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

// promising reads a token without its signature, so it proves nothing.
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
