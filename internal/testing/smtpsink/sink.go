// Package smtpsink is a mail server for tests. What it answers stands in the address of the
// recipient, and it keeps a log of what it accepted.
package smtpsink

import (
	"bytes"
	"errors"
	"io"
	"net"
	netmail "net/mail"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// Message is a mail that the server accepted.
type Message struct {
	To     string
	Header netmail.Header
	Raw    []byte
}

// Sink is the server. What precedes "-" in a recipient's address is its script: rcpt550 is refused,
// rcpt451 and rcpt421 later; data554 is refused after the text; cut is accepted, and the connection
// is closed without an answer; once451 is refused once.
type Sink struct {
	URL string // with tls=off
	// Before is called before an answer to RCPT, Accepted when a message was accepted. Both may be nil.
	Before   func(to string)
	Accepted func(Message)
	// Forget keeps no messages, only their number.
	Forget bool

	mu    sync.Mutex
	log   []Message
	count int
	seen  map[string]int
}

// Start starts a server that ends with the test.
func Start(t testing.TB) *Sink {
	t.Helper()
	s, stop, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s
}

// Listen starts a server.
func Listen() (s *Sink, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	s = &Sink{URL: "smtp://" + l.Addr().String() + "?tls=off", seen: map[string]int{}}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{sink: s, conn: c}, nil
	}))
	server.Domain = "sink.example"
	server.ErrorLog = quiet{}
	done := make(chan struct{})
	go func() { _ = server.Serve(l); close(done) }()
	return s, func() { _ = server.Close(); <-done }, nil
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// Log is what was accepted so far.
func (s *Sink) Log() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message{}, s.log...)
}

// Count is how many messages were accepted.
func (s *Sink) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

func (s *Sink) accept(m Message) {
	s.mu.Lock()
	s.count++
	if !s.Forget {
		s.log = append(s.log, m)
	}
	s.mu.Unlock()
	if s.Accepted != nil {
		s.Accepted(m)
	}
}

type session struct {
	sink *Sink
	conn *smtp.Conn
	to   string
}

func (*session) Mail(string, *smtp.MailOptions) error { return nil }
func (s *session) Reset()                             { s.to = "" }
func (*session) Logout() error                        { return nil }

var script = regexp.MustCompile(`^(rcpt|data|once)(\d{3})(?:\.(\d)\.(\d+)\.(\d+))?-`)

// answer is what an address asks for at a point of the dialogue.
func answer(to, point string) error {
	m := script.FindStringSubmatch(to)
	if m == nil || m[1] != point {
		return nil
	}
	code, _ := strconv.Atoi(m[2])
	e := &smtp.SMTPError{Code: code, Message: "as you wish", EnhancedCode: smtp.NoEnhancedCode}
	for i := range 3 {
		if m[3] != "" {
			e.EnhancedCode[i], _ = strconv.Atoi(m[3+i])
		}
	}
	return e
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.to = to; s.sink.Before != nil {
		s.sink.Before(to)
	}
	err := answer(to, "rcpt")
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	if s.sink.seen[to]++; s.sink.seen[to] == 1 && err == nil {
		err = answer(to, "once")
	}
	return err
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := answer(s.to, "data"); err != nil {
		return err
	}
	parsed, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	s.sink.accept(Message{To: s.to, Header: parsed.Header, Raw: raw})
	if strings.HasPrefix(s.to, "cut-") {
		s.conn.Conn().Close()
		return errors.New("cut")
	}
	return nil
}
