package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// visitor is who asks, as far as we can tell. The zero value is a stranger.
type visitor struct {
	admin bool
}

// maySee tells whether the visitor may read what belongs to a store.
func (v visitor) maySee(store string) bool { return v.admin }

// visitor finds out who asks. Each kind of proof is one line; one that holds is
// enough, as a browser sends along what it once was told.
func (s *Site) visitor(r *http.Request) visitor {
	_, password, _ := r.BasicAuth() // whatever the user is called
	return visitor{
		admin: s.admin.is(bearer(r)) || s.admin.is(password) || s.admin.hasSession(r, s.cfg.Now()),
	}
}

// admit returns nil if the one who asks belongs to the audience. Strangers get
// the same answer whether or not what they ask for exists.
func (s *Site) admit(who audience, r *http.Request) error {
	if who == anyone {
		return nil
	}
	if s.cfg.AdminToken == "" {
		return errNoToken
	}
	v := s.visitor(r)
	if who == admins && v.admin || who == sellers && v.maySee(r.PathValue("store")) {
		return nil
	}
	return errStranger
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
