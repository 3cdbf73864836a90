package mail

import (
	"bytes"
	"context"
	"errors"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"
)

// Message is a mail to be sent.
type Message struct {
	ID       int64  // of its row: comes back in all that providers report
	Key      string // the same for each try, and for no other mail
	Class    string
	From     netmail.Address
	ReplyTo  string // may be empty
	To       string
	Subject  string
	HTML     string
	Text     string
	OneClick string // the address at which one POST unsubscribes; empty: the header is left out
	At       time.Time
}

// CheckAddress reports why no mail can be sent to an address: a reason of Outcome, or nothing.
func CheckAddress(to string) (reason string) {
	if _, err := recipient(to); err != nil {
		return ReasonAddress
	}
	return ""
}

// recipient is an address as SMTP writes it: its domain in ASCII.
func recipient(to string) (*netmail.Address, error) {
	at := strings.LastIndexByte(to, '@')
	if at < 1 || strings.ContainsFunc(to[:at], func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, errors.New("no server takes such an address: only ASCII stands before the @")
	}
	domain, err := idna.Lookup.ToASCII(to[at+1:])
	if err != nil {
		return nil, err
	}
	return netmail.ParseAddress(quoted(to[:at]) + "@" + domain)
}

// quoted writes what stands before the @ of an address so that it can be parsed.
func quoted(local string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~."
	odd := func(r rune) bool { return !strings.ContainsRune(plain, r) }
	if strings.HasPrefix(local, `"`) || !strings.ContainsFunc(local, odd) &&
		!strings.HasPrefix(local, ".") && !strings.HasSuffix(local, ".") && !strings.Contains(local, "..") {
		return local
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
}

// build makes the message as it is sent.
func (m Message) build() (*gomail.Msg, error) {
	to, err := recipient(m.To)
	if err != nil {
		return nil, err
	}
	from := netmail.Address{Name: oneLine(m.From.Name), Address: m.From.Address}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(gomail.EncodingQP))
	msg.FromMailAddress(&from)
	msg.SetAddrHeaderFromMailAddress(gomail.HeaderTo, to)
	if m.ReplyTo != "" {
		reply, err := netmail.ParseAddress(m.ReplyTo)
		if err != nil {
			return nil, err
		}
		msg.ReplyToMailAddress(reply)
	}
	msg.Subject(oneLine(m.Subject))
	msg.SetDateWithValue(m.At)
	msg.SetMessageIDWithValue(m.Key + "@" + domainOf(from.Address))
	switch {
	case m.OneClick == "":
	case strings.HasPrefix(m.OneClick, "https:"):
		if err := msg.SetListUnsubscribeOneClick(m.OneClick); err != nil {
			return nil, err
		}
	default: // on a site without it, as of dev, one opens the page
		msg.SetGenHeaderPreformatted(gomail.HeaderListUnsubscribe, "<"+m.OneClick+">")
	}
	for name, value := range m.headers() {
		msg.SetGenHeaderPreformatted(gomail.Header(name), value)
	}
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return msg, nil
}

// headers are those by which providers know the mail: each reads its own, and reports its value in its events.
func (m Message) headers() map[string]string {
	id := strconv.FormatInt(m.ID, 10)
	stream := "broadcast"
	if m.Class != "marketing" {
		stream = "outbound"
	}
	return map[string]string{
		"X-Rollcall-Mail":        id,
		"X-SES-MESSAGE-TAGS":     "mail=" + id,
		"X-PM-Metadata-mail":     id,
		"X-PM-Message-Stream":    stream,
		"X-Mailgun-Variables":    `{"mail":"` + id + `"}`,
		"Resend-Idempotency-Key": m.Key,
	}
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// Keep keeps messages instead of sending them. Write stores one.
type Keep struct {
	Write func(ctx context.Context, id int64, raw []byte) error
}

// Name is the provider's name in rows.
func (Keep) Name() string { return "mailbox" }

// Send keeps a message.
func (k Keep) Send(ctx context.Context, m Message) Outcome {
	msg, err := m.build()
	if err != nil {
		return Outcome{Status: Failed, Reason: ReasonAddress, Answer: err.Error()}
	}
	var raw bytes.Buffer
	if _, err = msg.WriteTo(&raw); err == nil {
		err = k.Write(ctx, m.ID, raw.Bytes())
	}
	if err != nil {
		return Outcome{Status: Due, Reason: ReasonTrouble, Trouble: true, Answer: err.Error()}
	}
	return Outcome{Status: Sent, Answer: "kept in the mailbox"}
}
