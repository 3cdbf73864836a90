package mail_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testing/smtpsink"
	"rollcall/mail"
)

func message(to string) mail.Message {
	return mail.Message{ID: 7, Key: "mail-7-abc", Class: "marketing",
		From: netmail.Address{Name: "Ava's", Address: "no@p.example"}, To: to, Subject: "Hi",
		HTML: "<p>Hi</p>", Text: "Hi\n", OneClick: "https://r.example/mail/u/t",
		At: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)}
}

func sender(t testing.TB, url string) *mail.SMTP {
	t.Helper()
	s, err := mail.NewSMTP(url, "r.example")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// What becomes of a mail, by what the server does.
func TestSMTPOutcomes(t *testing.T) {
	t.Parallel()
	sink := smtpsink.Start(t)
	s := sender(t, sink.URL)
	for to, want := range map[string]mail.Outcome{
		"ann@x.example":             {Status: mail.Sent},
		"cut-1@x.example":           {Status: mail.Unknown, Reason: "cut"},
		"rcpt421-1@x.example":       {Status: mail.Due, Reason: "later"},
		"rcpt451-1@x.example":       {Status: mail.Due, Reason: "later"},
		"data451-1@x.example":       {Status: mail.Due, Reason: "later"},
		"rcpt550-1@x.example":       {Status: mail.Failed, Reason: "hard"},
		"rcpt550.5.1.1-1@x.example": {Status: mail.Failed, Reason: "hard"},
		"rcpt550.5.7.1-1@x.example": {Status: mail.Failed, Reason: "ours"},
		"rcpt552.5.2.2-1@x.example": {Status: mail.Failed, Reason: "soft"},
		"data554.5.7.1-1@x.example": {Status: mail.Failed, Reason: "ours"},
		"data552.5.3.4-1@x.example": {Status: mail.Failed, Reason: "ours"},
		"data550.5.1.1-1@x.example": {Status: mail.Failed, Reason: "hard"},
		"data554-1@x.example":       {Status: mail.Failed, Reason: "refused"},
		"data550-1@x.example":       {Status: mail.Failed, Reason: "refused"},
		"jürgen@x.example":          {Status: mail.Failed, Reason: "address"},
	} {
		for range 2 { // the connection is used again, or not, and the next mail fares the same
			got := s.Send(t.Context(), message(to))
			if got.Status != want.Status || got.Reason != want.Reason || got.Trouble {
				t.Errorf("%s: %+v, want %+v", to, got, want)
			}
		}
	}
	if got := s.Send(t.Context(), message("ann@x.example")); got.Status != mail.Sent {
		t.Errorf("after all others: %+v", got)
	}
}

// A provider that cannot be reached is no fault of a mail.
func TestSMTPTrouble(t *testing.T) {
	t.Parallel()
	sink, stop, err := smtpsink.Listen()
	if err != nil {
		t.Fatal(err)
	}
	s := sender(t, sink.URL)
	if got := s.Send(t.Context(), message("ann@x.example")); got.Status != mail.Sent {
		t.Errorf("%+v", got)
	}
	stop()
	if got := s.Send(t.Context(), message("ann@x.example")); got.Status != mail.Due || !got.Trouble {
		t.Errorf("%+v", got)
	}
}

// Addresses of servers that are not valid, or would send in clear without a word.
func TestSMTPAddresses(t *testing.T) {
	for url, valid := range map[string]bool{"smtp://u:p@h:587": true, "smtps://h": true, "smtp://h?tls=off": true,
		"smtp://h?tls=maybe": false,
		"smtps://h?tls=off":  false, "http://h": false, "smtp://": false, "": false, "h:25": false} {
		if _, err := mail.NewSMTP(url, ""); (err == nil) != valid {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// What becomes of a mail, by what Resend answers; the key is the same in each try.
func TestResendOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code int
		body string
		want mail.Outcome
	}{
		"taken": {200, `{"id":"re_1"}`, mail.Outcome{Status: mail.Sent, ProviderID: "re_1"}},
		"too fast": {429, `{"name":"rate_limit_exceeded"}`,
			mail.Outcome{Status: mail.Due, Reason: "later", Wait: 3 * time.Second}},
		"refused": {422, `{"name":"validation_error","message":"Invalid to"}`,
			mail.Outcome{Status: mail.Failed, Reason: "ours"}},
		"in doubt":  {500, ``, mail.Outcome{Status: mail.Due, Reason: "again", Trouble: true}},
		"no id":     {200, `{}`, mail.Outcome{Status: mail.Due, Reason: "again", Trouble: true}},
		"running":   {409, `{"name":"concurrent_idempotent_requests"}`, mail.Outcome{Status: mail.Due, Reason: "again"}},
		"other key": {401, `{}`, mail.Outcome{Status: mail.Due, Reason: "trouble", Trouble: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked *http.Request
			var said map[string]any
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r
				_ = json.NewDecoder(r.Body).Decode(&said)
				w.Header().Set("Retry-After", "3")
				w.WriteHeader(c.code)
				_, _ = io.WriteString(w, c.body)
			}))
			t.Cleanup(server.Close)
			got := mail.NewResend("re_key", server.URL).Send(t.Context(), message("ann@ä.example"))
			got.Answer = ""
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if asked.Header.Get("Idempotency-Key") != "mail-7-abc" || asked.Header.Get("Authorization") != "Bearer re_key" {
				t.Errorf("headers %v", asked.Header)
			}
			headers, _ := said["headers"].(map[string]any)
			if headers["List-Unsubscribe-Post"] != "List-Unsubscribe=One-Click" || headers["X-Rollcall-Mail"] != "7" {
				t.Errorf("said %v", said)
			}
		})
	}
}

// A connection that is lost before an answer leaves a mail in doubt; Resend knows it by its key.
func TestResendCut(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	got := mail.NewResend("re_key", server.URL).Send(t.Context(), message("ann@x.example"))
	if got.Status != mail.Due || got.Reason != "again" || !got.Trouble || strings.Contains(got.Answer, "re_key") {
		t.Errorf("%+v", got)
	}
}
