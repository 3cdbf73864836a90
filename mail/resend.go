package mail

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// ResendBase is the address of Resend's API.
const ResendBase = "https://api.resend.com"

const resendTimeout = 30 * time.Second

// Resend sends mails by the API of resend.com. It knows a mail by its key for 24 hours, so one that
// may have been taken can be repeated (https://resend.com/docs/dashboard/emails/idempotency-keys).
type Resend struct {
	key, base string
	http      *http.Client
}

// NewResend returns a sender with a key of the API; base is ResendBase if it is empty.
func NewResend(key, base string) *Resend {
	return &Resend{key: key, base: cmp.Or(base, ResendBase), http: &http.Client{Timeout: resendTimeout}}
}

// Name is the provider's name in rows.
func (*Resend) Name() string { return "resend" }

type resendMail struct {
	From    string            `json:"from"`
	To      []string          `json:"to"`
	ReplyTo string            `json:"reply_to,omitempty"`
	Subject string            `json:"subject"`
	HTML    string            `json:"html"`
	Text    string            `json:"text"`
	Headers map[string]string `json:"headers"`
	Tags    []resendTag       `json:"tags"`
}

type resendTag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Send sends a mail. A request that has begun goes on when ctx ends.
func (r *Resend) Send(ctx context.Context, m Message) Outcome {
	to, err := recipient(m.To)
	if err != nil {
		return Outcome{Status: Failed, Reason: ReasonAddress, Answer: answer(err.Error())}
	}
	from := m.From
	from.Name = oneLine(from.Name)
	id := strconv.FormatInt(m.ID, 10)
	mail := resendMail{From: from.String(), To: []string{to.Address}, ReplyTo: m.ReplyTo, Subject: oneLine(m.Subject),
		HTML: m.HTML, Text: m.Text, Headers: map[string]string{"X-Rollcall-Mail": id}, Tags: []resendTag{{"mail", id}}}
	if m.OneClick != "" {
		mail.Headers["List-Unsubscribe"] = "<" + m.OneClick + ">"
		mail.Headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
	}
	text, err := json.Marshal(mail)
	if err != nil {
		return Outcome{Status: Failed, Reason: ReasonOurs, Answer: answer(err.Error())}
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, r.base+"/emails",
		bytes.NewReader(text))
	if err != nil {
		return Outcome{Status: Due, Reason: ReasonTrouble, Trouble: true, Answer: answer(err.Error())}
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", m.Key)
	resp, err := r.http.Do(req)
	if err != nil {
		return Outcome{Status: Due, Reason: ReasonAgain, Trouble: true, Answer: answer(err.Error())}
	}
	defer resp.Body.Close()
	return resendOutcome(resp)
}

// resendOutcome reads an answer of Resend (https://resend.com/docs/api-reference/errors).
func resendOutcome(resp *http.Response) (o Outcome) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var said struct{ ID, Name, Message string }
	_ = json.Unmarshal(body, &said)
	o.Answer = answer(fmt.Sprintf("%d %s %s", resp.StatusCode, said.Name, said.Message))
	switch code := resp.StatusCode; {
	case err == nil && code < 300 && said.ID != "":
		o.Status, o.ProviderID = Sent, said.ID
	case code == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		o.Status, o.Reason, o.Wait = Due, ReasonLater, max(time.Duration(seconds)*time.Second, time.Second)
	case code == http.StatusConflict, code >= 500, code < 300: // it may have been taken
		o.Status, o.Reason, o.Trouble = Due, ReasonAgain, code != http.StatusConflict
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		o.Status, o.Reason, o.Trouble = Due, ReasonTrouble, true
	default:
		o.Status, o.Reason = Failed, ReasonOurs
	}
	return o
}
