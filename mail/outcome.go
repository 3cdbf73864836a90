package mail

import (
	"regexp"
	"strings"
	"time"

	"rollcall/facts"
)

// Status of a mail after a try to send it.
const (
	Due     = "due" // to be tried again
	Sent    = "sent"
	Failed  = "failed"
	Skipped = "skipped"
	Unknown = "unknown" // it may have been taken
)

// Reasons of outcomes, as rows have them.
const (
	ReasonHard    = facts.Hard // there is no such mailbox: the address is stopped
	ReasonSoft    = facts.Soft // the mailbox takes no mail now
	ReasonOurs    = facts.Ours // the text or the sender is refused, not the person
	ReasonRefused = "refused"  // without a reason that can be read
	ReasonLater   = "later"    // it is to be tried again
	ReasonTrouble = "trouble"  // the provider did not answer, or refuses this sender
	ReasonAgain   = "again"    // it may have been taken, and is repeated under the same key
	ReasonAddress = "address"  // providers take no such address
	ReasonCut     = "cut"      // the connection was lost after the text
	ReasonAllowed = "not_allowed"
)

// Outcome is what became of a try to send a mail.
type Outcome struct {
	Status, Reason string
	ProviderID     string
	Answer         string        // of the provider, without the address
	Trouble        bool          // it is not about this mail: others would fare the same
	Wait           time.Duration // what the provider asks for before the next mail
}

// Bounce is the verdict on a refusal, by its SMTP code and the enhanced code of RFC 3463 if there
// is one: hard, soft or ours. atRecipient tells that it was said of the recipient, before the text.
func Bounce(code int, enhanced string, atRecipient bool) string {
	if verdict := facts.StatusVerdict(enhanced); verdict != "" {
		return verdict
	}
	switch {
	case code == 552, code == 452:
		return ReasonSoft
	case atRecipient && (code == 550 || code == 551 || code == 553) && enhanced == "":
		return ReasonHard
	}
	return ReasonRefused
}

var (
	enhancedCode = regexp.MustCompile(`\b[245]\.\d{1,3}\.\d{1,3}\b`)
	anAddress    = regexp.MustCompile(`<?[^\s<>@]+@[^\s<>@]+>?`)
)

const longestAnswer = 300

// answer is what a provider said, fit to be kept: on one line, without addresses.
func answer(text string) string {
	text = anAddress.ReplaceAllString(oneLine(text), "<…>")
	if r := []rune(text); len(r) > longestAnswer {
		text = string(r[:longestAnswer]) + "…"
	}
	return text
}

// fields are the words of an answer, without what encloses them.
func fields(said string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for word := range strings.FieldsSeq(said) {
			if !yield(strings.Trim(word, "<>[]().,;:\"'")) {
				return
			}
		}
	}
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }
