package history

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stripe/stripe-mock/embedded"
	"github.com/stripe/stripe-mock/server"

	"rollcall/store"
)

// newMock serves Stripe's own mock, which checks requests against Stripe's API
// description. It never has a second page; endless, if not nil, changes answers.
func newMock(t *testing.T, endless func(path string, body map[string]any)) (url string, served *int) {
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
	served = new(int)
	mock := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		stub.HandleRequest(answer, r)
		*served++
		if answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s", r.URL, answer.Code, answer.Body)
		}
		var body map[string]any
		if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
			t.Errorf("%s: %v", r.URL, err)
		}
		endless(r.URL.Path, body)
		changed, err := json.Marshal(body)
		if err != nil {
			t.Errorf("%s: %v", r.URL, err)
		}
		w.WriteHeader(answer.Code)
		io.Copy(w, bytes.NewReader(changed))
	}))
	t.Cleanup(mock.Close)
	return mock.URL, served
}

// Stripe's own mock accepts every request we make: with and without windows and
// cursors, of every list, and for the lists inside objects.
func TestStripeAcceptsRequests(t *testing.T) {
	lists := map[string]string{"/v1/checkout/sessions": "line_items", "/v1/invoices": "lines",
		"/v1/subscriptions": "items"}
	asked := map[string]bool{}
	url, served := newMock(t, func(path string, body map[string]any) {
		asked[path] = true
		for _, entry := range body["data"].([]any) {
			o := entry.(map[string]any)
			if list, ok := o[lists[path]].(map[string]any); ok { // goes on, and nothing says what was sold
				list["has_more"], list["data"] = true, []any{map[string]any{"id": "li_1"}}
				o["metadata"], o["mode"], o["status"], o["parent"] = nil, "payment", "complete", nil
			}
		}
	})
	since := asOf.AddDate(0, -1, 0)
	c := StripeConfig{Key: "sk_test_123", BaseURL: url, Options: store.BackfillOptions{
		AsOf: &asOf, Accounts: []string{"", "acct_1"}}}
	read := func(s source, streams []string) {
		for _, name := range streams {
			for _, w := range []window{{Until: asOf.Unix()}, {Since: since.Unix(), Until: asOf.Unix(), After: "id_1",
				Last: asOf.Unix(), Account: "acct_1"}} {
				page, err := s.Read(t.Context(), w.position(name), 100)
				if err != nil || len(page.Items) == 0 {
					t.Errorf("%s: %+v %v", name, page, err)
				}
			}
		}
	}
	read(newStripe(t, c), StripeStreams())
	read(newEvents(t, c), []string{"events"})
	if want := 2*(len(StripeStreams())+1) + 2*len(lists); *served != want {
		t.Errorf("%d requests, want %d: %v", *served, want, asked)
	}
}
