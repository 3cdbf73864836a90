package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"sync"
	"time"

	"rollcall/facts"
	"rollcall/store"
)

// ConvexConfig says which export to read.
type ConvexConfig struct {
	// Options name the file, and the time as of which it speaks (the file's own
	// if there is none).
	Options store.BackfillOptions
	// Dir is the only folder that files are read in. Empty: a file is read wherever
	// its path says.
	Dir string
}

// Convex reads a snapshot export of a Convex deployment, table after table, line
// after line, never holding more than one line, and who is who where users are
// named by documents (see knownUsers). It keeps the place it has come
// to in the file, so reading on costs nothing; beginning elsewhere costs
// unpacking the table up to there.
type Convex struct {
	dir, path string
	asOf      *time.Time

	mu     sync.Mutex
	export *export // nil until the first Read
	reader *facts.ConvexExport
	table  string
	lines  *lines // the table's, nil while none is open

	people  knownUsers // nil until a row names one by the _id
	trouble error      // of reading them
}

// NewConvex returns a source of the export. The file is opened by the first Read.
func NewConvex(c ConvexConfig) *Convex {
	return &Convex{dir: c.Dir, path: c.Options.File, asOf: c.Options.AsOf}
}

// Close closes the file.
func (c *Convex) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shut()
	if c.export == nil {
		return nil
	}
	err := c.export.file.Close()
	c.export, c.people = nil, nil
	return err
}

// shut closes the open table.
func (c *Convex) shut() {
	if c.lines != nil {
		c.lines.close()
		c.lines = nil
	}
}

// convexCursor is a place in a table.
type convexCursor struct {
	Line   int64  `json:"line"`   // lines before it
	Offset int64  `json:"offset"` // bytes before it, unpacked
	Export string `json:"export"` // which export it is a place in
}

// Read returns the page at a position. An export is read in one chain.
func (c *Convex) Read(ctx context.Context, at store.Position, limit int) (store.Page, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.open(); err != nil {
		return store.Page{}, err
	}
	if at.Stream == "" {
		return store.Page{Notes: c.export.notes(), Next: c.beginning(c.export.after(""))}, nil
	}
	var cursor convexCursor
	if err := json.Unmarshal(at.Cursor, &cursor); err != nil {
		return store.Page{}, fmt.Errorf("history.Convex: cursor %s: %w", at.Cursor, err)
	}
	if cursor.Export != c.export.print || c.export.tables[at.Stream] == nil {
		return store.Page{}, refused("%s is not the file any more that this backfill began with: put that one back, or cancel and start a new backfill", c.path)
	}
	page, err := c.page(ctx, at.Stream, cursor, limit)
	if err != nil {
		c.shut() // wherever it has come to, that is no place to read on from
		return store.Page{}, err
	}
	return page, nil
}

func (c *Convex) open() error {
	if c.export != nil {
		return nil
	}
	e, err := openExport(c.dir, c.path)
	if err != nil {
		return err
	}
	asOf := e.modified
	if c.asOf != nil {
		asOf = *c.asOf
	}
	c.export, c.reader = e, facts.NewConvexExport(asOf)
	return nil
}

// beginning is the position at the head of a table, or none.
func (c *Convex) beginning(table string) []store.Position {
	if table == "" {
		return nil
	}
	return c.position(table, convexCursor{})
}

func (c *Convex) position(table string, at convexCursor) []store.Position {
	at.Export = c.export.print
	text, err := json.Marshal(at)
	if err != nil {
		panic(err) // a struct of numbers and text
	}
	return []store.Position{{Stream: table, Cursor: text}}
}

// pageBytes ends a page early, so that long lines do not make long transactions.
const pageBytes = 64 << 20

// page reads up to limit rows of a table. Damage to the file costs the rest of
// its table; the next one goes on.
func (c *Convex) page(ctx context.Context, table string, at convexCursor, limit int) (page store.Page, err error) {
	page.Items = make([]store.Item, 0, min(limit, 5000))
	c.trouble = nil
	c.reader.Person = func(id string) (facts.ConvexPerson, bool) { return c.person(ctx, id) }
	err = c.seek(ctx, table, at)
	for err == nil && len(page.Items) < limit && c.lines.offset-at.Offset < pageBytes {
		var line []byte
		if line, err = c.lines.next(); err != nil && !errors.Is(err, errLongLine) {
			break
		}
		c.row(&page, table, line, err)
		err = ctx.Err()
		if c.trouble != nil {
			return page, c.trouble
		}
	}
	var unreadable *fs.PathError
	switch {
	case err == nil:
		page.Next = c.position(table, convexCursor{Line: c.lines.line, Offset: c.lines.offset})
		return page, nil
	case ctx.Err() != nil || errors.As(err, &unreadable): // the disk's fault, or nobody's: try again
		return page, err
	case !errors.Is(err, io.EOF):
		page.Items = append(page.Items, damaged(table, max(c.line(), at.Line), err))
	}
	c.shut()
	page.Next = c.beginning(c.export.after(table))
	return page, nil
}

func (c *Convex) line() int64 {
	if c.lines == nil {
		return 0
	}
	return c.lines.line
}

// seek makes the table's lines go on at a place.
func (c *Convex) seek(ctx context.Context, table string, at convexCursor) error {
	if c.lines != nil && c.table == table && c.lines.offset == at.Offset {
		return nil
	}
	c.shut()
	packed, err := c.export.tables[table].Open()
	if err != nil {
		return err
	}
	c.table, c.lines = table, newLines(packed)
	if err := c.lines.skip(ctx, at.Offset); err != nil {
		return err
	}
	c.lines.line = at.Line
	return nil
}

// row adds to a page what a line says. A line that cannot be used is no error
// of the page's.
func (c *Convex) row(page *store.Page, table string, line []byte, long error) {
	place := table + ", line " + strconv.FormatInt(c.lines.line, 10)
	if long != nil {
		page.Items = append(page.Items, store.Item{Place: place, Err: fmt.Errorf("line %d of %s %w", c.lines.line, table, long)})
		return
	}
	if len(line) == 0 {
		return
	}
	read, err := c.reader.Read(table, line)
	if err != nil {
		err = fmt.Errorf("line %d of %s: %w", c.lines.line, table, err)
	}
	item := store.Item{Place: place, Facts: read.Facts, Passed: read.Passed, Err: err}
	if old := read.Customer; old != nil {
		item.Old = &store.OldCustomer{StoreRef: old.StoreRef, Email: old.Email, Spent: old.Spent}
	}
	if e := read.Failed; e != nil {
		page.Notes = append(page.Notes, store.Finding{
			Place: place, What: fmt.Sprintf("%s (%s)", e.ID, e.Type),
			Why: fmt.Sprintf("was refused by the old system (%s): backfill stripe or stripe-events brings what it said", e.Error),
		})
	}
	page.Items = append(page.Items, item)
}

func damaged(table string, line int64, cause error) store.Item {
	return store.Item{
		Place: fmt.Sprintf("%s, after line %d", table, line),
		Err:   fmt.Errorf("%s is damaged after line %d (%w); rows after it could not be read: export again", table, line, cause),
	}
}
