package history

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/user"
)

// clerkTimeout limits one request to Clerk. Pages of 500 users often need more than the 5 s of the
// SDK's client.
const clerkTimeout = 30 * time.Second

// clerkPause is how long to pause when Clerk asks for it without a duration: its limit is per 10 s.
const clerkPause = 10 * time.Second

func newClerkClient(c ClerkConfig) (*user.Client, error) {
	if c.Key == "" {
		return nil, refused("CLERK_SECRET_KEY is not set: give the secret key (sk_…) of the Clerk instance")
	}
	config := &clerk.ClientConfig{}
	config.Key = &c.Key
	config.HTTPClient = newHTTPClient(clerkTransport{http.DefaultTransport}, nil, cmp.Or(c.Timeout, clerkTimeout))
	if c.BaseURL != "" {
		config.URL = &c.BaseURL
	}
	return user.NewClient(config), nil
}

// clerkStatus is an error answer of Clerk.
type clerkStatus struct {
	code       int
	retryAfter string
	message    string
}

func (e *clerkStatus) Error() string { return fmt.Sprintf("Clerk answered %d: %s", e.code, e.message) }

// clerkTransport turns every error answer into a *clerkStatus. The SDK only keeps the status of
// answers with the expected error format.
type clerkTransport struct{ next http.RoundTripper }

func (t clerkTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err != nil || response.StatusCode == http.StatusOK {
		return response, err
	}
	defer response.Body.Close()
	const most = 64 << 10
	body, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		body = nil // the status is enough
	}
	return nil, &clerkStatus{response.StatusCode, response.Header.Get("Retry-After"),
		clerkMessage(response.StatusCode, body)}
}

// clerkMessage returns the message of a Clerk error body, or "".
func clerkMessage(status int, body []byte) string {
	var answer struct {
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Errors) == 0 || answer.Errors[0].Message == "" {
		return http.StatusText(status)
	}
	const most = 200
	message := []rune(answer.Errors[0].Message)
	return string(message[:min(len(message), most)])
}

// clerkUsers is a page of the list as received. The SDK's type rejects a whole page if one field of
// one user is odd.
type clerkUsers []json.RawMessage

// Read implements the SDK's response interface.
func (*clerkUsers) Read(*clerk.APIResponse) {}

func (c *Clerk) list(ctx context.Context, at clerkCursor, limit int) ([]clerkRow, error) {
	params := &user.ListParams{OrderBy: clerk.String("+created_at")}
	params.Limit, params.Offset = clerk.Int64(int64(limit)), clerk.Int64(at.Offset)
	if at.From > 0 {
		params.CreatedAtAfter = clerk.Int64(at.From - 1)
	}
	request := clerk.NewAPIRequest(http.MethodGet, "/users")
	request.SetParams(params)
	var users clerkUsers
	if err := c.users.Backend.Call(ctx, request, &users); err != nil {
		return nil, explainClerk(ctx, err)
	}
	if users == nil {
		return nil, notReadable("Clerk") // an empty list would be []
	}
	rows := make([]clerkRow, len(users))
	for i, raw := range users {
		rows[i] = newClerkRow(raw)
	}
	return rows, nil
}

// explainClerk classifies Clerk's errors. The texts do not contain the key.
func explainClerk(ctx context.Context, err error) error {
	if status, is := errors.AsType[*clerkStatus](err); ctx.Err() == nil && is {
		return status.explain()
	}
	return explainBroken(ctx, "Clerk", err)
}

func (e *clerkStatus) explain() error {
	switch {
	case e.code == http.StatusUnauthorized, e.code == http.StatusForbidden:
		return refused("Clerk does not accept the key in CLERK_SECRET_KEY (%d): it is mistyped, revoked or of another "+
			"instance; copy a valid one from Clerk's dashboard", e.code)
	case e.code == http.StatusTooManyRequests:
		return &Later{pause(e.retryAfter, clerkPause), e}
	case e.code >= 500, e.code == http.StatusRequestTimeout:
		return e
	}
	return refused("%v: is CLERK_API_BASE right?", e)
}
