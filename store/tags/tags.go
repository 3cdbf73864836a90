// Package tags stores the tags of stores, and which customers have them. Tags belong to
// an address, see migrations/0026_tags.sql: no rebuild derives them, and they move with
// the customer. A static segment is kept as a tag is: its members have its id.
package tags

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

const (
	maxName = 60  // characters
	maxTags = 500 // of a store: menus list them all
	chunk   = 500 // customers in one transaction: each holds their entries until it ends
)

// Tags reads and writes tags.
type Tags struct {
	*store.Store
	of string // the table that has their ids and stores
}

// New returns the tags of all stores.
func New(s *store.Store) *Tags { return &Tags{s, "tags"} }

// Static returns the static segments of all stores, for Put and Take.
func Static(s *store.Store) *Tags { return &Tags{s, "(SELECT * FROM segments WHERE kind = 'static')"} }

// Tag is a tag of a store. Its JSON is the API's.
type Tag struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Customers int64     `json:"customers"` // that have it
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
}

// selectTags selects tags t, for a WHERE to follow.
const selectTags = `
	SELECT
		t.id,
		t.name,
		(SELECT count(*) FROM customer_index i WHERE i.store_id = t.store_id AND i.tags @> ARRAY[t.id]),
		t.created_by,
		t.created_at
	FROM tags t
	WHERE t.store_id = $1`

func scan(row pgx.CollectableRow) (t Tag, err error) {
	err = row.Scan(&t.ID, &t.Name, &t.Customers, &t.CreatedBy, &t.CreatedAt)
	t.CreatedAt = t.CreatedAt.UTC()
	return t, err
}

// List returns a store's tags by name.
func (s *Tags) List(ctx context.Context, storeID string) (all []Tag, err error) {
	defer pg.Wrap(&err, "tags.List(%q)", storeID)
	if !pg.Storable(storeID) {
		return []Tag{}, nil
	}
	return pgx.CollectRows(pg.Query(ctx, s.Pool, selectTags+` ORDER BY t.folded`, storeID), scan)
}

// Tag returns a tag of a store; ErrNotFound also for another store's.
func (s *Tags) Tag(ctx context.Context, storeID, id string) (t Tag, err error) {
	defer pg.Wrap(&err, "tags.Tag(%q, %q)", storeID, id)
	if !pg.Storable(storeID) || !pg.Storable(id) {
		return Tag{}, pg.ErrNotFound
	}
	return pg.One(ctx, s.Pool, scan, selectTags+` AND t.id = $2`, storeID, id)
}

// Create makes a tag; author is admin, user:<Clerk id> or token:<id>. A name that is
// empty, too long or taken is a *pg.BadParam.
func (s *Tags) Create(ctx context.Context, storeID, name, author string) (t Tag, err error) {
	defer pg.Wrap(&err, "tags.Create(%q)", storeID)
	if name, err = CheckName(name); err != nil {
		return Tag{}, err
	}
	if !pg.Storable(storeID) {
		return Tag{}, pg.ErrNotFound
	}
	t = Tag{ID: "tag_" + strings.ToLower(rand.Text()[:10]), Name: name, CreatedBy: author}
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM tags WHERE store_id = $1`, storeID).Scan(&n); err != nil {
			return err
		}
		if n >= maxTags {
			return pg.Refuse("name", "cannot be added: the store has %d tags, the most allowed; delete some, or merge them", n)
		}
		return tx.QueryRow(ctx, `
			INSERT INTO tags (id, store_id, name, folded, created_by)
			VALUES ($1, $2, $3, `+Folded("$3")+`, $4)
			RETURNING created_at`, t.ID, storeID, name, author).Scan(&t.CreatedAt)
	})
	t.CreatedAt = t.CreatedAt.UTC()
	return t, taken(err, name)
}

// Ensure returns the id of the store's tag that is called so, and makes it if there is
// none. Errors are as in Create.
func (s *Tags) Ensure(ctx context.Context, storeID, name, author string) (id string, err error) {
	defer pg.Wrap(&err, "tags.Ensure(%q)", storeID)
	if name, err = CheckName(name); err != nil {
		return "", err
	}
	if !pg.Storable(storeID) {
		return "", pg.ErrNotFound
	}
	err = s.Pool.QueryRow(ctx, `SELECT id FROM tags WHERE store_id = $1 AND folded = `+Folded("$2"), storeID, name).Scan(
		&id)
	if !errors.Is(err, pgx.ErrNoRows) {
		return id, err
	}
	t, err := s.Create(ctx, storeID, name, author)
	return t.ID, err
}

// Rename gives a tag another name; its id stays. Errors are as in Create and Tag.
func (s *Tags) Rename(ctx context.Context, storeID, id, name string) (err error) {
	defer pg.Wrap(&err, "tags.Rename(%q, %q)", storeID, id)
	if name, err = CheckName(name); err != nil {
		return err
	}
	return taken(s.change(ctx, `UPDATE tags SET name = $3, folded = `+Folded("$3")+` WHERE store_id = $1 AND id = $2`,
		storeID, id, name), name)
}

// Delete deletes a tag, and takes it off all customers. If it is interrupted, a worker
// finishes it; see Clear. A *pg.Conflict names the segments that use it.
func (s *Tags) Delete(ctx context.Context, storeID, id string) (err error) {
	defer pg.Wrap(&err, "tags.Delete(%q, %q)", storeID, id)
	if !pg.Storable(storeID) || !pg.Storable(id) {
		return pg.ErrNotFound
	}
	if err := s.Unused(ctx, storeID, "tag", id); err != nil {
		return err
	}
	err = s.change(ctx, `
		WITH gone AS (
			DELETE FROM tags WHERE store_id = $1 AND id = $2 RETURNING id
		)
		INSERT INTO deleted_tags SELECT id FROM gone`, storeID, id)
	if err != nil {
		return err
	}
	return s.clear(ctx, id)
}

// Clear takes deleted tags off customers that still have them.
func (s *Tags) Clear(ctx context.Context) (err error) {
	defer pg.Wrap(&err, "tags.Clear")
	gone, err := pg.Column[string](ctx, s.Pool, `SELECT tag_id FROM deleted_tags`)
	for _, id := range gone {
		err = errors.Join(err, s.clear(ctx, id))
	}
	return err
}

// clear takes a deleted tag off its customers, some at a time.
func (s *Tags) clear(ctx context.Context, id string) error {
	if err := s.inChunks(ctx, id, `DELETE FROM customer_tags WHERE tag_id = $1 AND email = ANY($2)`); err != nil {
		return err
	}
	_, err := s.Pool.Exec(ctx, `DELETE FROM deleted_tags WHERE tag_id = $1`, id)
	return err
}

// Merge gives a tag's customers the tag into instead, and deletes the tag. If it is
// interrupted, the next Merge goes on. A *pg.Conflict names the segments that use it.
func (s *Tags) Merge(ctx context.Context, storeID, id, into string) (err error) {
	defer pg.Wrap(&err, "tags.Merge(%q, %q, %q)", storeID, id, into)
	if id == into {
		return pg.Refuse("into", "is the same tag; give another one")
	}
	if err := s.change(ctx, `SELECT FROM tags a JOIN tags b USING (store_id) WHERE store_id = $1 AND a.id = $2
		AND b.id = $3`,
		storeID, id, into); err != nil {
		return err
	}
	if err := s.Unused(ctx, storeID, "tag", id); err != nil {
		return err
	}
	if err := s.inChunks(ctx, id, `
		WITH moved AS (
			DELETE FROM customer_tags WHERE tag_id = $1 AND email = ANY($2) RETURNING *
		)
		INSERT INTO customer_tags (store_id, email, tag_id, tagged_at, tagged_by)
		SELECT store_id, email, $3, tagged_at, tagged_by
		FROM moved
		ON CONFLICT DO NOTHING`, into); err != nil {
		return err
	}
	return s.Delete(ctx, storeID, id)
}

// inChunks runs a statement for the rows of a tag ($1) at some addresses ($2) after the
// others, until it has none. The customers there stay where they are meanwhile: one who
// moves takes along the tags that there are, see AddNote. All who change tags lock their
// entries of customer_index first, so that no two of them wait for each other.
func (s *Tags) inChunks(ctx context.Context, id, sql string, more ...any) error {
	for {
		var emails []string
		err := again(func() error {
			return s.InTx(ctx, func(tx pgx.Tx) (err error) {
				rows := pg.Query(ctx, tx, `SELECT email FROM customer_tags WHERE tag_id = $1 ORDER BY email LIMIT $2`, id, chunk)
				if emails, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(emails) == 0 {
					return err
				}
				if _, err = tx.Exec(ctx, `
					SELECT
					FROM customers c
					JOIN customer_index i ON i.customer_id = c.id
					WHERE c.email = ANY($2) AND c.store_id IN (SELECT store_id FROM customer_tags WHERE tag_id = $1 LIMIT 1)
					ORDER BY c.id
					FOR NO KEY UPDATE OF c, i`, id, emails); err != nil {
					return err
				}
				_, err = tx.Exec(ctx, sql, append([]any{id, emails}, more...)...)
				return err
			})
		})
		if err != nil || len(emails) == 0 {
			return err
		}
	}
}

// again repeats a transaction that met one of the workers' in a deadlock.
func again(do func() error) (err error) {
	for range 5 {
		if err = do(); !pg.Deadlocked(err) {
			break
		}
	}
	return err
}

// Put gives a customer a tag; it does nothing if they have it. ErrNotFound also for a
// customer or a tag of another store.
func (s *Tags) Put(ctx context.Context, storeID, customer, id, author string) (err error) {
	defer pg.Wrap(&err, "tags.Put(%q, %q, %q)", storeID, customer, id)
	return s.ofCustomer(ctx, storeID, customer, id, `
		INSERT INTO customer_tags (store_id, email, tag_id, tagged_by)
		VALUES ($1, $2, $3, $4)
		ON CONFLICT DO NOTHING`, author)
}

// Take takes a tag off a customer; it does nothing if they do not have it. Errors are as
// in Put.
func (s *Tags) Take(ctx context.Context, storeID, customer, id string) (err error) {
	defer pg.Wrap(&err, "tags.Take(%q, %q, %q)", storeID, customer, id)
	return s.ofCustomer(ctx, storeID, customer, id, `
		DELETE FROM customer_tags
		WHERE store_id = $1
		  AND email = $2
		  AND tag_id = $3`)
}

// ofCustomer changes what tag $3 is to the customer at address $2 of store $1. The locks
// make a move of the customer, and a deletion of the tag, wait until that is done. They
// come first: a statement that waits for a move does not see the tags that it brought.
func (s *Tags) ofCustomer(ctx context.Context, storeID, customer, id, change string, more ...any) error {
	n, err := pg.CustomerID(storeID, customer)
	if err != nil {
		return err
	}
	if !pg.Storable(id) {
		return pg.ErrNotFound
	}
	return s.InTx(ctx, func(tx pgx.Tx) error {
		var email string
		if err := tx.QueryRow(ctx, `
			SELECT c.email
			FROM customers c
			JOIN customer_index i ON i.customer_id = c.id
			JOIN `+s.of+` t ON t.store_id = c.store_id
			WHERE c.store_id = $1 AND c.id = $2 AND t.id = $3
			FOR NO KEY UPDATE OF c, i
			FOR KEY SHARE OF t`, storeID, n, id).Scan(&email); err != nil {
			return pg.NotFound(err)
		}
		_, err := tx.Exec(ctx, change, append([]any{storeID, email, id}, more...)...)
		return err
	})
}

// change runs a statement about one thing, which does not exist if it is about none.
func (s *Tags) change(ctx context.Context, sql string, args ...any) error {
	for _, a := range args {
		if text, ok := a.(string); ok && !pg.Storable(text) {
			return pg.ErrNotFound
		}
	}
	tag, err := s.Pool.Exec(ctx, sql, args...)
	if err == nil && tag.RowsAffected() == 0 {
		err = pg.ErrNotFound
	}
	return err
}

// Folded is SQL for what two names have in common that a reader takes for one. A name of
// signs alone, for example of emoji, is only lowered.
func Folded(name string) string {
	return `coalesce(nullif(fold(` + name + `::text), ''), lower(` + name + `::text))`
}

// CheckName trims and checks the name of a tag or a segment. Its error is a *pg.BadParam.
func CheckName(name string) (string, error) {
	name = strings.Join(strings.Fields(name), " ")
	switch n := utf8.RuneCountInString(name); {
	case !pg.Storable(name), strings.ContainsFunc(name, unicode.IsControl):
		return "", pg.Refuse("name", "holds characters that are not text")
	case n == 0:
		return "", pg.Refuse("name", "is empty; write 1 to %d characters", maxName)
	case n > maxName:
		return "", pg.Refuse("name", "is %d characters long, at most %d are allowed", n, maxName)
	case !strings.ContainsFunc(name, isSeen):
		return "", pg.Refuse("name", "holds nothing that can be seen; write letters, digits or signs")
	}
	return name, nil
}

// isSeen tells whether a reader sees a character by itself: a letter, a digit or a sign, emoji among them. Fillers
// count as letters, and the empty pattern of Braille as a sign.
func isSeen(r rune) bool {
	const emptyBraille = '\u2800'
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && r != emptyBraille &&
		!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// taken explains that the store has a tag of this name.
func taken(err error, name string) error {
	if pg.UniqueViolation(err) {
		return pg.Refuse("name",
			"%q is taken: the store has a tag that is called so, but perhaps for case, accents or spaces", name)
	}
	return err
}

// IsSegment tells whether an id in customer_tags is a segment's.
func IsSegment(id string) bool { return strings.HasPrefix(id, "seg_") }
