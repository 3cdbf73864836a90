package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	netmail "net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/jobs"
	"rollcall/mail"
	"rollcall/store/campaigns"
	"rollcall/worker"
)

// mailpit is a mail server that keeps what it gets, from another hand than the program's.
type mailpit struct {
	*testing.T
	api, smtp string
}

// startMailpit builds it, from a module of its own, and runs it until the test ends.
func startMailpit(t *testing.T) *mailpit {
	t.Helper()
	program := filepath.Join(t.TempDir(), "mailpit")
	build := exec.Command("go", "build", "-o", program, "github.com/axllent/mailpit")
	build.Dir = "mailpit"
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := &mailpit{t, freePort(t), freePort(t)}
	cmd := exec.Command(program, "--listen", m.api, "--smtp", m.smtp, "--max", "0", "--disable-version-check",
		"--smtp-disable-rdns", "--enable-chaos", "--quiet")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	until(t, "it answers", func() bool {
		res, err := http.Get("http://" + m.api + "/livez")
		if err == nil {
			res.Body.Close()
		}
		conn, refused := net.Dial("tcp", m.smtp)
		if refused == nil {
			conn.Close()
		}
		return err == nil && refused == nil
	})
	return m
}

// freePort is an address that was free just now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// until looks every few milliseconds whether something has come true.
func until(t *testing.T, what string, yes func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// ask asks its API.
func (m *mailpit) ask(method, path, body string, answer any) {
	m.Helper()
	req, err := http.NewRequestWithContext(m.Context(), method, "http://"+m.api+path, strings.NewReader(body))
	if err != nil {
		m.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		m.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && answer != nil {
		err = json.NewDecoder(bytes.NewReader(text)).Decode(answer)
	}
	if err != nil || res.StatusCode != http.StatusOK {
		m.Fatalf("%s %s: %s: %v\n%s", method, path, res.Status, err, text)
	}
}

// letter is a message as mailpit read it.
type letter struct {
	ID, Subject, HTML, Text string
	To                      []struct{ Address string }
	ListUnsubscribe         struct {
		Header, HeaderPost, Errors string
		Links                      []string
	}
}

// letters are all that it got.
func (m *mailpit) letters() (all []letter) {
	m.Helper()
	var list struct{ Messages []letter }
	m.ask("GET", "/api/v1/messages?limit=1000", "", &list)
	for _, l := range list.Messages {
		m.ask("GET", "/api/v1/message/"+l.ID, "", &l)
		all = append(all, l)
	}
	return all
}

// mailing is a system whose worker sends to a mail server: store s1 has a customer, who agreed to mail, for each step
// of each recipe, and their mails are due.
func mailing(t *testing.T, address string) (s *system, classes map[string]string) {
	t.Helper()
	s = newSharedSystem(t)
	smtp, err := mail.NewSMTP("smtp://"+address+"?tls=off", "rollcall.example")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(smtp.Close)
	redis, err := jobs.ParseRedis(s.servers.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	s.exec(`INSERT INTO stores (id, name, version) VALUES ('s1', 'Ava "& Söhne"', '1')`)
	s.exec(`INSERT INTO mail_settings (store_id, quiet_from, quiet_to, cap_day, cap_week, postal_address)
		VALUES ('s1', NULL, NULL, NULL, NULL, '1 Main Street, Springfield')`)
	s.exec(`INSERT INTO products (id, store_id, title, kind, version, deleted_version)
		VALUES ('c1', 's1', 'Painting <b>&</b> drawing', 'course', '1', '')`)
	classes = map[string]string{}
	for _, r := range campaigns.Recipes {
		for _, step := range r.Steps {
			if step.Mail == nil {
				continue
			}
			to := r.Name + "." + step.Key + "@x.example"
			classes[to] = string(r.Class)
			s.exec(`INSERT INTO mail_bodies (store_id, campaign_id, step, version, subject, markdown)
				VALUES ('s1', $1, $2, 1, $3, $4)`,
				r.Name, step.Key, step.Mail.Subject, step.Mail.Body)
			s.due(to, string(r.Class), r.Name, step.Key, "course:c1")
		}
	}
	s.run(worker.New(worker.Config{Store: s.store, Redis: redis, Log: s.eyes.log, Sweep: sweepEvery, Grace: grace,
		Mail: &worker.Mail{Sender: smtp, From: netmail.Address{Address: "mail@rollcall.example"},
			URL: "https://rollcall.example"}}))
	return s, classes
}

// due makes a customer who agreed to mail, and one that is due.
func (s *system) due(to, class, campaign, step, occurrence string) {
	s.t.Helper()
	s.exec(`INSERT INTO customers (store_id, email, name) VALUES ('s1', $1, 'Zoë "Zed" <z@x.example>')`, to)
	s.exec(`INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
		VALUES ('s1', '', $1, 'marketing', 'granted', now(), 'platform', '1')`, to)
	s.exec(`INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, version, due_at, not_after)
		VALUES ('s1', $1, $2, $3, $4, $5, 1, now(), now() + interval '1 day')`, to, class, campaign, step, occurrence)
}

// Each text of each recipe arrives at a real server: once, readable, and with a way to leave.
func TestRecipesArrive(t *testing.T) {
	m := startMailpit(t)
	s, classes := mailing(t, m.smtp)
	s.until("all are sent", fmt.Sprintf(`count(*) = %d FROM mails WHERE status = 'sent'`, len(classes)))
	letters := m.letters()
	if len(letters) != len(classes) || len(letters) < 10 {
		t.Errorf("%d letters, want %d", len(letters), len(classes))
	}
	for _, l := range letters {
		to := l.To[0].Address
		for part, text := range map[string]string{"subject": l.Subject, "HTML": l.HTML, "text": l.Text} {
			if strings.TrimSpace(text) == "" || strings.ContainsAny(text, "{}") && part != "HTML" {
				t.Errorf("%s: %s is %q", to, part, text)
			}
		}
		if strings.Contains(l.HTML, "Painting <b>") || strings.Contains(l.HTML, `<z@x.example>`) {
			t.Errorf("%s: a title or name is not escaped:\n%s", to, l.HTML)
		}
		leave := l.ListUnsubscribe
		switch {
		case leave.Errors != "":
			t.Errorf("%s: List-Unsubscribe: %s", to, leave.Errors)
		case classes[to] != "marketing":
		case len(leave.Links) != 1 || leave.HeaderPost != "List-Unsubscribe=One-Click":
			t.Errorf("%s: List-Unsubscribe is %+v", to, leave)
		}
		if !strings.Contains(l.Text, "https://rollcall.example/mail/u/") {
			t.Errorf("%s: the text says no way to leave:\n%s", to, l.Text)
		}
	}
}

// A server that turns half of them away for now gets all in the end, each once.
func TestMailThroughChaos(t *testing.T) {
	m := startMailpit(t)
	m.ask("PUT", "/api/v1/chaos", `{"Recipient": {"ErrorCode": 451, "Probability": 50}}`, nil)
	s, classes := mailing(t, m.smtp)
	all := len(classes)
	for i := range 60 {
		s.due(fmt.Sprintf("p%d@x.example", i), "service", "not_started", "first", "course:c1")
		all++
	}
	until(t, "all are sent", func() bool {
		s.exec(`UPDATE mails SET due_at = now() WHERE status = 'due' AND due_at > now()`) // a server may take minutes
		return s.rows(fmt.Sprintf(`SELECT count(*) = %d AS all FROM mails WHERE status = 'sent'`, all)) == `[{"all":true}]`
	})
	if again := s.rows(`SELECT count(*) > 10 AS many FROM mails WHERE tries > 1`); again != `[{"many":true}]` {
		t.Error("the server turned hardly anyone away")
	}
	got := map[string]int{}
	for _, l := range m.letters() {
		got[l.To[0].Address]++
	}
	for to, n := range got {
		if n != 1 {
			t.Errorf("%s got %d", to, n)
		}
	}
	if len(got) != all {
		t.Errorf("%d people got mail, want %d", len(got), all)
	}
}
