package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/inbox"
	"rollcall/webhooks"
)

type eventsSendCmd struct {
	Type string `arg:"" name:"type" help:"The event's type, for example product.upserted."`
	Data string `arg:"" name:"data" help:"Its data, a JSON object."`
	To   string `name:"to" placeholder:"URL" help:"Address of serve. Without it: the dev or demo running on --data, else LISTEN."`
}

// Help is shown below the usage.
func (eventsSendCmd) Help() string {
	return `Signs a platform event with the first of PLATFORM_WEBHOOK_SECRETS, dated now, and posts it to ` +
		`/webhooks/platform, then waits up to two seconds for its result. docs/events.md has the ` +
		`types. An event from the platform with a later time wins.`
}

// sendTimeout bounds a posting; the receiver itself waits for Postgres for ten
// seconds at most.
const sendTimeout = 30 * time.Second

func (c eventsSendCmd) Run(e *env) error {
	if open := placeholder.FindString(c.Data); open != "" {
		return usageError(fmt.Sprintf("%s stands for something that only you know: fill it in first", open))
	}
	var data map[string]json.RawMessage
	if err := json.Unmarshal([]byte(c.Data), &data); err != nil || data == nil {
		return usageError("the data must be a JSON object, as '{\"id\":\"store_1\"}'")
	}
	if err := c.readable(); err != nil {
		return err
	}
	e.fill()
	secrets, err := e.secrets()
	if err != nil {
		return err
	}
	if len(secrets[webhooks.Platform]) == 0 {
		return errors.New("PLATFORM_WEBHOOK_SECRETS is not set: give the secret that serve has, to sign with")
	}
	to := c.To
	if to == "" {
		to = e.serveURL()
	}
	secret, _, _ := strings.Cut(given(e.PlatformSecrets), ",")
	return c.send(e, strings.TrimRight(to, "/")+"/webhooks/platform", strings.TrimSpace(secret))
}

// readable refuses what no worker could read.
func (c eventsSendCmd) readable() error {
	if known := facts.PlatformTypes(); !slices.Contains(known, c.Type) {
		return usageError(fmt.Sprintf("%q is not a type of platform events%s; they are %s", c.Type, alike(c.Type, known),
			strings.Join(known, ", ")))
	}
	body := fmt.Appendf(nil, `{"data":%s}`, c.Data)
	_, err := facts.Read(facts.Event{Source: webhooks.Platform, Type: c.Type, ID: "this event", OccurredAt: time.Now(),
		Payload: body})
	if err != nil {
		return usageError(err.Error())
	}
	return nil
}

// placeholder matches what doctor writes for unknown values.
var placeholder = regexp.MustCompile(`<[A-Z][A-Z ]*>`)

// send signs and posts, and prints what was answered.
func (c eventsSendCmd) send(e *env, to, secret string) error {
	now := time.Now().UTC()
	body, err := json.Marshal(struct {
		Type      string          `json:"type"`
		Timestamp time.Time       `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}{c.Type, now, json.RawMessage(c.Data)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(e, sendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return usageError(fmt.Sprintf("--to: %q is not a URL: write it as http://127.0.0.1:8080", c.To))
	}
	id := fmt.Sprintf("by_hand_%x", random(12))
	if req.Header, err = webhooks.SignPlatform(secret, id, body, now); err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%s does not answer (%s): is serve there? --to says where it is", to, reason(err))
	}
	defer res.Body.Close()
	var answer struct {
		Status string
		Error  struct{ Message string }
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<16)).Decode(&answer); err != nil ||
		res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d: %s", to, res.StatusCode, answer.Error.Message)
	}
	// The receiver reads it as this program does.
	sent := store.Event{Source: webhooks.Platform, EventID: id, Type: c.Type, OccurredAt: now, Payload: body}
	for _, note := range sent.PassedOver(facts.Read) {
		fmt.Fprintf(e.out, "not used: %s\n", harmless(note))
	}
	fmt.Fprintf(e.out, "%s, as event %s\n", answer.Status, id)
	return e.outcome(id)
}

// outcomeTimeout is how long a worker may take until we no longer wait for it.
const outcomeTimeout = 2 * time.Second

// outcome waits until an event is applied, and says what became of it. Where the
// database cannot be read from here, it says nothing.
func (e *env) outcome(id string) error {
	s, err := e.open()
	if err != nil {
		return nil //nolint:nilerr // it was accepted: that is all that can be known here
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(e, outcomeTimeout)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		v, err := inbox.New(s).Event(ctx, id)
		switch {
		case err == nil && v.Status == "failed":
			fmt.Fprintf(e.out, "failed: %s\n", harmless(deref(v.LastError)))
			return errReported
		case err == nil && v.Status != "pending":
			fmt.Fprintln(e.out, strings.TrimRight(v.Status+": "+harmless(deref(v.LastError)), ": "))
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			_, err := fmt.Fprintf(e.out, "still pending: is a worker running? `rollcall events show %s%s` shows its result\n",
				id, e.dataFlag())
			return err
		}
	}
}

// fill takes what is not set from the dev or demo on --data, if the servers are
// its too.
func (e *env) fill() {
	if e.DatabaseURL != nil {
		return
	}
	r, err := e.running("DATABASE_URL")
	if err != nil {
		return // commands that need the servers report it
	}
	for to, note := range map[**string]string{
		&e.StripeSecrets: "stripe_webhook_secrets", &e.ClerkSecrets: "clerk_webhook_secrets",
		&e.PlatformSecrets: "platform_webhook_secrets", &e.AdminToken: "admin_token", &e.StripeMode: noteMode,
	} {
		if value := r.Note[note]; *to == nil && value != "" {
			*to = &value
		}
	}
}

// serveURL is where serve most likely is: the dev or demo on --data, else this
// machine, at LISTEN.
func (e *env) serveURL() string {
	if e.DatabaseURL == nil {
		if r, err := e.running("DATABASE_URL"); err == nil {
			return r.Note[noteURL]
		}
	}
	host, port, err := net.SplitHostPort(e.listen())
	if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
