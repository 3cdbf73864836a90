package access

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// Access authenticates visitors and admits them to routes. Safe for concurrent use.
type Access struct {
	*core.Site
	Admin    Admin
	Sessions *Sessions // of Clerk; nil: its users are not admitted
	Throttle *Throttle
}

// New returns the access control of s, and sets s.Admit.
func New(s *core.Site) *Access {
	a := &Access{
		Site:     s,
		Admin:    Admin{Token: s.Cfg.AdminToken},
		Sessions: NewSessions(s.Cfg.Clerk, s.Cfg.Now, s.Cfg.Log),
		Throttle: NewThrottle(s.Redis),
	}
	if a.Sessions != nil {
		a.Sessions.Ended = func(ctx context.Context, id string) (bool, error) {
			return s.Cfg.Store.SessionEnded(ctx, ofClerk+id)
		}
	}
	s.Admit = a.admit
	s.FailurePage = func(r *http.Request, f *core.Failure) any { return a.failurePage(r, f) }
	return a
}

// visitor authenticates the sender of a request. One valid proof is enough, because
// browsers also send old ones.
func (s *Access) visitor(r *http.Request) core.Visitor {
	signedIn, ended := s.signedIn(r)
	if signedIn {
		return core.Visitor{Admin: true}
	}
	v := core.Visitor{Doubt: ended}
	if token := core.Presented(r); token != "" {
		v = s.holder(r, token)
		v.Doubt = cmp.Or(v.Doubt, ended)
	}
	if !v.Admin && v.User == "" {
		user, doubt := s.Sessions.FirstUser(r.Context(), ClerkTokens(r))
		v.User, v.Doubt = user, cmp.Or(v.Doubt, doubt)
	}
	return v
}

// signedIn tells whether the request has a valid operator's session that was not
// signed out of. The error is Postgres's.
func (s *Access) signedIn(r *http.Request) (bool, error) {
	session, _ := s.Admin.session(r, s.Cfg.Now())
	if session == "" {
		return false, nil
	}
	ended, err := s.Cfg.Store.SessionEnded(r.Context(), session)
	return err == nil && !ended, err
}

// holder finds the owner of a token. The admin's comes last: only that one could be
// guessed, so an unknown token counts as a try at it. The right one is always
// accepted, because many people may share an address.
func (s *Access) holder(r *http.Request, token string) core.Visitor {
	user, err := s.Sessions.user(r.Context(), token, s.Sessions.party)
	if user != "" || err != nil {
		return core.Visitor{User: user, Doubt: err}
	}
	t, err := s.tokenOf(r.Context(), token)
	if t.StoreID != "" || err != nil {
		return core.Visitor{Store: t.StoreID, Token: t.ID, Doubt: err}
	}
	if s.Admin.is(token) {
		return core.Visitor{Admin: true}
	}
	return core.Visitor{Doubt: s.wrong(r)}
}

// tokenOf finds a store's token; the zero Token if there is none. The error says
// that it has ended, or is Postgres's.
func (s *Access) tokenOf(ctx context.Context, token string) (customers.Token, error) {
	t, err := customers.New(s.Cfg.Store).UseToken(ctx, token, s.Cfg.Now())
	switch {
	case errors.Is(err, pg.ErrNotFound):
		return customers.Token{}, nil
	case err != nil:
		return customers.Token{}, err
	case t.State(s.Cfg.Now()) != "active":
		return customers.Token{}, core.ErrEnded
	}
	return t, nil
}

// admit returns the visitor if they belong to the audience. The refusal is the same
// whether or not the requested object exists.
func (s *Access) admit(who core.Audience, r *http.Request) (core.Visitor, error) {
	if who == core.Anyone {
		return core.Visitor{}, nil
	}
	if who == core.Admins && s.Cfg.AdminToken == "" {
		return core.Visitor{}, core.ErrNoToken
	}
	v := s.visitor(r)
	if v.Admin {
		return v, nil
	}
	known := v.User != "" || v.Store != ""
	switch {
	case who == core.Known && known:
		return v, nil
	case who == core.Sellers && known:
		return v, s.AdmitTo(r.Context(), r.PathValue("store"), v)
	}
	return v, cmp.Or(v.Doubt, error(core.ErrStranger))
}

const (
	SessionCookie = "rollcall_session"
	sessionLife   = 24 * time.Hour
	LinkLife      = 24 * time.Hour
)

// Admin checks the admin token. Sessions and sign-in links are an expiry and a random
// word, signed with a key made from the token: they hold no secret, and a new token
// ends all of them. Postgres lists those that were signed out of.
type Admin struct{ Token string }

// is compares hashes, so that its duration shows neither length nor contents. An
// empty token never matches.
func (a Admin) is(token string) bool {
	want, got := sha256.Sum256([]byte(a.Token)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && a.Token != ""
}

// Purposes of signatures: a signature for a link does not open a session.
const (
	ForSession = "session"
	ForLink    = "link"
)

func (a Admin) Sign(purpose string, until time.Time) string {
	said := strconv.FormatInt(until.Unix(), 10) + "." + rand.Text() // so that two of one second differ
	return said + "." + base64.RawURLEncoding.EncodeToString(a.mac(purpose, said))
}

func (a Admin) mac(purpose, said string) []byte {
	mac := hmac.New(sha256.New, []byte(a.Token))
	mac.Write([]byte("rollcall " + purpose + " until " + said))
	return mac.Sum(nil)
}

// signed returns the expiry of a value signed for the purpose; ok is false if the
// signature is not valid or has expired.
func (a Admin) signed(purpose, value string, now time.Time) (until time.Time, ok bool) {
	cut := max(0, strings.LastIndexByte(value, '.'))
	said, signature := value[:cut], strings.TrimPrefix(value[cut:], ".")
	mac, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || a.Token == "" || !hmac.Equal(mac, a.mac(purpose, said)) {
		return until, false
	}
	expiry, _, _ := strings.Cut(said, ".")
	seconds, err := strconv.ParseInt(expiry, 10, 64)
	until = time.Unix(seconds, 0)
	return until, err == nil && now.Before(until)
}

// session is the request's session and its expiry; empty if there is no valid one.
// It does not know of sign-outs.
func (a Admin) session(r *http.Request, now time.Time) (session string, until time.Time) {
	cookie, err := r.Cookie(SessionCookie)
	if err != nil {
		return "", until
	}
	until, ok := a.signed(ForSession, cookie.Value, now)
	if !ok {
		return "", until
	}
	return cookie.Value, until
}

// SignInLink returns a URL that signs in anyone who opens it, as often as they like
// for a day. The commands dev and demo print it. baseURL has no slash at its end.
func SignInLink(baseURL, adminToken string, now time.Time) string {
	link := Admin{adminToken}.Sign(ForLink, now.Add(LinkLife))
	return baseURL + "/signin?" + url.Values{"link": {link}}.Encode()
}
