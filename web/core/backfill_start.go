package core

import (
	"cmp"
	"context"
	"path/filepath"
	"strings"

	"rollcall/internal/actions"
	"rollcall/store"
	"rollcall/store/pg"
)

// AccountsText is n.Accounts as the form's field holds them.
func (n NewBackfill) AccountsText() string { return strings.Join(store.AccountNames(n.Accounts), ", ") }

// BeginBackfill checks and starts a run on behalf of by, and enqueues its job.
func (s *Site) BeginBackfill(ctx context.Context, asked NewBackfill, by string) (b store.Backfill, err error) {
	n, err := asked.check()
	if err != nil {
		return b, err
	}
	if n.Options.File, err = s.importFile(n.Options.File); err != nil {
		return b, err
	}
	if _, first, err := s.NeedOf(ctx, n.Kind); err != nil || first != "" {
		return b, cmp.Or(err, pg.Refuse("kind", "cannot be imported: %s", first))
	}
	n.StartedBy = by
	return s.Actions().StartBackfill(ctx, n)
}

// NeedOf is the setting that an import which is started here needs, and what to do first: it
// may be missing, here or on every worker that runs. While none runs, the next one may have it.
func (s *Site) NeedOf(ctx context.Context, kind string) (setting, first string, err error) {
	k := store.BackfillKindOf(kind)
	if setting = k.Key; k.Needs == "file" {
		setting = "IMPORT_DIR"
	}
	if setting == "IMPORT_DIR" && s.Cfg.ImportDir == "" {
		return setting, "set IMPORT_DIR where rollcall serve and rollcall work run, and restart them", nil
	}
	if setting == "" {
		return "", "", nil
	}
	lacks, err := s.Cfg.Store.LacksKey(ctx, setting)
	if lacks {
		first = "set " + setting + " where rollcall work runs, and restart it"
	}
	return setting, first, err
}

// Actions are the operations that pages share with the command line.
func (s *Site) Actions() actions.Actions {
	return actions.Actions{Store: s.Cfg.Store, Jobs: s.Cfg.Jobs, Unqueued: func(sentence string, err error) {
		s.Cfg.Log.Warn(sentence, "error", err)
	}}
}

// NewBackfill is the body of a request to start a backfill.
type NewBackfill struct {
	Kind      string   `json:"kind"`
	Store     string   `json:"store"`
	Since     string   `json:"since"`
	Only      []string `json:"only"`
	Accounts  []string `json:"accounts"` // acct_…; "": the platform's own; ["all"]: that and every store's
	File      string   `json:"file"`     // in IMPORT_DIR, where the workers see it
	AsOf      string   `json:"as_of"`
	ChunkSize int      `json:"chunk_size"`
	DryRun    bool     `json:"dry_run"`
}

// check parses the times. The store checks everything else.
func (n NewBackfill) check() (out store.NewBackfill, err error) {
	out = store.NewBackfill{Kind: n.Kind, DryRun: n.DryRun, ChunkSize: n.ChunkSize,
		Options: store.BackfillOptions{Store: n.Store, Only: n.Only, Accounts: n.Accounts, File: n.File}}
	if out.Options.Since, err = timeOf("since", n.Since); err != nil {
		return out, err
	}
	if out.Options.AsOf, err = timeOf("as_of", n.AsOf); err != nil {
		return out, err
	}
	return out, nil
}

// importFile is file's path inside IMPORT_DIR. It looks nothing up: only the
// workers see that folder.
func (s *Site) importFile(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	if s.Cfg.ImportDir == "" {
		return "", &pg.BadParam{
			Name: "file", Reason: "cannot be read: set IMPORT_DIR, for serve and work, to the folder with the exports; " +
				"or run `rollcall backfill start convex FILE`"}
	}
	within := file
	if filepath.IsAbs(file) {
		var err error
		if within, err = filepath.Rel(s.Cfg.ImportDir, file); err != nil {
			within = ""
		}
	}
	if within = filepath.Clean(within); within == "." || !filepath.IsLocal(within) {
		return "", &pg.BadParam{Name: "file", Reason: "must be the name of a file in IMPORT_DIR"}
	}
	return within, nil
}
