package store

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Who was erased, see docs/erasure.md. A tombstone is a keyed hash of an identity
// of an erased person. Facts that name the person and happened before the erasure
// are kept under pseudonyms: an id becomes one made of its hash, an address that
// of the anonymous person. Pseudonyms resolve and derive as the true names did, so
// the result does not depend on the order in which facts and erasures come.

// tombstone is what is known of an erased identity.
type tombstone struct {
	erasure int64
	person  string    // the pseudonym
	at      time.Time // what happened later is not erased
}

func (t tombstone) address() string { return t.person + anonymousDomain }

// tombstones are those that a transaction has looked up.
type tombstones struct {
	key      []byte
	inStores bool // a person was erased from one store only
	known    map[identity]*tombstone

	inAccounts map[address]*tombstone // by Connect account: of addresses in its only store
}

// load returns the tombstones, nil if no person was ever erased. It asks once per
// transaction, which holds globalLock by then, so no erasure begins meanwhile.
func (f *erasureFilter) load(ctx context.Context) (_ *tombstones, err error) {
	if f.loaded {
		return f.tombstones, nil
	}
	defer pg.Wrap(&err, "store.erasureFilter.load")
	ts := &tombstones{known: map[identity]*tombstone{}}
	var any bool
	if ts.key, any, ts.inStores, err = erasureKey(ctx, f.tx); err != nil {
		return nil, err
	}
	if !any {
		ts = nil
	}
	f.tombstones, f.loaded = ts, true
	return ts, nil
}

// loadToErase is load for a first erasure too: it makes the key if there is none.
func (f *erasureFilter) loadToErase(ctx context.Context) (ts *tombstones, err error) {
	if ts, err = f.load(ctx); ts != nil || err != nil {
		return ts, err
	}
	f.tombstones = &tombstones{known: map[identity]*tombstone{}}
	if f.tombstones.key, _, _, err = erasureKey(ctx, f.tx); err == nil && f.tombstones.key == nil {
		f.tombstones.key, err = newKey(ctx, f.tx)
	}
	return f.tombstones, err
}

// hash is what is kept of an identity.
func (ts *tombstones) hash(i identity) []byte {
	mac := hmac.New(sha256.New, ts.key)
	mac.Write([]byte(i.kind + ":" + i.value))
	return mac.Sum(nil)
}

// pseudonym stands for an id.
func (ts *tombstones) pseudonym(i identity) string {
	return anonymousPrefix + hex.EncodeToString(ts.hash(i)[:10])
}

// of returns the tombstone of an identity for what happened at a time, if any. It
// has to be found before. There is none if no person was ever erased.
func (ts *tombstones) of(i identity, at time.Time) *tombstone {
	if ts == nil {
		return nil
	}
	t := ts.known[i]
	if t == nil || at.After(t.at) {
		return nil
	}
	return t
}

// find looks up the identities that were not looked up yet.
func (ts *tombstones) find(ctx context.Context, tx pgx.Tx, ids []identity) (err error) {
	defer pg.Wrap(&err, "store.tombstones.find(%d)", len(ids))
	asked := map[string]identity{}
	var hashes [][]byte
	for _, i := range ids {
		if _, known := ts.known[i]; known {
			continue
		}
		ts.known[i] = nil
		for _, spelled := range spellingsOf(i) { // an older tombstone may be of another
			hash := ts.hash(identity{i.kind, spelled})
			hashes, asked[string(hash)] = append(hashes, hash), i
		}
	}
	if len(hashes) == 0 {
		return nil
	}
	return scanTombstones(ctx, tx, func(hash []byte, _ string, t *tombstone) { ts.known[asked[string(hash)]] = t }, `
		SELECT e.hash, e.store_id, e.erasure_id, x.person, e.erased_at
		FROM erased e
		JOIN erasures x ON x.id = e.erasure_id
		WHERE e.hash = ANY($1)
		  AND e.store_id = ''`, hashes)
}

// scanTombstones reads tombstones, each behind two columns by which it is found.
func scanTombstones(ctx context.Context, tx pgx.Tx, found func(by []byte, and string, t *tombstone),
	sql string, args ...any) error {
	rows := pg.Query(ctx, tx, sql, args...)
	var by []byte
	var and string
	var t tombstone
	return pg.Each(rows, []any{&by, &and, &t.erasure, &t.person, &t.at}, func() {
		one := t
		found(by, and, &one)
	})
}

// findInAccounts looks up which Stripe customers of Connect accounts have an
// address that was erased from the account's only store.
func (ts *tombstones) findInAccounts(ctx context.Context, tx pgx.Tx, all []facts.StripeCustomer) error {
	var accounts, emails []string
	var hashes [][]byte
	for _, f := range all {
		if ts.inStores && f.Account != "" && f.Email != "" {
			accounts, emails = append(accounts, f.Account), append(emails, f.Email)
			hashes = append(hashes, ts.hash(identity{anAddress, f.Email}))
		}
	}
	if len(accounts) == 0 {
		return nil
	}
	ts.inAccounts = map[address]*tombstone{}
	return scanTombstones(ctx, tx, func(account []byte, email string, t *tombstone) {
		ts.inAccounts[address{string(account), email}] = t
	}, `
		SELECT convert_to(a.account, 'UTF8'), a.email, e.erasure_id, x.person, e.erased_at
		FROM unnest($1::text[], $2::text[], $3::bytea[]) AS a(account, email, hash)
		CROSS JOIN LATERAL (SELECT min(id) AS id FROM stores WHERE stripe_account_id = a.account HAVING count(*) = 1) s
		JOIN erased e ON e.hash = a.hash AND e.store_id = s.id
		JOIN erasures x ON x.id = e.erasure_id`, accounts, emails, hashes)
}

// erasureFilter is all that the rest of the write side knows of erasure
// (docs/erasure.md). What a transaction upserts and attaches passes through it,
// so that facts about erased people are kept under pseudonyms, and payloads that
// name them are not kept at all.
type erasureFilter struct {
	*work // the transaction

	tombstones *tombstones // those looked up; nil if no person was ever erased
	loaded     bool

	events []pendingEvent // that the facts come from, one for each set; none for facts of a backfill

	// Of the facts that were upserted last:
	sets       []facts.Set
	abouts     []about                   // whom and what the events are about
	named      []bool                    // which sets name erased people
	again      []RowKey                  // rows to be attached besides
	names      map[identity]int64        // that erased people have used again since, and their erasures
	reappeared map[string]*reappearances // by table

	inStores map[RowKey]bool // rows of people erased from the row's own store
}

// reset discards what was looked up in a savepoint that was rolled back.
func (f *erasureFilter) reset() { f.tombstones, f.loaded, f.named = nil, false, nil }

// namesErased reports whether one of the sets upserted last names an erased person.
func (f *erasureFilter) namesErased(nth int) bool { return nth < len(f.named) && f.named[nth] }

// isErased reports whether an address was erased, for what happened at a time. It
// has to be among those of the facts upserted.
func (f *erasureFilter) isErased(email string, at time.Time) bool {
	return f.tombstones.of(identity{anAddress, email}, at) != nil
}

// reappearances are keys of a table under which erased people reappear, beside
// the pseudonyms that stand for what was before.
type reappearances struct {
	within            []string // the course, or the Connect account
	names, pseudonyms []string
	since             []string // the times of the erasures, as versions have it
}

// erasure is a row of erasures.
type erasure struct {
	id     int64
	person string
	store  string
	at     time.Time
}

func (x erasure) tombstone() tombstone {
	return tombstone{erasure: x.id, person: x.person, at: x.at}
}

// alone takes globalLock: other upserts run before or after it.
func (w *work) alone(ctx context.Context) error {
	w.want[globalLock] = true
	return w.lock(ctx, nil)
}

// discoveries are identities found to be of erased people.
type discoveries map[identity]tombstone

// note notes that an identity belongs to an erased person, if that is new.
func (ts *tombstones) note(found discoveries, i identity, of *tombstone) {
	if of == nil || i.value == "" || strings.HasPrefix(i.id(), anonymousPrefix) {
		return
	}
	if t := ts.known[i]; t != nil && !t.at.Before(of.at) {
		return
	}
	if t, known := found[i]; known && !t.at.Before(of.at) {
		return
	}
	found[i] = *of
}

// The key of the tombstones. It may be kept apart from dumps, so a database that
// was restored may have none, or another: then no tombstone would be found, and
// late events would bring erased people back. Nothing is applied until it is there.

// ErrErasureKey is returned by what has to look at tombstones. Events wait.
var ErrErasureKey error = pg.Refusal(
	"people were erased, and table erasure_key does not hold the key that this was done with: " +
		"restore it from where it is kept (docs/erasure.md); until then no event is applied, as late ones would " +
		"bring these people back")

// KeyState is how the key fits the tombstones.
type KeyState string

// States of the key.
const (
	KeyFits    KeyState = "fits"
	KeyMissing KeyState = "missing"
	KeyOther   KeyState = "other" // it is not the one that the tombstones were made with
)

// ErasureKeySQL reads the key, its state, and whether there are hashes by it, of erased people or of
// those who want no mail. A database whose
// check is gone has the key that it has.
const ErasureKeySQL = `
	SELECT
		k.key,
		CASE
			WHEN k.key IS NULL THEN 'missing'
			WHEN sha256(k.key) <> c.hash THEN 'other'
			ELSE 'fits'
		END,
		EXISTS (SELECT FROM erased) OR EXISTS (SELECT FROM mail_stops),
		EXISTS (SELECT FROM erased WHERE store_id <> '')
	FROM (SELECT) one
	LEFT JOIN erasure_key k ON true
	LEFT JOIN erasure_key_check c ON true`

// erasureKey reads the key, and whether there are tombstones, and any of one store
// only. One that does not fit is none; if there are tombstones, that is ErrErasureKey.
func erasureKey(ctx context.Context, q pg.Querier) (key []byte, tombstones, scoped bool, err error) {
	var state KeyState
	rows := pg.Query(ctx, q, ErasureKeySQL)
	defer rows.Close()
	for rows.Next() {
		err = rows.Scan(&key, &state, &tombstones, &scoped)
	}
	switch err = errors.Join(err, rows.Err()); {
	case err != nil || state == KeyFits:
		return key, tombstones, scoped, err
	case tombstones:
		return nil, true, scoped, ErrErasureKey
	}
	return nil, false, false, nil
}

// newKey makes a key where there are no tombstones that it would have to fit.
func newKey(ctx context.Context, tx pgx.Tx) (key []byte, err error) {
	defer pg.Wrap(&err, "store.newKey")
	key = make([]byte, 32)
	rand.Read(key) // never fails
	_, err = tx.Exec(ctx, `
		WITH made AS (
			INSERT INTO erasure_key (key) VALUES ($1) ON CONFLICT (one) DO UPDATE SET key = EXCLUDED.key
		)
		INSERT INTO erasure_key_check (hash) VALUES (sha256($1))
		ON CONFLICT (one) DO UPDATE SET hash = EXCLUDED.hash`, key)
	return key, err
}
