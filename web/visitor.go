package web

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
)

// visitor finds out who asks. One proof that holds is enough, as a browser
// sends along what it once was told.
func (s *Site) visitor(r *http.Request) visitor {
	signedIn, ended := s.signedIn(r)
	if signedIn {
		return visitor{admin: true}
	}
	v := visitor{doubt: ended}
	if token := presented(r); token != "" {
		v = s.holder(r, token)
		v.doubt = cmp.Or(v.doubt, ended)
	}
	if !v.admin && v.user == "" {
		user, doubt := s.sessions.firstUser(r.Context(), clerkTokens(r))
		v.user, v.doubt = user, cmp.Or(v.doubt, doubt)
	}
	return v
}

// signedIn tells whether the request has the session of an operator who has not
// signed out since. The error is Postgres's, which knows who has.
func (s *Site) signedIn(r *http.Request) (bool, error) {
	session, _ := s.admin.session(r, s.cfg.Now())
	if session == "" {
		return false, nil
	}
	ended, err := s.cfg.Store.SessionEnded(r.Context(), session)
	return err == nil && !ended, err
}

// holder finds out whose a token is. The admin's comes last: it is the one that
// could be guessed, so what is nobody's counts as a try at it. The right one is
// heard however many wrong ones came before: behind one address there may be many.
func (s *Site) holder(r *http.Request, token string) visitor {
	user, err := s.sessions.user(r.Context(), token, s.sessions.party)
	if user != "" || err != nil {
		return visitor{user: user, doubt: err}
	}
	t, err := s.tokenOf(r.Context(), token)
	if t.StoreID != "" || err != nil {
		return visitor{store: t.StoreID, token: t.ID, doubt: err}
	}
	if s.admin.is(token) {
		return visitor{admin: true}
	}
	return visitor{doubt: s.wrong(r)}
}

// tokenOf returns the store's token that it is; the zero one if it is none. The
// error is that it has ended, or of Postgres.
func (s *Site) tokenOf(ctx context.Context, token string) (customers.Token, error) {
	t, err := customers.New(s.cfg.Store).UseToken(ctx, token, s.cfg.Now())
	switch {
	case errors.Is(err, pg.ErrNotFound):
		return customers.Token{}, nil
	case err != nil:
		return customers.Token{}, err
	case t.State(s.cfg.Now()) != "active":
		return customers.Token{}, errEnded
	}
	return t, nil
}

// admit returns the one who asks if they belong to the audience. Whoever does
// not gets the same answer whether or not what they ask for exists.
func (s *Site) admit(who audience, r *http.Request) (visitor, error) {
	if who == anyone {
		return visitor{}, nil
	}
	if who == admins && s.cfg.AdminToken == "" {
		return visitor{}, errNoToken
	}
	v := s.visitor(r)
	if v.admin {
		return v, nil
	}
	if who == sellers && (v.user != "" || v.store != "") {
		return v, s.admitTo(r.Context(), r.PathValue("store"), v)
	}
	return v, cmp.Or(v.doubt, error(errStranger))
}

const (
	sessionCookie = "rollcall_session"
	sessionLife   = 24 * time.Hour
	linkLife      = 24 * time.Hour
)

// admin is the one who has the admin token. Sessions and sign-in links are a
// time of expiry and a random word, with a signature made from the token: they
// hold no secret, and all end when the token is changed. Those that are signed out
// of before are listed in Postgres.
type admin struct{ token string }

// is compares hashes, so that neither length nor contents show in the time it
// takes. An empty token is nobody's.
func (a admin) is(token string) bool {
	want, got := sha256.Sum256([]byte(a.token)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && a.token != ""
}

// What a signature is for; one made for a link does not open a session.
const (
	forSession = "session"
	forLink    = "link"
)

func (a admin) sign(purpose string, until time.Time) string {
	said := strconv.FormatInt(until.Unix(), 10) + "." + rand.Text() // of two made in one second, each has its end
	return said + "." + base64.RawURLEncoding.EncodeToString(a.mac(purpose, said))
}

func (a admin) mac(purpose, said string) []byte {
	mac := hmac.New(sha256.New, []byte(a.token))
	mac.Write([]byte("rollcall " + purpose + " until " + said))
	return mac.Sum(nil)
}

// signed tells until when value, signed for the purpose, is good; ok is false if
// it is not, or not any more.
func (a admin) signed(purpose, value string, now time.Time) (until time.Time, ok bool) {
	cut := max(0, strings.LastIndexByte(value, '.'))
	said, signature := value[:cut], strings.TrimPrefix(value[cut:], ".")
	mac, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || a.token == "" || !hmac.Equal(mac, a.mac(purpose, said)) {
		return until, false
	}
	expiry, _, _ := strings.Cut(said, ".")
	seconds, err := strconv.ParseInt(expiry, 10, 64)
	until = time.Unix(seconds, 0)
	return until, err == nil && now.Before(until)
}

// session is that of a request, with its end; empty if there is no good one. It
// may have been signed out of.
func (a admin) session(r *http.Request, now time.Time) (session string, until time.Time) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return "", until
	}
	until, ok := a.signed(forSession, cookie.Value, now)
	if !ok {
		return "", until
	}
	return cookie.Value, until
}

// SignInLink returns a URL that signs in whoever opens it, for a day and as
// often as they like: for the terminal of the one who started the server, as
// dev and demo print it. baseURL is where the Site is, without a slash at its end.
func SignInLink(baseURL, adminToken string, now time.Time) string {
	link := admin{adminToken}.sign(forLink, now.Add(linkLife))
	return baseURL + "/signin?" + url.Values{"link": {link}}.Encode()
}
