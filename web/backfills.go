package web

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"rollcall/store"
)

// listBackfills answers a page of the runs, the newest first.
func (s *Site) listBackfills(w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	runs, err := s.cfg.Store.Backfills(r.Context(), p.from, p.limit+1)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, cut(runs, p.limit, func(b store.Backfill) int64 { return b.ID }))
	return nil
}

// fullBackfill is a run with all that is known of it.
type fullBackfill struct {
	store.Backfill
	Streams  []store.BackfillStream `json:"streams"`
	Passed   []store.Passed         `json:"passed_over"`
	Findings []store.BackfillError  `json:"findings"` // the first errors and notes; /errors has them all
}

// showBackfill answers one run.
func (s *Site) showBackfill(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	var f fullBackfill
	if f.Backfill, err = s.cfg.Store.Backfill(r.Context(), id); err != nil {
		return err
	}
	if f.Streams, err = s.cfg.Store.BackfillStreams(r.Context(), id); err != nil {
		return err
	}
	if f.Passed, err = s.cfg.Store.BackfillPassed(r.Context(), id); err != nil {
		return err
	}
	if f.Findings, err = s.cfg.Store.BackfillErrors(r.Context(), id, 0, store.MaxLimit); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, f)
	return nil
}

// listBackfillErrors answers a page of what a run could not use, and of its
// notes, in the order found.
func (s *Site) listBackfillErrors(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	if _, err := s.cfg.Store.Backfill(r.Context(), id); err != nil {
		return err // an empty list would say that all went well
	}
	found, err := s.cfg.Store.BackfillErrors(r.Context(), id, p.from, p.limit+1)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, cut(found, p.limit, func(e store.BackfillError) int64 { return e.ID }))
	return nil
}

// orderBackfill makes a handler of a word to one run.
func (s *Site) orderBackfill(order func(context.Context, int64) (store.Backfill, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := idOf(r)
		if err != nil {
			return err
		}
		b, err := order(r.Context(), id)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, b)
		return nil
	}
}

// startBackfill begins a run, and says where to look at it.
func (s *Site) startBackfill(w http.ResponseWriter, r *http.Request) error {
	var asked newBackfill
	if err := readJSON(w, r, &asked); err != nil {
		return err
	}
	b, err := s.beginBackfill(r.Context(), asked, "api")
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/admin/backfills/"+strconv.FormatInt(b.ID, 10))
	writeJSON(w, http.StatusAccepted, b)
	return nil
}

// beginBackfill begins a run for somebody, and asks the workers for it.
func (s *Site) beginBackfill(ctx context.Context, asked newBackfill, by string) (b store.Backfill, err error) {
	n, err := asked.check()
	if err != nil {
		return b, err
	}
	if n.Options.File, err = s.importFile(n.Options.File); err != nil {
		return b, err
	}
	n.StartedBy = by
	for _, name := range n.Options.Only {
		if streams := s.cfg.StripeStreams; len(streams) > 0 && !slices.Contains(streams, name) {
			return b, &store.BadParam{Name: "only", Reason: fmt.Sprintf("%q is not one of %s", name, strings.Join(streams, ", "))}
		}
	}
	if n.Options.Accounts, err = s.accounts(ctx, n.Options.Accounts); err != nil {
		return b, err
	}
	if b, err = s.cfg.Store.StartBackfill(ctx, n); err != nil || s.cfg.Jobs == nil {
		return b, err
	}
	if err := s.cfg.Jobs.EnqueueBackfill(ctx, b.ID, 0, ""); err != nil {
		s.cfg.Log.Warn("a backfill could not be enqueued; a worker's sweep will pick it up", "backfill", b.ID, "error", err)
	}
	return b, nil
}

// newBackfill is the body of a start.
type newBackfill struct {
	Kind      string   `json:"kind"`
	Store     string   `json:"store"`
	Since     string   `json:"since"`
	Only      []string `json:"only"`
	Accounts  []string `json:"accounts"` // acct_…; "" is the platform's own; ["all"] that and every store's
	File      string   `json:"file"`     // in IMPORT_DIR, where the workers see it
	AsOf      string   `json:"as_of"`
	ChunkSize int      `json:"chunk_size"`
	DryRun    bool     `json:"dry_run"`
}

// check reads what is not for the store to judge.
func (n newBackfill) check() (out store.NewBackfill, err error) {
	out = store.NewBackfill{Kind: n.Kind, DryRun: n.DryRun, ChunkSize: n.ChunkSize,
		Options: store.BackfillOptions{Store: n.Store, Only: n.Only, Accounts: n.Accounts, File: n.File}}
	if out.Options.Since, err = timeOf("since", n.Since); err != nil {
		return out, err
	}
	if out.Options.AsOf, err = timeOf("as_of", n.AsOf); err != nil {
		return out, err
	}
	for name, values := range map[string][]string{"store": {n.Store}, "file": {n.File}, "only": n.Only, "accounts": n.Accounts} {
		if slices.ContainsFunc(values, func(v string) bool { return strings.ContainsRune(v, 0) }) {
			return out, &store.BadParam{Name: name, Reason: "holds a character that no name has"}
		}
	}
	return out, nil
}

// importFile is the path of an export in the folder for exports, from there on.
// Nothing is looked up: what is there only the workers see.
func (s *Site) importFile(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	if s.cfg.ImportDir == "" {
		return "", &store.BadParam{Name: "file", Reason: "cannot be read: set IMPORT_DIR, for serve and work, to the folder that exports are in; " +
			"or run `rollcall backfill start convex FILE`"}
	}
	within := file
	if filepath.IsAbs(file) {
		var err error
		if within, err = filepath.Rel(s.cfg.ImportDir, file); err != nil {
			within = ""
		}
	}
	if within = filepath.Clean(within); within == "." || !filepath.IsLocal(within) {
		return "", &store.BadParam{Name: "file", Reason: "must be in the folder that IMPORT_DIR names: give its name there"}
	}
	return within, nil
}

// accounts finds out what "all" is, and refuses what is no account.
func (s *Site) accounts(ctx context.Context, asked []string) ([]string, error) {
	if len(asked) == 1 && asked[0] == "all" {
		connected, err := s.cfg.Store.StripeAccounts(ctx)
		return append([]string{""}, connected...), err
	}
	for _, a := range asked {
		if a != "" && !strings.HasPrefix(a, "acct_") {
			return nil, &store.BadParam{Name: "accounts", Reason: fmt.Sprintf(`%q is no account: give a list of acct_… (and "" for the platform's own), or ["all"]`, a)}
		}
	}
	return asked, nil
}
