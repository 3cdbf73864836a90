package store

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// What is kept about somebody beside facts and payloads: checkouts they left,
// invoices they did not pay, and what people and programs wrote: notes, findings
// of backfills, reasons of failures.

// mention is one place where a person may be named. Its SQL is given
//
//	@kinds      of all they are known by
//	@values     the identities themselves
//	@named      a pattern of all they are known by
//	@addresses  their addresses
//	@places     what findings call their rows
//	@store      the only store that is meant, or empty
//	@before     what was written later is not about the erased person
//	@person     their pseudonym
//	@reason     what replaces a reason that names them
type mention struct {
	table string
	store string // which store's a row is
	where string // it is about them, or names them
	set   string // what it becomes; empty: it is removed
}

func (m mention) fate() string {
	if m.set == "" {
		return removed
	}
	return reworded
}

// mentions are in all columns of text in which erasure finds people, but for the
// payloads and headers of events.
var mentions = []mention{
	{
		table: "customer_notes",
		store: "store_id",
		where: `email = ANY(@addresses) AND @store IN ('', store_id) AND created_at <= @before`,
	},
	{
		table: "customer_notes",
		store: "store_id",
		where: `email <> ALL(@addresses) AND @store IN ('', store_id) AND (body ~* @named OR @store = '' AND ` +
			textNames("author", "editor") + `)`,
		set: `body = regexp_replace(body, @named, @person, 'gi'),
			author = CASE WHEN @store = '' THEN regexp_replace(author, @named, @person, 'gi') ELSE author END,
			editor = CASE WHEN @store = '' THEN regexp_replace(editor, @named, @person, 'gi') ELSE editor END`,
	},
	{
		table: "customer_tags",
		store: "store_id",
		where: `email = ANY(@addresses) AND @store IN ('', store_id) AND tagged_at <= @before`,
	},
	{
		table: "customer_tags",
		store: "store_id",
		where: `email <> ALL(@addresses) AND @store = '' AND ` + textNames("tagged_by"),
		set:   `tagged_by = regexp_replace(tagged_by, @named, @person, 'gi')`,
	},
	{ // the pseudonym keeps names apart
		table: "tags",
		store: "store_id",
		where: `@store IN ('', store_id) AND (` + textNames("name", "folded") + ` OR @store = '' AND ` +
			textNames("created_by") + `)`,
		set: `name = left(regexp_replace(name, @named, @person, 'gi'), 60),
			folded = regexp_replace(folded, @named, @person, 'gi'),
			created_by = CASE WHEN @store = '' THEN regexp_replace(created_by, @named, @person, 'gi') ELSE created_by END`,
	},
	{
		table: "segments",
		store: "store_id",
		where: `@store IN ('', store_id) AND (` + textNames("name", "folded", "rule") + ` OR @store = '' AND ` +
			textNames("created_by") + `)`,
		set: `name = left(regexp_replace(name, @named, @person, 'gi'), 60),
			folded = regexp_replace(folded, @named, @person, 'gi'),
			rule = regexp_replace(rule::text, @named, @person, 'gi')::jsonb,
			created_by = CASE WHEN @store = '' THEN regexp_replace(created_by, @named, @person, 'gi') ELSE created_by END`,
	},
	{
		table: "watched_members",
		store: "store_id",
		where: `email = ANY(@addresses) AND @store IN ('', store_id) AND entered_at <= @before`,
	},
	{
		table: "segment_moves",
		store: "store_id",
		where: `email = ANY(@addresses) AND @store IN ('', store_id) AND at <= @before`,
	},
	{
		table: "bulk_actions",
		store: "store_id",
		where: `@store IN ('', store_id) AND (` + textNames("filter", "reason") + ` OR @store = '' AND ` +
			textNames("started_by") + `)`,
		set: `filter = regexp_replace(filter::text, @named, @person, 'gi')::jsonb,
			reason = regexp_replace(reason, @named, @person, 'gi'),
			started_by = CASE WHEN @store = '' THEN regexp_replace(started_by, @named, @person, 'gi') ELSE started_by END`,
	},
	{
		table: "bulk_people",
		store: "store_id",
		where: `email = ANY(@addresses) AND @store IN ('', store_id)`,
	},
	{
		table: "bulk_changes",
		store: "store_id",
		where: `email = ANY(@addresses) AND @store IN ('', store_id) AND tagged_at <= @before`,
	},
	{
		table: "bulk_changes",
		store: "store_id",
		where: `email <> ALL(@addresses) AND @store = '' AND ` + textNames("tagged_by"),
		set:   `tagged_by = regexp_replace(tagged_by, @named, @person, 'gi')`,
	},
	{
		table: "runs",
		store: "store_id",
		where: `email = ANY(@addresses) AND @store IN ('', store_id) AND entered_at <= @before`,
	},
	{
		table: "campaigns",
		store: "store_id",
		where: `@store IN ('', store_id) AND (` + textNames("name", "audience", "steps", "on_goal") +
			` OR @store = '' AND ` + textNames("created_by") + `)`,
		set: `name = left(regexp_replace(name, @named, @person, 'gi'), 60),
			audience = regexp_replace(audience::text, @named, @person, 'gi')::jsonb,
			steps = regexp_replace(steps::text, @named, @person, 'gi')::jsonb,
			on_goal = regexp_replace(on_goal::text, @named, @person, 'gi')::jsonb,
			created_by = CASE WHEN @store = '' THEN regexp_replace(created_by, @named, @person, 'gi') ELSE created_by END`,
	},
	{ // those of no mail of ours stay: they are codes, times and the provider's ids
		table: "mail_events",
		where: `mail_id IN (SELECT id FROM mails WHERE ` + theirMails + `)`,
	},
	{
		table: "mails",
		store: "store_id",
		where: theirMails,
	},
	{
		table: "mail_consents",
		store: "store_id",
		where: namesIdentity("mail_consents") + ` AND @store IN ('', store_id) AND said_at <= @before`,
	},
	{
		table: "mail_stops",
		store: "store_id",
		where: `@store = '' AND ` + textNames("by"),
		set:   replaceNames("by"),
	},
	{
		table: "mail_bodies",
		store: "store_id",
		where: `@store IN ('', store_id) AND ` + textNames("subject", "markdown"),
		set:   replaceNames("subject", "markdown"),
	},
	{
		table: "customer_merges",
		store: "store_id",
		where: NamesAddress("customer_merges", "customer_merges", "@addresses") +
			` AND @store IN ('', store_id) AND merged_at <= @before`,
	},
	{
		table: "checkouts",
		store: "coalesce(store_ref, '')",
		where: `(` + namesIdentity("checkouts") + ` OR ('` + anObject + `', account || '/' || id) IN (
				SELECT * FROM unnest(@kinds::text[], @values::text[])
			)) AND @store IN ('', store_ref) AND version_time(version) <= @before`,
	},
	{
		table: "failed_invoices",
		where: namesIdentity("failed_invoices") + ` AND @store = '' AND version_time(version) <= @before`,
	},
	{
		table: "backfill_previews",
		store: "store_id",
		where: NamesAddress("backfill_previews", "backfill_previews", "@addresses") + ` AND @store IN ('', store_id)`,
	},
	{
		table: "backfill_errors",
		where: textNames(columnsNaming("backfill_errors")...) +
			` AND (@store = '' OR place = 'store ' || @store OR place = ANY(@places))`,
	},
	{
		table: "backfills",
		where: `reason ~* @named AND @store = ''`,
		set:   `reason = @reason`,
	},
	{
		table: "backfill_chunks",
		where: `last_error ~* @named AND @store = ''`,
		set:   `last_error = @reason`,
	},
	{ // the rows that a chunk is about: theirs have been attached
		table: "backfill_chunks",
		where: `cursor::text ~* @named AND stream = 'facts' AND @store = ''`,
		set:   `cursor = regexp_replace(cursor::text, @named, @person, 'gi')::json`,
	},
	{ // where a cancelled run stood
		table: "backfill_chunks",
		where: `cursor::text ~* @named AND stream <> 'facts' AND @store = ''
			AND backfill_id IN (SELECT id FROM backfills WHERE status = 'cancelled')`,
		set: `cursor = NULL`,
	},
	{
		table: "watches",
		where: textNames(columnsNaming("watches")...) + ` AND @store = ''`,
		set:   replaceNames(columnsNaming("watches")...),
	},
	{
		table: "watch_changes",
		where: textNames(columnsNaming("watch_changes")...) + ` AND @store = ''`,
		set:   replaceNames(columnsNaming("watch_changes")...),
	},
	{
		table: "webhook_events",
		where: `(last_error ~* @named OR dismissed_why ~* @named) AND @store = '' AND occurred_at <= @before`,
		set: `last_error = CASE WHEN last_error ~* @named THEN @reason ELSE last_error END,
			dismissed_why = CASE WHEN dismissed_why ~* @named THEN @reason ELSE dismissed_why END`,
	},
}

// keepHashes keeps of the mails that went to a person what a report on them needs that comes later: a complaint stops
// the address under its hash.
var keepHashes = `
	INSERT INTO erased_mails (mail_id, store_id, hash, provider, provider_id, tries, made_at, claimed_at)
	SELECT id, store_id, ` + AddressHash("email") + `, provider,
		CASE WHEN provider_id ~ '^[A-Za-z0-9_-]+$' THEN provider_id END, -- a mail server may answer with the address
		tries, made_at, claimed_at
	FROM mails
	WHERE ` + theirMails + `
	  AND class <> 'test'
	  AND status IN ('sending', 'sent', 'unknown', 'failed')
	ON CONFLICT DO NOTHING`

// theirMails is SQL for the mails that went to a person, or are to go.
const theirMails = `email = ANY(@addresses) AND @store IN ('', store_id) AND made_at <= @before`

// namesIdentity is SQL for whether a row of a table names any of the identities.
func namesIdentity(table string) string {
	ways := map[string]string{anAddress: "%s", aUser: "%s", aStripeCustomer: "account || '/' || %s"}
	var sql []string
	for _, c := range identityColumns {
		if of, ok := ways[c.Names]; ok && c.Table == table {
			sql = append(sql, fmt.Sprintf("('%s', "+of+")", c.Names, c.Column))
		}
	}
	return `EXISTS (
			SELECT FROM (VALUES ` + strings.Join(sql, ", ") + `) AS i(kind, value)
			WHERE (i.kind, i.value) IN (SELECT * FROM unnest(@kinds::text[], @values::text[])))`
}

// textNames is SQL for whether one of the columns names the person.
func textNames(columns ...string) string {
	return `concat_ws(E'\n', ` + strings.Join(columns, ", ") + `) ~* @named`
}

// replaceNames is SQL that replaces all they are known by in columns.
func replaceNames(columns ...string) string {
	set := make([]string, len(columns))
	for i, c := range columns {
		set[i] = c + ` = regexp_replace(` + c + `, @named, @person, 'gi')`
	}
	return strings.Join(set, ", ")
}

// erasedReason replaces the reason of a failure that names an erased person.
const erasedReason = "it named a person who was erased"

// mentionArgs are the arguments of the SQL of mentions.
func mentionArgs(ids []identity, rows []RowKey, x erasure) pgx.NamedArgs {
	places := []string{}
	for _, k := range rows {
		places = append(places, k.place())
	}
	kinds, values := kindsAndValues(ids)
	return pgx.NamedArgs{
		"kinds": kinds, "values": values,
		"named": pattern(ids), "addresses": valuesOf(anAddress, ids), "places": places,
		"store": x.store, "before": x.at, "person": x.person, "reason": erasedReason,
	}
}

// pattern finds identities in a text, for Postgres, as whole words:
// "ann@x.example" is not in "joann@x.example". An id that could be any number is
// one only behind "user:".
func pattern(ids []identity) string {
	var all []string
	for _, i := range ids {
		switch id := regexp.QuoteMeta(i.id()); {
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

// eraseText removes or rewords what was written.
func (f *erasureFilter) eraseText(ctx context.Context, args pgx.NamedArgs) (err error) {
	defer pg.Wrap(&err, "store.eraseText")
	var batch pgx.Batch
	batch.Queue(keepHashes, args)
	for _, m := range mentions {
		if m.set == "" {
			batch.Queue(`DELETE FROM `+m.table+` WHERE `+m.where, args)
		} else {
			batch.Queue(`UPDATE `+m.table+` SET `+m.set+` WHERE `+m.where, args)
		}
	}
	return f.tx.SendBatch(ctx, &batch).Close()
}

// Fates of a Trace.
const (
	removed  = "removed"
	renamed  = "anonymous"
	emptied  = "emptied"
	reworded = "reworded"
)
