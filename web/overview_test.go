package web

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/show"
	"rollcall/internal/testing/browser"
	"rollcall/web/core"
)

// traffic makes up two days of deliveries, work and waiting, with trouble in the last hour.
func (x *site) traffic(t testing.TB) {
	t.Helper()
	now := x.Cfg.Now().Truncate(time.Minute)
	x.exec(t, `
		INSERT INTO webhook_minutes (source, minute, outcome, count)
		SELECT source, $1::timestamptz - m * interval '1 minute', 'accepted', 1 + (m * nth) % 7
		FROM generate_series(0, 2879) m, unnest(ARRAY['stripe', 'clerk', 'platform']) WITH ORDINALITY s(source, nth)
		WHERE (m + nth) % 4 > 0
		UNION ALL
		SELECT 'stripe', $1::timestamptz - m * interval '1 minute', 'invalid_signature', 2 FROM generate_series(1, 10) m
		UNION ALL
		SELECT 'clerk', $1::timestamptz - interval '3 minutes', 'missing_signature', 4`, now)
	x.exec(t, `
		INSERT INTO webhook_deliveries (source, hour, outcome, count, first_at, last_at)
		SELECT source, date_trunc('hour', minute, 'UTC') AS hour, outcome, sum(count), min(minute), max(minute)
		FROM webhook_minutes
		GROUP BY 1, 2, 3`)
	x.exec(t, `
		INSERT INTO event_work (span, at, source, outcome, up_to_ms, count, total_ms)
		SELECT span, date_trunc(span, at, 'UTC'), 'stripe', 'applied', up_to, sum(n), sum(n * up_to)
		FROM (SELECT $1::timestamptz - m * interval '1 minute' AS at, up_to, n
			FROM generate_series(0, 2879) m, (VALUES (25, 90), (50, 8), (2500, 2)) b(up_to, n)) work,
			(VALUES ('minute'), ('hour')) spans(span)
		GROUP BY 1, 2, up_to
		UNION ALL
		SELECT 'minute', $1::timestamptz - interval '5 minutes', 'stripe', 'failed', 0, 3, 0`, now)
	x.exec(t, `
		INSERT INTO inbox_samples (span, at, waiting, taken_at)
		SELECT 'minute', $1::timestamptz - m * interval '1 minute',
			CASE WHEN m BETWEEN 20 AND 30 THEN 4120 ELSE m % 3 END, $1
		FROM generate_series(0, 50) m`, now)
	x.exec(t, `
		INSERT INTO webhook_networks (source, hour, network, outcome, count, last_at) VALUES
			('stripe', date_trunc('hour', $1::timestamptz, 'UTC'), '203.0.113.0/24', 'invalid_signature', 20, $1),
			('stripe', date_trunc('hour', $1::timestamptz, 'UTC'), '203.0.113.0/24', 'accepted', 61, $1),
			('clerk', date_trunc('hour', $1::timestamptz, 'UTC'), '0.0.0.0/0', 'missing_signature', 4, $1),
			('clerk', date_trunc('hour', $1::timestamptz, 'UTC'), '198.51.100.0/24', 'accepted', 4, $1)`, now)
}

// wrongSecret is the watch over a wrong secret of Stripe.
func (x *site) wrongSecret(t testing.TB) {
	t.Helper()
	x.exec(t, `INSERT INTO watches (name, state, since, detail, fix, checked_at) VALUES
		('bad_signatures/stripe', 'problem', $1,
		'Rejected 20 webhooks from stripe since then. Rejected webhooks are not stored',
		'export STRIPE_WEBHOOK_SECRETS=<SIGNING SECRET>', now())`, x.Cfg.Now())
}

// The numbers of the charts are those that were counted, in every span; what is drawn has a text.
func TestChartsAreTheCounts(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	wants(t, x.page(t, "/admin"), "No data yet", "Last hour", "24 hours", "7 days")
	x.traffic(t)
	for span, since := range map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour,
		"week": 7 * 24 * time.Hour} {
		x.operators.Charts.Forget()
		page := x.page(t, "/admin?span="+span)
		from := now.Add(-since)
		if span == "hour" { // the step under way is the last of sixty
			from = from.Add(time.Minute)
		} else if span == "day" {
			from = from.Add(15 * time.Minute)
		}
		received := x.number(t, `SELECT sum(count) FROM webhook_minutes
			WHERE outcome = 'accepted' AND minute >= $1`, from)
		wants(t, page, fmt.Sprintf("<b>%s</b>", received))
		for _, column := range []int{1, 2, 3} {
			source := []string{"stripe", "clerk", "platform"}[column-1]
			want := x.number(t, `SELECT sum(count) FROM webhook_minutes WHERE outcome = 'accepted' AND minute >= $1
				AND source = $2`, from, source)
			if got := columnSum(t, page, "received", column); got != want {
				t.Errorf("%s, %s: %s, want %s", span, source, got, want)
			}
		}
		wants(t, page, "24 rejected")
	}
	x.operators.Charts.Forget()
	wants(t, x.page(t, "/admin"), "peak 4,120 at 09:30", "27</b>", "24 rejected, 3 failed in the last hour",
		"p95 40 ms", `aria-current="true">Last hour`)
}

// Everything that is well is said to be; each trouble is a sentence, with what to do and where it leads.
func TestOverviewVerdict(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.traffic(t)
	look := func() string { x.operators.Status.Forget(); return x.page(t, "/admin") }
	text := look() // no worker runs here
	wants(t, text, `<p class="verdict bad">1 problem</p>`, "No worker is running", `<a id="j-stripe"`,
		"20 rejected: Wrong signature", "Receiving, 4 rejected: No signature", "!never", "Set up", "0 of 6",
		"<pre>rollcall work</pre>")
	x.exec(t, `DELETE FROM webhook_minutes WHERE source = 'clerk' AND outcome = 'accepted'`)
	wants(t, look(), ">4 rejected: No signature", "none was accepted")
	x.wrongSecret(t)
	wants(t, look(), "2 problems", "<strong><bdi>Rejected 20 webhooks from stripe since then.</bdi></strong>",
		"<p><bdi>Rejected webhooks are not stored.</bdi></p>", `href="/admin/rejected?source=stripe&amp;span=day"`,
		"export STRIPE_WEBHOOK_SECRETS=&lt;SIGNING SECRET&gt;", "!..")
	x.exec(t, `UPDATE watches SET leaning = 'ok', leaning_since = now()`)
	wants(t, look(), ">1 problem<", "!Rejected 20 webhooks") // others match by now
	x.fillEvents(t)
	x.exec(t, `INSERT INTO stores (id, version) VALUES ('store_a', 'v')`)
	wants(t, look(), "3 of 6", "Done: </span></span> Stripe sends webhooks")
}

// What was rejected is shown by reason, network and time, and can be filtered; what a link says wrongly counts
// as not said.
func TestRejectedPage(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	wants(t, x.page(t, "/admin/rejected"), "Nothing was rejected", "Every webhook of this time was accepted")
	x.traffic(t)
	wants(t, x.page(t, "/admin/rejected"), "<b>20</b> from Stripe: <strong>Wrong signature</strong>", "24 rejected",
		"<code>STRIPE_WEBHOOK_SECRETS</code>", "<code>203.0.113.0/24</code>", "other networks",
		"!198.51.100.0/24", ">61<", "per 15 minutes", "12 Jan, 09:45")
	hour := x.page(t, "/admin/rejected?span=hour&source=stripe")
	wants(t, hour, "per minute", "!from Clerk", "!other networks", "09:59")
	if n := strings.Count(hour, `<td>Wrong signature</td>`); n != 10 {
		t.Errorf("%d minutes", n)
	}
	wants(t, x.page(t, "/admin/rejected?reason=missing_signature&span=quarter"), "<b>4</b> from Clerk",
		"!from Stripe", "per day", "12 Jan 2026")
	wants(t, x.page(t, "/admin/rejected?source=platform"), "Show all rejected")
	wants(t, x.page(t, "/admin/rejected?source=x&reason=y&span=z"), "24 rejected")
}

// number is what a statement that counts returns, as pages write it.
func (x *site) number(t testing.TB, sql string, args ...any) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), x.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var n int64
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return show.Number(n)
}

// columnSum adds up a column of the numbers of a chart.
func columnSum(t testing.TB, page, chart string, column int) string {
	t.Helper()
	_, table, found := strings.Cut(page, `<details id="numbers-`+chart+`">`)
	if !found {
		t.Fatalf("no numbers of %s", chart)
	}
	table, _, _ = strings.Cut(table, "</details>")
	sum := int64(0)
	for _, row := range regexp.MustCompile(`<tr>(<th scope="row">.*?)</tr>`).FindAllStringSubmatch(table, -1) {
		cells := regexp.MustCompile(`<td>([\d,]+)</td>`).FindAllStringSubmatch(row[1], -1)
		n, err := strconv.ParseInt(strings.ReplaceAll(cells[column-1][1], ",", ""), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return show.Number(sum)
}

// TestPageOverview looks at the overview and at what was rejected, with trouble and without, in every way;
// the charts are left alone while their numbers are read.
func TestPageOverview(t *testing.T) {
	t.Parallel()
	x := open(t, func(c *core.Config) { c.Now = time.Now })
	p := x.browse(t, browser.Desktop)
	look := func(what string) {
		x.operators.Charts.Forget()
		for name, path := range map[string]string{"overview": "/admin", "week": "/admin?span=week",
			"rejected": "/admin/rejected"} {
			state{name: name + ", " + what, path: path}.check(t, p)
		}
	}
	look("fresh")
	x.traffic(t)
	x.ail(t)
	x.wrongSecret(t)
	look("trouble")
	p.Look(browser.Desktop)
	p.Go("/admin")
	p.Click("#numbers-received summary")
	p.Click("#step-3 summary")
	browser.Eval[bool](p, `(window.read = document.querySelector("#numbers-received"),
		window.step = document.querySelector("#step-3"), window.first = document.querySelector("#vitals"), true)`)
	x.take(t, enrolledIn("evt_more", `"email":"more@mail.example"`))
	p.Until(`document.querySelector("#vitals") !== window.first`)
	p.Until(`document.querySelector("#numbers-received") === window.read && window.read.open`)
	p.Until(`document.querySelector("#step-3") === window.step && window.step.open`)
}
