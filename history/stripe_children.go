package history

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/stripe/stripe-go/v76/form"

	"rollcall/facts"
)

// childList is a list inside an object, which holds only its first ten entries.
type childList struct {
	field string
	// where returns the path of an object's whole list and, if the path lacks it, the subscription
	// parameter.
	where func(id string) (path, subscription string)
}

// complete returns the object with all entries of its child list, if they are needed. It reads the
// rest page by page.
func (l lister) complete(
	ctx context.Context, c childList, account string, h head, raw json.RawMessage,
) (json.RawMessage, error) {
	if c.field == "" {
		return raw, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return raw, nil // the reader will report the fault
	}
	var list rawList
	if json.Unmarshal(object[c.field], &list) != nil || !list.HasMore || !facts.NeedsWholeList(h.Object, raw) {
		return raw, nil
	}
	entries, err := l.children(ctx, c, account, h.ID, list)
	if err != nil {
		return nil, err
	}
	if object[c.field], err = json.Marshal(map[string]any{"object": "list", "data": entries}); err != nil {
		return nil, err
	}
	return json.Marshal(object)
}

// children reads a child list to its end. If the object or the last entry was just deleted, the
// list ends there.
func (l lister) children(
	ctx context.Context, c childList, account, id string, list rawList,
) ([]json.RawMessage, error) {
	path, subscription := c.where(id)
	entries := list.Data
	for list.HasMore && len(list.Data) > 0 {
		last, item := l.head(account, list.Data[len(list.Data)-1])
		if item.Err != nil {
			return nil, notReadable("Stripe")
		}
		q := &form.Values{}
		q.Add("limit", strconv.Itoa(maxPage))
		q.Add("starting_after", last.ID)
		if subscription != "" {
			q.Add("subscription", subscription)
		}
		next, err := l.entries(ctx, account, path, q)
		if errors.As(err, new(*missing)) {
			break
		}
		if err != nil {
			return nil, err
		}
		list = *next
		entries = append(entries, list.Data...)
	}
	return entries, nil
}

// entries reads a page of a child list and retries once; otherwise the object's whole page would be
// read again.
func (l lister) entries(ctx context.Context, account, path string, q *form.Values) (*rawList, error) {
	page, _, err := l.api.list(ctx, account, path, q)
	if mayPass(err) && ctx.Err() == nil {
		page, _, err = l.api.list(ctx, account, path, q)
	}
	return page, err
}
