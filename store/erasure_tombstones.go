package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
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

const (
	anonymousPrefix = "erased-"         // begins all pseudonyms
	anonymousDomain = "@erased.invalid" // ends their addresses, which cannot exist (RFC 2606)
)

// Anonymous reports whether an address is that of an erased person.
func Anonymous(email string) bool { return strings.HasSuffix(email, anonymousDomain) }

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
		f.tombstones.key, err = f.newKey(ctx)
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
func scanTombstones(ctx context.Context, tx pgx.Tx, found func(by []byte, and string, t *tombstone), sql string, args ...any) error {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	var by []byte
	var and string
	var t tombstone
	_, err = pgx.ForEachRow(rows, []any{&by, &and, &t.erasure, &t.person, &t.at}, func() error {
		one := t
		found(by, and, &one)
		return nil
	})
	return err
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
	return scanTombstones(ctx, tx, func(account []byte, email string, t *tombstone) { ts.inAccounts[address{string(account), email}] = t }, `
		SELECT convert_to(a.account, 'UTF8'), a.email, e.erasure_id, x.person, e.erased_at
		FROM unnest($1::text[], $2::text[], $3::bytea[]) AS a(account, email, hash)
		CROSS JOIN LATERAL (SELECT min(id) AS id FROM stores WHERE stripe_account_id = a.account HAVING count(*) = 1) s
		JOIN erased e ON e.hash = a.hash AND e.store_id = s.id
		JOIN erasures x ON x.id = e.erasure_id`, accounts, emails, hashes)
}

// add makes tombstones of identities, and of those that the rows naming them show
// to be the same person's. Those rows are pseudonymized at once or, where there may
// be very many, left as they are for now. What is not facts is left to
// FinishErasures. globalLock is held. It returns the rows to be attached.
func (f *erasureFilter) add(ctx context.Context, found discoveries, atOnce bool) (again []RowKey, err error) {
	defer pg.Wrap(&err, "store.erasureFilter.add(%d)", len(found))
	var all []identity
	var rows []RowKey
	for len(found) > 0 {
		if err := f.write(ctx, found); err != nil {
			return nil, err
		}
		ids := slices.Collect(maps.Keys(found))
		more, err := rowsNaming(ctx, f.tx, ids)
		if err != nil {
			return nil, err
		}
		if found, err = f.tombstones.discoverInRows(ctx, f.tx, ids, more); err != nil { // before they are pseudonymized
			return nil, err
		}
		all, rows = append(all, ids...), append(rows, more...)
	}
	if atOnce {
		if again, err = f.pseudonymizeRows(ctx, rows); err != nil {
			return nil, err
		}
		keys, err := keysOfAddresses(ctx, f.tx, all)
		if err != nil {
			return nil, err
		}
		dependent, err := rowsLeaning(ctx, f.tx, keys)
		if err != nil {
			return nil, err
		}
		again = distinct(append(again, dependent...))
	}
	return again, f.pseudonymizePeople(ctx, all, atOnce)
}

// write writes tombstones, and what their erasures have to look for from now on.
func (f *erasureFilter) write(ctx context.Context, found discoveries) error {
	ts := f.tombstones
	var batch pgx.Batch
	for i, t := range found {
		batch.Queue(`
			INSERT INTO erased AS e (hash, kind, erasure_id, erased_at)
			VALUES ($1, $2, $3, $4)
			ON CONFLICT (hash, store_id) DO UPDATE SET erased_at = GREATEST(e.erased_at, EXCLUDED.erased_at)`, ts.hash(i), i.kind, t.erasure, t.at)
		batch.Queue(`
			INSERT INTO erasure_terms (erasure_id, kind, value)
			VALUES ($1, $2, $3)
			ON CONFLICT (erasure_id, kind, value) DO UPDATE SET anew = false`, t.erasure, i.kind, i.value)
		batch.Queue(`UPDATE erasures SET finished_at = NULL, moved_at = '-infinity' WHERE id = $1 AND finished_at IS NOT NULL`, t.erasure)
		if old := ts.known[i]; old != nil { // of another erasure: it keeps its pseudonym
			t.erasure, t.person = old.erasure, old.person
		}
		ts.known[i] = &t
	}
	return f.tx.SendBatch(ctx, &batch).Close()
}
