package mail

// StorySQL is SQL for what became of mails to customers: who it was (store_id, email), which mail
// (mail_id, campaign_id), what (was) and when (at). was is sent, clicked, bounced or complained.
// Programs that follow links do not count as clicks. Mails that were refused for the text or the
// sender do not count as bounces, as they say nothing of the customer.
var StorySQL = `(
	SELECT m.store_id, m.email, m.id AS mail_id, m.campaign_id, 'sent' AS was, m.sent_at AS at
	FROM mails m
	WHERE m.status = 'sent'
	  AND ` + counted + `
	UNION ALL
	SELECT m.store_id, m.email, m.id, m.campaign_id, 'bounced', coalesce(m.started_at, m.claimed_at)
	FROM mails m
	WHERE m.status = 'failed'
	  AND m.reason IN ('hard', 'soft')
	  AND ` + counted + event("clicked") + event("bounced") + event("complained") + `
)`

// event is SQL for what providers and links reported of one kind; the kind is no column, so that
// those that are not asked for are not read.
func event(kind string) string {
	return `
	UNION ALL
	SELECT m.store_id, m.email, m.id, m.campaign_id, '` + kind + `', e.at
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
