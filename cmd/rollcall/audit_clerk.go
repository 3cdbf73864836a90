package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/user"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/finding"
)

// lookAtClerk compares with Clerk's API.
func (a *auditing) lookAtClerk(o store.AuditOptions) (found store.Audit, err error) {
	audit, err := a.s.NewClerkAudit(a.e, o)
	if err != nil {
		return found, err
	}
	defer audit.Close()
	if err := a.e.readHistory("clerk", store.BackfillOptions{}, audit.Page); err != nil {
		return found, err
	}
	if err := a.confirm(audit); err != nil {
		return found, err
	}
	found, a.stuck, err = audit.Finish(a.e)
	return found, err
}

// confirmAtOnce is how many unlisted users are looked up from one query.
const confirmAtOnce = 500

// confirm requests each unlisted user from Clerk, because the list may have shifted
// while it was read.
func (a *auditing) confirm(audit *store.ClerkAudit) error {
	users := user.NewClient(a.e.clerkConfig())
	a.gone = nil
	for after := ""; ; {
		ids, err := audit.Unlisted(a.e, after, confirmAtOnce)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			gone := false
			err := a.e.patiently(func() (err error) {
				gone, err = deleted(a.e, users, id)
				return err
			})
			if err != nil {
				return err
			}
			if gone {
				audit.Gone(id)
				a.gone = append(a.gone, id)
			}
		}
		after = ids[len(ids)-1]
	}
}

// clerkTimeout is how long one request to Clerk may take.
const clerkTimeout = 30 * time.Second

func (e *env) clerkConfig() *clerk.ClientConfig {
	c := &clerk.ClientConfig{}
	c.Key, c.URL, c.HTTPClient = e.ClerkSecretKey, e.ClerkAPIBase, &http.Client{Timeout: clerkTimeout}
	return c
}

// deleted reports whether Clerk answers that the user does not exist. Other errors
// prove nothing.
func deleted(ctx context.Context, users *user.Client, id string) (bool, error) {
	_, err := users.Get(ctx, id)
	var answer *clerk.APIErrorResponse
	switch {
	case err == nil:
		return false, nil
	case !errors.As(err, &answer):
		return false, fmt.Errorf("Clerk's answer about user %s cannot be read", id)
	case answer.HTTPStatusCode == http.StatusNotFound &&
		slices.ContainsFunc(answer.Errors, func(e clerk.Error) bool { return e.Code == "resource_not_found" }):
		return true, nil
	}
	return false, fmt.Errorf("Clerk answered %d about user %s", answer.HTTPStatusCode, id)
}

// fixClerk marks deleted users, and imports the others again.
func (a *auditing) fixClerk(found store.Audit) error {
	for gone := range slices.Chunk(a.gone, confirmAtOnce) {
		var users []facts.User
		for _, id := range gone {
			deleted, err := tombstone(id, time.Now().UTC())
			if err != nil {
				return err
			}
			users = append(users, deleted.Users...)
		}
		if _, err := a.s.TellUsers(a.e, users); err != nil {
			return err
		}
	}
	if _, err := a.s.TellUsers(a.e, a.stuck); err != nil {
		return err
	}
	if !slices.ContainsFunc(found.Differences, func(d finding.Finding) bool {
		return d.Kind == "user_missing" ||
			d.Kind == "user_differs"
	}) {
		return nil
	}
	return a.bringIn(a.e, "clerk", store.BackfillOptions{})
}

// tombstone returns the facts of Clerk's deletion event.
func tombstone(id string, at time.Time) (facts.Set, error) {
	payload, err := json.Marshal(map[string]any{"data": map[string]any{"id": id, "deleted": true}})
	if err != nil {
		return facts.Set{}, err
	}
	return facts.Read(facts.Event{Source: "clerk", ID: "audit", Type: "user.deleted", OccurredAt: at, Payload: payload})
}
