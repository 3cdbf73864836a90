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

// Access tells who a visitor is, and lets in who may come in.
type Access struct {
	*core.Site
	Admin    Admin
	Sessions *Sessions // of Clerk; nil: its users are not let in
	Throttle *Throttle
}

// New returns the access to a site, and makes the site ask it.
func New(s *core.Site) *Access {
	a := &Access{
		Site:     s,
		Admin:    Admin{Token: s.Cfg.AdminToken},
		Sessions: NewSessions(s.Cfg.Clerk, s.Cfg.Now, s.Cfg.Log),
		Throttle: NewThrottle(s.Redis),
	}
	s.Admit = a.admit
	s.FailurePage = func(r *http.Request, f *core.Failure) any { return a.failurePage(r, f) }
	return a
}

// visitor finds out who asks. One proof that holds is enough, as a browser
// sends along what it once was told.
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

// signedIn tells whether the request has the session of an operator who has not
// signed out since. The error is Postgres's, which knows who has.
func (s *Access) signedIn(r *http.Request) (bool, error) {
	session, _ := s.Admin.session(r, s.Cfg.Now())
	if session == "" {
		return false, nil
	}
	ended, err := s.Cfg.Store.SessionEnded(r.Context(), session)
	return err == nil && !ended, err
}

// holder finds out whose a token is. The admin's comes last: it is the one that
// could be guessed, so what is nobody's counts as a try at it. The right one is
// heard however many wrong ones came before: behind one address there may be many.
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

// tokenOf returns the store's token that it is; the zero one if it is none. The
// error is that it has ended, or of Postgres.
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

// admit returns the one who asks if they belong to the audience. Whoever does
// not gets the same answer whether or not what they ask for exists.
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
	if who == core.Sellers && (v.User != "" || v.Store != "") {
		return v, s.AdmitTo(r.Context(), r.PathValue("store"), v)
	}
	return v, cmp.Or(v.Doubt, error(core.ErrStranger))
}

const (
	SessionCookie = "rollcall_session"
	sessionLife   = 24 * time.Hour
	LinkLife      = 24 * time.Hour
)

// Admin is the one who has the admin token. Sessions and sign-in links are a
// time of expiry and a random word, with a signature made from the token: they
// hold no secret, and all end when the token is changed. Those that are signed out
// of before are listed in Postgres.
type Admin struct{ Token string }

// is compares hashes, so that neither length nor contents show in the time it
// takes. An empty token is nobody's.
func (a Admin) is(token string) bool {
	want, got := sha256.Sum256([]byte(a.Token)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && a.Token != ""
}

// What a signature is for; one made for a link does not open a session.
const (
	ForSession = "session"
	ForLink    = "link"
)

func (a Admin) Sign(purpose string, until time.Time) string {
	said := strconv.FormatInt(until.Unix(), 10) + "." + rand.Text() // of two made in one second, each has its end
	return said + "." + base64.RawURLEncoding.EncodeToString(a.mac(purpose, said))
}

func (a Admin) mac(purpose, said string) []byte {
	mac := hmac.New(sha256.New, []byte(a.Token))
	mac.Write([]byte("rollcall " + purpose + " until " + said))
	return mac.Sum(nil)
}

// signed tells until when value, signed for the purpose, is good; ok is false if
// it is not, or not any more.
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

// session is that of a request, with its end; empty if there is no good one. It
// may have been signed out of.
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

// SignInLink returns a URL that signs in whoever opens it, for a day and as
// often as they like: for the terminal of the one who started the server, as
// dev and demo print it. baseURL is where the Site is, without a slash at its end.
func SignInLink(baseURL, adminToken string, now time.Time) string {
	link := Admin{adminToken}.Sign(ForLink, now.Add(LinkLife))
	return baseURL + "/signin?" + url.Values{"link": {link}}.Encode()
}
