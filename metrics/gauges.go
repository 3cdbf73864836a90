package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"rollcall/store"
	"rollcall/store/status"
)

// descriptions lists the metrics of a State, except its pool's.
var descriptions []*prometheus.Desc

func describe(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc(name, help, labels, nil)
	descriptions = append(descriptions, d)
	return d
}

var (
	figuresReadable = describe("rollcall_figures_readable",
		"1 if the figures could be read from Postgres or Redis, 0 if not: then they are missing here.", "figures")
	figuresTook = describe("rollcall_figures_read_seconds", "Time that the last look at the figures took.", "figures")

	inboxEvents = describe("rollcall_inbox_events", "Events in the inbox, by status. Above 50,000 those processed "+
		"are an estimate.", "status")
	inboxOldest = describe("rollcall_inbox_oldest_pending_seconds",
		"Time that the oldest pending event of a source has waited, 0 if none is pending. Events that an operator had "+
			"applied again count once they were tried.", "source")
	inboxLast = describe("rollcall_last_event_timestamp_seconds",
		"When the last event of a source came; missing if none ever did.", "source")
	backfillRuns = describe("rollcall_backfills", "Backfills, by kind and status.", "kind", "status")
	backfillSeen = describe("rollcall_backfill_objects_seen",
		"Objects that the running backfills of a kind have looked at.", "kind")
	backfillAll = describe("rollcall_backfill_objects_expected",
		"Objects that the running backfills of a kind have to look at, as far as their sources can tell.", "kind")
	backfillWrong = describe("rollcall_backfill_objects_failed",
		"Objects that the running backfills of a kind could not use.", "kind")
	backfillMoved = describe("rollcall_backfill_progress_timestamp_seconds",
		"Last progress of the running backfill of a kind that has made none for longest.", "kind")
	unattachedBy = describe("rollcall_unattached_facts",
		"Facts that should be on a list and are on none, by kind and reason.", "kind", "reason")
	watchState = describe("rollcall_watch_state", "How a watch is: 0 ok, 1 warning, 2 "+
		"problem. Of events that fail, the subject is source/type; of mail, the store.", "kind", "subject")
	mailsBy = describe("rollcall_mails", "Mails that are due now (at most 100,000 are counted), or of which it is not "+
		"known whether they were sent, by status: due or unknown.", "status")
	mailStores = describe("rollcall_mail_stores", "Stores whose mail does not go out, by why: braked (too much came "+
		"back), paused (by a person) or failing.", "why")
	customers = describe("rollcall_customers", "Customers on all lists together, by type and status.", "type",
		"status")
	stores = describe("rollcall_stores", "Stores that the platform has reported.")
)

func gauge(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func inbox(s *store.Store) func(context.Context) ([]prometheus.Metric, error) {
	return func(ctx context.Context) (all []prometheus.Metric, err error) {
		counts, err := status.New(s).EventGauges(ctx)
		for status, n := range counts {
			all = append(all, gauge(inboxEvents, float64(n), status))
		}
		return all, err
	}
}

func arrivals(s *store.Store) func(context.Context) ([]prometheus.Metric, error) {
	return func(ctx context.Context) (all []prometheus.Metric, err error) {
		sources, err := status.New(s).Arrivals(ctx)
		for _, a := range sources {
			all = append(all, gauge(inboxOldest, a.Oldest.Seconds(), a.Source))
			if a.Last != nil {
				all = append(all, gauge(inboxLast, float64(a.Last.UnixMilli())/1000, a.Source))
			}
		}
		return all, err
	}
}

// backfillStatuses lists the statuses of a run, which are always reported.
var backfillStatuses = []string{"queued", "running", "paused", "completed", "completed_with_errors", "failed",
	"cancelled"}

// backfills reports each kind and status, so that the first failed run is a rise from zero.
func backfills(s *store.Store) func(context.Context) ([]prometheus.Metric, error) {
	return func(ctx context.Context) (all []prometheus.Metric, err error) {
		runs, err := status.New(s).BackfillGauges(ctx)
		if err != nil {
			return nil, err
		}
		type key struct{ kind, status string }
		by := map[key]status.BackfillGauges{}
		for _, r := range runs {
			by[key{r.Kind, r.Status}] = r
		}
		for _, kind := range store.BackfillKinds {
			for _, status := range backfillStatuses {
				all = append(all, gauge(backfillRuns, float64(by[key{kind.Name, status}].Runs), kind.Name, status))
			}
			running := by[key{kind.Name, "running"}]
			all = append(all,
				gauge(backfillSeen, float64(running.Seen), kind.Name),
				gauge(backfillAll, float64(running.Expected), kind.Name),
				gauge(backfillWrong, float64(running.Errors), kind.Name))
			if running.Runs > 0 {
				all = append(all, gauge(backfillMoved, float64(running.Moved.Unix()), kind.Name))
			}
		}
		return all, nil
	}
}

func mails(s *store.Store) func(context.Context) ([]prometheus.Metric, error) {
	return func(ctx context.Context) ([]prometheus.Metric, error) {
		g, err := status.New(s).MailGauges(ctx)
		if err != nil {
			return nil, err
		}
		return []prometheus.Metric{
			gauge(mailsBy, float64(g.Due), "due"), gauge(mailsBy, float64(g.Unknown), "unknown"),
			gauge(mailStores, float64(g.Braked), "braked"), gauge(mailStores, float64(g.Held), "paused"),
			gauge(mailStores, float64(g.Failing), "failing"),
		}, nil
	}
}

func unattached(s *store.Store) func(context.Context) ([]prometheus.Metric, error) {
	return func(ctx context.Context) (all []prometheus.Metric, err error) {
		counts, err := status.New(s).UnattachedCounts(ctx)
		for _, u := range counts {
			all = append(all, gauge(unattachedBy, float64(u.Facts), u.Kind, u.Reason))
		}
		return all, err
	}
}

// watchStates maps a watch's states to values.
var watchStates = map[string]float64{status.OK: 0, status.Warning: 1, status.Problem: 2}

func watches(s *store.Store) func(context.Context) ([]prometheus.Metric, error) {
	return func(ctx context.Context) (all []prometheus.Metric, err error) {
		watches, err := status.New(s).Watches(ctx)
		for _, w := range watches {
			kind, subject := w.Parts()
			all = append(all, gauge(watchState, watchStates[w.State], kind, subject))
		}
		return all, err
	}
}

// lists reports every type and status, even those without customers.
func lists(s *store.Store) func(context.Context) ([]prometheus.Metric, error) {
	return func(ctx context.Context) (all []prometheus.Metric, err error) {
		g, err := status.New(s).ListGauges(ctx)
		if err != nil {
			return nil, err
		}
		counts := map[[2]string]int64{}
		for _, typ := range []string{"lead", "paying", "subscription"} {
			counts[[2]string{typ, "active"}], counts[[2]string{typ, "inactive"}] = 0, 0
		}
		for _, f := range g.Customers {
			counts[[2]string{f.Type, f.Status}] = f.Customers
		}
		for is, n := range counts {
			all = append(all, gauge(customers, float64(n), is[0], is[1]))
		}
		return append(all, gauge(stores, float64(g.Stores))), nil
	}
}
