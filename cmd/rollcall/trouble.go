package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"

	"rollcall/internal/show"
	"rollcall/migrations"
	"rollcall/store"
	"rollcall/store/pg"
)

// This file turns errors of Postgres and Redis into one line that names the server and
// the database, and says what to do. It never repeats the URL: it may hold a password.

// trouble is a database that cannot do what a command needs.
type trouble struct {
	what string   // is wrong, with which server or database
	do   string   // about it
	fix  []string // the same as commands
	err  error
}

func (t *trouble) Error() string { return t.what + ": " + t.do }
func (t *trouble) Unwrap() error { return t.err }

// inWords explains an error of Postgres, and returns others unchanged.
func (c *Config) inWords(err error) error {
	if t := c.trouble(err); t != nil {
		return t
	}
	return err
}

// trouble explains an error of Postgres, nil if err is none.
func (c *Config) trouble(err error) *trouble {
	var explained *trouble
	var malformed *pgconn.ParseConfigError
	var away *pgconn.ConnectError
	var refused *pgconn.PgError
	var call *pg.Error
	switch {
	case errors.As(err, &explained):
		return explained
	case errors.Is(err, store.ErrErasureKey):
		explained = &trouble{what: c.database() + ": people were erased, and table erasure_key is empty or holds another key",
			do:  "restore the key (docs/erasure.md), then run this again",
			fix: []string{c.at("rollcall doctor")}}
	case errors.As(err, &malformed):
		explained = unread(malformed)
	case errors.As(err, &away):
		explained = c.noConnection(away)
	case pg.Outdated(err):
		explained = &trouble{what: c.database() + " lacks a table, column or function of this version",
			do:  "run `" + c.at("rollcall migrate up") + "`",
			fix: []string{c.at("rollcall migrate status")}}
	case errors.As(err, &refused):
		explained = c.refusal(refused)
	case errors.As(err, &call) && pg.Unavailable(err):
		explained = &trouble{what: c.database() + " went away: " + reason(err), do: "run this again when it answers",
			fix: []string{show.IsReady}}
	default:
		return nil
	}
	explained.err = err
	return explained
}

// unread explains an invalid URL without repeating any of it: a password may be
// anywhere in it.
func unread(e *pgconn.ParseConfigError) *trouble {
	var file *fs.PathError // of a certificate, or a key
	if errors.As(e, &file) {
		return &trouble{what: "DATABASE_URL names a file that cannot be read", do: file.Path + ": " + reason(file.Err)}
	}
	return &trouble{what: "DATABASE_URL cannot be read",
		do: "write postgres://user:password@host/database, with %XX for special characters of the password"}
}

// noConnection explains why the connection failed.
func (c *Config) noConnection(e *pgconn.ConnectError) *trouble {
	server, correct := "Postgres at "+addresses(e.Config), "correct DATABASE_URL"
	if c.DatabaseURL == nil {
		correct = "restart the rollcall dev or demo on " + c.Data
	}
	var answer *pgconn.PgError
	if !errors.As(e, &answer) {
		return &trouble{what: server + " does not answer (" + reason(e) + ")", do: "start it, or " + correct,
			fix: []string{show.IsReady}}
	}
	switch {
	case strings.HasPrefix(answer.Code, "28"):
		return &trouble{what: server + " refuses the login: " + answer.Message,
			do:  "correct the user and the password in DATABASE_URL",
			fix: []string{show.PSQL("SELECT 1")}}
	case answer.Code == "3D000":
		return &trouble{what: fmt.Sprintf("%s has no database %q", server, e.Config.Database),
			do:  "create it, or correct DATABASE_URL; then run `rollcall migrate up`",
			fix: []string{createDatabase(e.Config), "rollcall migrate up"}}
	}
	return &trouble{what: server + " takes no connection: " + answer.Message, do: "fix that, then run this again",
		fix: []string{show.IsReady}}
}

// refusal explains an error that Postgres returned.
func (c *Config) refusal(e *pgconn.PgError) *trouble {
	t := &trouble{what: c.database() + " refuses this: " + e.Message, fix: []string{show.PSQL("SELECT 1")}}
	switch {
	case e.Code == "42501":
		t.do = "grant the role in DATABASE_URL what it lacks, or name the role that ran `rollcall migrate up`"
	case e.Code == "25006":
		t.do = "lead DATABASE_URL to the primary; with several hosts, add target_session_attrs=read-write"
	case e.Code == "53100":
		t.do = "make room on the disk of Postgres, then run this again"
	case e.Code == "57014":
		t.do = "run this again when Postgres has less to do"
		t.fix = []string{show.Busy}
	case strings.HasPrefix(e.Code, "53"), strings.HasPrefix(e.Code, "57P"), strings.HasPrefix(e.Code, "08"):
		t.do, t.fix = "run this again when it answers", []string{show.IsReady}
	default:
		t.do = "its log has more (SQLSTATE " + e.Code + ")"
	}
	return t
}

// database names the database of the settings, without its secrets.
func (c *Config) database() string {
	url, err := c.databaseURL()
	if err != nil {
		return "Postgres"
	}
	cfg, err := pgconn.ParseConfig(url)
	if err != nil {
		return "Postgres"
	}
	return fmt.Sprintf("database %q on Postgres at %s", cfg.Database, addresses(cfg))
}

// addresses are where a Postgres may be, as it can be typed.
func addresses(cfg *pgconn.Config) string {
	all := []string{address(cfg.Host, cfg.Port)}
	for _, other := range cfg.Fallbacks { // one more of the same host, if TLS is only preferred
		if at := address(other.Host, other.Port); !slices.Contains(all, at) {
			all = append(all, at)
		}
	}
	return strings.Join(all, ", ")
}

func address(host string, port uint16) string {
	if strings.HasPrefix(host, "/") {
		_, path := pgconn.NetworkAddress(host, port)
		return path
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// createDatabase is a command that makes a database that is not there.
func createDatabase(cfg *pgconn.Config) string {
	return fmt.Sprintf("createdb -h %s -p %d -U %s %s", quote(cfg.Host), cfg.Port, quote(cfg.User), quote(cfg.Database))
}

// redisTrouble names the Redis that does not answer, and the reason.
func redisTrouble(opt asynq.RedisConnOpt, err error) string {
	var at []string
	switch o := opt.(type) {
	case asynq.RedisClientOpt:
		at = []string{o.Addr}
	case asynq.RedisFailoverClientOpt:
		at = o.SentinelAddrs
	case asynq.RedisClusterClientOpt:
		at = o.Addrs
	}
	if answer, is := errors.AsType[redis.Error](err); is {
		return "Redis at " + strings.Join(at, ", ") + " refuses: " + answer.Error()
	}
	return "Redis at " + strings.Join(at, ", ") + " does not answer (" + reason(err) + ")"
}

// reason is the short reason why a server was not reached.
func reason(err error) string {
	var name *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &name):
		return "there is no host " + strconv.Quote(name.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ENOENT):
		return "there is no such socket"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "no answer in time"
	}
	return innermost(err).Error()
}

// innermost is the error that all others are wrapped around; of several, the last.
func innermost(err error) error {
	for {
		var inner error
		switch e := err.(type) { //nolint:errorlint // goes through the tree itself
		case interface{ Unwrap() error }:
			inner = e.Unwrap()
		case interface{ Unwrap() []error }:
			all := e.Unwrap()
			inner = all[len(all)-1]
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}

// checkSchema checks whether the database has the schema that this program needs, before a
// command uses its tables.
func (e *env) checkSchema(s *store.Store) error {
	missing, _, err := migrations.LagOf(e, s.Pool)
	if err != nil || len(missing) == 0 {
		return err
	}
	lacks := "lacks " + count(len(missing), "migration") + " of this version"
	if missing[0].Version == 1 {
		lacks = "has no schema of Rollcall"
	}
	up := e.at("rollcall migrate up")
	return &trouble{what: e.database() + " " + lacks, do: "run `" + up + "`", fix: []string{up}, err: pg.ErrNotMigrated}
}

// at adds the address of the servers to a command that needs it.
func (c *Config) at(command string) string {
	if c.DatabaseURL == nil {
		return command + c.dataFlag()
	}
	return command
}
