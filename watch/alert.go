package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	svix "github.com/svix/svix-webhooks/go"

	"rollcall/internal/outbound"
	"rollcall/store/status"
)

// Alert sends changes to an address, one message each, signed as Standard Webhooks
// (https://www.standardwebhooks.com).
type Alert struct {
	url    string
	signer *svix.Webhook
	client *http.Client
}

const (
	// alertTimeout limits one delivery, from the dial to the end of the answer.
	alertTimeout = 10 * time.Second
	// maxAnswer is how much of an answer is read, so that the connection can be reused.
	maxAnswer = 4 << 10
)

// NewAlert sends by POST to address, which must be public or in one of the allowed networks. Errors
// describe the fault of address or secret without quoting them: an address may have a secret in its
// path.
func NewAlert(address, secret string, allowed []netip.Prefix) (*Alert, error) {
	if err := CheckAddress(address); err != nil {
		return nil, err
	}
	signer, err := svix.NewWebhook(secret)
	if err != nil || secret == "" {
		return nil, errors.New("the secret is no whsec_ and base64")
	}
	client := outbound.NewClient(alertTimeout, allowed)
	// Redirects are not followed.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Alert{url: address, signer: signer, client: client}, nil
}

// CheckAddress reports what is wrong with an alert address.
func CheckAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return errors.New("must be a URL, as https://example.com/alerts")
	case u.User != nil:
		return errors.New("must not hold a name or password: messages are signed")
	}
	return nil
}

// message is the body of an alert.
type message struct {
	Type      string             `json:"type"`
	Timestamp time.Time          `json:"timestamp"` // when the watch changed
	Data      status.WatchChange `json:"data"`
}

// messageID is the same for every delivery of a change, so that receivers can detect repetitions.
func messageID(k status.ChangeKey) string { return k.Watch + ":" + strconv.FormatInt(k.Number, 10) }

// Tell delivers a change. Any answer except 2xx is an error, including redirects.
func (a *Alert) Tell(ctx context.Context, c status.WatchChange, now time.Time) error {
	body, err := json.Marshal(message{"watch.changed", c.MadeAt, c})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address is not valid")
	}
	id := messageID(c.ChangeKey)
	signature, err := a.signer.Sign(id, now, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "rollcall")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", signature)
	res, err := a.client.Do(req)
	if err != nil {
		return withoutAddress(err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)) // the content is not used
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("answered %d", res.StatusCode)
	}
	return nil
}

// withoutAddress removes the address from an HTTP client's error, which goes into logs and tables.
func withoutAddress(err error) error {
	if wrapped, is := errors.AsType[*url.Error](err); is {
		return wrapped.Err
	}
	return err
}
