package customers

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Notes are stored by a customer's address, see migrations/0009_notes.sql.

// maxNote is the maximum length of a note in characters.
const maxNote = 5000

// Note is a note about a customer, written for a store. Its JSON is the API's.
type Note struct {
	ID        int64     `json:"id,string"`
	Body      string    `json:"body"`
	Author    string    `json:"author"` // admin, user:<id> or token:<id>
	Editor    string    `json:"editor"` // of the last edit, as Author; empty: none
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// NewNote is the text and author of a note to write.
type NewNote struct {
	Body   string // 1 to 5,000 characters after trimming
	Author string // as Note.Author
}

// Notes returns up to limit notes about a customer, the newest first, written before
// the note with the id before (0: from the newest). ErrNotFound also for a customer of
// another store.
func (s *Reader) Notes(ctx context.Context, storeID, customer string, before int64, limit int) (_ []Note, err error) {
	defer pg.Wrap(&err, "customers.Notes(%q, %q)", storeID, customer)
	id, err := pg.CustomerID(storeID, customer)
	if err != nil {
		return nil, err
	}
	rows := pg.Query(ctx, s.Pool, notesSQL, storeID, id, before, limit)
	found, err := pgx.CollectRows(rows, scanNote)
	if err == nil && len(found) == 0 {
		err = pg.ErrNotFound
	}
	notes := []Note{}
	for _, n := range found {
		if n != nil {
			notes = append(notes, *n)
		}
	}
	return notes, err
}

// Names are the names of people and campaigns that wrote something, by Clerk id or their own.
// Other authors, and users without a name, are left out.
func (s *Reader) Names(ctx context.Context, authors []string) (map[string]string, error) {
	names := map[string]string{}
	rows, err := s.Pool.Query(ctx, `
		SELECT u.id, u.name
		FROM unnest($1::text[]) a
		JOIN users u ON u.id = substr(a, 6) AND a LIKE 'user:%'
		WHERE u.name <> ''
		UNION ALL
		SELECT k.id, k.name
		FROM unnest($1::text[]) a
		JOIN campaigns k ON a = 'campaign:' || k.id`, authors)
	if err != nil {
		return nil, &pg.Error{Call: "customers.Names", Err: err}
	}
	var id, name string
	err = pg.Each(rows, []any{&id, &name}, func() {
		names[id] = name
	})
	return names, err
}

const notesSQL = `
	SELECT
		n.id,
		n.body,
		n.author,
		n.editor,
		n.created_at,
		n.updated_at
	FROM customers c
	-- A customer without any makes one empty row.
	LEFT JOIN LATERAL (
		SELECT *
		FROM customer_notes
		WHERE store_id = c.store_id
		  AND email = c.email
		  AND ($3::bigint = 0 OR id < $3)
		ORDER BY id DESC
		LIMIT $4
	) n ON true
	WHERE c.store_id = $1
	  AND c.id = $2
	ORDER BY n.id DESC`

// scanNote scans a note; nil for an empty row.
func scanNote(row pgx.CollectableRow) (*Note, error) {
	var id *int64
	var body, author, editor *string
	var created, updated *time.Time
	if err := row.Scan(&id, &body, &author, &editor, &created, &updated); err != nil || id == nil {
		return nil, err
	}
	n := &Note{ID: *id, Body: *body, Author: *author, CreatedAt: created.UTC(), UpdatedAt: updated.UTC()}
	if editor != nil {
		n.Editor = *editor
	}
	return n, nil
}

// AddNote writes a note about a customer. The error is ErrNotFound, also for a
// customer of another store, or a *pg.BadParam.
func (s *Reader) AddNote(ctx context.Context, storeID, customer string, n NewNote) (_ Note, err error) {
	defer pg.Wrap(&err, "customers.AddNote(%q, %q)", storeID, customer)
	id, err := pg.CustomerID(storeID, customer)
	if err != nil {
		return Note{}, err
	}
	body, err := noteBody(n.Body)
	if err != nil {
		return Note{}, err
	}
	// The row lock makes a move of the customer wait until the note is in: a move changes
	// the row first, then takes its notes along.
	return s.oneNote(ctx, `
		WITH home AS (
			SELECT store_id, email
			FROM customers
			WHERE store_id = $1 AND id = $2
			FOR KEY SHARE
		)
		INSERT INTO customer_notes (store_id, email, body, author)
		SELECT store_id, email, $3, $4
		FROM home
		RETURNING id, body, author, editor, created_at, updated_at`, storeID, id, body, n.Author)
}

// EditNote replaces the text of a note; edit.Author becomes its Editor. Errors are as
// in AddNote.
func (s *Reader) EditNote(ctx context.Context, storeID, customer, note string, edit NewNote) (_ Note, err error) {
	defer pg.Wrap(&err, "customers.EditNote(%q, %q, %q)", storeID, customer, note)
	id, err := pg.CustomerID(storeID, customer)
	if err != nil {
		return Note{}, err
	}
	body, err := noteBody(edit.Body)
	if err != nil {
		return Note{}, err
	}
	n, _ := pg.ParseID(note)
	return s.oneNote(ctx, `
		UPDATE customer_notes n
		SET
			body = $4,
			editor = $5,
			updated_at = now()
		FROM customers c
		WHERE c.store_id = $1
		  AND c.id = $2
		  AND n.id = $3
		  AND n.store_id = c.store_id
		  AND n.email = c.email
		RETURNING n.id, n.body, n.author, n.editor, n.created_at, n.updated_at`, storeID, id, n, body, edit.Author)
}

// DeleteNote deletes a note. ErrNotFound also if it is about another customer.
func (s *Reader) DeleteNote(ctx context.Context, storeID, customer, note string) (err error) {
	defer pg.Wrap(&err, "customers.DeleteNote(%q, %q, %q)", storeID, customer, note)
	id, err := pg.CustomerID(storeID, customer)
	if err != nil {
		return err
	}
	n, _ := pg.ParseID(note)
	_, err = s.oneNote(ctx, `
		DELETE FROM customer_notes n
		USING customers c
		WHERE c.store_id = $1
		  AND c.id = $2
		  AND n.id = $3
		  AND n.store_id = c.store_id
		  AND n.email = c.email
		RETURNING n.id, n.body, n.author, n.editor, n.created_at, n.updated_at`, storeID, id, n)
	return err
}

// oneNote runs a statement that returns its note, or nothing.
func (s *Reader) oneNote(ctx context.Context, sql string, args ...any) (Note, error) {
	n, err := pg.One(ctx, s.Pool, scanNote, sql, args...)
	if err != nil {
		return Note{}, err
	}
	return *n, nil
}

// noteBody trims and checks the text. Forms send CR LF line ends.
func noteBody(body string) (string, error) {
	body = strings.TrimSpace(strings.ReplaceAll(body, "\r\n", "\n"))
	switch n := utf8.RuneCountInString(body); {
	case !pg.Storable(body):
		return "", pg.Refuse("body", "holds characters that are none; send UTF-8 without NUL")
	case n == 0:
		return "", pg.Refuse("body", "is empty; write 1 to %d characters", maxNote)
	case n > maxNote:
		return "", pg.Refuse("body", "is %d characters long, at most %d are allowed", n, maxNote)
	}
	return body, nil
}
