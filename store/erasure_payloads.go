package store

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// Payloads that name erased people. They are not kept: neither those that are
// there when somebody is erased, nor those that come late.

// namedIn lists whom the text of a payload names, anywhere, by an address or by
// an id that says what it is; account is the event's. Where nothing is escaped
// the payload is one text; else its strings are taken out of it.
func namedIn(payload []byte, account string) (named []identity) {
	if bytes.IndexByte(payload, '\\') < 0 {
		return namedInText(named, string(payload), account)
	}
	for tokens := json.NewDecoder(bytes.NewReader(payload)); ; {
		token, err := tokens.Token()
		if err != nil { // the end
			return named
		}
		if text, ok := token.(string); ok {
			named = namedInText(named, text, account)
		}
	}
}

func namedInText(named []identity, text, account string) []identity {
	if strings.Contains(text, "%40") {
		text += " " + strings.ReplaceAll(text, "%40", "@")
	}
	for at := 0; ; at++ {
		next := strings.IndexByte(text[at:], '@')
		if next < 0 {
			break
		}
		at += next
		word := text
		if before := strings.LastIndexFunc(text[:at], outsideAddress); before >= 0 {
			_, size := utf8.DecodeRuneInString(text[before:])
			word = text[before+size:]
		}
		if end := strings.IndexFunc(word, outsideAddress); end >= 0 {
			word = word[:end]
		}
		if address := facts.Email(strings.Trim(word, ".!*`")); address != "" {
			named = append(named, identity{anAddress, address})
		}
	}
	named = idsInText(named, text, "user_", func(id string) identity { return identity{aUser, id} })
	return idsInText(named, text, "cus_", func(id string) identity { return identity{aStripeCustomer, account + "/" + id} })
}

// outsideAddress tells whether a character ends an address in a text.
func outsideAddress(r rune) bool {
	return unicode.IsSpace(r) || strings.ContainsRune(`"'<>()[]{},;:\/=&?|`, r)
}

// idsInText finds ids that begin as Clerk's of users or Stripe's of customers
// do; those of guests have a g before that.
func idsInText(named []identity, text, prefix string, of func(string) identity) []identity {
	for at := 0; ; {
		next := strings.Index(text[at:], prefix)
		if next < 0 {
			return named
		}
		from := at + next
		at = from + len(prefix)
		for at < len(text) && inWord(text[at]) {
			at++
		}
		if prefix == "cus_" && from > 0 && text[from-1] == 'g' {
			from--
		}
		if at > from+len(prefix) && (from == 0 || !inWord(text[from-1])) {
			named = append(named, of(text[from:at]))
		}
	}
}

func inWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// silence notes which events name people who were erased. One of those that
// cannot be read is given up for good, as it cannot be kept to be looked at.
func (w *work) silence(ctx context.Context, events []pendingEvent) (err error) {
	defer wrap(&err, "store.silence")
	if w.erased == nil {
		return nil
	}
	headers, err := w.headers(ctx, events)
	if err != nil {
		return err
	}
	named, all := make([][]identity, len(events)), []identity(nil)
	for i, e := range events {
		named[i] = append(namedIn(e.event.Payload, e.event.Account), namedIn(headers[e.ID], e.event.Account)...)
		all = slices.Concat(all, named[i], w.abouts[i].objects)
	}
	if err := w.erased.find(ctx, w.tx, all); err != nil {
		return err
	}
	for i := range events {
		e := &events[i]
		e.silenced = w.touched[i]
		e.silenced = e.silenced || w.erased.ofErased(w.abouts[i], e.event.OccurredAt)
		for _, n := range named[i] {
			e.silenced = e.silenced || w.erased.tomb(n.kind, n.value, e.event.OccurredAt) != nil
		}
		e.giveUp()
	}
	return nil
}

// namesErased tells whether an event, of which nothing was kept, names people
// who were erased.
func (w *work) namesErased(ctx context.Context, id int64) (named bool, err error) {
	defer wrap(&err, "store.namesErased(%d)", id)
	graves, err := w.graves(ctx)
	if graves == nil || err != nil {
		return false, err
	}
	e := pendingEvent{Handled: Handled{ID: id}}
	v := &e.event
	if err := w.tx.QueryRow(ctx, `
		SELECT source, event_id, type, account, livemode, occurred_at, payload
		FROM webhook_events
		WHERE id = $1`, id).Scan(&v.Source, &v.ID, &v.Type, &v.Account, &v.Livemode, &v.OccurredAt, &v.Payload); err != nil {
		return false, err
	}
	e.set, _ = facts.Read(*v) // where it cannot be read, its words still name people
	e.set.At = v.OccurredAt
	if err := graves.find(ctx, w.tx, identitiesOf(e.set)); err != nil {
		return false, err
	}
	_, touched := graves.veil(e.set)
	w.touched, w.abouts = []bool{touched}, []about{aboutOf(*v, e.set)}
	events := []pendingEvent{e}
	err = w.silence(ctx, events)
	return events[0].silenced, err
}

// headers are those that events came with, by the ids of these.
func (w *work) headers(ctx context.Context, events []pendingEvent) (map[int64][]byte, error) {
	ids, headers := make([]int64, len(events)), map[int64][]byte{}
	for i, e := range events {
		ids[i] = e.ID
	}
	rows, err := w.tx.Query(ctx, `SELECT id, headers::text FROM webhook_events WHERE id = ANY($1) AND headers IS NOT NULL`, ids)
	if err != nil {
		return nil, err
	}
	var id int64
	var text string
	_, err = pgx.ForEachRow(rows, []any{&id, &text}, func() error {
		headers[id] = []byte(text)
		return nil
	})
	return headers, err
}

// someoneErased is what findings call people who were erased.
const someoneErased = "somebody who was erased"

// silenceFindings leaves out of findings what names people who were erased. When
// what they are about happened is not known, so it may have been before.
func (w *work) silenceFindings(ctx context.Context, all []Finding) (err error) {
	defer wrap(&err, "store.silenceFindings(%d)", len(all))
	if len(all) == 0 {
		return nil
	}
	if err := enter(ctx, w.tx, w.want[gate]); err != nil { // nothing may have been said yet
		return err
	}
	e, err := w.graves(ctx)
	if e == nil || err != nil {
		return err
	}
	var named []identity
	for _, f := range all {
		named = append(named, f.named()...)
	}
	if err := e.find(ctx, w.tx, named); err != nil {
		return err
	}
	for i, f := range all {
		if !slices.ContainsFunc(f.named(), func(n identity) bool { return e.tomb(n.kind, n.value, always) != nil }) {
			continue
		}
		all[i].Place, all[i].Why = someoneErased, aside
		if len(namedInText(nil, f.What, "")) > 0 {
			all[i].What = aside
		}
	}
	return nil
}

// named lists whom a finding names.
func (f Finding) named() []identity {
	text := f.Place + "\n" + f.What + "\n" + f.Why
	named := namedInText([]identity{{aUser, f.Place}}, text, "")
	if _, account, ok := strings.Cut(f.Place, " acct_"); ok { // of a Stripe object
		named = namedInText(named, text, "acct_"+account)
	}
	return named
}

// unreadable is why an event is ignored that nobody can look at any more.
const unreadable = "it named a person who was erased, and could not be read"

func (e *pendingEvent) giveUp() {
	if e.silenced && e.Status == "failed" {
		e.Status, e.reason = "ignored", ptr(unreadable)
	}
}

// silencePut notes which events told of rows that were put on being attached.
func (w *work) silencePut(events []pendingEvent) {
	if len(w.put) == 0 {
		return
	}
	for i, e := range events {
		for _, k := range rowsIn(e.set) {
			events[i].silenced = events[i].silenced || w.put[k]
		}
	}
}
