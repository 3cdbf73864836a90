package main

import (
	"encoding/json"
	"fmt"
	"io"

	"rollcall/migrations"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply the migrations that are missing. Any number may run at once: one works, the others wait and find nothing left."`
	Status migrateStatusCmd `cmd:"" help:"List the migrations and when each was applied."`
}

type migrateUpCmd struct {
	JSON bool `name:"json" help:"Print the applied migrations as JSON."`
}

func (c migrateUpCmd) Run(e *env) error {
	url, err := e.databaseURL()
	if err != nil {
		return err
	}
	applied, err := migrations.Up(e, url)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.out, struct {
			Applied []migrations.Status `json:"applied"`
		}{append([]migrations.Status{}, applied...)})
	}
	for _, m := range applied {
		fmt.Fprintln(e.out, "applied", m.Name)
	}
	if len(applied) == 0 {
		fmt.Fprintln(e.out, "nothing to do: the schema is current")
	}
	return nil
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
		return printJSON(e.out, struct {
			Current    bool                `json:"current"`
			Migrations []migrations.Status `json:"migrations"`
		}{missing(all) == 0, all})
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
	}
	return nil
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

func printJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(v)
}
