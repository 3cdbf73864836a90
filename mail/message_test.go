package mail_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	gomessage "github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"
	gomail "github.com/emersion/go-message/mail"

	"rollcall/internal/testing/smtpsink"
	"rollcall/mail"
)

// received is what another program reads of a message that went to a server.
func received(t testing.TB, m mail.Message) (header gomail.Header, parts map[string]string, raw []byte) {
	t.Helper()
	sink := smtpsink.Start(t)
	if o := sender(t, sink.URL).Send(t.Context(), m); o.Status != mail.Sent {
		t.Fatalf("%+v", o)
	}
	raw = sink.Log()[0].Raw
	entity, err := gomessage.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	header, parts = gomail.Header{Header: entity.Header}, map[string]string{}
	reader := gomail.NewReader(entity)
	for {
		p, err := reader.NextPart()
		if err == io.EOF { //nolint:errorlint // as documented
			return header, parts, raw
		}
		if err != nil {
			t.Fatal(err)
		}
		typ, _, _ := p.Header.(*gomail.InlineHeader).ContentType()
		text, err := io.ReadAll(p.Body)
		if err != nil {
			t.Fatal(err)
		}
		parts[typ] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
}

// What is sent is what another program reads, whatever stands in it.
func TestMessageAsRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ from, subject, text string }{
		"plain":         {"Ava", "Hi", "Hi\n"},
		"not ASCII":     {"Ävä — “Store”", "Grüße 👋 " + strings.Repeat("lang ", 40), "Grüße 👋\n"},
		"lines of dots": {"Ava", "Hi", ".\n..\n.a\n\n.\n"},
		"long lines":    {"Ava", "Hi", strings.Repeat("x", 3000) + "\n" + strings.Repeat("é", 1500) + "\n"},
		"other headers": {"Ava\r\nBcc: b@x.example", "Hi\r\nBcc: b@x.example\r\n\r\nbody", "From here\n"},
		"quotes":        {`A "B" <c@x.example>, D`, `1 = 2? "no"`, "a = b =3D =\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message("ann@x.example")
			m.From.Name, m.Subject, m.Text, m.HTML = c.from, c.subject, c.text, "<p>"+c.text+"</p>"
			h, parts, raw := received(t, m)
			wantHeaders(t, h)
			from, err := h.AddressList("From")
			if err != nil || len(from) != 1 || from[0].Address != "no@p.example" ||
				from[0].Name != strings.Join(strings.Fields(c.from), " ") {
				t.Errorf("from %v %v", from, err)
			}
			if subject, err := h.Subject(); err != nil || subject != strings.Join(strings.Fields(c.subject), " ") {
				t.Errorf("subject %q %v", subject, err)
			}
			if parts["text/plain"] != c.text || parts["text/html"] != "<p>"+c.text+"</p>" {
				t.Errorf("parts %q", parts)
			}
			for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
				if len(line) > 998 || bytes.ContainsAny(line, "\r\n") {
					t.Errorf("a line of %d bytes", len(line))
				}
			}
		})
	}
}

func wantHeaders(t *testing.T, h gomail.Header) {
	t.Helper()
	for name, want := range map[string]string{
		"To": "<ann@x.example>", "Message-Id": "<mail-7-abc@p.example>", "X-Rollcall-Mail": "7",
		"List-Unsubscribe": "<https://r.example/mail/u/t>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
		"X-Ses-Message-Tags": "mail=7", "X-Pm-Metadata-Mail": "7", "X-Pm-Message-Stream": "broadcast",
		"X-Mailgun-Variables": `{"mail":"7"}`, "Resend-Idempotency-Key": "mail-7-abc", "User-Agent": "",
		"X-Mailer": "", "Bcc": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Lines of the header are short, and one click is only where it is safe.
func TestHeaderLines(t *testing.T) {
	t.Parallel()
	m := message("ann@x.example")
	m.Subject, m.From.Name = strings.Repeat("Grüße aus der Schule ", 9), strings.Repeat("Schule ", 20)
	m.ReplyTo, m.OneClick = "Ava <a@p.example>", "http://localhost/mail/u/t"
	h, _, raw := received(t, m)
	head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > 78 {
			t.Errorf("%q is longer than 78 characters", line)
		}
	}
	if h.Get("List-Unsubscribe") != "<"+m.OneClick+">" || h.Has("List-Unsubscribe-Post") ||
		h.Get("Reply-To") != `"Ava" <a@p.example>` {
		t.Errorf("%s", head)
	}
}

// Addresses are written as servers want them, or refused with a reason.
func TestRecipients(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"ann@x.example":      "ann@x.example",
		"a.b+c@x.example":    "a.b+c@x.example",
		"ann@bücher.example": "ann@xn--bcher-kva.example",
		"a..b@x.example":     `"a..b"@x.example`,
		"jürgen@x.example":   "",
		"a b@x.example":      "",
		"ann":                "",
		"ann@":               "",
	} {
		var raw []byte
		keep := mail.Keep{Write: func(_ context.Context, _ int64, b []byte) error { raw = b; return nil }}
		o := keep.Send(t.Context(), message(to))
		if want == "" {
			if o.Status != mail.Failed || o.Reason != mail.ReasonAddress || mail.CheckAddress(to) == "" {
				t.Errorf("%q: %+v", to, o)
			}
			continue
		}
		if o.Status != mail.Sent || !bytes.Contains(raw, []byte("To: <"+want+">")) {
			t.Errorf("%q: %+v\n%s", to, o, raw)
		}
	}
	for list, to := range map[string]string{"ann@x.example": "ann@x.example", "@x.example, b@y.example": "cat@x.example"} {
		r, err := mail.ReadRecipients(list)
		if err != nil || !r.Allow(to) || r.Allow("z@y.example") || r.Allow("a@sub.x.example") {
			t.Errorf("%q: %v", list, err)
		}
	}
	for _, list := range []string{"", " ", ",", " , ", ",,"} {
		if r, err := mail.ReadRecipients(list); err == nil {
			t.Errorf("%q names %q, which would be all", list, r)
		}
	}
	if !mail.Recipients(nil).Allow("a@b.example") {
		t.Error("without a list some are refused")
	}
}
