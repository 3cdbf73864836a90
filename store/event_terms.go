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

// Events are found by what their payloads name. Workers write the terms of events that are not
// pending, the newest first: a trigger queues them in event_unindexed, another removes them with
// the payload. An event that has none yet is searched by its payload.

// Term is what an address or id is indexed by, in any case of letters.
func Term(text string) int64 {
	sum := sha256.Sum256([]byte(strings.ToLower(text)))
	return int64(binary.BigEndian.Uint64(sum[:8])) //nolint:gosec // any bits will do
}

// Names are addresses and ids: an event with any of them in its payload names them.
type Names []string

// Searched are the parts of the search. Each may also be the id of an event.
func (f EventFilter) Searched() Names { return strings.Fields(f.Query) }

// OfStore is what events of the store name; see Located.
func (f EventFilter) OfStore() Names {
	if f.Account == "" {
		return Names{f.Store}
	}
	return Names{f.Store, f.Account}
}

// Located is f with the Stripe account of its store. A store that is not known has no events.
func (s *Store) Located(ctx context.Context, f EventFilter) (EventFilter, error) {
	if f.Store == "" {
		return f, nil
	}
	accounts, err := s.StoreAccounts(ctx, f.Store)
	if errors.Is(err, pg.ErrNotFound) {
		return f, nil
	}
	f.Account = strings.Join(accounts, "")
	return f, err
}

// spelled are the names as events are indexed by them.
func (names Names) spelled() (words []string) {
	for _, word := range names {
		words = append(words, strings.ToLower(cmp.Or(facts.Email(word), word)))
	}
	return words
}

// Terms are the terms of the names.
func (names Names) Terms() (terms []int64) {
	for _, word := range names.spelled() {
		terms = append(terms, Term(word))
	}
	return terms
}

// meets is SQL for whether an event e names any of the names, or has an id that is one of refs. Postgres
// begins with the names where nothing else leads to few events, and else looks each event up.
func (names Names) meets(w *pg.Conditions, refs []string) string {
	return `EXISTS (
			SELECT
			FROM (
				SELECT event_id FROM event_terms WHERE term = ANY(` + w.Arg(names.Terms()) + `)
				UNION ALL
				SELECT id FROM webhook_events WHERE id = ANY(` + w.Arg(InboxIDs(refs)) + `)
					OR source = ANY(` + w.Arg(Sources) + `) AND event_id = ANY(` + w.Arg(refs) + `)
				UNION ALL
				SELECT e.id FROM webhook_events e WHERE e.status = 'pending' AND ` + names.InPayload(w) + `
				UNION ALL
				SELECT e.id FROM event_unindexed u JOIN webhook_events e ON e.id = u.event_id WHERE ` + names.InPayload(w) + `
			) named
			WHERE named.event_id = e.id
		)`
}

// InPayload is SQL for whether the payload of an event e names any of the names.
func (names Names) InPayload(w *pg.Conditions) string {
	return `EXISTS (SELECT FROM unnest(` + w.Arg(names.spelled()) + `::text[]) AS s(word)
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

// indexChunk is how many events one transaction indexes.
var indexChunk = 500

// IndexEvents writes the terms of the newest events that have none yet, and reports whether
// there were any. One caller at a time does it.
func (s *Store) IndexEvents(ctx context.Context) (worked bool, err error) {
	defer pg.Wrap(&err, "store.IndexEvents")
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		var mine bool
		err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended('event_terms', 0))`).Scan(&mine)
		if err != nil || !mine {
			return err
		}
		ids, terms, of, err := unindexed(ctx, tx)
		if err != nil || len(ids) == 0 {
			return err
		}
		worked = true
		_, err = tx.Exec(ctx, `
			WITH done AS (
				DELETE FROM event_unindexed WHERE event_id = ANY($3)
			)
			INSERT INTO event_terms (term, event_id)
			SELECT term, event_id
			FROM unnest($1::bigint[], $2::bigint[]) AS t(term, event_id)
			ON CONFLICT DO NOTHING`, terms, of, ids) // an event that is replayed has them
		return err
	})
	return worked, err
}

// unindexed locks the newest events that have no terms, and reads them: terms[i] is one of the
// event of[i]. Those that someone else has locked wait for the next time, as an erasure may be
// emptying them; and those that are pending again, as a worker skips what is locked.
func unindexed(ctx context.Context, tx pgx.Tx) (ids, terms, of []int64, err error) {
	rows := pg.Query(ctx, tx, `
		SELECT e.id, e.source, e.account, e.payload
		FROM event_unindexed u
		JOIN webhook_events e ON e.id = u.event_id
		WHERE e.status <> 'pending'
		  AND e.payload IS NOT NULL
		ORDER BY u.event_id DESC
		LIMIT $1
		FOR SHARE OF e SKIP LOCKED`, indexChunk)
	var id int64
	var e facts.Event
	err = pg.Each(rows, []any{&id, &e.Source, &e.Account, &e.Payload}, func() {
		ids = append(ids, id)
		for _, t := range termsIn(e) {
			terms, of = append(terms, t), append(of, id)
		}
		e.Payload = nil // a new one for each row
	})
	return ids, terms, of, err
}
