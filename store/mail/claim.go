package mail

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	"rollcall/store"
	"rollcall/store/pg"
)

// Claimed is a mail that a worker is to send.
type Claimed struct {
	ID         int64
	Email      string
	Class      string
	Campaign   string
	Step       string
	Version    int
	Occurrence string
	Tries      int
	Tracked    bool        // it is to be seen who follows its links: the store wants it, and the customer agreed
	Own        bool        // its link is a page of the store, and not of one customer
	Values     mail.Values // but for Unsubscribe and Tracked
	hash       []byte      // of the address, as in mail_stops
}

// Ticket is what the mail's link to unsubscribe says.
func (c Claimed) Ticket(storeID string) mail.Ticket {
	return mail.Ticket{Mail: c.ID, Store: storeID, Campaign: c.Campaign, Class: c.Class, Hash: c.hash}
}

// Batch is what a claim decided.
type Batch struct {
	Mails   []Claimed // to be sent
	Decided int       // those that are not to be sent as well; 0: nothing is due
	Limited bool      // no more may be sent by now
}

// Claim decides about the next mails of the store whose lane a worker has, so many at most. ErrLaneLost if another
// worker has it.
func (m *Mails) Claim(ctx context.Context, l Turn, at time.Time, most int) (b Batch, err error) {
	defer pg.Wrap(&err, "mail.Claim(%q)", l.Store)
	err = m.InTx(ctx, func(tx pgx.Tx) error {
		if err := l.hold(ctx, tx); err != nil {
			return err
		}
		if err := checkKey(ctx, tx); err != nil {
			return err
		}
		most, err := m.allowance(ctx, tx, l.Store, at, most)
		if b.Limited = err == nil && most == 0; err != nil || b.Limited {
			return err
		}
		args := pg.Arguments{at}
		decide, said, err := m.decide(ctx, tx, l.Store, &args)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, lookUps); err != nil {
			return err
		}
		next, err := m.next(ctx, tx, said, l, most, &args)
		if err != nil {
			return err
		}
		sql := claimSQL(decide, next, said, l, &args)
		if m.cap > 0 { // some arguments are of what was read before
			sql, args = args.Only(sql)
		}
		rows := pg.Query(ctx, tx, sql, args...)
		var ids []int64
		var id int64
		var sending bool
		err = pg.Each(rows, []any{&id, &sending}, func() {
			if b.Decided++; sending {
				ids = append(ids, id)
			}
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		b.Mails, err = valuesOf(ctx, tx, l.Store, ids)
		return err
	})
	return b, err
}

// claimSQL decides about the next mails, those of low priority last. Each is of the class of its campaign now,
// and says what its step says now. Of one customer it takes one marketing mail at a time, as those that are sent count
// for the next. One that may have been taken by the provider is repeated as it was while that knows its key, and else
// unknown; so is one that a person has sent again, if it may not go.
func claimSQL(decide, next string, said Said, l Turn, args *pg.Arguments) string {
	return `
	WITH due AS (` + next + `
	),
	today AS (
		SELECT ` + today(said) + `, ` + cmp.Or(said.Apart, "NULL") + ` AS apart
		FROM due
		JOIN mails m USING (id)
	),
	first AS (
		SELECT DISTINCT ON (email, CASE WHEN class <> 'marketing' THEN id END) *
		FROM ` + apart(said) + `
		ORDER BY email, CASE WHEN class <> 'marketing' THEN id END, priority, ` + Order + `, id
	),
	decided AS MATERIALIZED (
		SELECT
			m.id,
			m.class,
			m.version,
			m.claimed_at,
			m.reason IS NOT DISTINCT FROM 'again' AS again,
			m.reason IS NOT DISTINCT FROM 'asked' AS asked,
			d.*
		FROM first m
		CROSS JOIN LATERAL (` + decide + `) d
	)
	UPDATE mails m
	SET
		status = CASE
			WHEN d.again AND (d.skip IS NOT NULL OR coalesce(d.until, $1) > d.claimed_at + interval '23 hours') THEN 'unknown'
			WHEN d.skip IS NOT NULL THEN CASE WHEN d.asked THEN 'unknown' ELSE 'skipped' END
			WHEN d.until IS NOT NULL THEN 'due'
			ELSE 'sending'
		END,
		reason = CASE
			WHEN d.skip IS NOT NULL AND NOT d.again THEN d.skip
			WHEN d.again THEN 'again'
			WHEN d.asked THEN 'asked'
			WHEN d.until IS NOT NULL THEN d.why
		END,
		due_at = coalesce(CASE WHEN d.skip IS NULL THEN d.until END, m.due_at),
		claimed_at = CASE
			WHEN d.again THEN m.claimed_at
			WHEN d.skip IS NULL AND d.until IS NULL THEN $1
			WHEN d.asked THEN m.claimed_at
		END,
		class = CASE WHEN d.again THEN m.class ELSE d.class END,
		version = CASE WHEN d.again THEN m.version ELSE d.version END,
		claimed_by = CASE WHEN d.skip IS NULL AND d.until IS NULL THEN ` + args.Add(l.Worker) + ` END,
		started_at = NULL
	FROM decided d
	WHERE m.id = d.id
	RETURNING m.id, m.status = 'sending'`
}

// apart is SQL for today without what another of today is to go before: the next claim knows what became of that.
func apart(said Said) string {
	if said.Apart == "" {
		return "today"
	}
	return `(SELECT DISTINCT ON (email, apart) * FROM today ORDER BY email, apart, priority, ` + Order + `, id) today`
}

// next is SQL for the ids of the next mails. Where there is a limit of all stores they are read before, and no other
// store decides about mails to their addresses until the transaction ends: so what decides sees what others decided.
func (m *Mails) next(ctx context.Context, tx pgx.Tx, said Said, l Turn, most int, args *pg.Arguments) (string, error) {
	if m.cap == 0 {
		return nextSQL(said, l, most, args), nil
	}
	all := slices.Clone(*args)
	sql, only := all.Only(lockSQL(nextSQL(said, l, most, &all)))
	ids := []int64{}
	var some []int64
	err := pg.Each(pg.Query(ctx, tx, sql, only...), []any{&some, nil}, func() { ids = append(ids, some...) })
	return `
		SELECT unnest(` + args.Add(ids) + `::bigint[]) AS id`, err
}

// lockSQL locks the addresses of mails. All stores lock them in the same order: so no two wait for each other.
func lockSQL(next string) string {
	return `
	WITH next AS (` + next + `
	)
	SELECT ids, pg_advisory_xact_lock(key)
	FROM (
		SELECT hashtextextended('mails to ' || email, 0) AS key, array_agg(id) AS ids
		FROM next
		GROUP BY key
		ORDER BY key
		OFFSET 0
	) a`
}

// nextSQL reads the mails that are due, those of low priority last, and keeps them from others.
func nextSQL(said Said, l Turn, most int, args *pg.Arguments) string {
	return `
		SELECT n.*
		FROM generate_series(0, 9) p
		CROSS JOIN LATERAL (
			SELECT m.id, m.email
			FROM mails m
			WHERE m.store_id = ` + args.Add(l.Store) + `
			  AND m.status = 'due'
			  AND m.priority = p
			  AND m.due_at <= $1
			  AND NOT ` + cmp.Or(said.Behind, "false") + `
			ORDER BY ` + Order + `, id
			LIMIT ` + args.Add(most) + `
			FOR NO KEY UPDATE OF m SKIP LOCKED
		) n
		LIMIT ` + args.Add(most)
}

// today is SQL for columns of a mail m as what campaigns say has it now, for Decide.
func today(said Said) string {
	return `m.id, m.store_id, m.email, m.campaign_id, m.step, m.occurrence, m.twin, m.variant, m.reason, m.due_at,
			m.not_after, m.priority, m.claimed_at, ` + said.Class + ` AS class, ` + said.Version + ` AS version`
}

// allowance is how many mails of a store may be decided about now, of most: its limits are spread over the day.
func (m *Mails) allowance(ctx context.Context, tx pgx.Tx, storeID string, at time.Time, most int) (int, error) {
	s, _, err := settings(ctx, tx, storeID)
	if err != nil || s.DailyLimit == nil && s.WarmUpFrom == nil {
		return most, err
	}
	zone, err := zoneOf(ctx, tx, storeID)
	if err != nil {
		return 0, err
	}
	begins, _ := mail.Day(at, zone)
	limit := s.limit(begins)
	if limit == 0 {
		return most, nil
	}
	var sent int
	err = tx.QueryRow(ctx, `
		SELECT count(*)
		FROM mails
		WHERE store_id || '' = $1 -- as mails_tried_by has it
		  AND status IN ('sending', 'sent', 'unknown', 'failed')
		  AND claimed_at >= $2`, storeID, begins).Scan(&sent)
	return min(most, max(0, mail.Allowed(limit, at, zone, s.Hours())-sent)), err
}

// limit is the most mails on the day that begins then; 0: any number.
func (s Settings) limit(begins time.Time) (limit int) {
	if s.WarmUpFrom != nil {
		y, mo, d := begins.Date()
		limit = mail.WarmUp(int(time.Date(y, mo, d, 0, 0, 0, 0, time.UTC).Sub(*s.WarmUpFrom).Hours() / 24))
	}
	if s.DailyLimit != nil && (limit == 0 || *s.DailyLimit < limit) {
		limit = *s.DailyLimit
	}
	return limit
}

// valuesOf reads what the named values of mails are today. They come as they are to be sent.
func valuesOf(ctx context.Context, tx pgx.Tx, storeID string, ids []int64) ([]Claimed, error) {
	rows := pg.Query(ctx, tx, valuesSQL, storeID, ids)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Claimed, err error) {
		err = row.Scan(&c.ID, &c.Email, &c.Class, &c.Campaign, &c.Step, &c.Version, &c.Occurrence, &c.Tries, &c.Tracked,
			&c.hash, &c.Values.Name, &c.Values.Store, &c.Values.Course, &c.Values.Product, &c.Values.Link, &c.Own)
		c.Values.Email, c.Values.FirstName = c.Email, mail.FirstName(c.Values.Name)
		return c, err
	})
}

// valuesSQL follows the occurrence to what the mail is about: course:ID, sub:ID, invoice:ID,
// checkout:ID, with # before what tells several of one apart. Objects of Stripe are those of the
// platform's account, or of the store's.
var valuesSQL = `
	SELECT
		m.id,
		m.email,
		m.class,
		m.campaign_id,
		m.step,
		m.version,
		m.occurrence,
		m.tries,
		s.tracking = 'identified' AND m.class <> 'test'
			AND ` + ConsentSQL("tracking", "m.store_id", "m.email") + ` IS NOT DISTINCT FROM 'granted',
		` + store.AddressHash("m.email") + `,
		coalesce(c.name, ''),
		coalesce(nullif(s.from_name, ''), st.name, ''),
		coalesce(course.title, ''),
		coalesce(bought.title, ''),
		coalesce(
			CASE o.kind WHEN 'course' THEN nullif(replace(s.course_url, '{course}', o.ref), '') END,
			f.hosted_url,
			k.recovery_url,
			s.home_url),
		coalesce(f.hosted_url, k.recovery_url) IS NULL
	FROM mails m
	JOIN mail_settings s ON s.store_id = m.store_id
	CROSS JOIN LATERAL (
		SELECT
			split_part(m.occurrence, ':', 1) AS kind,
			split_part(substr(m.occurrence, strpos(m.occurrence, ':') + 1), '#', 1) COLLATE "default" AS ref -- as ids
	) o
	LEFT JOIN customers c ON c.store_id = m.store_id AND c.email = m.email
	LEFT JOIN stores st ON st.id = m.store_id
	LEFT JOIN failed_invoices f ON o.kind = 'invoice' AND f.id = o.ref AND f.account IN ('', st.stripe_account_id)
	LEFT JOIN checkouts k ON o.kind = 'checkout' AND k.id = o.ref AND k.account IN ('', st.stripe_account_id)
	LEFT JOIN subscriptions sub
		ON sub.id = CASE o.kind WHEN 'sub' THEN o.ref WHEN 'invoice' THEN f.subscription END
		AND sub.account = ANY (ARRAY['', st.stripe_account_id]) -- IN would be an OR, which no index answers
	LEFT JOIN products course ON o.kind = 'course' AND course.id = o.ref
	LEFT JOIN products bought ON bought.id = coalesce(sub.product_id, k.product_ref)
	WHERE m.store_id = $1
	  AND m.id = ANY($2)
	ORDER BY m.priority, ` + Order + `, m.id`
