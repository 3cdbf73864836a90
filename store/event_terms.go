package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
)

// Events are found by what their payloads name. The terms of an event are written when it is
// applied; those of events from before there were terms are written by workers, the newest
// first. An event that has none yet is searched by its payload.

// Term is what an address or id is indexed by, in any case of letters.
func Term(text string) int64 {
	sum := sha256.Sum256([]byte(strings.ToLower(text)))
	return int64(binary.BigEndian.Uint64(sum[:8])) //nolint:gosec // any bits will do
}

// Words are the parts of a search as they were typed.
func (f EventFilter) Words() []string { return strings.Fields(f.Query) }

// spelled are the parts of a search as events are indexed by them.
func (f EventFilter) spelled() (words []string) {
	for _, word := range f.Words() {
		words = append(words, strings.ToLower(cmp.Or(facts.Email(word), word)))
	}
	return words
}

// Terms are the terms of a search.
func (f EventFilter) Terms() (terms []int64) {
	for _, word := range f.spelled() {
		terms = append(terms, Term(word))
	}
	return terms
}

// names is SQL for whether an event e names what is searched for, or is it.
func (f EventFilter) names(w *pg.Conditions) string {
	return `(e.event_id = ANY(` + w.Arg(f.Words()) + `)
		OR e.id = ANY(` + w.Arg(InboxIDs(f.Words())) + `)
		OR EXISTS (SELECT FROM event_terms t WHERE t.event_id = e.id AND t.term = ANY(` + w.Arg(f.Terms()) + `))
		OR (e.status IN ('pending', 'failed') OR e.id <= (SELECT unindexed FROM event_search)) AND ` + f.InPayload(w) + `)`
}

// InPayload is SQL for whether the payload of an event e names what is searched for.
func (f EventFilter) InPayload(w *pg.Conditions) string {
	return `EXISTS (SELECT FROM unnest(` + w.Arg(f.spelled()) + `::text[]) AS s(word)
			WHERE strpos(lower(e.payload::text), '"' || s.word || '"') > 0)`
}

// namedObjects are the prefixes of ids that people search for: Stripe's payments, customers,
// subscriptions and accounts, and Clerk's users.
var namedObjects = map[string]bool{"pi": true, "ch": true, "py": true, "in": true, "cs": true, "sub": true,
	"seti": true, "re": true, "pyr": true, "du": true, "dp": true, "cus": true, "gcus": true, "acct": true, "user": true}

// indexed tells whether an event is found by a value that its payload has at a key.
func indexed(source, key, value string) bool {
	if value == "" || len(value) > MaxName {
		return false
	}
	if prefix, _, ok := strings.Cut(value, "_"); ok && namedObjects[prefix] {
		return strings.IndexFunc(value, func(r rune) bool { return r >= utf8.RuneSelf || !inWord(byte(r)) }) < 0
	}
	switch { // ids of the platform say by their key what they are
	case source == "platform":
		return key == "id" || strings.HasSuffix(key, "_id")
	case source == "stripe":
		return strings.HasSuffix(key, "_id") || strings.HasSuffix(key, "Id")
	}
	return false
}

// termsIn are the terms of an event, each once.
func termsIn(e facts.Event) (terms []int64) {
	seen := map[int64]bool{}
	add := func(text string) {
		if t := Term(text); !seen[t] {
			seen[t], terms = true, append(terms, t)
		}
	}
	if e.Account != "" {
		add(e.Account)
	}
	eachString(string(e.Payload), func(key, value string) {
		if strings.Contains(value, "@") {
			if address := facts.Email(value); address != "" {
				add(address)
			}
		} else if indexed(e.Source, key, value) {
			add(value)
		}
	})
	return terms
}

// eachString calls do with the texts in a payload, each with the key before it. It reads the
// payload once: a parser would take longer than all that follows.
func eachString(payload string, do func(key, value string)) {
	key := ""
	for at := 0; ; {
		begin := strings.IndexByte(payload[at:], '"')
		if begin < 0 {
			return
		}
		begin += at
		end := begin + 1
		for end < len(payload) && payload[end] != '"' {
			if payload[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(payload) {
			return
		}
		text := unquoted(payload[begin : end+1])
		if at = end + 1; strings.HasPrefix(strings.TrimLeft(payload[at:], " \t\r\n"), ":") {
			key = text
		} else {
			do(key, text)
		}
	}
}

// unquoted is the value of a text in JSON.
func unquoted(text string) (value string) {
	if strings.IndexByte(text, '\\') < 0 {
		return text[1 : len(text)-1]
	}
	_ = json.Unmarshal([]byte(text), &value) // what cannot be read is not searched for
	return value
}

// keepTerms writes the terms of events.
func keepTerms(ctx context.Context, tx pgx.Tx, ids []int64, events []facts.Event) (err error) {
	defer pg.Wrap(&err, "store.keepTerms")
	var terms, of []int64
	for i, e := range events {
		for _, t := range termsIn(e) {
			terms, of = append(terms, t), append(of, ids[i])
		}
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO event_terms (term, event_id)
		SELECT term, event_id
		FROM unnest($1::bigint[], $2::bigint[]) AS t(term, event_id)
		ON CONFLICT DO NOTHING`, terms, of) // an event that is replayed has them
	return err
}

// keepTerms writes the terms of events that are being applied.
func (w *work) keepTerms(ctx context.Context, all []pendingEvent) error {
	ids, events := make([]int64, len(all)), make([]facts.Event, len(all))
	for i, e := range all {
		ids[i], events[i] = e.ID, e.event
	}
	return keepTerms(ctx, w.tx, ids, events)
}

// keepTermsOf writes the terms of an event that is not applied.
func (w *work) keepTermsOf(ctx context.Context, id int64) error {
	var e facts.Event
	err := w.tx.QueryRow(ctx, `SELECT source, coalesce(account, ''), payload FROM webhook_events WHERE id = $1`, id).
		Scan(&e.Source, &e.Account, &e.Payload)
	if err != nil {
		return err
	}
	return keepTerms(ctx, w.tx, []int64{id}, []facts.Event{e})
}

// forgetTerms removes the terms of events whose payloads are gone.
func forgetTerms(ctx context.Context, tx pgx.Tx, ids []int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM event_terms WHERE event_id = ANY($1)`, ids)
	return err
}

// completeSQL takes, once no earlier worker runs any more, all events to be without terms: those
// that such workers applied after the migration are.
const completeSQL = `
	WITH now_complete AS (
		UPDATE event_search
		SET complete = true, unindexed = greatest(unindexed, (SELECT coalesce(max(id), 0) FROM webhook_events))
		WHERE NOT complete
		  AND NOT EXISTS (SELECT FROM worker_clocks WHERE keys IS NULL AND seen_at > now() - interval '10 min')
		RETURNING complete
	)
	DELETE FROM event_terms t
	USING webhook_events e, now_complete
	WHERE e.id = t.event_id
	  AND e.payload IS NULL`

// indexChunk is how many older events one transaction indexes.
const indexChunk = 500

// IndexEvents writes the terms of the newest events that have none, from before there were
// terms, and reports whether there were any. One caller at a time does it.
func (s *Store) IndexEvents(ctx context.Context) (worked bool, err error) {
	defer pg.Wrap(&err, "store.IndexEvents")
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, completeSQL); err != nil {
			return err
		}
		var upTo int64
		err := tx.QueryRow(ctx, `SELECT unindexed FROM event_search WHERE unindexed > 0 FOR UPDATE SKIP LOCKED`).Scan(&upTo)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		ids, events, err := olderEvents(ctx, tx, upTo)
		if err != nil {
			return err
		}
		worked = true
		left := int64(0)
		if len(ids) > 0 {
			left = ids[0] - 1
			if err := keepTerms(ctx, tx, ids, events); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `UPDATE event_search SET unindexed = $1`, left)
		return err
	})
	return worked, err
}

// olderEvents locks and reads events with an id and below. An erasure that empties one of them
// waits, and then removes its terms too.
func olderEvents(ctx context.Context, tx pgx.Tx, upTo int64) (ids []int64, events []facts.Event, err error) {
	rows, err := tx.Query(ctx, `
		SELECT id, source, coalesce(account, ''), payload
		FROM webhook_events
		WHERE id IN (
			SELECT id
			FROM webhook_events
			WHERE id <= $1
			  AND payload IS NOT NULL
			  AND status <> 'pending' -- a worker that applies one skips rows that are locked, and writes its terms
			ORDER BY id DESC
			LIMIT $2
		)
		ORDER BY id -- as replays lock them
		FOR SHARE`, upTo, indexChunk)
	if err != nil {
		return nil, nil, err
	}
	var id int64
	var e facts.Event
	_, err = pgx.ForEachRow(rows, []any{&id, &e.Source, &e.Account, &e.Payload}, func() error {
		ids, events = append(ids, id), append(events, e)
		e.Payload = nil // a new one for each row
		return nil
	})
	return ids, events, err
}
