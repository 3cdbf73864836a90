package operators

import (
	"net/http"

	"rollcall/mail"
	storemail "rollcall/store/mail"
	"rollcall/store/pg"
)

// mailPage is the data of admin_mail.html: what all stores send.
type mailPage struct {
	adminPage
	Lanes   []mailLane
	Reasons []storemail.Count // of all stores, those of mails that were not sent
	Unknown []storemail.Mail
	Missing []string // settings without which nothing is sent
	Counted bool     // false: that takes too long just now
}

// mailLane is what a store sends.
type mailLane struct {
	storemail.Lane
	Mails map[string]int64 // by status
	Rates storemail.Rates
}

// Waits are the mails that are to be sent.
func (l mailLane) Waits() int64 { return l.Mails[mail.Due] + l.Mails["sending"] }

const (
	mailDays    = 30
	shownLanes  = 100 // those in trouble come first
	shownDoubts = 50
)

// Mail shows what all stores send, and what is in the way.
func (s *Pages) Mail(w http.ResponseWriter, r *http.Request) (err error) {
	page, mails := mailPage{adminPage: s.adminPage("mail", "Mail"), Counted: true}, storemail.New(s.Cfg.Store, nil)
	lanes, err := mails.Lanes(r.Context())
	if err != nil {
		return err
	}
	counts, err := mails.Counts(r.Context(), "", s.Cfg.Now().AddDate(0, 0, -mailDays))
	if pg.TimedOut(err) {
		page.Counted, err = false, nil
	}
	if err != nil {
		return err
	}
	for _, l := range lanes[:min(len(lanes), shownLanes)] {
		one := mailLane{Lane: l, Mails: map[string]int64{}}
		for _, c := range counts {
			if c.Store == l.Store {
				one.Mails[c.Status] += c.Mails
			}
		}
		if one.Rates, err = mails.Rates(r.Context(), l.Store); err != nil {
			return err
		}
		page.Lanes = append(page.Lanes, one)
	}
	page.Reasons = unsent(counts)
	if page.Unknown, err = mails.List(r.Context(), storemail.Filter{Status: mail.Unknown}, shownDoubts); err != nil {
		return err
	}
	if page.Missing, err = mails.MissingSettings(r.Context()); err != nil {
		return err
	}
	return s.Page(w, http.StatusOK, "admin_mail.html", page)
}

// unsent sums up why mails of all stores were not sent.
func unsent(counts []storemail.Count) (all []storemail.Count) {
	at := map[string]int{}
	for _, c := range counts {
		if c.Status != mail.Skipped && c.Status != mail.Failed {
			continue
		}
		i, known := at[c.Reason]
		if !known {
			i, at[c.Reason] = len(all), len(all)
			all = append(all, storemail.Count{Status: c.Status, Reason: c.Reason})
		}
		all[i].Mails += c.Mails
	}
	return all
}
