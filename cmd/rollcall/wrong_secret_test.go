package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	svix "github.com/svix/svix-webhooks/go"

	"rollcall/store/finding"
	"rollcall/watch"
)

// alerted is somebody who is told of changes.
type alerted struct {
	mu    sync.Mutex
	heard []string // watch, was and state
	texts []string
}

const alertedSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func newAlerted(t *testing.T) (a *alerted, url string) {
	verifier, err := svix.NewWebhook(alertedSecret)
	if err != nil {
		t.Fatal(err)
	}
	a = &alerted{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var said struct {
			Data struct{ Watch, Was, State, Detail, Fix string }
		}
		if err != nil || verifier.Verify(body, r.Header) != nil || json.Unmarshal(body, &said) != nil {
			t.Errorf("%v %s", err, body)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.heard = append(a.heard, fmt.Sprint(said.Data.Watch, " ", said.Data.Was, " ", said.Data.State))
		a.texts = append(a.texts, said.Data.Detail+"\n"+said.Data.Fix)
	}))
	t.Cleanup(server.Close)
	return a, server.URL
}

func (a *alerted) has(change string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.HasSuffix(strings.Join(a.heard, "\n"), change)
}

// TestWrongSecretIsNamed: the first delivery that a wrong secret refuses is named at once by the
// overview, the doctor and an alert; what the doctor prints fixes it, and then it is gone. So it is for
// an installation that has heard nothing yet, and for one whose secret was changed.
func TestWrongSecretIsNamed(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	for name, heard := range map[string]bool{"from the first": false, "changed later": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := h.newWard(t, true)
			alerts, url := newAlerted(t)
			w.config.AlertURL, w.config.AlertSecret = &url, ptrTo(alertedSecret)
			w.config.AllowedNetworks = ptrTo("127.0.0.0/8")
			w.work()
			if heard {
				w.sells()
			}
			w.restart("whsec_of_another_endpoint")
			w.refusesSales(1)
			began := time.Now()
			w.until("an alert", func() bool { return alerts.has(watch.Signatures + "/stripe ok problem") })
			t.Logf("an alert after %v", time.Since(began))
			const says = "their signature doesn&#39;t match STRIPE_WEBHOOK_SECRETS"
			w.until("the overview names it", func() bool { return strings.Contains(w.overview(), says) })
			t.Logf("all after %v", time.Since(began))
			report, _ := w.examine("", "", nil)
			if f := report.Findings[0]; f.Kind != watch.Signatures || f.Subject != "stripe" ||
				f.Severity != finding.Problem || finds(report, "source_unheard", "stripe") != nil {
				t.Fatalf("%v", names(report))
			}
			fix := strings.Join(report.Findings[0].Fix, "\n")
			if !strings.Contains(alerts.texts[0], fix) {
				t.Errorf("the alert has %q", alerts.texts[0])
			}
			out, _ := w.sh(strings.ReplaceAll(fix, "<SIGNING SECRET>", wardStripe)+
				"\nprintf %s \"$STRIPE_WEBHOOK_SECRETS\"", map[string]string{"STRIPE_WEBHOOK_SECRETS": unset})
			w.restart(out)
			w.sells()
			w.until("an alert that it is over", func() bool { return alerts.has(watch.Signatures + "/stripe problem ok") })
			w.until("the overview names it no more", func() bool { return !strings.Contains(w.overview(), says) })
			if report, _ := w.examine("", "", nil); finds(report, watch.Signatures, "stripe") != nil {
				t.Errorf("%v", names(report))
			}
			w.refusesSales(30) // a stranger, beside a secret that has matched
			w.until("they are counted", func() bool {
				var n int
				err := w.conn.QueryRow(t.Context(), `SELECT sum(count) FROM webhook_minutes
					WHERE outcome = 'invalid_signature'`).Scan(&n)
				return err == nil && n == 31
			})
			report, _ = w.examine("", "", nil)
			if f := finds(report, watch.Signatures, "stripe"); f == nil || f.Severity != finding.Note {
				t.Errorf("of a stranger's deliveries: %v", names(report))
			}
		})
	}
}

// restart serves with another secret of Stripe.
func (w *ward) restart(secret string) {
	w.Helper()
	w.config.StripeSecrets = &secret
	w.env["LISTEN"] = w.serve()
}

// refusesSales has deliveries refused that are signed with another secret than this one's.
func (w *ward) refusesSales(n int) {
	w.Helper()
	for range n {
		secret := wardStripe
		if *w.config.StripeSecrets == secret {
			secret = "whsec_of_a_stranger"
		}
		if got := w.deliver("stripe", secret, `{"id":"evt_1","type":"customer.created"}`); got != http.StatusBadRequest {
			w.Fatal(got)
		}
	}
}

// overview is the operators' first page.
func (w *ward) overview() string {
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "http://"+w.env["LISTEN"]+"/admin", http.NoBody)
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.env["ADMIN_TOKEN"])
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		w.Fatal(res.StatusCode, err)
	}
	return string(page)
}
