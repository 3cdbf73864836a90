package store

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// The search for payloads that name somebody. No index helps: the inbox is read
// through, stretch by stretch.

// scanStretch is how many ids of the inbox one statement searches.
const scanStretch = 5000

// maxNeedles is how many words are looked for in each payload.
const maxNeedles = 100

// received is an event that names somebody who is searched for.
type received struct {
	id     int64
	status string
	event  facts.Event
	set    facts.Set // what it says, empty where it cannot be read
	about  about
	named  []identity // whom and what its words and its facts name
}

// lastEvent is the greatest id in the inbox.
func lastEvent(ctx context.Context, q querier) (id int64, err error) {
	rows, err := q.Query(ctx, `SELECT coalesce(max(id), 0) FROM webhook_events`)
	if err != nil {
		return 0, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64])
}

// naming returns the events with ids above from, up to to, that name any of the
// identities and have their payloads: in words, their headers included, or as
// what they say has it.
func naming(ctx context.Context, q querier, ids []identity, from, to int64) (found []received, err error) {
	defer wrap(&err, "store.naming(%d, %d)", from, to)
	sought := map[identity]bool{}
	var needles []string
	for _, i := range ids {
		sought[i] = true
		for _, spelled := range spellingsOf(i) {
			needles = append(needles, strings.ToLower(longestASCII(idOf(identity{i.kind, spelled}))))
		}
	}
	if len(needles) > maxNeedles { // to read all is cheaper than to look for each
		needles = []string{""}
	}
	rows, err := q.Query(ctx, namingSQL, from, to, needles)
	if err != nil {
		return nil, err
	}
	var r received
	var payload, headers string
	e := &r.event
	_, err = pgx.ForEachRow(rows, []any{&r.id, &r.status, &e.Source, &e.ID, &e.Type, &e.Account, &e.Livemode, &e.OccurredAt, &payload, &headers}, func() error {
		e.Payload = []byte(payload)
		r.set, _ = facts.Read(*e)
		r.set.At = e.OccurredAt
		r.about = aboutOf(*e, r.set)
		r.named = slices.Concat(namedIn(e.Payload, e.Account), namedIn([]byte(headers), e.Account), identitiesOf(r.set), r.about.objects)
		if slices.ContainsFunc(r.named, func(i identity) bool { return sought[i] }) {
			found = append(found, r)
		}
		return nil
	})
	return found, err
}

// namingSQL passes over payloads that cannot name any of $3. What is written
// with escapes is let through, to be read.
const namingSQL = `
	SELECT e.id, e.status, e.source, e.event_id, e.type, e.account, e.livemode, e.occurred_at, e.payload::text, coalesce(e.headers::text, '')
	FROM webhook_events e
	CROSS JOIN LATERAL (SELECT lower(concat(e.payload::text, ' ', e.headers::text)) AS text OFFSET 0) t
	WHERE e.id > $1
	  AND e.id <= $2
	  AND e.payload IS NOT NULL
	  AND (strpos(t.text, '\u') > 0
		OR strpos(t.text, '%40') > 0
		OR EXISTS (SELECT FROM unnest($3::text[]) AS n(needle) WHERE strpos(t.text, n.needle) > 0))
	ORDER BY e.id`

// spellingsOf are the ways in which an identity may be written.
func spellingsOf(i identity) []string {
	if i.kind != anAddress {
		return []string{i.value}
	}
	return append(facts.Spellings(i.value), i.value)
}

// idOf is an identity as outsiders write it.
func idOf(i identity) string {
	if i.kind == aStripeCustomer || i.kind == anObject {
		_, id, _ := strings.Cut(i.value, "/")
		return id
	}
	return i.value
}

// longestASCII is the part of a text that looks the same in whatever case
// Postgres and Go take letters beyond ASCII to have.
func longestASCII(text string) (longest string) {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		if len(part) > len(longest) {
			longest = part
		}
	}
	return longest
}
