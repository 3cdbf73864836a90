package history

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v76/form"

	"rollcall/store"
)

// window is a part of a Stripe list: the objects of an account created from Since (inclusive) until
// Until (exclusive), in seconds. Lists are newest first, and the window continues behind the object
// After.
type window struct {
	Account string `json:"account,omitempty"`
	Since   int64  `json:"since,omitempty"` // 0: from the first one
	Until   int64  `json:"until"`
	After   string `json:"after,omitempty"` // id of the last object read
	Last    int64  `json:"last,omitempty"`  // when it was created
	Depth   int    `json:"depth,omitempty"` // how many splits led to this window
}

func (w window) position(stream string) store.Position {
	cursor, err := json.Marshal(w)
	if err != nil {
		panic(err) // cannot fail: strings and numbers
	}
	return store.Position{Stream: stream, Cursor: cursor}
}

func (w window) query(s stream, limit int) *form.Values {
	q := &form.Values{}
	add := func(key, value string) {
		if value != "" {
			q.Add(key, value)
		}
	}
	add("limit", strconv.Itoa(min(max(limit, 1), maxPage)))
	add("created[lt]", strconv.FormatInt(w.Until, 10))
	if w.Since > 0 {
		add("created[gte]", strconv.FormatInt(w.Since, 10))
	}
	add("starting_after", w.After)
	add("status", s.status)
	add("expand[]", s.expand)
	return q
}

// maxPage is Stripe's maximum page size.
const maxPage = 100

// Long windows are split. The first page of a window shows how much time it covers. What is older
// than firstSpan such times becomes a window for another worker, and growth times as much at each
// further depth. A short history is read sequentially, a long one by up to maxDepth+1 workers.
const (
	firstSpan = 8
	growth    = 4
	maxDepth  = 5
)

// rest returns the rest of a window after a page, as windows without common objects. The page had
// objects from newest to oldest and ended with last.
func (w window) rest(newest, oldest int64, last head) []window {
	next := w
	next.After, next.Last = last.ID, last.Created
	if w.After != "" || w.Depth >= maxDepth {
		return []window{next}
	}
	reach := (newest - oldest + 1) * firstSpan
	for range w.Depth {
		reach *= growth
	}
	// All objects of one second stay on one side: the older part has none that were read, as those
	// are no older than oldest.
	cut := oldest - reach
	if cut <= max(w.Since, 1) {
		return []window{next}
	}
	older := w
	older.Until, older.Depth = cut, w.Depth+1
	next.Since = cut
	return []window{next, older}
}

// afresh is the window to read if the object After was deleted. It reads objects of the same second
// again.
func (w window) afresh() window {
	w.Until = min(w.Until, w.Last+1)
	w.After, w.Last = "", 0
	return w
}

// itemReader reads one entry of a list; its error is one of reading Stripe.
type itemReader func(w window, asOf time.Time, raw json.RawMessage) (store.Item, error)

// read returns the page at a position of a stream.
func (l lister) read(
	ctx context.Context, s stream, at store.Position, limit int, read itemReader,
) (page store.Page, err error) {
	var w window
	if err := json.Unmarshal(at.Cursor, &w); err != nil {
		return page, refused("the position in %s cannot be read: %v", s.name, err)
	}
	list, asOf, err := l.api.list(ctx, w.Account, s.path, w.query(s, limit))
	if errors.As(err, new(*missing)) && w.After != "" {
		w = w.afresh()
		list, asOf, err = l.api.list(ctx, w.Account, s.path, w.query(s, limit))
	}
	if err != nil {
		return failed(s, w.Account, err)
	}
	for i, raw := range list.Data {
		item, err := read(w, asOf, raw)
		if err != nil && (i == 0 || ctx.Err() != nil) {
			return failed(s, w.Account, err)
		}
		if err != nil {
			// Keep what was read and continue behind it. A page with many lists inside might
			// otherwise never succeed.
			page.Next, err = l.next(s, w, list.Data[:i], false)
			return page, err
		}
		page.Items = append(page.Items, item)
	}
	if list.HasMore {
		page.Next, err = l.next(s, w, list.Data, true)
	}
	return page, err
}

// failed turns an error into an error of the run, or into a page that reports it.
func failed(s stream, account string, err error) (store.Page, error) {
	var lost *lostAccount
	var gone *missing
	switch {
	case errors.As(err, &lost), errors.As(err, &gone) && account != "":
		return unreadable(s, account, err)
	case errors.As(err, &gone):
		return store.Page{}, refused("%v", err)
	}
	return store.Page{}, err
}

// next returns the positions after a page, or after a part of one. A part must not be split, as the
// time that it covers means nothing.
func (l lister) next(s stream, w window, data []json.RawMessage, whole bool) (positions []store.Position, err error) {
	if len(data) == 0 {
		return nil, notReadable("Stripe") // an empty page with more behind it
	}
	newest, oldest := int64(0), int64(math.MaxInt64)
	var last head
	for _, raw := range data {
		var item store.Item
		if last, item = l.head(w.Account, raw); item.Err == nil && last.Created > 0 {
			newest, oldest = max(newest, last.Created), min(oldest, last.Created)
		}
	}
	if last.ID == "" || last.Created <= 0 {
		return nil, refused("the list of %s cannot be followed: the last entry of a page has no id, or no time it was "+
			"created", s.name)
	}
	if !whole {
		w.After, w.Last = last.ID, last.Created
		return []store.Position{w.position(s.name)}, nil
	}
	for _, part := range w.rest(newest, oldest, last) {
		positions = append(positions, part.position(s.name))
	}
	return positions, nil
}
