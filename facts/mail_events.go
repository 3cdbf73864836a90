package facts

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// What providers report of mails: Resend, Postmark, SES and Mailgun. Clicks are not read, as links are
// Rollcall's own. Mails have no pixel; what a provider reports of its own is kept where the recipient agreed to it.

// MailEvent is what a provider reported of a mail.
type MailEvent struct {
	Source  string    `json:"source"`
	ID      string    `json:"event_id"`
	Inbox   string    `json:"inbox_id,omitempty"` // of the event, if that is another
	MailID  *int64    `json:"mail_id,omitempty"`  // ours, if the report has it
	Message string    `json:"message,omitempty"`  // the provider's id of the mail
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"`
	Verdict string    `json:"verdict,omitempty"` // of a bounce
	Detail  string    `json:"detail,omitempty"`  // a bounce's code and kind, without the text, which may name people
	Version Version   `json:"version"`
}

// Kinds of a MailEvent.
const (
	MailAccepted     = "accepted" // by the provider
	MailDelivered    = "delivered"
	MailDelayed      = "delayed"
	MailBounced      = "bounced"
	MailComplained   = "complained"
	MailUnsubscribed = "unsubscribed"
	MailOpened       = "opened"
)

// MailSources are the providers whose reports are read.
var MailSources = []string{"resend", "postmark", "ses", "mailgun"}

var mailReaders = map[string]func(Event) (MailEvent, error){
	"resend": readResend, "postmark": readPostmark, "ses": readSES, "mailgun": readMailgun,
}

// readMailEvent reads a provider's report.
func readMailEvent(e Event) (Set, error) {
	read := mailReaders[e.Source]
	m, err := read(e)
	switch {
	case err != nil:
		return Set{}, malformed("%s event %s (%s): %v", e.Source, e.ID, e.Type, err)
	case m.Kind == "":
		return Set{}, &Ignored{e.Source + " events of type " + e.Type + " are not needed"}
	case m.MailID == nil && m.Message == "":
		return Set{}, malformed("%s event %s (%s): names no message", e.Source, e.ID, e.Type)
	}
	if m.Source, m.ID = e.Source, first(m.ID, e.ID); m.ID != e.ID {
		m.Inbox = e.ID
	}
	if m.At.IsZero() || m.At.After(e.OccurredAt.Add(MaxAhead)) {
		m.At = e.OccurredAt
	}
	m.At = m.At.UTC()
	m.Version = version(m.At, rankCreated, m.ID)
	return Set{MailEvents: []MailEvent{m}}, nil
}

// mailTag is the id of our mail in a provider's tags; other values are none.
type mailTag string

func (t mailTag) id() *int64 {
	if n, err := strconv.ParseInt(string(t), 10, 64); err == nil && n > 0 {
		return &n
	}
	return nil
}

// UnmarshalJSON reads a text, a number, or the first of a list.
func (t *mailTag) UnmarshalJSON(b []byte) error {
	var list []json.RawMessage
	if json.Unmarshal(b, &list) == nil && len(list) > 0 {
		b = list[0]
	}
	s, _ := idText(b)
	*t = mailTag(s)
	return nil
}

// stamp is a time in RFC 3339 or near it, or in seconds since 1970; other shapes are no time.
type stamp struct{ time.Time }

func (s *stamp) UnmarshalJSON(b []byte) error {
	if t := moment(b); t != nil {
		s.Time = *t
		return nil
	}
	var written string
	if json.Unmarshal(b, &written) == nil {
		for _, layout := range []string{"2006-01-02 15:04:05.999999-07", "2006-01-02 15:04:05.999999-07:00"} {
			if t, err := time.Parse(layout, written); err == nil {
				s.Time = t
			}
		}
	}
	return nil
}

// bounceDetail is what is kept of a bounce.
func bounceDetail(parts ...string) string {
	text := strings.Join(strings.Fields(noCode.ReplaceAllString(strings.Join(parts, " "), " ")), " ")
	return text[:min(len(text), maxDetail)]
}

const maxDetail = 80

// noCode finds words that are part of no code: an address, the end of a sentence.
var noCode = regexp.MustCompile(`\S*[^A-Za-z0-9./_\s-]\S*`)

// resendTags are {"name": "value"} or a list of {name, value}.
type resendTags struct{ Mail mailTag }

func (t *resendTags) UnmarshalJSON(b []byte) error {
	var list []struct {
		Name  string
		Value mailTag
	}
	if json.Unmarshal(b, &list) == nil {
		for _, tag := range list {
			if tag.Name == "mail" {
				t.Mail = tag.Value
			}
		}
		return nil
	}
	var named struct{ Mail mailTag }
	if json.Unmarshal(b, &named) == nil {
		t.Mail = named.Mail
	}
	return nil
}

var resendKinds = map[string]string{
	"email.sent": MailAccepted, "email.delivered": MailDelivered, "email.delivery_delayed": MailDelayed,
	"email.bounced": MailBounced, "email.suppressed": MailBounced, "email.failed": MailBounced,
	"email.complained": MailComplained, "email.opened": MailOpened,
}

// readResend reads a webhook of Resend. A mail that it did not send, as its address is suppressed,
// is a hard bounce; one that failed otherwise is our fault.
func readResend(e Event) (m MailEvent, err error) {
	var body struct {
		CreatedAt stamp `json:"created_at"`
		Data      struct {
			EmailID text `json:"email_id"`
			Tags    resendTags
			Bounce  struct{ Type, SubType, Message text }
		}
	}
	if m.Kind = resendKinds[e.Type]; m.Kind == "" {
		return m, nil
	}
	if err := json.Unmarshal(e.Payload, &body); err != nil {
		return m, err
	}
	d := body.Data
	m.MailID, m.Message, m.At = d.Tags.Mail.id(), ref(string(d.EmailID)), body.CreatedAt.Time
	switch e.Type {
	case "email.bounced":
		status := EnhancedStatus(string(d.Bounce.Message))
		m.Verdict = BounceVerdict(status, string(d.Bounce.Type+"/"+d.Bounce.SubType), string(d.Bounce.Type))
		m.Detail = bounceDetail(status, string(d.Bounce.Type), string(d.Bounce.SubType))
	case "email.suppressed":
		m.Verdict, m.Detail = Hard, "suppressed"
	case "email.failed":
		m.Verdict, m.Detail = Ours, "failed"
	}
	return m, nil
}

// readPostmark reads a webhook of Postmark.
func readPostmark(e Event) (m MailEvent, err error) {
	var body struct {
		MessageID                                     text
		Metadata                                      struct{ Mail mailTag }
		Type, Details                                 text
		SuppressSending                               bool
		SuppressionReason, Origin                     text
		BouncedAt, DeliveredAt, ChangedAt, ReceivedAt stamp
	}
	if err := json.Unmarshal(e.Payload, &body); err != nil {
		return m, err
	}
	m.MailID, m.Message = body.Metadata.Mail.id(), ref(string(body.MessageID))
	switch {
	case e.Type == "Delivery":
		m.Kind, m.At = MailDelivered, body.DeliveredAt.Time
	case e.Type == "Open":
		m.Kind, m.At = MailOpened, body.ReceivedAt.Time
	case e.Type == "SpamComplaint", e.Type == "Bounce" && body.Type == "SpamComplaint":
		m.Kind, m.At = MailComplained, body.BouncedAt.Time
	case e.Type == "Bounce" && body.Type == "Unsubscribe":
		m.Kind, m.At = MailUnsubscribed, body.BouncedAt.Time
	case e.Type == "Bounce" && !noBounce[string(body.Type)]:
		status := EnhancedStatus(string(body.Details))
		m.Kind, m.At, m.Verdict = MailBounced, body.BouncedAt.Time, BounceVerdict(status, string(body.Type))
		m.Detail = bounceDetail(status, string(body.Type))
	case e.Type == "SubscriptionChange" && body.SuppressSending && body.SuppressionReason == "ManualSuppression":
		m.Kind, m.At = MailUnsubscribed, body.ChangedAt.Time
	}
	return m, nil
}

// noBounce are Postmark's types of bounces that are answers.
var noBounce = map[string]bool{"AutoResponder": true, "OpenRelayTest": true, "Subscribe": true, "AddressChange": true,
	"ChallengeVerification": true, "Unconfirmed": true}

// sesTypes are the types that are read. Others may have no JSON in them.
var sesTypes = map[string]bool{"Send": true, "Delivery": true, "DeliveryDelay": true, "Complaint": true,
	"Subscription": true, "Open": true, "Reject": true, "Rendering Failure": true, "Bounce": true}

// readSES reads an event that SES published to SNS.
func readSES(e Event) (m MailEvent, err error) {
	if !sesTypes[e.Type] {
		return m, nil
	}
	var note struct{ Message string }
	if err := json.Unmarshal(e.Payload, &note); err != nil {
		return m, err
	}
	var body struct {
		Mail struct {
			MessageID text `json:"messageId"`
			Tags      struct{ Mail mailTag }
		}
		Bounce struct {
			Type      text `json:"bounceType"`
			SubType   text `json:"bounceSubType"`
			Timestamp stamp
			People    []struct {
				Status     text
				Diagnostic text `json:"diagnosticCode"`
			} `json:"bouncedRecipients"`
		}
		Complaint, Delivery, DeliveryDelay, Open struct{ Timestamp stamp }
	}
	if err := json.Unmarshal([]byte(note.Message), &body); err != nil {
		return m, fmt.Errorf("Message: %w", err)
	}
	m.MailID, m.Message = body.Mail.Tags.Mail.id(), ref(string(body.Mail.MessageID))
	switch e.Type {
	case "Send":
		m.Kind = MailAccepted
	case "Delivery":
		m.Kind, m.At = MailDelivered, body.Delivery.Timestamp.Time
	case "DeliveryDelay":
		m.Kind, m.At = MailDelayed, body.DeliveryDelay.Timestamp.Time
	case "Complaint":
		m.Kind, m.At = MailComplained, body.Complaint.Timestamp.Time
	case "Subscription":
		m.Kind = MailUnsubscribed
	case "Open":
		m.Kind, m.At = MailOpened, body.Open.Timestamp.Time
	case "Reject", "Rendering Failure":
		m.Kind, m.Verdict, m.Detail = MailBounced, Ours, e.Type
	case "Bounce":
		b, status := body.Bounce, ""
		for _, p := range b.People {
			status = first(status, EnhancedStatus(string(p.Diagnostic)), EnhancedStatus(string(p.Status)))
		}
		m.Kind, m.At = MailBounced, b.Timestamp.Time
		m.Verdict = BounceVerdict(status, string(b.Type+"/"+b.SubType), string(b.Type))
		m.Detail = bounceDetail(status, string(b.Type), string(b.SubType))
	}
	return m, nil
}

// readMailgun reads a webhook of Mailgun. Its id is the event's, as the inbox has that of the
// signature, which counts once.
func readMailgun(e Event) (m MailEvent, err error) {
	var body struct {
		Data struct {
			ID        text
			Timestamp stamp
			Severity  text
			Reason    text
			Variables struct{ Mail mailTag } `json:"user-variables"`
			Client    struct{ Bot text }     `json:"client-info"`
			Message   struct {
				Headers struct {
					ID text `json:"message-id"`
				}
			}
			Status struct {
				Enhanced text `json:"enhanced-code"`
				Message  text
			} `json:"delivery-status"`
		} `json:"event-data"`
	}
	if err := json.Unmarshal(e.Payload, &body); err != nil {
		return m, err
	}
	d := body.Data
	m.ID, m.MailID, m.Message = ref(string(d.ID)), d.Variables.Mail.id(), ref(string(d.Message.Headers.ID))
	m.At = d.Timestamp.Time
	switch e.Type {
	case "accepted":
		m.Kind = MailAccepted
	case "delivered":
		m.Kind = MailDelivered
	case "complained":
		m.Kind = MailComplained
	case "unsubscribed":
		m.Kind = MailUnsubscribed
	case "opened":
		if d.Client.Bot == "" { // or a program opened it
			m.Kind = MailOpened
		}
	case "failed":
		status := first(EnhancedStatus(string(d.Status.Enhanced)), EnhancedStatus(string(d.Status.Message)))
		m.Kind, m.Verdict = MailBounced, BounceVerdict(status, string(d.Reason), string(d.Severity))
		m.Detail = bounceDetail(status, string(d.Severity), string(d.Reason))
	}
	return m, nil
}
