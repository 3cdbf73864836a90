package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5/pgconn"

	"rollcall/internal/embedded"
	"rollcall/jobs"
	"rollcall/migrations"
	"rollcall/store"
	"rollcall/store/pg"
)

// The notes that dev and demo publish for other commands.
const (
	noteURL      = "url"
	noteSignIn   = "sign_in"
	noteDatabase = "database_url" // of the two, which may not be the servers' own
	noteRedis    = "redis_url"
	noteMode     = "stripe_mode"
	noteKeys     = "has_" // and the name of a key: the workers there have it
	noteCap      = "mail_cap_all_stores"
	noteTypes    = "platform_product_types" // what is the platform's own sale there is so for rebuild too
)

// databaseURL is the configured Postgres, or that of a running dev or demo.
func (c *Config) databaseURL() (string, error) {
	if c.DatabaseURL != nil {
		return *c.DatabaseURL, nil
	}
	r, err := c.running("DATABASE_URL")
	if err != nil {
		return "", err
	}
	return r.DatabaseURL, nil
}

// redis is the configured Redis, or that of a running dev or demo.
func (c *Config) redis() (asynq.RedisConnOpt, error) {
	if c.RedisURL != nil {
		return jobs.ParseRedis(*c.RedisURL)
	}
	r, err := c.running("REDIS_URL")
	if err != nil {
		return nil, err
	}
	return jobs.ParseRedis(r.RedisURL)
}

// checkServers refuses addresses that cannot be read. Commands that use them say so, too.
func (c *Config) checkServers() (err error) {
	if c.DatabaseURL != nil {
		_, err = pgconn.ParseConfig(*c.DatabaseURL)
		err = c.inWords(err)
	}
	if c.RedisURL != nil {
		_, wrong := jobs.ParseRedis(*c.RedisURL)
		err = errors.Join(err, wrong)
	}
	return err
}

// running finds the dev or demo on --data, and what it works on: a demo, on
// databases of its own.
func (c *Config) running(variable string) (embedded.Record, error) {
	r, err := embedded.Running(c.Data)
	if errors.Is(err, embedded.ErrNotRunning) {
		return r, fmt.Errorf("%s is not set, and no rollcall dev or demo is running on %s: set DATABASE_URL and REDIS_URL, "+
			"or start one (--data says where)", variable, c.Data)
	}
	if err != nil {
		return r, err
	}
	if r.Note[noteURL] == "" {
		return r, fmt.Errorf("the rollcall dev or demo on %s is still starting: try again in a moment", c.Data)
	}
	r.DatabaseURL, r.RedisURL = r.Note[noteDatabase], r.Note[noteRedis]
	return r, nil
}

// open opens the store of a short command: it fails at once if the database is not
// usable.
func (e *env) open() (*store.Store, error) {
	s, err := e.openUnchecked()
	if err != nil {
		return nil, err
	}
	if err := e.checkSchema(s); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// openFor opens the store of a command about one of the platform's stores, which an event must have
// mentioned; about all of them if id is empty.
func (e *env) openFor(id string) (*store.Store, error) {
	s, err := e.open()
	if err != nil || id == "" {
		return s, err
	}
	if err := e.mustKnowStore(s, id); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// openUnchecked opens the store for commands that keep running while Postgres is away.
func (e *env) openUnchecked() (*store.Store, error) {
	url, err := e.databaseURL()
	if err != nil {
		return nil, err
	}
	if e.DatabaseURL == nil {
		r, err := e.running("DATABASE_URL")
		if err != nil {
			return nil, err
		}
		e.PlatformProductTypes = r.Note[noteTypes]
		e.MailCap, _ = strconv.Atoi(r.Note[noteCap]) // 0 if one of an older version runs
	}
	return e.openAt(url)
}

// warnOfStore warns if no event has mentioned a store: its id may be misspelt.
func (e *env) warnOfStore(s *store.Store, id string) {
	if id == "" {
		return
	}
	if _, err := s.StoreAccounts(e, id); errors.Is(err, pg.ErrNotFound) {
		fmt.Fprintf(e.err, "Warning: store %q does not exist: no event has mentioned it%s.\n", id, e.nearestStore(s, id))
	}
}

// openBoth opens the store of a command, and returns the address of Redis.
func (e *env) openBoth() (*store.Store, asynq.RedisConnOpt, error) { return e.both(e.open) }

// process is what serve and work have alike. They keep running while Postgres is away.
type process struct {
	store *store.Store
	redis asynq.RedisConnOpt
	*telemetry
}

// begin opens a process, and warns of a schema that is not current. End it with close.
func (e *env) begin(log *slog.Logger) (p process, err error) {
	e.file.tell(log)
	if p.store, p.redis, err = e.both(e.openUnchecked); err != nil {
		return p, err
	}
	url, err := e.databaseURL()
	if err == nil {
		p.telemetry, err = e.watch(p.store, p.redis, log)
	}
	if err != nil {
		p.store.Close()
		return p, err
	}
	go e.warnOfSchema(log, url)
	return p, nil
}

func (p process) close() {
	p.telemetry.close()
	p.store.Close()
}

func (e *env) both(open func() (*store.Store, error)) (*store.Store, asynq.RedisConnOpt, error) {
	redis, err := e.redis()
	if err != nil {
		return nil, nil, err
	}
	s, err := open()
	return s, redis, err
}

func (e *env) openAt(url string) (*store.Store, error) {
	return store.Open(e, url, store.Options{PlatformTypes: e.platformTypes(), MailCap: e.MailCap,
		Schema: migrations.Newest()})
}
