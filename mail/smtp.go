package mail

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

const (
	smtpTimeout = 30 * time.Second // of one answer
	smtpIdle    = 20 * time.Second // a connection that was not used for so long is not used again
	smtpPool    = 16               // connections that wait for their next mail
)

// SMTP sends mails to a server. Safe for concurrent use: each mail has a connection of its own,
// which others use after it.
type SMTP struct {
	client *gomail.Client
	idle   chan smtpConn
}

type smtpConn struct {
	*smtp.Client
	used time.Time
}

// NewSMTP reads the address of a server: smtp://user:password@host:587 begins TLS after the
// greeting, smtps://…:465 before it. ?tls=off sends in clear, as to a server on this machine. helo
// is how this program introduces itself.
func NewSMTP(address, helo string) (*SMTP, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" {
		return nil, errors.New("must be the URL of a server, as smtp://user:password@smtp.example.com:587")
	}
	options := []gomail.Option{gomail.WithTimeout(smtpTimeout), gomail.WithoutNoop(), gomail.WithoutRset(),
		gomail.WithoutSMTPUTF8()}
	if helo != "" {
		options = append(options, gomail.WithHELO(helo))
	}
	port := map[string]int{"smtp": 587, "smtps": 465}[u.Scheme]
	if u.Port() != "" {
		port, _ = strconv.Atoi(u.Port()) // url.Parse checked it
	}
	switch tls := u.Query().Get("tls"); {
	case u.Scheme == "smtps" && tls == "":
		options = append(options, gomail.WithSSL())
	case tls == "off" && u.Scheme == "smtp":
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	case tls == "":
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	default:
		return nil, fmt.Errorf("has tls=%q: write tls=off after smtp://, or leave it out", tls)
	}
	options = append(options, gomail.WithPort(port)) // after the others, which set it too
	if u.User != nil {
		password, _ := u.User.Password()
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(u.User.Username()),
			gomail.WithPassword(password))
	}
	client, err := gomail.NewClient(u.Hostname(), options...)
	if err != nil {
		return nil, err
	}
	return &SMTP{client: client, idle: make(chan smtpConn, smtpPool)}, nil
}

// Name is the provider's name in rows.
func (*SMTP) Name() string { return "smtp" }

// Send sends a mail. A dialogue that has begun goes on when ctx ends: what becomes of the mail is then known.
func (s *SMTP) Send(ctx context.Context, m Message) Outcome {
	msg, err := m.build()
	if err != nil {
		return Outcome{Status: Failed, Reason: ReasonAddress, Answer: answer(err.Error())}
	}
	for {
		conn, fresh, err := s.connection(ctx)
		if err != nil {
			return Outcome{Status: Due, Reason: ReasonTrouble, Trouble: true, Answer: answer(err.Error())}
		}
		err = s.client.SendWithSMTPClient(conn.Client, msg)
		o, usable := smtpOutcome(msg, err)
		if usable {
			s.keep(conn)
		} else {
			_ = conn.Client.Close()
		}
		if stale(err) && !fresh {
			continue // the server had closed it: nothing was said of this mail yet
		}
		return o
	}
}

// connection is one that waits, or a new one.
func (s *SMTP) connection(ctx context.Context) (c smtpConn, fresh bool, err error) {
	for {
		select {
		case c := <-s.idle:
			if time.Since(c.used) < smtpIdle && c.UpdateDeadline(smtpTimeout) == nil {
				return c, false, nil
			}
			_ = c.Client.Close()
			continue
		default:
		}
		client, err := s.client.DialToSMTPClientWithContext(ctx)
		return smtpConn{Client: client}, true, err
	}
}

func (s *SMTP) keep(c smtpConn) {
	c.used = time.Now()
	select {
	case s.idle <- c:
	default:
		_ = c.Quit()
	}
}

// Close closes the connections that wait.
func (s *SMTP) Close() {
	for {
		select {
		case c := <-s.idle:
			_ = c.Quit()
		default:
			return
		}
	}
}

// stale tells that a connection was lost before the server said anything of a mail.
func stale(err error) bool {
	var failed *gomail.SendError
	return errors.As(err, &failed) && failed.Reason == gomail.ErrSMTPMailFrom && failed.ErrorCode() == 0
}

// smtpOutcome reads what became of a mail, and whether the connection can be used again.
func smtpOutcome(msg *gomail.Msg, err error) (o Outcome, usable bool) {
	if msg.IsDelivered() { // whatever came after
		said := answer(msg.ServerResponse())
		return Outcome{Status: Sent, ProviderID: queuedAs(said), Answer: said}, err == nil
	}
	var failed *gomail.SendError
	if !errors.As(err, &failed) {
		return Outcome{Status: Due, Reason: ReasonTrouble, Trouble: true, Answer: answer(fmt.Sprint(err))}, false
	}
	o.Answer = answer(said(failed))
	code, enhanced := failed.ErrorCode(), enhancedCode.FindString(o.Answer)
	usable = code != 0 && code != 421
	switch {
	case code == 0 && failed.Reason == gomail.ErrSMTPDataClose:
		o.Status, o.Reason = Unknown, ReasonCut
	case code == 0, failed.Reason == gomail.ErrSMTPMailFrom, failed.Reason == gomail.ErrSMTPData && code >= 500:
		o.Status, o.Reason, o.Trouble = Due, ReasonTrouble, true
		usable = usable && failed.Reason != gomail.ErrSMTPData
	case code < 500:
		o.Status, o.Reason = Due, ReasonLater
	default:
		o.Status, o.Reason = Failed, Bounce(code, enhanced, failed.Reason == gomail.ErrSMTPRcptTo)
	}
	return o, usable
}

// said is the answer in an error.
func said(err error) string {
	if reply, is := errors.AsType[*textproto.Error](err); is {
		return reply.Error()
	}
	return err.Error()
}

// queuedAs is the id in an answer like "2.0.0 Ok: queued as 4B5C6" or "Ok 0102018f…": the last word
// that has a digit.
func queuedAs(said string) (id string) {
	for word := range fields(said) {
		if len(word) >= 6 && hasDigit(word) && enhancedCode.FindString(word) == "" {
			id = word
		}
	}
	return id
}
