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

// ConvexConfig names the export to read.
type ConvexConfig struct {
	// Options name the file, and the time of the export (default: the file's own).
	Options store.BackfillOptions
	// Dir is the only folder that files are read from. If empty, a file is read from its path.
	Dir string
}

// Convex reads a snapshot export of a Convex deployment, table by table and line by line. It holds
// one line in memory, plus the users' ids where documents refer to them (see knownUsers). It
// remembers its position in the file, so continuing is free; any other position requires unpacking
// the table up to there.
type Convex struct {
	dir, path string
	asOf      *time.Time

	mu     sync.Mutex
	export *export // nil until the first Read
	reader *facts.ConvexExport
	table  string
	lines  *lines // of the open table, or nil

	people  knownUsers // nil until a row refers to a user by _id
	trouble error      // error of reading people
}

// NewConvex returns a source of the export. The first Read opens the file.
func NewConvex(c ConvexConfig) *Convex {
	return &Convex{dir: c.Dir, path: c.Options.File, asOf: c.Options.AsOf}
}

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

func (c *Convex) shut() {
	if c.lines != nil {
		c.lines.close()
		c.lines = nil
	}
}

// convexCursor is a position in a table.
type convexCursor struct {
	Line   int64  `json:"line"`   // lines before it
	Offset int64  `json:"offset"` // bytes before it, unpacked
	Export string `json:"export"` // identifies the export
}

// Read returns the page at a position. An export is read sequentially.
func (c *Convex) Read(ctx context.Context, at store.Position, limit int) (store.Page, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.open(); err != nil {
		return store.Page{}, err
	}
	if at.Stream == "" {
		return store.Page{Notes: c.export.notes(), Next: c.after("")}, nil
	}
	var cursor convexCursor
	if err := json.Unmarshal(at.Cursor, &cursor); err != nil {
		return store.Page{}, fmt.Errorf("history.Convex: cursor %s: %w", at.Cursor, err)
	}
	if cursor.Export != c.export.print || c.export.tables[at.Stream] == nil {
		return store.Page{}, refused("%s is not the file any more that this backfill began with: put that one back, or "+
			"cancel and start a new backfill", c.path)
	}
	page, err := c.page(ctx, at.Stream, cursor, limit)
	if err != nil {
		c.shut() // its position is unknown now
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

// after returns the position at the start of the table that follows a table, or nil.
func (c *Convex) after(table string) []store.Position {
	if table = c.export.after(table); table == "" {
		return nil
	}
	return c.position(table, convexCursor{})
}

func (c *Convex) position(table string, at convexCursor) []store.Position {
	at.Export = c.export.print
	text, err := json.Marshal(at)
	if err != nil {
		panic(err) // cannot fail: numbers and text
	}
	return []store.Position{{Stream: table, Cursor: text}}
}

// pageBytes ends a page early, so that long lines do not make long transactions.
const pageBytes = 64 << 20

// page reads up to limit rows of a table. Damage to the file loses the rest of its table; the next
// table follows.
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
	case ctx.Err() != nil || errors.As(err, &unreadable): // a disk error, or cancelled: retry
		return page, err
	case !errors.Is(err, io.EOF):
		page.Items = append(page.Items, damaged(table, max(c.line(), at.Line), err))
	}
	c.shut()
	page.Next = c.after(table)
	return page, nil
}

func (c *Convex) line() int64 {
	if c.lines == nil {
		return 0
	}
	return c.lines.line
}

// seek moves the table's lines to a position.
func (c *Convex) seek(ctx context.Context, table string, at convexCursor) error {
	if c.lines != nil && c.table == table && c.lines.offset == at.Offset {
		return nil
	}
	c.shut()
	packed, err := c.export.open(table)
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

// row adds a line to a page. An invalid line is an error of its item, not of the page.
func (c *Convex) row(page *store.Page, table string, line []byte, long error) {
	place := table + ", line " + strconv.FormatInt(c.lines.line, 10)
	if long != nil {
		page.Items = append(page.Items, store.Item{Place: place,
			Err: fmt.Errorf("line %d of %s %w", c.lines.line, table, long)})
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
			Why: fmt.Sprintf("was refused by the old system (%s): backfill stripe or stripe-events brings what it said",
				e.Error),
		})
	}
	page.Items = append(page.Items, item)
}

func damaged(table string, line int64, cause error) store.Item {
	return store.Item{
		Place: fmt.Sprintf("%s, after line %d", table, line),
		Err: fmt.Errorf("%s is damaged after line %d (%w); rows after it could not be read: export again", table, line,
			cause),
	}
}
