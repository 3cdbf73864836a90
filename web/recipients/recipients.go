// Package recipients serves the people who get mail: the page on which they leave, and the links
// in mails. They have no account: the token in the address says which mail they got.
package recipients

import (
	"context"
	"errors"
	"net/http"
	"slices"

	storemail "rollcall/store/mail"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// Pages serves the recipients' pages of a site.
type Pages struct {
	*core.Site
	recipients *storemail.Recipients
	keys       keys
}

// New returns the recipients' pages of s.
func New(s *core.Site) *Pages {
	r := storemail.NewRecipients(s.Cfg.Store)
	return &Pages{Site: s, recipients: r, keys: keys{read: r.Keys}}
}

// Routes.
const (
	LeavePath = "/mail/u/{token}"
	ClickPath = "/mail/c/{token}"
)

// page is the data of leave.html. Without a standing the token is of no mail that is known.
type page struct {
	Token string
	Done  string // what was changed just now
	Known bool
	storemail.Standing
}

// Title is what a browser's tab shows.
func (p page) Title() string { return "Your emails" }

// Stops tells whether the recipient unsubscribed in a scope.
func (p page) Stops(scope string) bool { return slices.Contains(p.Stopped, scope) }

// Leave shows what the recipient of a mail gets. It changes nothing: programs that check mails
// follow every link.
func (s *Pages) Leave(w http.ResponseWriter, r *http.Request) error {
	id, err := s.mail(r)
	if err != nil {
		return err
	}
	return s.answer(w, r, id, "")
}

// Left changes what the recipient of a mail gets: by a button of the page, or by their mail program
// in one click (RFC 8058). It asks for no cookie, redirects nowhere, and answers a token of no mail
// like any other.
func (s *Pages) Left(w http.ResponseWriter, r *http.Request) error {
	id, err := s.mail(r)
	if err != nil {
		return err
	}
	r.Body = http.MaxBytesReader(w, r.Body, core.MaxForm)
	if err := r.ParseMultipartForm(core.MaxForm); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return core.ErrForm
	}
	do := r.PostFormValue("do")
	if r.PostFormValue("List-Unsubscribe") == "One-Click" {
		do = "one-click"
	}
	change, ok := changes[do]
	if !ok {
		return s.answer(w, r, id, "")
	}
	if id != 0 {
		if err := change(r.Context(), s, id); err != nil && !errors.Is(err, pg.ErrNotFound) {
			return err
		}
	}
	return s.answer(w, r, id, do)
}

// changes are what the buttons do.
var changes = map[string]func(context.Context, *Pages, int64) error{
	"one-click": func(ctx context.Context, s *Pages, id int64) error {
		return s.recipients.OneClick(ctx, id, s.Cfg.Now())
	},
	storemail.ThisKind:  leave(storemail.ThisKind),
	storemail.ThisStore: leave(storemail.ThisStore),
	storemail.AllStores: leave(storemail.AllStores),
	"again":             func(ctx context.Context, s *Pages, id int64) error { return s.recipients.Resubscribe(ctx, id) },
	"no-tracking": func(ctx context.Context, s *Pages, id int64) error {
		return s.recipients.Say(ctx, id, "denied", s.Cfg.Now())
	},
}

func leave(scope string) func(context.Context, *Pages, int64) error {
	return func(ctx context.Context, s *Pages, id int64) error {
		return s.recipients.Unsubscribe(ctx, id, scope, s.Cfg.Now())
	}
}

// answer shows the page.
func (s *Pages) answer(w http.ResponseWriter, r *http.Request, id int64, done string) error {
	p := page{Token: r.PathValue("token"), Done: done}
	if id != 0 {
		standing, err := s.recipients.Standing(r.Context(), id)
		if err != nil && !errors.Is(err, pg.ErrNotFound) {
			return err
		}
		p.Known, p.Standing = err == nil, standing
	}
	return s.Page(w, http.StatusOK, "leave.html", p)
}

// mail is the id of the mail of a request's token; 0 if the token is of none.
func (s *Pages) mail(r *http.Request) (id int64, err error) {
	token := r.PathValue("token")
	keys, err := s.keys.of(r.Context(), token)
	id, _ = keys.ReadLeave(token)
	return id, err
}

// Throttled lets a handler through in turns: each network's requests wait for each other.
func (s *Pages) Throttled(h core.Handler) core.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		leave, err := s.Gates.Requests.Enter(r.Context(), s.Client(r).String())
		if err != nil {
			return err
		}
		defer leave()
		return h(w, r)
	}
}
