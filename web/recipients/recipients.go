// Package recipients serves the people who get mail: the page on which they leave, and the links
// in mails. They have no account: the token in the address says which mail they got.
package recipients

import (
	"context"
	"errors"
	"net/http"

	"rollcall/mail"
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

// Leave shows what the recipient of a mail gets. It changes nothing: programs that check mails
// follow every link.
func (s *Pages) Leave(w http.ResponseWriter, r *http.Request) error {
	ticket, err := s.ticket(r)
	if err != nil {
		return err
	}
	return s.answer(w, r, ticket, "")
}

// Left changes what the recipient of a mail gets: by a button of the page, or by their mail program
// in one click (RFC 8058). It asks for no cookie, redirects nowhere, and answers a token of no mail
// like any other.
func (s *Pages) Left(w http.ResponseWriter, r *http.Request) error {
	ticket, err := s.ticket(r)
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
		return s.answer(w, r, ticket, "")
	}
	if ticket.Mail != 0 {
		if err := change(r.Context(), s, ticket); err != nil && !errors.Is(err, pg.ErrNotFound) {
			return err
		}
	}
	return s.answer(w, r, ticket, do)
}

// changes are what the buttons do.
var changes = map[string]func(context.Context, *Pages, mail.Ticket) error{
	"one-click": func(ctx context.Context, s *Pages, t mail.Ticket) error {
		return s.recipients.OneClick(ctx, t, s.Cfg.Now())
	},
	storemail.ThisKind:  leave(storemail.ThisKind),
	storemail.ThisStore: leave(storemail.ThisStore),
	storemail.AllStores: leave(storemail.AllStores),
	"again":             again(false),
	"again-all":         again(true),
	"no-tracking": func(ctx context.Context, s *Pages, t mail.Ticket) error {
		return s.recipients.Say(ctx, t, "denied", s.Cfg.Now())
	},
}

func leave(scope string) func(context.Context, *Pages, mail.Ticket) error {
	return func(ctx context.Context, s *Pages, t mail.Ticket) error {
		return s.recipients.Unsubscribe(ctx, t, scope, s.Cfg.Now())
	}
}

func again(everywhere bool) func(context.Context, *Pages, mail.Ticket) error {
	return func(ctx context.Context, s *Pages, t mail.Ticket) error {
		return s.recipients.Resubscribe(ctx, t, everywhere)
	}
}

// answer shows the page.
func (s *Pages) answer(w http.ResponseWriter, r *http.Request, t mail.Ticket, done string) error {
	p := page{Token: r.PathValue("token"), Done: done}
	if t.Mail != 0 {
		standing, err := s.recipients.Standing(r.Context(), t)
		if err != nil && !errors.Is(err, pg.ErrNotFound) {
			return err
		}
		p.Known, p.Standing = err == nil, standing
	}
	return s.Page(w, http.StatusOK, "leave.html", p)
}

// ticket is what a request's token says; its mail is 0 if no key signed it.
func (s *Pages) ticket(r *http.Request) (t mail.Ticket, err error) {
	token := r.PathValue("token")
	keys, err := s.keys.of(r.Context(), token)
	t, _ = keys.ReadLeave(token)
	return t, err
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
