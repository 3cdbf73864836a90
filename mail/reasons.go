package mail

import (
	"strings"
	"time"
)

// reasons say why a mail is not sent, or what it waits for, of a customer.
var reasons = map[string]string{
	"":            "Would get it",
	"late":        "Too late for it",
	"stopped":     "Wants no mail, or their address fails",
	"consent":     "Has not agreed to marketing mail",
	"gone":        "Is no customer any more",
	"address":     "Has an address that mail servers do not take",
	"merged":      "Got it under another address",
	"twice":       "Another campaign of the same recipe mails them about it",
	"goal":        "Has reached the goal",
	"cap":         "Got enough mail for now",
	"cap_all":     "Got enough mail from stores here this week",
	"postal":      "The store has no postal address",
	"removed":     "Its step was taken out of the campaign",
	"asked":       "To be sent again, as a person asked",
	"quiet":       "The quiet hours have not ended",
	"rehearsal":   "Not sent: a rehearsal",
	"paused":      "The campaign is paused",
	"ended":       "The campaign has ended",
	"held":        "Gets nothing, to compare",
	"hard":        "There is no such mailbox",
	"soft":        "Their mailbox takes no mail now",
	"ours":        "Refused for its text or its sender",
	"refused":     "Refused by the mail server",
	"later":       "To be tried again",
	"trouble":     "The mail server does not answer",
	"again":       "To be repeated under the same key",
	"cut":         "The connection was lost after the text",
	"interrupted": "The worker was stopped while it sent",
	"not_allowed": "MAIL_ALLOWED does not name them",
	"left":        "Left the course",
	"refunded":    "Got their money back",
	"cancelled":   "It was cancelled",
	"expired":     "The order cannot be taken up any more",
	"changed":     "The date has changed",
	"done":        "All steps are done",
	"skipped":     "Left out: its condition was not true",
}

// ReasonText is a reason of a mail in words: why it was not sent, or what it waits for; without one it is sent.
func ReasonText(reason string) string {
	if text, known := reasons[reason]; known {
		return text
	}
	return strings.ReplaceAll(reason, "_", " ")
}

// pauses are why Rollcall pauses the mail of a store by itself: too many of these.
var pauses = map[string]string{"bounces": "addresses do not exist", "complaints": "recipients complained",
	"refused": "mails were refused for their text or sender"}

// PausedText says why Rollcall paused the mail of a store.
func PausedText(store, why string) string {
	return "store " + store + " sends no mail: too many " + pauses[why]
}

// Rests is how long a mail may be due, or a provider take none, before that is reported.
const Rests = 10 * time.Minute
