package main

import (
	"fmt"
	"time"

	"rollcall/migrations"
	"rollcall/store"
	"rollcall/store/checks"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply missing migrations. Several may run at once: one works, the others wait."`
	Status migrateStatusCmd `cmd:"" help:"List the migrations and when each was applied."`
}

type migrateUpCmd struct {
	Wait time.Duration `name:"wait" placeholder:"DURATION" default:"10m" help:"How long to wait for another migration, or for a table (${default}); 0s: do not wait."`
	JSON bool          `name:"json" help:"Print the applied migrations as JSON."`
}

// Help is shown below the usage.
func (migrateUpCmd) Help() string {
	return `Checks first whether another program has tables with names that Rollcall needs. Then it names them
and changes nothing.

Senders go on meanwhile. Pages wait for a table that a step rewrites: lists for 0007_lists (half a minute with a
million customers), a customer's page and Missing for 0014_links. Other steps that need a table to themselves
need it for a moment: they wait at most a second for those who use it, let all others go first, and try again. A
step that waits for a transaction, while others go on, names its process. If it is interrupted, run it again.

While another migration runs, the command shows its Postgres process, and waits. If that process hangs, or its
machine is gone, Postgres ends it within a minute.`
}

func (c migrateUpCmd) Run(e *env) error {
	url, err := e.databaseURL()
	if err != nil {
		return err
	}
	applied, err := migrations.UpWith(e, url, c.options(e))
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.out, struct {
			Applied []migrations.Status `json:"applied"`
		}{append([]migrations.Status{}, applied...)})
	}
	if len(applied) == 0 {
		fmt.Fprintln(e.out, "nothing to do: the schema is current")
	}
	return sayPending(e)
}

// options say what happens as it happens.
func (c migrateUpCmd) options(e *env) migrations.Options {
	return migrations.Options{
		Wait: c.Wait,
		Tell: func(h migrations.Holder) { fmt.Fprintln(e.err, "waiting for another migration:", h) },
		Blocked: func(b migrations.Busy) {
			fmt.Fprintf(e.err, "%s waits for a table; the oldest transaction is of %s\n", b.Migration, b.Oldest)
		},
		Behind: func(h migrations.Holder) {
			fmt.Fprintln(e.err, "waiting until a transaction ends, while others go on:", h)
		},
		Applied: func(m migrations.Status) {
			if !c.JSON {
				fmt.Fprintln(e.out, "applied", m.Name)
			}
		},
	}
}

// sayPending says if the lists are yet to be derived by the rules of this version.
func sayPending(e *env) error {
	d, err := e.derivation()
	if err == nil && d.Pending() {
		fmt.Fprintln(e.out, checks.Deriving(d)+". `rollcall migrate status` shows how far they are")
	}
	return err
}

type migrateStatusCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (c migrateStatusCmd) Run(e *env) error {
	url, err := e.databaseURL()
	if err != nil {
		return err
	}
	all, err := migrations.Current(e, url)
	if err != nil {
		return err
	}
	if c.JSON {
		return c.printJSON(e, all)
	}
	for _, m := range all {
		when := m.AppliedAt
		if when == "" {
			when = "not applied"
		}
		fmt.Fprintf(e.out, "%-22s  %s\n", m.Name, when)
	}
	if n := missing(all); n > 0 {
		fmt.Fprintf(e.out, "%d to apply: run `rollcall migrate up`\n", n)
		return nil
	}
	return sayPending(e)
}

// printJSON prints the state of the schema, and of the derivation where there is one.
func (migrateStatusCmd) printJSON(e *env, all []migrations.Status) error {
	out := struct {
		Current    bool                `json:"current"`
		Migrations []migrations.Status `json:"migrations"`
		Derivation *store.Derivation   `json:"derivation"`
	}{Current: missing(all) == 0, Migrations: all}
	if out.Current {
		d, err := e.derivation()
		if err != nil {
			return err
		}
		out.Derivation = &d
	}
	return printJSON(e.out, out)
}

// missing counts the migrations not applied yet.
func missing(all []migrations.Status) (n int) {
	for _, m := range all {
		if m.AppliedAt == "" {
			n++
		}
	}
	return n
}
