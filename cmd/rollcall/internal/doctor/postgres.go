package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rollcall/internal/show"
	"rollcall/migrations"
	"rollcall/store"
	"rollcall/store/checks"
	"rollcall/store/finding"
	"rollcall/store/pg"
)

const (
	pingTimeout = 5 * time.Second
	// oldPostgres is below what Rollcall is tested with, as Postgres numbers its
	// versions.
	oldPostgres = 150000
	// enoughLocks is the max_locks_per_transaction that docs/deploy.md asks for.
	enoughLocks = 256
	// clockWarns and clockFails are how far clocks may be apart. Signatures are
	// refused from five minutes on, and senders' clocks are not exact either.
	clockWarns = 20 * time.Second
	clockFails = 2 * time.Minute
)

// away reports that Postgres is not usable.
func (d *doctor) away(err error) finding.Finding {
	why, fix, known := d.Explain(err)
	if !known {
		why, fix = "Postgres could not be asked: "+why, []string{show.IsReady}
	}
	return finding.Finding{Kind: "database_away", What: why, Fix: fix}
}

// checkDatabase opens the database and checks its setup.
func (d *doctor) checkDatabase(ctx context.Context) error {
	s, err := d.OpenUnchecked()
	if err != nil {
		why, _, known := d.Explain(err)
		if !known {
			why = err.Error()
		}
		d.find(finding.Finding{Kind: "database_away", What: why,
			Fix: []string{"export DATABASE_URL=postgres://<USER>@<HOST>/<DATABASE>"}})
		return nil
	}
	ping, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	before := d.now()
	db, err := checks.New(s).Database(ping)
	took := d.now().Sub(before)
	if err != nil {
		s.Close()
		d.find(d.away(err))
		return nil
	}
	d.store, d.checkup = s, checks.New(s).Checkup(store.AuditOptions{Store: d.Store, Examples: d.Options.Examples})
	d.fine("Postgres %d.%d answers in %s", db.Version/10000, db.Version%10000, took.Round(time.Millisecond))
	d.judgeDatabase(db)
	d.judgeClock(before.Add(took/2), db.Now)
	return nil
}

func (d *doctor) judgeDatabase(db checks.Database) {
	if db.ReadOnly {
		f := finding.Finding{Kind: "database_read_only",
			What: "Postgres takes no writes: default_transaction_read_only is on",
			Fix: []string{show.PSQL("SET default_transaction_read_only = off") + " -c " +
				show.Quote("ALTER DATABASE "+db.Name+" RESET default_transaction_read_only")}}
		if db.Standby {
			f.What = "DATABASE_URL leads to a standby, which takes no writes"
			f.Fix = []string{
				`export DATABASE_URL="postgres://<USER>@<HOST>,<OTHER HOST>/<DATABASE>?target_session_attrs=read-write"`}
		}
		d.find(f)
	}
	if db.Version < oldPostgres {
		d.find(finding.Finding{Kind: "database_old",
			What: fmt.Sprintf("Postgres is of version %d; 15 or later is needed", db.Version/10000),
			Fix:  []string{"pg_upgrade --help   # bring Postgres to 15 or later"}})
	}
	if db.Locks < enoughLocks {
		d.find(finding.Finding{Kind: "locks_few", Subject: "max_locks_per_transaction",
			What: fmt.Sprintf("max_locks_per_transaction is %d: with many workers, Postgres runs out of room for locks",
				db.Locks),
			Fix: []string{show.PSQL(fmt.Sprintf("ALTER SYSTEM SET max_locks_per_transaction = %d", enoughLocks)) +
				"   # then restart Postgres"}})
	}
	for _, name := range db.Lacks {
		d.find(finding.Finding{Kind: "extension_missing", Subject: name, What: "the extension " + name + " is not there",
			Fix: []string{show.PSQL("CREATE EXTENSION IF NOT EXISTS " + name)}})
	}
	for _, name := range db.Unindexed {
		d.find(finding.Finding{Kind: "index_missing", Subject: name,
			What: "the index " + name + ", which lists are searched by, is not there",
			Fix: []string{show.PSQL("CREATE INDEX " + name + " ON " + indexedBy[name] +
				" WITH (gin_pending_list_limit = 1024)")}})
	}
	for _, name := range db.Invalid {
		d.find(finding.Finding{Kind: "index_missing", Subject: name, Severity: finding.Warning, What: "the index " + name +
			" is not used, as its making broke off",
			Fix: []string{show.PSQL("REINDEX INDEX " + name)}})
	}
}

// judgeClock compares the clock here with that of Postgres.
func (d *doctor) judgeClock(here, there time.Time) {
	if d.clockAgrees("", "this machine", here.Sub(there)) {
		d.fine("the clocks of this machine and of Postgres agree")
	}
}

// clockAgrees judges by how much a clock is ahead of that of Postgres.
func (d *doctor) clockAgrees(subject, whose string, ahead time.Duration) bool {
	if ahead.Abs() < clockWarns {
		return true
	}
	f := finding.Finding{Kind: "clock_off", Subject: subject,
		Fix: []string{"sudo timedatectl set-ntp true   # on " + whose + ", and where Postgres runs"}}
	if ahead.Abs() >= clockFails {
		f.Severity = finding.Problem
	}
	where := "ahead of"
	if ahead < 0 {
		where = "behind"
	}
	f.What = fmt.Sprintf("the clock of %s is %s %s that of Postgres", whose, ahead.Abs().Round(time.Second), where)
	d.find(f)
	return false
}

// checkSessions checks that Postgres can store webhooks, sessions that hold rows, and
// the workers' clocks.
func (d *doctor) checkSessions(ctx context.Context) error {
	ready := d.store.Ready(ctx)
	held, err := d.store.HeldSessions(ctx, pg.HeldLong)
	if err != nil {
		return err
	}
	clocks, err := d.store.WorkerClocks(ctx)
	if err != nil {
		return err
	}
	d.judgeAble(ready)
	d.judgeSessions(held)
	agree := true
	for _, c := range clocks {
		agree = d.clockAgrees(c.Worker, "worker "+show.Visible(c.Worker), c.Ahead) && agree
	}
	if agree && len(clocks) > 0 {
		d.fine("the clocks of %s agree with that of Postgres", show.Count(len(clocks), "worker"))
	}
	return nil
}

// judgeAble reports why webhooks could not be stored. Other checks cover the schema and
// read-only servers.
func (d *doctor) judgeAble(err error) {
	f := finding.Finding{Kind: "database_not_able"}
	switch pg.Trouble(err) {
	case "ok":
		d.fine("Postgres can store webhooks")
		return
	case "not_allowed":
		f.Fix = []string{`psql "<URL OF THE ROLE THAT OWNS THE TABLES>" -c ` +
			show.Quote("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO <ROLE>")}
	case "full":
		f.Fix = []string{"df -h   # where Postgres keeps its data", show.PSQL("SHOW data_directory")}
	case "not_migrated", "read_only":
		return
	default:
		f.Fix = []string{show.IsReady}
	}
	f.What = "webhooks could not be stored: " + err.Error()
	d.find(f)
}

func (d *doctor) judgeSessions(held []pg.HeldSession) {
	for _, h := range held {
		d.find(finding.Finding{Kind: "session_held", Subject: fmt.Sprint(h.PID),
			What: fmt.Sprintf("%s has held rows of %s since %s and says nothing", h.String(), show.Count(h.Tables, "table"),
				h.Since.Format(time.RFC3339)),
			Fix: []string{show.PSQL(fmt.Sprintf("SELECT pg_terminate_backend(%d)", h.PID))}})
	}
	if len(held) == 0 {
		d.fine("no session holds rows for long")
	}
}

// checkSchema checks which migrations are applied.
func (d *doctor) checkSchema(ctx context.Context) error {
	if d.store == nil {
		return nil
	}
	url, err := d.Database()
	if err != nil {
		return err
	}
	missing, unknown, err := migrations.Lag(ctx, url)
	if foreign, is := errors.AsType[*migrations.Foreign](err); is {
		n := len(foreign.Tables)
		d.find(finding.Finding{Kind: "database_foreign", Count: int64(n), What: foreign.Error(),
			Examples: d.some(foreign.Tables),
			Fix:      []string{"export DATABASE_URL=postgres://<USER>@<HOST>/<DATABASE OF ITS OWN>"}})
		return nil
	}
	var taken *migrations.Taken
	if errors.As(err, &taken) {
		d.find(nameTaken(taken))
		return nil
	}
	if err != nil {
		return err
	}
	if n := len(missing); n > 0 {
		var names []string
		for _, m := range missing {
			names = append(names, m.Name)
		}
		d.find(finding.Finding{Kind: "schema_behind", Count: int64(n),
			What:     show.Count(n, "migration") + " not applied: the checks that need the tables are left out",
			Examples: d.some(names), Fix: []string{"rollcall migrate up"}})
		return nil
	}
	d.current = true
	if n := len(unknown); n > 0 {
		d.find(finding.Finding{Kind: "schema_ahead", Count: int64(n),
			What: fmt.Sprintf("the schema has %s that this program does not know: a newer version migrated the database",
				show.Count(n, "migration")),
			Examples: finding.Texts([]string{strings.Trim(fmt.Sprint(unknown), "[]")}),
			Fix:      []string{"rollcall version   # and install the newer one here"}})
		return nil
	}
	unheard, err := d.checkup.StoreUnheard(ctx)
	if err != nil {
		return err
	}
	for _, f := range unheard {
		d.find(f)
	}
	d.fine("the schema is current")
	return nil
}

// nameTaken is the finding of objects under names that migrations need.
func nameTaken(e *migrations.Taken) finding.Finding {
	f := finding.Finding{Kind: "name_taken", Subject: e.Objects[0].Name, Count: int64(len(e.Objects)), What: e.Error()}
	for _, o := range e.Objects {
		f.Fix = append(f.Fix, show.PSQL(o.Rename()))
	}
	f.Fix = append(f.Fix, "rollcall migrate up")
	return f
}

// indexedBy is what the indexes are of that lists are searched by.
var indexedBy = map[string]string{
	"customer_index_all": "customer_index USING gin (store_id, has, tags)",
	"customer_words_all": "customer_words USING gin (store_id, words gin_trgm_ops)",
}
