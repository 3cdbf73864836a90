package history

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/clerk/clerk-sdk-go/v2"
	"github.com/clerk/clerk-sdk-go/v2/user"

	"rollcall/facts"
	"rollcall/store"
)

// ClerkConfig configures access to Clerk's API.
type ClerkConfig struct {
	Key     string           // secret key, sk_…
	BaseURL string           // empty: https://api.clerk.com/v1
	Timeout time.Duration    // of one request; 0: 30 s
	Now     func() time.Time // nil: time.Now
}

// Clerk reads Clerk's users, oldest first, so that new sign-ups come last. It cannot find deleted
// users, as Clerk lists no deletions.
//
// It pages by time of creation, as deep offsets are slow and shift with every deletion. Each page
// starts with the users of the previous page's last millisecond and skips those already read. So it
// does not matter whether created_at_after is inclusive, how many users share a millisecond, or how
// many users a page has.
type Clerk struct {
	users *user.Client
	now   func() time.Time
}

// NewClerk returns a source of users. Without a key the error is *Refused.
func NewClerk(c ClerkConfig) (*Clerk, error) {
	users, err := newClerkClient(c)
	if err != nil {
		return nil, err
	}
	now := c.Now
	if now == nil {
		now = time.Now
	}
	return &Clerk{users, now}, nil
}

// clerkCursor is a position in the list of users.
type clerkCursor struct {
	From   int64    `json:"from"`   // created_at of the last user read
	Seen   []string `json:"seen"`   // keys of the users already read of that millisecond
	Offset int64    `json:"offset"` // users to skip from there, when a page has no new ones
	Read   int64    `json:"read"`   // users read so far
}

// maxSeen limits a cursor. It only matters if more users than this share a millisecond and some of
// them are deleted during the import.
const maxSeen = 20000

const usersStream = "users"

// clerkMost is Clerk's maximum page size.
const clerkMost = 500

// Read returns the page at a position. The list is read sequentially.
func (c *Clerk) Read(ctx context.Context, at store.Position, limit int) (store.Page, error) {
	if at.Stream == "" {
		return c.plan(ctx)
	}
	var cursor clerkCursor
	if err := json.Unmarshal(at.Cursor, &cursor); err != nil {
		return store.Page{}, fmt.Errorf("history.Clerk: cursor %s: %w", at.Cursor, err)
	}
	read := c.now()
	rows, err := c.list(ctx, cursor, max(2, min(limit, clerkMost))) // with 1, the page would only have the overlap
	if err != nil {
		return store.Page{}, err
	}
	page, next := cursor.advance(rows, read)
	if next == nil {
		return page, c.audit(ctx, &page, cursor)
	}
	page.Next = []store.Position{next.position()}
	return page, nil
}

func (c *Clerk) plan(ctx context.Context) (store.Page, error) {
	total, err := c.users.Count(ctx, &user.ListParams{})
	if err != nil {
		return store.Page{}, explainClerk(ctx, err)
	}
	return store.Page{Expected: &total.TotalCount, Next: []store.Position{clerkCursor{}.position()}}, nil
}

func (c clerkCursor) position() store.Position {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // cannot fail: numbers and text
	}
	return store.Position{Stream: usersStream, Cursor: text}
}

// audit ends the list: it asks Clerk for the current number of users up to the last one. If that is
// more than were read, it reports an error.
func (c *Clerk) audit(ctx context.Context, page *store.Page, at clerkCursor) error {
	params := &user.ListParams{}
	if at.From > 0 {
		params.CreatedAtBefore = clerk.Int64(at.From + 1)
	}
	total, err := c.users.Count(ctx, params)
	if err != nil {
		return explainClerk(ctx, err)
	}
	expected := at.Read
	if at.Read < total.TotalCount {
		expected = total.TotalCount
		page.Items = append(page.Items, store.Item{
			Place: usersStream,
			Err:   fmt.Errorf("Clerk counts %d users, its list held %d: start the backfill again", total.TotalCount, at.Read),
		})
	}
	page.Expected = &expected
	return nil
}

// clerkRow is a user as received, with its sort keys.
type clerkRow struct {
	raw       json.RawMessage
	key       string // the id or a substitute
	createdAt int64  // milliseconds
}

func newClerkRow(raw json.RawMessage) clerkRow {
	var head struct {
		ID        string  `json:"id"`
		CreatedAt float64 `json:"created_at"`
	}
	if json.Unmarshal(raw, &head) != nil || head.ID == "" {
		hash := fnv.New64a()
		hash.Write(raw)
		head.ID = fmt.Sprintf("#%x", hash.Sum64())
	}
	return clerkRow{raw, head.ID, int64(head.CreatedAt)}
}

func (r clerkRow) item(read time.Time) store.Item {
	set, err := facts.ReadClerkUser(read, r.raw)
	return store.Item{Place: r.key, Facts: set, Err: err}
}

// advance returns the new users of a page and the next position, or nil at the end.
func (c clerkCursor) advance(rows []clerkRow, read time.Time) (page store.Page, next *clerkCursor) {
	seen := make(map[string]bool, len(c.Seen))
	for _, key := range c.Seen {
		seen[key] = true
	}
	known := func(r clerkRow) bool { return seen[r.key] || r.createdAt > 0 && r.createdAt < c.From }
	n := clerkCursor{From: c.From, Seen: c.Seen, Offset: c.Offset, Read: c.Read}
	if c.Offset > 0 && (len(rows) == 0 || !known(rows[0])) {
		// Users before the offset were deleted, so unread ones moved below it. This page is
		// dropped, so that no user is skipped.
		n.Offset /= 2
		return page, &n
	}
	for _, r := range rows {
		if known(r) {
			continue
		}
		seen[r.key] = true
		page.Items = append(page.Items, r.item(read))
		n.Seen = append(n.Seen, r.key)
		n.From = max(n.From, r.createdAt)
	}
	fresh := len(page.Items)
	n.Read += int64(fresh)
	switch {
	case fresh == 0 && len(rows) < 2:
		return page, nil // nothing, or only the last page's last user
	case n.From > c.From:
		n.Offset, n.Seen = 0, lastOf(rows, n.From)
	default:
		n.Offset += int64(len(rows)) - 1
	}
	n.Seen = n.Seen[max(0, len(n.Seen)-maxSeen):]
	return page, &n
}

// lastOf returns the keys of a page's users that may repeat on a page from the given millisecond.
func lastOf(rows []clerkRow, from int64) (keys []string) {
	for _, r := range rows {
		if r.createdAt >= from || r.createdAt <= 0 {
			keys = append(keys, r.key)
		}
	}
	return keys
}
