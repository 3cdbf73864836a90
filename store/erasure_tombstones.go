package store

import (
	"cmp"
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
)

// Who was erased, see docs/erasure.md. What such a person was known by is kept
// as keyed hashes. Facts that name them, and tell of what happened before they
// were erased, are kept under other names: of a user or Stripe customer a mark
// made of the hash, of an address that of the nameless person in their place.
// The other names resolve and derive as the true ones did, so whatever comes,
// and in whatever order, it all adds up as before.

// identity is something that a person is known by.
type identity struct {
	kind  string
	value string // an address; a user's id; account/id of a Stripe customer or object
}

func compareIdentities(a, b identity) int {
	return cmp.Or(strings.Compare(a.kind, b.kind), strings.Compare(a.value, b.value))
}

// Kinds of identities.
const (
	anAddress       = "address"
	aUser           = "user"
	aStripeCustomer = "stripe_customer"
	anObject        = "object" // of one buyer: see objects.go
)

const (
	// nameless begins what erased people are called.
	nameless = "erased-"
	// nowhere is the domain of their addresses, to which nobody can write (RFC 2606).
	nowhere = "@erased.invalid"
)

// anonymous tells whether an address is that of somebody who was erased.
func anonymous(email string) bool { return strings.HasSuffix(email, nowhere) }

// tombstone is what is known of an identity that was erased.
type tombstone struct {
	erasure int64
	person  string    // what they are called now
	at      time.Time // what happened later is not theirs
}

func (t tombstone) address() string { return t.person + nowhere }

// erased are the tombstones that a transaction has looked up.
type erased struct {
	key    []byte
	scoped bool // somebody was erased from one store only
	tombs  map[identity]*tombstone

	inAccounts map[address]*tombstone // by Connect account: of addresses in its only store
}

// graves returns the tombstones, nil if nobody was ever erased. It asks once in
// a transaction; that holds the gate by then, so nobody is erased meanwhile.
func (w *work) graves(ctx context.Context) (_ *erased, err error) {
	if w.erasedKnown {
		return w.erased, nil
	}
	defer wrap(&err, "store.graves")
	e := &erased{tombs: map[identity]*tombstone{}}
	var any bool
	if e.key, any, e.scoped, err = erasureKey(ctx, w.tx); err != nil {
		return nil, err
	}
	if !any {
		e = nil
	}
	w.erased, w.erasedKnown = e, true
	return e, nil
}

// hash is what is kept of an identity.
func (e *erased) hash(i identity) []byte {
	mac := hmac.New(sha256.New, e.key)
	mac.Write([]byte(i.kind + ":" + i.value))
	return mac.Sum(nil)
}

// mark is what stands for an id.
func (e *erased) mark(i identity) string {
	return nameless + hex.EncodeToString(e.hash(i)[:10])
}

// tomb is the tombstone of an identity for what happened at a time, if any.
func (e *erased) tomb(kind, value string, at time.Time) *tombstone {
	if value == "" {
		return nil
	}
	t := e.tombs[identity{kind, value}]
	if t == nil || at.After(t.at) {
		return nil
	}
	return t
}

// find looks up the identities that were not looked up yet.
func (e *erased) find(ctx context.Context, tx pgx.Tx, ids []identity) (err error) {
	defer wrap(&err, "store.erased.find(%d)", len(ids))
	asked := map[string]identity{}
	for _, i := range ids {
		if _, known := e.tombs[i]; !known {
			e.tombs[i] = nil
			for _, spelled := range spellingsOf(i) { // an older tombstone may be of another
				asked[string(e.hash(identity{i.kind, spelled}))] = i
			}
		}
	}
	if len(asked) == 0 {
		return nil
	}
	var hashes [][]byte
	for h := range asked {
		hashes = append(hashes, []byte(h))
	}
	rows, err := tx.Query(ctx, `
		SELECT
			e.hash,
			e.erasure_id,
			x.person,
			e.erased_at
		FROM erased e
		JOIN erasures x ON x.id = e.erasure_id
		WHERE e.hash = ANY($1)
		  AND e.store_id = ''`, hashes)
	if err != nil {
		return err
	}
	var hash []byte
	var t tombstone
	_, err = pgx.ForEachRow(rows, []any{&hash, &t.erasure, &t.person, &t.at}, func() error {
		found := t
		e.tombs[asked[string(hash)]] = &found
		return nil
	})
	return err
}

// identitiesOf lists all that facts of a set name people by.
func identitiesOf(set facts.Set) []identity {
	all := map[identity]bool{}
	add := func(kind, value string) {
		if value != "" {
			all[identity{kind, value}] = true
		}
	}
	of := func(account string, c *facts.Context) {
		if c == nil {
			return
		}
		add(aUser, c.UserRef)
		add(anAddress, c.Email)
		if c.StripeCustomer != "" {
			add(aStripeCustomer, account+"/"+c.StripeCustomer)
		}
	}
	for _, f := range set.Users {
		add(aUser, f.ID)
		add(anAddress, f.Email)
	}
	for _, f := range set.StripeCustomers {
		add(aStripeCustomer, f.Account+"/"+f.ID)
		add(anAddress, f.Email)
	}
	for _, f := range set.Enrollments {
		kind, who := personOf(f.Person)
		add(kind, who)
		add(anAddress, f.Email)
	}
	for _, f := range set.Payments {
		of(f.Account, &f.Context)
		of(f.Account, f.Intent.Says())
		of(f.Account, f.Charge)
	}
	for _, f := range set.Subscriptions {
		of(f.Account, &f.Context)
		of(f.Account, f.Checkout)
	}
	for _, f := range set.Checkouts {
		of(f.Account, &f.Context)
	}
	for _, f := range set.FailedInvoices {
		of(f.Account, &facts.Context{StripeCustomer: f.StripeCustomer})
	}
	for _, k := range rowsIn(set) {
		if i, ok := k.object(); ok {
			all[i] = true
		}
	}
	return slices.Collect(maps.Keys(all))
}

// personOf reads who an enrollment is of.
func personOf(person string) (kind, value string) {
	if id, ok := strings.CutPrefix(person, "user:"); ok {
		return aUser, id
	}
	return anAddress, strings.TrimPrefix(person, "email:")
}
