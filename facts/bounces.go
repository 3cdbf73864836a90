package facts

import (
	"regexp"
	"strings"
)

// Verdicts on a mail that did not arrive.
const (
	Hard = "hard" // there is no such mailbox: it is not written to again
	Soft = "soft" // not now; five in a row are as hard
	Ours = "ours" // the mail or its sender was not wanted: not held against the person
)

// verdicts are those on enhanced status codes (RFC 3463), by the longest beginning. What is not
// here is decided by the provider's own words.
var verdicts = map[string]string{
	"5.1.":   Hard, // no such address or domain
	"5.1.7":  Ours, // the sender's address
	"5.1.8":  Ours,
	"5.2.":   Soft,
	"5.2.1":  Hard, // the mailbox is disabled
	"5.2.3":  Ours, // the mail is too large
	"5.3.":   Soft,
	"5.3.4":  Ours, // the same
	"5.4.":   Soft,
	"5.4.1":  Hard, // the address was rejected
	"5.4.4":  Hard, // its domain has no mail server; SES calls it transient
	"5.5.":   Ours, // the dialogue
	"5.6.":   Ours, // the content
	"5.7.":   Ours, // a policy, or taken for spam
	"4.":     Soft,
	"4.4.7":  Hard, // tried for days
	"5.7.13": Hard, // the account is disabled
}

// bounceWords are those of SES and Resend (type/subtype), Postmark (Type) and Mailgun (severity, or
// the reason of one that it did not send).
var bounceWords = map[string]string{
	"Permanent": Hard, "Permanent/General": Hard, "Permanent/NoEmail": Hard, "Permanent/Suppressed": Hard,
	"Permanent/OnAccountSuppressionList": Hard, "Permanent/UnsubscribedRecipient": Ours,
	"Transient/MessageTooLarge": Ours, "Transient/ContentRejected": Ours, "Transient/AttachmentRejected": Ours,
	"Transient/CustomTimeoutExceeded": Soft,

	"HardBounce": Hard, "BadEmailAddress": Hard, "ManuallyDeactivated": Hard,
	"SpamNotification": Ours, "Blocked": Ours, "SMTPApiError": Ours, "DMARCPolicy": Ours, "VirusNotification": Ours,
	"TemplateRenderingFailed": Ours, "InboundError": Ours,

	"permanent": Hard, "suppress-bounce": Hard, "suppress-complaint": Ours, "suppress-unsubscribe": Ours, "espblock": Ours,
}

var enhanced = regexp.MustCompile(`(?:^|[^\d.])([245]\.\d{1,3}\.\d{1,3})(?:[^\d.]|\.?$)`)

// EnhancedStatus returns the first enhanced status code in a server's answer; empty if it has none.
func EnhancedStatus(answer string) string {
	if found := enhanced.FindStringSubmatch(answer); found != nil {
		return found[1]
	}
	return ""
}

// StatusVerdict decides by an enhanced status code; empty: it says too little.
func StatusVerdict(status string) string {
	for known := status; known != ""; known = known[:len(known)-1] {
		if v := verdicts[known]; v != "" && (known == status || strings.HasSuffix(known, ".")) {
			return v
		}
	}
	return ""
}

// BounceVerdict decides by an enhanced status code, or else by the first known of a provider's words.
func BounceVerdict(status string, words ...string) string {
	if v := StatusVerdict(status); v != "" {
		return v
	}
	for _, w := range words {
		if v := bounceWords[w]; v != "" {
			return v
		}
	}
	return Soft
}
