package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// What providers report, as their documentation has it: the source, type and payload, and what is
// read: kind, verdict, our mail, the provider's id, when, detail.
func TestMailEvents(t *testing.T) {
	received := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	sns := func(message string) string {
		text, _ := json.Marshal(map[string]string{"Type": "Notification", "MessageId": "sns_1", "Message": message})
		return string(text)
	}
	const (
		resend = `{"created_at":"2026-11-22T23:41:12.126Z","data":{"email_id":"56761188","to":["a@x.example"],
			"tags":{"mail":"12"}%s}}`
		pm = `{"MessageID":"883953f4","Metadata":{"mail":"12"},"BouncedAt":"2026-11-22T23:41:12Z",
			"DeliveredAt":"2026-11-22T23:41:12Z","ChangedAt":"2026-11-22T23:41:12Z",
			"ReceivedAt":"2026-11-22T23:41:12Z","Email":"a@x.example"%s}`
		ses     = `{"mail":{"messageId":"EXAMPLE7","tags":{"mail":["12"],"ses:from-domain":["x"]}}%s}`
		mailgun = `{"signature":{"token":"t"},"event-data":{"id":"G9Bn5sl1","timestamp":1795390872.126,
			"user-variables":{"mail":"12"},
			"message":{"headers":{"message-id":"20130503182626.18666.16540@x.example"}}%s}}`
	)
	for _, c := range []struct{ source, typ, payload, want string }{
		{"resend", "email.sent", fmt.Sprintf(resend, ""), "accepted - 12 56761188 23:41:12 -"},
		{"resend", "email.delivered", fmt.Sprintf(resend, ""), "delivered - 12 56761188 23:41:12 -"},
		{"resend", "email.delivery_delayed", fmt.Sprintf(resend, ""), "delayed - 12 56761188 23:41:12 -"},
		{"resend", "email.complained", fmt.Sprintf(resend, ""), "complained - 12 56761188 23:41:12 -"},
		{"resend", "email.bounced", fmt.Sprintf(resend, `,"bounce":{"type":"Permanent","subType":"General",
			"message":"smtp; 550 5.1.1 <a@x.example> no such user"}`),
			"bounced hard 12 56761188 23:41:12 5.1.1 Permanent General"},
		{"resend", "email.bounced", fmt.Sprintf(resend, `,"bounce":{"type":"Permanent","subType":"Suppressed"}`),
			"bounced hard 12 56761188 23:41:12 Permanent Suppressed"},
		{"resend", "email.bounced", fmt.Sprintf(resend, `,"bounce":{"type":"Transient","subType":"MailboxFull"}`),
			"bounced soft 12 56761188 23:41:12 Transient MailboxFull"},
		{"resend", "email.suppressed", fmt.Sprintf(resend, ""), "bounced hard 12 56761188 23:41:12 suppressed"},
		{"resend", "email.failed", fmt.Sprintf(resend, ""), "bounced ours 12 56761188 23:41:12 failed"},
		{"resend", "email.opened", fmt.Sprintf(resend, ""), "opened - 12 56761188 23:41:12 -"},
		{"resend", "email.clicked", fmt.Sprintf(resend, ""), "ignored"},
		{"resend", "contact.created", `{"data":{"id":"c"}}`, "ignored"},
		{"resend", "email.delivered", `{"created_at":"2026-11-22 23:41:12.126+00","data":{"email_id":"e",
			"tags":[{"name":"mail","value":"7"}]}}`, "delivered - 7 e 23:41:12 -"},
		{"resend", "email.delivered", `{"data":{"tags":{"mail":"x"}}}`, "malformed"},
		{"resend", "email.delivered", `{"created_at":"2027-01-01T00:00:00Z","data":{"email_id":"e"}}`,
			"delivered - 0 e 12:00:00 -"},

		{"postmark", "Delivery", fmt.Sprintf(pm, ""), "delivered - 12 883953f4 23:41:12 -"},
		{"postmark", "Bounce", fmt.Sprintf(pm, `,"Type":"HardBounce","Details":"smtp;550 5.1.1 unknown"`),
			"bounced hard 12 883953f4 23:41:12 5.1.1 HardBounce"},
		{"postmark", "Bounce", fmt.Sprintf(pm, `,"Type":"HardBounce","Details":"550 5.7.1 blocked for spam"`),
			"bounced ours 12 883953f4 23:41:12 5.7.1 HardBounce"},
		{"postmark", "Bounce", fmt.Sprintf(pm, `,"Type":"Transient"`), "bounced soft 12 883953f4 23:41:12 Transient"},
		{"postmark", "Bounce", fmt.Sprintf(pm, `,"Type":"SpamNotification"`),
			"bounced ours 12 883953f4 23:41:12 SpamNotification"},
		{"postmark", "Bounce", fmt.Sprintf(pm, `,"Type":"Unsubscribe"`), "unsubscribed - 12 883953f4 23:41:12 -"},
		{"postmark", "Bounce", fmt.Sprintf(pm, `,"Type":"AutoResponder"`), "ignored"},
		{"postmark", "SpamComplaint", fmt.Sprintf(pm, `,"Type":"SpamComplaint"`), "complained - 12 883953f4 23:41:12 -"},
		{"postmark", "SubscriptionChange", fmt.Sprintf(pm, `,"SuppressSending":true,
			"SuppressionReason":"ManualSuppression"`), "unsubscribed - 12 883953f4 23:41:12 -"},
		{"postmark", "SubscriptionChange", fmt.Sprintf(pm, `,"SuppressSending":false`), "ignored"},
		{"postmark", "SubscriptionChange", fmt.Sprintf(pm, `,"SuppressSending":true,"SuppressionReason":"HardBounce"`),
			"ignored"},
		{"postmark", "Open", fmt.Sprintf(pm, `,"FirstOpen":true`), "opened - 12 883953f4 23:41:12 -"},

		{"ses", "Send", sns(fmt.Sprintf(ses, "")), "accepted - 12 EXAMPLE7 12:00:00 -"},
		{"ses", "Delivery", sns(fmt.Sprintf(ses, `,"delivery":{"timestamp":"2026-11-22T23:41:12.126Z"}`)),
			"delivered - 12 EXAMPLE7 23:41:12 -"},
		{"ses", "Bounce", sns(fmt.Sprintf(ses, `,"bounce":{"bounceType":"Transient","bounceSubType":"General",
			"timestamp":"2026-11-22T23:41:12.126Z","bouncedRecipients":[{"emailAddress":"a@x.example","status":"5.4.4"}]}`)),
			"bounced hard 12 EXAMPLE7 23:41:12 5.4.4 Transient General"},
		{"ses", "Bounce", sns(fmt.Sprintf(ses, `,"bounce":{"bounceType":"Permanent","bounceSubType":"NoEmail",
			"bouncedRecipients":[{"emailAddress":"a@x.example"}]}`)), "bounced hard 12 EXAMPLE7 12:00:00 Permanent NoEmail"},
		{"ses", "Bounce", sns(fmt.Sprintf(ses, `,"bounce":{"bounceType":"Permanent","bounceSubType":"General",
			"bouncedRecipients":[{"status":"5.0.0","diagnosticCode":"smtp; 552 5.3.4 too big"}]}`)),
			"bounced ours 12 EXAMPLE7 12:00:00 5.3.4 Permanent General"},
		{"ses", "Complaint", sns(fmt.Sprintf(ses, `,"complaint":{"timestamp":"2026-11-22T23:41:12.126Z"}`)),
			"complained - 12 EXAMPLE7 23:41:12 -"},
		{"ses", "DeliveryDelay", sns(fmt.Sprintf(ses, "")), "delayed - 12 EXAMPLE7 12:00:00 -"},
		{"ses", "Reject", sns(fmt.Sprintf(ses, "")), "bounced ours 12 EXAMPLE7 12:00:00 Reject"},
		{"ses", "Open", sns(fmt.Sprintf(ses, `,"open":{"timestamp":"2026-11-22T23:41:12.126Z"}`)),
			"opened - 12 EXAMPLE7 23:41:12 -"},
		{"ses", "SubscriptionConfirmation", `{"Message":"You have chosen"}`, "ignored"},
		{"ses", "Notification", sns("Successfully validated"), "ignored"},
		{"ses", "Bounce", sns("x"), "malformed"},

		{"mailgun", "accepted", fmt.Sprintf(mailgun, ""), "accepted - 12 20130503182626.18666.16540@x.example 23:41:12 -"},
		{"mailgun", "delivered", fmt.Sprintf(mailgun, ""),
			"delivered - 12 20130503182626.18666.16540@x.example 23:41:12 -"},
		{"mailgun", "failed", fmt.Sprintf(mailgun, `,"severity":"permanent","reason":"bounce","delivery-status":
			{"code":550,"enhanced-code":"5.1.1","message":"no such user"}`),
			"bounced hard 12 20130503182626.18666.16540@x.example 23:41:12 5.1.1 permanent bounce"},
		{"mailgun", "failed", fmt.Sprintf(mailgun,
			`,"severity":"temporary","reason":"generic","delivery-status":{"code":452}`),
			"bounced soft 12 20130503182626.18666.16540@x.example 23:41:12 temporary generic"},
		{"mailgun", "failed", fmt.Sprintf(mailgun, `,"severity":"permanent","reason":"suppress-complaint"`),
			"bounced ours 12 20130503182626.18666.16540@x.example 23:41:12 permanent suppress-complaint"},
		{"mailgun", "complained", fmt.Sprintf(mailgun, ""),
			"complained - 12 20130503182626.18666.16540@x.example 23:41:12 -"},
		{"mailgun", "unsubscribed", fmt.Sprintf(mailgun, ""),
			"unsubscribed - 12 20130503182626.18666.16540@x.example 23:41:12 -"},
		{"mailgun", "opened", fmt.Sprintf(mailgun, `,"client-info":{"bot":""}`),
			"opened - 12 20130503182626.18666.16540@x.example 23:41:12 -"},
		{"mailgun", "opened", fmt.Sprintf(mailgun, `,"client-info":{"bot":"apple"}`), "ignored"},
		{"mailgun", "clicked", fmt.Sprintf(mailgun, `,"client-info":{"bot":"gmail"}`), "ignored"},
	} {
		set, err := Read(Event{Source: c.source, ID: "evt_1", Type: c.typ, OccurredAt: received,
			Payload: []byte(c.payload)})
		if got := mailEventText(set, err); got != c.want {
			t.Errorf("%s %s:\n%s\n got %s\nwant %s (%v)", c.source, c.typ, c.payload, got, c.want, err)
		}
	}
}

func mailEventText(set Set, err error) string {
	switch {
	case errors.As(err, new(*Ignored)):
		return "ignored"
	case errors.As(err, new(*Malformed)):
		return "malformed"
	case err != nil || len(set.MailEvents) != 1:
		return fmt.Sprint(set, err)
	}
	m, id := set.MailEvents[0], int64(0)
	if m.MailID != nil {
		id = *m.MailID
	}
	text := fmt.Sprintf("%s %s %d %s %s %s", m.Kind, first(m.Verdict, "-"), id, m.Message, m.At.Format(time.TimeOnly),
		first(m.Detail, "-"))
	if strings.Contains(m.Detail, "@") || m.ID == "" || m.Version == "" {
		return "wrong: " + text
	}
	return text
}

func TestBounceVerdicts(t *testing.T) {
	for _, c := range []struct {
		answer, word, want string
	}{
		{"550 5.1.1 <a@x> unknown", "", Hard}, {"5.1.10 no such", "", Hard}, {"5.1.8 bad sender", "", Ours},
		{"smtp; 5.4.4 (no MX)", "Transient", Hard}, {"4.4.7 expired", "", Hard}, {"4.2.2 full", "Permanent", Soft},
		{"5.2.2 full", "Permanent", Soft}, {"5.2.1 disabled", "", Hard}, {"552-5.2.3 large", "", Ours},
		{"5.7.1 policy", "HardBounce", Ours}, {"5.7.13 disabled", "", Hard}, {"5.7.133 x", "", Ours}, {"5.6.0 content",
			"", Ours},
		{"5.0.0", "Permanent", Hard}, {"", "Permanent", Hard}, {"", "Transient", Soft}, {"", "Undetermined", Soft}, {"",
			"", Soft},
		{"from 192.5.1.1 refused", "", Soft}, {"host 5.1.1.9 said no", "", Soft},
	} {
		if got := BounceVerdict(EnhancedStatus(c.answer), c.word); got != c.want {
			t.Errorf("%q %q: %s, want %s", c.answer, c.word, got, c.want)
		}
	}
}

// What was agreed to is read from true and false; what is neither is refused.
func TestReadConsents(t *testing.T) {
	for data, want := range map[string]string{
		`"email":"A@x.example","marketing":true`: "/a@x.example marketing granted",
		`"user_id":"user_1","email":"a@x.example","marketing":false,"tracking":true`: "user_1/ marketing denied, " +
			"user_1/ tracking granted",
		`"user_id":"user_1","tracking":"denied","marketing":null`: "user_1/ tracking denied",
		`"user_id":"user_1"`:                    "marketing or tracking is needed: true or false",
		`"user_id":"user_1","marketing":"yes"`:  `marketing must be true or false, got "yes"`,
		`"marketing":true`:                      "user_id or a valid email is needed: got neither",
		`"user_id":"user_1","marketing":[true]`: "marketing must be true or false, got a list",
	} {
		set, err := Read(Event{Source: "platform", ID: "p", Type: "consent.updated", OccurredAt: time.Unix(1, 0),
			Payload: []byte(`{"data":{"store_id":"s1",` + data + `}}`)})
		var said []string
		for _, c := range set.Consents {
			said = append(said, c.UserID+"/"+c.Email+" "+c.Kind+" "+c.State)
		}
		if got := strings.Join(said, ", "); err == nil && got != want || err != nil && !strings.HasSuffix(err.Error(),
			want) {
			t.Errorf("%s: %s %v, want %s", data, got, err, want)
		}
	}
}
