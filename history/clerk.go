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

// ClerkConfig says how to reach Clerk's API.
type ClerkConfig struct {
	Key     string           // secret key, sk_…
	BaseURL string           // "" is Clerk's own, https://api.clerk.com/v1
	Timeout time.Duration    // of one request; 0 is 30 s
	Now     func() time.Time // nil is time.Now
}

// Clerk reads the users that Clerk has kept, oldest first, so that those who
// sign up meanwhile come last. Users deleted meanwhile, or before, it cannot
// tell: Clerk lists no deletions.
//
// It goes by the time of creation, as deep offsets are slow and shift with every
// deletion. Each page begins again with the users of the last one's last
// millisecond, those already read being passed over; so it does not matter
// whether created_at_after includes its time, how many share a millisecond, or
// how many users a page really holds.
type Clerk struct {
	users *user.Client
	now   func() time.Time
}

// NewClerk returns a source of users. Without a key it is *Refused.
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

// clerkCursor is a place in the list of users.
type clerkCursor struct {
	From   int64    `json:"from"`   // created_at of the last user read; all before it are read
	Seen   []string `json:"seen"`   // keys of the users of that millisecond that are read
	Offset int64    `json:"offset"` // users from there on to skip, when a page holds nothing but read ones
	Read   int64    `json:"read"`   // users read so far
}

// maxSeen bounds a cursor. It only matters where more users than this were made
// in one millisecond, and some of them are deleted while they are read.
const maxSeen = 20000

const usersStream = "users"

// clerkMost is the most users that Clerk puts on a page.
const clerkMost = 500

// Read returns the page at a position. The list is read in one chain.
func (c *Clerk) Read(ctx context.Context, at store.Position, limit int) (store.Page, error) {
	if at.Stream == "" {
		return c.plan(ctx)
	}
	var cursor clerkCursor
	if err := json.Unmarshal(at.Cursor, &cursor); err != nil {
		return store.Page{}, fmt.Errorf("history.Clerk: cursor %s: %w", at.Cursor, err)
	}
	read := c.now()
	rows, err := c.list(ctx, cursor, max(2, min(limit, clerkMost))) // at 1, the overlap would be all
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
		panic(err) // a struct of numbers and text
	}
	return store.Position{Stream: usersStream, Cursor: text}
}

// audit ends the list: it asks Clerk how many users there are up to the last
// one, as users came and went since the plan. If there are more than were read,
// that is an error to show.
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

// clerkRow is a user as it was sent, and what the list is ordered by.
type clerkRow struct {
	raw       json.RawMessage
	key       string // the id, or what stands for it
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

// advance takes from a page of the list what was not read before, and returns
// where to go on, or nil at the end.
func (c clerkCursor) advance(rows []clerkRow, read time.Time) (page store.Page, next *clerkCursor) {
	seen := make(map[string]bool, len(c.Seen))
	for _, key := range c.Seen {
		seen[key] = true
	}
	known := func(r clerkRow) bool { return seen[r.key] || r.createdAt > 0 && r.createdAt < c.From }
	n := clerkCursor{From: c.From, Seen: c.Seen, Offset: c.Offset, Read: c.Read}
	if c.Offset > 0 && (len(rows) == 0 || !known(rows[0])) {
		// Users before were deleted, and unread ones slid under the offset. What is
		// read must stay the head of the list: nothing of this page is taken.
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
		return page, nil // nothing, or only the user that the last page ended with
	case n.From > c.From:
		n.Offset, n.Seen = 0, lastOf(rows, n.From)
	default:
		n.Offset += int64(len(rows)) - 1
	}
	n.Seen = n.Seen[max(0, len(n.Seen)-maxSeen):]
	return page, &n
}

// lastOf returns the keys of the users of a page that may come again on a page
// from the given millisecond on.
func lastOf(rows []clerkRow, from int64) (keys []string) {
	for _, r := range rows {
		if r.createdAt >= from || r.createdAt <= 0 {
			keys = append(keys, r.key)
		}
	}
	return keys
}
