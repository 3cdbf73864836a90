package migrations

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// sayEvery is the interval of looks at who a migration waits for.
var sayEvery = 5 * time.Second

// sayWaits calls Behind with each session that a step waits for, until end. A step that builds an index, or
// changes many rows, lets others go on meanwhile: it waits for their transactions without a limit.
func (o Options) sayWaits(ctx context.Context, db *sql.DB) (end func()) {
	if o.Behind == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var saying sync.WaitGroup
	saying.Go(func() {
		tick := time.NewTicker(sayEvery)
		defer tick.Stop()
		var said Holder
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			// An error is the migration's too, which reports it.
			if h, waits, err := oneHolder(db.QueryRowContext(ctx, aheadSQL)); err == nil && waits && h != said {
				said = h
				o.Behind(h)
			}
		}
	})
	return func() {
		cancel()
		saying.Wait()
	}
}

// aheadSQL is the session that a step of this migration waits for, by what only such steps run.
const aheadSQL = `
	SELECT a.pid, coalesce(a.application_name, ''), coalesce(host(a.client_addr), ''), a.xact_start
	FROM pg_stat_activity waits
	CROSS JOIN unnest(pg_blocking_pids(waits.pid)) AS ahead(pid)
	JOIN pg_stat_activity a ON a.pid = ahead.pid AND a.pid <> pg_backend_pid() -- an index also waits for this look
	WHERE waits.datname = current_database()
	  AND waits.usename = current_user
	  AND waits.wait_event_type = 'Lock'
	  AND waits.query ~ '\mCONCURRENTLY\M|\mCOMMIT;'
	  AND waits.pid <> pg_backend_pid()
	ORDER BY a.xact_start
	LIMIT 1`
