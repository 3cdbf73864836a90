package core

import (
	"context"
	"net/http"
	"strconv"
	"strings"
)

// Party is the visitor for the limits: all tokens of a store are one party.
func (v Visitor) Party() string {
	if v.Store != "" && !v.Admin {
		return "store:" + v.Store
	}
	return v.Name()
}

// Visitor is the authenticated sender of a request. The zero value is a stranger.
type Visitor struct {
	Admin bool
	User  string // the Clerk user's id
	Store string // of the token that a program sent
	Token int64  // id of that token
	Doubt error  // why the visitor is unknown, or no longer valid
}

// VisitorKey is the context key of a request's Visitor.
type VisitorKey struct{}

// Admitted is the Visitor that was admitted to the request.
func Admitted(r *http.Request) Visitor {
	v, _ := r.Context().Value(VisitorKey{}).(Visitor)
	return v
}

// Name is the visitor as an author: admin, user:<id> or token:<id>.
func (v Visitor) Name() string {
	switch {
	case v.Admin:
		return "admin"
	case v.Store != "":
		return "token:" + strconv.FormatInt(v.Token, 10)
	}
	return "user:" + v.User
}

// Who is the visitor's name for the log; empty for a stranger.
func (v Visitor) Who() string {
	if !v.Admin && v.Store == "" && v.User == "" {
		return ""
	}
	return v.Name()
}

// Presented is the token that a program sent: as a bearer, or as the password of
// any user name.
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

// AdmitTo returns nil if a known visitor may see a store. To others it does not
// exist, and the lookup takes as long as if it did not.
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
