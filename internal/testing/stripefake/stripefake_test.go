package stripefake_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testing/stripefake"
)

// get asks a fake as an account; what the answer holds is read loosely.
func get(t *testing.T, fake *stripefake.Server, account, path string) (status int, ids []string, body string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, fake.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+stripefake.Key)
	if account != "" {
		r.Header.Set("Stripe-Account", account)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return answer.StatusCode, nil, err.Error()
	}
	var list struct {
		Data    []struct{ ID string }
		HasMore bool `json:"has_more"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for _, o := range list.Data {
		ids = append(ids, o.ID)
	}
	if list.HasMore {
		ids = append(ids, "…")
	}
	return answer.StatusCode, ids, string(text)
}

// Lists are Stripe's: newest first, in pages, by time, of one account.
func TestLists(t *testing.T) {
	fake := stripefake.New(t)
	for i := range 5 {
		fake.Add("", fmt.Sprintf(`{"id":"cus_%d","object":"customer","created":%d}`, i, 100+i/2))
	}
	fake.Add("acct_1", stripefake.Object{"id": "cus_x", "object": "customer", "created": 1})
	fake.Add("", `{"id":"sub_1","object":"subscription","created":1,"status":"canceled"}`,
		`{"id":"sub_2","object":"subscription","created":1,"status":"active"}`)
	for _, c := range []struct {
		account, path string
		status        int
		want          string
	}{
		{"", "/v1/customers", 200, "cus_4 cus_3 cus_2 cus_1 cus_0"},
		{"acct_1", "/v1/customers", 200, "cus_x"},
		{"", "/v1/customers?limit=2", 200, "cus_4 cus_3 …"},
		{"", "/v1/customers?limit=2&starting_after=cus_3", 200, "cus_2 cus_1 …"},
		{"", "/v1/customers?limit=2&ending_before=cus_1", 200, "cus_3 cus_2 …"},
		{"", "/v1/customers?limit=2&ending_before=cus_3", 200, "cus_4"},
		{"", "/v1/customers?created[gte]=101&created[lt]=102", 200, "cus_3 cus_2"},
		{"", "/v1/customers?created[gt]=101", 200, "cus_4"},
		{"", "/v1/customers?created[lte]=100", 200, "cus_1 cus_0"},
		{"", "/v1/customers?created[lte]=100&starting_after=cus_2", 200, "cus_1 cus_0"},
		{"", "/v1/customers?starting_after=cus_9", 400, ""},
		{"", "/v1/customers?limit=101", 400, ""},
		{"", "/v1/customers?colour=red", 400, ""},
		{"", "/v1/customers/cus_9", 404, ""},
		{"", "/v1/boats", 404, ""},
		{"", "/v1/subscriptions", 200, "sub_2"},
		{"", "/v1/subscriptions?status=all", 200, "sub_2 sub_1"},
	} {
		status, ids, body := get(t, fake, c.account, c.path)
		if status != c.status || strings.Join(ids, " ") != c.want {
			t.Errorf("%s: %d %v, want %d %s\n%s", c.path, status, ids, c.status, c.want, body)
		}
	}
}

// Lists inside objects end after ten entries and go on at their own path; ids
// become objects where that is asked for.
func TestInside(t *testing.T) {
	fake := stripefake.New(t)
	var lines []any
	for i := range 12 {
		lines = append(lines, stripefake.Object{"id": fmt.Sprint("li_", i)})
	}
	list := stripefake.Object{"data": lines}
	fake.Add("", stripefake.Object{"id": "cs_1", "object": "checkout.session", "created": 1, "line_items": list},
		stripefake.Object{"id": "sub_1", "object": "subscription", "created": 1, "status": "active", "items": list,
			"latest_invoice": "in_1"},
		stripefake.Object{"id": "in_1", "object": "invoice", "created": 1, "status": "paid"})
	if _, _, body := get(t, fake, "", "/v1/checkout/sessions"); strings.Contains(body, "li_") {
		t.Errorf("line items that nobody asked for: %s", body)
	}
	if _, _, body := get(t, fake, "", "/v1/checkout/sessions?expand[]=data.line_items"); !strings.Contains(
		body, `"li_9"`) || strings.Contains(body, `"li_10"`) || !strings.Contains(body, `"has_more":true`) {
		t.Errorf("line items: %s", body)
	}
	if _, ids, _ := get(t, fake, "", "/v1/checkout/sessions/cs_1/line_items?starting_after=li_9"); strings.Join(
		ids, " ") != "li_10 li_11" {
		t.Errorf("the rest: %v", ids)
	}
	if _, ids, _ := get(t, fake, "", "/v1/subscription_items?subscription=sub_1&limit=100"); len(ids) != 12 {
		t.Errorf("items: %v", ids)
	}
	if _, _, body := get(t, fake, "", "/v1/subscriptions?expand[]=data.latest_invoice"); !strings.Contains(
		body, `"status":"paid"`) {
		t.Errorf("the invoice is not whole: %s", body)
	}
	if _, _, body := get(t, fake, "", "/v1/subscriptions/sub_1"); !strings.Contains(body, `"latest_invoice":"in_1"`) {
		t.Errorf("the invoice is whole: %s", body)
	}
}

func TestFaultsAndRecords(t *testing.T) {
	fake := stripefake.New(t)
	fake.Add("", `{"id":"cus_1","object":"customer","created":1}`)
	fake.Deauthorise("acct_gone")
	fake.Faults(stripefake.Faults{LimitEvery: 2, RetryAfter: 3 * time.Second, FailEvery: 3, CutEvery: 5})
	var got []int
	for range 4 {
		status, _, _ := get(t, fake, "", "/v1/customers")
		got = append(got, status)
	}
	if want := []int{200, 429, 500, 429}; !slices.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
	if _, _, body := get(t, fake, "", "/v1/customers/cus_1"); body != io.ErrUnexpectedEOF.Error() {
		t.Errorf("a whole body: %s", body)
	}
	fake.Faults(stripefake.Faults{})
	if status, _, body := get(t, fake, "acct_gone", "/v1/customers"); status != 403 ||
		!strings.Contains(body, "acct_gone") {
		t.Errorf("%d %s", status, body)
	}
	requests := fake.Requests()
	if len(requests) != 6 || requests[4].Operation != "GET /v1/customers/{id}" || requests[5].Account != "acct_gone" ||
		requests[1].Status != 429 {
		t.Errorf("%+v", requests)
	}
	fake.Remove("", "cus_1")
	if ids := fake.IDs("", "customer"); len(ids) != 0 {
		t.Errorf("left: %v", ids)
	}
}
