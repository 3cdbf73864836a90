package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// sayNext says what init did, what is still open, and what to do next.
func (c initCmd) sayNext(e *env, filled, kept, given map[string]string) error {
	var made, taken, open []string
	secrets := newSecrets()
	for _, name := range slices.Sorted(maps.Keys(filled)) {
		_, secret := secrets[name]
		_, old := kept[name]
		_, told := given[name]
		switch {
		case old && !told:
		case secret && !told:
			made = append(made, name)
		default:
			taken = append(taken, name)
		}
	}
	for _, q := range questions {
		if filled[q.variable] == "" {
			open = append(open, q.variable)
		}
	}
	fmt.Fprintf(e.out, "Wrote %s. Only you can read it.\n\n", c.File)
	l := lines{e.out}
	l.add("Generated", strings.Join(made, ", "))
	l.add("Filled in", strings.Join(taken, ", "))
	if len(kept) > 0 {
		l.add("Kept", count(len(kept), "value"))
	}
	l.add("Not set", strings.Join(open, ", "))
	_, err := fmt.Fprintf(e.out, "\nNext:\n%s", c.steps(filled))
	return err
}

// steps are the commands that come next.
func (c initCmd) steps(filled map[string]string) string {
	steps := table{indent: "  ", head: []string{"", ""}}
	if c.File != dotEnv {
		path := c.File
		if !strings.Contains(path, "/") {
			path = "./" + path // without, a shell looks for it in PATH
		}
		steps.add("set -a; . "+quote(path)+"; set +a", "load it; only "+dotEnv+" is read without")
	}
	steps.add("rollcall config", "show every setting, and what is wrong")
	if filled["DATABASE_URL"] == "" {
		steps.add("rollcall dev", "run everything here; what is not set is generated")
	} else {
		steps.add("rollcall migrate up", "create the tables")
		steps.add("rollcall serve", "receive webhooks, and serve the pages")
		steps.add("rollcall work", "apply what was received; in another terminal")
	}
	var out strings.Builder
	steps.print(&out)
	_, text, _ := strings.Cut(out.String(), "\n") // behind the head
	return text
}
