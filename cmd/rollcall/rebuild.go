package main

import (
	"fmt"

	"rollcall/store"
)

type rebuildCmd struct {
	Store string `name:"store" placeholder:"ID" help:"Only the customers of this store."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Help is shown below the usage.
func (rebuildCmd) Help() string {
	return `Resolves every fact and derives every customer again. Differences are fixed and counted. There should be 0; ` +
		`others mean a defect, or rows changed by hand. PLATFORM_PRODUCT_TYPES must be the same as for the workers. The ` +
		`command may run beside live traffic, and exits with 0 when everything is fixed, even after differences.`
}

func (c rebuildCmd) Run(e *env) error {
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	e.warnOfStore(s, c.Store)
	bar := e.progress()
	looked := 0
	changes, err := s.Rebuild(e, c.Store, func(done int) {
		looked = done
		bar.show("%d facts looked at", done)
	})
	bar.clear()
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.out, struct {
			Facts       int           `json:"facts"`
			Differences int64         `json:"differences"`
			Changes     store.Changes `json:"changes"`
		}{looked, changes.Sum(), changes})
	}
	fmt.Fprintf(e.out, "%d differences in %s\n", changes.Sum(), count(looked, "fact"))
	for _, d := range []struct {
		n    int64
		what string
	}{
		{changes.Facts, "facts pointed elsewhere than they should"},
		{changes.Created, "customers were missing"},
		{changes.Updated, "customers had other figures"},
		{changes.Deleted, "customers should not have been there"},
		{changes.Merged, "customers were one person with another"},
		{changes.Kept, "entries of the search, or figures of a list, were off"},
	} {
		if d.n > 0 {
			fmt.Fprintf(e.out, "%6d %s (fixed)\n", d.n, d.what)
		}
	}
	return nil
}
