package store

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// What people and programs wrote down about somebody, beside facts and payloads:
// notes, findings of backfills, reasons of failures.

// writing is one place where somebody may be written about. Its SQL is given
//
//	@named      a pattern of all they are known by
//	@addresses  their addresses
//	@places     what findings call their rows
//	@store      the only store that is meant, or empty
//	@before     what was written later is about somebody who came anew
//	@person     what they are called now
//	@aside      what stands instead of a reason that names them
type writing struct {
	table string
	store string // which store's a row is
	where string // it is about them, or names them
	set   string // what it becomes; empty: it is removed
}

func (o writing) fate() string {
	if o.set == "" {
		return removed
	}
	return reworded
}

var writings = []writing{
	{
		table: "customer_notes",
		store: "store_id",
		where: `email = ANY(@addresses) AND @store IN ('', store_id) AND created_at <= @before`,
	},
	{
		table: "customer_notes",
		store: "store_id",
		where: `email <> ALL(@addresses) AND @store IN ('', store_id) AND (body ~* @named OR @store = '' AND author ~* @named)`,
		set: `body = regexp_replace(body, @named, @person, 'gi'),
			author = CASE WHEN @store = '' THEN regexp_replace(author, @named, @person, 'gi') ELSE author END`,
	},
	{
		table: "customer_merges",
		store: "store_id",
		where: `(from_email = ANY(@addresses) OR into_email = ANY(@addresses)) AND @store IN ('', store_id) AND merged_at <= @before`,
	},
	{
		table: "backfill_previews",
		store: "store_id",
		where: `email = ANY(@addresses) AND @store IN ('', store_id)`,
	},
	{
		table: "backfill_errors",
		where: `concat_ws(E'\n', place, what, why) ~* @named AND (@store = '' OR place = 'store ' || @store OR place = ANY(@places))`,
	},
	{
		table: "backfills",
		where: `reason ~* @named AND @store = ''`,
		set:   `reason = @aside`,
	},
	{
		table: "backfill_chunks",
		where: `last_error ~* @named AND @store = ''`,
		set:   `last_error = @aside`,
	},
	{ // the rows that a chunk is about: theirs were put, so they need no attaching
		table: "backfill_chunks",
		where: `cursor::text ~* @named AND stream = 'facts' AND @store = ''`,
		set:   `cursor = regexp_replace(cursor::text, @named, @person, 'gi')::json`,
	},
	{ // where a run stood that does not go on
		table: "backfill_chunks",
		where: `cursor::text ~* @named AND stream <> 'facts' AND @store = '' AND backfill_id IN (SELECT id FROM backfills WHERE status = 'cancelled')`,
		set:   `cursor = NULL`,
	},
	{
		table: "watches",
		where: `concat_ws(' ', detail, fix) ~* @named AND @store = ''`,
		set: `detail = regexp_replace(detail, @named, @person, 'gi'),
			fix = regexp_replace(fix, @named, @person, 'gi')`,
	},
	{
		table: "watch_changes",
		where: `concat_ws(' ', detail, fix, last_error) ~* @named AND @store = ''`,
		set: `detail = regexp_replace(detail, @named, @person, 'gi'),
			fix = regexp_replace(fix, @named, @person, 'gi'),
			last_error = regexp_replace(last_error, @named, @person, 'gi')`,
	},
	{
		table: "webhook_events",
		where: `last_error ~* @named AND @store = '' AND occurred_at <= @before`,
		set:   `last_error = @aside`,
	},
}

// aside is what is put in the place of words about a failure.
const aside = "it named a person who was erased"

// writtenOf are the arguments that the SQL of writings takes.
func writtenOf(ids []identity, rows []rowKey, x erasure) pgx.NamedArgs {
	addresses, places := []string{}, []string{}
	for _, i := range ids {
		if i.kind == anAddress {
			addresses = append(addresses, i.value)
		}
	}
	for _, k := range rows {
		places = append(places, k.place())
	}
	return pgx.NamedArgs{
		"named": pattern(ids), "addresses": addresses, "places": places,
		"store": x.store, "before": x.at, "person": x.person, "aside": aside,
	}
}

// pattern finds identities in a text, for Postgres, as whole words:
// "ann@x.example" is not in "joann@x.example". An id that could be any number is
// one only behind "user:".
func pattern(ids []identity) string {
	var all []string
	for _, i := range ids {
		switch id := regexp.QuoteMeta(idOf(i)); {
		case i.kind == anObject: // it stays
		case i.kind == anAddress:
			all = append(all, `(?<![\w.%+-])`+id+`(?![\w-]|\.\w)`)
		case i.kind == aUser && !strings.HasPrefix(i.value, "user_"):
			all = append(all, `(?<=user:)`+id+`(?!\w)`)
		default:
			all = append(all, `(?<!\w)`+id+`(?!\w)`)
		}
	}
	if len(all) == 0 {
		return `(?!x)x` // in no text
	}
	return strings.Join(all, "|")
}

// unwrite removes or rewords what was written.
func (w *work) unwrite(ctx context.Context, args pgx.NamedArgs) (err error) {
	defer wrap(&err, "store.unwrite")
	var batch pgx.Batch
	for _, o := range writings {
		if o.set == "" {
			batch.Queue(`DELETE FROM `+o.table+` WHERE `+o.where, args)
		} else {
			batch.Queue(`UPDATE `+o.table+` SET `+o.set+` WHERE `+o.where, args)
		}
	}
	return w.tx.SendBatch(ctx, &batch).Close()
}

// abandoned are the customers whose rows, or some of them, go to a nameless one.
func (w *work) abandoned(rows []resolution) map[int64]address {
	if w.erased == nil {
		return nil
	}
	left := map[int64]address{}
	for _, c := range w.bereft {
		left[c.id] = address{c.store, c.email}
	}
	for _, r := range rows {
		if r.OldEmail != nil && !anonymous(*r.OldEmail) && r.attachable() && anonymous(*r.Email) {
			left[*r.OldID] = address{*r.OldStore, *r.OldEmail}
		}
	}
	return left
}

// forgetNotes removes the notes about those of the customers who are gone by
// now, and what is known of merges with them.
func (w *work) forgetNotes(ctx context.Context, left map[int64]address) (err error) {
	defer wrap(&err, "store.forgetNotes(%d)", len(left))
	if len(left) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(left))
	stores, emails := make([]string, len(ids)), make([]string, len(ids))
	for i, id := range ids {
		stores[i], emails[i] = left[id].store, left[id].email
	}
	_, err = w.tx.Exec(ctx, `
		WITH gone AS MATERIALIZED (
			SELECT l.*
			FROM unnest($1::bigint[], $2::text[], $3::text[]) AS l(id, store_id, email)
			WHERE NOT EXISTS (SELECT FROM customers c WHERE c.id = l.id)
		),
		notes AS (
			DELETE FROM customer_notes n
			USING gone
			WHERE n.store_id = gone.store_id AND n.email = gone.email
		)
		DELETE FROM customer_merges m
		USING gone
		WHERE m.store_id = gone.store_id AND gone.id IN (m.from_id, m.into_id)`, ids, stores, emails)
	return err
}
