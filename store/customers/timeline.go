package customers

import (
	"context"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// Entry is an event in a customer's timeline. Its JSON is the API's. Kinds:
// first_seen, enrolled, progressed (the last time), completed, enrollment_ended, bought, refunded,
// refund_failed, dispute_opened, dispute_won, dispute_lost, dispute_closed,
// subscription_started, subscription_paid (the first time), subscription_renewed,
// subscription_past_due, subscription_paused, subscription_canceled (will end with
// its period), subscription_ended, merged, note, signed_in (the last time), mail_sent,
// mail_clicked (by a person), mail_came_back (within 7 days), mail_bounced, mail_complained, mail_left. Of
// disputes and subscriptions, facts have only the current state.
type Entry struct {
	At        time.Time      `json:"at"`
	AtLatest  bool           `json:"at_latest"` // it happened at At or before: At is when it was read or last reported
	Kind      string         `json:"kind"`      // see timelineSQL
	Title     *string        `json:"title"`
	ProductID *string        `json:"product_id"`
	Money     *store.Money   `json:"money"`   // paid, refunded, disputed, or the price of a period
	Text      *string        `json:"text"`    // of a note; or a merge's address, progress in percent, how they came back
	Ref       string         `json:"ref"`     // of the fact, as in Explanation; or course:…, note:…, merge:…, customer:…
	Origins   []store.Origin `json:"origins"` // where known

	key string // sort key
}

// TimelineFilter selects a page of a timeline; the zero value is the newest.
type TimelineFilter struct {
	About  string // a key of abouts; empty: all entries
	Cursor string // end of the previous page
	Limit  int    // maximum number on the page
}

// abouts are the kinds of entries of each part of the timeline.
var abouts = map[string][]string{
	"payments": {"bought", "refunded", "refund_failed", "dispute_opened", "dispute_won", "dispute_lost", "dispute_closed",
		"subscription_started", "subscription_paid", "subscription_renewed", "subscription_past_due", "subscription_paused",
		"subscription_canceled", "subscription_ended"},
	"courses": {"enrolled", "progressed", "completed", "enrollment_ended"},
	"mail":    {"mail_sent", "mail_clicked", "mail_came_back", "mail_bounced", "mail_complained", "mail_left"},
	"notes":   {"note"},
}

// params are the parameters of a timeline.
func (f *TimelineFilter) params() []pg.Param {
	return []pg.Param{
		{Name: "about", Value: &f.About,
			Choices: pg.Choices("", "All", "payments", "Payments", "courses", "Courses", "mail", "Mail",
				"notes", "Notes"),
			Doc: "Only entries about this.", Example: "payments"},
		pg.CursorParam(&f.Cursor),
	}
}

// timelineSort is the only order: newest first.
const timelineSort = "-at"

// ParseTimelineFilter parses the query of a timeline. Its errors are *pg.BadParam.
func ParseTimelineFilter(q url.Values) (TimelineFilter, error) {
	var f TimelineFilter
	err := pg.ReadParams(q, f.params(), &f.Limit)
	if err == nil {
		_, err = f.check()
	}
	return f, err
}

// check decodes the cursor (nil: the first page).
func (f TimelineFilter) check() (*pg.Position, error) {
	if err := pg.CheckParams(f.params()); err != nil {
		return nil, err
	}
	return pg.DecodeCursor(f.Cursor, timelineSort)
}

// Abouts are the parts of a timeline that f can select.
func (f TimelineFilter) Abouts() []pg.Choice { return f.params()[0].Choices }

// Timeline returns a page of a customer's timeline, newest first, and the cursor of
// the next one, empty at the end. It has all facts with a time, notes, and changes of
// the customer's row. ErrNotFound also for a customer of another store; a filter that
// is not valid is a *pg.BadParam.
func (s *Reader) Timeline(ctx context.Context, storeID, customer string, f TimelineFilter) (
	page []Entry, next string, err error) {
	defer pg.Wrap(&err, "customers.Timeline(%q, %q)", storeID, customer)
	id, err := pg.CustomerID(storeID, customer)
	if err != nil {
		return nil, "", err
	}
	after, err := f.check()
	if err != nil {
		return nil, "", err
	}
	var before *string
	if after != nil {
		if before = after.Key; before == nil || !pg.Storable(*before) || after.ID != id {
			return nil, "", pg.ErrCursor
		}
	}
	if f.Limit == 0 {
		f.Limit = pg.DefaultLimit
	}
	err = s.Snapshot(ctx, func(tx pgx.Tx) error {
		row, err := customerRow(ctx, tx, storeID, id)
		if err != nil {
			return err
		}
		if page, err = entries(ctx, tx, row, f, before); err != nil {
			return err
		}
		if len(page) > f.Limit {
			page = page[:f.Limit]
			next = pg.Position{Sort: timelineSort, Key: &page[f.Limit-1].key, ID: id}.Encode()
		}
		all := make([][]store.Origin, len(page))
		for i, e := range page {
			all[i] = e.Origins
		}
		return store.LookUp(ctx, tx, all...)
	})
	return page, next, err
}

// entries reads the entries with keys before a given one, up to one more than the limit.
func entries(ctx context.Context, tx pgx.Tx, c listed, f TimelineFilter, before *string) (found []Entry, err error) {
	found = []Entry{}
	var batch pgx.Batch
	batch.Queue(`SET LOCAL enable_hashjoin = on`) // as during derivation
	batch.Queue(timelineSQL, []int64{c.id}, []string{c.StoreID}, []string{c.Email}, before, f.Limit+1,
		abouts[f.About]).Query(
		func(rows pgx.Rows) error {
			some, err := pgx.CollectRows(rows, scanEntry)
			found = append(found, some...)
			return err
		})
	batch.Queue(`SET LOCAL enable_hashjoin = off`)
	return found, tx.SendBatch(ctx, &batch).Close()
}

func scanEntry(row pgx.CollectableRow) (e Entry, err error) {
	var source string
	var versions store.Versions
	err = row.Scan(&e.key, &e.At, &e.AtLatest, &e.Kind, &e.Ref, &e.Title, &e.ProductID, &e.Money, &e.Text, &source,
		&versions)
	e.At, e.Origins = e.At.UTC(), versions.Origins(source)
	return e, err
}
