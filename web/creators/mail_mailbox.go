package creators

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"rollcall/mail"
	storemail "rollcall/store/mail"
	"rollcall/store/pg"
	"rollcall/web/core"
)

// mailboxPage is the data of mailbox.html: the mails that were kept instead of sent.
type mailboxPage struct {
	mailPage
	Mails []keptRow
	Older string // where the list goes on; empty: it does not
}

// keptRow is a kept mail in the list.
type keptRow struct {
	URL, To, Subject string
	At               time.Time
}

// keptPage is the data of kept.html: one kept mail.
type keptPage struct {
	mailPage
	mail.Kept
	At       time.Time
	Back     string
	HTMLURL  string
	Campaign string // where its campaign is; empty: none
}

const mailboxRows = 50

// Mailbox shows the mails that were kept instead of sent, the newest first.
func (s *Pages) Mailbox(w http.ResponseWriter, r *http.Request) (err error) {
	page := mailboxPage{}
	if page.mailPage, err = s.newMailPage(r, "mailbox"); err != nil {
		return err
	}
	before := int64(0)
	if text := r.URL.Query().Get("before"); text != "" {
		var ok bool
		if before, ok = s.IDs().Number(core.MailID, text); !ok {
			return core.ErrCursor
		}
	}
	all, err := s.mails().Mailbox(r.Context(), r.PathValue("store"), before, mailboxRows+1)
	if err != nil {
		return err
	}
	for i, k := range all {
		if i == mailboxRows {
			page.Older = page.URL + "/mailbox?before=" + s.IDs().ID(core.MailID, all[i-1].ID)
			break
		}
		read, err := mail.ReadKept(k.Raw)
		if err != nil {
			return err
		}
		page.Mails = append(page.Mails, keptRow{page.mailURL(s.IDs().ID(core.MailID, k.ID)), k.Email, read.Subject, k.At})
	}
	return s.Page(w, http.StatusOK, "mailbox.html", page)
}

// mailURL is the page of a kept mail.
func (p mailPage) mailURL(id string) string { return p.URL + "/mailbox/" + id }

// Kept shows a mail that was kept instead of sent: as it looks, its text, and its headers.
func (s *Pages) Kept(w http.ResponseWriter, r *http.Request) (err error) {
	page := keptPage{}
	if page.mailPage, err = s.newMailPage(r, "mailbox"); err != nil {
		return err
	}
	kept, read, err := s.keptMail(r)
	if err != nil {
		return err
	}
	page.Kept, page.At, page.Back = read, kept.At, page.URL+"/mailbox"
	page.HTMLURL = page.mailURL(s.IDs().ID(core.MailID, kept.ID)) + "/html"
	if kept.CampaignID != "" {
		page.Campaign = page.campaignURL(kept.CampaignID)
	}
	s.Framing(w)
	return s.Page(w, http.StatusOK, "kept.html", page)
}

// framedPolicy is the policy of the HTML of a mail: it loads nothing, runs nothing, and only pages of this
// site frame it.
const framedPolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; " +
	"frame-ancestors 'self'; sandbox allow-top-navigation-by-user-activation"

// KeptHTML is the HTML of a kept mail, as it would have gone out, for a frame.
func (s *Pages) KeptHTML(w http.ResponseWriter, r *http.Request) error {
	_, read, err := s.keptMail(r)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Security-Policy", framedPolicy)
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Content-Type", "text/html; charset=utf-8")
	// A link of the mail opens in place of the page around it, as it may not open a window.
	w.Write(bytes.Replace([]byte(read.HTML), []byte("<head>"), []byte(`<head><base target="_top">`), 1))
	return nil // who has gone away needs no answer
}

// keptMail is the kept mail in the path, and what is in it.
func (s *Pages) keptMail(r *http.Request) (kept storemail.Kept, read mail.Kept, err error) {
	id, err := mailNumber(r)
	if err == nil {
		kept, err = s.mails().Kept(r.Context(), r.PathValue("store"), id)
	}
	if err == nil {
		read, err = mail.ReadKept(kept.Raw)
	}
	return kept, read, err
}

// mailNumber is the number of the mail in the path.
func mailNumber(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("mail"), 10, 64)
	if err != nil {
		return 0, pg.ErrNotFound
	}
	return id, nil
}
