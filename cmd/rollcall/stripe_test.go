package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"

	"rollcall/facts"
)

// endpoints is a Stripe that keeps webhook endpoints. Requests are first held
// against Stripe's own mock, which knows what is allowed.
type endpoints struct {
	t    *testing.T
	mock http.Handler
	mu   sync.Mutex
	all  []map[string]any
}

func newEndpoints(t *testing.T) *endpoints {
	t.Helper()
	return &endpoints{t: t, mock: stripeMock(t)}
}

// stripeMock is Stripe's own mock of its API.
func stripeMock(t *testing.T) http.Handler {
	t.Helper()
	spec, err := server.LoadSpec(embedded.OpenAPISpec, "")
	if err != nil {
		t.Fatal(err)
	}
	fixtures, err := server.LoadFixtures(embedded.OpenAPIFixtures, "")
	if err != nil {
		t.Fatal(err)
	}
	stub, err := server.NewStubServer(fixtures, spec, false, false)
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(stub.HandleRequest)
}

func (s *endpoints) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	said := httptest.NewRecorder()
	s.mock.ServeHTTP(said, r)
	if said.Code != http.StatusOK {
		s.t.Errorf("%s %s: %d %s", r.Method, r.URL, said.Code, said.Body)
	}
	form, _ := url.ParseQuery(string(body))
	var answer any
	switch {
	case r.Method == http.MethodGet:
		answer = map[string]any{"object": "list", "has_more": false, "data": s.all, "url": "/v1/webhook_endpoints"}
	case r.URL.Path == "/v1/webhook_endpoints":
		made := map[string]any{"id": fmt.Sprintf("we_%d", len(s.all)), "object": "webhook_endpoint", "url": form.Get("url"),
			"status": "enabled", "api_version": form.Get("api_version"), "enabled_events": types(form)}
		if form.Get("connect") == "true" {
			made["application"] = "ca_1"
		}
		s.all = append(s.all, made)
		with := map[string]any{"secret": fmt.Sprintf("whsec_%d", len(s.all))}
		for k, v := range made {
			with[k] = v
		}
		answer = with
	default:
		i := slices.IndexFunc(s.all, func(e map[string]any) bool { return strings.HasSuffix(r.URL.Path, e["id"].(string)) })
		s.all[i]["enabled_events"], s.all[i]["status"] = types(form), "enabled"
		answer = s.all[i]
	}
	json.NewEncoder(w).Encode(answer)
}

// types are the enabled_events of a form, in order.
func types(form url.Values) (all []string) {
	for i := range len(form) {
		if v := form.Get(fmt.Sprintf("enabled_events[%d]", i)); v != "" {
			all = append(all, v)
		}
	}
	return all
}

func TestStripeSetup(t *testing.T) {
	s := newEndpoints(t)
	web := httptest.NewServer(s)
	defer web.Close()
	t.Setenv("STRIPE_API_BASE", web.URL)
	t.Setenv("STRIPE_API_KEY", "sk_test_123")
	setup := func(code int, args ...string) (stdout, stderr string) {
		t.Helper()
		var out, err bytes.Buffer
		if got := run(append([]string{"stripe", "setup"}, args...), &out, &err); got != code {
			t.Errorf("%v: status %d, want %d: %s", args, got, code, err.String())
		}
		return out.String(), err.String()
	}
	const here = "https://rollcall.example.com/webhooks/stripe"
	for _, wrong := range []string{"rollcall.example.com", "http://rollcall.example.com/webhooks/stripe",
		"https://rollcall.example.com/", "https://rollcall.example.com/webhooks/clerk"} {
		if _, err := setup(2, "--url", wrong); !strings.Contains(err, "--url") {
			t.Errorf("%s: %s", wrong, err)
		}
	}
	if out, err := setup(0, "--url", here, "--dry-run"); out != "" || !strings.Contains(err, "Would create") ||
		len(s.all) != 0 {
		t.Errorf("%q %q %v", out, err, s.all)
	}
	if out, err := setup(0, "--url", here); out != "whsec_1\n" || !strings.Contains(err, "Created endpoint we_0") {
		t.Errorf("%q %q", out, err)
	}
	if got := s.all[0]["enabled_events"]; !slices.Equal(got.([]string), facts.StripeTypes("2023-10-16")) ||
		s.all[0]["api_version"] != "2023-10-16" {
		t.Errorf("%v", s.all[0])
	}
	if out, err := setup(0, "--url", here); out != "" || !strings.Contains(err, "is as it should be") || len(s.all) != 1 {
		t.Errorf("%q %q", out, err)
	}
	s.all[0]["enabled_events"] = []string{"charge.refunded"}
	if out, err := setup(0, "--url", here, "--dry-run"); out != "" || !strings.Contains(err, "Would bring endpoint we_0") {
		t.Errorf("%q %q", out, err)
	}
	if _, err := setup(0, "--url", here); !strings.Contains(err, "up to date") ||
		len(s.all[0]["enabled_events"].([]string)) < 20 {
		t.Errorf("%q %v", err, s.all[0])
	}
	out, _ := setup(0, "--url", here, "--connect", "--api-version", "2025-03-31.basil", "--json")
	var made endpoint
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.Secret != "whsec_2" || made.Did != "created" ||
		!slices.Equal(made.Events, facts.StripeTypes("")) {
		t.Errorf("%v %s", err, out)
	}
	t.Setenv("STRIPE_API_BASE", "http://127.0.0.1:1")
	if _, err := setup(1, "--url", here); !strings.Contains(err, "Stripe does not answer (connection refused)") ||
		strings.Contains(err, "sk_test") {
		t.Errorf("%q", err)
	}
	t.Setenv("STRIPE_API_KEY", "")
	if _, err := setup(1, "--url", here); !strings.Contains(err, "STRIPE_API_KEY is") {
		t.Errorf("%q", err)
	}
}
