package mail

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/store"
)

// BackWithin is the time after a mail in which those who do something came back.
const BackWithin = 7 * 24 * time.Hour

// Story is SQL for what became of mails to customers: who it was (store_id, email), which mail
// (mail_id, campaign_id), what (was), when (at), and for came_back how (text). was is sent, clicked,
// came_back, bounced, complained or unsubscribed, if it holds; of all, or of those that are asked for.
// Programs that follow links do not count as clicks. Mails that were refused for the text or the sender do not count as
// bounces, as they say nothing of the customer.
func Story(was ...string) string {
	var parts []string
	for _, p := range []struct{ was, sql string }{
		{"sent", sent}, {"bounced", refused}, {"bounced", event("bounced")}, {"clicked", event("clicked")},
		{"complained", event("complained")}, {"unsubscribed", unsubscribed},
		{"came_back", cameBack + ` AND m.status = 'sent'`},
	} {
		if len(was) == 0 || slices.Contains(was, p.was) {
			parts = append(parts, p.sql)
		}
	}
	return "(" + strings.Join(parts, "\n\tUNION ALL") + ")"
}

const (
	sent = `
	SELECT m.store_id, m.email, m.id AS mail_id, m.campaign_id, 'sent' AS was, m.sent_at AS at, NULL AS text
	FROM mails m
	WHERE m.status = 'sent'
	  AND ` + counted
	refused = `
	SELECT m.store_id, m.email, m.id AS mail_id, m.campaign_id, 'bounced' AS was,
		coalesce(m.started_at, m.claimed_at) AS at, NULL AS text
	FROM mails m
	WHERE m.status = 'failed'
	  AND m.reason IN ('hard', 'soft')
	  AND ` + counted
)

// unsubscribed is SQL for stops by a mail to where a customer lives now.
var unsubscribed = `
	SELECT m.store_id, m.email, m.id AS mail_id, m.campaign_id, 'unsubscribed' AS was, s.since AS at, NULL AS text
	FROM mails m
	JOIN mail_stops s ON s.hash = ` + store.AddressHash("m.email") + ` AND s.mail_id = m.id
	WHERE s.reason = 'unsubscribed'
	  AND s.store_id IN ('', m.store_id)
	  AND ` + counted

// event is SQL for what providers and links reported of one kind.
func event(kind string) string {
	return `
	SELECT m.store_id, m.email, m.id AS mail_id, m.campaign_id, '` + kind + `' AS was, e.at, NULL AS text
	FROM mails m
	JOIN mail_events e ON e.mail_id = m.id
	WHERE e.kind = '` + kind + `'
	  AND NOT e.machine
	  AND e.verdict IS DISTINCT FROM 'ours'
	  AND m.status <> 'failed'
	  AND ` + counted
}

// counted is SQL for whether a mail is one to a customer.
const counted = `m.class <> 'test' AND m.campaign_id <> '` + Digest + `'`

// cameBack is SQL for the first that customers did in BackWithin after a mail. Of sign-ins and of
// progress only the last time is known, and what KeepBacks kept of earlier ones. Progress that was
// read later happened at no known time. Those who have done nothing since the mail are left out
// first: all that counts is an activity.
// It ends with a condition, to which that the mail was sent is to be added.
var cameBack = `
	SELECT m.store_id, m.email, m.id AS mail_id, m.campaign_id, 'came_back' AS was, f.at, f.what || CASE floor(f.days)
		WHEN 0 THEN ' less than a day after'
		WHEN 1 THEN ' 1 day after'
		ELSE ' ' || floor(f.days) || ' days after'
	END AS text
	FROM mails m
	JOIN customers c ON c.store_id = m.store_id AND c.email = m.email AND c.last_activity_at > m.sent_at
	CROSS JOIN LATERAL (
		SELECT d.at, d.what, extract(epoch FROM d.at - m.sent_at) / 86400 AS days
		FROM (
			SELECT ` + store.PaidAt + ` AS at, 'bought' AS what, 0 AS rank
			FROM payments p
			WHERE p.customer_id = c.id AND p.subscription IS NULL AND p.paid AND p.amount > 0
			UNION ALL
			SELECT coalesce(s.started_at, s.checkout_at), 'subscribed', 1
			FROM subscriptions s
			WHERE s.customer_id = c.id
			UNION ALL
			SELECT t.at, t.what, 2
			FROM enrollments e
			CROSS JOIN LATERAL (VALUES
				(LEAST(e.enrolled_at, version_time(nullif(e.enrolled_version, ''))), 'enrolled'),
				(LEAST(e.completed_at, version_time(nullif(e.completed_version, ''))), 'finished a course'),
				(CASE WHEN e.peak_progress > 0 AND e.progress_version !~ '^-| $' THEN e.progressed_at END, 'learned')
			) t(at, what)
			WHERE e.customer_id = c.id
			UNION ALL
			SELECT u.last_seen_at, 'signed in', 3
			FROM users u
			WHERE u.email = c.email
			  AND u.id IN (
				SELECT coalesce(user_ref, intent ->> 'user_ref', charge ->> 'user_ref') FROM payments WHERE customer_id = c.id
				UNION ALL
				SELECT user_ref FROM enrollments WHERE customer_id = c.id
				UNION ALL
				SELECT coalesce(user_ref, checkout ->> 'user_ref') FROM subscriptions WHERE customer_id = c.id)
			UNION ALL
			SELECT e.at, e.detail, 3
			FROM mail_events e
			WHERE e.mail_id = m.id AND e.kind = 'came_back'
		) d
		WHERE d.at > m.sent_at
		  AND d.at <= m.sent_at + ` + fmt.Sprintf("interval '%d hours'", BackWithin/time.Hour) + `
		ORDER BY d.at, d.rank, d.what
		LIMIT 1
	) f
	WHERE ` + counted
