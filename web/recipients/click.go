package recipients

import (
	"net/http"

	storemail "rollcall/store/mail"
	"rollcall/store/pg"
)

// Click follows a link of a mail. It leads to an address that a mail of the store has, and nowhere
// else. What it counts depends on how the store tracks, and on what the recipient agreed to by now.
func (s *Pages) Click(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	keys, err := s.keys.of(r.Context(), token)
	if err != nil {
		return err
	}
	link, mailID, ok := keys.ReadClick(token)
	if !ok {
		return pg.ErrNotFound
	}
	target, err := s.recipients.Click(r.Context(), storemail.Click{Link: link, Mail: mailID, At: s.Cfg.Now(),
		Probe: r.Method == http.MethodHead})
	if err != nil {
		return err
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, target, http.StatusFound)
	return nil
}
