package customers

import (
	"context"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// Entry is something that happened to a customer. Its JSON is the API's. Kinds:
// first_seen, enrolled, completed, enrollment_ended, bought, refunded,
// refund_failed, dispute_opened, dispute_won, dispute_lost, dispute_closed,
// subscription_started, subscription_paid (the first time), subscription_renewed,
// subscription_past_due, subscription_paused, subscription_canceled (will end with
// its period), subscription_ended, merged, note, signed_in (the last time). Of a
// dispute, and of a subscription's troubles, facts keep only how they stand.
type Entry struct {
	At        time.Time      `json:"at"`
	AtLatest  bool           `json:"at_latest"` // it happened at At or before: that is when it was read, or last told
	Kind      string         `json:"kind"`      // see timelineSQL
	Title     *string        `json:"title"`
	ProductID *string        `json:"product_id"`
	Money     *store.Money   `json:"money"`   // paid, given back, in dispute, or the price of a period
	Text      *string        `json:"text"`    // of a note what it says, of a merge the address
	Ref       string         `json:"ref"`     // of the fact, as in Explanation; or course:…, note:…, merge:…, customer:…
	Origins   []store.Origin `json:"origins"` // where known

	key string // its place among all
}

// TimelineFilter is the part of a timeline that is asked for; the zero value is
// its newest.
type TimelineFilter struct {
	Cursor string // where the page before ended
	Limit  int    // most entries on the page
}

// timelineSort is the only order of entries: newest first.
const timelineSort = "-at"

// ParseTimelineFilter reads the query parameters of a timeline; its errors are
// *BadParam.
func ParseTimelineFilter(q url.Values) (TimelineFilter, error) {
	var f TimelineFilter
	err := pg.ReadParams(q, []pg.Param{pg.CursorParam(&f.Cursor)}, &f.Limit)
	if err == nil {
		_, err = pg.DecodeCursor(f.Cursor, timelineSort)
	}
	return f, err
}

// Timeline returns a page of what happened to a customer, newest first, and the
// cursor of the next one, empty at the end: all that facts tell with a time, the
// notes, and what became of the customer's row. ErrNotFound also for a customer
// of another store; what is wrong with f is a *BadParam.
func (s *Reader) Timeline(ctx context.Context, storeID, customer string, f TimelineFilter) (page []Entry, next string, err error) {
	defer pg.Wrap(&err, "store.Timeline(%q, %q)", storeID, customer)
	id, err := customerID(storeID, customer)
	if err != nil {
		return nil, "", err
	}
	after, err := pg.DecodeCursor(f.Cursor, timelineSort)
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
		if page, err = entries(ctx, tx, row, before, f.Limit+1); err != nil {
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

// entries reads up to limit entries whose keys come before one.
func entries(ctx context.Context, tx pgx.Tx, c listed, before *string, limit int) (found []Entry, err error) {
	found = []Entry{}
	var batch pgx.Batch
	batch.Queue(`SET LOCAL enable_hashjoin = on`) // as when customers are derived
	batch.Queue(timelineSQL, []int64{c.id}, []string{c.StoreID}, []string{c.Email}, before, limit).Query(func(rows pgx.Rows) error {
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
	err = row.Scan(&e.key, &e.At, &e.AtLatest, &e.Kind, &e.Ref, &e.Title, &e.ProductID, &e.Money, &e.Text, &source, &versions)
	e.At, e.Origins = e.At.UTC(), versions.Origins(source)
	return e, err
}
