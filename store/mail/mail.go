// Package mail keeps the rows of mails: how stores send, what is due, and what became of it. A mail
// is a row with a unique key; all that decides about it is asked in one statement, when a worker
// claims it. docs/mail.md.
package mail

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	"rollcall/store"
	"rollcall/store/pg"
)

// Skips is what campaigns say of mails m at a moment. Its $1 is that; its other arguments are added to args.
type Skips func(ctx context.Context, tx pgx.Tx, storeID string, args *pg.Arguments) (Said, error)

// Said is SQL, expressions of a mail m, for what its campaign says of it as it is now.
type Said struct {
	Skip    string // why it is not to be sent, in one word, or NULL
	Class   string
	Version string // of the text
	// Behind is whether another of its customer is to go before it that is about to be made, and it waits; empty: no.
	Behind string
	// Apart is what only one mail of a claim may have of those to an address, as text; empty: all may go at once.
	Apart string
}

// Order is SQL for the order, after their priority, in which mails to a customer go, of which there are only so many.
// It says nothing of when a worker made them, so a preview knows it before. Of those that it does not tell apart the
// first that was made is first.
const Order = `due_at, campaign_id, occurrence`

// Digest stands for a campaign in the mails to members of stores, who need not be customers.
const Digest = "digest"

// Mails reads and writes mails. Safe for concurrent use.
type Mails struct {
	*pg.DB
	skips Skips
	cap   int // see store.Options.MailCap
}

// New returns the mails of all stores. skips may be nil.
func New(s *store.Store, skips Skips) *Mails { return &Mails{s.DB, skips, s.MailCap} }

// lookUps has Postgres plan the statements that follow in a transaction once for a connection, whatever their arguments
// are, and as look-ups by indexes, whatever it believes to know of tables that change as fast as these. To plan a claim
// anew takes as long as to decide about its mails, and to compile it takes longer: it seems to be about many.
const lookUps = `
	SELECT
		set_config('plan_cache_mode', 'force_generic_plan', true),
		set_config('jit', 'off', true),
		set_config('enable_seqscan', 'off', true),
		set_config('enable_hashjoin', 'off', true),
		set_config('enable_mergejoin', 'off', true)`

// zoneOf is the time zone of a store: the one set on its pages, else the platform's word, else UTC.
func zoneOf(ctx context.Context, q pg.Querier, storeID string) (*time.Location, error) {
	var name string
	err := q.QueryRow(ctx, `SELECT `+store.ZoneOf("$1"), storeID).Scan(&name)
	return mail.Zone(name), err
}

// keyLost tells that addresses cannot be compared with those that are stopped, so no mail may go.
const keyLost = pg.Refusal(
	"the key of the hashes in mail_stops is not that of this database: restore it as docs/erasure.md says")

func checkKey(ctx context.Context, q pg.Querier) error {
	var lost bool
	err := q.QueryRow(ctx, `SELECT coalesce(bool_or(state <> 'fits'), true) FROM (`+store.ErasureKeySQL+`)
		k(key, state, tombstones, scoped)`).Scan(&lost)
	if err == nil && lost {
		err = keyLost
	}
	return err
}

// Mail is a row of mails.
type Mail struct {
	ID         int64      `json:"id"`
	Email      string     `json:"email"`
	Class      string     `json:"class"`
	Campaign   string     `json:"campaign"`
	Step       string     `json:"step"`
	Occurrence string     `json:"occurrence"`
	Variant    string     `json:"variant"`
	Status     string     `json:"status"`
	Reason     string     `json:"reason"`
	DueAt      time.Time  `json:"due_at"`
	SentAt     *time.Time `json:"sent_at"`
	Tries      int        `json:"tries"`
	Provider   string     `json:"provider"`
	Answer     string     `json:"answer"`
}
