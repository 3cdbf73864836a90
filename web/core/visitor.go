package core

import (
	"context"
	"net/http"
	"strconv"
	"strings"
)

// Party is whom a visitor's requests are counted to: all tokens of a store are
// one, however many it has.
func (v Visitor) Party() string {
	if v.Store != "" && !v.Admin {
		return "store:" + v.Store
	}
	return v.Name()
}

// Visitor is who asks, as far as we can tell. The zero value is a stranger.
type Visitor struct {
	Admin bool
	User  string // Clerk's id of who is signed in there
	Store string // whose token a program sent
	Token int64  // that token's id
	Doubt error  // why it cannot be told who asks, or is no longer
}

// VisitorKey is where a request's context has who was admitted.
type VisitorKey struct{}

// Admitted is who was let in to what the request asks for.
func Admitted(r *http.Request) Visitor {
	v, _ := r.Context().Value(VisitorKey{}).(Visitor)
	return v
}

// Name is what a visitor goes by where something is theirs.
func (v Visitor) Name() string {
	switch {
	case v.Admin:
		return "admin"
	case v.Store != "":
		return "token:" + strconv.FormatInt(v.Token, 10)
	}
	return "user:" + v.User
}

// Who is the same in the log; empty for a stranger.
func (v Visitor) Who() string {
	if !v.Admin && v.Store == "" && v.User == "" {
		return ""
	}
	return v.Name()
}

// Presented is the token that a program sent: as a bearer, or as the password
// of whatever user.
func Presented(r *http.Request) string {
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

// AdmitTo returns nil if somebody whom we know may see a store. To others it
// does not exist, and looking for it takes as long as if it did not.
func (s *Site) AdmitTo(ctx context.Context, id string, v Visitor) error {
	if v.Store == id && id != "" {
		return nil
	}
	may, err := s.Cfg.Store.MaySee(ctx, v.User, id)
	if err == nil && !may {
		err = errNotFound
	}
	return err
}
