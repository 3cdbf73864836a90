package mail

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"rollcall/facts"
	"rollcall/mail"
	"rollcall/store"
	"rollcall/store/pg"
)

// What recipients do on the page that each mail links to. A mail's row may be gone by then, with the person whose it
// was: what they want no more is kept under the hash that their ticket says, which names no one.

// Scopes in which recipients unsubscribe.
const (
	ThisKind  = "kind"  // what the mail's campaign sends, and all others of its recipe
	ThisStore = "store" // its store's marketing
	AllStores = "all"   // the marketing of all stores
)

// theMails is SQL for the mail m of a ticket, $1 to $5: its row, if it has one, and what the ticket says. The row has
// the address at which the customer lives now. One of another store or campaign has its id since a backup was restored.
// Without a row the customer is looked for who had the address of the ticket before.
var theMails = `(
		SELECT m.id, m.store_id, m.campaign_id, m.class, m.email, ` + store.AddressHash("m.email") + ` AS hash
		FROM ` + theRow + `
		UNION ALL
		SELECT $1, $2, $3, $4, NULL, $5
		WHERE $5::bytea IS NOT NULL
		UNION ALL
		SELECT $1, $2, $3, $4, c.email, ` + store.AddressHash("c.email") + `
		FROM customers c
		WHERE c.store_id = $2
		  AND $5::bytea IS NOT NULL
		  AND NOT EXISTS (SELECT FROM ` + theRow + `)
		  AND c.id IN (
			SELECT o.id
			FROM links l
			JOIN users u ON u.id = l.subject
			JOIN customers o ON o.store_id = $2 AND o.email = u.email
			WHERE l.relation = 'address'
			  AND ` + store.AddressHash("CASE WHEN l.object <> u.email THEN l.object END") + ` = $5 -- of those who moved
			UNION ALL
			SELECT g.into_id
			FROM customer_merges g
			WHERE g.store_id = $2
			  AND ` + store.AddressHash("g.from_email") + ` = $5
		  )
	)`

const theRow = `mails m WHERE m.id = $1 AND ($5::bytea IS NULL OR (m.store_id, m.campaign_id) = ($2, $3))`

func arguments(t mail.Ticket, more ...any) []any {
	return append([]any{t.Mail, t.Store, t.Campaign, t.Class, t.Hash}, more...)
}

// Standing is what the recipient of a mail gets and does not get.
type Standing struct {
	StoreName string
	Class     string
	Campaign  string   // its id; empty: none
	Stopped   []string // scopes in which they unsubscribed
	Consent   string   // to marketing: granted, denied, or empty: not known
	Tracked   bool     // they agreed to it
}

// Test tells whether the mail was a test, which changes nothing.
func (s Standing) Test() bool { return s.Class == "test" }

// Stops tells whether the recipient unsubscribed in a scope.
func (s Standing) Stops(scope string) bool { return slices.Contains(s.Stopped, scope) }

// StopsNews tells whether they unsubscribed from all marketing of the store.
func (s Standing) StopsNews() bool { return s.Stops(ThisStore) || s.Stops(AllStores) }

// Service tells whether the mail was about what they bought, so that news are another kind.
func (s Standing) Service() bool { return s.Class == "service" }

// AlsoKind tells whether who wants no news by a button ends emails of the mail's kind, too.
func (s Standing) AlsoKind() bool { return s.Service() && s.Campaign != "" && !s.Stops(ThisKind) }

// Resumes tells whether they get mail again once all that they unsubscribed from is lifted. Else a consent is missing.
func (s Standing) Resumes() bool {
	return s.Consent == facts.Granted || s.Service() && (len(s.Stopped) == 0 || s.Stops(ThisKind))
}

// Refuses tells whether they said no to marketing, other than by unsubscribing.
func (s Standing) Refuses() bool { return s.Consent == facts.Denied }

// Standing reads the standing of a mail's recipient. Without such a mail it is pg.ErrNotFound.
func (r *Recipients) Standing(ctx context.Context, t mail.Ticket) (s Standing, err error) {
	defer pg.Wrap(&err, "mail.Standing(%d)", t.Mail)
	err = pg.NotFound(r.Pool.QueryRow(ctx, `
		WITH m AS (SELECT * FROM `+theMails+` m)
		SELECT
			coalesce(nullif(st.name, ''), m.store_id),
			m.class,
			m.campaign_id,
			ARRAY(
				SELECT CASE WHEN s.campaign_id <> '' THEN $6 WHEN s.store_id <> '' THEN $7 ELSE $8 END
				FROM `+theStops+`
			),
			coalesce(
				`+ConsentSQL("marketing", "m.store_id", "m.email")+`,
				CASE WHEN c.type <> 'lead' AND (SELECT soft_opt_in FROM mail_settings k WHERE k.store_id = m.store_id)
					THEN 'granted' ELSE '' END),
			coalesce(`+ConsentSQL("tracking", "m.store_id", "m.email")+` = 'granted', false)
		FROM m
		LEFT JOIN stores st ON st.id = m.store_id
		LEFT JOIN customers c ON c.store_id = m.store_id AND c.email = m.email
		ORDER BY m.email IS NULL
		LIMIT 1`, arguments(t, ThisKind, ThisStore, AllStores)...).
		Scan(&s.StoreName, &s.Class, &s.Campaign, &s.Stopped, &s.Consent, &s.Tracked))
	return s, err
}

// theStops is SQL for the stops s by which the recipient of the mail m unsubscribed, and that would forbid it.
var theStops = `mail_stops s
		WHERE s.hash IN (SELECT hash FROM m)
		  AND s.reason = 'unsubscribed'
		  AND EXISTS (
			SELECT
			FROM m
			WHERE m.class <> 'test'
			  AND s.store_id IN ('', m.store_id)
			  AND s.campaign_id IN ('', m.campaign_id, ` + kindOf("m.campaign_id") + `)
		  )`

// Unsubscribe keeps that the recipient of a mail wants no more in a scope: at the address that it went to, and at the
// one where they live now. That of a mail without a campaign has no kind, so it is the store. Who wants no news
// wants no more of its kind either: it may be of service, or become so, and the next one would come. That stop is of no
// mail, so that a press counts once.
func (r *Recipients) Unsubscribe(ctx context.Context, t mail.Ticket, scope string, now time.Time) (err error) {
	defer pg.Wrap(&err, "mail.Unsubscribe(%d, %q)", t.Mail, scope)
	_, err = r.Pool.Exec(ctx, `
		INSERT INTO mail_stops (store_id, hash, campaign_id, reason, since, mail_id)
		SELECT
			CASE WHEN s.scope = 'all' THEN '' ELSE m.store_id END,
			m.hash,
			CASE WHEN s.scope = 'kind' THEN `+kindOf("m.campaign_id")+` ELSE '' END,
			'unsubscribed',
			$7,
			CASE WHEN s.scope = $6 THEN m.id END
		FROM `+theMails+` m
		JOIN unnest(ARRAY[$6, 'kind']) WITH ORDINALITY s(scope, nth)
			ON s.nth = 1 OR $6 <> 'kind' AND m.campaign_id <> ''
		WHERE m.class <> 'test'
		ON CONFLICT DO NOTHING`, arguments(t, scope, now)...)
	return err
}

// OneClick is what mail programs do for their users (RFC 8058): it ends the store's marketing, or
// of another mail what its campaign sends.
func (r *Recipients) OneClick(ctx context.Context, t mail.Ticket, now time.Time) (err error) {
	defer pg.Wrap(&err, "mail.OneClick(%d)", t.Mail)
	s, err := r.Standing(ctx, t)
	if err != nil {
		return err
	}
	scope := ThisStore
	if s.Service() {
		scope = ThisKind
	}
	return r.Unsubscribe(ctx, t, scope, now)
}

// Resubscribe lifts what the recipient of a mail unsubscribed from at its store and that would forbid it, and with
// everywhere also that they want news of no store: other stores may mail them then. Other stops stay.
func (r *Recipients) Resubscribe(ctx context.Context, t mail.Ticket, everywhere bool) (err error) {
	defer pg.Wrap(&err, "mail.Resubscribe(%d, %v)", t.Mail, everywhere)
	_, err = r.Pool.Exec(ctx, `WITH m AS (SELECT * FROM `+theMails+` m)
		DELETE FROM `+theStops+` AND (s.store_id <> '' OR $6)`, arguments(t, everywhere)...)
	return err
}

// Say keeps what the recipient of a mail said about tracking on the page that it links to.
func (r *Recipients) Say(ctx context.Context, t mail.Ticket, state string, now time.Time) (err error) {
	defer pg.Wrap(&err, "mail.Say(%d, %q)", t.Mail, state)
	said := facts.NewConsent(facts.Consent{Kind: facts.Tracking, State: state, SaidAt: now, Source: "page"}, "page")
	text, err := json.Marshal(said)
	if err != nil {
		return err
	}
	_, err = r.Pool.Exec(ctx, `
		INSERT INTO mail_consents AS c (store_id, user_id, email, kind, state, said_at, source, wording, version)
		SELECT m.store_id, '', m.email, s.kind, s.state, s.said_at, s.source, '', s.version
		FROM mails m, json_populate_record(NULL::mail_consents, $2) s
		WHERE m.id = $1
		  AND m.class <> 'test'
		ON CONFLICT (store_id, user_id, email, kind) DO UPDATE SET
			state = EXCLUDED.state,
			said_at = EXCLUDED.said_at,
			source = EXCLUDED.source,
			wording = EXCLUDED.wording,
			version = EXCLUDED.version
			WHERE EXCLUDED.version > c.version`, t.Mail, string(text))
	return err
}
