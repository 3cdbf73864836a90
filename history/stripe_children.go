package history

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/stripe/stripe-go/v76/form"

	"rollcall/facts"
)

// childList is a list inside an object, of which the object holds only the
// first ten entries.
type childList struct {
	field string
	// where gives the path of the whole list of an object, and, where the path
	// does not say it, the subscription to ask for.
	where func(id string) (path, subscription string)
}

// complete returns the object with all entries of its child list, where they
// matter: the rest of the list is read page by page.
func (l lister) complete(ctx context.Context, c childList, account string, h head, raw json.RawMessage) (json.RawMessage, error) {
	if c.field == "" {
		return raw, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return raw, nil // the reader will say what is wrong with it
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

// children reads a child list to its end. One whose object or whose last entry
// has just been deleted ends with what was there.
func (l lister) children(ctx context.Context, c childList, account, id string, list rawList) ([]json.RawMessage, error) {
	path, subscription := c.where(id)
	entries := list.Data
	for list.HasMore && len(list.Data) > 0 {
		last, item := l.head(account, list.Data[len(list.Data)-1])
		if item.Err != nil {
			return nil, errUnreadable
		}
		q := &form.Values{}
		q.Add("limit", strconv.Itoa(maxPage))
		q.Add("starting_after", last.ID)
		if subscription != "" {
			q.Add("subscription", subscription)
		}
		next, err := l.entries(ctx, account, path, q)
		var gone *missing
		if errors.As(err, &gone) {
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

// entries reads a page of a child list, with a second try: the object's own
// page would have to be read again for it.
func (l lister) entries(ctx context.Context, account, path string, q *form.Values) (*rawList, error) {
	page, _, err := l.api.list(ctx, account, path, q)
	if mayPass(err) && ctx.Err() == nil {
		page, _, err = l.api.list(ctx, account, path, q)
	}
	return page, err
}
