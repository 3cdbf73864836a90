package web

import (
	"context"
	"net/http"
	"strconv"
	"strings"
)

// party is whom a visitor's requests are counted to: all tokens of a store are
// one, however many it has.
func (v visitor) party() string {
	if v.store != "" && !v.admin {
		return "store:" + v.store
	}
	return v.name()
}

// visitor is who asks, as far as we can tell. The zero value is a stranger.
type visitor struct {
	admin bool
	user  string // Clerk's id of who is signed in there
	store string // whose token a program sent
	token int64  // that token's id
	doubt error  // why it cannot be told who asks, or is no longer
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
