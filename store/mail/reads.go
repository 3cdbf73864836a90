package mail

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Filter selects mails; an empty field selects all.
type Filter struct {
	Store    string
	Status   string
	Reason   string
	Campaign string
	Email    string
	Before   int64 // only those with a smaller id
}

// List returns mails, the newest first.
func (m *Mails) List(ctx context.Context, f Filter, limit int) (all []Mail, err error) {
	defer pg.Wrap(&err, "mail.List(%q, %q)", f.Store, f.Status)
	if !pg.Storable(f.Store + f.Status + f.Reason + f.Campaign + f.Email) {
		return nil, nil
	}
	var args pg.Arguments
	var where []string
	for _, c := range []struct{ column, value string }{{"store_id", f.Store}, {"status", f.Status}, {"reason", f.Reason},
		{"campaign_id", f.Campaign}, {"email", f.Email}} {
		if c.value != "" {
			where = append(where, c.column+" = "+args.Add(c.value))
		}
	}
	if f.Before > 0 {
		where = append(where, "id < "+args.Add(f.Before))
	}
	if where == nil {
		where = []string{"true"}
	}
	return pg.Structs[Mail](ctx, m.Pool, selectMails+strings.Join(where, ` AND `)+`
		ORDER BY id DESC
		LIMIT `+args.Add(limit), append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
}

// selectMails selects mails, for conditions to follow.
const selectMails = `
	SELECT
		id,
		email,
		class,
		campaign_id,
		step,
		occurrence,
		variant,
		status,
		coalesce(reason, ''),
		due_at,
		sent_at,
		tries,
		coalesce(provider, ''),
		coalesce(answer, '')
	FROM mails
	WHERE `

// Mail returns a mail and its store; ErrNotFound if there is none.
func (m *Mails) Mail(ctx context.Context, id int64) (one Mail, storeID string, err error) {
	defer pg.Wrap(&err, "mail.Mail(%d)", id)
	if err = pg.NotFound(m.Pool.QueryRow(ctx, `SELECT store_id FROM mails WHERE id = $1`, id).Scan(&storeID)); err != nil {
		return one, "", err
	}
	one, err = pg.One(ctx, m.Pool, pgx.RowToStructByPos[Mail], selectMails+`id = $1`, id)
	return one, storeID, err
}

// Count is how many mails of a store are in a status for a reason.
type Count struct {
	Store  string `json:"store"`
	Status string `json:"status"`
	Reason string `json:"reason"`
	Mails  int64  `json:"mails"`
}

// Counts counts mails since a moment by store, status and reason; with an empty id of all stores. Tests do not count.
// It may take as long as counts may.
func (m *Mails) Counts(ctx context.Context, storeID string, since time.Time) (all []Count, err error) {
	defer pg.Wrap(&err, "mail.Counts(%q)", storeID)
	if !pg.Storable(storeID) {
		return nil, nil
	}
	var args pg.Arguments
	sql := countsSQL(storeID, since, &args)
	err = pgx.BeginTxFunc(ctx, m.Pool, pg.Bounded(m.CountTimeout), func(tx pgx.Tx) error {
		all, err = pg.Structs[Count](ctx, tx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
		return err
	})
	return all, err
}

// countsSQL has a part for each index, so that what a store sent long ago is not read. One that is sent was due before
// it was claimed, but for a day at most if it was repeated.
func countsSQL(storeID string, since time.Time, args *pg.Arguments) string {
	of := func(string) string { return "" }
	if storeID != "" {
		id := args.Add(storeID)
		of = func(column string) string { return ` AND ` + column + ` = ` + id }
	}
	from := args.Add(since) + `::timestamptz`
	part := func(where string) string { return `SELECT * FROM mails WHERE class <> 'test' AND ` + where }
	return `
		SELECT store_id, status, coalesce(reason, ''), count(*)
		FROM (
			` + strings.Join([]string{
		part(`status = 'due'` + of("store_id")),
		part(`status = 'sending'` + of("store_id")),
		part(`status IN ('failed', 'skipped', 'unknown') AND (due_at >= ` + from + ` OR status = 'unknown')` +
			of("store_id")),
		part(`status = 'sent' AND due_at >= ` + from + ` AND claimed_at >= ` + from + ` - interval '1 day'` +
			of("store_id || ''")),
	}, `
			UNION ALL
			`) + `
		) m
		GROUP BY 1, 2, 3
		ORDER BY 1, 4 DESC, 2, 3`
}

// Lanes are those of all stores that have sent mail or set how: those in trouble first.
func (m *Mails) Lanes(ctx context.Context) (all []Lane, err error) {
	defer pg.Wrap(&err, "mail.Lanes")
	return pg.Structs[Lane](ctx, m.Pool, `
		SELECT
			store_id,
			coalesce(paused_for, ''),
			paused_at,
			failing_since,
			trouble,
			coalesce(lease_until > now(), false)
		FROM mail_settings
		ORDER BY (paused_for IS NULL), (failing_since IS NULL), store_id`)
}
