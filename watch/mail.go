package watch

import (
	"fmt"
	"time"

	"rollcall/internal/show"
	"rollcall/mail"
	"rollcall/store/finding"
	"rollcall/store/status"
)

// stopped judges the mail of a store that does not go out. People who pause it know.
func stopped(m status.StoppedMail, now time.Time) (all []judgement) {
	store := show.Quote(m.Store)
	if m.Paused != "" {
		all = append(all, judgement{Finding: finding.Finding{
			Kind: MailPaused, Subject: m.Store, Severity: finding.Problem,
			What: mail.PausedText(m.Store, m.Paused),
			Fix:  []string{"rollcall mail list --store " + store + " --status failed", "rollcall mail resume --store " + store},
		}, certain: true})
	}
	if m.Failing != nil && now.Sub(*m.Failing) > mail.Rests {
		all = append(all, judgement{Finding: finding.Finding{
			Kind: MailFailing, Subject: m.Store, Severity: finding.Problem,
			What: fmt.Sprintf("the provider has taken no mail of store %s for %s", m.Store, Span(now.Sub(*m.Failing))),
			Fix:  []string{"rollcall doctor --store " + store},
		}})
	}
	return all
}

// unconfirmed judges a campaign that Rollcall paused, as more match by now than were confirmed.
func unconfirmed(c status.PausedCampaign) judgement {
	return judgement{Finding: finding.Finding{
		Kind: CampaignPaused, Subject: c.ID, Severity: finding.Problem,
		What: fmt.Sprintf("the campaign “%s” of store %s is paused: more customers match than were confirmed", c.Name,
			show.Quote(c.Store)),
		Fix: []string{"rollcall mail preview --store " + show.Quote(c.Store) + " " + c.ID},
	}, certain: true}
}
