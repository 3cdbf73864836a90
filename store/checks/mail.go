package checks

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/show"
	"rollcall/mail"
	"rollcall/store/finding"
)

// heldFor is how long people may pause a store before that is reported: they may have forgotten it.
const heldFor = 7 * 24 * time.Hour

// listMails is the command that lists mails of a store.
func listMails(store, status string) string {
	return "rollcall mail list --store " + show.Quote(store) + " --status " + status
}

// lane is what is wrong with the mail of a store.
type lane struct {
	store, pausedFor, trouble string
	failing, late, held       bool
	unknown                   int64
}

// mails finds stores whose mails do not go out, and mails of which it is not known whether they did.
func (c *Checkup) mails(ctx context.Context) (all []finding.Finding, err error) {
	lanes, err := collect(ctx, c, func(row pgx.CollectableRow) (l lane, err error) {
		return l, row.Scan(&l.store, &l.pausedFor, &l.trouble, &l.failing, &l.late, &l.unknown, &l.held)
	}, `
		SELECT
			s.store_id,
			coalesce(s.paused_for, ''),
			s.trouble,
			coalesce(s.failing_since < now() - $2::interval, false),
			s.turn_at < now() - $2::interval AND EXISTS (
				SELECT
				FROM mails m
				WHERE m.store_id = s.store_id
				  AND m.status = 'due'
				  AND m.priority IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
				  AND m.due_at < now() - $2::interval
			),
			(SELECT count(*) FROM mails m WHERE m.store_id = s.store_id AND m.status = 'unknown'),
			s.paused_for IS NOT DISTINCT FROM 'hand' AND s.paused_at < now() - $3::interval AND EXISTS (
				SELECT
				FROM mails m
				WHERE m.store_id = s.store_id
				  AND m.status = 'due'
				  AND m.priority IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
			)
		FROM mail_settings s
		WHERE $1 IN ('', s.store_id)
		ORDER BY s.store_id`, c.Store, mail.Rests, heldFor)
	if err != nil {
		return nil, err
	}
	var late []string
	for _, l := range lanes {
		all = append(all, l.findings()...)
		if l.late && l.pausedFor == "" && !l.failing {
			late = append(late, l.store)
		}
	}
	if len(late) > 0 {
		overdue, err := c.overdueMails(ctx, late)
		if all = append(all, overdue...); err != nil {
			return all, err
		}
	}
	paused, err := c.pausedCampaigns(ctx)
	return append(all, paused...), err
}

// pausedCampaigns finds campaigns that wait for someone to confirm whom they reach.
func (c *Checkup) pausedCampaigns(ctx context.Context) ([]finding.Finding, error) {
	return collect(ctx, c, func(row pgx.CollectableRow) (f finding.Finding, err error) {
		var store, name string
		err = row.Scan(&f.Subject, &store, &name)
		f.Kind, f.Fix = "campaign_paused", []string{"rollcall mail preview --store " + show.Quote(store) + " " + f.Subject}
		f.What = fmt.Sprintf("the campaign “%s” of store %s is paused: more customers match than were confirmed", name, store)
		return f, err
	}, `
		SELECT id, store_id, name
		FROM campaigns
		WHERE state = 'paused'
		  AND unconfirmed
		  AND $1 IN ('', store_id)
		ORDER BY id`, c.Store)
}

// findings are those of one store.
func (l lane) findings() (all []finding.Finding) {
	resume := "rollcall mail resume --store " + show.Quote(l.store)
	if l.pausedFor != "" && l.pausedFor != "hand" {
		all = append(all, finding.Finding{Kind: "mail_paused", Subject: l.store,
			Fix:  []string{listMails(l.store, "failed"), resume},
			What: mail.PausedText(l.store, l.pausedFor)})
	}
	if l.held {
		all = append(all, finding.Finding{Kind: "mail_held", Subject: l.store, Fix: []string{resume},
			What: fmt.Sprintf("people paused the mail of store %s more than a week ago, and mails are due", l.store)})
	}
	if l.failing {
		all = append(all, finding.Finding{Kind: "mail_failing", Subject: l.store,
			Fix:  []string{"rollcall config"},
			What: fmt.Sprintf("the provider takes no mail of store %s: %s", l.store, l.trouble)})
	}
	if l.unknown > 0 {
		all = append(all, finding.Finding{Kind: "mail_unknown", Subject: l.store, Count: l.unknown,
			Fix:  []string{listMails(l.store, "unknown")},
			What: fmt.Sprintf("%s of store %s may have been sent, or not", show.Count(l.unknown, "mail"), l.store)})
	}
	return all
}

// overdueMails says why mails of stores are overdue.
func (c *Checkup) overdueMails(ctx context.Context, stores []string) ([]finding.Finding, error) {
	var keys []string
	err := c.look(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT coalesce(array_agg(DISTINCT k), '{}')
			FROM worker_clocks, unnest(keys) k
			WHERE seen_at > clock_timestamp() - interval '10 minutes'`).Scan(&keys)
	})
	if err != nil {
		return nil, err
	}
	why := "no worker sends them"
	if missing := mail.MissingSettings(keys); len(missing) > 0 {
		why = missing[0]
	}
	return []finding.Finding{{Kind: "mail_overdue", Count: int64(len(stores)),
		Fix: []string{"rollcall config"},
		What: fmt.Sprintf("mails of %s have waited for too long (%s): %s", show.Count(int64(len(stores)), "store"),
			strings.Join(stores[:min(len(stores), maxFixes)], ", "), why)}}, nil
}
