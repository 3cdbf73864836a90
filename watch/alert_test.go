package watch

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	svix "github.com/svix/svix-webhooks/go"

	"rollcall/store/status"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

var change = status.WatchChange{
	ChangeKey: status.ChangeKey{Watch: "source_silent/stripe", Number: 3},
	State:     status.Problem, Was: status.OK, Since: noon, Detail: "nothing has come", Fix: "rollcall doctor",
	MadeAt: noon.Add(2 * time.Minute), Attempts: 1,
}

// loopback are the networks of the tests' own servers.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// teller tells by a receiver that answers as it is told to.
func teller(t *testing.T, answer http.HandlerFunc) *Alert {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	a, err := NewAlert(server.URL+"/hidden-path", secret, loopback)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Whoever is told can verify it with any library, and tell repetitions.
func TestAlertIsSigned(t *testing.T) {
	var header http.Header
	var body []byte
	a := teller(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	now := time.Now()
	if err := a.Tell(t.Context(), change, now); err != nil {
		t.Fatal(err)
	}
	verifier, err := svix.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(body, header); err != nil {
		t.Errorf("the signature does not verify: %v", err)
	}
	if id := header.Get("webhook-id"); id != "source_silent/stripe:3" {
		t.Errorf("id %q", id)
	}
	var got, want any
	err = json.Unmarshal(
		[]byte(`{"type":"watch.changed","timestamp":"2026-03-18T12:02:00Z",
		"data":{"watch":"source_silent/stripe","state":"problem","was":"ok",
		"since":"2026-03-18T12:00:00Z","detail":"nothing has come","fix":"rollcall doctor"}}`), &want)
	if err == nil {
		err = json.Unmarshal(body, &got)
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}

// Whatever is no 2xx has told nobody; a redirect is not followed; and no error
// repeats the address.
func TestAlertFails(t *testing.T) {
	followed := false
	for name, answer := range map[string]http.HandlerFunc{
		"answered 500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"answered 302": func(w http.ResponseWriter, r *http.Request) {
			followed = followed || r.URL.Path == "/elsewhere"
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		},
		"answered 307": func(w http.ResponseWriter, r *http.Request) {
			followed = followed || r.URL.Path == "/elsewhere"
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"EOF": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		err := teller(t, answer).Tell(t.Context(), change, noon)
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if followed {
		t.Error("a redirect was followed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	slow := teller(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	if err := slow.Tell(ctx, change, noon); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("one that does not answer: %v", err)
	}
}

// An alert goes to no private address unless the setting allows its network; the
// error says which address, and which setting.
func TestAlertStaysOutside(t *testing.T) {
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(server.Close)
	a, err := NewAlert(strings.Replace(server.URL, "127.0.0.1", "localhost", 1)+"/hidden-path", secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = a.Tell(t.Context(), change, noon)
	if asked || err == nil || !strings.Contains(err.Error(), "is not a public address") ||
		!strings.Contains(err.Error(), "ALLOWED_PRIVATE_NETWORKS") || strings.Contains(err.Error(), "hidden") {
		t.Errorf("asked %v: %v", asked, err)
	}
}

func TestAlertRefusesSettings(t *testing.T) {
	for address, good := range map[string]bool{
		"https://example.com/x": true, "http://127.0.0.1:9/": true,
		"": false, "example.com": false, "ftp://example.com": false, "file:///etc/passwd": false, "gopher://x": false,
		"https://": false, "https://:80": false, "https://a:hidden@example.com": false, "https://exa mple.com": false,
	} {
		_, err := NewAlert(address, secret, nil)
		if (err == nil) != good || err != nil && strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, bad := range []string{"", "whsec_hidden!"} {
		if _, err := NewAlert("https://example.com", bad, nil); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("secret %q: %v", bad, err)
		}
	}
}
