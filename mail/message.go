package mail

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"

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

// letter is a message as servers take it.
type letter struct {
	from, to string // of the envelope, as <address>
	raw      []byte
}

// letter makes the message as it is sent.
func (m Message) letter() (l letter, err error) {
	to, err := recipient(m.To)
	if err != nil {
		return l, err
	}
	from := netmail.Address{Name: oneLine(m.From.Name), Address: m.From.Address}
	var b bytes.Buffer
	b.Grow(2000 + 2*len(m.Text) + 2*len(m.HTML))
	m.writeTracks(&b, from.Address)
	header(&b, "From", from.String())
	header(&b, "To", to.String())
	if m.ReplyTo != "" {
		reply, err := netmail.ParseAddress(m.ReplyTo)
		if err != nil {
			return l, err
		}
		header(&b, "Reply-To", reply.String())
	}
	if m.OneClick != "" {
		header(&b, "List-Unsubscribe", "<"+m.OneClick+">")
	}
	if strings.HasPrefix(m.OneClick, "https:") { // on a site without it, as of dev, one opens the page
		header(&b, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	header(&b, "Subject", mime.QEncoding.Encode("utf-8", oneLine(m.Subject)))
	boundary := rand.Text() // occurs nowhere in the parts
	header(&b, "Content-Type", "multipart/alternative; boundary="+boundary)
	writePart(&b, boundary, "text/plain", m.Text)
	writePart(&b, boundary, "text/html", m.HTML)
	b.WriteString("\r\n--" + boundary + "--\r\n")
	return letter{from: (&netmail.Address{Address: from.Address}).String(), to: to.String(), raw: b.Bytes()}, nil
}

// writePart writes one of the forms of a text.
func writePart(b *bytes.Buffer, boundary, form, text string) {
	b.WriteString("\r\n--" + boundary + "\r\nContent-Type: " + form +
		"; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	w := quotedprintable.NewWriter(b)
	_, _ = io.WriteString(w, text) // to memory
	_ = w.Close()
}

// header writes a line of the header, in several where it is long.
func header(b *bytes.Buffer, name, value string) {
	b.WriteString(name + ":")
	length := len(name) + 1
	for word := range strings.SplitSeq(value, " ") {
		if length += 1 + len(word); length > longestLine {
			b.WriteString("\r\n")
			length = 1 + len(word)
		}
		b.WriteString(" " + word)
	}
	b.WriteString("\r\n")
}

// longestLine is how long a line of a header should be at most.
const longestLine = 78

// writeTracks writes the headers by which the mail is known: providers read each its own, and report its value in their
// events.
func (m Message) writeTracks(b *bytes.Buffer, from string) {
	id := strconv.FormatInt(m.ID, 10)
	stream := "broadcast"
	if m.Class != "marketing" {
		stream = "outbound"
	}
	header(b, "Date", m.At.Format(time.RFC1123Z))
	header(b, "Message-ID", "<"+m.Key+"@"+domainOf(from)+">")
	header(b, "MIME-Version", "1.0")
	header(b, "X-Rollcall-Mail", id)
	header(b, "X-SES-MESSAGE-TAGS", "mail="+id)
	header(b, "X-PM-Metadata-mail", id)
	header(b, "X-PM-Message-Stream", stream)
	header(b, "X-Mailgun-Variables", `{"mail":"`+id+`"}`)
	header(b, "Resend-Idempotency-Key", m.Key)
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
	l, err := m.letter()
	if err != nil {
		return Outcome{Status: Failed, Reason: ReasonAddress, Answer: err.Error()}
	}
	err = k.Write(ctx, m.ID, l.raw)
	if err != nil {
		return Outcome{Status: Due, Reason: ReasonTrouble, Trouble: true, Answer: err.Error()}
	}
	return Outcome{Status: Sent, Answer: "kept in the mailbox"}
}
