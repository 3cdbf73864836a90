package digests

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// stuckAfter is how long somebody makes no progress in a course who is stuck in it, as in store/value.
const stuckAfter = 14 * 24 * time.Hour

// count counts what happened in a week. Each figure is a range of an index.
func count(ctx context.Context, tx pgx.Tx, store string, w week) (c Counts, err error) {
	err = tx.QueryRow(ctx, `
		SELECT
			(
				SELECT count(*) FROM customers WHERE store_id = $1 AND first_seen_at >= $2 AND first_seen_at < $3
			),
			(
				SELECT count(DISTINCT s.customer_id)
				FROM subscriptions s
				WHERE s.store_id = $1
				  AND s.customer_id IS NOT NULL
				  AND s.ended_at >= $2
				  AND s.ended_at < $3
				  AND NOT EXISTS (
					SELECT FROM subscriptions o WHERE o.customer_id = s.customer_id AND o.ever_active AND o.ended_at IS NULL
				  )
			),
			(
				SELECT count(DISTINCT customer_id)
				FROM subscriptions
				WHERE store_id = $1
				  AND customer_id IS NOT NULL
				  AND status IN ('past_due', 'unpaid')
			),
			(
				SELECT count(*)
				FROM enrollments
				WHERE store_id = $1
				  AND customer_id IS NOT NULL
				  AND (completed_at IS NOT NULL OR progress >= 100)
				  AND coalesce(completed_at, progressed_at) >= $2
				  AND coalesce(completed_at, progressed_at) < $3
				  AND version > deleted_version
			),
			(
				SELECT count(*)
				FROM enrollments
				WHERE store_id = $1
				  AND customer_id IS NOT NULL
				  AND peak_progress > 0
				  AND progressed_at >= $2::timestamptz - $4::interval
				  AND progressed_at < $3::timestamptz - $4::interval
				  AND completed_at IS NULL
				  AND coalesce(progress, 0) < 100
				  AND version > deleted_version
			)`, store, w.from, w.to, stuckAfter).Scan(&c.New, &c.Lost, &c.Failing, &c.Finished, &c.Stuck)
	return c, err
}

// line is a figure in words, and the customers whom it counts.
type line struct {
	n         int
	one, many string
	page      string // below the store's; empty: there is no list of them
}

func (d digest) lines() []line {
	from, to := d.from.Format(time.DateOnly), d.to.Format(time.DateOnly)
	return []line{
		{d.New, "new customer", "new customers", "customers?first_seen_after=" + from + "&first_seen_before=" + to},
		{d.Lost, "customer ended the last subscription", "customers ended their last subscriptions", "value"},
		{d.Failing, "customer has a payment that fails", "customers have payments that fail", "value"},
		{d.Finished, "course was finished", "courses were finished", ""},
		{d.Stuck, "customer got stuck in a course", "customers got stuck in a course", "value"},
	}
}

// subject says the first figure that is not zero.
func (d digest) subject() string {
	for _, l := range d.lines() {
		if l.n > 0 {
			return fmt.Sprintf("Your week at {store}: %s", l.text())
		}
	}
	return "Your week at {store}"
}

func (l line) text() string {
	if l.n == 1 {
		return "1 " + l.one
	}
	return fmt.Sprintf("%d %s", l.n, l.many)
}

// parentheses end links in Markdown.
var parentheses = strings.NewReplacer("(", "%28", ")", "%29")

// text is the mail. It names no customers: whoever may see them follows the links.
func (d digest) text(site string) string {
	store := site + "/store/" + parentheses.Replace(url.PathEscape(d.store)) + "/"
	var b strings.Builder
	fmt.Fprintf(&b, "What happened from %s to %s:\n\n", d.from.Format("2 January"),
		d.to.AddDate(0, 0, -1).Format("2 January 2006"))
	for _, l := range d.lines() {
		switch {
		case l.n == 0:
		case l.page == "":
			fmt.Fprintf(&b, "- %s\n", l.text())
		default:
			fmt.Fprintf(&b, "- [%s](%s%s)\n", l.text(), store, l.page)
		}
	}
	fmt.Fprintf(&b, "\n[Who needs help first](%svalue#h-help)\n\nYou get this on Mondays as a member of {store}.\n", store)
	return b.String()
}
