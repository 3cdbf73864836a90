package creators

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// mostTokens is how many tokens a store may have that are valid.
const mostTokens = 50

// TokenForm makes a token, and shows it this once.
func (s *Pages) TokenForm(w http.ResponseWriter, r *http.Request) error {
	page, err := s.changing(w, r)
	if err != nil {
		return err
	}
	page.TokenName = strings.TrimSpace(r.PostForm.Get("name"))
	made, err := s.makeToken(r, page.TokenName, r.PostForm.Get("days"))
	if page.refused(err) {
		return s.showSettings(w, r, page)
	}
	if err != nil {
		return err
	}
	page.Made, page.TokenName = &made, ""
	s.Cfg.Log.InfoContext(r.Context(), "store token made", "token", made.ID, "store", made.StoreID,
		"by", core.Admitted(r).Name())
	return s.showSettings(w, r, page)
}

// makeToken makes a token of the store in the path. The error for bad input is a
// *pg.BadParam.
func (s *Pages) makeToken(r *http.Request, name, days string) (made customers.MadeToken, err error) {
	t := customers.NewToken{Store: r.PathValue("store"), Name: name}
	if name == "" {
		return made, pg.Refuse("name", "is empty; write what the token is for")
	}
	if !slices.ContainsFunc(core.TokenLives, func(o core.Option) bool { return o.Value == days }) {
		return made, pg.Refuse("days", "is not in the list")
	}
	if n, err := strconv.Atoi(days); err == nil {
		at := time.Now().AddDate(0, 0, n) // Postgres compares it with its own clock
		t.Expires = &at
	}
	all, err := customers.New(s.Cfg.Store).Tokens(r.Context(), t.Store)
	if err != nil {
		return made, err
	}
	all = slices.DeleteFunc(all, func(t customers.Token) bool { return t.State(s.Cfg.Now()) != "active" })
	if len(all) >= mostTokens {
		return made, pg.Refuse("name", "cannot be used: the store has %d tokens. Revoke one first", mostTokens)
	}
	return customers.New(s.Cfg.Store).CreateToken(r.Context(), t)
}

// TokenRevoked handles the button that revokes a token.
func (s *Pages) TokenRevoked(w http.ResponseWriter, r *http.Request) error {
	page, err := s.changing(w, r)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(r.PathValue("token"), 10, 64)
	if err != nil {
		return pg.ErrNotFound
	}
	t, err := customers.New(s.Cfg.Store).RevokeTokenOf(r.Context(), r.PathValue("store"), id)
	if err != nil {
		return err
	}
	s.Cfg.Log.InfoContext(r.Context(), "store token revoked", "token", t.ID, "store", t.StoreID,
		"by", core.Admitted(r).Name(), "last_used", t.LastUsedAt, "made", t.CreatedAt.Format(time.RFC3339))
	http.Redirect(w, r, page.URL+"#tokens", http.StatusSeeOther)
	return nil
}
