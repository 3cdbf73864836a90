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
