package web

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rollcall/store"
)

// visitor is who asks, as far as we can tell. The zero value is a stranger.
type visitor struct {
	admin bool
	user  string // Clerk's id of who is signed in there
	store string // whose token a program sent
	token int64  // that token's id
	doubt error  // why it cannot be told who asks, or is no longer
}

// visitor finds out who asks. One proof that holds is enough, as a browser
// sends along what it once was told.
func (s *Site) visitor(r *http.Request) visitor {
	if s.admin.hasSession(r, s.cfg.Now()) {
		return visitor{admin: true}
	}
	var v visitor
	if token := presented(r); token != "" {
		v = s.holder(r, token)
	}
	if !v.admin && v.user == "" {
		user, doubt := s.sessions.firstUser(r.Context(), clerkTokens(r))
		v.user, v.doubt = user, cmp.Or(v.doubt, doubt)
	}
	return v
}

// holder finds out whose a token is. The admin's comes last: it is the one that
// could be guessed, so what is nobody's else counts as a try at it.
func (s *Site) holder(r *http.Request, token string) visitor {
	user, err := s.sessions.user(r.Context(), token, s.sessions.party)
	if user != "" || err != nil {
		return visitor{user: user, doubt: err}
	}
	t, err := s.tokenOf(r.Context(), token)
	if t.StoreID != "" || err != nil {
		return visitor{store: t.StoreID, token: t.ID, doubt: err}
	}
	ok, heard := s.throttle.try(s.client(r), s.cfg.Now(), func() bool { return s.admin.is(token) })
	if !heard {
		return visitor{doubt: errTooMany}
	}
	return visitor{admin: ok}
}

// tokenOf returns the store's token that it is; the zero one if it is none. The
// error is that it has ended, or of Postgres.
func (s *Site) tokenOf(ctx context.Context, token string) (store.Token, error) {
	t, err := s.cfg.Store.UseToken(ctx, token, s.cfg.Now())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Token{}, nil
	case err != nil:
		return store.Token{}, err
	case t.State(s.cfg.Now()) != "active":
		return store.Token{}, errEnded
	}
	return t, nil
}

// visitorKey is where a request's context has who was admitted.
type visitorKey struct{}

// admitted is who was let in to what the request asks for.
func admitted(r *http.Request) visitor {
	v, _ := r.Context().Value(visitorKey{}).(visitor)
	return v
}

// name is what a visitor goes by where something is theirs.
func (v visitor) name() string {
	switch {
	case v.admin:
		return "admin"
	case v.store != "":
		return "token:" + strconv.FormatInt(v.token, 10)
	}
	return "user:" + v.user
}

// who is the same in the log; empty for a stranger.
func (v visitor) who() string {
	if !v.admin && v.store == "" && v.user == "" {
		return ""
	}
	return v.name()
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

// admitTo returns nil if somebody whom we know may see a store. To others it
// does not exist, and looking for it takes as long as if it did not.
func (s *Site) admitTo(ctx context.Context, id string, v visitor) error {
	if v.store == id && id != "" {
		return nil
	}
	may, err := s.cfg.Store.MaySee(ctx, v.user, id)
	if err == nil && !may {
		err = errNotFound
	}
	return err
}

// presented is the token that a program sent: as a bearer, or as the password
// of whatever user.
func presented(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	return bearer(r)
}

// bearer is the token of an Authorization: Bearer header, or empty.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

const (
	sessionCookie = "rollcall_session"
	sessionLife   = 24 * time.Hour
	linkLife      = 24 * time.Hour
)

// admin is the one who has the admin token. Sessions and sign-in links are a
// time of expiry with a signature made from the token: they hold no secret, need
// no table, and all end when the token is changed.
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
	expiry := strconv.FormatInt(until.Unix(), 10)
	return expiry + "." + base64.RawURLEncoding.EncodeToString(a.mac(purpose, expiry))
}

func (a admin) mac(purpose, expiry string) []byte {
	mac := hmac.New(sha256.New, []byte(a.token))
	mac.Write([]byte("rollcall " + purpose + " until " + expiry))
	return mac.Sum(nil)
}

// signed tells whether value was signed for the purpose and has not expired.
func (a admin) signed(purpose, value string, now time.Time) bool {
	expiry, signature, _ := strings.Cut(value, ".")
	mac, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	if err != nil || a.token == "" || !hmac.Equal(mac, a.mac(purpose, expiry)) {
		return false
	}
	until, err := strconv.ParseInt(expiry, 10, 64)
	return err == nil && now.Unix() < until
}

func (a admin) hasSession(r *http.Request, now time.Time) bool {
	cookie, err := r.Cookie(sessionCookie)
	return err == nil && a.signed(forSession, cookie.Value, now)
}

// SignInLink returns a URL that signs in whoever opens it, for a day and as
// often as they like: for the terminal of the one who started the server, as
// dev and demo print it. baseURL is where the Site is, without a slash at its end.
func SignInLink(baseURL, adminToken string, now time.Time) string {
	link := admin{adminToken}.sign(forLink, now.Add(linkLife))
	return baseURL + "/signin?" + url.Values{"link": {link}}.Encode()
}
