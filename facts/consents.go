package facts

import "time"

// Consent is what a person said to one kind of mail from a store. Of several, the latest counts; of
// two of the same time, the one that denies.
type Consent struct {
	StoreID string    `json:"store_id"`
	UserID  string    `json:"user_id"` // or, empty,
	Email   string    `json:"email"`   // the address that it was said for
	Kind    string    `json:"kind"`
	State   string    `json:"state"`
	SaidAt  time.Time `json:"said_at"`
	Source  string    `json:"source"`  // who reported it: platform, import, page
	Wording string    `json:"wording"` // what they agreed to
	Version Version   `json:"version"`
}

// Kinds and states of a Consent.
const (
	Marketing = "marketing" // mail that is not about something the person asked for
	Tracking  = "tracking"  // to record who follows a link

	Granted = "granted"
	Denied  = "denied"
)

// NewConsent returns c with its version. id is the event's, or says otherwise what reported it.
func NewConsent(c Consent, id string) Consent {
	rank := rankUpdated
	if c.State == Denied {
		rank = rankWithdrawn
	}
	c.SaidAt = c.SaidAt.UTC()
	c.Version = version(c.SaidAt, rank, id)
	return c
}

// maxWording is the longest wording that is kept, in bytes.
const maxWording = 2000

// readConsents reads what a person agreed to, and what not: one of marketing and tracking, or both.
func readConsents(o origin, f *fields) (set Set) {
	who, store := f.person(), f.required("store_id")
	wording, _ := scalar(f.raw["wording"])
	if len(wording) > maxWording {
		f.fail("wording has %d bytes: it may have %d", len(wording), maxWording)
	}
	if who.user != "" {
		who.email = ""
	}
	for _, kind := range []string{Marketing, Tracking} {
		if f.empty(kind) {
			continue
		}
		set.Consents = append(set.Consents, NewConsent(Consent{
			StoreID: store, UserID: who.user, Email: who.email, Kind: kind, State: f.agreed(kind), SaidAt: o.at,
			Source: "platform", Wording: wording,
		}, o.id))
	}
	if len(set.Consents) == 0 {
		f.fail("marketing or tracking is needed: true or false")
	}
	return set
}

// agreed reads whether a person agreed to something.
func (f *fields) agreed(field string) string {
	switch said, _ := scalar(f.raw[field]); said {
	case "true", Granted:
		return Granted
	case "false", Denied:
		return Denied
	}
	f.fail("%s must be true or false, got %s", field, got(f.raw[field]))
	return ""
}
